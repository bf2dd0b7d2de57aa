"""Read the facts of a class report from what grading kept; nothing runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from autograder.course import groups, names, records
from autograder.course.class_report import changes
from autograder.course.class_report.facts import (
    AssignmentFacts,
    ClassReport,
    People,
    Person,
    SharedAnswer,
)
from autograder.course.class_report.summary import distribution, task_facts
from autograder.course.course import Course
from autograder.course.explain import duration
from autograder.course.grading import unreadable
from autograder.course.names import Name
from autograder.course.sanitize import printed
from autograder.course.scores import RELEASE_AND_GRADE, Standing, require_released, standings
from autograder.grading.notebook import Outcome
from autograder.judging.report import Report
from autograder.tasks import assignments, tasks

FEWEST_SHARING = 2
"""How many students make a wrong answer without a name worth showing."""
MOST_SHARED = 10
"""How many of these answers to show of an assignment."""


@dataclass(frozen=True)
class Collected:
    """A report with names, and the points behind it by assignment."""

    report: ClassReport
    points: Mapping[str, changes.Points]


def collect(course: Course, wanted: Sequence[str] | None = None) -> Collected:
    """Return the facts about some or all assignments.

    Raises
    ------
    CourseError
        When nothing is released, or an assignment does not exist.
    """
    known = require_released(course, wanted, RELEASE_AND_GRADE)
    submitted = {name: course.submitted(name) for name in known}
    everyone = _students(course)
    for some in submitted.values():
        everyone.update({student: "" for student in some if student not in everyone})
    order = [name for name in assignments if name in known]
    order += [name for name in known if name not in order]
    given, earlier = names.read(course.root), changes.read(course.root)
    found, points = [], {}
    for name in order:
        if not wanted or name in wanted:
            facts, points[name] = _assignment(
                course, name, submitted[name], everyone, given, earlier.get(name)
            )
            found.append(facts)
    made = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return Collected(ClassReport(made, False, tuple(found)), points)


def _students(course: Course) -> dict[str, str]:
    """Return the name of each student in the gradebook by id; empty if none is entered."""
    with course.api.gradebook as gradebook:
        return {
            student.id: " ".join(filter(None, (student.first_name, student.last_name)))
            for student in gradebook.students
        }


def _assignment(
    course: Course,
    name: str,
    submitted: Sequence[str],
    everyone: dict[str, str],
    given: Sequence[Name],
    earlier: changes.Earlier | None,
) -> tuple[AssignmentFacts, changes.Points]:
    outcomes = _outcomes(course, name, submitted, given)
    found = standings(course, name)
    scores = {student: one.score for student, one in found.items() if one.counts}
    reports = {
        student: {report.task: report for report in outcome.reports.values()}
        for student, outcome in outcomes.items()
    }
    used = {task for some in reports.values() for task in some}
    max_points = max((score.max_points for score in scores.values()), default=0.0)

    def people(details: dict[str, str]) -> People:
        return People.of(
            [Person(student, everyone.get(student, ""), text) for student, text in details.items()]
        )

    left = [student for student in submitted if student not in outcomes]
    problems = {student: _problem(course, name, student) for student in left}
    points = {student: score.net for student, score in scores.items() if student in outcomes}
    now = {student: points.get(student) for student in submitted}
    facts = AssignmentFacts(
        name=name,
        title=assignments[name].title if name in assignments else name,
        enrolled=len(everyone),
        submitted=len(submitted),
        distribution=distribution(list(points.values()), max_points),
        tasks=tuple(
            task_facts(task, reports, given) for task in tasks.values() if task.name in used
        ),
        shared=_shared(course, reports),
        missing=people({student: "" for student in everyone if student not in submitted}),
        late=people(_late(found)),
        stopped=people(
            {
                student: "; ".join(f"{cell}: {why}" for cell, why in outcome.stopped.items())
                for student, outcome in outcomes.items()
                if outcome.stopped
            }
        ),
        refused=people({student: why for student, why in problems.items() if why}),
        waiting=people({student: "" for student, why in problems.items() if not why}),
        outdated=people({student: "" for student, one in found.items() if one.look_again}),
        changes=changes.since(earlier, now, everyone),
    )
    return facts, now


def _problem(course: Course, assignment: str, student: str) -> str:
    # Without a release nothing can be graded, which is no fault of the submission.
    with suppress(OSError):
        return unreadable(course, assignment, student)
    return ""


def _outcomes(
    course: Course, assignment: str, submitted: Sequence[str], given: Sequence[Name]
) -> dict[str, Outcome]:
    """Return the kept outcome of each student, with the course's own names for mistakes."""
    found = {}
    for student in submitted:
        outcome = records.outcome(course, assignment, student)
        if outcome is not None:
            # What cells showed can be large, and nothing here looks at it.
            outcome.cells.clear()
            found[student] = names.tell(outcome, given)
    return found


def _late(found: dict[str, Standing]) -> dict[str, str]:
    return {
        student: duration(timedelta(seconds=one.seconds_late))
        + (f", {one.score.penalty:g} points less" if one.score.penalty else "")
        for student, one in found.items()
        if one.seconds_late > 0
    }


def _shared(course: Course, reports: dict[str, dict[str, Report]]) -> tuple[SharedAnswer, ...]:
    found = groups.grouped(
        (student, report) for student, some in reports.items() for report in some.values()
    )
    large = [group for group in found if len(group.students) >= FEWEST_SHARING]
    return tuple(_shared_answer(course, group) for group in large[:MOST_SHARED])


def _shared_answer(course: Course, group: groups.Group) -> SharedAnswer:
    wrong = [one for one in group.report.findings if names.is_unnamed(one)]
    messages = dict.fromkeys(line for one in wrong for line in one.message.splitlines())
    return SharedAnswer(
        task=group.report.task,
        count=len(group.students),
        wrong=tuple(one.aspect for one in wrong),
        # Ids of students who were graded need no quotes in a shell.
        command=group.command,
        students=group.students,
        messages=tuple(map(printed, messages)),
        code=printed(groups.answer(course, group)),
    )
