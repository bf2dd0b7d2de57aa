"""Put a diagnosis into words: what to tell the student about wrong numbers, and what to read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from autograder.judging.clues import clues
from autograder.judging.diagnosis import (
    Ambiguous,
    CarriedForward,
    Changed,
    Diagnosis,
    Identified,
    Pair,
    Partial,
    Reordered,
    Unknown,
)
from autograder.judging.difference import Comparison
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

    def before(self, line: str) -> Explanation:
        """Return this explanation before another line."""
        return Explanation((*self.lines, line), self.mistake, self.links)


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
            return _named(task, mistake).before(
                "This one mistake explains all numbers that are wrong."
            )
        case Ambiguous(mistakes):
            return _candidates(task, mistakes)
        case CarriedForward(forward_task, causes):
            return _causes(forward_task, causes).after(
                f"These numbers are right for your `{forward_task.name}`, which is wrong, so they "
                f"earn half. Check them again when you have fixed `{forward_task.name}`."
            )
        case Reordered(places):
            return Explanation((_reordered(dict(places)),))
        case Pair():
            return _both(diagnosis, trials, aspect).before(
                "The mistakes that this report names explain all numbers that are wrong."
            )
        case Changed(changes, whole):
            return Explanation((_changed(changes, whole), *_clues(trials, aspect)[:1]))
        case Partial((mistake,), others):
            besides = ", but something else is wrong as well" if others else ""
            line = f"Your numbers here are those of this mistake{besides}."
            return _named(task, mistake).before(line)
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
        lines.append(f"  {_first_sentence(mistake)}")
    if len(mistakes) > MAX_NAMED:
        lines.append(f"  and {len(mistakes) - MAX_NAMED} more.")
    links = tuple(task.place_of(mistake.id) for mistake in mistakes[:MAX_NAMED])
    return Explanation(tuple(lines), links=links)


def _first_sentence(mistake: Misconception) -> str:
    return f"{mistake.explanation.split('. ')[0].rstrip('.')}. ({mistake.id})"


def _causes(task: Task, causes: tuple[Mistakes, ...]) -> Explanation:
    """Name the mistakes of the only cause, or the mistakes that are causes by themselves."""
    if len(causes) > 1:
        return _candidates(task, tuple(mistake for cause in causes for mistake in cause))
    # The report on the forward pass says more of each.
    return Explanation(
        tuple(_first_sentence(mistake) for mistake in causes[0]),
        causes[0][0].id,
        tuple(task.place_of(mistake.id) for mistake in causes[0]),
    )


def _changed(changes: tuple[str, ...], whole: bool) -> str:
    numbers = "Your numbers" if whole else "Your numbers here"
    first, *others = changes
    text = f"{numbers} are exactly those of a program that is right but for one thing: {first}."
    if len(others) == 1:
        text += f" They could also mean this: {others[0]}."
    elif others:
        text += f" They could also mean one of these: {'; '.join(others[: MAX_NAMED - 1])}."
    return text


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
    # Outputs that earn a share each are told one by one.
    if aspect.by_share:
        return []
    comparisons = []
    for trial, name in trials.looked_through(aspect):
        got = trial.got(name)
        if got is None:
            return []
        right = trial.agrees(name)
        comparisons.append(Comparison(name, trial.case, got, trial.expected()[name], right))
    if all(one.right for one in comparisons):
        return []
    return clues(comparisons, trials.task.tolerance)
