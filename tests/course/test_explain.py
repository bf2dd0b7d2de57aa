"""`autograder explain`: how a grade came about."""

import re
from datetime import datetime

import pytest
from helpers.courses import (
    ROOT,
    answered,
    autograder,
    copy_course,
    hand_in,
    points,
)

from autograder import demo
from autograder.course.grading import grade
from autograder.course.release import release
from autograder.intake.exercise import source_notebook, write

pytestmark = pytest.mark.sandbox


@pytest.fixture
def explain(graded, monkeypatch):
    """Return a function that runs the command, on the shared course if on no other."""

    def run(*arguments, course=graded):
        status, said = autograder(course, monkeypatch, "explain", *arguments)
        assert status == 0, said
        return said

    return run


def test_it_tells_the_way_from_the_file_to_the_score(explain, graded):
    """The file, when it came, each task with its report, and the sum."""
    said = explain("solved", "l2")
    assert said.startswith("l2 of solved: 6 of 6 points\n")
    assert str(graded.folder("submitted", "solved", "l2") / "l2.ipynb") in said
    assert "2026-03-03 12:00 UTC, no due date" in said
    assert "l2_penalty: 3 of 3 points" in said
    assert "l2_penalty_backward: 3 of 3 points" in said
    assert re.search(r"Found by the grader +6\n", said)
    assert re.search(r"In the gradebook +6 of 6 points\n", said)
    assert "at no known time, so never late" in explain("wrong", "l2")


def test_it_names_the_mistake_that_was_identified(explain):
    """With the words of the report, and the seed that its inputs were drawn with."""
    said = explain("doubled", "l2")
    assert "(l2-missing-half)" in said
    assert "one mistake explains all numbers" in said
    assert len(set(re.findall(r"code of its inputs: ([a-z2-7-]+)", said))) == 2


def test_one_task_can_be_asked_for(explain):
    """Nothing is said then of the others, or of the sum."""
    said = explain("doubled", "l2", "l2_penalty_backward")
    assert "l2_penalty_backward: 3 of 3 points" in said
    assert "l2_penalty:" not in said
    assert "In the gradebook" not in said


def test_it_tells_what_was_deducted(explain):
    """An argument that was changed in place costs a quarter of the task."""
    assert "deducted: leaves its arguments as they are, 0.75" in explain("changing", "l2")


def test_it_tells_what_was_repaired(explain):
    """The same notes that stand above the graded notebook."""
    said = explain("repaired", "l2")
    assert re.search(r"Repaired +These cells were missing and were put back", said)


def test_it_tells_what_was_carried_forward(explain, graded, tmp_path):
    """The gradient of a wrong forward pass is right for it, and earns half."""
    course = copy_course(graded, tmp_path)
    source = tmp_path / "exercises" / "dropout" / "dropout.py"
    source.parent.mkdir()
    source.write_text((ROOT / "exercises" / "dropout" / "dropout.py").read_text())
    release(course, source)
    notebook = demo.submission(source_notebook(source), "dropout", "mistake 2")
    write(notebook, course.folder("submitted", "ann", "dropout") / "dropout.ipynb")
    assert not grade(course, ["dropout"], feedback=False).failed
    said = explain("ann", "dropout", "dropout_backward", course=course)
    assert re.search(r"carried forward: .*, (\d\.?\d*) of \d", said)
    assert "right for your `dropout_forward`, which is wrong" in " ".join(said.split())


def test_it_tells_what_was_given_by_hand(explain, copied):
    """Points, extra credit and a comment, and what they make of the sum."""
    with copied.api.gradebook as gradebook:
        found = gradebook.find_grade("check-l2_penalty", "l2", "l2", "doubled")
        found.manual_score, found.extra_credit = 1.5, 0.5
        comment = gradebook.find_comment("l2_penalty", "l2", "l2", "doubled")
        comment.manual_comment = "Nearly."
        gradebook.db.commit()
    said = explain("doubled", "l2", course=copied)
    assert "by hand: 1.5 points take the place of these" in said
    assert "by hand: 0.5 points of extra credit" in said
    assert "comment: Nearly." in said
    assert re.search(r"With points by hand +5\n", said)
    assert f"In the gradebook     {points(copied)['doubled']:g} of 6 points" in said


def test_it_tells_what_lateness_cost(explain, served):
    """When it was due, how late it came, and what that took away."""
    course, _ = served
    with course.api.gradebook as gradebook:
        gradebook.update_or_create_assignment("l2", duedate=datetime(2026, 3, 2, 9, 30))
    grade(course, students=["solved"], feedback=False)
    said = explain("solved", "l2", course=course)
    assert "due 2026-03-02 09:30 UTC" in said
    assert re.search(r"Late by 1 d 2 h 30 min +−4.5\n", said)
    with course.api.gradebook as gradebook:
        gradebook.update_or_create_assignment("l2", duedate=None)


def test_times_are_in_the_zone_of_the_course(explain, copied):
    """So they can be compared with what `dates.toml` says."""
    (copied.root / "dates.toml").write_text('time_zone = "Europe/Berlin"')
    assert "2026-03-03 13:00 CET, no due date" in explain("solved", "l2", course=copied)


def test_it_runs_nothing_unless_it_is_asked_to(explain, monkeypatch):
    """Everything that it tells was kept."""
    monkeypatch.setattr("autograder.course.explain.warm_sandbox", pytest.fail)
    assert "Run again" not in explain("doubled", "l2")


def test_run_again_it_shows_prints_and_the_first_case_that_fails(explain):
    """With its inputs, what came back and what was expected."""
    said = explain("doubled", "l2", "l2_penalty", "--rerun")
    again = said.partition("Run again.")[2]
    assert "It printed while it was tried:\n    doubling" in again
    assert "The first case that fails is “" in again
    assert "weight_decay = " in again
    got, expected = re.search(
        r"`penalty` that came back:\n +([\d.]+)\n +Expected:\n +([\d.]+)", again
    ).groups()
    assert float(got) == pytest.approx(2 * float(expected), rel=1e-3)
    assert "Every case agrees." in explain("solved", "l2", "l2_penalty", "--rerun")


@pytest.mark.parametrize("rerun", [(), ("--rerun",)])
def test_what_a_student_printed_cannot_steer_the_terminal(explain, copied, rerun):
    """Colors, titles and backspaces of a stranger stay out of an instructor's terminal."""
    steering = r"print('\x1b]0;owned\x07\x1b[2J\x08\u202eeverything'); return 1.0"
    notebook = answered(copied, l2_penalty=steering)
    notebook.cells[1].source += "\nprint('\\x1b[2Jcleared')"
    hand_in(copied, "hostile", notebook)
    assert not grade(copied, students=["hostile"], feedback=False).failed
    said = explain("hostile", "l2", *rerun, course=copied)
    assert "everything" in said
    assert not set("\x1b\x07\x08\u202e") & set(said)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nobody", "l2"), "nobody has not handed in l2: there is no "),
        (("broken", "l2"), "l2 of broken is not graded. The file is no notebook"),
        (("solved", "l9"), "l9"),
        (("solved", "l2", "sgd_step"), "no task 'sgd_step'; it has l2_penalty"),
    ],
)
def test_what_is_not_known_is_one_line_and_status_2(graded, monkeypatch, arguments, words):
    """The line says what to do, or what there is."""
    status, said = autograder(graded, monkeypatch, "explain", *arguments)
    assert status == 2
    assert words in said
    assert len(said.strip().splitlines()) == 1


def test_what_has_not_been_graded_yet_can_be(copied, monkeypatch):
    """The line gives the command."""
    hand_in(copied, "grace", answered(copied))
    status, said = autograder(copied, monkeypatch, "explain", "grace", "l2")
    assert status == 2
    assert "run `autograder grade l2 --student grace` first" in said


def test_it_says_what_a_limit_stopped(explain):
    """With the limit, so that nobody has to guess why an answer has no points."""
    said = explain("hangs", "l2")
    assert re.search(r"^Stopped     check-l2_penalty: It .* seconds", said, re.MULTILINE)
    assert "Stopped" not in explain("solved", "l2")
