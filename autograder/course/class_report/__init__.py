"""`autograder report`: a class's points, tasks and mistakes, as a page, a table or JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from autograder.course.class_report import changes
from autograder.course.class_report.collect import collect
from autograder.course.class_report.facts import ClassReport, without_names
from autograder.course.class_report.page import html_page
from autograder.course.class_report.tables import csv_table, json_text
from autograder.course.course import Course, CourseError

FORMATS: Mapping[str, Callable[[ClassReport], str]] = {
    "html": html_page,
    "csv": csv_table,
    "json": json_text,
}
"""How to write a report, by the suffix of the file."""


def write_report(
    course: Course,
    names: Sequence[str] | None = None,
    *,
    anonymous: bool = False,
    to: Path | None = None,
    format: str | None = None,
) -> Path:
    """Write a report on a class; return the path of the file.

    It is made from what grading kept, so no notebook runs.  The points are kept in the course, so
    that the next report can tell what has changed.

    Parameters
    ----------
    course
        The course.
    names
        The assignments; all released ones if None.
    anonymous
        Leave out everything that could tell who a student is.
    to
        The file to write; report.html of the course, or report.csv or report.json, if None.
    format
        One of `FORMATS`; what the suffix of the file says if None.

    Raises
    ------
    CourseError
        When there is nothing to report, or the file cannot be written.
    """
    if format is None:
        format = to.suffix.removeprefix(".").lower() if to else "html"
    if format not in FORMATS:
        raise CourseError(
            f"No report can be written as {format or 'a file without a suffix'!r}: give the file "
            f"the suffix .html, .csv or .json, or choose one with --format."
        )
    target = (to or course.root / f"report.{format}").absolute()
    collected = collect(course, names)
    report = without_names(collected.report) if anonymous else collected.report
    try:
        target.write_text(FORMATS[format](report), encoding="utf-8", newline="")
        changes.write(course.root, report.made, collected.points)
    except OSError as error:
        raise CourseError(f"The report cannot be written: {error}.") from None
    return target
