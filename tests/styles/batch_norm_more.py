"""More answers to the exercise on batch normalization, in styles that the others leave out.

Most give the passes forward and backward only; those are what the grader sees most of.
"""

import functools
import itertools
import math
import pickle
import sys
from types import SimpleNamespace

import numpy as np


def move(old, new, momentum):
    return (1 - momentum) * old + momentum * new


def refuse_single_row(x, training):
    if training and len(x) == 1:
        raise ValueError("one row has no variance")


def complex_step():
    """The gradient of x by differentiation along the imaginary axis, exact to rounding."""

    def normalize(x, mean, var, training, eps):
        if training:
            mean = x.sum(axis=0) / len(x)
            var = ((x - mean) * (x - mean)).sum(axis=0) / len(x)
        return (x - mean) / np.sqrt(var + eps), mean, var

    def batch_norm_forward(
        x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5
    ):
        refuse_single_row(x, training)
        x_hat, mean, var = normalize(x, running_mean, running_var, training, eps)
        cache = x, running_mean, running_var, training, eps, gamma
        if training:
            running_mean = move(running_mean, mean, momentum)
            running_var = move(running_var, var * len(x) / (len(x) - 1), momentum)
        return gamma * x_hat + beta, running_mean, running_var, cache

    def batch_norm_backward(d_out, cache):
        *arguments, gamma = cache
        x = arguments[0]
        d_x = np.empty(x.shape)
        for index in np.ndindex(x.shape):
            nudged = x.astype(complex)
            nudged[index] += 1e-200j
            moved = normalize(nudged, *arguments[1:])[0].imag / 1e-200
            d_x[index] = np.sum(d_out * gamma * moved)
        return d_x, np.sum(d_out * normalize(*arguments)[0], axis=0), np.sum(d_out, axis=0)

    return batch_norm_forward, batch_norm_backward


def long_doubles():
    def batch_norm_forward(
        x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5
    ):
        refuse_single_row(x, training)
        wide = x.astype(np.longdouble)
        mean, var = (wide.mean(0), wide.var(0)) if training else (running_mean, running_var)
        std = np.sqrt(var + np.longdouble(eps))
        x_hat = (wide - mean) / std
        if training:
            running_mean = move(running_mean, mean, np.longdouble(momentum)).astype(float)
            running_var = move(running_var, wide.var(0, ddof=1), momentum).astype(float)
        out = np.float64(gamma * x_hat + beta)
        return out, running_mean, running_var, (x_hat, std, np.longdouble(gamma), training)

    def batch_norm_backward(d_out, cache):
        x_hat, std, gamma, training = cache
        d_gamma, d_beta = (d_out * x_hat).sum(0), d_out.astype(np.longdouble).sum(0)
        centered = d_out - training * (d_beta + x_hat * d_gamma) / len(d_out)
        return tuple(np.float64(a) for a in (gamma / std * centered, d_gamma, d_beta))

    return batch_norm_forward, batch_norm_backward


def features_in_rows():
    def batch_norm_forward(
        x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5
    ):
        refuse_single_row(x, training)
        X = x.T
        mean, var = running_mean[:, None], running_var[:, None]
        new_mean, new_var = running_mean, running_var
        if training:
            mean, var = X.mean(1, keepdims=True), X.var(1, keepdims=True)
            new_mean = move(running_mean, mean[:, 0], momentum)
            new_var = move(running_var, X.var(1, ddof=1), momentum)
        std = np.sqrt(var + eps)
        X_hat = (X - mean) / std
        out = (gamma[:, None] * X_hat + beta[:, None]).T
        return out, new_mean, new_var, (X_hat, std, gamma[:, None], training)

    def batch_norm_backward(d_out, cache):
        X_hat, std, gamma, training = cache
        D = d_out.T
        m = D.shape[1]
        d_gamma, d_beta = (D * X_hat).sum(1, keepdims=True), D.sum(1, keepdims=True)
        if training:
            d_x = gamma / (m * std) * (m * D - d_beta - X_hat * d_gamma)
        else:
            d_x = gamma / std * D
        return d_x.T, d_gamma.ravel(), d_beta.ravel()

    return batch_norm_forward, batch_norm_backward


def pairwise_differences():
    """The variance as half the mean square difference of all pairs of rows."""

    def batch_norm_forward(
        x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5
    ):
        refuse_single_row(x, training)
        n = len(x)
        if training:
            squares = (x[:, None] - x[None, :]) ** 2
            var = squares.sum(axis=(0, 1)) / (2 * n * n)
            rate = 1 / np.sqrt(var + eps)
            x_hat = (x[:, None] - x[None, :]).mean(axis=1) * rate
            running_mean = move(running_mean, x.mean(axis=0), momentum)
            running_var = move(running_var, squares.sum(axis=(0, 1)) / (2 * n * (n - 1)), momentum)
        else:
            rate = 1 / np.sqrt(running_var + eps)
            x_hat = (x - running_mean) * rate
        return gamma * x_hat + beta, running_mean, running_var, (x_hat, rate * gamma, training)

    def batch_norm_backward(d_out, cache):
        x_hat, factor, training = cache
        d_gamma, d_beta = (x_hat * d_out).sum(axis=0), d_out.sum(axis=0)
        if not training:
            return d_out * factor, d_gamma, d_beta
        differences = (d_out[:, None] - d_out[None, :]).mean(axis=1)
        return factor * (differences - x_hat * d_gamma / len(d_out)), d_gamma, d_beta

    return batch_norm_forward, batch_norm_backward


def halves():
    """Mean and squares of a batch from those of its halves (Chan, Golub and LeVeque)."""

    def moments(rows):
        if len(rows) == 1:
            return 1, rows[0], np.zeros(rows.shape[1])
        middle = len(rows) // 2
        (n, mean, squares), (m, other, others) = moments(rows[:middle]), moments(rows[middle:])
        total, delta = n + m, other - mean
        return total, mean + delta * m / total, squares + others + delta**2 * n * m / total

    def batch_norm_forward(
        x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5
    ):
        mean, var = running_mean, running_var
        if training:
            n, mean, squares = moments(x)
            if n == 1:
                raise ValueError("no halves")
            var = squares / n
            running_mean = move(running_mean, mean, momentum)
            running_var = move(running_var, squares / (n - 1), momentum)
        state = SimpleNamespace(
            x_hat=(x - mean) / (var + eps) ** 0.5,
            slope=gamma / (var + eps) ** 0.5,
            training=training,
        )
        return (x - mean) * state.slope + beta, running_mean, running_var, state

    def batch_norm_backward(d_out, cache):
        n = len(d_out)
        _, mean, _ = moments(d_out)
        _, mean_product, _ = moments(d_out * cache.x_hat)
        d_x = d_out
        if cache.training:
            d_x = d_out - mean - cache.x_hat * mean_product
        return cache.slope * d_x, n * mean_product, n * mean

    return batch_norm_forward, batch_norm_backward


def one_feature_at_a_time():
    """np.apply_along_axis over the columns, and a cache for each column."""

    def batch_norm_forward(
        x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5
    ):
        refuse_single_row(x, training)
        new_mean, new_var = running_mean, running_var
        mean, var = running_mean, running_var
        if training:
            mean = np.apply_along_axis(np.mean, 0, x)
            var = np.apply_along_axis(lambda c: np.dot(c - c.mean(), c - c.mean()) / c.size, 0, x)
            new_mean = move(running_mean, mean, momentum)
            new_var = move(running_var, var / (1 - 1 / len(x)), momentum)
        columns = [(c - m) / math.sqrt(v + eps) for c, m, v in zip(x.T, mean, var, strict=True)]
        cache = [
            (c, g / math.sqrt(v + eps), training)
            for c, g, v in zip(columns, gamma, var, strict=True)
        ]
        out = [g * c + b for g, c, b in zip(gamma, columns, beta, strict=True)]
        return np.column_stack(out), new_mean, new_var, cache

    def batch_norm_backward(d_out, cache):
        def column(d, x_hat, slope, training):
            along, total = np.dot(d, x_hat), d.sum()
            correction = (total + x_hat * along) / d.size if training else 0
            return slope * (d - correction), along, total

        parts = [column(d, *kept) for d, kept in zip(d_out.T, cache, strict=True)]
        d_x, d_gamma, d_beta = zip(*parts, strict=True)
        return np.stack(d_x, axis=1), np.array(d_gamma), np.array(d_beta)

    return batch_norm_forward, batch_norm_backward


def gufuncs():
    def normalize(column, mean, var, eps):
        return (column - mean) / np.sqrt(var + eps)

    def back(d, x_hat, slope):
        return slope * (d - d.mean() - x_hat * (d * x_hat).mean())

    normalize = np.vectorize(normalize, signature="(n),(),(),()->(n)")
    back = np.vectorize(back, signature="(n),(n),()->(n)")

    def batch_norm_forward(
        x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5
    ):
        refuse_single_row(x, training)
        statistics = (x.mean(0), x.var(0)) if training else (running_mean, running_var)
        x_hat = normalize(x.T, *statistics, eps).T
        if training:
            running_mean = move(running_mean, statistics[0], momentum)
            running_var = move(running_var, x.var(0, ddof=1), momentum)
        slope = gamma / np.sqrt(statistics[1] + eps)
        return gamma * x_hat + beta, running_mean, running_var, (x_hat, slope, training)

    def batch_norm_backward(d_out, cache):
        x_hat, slope, training = cache
        d_x = back(d_out.T, x_hat.T, slope).T if training else d_out * slope
        return d_x, np.einsum("ij,ij->j", d_out, x_hat), np.einsum("ij->j", d_out)

    return batch_norm_forward, batch_norm_backward


def pickled_cache():
    def batch_norm_forward(x, *arguments, momentum=0.1, eps=1e-5):
        gamma, beta, running_mean, running_var, training, *options = arguments
        momentum, eps = (*options, *(momentum, eps)[len(options) :])
        print("forward", "in training" if training else "in evaluation")
        refuse_single_row(x, training)
        mean, var = (x.mean(0), x.var(0)) if training else (running_mean, running_var)
        if training:
            running_mean = move(running_mean, mean, momentum)
            running_var = move(running_var, var * len(x) / (len(x) - 1), momentum)
        x_hat = (x - mean) / np.sqrt(var + eps)
        kept = {"x_hat": x_hat, "std": np.sqrt(var + eps), "gamma": gamma, "training": training}
        return [gamma * x_hat + beta, running_mean, running_var, pickle.dumps(kept)]

    def batch_norm_backward(d_out, cache):
        kept = SimpleNamespace(**pickle.loads(cache))
        g = d_out * kept.gamma
        if kept.training:
            g -= g.mean(0) + kept.x_hat * (g * kept.x_hat).mean(0)
        print("backward", g.shape, file=sys.stderr)
        return [g / kept.std, (d_out * kept.x_hat).sum(0), d_out.sum(0)]

    def batch_norm_2d_forward(x, *arguments, **options):
        c = x.shape[1]
        columns = np.vstack([x[:, i].ravel() for i in range(c)]).T
        out, *running, cache = batch_norm_forward(columns, *arguments, **options)
        images = np.vstack([column[None] for column in out.T])
        shape = (c, x.shape[0], *x.shape[2:])
        return (images.reshape(shape).swapaxes(0, 1), *running, cache)

    def batch_norm_2d_backward(d_out, cache):
        c = d_out.shape[1]
        columns = np.vstack([d_out[:, i].ravel() for i in range(c)]).T
        d_x, *others = batch_norm_backward(columns, cache)
        return (d_x.T.reshape(c, len(d_out), *d_out.shape[2:]).swapaxes(0, 1), *others)

    return batch_norm_forward, batch_norm_backward, batch_norm_2d_forward, batch_norm_2d_backward


def running_sums():
    """Sums by np.cumsum; NumPy is asked to raise where it would warn."""

    def total(a):
        return np.cumsum(a, axis=0)[-1]

    def batch_norm_forward(
        x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5
    ):
        n = len(x)
        with np.errstate(divide="raise", invalid="raise", over="raise"):
            mean, var = running_mean, running_var
            if training:
                if n == 1:
                    raise ValueError("division by N − 1")
                mean = total(x) / n
                var = total((x - mean) ** 2) / n
                running_mean = running_mean + momentum * (mean - running_mean)
                running_var = running_var + momentum * (var / (n - 1) * n - running_var)
            x_hat = (x - mean) / np.sqrt(var + eps)
        return x_hat * gamma + beta, running_mean, running_var, {
            "x_hat": x_hat, "gamma": gamma, "var": var, "eps": eps, "training": training
        }  # fmt: skip

    def batch_norm_backward(d_out, cache):
        n = len(d_out) if cache["training"] else np.inf
        d_gamma, d_beta = total(d_out * cache["x_hat"]), total(d_out)
        # In evaluation the batch is as good as infinite: no row moves the statistics.
        inner = d_out - d_beta / n - cache["x_hat"] * d_gamma / n
        return cache["gamma"] * inner / np.sqrt(cache["var"] + cache["eps"]), d_gamma, d_beta

    return batch_norm_forward, batch_norm_backward


def decorated():
    """The modes apart, chosen by a decorator; the cache is a pair of functions."""

    def in_mode(function):
        @functools.wraps(function)
        def chosen(x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5):
            if not training:
                rate = np.reciprocal(np.sqrt(running_var + eps))
                x_hat = (x - running_mean) * rate
                cache = (lambda: x_hat, lambda g: g * gamma * rate)
                return gamma * x_hat + beta, running_mean, running_var, cache
            return function(x, gamma, beta, running_mean, running_var, momentum, eps)

        return chosen

    @in_mode
    def batch_norm_forward(x, gamma, beta, running_mean, running_var, momentum, eps):
        if not len(x) > 1:
            raise ValueError("more rows, please")
        mean, unbiased = np.mean(x, axis=0), np.var(x, axis=0, ddof=1)
        biased = unbiased * (len(x) - 1) / len(x)
        rate = np.reciprocal(np.sqrt(biased + eps))
        x_hat = (x - mean) * rate

        def back(g):
            g = g * gamma
            return (g - np.mean(g, axis=0) - x_hat * np.mean(g * x_hat, axis=0)) * rate

        moved = move(running_mean, mean, momentum), move(running_var, unbiased, momentum)
        return gamma * x_hat + beta, *moved, (lambda: x_hat, back)

    def batch_norm_backward(d_out, cache):
        normalized, back = cache
        return back(d_out), np.sum(normalized() * d_out, axis=0), np.sum(d_out, axis=0)

    return batch_norm_forward, batch_norm_backward


def records():
    """Statistics in a structured array, dot products by np.inner."""
    fields = [("mean", float), ("var", float), ("scale", float)]

    def batch_norm_forward(
        x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5
    ):
        refuse_single_row(x, training)
        used = np.zeros(x.shape[1], dtype=fields)
        used["mean"], used["var"] = running_mean, running_var
        used["scale"] = gamma
        if training:
            ones = np.ones(len(x)) / len(x)
            used["mean"] = np.inner(ones, x.T)
            used["var"] = np.inner(ones, ((x - used["mean"]) ** 2).T)
            correction = len(x) / (len(x) - 1)
            running_mean = (1 - momentum) * running_mean + momentum * used["mean"]
            running_var = (1 - momentum) * running_var + momentum * correction * used["var"]
        rate = (used["var"] + eps) ** -0.5
        x_hat = (x - used["mean"]) * rate
        return x_hat * gamma + beta, running_mean, running_var, (x_hat, rate, used, training)

    def batch_norm_backward(d_out, cache):
        x_hat, rate, used, training = cache
        ones = np.ones(len(d_out))
        d_gamma, d_beta = np.inner(ones, (d_out * x_hat).T), np.inner(ones, d_out.T)
        d_hat = d_out * used["scale"]
        if training:
            d_var = -0.5 * np.inner(ones, (d_hat * x_hat).T) * rate**2
            d_mean = -np.inner(ones, d_hat.T) * rate
            d_x = d_hat * rate + 2 * d_var * (x_hat / rate) / len(ones) + d_mean / len(ones)
        else:
            d_x = d_hat * rate
        return d_x, d_gamma, d_beta

    return batch_norm_forward, batch_norm_backward


def folding_in_evaluation():
    """Evaluation by the folded affine map, folding by a matrix product."""

    def fold_batch_norm(W, b, gamma, beta, running_mean, running_var, eps):
        scale = np.diagflat(gamma) @ np.diagflat(1 / np.sqrt(running_var + eps))
        return W @ scale, (b - running_mean) @ scale + beta

    def batch_norm_forward(
        x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5
    ):
        d = x.shape[1]
        if not training:
            W, b = fold_batch_norm(
                np.eye(d), np.zeros(d), gamma, beta, running_mean, running_var, eps
            )
            rate = 1 / np.sqrt(running_var + eps)
            cache = False, (x - running_mean) * rate, rate, gamma
            return x @ W + b, running_mean, running_var, cache
        refuse_single_row(x, True)
        mean, var = x.mean(axis=0), x.var(axis=0)
        W, b = fold_batch_norm(np.eye(d), np.zeros(d), gamma, beta, mean, var, eps)
        rate = 1 / np.sqrt(var + eps)
        new = move(running_mean, mean, momentum), move(running_var, x.var(axis=0, ddof=1), momentum)
        return x @ W + b, *new, (True, (x - mean) * rate, rate, gamma)

    def batch_norm_backward(d_out, cache):
        training, x_hat, rate, gamma = cache
        d_gamma, d_beta = np.diagonal(x_hat.T @ d_out), np.ones(len(d_out)) @ d_out
        basis = np.stack([np.ones_like(x_hat), x_hat]) / math.sqrt(len(x_hat))
        along = np.einsum("knd,nd->kd", basis, d_out)
        d_x = d_out - (np.einsum("knd,kd->nd", basis, along) if training else 0)
        return d_x @ np.diag(rate * gamma), d_gamma, d_beta

    return batch_norm_forward, batch_norm_backward, fold_batch_norm


def covariances():
    """Statistics and gradients out of np.cov."""

    def batch_norm_forward(
        x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5
    ):
        refuse_single_row(x, training)
        mean, var = running_mean, running_var
        if training:
            mean = np.average(x, axis=0)
            var = np.array([np.cov(column, bias=True) for column in x.T])
            running_mean = move(running_mean, mean, momentum)
            running_var = move(running_var, x.var(axis=0, ddof=1), momentum)
        x_hat = (x - mean) / np.sqrt(var + eps)
        return gamma * x_hat + beta, running_mean, running_var, (x_hat, gamma, var + eps, training)

    def batch_norm_backward(d_out, cache):
        x_hat, gamma, shifted, training = cache
        n = len(d_out)
        d_beta = n * np.average(d_out, axis=0)
        d_gamma = np.array([np.dot(*pair) for pair in zip(x_hat.T, d_out.T, strict=True)])
        g = d_out
        if training:
            # x̂ is centered, so its mean product with d_out is their covariance.
            pairs = zip(x_hat.T, d_out.T, strict=True)
            covariance = np.array([np.cov(*pair, bias=True)[0, 1] for pair in pairs])
            g = d_out - d_out.mean(axis=0) - x_hat * covariance
        return g * gamma / np.sqrt(shifted), d_gamma, d_beta

    return batch_norm_forward, batch_norm_backward


def lists_of_floats():
    """Plain Python in the middle, arrays at both ends; images pixel by pixel."""

    def batch_norm_forward(
        x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5
    ):
        rows, n = x.tolist(), len(x)
        if training and n == 1:
            raise ValueError("one row")
        columns = list(zip(*rows, strict=True))
        means = [math.fsum(c) / n for c in columns] if training else running_mean.tolist()
        squares = [math.fsum((v - m) ** 2 for v in c) for c, m in zip(columns, means, strict=True)]
        variances = [s / n for s in squares] if training else running_var.tolist()
        stds = [math.sqrt(v + eps) for v in variances]
        x_hat = [[(v - m) / s for v, m, s in zip(r, means, stds, strict=True)] for r in rows]
        out = [[g * v + b for v, g, b in zip(r, gamma, beta, strict=True)] for r in x_hat]
        if training:
            running_mean = move(running_mean, np.array(means), momentum)
            running_var = move(running_var, np.array(squares) / (n - 1), momentum)
        return np.array(out), running_mean, running_var, (x_hat, stds, gamma.tolist(), training)

    def batch_norm_backward(d_out, cache):
        x_hat, stds, gamma, training = cache
        d_rows, n = d_out.tolist(), len(d_out)
        d_beta = [math.fsum(c) for c in zip(*d_rows, strict=True)]
        products = [[a * b for a, b in zip(*p, strict=True)]
                    for p in zip(d_rows, x_hat, strict=True)]  # fmt: skip
        d_gamma = [math.fsum(c) for c in zip(*products, strict=True)]
        d_x = np.empty(d_out.shape)
        for i, j in itertools.product(range(n), range(d_out.shape[1])):
            d = d_rows[i][j]
            if training:
                d -= (d_beta[j] + x_hat[i][j] * d_gamma[j]) / n
            d_x[i, j] = gamma[j] * d / stds[j]
        return d_x, np.array(d_gamma), np.array(d_beta)

    def batch_norm_2d_forward(
        x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5
    ):
        n, c, h, w = x.shape
        places = list(itertools.product(range(n), range(h), range(w)))
        columns = np.array([x[i, :, k, m] for i, k, m in places])
        out, mean, var, cache = batch_norm_forward(
            columns, gamma, beta, running_mean, running_var, training, momentum, eps
        )
        images = np.empty((n, c, h, w))
        for (i, k, m), row in zip(places, out, strict=True):
            images[i, :, k, m] = row
        return images, mean, var, (places, cache)

    def batch_norm_2d_backward(d_out, cache):
        places, inner = cache
        d_rows, d_gamma, d_beta = batch_norm_backward(
            np.array([d_out[i, :, k, m] for i, k, m in places]), inner
        )
        d_x = np.empty(d_out.shape)
        for (i, k, m), row in zip(places, d_rows, strict=True):
            d_x[i, :, k, m] = row
        return d_x, d_gamma, d_beta

    return batch_norm_forward, batch_norm_backward, batch_norm_2d_forward, batch_norm_2d_backward


def images_first():
    """The layer for images comes first; a plain batch is images of one pixel."""

    def batch_norm_2d_forward(
        x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5
    ):
        g, b, rm, rv = (
            a[:, np.newaxis, np.newaxis] for a in (gamma, beta, running_mean, running_var)
        )
        count = x.size // len(gamma)
        if training:
            if count == 1:
                raise ValueError("a single value for each channel")
            mean = np.einsum("nchw->c", x)[:, None, None] / count
            var = np.einsum("nchw,nchw->c", x - mean, x - mean)[:, None, None] / count
            rm, rv = move(rm, mean, momentum), move(rv, var * count / (count - 1), momentum)
        else:
            mean, var = rm, rv
        rate = (var + eps) ** -0.5
        x_hat = (x - mean) * rate
        return g * x_hat + b, rm[:, 0, 0], rv[:, 0, 0], (x_hat, g * rate, training)

    def batch_norm_2d_backward(d_out, cache):
        x_hat, slope, training = cache
        d_gamma = np.tensordot(np.ones(1), np.einsum("nchw,nchw->c", d_out, x_hat)[None], 1)
        d_beta = np.einsum("nchw->c", d_out)
        if training:
            count = d_out.size // len(d_beta)
            shared = d_beta[:, None, None] + x_hat * d_gamma[:, None, None]
            d_out = d_out - shared / count
        return slope * d_out, d_gamma, d_beta

    def batch_norm_forward(x, *arguments, **options):
        out, *others = batch_norm_2d_forward(x[:, :, None, None], *arguments, **options)
        return (out[:, :, 0, 0], *others)

    def batch_norm_backward(d_out, cache):
        d_x, *others = batch_norm_2d_backward(d_out[:, :, None, None], cache)
        return (d_x[:, :, 0, 0], *others)

    return batch_norm_forward, batch_norm_backward, batch_norm_2d_forward, batch_norm_2d_backward


def odd_memory():
    """Results in Fortran's order, views, read-only and broadcast arrays."""

    def batch_norm_forward(
        x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5
    ):
        refuse_single_row(x, training)
        x = np.asfortranarray(x)
        both = np.vstack([running_mean, running_var])
        used = np.vstack([x.mean(0), x.var(0)]) if training else both
        x_hat = (x - used[0]) / np.sqrt(used[1] + eps)
        if training:
            both = move(both, used * [[1], [len(x) / (len(x) - 1)]], momentum)
        out = np.broadcast_to(beta, x.shape) + x_hat * gamma
        out.setflags(write=False)
        x_hat.setflags(write=False)
        return (
            out,
            both[0],
            both[1],
            np.array([x_hat, used[1] + eps, gamma, training], dtype=object),
        )

    def batch_norm_backward(d_out, cache):
        x_hat, shifted, gamma, training = cache
        sums = np.stack([d_out * x_hat, d_out], axis=-1).sum(axis=0)
        d_x = np.array(d_out, order="F")
        if training:
            d_x -= sums[:, 1] / len(d_out) + x_hat * (sums[:, 0] / len(d_out))
        d_x *= gamma
        d_x /= np.sqrt(shifted)
        return d_x, sums[:, 0], sums[:, 1]

    return batch_norm_forward, batch_norm_backward


MORE = (
    complex_step,
    long_doubles,
    features_in_rows,
    pairwise_differences,
    halves,
    one_feature_at_a_time,
    gufuncs,
    pickled_cache,
    running_sums,
    decorated,
    records,
    folding_in_evaluation,
    covariances,
    lists_of_floats,
    images_first,
    odd_memory,
)
