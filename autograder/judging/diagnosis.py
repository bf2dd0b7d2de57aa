"""Which known mistakes account for wrong numbers, as far as it can be known.

What can be found is one of a few types, made here and put into words in `wording`.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from autograder.judging.observed import CaseResult
from autograder.judging.trial import Mistakes, Trial, Trials
from autograder.task import Aspect, Misconception, Task

MAX_PAIRS = 100
"""Pairs of known mistakes that are tried, the most promising first, so that a check stays quick."""


@dataclass(frozen=True)
class Identified:
    """All numbers are those of this mistake, and of no other."""

    mistake: Misconception


@dataclass(frozen=True)
class Ambiguous:
    """All numbers are those of each of these mistakes."""

    mistakes: Mistakes


@dataclass(frozen=True)
class CarriedForward:
    """The numbers are right for a forward pass that makes one of these mistakes."""

    forward_task: Task
    mistakes: Mistakes


@dataclass(frozen=True)
class Reordered:
    """The numbers are right, but each output named here stands in the place of another."""

    places: Mapping[str, str]


@dataclass(frozen=True)
class Pair:
    """All numbers are those of these two mistakes together, and of no other two."""

    mistakes: tuple[Misconception, Misconception]


@dataclass(frozen=True)
class Partial:
    """The numbers of one aspect are those of each of these mistakes, not all the others."""

    mistakes: Mistakes


@dataclass(frozen=True)
class Unknown:
    """Nothing that is known accounts for the numbers."""


Diagnosis = Identified | Ambiguous | CarriedForward | Reordered | Pair | Partial | Unknown


def diagnose(trials: Trials) -> Diagnosis:
    """Return what accounts for all numbers at once; some of them have to be wrong."""
    task = trials.task
    alone = _accounting(task.misconceptions, trials)
    if alone:
        return Identified(alone[0]) if len(alone) == 1 else Ambiguous(alone)
    if task.forward_task is not None:
        causes = _accounting(task.forward_task.misconceptions, trials)
        if causes:
            return CarriedForward(task.forward_task, causes)
    return _reordered(trials) or _pair(trials) or Unknown()


def narrow(diagnosis: Diagnosis, trials: Trials, aspect: Aspect) -> Diagnosis:
    """Return what accounts for the numbers of one aspect that is wrong.

    Parameters
    ----------
    diagnosis
        Of all numbers, from `diagnose`.
    trials
        What it was made of.
    aspect
        Which one.
    """
    if isinstance(diagnosis, CarriedForward):
        # A mistake that leaves open what is wrong here does not account for it.
        causes = tuple(one for one in diagnosis.mistakes if trials.agree_on(aspect, (one,)))
        diagnosis = CarriedForward(diagnosis.forward_task, causes) if causes else Unknown()
    if isinstance(diagnosis, Unknown) and trials.were_observed(aspect):
        mistakes = _accounting_for_one_aspect(trials, aspect)
        return Partial(mistakes) if mistakes else diagnosis
    return diagnosis


def _accounting(misconceptions: Sequence[Misconception], trials: Trials) -> Mistakes:
    """Return what accounts by itself for all numbers of all cases, and for a wrong one."""
    return tuple(
        one
        for one in misconceptions
        if all(trial.agrees_everywhere((one,)) for trial in trials)
        and any(
            trial.agrees(name, (one,)) and not trial.agrees(name)
            for trial in trials
            for name in trial.expected((one,))
        )
    )


def _accounting_for_one_aspect(trials: Trials, aspect: Aspect) -> Mistakes:
    """Return what accounts for this aspect, and among these for most of the others."""
    here = [one for one in trials.task.misconceptions if trials.agree_on(aspect, (one,))]
    if len(here) < 2:
        return tuple(here)
    explained = [
        sum(trials.agree_on(other, (one,)) for other in trials.task.aspects) for one in here
    ]
    most = max(explained)
    return tuple(one for one, count in zip(here, explained, strict=True) if count == most)


def _pair(trials: Trials) -> Pair | None:
    """Return the one pair of known mistakes that together account for everything, if any."""
    misconceptions = trials.task.misconceptions
    cells = [(trial, name) for trial in trials for name in trial.expected()]
    if any(trial.got(name) is None for trial, name in cells):
        return None
    wrong = [cell for cell in cells if not cell[0].agrees(cell[1])]
    right = [cell for cell in cells if cell[0].agrees(cell[1])]
    # In one case of each of two groups, because looking at all would take too long.
    by_group = {trial.case.group: trial for trial, _ in reversed(wrong)}
    sample = list(by_group.values())[-2:]
    explained = {
        one: sum(trial.agrees(name, (one,)) for trial, name in wrong if trial in sample)
        for one in misconceptions
    }
    if not any(explained.values()):
        # Of two mistakes at once, one at least is seen by itself somewhere.
        return None
    possible = [
        one for one in misconceptions if all(trial.agrees(name, (one,)) for trial, name in right)
    ]
    pairs = [
        (one, other)
        for one, other in itertools.combinations(possible, 2)
        if explained[one] + explained[other] and not one.replaces.keys() & other.replaces.keys()
    ]
    # What explains much by itself comes first; the sort is stable.
    pairs.sort(key=lambda pair: -explained[pair[0]] - explained[pair[1]])
    # Most pairs fail where both are seen, so that is looked at first.
    order = sorted(trials, key=lambda trial: -sum(cell[0] is trial for cell in wrong))
    found = [
        pair for pair in pairs[:MAX_PAIRS] if all(trial.agrees_everywhere(pair) for trial in order)
    ]
    return Pair(found[0]) if len(found) == 1 else None


def _reordered(trials: Trials) -> Reordered | None:
    """Return which output stands where which should, if nothing else is wrong."""
    outputs = dict.fromkeys(name for aspect in trials.task.aspects for name in aspect.outputs)
    names = [
        name
        for name in outputs
        if any(name in trial.observed and not trial.agrees(name) for trial in trials)
    ]
    if not 2 <= len(names) <= 4:
        return None
    for order in itertools.permutations(names):
        if any(name == other for name, other in zip(names, order, strict=True)):
            continue
        places = dict(zip(names, order, strict=True))
        if all(_is_right_when_moved(trial, places) for trial in trials):
            return Reordered(places)
    return None


def _is_right_when_moved(trial: Trial, places: Mapping[str, str]) -> bool:
    outputs = dict(trial.observed)
    for name, other in places.items():
        if other not in trial.observed:
            return False
        outputs[name] = trial.observed[other]
    return Trial(trial.task, trial.case, CaseResult(outputs)).agrees_everywhere(())
