"""Answers to the exercise on batch normalization, written from its notebook's text alone.

Nobody had looked at the solutions or the grader when these were written. Each function below is
one style and returns the functions that a student would have handed in.
"""

import math
from dataclasses import dataclass
from functools import reduce

import numpy as np


def closed_form():
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


def through_the_graph():
    """One line backward for each line forward."""

    def batch_norm_forward(
        x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5
    ):
        N = x.shape[0]
        if not training:
            inv_std = 1.0 / np.sqrt(running_var + eps)
            centered = x - running_mean
            x_hat = centered * inv_std
            out = gamma * x_hat + beta
            return out, running_mean, running_var, ("eval", x_hat, inv_std, gamma)
        if N < 2:
            raise ValueError("need at least two rows in training")
        mean = np.sum(x, axis=0) / N
        centered = x - mean
        squares = centered**2
        var = np.sum(squares, axis=0) / N
        std = np.sqrt(var + eps)
        inv_std = 1.0 / std
        x_hat = centered * inv_std
        out = gamma * x_hat + beta
        new_mean = running_mean + momentum * (mean - running_mean)
        new_var = running_var + momentum * (np.sum(squares, axis=0) / (N - 1) - running_var)
        return out, new_mean, new_var, ("train", x_hat, inv_std, gamma, std, var, centered, eps)

    def batch_norm_backward(d_out, cache):
        mode, x_hat, inv_std, gamma, *rest = cache
        d_beta = d_out.sum(axis=0)
        d_gamma = (d_out * x_hat).sum(axis=0)
        d_x_hat = d_out * gamma
        if mode == "eval":
            return d_x_hat * inv_std, d_gamma, d_beta
        std, var, centered, eps = rest
        N, D = d_out.shape
        d_inv_std = (d_x_hat * centered).sum(axis=0)
        d_centered = d_x_hat * inv_std
        d_std = -d_inv_std / std**2
        d_var = d_std * 0.5 / np.sqrt(var + eps)
        d_squares = np.ones((N, D)) / N * d_var
        d_centered = d_centered + 2 * centered * d_squares
        d_mean = -d_centered.sum(axis=0)
        d_x = d_centered + np.ones((N, D)) / N * d_mean
        return d_x, d_gamma, d_beta

    def batch_norm_2d_forward(
        x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5
    ):
        N, C, H, W = x.shape
        last = np.moveaxis(x, 1, -1)
        out, m, v, cache = batch_norm_forward(
            last.reshape(N * H * W, C),
            gamma,
            beta,
            running_mean,
            running_var,
            training,
            momentum,
            eps,
        )
        return np.moveaxis(out.reshape(last.shape), -1, 1), m, v, (cache, last.shape)

    def batch_norm_2d_backward(d_out, cache):
        inner, shape = cache
        d = np.moveaxis(d_out, 1, -1).reshape(-1, shape[-1])
        d_x, d_gamma, d_beta = batch_norm_backward(d, inner)
        return np.moveaxis(d_x.reshape(shape), -1, 1), d_gamma, d_beta

    def fold_batch_norm(W, b, gamma, beta, running_mean, running_var, eps):
        std = np.sqrt(running_var + eps)
        W_folded = W / std * gamma
        b_folded = (b - running_mean) / std * gamma + beta
        return W_folded, b_folded

    return (
        batch_norm_forward,
        batch_norm_backward,
        batch_norm_2d_forward,
        batch_norm_2d_backward,
        fold_batch_norm,
    )


def scalar_loops():
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


def centering_matrix():
    def batch_norm_forward(
        x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5
    ):
        n = x.shape[0]
        if training and n == 1:
            raise ValueError("training needs two rows")
        if not training:
            inverse = np.diag((running_var + eps) ** -0.5)
            x_hat = (x - running_mean) @ inverse
            out = x_hat @ np.diag(gamma) + beta
            return out, running_mean, running_var, (None, x_hat, inverse, np.diag(gamma))
        average = np.full((n, n), 1 / n)
        center = np.eye(n) - average
        centered = center @ x
        var = np.diag(centered.T @ centered) / n
        inverse = np.diag((var + eps) ** -0.5)
        x_hat = centered @ inverse
        new_mean = (1 - momentum) * running_mean + momentum * (average @ x)[0]
        unbiased = np.diag(np.cov(x, rowvar=False).reshape(x.shape[1], x.shape[1]))
        new_var = (1 - momentum) * running_var + momentum * unbiased
        out = x_hat @ np.diag(gamma) + np.ones((n, 1)) @ beta[None]
        return out, new_mean, new_var, (center, x_hat, inverse, np.diag(gamma))

    def batch_norm_backward(d_out, cache):
        center, x_hat, inverse, scale = cache
        n = len(d_out)
        d_gamma = np.diag(d_out.T @ x_hat).copy()
        d_beta = np.ones(n) @ d_out
        g = d_out @ scale
        if center is not None:
            g = center @ g - x_hat @ np.diag(np.diag(x_hat.T @ g)) / n
        return g @ inverse, d_gamma, d_beta

    def batch_norm_2d_forward(
        x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5
    ):
        rows = np.rollaxis(x, 1, 4)
        out, m, v, cache = batch_norm_forward(
            rows.reshape(-1, rows.shape[3]),
            gamma,
            beta,
            running_mean,
            running_var,
            training,
            momentum,
            eps,
        )
        return np.rollaxis(out.reshape(rows.shape), 3, 1), m, v, (cache, rows.shape)

    def batch_norm_2d_backward(d_out, cache):
        inner, shape = cache
        rows = np.rollaxis(d_out, 1, 4).reshape(-1, shape[3])
        d_x, d_gamma, d_beta = batch_norm_backward(rows, inner)
        return np.rollaxis(d_x.reshape(shape), 3, 1), d_gamma, d_beta

    def fold_batch_norm(W, b, gamma, beta, running_mean, running_var, eps):
        layer = np.vstack([W, b - running_mean])
        scaled = layer @ np.diag(gamma) @ np.linalg.inv(np.diag(np.sqrt(running_var + eps)))
        return scaled[:-1], scaled[-1] + beta

    return (
        batch_norm_forward,
        batch_norm_backward,
        batch_norm_2d_forward,
        batch_norm_2d_backward,
        fold_batch_norm,
    )


def einsum():
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


def axes_instead_of_columns():
    """One core for any shape; the images are never reshaped."""

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


def everything_recomputed():
    """The cache holds the arguments only."""

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


def welford():
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


def an_object():
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


def in_place_on_copies():
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


def backward_as_a_closure():
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


def jacobian():
    """The backward pass multiplies by the whole Jacobian of each feature."""

    def batch_norm_forward(
        x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5
    ):
        if training:
            if x.shape[0] == 1:
                raise ValueError("the variance of one value is undefined")
            mean = reduce(np.add, x) / len(x)
            var = reduce(np.add, np.square(x - mean)) / len(x)
            new_mean = mean * momentum + running_mean - running_mean * momentum
            new_var = np.var(x, axis=0, ddof=1) * momentum + running_var - running_var * momentum
        else:
            mean, var, new_mean, new_var = running_mean, running_var, running_mean, running_var
        x_hat = np.divide(np.subtract(x, mean), np.power(var + eps, 0.5))
        return (
            np.add(np.multiply(gamma, x_hat), beta),
            new_mean,
            new_var,
            (
                x_hat,
                gamma / np.power(var + eps, 0.5),
                training,
            ),
        )

    def batch_norm_backward(d_out, cache):
        x_hat, slope, training = cache
        n, d = d_out.shape
        d_x = np.empty((n, d))
        for j in range(d):
            jacobian = np.identity(n)
            if training:
                jacobian -= 1 / n + np.outer(x_hat[:, j], x_hat[:, j]) / n
            d_x[:, j] = slope[j] * jacobian.T @ d_out[:, j]
        return d_x, np.add.reduce(d_out * x_hat), np.add.reduce(d_out)

    def batch_norm_2d_forward(
        x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5
    ):
        n, c, h, w = x.shape
        rows = np.concatenate([image.reshape(c, h * w).T for image in x])
        out, m, v, cache = batch_norm_forward(
            rows, gamma, beta, running_mean, running_var, training, momentum, eps
        )
        images = [part.T.reshape(c, h, w) for part in np.split(out, n)]
        return np.array(images), m, v, cache

    def batch_norm_2d_backward(d_out, cache):
        n, c, h, w = d_out.shape
        rows = np.concatenate([image.reshape(c, h * w).T for image in d_out])
        d_x, d_gamma, d_beta = batch_norm_backward(rows, cache)
        return np.array([part.T.reshape(c, h, w) for part in np.split(d_x, n)]), d_gamma, d_beta

    def fold_batch_norm(W, b, gamma, beta, running_mean, running_var, eps):
        slope = np.divide(gamma, np.power(running_var + eps, 0.5))
        return np.multiply(W, slope), np.add(np.multiply(np.subtract(b, running_mean), slope), beta)

    return (
        batch_norm_forward,
        batch_norm_backward,
        batch_norm_2d_forward,
        batch_norm_2d_backward,
        fold_batch_norm,
    )


FROM_TEXT = (
    closed_form,
    through_the_graph,
    scalar_loops,
    centering_matrix,
    einsum,
    axes_instead_of_columns,
    everything_recomputed,
    welford,
    an_object,
    in_place_on_copies,
    backward_as_a_closure,
    jacobian,
)
