"""Say what `autograder grade` would change, without changing the gradebook or a page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from nbgrader.api import MissingEntry, SubmittedAssignment

from autograder.course import due, records
from autograder.course.course import Course
from autograder.course.due import Due, Pair, Todo
from autograder.course.grading import unreadable
from autograder.course.running import has_outcome, run_all
from autograder.course.scores import Policy, Score, standings
from autograder.intake.cells import task_of
from autograder.judging.report import Report


@dataclass(frozen=True)
class Change:
    """What grading would do to one submission.

    Attributes
    ----------
    assignment, student
        The submission.
    before
        The score that counts now; None if there is none.
    after
        The score that would count; None if it could not be graded.
    reasons
        What would be judged differently, a sentence each.
    """

    assignment: str
    student: str
    before: Score | None
    after: Score | None
    reasons: tuple[str, ...] = ()

    @property
    def is_one(self) -> bool:
        """Whether points or what is said of them would be others."""
        if self.before is None and self.after is None:
            return False
        return self.before != self.after or bool(self.reasons)


def preview(
    course: Course,
    assignments: Sequence[str] | None = None,
    students: Sequence[str] | None = None,
    *,
    force: bool = False,
    jobs: int = 1,
    scheduler: str | None = None,
) -> tuple[Due, list[Change]]:
    """Return what has to be done, and what doing it would change.

    Submissions whose outcome is not kept are run, and their outcomes are kept for `grade`.

    Parameters
    ----------
    course
        The course.
    assignments
        The assignments; all released ones if None.
    students, force, jobs, scheduler
        As for `grading.grade`.

    Raises
    ------
    CourseError
        When something must be fixed first.
    """
    found = due.find(course, assignments, students, force=force)
    to_run = [
        pair
        for pair, what in found.todo.items()
        if what is Todo.GRADE and not has_outcome(course, *pair)
    ]
    problems = dict(run_all(course, to_run, jobs, scheduler))
    known = {name: standings(course, name) for name, _ in found.todo}
    policy, changes = Policy(course), []
    for pair in found.todo:
        standing = known[pair[0]].get(pair[1])
        before = standing.score if standing and standing.counts else None
        changes.append(_change(course, policy, pair, before, problems.get(pair, "")))
    return found, changes


def _change(
    course: Course, policy: Policy, pair: Pair, before: Score | None, problem: str
) -> Change:
    problem = problem or unreadable(course, *pair)
    outcome = None if problem else course.grader.results.get(records.current(course, *pair).result)
    if outcome is None:
        return Change(*pair, before, None, (problem,))
    reports = {report.task: report for report in outcome.reports.values()}
    after = _score(course, policy, pair, reports)
    old = records.outcome(course, *pair)
    if old is None:
        return Change(*pair, before, after)
    told = {report.task: report for report in old.reports.values()}
    reasons = [
        reason for task, report in reports.items() for reason in _reasons(told.get(task), report)
    ]
    if before is not None and before.penalty != after.penalty:
        reasons.append(f"lateness costs {after.penalty:g} points, not {before.penalty:g}")
    return Change(*pair, before, after, tuple(reasons))


def _score(course: Course, policy: Policy, pair: Pair, reports: Mapping[str, Report]) -> Score:
    """Return the score with points that were given by hand, and less for lateness."""
    assignment, student = pair
    earned = {task: report.points for task, report in reports.items()}
    most, late = sum(report.max_points for report in reports.values()), 0.0
    with course.api.gradebook as gradebook, suppress(MissingEntry):
        submission: SubmittedAssignment = gradebook.find_submission(assignment, student)
        late, most = submission.total_seconds_late, submission.max_score
        for notebook in submission.notebooks:
            for grade in notebook.grades:
                task = task_of(grade.name)
                if grade.manual_score is not None:
                    earned[task] = grade.manual_score
                earned[task] = earned.get(task, 0.0) + (grade.extra_credit or 0.0)
    raw = sum(earned.values())
    return Score(raw, policy.penalty(student, raw, late), most)


def _reasons(before: Report | None, after: Report) -> Iterator[str]:
    """Yield what is judged differently in a task."""
    if before is None:
        yield f"{after.task}: new"
        return
    old = {finding.aspect: finding for finding in before.findings}
    for finding in after.findings:
        was = old.pop(finding.aspect, None)
        earned = 0.0 if was is None else was.points
        if finding.points != earned:
            why = f" ({finding.misconception})" if finding.misconception else ""
            yield f"{after.task}: {finding.aspect} {earned:g} → {finding.points:g}{why}"
        elif was is not None and was.misconception != finding.misconception:
            yield (
                f"{after.task}: {finding.aspect} is told as "
                f"{finding.misconception or 'no known mistake'}, not as "
                f"{was.misconception or 'no known mistake'}"
            )
    for aspect, was in old.items():
        if was.points:
            yield f"{after.task}: {aspect} {was.points:g} → gone"
