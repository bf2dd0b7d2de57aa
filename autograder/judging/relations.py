"""Say how wrong numbers follow from the right ones and the inputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autograder.judging.difference import Difference, matrices


def factor(wrong: Sequence[Difference]) -> str | None:
    """Say what factor is between the wrong numbers and the right ones."""
    factors = []
    for one in wrong:
        if not one.comparable:
            return None
        factor = _ratio(one.got, one.expected)
        if factor is None:
            return None
        if factor != 0 and one.would_agree(np.zeros_like(one.expected)):
            # The right numbers are rounding errors, of which anything is a multiple.
            return None
        if one.got.any() if factor == 0 else not one.would_agree(np.asarray(one.got / factor)):
            return None
        factors.append(factor)
    name = wrong[0].name
    # A single number is a multiple of any other.
    if max(one.got.size for one in wrong) < 2 and len(wrong) < 2:
        return None
    if all(factor == 0 for factor in factors):
        return f"`{name}` is 0 wherever it is wrong."
    if any(not 1e-6 < abs(factor) < 1e6 or abs(factor - 1) < 1e-3 for factor in factors):
        # The right numbers are rounding errors, or so little is wrong that a factor means nothing.
        return None
    if np.allclose(factors, -1, rtol=1e-6, atol=0):
        return f"Of `{name}` only the sign is wrong."
    sources = [dict(_named_factors(one)) for one in wrong]
    for meaning in sources[0]:
        values = [source.get(meaning, np.nan) for source in sources]
        for sign, minus in ((1.0, ""), (-1.0, "minus ")):
            if np.allclose(factors, sign * np.asarray(values), rtol=1e-6, atol=0):
                rows = "; N is the number of rows" if "N" in meaning else ""
                return f"`{name}` is {minus}{meaning} times what it should be{rows}."
    if np.allclose(factors, factors[0], rtol=1e-6, atol=0):
        return f"`{name}` is {_number(factors[0])} times what it should be, wherever it is wrong."
    if max(one.got.size for one in wrong) > 1:
        return f"`{name}` is off by one factor in each case, {_number(factors[0])} in the first."
    return None


def same_as_input(wrong: Sequence[Difference]) -> str | None:
    """Say which input came back as the output."""
    for key in wrong[0].inputs:
        if all(
            one.got.size > 1 and any(_equal(one.got, value) for value in _arrays(one.inputs, key))
            for one in wrong
        ):
            return f"`{wrong[0].name}` is `{key}` as it came in, wherever it is wrong."
    return None


def _arrays(inputs: Mapping[str, Any], key: str) -> Iterator[NDArray[Any]]:
    value = inputs.get(key)
    values = value if isinstance(value, list) else [value]
    yield from (one for one in values if isinstance(one, np.ndarray))


def _equal(one: NDArray[Any], other: NDArray[Any]) -> bool:
    return one.shape == other.shape and bool(np.allclose(one, other, rtol=1e-9, atol=1e-12))


def difference_is(wrong: Sequence[Difference]) -> str | None:
    """Say which input, or which multiple of it by another one, is missing or too much."""
    if any(not one.comparable or not np.isfinite(one.got).all() for one in wrong):
        return None
    name = wrong[0].name
    factors = [{"": 1.0, **dict(_named_factors(one))} for one in wrong]
    for key in wrong[0].inputs:
        for meaning in factors[0]:
            for sign, verb in ((-1.0, "lacks"), (1.0, "has too much")):
                if all(
                    _differs_by(one, key, sign * named.get(meaning, np.nan))
                    for one, named in zip(wrong, factors, strict=True)
                ):
                    times = f"{meaning} times " if meaning else ""
                    return f"`{name}` {verb} {times}`{key}`, wherever it is wrong."
    return None


def _differs_by(one: Difference, key: str, factor: float) -> bool:
    return np.isfinite(factor) and any(
        array.shape == one.got.shape
        and array.dtype.kind == "f"
        and array.any()
        and one.would_agree(np.asarray(one.got - factor * array))
        for array in _arrays(one.inputs, key)
    )


def by_line(wrong: Sequence[Difference]) -> str | None:
    """Say whether each column, or each row, is off by one factor or one number of its own."""
    if any(
        not one.comparable or one.got.ndim != 2 or not np.isfinite(one.got).all() for one in wrong
    ):
        return None
    name = wrong[0].name
    for axis, called in ((0, "column"), (1, "row")):
        # Two numbers in a line are always off by some number and some factor each.
        if any(one.got.shape[axis] < 3 for one in wrong):
            continue
        if all(_shifted_by_line(one, axis) for one in wrong):
            return f"Each {called} of `{name}` is off by one number of its own."
        if all(_scaled_by_line(one, axis) for one in wrong):
            return f"Each {called} of `{name}` is off by one factor of its own."
    return None


def _shifted_by_line(one: Difference, axis: int) -> bool:
    shift = (one.got - one.expected).mean(axis, keepdims=True)
    return one.would_agree(one.got - shift)


def _scaled_by_line(one: Difference, axis: int) -> bool:
    along = (one.got * one.expected).sum(axis, keepdims=True)
    square = (one.got * one.got).sum(axis, keepdims=True)
    if not square.all():
        return False
    return one.would_agree(one.got * along / square)


def _ratio(got: NDArray[Any], expected: NDArray[Any]) -> float | None:
    """Return the factor between two arrays where the expected one is largest."""
    if not expected.size or not np.isfinite(got).all():
        return None
    index = np.unravel_index(int(np.argmax(np.abs(expected))), expected.shape)
    largest = float(expected[index])
    return float(got[index]) / largest if largest else None


def _named_factors(one: Difference) -> Iterator[tuple[str, float]]:
    """Yield numbers of a case by which a program may wrongly have multiplied its result."""
    for key, value in one.inputs.items():
        if isinstance(value, float) and value not in (0.0, 1.0):
            yield f"`{key}`", value
            yield f"1/`{key}`", 1 / value
            yield f"(1 − `{key}`)", 1 - value
            yield f"1/(1 − `{key}`)", 1 / (1 - value)
            yield f"`{key}`²", value**2
    rows = next((len(x) for x in matrices(one.inputs)), None)
    if rows is not None and rows > 1:
        yield "N", rows
        yield "1/N", 1 / rows
        yield "N/(N − 1)", rows / (rows - 1)
        yield "(N − 1)/N", (rows - 1) / rows


def _number(value: float) -> str:
    return f"{value:.4g}".replace("-", "−")
