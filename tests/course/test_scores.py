"""Late work and points by hand: one number, the same wherever somebody reads it."""

import csv
import re
from datetime import datetime

import pytest
from helpers.courses import autograder
from helpers.formgrader import get

pytestmark = pytest.mark.sandbox

DUE = datetime(2026, 3, 2, 12)


def give_by_hand(course, student, task, points):
    """Give points for a task as formgrader does."""
    with course.api.gradebook as gradebook:
        gradebook.find_grade(f"check-{task}", "l2", "l2", student).manual_score = points
        gradebook.db.commit()


def set_due(course, due):
    """Set the date on which the assignment is due."""
    with course.api.gradebook as gradebook:
        gradebook.update_or_create_assignment("l2", duedate=due)


@pytest.fixture(scope="module")
def late(served):
    """Return the course with late work in it, formgrader's API, and what grading it said.

    "solved" comes a day late and loses half of 6 points; "doubled" comes two days late, gets 1
    point by hand beside the 3 that it earned, and loses three quarters of the 4.
    """
    course, api = served
    set_due(course, DUE)
    give_by_hand(course, "doubled", "l2_penalty", 1)
    with pytest.MonkeyPatch.context() as patch:
        _, said = autograder(course, patch, "grade")
    yield course, api, said
    set_due(course, None)


@pytest.fixture(params=[("solved", 3.0), ("doubled", 1.0), ("half", 3.0)], ids=lambda one: one[0])
def expected(request):
    """Return a student and the score that counts; "half" was in time."""
    return request.param


def test_the_terminal_says_it(late):
    """With what lateness cost; who was in time has not changed and is not mentioned."""
    _, _, said = late
    assert "l2 of solved: 3 of 6, 3 less for lateness" in said
    assert "l2 of doubled: 1 of 6, 3 less for lateness" in said
    assert "l2 of half" not in said


def test_the_exported_file_says_it(late, expected, monkeypatch):
    """In its column for the score."""
    course, _, _ = late
    student, net = expected
    assert autograder(course, monkeypatch, "export")[0] == 0
    with (course.root / "grades.csv").open() as file:
        found = {row["student_id"]: float(row["score"]) for row in csv.DictReader(file)}
    assert found[student] == net


def test_the_feedback_page_says_it(late, expected):
    """In its headline."""
    course, _, _ = late
    student, net = expected
    page = (course.folder("feedback", student, "l2") / "l2.html").read_text()
    assert re.search(r"<h1>l2: (.*) of 6 points</h1>", page)[1] == f"{net:g}"


def test_formgrader_says_it(late, expected):
    """In its lists of submissions, of one student's submissions and of students."""
    _, api, _ = late
    student, net = expected
    in_list = {one["student"]: one["score"] for one in get(f"{api}/submissions/l2")}
    assert in_list[student] == net
    assert get(f"{api}/submission/l2/{student}")["score"] == net
    [of_student] = get(f"{api}/student_submissions/{student}")
    assert of_student["score"] == net
    totals = {one["id"]: one["score"] for one in get(f"{api}/students")}
    assert totals[student] == net


def test_explain_says_it(late, expected, monkeypatch):
    """At its beginning and at its end."""
    course, _, _ = late
    student, net = expected
    _, said = autograder(course, monkeypatch, "explain", student, "l2")
    assert said.startswith(f"l2 of {student}: {net:g} of 6 points\n")
    assert said.rstrip().endswith(f"{net:g} of 6 points")
