"""Explain the grade of a submission, from what grading kept of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from nbgrader.api import MissingEntry, SubmittedAssignment

from autograder.course import late, names, records, seals
from autograder.course.course import Course, CourseError
from autograder.course.scores import Score, is_complete, score_of
from autograder.grading.job import Job, warm_sandbox
from autograder.grading.notebook import Outcome, observe_task, seed_of
from autograder.grading.results import result_name
from autograder.intake.cells import task_of
from autograder.intake.notebook_file import UnreadableError
from autograder.judging.judge import first_difference
from autograder.judging.replay import code_of
from autograder.judging.report import Report
from autograder.sandbox import SandboxUnavailableError
from autograder.tasks import tasks

MAX_SHOWN = 2000
"""Characters to show of one array of a failed case."""


@dataclass(frozen=True)
class ByHand:
    """What a person gave for a task and commented on it; `points` is None if they gave none."""

    points: float | None
    extra: float
    comment: str


@dataclass(frozen=True)
class _Kept:
    """Everything that is known about one graded submission.

    `job` is None if the file or the grader has changed since.
    """

    job: Job | None
    outcome: Outcome
    reports: dict[str, Report]
    by_hand: dict[str, ByHand]
    score: Score
    handed_in: datetime | None
    due: datetime | None
    late: timedelta


def explain(
    course: Course, assignment: str, student: str, task: str | None = None, rerun: bool = False
) -> Iterator[str]:
    """Yield the lines that explain a grade.

    Parameters
    ----------
    course, assignment, student
        The submission.
    task
        The task to explain; all if None.
    rerun
        Run the student's code again, and show what it prints and the first case that fails.

    Raises
    ------
    CourseError
        When there is nothing to explain.
    """
    kept = _kept(course, assignment, student)
    if task is not None and task not in kept.reports:
        raise CourseError(f"{assignment} has no task {task!r}; it has {', '.join(kept.reports)}.")
    names = [task] if task else list(kept.reports)
    if task is None:
        yield f"{assignment} of {student}: {_points(kept.score.net, kept.score.max_points)}"
        yield ""
        yield from _file(course, assignment, student, kept)
        yield from _stopped(kept.outcome)
    for name in names:
        yield ""
        yield from _task(kept, name)
        if rerun:
            yield from _run_again(course, kept, name)
    if task is None:
        yield ""
        yield from _sum(kept)


def _kept(course: Course, assignment: str, student: str) -> _Kept:
    record = records.read(course, assignment, student)
    outcome = course.grader.results.get(record.result) if record else None
    if record is None or outcome is None:
        _check_readable(course, assignment, student)
        raise CourseError(
            f"No result is kept of {assignment} of {student}: run `autograder grade {assignment} "
            f"--student {student}` first."
        )
    job: Job | None = None
    with suppress(OSError, UnreadableError):
        job = course.grader.job(assignment, student)
    if job is not None and result_name(job) != record.result:
        job = None
    with course.api.gradebook as gradebook:
        try:
            submission = gradebook.find_submission(assignment, student)
        except MissingEntry:
            raise CourseError(
                f"The gradebook knows nothing of {assignment} of {student}."
            ) from None
        if is_complete(submission) and not seals.is_ours(course.root, submission):
            raise CourseError(
                f"This grader did not give the points of {assignment} of {student}: run "
                f"`autograder grade {assignment} --student {student}` first."
            )
        return _Kept(
            job=job,
            outcome=outcome,
            reports={
                report.task: report
                for report in names.tell(outcome, names.read(course.root)).reports.values()
            },
            by_hand=_by_hand(submission),
            score=score_of(submission),
            handed_in=submission.timestamp,
            due=submission.duedate,
            late=timedelta(seconds=submission.total_seconds_late),
        )


def _check_readable(course: Course, assignment: str, student: str) -> None:
    """Raise CourseError, which says why, if grading a submission would leave no result."""
    folder = course.folder("submitted", student, assignment)
    if not folder.exists():
        raise CourseError(f"{student} has not handed in {assignment}: there is no {folder}.")
    try:
        with suppress(OSError):
            course.grader.job(assignment, student).rebuilt()
    except UnreadableError as error:
        raise CourseError(f"{assignment} of {student} is not graded. {error}") from None


def _by_hand(submission: SubmittedAssignment) -> dict[str, ByHand]:
    """Return what a person gave, by task."""
    found = {}
    for notebook in submission.notebooks:
        comments = {one.name: one.comment or "" for one in notebook.comments}
        for grade in notebook.grades:
            name = task_of(grade.name)
            said = comments.get(grade.name) or comments.get(name) or ""
            found[name] = ByHand(grade.manual_score, grade.extra_credit or 0.0, said)
    return found


def _file(course: Course, assignment: str, student: str, kept: _Kept) -> Iterator[str]:
    path = course.folder("submitted", student, assignment) / f"{assignment}.ipynb"
    yield f"File        {path}"
    if kept.handed_in is not None:
        dates = None
        with suppress(late.DatesError):
            dates = late.read(course.root)
        zone = dates.zone if dates else UTC
        due = f", due {late.shown(kept.due, zone)}" if kept.due else ", no due date"
        yield f"Handed in   {late.shown(kept.handed_in, zone)}{due}"
    else:
        yield "Handed in   at no known time, so never late"
    if kept.job is None:
        yield "Changed     since it was graded, or the grader has: grade again for a new result."
        return
    for number, note in enumerate(kept.job.rebuilt().notes):
        yield f"{'Repaired' if number == 0 else '':<12}{note}"
    yield "Inputs      drawn from the course's secret and this file, with the codes below"


def _stopped(outcome: Outcome) -> Iterator[str]:
    """Yield what did not run to its end, which may have cost points."""
    for number, (cell, reason) in enumerate(outcome.stopped.items()):
        yield f"{'Stopped' if number == 0 else '':<12}{cell}: {reason}"


def _task(kept: _Kept, name: str) -> Iterator[str]:
    yield from str(kept.reports[name]).splitlines()
    if kept.job is not None:
        yield f"  code of its inputs: {code_of(seed_of(kept.job.key, name))}"
    for finding in kept.reports[name].findings:
        if 0 < finding.points < finding.max_points:
            earned = f"{finding.points:g} of {finding.max_points:g}"
            yield f"  carried forward: {finding.aspect}, {earned}"
        elif finding.points < 0:
            yield f"  deducted: {finding.aspect}, {-finding.points:g}"
    hand = kept.by_hand.get(name)
    if hand is None:
        return
    if hand.points is not None:
        yield f"  by hand: {hand.points:g} points take the place of these"
    if hand.extra:
        yield f"  by hand: {hand.extra:g} points of extra credit"
    if hand.comment:
        yield f"  comment: {hand.comment}"


def _run_again(course: Course, kept: _Kept, name: str) -> Iterator[str]:
    """Run the submission again up to a task; yield what it prints and the first failed case."""
    if kept.job is None:
        raise CourseError("The file or the grader has changed: run `autograder grade` first.")
    task = tasks[name]
    try:
        sandbox = warm_sandbox(kept.job.limits, kept.job.backend)
        printed, cases, result = observe_task(
            kept.job.rebuilt().notebook, kept.job.key, sandbox, task
        )
    except SandboxUnavailableError as error:
        raise CourseError(str(error)) from None
    yield ""
    yield "  Run again."
    if printed:
        yield "  Its cells printed:"
        yield from _indented(printed)
    if isinstance(result, str):
        yield f"  {result}"
        return
    if result.printed:
        yield "  It printed while it was tried:"
        yield from _indented(result.printed)
    found = first_difference(task, cases, result)
    if found is None:
        yield "  Every case agrees."
        return
    yield f"  The first case that fails is “{found.case.name}”. Its inputs:"
    for key, value in found.case.inputs.items():
        yield from _indented(f"{key} = {_shown(value)}")
    yield f"  `{found.name}` that came back:"
    yield from _indented("nothing" if found.got is None else _shown(found.got))
    yield "  Expected:"
    yield from _indented(_shown(found.expected))


def _sum(kept: _Kept) -> Iterator[str]:
    automatic = sum(report.points for report in kept.reports.values())
    lines = {"Found by the grader": f"{automatic:g}"}
    if kept.score.raw != automatic:
        lines["With points by hand"] = f"{kept.score.raw:g}"
    if kept.late:
        lines[f"Late by {duration(kept.late)}"] = f"−{kept.score.penalty:g}"
    lines["In the gradebook"] = _points(kept.score.net, kept.score.max_points)
    width = max(map(len, lines))
    for label, points in lines.items():
        yield f"{label:<{width}}  {points}"


def _points(points: float, maximum: float) -> str:
    return f"{points:g} of {maximum:g} points"


def duration(late: timedelta) -> str:
    """Return a time span as people read it: "1 d 2 h 30 min"."""
    hours, minutes = divmod(int(late.total_seconds()) // 60, 60)
    days, hours = divmod(hours, 24)
    parts = [(days, "d"), (hours, "h"), (minutes, "min")]
    return " ".join(f"{number} {unit}" for number, unit in parts if number) or "less than a minute"


def _shown(value: object) -> str:
    with np.printoptions(precision=6, threshold=200, linewidth=88):
        text = str(value) if isinstance(value, np.ndarray) else repr(value)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]} ... (cut off)"


def _indented(text: str, by: str = "    ") -> Sequence[str]:
    return [f"{by}{line}" for line in text.splitlines()]
