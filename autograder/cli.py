"""The `autograder` command: release, collect, grade, explain and return an nbgrader course."""

from __future__ import annotations

import atexit
import gc
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

try:
    import typer
    from rich.console import Console

    from autograder import new
    from autograder.course.similar import similar
    from autograder.platforms import commands
    from autograder.sandbox.backends import BACKENDS, DEFAULT
except ImportError as error:
    raise SystemExit(f"autograder: {error}; run pip install '.[grading]' first.") from None

if TYPE_CHECKING:
    from autograder.course.course import Course
    from autograder.course.grading import Summary

# Import autograder.course late: it loads nbgrader, which takes seconds and --help does not need.

app = typer.Typer(
    name="autograder",
    help="Release, collect, grade, explain and return the assignments of a course.\n\n"
    "Works on the course whose nbgrader_config.py is in this folder or nearest above it. "
    "Exit status: 0 done, 1 something was set aside, 2 wrong usage.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)

# Otherwise Python looks at a million objects on exit, which the system frees anyway.
atexit.register(gc.freeze)

console = Console(soft_wrap=True)
errors = Console(soft_wrap=True, stderr=True)


def _known_backend(name: str | None) -> str | None:
    """Return the name of a sandbox, or refuse one that is not in the registry."""
    if name is not None and name not in BACKENDS:
        raise typer.BadParameter(f"{name!r} is not one of {', '.join(map(repr, BACKENDS))}.")
    return name


def _assignments(incomplete: str) -> list[str]:
    """Return the assignments that a shell may complete a word to, without loading nbgrader."""
    here = Path.cwd()
    found = {
        one.stem for folder in (here, *here.parents) for one in folder.glob("exercises/*/*.py")
    }
    return sorted(name for name in found if name.startswith(incomplete))


Assignments = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[ASSIGNMENT]...",
        help="Only these; all if none is named.",
        autocompletion=_assignments,
    ),
]


@app.command("release")
def release_command(assignments: Assignments = None) -> None:
    """Make the students' notebooks and enter the assignments into the gradebook.

    Writes the course's source/NAME/NAME.ipynb from exercises/NAME/NAME.py and runs nbgrader's
    generate_assignment.  Unchanged exercises are left alone.  Cells are never added or removed
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
        typer.Option("--student", help="Only this student; can be given several times."),
    ] = None,
    force: Annotated[
        bool,
        typer.Option("--force", help="Grade unchanged submissions again, from kept results."),
    ] = False,
    rerun: Annotated[
        bool, typer.Option("--rerun", help="Run students' code again, ignoring kept results.")
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Only say whose points would change, and why."),
    ] = False,
    feedback: Annotated[bool, typer.Option(help="Make the feedback pages as well.")] = True,
    jobs: Annotated[
        int, typer.Option("--jobs", "-j", min=1, help="How many submissions to run at a time.")
    ] = os.cpu_count() or 1,
    scheduler: Annotated[
        str | None,
        typer.Option(help="Run submissions on this Dask scheduler, such as tcp://grader:8786."),
    ] = None,
    sandbox: Annotated[
        str | None,
        typer.Option(
            callback=_known_backend,
            help="Where students' code runs; nbgrader_config.py sets the default. "
            + " ".join(f"{name}: {backend.promise}" for name, backend in BACKENDS.items()),
        ),
    ] = None,
) -> None:
    """Grade the submissions in the course's submitted/STUDENT/ASSIGNMENT.

    A graded submission is skipped unless its file, the grader, the due date, the late policy, or
    points and comments given by hand have changed since.  One that cannot be graded does not stop
    the others; it loses the points of an earlier version, and the reason is shown at the end.
    """
    with _course() as course:
        course = replace(course, sandbox=sandbox)
        if dry_run:
            from autograder.course import show

            done = show.preview(
                course,
                assignments or None,
                console,
                errors,
                students=student or None,
                force=force,
                jobs=jobs,
                scheduler=scheduler,
            )
            raise typer.Exit(0 if done else 1)
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
    if summary.failed or summary.due.misplaced:
        raise typer.Exit(1)


@app.command("explain")
def explain_command(
    student: Annotated[str, typer.Argument(help="The student.")],
    assignment: Annotated[str, typer.Argument(help="The assignment.", autocompletion=_assignments)],
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
    """Explain a grade, from the submitted file to the score.

    Reads what grading kept and runs nothing, unless `--rerun` asks for it.
    """
    with _course() as course:
        from autograder.course.explain import explain
        from autograder.course.sanitize import printed

        for line in explain(course, assignment, student, task, rerun):
            # It may quote a student, whose text must not steer the terminal.
            console.print(printed(line), markup=False, highlight=False)


@app.command("name")
def name_command(
    task: Annotated[str | None, typer.Argument(help="The task of a wrong answer.")] = None,
    student: Annotated[str | None, typer.Argument(help="Somebody who gave it.")] = None,
    id: Annotated[
        str | None, typer.Argument(help="A short name, such as bn-sum-over-everything.")
    ] = None,
    text: Annotated[
        str | None, typer.Argument(help="What to tell everybody who gave this answer.")
    ] = None,
) -> None:
    """List wrong answers that have no name, by the numbers that they return; or name one.

    Everybody whose functions return the same numbers gets the same name, with the next
    `autograder grade`; nothing runs again.  Names are kept in the course's names.json, which can
    be copied to another course.
    """
    with _course() as course:
        from autograder.course import groups, show
        from autograder.course.course import CourseError
        from autograder.course.sanitize import printed
        from autograder.course.scores import released

        if task and student and id and text:
            count = groups.give_name(course, task, student, id, text)
            students = "1 student" if count == 1 else f"{count} students"
            console.print(f"{id} is the answer of {students}: run `autograder grade` to tell them.")
            return
        if task:
            raise CourseError("Give a task, a student, a short name and a text, or none of them.")
        found = groups.unnamed(course, released(course))
        for number, group in enumerate(found):
            answer = groups.answer(course, group) if number < show.MOST else ""
            for line in show.group(group, answer):
                console.print(printed(line), markup=False, highlight=False)
        if not found:
            console.print("Every wrong answer has a name.")
        else:
            console.print(f"Name the first: {found[0].command}", markup=False, highlight=False)


@app.command("export")
def export_command(
    assignments: Assignments = None,
    to: Annotated[
        Path | None, typer.Option(help="File to write; the course's grades.csv if not given.")
    ] = None,
) -> None:
    """Write all grades to a CSV file, as `nbgrader export` does.

    Points that this grader did not give are left out; they count as 0 there.
    """
    with _course() as course:
        from autograder.course import show
        from autograder.course.export import export
        from autograder.course.scores import foreign, released, standings

        console.print(f"Grades are in {export(course, assignments or None, to)}", markup=False)
        not_ours = {
            name: foreign(standings(course, name)) for name in assignments or released(course)
        }
        show.foreign(not_ours, "were left out: run `autograder grade`", errors)
    if any(not_ours.values()):
        raise typer.Exit(1)


@app.command("report")
def report_command(
    assignments: Assignments = None,
    anonymous: Annotated[
        bool, typer.Option("--anonymous", help="Leave out who did what; only count.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option(help="File to write; the course's report.html if not given.")
    ] = None,
    format: Annotated[
        str | None, typer.Option(help="html, csv or json; what the file's suffix says by default.")
    ] = None,
) -> None:
    """Write a report on the class: points, frequent mistakes, tasks, and who needs a look.

    Reads what grading kept and runs nothing.  It also says what has changed since the last report.
    """
    with _course() as course:
        from autograder.course.class_report import write_report

        target = write_report(
            course, assignments or None, anonymous=anonymous, to=output, format=format
        )
        console.print(f"The report is in {target}", markup=False)


@app.command("doctor")
def doctor_command() -> None:
    """Say what is wrong with this machine and this course, and what to do about it.

    Tries every sandbox.  In the folder of a course, looks at its settings, secret, gradebook,
    dates and submissions, too; it changes nothing.  Exit status 1 if something has to be done.
    """
    from autograder.sandbox.machine import possibilities

    found, faults, wanted = possibilities(), list[str](), DEFAULT
    for one in found:
        said = one.problem or f"works. {BACKENDS[one.backend].promise}"
        console.print(f"{one.backend}: {said}", markup=False)
    if _in_course():
        with _course() as course:
            from autograder.course import doctor

            wanted = course.grader.sandbox
            faults = list(doctor.faults(course))
    for fault in faults:
        errors.print(fault, markup=False, style="red")
    if not all(one.works for one in found if one.backend == wanted):
        faults.append(wanted)
    console.print(f"{len(faults)} to mend" if faults else "Everything is in place.")
    if faults:
        raise typer.Exit(1)


@app.command("solutions")
def solutions_command(
    assignment: Annotated[str, typer.Argument(help="The assignment.", autocompletion=_assignments)],
    early: Annotated[
        bool, typer.Option("--early", help="Publish although it can still be handed in.")
    ] = False,
    withdraw: Annotated[
        bool, typer.Option("--withdraw", help="Take them back; pages already returned keep them.")
    ] = False,
) -> None:
    """Publish the solutions of an assignment, with comments, once nobody can hand it in any more.

    Writes the course's solutions/ASSIGNMENT.ipynb, which runs.  The next `autograder grade` also
    shows each solution on the feedback pages, below the student's own answer; nothing runs again.
    """
    with _course() as course:
        from autograder.course.publishing import publish
        from autograder.course.publishing import withdraw as take_back

        if withdraw:
            take_back(course, assignment)
            console.print("The next `autograder grade` takes them off the feedback pages.")
        else:
            file = publish(course, assignment, early=early)
            console.print(f"The solutions are in {file}", markup=False)
            console.print("The next `autograder grade` puts them on the feedback pages.")


@app.command("ready")
def ready_command(
    notebook: Annotated[Path, typer.Argument(help="The saved notebook, such as l2.ipynb.")],
) -> None:
    """Try a notebook as grading will, say what it finds, and make the file to hand in.

    For students: needs no course, and none of what grading needs.
    """
    from autograder.student.readiness import main

    raise typer.Exit(main([str(notebook)]))


@app.command("certificates")
def certificates_command() -> None:
    """Make keys for `autograder grade --scheduler`; who has them can join the cluster."""
    from autograder.grading import certificates

    with _course() as course:
        folder = certificates.make(course.root / certificates.FOLDER)
        typer.echo(f"Keys are in {folder}: copy this folder to each machine of the cluster.")


@app.command("validate")
def validate_command(
    tasks: Annotated[list[str] | None, typer.Argument(help="Only these.")] = None,
    seeds: Annotated[
        int, typer.Option(min=1, help="How often the cases of each task are drawn.")
    ] = 5,
) -> None:
    """Grade the grader; needs no course.

    Checks for every task that a right answer earns all points, that the exercise as handed out
    earns none, and that every known mistake loses points and is named as itself and as nothing
    else.  Also checks that an exercise asks for it, that every place that a finding points to is
    in the book, and that nothing is left of what `autograder new` wrote for an example.
    """
    from autograder.tasks import tasks as known
    from autograder.validate import show, validate_all

    if unknown := set(tasks or ()) - set(known):
        raise typer.BadParameter(f"No task {min(unknown)!r}; there are {', '.join(known)}.")
    if not show(validate_all(seeds, tasks or None), console):
        raise typer.Exit(1)


def grade(course: Course, names: Sequence[str] | None = None, **options: Any) -> Summary:
    """Grade some or all assignments; show progress and what was not graded.

    Parameters
    ----------
    course, names, options
        As for `autograder.course.grading.grade`.
    """
    from autograder.course import show

    return show.grade(course, names, console, errors, **options)


def _in_course() -> bool:
    from autograder.course.course import Course, CourseError

    with suppress(CourseError):
        Course.nearest(Path.cwd())
        return True
    return False


@contextmanager
def _course() -> Iterator[Course]:
    """Yield the course; report errors that the user can fix in one line and exit with status 2."""
    try:
        from sqlalchemy.exc import DatabaseError

        from autograder.course.course import Course, CourseError
        from autograder.course.names import NamesError
    except ImportError as error:
        raise SystemExit(f"autograder: {error}; run pip install '.[grading]' first.") from None
    ignore_third_party_warnings()
    try:
        yield Course.nearest(Path.cwd())
    except (CourseError, NamesError) as error:
        errors.print(f"autograder: {error}", markup=False, style="red")
    except DatabaseError as error:
        errors.print(
            f"autograder: The gradebook cannot be used: {error.orig}. Finished grades are kept; "
            "`autograder doctor` says what to do.",
            markup=False,
            style="red",
        )
    else:
        return
    raise typer.Exit(2)


app.command("collect")(_course()(commands.collect))
app.command("return")(_course()(commands.give_back))
app.command("similar")(_course()(similar))
app.add_typer(new.app, name="new")
app.command("bundle")(_course()(commands.bundle))


def ignore_third_party_warnings() -> None:
    """Silence warnings about nbgrader's use of SQLAlchemy, which an instructor cannot fix."""
    warnings.filterwarnings("ignore", module=r"nbgrader\.")


if __name__ == "__main__":
    app()
