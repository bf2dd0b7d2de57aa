"""Tell grades that this grader made from all others.

Stock nbgrader, or a program that writes to the gradebook, can put points where ours belong.  So the
grader seals the points of each submission with the course's secret.  Points given by hand are not
sealed, because they are the instructor's own.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from nbgrader.api import SubmittedAssignment

from autograder.course.secret import course_secret

FOLDER = ".seals"
"""The folder of the seals, in the root of a course."""


def write(root: Path, assignment: str, student: str, points: Mapping[str, float | None]) -> None:
    """Seal the points that this grader gives for the cells of a submission."""
    file = root / FOLDER / student / assignment
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(_seal(root, assignment, student, points), encoding="utf-8")


def is_ours(root: Path, submission: SubmittedAssignment) -> bool:
    """Return whether the points of a submission in an open gradebook are those that were sealed."""
    points = {
        grade.name: grade.auto_score
        for notebook in submission.notebooks
        for grade in notebook.grades
    }
    assignment, student = submission.name, submission.student_id
    with suppress(OSError, ValueError):
        sealed = (root / FOLDER / student / assignment).read_text(encoding="ascii")
        return hmac.compare_digest(sealed, _seal(root, assignment, student, points))
    return False


def _seal(root: Path, assignment: str, student: str, points: Mapping[str, float | None]) -> str:
    exact = {cell: None if given is None else float(given) for cell, given in points.items()}
    text = json.dumps(["seal", assignment, student, exact], sort_keys=True)
    return hmac.new(course_secret(root), text.encode(), "sha256").hexdigest()
