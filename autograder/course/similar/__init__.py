"""`autograder similar`: whose code is alike, as a table and a page; importing this is quick."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

SHOWN = 20
"""How many pairs the terminal shows."""


def similar(
    assignment: Annotated[str, typer.Argument(help="The assignment.")],
    least: Annotated[
        float,
        typer.Option(min=0, max=1, help="The least share of the smaller answer that both have."),
    ] = 0.8,
    output: Annotated[
        Path | None, typer.Option(help="File to write; the course's similar.html if not given.")
    ] = None,
) -> None:
    """Find submissions that are alike beyond what was handed out and what much of the class writes.

    Renamed variables, other comments and moved lines change nothing.  Nothing runs.  What is alike
    is a reason to talk with both students, and never a verdict.  Exit status 1 if a submission
    cannot be read.
    """
    from autograder.course.class_report.page import percent
    from autograder.course.course import Course, CourseError
    from autograder.course.sanitize import printed
    from autograder.course.similar.compare import compare
    from autograder.course.similar.page import html_page

    course, console = Course.nearest(Path.cwd()), Console(soft_wrap=True)
    found = compare(course, assignment, least)
    target = (output or course.root / "similar.html").absolute()
    try:
        target.write_text(html_page(found), encoding="utf-8")
    except OSError as error:
        raise CourseError(f"The page cannot be written: {error}.") from None
    if found.pairs:
        table = Table("student", "student", "alike", "in these tasks", box=None)
        for pair in found.pairs[:SHOWN]:
            tasks = ", ".join(f"{one.task} {percent(one.share)}" for one in pair.tasks)
            names = (Text(printed(student)) for student in pair.students)
            table.add_row(*names, percent(pair.share), tasks)
        console.print(table)
    if (more := len(found.pairs) - SHOWN) > 0:
        console.print(f"and {more} more")
    for student, why in found.unreadable.items():
        console.print(printed(f"{student} is left out: {why}"), markup=False, style="red")
    console.print(f"{found.sentence}\nSide by side: {target}", markup=False, highlight=False)
    if found.unreadable:
        raise typer.Exit(1)
