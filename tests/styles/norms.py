"""Right answers to the relatives of batch norm, each in a way that could be taken for wrong.

Each function is one style: it says what the risk is, and returns the functions that a student
would have handed in.
"""

import math
import pickle
import sys
from dataclasses import dataclass
from functools import reduce
from types import SimpleNamespace

import numpy as np


def refuse_unequal(x, groups):
    if x.shape[1] % groups != 0:
        raise ValueError("groups of unequal size")


def scalar_loops():
    """Python loops add in another order."""

    def normalized(values, eps):
        mean = math.fsum(values) / len(values)
        var = math.fsum((v - mean) ** 2 for v in values) / len(values)
        std = math.sqrt(var + eps)
        return [(v - mean) / std for v in values], std

    def layer_norm_forward(x, gamma, beta, eps=1e-5):
        out, x_hat = np.zeros(x.shape), np.zeros(x.shape)
        std = np.zeros(x.shape[:-1])
        for where in np.ndindex(x.shape[:-1]):
            x_hat[where], std[where] = normalized(x[where].tolist(), eps)
            for i in range(x.shape[-1]):
                out[where][i] = gamma[i] * x_hat[where][i] + beta[i]
        return out, (x_hat, std, gamma)

    def layer_norm_backward(d_out, cache):
        x_hat, std, gamma = cache
        count = d_out.shape[-1]
        d_x, d_gamma, d_beta = np.zeros(d_out.shape), np.zeros(count), np.zeros(count)
        for where in np.ndindex(d_out.shape[:-1]):
            g = [gamma[i] * d_out[where][i] for i in range(count)]
            total = math.fsum(g)
            along = math.fsum(g[i] * x_hat[where][i] for i in range(count))
            for i in range(count):
                d_gamma[i] += d_out[where][i] * x_hat[where][i]
                d_beta[i] += d_out[where][i]
                through = (total + x_hat[where][i] * along) / count
                d_x[where][i] = (g[i] - through) / std[where]
        return d_x, d_gamma, d_beta

    def rms_norm_forward(x, gamma, eps=1e-6):
        out = np.zeros(x.shape)
        for where in np.ndindex(x.shape[:-1]):
            squares = math.fsum(v * v for v in x[where].tolist())
            root = math.sqrt(squares / x.shape[-1] + eps)
            for i in range(x.shape[-1]):
                out[where][i] = gamma[i] * x[where][i] / root
        return out, (x, gamma, eps)

    def rms_norm_backward(d_out, cache):
        x, gamma, eps = cache
        count = x.shape[-1]
        d_x, d_gamma = np.zeros(x.shape), np.zeros(count)
        for where in np.ndindex(x.shape[:-1]):
            row = x[where].tolist()
            root = math.sqrt(math.fsum(v * v for v in row) / count + eps)
            g = [gamma[i] * d_out[where][i] for i in range(count)]
            along = math.fsum(g[i] * row[i] for i in range(count))
            for i in range(count):
                d_x[where][i] = g[i] / root - row[i] * along / (count * root**3)
                d_gamma[i] += d_out[where][i] * row[i] / root
        return d_x, d_gamma

    def group_norm_forward(x, groups, gamma, beta, eps=1e-5):
        n, c, h, w = x.shape
        if c % groups:
            raise ValueError("no")
        size = c // groups
        out = np.zeros(x.shape)
        for i in range(n):
            for g in range(groups):
                channels = range(g * size, (g + 1) * size)
                places = [(k, r, s) for k in channels for r in range(h) for s in range(w)]
                x_hat, _ = normalized([x[(i, *place)] for place in places], eps)
                for place, value in zip(places, x_hat, strict=True):
                    out[(i, *place)] = gamma[place[0]] * value + beta[place[0]]
        return out

    return (
        layer_norm_forward,
        layer_norm_backward,
        rms_norm_forward,
        rms_norm_backward,
        group_norm_forward,
    )


def einsum():
    """Sums of products by einsum, which rounds otherwise than a mean."""

    def layer_norm_forward(x, gamma, beta, eps=1e-5):
        count = x.shape[-1]
        centered = x - np.einsum("...d->...", x)[..., None] / count
        var = np.einsum("...d,...d->...", centered, centered) / count
        scale = (var + eps) ** -0.5
        x_hat = np.einsum("...d,...->...d", centered, scale)
        return np.einsum("d,...d->...d", gamma, x_hat) + beta, (x_hat, scale, gamma)

    def layer_norm_backward(d_out, cache):
        x_hat, scale, gamma = cache
        count = len(gamma)
        g = np.einsum("d,...d->...d", gamma, d_out)
        along = np.einsum("...d,...d->...", g, x_hat)
        d_x = np.einsum("...d,...->...d", g, scale)
        d_x = d_x - (np.einsum("...d->...", g) * scale)[..., None] / count
        d_x = d_x - np.einsum("...d,...,...->...d", x_hat, along, scale) / count
        rows = d_out.reshape(-1, count)
        return d_x, np.einsum("nd,nd->d", rows, x_hat.reshape(-1, count)), np.einsum("nd->d", rows)

    def rms_norm_forward(x, gamma, eps=1e-6):
        scale = (np.einsum("...d,...d->...", x, x) / x.shape[-1] + eps) ** -0.5
        return np.einsum("...d,...,d->...d", x, scale, gamma), (x, scale, gamma)

    def rms_norm_backward(d_out, cache):
        x, scale, gamma = cache
        along = np.einsum("...d,d,...d->...", d_out, gamma, x)
        d_x = np.einsum("...d,d,...->...d", d_out, gamma, scale)
        d_x = d_x - np.einsum("...d,...,...->...d", x, along, scale**3) / len(gamma)
        products = np.einsum("...d,...d,...->...d", d_out, x, scale)
        return d_x, np.einsum("nd->d", products.reshape(-1, len(gamma)))

    def group_norm_forward(x, groups, gamma, beta, eps=1e-5):
        refuse_unequal(x, groups)
        n, c, h, w = x.shape
        grouped = x.reshape(n, groups, c // groups, h, w)
        count = c // groups * h * w
        mean = np.einsum("ngkhw->ng", grouped) / count
        centered = grouped - mean[:, :, None, None, None]
        var = np.einsum("ngkhw,ngkhw->ng", centered, centered) / count
        x_hat = np.einsum("ngkhw,ng->ngkhw", centered, (var + eps) ** -0.5).reshape(x.shape)
        return np.einsum("nchw,c->nchw", x_hat, gamma) + beta[None, :, None, None]

    return (
        layer_norm_forward,
        layer_norm_backward,
        rms_norm_forward,
        rms_norm_backward,
        group_norm_forward,
    )


def moments():
    """The variance as a mean of squares less a squared mean, which cancels digits."""

    def layer_norm_forward(x, gamma, beta, eps=1e-5):
        mean = x.mean(-1, keepdims=True)
        var = (x * x).mean(-1, keepdims=True) - mean**2
        inverse = (var + eps) ** -0.5
        x_hat = (x - mean) * inverse
        return x_hat * gamma + beta, (x_hat, inverse, gamma)

    def layer_norm_backward(d_out, cache):
        x_hat, inverse, gamma = cache
        n = d_out.shape[-1]
        g = d_out * gamma
        inner = n * g - g.sum(-1, keepdims=True) - x_hat * (g * x_hat).sum(-1, keepdims=True)
        others = tuple(range(d_out.ndim))[:-1]
        return inverse / n * inner, (d_out * x_hat).sum(others), d_out.sum(others)

    def group_norm_forward(x, groups, gamma, beta, eps=1e-5):
        refuse_unequal(x, groups)
        rows = x.reshape(len(x), groups, -1)
        mean = rows.mean(2, keepdims=True)
        var = (rows**2).mean(2, keepdims=True) - mean**2
        x_hat = ((rows - mean) / np.sqrt(var + eps)).reshape(x.shape)
        return x_hat * gamma[:, None, None] + beta[:, None, None]

    return layer_norm_forward, layer_norm_backward, group_norm_forward


def complex_step():
    """Complex numbers on the way; gradients with other rounding than any formula."""

    def normalized(x, eps):
        centered = x - x.sum(-1, keepdims=True) / x.shape[-1]
        var = (centered * centered).sum(-1, keepdims=True) / x.shape[-1]
        return centered / np.sqrt(var + eps)

    def shortened(x, eps):
        return x / np.sqrt((x * x).sum(-1, keepdims=True) / x.shape[-1] + eps)

    def gradient(function, x, eps, d):
        d_x = np.empty(x.shape)
        for index in np.ndindex(x.shape):
            nudged = x.astype(complex)
            nudged[index] += 1e-200j
            d_x[index] = np.sum(d * function(nudged, eps).imag / 1e-200)
        return d_x

    def over_examples(a):
        return a.reshape(-1, a.shape[-1]).sum(0)

    def layer_norm_forward(x, gamma, beta, eps=1e-5):
        return gamma * normalized(x, eps) + beta, (x.copy(), gamma, eps)

    def layer_norm_backward(d_out, cache):
        x, gamma, eps = cache
        d_x = gradient(normalized, x, eps, d_out * gamma)
        return d_x, over_examples(d_out * normalized(x, eps)), over_examples(d_out)

    def rms_norm_forward(x, gamma, eps=1e-6):
        return gamma * shortened(x, eps), (x.copy(), gamma, eps)

    def rms_norm_backward(d_out, cache):
        x, gamma, eps = cache
        d_x = gradient(shortened, x, eps, d_out * gamma)
        return d_x, over_examples(d_out * shortened(x, eps))

    return layer_norm_forward, layer_norm_backward, rms_norm_forward, rms_norm_backward


def long_doubles():
    """More digits on the way than float64 has."""

    def layer_norm_forward(x, gamma, beta, eps=1e-5):
        wide = x.astype(np.longdouble)
        std = np.sqrt(wide.var(-1, keepdims=True) + np.longdouble(eps))
        x_hat = (wide - wide.mean(-1, keepdims=True)) / std
        return np.float64(gamma * x_hat + beta), (x_hat, std, np.longdouble(gamma))

    def layer_norm_backward(d_out, cache):
        x_hat, std, gamma = cache
        others = tuple(range(d_out.ndim - 1))
        g = d_out * gamma
        d_x = (g - g.mean(-1, keepdims=True) - x_hat * (g * x_hat).mean(-1, keepdims=True)) / std
        d_gamma, d_beta = (d_out * x_hat).sum(others), d_out.astype(np.longdouble).sum(others)
        return d_x.astype(float), d_gamma.astype(float), d_beta.astype(float)

    def rms_norm_forward(x, gamma, eps=1e-6):
        wide = x.astype(np.longdouble)
        rms = np.sqrt((wide**2).mean(-1, keepdims=True) + np.longdouble(eps))
        return np.float64(gamma * wide / rms), (wide / rms, rms, np.longdouble(gamma))

    def rms_norm_backward(d_out, cache):
        x_hat, rms, gamma = cache
        g = d_out * gamma
        d_x = (g - x_hat * (g * x_hat).mean(-1, keepdims=True)) / rms
        d_gamma = (d_out * x_hat).sum(tuple(range(d_out.ndim - 1)))
        return d_x.astype(float), d_gamma.astype(float)

    return layer_norm_forward, layer_norm_backward, rms_norm_forward, rms_norm_backward


def features_first():
    """The features are moved to the first axis, so that results are not contiguous."""

    def layer_norm_forward(x, gamma, beta, eps=1e-5):
        moved = np.moveaxis(x, -1, 0)
        column = (-1,) + (1,) * (x.ndim - 1)
        std = np.sqrt(moved.var(0) + eps)
        x_hat = (moved - moved.mean(0)) / std
        out = gamma.reshape(column) * x_hat + beta.reshape(column)
        return np.moveaxis(out, 0, -1), (x_hat, std, gamma.reshape(column))

    def layer_norm_backward(d_out, cache):
        x_hat, std, gamma = cache
        moved = np.moveaxis(d_out, -1, 0)
        flat = len(moved), -1
        g = moved * gamma
        d_x = (g - g.mean(0) - x_hat * (g * x_hat).mean(0)) / std
        d_gamma = (moved * x_hat).reshape(flat).sum(1)
        return np.moveaxis(d_x, 0, -1), d_gamma, moved.reshape(flat).sum(1)

    def rms_norm_forward(x, gamma, eps=1e-6):
        rms = np.sqrt(np.mean(x.T**2, axis=0) + eps)
        column = (-1,) + (1,) * (x.ndim - 1)
        x_hat = x.T / rms
        return (gamma.reshape(column) * x_hat).T, (x_hat, rms, gamma.reshape(column))

    def rms_norm_backward(d_out, cache):
        x_hat, rms, gamma = cache
        g = d_out.T * gamma
        d_x = (g - x_hat * (g * x_hat).mean(0)) / rms
        return d_x.T, (d_out.T * x_hat).reshape(len(g), -1).sum(1)

    return layer_norm_forward, layer_norm_backward, rms_norm_forward, rms_norm_backward


def odd_memory():
    """Results in Fortran's order, views, read-only and broadcast arrays; caches of objects."""

    def boxed(*values):
        box = np.empty(len(values), dtype=object)
        for i, value in enumerate(values):
            box[i] = value
        return box

    def layer_norm_forward(x, gamma, beta, eps=1e-5):
        x = np.asfortranarray(x)
        both = np.stack([x.mean(-1), x.var(-1)])[..., None]
        x_hat = (x - both[0]) / np.sqrt(both[1] + eps)
        out = np.broadcast_to(beta, x.shape) + x_hat * gamma
        out.setflags(write=False)
        x_hat.setflags(write=False)
        return [out, boxed(x_hat, both[1] + eps, gamma)]

    def layer_norm_backward(d_out, cache):
        x_hat, shifted, gamma = cache
        rows = np.stack([d_out * x_hat, d_out], axis=-1).reshape(-1, len(gamma), 2).sum(axis=0)
        d_x = np.array(d_out * gamma, order="F")
        means = np.stack([d_x, d_x * x_hat]).mean(-1, keepdims=True)
        d_x -= means[0] + x_hat * means[1]
        d_x /= np.sqrt(shifted)
        return d_x, rows[:, 0], rows[:, 1]

    def rms_norm_forward(x, gamma, eps=1e-6):
        larger = np.zeros((*x.shape, 2))
        larger[..., 1] = x
        view = larger[..., 1]
        view *= gamma / np.sqrt(np.mean(x**2, axis=-1, keepdims=True) + eps)
        return view, boxed(x, gamma, eps)

    def rms_norm_backward(d_out, cache):
        x, gamma, eps = cache
        square = (x**2).mean(-1, keepdims=True) + eps
        g = np.asfortranarray(d_out * gamma)
        g -= x * (g * x).mean(-1, keepdims=True) / square
        both = np.stack([g, d_out * x]) / np.sqrt(square)
        return both[0], both[1].reshape(-1, len(gamma)).sum(0)

    def group_norm_forward(x, groups, gamma, beta, eps=1e-5):
        refuse_unequal(x, groups)
        whole = np.empty((2, *x.shape), order="F")
        for chunk, out in zip(
            np.split(x, groups, axis=1), np.split(whole[1], groups, axis=1), strict=True
        ):
            flat = chunk.reshape(len(x), -1)
            mean, var = flat.mean(1), flat.var(1)
            column = (-1, 1, 1, 1)
            out[...] = (chunk - mean.reshape(column)) / np.sqrt(var.reshape(column) + eps)
        images = whole[1].swapaxes(1, -1)
        return (images * gamma + beta).swapaxes(1, -1)

    return (
        layer_norm_forward,
        layer_norm_backward,
        rms_norm_forward,
        rms_norm_backward,
        group_norm_forward,
    )


def in_place_on_copies():
    """Much is changed in place, but only in copies of the arguments."""

    def layer_norm_forward(x, gamma, beta, eps=1e-5):
        x_hat = x.copy()
        x_hat -= x_hat.mean(axis=-1, keepdims=True)
        std = np.square(x_hat).mean(axis=-1, keepdims=True)
        std += eps
        np.sqrt(std, out=std)
        x_hat /= std
        out = x_hat.copy()
        out *= gamma
        out += beta
        return out, {"x_hat": x_hat, "std": std, "gamma": gamma.copy()}

    def layer_norm_backward(d_out, cache):
        x_hat = cache["x_hat"]
        d_x = d_out.copy()
        d_x *= cache["gamma"]
        along = (d_x * x_hat).mean(axis=-1, keepdims=True)
        d_x -= d_x.mean(axis=-1, keepdims=True)
        d_x -= x_hat * along
        d_x /= cache["std"]
        d_gamma, d_beta = d_out * x_hat, d_out.copy()
        while d_gamma.ndim > 1:
            d_gamma, d_beta = d_gamma.sum(axis=0), d_beta.sum(axis=0)
        return d_x, d_gamma, d_beta

    def rms_norm_forward(x, gamma, eps=1e-6):
        squares = np.array(x, copy=True)
        squares **= 2
        rms = squares.mean(axis=-1, keepdims=True)
        rms += eps
        rms **= 0.5
        x_hat = x / rms
        out = x_hat.copy()
        out *= gamma
        return out, {"x_hat": x_hat, "rms": rms, "gamma": gamma.copy()}

    def rms_norm_backward(d_out, cache):
        x_hat = cache["x_hat"]
        d_x = d_out * cache["gamma"]
        d_x -= x_hat * (d_x * x_hat).mean(axis=-1, keepdims=True)
        d_x /= cache["rms"]
        d_gamma = d_out * x_hat
        while d_gamma.ndim > 1:
            d_gamma = d_gamma.sum(axis=0)
        return d_x, d_gamma

    def group_norm_forward(x, groups, gamma, beta, eps=1e-5):
        refuse_unequal(x, groups)
        out = x.copy()
        rows = out.reshape(len(x) * groups, -1)
        rows -= rows.mean(axis=1, keepdims=True)
        rows /= np.sqrt(np.square(rows).mean(axis=1, keepdims=True) + eps)
        for channel in range(x.shape[1]):
            out[:, channel] *= gamma[channel]
            out[:, channel] += beta[channel]
        return out

    return (
        layer_norm_forward,
        layer_norm_backward,
        rms_norm_forward,
        rms_norm_backward,
        group_norm_forward,
    )


def jacobians():
    """The gradient by a matrix for each example, as in a textbook."""

    def layer_norm_forward(x, gamma, beta, eps=1e-5):
        count = x.shape[-1]
        center = np.eye(count) - np.full((count, count), 1 / count)
        centered = x @ center
        var = (centered * centered) @ np.full((count, 1), 1 / count)
        x_hat = centered / np.sqrt(var + eps)
        return x_hat @ np.diag(gamma) + beta, (x_hat, var + eps, gamma)

    def layer_norm_backward(d_out, cache):
        x_hat, shifted, gamma = cache
        count = len(gamma)
        flat, upstream = x_hat.reshape(-1, count), d_out.reshape(-1, count)
        rows = []
        for row, d, square in zip(flat, upstream, shifted.ravel(), strict=True):
            jacobian = np.eye(count) - 1 / count - np.outer(row, row) / count
            rows.append((d * gamma) @ jacobian / np.sqrt(square))
        d_gamma = np.diagonal(flat.T @ upstream)
        return np.reshape(rows, d_out.shape), d_gamma, np.ones(len(flat)) @ upstream

    def rms_norm_forward(x, gamma, eps=1e-6):
        square = (x * x) @ np.full((x.shape[-1], 1), 1 / x.shape[-1]) + eps
        return x @ np.diag(gamma) / np.sqrt(square), (x, square, gamma)

    def rms_norm_backward(d_out, cache):
        x, square, gamma = cache
        count = len(gamma)
        flat, upstream = x.reshape(-1, count), d_out.reshape(-1, count)
        rows = []
        for row, d, one in zip(flat, upstream, square.ravel(), strict=True):
            jacobian = (np.eye(count) - np.outer(row, row) / (count * one)) / math.sqrt(one)
            rows.append(jacobian @ (gamma * d))
        d_gamma = np.diagonal((flat / np.sqrt(square).reshape(-1, 1)).T @ upstream)
        return np.reshape(rows, d_out.shape), d_gamma

    return layer_norm_forward, layer_norm_backward, rms_norm_forward, rms_norm_backward


def backward_as_a_closure():
    """The cache is a function."""

    def over_examples(a):
        return reduce(lambda total, row: total + row, a.reshape(-1, a.shape[-1]))

    def layer_norm_forward(x, gamma, beta, eps=1e-5):
        std = np.sqrt(np.var(x, -1, keepdims=True) + eps)
        x_hat = (x - np.mean(x, -1, keepdims=True)) / std

        def back(d_out):
            g = gamma * d_out
            along = np.mean(g * x_hat, -1, keepdims=True)
            d_x = (g - np.mean(g, -1, keepdims=True) - along * x_hat) / std
            return d_x, over_examples(d_out * x_hat), over_examples(d_out)

        return gamma * x_hat + beta, back

    def layer_norm_backward(d_out, cache):
        return cache(d_out)

    def rms_norm_forward(x, gamma, eps=1e-6):
        s = 1 / np.sqrt(np.mean(x * x, -1, keepdims=True) + eps)

        def back(d_out):
            g = gamma * d_out
            return s * (g - s * s * x * np.mean(g * x, -1, keepdims=True)), over_examples(
                d_out * x * s
            )

        return s * x * gamma, back

    def rms_norm_backward(d_out, cache):
        return cache(d_out)

    def group_norm_forward(x, groups, gamma, beta, eps=1e-5):
        n, c, h, w = x.shape
        size, rest = divmod(c, groups)
        if rest:
            raise ValueError(f"{rest} channels are left over")
        rows, _ = layer_norm_forward(x.reshape(n, groups, size * h * w), 1.0, 0.0, eps)
        return (rows.reshape(x.shape).T * gamma[:, None] + beta[:, None]).T

    return (
        layer_norm_forward,
        layer_norm_backward,
        rms_norm_forward,
        rms_norm_backward,
        group_norm_forward,
    )


def an_object():
    """The cache is an object of a class."""

    @dataclass
    class Rows:
        values: np.ndarray
        gamma: np.ndarray
        eps: float
        centered: bool

        @property
        def deviations(self):
            if not self.centered:
                return self.values
            return self.values - self.values.mean(1, keepdims=True)

        @property
        def rate(self):
            return 1 / np.sqrt((self.deviations**2).mean(1, keepdims=True) + self.eps)

        @property
        def x_hat(self):
            return self.deviations * self.rate

        def backward(self, d_out):
            g = d_out * self.gamma
            inner = g - self.x_hat * (g * self.x_hat).mean(1, keepdims=True)
            if self.centered:
                inner = inner - g.mean(1, keepdims=True)
            return inner * self.rate, (d_out * self.x_hat).sum(0), d_out.sum(0)

    def rows_of(x):
        return x.reshape(-1, x.shape[-1])

    def layer_norm_forward(x, gamma, beta, eps=1e-5):
        cache = Rows(rows_of(x), gamma, eps, True)
        return (cache.x_hat * gamma + beta).reshape(x.shape), cache

    def layer_norm_backward(d_out, cache):
        d_x, *others = cache.backward(rows_of(d_out))
        return d_x.reshape(d_out.shape), *others

    def rms_norm_forward(x, gamma, eps=1e-6):
        cache = Rows(rows_of(x), gamma, eps, False)
        return (cache.x_hat * gamma).reshape(x.shape), cache

    def rms_norm_backward(d_out, cache):
        d_x, d_gamma, _ = cache.backward(rows_of(d_out))
        return d_x.reshape(d_out.shape), d_gamma

    def group_norm_forward(x, groups, gamma, beta, eps=1e-5):
        refuse_unequal(x, groups)
        cache = Rows(x.reshape(len(x) * groups, -1), np.ones(1), eps, True)
        images = cache.x_hat.reshape(x.shape)
        return images * np.expand_dims(gamma, (1, 2)) + np.expand_dims(beta, (1, 2))

    return (
        layer_norm_forward,
        layer_norm_backward,
        rms_norm_forward,
        rms_norm_backward,
        group_norm_forward,
    )


def pickled_cache():
    """The cache is a string of bytes, and both passes print."""

    def layer_norm_forward(x, *arguments, eps=1e-5):
        gamma, beta, *options = arguments
        (eps,) = options or (eps,)
        print("forward", x.shape)
        std = np.sqrt(x.var(-1, keepdims=True) + eps)
        x_hat = (x - x.mean(-1, keepdims=True)) / std
        kept = {"x_hat": x_hat, "std": std, "gamma": gamma}
        return [gamma * x_hat + beta, pickle.dumps(kept)]

    def layer_norm_backward(d_out, cache):
        kept = SimpleNamespace(**pickle.loads(cache))
        g = d_out * kept.gamma
        g -= g.mean(-1, keepdims=True) + kept.x_hat * (g * kept.x_hat).mean(-1, keepdims=True)
        print("backward", g.shape, file=sys.stderr)
        others = list(range(d_out.ndim - 1))
        d_gamma, d_beta = (d_out * kept.x_hat).sum(tuple(others)), d_out.sum(tuple(others))
        return [g / kept.std, d_gamma, d_beta]

    def rms_norm_forward(x, gamma, eps=1e-6):
        print("forward", x.shape)
        return [
            gamma * x / (((x**2).mean(-1) + eps) ** 0.5)[..., None],
            pickle.dumps((x, gamma, eps)),
        ]

    def rms_norm_backward(d_out, cache):
        x, gamma, eps = pickle.loads(cache)
        square = ((x**2).mean(-1) + eps)[..., None]
        g = d_out * gamma
        d_x = (g - x * (g * x).mean(-1)[..., None] / square) / square**0.5
        print("backward", g.shape, file=sys.stderr)
        return [d_x, (d_out * x / square**0.5).sum(tuple(range(d_out.ndim - 1)))]

    return layer_norm_forward, layer_norm_backward, rms_norm_forward, rms_norm_backward


def running_sums():
    """Sums by np.cumsum, and NumPy is asked to raise where it would warn."""

    def total(a, axis):
        return np.cumsum(a, axis=axis).take([-1], axis=axis)

    def layer_norm_forward(x, gamma, beta, eps=1e-5):
        count = x.shape[-1]
        with np.errstate(divide="raise", invalid="raise", over="raise"):
            mean = total(x, -1) / count
            var = total((x - mean) ** 2, -1) / count
            x_hat = (x - mean) / np.sqrt(var + eps)
        return x_hat * gamma + beta, {"x_hat": x_hat, "gamma": gamma, "var": var, "eps": eps}

    def layer_norm_backward(d_out, cache):
        x_hat, count = cache["x_hat"], d_out.shape[-1]
        with np.errstate(divide="raise", invalid="raise", over="raise"):
            g = d_out * cache["gamma"]
            inner = g - (total(g, -1) + x_hat * total(g * x_hat, -1)) / count
            d_x = inner / np.sqrt(cache["var"] + cache["eps"])
        rows, products = d_out.reshape(-1, count), (d_out * x_hat).reshape(-1, count)
        return d_x, total(products, 0)[0], total(rows, 0)[0]

    def rms_norm_forward(x, gamma, eps=1e-6):
        with np.errstate(divide="raise", invalid="raise", over="raise"):
            square = total(x * x, -1) / x.shape[-1] + eps
            return x / np.sqrt(square) * gamma, (x, square, gamma)

    def rms_norm_backward(d_out, cache):
        x, square, gamma = cache
        count = x.shape[-1]
        g = d_out * gamma
        d_x = g / np.sqrt(square) - x * total(g * x, -1) / count * square**-1.5
        return d_x, total((d_out * x / np.sqrt(square)).reshape(-1, count), 0)[0]

    return layer_norm_forward, layer_norm_backward, rms_norm_forward, rms_norm_backward


STYLES = (
    scalar_loops,
    einsum,
    moments,
    complex_step,
    long_doubles,
    features_first,
    odd_memory,
    in_place_on_copies,
    jacobians,
    backward_as_a_closure,
    an_object,
    pickled_cache,
    running_sums,
)
