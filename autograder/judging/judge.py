"""Compare observations with the reference and award points.  Never runs student code.

Never raises: any arrays yield a report, in bounded time.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autograder.judging.diagnosis import CarriedForward, Diagnosis, Probes, diagnose, narrow
from autograder.judging.fingerprint import fingerprint, probe_cases
from autograder.judging.observed import LEAVES_ARGUMENTS, TaskResult
from autograder.judging.report import Finding, Report
from autograder.judging.trial import Trials
from autograder.judging.wording import explain
from autograder.task import Aspect, Case, Expected, Task


def judge(
    task: Task, cases: Sequence[Case], result: TaskResult, probed: TaskResult | None = None
) -> Report:
    """Judge what a student's functions returned.

    An aspect earns its points when every output it covers agrees with the reference in shape,
    dtype, finiteness and value.  Each broken requirement, and changing an argument in place,
    costs a quarter of the task's points.  The known mistakes are computed only when something
    is wrong.

    Parameters
    ----------
    task
        The task.
    cases
        The cases that were tried.
    result
        What the student's functions returned.
    probed
        What they returned in the cases of `probe_cases`; only words depend on it, never points.
    """
    with _one_thread(), np.errstate(all="ignore"):
        return _report(Trials(task, cases, result), result, probed)


def try_and_judge(
    task: Task, cases: Sequence[Case], observe: Callable[[Sequence[Case]], TaskResult]
) -> Report:
    """Judge functions that can be run; those that are wrong are run once more, to name why.

    Parameters
    ----------
    task, cases
        As for `judge`.
    observe
        Runs the student's functions on some cases of the task.
    """
    result = observe(cases)
    with _one_thread(), np.errstate(all="ignore"):
        trials = Trials(task, cases, result)
        right = all(trials.agree_on(aspect) for aspect in task.aspects)
        return _report(trials, result, None if right else observe(probe_cases(task)))


def _report(trials: Trials, result: TaskResult, probed: TaskResult | None) -> Report:
    task = trials.task
    failures = [trials.first_failure(aspect) for aspect in task.aspects]
    probes = None
    if any(failures) and probed is not None:
        on_probes = Trials(task, probe_cases(task), probed)
        probes = Probes(on_probes, fingerprint(on_probes))
    diagnosis = diagnose(trials, probes) if any(failures) else None
    findings = [
        _right(aspect)
        if failure is None or diagnosis is None
        else _wrong(aspect, failure, narrow(diagnosis, trials, probes, aspect), trials)
        for aspect, failure in zip(task.aspects, failures, strict=True)
    ]
    findings += _deductions(task, result, earned=sum(finding.points for finding in findings))
    numbers = tuple(probes.numbers.tolist()) if probes else ()
    return Report(task.name, tuple(findings), result.printed, numbers)


@dataclass(frozen=True)
class Difference:
    """An output that is wrong in one case; `got` is None if the output is missing."""

    case: Case
    name: str
    got: NDArray[Any] | None
    expected: Expected


def first_difference(task: Task, cases: Sequence[Case], result: TaskResult) -> Difference | None:
    """Return the first output that costs points, with all its numbers; None if there is none."""
    with _one_thread(), np.errstate(all="ignore"):
        trials = Trials(task, cases, result)
        for aspect in task.aspects:
            for trial, name in trials.looked_at(aspect):
                if not trial.agrees(name):
                    return Difference(trial.case, name, trial.got(name), trial.expected()[name])
    return None


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Limit torch to one thread: on a busy machine, waiting for others outlasts the work."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _right(aspect: Aspect) -> Finding:
    return Finding(aspect.name, True, points=aspect.points, max_points=aspect.points)


def _wrong(aspect: Aspect, failure: str, diagnosis: Diagnosis, trials: Trials) -> Finding:
    explanation = explain(diagnosis, trials, aspect)
    return Finding(
        aspect.name,
        False,
        "\n".join([*explanation.lines, failure]),
        explanation.mistake,
        # Error carried forward: right for what the student's own forward pass computes.
        _quarters(aspect.points / 2) if isinstance(diagnosis, CarriedForward) else 0.0,
        aspect.points,
        explanation.links,
    )


def _deductions(task: Task, result: TaskResult, earned: float) -> list[Finding]:
    """Return a finding for each thing that costs points; together they cost at most `earned`."""
    findings = [
        Finding(one.name, False, one.explanation, one.id, links=(task.place_of(one.id),))
        for one in task.requirements
        if one.id in result.broken
    ]
    if result.mutated:
        names = ", ".join(f"`{name}`" for name in result.mutated)
        findings.append(
            Finding(
                LEAVES_ARGUMENTS,
                False,
                f"Your code changes {names} in place, but the caller still needs the original. "
                "Make a new array or dict, or work on a copy.",
            )
        )
    deductions = []
    for finding in findings:
        cost = min(_quarters(task.max_points / 4), earned)
        earned -= cost
        deductions.append(replace(finding, points=0.0 - cost))
    return deductions


def _quarters(points: float) -> float:
    """Round down to a multiple of a quarter, so that sums of points are exact."""
    return math.floor(points * 4) / 4
