"""The `autograder` command: release, grade, explain and export a course that nbgrader keeps."""

from __future__ import annotations

import atexit
import gc
import os
import warnings
from collections.abc import Iterator, Sequence
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

    from autograder.sandbox.backends import BACKENDS
except ImportError as error:
    raise SystemExit(f"autograder: {error}; run pip install '.[grading]' first.") from None

if TYPE_CHECKING:
    from autograder.course.course import Course
    from autograder.course.grading import Graded, Summary
    from autograder.course.scores import Score

# autograder.course brings nbgrader, which takes seconds; --help and wrong usage do without.

app = typer.Typer(
    name="autograder",
    help="Release, grade, explain and export the assignments of a course.\n\n"
    "Acts on the course whose nbgrader_config.py is in this folder or nearest above it. "
    "Exit status: 0 done, 1 something was not graded, 2 wrong usage.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)

Backends = Enum("Backends", {name: name for name in BACKENDS})  # type: ignore[misc]

# At its end Python would look at a million objects, which the system takes back anyway.
atexit.register(gc.freeze)

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
        from autograder.course.release import release_all

        def report(name: str, done: str) -> None:
            console.print(f"{name}: {done}", markup=False)

        release_all(course, assignments or None, report)


@app.command("grade")
def grade_command(
    assignments: Assignments = None,
    student: Annotated[
        list[str] | None,
        typer.Option("--student", help="Only this student; may be given several times."),
    ] = None,
    force: Annotated[
        bool,
        typer.Option("--force", help="Grade again what has not changed, from the results kept."),
    ] = False,
    rerun: Annotated[
        bool, typer.Option("--rerun", help="Run students' code again, whatever is kept of it.")
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
        Backends | None,
        typer.Option(
            help="Where students' code runs; what nbgrader_config.py says if not given. "
            + " ".join(f"{name}: {backend.promise}" for name, backend in BACKENDS.items())
        ),
    ] = None,
) -> None:
    """Grade what is in submitted/STUDENT/ASSIGNMENT of the course.

    A submission that was graded is skipped unless its file, the grader, the due date, the late
    policy or points given by hand have changed since.  One that cannot be graded does not stop
    the others; it loses the points of an earlier version, and the reason is shown at the end.
    """
    with _course() as course:
        course = replace(course, sandbox=sandbox.value if sandbox else None)
        summary = grade(
            course,
            assignments or None,
            students=student or None,
            force=force,
            rerun=rerun,
            feedback=feedback,
            jobs=jobs,
            scheduler=scheduler,
        )
    if summary.failed:
        raise typer.Exit(1)


@app.command("explain")
def explain_command(
    student: Annotated[str, typer.Argument(help="Whose grade.")],
    assignment: Annotated[str, typer.Argument(help="Of which assignment.")],
    task: Annotated[
        str | None, typer.Argument(metavar="[TASK]", help="Only this task; all if not given.")
    ] = None,
    rerun: Annotated[
        bool,
        typer.Option(
            "--rerun",
            help="Run the code again; show what it prints and the first case that fails.",
        ),
    ] = False,
) -> None:
    """Tell how a grade came about, from the file that was handed in to the score.

    Reads what grading kept and runs nothing, unless `--rerun` asks for it.
    """
    with _course() as course:
        from autograder.course.explain import explain
        from autograder.course.sanitize import printed

        for line in explain(course, assignment, student, task, rerun):
            # It may quote a student, whose text must not steer the terminal.
            console.print(printed(line), markup=False, highlight=False)


@app.command("export")
def export_command(
    assignments: Assignments = None,
    to: Annotated[
        Path | None, typer.Option(help="File to write; grades.csv of the course if not given.")
    ] = None,
) -> None:
    """Write all grades to a CSV file, as `nbgrader export` does."""
    with _course() as course:
        from autograder.course.export import export

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


def grade(course: Course, names: Sequence[str] | None = None, **options: object) -> Summary:
    """Grade some or all assignments, showing progress and what was not graded.

    Parameters
    ----------
    course, names, options
        As for `autograder.course.grading.grade`.
    """
    from autograder.course.course import LOG
    from autograder.course.grading import grade as grade_course

    with _Progress() as progress:
        summary = grade_course(
            course,
            names,
            on_start=progress.start,
            on_graded=progress.advance,
            **options,  # type: ignore[arg-type]
        )
    not_graded = sum(one.score is None for one in summary.graded)
    console.print(
        f"{len(summary.graded) - not_graded} graded, {summary.unchanged} unchanged, "
        f"{not_graded} not graded"
        if summary.graded or summary.unchanged
        else "Nothing has been submitted.",
        markup=False,
    )
    if summary.graded and options.get("feedback", True):
        console.print(f"Feedback is in {course.root / 'feedback'}", markup=False)
    elif summary.graded:
        console.print("Feedback: run `nbgrader generate_feedback ASSIGNMENT`.", markup=False)
    for one in summary.failed:
        if one not in progress.shown:
            errors.print(_problem(one), markup=False, style="red")
    if summary.failed:
        errors.print(f"What nbgrader said about them is in {course.root / LOG}", markup=False)
    return summary


class _Progress:
    """A bar and what goes wrong on a terminal, a line for each submission elsewhere."""

    def __init__(self) -> None:
        self.shown: list[Graded] = []
        self._wrong = 0
        self._bar: Progress | None = None

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def start(self, total: int) -> None:
        """Show that so many submissions are to be graded."""
        if not console.is_terminal or not total:
            return
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            _Rate(),
            TimeElapsedColumn(),
            TimeRemainingColumn(compact=True),
            TextColumn("[red]{task.fields[wrong]}"),
            console=console,
            transient=True,
        )
        self._task = self._bar.add_task("Grading", total=total, wrong="")
        self._bar.start()

    def advance(self, graded: Graded) -> None:
        """Show what became of a submission."""
        if self._bar is None:
            score = score_text(graded.score)
            line = f"{graded.assignment} of {graded.student}: {score} ({graded.seconds:.1f} s)"
            console.print(line, markup=False)
            return
        if graded.problem:
            if errors.is_terminal:
                self.shown.append(graded)
                self._bar.console.print(_problem(graded), style="red", markup=False)
            self._wrong += 1
            self._bar.update(self._task, wrong=f"{self._wrong} went wrong")
        self._bar.advance(self._task)


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        """Return how many submissions are graded in a minute, once that is known."""
        return Text(f"{60 * task.speed:.0f} a minute" if task.speed else "")


def score_text(score: Score | None) -> str:
    """Return a score as people read it: "17 of 25, 4.5 less for lateness"."""
    if score is None:
        return "not graded"
    late = f", {score.penalty:g} less for lateness" if score.penalty else ""
    return f"{score.net:g} of {score.max_points:g}{late}"


def _problem(graded: Graded) -> str:
    return f"{graded.assignment} of {graded.student}: {graded.problem}"


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


if __name__ == "__main__":
    app()
