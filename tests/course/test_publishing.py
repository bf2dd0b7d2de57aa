"""`autograder solutions`: after the deadline, students see a solution below their own."""

import nbformat
import pytest
from helpers.courses import answered, autograder, hand_in, released_course

from autograder.course.grading import grade
from autograder.course.late import FILE
from autograder.course.release import release
from autograder.grading.job import Job

pytestmark = pytest.mark.sandbox

COMMENT = "The factor one half cancels the 2 that comes down from the square."


@pytest.fixture
def course(tmp_path):
    """A graded course of two students, whose exercise comments on its first solution."""
    course = released_course(tmp_path)
    file = course.exercises / "l2" / "l2.py"
    begin = "    ### BEGIN SOLUTION\n"
    file.write_text(file.read_text().replace(begin, f"{begin}    # {COMMENT}\n", 1))
    release(course, file)
    hand_in(course, "ada", answered(course))
    hand_in(course, "bob", answered(course, l2_penalty="return 0.0"))
    grade(course)
    return course


def page(course, student):
    """Return the feedback page of a student."""
    return (course.folder("feedback", student, "l2") / "l2.html").read_text()


def test_no_page_shows_a_solution_before(course):
    """Nothing of the solutions leaves the instructor by itself."""
    assert COMMENT not in page(course, "bob")
    assert "to compare" not in page(course, "bob")


def test_solutions_are_published_and_taken_back(course, monkeypatch):
    """They stand below the answers on the next pages, without running anything again."""

    def run(job):
        raise AssertionError("it ran again")

    monkeypatch.setattr(Job, "run", run)
    status, said = autograder(course, monkeypatch, "solutions", "l2")
    assert status == 0, said
    notebook = nbformat.read(course.root / "solutions" / "l2.ipynb", as_version=4)
    assert COMMENT in [cell.source for cell in notebook.cells]
    summary = grade(course)
    assert [one.problem for one in summary.graded] == ["", ""]
    for student in ("ada", "bob"):
        assert page(course, student).count("A solution, to compare with yours") == 2
        assert COMMENT in page(course, student)
    assert grade(course).due.unchanged == 2

    status, said = autograder(course, monkeypatch, "solutions", "l2", "--withdraw")
    assert status == 0, said
    grade(course)
    assert COMMENT not in page(course, "bob")
    status, said = autograder(course, monkeypatch, "solutions", "l2", "--withdraw")
    assert status == 2
    assert "not published" in said


def test_solutions_wait_for_the_last_extension(course, monkeypatch):
    """As long as one student can hand in, they are refused unless the instructor insists."""
    dates = course.root / FILE
    dates.write_text(
        "[due]\nl2 = 2001-01-01 12:00:00\n[extensions.l2]\nbob = 2999-01-01 12:00:00\n"
    )
    status, said = autograder(course, monkeypatch, "solutions", "l2")
    assert status == 2
    assert "can still be handed in until 2999-01-01 12:00 UTC" in said
    assert not (course.root / "solutions").exists()
    dates.write_text("[due]\nl2 = 2001-01-01 12:00:00\n")
    assert autograder(course, monkeypatch, "solutions", "l2")[0] == 0
    dates.write_text("[due]\nl2 = 2999-01-01 12:00:00\n")
    assert autograder(course, monkeypatch, "solutions", "l2", "--early")[0] == 0


def test_what_is_not_released_has_no_solutions_to_publish(course, monkeypatch):
    """A typing error is named, with what there is."""
    status, said = autograder(course, monkeypatch, "solutions", "l3")
    assert status == 2
    assert "l2" in said
