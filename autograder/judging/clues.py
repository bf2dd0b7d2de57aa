"""Describe how wrong numbers differ from the right ones if no known mistake explains them.

A clue holds in every wrong case that it speaks of, and names the case where that is only one.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autograder.judging import frequencies, relations
from autograder.judging.difference import Comparison, Difference, matrices
from autograder.task import Probability


def clues(comparisons: Sequence[Comparison], tolerance: float) -> list[str]:
    """Return what the differences have in common, in at most two sentences.

    Parameters
    ----------
    comparisons
        All outputs of an aspect, both right and wrong; some are wrong.
    tolerance
        Largest accepted error relative to the scale of an output.
    """
    with np.errstate(all="ignore"):
        text = _how_they_differ(comparisons, tolerance)
    found = [text] if text else []
    return found + list(_extent(comparisons))


def _how_they_differ(comparisons: Sequence[Comparison], tolerance: float) -> str | None:
    """Return what can be said of the first output of which anything can be."""
    outputs = [
        [
            Difference(one, one.expected, tolerance)
            for one in comparisons
            if one.name == name and not one.right and not isinstance(one.expected, Probability)
        ]
        for name in dict.fromkeys(one.name for one in comparisons if not one.right)
    ]
    # A few numbers may all be too large by chance, so that comes last.
    for looks in (_LOOKS, (_direction,)):
        for differing in filter(None, outputs):
            for look in looks:
                if text := look(differing):
                    return text
    return frequencies.relation(comparisons) or _kind(outputs)


def _precision(wrong: Sequence[Difference]) -> str | None:
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


def _shape(wrong: Sequence[Difference]) -> str | None:
    if any(one.got.shape == one.expected.shape for one in wrong):
        return None
    # Do not copy or sum a huge array.
    if any(one.got.dtype != one.expected.dtype or one.got.size > 10**6 for one in wrong):
        return None
    if all(
        one.got.size == one.expected.size and one.would_agree(one.got.reshape(one.expected.shape))
        for one in wrong
    ):
        if all(_bare(one.got) == _bare(one.expected) for one in wrong) and all(
            one.got.ndim > one.expected.ndim for one in wrong
        ):
            return (
                "The numbers are right, but there is an axis of length 1 too many. If a "
                "`keepdims=True` leaves it, drop that."
            )
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
            for x in matrices(one.inputs)
        )
        for one in wrong
    ]
    if all(per_row):
        return (
            "There is one number for each row where there should be one for each column. Which "
            "axis do you sum over?"
        )
    return None


def _bare(array: NDArray[Any]) -> tuple[int, ...]:
    """Return the shape without axes of length 1."""
    return tuple(length for length in array.shape if length != 1)


def _not_finite(wrong: Sequence[Difference]) -> str | None:
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
        return f"Where `{one.name}` is wrong, no number in it is finite. {zero}"
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


def _axes(wrong: Sequence[Difference]) -> str | None:
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


_LOOKS = (
    _precision,
    _shape,
    _not_finite,
    relations.factor,
    relations.same_as_input,
    relations.difference_is,
    _axes,
    relations.by_line,
)


def _kind(outputs: Sequence[Sequence[Difference]]) -> str | None:
    """Say that an output is another kind of array in each case, when nothing else can be said."""
    for wrong in filter(None, outputs):
        name = wrong[0].name
        if all(one.got.shape != one.expected.shape for one in wrong):
            return f"The shape of `{name}` is another one wherever it is wrong."
        if all(one.got.dtype != one.expected.dtype for one in wrong):
            return f"The type of `{name}` is another one wherever it is wrong."
    return None


def _direction(wrong: Sequence[Difference]) -> str | None:
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
