"""Compare an array with what is expected, and say where it differs.

Never raises on an array of numbers.  Time and memory are proportional to its size.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autograder.task import Expected, Probability, Scaled, array_of

FALSE_ALARM = 1e-9
"""Bound on the probability that one comparison with a `Probability` fails a right answer."""

ABSOLUTE_TOLERANCE = 1e-10

MAX_PLACES = 3
"""How many places of an array to show."""

Places = tuple[tuple[str, str, str], ...]
"""A table of places in an array, what was got and what is expected there; its head comes first."""


def agrees(got: NDArray[Any], expected: Expected, tolerance: float) -> bool:
    """Return whether an output has the expected shape, dtype and numbers.

    Parameters
    ----------
    got
        The output, or [events, trials] where a `Probability` is expected.
    expected
        What it should be.
    tolerance
        Largest accepted error relative to the scale of `expected`.
    """
    if isinstance(expected, Probability):
        return not _is_unlikely(got, expected.value)
    value = array_of(expected)
    if got.shape != value.shape or got.dtype != value.dtype:
        return False
    return not wrong_places(got, expected, tolerance).any()


def difference(name: str, got: NDArray[Any], expected: Expected, tolerance: float) -> str:
    """Describe how an output that does not agree differs; `worst_places` shows where."""
    if isinstance(expected, Probability):
        return _unlikely(name, got, expected.value)
    value = array_of(expected)
    if got.shape != value.shape:
        return f"`{name}` has shape {got.shape}; expected {value.shape}."
    if got.dtype != value.dtype:
        return f"`{name}` has dtype {got.dtype}; expected {value.dtype}."
    bad = ~np.isfinite(got)
    if bad.any() and np.isfinite(value).all():
        where = f" at {_where(bad)}" if got.ndim else ""
        return f"`{name}` is {got[bad][0]}{where}; it should be a finite number."
    if got.ndim == 0:
        found, right = _numbers(got[()], value[()])
        return f"`{name}` is {found}; expected {right}."
    wrong = wrong_places(got, expected, tolerance)
    count = int(wrong.sum())
    extent = f"all {count}" if count == wrong.size else f"{count} of {wrong.size}"
    return f"`{name}` differs in {extent} places."


def worst_places(got: NDArray[Any], expected: Expected, tolerance: float) -> Places:
    """Return where an array is farthest off, at most `MAX_PLACES` places.

    It is empty where numbers cannot stand side by side: for shapes and dtypes that differ, for a
    `Probability`, and for a single number.
    """
    if isinstance(expected, Probability) or got.ndim == 0:
        return ()
    value = array_of(expected)
    if got.shape != value.shape or got.dtype != value.dtype:
        return ()
    wrong = wrong_places(got, expected, tolerance)
    with np.errstate(all="ignore"):
        error = np.abs(got - value) / _allowed(expected, tolerance)
    error = np.where(wrong, np.nan_to_num(error, nan=np.inf, posinf=np.inf), -1.0)
    count = int(wrong.sum())
    rows = [("at" if count <= MAX_PLACES else "worst at", "got", "expected")]
    for _ in range(min(count, MAX_PLACES)):
        place = np.unravel_index(int(np.argmax(error)), error.shape)
        rows.append((_index(place), *_numbers(got[place], value[place])))
        error[place] = -1.0
    return tuple(rows)


def wrong_places(
    got: NDArray[Any], expected: NDArray[Any] | Scaled, tolerance: float
) -> NDArray[np.bool_]:
    """Return where two arrays of equal shape and dtype differ."""
    value = array_of(expected)
    with np.errstate(all="ignore"):
        close = np.abs(got - value) <= _allowed(expected, tolerance)
    return np.asarray(~(close | (got == value) | (np.isnan(got) & np.isnan(value))))


def _allowed(expected: NDArray[Any] | Scaled, tolerance: float) -> Any:
    """Return the largest accepted error, of all numbers or of each."""
    if isinstance(expected, Scaled):
        scale = np.nan_to_num(np.asarray(expected.scale), nan=0.0, posinf=0.0)
    else:
        scale = np.abs(expected[np.isfinite(expected)]).max(initial=0.0)
    return ABSOLUTE_TOLERANCE + tolerance * scale


def _numbers(got: Any, expected: Any) -> tuple[str, str]:
    """Return two numbers that differ, with enough digits to see it."""
    got, expected = got + 0.0, expected + 0.0  # Nobody has to wonder about a negative zero.
    for digits in range(6, 18):
        short = f"{got:.{digits}g}", f"{expected:.{digits}g}"
        if short[0] != short[1]:
            break
    return short


def _where(mask: NDArray[np.bool_]) -> str:
    return _index(np.unravel_index(int(np.argmax(mask)), mask.shape))


def _index(place: Iterable[Any]) -> str:
    return "[" + ", ".join(str(int(i)) for i in place) + "]"


def _is_unlikely(got: NDArray[Any], probability: float) -> bool:
    """Test a count against a binomial distribution with Chernoff's bound.

    P(the fraction is as far from `probability`) <= 2 exp(-trials * KL(fraction, probability)),
    for any number of trials (Hoeffding 1963, theorem 1), so a right answer fails with a
    probability below `FALSE_ALARM`.
    """
    events, trials = (float(number) for number in got)
    if trials == 0:
        return True
    return trials * _divergence(events / trials, probability) > math.log(2 / FALSE_ALARM)


def _unlikely(name: str, got: NDArray[Any], probability: float) -> str:
    events, trials = (float(number) for number in got)
    if trials == 0:
        return f"The {name} cannot be measured: there was nothing to count."
    return (
        f"The {name} is {events / trials:.4f}, counted over {int(trials)}; expected "
        f"{probability:.4f}. Chance does not explain the difference."
    )


def _divergence(fraction: float, probability: float) -> float:
    """Return the Kullback-Leibler divergence of two Bernoulli distributions, in nats."""
    total = 0.0
    for p, q in ((fraction, probability), (1 - fraction, 1 - probability)):
        if p > 0:
            if q <= 0:
                return math.inf
            total += p * math.log(p / q)
    return total
