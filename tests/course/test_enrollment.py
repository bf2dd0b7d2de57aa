"""Students in the gradebook have the names and addresses that a platform or a roster tells."""

import pytest
from helpers.courses import released_course

from autograder.course.enrollment import Student, enroll


def known(course):
    with course.api.gradebook as gradebook:
        return {one.id: (one.first_name, one.last_name, one.email) for one in gradebook.students}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Ada Lovelace", ("Ada", "Lovelace")),
        ("Lovelace, Ada", ("Ada", "Lovelace")),
        ("Plato", ("", "Plato")),
        ("  José  María\n García ", ("José María", "García")),
        ("<script>alert(1)</script> X", ("‹script›alert(1)‹/script›", "X")),
    ],
)
def test_a_name_is_split_as_formgrader_shows_it(tmp_path, name, expected):
    """And nothing in it is markup, because formgrader does not escape it."""
    course = released_course(tmp_path)
    enroll(course, [Student("ada", name, "ada@example.org")])
    assert known(course) == {"ada": (*expected, "ada@example.org")}


def test_what_is_known_stays(tmp_path):
    """An instructor may have corrected a name; what was missing is added."""
    course = released_course(tmp_path)
    enroll(course, [Student("ada"), Student("bob", "Bob B")])
    enroll(course, [Student("ada", "Ada L"), Student("bob", "Robert C", "bob@example.org")])
    assert known(course) == {
        "ada": ("Ada", "L", None),
        "bob": ("Bob", "B", "bob@example.org"),
    }


def test_a_name_that_hides_something_is_spelled_out(tmp_path):
    """Right-to-left marks and 300 characters harm no page."""
    course = released_course(tmp_path)
    enroll(course, [Student("ada", "\u202e" + "x" * 300)])
    [(first, last, _)] = known(course).values()
    assert (first + last).isprintable()
    assert len(first + last) < 150
