"""The commands `collect`, `return` and `bundle`; importing this is quick."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console


class To(Enum):
    """Where grades go back to."""

    CANVAS = "canvas"
    MOODLE = "moodle"
    GRADESCOPE = "gradescope"
    CLASSROOM50 = "classroom50"
    CSV = "csv"


class Where(Enum):
    """Where a bundle grades."""

    GRADESCOPE = "gradescope"
    CLASSROOM50 = "classroom50"


class Visibility(Enum):
    """When students see results on Gradescope."""

    VISIBLE = "visible"
    HIDDEN = "hidden"
    AFTER_DUE_DATE = "after_due_date"
    AFTER_PUBLISHED = "after_published"


def collect(
    downloads: Annotated[
        list[Path],
        typer.Argument(metavar="DOWNLOAD", help="Archives or folders, as the platform gives them."),
    ],
    roster: Annotated[
        Path | None,
        typer.Option(help="A CSV file of the class: says who is missing, and joins ids."),
    ] = None,
    assignment: Annotated[
        str | None,
        typer.Option("--in", help="The assignment; found out from the notebooks if not given."),
    ] = None,
) -> None:
    """Put what a class handed in on a platform into the course's submitted/STUDENT/ASSIGNMENT.

    Recognizes downloads of Canvas, Moodle, Gradescope, GitHub Classroom and Classroom 50, and
    plain folders.  A notebook may have any name or be in an archive: its cells say which
    assignment it is of.  Run it again with every new download: the newest notebook of each
    student counts.  The download is kept in the course's downloads/, with a list of whose each
    file is.  Exit status 1 if something was set aside.
    """
    from autograder.course.course import Course, CourseError
    from autograder.platforms import roster as rosters
    from autograder.platforms import show
    from autograder.platforms.collect import collect as collect_all
    from autograder.platforms.sheet import SheetError

    course = Course.nearest(Path.cwd())
    try:
        people = rosters.read(roster) if roster else None
        found = collect_all(course, downloads, people, assignment)
    except SheetError as error:
        raise CourseError(str(error)) from None
    console = Console()
    for line in show.sources(found):
        console.print(show.text(line, 200))
    show.collected(found, console)
    # soft_wrap: whoever reads a log looks for one line.
    console.print(f"{show.sentence(found)}", soft_wrap=True, highlight=False)
    if any(entry.outcome == "set aside" for entry in found.entries):
        raise typer.Exit(1)


def give_back(
    to: Annotated[To, typer.Option(help="The platform, or csv for a table.")],
    sheet: Annotated[
        Path | None,
        typer.Argument(metavar="SHEET", help="The sheet of grades that the platform exports."),
    ] = None,
    assignment: Annotated[
        str | None,
        typer.Option("--in", help="The assignment; all that are in the sheet if not given."),
    ] = None,
    column: Annotated[
        str | None, typer.Option(help="The title of the column, if it has no other sign.")
    ] = None,
) -> None:
    """Write grades into a platform's own sheet, and pack feedback pages as it takes them back.

    Everything is written to the course's returned/PLATFORM; the sheet that you give is not
    changed.  In the copy, only cells of grades change.  A cell stays as it is if nothing was handed
    in, if the work is not graded, and if the student is excused.  Exit status 1 if somebody's
    grade or page does not go back.
    """
    from autograder.course.course import Course, CourseError
    from autograder.platforms import show
    from autograder.platforms.download import PLATFORMS
    from autograder.platforms.give_back import give_back as give_all_back
    from autograder.platforms.sheet import SheetError

    course = Course.nearest(Path.cwd())
    try:
        done = give_all_back(course, PLATFORMS[to.value], sheet, assignment, column)
    except SheetError as error:
        raise CourseError(str(error)) from None
    console = Console()
    show.returned(done, console)
    for path in done.files:
        console.print(f"To upload: {path}", soft_wrap=True, highlight=False, markup=False)
    console.print(f"{done.grades} grades, {done.pages} feedback pages", highlight=False)
    if done.incomplete:
        raise typer.Exit(1)


def bundle(
    platform: Annotated[Where, typer.Argument(help="Where submissions are graded.")],
    assignment: Annotated[str, typer.Argument(help="The assignment.")],
    output: Annotated[
        Path | None,
        typer.Option(help="File to write; one in the course's bundles/ if not given."),
    ] = None,
    visibility: Annotated[
        Visibility, typer.Option(help="When students see results; for Gradescope only.")
    ] = Visibility.VISIBLE,
    index: Annotated[
        str,
        typer.Option(
            help="The address of one more package index, such as that of PyTorch's builds for "
            "processors; without it, pip takes the build for graphics cards, which is large.",
        ),
    ] = "",
) -> None:
    """Pack what grades one assignment on Gradescope or in Classroom 50.

    The zip file holds this package, the versions of what it needs as they are installed here, and
    the released notebook.  Make it again when the exercise, the settings or this package change.
    """
    from autograder.course.course import Course
    from autograder.platforms.bundle import bundle as make

    course = Course.nearest(Path.cwd())
    path = make(course, platform.value, assignment, visibility.value, index, output)
    print_line = Console(soft_wrap=True, highlight=False).print
    print_line(f"To upload: {path}", markup=False)
    if platform is Where.GRADESCOPE:
        print_line("It holds a key that tells the inputs of the checks: keep it from students.")
    else:
        print_line("Unpack it into the folder of the classroom; it holds no secret.")
