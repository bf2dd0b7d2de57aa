"""nbgrader's CSV file, from a gradebook with names that somebody chose with it in mind."""

import csv
import io

import pytest
from helpers.courses import released_course

from autograder.course.export import export


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ("Eve, x@example.edu, 6, 0, 6, 6", "Eve, x@example.edu, 6, 0, 6, 6"),
        ('Eve "\n', 'Eve "\n'),
        (None, ""),
    ],
)
def test_a_name_is_neither_a_formula_nor_points(tmp_path, name, shown):
    """It stays in its cell, and in the gradebook as it was."""
    course = released_course(tmp_path)
    with course.api.gradebook as gradebook:
        gradebook.add_student("eve", first_name=name, last_name=name, email=name)
    content = export(course).read_text(encoding="utf-8")
    [row] = csv.DictReader(io.StringIO(content, newline=""))
    assert (row["first_name"], row["last_name"], row["email"]) == (shown, shown, shown)
    assert (row["student_id"], row["score"], row["max_score"]) == ("eve", "0.0", "6.0")
    with course.api.gradebook as gradebook:
        assert gradebook.find_student("eve").first_name == name
