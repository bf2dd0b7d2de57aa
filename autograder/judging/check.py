"""Observe and judge side by side, in the process of the student's own notebook."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from types import FunctionType
from typing import Any

import numpy as np

from autograder.judging.judge import judge
from autograder.judging.observe import observe
from autograder.judging.report import Report
from autograder.tasks import tasks

PUBLIC_SEED = 20150206
"""The seed of the cases in a student's notebook."""

GRADING_SEED = 20140614
"""The seed of the cases that submissions are graded on: other numbers, though no secret."""


def grade(name: str, functions: Mapping[str, Any], seed: int) -> Report:
    """Grade one task in this process.

    Parameters
    ----------
    name
        Name of the task.
    functions
        The student's functions by name, depends_on included.
    seed
        Draws the cases.

    Raises
    ------
    KeyError
        When there is no task of that name.
    """
    task = tasks[name]
    cases = task.draw(np.random.default_rng(seed))
    return judge(task, cases, observe(task, functions, cases))


def check(function: Callable[..., Any]) -> Report:
    """Check one of your functions or classes and say what is right, what is not and why.

    Other functions that belong to it, such as the forward pass of a backward pass, are taken
    from where it was defined.

    Under nbgrader the report takes the form that nbgrader reads: a number of points while a
    submission is graded, on other inputs than in the notebook, and an exception while one is
    validated.

    Raises
    ------
    TypeError
        When `function` is not one of the course's functions.
    """
    name = name_of(function, "check")
    execution = os.environ.get("NBGRADER_EXECUTION")
    seed = GRADING_SEED if execution == "autograde" else PUBLIC_SEED
    report = grade(name, {**_defined_beside(function), name: function}, seed)
    if execution == "autograde":
        return _Points(report.task, report.findings, report.printed)
    if execution == "validate" and not report.passed:
        raise _NotPassedError(str(report))
    return report


def name_of(function: object, caller: str) -> str:
    """Return the name of the task that a function or class answers.

    Parameters
    ----------
    function
        What a student passed.
    caller
        The name of what it was passed to, for the message.

    Raises
    ------
    WrongCallError
        When it is neither a function nor a class, or is not one of the course's.
    """
    if not isinstance(function, type | FunctionType):
        raise WrongCallError(
            f"{caller}() was given a {type(function).__name__}. Pass it one of your functions or "
            f"classes by its name, as in {caller}(dropout_forward), without calling it."
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
    """Makes IPython show the message of an exception and not the way through this package."""

    def _render_traceback_(self) -> list[str]:
        return [str(self)]


class WrongCallError(_Short, TypeError):
    """What a student passed is nothing of the course's; the message says what to pass."""

    @classmethod
    def unknown(cls, name: str, caller: str) -> WrongCallError:
        """Return the exception for a name that no task has."""
        return cls(
            f"{caller}() does not know `{name}`. Keep the name that the exercise gives: "
            f"{', '.join(tasks)}."
        )


class _NotPassedError(_Short, AssertionError):
    pass
