"""Put a diagnosis into words: what a finding says about wrong numbers, and what to read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from autograder.judging.clues import Comparison, clues
from autograder.judging.diagnosis import (
    Ambiguous,
    CarriedForward,
    Diagnosis,
    Identified,
    Pair,
    Partial,
    Reordered,
    Unknown,
)
from autograder.judging.trial import Mistakes, Trials
from autograder.task import Aspect, Misconception, Section, Task

MAX_NAMED = 3
"""How many mistakes are named where it cannot be told which one it is."""


@dataclass(frozen=True)
class Explanation:
    """What is said about wrong numbers.

    Attributes
    ----------
    lines
        Sentences, each a line of its own.
    mistake
        The id of the mistake that is named, or None.
    links
        Where the book tells more.
    """

    lines: tuple[str, ...] = ()
    mistake: str | None = None
    links: tuple[Section, ...] = ()

    def after(self, line: str) -> Explanation:
        """Return the same with a line before it."""
        return Explanation((line, *self.lines), self.mistake, self.links)


def explain(diagnosis: Diagnosis, trials: Trials, aspect: Aspect) -> Explanation:
    """Return what to say about an aspect that is wrong.

    Parameters
    ----------
    diagnosis
        From `narrow`, for this aspect.
    trials
        What it was made of.
    aspect
        Which one.
    """
    task = trials.task
    match diagnosis:
        case Identified(mistake):
            line = "All your numbers are exactly those of one known mistake."
            return _named(task, mistake).after(line)
        case Ambiguous(mistakes):
            return _candidates(task, mistakes)
        case CarriedForward(forward_task, mistakes):
            return _named_or_candidates(forward_task, mistakes).after(
                f"These are the right numbers for a wrong `{forward_task.name}`, so they earn "
                f"half. Mend `{forward_task.name}` and they come right by themselves."
            )
        case Reordered(places):
            return Explanation((_reordered(dict(places)),))
        case Pair():
            line = "All your numbers are exactly those of two known mistakes together."
            return _both(diagnosis, trials, aspect).after(line)
        case Partial((mistake,)):
            return _named(task, mistake).after(
                "Here your numbers are those of a known mistake, though it does not account for "
                "all the others."
            )
        case Partial(mistakes):
            return _candidates(task, mistakes)
        case Unknown():
            return Explanation(tuple(_clues(trials, aspect)))
    assert_never(diagnosis)


def _named(task: Task, mistake: Misconception) -> Explanation:
    text = f"{mistake.explanation} Read {mistake.section}. ({mistake.id})"
    return Explanation((text,), mistake.id, (mistake.section, task.place_of(mistake.id)))


def _candidates(task: Task, mistakes: Mistakes) -> Explanation:
    """Name the mistakes that give the same numbers, each by the first sentence of its text."""
    lines = ["These are the numbers of several known mistakes, and do not tell which:"]
    for one in mistakes[:MAX_NAMED]:
        lines.append(f"  {one.explanation.split('. ')[0].rstrip('.')}. ({one.id})")
    if len(mistakes) > MAX_NAMED:
        lines.append(f"  and {len(mistakes) - MAX_NAMED} more.")
    links = tuple(task.place_of(one.id) for one in mistakes[:MAX_NAMED])
    return Explanation(tuple(lines), links=links)


def _named_or_candidates(task: Task, mistakes: Mistakes) -> Explanation:
    return _named(task, mistakes[0]) if len(mistakes) == 1 else _candidates(task, mistakes)


def _both(pair: Pair, trials: Trials, aspect: Aspect) -> Explanation:
    """Name of two mistakes the one that accounts for this aspect, or both."""
    task = trials.task
    here = [one for one in pair.mistakes if trials.agree_on(aspect, (one,))]
    if len(here) == 1:
        return _named(task, here[0])
    elsewhere = {
        one
        for other in task.aspects
        for one in pair.mistakes
        if not trials.agree_on(other) and trials.agree_on(other, (one,))
    }
    # So that each of the two is named by some aspect, if there are two.
    first, second = sorted(pair.mistakes, key=lambda one: one in elsewhere)
    named, also = _named(task, first), _named(task, second)
    return Explanation((*named.lines, *also.lines), named.mistake, (*named.links, *also.links))


def _reordered(places: dict[str, str]) -> str:
    if len(places) == 2:
        both = " and ".join(f"`{name}`" for name in places)
        return f"The numbers are right, but {both} have changed places."
    moves = [f"`{name}` stands where `{place}` should" for place, name in places.items()]
    return f"The numbers are right, but come in another order: {', '.join(moves)}."


def _clues(trials: Trials, aspect: Aspect) -> list[str]:
    if not trials.were_observed(aspect):
        return []
    comparisons = []
    for trial, name in trials.looked_at(aspect):
        got = trial.got(name)
        assert got is not None
        right = trial.agrees(name)
        comparisons.append(Comparison(name, trial.case, got, trial.expected()[name], right))
    return clues(comparisons, trials.task.tolerance)
