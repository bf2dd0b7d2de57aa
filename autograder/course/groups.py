"""Group the wrong answers of a class that have no name by the numbers that they return."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from autograder.course import names, records
from autograder.course.course import Course, CourseError
from autograder.intake.notebook_file import UnreadableError
from autograder.judging.fingerprint import is_same_program
from autograder.judging.report import Report
from autograder.tasks import tasks


@dataclass(frozen=True)
class Group:
    """Students whose answers to a task return the same wrong numbers.

    Attributes
    ----------
    assignment
        The assignment of the task.
    report
        The report of the first of them.
    students
        Who they are, sorted.
    """

    assignment: str
    report: Report
    students: tuple[str, ...]

    @property
    def command(self) -> str:
        """The command that names the answer, with places for its name and text."""
        return f'autograder name {self.report.task} {self.students[0]} SHORT-NAME "TEXT"'


def unnamed(course: Course, assignments: Sequence[str]) -> list[Group]:
    """Return the groups of wrong answers in which something has no name, the largest first.

    They are read from what grading kept; nothing runs.
    """
    known = names.read(course.root)
    found = []
    for assignment in assignments:
        for student in course.submitted(assignment):
            outcome = records.outcome(course, assignment, student)
            if outcome is not None:
                told = names.tell(outcome, known).reports.values()
                found += [(student, report) for report in told]
    return grouped(found)


def grouped(reports: Iterable[tuple[str, Report]]) -> list[Group]:
    """Return the groups among the reports of students, as `unnamed` does."""
    found: list[tuple[Report, list[str]]] = []
    for student, report in reports:
        if not report.fingerprint or not any(map(names.is_unnamed, report.findings)):
            continue
        for other, students in found:
            if _are_same(report, other):
                students.append(student)
                break
        else:
            found.append((report, [student]))
    groups = [
        Group(tasks[report.task].assignment.name, report, tuple(sorted(students)))
        for report, students in found
    ]
    return sorted(groups, key=lambda group: (-len(group.students), group.report.task))


def give_name(course: Course, task: str, student: str, id: str, text: str) -> int:
    """Name what one student returns, for all who return the same; return how many they are.

    Raises
    ------
    CourseError
        When there is no wrong answer without a name to which it could be given.
    """
    if task not in tasks:
        raise CourseError(f"There is no task {task!r}; there are {', '.join(tasks)}.")
    for group in unnamed(course, [tasks[task].assignment.name]):
        if group.report.task == task and student in group.students:
            names.add(course.root, names.Name(task, id, text, group.report.fingerprint))
            return len(group.students)
    raise CourseError(
        f"{student} has no wrong answer to {task} without a name; `autograder name` lists all."
    )


def answer(course: Course, group: Group) -> str:
    """Return the code with which the first student of a group answered."""
    with suppress(OSError, UnreadableError):
        notebook = course.grader.job(group.assignment, group.students[0]).rebuilt().notebook
        return next((c.source for c in notebook.cells if c.id == group.report.task), "")
    return ""


def _are_same(one: Report, other: Report) -> bool:
    return one.task == other.task and is_same_program(
        tasks[one.task], one.fingerprint, other.fingerprint
    )
