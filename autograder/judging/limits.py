"""How long an answer may take when it is graded, and what is said of one that is not judged.

In a student's notebook nothing is stopped.  The time is measured, and the answer is told the same.
"""

from __future__ import annotations

from autograder.judging.report import Finding, Report
from autograder.task import Task

SECONDS = 30.0
"""Processor time for each cell and each task, unless a course sets another limit."""

ENDED = "It ended its process: it crashed, exited or used more memory than allowed."


def too_slow(seconds: float) -> str:
    """Return what is said of code that used more processor time than this."""
    return f"It used more than {seconds:g} seconds of processor time."


def not_finished(seconds: float) -> str:
    """Return what is said of code that was still at work after this time."""
    return f"It did not finish within {seconds:g} seconds."


def notebook_too_slow(seconds: float) -> str:
    """Return what is said when all cells and tasks together took more time than this."""
    return f"The notebook took more than {seconds:g} seconds in all."


def not_judged(reason: str) -> str:
    """Return what is said of a task whose code did not come to an end, or took too long."""
    return f"Your code was not judged. {reason}"


def refused(task: Task, reason: str) -> Report:
    """Return the report of a task that could not be tried; the student reads the reason."""
    return Report(
        task.name, (Finding("all of it", False, reason, max_points=float(task.max_points)),)
    )
