"""Publish the solutions of an assignment after its deadline.

They are published as long as `solutions/NAME.ipynb` is in the root of the course.  Feedback pages
then show each solution below the student's own answer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import nbformat
from nbgrader.api import MissingEntry

from autograder.course import late
from autograder.course.course import Course, CourseError
from autograder.course.scores import require_released
from autograder.intake.exercise import SourceError, source_notebook, write
from autograder.intake.solved import Solution, solutions, solved_notebook

FOLDER = "solutions"


def publish(course: Course, assignment: str, *, early: bool = False) -> Path:
    """Write the notebook with the solutions, and return where it is.

    Parameters
    ----------
    course, assignment
        The assignment.
    early
        Publish although it can still be handed in.

    Raises
    ------
    CourseError
        When the assignment is not released or can still be handed in.
    """
    require_released(course, [assignment])
    if not early:
        _require_over(course, assignment)
    try:
        notebook = solved_notebook(
            source_notebook(course.exercises / assignment / f"{assignment}.py")
        )
    except (SourceError, OSError) as error:
        raise CourseError(str(error)) from None
    file = _file(course.root, assignment)
    write(notebook, file)
    return file


def withdraw(course: Course, assignment: str) -> None:
    """Delete the notebook with the solutions.

    Raises
    ------
    CourseError
        When it is not there.
    """
    try:
        _file(course.root, assignment).unlink()
    except FileNotFoundError:
        raise CourseError(f"The solutions of {assignment!r} are not published.") from None


def published(root: Path, assignment: str) -> Mapping[str, Solution]:
    """Return the published solutions of an assignment, by task."""
    with suppress(FileNotFoundError):
        return solutions(nbformat.read(_file(root, assignment), as_version=4))
    return {}


def state(root: Path, assignment: str) -> str:
    """Return a hash of the published solutions; empty if there are none."""
    with suppress(FileNotFoundError):
        return hashlib.sha256(_file(root, assignment).read_bytes()).hexdigest()
    return ""


def _require_over(course: Course, assignment: str) -> None:
    """Make sure that the due date and all extensions are over."""
    try:
        dates = late.read(course.root) or late.Dates()
    except late.DatesError as error:
        raise CourseError(str(error)) from None
    with course.api.gradebook as gradebook, suppress(MissingEntry):
        found = gradebook.find_assignment(assignment).duedate
    due = dates.due.get(assignment, found)
    if due is None:
        return
    last = max([due, *dates.extensions.get(assignment, {}).values()])
    if last > datetime.now(UTC).replace(tzinfo=None):
        raise CourseError(
            f"{assignment} can still be handed in until {late.shown(last, dates.zone)}: publish "
            "the solutions after that, or with --early."
        )


def _file(root: Path, assignment: str) -> Path:
    return root / FOLDER / f"{assignment}.ipynb"
