"""Enter students into the gradebook, with the names and addresses that formgrader shows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from autograder.course.course import Course
from autograder.course.gradebook import one_transaction
from autograder.course.sanitize import spell_out

_LONGEST = 100
# Formgrader puts names into its pages as they are.
_HARMLESS = str.maketrans("<>", "‹›")


@dataclass(frozen=True)
class Student:
    """A student of the course; name and address may be empty."""

    id: str
    name: str = ""
    email: str = ""


def enroll(course: Course, students: Iterable[Student]) -> None:
    """Add students who are not in the gradebook, and names and addresses that it does not have.

    Grading does so up front: otherwise two processes that grade for the same new student would
    both add them.
    """
    with one_transaction(course.api.coursedir.db_url), course.api.gradebook as gradebook:
        known = {one.id: one for one in gradebook.students}
        for student in sorted(students, key=lambda student: student.id):
            one = known.get(student.id)
            if one is None:
                one = known[student.id] = gradebook.add_student(student.id)
            if student.name and not one.first_name and not one.last_name:
                one.first_name, one.last_name = _first_and_last(student.name)
            if student.email and not one.email:
                one.email = _plain(student.email)
        gradebook.db.commit()


def _first_and_last(name: str) -> tuple[str, str]:
    """Split a name, which platforms write as “Ada Lovelace” or “Lovelace, Ada”."""
    plain = _plain(name)
    if "," in plain:
        last, _, first = plain.partition(",")
    else:
        first, _, last = plain.rpartition(" ")
    return first.strip(), last.strip()


def _plain(text: str) -> str:
    return spell_out(" ".join(text.split())[:_LONGEST]).translate(_HARMLESS)
