"""Put a diagnosis into words: what to tell the student about wrong numbers, and what to read."""

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
"""How many mistakes to name when several fit."""


@dataclass(frozen=True)
class Explanation:
    """What to tell a student about wrong numbers.

    Attributes
    ----------
    lines
        Sentences, one on each line.
    mistake
        The id of the mistake that is named, or None.
    links
        Places in the book that explain more.
    """

    lines: tuple[str, ...] = ()
    mistake: str | None = None
    links: tuple[Section, ...] = ()

    def after(self, line: str) -> Explanation:
        """Return this explanation after another line."""
        return Explanation((line, *self.lines), self.mistake, self.links)


def explain(diagnosis: Diagnosis, trials: Trials, aspect: Aspect) -> Explanation:
    """Return what to say about a wrong aspect.

    Parameters
    ----------
    diagnosis
        The result of `narrow` for this aspect.
    trials
        The trials that were diagnosed.
    aspect
        The wrong aspect.
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
                f"half. Fix `{forward_task.name}`, and they will be right too."
            )
        case Reordered(places):
            return Explanation((_reordered(dict(places)),))
        case Pair():
            line = "All your numbers are exactly those of two known mistakes together."
            return _both(diagnosis, trials, aspect).after(line)
        case Partial((mistake,)):
            return _named(task, mistake).after(
                "Here your numbers are those of a known mistake, but it does not account for all "
                "the others."
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
    """Name the mistakes that give the same numbers, each by its first sentence."""
    lines = ["Several known mistakes give exactly these numbers:"]
    for mistake in mistakes[:MAX_NAMED]:
        lines.append(f"  {mistake.explanation.split('. ')[0].rstrip('.')}. ({mistake.id})")
    if len(mistakes) > MAX_NAMED:
        lines.append(f"  and {len(mistakes) - MAX_NAMED} more.")
    links = tuple(task.place_of(mistake.id) for mistake in mistakes[:MAX_NAMED])
    return Explanation(tuple(lines), links=links)


def _named_or_candidates(task: Task, mistakes: Mistakes) -> Explanation:
    return _named(task, mistakes[0]) if len(mistakes) == 1 else _candidates(task, mistakes)


def _both(pair: Pair, trials: Trials, aspect: Aspect) -> Explanation:
    """Name the one of two mistakes that accounts for this aspect, or both."""
    task = trials.task
    here = [mistake for mistake in pair.mistakes if trials.agree_on(aspect, (mistake,))]
    if len(here) == 1:
        return _named(task, here[0])
    elsewhere = {
        mistake
        for other in task.aspects
        for mistake in pair.mistakes
        if not trials.agree_on(other) and trials.agree_on(other, (mistake,))
    }
    # Put first the mistake that no other aspect names, so that both get named.
    first, second = sorted(pair.mistakes, key=lambda mistake: mistake in elsewhere)
    named, also = _named(task, first), _named(task, second)
    return Explanation((*named.lines, *also.lines), named.mistake, (*named.links, *also.links))


def _reordered(places: dict[str, str]) -> str:
    if len(places) == 2:
        both = " and ".join(f"`{name}`" for name in places)
        return f"The numbers are right, but {both} are swapped."
    moves = [f"`{name}` is where `{place}` should be" for place, name in places.items()]
    return f"The numbers are right, but in the wrong order: {', '.join(moves)}."


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
