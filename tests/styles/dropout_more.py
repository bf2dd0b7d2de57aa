"""More answers to the exercise on dropout: other laws of chance, other ways to drop."""

import pickle
from math import inf, log

import numpy as np


def refuse(keep_prob):
    if not 0 < keep_prob <= 1:
        raise ValueError(f"keep_prob is {keep_prob}")


def exponential_times():
    """A value is kept when an exponential time falls below its quantile."""

    def dropout_forward(x, keep_prob, training, rng):
        refuse(keep_prob)
        if not training:
            return x, 1.0
        quantile = -np.log1p(-keep_prob) if keep_prob < 1 else inf
        mask = (rng.exponential(size=x.shape) < quantile).astype(np.float64)
        return x * mask / keep_prob, mask / keep_prob

    def dropout_backward(d_out, cache):
        return d_out * cache

    return dropout_forward, dropout_backward


def first_success():
    """A value is kept when the first trial of a geometric law succeeds."""

    def dropout_forward(x, keep_prob, training, rng):
        refuse(keep_prob)
        factors = np.ones_like(x)
        if training:
            factors = np.equal(rng.geometric(keep_prob, x.shape), 1) * (1 / keep_prob)
        return factors * x, pickle.dumps(factors)

    def dropout_backward(d_out, cache):
        return pickle.loads(cache) * d_out

    return dropout_forward, dropout_backward


def no_event():
    """A value is kept when a Poisson process of rate −log(keep_prob) has no event."""

    def dropout_forward(x, keep_prob, training, rng):
        refuse(keep_prob)
        if not training:
            return +x, None
        events = rng.poisson(-log(keep_prob), x.shape)
        out = np.divide(x, keep_prob, out=np.zeros(x.shape), where=events == 0)
        return out, {"events": events, "keep_prob": keep_prob}

    def dropout_backward(d_out, cache):
        if cache is None:
            return +d_out
        d_x = np.zeros(d_out.shape)
        return np.divide(d_out, cache["keep_prob"], out=d_x, where=cache["events"] == 0)

    return dropout_forward, dropout_backward


def random_bytes():
    """Four random bytes for each value, the mask packed into bits."""

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


def drawn_again():
    """Nothing is kept but the generator's state, from which the mask is drawn again."""

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


def single_precision_draws():
    """Draws in float32; values in long double until they are returned."""

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


def logistic_noise():
    """The logit of a uniform number is compared with the logit of keep_prob."""

    def dropout_forward(x, keep_prob, training, rng):
        refuse(keep_prob)
        if not training:
            return x[...], lambda d: d[...]
        logit = log(keep_prob / (1 - keep_prob)) if keep_prob < 1 else inf
        keep = rng.logistic(size=x.shape) < logit

        def through(values):
            out = np.zeros(values.shape)
            np.copyto(out, values / keep_prob, where=keep)
            return out

        return through(x), through

    def dropout_backward(d_out, cache):
        return cache(d_out)

    return dropout_forward, dropout_backward


def one_of_two():
    """A multinomial law with one trial; the kept values are found by their places."""

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


def row_after_row():
    """The mask is drawn for one part after the other; results in Fortran's order."""

    def dropout_forward(x, keep_prob, training, rng):
        refuse(keep_prob)
        if not training:
            return np.asfortranarray(x), [np.ones_like(part) for part in x]
        factors = [np.floor(rng.random(part.shape) + keep_prob) / keep_prob for part in x]
        return np.asfortranarray([p * f for p, f in zip(x, factors, strict=True)]), factors

    def dropout_backward(d_out, cache):
        return np.asfortranarray(np.stack(cache) * d_out)

    return dropout_forward, dropout_backward


def two_coins():
    """A value is kept when two draws in a row allow it, each with the root of keep_prob."""

    def dropout_forward(x, keep_prob, training, rng):
        refuse(keep_prob)
        draws = rng.random((2, *x.shape)) if training else np.zeros((2, *x.shape))
        factors = (draws.max(axis=0) < keep_prob**0.5) / (keep_prob if training else 1)
        return np.multiply(factors, x), factors.ravel().tolist()

    def dropout_backward(d_out, cache):
        return np.reshape(cache, d_out.shape) * d_out

    return dropout_forward, dropout_backward


MORE = (
    two_coins,
    exponential_times,
    first_success,
    no_event,
    random_bytes,
    drawn_again,
    masked_arrays,
    single_precision_draws,
    logistic_noise,
    one_of_two,
    row_after_row,
)
