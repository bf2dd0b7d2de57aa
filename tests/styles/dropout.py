"""Right answers to the exercise on dropout, each in a way that could be taken for wrong.

Each function is one style: it says what the risk is, and returns the functions that a student
would have handed in.
"""

import types
from collections import namedtuple
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np


def refuse(keep_prob):
    if not 0 < keep_prob <= 1:
        raise ValueError(f"keep_prob is {keep_prob}")


def binomial():
    """The mask comes from rng.binomial, as integers."""

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


def choice():
    """The mask comes from rng.choice."""

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


def integers():
    """The mask comes from whole numbers, which cannot meet every probability exactly."""

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


def quantile_of_a_normal():
    """The mask comes from normal numbers."""

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


def random_bytes():
    """The mask comes from bytes, and is kept as bits."""

    def dropout_forward(x, keep_prob, training, rng):
        refuse(keep_prob)
        if not training:
            return np.positive(x), ()
        numbers = np.frombuffer(rng.bytes(4 * x.size), dtype=np.uint32)
        keep = numbers.astype(np.uint64) < np.uint64(round(keep_prob * 2**32))
        out = np.where(keep.reshape(x.shape), x, 0) / keep_prob
        return out, (np.packbits(keep), keep_prob)

    def dropout_backward(d_out, cache):
        if not cache:
            return np.positive(d_out)
        bits, keep_prob = cache
        keep = np.unpackbits(bits, count=d_out.size).reshape(d_out.shape)
        return d_out * keep / keep_prob

    return dropout_forward, dropout_backward


def one_of_two():
    """The mask comes from a multinomial law; what is kept is found by its place."""

    def dropout_forward(x, keep_prob, training, rng):
        refuse(keep_prob)
        if not training:
            return x * 1.0, (np.indices(x.shape).reshape(x.ndim, -1), 1.0)
        kept = rng.multinomial(1, [keep_prob, 1 - keep_prob], size=x.shape)[..., 0]
        cache = np.array(np.nonzero(kept)), keep_prob
        return dropout_backward(x, cache), cache

    def dropout_backward(d_out, cache):
        places, keep_prob = tuple(cache[0]), cache[1]
        d_x = np.zeros_like(d_out)
        d_x[places] = d_out[places] / keep_prob
        return d_x

    return dropout_forward, dropout_backward


def two_coins():
    """Two draws for each value."""

    def dropout_forward(x, keep_prob, training, rng):
        refuse(keep_prob)
        draws = rng.random((2, *x.shape)) if training else np.zeros((2, *x.shape))
        factors = (draws.max(axis=0) < keep_prob**0.5) / (keep_prob if training else 1)
        return np.multiply(factors, x), factors.ravel().tolist()

    def dropout_backward(d_out, cache):
        return np.reshape(cache, d_out.shape) * d_out

    return dropout_forward, dropout_backward


def single_precision_draws():
    """Draws in float32, values in long double on the way."""

    def dropout_forward(x, keep_prob, training, rng):
        refuse(keep_prob)
        factor = np.ones(x.shape, dtype=np.longdouble)
        if training:
            factor[:] = rng.random(x.shape, dtype=np.float32) < np.float64(keep_prob)
            factor /= np.longdouble(keep_prob)
        return (x * factor).astype(np.float64), factor

    def dropout_backward(d_out, cache):
        return np.float64(d_out * cache)

    return dropout_forward, dropout_backward


def value_by_value():
    """A Python loop draws for one value after the other, in an order of its own."""

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


def row_after_row():
    """The mask is drawn part by part; results lie in Fortran's order."""

    def dropout_forward(x, keep_prob, training, rng):
        refuse(keep_prob)
        if not training:
            return np.asfortranarray(x), [np.ones_like(part) for part in x]
        factors = [np.floor(rng.random(part.shape) + keep_prob) / keep_prob for part in x]
        return np.asfortranarray([p * f for p, f in zip(x, factors, strict=True)]), factors

    def dropout_backward(d_out, cache):
        return np.asfortranarray(np.stack(cache) * d_out)

    return dropout_forward, dropout_backward


def indices_of_the_dropped():
    """Zeros are put in place into a copy, by their indices."""
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


def closures():
    """The cache is a function."""

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


def an_object():
    """The cache is an object of a class."""

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


def drawn_again():
    """The cache is a state of the generator, from which the mask is drawn again."""

    def mask(bit_generator, state, shape, keep_prob):
        twin = type(bit_generator)()
        twin.state = state
        return np.random.Generator(twin).random(shape) < keep_prob

    def dropout_forward(x, keep_prob, training, rng):
        refuse(keep_prob)
        if not training:
            return x.copy(), None
        state = rng.bit_generator.state
        keep = rng.random(x.shape) < keep_prob
        return x * keep / keep_prob, (rng.bit_generator, state, x.shape, keep_prob)

    def dropout_backward(d_out, cache):
        if cache is None:
            return d_out.copy()
        return d_out * mask(*cache) / cache[-1]

    return dropout_forward, dropout_backward


def masked_arrays():
    """Masked arrays, which are a subclass of ndarray."""

    def dropout_forward(x, keep_prob, training, rng):
        refuse(keep_prob)
        drop = np.zeros(x.shape, dtype=bool)
        if training:
            drop = rng.random(x.shape) >= keep_prob
        scale = 1 / keep_prob if training else 1
        return np.ma.array(x * scale, mask=drop).filled(0.0), (drop, scale)

    def dropout_backward(d_out, cache):
        drop, scale = cache
        return np.ma.array(d_out * scale, mask=drop).filled(0.0)

    return dropout_forward, dropout_backward


STYLES = (
    binomial,
    choice,
    integers,
    quantile_of_a_normal,
    random_bytes,
    one_of_two,
    two_coins,
    single_precision_draws,
    value_by_value,
    row_after_row,
    indices_of_the_dropped,
    closures,
    an_object,
    drawn_again,
    masked_arrays,
)
