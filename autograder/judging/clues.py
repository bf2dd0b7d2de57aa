"""Describe how wrong numbers differ from the right ones if no known mistake explains them.

A clue holds in every wrong case that it speaks of, and names the case where that is only one.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autograder.judging.compare import agrees, wrong_places
from autograder.task import Case, Expected, Probability, Scaled, array_of


@dataclass(frozen=True)
class Comparison:
    """One output in one case.

    Attributes
    ----------
    name
        The name of the output.
    case
        The case.
    got, expected
        The output, and what it should be.
    right
        Whether they agree.
    """

    name: str
    case: Case
    got: NDArray[Any]
    expected: Expected
    right: bool


def clues(comparisons: Sequence[Comparison], tolerance: float) -> list[str]:
    """Return what the differences have in common, in at most two sentences.

    Parameters
    ----------
    comparisons
        All outputs of an aspect, both right and wrong.
    tolerance
        Largest accepted error relative to the scale of an output.
    """
    found = []
    with np.errstate(all="ignore"):
        for name in dict.fromkeys(one.name for one in comparisons if not one.right):
            differing = [
                _Difference(one, one.expected, tolerance)
                for one in comparisons
                if one.name == name and not one.right and not isinstance(one.expected, Probability)
            ]
            if not differing:
                continue
            for look in (
                _precision,
                _shape,
                _not_finite,
                _factor,
                _same_as_input,
                _difference_is,
                _axes,
                _by_line,
                _direction,
            ):
                text = look(differing)
                if text:
                    found.append(text)
                    break
            if found:
                break
    return found + list(_extent(comparisons))


class _Difference:
    """One output that is wrong."""

    def __init__(
        self, comparison: Comparison, expected: NDArray[Any] | Scaled, tolerance: float
    ) -> None:
        self.name = comparison.name
        self.case = comparison.case.name
        self.inputs = comparison.case.inputs
        self.got = comparison.got
        self._expected = expected
        self._tolerance = tolerance

    @property
    def expected(self) -> NDArray[Any]:
        """The right numbers."""
        return array_of(self._expected)

    @property
    def comparable(self) -> bool:
        """Whether shape and dtype agree, so that only the numbers can differ."""
        return self.got.shape == self.expected.shape and self.got.dtype == self.expected.dtype

    @property
    def numbers(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """The wrong numbers, and what they should be; the output has to be comparable."""
        where = wrong_places(self.got, self._expected, self._tolerance)
        return self.got[where], self.expected[where]

    def would_agree(self, array: NDArray[Any], tolerance: float | None = None) -> bool:
        """Return whether `array` would be right in place of the output."""
        return agrees(array, self._expected, tolerance or self._tolerance)


def _precision(wrong: Sequence[_Difference]) -> str | None:
    kinds = {str(one.got.dtype) for one in wrong}
    if len(kinds) > 1 or any(
        one.got.shape != one.expected.shape
        or one.got.dtype == one.expected.dtype
        or one.got.dtype.kind == "c"
        for one in wrong
    ):
        return None
    as_floats = [one.got.astype(np.float64) for one in wrong]
    (kind,) = kinds
    enough = {"float16": 1e-2, "float32": 1e-5}.get(kind)
    if all(one.would_agree(array, enough) for one, array in zip(wrong, as_floats, strict=True)):
        return (
            f"The numbers are right, but the type is not: somewhere your code makes an array of "
            f"{kind}."
        )
    if all(
        np.array_equal(np.trunc(one.expected), array)
        for one, array in zip(wrong, as_floats, strict=True)
    ):
        return "Everything behind the decimal point is cut off: you write into an integer array."
    return None


def _shape(wrong: Sequence[_Difference]) -> str | None:
    if any(one.got.shape == one.expected.shape for one in wrong):
        return None
    # Do not copy or sum a huge array.
    if any(one.got.dtype != one.expected.dtype or one.got.size > 10**6 for one in wrong):
        return None
    if all(
        one.got.size == one.expected.size and one.would_agree(one.got.reshape(one.expected.shape))
        for one in wrong
    ):
        return (
            "The numbers are right and only the shape is wrong. NumPy broadcasts such shapes "
            "silently, and later results go wrong."
        )
    if transposed := _axes(wrong):
        return transposed
    if all(
        one.got.ndim == one.expected.ndim + 1
        and one.got.shape[1:] == one.expected.shape
        and one.would_agree(one.got.sum(0))
        for one in wrong
    ):
        return "There is still an entry for each row. What has to happen to the rows?"
    if all(one.got.size == 1 and one.expected.size > 1 for one in wrong):
        return "It is a single number. Did you forget an `axis`?"
    per_row = [
        any(
            one.expected.shape == x.shape[1:] and one.got.size == len(x)
            for x in _matrices(one.inputs)
        )
        for one in wrong
    ]
    if all(per_row):
        return (
            "There is one number for each row where there should be one for each column. Which "
            "axis do you sum over?"
        )
    return None


def _matrices(inputs: Any) -> Iterator[NDArray[Any]]:
    for value in inputs.values():
        first = value[0] if isinstance(value, list) and value else value
        if isinstance(first, np.ndarray) and first.ndim == 2:
            yield first


def _not_finite(wrong: Sequence[_Difference]) -> str | None:
    if any(one.got.dtype.kind != "f" or one.got.shape != one.expected.shape for one in wrong):
        return None
    bad = [
        (one, ~np.isfinite(one.got))
        for one in wrong
        if np.isfinite(one.expected).all() and not np.isfinite(one.got).all()
    ]
    if not bad:
        return None
    zero = (
        "Somewhere 0 is divided by 0, a root or logarithm of a negative number is taken, or a "
        "power leaves the range of floats."
    )
    one, where = bad[0]
    case = f"In the case “{one.case}”, " if len(wrong) > 1 else ""
    if len(bad) == len(wrong) and all(places.all() for _, places in bad):
        return f"No number there is finite. {zero}"
    if where.ndim == 2:
        for axis, called in ((0, "column"), (1, "row")):
            lines = where.all(axis)
            if lines.sum() == 1 and where.any(axis).sum() == 1:
                only = f"only {called} {int(lines.argmax())} is not finite."
                return f"{case}{only} {zero}" if case else f"{only.capitalize()} {zero}"
    finite = [one for one in wrong if np.isfinite(one.got).all()]
    if finite:
        names = "case" if len(bad) == 1 else "cases"
        listed = ", ".join(f"“{one.case}”" for one, _ in bad[:2])
        return f"Numbers that are not finite appear in the {names} {listed}. {zero}"
    return zero


def _factor(wrong: Sequence[_Difference]) -> str | None:
    factors = []
    for one in wrong:
        if not one.comparable:
            return None
        factor = _ratio(one.got, one.expected)
        if factor is None:
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
    if any(not 1e-6 < abs(factor) < 1e6 or abs(factor - 1) < 1e-6 for factor in factors):
        # The right numbers are rounding errors, or no factor is what is wrong.
        return None
    if np.allclose(factors, -1, rtol=1e-6, atol=0):
        return f"Only the sign of `{name}` is wrong."
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


def _same_as_input(wrong: Sequence[_Difference]) -> str | None:
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


def _difference_is(wrong: Sequence[_Difference]) -> str | None:
    """Say which input, or which multiple of it by another one, is missing or too much."""
    if any(not one.comparable or not np.isfinite(one.got).all() for one in wrong):
        return None
    name = wrong[0].name
    for key in wrong[0].inputs:
        for meaning in ("", *dict(_named_factors(wrong[0]))):
            for sign, verb in ((-1.0, "lacks"), (1.0, "has too much")):
                if all(_differs_by(one, key, meaning, sign) for one in wrong):
                    times = f"{meaning} times " if meaning else ""
                    return f"`{name}` {verb} {times}`{key}`, wherever it is wrong."
    return None


def _differs_by(one: _Difference, key: str, meaning: str, sign: float) -> bool:
    factor = dict(_named_factors(one)).get(meaning, np.nan) if meaning else 1.0
    return np.isfinite(factor) and any(
        array.shape == one.got.shape
        and array.dtype.kind == "f"
        and array.any()
        and one.would_agree(np.asarray(one.got - sign * factor * array))
        for array in _arrays(one.inputs, key)
    )


def _by_line(wrong: Sequence[_Difference]) -> str | None:
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


def _shifted_by_line(one: _Difference, axis: int) -> bool:
    shift = (one.got - one.expected).mean(axis, keepdims=True)
    return one.would_agree(one.got - shift)


def _scaled_by_line(one: _Difference, axis: int) -> bool:
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


def _named_factors(one: _Difference) -> Iterator[tuple[str, float]]:
    """Yield numbers of a case by which a program may wrongly have multiplied its result."""
    for key, value in one.inputs.items():
        if isinstance(value, float) and value not in (0.0, 1.0):
            yield f"`{key}`", value
            yield f"1/`{key}`", 1 / value
            yield f"(1 − `{key}`)", 1 - value
            yield f"1/(1 − `{key}`)", 1 / (1 - value)
            yield f"`{key}`²", value**2
    rows = next((len(x) for x in _matrices(one.inputs)), None)
    if rows is not None and rows > 1:
        yield "N", rows
        yield "1/N", 1 / rows
        yield "N/(N − 1)", rows / (rows - 1)
        yield "(N − 1)/N", (rows - 1) / rows


def _number(value: float) -> str:
    return f"{value:.4g}".replace("-", "−")


def _axes(wrong: Sequence[_Difference]) -> str | None:
    for one in wrong:
        if one.got.ndim != one.expected.ndim or not 2 <= one.got.ndim <= 4:
            return None
        if not any(
            one.would_agree(one.got.transpose(order))
            for order in itertools.permutations(range(one.got.ndim))
        ):
            return None
    if wrong[0].got.ndim == 2:
        return f"`{wrong[0].name}` is transposed: rows and columns are swapped."
    return f"`{wrong[0].name}` has the right numbers, but its axes are in another order."


def _direction(wrong: Sequence[_Difference]) -> str | None:
    """Say in which direction all wrong numbers are off, when nothing better can be said."""
    if not all(one.comparable and np.isfinite(one.got).all() for one in wrong):
        return None
    pairs = [one.numbers for one in wrong]
    got, right = (np.concatenate([pair[side] for pair in pairs]) for side in (0, 1))
    name = wrong[0].name
    if (got > right).all():
        return f"`{name}` is too large wherever it is wrong."
    if (got < right).all():
        return f"`{name}` is too small wherever it is wrong."
    if (np.sign(got) == np.sign(right)).all():
        if (np.abs(got) > np.abs(right)).all():
            return f"`{name}` has the right signs, but is too far from 0 wherever it is wrong."
        if (np.abs(got) < np.abs(right)).all():
            return f"`{name}` has the right signs, but is too close to 0 wherever it is wrong."
        return f"`{name}` has the right signs, but not the right sizes."
    return None


def _extent(comparisons: Sequence[Comparison]) -> Iterator[str]:
    """Say which cases and outputs are right, if some are and some are not."""
    right = {one.case.name: True for one in comparisons}
    groups = {one.case.name: one.case.group for one in comparisons}
    for one in comparisons:
        right[one.case.name] &= one.right
    good = [name for name, is_right in right.items() if is_right]
    bad = [name for name, is_right in right.items() if not is_right]
    good_groups = {groups[name] for name in good}
    bad_groups = {groups[name] for name in bad}
    if good and not good_groups & bad_groups:
        where, elsewhere = (" and ".join(sorted(some)) for some in (good_groups, bad_groups))
        yield f"Right in {where}, wrong in {elsewhere}."
    elif good and len(bad) == 1:
        others = "the other case" if len(good) == 1 else f"the other {len(good)} cases"
        yield f"In {others} this is right."
    elif len(good) == 1:
        yield f"Right only in the case “{good[0]}”."
    elif good:
        yield f"Right in {len(good)} of {len(right)} cases."
    # The name of a counted frequency is a phrase, and its own message is clear enough.
    names = {one.name for one in comparisons if " " not in one.name}
    wrong_names = {one.name for one in comparisons if not one.right}
    if len(wrong_names) == 1 < len(names) and wrong_names <= names:
        yield f"Only `{wrong_names.pop()}` is wrong here."
