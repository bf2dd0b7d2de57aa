"""Fill a course with made-up results, as if a class had been graded; no notebook runs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import numpy as np
from nbformat.v4 import new_output

from autograder.course import records, seals
from autograder.course.course import Course
from autograder.course.enrollment import Student, enroll
from autograder.course.gradebook import one_transaction
from autograder.course.records import Record
from autograder.course.scores import released
from autograder.grading.notebook import Outcome
from autograder.judging.report import Finding, Report
from autograder.task import Task
from autograder.tasks import tasks

DUE = datetime(2026, 11, 1, 23, 59)
_LATE = datetime(2026, 11, 3, 8, 30)
_SHOWN = "epoch 1: loss 0.69\n" * 100
_REASON = "It used more than 30 seconds of processor time."


def fill(course: Course, students: int, seed: int = 0) -> None:
    """Record made-up results of all released assignments.

    Most students make a few known mistakes, the strong ones fewer; some share wrong answers without
    a name, some are late, are stopped, hand in nothing or a broken file.

    Parameters
    ----------
    course
        A course with released assignments and nothing graded.
    students
        How many students there are.
    seed
        Seeds everything that is drawn.
    """
    rng = np.random.default_rng(seed)
    names = [f"student-{number:04}" for number in range(students)]
    enroll(course, map(Student, names))
    for assignment in released(course):
        # One result after another, so that a large class fits into memory.
        found = {student: _draw(assignment, rng) for student in names if rng.random() > 0.04}
        with one_transaction(course.api.coursedir.db_url), course.api.gradebook as gradebook:
            gradebook.update_or_create_assignment(assignment, duedate=DUE)
            for student, outcome in found.items():
                _hand_in(course, assignment, student, broken=outcome is None)
                if outcome is None:
                    continue
                late = _LATE if rng.random() < 0.06 else DUE
                submission = gradebook.update_or_create_submission(
                    assignment, student, timestamp=late
                )
                points = {id: report.points for id, report in outcome.reports.items()}
                grades = [grade for notebook in submission.notebooks for grade in notebook.grades]
                for grade in grades:
                    grade.auto_score = points[grade.name]
                    grade.needs_manual_grade = False
                given = {grade.name: points[grade.name] for grade in grades}
                seals.write(course.root, assignment, student, given)
            gradebook.db.commit()
        for student, outcome in found.items():
            if outcome is not None:
                name = f"{assignment}-{student}"
                course.grader.results.put(name, outcome)
                records.write(course, assignment, student, Record(name, ""))


def _hand_in(course: Course, assignment: str, student: str, broken: bool) -> None:
    path = course.folder("submitted", student, assignment) / f"{assignment}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    released = course.folder("release", ".", assignment) / path.name
    path.write_bytes(b"This was a notebook once.\n" if broken else released.read_bytes())


def _draw(assignment: str, rng: np.random.Generator) -> Outcome | None:
    if rng.random() < 0.02:
        return None
    strength = rng.beta(4, 1.5)
    mine = [task for task in tasks.values() if task.assignment.name == assignment]
    reports = {f"check-{task.name}": _report(task, strength, rng) for task in mine}
    stopped = {f"check-{mine[-1].name}": _REASON} if rng.random() < 0.03 else {}
    return Outcome({"plot": [new_output("stream", text=_SHOWN)]}, reports, stopped)


def _report(task: Task, strength: float, rng: np.random.Generator) -> Report:
    """Return a right report, or one with a known mistake, a shared wrong answer or an own one."""
    if rng.random() < strength:
        return Report(task.name, tuple(_findings(task, set(), None, "")))
    wrong = {aspect.name for aspect in task.aspects if rng.random() < 0.6} or {task.aspects[0].name}
    if task.misconceptions and rng.random() < 0.75:
        known = task.misconceptions
        one = known[min(int(rng.exponential(len(known) / 4)), len(known) - 1)]
        found = _findings(task, wrong, one.id, f"{one.explanation} ({one.id})")
        return Report(task.name, tuple(found))
    shared = rng.random() < 0.5
    numbers = (float(rng.integers(1, 4)) if shared else rng.random(), 1.0)
    found = _findings(task, wrong, None, "Your numbers are 3 times too large.")
    return Report(task.name, tuple(found), fingerprint=numbers)


def _findings(task: Task, wrong: set[str], mistake: str | None, text: str) -> Iterator[Finding]:
    for aspect in task.aspects:
        if aspect.name in wrong:
            yield Finding(aspect.name, False, text, mistake, 0.0, aspect.points)
        else:
            yield Finding(aspect.name, True, points=aspect.points, max_points=aspect.points)
