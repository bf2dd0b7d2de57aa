"""Answers to the exercise on dropout, written from its notebook's text alone.

Nobody had looked at the solutions or the grader when these were written. Each function below is
one style and returns the functions that a student would have handed in.  Later only a loop was
made faster.
"""

import itertools
import types
from collections import namedtuple
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np


def scaled_mask():
    def dropout_forward(x, keep_prob, training, rng):
        if not 0 < keep_prob <= 1:
            raise ValueError("keep_prob must be in (0, 1]")
        if not training:
            return x, None
        mask = (rng.random(x.shape) < keep_prob) / keep_prob
        return x * mask, mask

    def dropout_backward(d_out, cache):
        return d_out if cache is None else d_out * cache

    return dropout_forward, dropout_backward


def binomial():
    def dropout_forward(x, keep_prob, training, rng):
        if keep_prob <= 0 or keep_prob > 1:
            raise ValueError(f"not a probability to keep: {keep_prob}")
        if training:
            mask = rng.binomial(1, keep_prob, size=x.shape)
            cache = (True, mask, keep_prob)
            return mask * x / keep_prob, cache
        return x.copy(), (False, None, keep_prob)

    def dropout_backward(d_out, cache):
        trained, mask, keep_prob = cache
        if trained:
            return mask * d_out / keep_prob
        return d_out.copy()

    return dropout_forward, dropout_backward


def mask_of_ones():
    def dropout_forward(x, keep_prob, training, rng):
        if not (keep_prob > 0 and keep_prob <= 1):
            raise ValueError
        mask = np.ones(x.shape)
        if training:
            mask[rng.uniform(size=x.shape) >= keep_prob] = 0
            mask = mask / keep_prob
        return np.multiply(x, mask), {"mask": mask}

    def dropout_backward(d_out, cache):
        return np.multiply(d_out, cache["mask"])

    return dropout_forward, dropout_backward


def where():
    def dropout_forward(x, keep_prob, training, rng):
        if keep_prob <= 0.0 or keep_prob > 1.0:
            raise ValueError("bad keep_prob")
        kept = rng.random(x.shape) < keep_prob if training else np.full(x.shape, True)
        scale = 1 / keep_prob if training else 1.0
        return np.where(kept, x * scale, 0.0), (kept, scale)

    def dropout_backward(d_out, cache):
        kept, scale = cache
        return np.where(kept, d_out * scale, 0.0)

    return dropout_forward, dropout_backward


def value_by_value():
    def dropout_forward(x, keep_prob, training, rng):
        if keep_prob > 1 or keep_prob <= 0:
            raise ValueError("keep_prob has to be above 0 and at most 1")
        factors = []
        for _ in range(x.size):
            factor = 1.0
            if training:
                factor = 1 / keep_prob if rng.random() < keep_prob else 0.0
            factors.append(factor)
        factors = np.array(factors).reshape(x.shape)
        out = x * factors
        return out, factors

    def dropout_backward(d_out, cache):
        d_x = np.empty(d_out.shape)
        for index in np.ndindex(d_out.shape):
            d_x[index] = d_out[index] * cache[index]
        return d_x

    return dropout_forward, dropout_backward


def choice():
    def dropout_forward(x, keep_prob, training, rng):
        if not np.logical_and(keep_prob > 0, keep_prob <= 1):
            raise ValueError("keep_prob must lie in (0, 1]")
        if training is False:
            return 1.0 * x, np.ones_like(x)
        factors = rng.choice([0.0, 1.0 / keep_prob], size=x.shape, p=[1 - keep_prob, keep_prob])
        return factors * x, factors

    def dropout_backward(d_out, cache):
        return cache * d_out

    return dropout_forward, dropout_backward


def closures():
    def dropout_forward(x, keep_prob, training, rng):
        if not 0 < keep_prob <= 1:
            raise ValueError("keep_prob")
        if training:
            keep = rng.random(size=x.shape) <= keep_prob

            def apply(a):
                return a * keep / keep_prob
        else:

            def apply(a):
                return a

        return apply(x), apply

    def dropout_backward(d_out, cache):
        return cache(d_out)

    return dropout_forward, dropout_backward


def indices_of_the_dropped():
    Cache = namedtuple("Cache", "dropped keep_prob")

    def dropout_forward(x, keep_prob, training, rng):
        if keep_prob <= 0 or keep_prob > 1:
            raise ValueError("keep_prob outside (0, 1]")
        if not training:
            return np.array(x), Cache(np.array([], dtype=int), 1)
        dropped = np.flatnonzero(rng.random(x.size) > keep_prob)
        out = np.array(x / keep_prob)
        out.flat[dropped] = 0
        return out, Cache(dropped, keep_prob)

    def dropout_backward(d_out, cache):
        d_x = np.array(d_out / cache.keep_prob)
        d_x.flat[cache.dropped] = 0
        return d_x

    return dropout_forward, dropout_backward


def quantile_of_a_normal():
    def dropout_forward(x, keep_prob, training, rng):
        if not 0 < keep_prob <= 1:
            raise ValueError("the probability to keep must be in (0, 1]")
        if not training:
            return x, ("evaluation",)
        if keep_prob == 1:
            return x, ("training", np.ones(x.shape))
        threshold = NormalDist().inv_cdf(keep_prob)
        mask = np.array(rng.standard_normal(x.shape) < threshold).astype(float)
        mask /= keep_prob
        return mask * x, ("training", mask)

    def dropout_backward(d_out, cache):
        mode, *mask = cache
        return d_out * mask[0] if mode == "training" else 1 * d_out

    return dropout_forward, dropout_backward


def integers():
    def dropout_forward(x, keep_prob, training, rng):
        if keep_prob > 1 or not keep_prob > 0:
            raise ValueError("keep_prob is no such probability")
        cache = types.SimpleNamespace(training=training, keep_prob=keep_prob)
        if not training:
            return x + 0.0, cache
        cache.keep = rng.integers(0, 2**53, size=x.shape) < keep_prob * 2.0**53
        return x * cache.keep * (1 / keep_prob), cache

    def dropout_backward(d_out, cache):
        if cache.training:
            return d_out * cache.keep * (1 / cache.keep_prob)
        return d_out + 0.0

    return dropout_forward, dropout_backward


def an_object():
    @dataclass
    class Dropping:
        keep_prob: float
        training: bool

        def __post_init__(self):
            if not (0 < self.keep_prob <= 1):
                raise ValueError(f"keep_prob is {self.keep_prob}, but should be in (0, 1]")

        def draw(self, shape, rng):
            self.drop = rng.random(shape) < 1 - self.keep_prob

        def __call__(self, a):
            out = np.array(a, dtype=float)
            if self.training:
                out = np.array(out / self.keep_prob)
                out[self.drop] = 0.0
            return out

    def dropout_forward(x, keep_prob, training, rng):
        layer = Dropping(keep_prob, training)
        layer.draw(x.shape, rng)
        return layer(x), layer

    def dropout_backward(d_out, cache):
        return cache(d_out)

    return dropout_forward, dropout_backward


def flat_lists():
    def dropout_forward(x, keep_prob, training, rng):
        if min(keep_prob, 1 - keep_prob) < 0 or keep_prob == 0:
            raise ValueError("keep_prob must be positive and not above one")
        if not training:
            return np.array(x, copy=True), []
        uniform = rng.random(np.size(x)).tolist()
        factors = [1 / keep_prob if u < keep_prob else 0.0 for u in uniform]
        out = [a * f for a, f in zip(np.ravel(x).tolist(), factors, strict=True)]
        return np.reshape(np.array(out, dtype=float), np.shape(x)), factors

    def dropout_backward(d_out, cache):
        pairs = itertools.zip_longest(np.ravel(d_out), cache, fillvalue=1.0)
        return np.array([d * f for d, f in pairs]).reshape(d_out.shape)

    return dropout_forward, dropout_backward


FROM_TEXT = (
    scaled_mask,
    binomial,
    mask_of_ones,
    where,
    value_by_value,
    choice,
    closures,
    indices_of_the_dropped,
    quantile_of_a_normal,
    integers,
    an_object,
    flat_lists,
)
