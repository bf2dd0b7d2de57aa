"""Find the known mistakes that account for wrong numbers.

A diagnosis is one of the types below; `wording` puts it into words.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from autograder.judging.fingerprint import FORWARD, Probes
from autograder.judging.observed import CaseResult
from autograder.judging.trial import Mistakes, Trial, Trials
from autograder.task import Aspect, Misconception, Probability, Task

MAX_PAIRS = 100
"""How many pairs of known mistakes to try without a table, so that checks stay quick."""

MistakePair = tuple[Misconception, Misconception]


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

    mistakes: MistakePair


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


def diagnose(trials: Trials, probes: Probes | None) -> Diagnosis:
    """Return what accounts for all numbers at once, given that some of them are wrong.

    What the probes make likely is verified on the trials.  Without probes everything is tried.
    """
    task = trials.task
    alone = _accounting(_likely(task.misconceptions, probes), trials)
    if alone:
        return Identified(alone[0]) if len(alone) == 1 else Ambiguous(alone)
    found = _carried_forward(trials, probes) or _reordered(trials)
    if found:
        return found
    pair = _pair(task.misconceptions, trials, probes)
    if pair:
        return Pair(pair)
    changes = probes.changes() if probes else ()
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
    if not isinstance(diagnosis, Changed | Unknown):
        return diagnosis
    partial = _partial(trials, probes, aspect, given)
    if partial is not None and (isinstance(diagnosis, Unknown) or not partial.others):
        # Its words were written for students; those of a changed program were not.
        return partial
    if isinstance(diagnosis, Unknown) and probes is not None:
        changes = probes.changes(aspect)
        if changes:
            return Changed(changes, whole=False)
    return diagnosis


def _partial(
    trials: Trials, probes: Probes | None, aspect: Aspect, given: Sequence[Mistakes]
) -> Partial | None:
    """Return the known mistakes that account for one aspect, beside one of the given ones."""
    for cause in given:
        # The table knows nothing of two mistakes in one aspect.
        likely = _likely(trials.task.misconceptions, None if cause else probes, (aspect,))
        if partial := _accounting_for_one_aspect(likely, trials, aspect, cause):
            return partial
    return None


def _likely(
    misconceptions: Sequence[Misconception],
    probes: Probes | None,
    aspects: Sequence[Aspect | None] = (None,),
    prefix: str = "",
) -> Sequence[Misconception]:
    """Return the mistakes that the probes do not rule out."""
    if probes is None or probes.table is None:
        return misconceptions
    # A mistake that the table does not know is not ruled out.
    likely = {prefix + one.id for one in misconceptions}.difference(probes.table.mistakes)
    for aspect in aspects:
        likely |= probes.mistakes(aspect)
    return [mistake for mistake in misconceptions if prefix + mistake.id in likely]


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


def _carried_forward(trials: Trials, probes: Probes | None) -> CarriedForward | None:
    """Return the mistakes of the forward pass for which a wrong aspect is right."""
    task = trials.task
    if task.forward_task is None:
        return None
    shown = [(trial, name) for trial in trials for name in trial.not_judged]
    # Where the forward pass shows itself, it tells; elsewhere all numbers have to.
    cells = shown or [(trial, name) for trial in trials for name in trial.expected()]
    mistakes = task.forward_task.misconceptions
    wrong = [aspect for aspect in task.aspects if not trials.agree_on(aspect)]
    causes: tuple[Mistakes, ...] = tuple(
        (mistake,)
        for mistake in _likely(mistakes, probes, wrong, FORWARD)
        if all(trial.allows(name, (mistake,)) for trial, name in cells)
        and any(trial.agrees(name, (mistake,)) and not trial.agrees(name) for trial, name in cells)
    )
    if not causes:
        pair = _pair(mistakes, trials, probes, FORWARD)
        causes = (pair,) if pair else ()
    accounted = {
        cause: {aspect.name for aspect in wrong if trials.agree_on(aspect, cause)}
        for cause in causes
    }
    causes = tuple(
        cause
        for cause in causes
        if accounted[cause]
        # What a backward pass does not show, its forward pass need not have done.
        and not any(
            accounted[cause] <= accounted[other] and _steps(other) < _steps(cause)
            for other in causes
        )
    )
    return CarriedForward(task.forward_task, causes) if causes else None


def _steps(mistakes: Mistakes) -> Set[tuple[str, Any]]:
    """Return the steps that mistakes replace, with what replaces them."""
    return {name: step for one in mistakes for name, step in one.replaces.items()}.items()


def _accounting_for_one_aspect(
    misconceptions: Sequence[Misconception], trials: Trials, aspect: Aspect, given: Mistakes
) -> Partial | None:
    """Return, of the mistakes that account for this aspect, those that explain the most aspects.

    Parameters
    ----------
    misconceptions
        The mistakes to try.
    trials, aspect
        As for `narrow`.
    given
        Mistakes of the forward pass that are made besides.
    """
    steps = {step for mistake in given for step in mistake.replaces}
    here = [
        mistake
        for mistake in misconceptions
        if not steps & mistake.replaces.keys()
        and trials.agree_on(aspect, (*given, mistake))
        and _accounts_for_counts(trials, aspect, (*given, mistake))
    ]
    if not here:
        return None
    explained = [
        sum(trials.agree_on(other, (*given, mistake)) for other in trials.task.aspects)
        for mistake in here
    ]
    best = tuple(
        mistake for mistake, count in zip(here, explained, strict=True) if count == max(explained)
    )
    others = any(
        not trials.agree_on(other) and not trials.agree_on(other, (*given, mistake))
        for other in trials.task.aspects
        for mistake in best
    )
    return Partial(best, others)


def _accounts_for_counts(trials: Trials, aspect: Aspect, mistakes: Mistakes) -> bool:
    """Return whether mistakes account for all that they change in the counts that belong together.

    That all values have the same outcome is no sign of a mask of ones, if they are all dropped.
    """
    return all(
        trial.agrees(name, mistakes)
        for trial in trials
        if aspect.covers(trial.case)
        for name, right in trial.expected().items()
        if isinstance(right, Probability) and trial.expected(mistakes).get(name, right) != right
    )


def _pair(
    misconceptions: Sequence[Misconception],
    trials: Trials,
    probes: Probes | None,
    prefix: str = "",
) -> MistakePair | None:
    """Return the pair of known mistakes that accounts for all numbers.

    If several do, it is the one that replaces the fewest steps.
    """
    wrong = [(trial, name) for trial in trials for name in trial.expected()]
    wrong = [(trial, name) for trial, name in wrong if not trial.agrees(name)]
    if probes is not None and probes.knows_mistakes:
        likely = probes.pairs()
        pairs = [pair for pair in compatible(misconceptions) if joined(pair, prefix) in likely]
    else:
        pairs = _promising(misconceptions, trials, wrong)
    # Most pairs fail where something is wrong; the smallest of these cases takes the least time.
    order = sorted(
        trials, key=lambda trial: (all(cell[0] is not trial for cell in wrong), trial.size)
    )
    matching = [pair for pair in pairs if all(trial.agrees_everywhere(pair) for trial in order)]
    matching.sort(key=lambda pair: len(pair[0].replaces) + len(pair[1].replaces))
    return matching[0] if matching else None


def compatible(misconceptions: Sequence[Misconception]) -> Iterator[MistakePair]:
    """Yield the pairs of mistakes that can be made at once."""
    for first, second in itertools.combinations(misconceptions, 2):
        if not first.replaces.keys() & second.replaces.keys():
            yield first, second


def joined(pair: MistakePair, prefix: str = "") -> str:
    """Return the name of a pair in a table."""
    return f"{prefix}{pair[0].id} {prefix}{pair[1].id}"


def _promising(
    misconceptions: Sequence[Misconception], trials: Trials, wrong: Sequence[tuple[Trial, str]]
) -> list[MistakePair]:
    """Return the pairs of which one shows on its own somewhere, the most promising first."""
    # Sample one case from each of at most two groups, because all of them would take too long.
    by_group = {trial.case.group: trial for trial, _ in reversed(wrong)}
    sample = list(by_group.values())[-2:]
    explained = {
        mistake: sum(trial.agrees(name, (mistake,)) for trial, name in wrong if trial in sample)
        for mistake in misconceptions
    }
    if not any(explained.values()):
        return []
    right = [(trial, name) for trial in trials for name in trial.expected() if trial.agrees(name)]
    # Most mistakes are not possible, and the smallest case that says so takes the least time.
    right.sort(key=lambda cell: cell[0].size)
    possible = [
        mistake
        for mistake in misconceptions
        if all(trial.allows(name, (mistake,)) for trial, name in right)
    ]
    pairs = [pair for pair in compatible(possible) if explained[pair[0]] + explained[pair[1]]]
    # The sort is stable.
    pairs.sort(key=lambda pair: -explained[pair[0]] - explained[pair[1]])
    return pairs[:MAX_PAIRS]


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
