"""What is done again when something has changed, and nothing else is."""

import shutil
from collections import Counter
from datetime import datetime

import pytest
from helpers import late
from helpers.courses import answered, autograder, copy_course, graded_file, hand_in, points
from nbgrader.apps import NbGraderAPI

from autograder.course.course import Course
from autograder.course.grading import grade
from autograder.course.scores import standings
from autograder.grading import results
from autograder.grading.job import Job

pytestmark = pytest.mark.sandbox

STUDENTS = ("half", "wrong", "doubled")


@pytest.fixture
def course(graded, tmp_path):
    """Return a copy of the graded course in which late work loses points; nothing is due yet."""
    return copy_course(graded, tmp_path, late.SETTINGS)


def contents(course, students=STUDENTS):
    """Return what these students handed in, with how often it would be run once."""
    folder = course.folder
    return Counter(
        (folder("submitted", student, "l2") / "l2.ipynb").read_bytes() for student in students
    )


def forget_grades(course):
    """Leave of a grading nothing but the results."""
    for folder in (".graded", "autograded"):
        shutil.rmtree(course.root / folder)


def set_due(course, day):
    with course.api.gradebook as gradebook:
        due = datetime(2026, 3, day, 12)
        gradebook.update_or_create_assignment("l2", duedate=due)


def grant_extension(course):
    with course.api.gradebook as gradebook:
        gradebook.grant_extension("l2", "doubled", days=1)


def give_by_hand(course):
    with course.api.gradebook as gradebook:
        gradebook.find_grade("check-l2_penalty", "l2", "l2", "doubled").manual_score = 2
        gradebook.db.commit()


def comment_by_hand(course):
    with course.api.gradebook as gradebook:
        comment = gradebook.find_comment("l2_penalty", "l2", "l2", "doubled")
        comment.manual_comment = "Well begun."
        gradebook.db.commit()


def change_policy(course):
    text = course.config_file.read_text().replace("HalfEachDay", "AllAtOnce")
    course.config_file.write_text(text)


CHANGES = {
    "due date": (lambda course: set_due(course, 2), 0.75),
    "extension": (grant_extension, 3.0),
    "policy": (change_policy, 0.0),
    "points by hand": (give_by_hand, 2.5),
    "comment": (comment_by_hand, 1.5),
}
"""What may change about work that is one day late, and its score afterwards; it was 1.5."""


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_about_lateness_or_by_hand_makes_penalty_and_page_again(course, runs, what):
    """Of whom it concerns, and of nobody else; no code runs, and the graded notebook stays."""
    change, expected = CHANGES[what]
    set_due(course, 3)
    assert {one.student for one in grade(course, students=STUDENTS).graded} == {"doubled"}
    assert points(course)["doubled"] == 1.5
    notebook = graded_file(course, "doubled").read_bytes()
    pages = {name: course.folder("feedback", name, "l2") / "l2.html" for name in STUDENTS}
    before = {name: page.read_text() for name, page in pages.items()}

    change(course)
    course = Course(course.config_file)
    assert {one.student for one in grade(course, students=STUDENTS).graded} == {"doubled"}
    assert points(course)["doubled"] == expected
    after = {name: page.read_text() for name, page in pages.items()}
    assert f"<h1>l2: {expected:g} of 6 points</h1>" in after["doubled"]
    assert {name for name in STUDENTS if after[name] != before[name]} == {"doubled"}
    assert graded_file(course, "doubled").read_bytes() == notebook
    assert not runs
    assert grade(course, students=STUDENTS).graded == []


def test_force_grades_from_the_results_that_are_kept(course, runs, grade_quietly):
    """Everything is graded again and nothing is run."""
    before = points(course)
    for student in STUDENTS:
        graded_file(course, student).unlink()
    assert grade_quietly(course, *STUDENTS, force=True) == set(STUDENTS)
    assert all(graded_file(course, student).exists() for student in STUDENTS)
    assert points(course) == before
    assert not runs


def test_rerun_runs_everything(course, runs, grade_quietly):
    """Also what has not changed."""
    assert grade_quietly(course, *STUDENTS, rerun=True) == set(STUDENTS)
    assert runs == contents(course)


def test_what_was_run_once_is_not_run_again(course, runs, grade_quietly):
    """Nor is a copy of it that another student hands in."""
    before = points(course)
    forget_grades(course)
    text = (course.folder("submitted", "wrong", "l2") / "l2.ipynb").read_text()
    hand_in(course, "copycat", text)
    grade_quietly(course, *STUDENTS, "copycat")
    assert points(course) == {**before, "copycat": before["wrong"]}
    assert not runs


def test_only_who_resubmitted_is_run(course, runs, grade_quietly):
    """The grade follows the new file."""
    before = points(course)
    path = course.folder("submitted", "wrong", "l2") / "l2.ipynb"
    path.write_text(path.read_text().replace("weight_decay * weight", "weight", 1))
    assert grade_quietly(course, *STUDENTS) == {"wrong"}
    assert runs == contents(course, ["wrong"])
    assert points(course) == {**before, "wrong": 0}


def test_a_run_that_was_stopped_goes_on(course, runs, monkeypatch, grade_quietly):
    """Whatever was done before is kept."""
    before = points(course)
    counting = Job.run

    def stopped(job):
        if sum(runs.values()) == 2:
            raise KeyboardInterrupt
        return counting(job)

    with monkeypatch.context() as patch:
        patch.setattr(Job, "run", stopped)
        with pytest.raises(KeyboardInterrupt):
            grade_quietly(course, *STUDENTS, rerun=True)
    assert sum(runs.values()) == 2
    grade_quietly(course, *STUDENTS)
    assert runs == contents(course)
    assert points(course) == before


def test_grading_goes_on_where_results_cannot_be_kept(course, runs, grade_quietly):
    """The folder cannot be made, as on a disk that is full or read-only."""
    before = points(course)
    forget_grades(course)
    shutil.rmtree(course.root / results.FOLDER)
    (course.root / results.FOLDER).write_text("in the way")
    grade_quietly(course, *STUDENTS)
    assert runs == contents(course)
    assert points(course) == before


def test_a_damaged_result_is_none(course, runs, grade_quietly):
    """Half a file is left, say, of a disk that was pulled out."""
    before = points(course)
    forget_grades(course)
    for path in (course.root / results.FOLDER).iterdir():
        path.write_text(path.read_text()[:100])
    grade_quietly(course, *STUDENTS)
    assert runs == contents(course)
    assert points(course) == before


def test_results_are_for_their_owner_only(graded):
    """They show what inputs a submission was judged on."""
    folder = graded.root / results.FOLDER
    assert folder.stat().st_mode & 0o077 == 0


def test_points_by_hand_of_an_earlier_version_ask_to_be_looked_at(course, monkeypatch):
    """They stand, but nobody has seen the new version; formgrader and the terminal say so."""
    give_by_hand(course)
    assert not grade(course, students=["doubled"]).graded[0].look_again
    hand_in(course, "doubled", answered(course))
    status, said = autograder(course, monkeypatch, "grade", "--student", "doubled")
    assert status == 0
    assert "l2: points that were given by hand before stand (doubled); look at them again" in said
    assert points(course)["doubled"] == 5
    assert standings(course, "l2")["doubled"].look_again
    assert not standings(course, "l2")["solved"].look_again


def test_points_by_hand_need_no_look_while_the_work_is_the_same(course):
    """Whatever else makes the page again, such as a new name for somebody's wrong answer."""
    give_by_hand(course)
    for _ in range(2):
        [again] = grade(course, students=["doubled"], force=True).graded
        assert not again.look_again
    hand_in(course, "doubled", answered(course))
    for _ in range(2):
        [again] = grade(course, students=["doubled"], force=True).graded
        assert again.look_again


def test_a_page_that_failed_is_made_again(course, monkeypatch):
    """The submission does not count as finished without it."""
    page = course.folder("feedback", "doubled", "l2") / "l2.html"
    failing = {"success": False, "log": "OSError: no space left", "error": ""}
    with monkeypatch.context() as patch:
        patch.setattr(NbGraderAPI, "generate_feedback", lambda *a, **b: failing)
        give_by_hand(course)
        [failed] = grade(course, students=["doubled"]).failed
    assert "without feedback" in failed.problem
    [again] = grade(course, students=["doubled"]).graded
    assert not again.problem
    assert "<h1>l2: 5 of 6 points</h1>" in page.read_text()


def test_an_interrupted_page_stops_the_run(course, monkeypatch):
    """What nbgrader takes for a failure of one submission is Ctrl-C."""
    pressed = {"success": False, "log": "", "error": "... KeyboardInterrupt"}
    monkeypatch.setattr(NbGraderAPI, "generate_feedback", lambda *a, **b: pressed)
    with pytest.raises(KeyboardInterrupt):
        grade(course, students=STUDENTS, force=True)
