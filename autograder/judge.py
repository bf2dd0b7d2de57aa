"""Compare arrays with the reference and name the mistake.  Never meets student code."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autograder.report import Finding, Report
from autograder.task import (
    Aspect,
    Case,
    Expected,
    Misconception,
    Observation,
    Observations,
    Outputs,
    Probability,
    Randomness,
    Scaled,
    Task,
)

FALSE_ALARM = 1e-9
"""Bound on the probability that one comparison with a `Probability` fails a right answer."""

ABSOLUTE_TOLERANCE = 1e-10


def judge(task: Task, cases: Sequence[Case], observations: Observations) -> Report:
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
    with _one_thread():
        trials = [
            _Trial(task, case, observation)
            for case, observation in zip(cases, observations.cases, strict=True)
        ]
        findings = [_judge_aspect(task, aspect, trials) for aspect in task.aspects]
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


def _judge_aspect(task: Task, aspect: Aspect, trials: Sequence[_Trial]) -> Finding:
    failure = _first_failure(aspect, trials)
    if failure is None:
        return Finding(aspect.name, True, points=aspect.points, max_points=aspect.points)
    known, points = None, 0.0
    if _was_observed(aspect, trials):
        carried = task.forward.misconceptions if task.forward is not None else ()
        # What accounts for all numbers of all cases comes first; a student may have made two
        # mistakes, so after that what accounts for this aspect.
        known = _only(one for one in task.misconceptions if _agrees_everywhere(one, trials))
        if known is None:
            cause = _only(one for one in carried if _agrees_everywhere(one, trials))
            if cause is not None and task.forward is not None:
                points = _quarters(aspect.points / 2)
                failure = (
                    f"{failure}\nThis is the right gradient of a wrong `{task.forward.name}`, so "
                    "it earns half. Mend the forward pass and this comes right by itself.\n"
                    f"{_explanation(cause)}"
                )
            else:
                known = _explains_most(task, aspect, trials)
    if known is not None:
        failure = f"{failure}\n{_explanation(known)}"
    return Finding(aspect.name, False, failure, known.id if known else None, points, aspect.points)


class _Trial:
    """One case with what was observed, and what is expected under the reference or a mistake."""

    def __init__(self, task: Task, case: Case, observation: Observation) -> None:
        self.task = task
        self.case = case
        self.problems = observation.problems
        drawn = (
            task.randomness(case.inputs, observation.outputs)
            if task.randomness is not None
            else Randomness({}, {})
        )
        self._inputs = {**case.inputs, **drawn.given}
        self.got: Outputs = {**observation.outputs, **drawn.outputs}
        self._expected: dict[str | None, dict[str, Expected]] = {}

    def expected(self, misconception: Misconception | None = None) -> dict[str, Expected]:
        """Return the expected outputs, of the reference or of a known mistake."""
        key = misconception.id if misconception else None
        if key not in self._expected:
            departure = misconception.departure if misconception else {}
            self._expected[key] = self.task.reference(self._inputs, **departure)
        return self._expected[key]

    def failure(self, name: str, misconception: Misconception | None = None) -> str | None:
        """Say how an output differs from what is expected; None if it agrees."""
        if name not in self.got:
            return (
                self.problems.get(name)
                or self.problems.get("")
                or f"The {name} cannot be told from what was returned."
            )
        return _difference(
            name, self.got[name], self.expected(misconception)[name], self.task.tolerance
        )


def _first_failure(aspect: Aspect, trials: Sequence[_Trial]) -> str | None:
    """Return the message of the first output of an aspect that is wrong."""
    reasons = {trial.problems.get("") for trial in trials}
    if len(reasons) == 1 and (reason := reasons.pop()):
        # The same in every case, as of a function that is not written yet.
        return reason
    for trial in trials:
        if not aspect.covers(trial.case):
            continue
        expected = trial.expected()
        for name in aspect.outputs:
            if name in expected:
                failure = trial.failure(name)
                if failure is not None:
                    return f"In the case “{trial.case.name}”: {failure}"
    return None


def _was_observed(aspect: Aspect, trials: Sequence[_Trial]) -> bool:
    """Say whether there is an output wherever the aspect wants one."""
    return all(
        name in trial.got
        for trial in trials
        if aspect.covers(trial.case)
        for name in aspect.outputs
        if name in trial.expected()
    )


def _only(misconceptions: Iterable[Misconception]) -> Misconception | None:
    """Return the one misconception that there is; None if there are none or several."""
    found = list(misconceptions)
    return found[0] if len(found) == 1 else None


def _explains_most(task: Task, aspect: Aspect, trials: Sequence[_Trial]) -> Misconception | None:
    """Return the known mistake that accounts for this aspect, and for most of the others."""
    here = [one for one in task.misconceptions if _agrees_on(aspect, one, trials)]
    if len(here) < 2:
        return _only(here)
    explained = [sum(_agrees_on(other, one, trials) for other in task.aspects) for one in here]
    return _only(one for one, count in zip(here, explained, strict=True) if count == max(explained))


def _agrees_everywhere(misconception: Misconception, trials: Sequence[_Trial]) -> bool:
    return all(
        trial.failure(name, misconception) is None
        for trial in trials
        for name in trial.expected(misconception)
    )


def _agrees_on(aspect: Aspect, misconception: Misconception, trials: Sequence[_Trial]) -> bool:
    return all(
        name in trial.expected(misconception) and trial.failure(name, misconception) is None
        for trial in trials
        if aspect.covers(trial.case)
        for name in aspect.outputs
        if name in trial.expected()
    )


def _explanation(misconception: Misconception) -> str:
    return (
        f"{misconception.explanation} Read “{misconception.section}” in the book. "
        f"({misconception.id})"
    )


def _costs(task: Task, observations: Observations, earned: float) -> list[Finding]:
    """Return a finding for each thing that costs points, none of them below zero in sum."""
    broken = [one for one in task.requirements if one.id in observations.broken]
    findings = [Finding(one.name, False, one.explanation, one.id) for one in broken]
    if observations.mutated:
        names = ", ".join(f"`{name}`" for name in observations.mutated)
        findings.append(
            Finding(
                "leaves its arguments as they are",
                False,
                f"Your code changes {names} in place, which whoever called it still needs. "
                "Make a new array or dict, or work on a copy.",
            )
        )
    costs = []
    for finding in findings:
        cost = min(_quarters(task.max_points / 4), earned)
        earned -= cost
        costs.append(
            Finding(finding.aspect, False, finding.message, finding.misconception, 0.0 - cost)
        )
    return costs


def _quarters(points: float) -> float:
    """Round down to a multiple of a quarter, so that sums of points are exact."""
    return math.floor(points * 4) / 4


def _difference(name: str, got: NDArray[Any], expected: Expected, tolerance: float) -> str | None:
    """Say how an output differs from what is expected; None if it agrees."""
    if isinstance(expected, Probability):
        return _unlikely(name, got, expected.value)
    if not isinstance(expected, Scaled):
        finite = np.abs(expected[np.isfinite(expected)])
        expected = Scaled(expected, finite.max(initial=0.0))
    return _different_numbers(name, got, expected.value, tolerance * np.asarray(expected.scale))


def _different_numbers(
    name: str, got: NDArray[Any], expected: NDArray[Any], tolerance: NDArray[Any]
) -> str | None:
    """Compare shape, dtype, finiteness, then values, and describe the first difference."""
    if got.shape != expected.shape:
        return f"`{name}` has shape {got.shape}; expected {expected.shape}."
    if got.dtype != expected.dtype:
        return f"`{name}` has dtype {got.dtype}; expected {expected.dtype}."
    bad = ~np.isfinite(got)
    if bad.any() and np.isfinite(expected).all():
        where = f" at {_where(bad)}" if got.ndim else ""
        return f"`{name}` is {got[bad][0]}{where}; it should be a finite number."
    with np.errstate(invalid="ignore"):
        close = np.abs(got - expected) <= ABSOLUTE_TOLERANCE + tolerance
        wrong = ~(close | (got == expected) | (np.isnan(got) & np.isnan(expected)))
    if not wrong.any():
        return None
    got_value, expected_value = got[wrong][0], expected[wrong][0]
    numbers = f"{got_value:.6g}", f"{expected_value:.6g}"
    if numbers[0] == numbers[1]:
        numbers = f"{got_value:.17g}", f"{expected_value:.17g}"
    if expected.ndim == 0:
        return f"`{name}` is {numbers[0]}; expected {numbers[1]}."
    count = int(wrong.sum())
    extent = f"all {count}" if count == wrong.size else f"{count} of {wrong.size}"
    return (
        f"`{name}` differs in {extent} places, first at {_where(wrong)}: "
        f"got {numbers[0]}, expected {numbers[1]}."
    )


def _where(mask: NDArray[np.bool_]) -> str:
    index = np.unravel_index(int(np.argmax(mask)), mask.shape)
    return "[" + ", ".join(str(int(i)) for i in index) + "]"


def _unlikely(name: str, got: NDArray[Any], probability: float) -> str | None:
    """Test a count against a binomial law with Chernoff's bound.

    P(the fraction is as far from `probability`) <= 2 exp(-trials * KL(fraction, probability)),
    for any number of trials (Hoeffding 1963, theorem 1), so a right answer fails with a
    probability below `FALSE_ALARM`.
    """
    events, trials = (float(number) for number in got)
    if trials == 0:
        return f"The {name} cannot be told: there was nothing to count."
    fraction = events / trials
    if trials * _divergence(fraction, probability) <= math.log(2 / FALSE_ALARM):
        return None
    return (
        f"The {name} is {fraction:.4f}, counted over {int(trials)}; expected {probability:.4f}. "
        "Chance does not explain the difference."
    )


def _divergence(fraction: float, probability: float) -> float:
    """Return the Kullback-Leibler divergence of two coins, in nats."""
    total = 0.0
    for p, q in ((fraction, probability), (1 - fraction, 1 - probability)):
        if p > 0:
            if q <= 0:
                return math.inf
            total += p * math.log(p / q)
    return total
