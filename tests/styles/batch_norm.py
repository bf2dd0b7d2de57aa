"""Right answers to batch normalization, each in a way that could be taken for wrong.

Each function is one style: it says what the risk is, and returns the functions that a student
would have handed in.
"""

import math
import pickle
import sys
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np


def move(old, new, momentum):
    return (1 - momentum) * old + momentum * new


def refuse_single_row(x, training):
    if training and len(x) == 1:
        raise ValueError("one row has no variance")


def scalar_loops():
    """Python loops add in another order."""

    def feature_forward(column, gamma, beta, run_mean, run_var, training, momentum, eps):
        n = len(column)
        mean, var = run_mean, run_var
        if training:
            mean = math.fsum(column) / n
            var = math.fsum((value - mean) ** 2 for value in column) / n
            run_mean = (1 - momentum) * run_mean + momentum * mean
            run_var = (1 - momentum) * run_var + momentum * var * n / (n - 1)
        std = math.sqrt(var + eps)
        x_hat = [(value - mean) / std for value in column]
        return x_hat, std, run_mean, run_var

    def feature_backward(d, x_hat, std, gamma, training):
        n = len(d)
        d_gamma = math.fsum(a * b for a, b in zip(d, x_hat, strict=True))
        d_beta = math.fsum(d)
        if not training:
            return [gamma * v / std for v in d], d_gamma, d_beta
        d_x = [
            gamma / std * (v - d_beta / n - h * d_gamma / n) for v, h in zip(d, x_hat, strict=True)
        ]
        return d_x, d_gamma, d_beta

    def batch_norm_forward(
        x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5
    ):
        if training and len(x) == 1:
            raise ValueError("a batch of one row has no variance")
        out = np.zeros(x.shape)
        new_mean, new_var = np.zeros(x.shape[1]), np.zeros(x.shape[1])
        cache = []
        for j in range(x.shape[1]):
            x_hat, std, new_mean[j], new_var[j] = feature_forward(
                x[:, j].tolist(),
                gamma[j],
                beta[j],
                running_mean[j],
                running_var[j],
                training,
                momentum,
                eps,
            )
            for i, value in enumerate(x_hat):
                out[i, j] = gamma[j] * value + beta[j]
            cache.append((x_hat, std, gamma[j], training))
        return out, new_mean, new_var, cache

    def batch_norm_backward(d_out, cache):
        d_x = np.zeros(d_out.shape)
        d_gamma, d_beta = np.zeros(len(cache)), np.zeros(len(cache))
        for j, (x_hat, std, gamma, training) in enumerate(cache):
            d_x[:, j], d_gamma[j], d_beta[j] = feature_backward(
                d_out[:, j].tolist(), x_hat, std, gamma, training
            )
        return d_x, d_gamma, d_beta

    def channels(images):
        columns = []
        for channel in range(images.shape[1]):
            columns.append(
                [
                    images[i, channel, row, column]
                    for i in range(images.shape[0])
                    for row in range(images.shape[2])
                    for column in range(images.shape[3])
                ]
            )
        return np.array(columns).T

    def images(columns, shape):
        out, position = np.zeros(shape), 0
        for i in range(shape[0]):
            for row in range(shape[2]):
                for column in range(shape[3]):
                    out[i, :, row, column] = columns[position]
                    position += 1
        return out

    def batch_norm_2d_forward(
        x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5
    ):
        out, m, v, cache = batch_norm_forward(
            channels(x), gamma, beta, running_mean, running_var, training, momentum, eps
        )
        return images(out, x.shape), m, v, cache

    def batch_norm_2d_backward(d_out, cache):
        d_x, d_gamma, d_beta = batch_norm_backward(channels(d_out), cache)
        return images(d_x, d_out.shape), d_gamma, d_beta

    def fold_batch_norm(W, b, gamma, beta, running_mean, running_var, eps):
        W_folded, b_folded = np.zeros(W.shape), np.zeros(b.shape)
        for j in range(W.shape[1]):
            s = gamma[j] / math.sqrt(running_var[j] + eps)
            for i in range(W.shape[0]):
                W_folded[i, j] = W[i, j] * s
            b_folded[j] = (b[j] - running_mean[j]) * s + beta[j]
        return W_folded, b_folded

    return (
        batch_norm_forward,
        batch_norm_backward,
        batch_norm_2d_forward,
        batch_norm_2d_backward,
        fold_batch_norm,
    )


def einsum():
    """Sums of products by einsum, which rounds otherwise than a mean."""

    def batch_norm_forward(
        x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5
    ):
        n = len(x)
        if training:
            if n <= 1:
                raise ValueError("one row")
            mean = np.einsum("nd->d", x) / n
            sum_of_squares = np.einsum("nd,nd->d", x - mean, x - mean)
            var = sum_of_squares / n
            running_mean = running_mean * (1 - momentum) + mean * momentum
            running_var = running_var * (1 - momentum) + sum_of_squares * momentum / (n - 1)
        else:
            mean, var = running_mean, running_var
        scale = (var + eps) ** -0.5
        x_hat = np.einsum("nd,d->nd", x - mean, scale)
        out = np.einsum("d,nd->nd", gamma, x_hat) + beta
        cache = {"x_hat": x_hat, "scale": scale, "gamma": gamma, "training": training}
        return out, running_mean, running_var, cache

    def batch_norm_backward(d_out, cache):
        x_hat, n = cache["x_hat"], len(d_out)
        d_gamma = np.einsum("nd,nd->d", d_out, x_hat)
        d_beta = np.einsum("nd->d", d_out)
        d_x = np.einsum("nd,d,d->nd", d_out, cache["gamma"], cache["scale"])
        if cache["training"]:
            d_x -= np.einsum("d,d,d->d", cache["gamma"], cache["scale"], d_beta) / n
            d_x -= np.einsum("d,d,d,nd->nd", cache["gamma"], cache["scale"], d_gamma, x_hat) / n
        return d_x, d_gamma, d_beta

    def batch_norm_2d_forward(
        x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5
    ):
        n, c, h, w = x.shape
        flat = np.einsum("nchw->nhwc", x).reshape(n * h * w, c)
        out, m, v, cache = batch_norm_forward(
            flat, gamma, beta, running_mean, running_var, training, momentum=momentum, eps=eps
        )
        return np.einsum("nhwc->nchw", out.reshape(n, h, w, c)), m, v, cache

    def batch_norm_2d_backward(d_out, cache):
        n, c, h, w = d_out.shape
        flat = np.einsum("nchw->nhwc", d_out).reshape(n * h * w, c)
        d_x, d_gamma, d_beta = batch_norm_backward(flat, cache)
        return np.einsum("nhwc->nchw", d_x.reshape(n, h, w, c)), d_gamma, d_beta

    def fold_batch_norm(W, b, gamma, beta, running_mean, running_var, eps):
        scale = (running_var + eps) ** -0.5
        return (
            np.einsum("io,o,o->io", W, gamma, scale),
            np.einsum("o,o,o->o", b - running_mean, gamma, scale) + beta,
        )

    return (
        batch_norm_forward,
        batch_norm_backward,
        batch_norm_2d_forward,
        batch_norm_2d_backward,
        fold_batch_norm,
    )


def welford():
    """Mean and variance are updated row by row."""

    def batch_norm_forward(
        x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5
    ):
        if not training:
            inv = np.reciprocal(np.sqrt(running_var + eps))
            x_hat = (x - running_mean) * inv
            return x_hat * gamma + beta, running_mean, running_var, (x_hat, inv * gamma, False)
        if len(x) == 1:
            raise ValueError("cannot train on one row")
        mean, m2 = np.zeros(x.shape[1]), np.zeros(x.shape[1])
        for count, row in enumerate(x, start=1):
            delta = row - mean
            mean = mean + delta / count
            m2 = m2 + delta * (row - mean)
        inv = np.reciprocal(np.sqrt(m2 / count + eps))
        x_hat = (x - mean) * inv
        running_mean = running_mean - momentum * (running_mean - mean)
        running_var = running_var - momentum * (running_var - m2 / (count - 1))
        return x_hat * gamma + beta, running_mean, running_var, (x_hat, inv * gamma, True)

    def batch_norm_backward(d_out, cache):
        x_hat, factor, training = cache
        d_gamma, d_beta = np.zeros(len(factor)), np.zeros(len(factor))
        for d_row, x_row in zip(d_out, x_hat, strict=True):
            d_gamma = d_gamma + d_row * x_row
            d_beta = d_beta + d_row
        rows = []
        for d_row, x_row in zip(d_out, x_hat, strict=True):
            if training:
                d_row = d_row - (d_beta + x_row * d_gamma) / len(d_out)
            rows.append(d_row * factor)
        return np.stack(rows), d_gamma, d_beta

    def batch_norm_2d_forward(
        x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5
    ):
        columns = np.stack([x[:, c].ravel() for c in range(x.shape[1])], axis=1)
        out, m, v, cache = batch_norm_forward(
            columns, gamma, beta, running_mean, running_var, training, momentum, eps
        )
        n, _, h, w = x.shape
        return np.stack([c.reshape(n, h, w) for c in out.T], axis=1), m, v, cache

    def batch_norm_2d_backward(d_out, cache):
        columns = np.stack([d_out[:, c].ravel() for c in range(d_out.shape[1])], axis=1)
        d_x, d_gamma, d_beta = batch_norm_backward(columns, cache)
        n, _, h, w = d_out.shape
        return np.stack([c.reshape(n, h, w) for c in d_x.T], axis=1), d_gamma, d_beta

    def fold_batch_norm(W, b, gamma, beta, running_mean, running_var, eps):
        inv = np.reciprocal(np.sqrt(running_var + eps))
        rows = [row * gamma * inv for row in W]
        return np.array(rows), beta + gamma * inv * b - gamma * inv * running_mean

    return (
        batch_norm_forward,
        batch_norm_backward,
        batch_norm_2d_forward,
        batch_norm_2d_backward,
        fold_batch_norm,
    )


def closed_form():
    """The gradient in one formula, which rounds otherwise than the graph."""

    def batch_norm_forward(
        x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5
    ):
        if training:
            n = x.shape[0]
            if n == 1:
                raise ValueError("no variance of one row")
            mean, var = x.mean(axis=0), x.var(axis=0)
            running_mean = (1 - momentum) * running_mean + momentum * mean
            running_var = (1 - momentum) * running_var + momentum * var * n / (n - 1)
        else:
            mean, var = running_mean, running_var
        std = np.sqrt(var + eps)
        x_hat = (x - mean) / std
        return gamma * x_hat + beta, running_mean, running_var, (x_hat, std, gamma, training)

    def batch_norm_backward(d_out, cache):
        x_hat, std, gamma, training = cache
        g = gamma * d_out
        if training:
            g = g - g.mean(axis=0) - x_hat * (g * x_hat).mean(axis=0)
        return g / std, (d_out * x_hat).sum(axis=0), d_out.sum(axis=0)

    def batch_norm_2d_forward(
        x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5
    ):
        n, c, h, w = x.shape
        columns = x.transpose(0, 2, 3, 1).reshape(-1, c)
        out, mean, var, cache = batch_norm_forward(
            columns, gamma, beta, running_mean, running_var, training, momentum, eps
        )
        return out.reshape(n, h, w, c).transpose(0, 3, 1, 2), mean, var, cache

    def batch_norm_2d_backward(d_out, cache):
        n, c, h, w = d_out.shape
        d_x, d_gamma, d_beta = batch_norm_backward(
            d_out.transpose(0, 2, 3, 1).reshape(-1, c), cache
        )
        return d_x.reshape(n, h, w, c).transpose(0, 3, 1, 2), d_gamma, d_beta

    def fold_batch_norm(W, b, gamma, beta, running_mean, running_var, eps):
        scale = gamma / np.sqrt(running_var + eps)
        return W * scale, (b - running_mean) * scale + beta

    return (
        batch_norm_forward,
        batch_norm_backward,
        batch_norm_2d_forward,
        batch_norm_2d_backward,
        fold_batch_norm,
    )


def complex_step():
    """Complex numbers on the way; gradients with other rounding than any formula."""

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
    """More digits on the way than float64 has."""

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


def axes_instead_of_columns():
    """Statistics of shape (1, D) or (1, C, 1, 1) on the way, by broadcasting."""

    def forward(x, axes, gamma, beta, running_mean, running_var, training, momentum, eps):
        shape = [1 if axis in axes else size for axis, size in enumerate(x.shape)]
        count = x.size // gamma.size
        if training:
            mean, var = x.mean(axis=axes), x.var(axis=axes)
            running_mean = (1 - momentum) * running_mean + momentum * mean
            running_var = (1 - momentum) * running_var + momentum * x.var(axis=axes, ddof=1)
        else:
            mean, var = running_mean, running_var
        std = np.sqrt(var + eps).reshape(shape)
        x_hat = (x - mean.reshape(shape)) / std
        out = x_hat * gamma.reshape(shape) + beta.reshape(shape)
        return out, running_mean, running_var, (axes, shape, count, x_hat, std, gamma, training)

    def backward(d_out, cache):
        axes, shape, count, x_hat, std, gamma, training = cache
        d_gamma, d_beta = np.sum(d_out * x_hat, axis=axes), np.sum(d_out, axis=axes)
        d_x = d_out
        if training:
            d_x = d_x - d_beta.reshape(shape) / count - x_hat * d_gamma.reshape(shape) / count
        return d_x * gamma.reshape(shape) / std, d_gamma, d_beta

    def batch_norm_forward(
        x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5
    ):
        if training and x.shape[0] == 1:
            raise ValueError("only one row")
        return forward(x, (0,), gamma, beta, running_mean, running_var, training, momentum, eps)

    def batch_norm_backward(d_out, cache):
        return backward(d_out, cache)

    def batch_norm_2d_forward(
        x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5
    ):
        return forward(
            x, (0, 2, 3), gamma, beta, running_mean, running_var, training, momentum, eps
        )

    def batch_norm_2d_backward(d_out, cache):
        return backward(d_out, cache)

    def fold_batch_norm(W, b, gamma, beta, running_mean, running_var, eps):
        def affine(rows):
            return gamma * (rows @ W + b - running_mean) / np.sqrt(running_var + eps) + beta

        origin = affine(np.zeros((1, len(W))))
        return affine(np.eye(len(W))) - origin, origin[0]

    return (
        batch_norm_forward,
        batch_norm_backward,
        batch_norm_2d_forward,
        batch_norm_2d_backward,
        fold_batch_norm,
    )


def features_in_rows():
    """Everything is transposed on the way, so results are not contiguous."""

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


def in_place_on_copies():
    """Much is changed in place, but only in copies of the arguments."""

    def batch_norm_forward(
        x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5
    ):
        x_hat = x.astype(float)
        new_mean, new_var = running_mean.astype(float), running_var.astype(float)
        mean, var = new_mean, new_var
        if training:
            if len(x) - 1 == 0:
                raise ValueError("N - 1 is zero")
            mean = x_hat.mean(axis=0)
            var = x_hat.var(axis=0)
            new_mean *= 1 - momentum
            new_mean += momentum * mean
            new_var *= 1 - momentum
            new_var += momentum * len(x) / (len(x) - 1) * var
        std = var + eps
        np.sqrt(std, out=std)
        x_hat -= mean
        x_hat /= std
        out = x_hat.copy()
        out *= gamma
        out += beta
        return out, new_mean, new_var, [x_hat, std, gamma.copy(), bool(training)]

    def batch_norm_backward(d_out, cache):
        x_hat, std, gamma, training = cache
        d_x = d_out.copy()
        d_x *= x_hat
        d_gamma = d_x.sum(axis=0)
        d_beta = d_out.sum(axis=0)
        d_x[...] = d_out
        if training:
            d_x -= d_beta / len(d_out)
            correction = x_hat.copy()
            correction *= d_gamma
            correction /= len(d_out)
            d_x -= correction
        d_x *= gamma
        d_x /= std
        return d_x, d_gamma, d_beta

    def batch_norm_2d_forward(
        x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5
    ):
        n, c, h, w = x.shape
        columns = np.empty((n, h, w, c))
        columns[...] = x.transpose(0, 2, 3, 1)
        out, m, v, cache = batch_norm_forward(
            columns.reshape(-1, c), gamma, beta, running_mean, running_var, training, momentum, eps
        )
        columns[...] = out.reshape(n, h, w, c)
        return np.ascontiguousarray(columns.transpose(0, 3, 1, 2)), m, v, cache

    def batch_norm_2d_backward(d_out, cache):
        n, c, h, w = d_out.shape
        columns = np.empty((n, h, w, c))
        columns[...] = d_out.transpose(0, 2, 3, 1)
        d_x, d_gamma, d_beta = batch_norm_backward(columns.reshape(-1, c), cache)
        images = np.empty_like(d_out)
        images.transpose(0, 2, 3, 1)[...] = d_x.reshape(n, h, w, c)
        return images, d_gamma, d_beta

    def fold_batch_norm(W, b, gamma, beta, running_mean, running_var, eps):
        W, b = W.copy(), b.copy()
        std = np.sqrt(running_var + eps)
        b -= running_mean
        for array in (W, b):
            array *= gamma
            array /= std
        b += beta
        return W, b

    return (
        batch_norm_forward,
        batch_norm_backward,
        batch_norm_2d_forward,
        batch_norm_2d_backward,
        fold_batch_norm,
    )


def everything_recomputed():
    """The cache holds the arguments and nothing else."""

    def statistics(x, running_mean, running_var, training):
        if training:
            return np.average(x, axis=0), np.average((x - np.average(x, axis=0)) ** 2, axis=0)
        return running_mean, running_var

    def batch_norm_forward(
        x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5
    ):
        if training and x.shape[0] < 2:
            raise ValueError("a single row cannot be normalized in training")
        cache = (*tuple(map(np.copy, (x, gamma, running_mean, running_var))), training, eps)
        mean, var = statistics(x, running_mean, running_var, training)
        out = (x - mean) * (gamma / np.sqrt(var + eps)) + beta
        if not training:
            return out, running_mean.copy(), running_var.copy(), cache
        n = x.shape[0]
        return (
            out,
            np.average([running_mean, mean], axis=0, weights=[1 - momentum, momentum]),
            np.average(
                [running_var, var * (n / (n - 1))], axis=0, weights=[1 - momentum, momentum]
            ),
            cache,
        )

    def batch_norm_backward(d_out, cache):
        x, gamma, running_mean, running_var, training, eps = cache
        mean, var = statistics(x, running_mean, running_var, training)
        n = len(x)
        s = np.sqrt(var + eps)
        d_gamma = np.sum(d_out * (x - mean), axis=0) / s
        d_beta = np.sum(d_out, axis=0)
        if not training:
            return d_out * (gamma / s), d_gamma, d_beta
        numerator = n * d_out - d_beta - (x - mean) / s * d_gamma
        return gamma / (n * s) * numerator, d_gamma, d_beta

    def batch_norm_2d_forward(
        x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5
    ):
        swapped = x.swapaxes(0, 1)
        columns = swapped.reshape(swapped.shape[0], -1).T
        out, m, v, cache = batch_norm_forward(
            columns, gamma, beta, running_mean, running_var, training, momentum, eps
        )
        return out.T.reshape(swapped.shape).swapaxes(0, 1), m, v, cache

    def batch_norm_2d_backward(d_out, cache):
        swapped = d_out.swapaxes(0, 1)
        columns = swapped.reshape(swapped.shape[0], -1).T
        d_x, d_gamma, d_beta = batch_norm_backward(columns, cache)
        return d_x.T.reshape(swapped.shape).swapaxes(0, 1), d_gamma, d_beta

    def fold_batch_norm(W, b, gamma, beta, running_mean, running_var, eps):
        W_folded = gamma * W / np.sqrt(running_var + eps)
        zero_input = gamma * (b - running_mean) / np.sqrt(running_var + eps)
        return W_folded, zero_input + beta

    return (
        batch_norm_forward,
        batch_norm_backward,
        batch_norm_2d_forward,
        batch_norm_2d_backward,
        fold_batch_norm,
    )


def backward_as_a_closure():
    """The cache is a function."""

    def batch_norm_forward(
        x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5
    ):
        n = np.shape(x)[0]
        if training and n == 1:
            raise ValueError("N must be at least 2")
        mean = np.mean(x, axis=0, keepdims=True) if training else running_mean[None]
        var = np.var(x, axis=0, keepdims=True) if training else running_var[None]
        x_hat = (x - mean) / np.sqrt(var + eps)

        def project(g):
            """Remove from g what the batch's own statistics hide: its mean and its part along x̂."""
            return g - np.mean(g, axis=0) - x_hat * np.mean(g * x_hat, axis=0)

        def backward(d_out):
            g = d_out * gamma
            d_x = (project(g) if training else g) / np.sqrt(var + eps)
            return d_x, np.sum(d_out * x_hat, axis=0), np.sum(d_out, axis=0)

        if training:
            running_mean = (1 - momentum) * running_mean + momentum * np.squeeze(mean, axis=0)
            unbiased = np.squeeze(var, axis=0) * n / (n - 1)
            running_var = (1 - momentum) * running_var + momentum * unbiased
        return gamma * x_hat + beta, running_mean, running_var, backward

    def batch_norm_backward(d_out, cache):
        return cache(d_out)

    def batch_norm_2d_forward(
        x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5
    ):
        def to_columns(images):
            return images.transpose(1, 0, 2, 3).reshape(images.shape[1], -1).transpose()

        def to_images(columns):
            n, c, h, w = x.shape
            return columns.transpose().reshape(c, n, h, w).transpose(1, 0, 2, 3)

        out, *running, inner = batch_norm_forward(
            to_columns(x), gamma, beta, running_mean, running_var, training, momentum, eps
        )

        def backward(d_out):
            d_x, *others = inner(to_columns(d_out))
            return to_images(d_x), *others

        return to_images(out), *running, backward

    def batch_norm_2d_backward(d_out, cache):
        return cache(d_out)

    def fold_batch_norm(W, b, gamma, beta, running_mean, running_var, eps):
        (scale,) = np.atleast_2d(gamma / np.sqrt(running_var + eps))
        shift = beta - scale * running_mean
        return scale * W, scale * b + shift

    return (
        batch_norm_forward,
        batch_norm_backward,
        batch_norm_2d_forward,
        batch_norm_2d_backward,
        fold_batch_norm,
    )


def an_object():
    """The cache is an object of a class."""

    @dataclass
    class Normalization:
        mean: np.ndarray
        var: np.ndarray
        gamma: np.ndarray
        eps: float
        of_the_batch: bool
        x_hat: np.ndarray = None
        shape: tuple = ()

        @property
        def rate(self):
            return 1 / np.sqrt(self.var + self.eps)

        def forward(self, x, beta):
            self.x_hat = (x - self.mean) * self.rate
            return self.gamma * self.x_hat + beta

        def backward(self, d_out):
            d_gamma, d_beta = (self.x_hat * d_out).sum(0), d_out.sum(0)
            d_x_hat = d_out * self.gamma
            if self.of_the_batch:
                along = (d_x_hat * self.x_hat).mean(0, keepdims=True)
                d_x_hat = d_x_hat - d_x_hat.mean(0, keepdims=True) - along * self.x_hat
            return d_x_hat * self.rate, d_gamma, d_beta

    def batch_norm_forward(
        x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5
    ):
        if not training:
            cache = Normalization(running_mean, running_var, gamma, eps, False)
            return cache.forward(x, beta), running_mean, running_var, cache
        if x.shape[0] == 1:
            raise ValueError("in training there must be more than one row")
        cache = Normalization(np.mean(x, 0), np.var(x, 0), gamma, eps, True)
        out = cache.forward(x, beta)
        running_mean = momentum * cache.mean + (1 - momentum) * running_mean
        bessel = len(x) / (len(x) - 1)
        running_var = momentum * bessel * cache.var + (1 - momentum) * running_var
        return out, running_mean, running_var, cache

    def batch_norm_backward(d_out, cache):
        return cache.backward(d_out)

    def batch_norm_2d_forward(
        x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5
    ):
        order = (2, 3, 0, 1)
        moved = x.transpose(order)
        out, m, v, cache = batch_norm_forward(
            moved.reshape(-1, x.shape[1]),
            gamma,
            beta,
            running_mean,
            running_var,
            training,
            momentum,
            eps,
        )
        cache.shape = moved.shape
        return out.reshape(moved.shape).transpose(order), m, v, cache

    def batch_norm_2d_backward(d_out, cache):
        order = (2, 3, 0, 1)
        d_x, d_gamma, d_beta = cache.backward(d_out.transpose(order).reshape(-1, d_out.shape[1]))
        return d_x.reshape(cache.shape).transpose(order), d_gamma, d_beta

    def fold_batch_norm(W, b, gamma, beta, running_mean, running_var, eps):
        layer = Normalization(running_mean, running_var, gamma, eps, False)
        return W * (layer.gamma * layer.rate)[np.newaxis, :], layer.forward(b, beta)

    return (
        batch_norm_forward,
        batch_norm_backward,
        batch_norm_2d_forward,
        batch_norm_2d_backward,
        fold_batch_norm,
    )


def pickled_cache():
    """The cache is a string of bytes."""

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
    """Sums by np.cumsum, and NumPy is asked to raise where it would warn."""

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


def folding_in_evaluation():
    """Evaluation by one affine map, which rounds otherwise than normalizing."""

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


def moments():
    """The variance as a mean of squares less a squared mean, which cancels digits."""

    def batch_norm_forward(
        x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5
    ):
        n = x.shape[0]
        if training and n < 2:
            raise ValueError("need two rows")
        if training:
            mean = x.mean(0)
            var = (x * x).mean(0) - mean**2
            running_mean = running_mean + momentum * (mean - running_mean)
            running_var = running_var + momentum * (var * n / (n - 1) - running_var)
        else:
            mean, var = running_mean.copy(), running_var.copy()
        inverse = (var + eps) ** -0.5
        normalized = (x - mean) * inverse
        return (
            normalized * gamma + beta,
            running_mean,
            running_var,
            (normalized, inverse, gamma, not training),
        )

    def batch_norm_backward(d_out, cache):
        normalized, inverse, gamma, evaluation = cache
        n = d_out.shape[0]
        d_gamma, d_beta = (d_out * normalized).sum(0), d_out.sum(0)
        if evaluation:
            return d_out * (gamma * inverse), d_gamma, d_beta
        d_x = gamma * inverse / n * (n * d_out - d_beta - normalized * d_gamma)
        return d_x, d_gamma, d_beta

    return batch_norm_forward, batch_norm_backward


STYLES = (
    moments,
    scalar_loops,
    einsum,
    welford,
    closed_form,
    complex_step,
    long_doubles,
    axes_instead_of_columns,
    features_in_rows,
    odd_memory,
    in_place_on_copies,
    everything_recomputed,
    backward_as_a_closure,
    an_object,
    pickled_cache,
    running_sums,
    folding_in_evaluation,
)
