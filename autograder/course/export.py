"""Write the grades of a course to a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nbgrader.plugins import CsvExportPlugin

from autograder.course.course import Course, CourseError, check_names
from autograder.course.scores import released


def export(course: Course, names: Sequence[str] | None = None, to: Path | None = None) -> Path:
    """Write the grades in nbgrader's CSV format; return the path of the file.

    Parameters
    ----------
    course
        The course.
    names
        The assignments; all if None.
    to
        The file to write; grades.csv of the course if None.

    Raises
    ------
    CourseError
        When nothing is released, or the folder of the file does not exist.
    """
    known = released(course)
    if not known:
        raise CourseError("There are no grades yet: run `autograder release` and `grade` first.")
    check_names(names, known, "released are")
    target = (to or course.root / "grades.csv").absolute()
    if not target.parent.is_dir():
        raise CourseError(f"There is no folder {target.parent}.")
    plugin = CsvExportPlugin(parent=course.api)
    plugin.to = str(target)
    plugin.assignment = list(names or [])
    with course.api.gradebook as gradebook:
        plugin.export(gradebook)
    return target
