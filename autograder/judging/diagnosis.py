"""Find the known mistakes that account for wrong numbers.

A diagnosis is one of the types below; `wording` puts it into words.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autograder.judging.fingerprint import changes_that_match, fingerprint, probe_cases
from autograder.judging.observed import CaseResult, TaskResult
from autograder.judging.trial import Mistakes, Trial, Trials
from autograder.task import Aspect, Misconception, Probability, Task

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
    """The numbers are right for a forward pass that makes the mistakes of one of these causes."""

    forward_task: Task
    causes: tuple[Mistakes, ...]


@dataclass(frozen=True)
class Reordered:
    """The numbers are right, but each output named here is in the place of another."""

    places: Mapping[str, str]


@dataclass(frozen=True)
class Pair:
    """These two mistakes together account for all numbers."""

    mistakes: tuple[Misconception, Misconception]


@dataclass(frozen=True)
class Changed:
    """A right program with any one of these changes returns exactly these numbers.

    `whole` says whether it returns all numbers, or only those of one aspect.
    """

    changes: tuple[str, ...]
    whole: bool


@dataclass(frozen=True)
class Partial:
    """Each of these mistakes accounts for one aspect that is wrong.

    `others` says whether it leaves other aspects that are wrong unexplained.
    """

    mistakes: Mistakes
    others: bool


@dataclass(frozen=True)
class Unknown:
    """Nothing that is known accounts for the numbers."""


Diagnosis = Identified | Ambiguous | CarriedForward | Reordered | Pair | Changed | Partial | Unknown


@dataclass(frozen=True)
class Probes:
    """What a program did in the cases that are the same for everybody, and its fingerprint."""

    trials: Trials
    numbers: NDArray[np.float64]

    @classmethod
    def of(cls, task: Task, probed: TaskResult) -> Probes:
        """Reduce what a program did in `probe_cases`."""
        trials = Trials(task, probe_cases(task), probed)
        return cls(trials, fingerprint(trials))


def diagnose(trials: Trials, probes: Probes | None) -> Diagnosis:
    """Return what accounts for all numbers at once, given that some of them are wrong."""
    task = trials.task
    alone = _accounting(task.misconceptions, trials)
    if alone:
        return Identified(alone[0]) if len(alone) == 1 else Ambiguous(alone)
    found = _carried_forward(trials) or _reordered(trials)
    if found:
        return found
    pair = _pair(task.misconceptions, trials)
    if pair:
        return Pair(pair)
    changes = changes_that_match(probes.trials, probes.numbers) if probes else ()
    return Changed(changes, whole=True) if changes else Unknown()


def narrow(
    diagnosis: Diagnosis, trials: Trials, probes: Probes | None, aspect: Aspect
) -> Diagnosis:
    """Return what accounts for the numbers of one aspect that is wrong.

    Parameters
    ----------
    diagnosis
        The result of `diagnose` for all numbers.
    trials
        The trials that were diagnosed.
    probes
        The same program on the cases that are the same for everybody.
    aspect
        The wrong aspect.
    """
    given: tuple[Mistakes, ...] = ((),)
    if isinstance(diagnosis, CarriedForward):
        # A mistake that does not determine these outputs does not account for them.
        causes = tuple(cause for cause in diagnosis.causes if trials.agree_on(aspect, cause))
        if causes:
            return CarriedForward(diagnosis.forward_task, causes)
        given = ((), *diagnosis.causes)
        diagnosis = Unknown()
    if isinstance(diagnosis, Unknown):
        for cause in given:
            if partial := _accounting_for_one_aspect(trials, aspect, cause):
                return partial
        if probes is not None:
            changes = changes_that_match(probes.trials, probes.numbers, aspect)
            if changes:
                return Changed(changes, whole=False)
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


def _carried_forward(trials: Trials) -> CarriedForward | None:
    """Return the mistakes of the forward pass for which a wrong aspect is right."""
    task = trials.task
    if task.forward_task is None:
        return None
    judged = {name for aspect in task.aspects for name in aspect.outputs}
    shown = [
        (trial, name)
        for trial in trials
        for name in trial.expected()
        if name not in judged and not isinstance(trial.expected()[name], Probability)
    ]
    # Where the forward pass shows itself, it tells; elsewhere all numbers have to.
    cells = shown or [(trial, name) for trial in trials for name in trial.expected()]
    mistakes = task.forward_task.misconceptions
    causes: tuple[Mistakes, ...] = tuple(
        (mistake,)
        for mistake in mistakes
        if all(trial.allows(name, (mistake,)) for trial, name in cells)
        and any(trial.agrees(name, (mistake,)) and not trial.agrees(name) for trial, name in cells)
    )
    if not causes:
        pair = _pair(mistakes, trials)
        causes = (pair,) if pair else ()
    causes = tuple(
        cause
        for cause in causes
        if any(
            trials.agree_on(aspect, cause) and not trials.agree_on(aspect)
            for aspect in task.aspects
        )
    )
    return CarriedForward(task.forward_task, causes) if causes else None


def _accounting_for_one_aspect(trials: Trials, aspect: Aspect, given: Mistakes) -> Partial | None:
    """Return, of the mistakes that account for this aspect, those that explain the most aspects.

    Parameters
    ----------
    trials, aspect
        As for `narrow`.
    given
        Mistakes of the forward pass that are made besides.
    """
    steps = {step for mistake in given for step in mistake.replaces}
    here = [
        mistake
        for mistake in trials.task.misconceptions
        if not steps & mistake.replaces.keys() and trials.agree_on(aspect, (*given, mistake))
    ]
    if not here:
        return None
    unexplained = [
        sum(
            not trials.agree_on(other) and not trials.agree_on(other, (*given, mistake))
            for other in trials.task.aspects
        )
        for mistake in here
    ]
    least = min(unexplained)
    best = tuple(mistake for mistake, n in zip(here, unexplained, strict=True) if n == least)
    return Partial(best, others=least > 0)


def _pair(
    misconceptions: Sequence[Misconception], trials: Trials
) -> tuple[Misconception, Misconception] | None:
    """Return the pair of known mistakes that accounts for all numbers.

    If several do, it is the one that replaces the fewest steps.
    """
    cells = [(trial, name) for trial in trials for name in trial.expected()]
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
        if all(trial.allows(name, (mistake,)) for trial, name in right)
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
    matching.sort(key=lambda pair: len(pair[0].replaces) + len(pair[1].replaces))
    return matching[0] if matching else None


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
