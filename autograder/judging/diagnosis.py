"""Find the known mistakes that account for wrong numbers.

A diagnosis is one of the types below; `wording` puts it into words.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from autograder.judging.observed import CaseResult
from autograder.judging.trial import Mistakes, Trial, Trials
from autograder.task import Aspect, Misconception, Task

MAX_PAIRS = 100
"""How many pairs of known mistakes to try, the most promising first, so that checks stay quick."""


@dataclass(frozen=True)
class Identified:
    """A single mistake accounts for all numbers."""

    mistake: Misconception


@dataclass(frozen=True)
class Ambiguous:
    """Each of these mistakes accounts for all numbers."""

    mistakes: Mistakes


@dataclass(frozen=True)
class CarriedForward:
    """The numbers are right for a forward pass that makes one of these mistakes."""

    forward_task: Task
    mistakes: Mistakes


@dataclass(frozen=True)
class Reordered:
    """The numbers are right, but each output named here is in the place of another."""

    places: Mapping[str, str]


@dataclass(frozen=True)
class Pair:
    """These two mistakes together, and no other pair, account for all numbers."""

    mistakes: tuple[Misconception, Misconception]


@dataclass(frozen=True)
class Partial:
    """Each of these mistakes accounts for one aspect, but not for all the others."""

    mistakes: Mistakes


@dataclass(frozen=True)
class Unknown:
    """No known mistake accounts for the numbers."""


Diagnosis = Identified | Ambiguous | CarriedForward | Reordered | Pair | Partial | Unknown


def diagnose(trials: Trials) -> Diagnosis:
    """Return what accounts for all numbers at once, given that some of them are wrong."""
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
        The result of `diagnose` for all numbers.
    trials
        The trials that were diagnosed.
    aspect
        The wrong aspect.
    """
    if isinstance(diagnosis, CarriedForward):
        # A mistake that does not determine these outputs does not account for them.
        causes = tuple(
            mistake for mistake in diagnosis.mistakes if trials.agree_on(aspect, (mistake,))
        )
        diagnosis = CarriedForward(diagnosis.forward_task, causes) if causes else Unknown()
    if isinstance(diagnosis, Unknown) and trials.were_observed(aspect):
        mistakes = _accounting_for_one_aspect(trials, aspect)
        return Partial(mistakes) if mistakes else diagnosis
    return diagnosis


def _accounting(misconceptions: Sequence[Misconception], trials: Trials) -> Mistakes:
    """Return the mistakes that each account for all numbers, including a wrong one."""
    return tuple(
        mistake
        for mistake in misconceptions
        if all(trial.agrees_everywhere((mistake,)) for trial in trials)
        and any(
            trial.agrees(name, (mistake,)) and not trial.agrees(name)
            for trial in trials
            for name in trial.expected((mistake,))
        )
    )


def _accounting_for_one_aspect(trials: Trials, aspect: Aspect) -> Mistakes:
    """Return, of the mistakes that account for this aspect, those that explain the most aspects."""
    here = [
        mistake for mistake in trials.task.misconceptions if trials.agree_on(aspect, (mistake,))
    ]
    if len(here) < 2:
        return tuple(here)
    explained = [
        sum(trials.agree_on(other, (mistake,)) for other in trials.task.aspects) for mistake in here
    ]
    most = max(explained)
    return tuple(mistake for mistake, count in zip(here, explained, strict=True) if count == most)


def _pair(trials: Trials) -> Pair | None:
    """Return the pair of known mistakes that accounts for all numbers, if there is just one."""
    misconceptions = trials.task.misconceptions
    cells = [(trial, name) for trial in trials for name in trial.expected()]
    if any(trial.got(name) is None for trial, name in cells):
        return None
    wrong = [cell for cell in cells if not cell[0].agrees(cell[1])]
    right = [cell for cell in cells if cell[0].agrees(cell[1])]
    # Sample one case from each of at most two groups, because all of them would take too long.
    by_group = {trial.case.group: trial for trial, _ in reversed(wrong)}
    sample = list(by_group.values())[-2:]
    explained = {
        mistake: sum(trial.agrees(name, (mistake,)) for trial, name in wrong if trial in sample)
        for mistake in misconceptions
    }
    if not any(explained.values()):
        # If two mistakes are made at once, at least one of them shows on its own somewhere.
        return None
    possible = [
        mistake
        for mistake in misconceptions
        if all(trial.agrees(name, (mistake,)) for trial, name in right)
    ]
    pairs = [
        (first, second)
        for first, second in itertools.combinations(possible, 2)
        if explained[first] + explained[second]
        and not first.replaces.keys() & second.replaces.keys()
    ]
    # Try first the mistakes that explain the most on their own; the sort is stable.
    pairs.sort(key=lambda pair: -explained[pair[0]] - explained[pair[1]])
    # Most pairs fail in the case with the most wrong outputs, so check it first.
    order = sorted(trials, key=lambda trial: -sum(cell[0] is trial for cell in wrong))
    matching = [
        pair for pair in pairs[:MAX_PAIRS] if all(trial.agrees_everywhere(pair) for trial in order)
    ]
    return Pair(matching[0]) if len(matching) == 1 else None


def _reordered(trials: Trials) -> Reordered | None:
    """Return which outputs are in each other's places, if nothing else is wrong."""
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
