"""Show on a terminal what was graded, and groups of wrong answers."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console

from autograder.course import grading
from autograder.course import preview as previews
from autograder.course.course import LOG, Course
from autograder.course.grading import Summary
from autograder.course.groups import Group
from autograder.course.progress import Shown, problem_of
from autograder.course.sanitize import printed
from autograder.course.scores import score_text

MOST = 10
"""How many students of a group to name, and of how many groups to show an answer."""


def grade(
    course: Course,
    names: Sequence[str] | None,
    console: Console,
    errors: Console,
    **options: Any,
) -> Summary:
    """Grade some or all assignments; show progress and what was not graded.

    Parameters
    ----------
    course, names, options
        As for `grading.grade`.
    console, errors
        Where to show what was done, and what went wrong.
    """
    with Shown(console, errors) as progress:
        summary = grading.grade(
            course,
            names,
            on_start=progress.start,
            on_graded=progress.advance,
            **options,
        )
    foreign(summary.due.foreign, "were made again", errors)
    _look_again(summary, errors)
    for line in summary.due.misplaced:
        errors.print(line, markup=False, style="red")
    if summary.graded and options.get("feedback", True):
        console.print(f"Feedback is in {course.root / 'feedback'}", markup=False)
    elif summary.graded:
        console.print("Feedback: run `nbgrader generate_feedback ASSIGNMENT`.", markup=False)
    for one in summary.failed:
        if one not in progress.shown:
            errors.print(problem_of(one), markup=False, style="red")
    if summary.failed:
        errors.print(f"nbgrader's messages about them are in {course.root / LOG}", markup=False)
    console.print(_sentence(summary), markup=False)
    return summary


def preview(
    course: Course,
    names: Sequence[str] | None,
    console: Console,
    errors: Console,
    **options: Any,
) -> bool:
    """Show what grading would change; return whether everything could be graded.

    Parameters
    ----------
    course, names, options
        As for `preview.preview`.
    console, errors
        Where to show changes, and what would go wrong.
    """
    due, changes = previews.preview(course, names, **options)
    for line in due.misplaced:
        errors.print(line, markup=False, style="red")
    for one in changes:
        if one.is_one or one.after is None:
            before, after = score_text(one.before), score_text(one.after)
            change = f"{before} → {after}" if one.is_one else after
            line = f"{one.assignment} of {one.student}: {change}"
            console.print(printed(line), markup=False, highlight=False)
            for reason in one.reasons:
                console.print(f"  {printed(reason)}", markup=False, highlight=False)
    changed = sum(one.is_one for one in changes)
    console.print(
        f"{changed} would change, {len(changes) - changed + due.unchanged} would not; "
        "nothing was recorded",
        markup=False,
    )
    return all(one.after is not None for one in changes) and not due.misplaced


def foreign(found: Mapping[str, Collection[str]], done: str, errors: Console) -> None:
    """Say whose grades this grader had not made, and what was done with them."""
    for name, students in found.items():
        if students:
            errors.print(
                f"{name}: {len(students)} grades that this version of the grader did not make "
                f"{done} ({_who(students)})",
                markup=False,
                style="red",
            )


def group(group: Group, answer: str) -> Iterator[str]:
    """Yield the lines that show a group of wrong answers and how its first member answered."""
    count = len(group.students)
    students = "1 student returns" if count == 1 else f"{count} students return"
    yield f"{group.report.task}: {students} exactly these numbers ({_who(group.students)})"
    yield from (f"  {line}" for line in str(group.report).splitlines()[2:])
    if answer:
        yield f"  The answer of {group.students[0]}:"
        yield from (f"    {line}" for line in answer.splitlines())
    yield ""


def _sentence(summary: Summary) -> str:
    if not summary.graded and not summary.due.unchanged:
        return "Nothing has been submitted."
    failed = sum(one.score is None for one in summary.graded)
    done = len(summary.graded) - failed
    return f"{done} graded, {summary.due.unchanged} unchanged, {failed} not graded"


def _look_again(summary: Summary, errors: Console) -> None:
    """Say whose points by hand stand for work that was graded again since."""
    by_name: dict[str, list[str]] = {}
    for one in summary.graded:
        if one.look_again:
            by_name.setdefault(one.assignment, []).append(one.student)
    for name, students in by_name.items():
        errors.print(
            f"{name}: points that were given by hand before stand ({_who(students)}); "
            "look at them again in formgrader",
            markup=False,
            style="yellow",
        )


def _who(students: Collection[str]) -> str:
    return ", ".join(sorted(students)[:MOST]) + (", ..." if len(students) > MOST else "")
