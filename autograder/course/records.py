"""Keep a small file on each graded submission, so that nothing is done twice without a reason."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from autograder.course import late, names
from autograder.course.course import Course
from autograder.course.scores import Standing
from autograder.grading.notebook import Outcome
from autograder.grading.results import result_name

FOLDER = ".graded"
"""The folder of the records, in the root of a course."""


@dataclass(frozen=True)
class Record:
    """What the grade and the feedback page of a submission depend on.

    Attributes
    ----------
    result
        The name of the outcome it was graded by, see `grading.results`.
    handed_in
        The time in `timestamp.txt`, or what is wrong with it; empty if there is no such file.
    names
        A hash of the names that the course gives to its wrong answers, see `names`.
    raw, penalty
        The points on the feedback page, and how many of them lateness costs.
    by_hand
        A hash of what a person gave and wrote on it, see `scores.Standing`.
    solutions
        A hash of the course's solutions on it, see `publishing.state`.
    notebook
        A hash of the graded notebook, see `notebook_state`.
    """

    result: str
    handed_in: str
    names: str = ""
    raw: float | None = None
    penalty: float | None = None
    by_hand: str = ""
    solutions: str = ""
    notebook: str = ""

    def with_standing(self, found: Standing | None) -> Record:
        """Return this record with the points and comments on a new feedback page."""
        if found is None or not found.counts:
            return replace(self, raw=None, penalty=None, by_hand="")
        score = found.score
        return replace(self, raw=score.raw, penalty=score.penalty, by_hand=found.by_hand)

    def without_results(self) -> Record:
        """Return only what the grade depends on, as `current` does."""
        return Record(self.result, self.handed_in, self.names)


def current(course: Course, assignment: str, student: str) -> Record:
    """Return what the grade of a submission depends on now, without its score.

    Raises
    ------
    UnreadableError
        When the file cannot be read.
    """
    folder = course.folder("submitted", student, assignment)
    try:
        handed_in = str(course.api.coursedir.get_existing_timestamp(str(folder)) or "")
    except late.DatesError as error:
        handed_in = str(error)
    record = Record(result_name(course.grader.job(assignment, student)), handed_in)
    return with_names(course, assignment, record)


def with_names(course: Course, assignment: str, record: Record) -> Record:
    """Return a record with the names that its outcome is told now."""
    found = course.grader.results.get(record.result) if names.read(course.root) else None
    return replace(record, names=names.state(course.root, assignment, found))


def notebook_state(course: Course, assignment: str, student: str) -> str:
    """Return a hash of the graded notebook of a submission; empty if there is none."""
    folder = course.folder("autograded", student, assignment)
    with suppress(OSError):
        return hashlib.sha256((folder / f"{assignment}.ipynb").read_bytes()).hexdigest()
    return ""


def read(course: Course, assignment: str, student: str) -> Record | None:
    """Return the record of a submission; None if there is none."""
    with suppress(OSError, ValueError, TypeError):
        return Record(**json.loads(_file(course, assignment, student).read_text(encoding="utf-8")))
    return None


def outcome(course: Course, assignment: str, student: str) -> Outcome | None:
    """Return the outcome by which a submission was graded; None if none is kept."""
    record = read(course, assignment, student)
    return course.grader.results.get(record.result) if record else None


def write(course: Course, assignment: str, student: str, record: Record) -> None:
    """Record that a submission has been graded."""
    file = _file(course, assignment, student)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(asdict(record)), encoding="utf-8")


def drop(course: Course, assignment: str, student: str) -> None:
    """Delete the record of a submission."""
    _file(course, assignment, student).unlink(missing_ok=True)


def _file(course: Course, assignment: str, student: str) -> Path:
    return course.root / FOLDER / student / assignment
