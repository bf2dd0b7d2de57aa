"""Observe and judge side by side, in the process of the student's own notebook."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from types import FunctionType
from typing import Any

import numpy as np

from autograder.judge import judge
from autograder.observe import observe
from autograder.report import Report
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
        The student's functions by name, companions included.
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
    if not isinstance(function, type | FunctionType):
        raise _WrongCall(
            f"check() was given a {type(function).__name__}. Pass it one of your functions or "
            "classes by its name, as in check(dropout_forward), without calling it."
        )
    name = function.__name__
    if name not in tasks:
        raise _WrongCall(
            f"check() does not know `{name}`. Keep the name that the exercise gives: "
            f"{', '.join(tasks)}."
        )
    execution = os.environ.get("NBGRADER_EXECUTION")
    seed = GRADING_SEED if execution == "autograde" else PUBLIC_SEED
    report = grade(name, {**_defined_beside(function), name: function}, seed)
    if execution == "autograde":
        return _Points(report.task, report.findings, report.printed)
    if execution == "validate" and not report.passed:
        raise _NotPassed(str(report))
    return report


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


class _WrongCall(_Short, TypeError):
    pass


class _NotPassed(_Short, AssertionError):
    pass
