"""The `autograder` command: release, grade and export a course that nbgrader keeps."""

from __future__ import annotations

import atexit
import gc
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

try:
    import typer
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text
except ImportError as error:
    raise SystemExit(f"autograder: {error}; run pip install '.[grading]' first.") from None

if TYPE_CHECKING:
    from autograder.course.course import Course, Result

# autograder.course.course brings nbgrader, which takes seconds; --help and wrong usage do without.

app = typer.Typer(
    name="autograder",
    help="Release, grade and export the assignments of a course.\n\n"
    "Acts on the course whose nbgrader_config.py is in this folder or nearest above it. "
    "Exit status: 0 done, 1 something was not graded, 2 wrong usage.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)


class Isolation(Enum):
    """What `--sandbox` takes."""

    bubblewrap = "bubblewrap"
    none = "none"


# At its end Python would look at a million objects, which the system takes back anyway.
atexit.register(gc.freeze)

# Fewer than this are graded sooner than workers start.
_FEW = 10
_ODD_NAME = "the folder's name can have only letters, digits and . _ @ + -; rename it"

console = Console(soft_wrap=True)
errors = Console(soft_wrap=True, stderr=True)

Assignments = Annotated[
    list[str] | None,
    typer.Argument(metavar="[ASSIGNMENT]...", help="Only these; all if none is named."),
]


@app.command("release")
def release_command(assignments: Assignments = None) -> None:
    """Make the students' notebooks and enter the assignments into the gradebook.

    Writes source/NAME/NAME.ipynb of the course from exercises/NAME/NAME.py and runs nbgrader's
    generate_assignment.  What has not changed is left alone; cells are never added or removed
    once there are submissions.
    """
    with _course() as course:
        release(course, assignments or None)


@app.command("grade")
def grade_command(
    assignments: Assignments = None,
    force: Annotated[
        bool, typer.Option("--force", help="Grade again what has been graded already.")
    ] = False,
    feedback: Annotated[bool, typer.Option(help="Make the feedback pages as well.")] = True,
    jobs: Annotated[
        int, typer.Option("--jobs", "-j", min=1, help="How many submissions at a time.")
    ] = os.cpu_count() or 1,
    scheduler: Annotated[
        str | None,
        typer.Option(help="A Dask scheduler, as in tcp://grader:8786, to run submissions with."),
    ] = None,
    sandbox: Annotated[
        Isolation | None,
        typer.Option(
            help="Where students' code runs; 'none' lets it do all that you may do. "
            "What nbgrader_config.py says if not given."
        ),
    ] = None,
) -> None:
    """Grade what is in submitted/STUDENT/ASSIGNMENT of the course.

    A submission that was graded and has not changed since is skipped.  One that cannot be graded
    does not stop the others; it loses the points of an earlier version, and the reason is shown
    at the end.
    """
    with _course() as course:
        course = replace(course, sandbox=sandbox.value if sandbox else None)
        failed = grade(
            course,
            assignments or None,
            force=force,
            feedback=feedback,
            jobs=jobs,
            scheduler=scheduler,
        )
    if failed:
        raise typer.Exit(1)


@app.command("export")
def export_command(
    assignments: Assignments = None,
    to: Annotated[
        Path | None, typer.Option(help="File to write; grades.csv of the course if not given.")
    ] = None,
) -> None:
    """Write all grades to a CSV file, as `nbgrader export` does."""
    with _course() as course:
        console.print(f"Grades are in {export(course, assignments or None, to)}", markup=False)


@app.command("validate")
def validate_command(
    seeds: Annotated[
        int, typer.Option(min=1, help="How often the cases of each task are drawn.")
    ] = 5,
) -> None:
    """Grade the grader; needs no course.

    For every task: the right answer earns all points, the exercise as it is handed out none, and
    every known mistake loses points and is named as itself and as nothing else.  Every place that
    a finding points to is in the book.
    """
    from autograder.validate import show, validate_all

    if not show(validate_all(seeds), console):
        raise typer.Exit(1)


def release(course: Course, names: Sequence[str] | None = None) -> None:
    """Release some or all exercises, saying what was done.

    Raises
    ------
    CourseError
        When one of them cannot be released.
    """
    from autograder.course.course import CourseError
    from autograder.intake.exercise import sources

    found = {path.stem: path for path in sources(course.exercises)}
    _check_names(names, found, f"{course.exercises} has")
    if not found:
        raise CourseError(f"{course.exercises} has no exercises.")
    for name in names or found:
        console.print(f"{name}: {course.release(found[name])}", markup=False)


def grade(
    course: Course,
    names: Sequence[str] | None = None,
    *,
    force: bool = False,
    feedback: bool = True,
    jobs: int = 1,
    scheduler: str | None = None,
) -> list[Result]:
    """Grade some or all assignments, showing progress; return what was not graded.

    Parameters
    ----------
    course
        Where.
    names
        Assignments; all that were released if None.
    force
        Grade again what has not changed.
    feedback
        Make feedback pages too.
    jobs
        How many processes run submissions.
    scheduler
        The address of a Dask scheduler whose workers run them instead.
    """
    from autograder.course.course import LOG, CourseError, Result
    from autograder.intake.archives import PLAIN_NAME

    released = course.released()
    if not released:
        raise CourseError("Nothing is released yet: run `autograder release` first.")
    _check_names(names, released, "released are")
    todo, odd, skipped = [], [], 0
    for name in names or released:
        graded = course.points(name)
        for student in course.submissions(name):
            if not PLAIN_NAME.fullmatch(student):
                # It would stand on nbgrader's pages as it is.
                odd.append(Result(name, ascii(student), problem=_ODD_NAME))
                continue
            if not force and student in graded and course.is_up_to_date(name, student):
                skipped += 1
            else:
                todo.append((name, student))
            if force:
                course.forget_result(name, student)
    course.add_students({student for _, student in todo})
    results = []
    with _progress(len(todo)) as advance:
        for result in _graded(course, todo, feedback, jobs, scheduler):
            course.keep_log(f"--- {result.assignment} {result.student}\n{result.log}")
            # A class's logs would fill the memory.
            results.append(replace(result, log=""))
            advance(result)
    order = {pair: number for number, pair in enumerate(todo)}
    results.sort(key=lambda result: order[result.assignment, result.student])
    results += odd
    failed = [result for result in results if result.problem]
    not_graded = sum(result.points is None for result in results)
    summary = f"{len(results) - not_graded} graded, {skipped} unchanged, {not_graded} not graded"
    console.print(summary if todo or skipped else "Nothing has been submitted.", markup=False)
    if results and feedback:
        console.print(f"Feedback is in {course.root / 'feedback'}", markup=False)
    elif results:
        console.print("Feedback: run `nbgrader generate_feedback ASSIGNMENT`.", markup=False)
    shown = console.is_terminal and errors.is_terminal
    for result in odd if shown else failed:
        errors.print(_problem(result), markup=False, style="red")
    if failed:
        errors.print(f"What nbgrader said about them is in {course.root / LOG}", markup=False)
    return failed


def export(course: Course, names: Sequence[str] | None = None, to: Path | None = None) -> Path:
    """Write the grades as nbgrader's CSV; return the file."""
    from nbgrader.plugins import CsvExportPlugin

    from autograder.course.course import CourseError

    released = course.released()
    if not released:
        raise CourseError("There are no grades yet: run `autograder release` and `grade` first.")
    _check_names(names, released, "released are")
    target = (to or course.root / "grades.csv").absolute()
    if not target.parent.is_dir():
        raise CourseError(f"There is no folder {target.parent}.")
    plugin = CsvExportPlugin(parent=course.api)
    plugin.to = str(target)
    plugin.assignment = list(names or [])
    with course.api.gradebook as gradebook:
        plugin.export(gradebook)
    return target


def _graded(
    course: Course,
    todo: Sequence[tuple[str, str]],
    feedback: bool,
    jobs: int,
    scheduler: str | None,
) -> Iterator[Result]:
    """Grade submissions and yield what became of them as they are done."""
    missing = [pair for pair in todo if not course.has_result(*pair)]
    if scheduler is None and missing:
        course.check_course_hidden()
        if jobs < 2 or len(missing) < _FEW:
            course.check_sandbox()
            missing = []
    elsewhere = set(missing)
    for pair in todo:
        if pair not in elsewhere:
            yield course.grade(*pair, feedback)
    if not missing:
        return
    # Imported here because it takes a second and few submissions do without.
    from autograder.course.course import CourseError
    from autograder.grading import cluster
    from autograder.sandbox import SandboxUnavailableError

    work = ((pair, course.job(*pair)) for pair in missing)
    try:
        for pair, job, outcome in cluster.run(work, jobs, scheduler):
            if isinstance(outcome, cluster.SetAsideError):
                yield course.set_aside(*pair, str(outcome))
            else:
                course.keep_result(job, outcome)
                yield course.grade(*pair, feedback)
    except (cluster.ClusterUnavailableError, SandboxUnavailableError) as error:
        raise CourseError(str(error)) from None


@contextmanager
def _progress(total: int) -> Iterator[Callable[[Result], None]]:
    """Show a bar and what goes wrong on a terminal, a line for each submission elsewhere."""

    def line(result: Result) -> str:
        grade = "not graded"
        if result.points is not None:
            grade = f"{result.points:g} of {result.max_points:g}"
        return f"{result.assignment} of {result.student}: {grade} ({result.seconds:.1f} s)"

    if not console.is_terminal or not total:
        yield lambda result: console.print(line(result), markup=False)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        _Rate(),
        TimeElapsedColumn(),
        TimeRemainingColumn(compact=True),
        TextColumn("[red]{task.fields[wrong]}"),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("Grading", total=total, wrong="")
        wrong = 0

        def advance(result: Result) -> None:
            nonlocal wrong
            if result.problem:
                wrong += 1
                progress.console.print(_problem(result), style="red", markup=False)
                progress.update(task, wrong=f"{wrong} went wrong")
            progress.advance(task)

        yield advance


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        """Return how many submissions are graded in a minute, once that is known."""
        return Text(f"{60 * task.speed:.0f} a minute" if task.speed else "")


def _problem(result: Result) -> str:
    return f"{result.assignment} of {result.student}: {result.problem}"


@contextmanager
def _course() -> Iterator[Course]:
    """Find the course, and turn what has to be put right first into one line and status 2."""
    try:
        from sqlalchemy.exc import OperationalError

        from autograder.course.course import Course, CourseError
    except ImportError as error:
        raise SystemExit(f"autograder: {error}; run pip install '.[grading]' first.") from None
    ignore_third_party_warnings()
    try:
        yield Course.nearest(Path.cwd())
    except CourseError as error:
        errors.print(f"autograder: {error}", markup=False, style="red")
    except OperationalError as error:
        errors.print(
            f"autograder: The gradebook cannot be used: {error.orig}. When it can, run this again; "
            "what has been done is kept.",
            markup=False,
            style="red",
        )
    else:
        return
    raise typer.Exit(2)


def ignore_third_party_warnings() -> None:
    """Silence nbgrader's use of SQLAlchemy, which a teacher can do nothing about."""
    warnings.filterwarnings("ignore", module=r"nbgrader\.")


def _check_names(names: Sequence[str] | None, known: Iterable[str], where: str) -> None:
    from autograder.course.course import CourseError

    for name in names or ():
        if name not in known:
            raise CourseError(f"No assignment {name!r}; {where} {', '.join(known) or 'none'}.")


if __name__ == "__main__":
    app()
