"""Compare observations with the reference and award points.  Never runs student code.

Never raises: any arrays yield a report, in bounded time.
"""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autograder.judging.diagnosis import CarriedForward, Diagnosis, diagnose, narrow
from autograder.judging.fingerprint import Probes, probe_cases
from autograder.judging.observed import LEAVES_ARGUMENTS, TaskResult, arrays_in
from autograder.judging.report import Finding, Report
from autograder.judging.trial import Failure, Trials
from autograder.judging.wording import explain
from autograder.task import Aspect, Case, Expected, Requirement, Task

_MAX_NAMES = 20


def judge(
    task: Task,
    cases: Sequence[Case],
    result: TaskResult,
    probe: Callable[[], TaskResult | None] = lambda: None,
    *,
    named: bool = False,
) -> Report:
    """Judge what a student's functions returned.

    An aspect earns its points when every output it covers agrees with the reference in shape,
    dtype, finiteness and value; one of shares earns the share of those that do.  Each broken
    requirement, and changing an argument in place, costs a quarter of the task's points.  The
    known mistakes are computed only when something is wrong.

    Parameters
    ----------
    task
        The task.
    cases
        The cases that were tried.
    result
        What the student's functions returned.
    probe
        Returns what they return in `probe_cases`, or None if that is not known.  It is called only
        when something is wrong.  Words depend on it, but points never do.
    named
        Whether to name the outputs that are wrong where each earns a share, and not only describe
        them.
    """
    with _one_thread(), np.errstate(all="ignore"):
        trials = Trials(task, cases, result)
        failures = [trials.first_failure(aspect) for aspect in task.aspects]
        findings = [_right(aspect) for aspect in task.aspects]
        numbers: tuple[float, ...] = ()
        if any(failures):
            probed = probe()
            if probed is None:
                probes = None
            elif probed is result:
                probes = Probes.of(trials)
            else:
                probes = Probes.of(Trials(task, probe_cases(task), probed))
            diagnosis = diagnose(trials, probes)
            findings = [
                finding
                if failure is None
                else _wrong(
                    aspect, failure, narrow(diagnosis, trials, probes, aspect), trials, named
                )
                for aspect, finding, failure in zip(task.aspects, findings, failures, strict=True)
            ]
            # Answers that return nothing have nothing in common.
            if probes is not None and any(trial.answered for trial in probes.trials):
                numbers = tuple(probes.numbers.tolist())
        broken = [
            (one, trials.raised_instead_of(one))
            for one in task.requirements
            if not trials.meet(one)
        ]
    changed = _changed_arguments(cases, result)
    earned = sum(finding.points for finding in findings)
    findings += _deductions(task, broken, changed, earned)
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


def _wrong(
    aspect: Aspect, failure: Failure, diagnosis: Diagnosis, trials: Trials, named: bool
) -> Finding:
    explanation = explain(diagnosis, trials, aspect)
    earned = 0.0
    if isinstance(diagnosis, CarriedForward):
        # Error carried forward: right for what the student's own forward pass computes.
        earned = _quarters(aspect.points / 2)
    elif aspect.by_share:
        earned = _quarters(aspect.points * trials.share_of(aspect))
        failure = trials.each_failure(aspect, named)
    return Finding(
        aspect.name,
        False,
        "\n".join([*explanation.lines, failure.text]),
        explanation.mistake,
        earned,
        aspect.points,
        explanation.links,
        failure.places,
    )


def _changed_arguments(cases: Sequence[Case], result: TaskResult) -> list[str]:
    """Return the names of the arguments that are not what they were before the call."""
    changed = []
    for case, observed in zip(cases, result.cases, strict=True):
        if observed.arguments is None:
            continue
        before, after = dict(arrays_in(case.inputs)), observed.arguments
        changed += [
            # A student knows a list by its own name.
            re.sub(r"(\[\d+\])+$", "", name)
            for name in {**before, **after}
            if name not in before
            or name not in after
            or before[name].dtype != after[name].dtype
            or not np.array_equal(before[name], after[name])
        ]
    return list(dict.fromkeys(changed))


def _deductions(
    task: Task, broken: Sequence[tuple[Requirement, str]], changed: Sequence[str], earned: float
) -> list[Finding]:
    """Return a finding for each thing that costs points; together they cost at most `earned`."""
    findings = [
        Finding(
            one.name,
            False,
            "\n".join(filter(None, (one.explanation, instead))),
            one.id,
            links=(task.place_of(one.id),),
        )
        for one, instead in broken
    ]
    if changed:
        names = ", ".join(f"`{name}`" for name in changed[:_MAX_NAMES])
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
