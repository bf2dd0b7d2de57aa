"""Say how often something happens that should happen with another probability."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from autograder.judging.difference import Comparison
from autograder.task import Probability

_OF_A_NUMBER: Mapping[str, Callable[[float], float]] = {
    "about `{}`²": lambda value: value**2,
    "about the root of `{}`": math.sqrt,
    "about 1 − `{}`": lambda value: 1 - value,
}
_ENOUGH = 1000
"""Of fewer events many probabilities could be the right one."""


def relation(comparisons: Sequence[Comparison]) -> str | None:
    """Say what the first frequency of which anything can be said is in all cases that are wrong.

    Of a single case the count itself says as much.
    """
    for name in dict.fromkeys(one.name for one in comparisons if not one.right):
        wrong = [
            one
            for one in comparisons
            if one.name == name and not one.right and isinstance(one.expected, Probability)
        ]
        counted = len(wrong) > 1 and all(one.got[1] for one in wrong)
        if counted and (found := _relation(wrong)):
            return f"The {name} is {found}."
    return None


def _relation(wrong: Sequence[Comparison]) -> str | None:
    for meaning in dict(_meanings(wrong[0].case.inputs)):
        named = [dict(_meanings(one.case.inputs)).get(meaning) for one in wrong]
        if all(map(_is_about, wrong, named)):
            return f"{meaning} wherever it is wrong"
    right = [one.expected.value for one in wrong if isinstance(one.expected, Probability)]
    events, counted = (sum(float(one.got[i]) for one in wrong) for i in (0, 1))
    if max(right) - min(right) > 0.1 and all(_is_about(one, events / counted) for one in wrong):
        return f"about {events / counted:.2f} wherever it is wrong, whatever it should be"
    fractions = [float(one.got[0] / one.got[1]) for one in wrong]
    if all(map(float.__gt__, fractions, right)):
        return "too large wherever it is wrong"
    if all(map(float.__lt__, fractions, right)):
        return "too small wherever it is wrong"
    return None


def _is_about(one: Comparison, probability: float | None) -> bool:
    """Return whether a count is that of a probability, within four standard deviations."""
    if probability is None:
        return False
    events, counted = map(float, one.got)
    if probability in (0.0, 1.0):
        return events == counted * probability
    spread = math.sqrt(probability * (1 - probability) / counted)
    return counted >= _ENOUGH and abs(events / counted - probability) < 4 * spread


def _meanings(inputs: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Yield probabilities that may be in the place of the right one, with words for them."""
    yield "0", 0.0
    yield "1", 1.0
    for key, value in inputs.items():
        if isinstance(value, float) and 0 < value < 1:
            for words, function in _OF_A_NUMBER.items():
                yield words.format(key), function(value)
