"""Query the gradebook: what was released, and everyone's scores after late penalties.

nbgrader stores points and late penalty separately.  The score that counts is the difference, and it
is the same everywhere: on the terminal, in the CSV file, on the feedback page and in formgrader.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

import nbformat
from nbgrader.api import Gradebook, MissingEntry, SubmittedAssignment, SubmittedNotebook
from nbgrader.preprocessors import AssignLatePenalties
from sqlalchemy.orm import selectinload

from autograder.course import seals
from autograder.course.course import Course, CourseError, check_names
from autograder.course.gradebook import one_transaction
from autograder.intake.cells import task_of


@dataclass(frozen=True)
class Score:
    """The score of a submission.

    Attributes
    ----------
    raw
        The sum of all points, including those given by hand.
    penalty
        The points that lateness costs.
    max_points
        The points that a right submission earns.
    """

    raw: float
    penalty: float
    max_points: float

    @property
    def net(self) -> float:
        """The score that counts; never negative."""
        return max(0.0, self.raw - self.penalty)


def released(course: Course) -> list[str]:
    """Return the names of the assignments in the gradebook."""
    url = course.api.coursedir.db_url
    if url.startswith("sqlite:///") and not Path(url.removeprefix("sqlite:///")).exists():
        # Opening the gradebook would create an empty one.
        return []
    with course.api.gradebook as gradebook:
        return [assignment.name for assignment in gradebook.assignments]


RELEASE = "`autograder release`"
RELEASE_AND_GRADE = "`autograder release` and `grade`"


def require_released(
    course: Course, names: Sequence[str] | None = None, steps: str = RELEASE
) -> list[str]:
    """Return the names of the released assignments, some of which the user may have named.

    Parameters
    ----------
    course, names
        The course, and what the user named; None if that is nothing.
    steps
        What to run first if nothing is released.

    Raises
    ------
    CourseError
        When nothing is released, or not what the user named.
    """
    known = released(course)
    if not known:
        raise CourseError(f"Nothing is released yet: run {steps} first.")
    check_names(names, known, "released are")
    return known


@dataclass(frozen=True)
class Standing:
    """What the gradebook knows of a submission.

    Attributes
    ----------
    score
        Its score, so far if the grade is not complete.
    complete
        Whether all of it is graded.
    ours
        Whether this grader gave the automatic points.
    seconds_late
        How late it was handed in; 0 if it was in time.
    by_hand
        A hash of the points and comments that a person gave; empty if there are none.
    look_again
        Whether points by hand stand, though the work was graded again since they were given.
    """

    score: Score
    complete: bool
    ours: bool
    seconds_late: float
    by_hand: str = ""
    look_again: bool = False

    @property
    def counts(self) -> bool:
        """Whether its grade is complete and made by this grader."""
        return self.complete and self.ours


def scores(course: Course, assignment: str) -> dict[str, Score]:
    """Return the score of each student whose grade is complete and made by this grader."""
    found = standings(course, assignment)
    return {student: one.score for student, one in found.items() if one.counts}


def foreign(found: Mapping[str, Standing]) -> set[str]:
    """Return the students whose grade is complete, but not made by this grader."""
    return {student for student, one in found.items() if one.complete and not one.ours}


def task_scores(course: Course, assignment: str) -> dict[str, list[tuple[str, Score]]]:
    """Return the score of each task, before late penalties, of each student with a grade."""
    with course.api.gradebook as gradebook:
        return {
            submission.student_id: [
                (task_of(grade.name), Score(grade.score, 0.0, grade.max_score))
                for notebook in submission.notebooks
                for grade in notebook.grades
            ]
            for submission in gradebook.assignment_submissions(assignment)
            if is_complete(submission) and seals.is_ours(course.root, submission)
        }


def standings(course: Course, assignment: str) -> dict[str, Standing]:
    """Return what the gradebook knows of each student's submission."""
    with course.api.gradebook as gradebook:
        # One after another, they would take a dozen queries each.
        submissions = gradebook.db.query(SubmittedAssignment).options(
            selectinload(SubmittedAssignment.notebooks).selectinload(SubmittedNotebook.grades),
            selectinload(SubmittedAssignment.notebooks).selectinload(SubmittedNotebook.comments),
        )
        found = submissions.filter(SubmittedAssignment.assignment.has(name=assignment))
        return {one.student_id: _standing(course, one) for one in found}


def standing(course: Course, assignment: str, student: str) -> Standing | None:
    """Return what the gradebook knows of a student's submission; None if that is nothing."""
    with course.api.gradebook as gradebook:
        try:
            return _standing(course, gradebook.find_submission(assignment, student))
        except MissingEntry:
            return None


def _standing(course: Course, submission: SubmittedAssignment) -> Standing:
    grades = [grade for notebook in submission.notebooks for grade in notebook.grades]
    penalties = [notebook.late_submission_penalty or 0.0 for notebook in submission.notebooks]
    return Standing(
        score=Score(
            raw=sum(grade.score for grade in grades),
            penalty=sum(penalties),
            max_points=submission.assignment.max_score,
        ),
        complete=all(grade.auto_score is not None for grade in grades),
        ours=seals.is_ours(course.root, submission),
        seconds_late=max(0.0, submission.total_seconds_late),
        by_hand=_by_hand(submission),
        # nbgrader sets this flag; formgrader shows it and takes it back.
        look_again=any(one.needs_manual_grade and one.manual_score is not None for one in grades),
    )


def _by_hand(submission: SubmittedAssignment) -> str:
    """Return a hash of what a person gave and wrote; empty if that is nothing."""
    given = [
        (grade.name, grade.manual_score, grade.extra_credit)
        for notebook in submission.notebooks
        for grade in notebook.grades
        if grade.manual_score is not None or grade.extra_credit
    ]
    said = [
        (comment.name, comment.manual_comment)
        for notebook in submission.notebooks
        for comment in notebook.comments
        if comment.manual_comment
    ]
    if not given and not said:
        return ""
    return hashlib.sha256(repr((sorted(given), sorted(said))).encode()).hexdigest()


def penalties_by_policy(course: Course, assignment: str) -> dict[str, float]:
    """Return the late penalty of each student under the course's current policy.

    It differs from the recorded one after a change to the due date, to an extension, to the
    policy, or to points that were given by hand.
    """
    policy = Policy(course)
    with course.api.gradebook as gradebook:
        return {
            one.student_id: sum(
                policy.penalty(one.student_id, notebook.score, one.total_seconds_late)
                for notebook in one.notebooks
            )
            for one in gradebook.assignment_submissions(assignment)
        }


class Policy:
    """What lateness costs in a course, as nbgrader's late plug-in says."""

    def __init__(self, course: Course) -> None:
        self._step = AssignLatePenalties(config=course.api.config)
        self._step.init_plugin()

    def penalty(self, student: str, points: float, seconds_late: float) -> float:
        """Return how many points are lost."""
        if seconds_late <= 0:
            return 0.0
        asked = self._step.plugin_inst.late_submission_penalty(student, points, seconds_late)
        return min(max(asked or 0.0, 0.0), points)


def record_penalty(course: Course, assignment: str, student: str) -> None:
    """Make nbgrader record the late penalty of a submission again, and nothing else."""
    url = course.api.coursedir.db_url
    whose = {"assignment": assignment, "notebook": assignment, "student": student, "db_url": url}
    with one_transaction(url):
        step = AssignLatePenalties(config=course.api.config)
        step.preprocess(nbformat.v4.new_notebook(), {"nbgrader": whose})


def show_net_scores() -> None:
    """Make formgrader's lists show scores after late penalties, which they leave out."""
    if hasattr(Gradebook.submission_dicts, "__wrapped__"):
        return

    to_dict = SubmittedAssignment.to_dict
    submission_dicts, student_dicts = Gradebook.submission_dicts, Gradebook.student_dicts

    @wraps(to_dict)
    def of_submission(self: SubmittedAssignment) -> dict[str, Any]:
        return _less(to_dict(self), self.late_submission_penalty)

    @wraps(submission_dicts)
    def of_submissions(self: Gradebook, assignment: str) -> list[dict[str, Any]]:
        penalties = {
            submission.student_id: submission.late_submission_penalty
            for submission in self.assignment_submissions(assignment)
        }
        return [
            _less(values, penalties.get(values["student"]))
            for values in submission_dicts(self, assignment)
        ]

    @wraps(student_dicts)
    def of_students(self: Gradebook) -> list[dict[str, Any]]:
        penalties: dict[str, float] = {}
        for submission in self.db.query(SubmittedAssignment):
            earlier = penalties.get(submission.student_id, 0.0)
            penalties[submission.student_id] = earlier + (submission.late_submission_penalty or 0.0)
        return [_less(values, penalties.get(values["id"])) for values in student_dicts(self)]

    SubmittedAssignment.to_dict = of_submission
    Gradebook.submission_dicts = of_submissions
    Gradebook.student_dicts = of_students


def _less(values: Mapping[str, Any], penalty: float | None) -> dict[str, Any]:
    return {**values, "score": max(0.0, values["score"] - (penalty or 0.0))}


def score_of(submission: SubmittedAssignment) -> Score:
    """Return the score of a submission that was read from an open gradebook."""
    return Score(submission.score, submission.late_submission_penalty or 0.0, submission.max_score)


def is_complete(submission: SubmittedAssignment) -> bool:
    """Return whether no cell of a submission in an open gradebook is still without a grade."""
    return all(
        grade.auto_score is not None
        for notebook in submission.notebooks
        for grade in notebook.grades
    )


def score_text(score: Score | None) -> str:
    """Return a score as people read it: "17 of 25, 4.5 less for lateness"."""
    if score is None:
        return "not graded"
    late = f", {score.penalty:g} less for lateness" if score.penalty else ""
    return f"{score.net:g} of {score.max_points:g}{late}"
