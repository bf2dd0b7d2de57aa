"""Other ways to grade and to look: nbgrader's commands, formgrader, and what they agree on."""

import shutil

import pytest
from helpers.courses import (
    answered,
    hand_in,
    nbgrader,
    points,
    released_course,
)
from helpers.formgrader import get, post
from nbgrader.validator import Validator

from autograder.course.export import export
from autograder.intake.exercise import write
from benchmarks.classes import STOCK, recorded

pytestmark = pytest.mark.sandbox

DOUBLED = "return weight_decay * sum((weight**2).sum() for weight in weights)"


def test_validate_passes_the_solution_and_shows_our_message(graded, tmp_path):
    """Students may use nbgrader's Validate button."""
    right, wrong = tmp_path / "right.ipynb", tmp_path / "wrong.ipynb"
    write(answered(graded), right)
    write(answered(graded, l2_penalty=DOUBLED), wrong)
    assert "failed" not in Validator().validate(str(right))
    failed = Validator().validate(str(wrong))["failed"]
    assert [cell["source"] for cell in failed] == ["check(l2_penalty)"]
    assert "l2_penalty: " in failed[0]["error"]


def test_stock_nbgrader_gives_the_same_scores(tmp_path, graded):
    """With nbgrader's own preprocessors, which run demonstrations too."""
    course = released_course(tmp_path, STOCK)
    for student in ("solved", "untouched", "doubled"):
        shutil.copytree(
            graded.folder("submitted", student, "l2"), course.folder("submitted", student, "l2")
        )
    nbgrader(course, "autograde", "l2")
    ours = points(graded)
    theirs = {student: score.net for student, score in recorded(course, "l2").items()}
    assert theirs == {name: ours[name] for name in ("solved", "untouched", "doubled")}


def test_nbgraders_own_commands_give_the_same_points(copied):
    """A file that cannot be graded does not stop them, and loses what an earlier one got."""
    before = points(copied)
    hand_in(copied, "half", "no notebook any more")
    said = nbgrader(copied, "autograde", "l2", "--force", succeeds=False)
    assert "The file is no notebook" in said
    assert points(copied) == {name: earned for name, earned in before.items() if name != "half"}
    [half] = [row for row in export(copied).read_text().splitlines() if ",half," in row]
    assert half.endswith("half,,,,0.0,0.0,0.0,6.0")
    nbgrader(copied, "generate_feedback", "l2", "--student", "dies", "--force")
    nbgrader(copied, "generate_assignment", "l2", "--force")
    nbgrader(copied, "export", "--to", "grades.csv")
    assert "solved" in (copied.config_file.parent / "grades.csv").read_text()


def test_formgrader_lists_the_assignment(served):
    """A Jupyter server started in the course's folder has formgrader with its submissions."""
    _, api = served
    assert [assignment["name"] for assignment in get(f"{api}/assignments")] == ["l2"]


def test_formgraders_button_gives_the_same_points(served):
    """Through its web interface."""
    course, api = served
    hand_in(course, "dies", answered(course))
    assert post(f"{api}/submission/l2/dies/autograde")["success"]
    assert get(f"{api}/submission/l2/dies")["score"] == points(course)["dies"] == 6
