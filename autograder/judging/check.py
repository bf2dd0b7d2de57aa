"""Observe and judge in the same process, that of the student's notebook."""

from __future__ import annotations

import contextlib
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import FunctionType
from typing import Any, overload

import numpy as np

from autograder.judging import libraries, limits
from autograder.judging.fingerprint import PUBLIC_SEED, probe_cases
from autograder.judging.judge import judge
from autograder.judging.observe import observe, with_the_students_lines
from autograder.judging.observed import TaskResult
from autograder.judging.replay import seed_of
from autograder.judging.report import Finding, Report
from autograder.judging.wall import kept_out
from autograder.task import Case, Task
from autograder.tasks import tasks

GRADING_SEED = 20140614
"""The seed of the cases under stock nbgrader: different from the notebook's, but not secret."""


_tries: Counter[str] = Counter()
"""How often a function was checked in this kernel and earned some of its points, but not all."""

NAMED_AT_TRY = 3
"""The try at which a check names the impostors that got away; before, it gives riddles."""


def grade(name: str, functions: Mapping[str, Any], seed: int, *, named: bool = False) -> Report:
    """Grade one task in this process.

    Parameters
    ----------
    name
        Name of the task.
    functions
        The student's functions by name, including those in `Task.depends_on`.
    seed
        Seeds the cases.
    named
        As for `judge`.

    Raises
    ------
    KeyError
        When there is no task of that name.
    KeyboardInterrupt
        When somebody interrupts the student's code; the message says where it was.
    """
    task = tasks[name]
    cases = _cases(task, seed)
    result = _observed(task, functions, cases)
    if result is None:
        return limits.refused(task, limits.not_judged(limits.too_slow(limits.SECONDS)))

    def probe() -> TaskResult | None:
        return result if seed == PUBLIC_SEED else _observed(task, functions, probe_cases(task))

    return judge(task, cases, result, probe, named=named)


def _cases(task: Task, seed: int) -> list[Case]:
    if seed == PUBLIC_SEED:
        return probe_cases(task)
    return task.draw(np.random.default_rng(seed))


def _observed(task: Task, functions: Mapping[str, Any], cases: Sequence[Case]) -> TaskResult | None:
    """Return what a student's functions do; None if they take longer than grading allows."""
    with _modules_kept(), kept_out(task.forbidden):
        start = _processor_time()
        try:
            result = observe(task, functions, cases)
        except KeyboardInterrupt as interrupt:
            raise InterruptedCheckError(_processor_time() - start, interrupt) from None
        return result if _processor_time() - start <= limits.SECONDS else None


@contextlib.contextmanager
def _modules_kept() -> Iterator[None]:
    """Undo what answers take away from the modules, so that there is a report and no traceback."""
    modules, finders = dict(sys.modules), list(sys.meta_path)
    try:
        yield
    finally:
        sys.modules.update(modules)
        sys.meta_path[:] = finders


def _processor_time() -> float:
    """Return the seconds that this process and its children have used."""
    return sum(os.times()[:4])


@overload
def check(function: Callable[..., Any], *, replay: str = "") -> Report: ...


@overload
def check(function: Callable[..., Any], *, case: str, replay: str = "") -> dict[str, Any]: ...


def check(
    function: Callable[..., Any], *, case: str = "", replay: str = ""
) -> Report | dict[str, Any]:
    """Check one of your functions or classes and say what is right, what is wrong and why.

    Functions that belong to it, such as the forward pass of a backward pass, are taken from the
    module that defines it.

    Stock nbgrader gets the form that it reads.  While it grades, that is a number of points, on
    other inputs than in the notebook; while it validates, it is an exception.

    Parameters
    ----------
    function
        Your function or class.
    case
        The name of a case in a report: return its inputs, to be played with, and check nothing.
    replay
        The code on a feedback page: meet the inputs on which the answer was graded.

    Raises
    ------
    TypeError
        When `function` is not one of the course's functions, or there is no such case or code.
    """
    name = name_of(function, "check")
    execution = os.environ.get("NBGRADER_EXECUTION")
    seed = GRADING_SEED if execution == "autograde" else PUBLIC_SEED
    if replay:
        seed = _seed_of(replay)
    if case:
        return _inputs_of(name, case, seed)
    # A replay may meet impostors that are kept for grading.
    named = not replay and _tries[name] >= NAMED_AT_TRY - 1
    report = grade(name, {**_defined_beside(function), name: function}, seed, named=named)
    if 0 < report.points < report.max_points:
        _tries[name] += 1
    if absent := libraries.lacking(libraries.used_by(function)):
        message = libraries.do_without(absent)
        # Where one is missing here too, the exception says so.
        if not any(message in finding.message for finding in report.findings):
            finding = Finding("uses what grading has", False, message)
            report = replace(report, findings=(*report.findings, finding))
    if execution == "autograde":
        return _Points(report.task, report.findings, report.printed)
    if execution == "validate" and not report.passed:
        raise _NotPassedError(str(report))
    return report


def _seed_of(code: str) -> int:
    try:
        return seed_of(code)
    except (ValueError, AttributeError):
        raise WrongCallError(
            f"{code!r} is no code of a feedback page. Copy the whole call from below the report."
        ) from None


def _inputs_of(name: str, case: str, seed: int) -> dict[str, Any]:
    """Return the inputs of a case, new each time."""
    cases = {one.name: one for one in _cases(tasks[name], seed)}
    if case not in cases:
        known = ", ".join(f"“{one}”" for one in cases)
        raise WrongCallError(f"{name} has no case {case!r}. Its cases are {known}.")
    return dict(cases[case].inputs)


def name_of(function: object, caller: str) -> str:
    """Return the name of the task that a function or class answers.

    Parameters
    ----------
    function
        What a student passed.
    caller
        The function it was passed to, for the message.

    Raises
    ------
    WrongCallError
        When `function` is not one of the course's functions or classes.
    """
    if not isinstance(function, type | FunctionType):
        raise WrongCallError(
            f"{caller}() was given something of the type {type(function).__name__}. Pass it your "
            f"function or class itself, as in {caller}(dropout_forward), without quotes and "
            "without calling it."
        )
    if function.__name__ not in tasks:
        raise WrongCallError.unknown(function.__name__, caller)
    return function.__name__


def _defined_beside(function: Callable[..., Any]) -> dict[str, Any]:
    if isinstance(function, type):
        module = sys.modules.get(function.__module__)
        return vars(module) if module else {}
    return getattr(function, "__globals__", {})


class _Points(Report):
    """A report whose plain text is the number that nbgrader reads as partial credit."""

    def __repr__(self) -> str:
        return str(self.points)


class _Short:
    """Makes IPython show only the message of an exception, without a traceback."""

    def _render_traceback_(self) -> list[str]:
        return [str(self)]


class WrongCallError(_Short, TypeError):
    """A student passed something other than an answer; the message says what to pass."""

    @classmethod
    def unknown(cls, name: str, caller: str) -> WrongCallError:
        """Return the exception for a name that no task has."""
        return cls(
            f"{caller}() does not know `{name}`. Keep the name that the exercise gives: "
            f"{', '.join(tasks)}."
        )


class InterruptedCheckError(_Short, KeyboardInterrupt):
    """A student interrupted a check; the message says where it was."""

    def __init__(self, seconds: float, interrupt: KeyboardInterrupt) -> None:
        super().__init__(
            with_the_students_lines(
                f"Interrupted after {seconds:.0f} seconds of processor time; grading stops a task "
                f"after {limits.SECONDS:g}.",
                interrupt,
            )
        )


class _NotPassedError(_Short, AssertionError):
    pass
