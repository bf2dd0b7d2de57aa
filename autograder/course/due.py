"""Find out what has to be done for each submission, so that nothing is done twice without a reason.

A grade or graded notebook that this grader did not make counts as none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

from autograder.course import late, publishing, records
from autograder.course.course import Course, CourseError
from autograder.course.enrollment import Student, enroll
from autograder.course.gradebook import one_transaction
from autograder.course.misplaced import misplaced
from autograder.course.scores import (
    Standing,
    foreign,
    penalties_by_policy,
    released,
    require_released,
    standings,
)
from autograder.course.settings import check_plugins, keep_safe
from autograder.intake.notebook_file import UnreadableError
from autograder.intake.student_id import PLAIN_NAME

Pair = tuple[str, str]
"""An assignment and a student."""


class Todo(Enum):
    """What has to be done for a submission: grade it, or only record its score again."""

    GRADE = "grade"
    SCORE = "score"


@dataclass
class Due:
    """What has to be done for a class.

    Attributes
    ----------
    todo
        What has to be done for each submission that has changed.
    unchanged
        How many have not.
    foreign
        The students whose grades this grader had not made, by assignment.
    oddly_named
        Submissions of students whose id nbgrader could not show safely.
    misplaced
        Sentences about files that are not where grading looks for them.
    """

    todo: dict[Pair, Todo] = field(default_factory=dict)
    unchanged: int = 0
    foreign: dict[str, list[str]] = field(default_factory=dict)
    oddly_named: list[Pair] = field(default_factory=list)
    misplaced: list[str] = field(default_factory=list)


def find(
    course: Course,
    names: Sequence[str] | None = None,
    students: Sequence[str] | None = None,
    *,
    force: bool = False,
) -> Due:
    """Return what has to be done, after `dates.toml` was entered into the gradebook.

    Parameters
    ----------
    course
        The course.
    names
        The assignments; all released ones if None.
    students
        The students; all if None.
    force
        Whether unchanged submissions have to be graded, too.

    Raises
    ------
    CourseError
        When something must be fixed first.
    """
    known = require_released(course, names)
    check_plugins(course)
    keep_safe(course)
    for name in names or known:
        course.release_file(name)
    submitted = {name: course.submitted(name) for name in names or known}
    _check_students(students, submitted)
    _enter_dates(course, submitted)
    due = Due(misplaced=misplaced(course))
    for name, everyone in submitted.items():
        standing, penalties = standings(course, name), penalties_by_policy(course, name)
        if not_ours := sorted(foreign(standing) & set(students or everyone)):
            due.foreign[name] = not_ours
        for student in everyone:
            if students and student not in students:
                continue
            if not PLAIN_NAME.fullmatch(student):
                due.oddly_named.append((name, student))
                continue
            todo = _todo(course, name, student, standing.get(student), penalties.get(student, 0.0))
            if force:
                todo = Todo.GRADE
            if todo:
                due.todo[name, student] = todo
            else:
                due.unchanged += 1
    return due


def _enter_dates(course: Course, submitted: dict[str, list[str]]) -> None:
    """Put what `dates.toml` says into the gradebook."""
    try:
        dates = late.read(course.root)
    except late.DatesError as error:
        raise CourseError(str(error)) from None
    if dates is None:
        return
    if unknown := dates.due.keys() - set(released(course)):
        raise CourseError(
            f"{course.root / late.FILE} has a due date of {min(unknown)!r}, which is not released."
        )
    for name, everyone in submitted.items():
        extended = dates.extensions.get(name, {}).keys() & set(everyone)
        enroll(course, (Student(one) for one in extended if PLAIN_NAME.fullmatch(one)))
    with one_transaction(course.api.coursedir.db_url), course.api.gradebook as gradebook:
        late.enter(dates, gradebook, submitted)


def _check_students(students: Sequence[str] | None, submitted: dict[str, list[str]]) -> None:
    everyone = {student for some in submitted.values() for student in some}
    for student in students or ():
        if student not in everyone:
            raise CourseError(f"Nobody called {student!r} has handed in any of these assignments.")


def _todo(
    course: Course, assignment: str, student: str, standing: Standing | None, penalty: float
) -> Todo | None:
    """Return what has to be done for a submission; None if it is up to date."""
    record = records.read(course, assignment, student)
    try:
        now = records.current(course, assignment, student)
    except (OSError, UnreadableError):
        return Todo.GRADE
    if record is None or standing is None or not standing.counts or now != record.without_results():
        return Todo.GRADE
    if record.notebook != records.notebook_state(course, assignment, student):
        return Todo.GRADE
    page = (record.raw, record.penalty, record.by_hand, record.solutions)
    shown = publishing.state(course.root, assignment)
    if page != (standing.score.raw, penalty, standing.by_hand, shown):
        return Todo.SCORE
    return None
