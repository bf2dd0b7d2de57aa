"""Compare arrays with the reference and name the mistake.  Never meets student code.

Total: whatever arrays a stranger's program returned, there is a report, in bounded time.
"""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autograder.judging.clues import Comparison, clues
from autograder.judging.compare import agrees, difference
from autograder.judging.observed import LEAVES_ARGUMENTS, CaseResult, TaskResult
from autograder.judging.report import Finding, Link, Report
from autograder.task import (
    Aspect,
    Case,
    Expected,
    Misconception,
    ObservedDraws,
    Outputs,
    Probability,
    Task,
)

MAX_PAIRS = 100
"""Pairs of known mistakes that are tried, the most promising first, so that a check stays quick."""

MAX_NAMED = 3
"""How many mistakes are named where it cannot be told which one it is."""

Mistakes = tuple[Misconception, ...]
"""What a program may have got wrong at once; the empty tuple is the reference."""


def judge(task: Task, cases: Sequence[Case], observations: TaskResult) -> Report:
    """Judge what a student's functions returned.

    An aspect earns its points when every output it covers agrees with the reference in shape,
    dtype, finiteness and value.  Each broken requirement, and changing an argument in place,
    costs a quarter of the task's points.  The known mistakes are computed only when something
    is wrong.

    Parameters
    ----------
    task
        What was asked.
    cases
        The cases that were tried.
    observations
        What came back, one for each case.
    """
    with _one_thread(), np.errstate(all="ignore"):
        trials = [
            _Trial(task, case, observation)
            for case, observation in zip(cases, observations.cases, strict=True)
        ]
        failures = {aspect.name: _first_failure(aspect, trials) for aspect in task.aspects}
        diagnosis = _Diagnosis(task, trials) if any(failures.values()) else None
        findings = []
        for aspect in task.aspects:
            failure = failures[aspect.name]
            if failure is None or diagnosis is None:
                findings.append(
                    Finding(aspect.name, True, points=aspect.points, max_points=aspect.points)
                )
            else:
                findings.append(diagnosis.finding(aspect, failure))
    findings += _costs(task, observations, earned=sum(finding.points for finding in findings))
    return Report(task.name, tuple(findings), observations.printed)


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Keep torch from waiting for threads, which on a busy machine takes longer than the work."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


class _Trial:
    """One case with what was observed, and what is expected of the reference or of mistakes."""

    def __init__(self, task: Task, case: Case, observation: CaseResult) -> None:
        self.task = task
        self.case = case
        self.problems = observation.problems
        self.observed = observation.outputs
        drawn = (
            task.read_draws(case.inputs, observation.outputs)
            if task.read_draws is not None
            else ObservedDraws({}, {})
        )
        self._inputs = {**case.inputs, **drawn.draws}
        # Counts come from us alone: a program that sends some of its own must not be believed.
        self._counts: Outputs = drawn.counts
        self._expected: dict[tuple[int, ...], dict[str, Expected]] = {}
        self._agrees: dict[tuple[int, ...], dict[str, bool]] = {}

    def expected(self, mistakes: Mistakes = ()) -> dict[str, Expected]:
        """Return the expected outputs, of the reference or of known mistakes."""
        key = tuple(map(id, mistakes))
        if key not in self._expected:
            replaces: dict[str, Any] = {}
            for one in mistakes:
                replaces.update(one.replaces)
            self._expected[key] = self.task.reference(self._inputs, **replaces)
        return self._expected[key]

    def got(self, name: str) -> NDArray[Any] | None:
        """Return an output, or the count of an event."""
        expected = self.expected().get(name)
        if isinstance(expected, Probability) and self.task.read_draws is not None:
            return self._counts.get(name)
        return self.observed.get(name)

    def agrees(self, name: str, mistakes: Mistakes = ()) -> bool:
        """Say whether an output is what is expected."""
        known = self._agrees.setdefault(tuple(map(id, mistakes)), {})
        if name not in known:
            got, expected = self.got(name), self.expected(mistakes).get(name)
            known[name] = (
                got is not None
                and expected is not None
                and agrees(got, expected, self.task.tolerance)
            )
        return known[name]

    def agrees_everywhere(self, mistakes: Mistakes) -> bool:
        """Say whether all outputs are what is expected."""
        return all(self.agrees(name, mistakes) for name in self.expected(mistakes))

    def failure(self, name: str) -> str:
        """Say how an output that does not agree differs from the reference."""
        got, expected = self.got(name), self.expected()[name]
        if got is None:
            return (
                self.problems.get(name)
                or self.problems.get("")
                or f"The {name} cannot be told from what was returned."
            )
        described = self.task.describe
        if described is not None and isinstance(expected, np.ndarray):
            alike = got.shape == expected.shape and got.dtype == expected.dtype
            if alike:
                return described(name, got, expected)
        return difference(name, got, expected, self.task.tolerance)


class _Diagnosis:
    """What accounts for the numbers, as far as it can be known; only made when some are wrong."""

    def __init__(self, task: Task, trials: Sequence[_Trial]) -> None:
        self.task = task
        self.trials = trials
        self.known: Mistakes = ()
        self.causes: Mistakes = ()
        self.order: dict[str, str] | None = None
        self.several = self._accounting(task.misconceptions)
        if len(self.several) == 1:
            self.known, self.several = self.several, ()
        elif not self.several:
            if task.forward_task is not None:
                self.causes = self._accounting(task.forward_task.misconceptions)
            if not self.causes:
                self.order = self._another_order()
            if not self.causes and self.order is None:
                self.known = self._pair()

    def finding(self, aspect: Aspect, failure: str) -> Finding:
        """Return what to say about an aspect that failed."""
        lines, told, points = [failure], _Told(), 0.0
        # One that leaves open what is wrong here does not account for it.
        causes = [one for one in self.causes if self._agrees_on(aspect, (one,))]
        if self.order is not None:
            lines += self._told_order()
        elif self.several:
            told = _several(self.task, self.several)
        elif causes and self.task.forward_task is not None:
            forward = self.task.forward_task
            points = _quarters(aspect.points / 2)
            lines.append(
                f"These are the right numbers for a wrong `{forward.name}`, so they earn half. "
                f"Mend `{forward.name}` and they come right by themselves."
            )
            told = _one(forward, causes[0]) if len(causes) == 1 else _several(forward, causes)
        elif len(self.known) == 1:
            lines.append("All your numbers are exactly those of one known mistake.")
            told = _one(self.task, self.known[0])
        elif self.known:
            lines.append("All your numbers are exactly those of two known mistakes together.")
            told = self._told_pair(aspect)
        elif not self._was_observed(aspect):
            pass
        elif guesses := self._explaining(aspect):
            if len(guesses) == 1:
                lines.append(
                    "Here your numbers are those of a known mistake, though it does not account "
                    "for all the others."
                )
                told = _one(self.task, guesses[0])
            else:
                told = _several(self.task, guesses)
        else:
            lines += clues(self._comparisons(aspect), self.task.tolerance)
        return Finding(
            aspect.name,
            False,
            "\n".join([*lines, *told.lines]),
            told.mistake,
            points,
            aspect.points,
            told.links,
        )

    def _accounting(self, misconceptions: Sequence[Misconception]) -> Mistakes:
        """Return what accounts by itself for all numbers of all cases, and for a wrong one."""
        return tuple(
            one
            for one in misconceptions
            if all(trial.agrees_everywhere((one,)) for trial in self.trials)
            and any(
                trial.agrees(name, (one,)) and not trial.agrees(name)
                for trial in self.trials
                for name in trial.expected((one,))
            )
        )

    def _looked_at(self, aspect: Aspect) -> Iterator[tuple[_Trial, str]]:
        for trial in self.trials:
            if aspect.covers(trial.case):
                for name in aspect.outputs:
                    if name in trial.expected():
                        yield trial, name

    def _was_observed(self, aspect: Aspect) -> bool:
        """Say whether there is an output wherever the aspect wants one."""
        return all(trial.got(name) is not None for trial, name in self._looked_at(aspect))

    def _agrees_on(self, aspect: Aspect, mistakes: Mistakes) -> bool:
        return all(trial.agrees(name, mistakes) for trial, name in self._looked_at(aspect))

    def _explaining(self, aspect: Aspect) -> Mistakes:
        """Return what accounts for this aspect, and among these for most of the others."""
        here = [one for one in self.task.misconceptions if self._agrees_on(aspect, (one,))]
        if len(here) < 2:
            return tuple(here)
        explained = [
            sum(self._agrees_on(other, (one,)) for other in self.task.aspects) for one in here
        ]
        most = max(explained)
        return tuple(one for one, count in zip(here, explained, strict=True) if count == most)

    def _comparisons(self, aspect: Aspect) -> list[Comparison]:
        found = []
        for trial, name in self._looked_at(aspect):
            got = trial.got(name)
            assert got is not None
            expected, right = trial.expected()[name], trial.agrees(name)
            found.append(Comparison(name, trial.case, got, expected, right))
        return found

    # Two mistakes at once.

    def _pair(self) -> Mistakes:
        """Return the one pair of known mistakes that together account for everything, if any."""
        cells = [(trial, name) for trial in self.trials for name in trial.expected()]
        if any(trial.got(name) is None for trial, name in cells):
            return ()
        wrong = [cell for cell in cells if not cell[0].agrees(cell[1])]
        right = [cell for cell in cells if cell[0].agrees(cell[1])]
        # In one case of each of two modes, because looking at all would take too long.
        by_mode = {trial.case.group: trial for trial, _ in reversed(wrong)}
        sample = list(by_mode.values())[-2:]
        explained = {
            one.id: sum(trial.agrees(name, (one,)) for trial, name in wrong if trial in sample)
            for one in self.task.misconceptions
        }
        if not any(explained.values()):
            # Of two mistakes at once, one at least is seen by itself somewhere.
            return ()
        possible = [
            one
            for one in self.task.misconceptions
            if all(trial.agrees(name, (one,)) for trial, name in right)
        ]
        pairs = [
            (one, other)
            for one, other in itertools.combinations(possible, 2)
            if explained[one.id] + explained[other.id]
            and not one.replaces.keys() & other.replaces.keys()
        ]
        # What explains much by itself first; the sort is stable.
        pairs.sort(key=lambda pair: -explained[pair[0].id] - explained[pair[1].id])
        # Most pairs fail where both are seen, so that is looked at first.
        trials = sorted(self.trials, key=lambda trial: -sum(cell[0] is trial for cell in wrong))
        found = [
            pair
            for pair in pairs[:MAX_PAIRS]
            if all(trial.agrees_everywhere(pair) for trial in trials)
        ]
        return found[0] if len(found) == 1 else ()

    def _told_pair(self, aspect: Aspect) -> _Told:
        here = [one for one in self.known if self._agrees_on(aspect, (one,))]
        if len(here) == 1:
            return _one(self.task, here[0])
        elsewhere = {
            one.id
            for other in self.task.aspects
            for one in self.known
            if not self._agrees_on(other, ()) and self._agrees_on(other, (one,))
        }
        # So that each of the two is named by some aspect, if there are two.
        first, second = sorted(self.known, key=lambda one: one.id in elsewhere)
        told, also = _one(self.task, first), _one(self.task, second)
        return _Told(told.mistake, (*told.lines, *also.lines), (*told.links, *also.links))

    # Right numbers in the wrong places.

    def _another_order(self) -> dict[str, str] | None:
        """Return which output stands where which should, if nothing else is wrong."""
        names = [
            name
            for name in dict.fromkeys(
                name for aspect in self.task.aspects for name in aspect.outputs
            )
            if any(name in trial.observed and not trial.agrees(name) for trial in self.trials)
        ]
        if not 2 <= len(names) <= 4:
            return None
        for order in itertools.permutations(names):
            if any(name == other for name, other in zip(names, order, strict=True)):
                continue
            moved = dict(zip(names, order, strict=True))
            if all(self._right_when_moved(trial, moved) for trial in self.trials):
                return moved
        return None

    def _right_when_moved(self, trial: _Trial, moved: dict[str, str]) -> bool:
        outputs = dict(trial.observed)
        for name, other in moved.items():
            if other not in trial.observed:
                return False
            outputs[name] = trial.observed[other]
        there = _Trial(self.task, trial.case, CaseResult(outputs))
        return there.agrees_everywhere(())

    def _told_order(self) -> list[str]:
        assert self.order is not None
        if len(self.order) == 2:
            both = " and ".join(f"`{name}`" for name in self.order)
            return [f"The numbers are right, but {both} have changed places."]
        places = [f"`{name}` stands where `{place}` should" for place, name in self.order.items()]
        return ["The numbers are right, but come in another order: " + ", ".join(places) + "."]


def _first_failure(aspect: Aspect, trials: Sequence[_Trial]) -> str | None:
    """Return the message of the first output of an aspect that is wrong."""
    reasons = {trial.problems.get("") for trial in trials}
    if len(reasons) == 1 and (reason := reasons.pop()):
        # The same in every case, as of a function that is not written yet.
        return reason
    for trial in trials:
        if not aspect.covers(trial.case):
            continue
        for name in aspect.outputs:
            if name in trial.expected() and not trial.agrees(name):
                return f"In the case “{trial.case.name}”: {trial.failure(name)}"
    return None


@dataclass(frozen=True)
class _Told:
    """What is said about known mistakes, and the one that is named."""

    mistake: str | None = None
    lines: Sequence[str] = ()
    links: tuple[Link, ...] = ()


def _one(task: Task, one: Misconception) -> _Told:
    text = f"{one.explanation} Read {one.section}. ({one.id})"
    links = (Link(one.section.heading, one.section.path), _in_the_box(task, one.id))
    return _Told(one.id, (text,), links)


def _several(task: Task, mistakes: Sequence[Misconception]) -> _Told:
    """Name the mistakes that give the same numbers, each by the first sentence of its text."""
    lines = ["These are the numbers of several known mistakes, and do not tell which:"]
    for one in mistakes[:MAX_NAMED]:
        lines.append(f"  {one.explanation.split('. ')[0].rstrip('.')}. ({one.id})")
    if len(mistakes) > MAX_NAMED:
        lines.append(f"  and {len(mistakes) - MAX_NAMED} more.")
    links = tuple(_in_the_box(task, one.id) for one in mistakes[:MAX_NAMED])
    return _Told(None, lines, links)


def _in_the_box(task: Task, mistake: str) -> Link:
    """Return where the chapter lists a mistake."""
    return Link(mistake, task.place_of(mistake).path)


def _costs(task: Task, observations: TaskResult, earned: float) -> list[Finding]:
    """Return a finding for each thing that costs points, none of them below zero in sum."""
    broken = [one for one in task.requirements if one.id in observations.broken]
    findings = [
        Finding(one.name, False, one.explanation, one.id, links=(_in_the_box(task, one.id),))
        for one in broken
    ]
    if observations.mutated:
        names = ", ".join(f"`{name}`" for name in observations.mutated)
        findings.append(
            Finding(
                LEAVES_ARGUMENTS,
                False,
                f"Your code changes {names} in place, which whoever called it still needs. "
                "Make a new array or dict, or work on a copy.",
            )
        )
    costs = []
    for finding in findings:
        cost = min(_quarters(task.max_points / 4), earned)
        earned -= cost
        costs.append(replace(finding, points=0.0 - cost))
    return costs


def _quarters(points: float) -> float:
    """Round down to a multiple of a quarter, so that sums of points are exact."""
    return math.floor(points * 4) / 4
