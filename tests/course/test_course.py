"""A class graded by `autograder grade`: what its students get and read, and what comes next."""

import os

import nbformat
import pytest
from helpers.courses import answered, graded_file, hand_in, outputs, points

from autograder import cli
from autograder.course.export import export
from autograder.course.grading import grade, grade_one
from autograder.judging.limits import ENDED, not_judged

pytestmark = pytest.mark.sandbox

BROKEN = "This was a notebook once.\n"
POINTS = {
    "solved": 6,
    "untouched": 0,
    "half": 3,
    "wrong": 3,
    "doubled": 3,
    "changing": 5.25,
    "hangs": 3,
    "dies": 3,
    "repaired": 6,
}


def test_everyone_gets_what_the_answers_are_worth(graded):
    """The solution full marks, the untouched notebook nothing, others what is right."""
    assert points(graded) == POINTS


def test_the_report_of_a_mistake_is_in_the_graded_notebook_and_the_feedback(graded):
    """Its number is what nbgrader records, its table what the student reads."""
    report = outputs(graded, "doubled")["check-l2_penalty"]
    assert "text/html" in report
    page = graded.folder("feedback", "doubled", "l2") / "l2.html"
    assert "l2_penalty: 0 of 3 points" in page.read_text()


def test_a_broken_file_does_not_stop_the_others(first_run):
    """It is the only one without a grade: status 1, and the reason fits in a line."""
    _, status, said = first_run
    assert status == 1
    assert "9 graded, 0 unchanged, 1 not graded" in said
    [reason] = [line for line in said.splitlines() if line.startswith("l2 of broken: The")]
    assert "The file is no notebook" in reason


def test_demonstrations_are_skipped_and_say_so(graded):
    """The one of this notebook would raise."""
    assert "grading does not run demonstrations" in outputs(graded, "solved")["demonstration-1"]


@pytest.mark.parametrize(
    ("student", "message"),
    [("hangs", not_judged("It ")), ("dies", not_judged(ENDED))],
)
def test_a_dead_or_hung_process_costs_its_task(graded, student, message):
    """The report says what happened; later tasks are judged in a new process."""
    shown = outputs(graded, student)
    assert message in shown["check-l2_penalty"]
    assert "3.0" in shown["check-l2_penalty_backward"]


def test_repairs_are_told_at_the_top(graded):
    """To the student, whose checks were gone; nobody else reads of any."""
    first = nbformat.read(graded_file(graded, "repaired"), as_version=4).cells[0]
    assert "About this file" in first.source
    assert "About this file" not in graded_file(graded, "solved").read_text()
    page = graded.folder("feedback", "repaired", "l2") / "l2.html"
    assert "About this file" in page.read_text()


def test_other_files_are_neither_followed_nor_copied(graded):
    """Links, folders and FIFOs beside the notebook: only the notebook is graded."""
    for step in ("autograded", "feedback"):
        folder = graded.folder(step, "repaired", "l2")
        names = {path.name for path in folder.rglob("*")}
        assert names <= {"l2.ipynb", "l2.html"}
        assert names


def test_grading_again_does_nothing_until_something_changes(graded, runs):
    """Only the broken file, which has no grade, is looked at again."""
    before = graded_file(graded, "solved").stat().st_mtime_ns
    summary = cli.grade(graded)
    assert [one.student for one in summary.graded] == ["broken"]
    assert summary.due.unchanged == len(POINTS)
    assert graded_file(graded, "solved").stat().st_mtime_ns == before
    assert not runs


def test_a_resubmission_is_graded_whatever_its_date(copied):
    """Only timestamps matter to nbgrader; downloads often carry an old one or none."""
    path = hand_in(copied, "untouched", answered(copied))
    os.utime(path, (1, 1))
    grade(copied, students=["untouched"])
    assert points(copied)["untouched"] == 6

    hand_in(copied, "untouched", BROKEN)
    [failed] = grade(copied, students=["untouched"]).failed
    assert "earlier version were cleared" in failed.problem
    assert "untouched" not in points(copied)
    assert "untouched,,,,0.0" in export(copied).read_text()
    assert not copied.folder("feedback", "untouched", "l2").exists()


def test_a_file_of_another_name_is_a_reason(copied):
    """From nbgrader came the question whether the assignment was released; nothing hides in it."""
    folder = copied.folder("submitted", "renamed", "l2")
    folder.mkdir(parents=True)
    (folder / "l2 (1)\u202e.ipynb").write_text("{}")
    result = grade_one(copied, "l2", "renamed")
    assert result.problem == "there is no l2.ipynb, only l2 (1)⟨U+202E⟩.ipynb"
