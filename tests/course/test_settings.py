"""However nbgrader is started on a course, students' code runs in the sandbox or not at all."""

import subprocess
import sys
import urllib.request

import nbformat
import pytest
from helpers.courses import (
    ENVIRONMENT,
    autograder,
    graded_file,
    hand_in,
    points,
    released_course,
    source_file,
)
from helpers.formgrader import formgrader, post
from nbgrader.api import Notebook
from nbgrader.apps import NbGraderAPI

from autograder.course.course import CONFIG, Course
from autograder.course.settings import NO_KERNEL, keep_safe
from autograder.intake.exercise import source_notebook, student_notebook
from benchmarks.classes import recorded

pytestmark = pytest.mark.sandbox


@pytest.fixture(scope="module")
def forged(tmp_path_factory):
    """Return a course in which "eve" got nothing for a notebook that forges points.

    Stock nbgrader gives it all 6, and its code leaves a file.
    """
    folder = tmp_path_factory.mktemp("forged")
    course = released_course(folder)
    notebook = student_notebook(source_notebook(source_file(course)))
    code = (
        f"open({str(folder / 'canary')!r}, 'w').write('was here')\n"
        "import autograder\nautograder.check = lambda function: 3"
    )
    notebook.cells.insert(1, nbformat.v4.new_code_cell(code))
    hand_in(course, "eve", notebook)
    with pytest.MonkeyPatch.context() as patch:
        assert autograder(course, patch, "grade", "--jobs", "1")[0] == 0
    assert points(course) == {"eve": 0}
    return course


@pytest.fixture
def course(forged):
    """Return the course as `autograder grade` leaves it."""
    keep_safe(forged)
    canary(forged).unlink(missing_ok=True)
    yield forged
    canary(forged).unlink(missing_ok=True)


def canary(course):
    """Return the file that the student's code would write."""
    return course.config_file.parent / "canary"


def start(folder, *arguments):
    """Run nbgrader's own autograde in a folder; return its status and what it said."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "nbgrader",
            *["autograde", "l2", "--student=eve", "--force"],
            *arguments,
        ],
        cwd=folder,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def in_settings_folder(course, elsewhere):
    """Start nbgrader beside the course's settings."""
    return start(course.config_file.parent)[0] == 0


def in_root(course, elsewhere):
    """Start nbgrader where the gradebook is."""
    return start(course.root)[0] == 0


def by_course_dir(course, elsewhere):
    """Start nbgrader anywhere."""
    return start(elsewhere, f"--course-dir={course.root}")[0] == 0


def by_button_in_root(course, elsewhere):
    """Press formgrader's button on a server started where the gradebook is."""
    with formgrader(course, course.root) as api:
        return post(f"{api}/submission/l2/eve/autograde")["success"]


def by_button_elsewhere(course, elsewhere):
    """Press it on a server started above, after opening the folder of the gradebook there."""
    above = course.config_file.parent.parent
    with formgrader(course, above) as api:
        address = f"{api.removesuffix('/api')}?path={course.root}"
        with urllib.request.urlopen(address, timeout=60) as page:
            assert page.status == 200
        return post(f"{api}/submission/l2/eve/autograde")["success"]


WAYS = [in_settings_folder, in_root, by_course_dir, by_button_in_root, by_button_elsewhere]


@pytest.mark.parametrize("way", WAYS)
def test_students_code_runs_in_the_sandbox(course, tmp_path, way):
    """It grades, the file that the code would write is not there, and nothing is forged."""
    graded_file(course, "eve").unlink()
    assert way(course, tmp_path)
    assert graded_file(course, "eve").exists()
    assert not canary(course).exists()
    assert recorded(course, "l2")["eve"].net == 0
    assert points(course) == {"eve": 0}


@pytest.mark.parametrize("way", WAYS[1:4])
@pytest.mark.parametrize("fault", ["no file", "no settings", "bad settings"])
def test_without_the_settings_nothing_runs(course, tmp_path, monkeypatch, way, fault):
    """The file in the root was deleted, or what it leads to is lost or has an error in it."""
    settings = course.config_file.read_text()
    if fault == "no file":
        (course.root / CONFIG).unlink()
    elif fault == "no settings":
        course.config_file.rename(tmp_path / "lost")
    else:
        course.config_file.write_text("this is not Python\n")
    try:
        assert not way(course, tmp_path)
    finally:
        course.config_file.write_text(settings)
    assert not canary(course).exists()
    assert recorded(course, "l2").get("eve") is None or recorded(course, "l2")["eve"].net == 0
    assert autograder(course, monkeypatch, "grade", "--jobs", "1")[0] == 0
    assert points(course) == {"eve": 0}


def test_nbgrader_says_why_it_runs_nothing(course, tmp_path):
    """Even on the gradebook alone, which has no settings; its message names who can grade."""
    (course.root / CONFIG).unlink()
    status, said = start(tmp_path, f"--course-dir={course.root}")
    assert status != 0
    assert f"No such kernel named {NO_KERNEL}" in said


@pytest.fixture
def unsafe(course):
    """Return the course after stock nbgrader has graded it, as before this protection."""
    (course.root / CONFIG).unlink()
    with course.api.gradebook as gradebook:
        for notebook in gradebook.db.query(Notebook):
            notebook.kernelspec = '{"name": "python3", "display_name": "Python 3"}'
        gradebook.db.commit()
    stock = Course(course.config_file).api.config.copy()
    stock.pop("Autograde")
    assert NbGraderAPI(config=stock).autograde("l2", "eve", force=True)["success"]
    # Otherwise none of these tests says anything.
    assert canary(course).exists()
    assert recorded(course, "l2")["eve"].net == 6
    return course


def test_forged_points_are_not_carried_anywhere(unsafe, monkeypatch):
    """The CSV file has none, from either command, and says so; `explain` refuses."""
    assert points(unsafe) == {}
    status, said = autograder(unsafe, monkeypatch, "export")
    assert status == 1
    assert "l2: 1 grades that this version of the grader did not make were left out" in said
    assert "(eve)" in said
    assert (unsafe.root / "grades.csv").read_text().splitlines()[1].endswith(",0.0,0.0,0.0,6.0")
    assert recorded(unsafe, "l2")["eve"].net == 6, "the gradebook keeps them"
    status, said = autograder(unsafe, monkeypatch, "explain", "eve", "l2")
    assert status == 2
    assert "did not give the points" in said


def test_forged_points_are_graded_again(unsafe, monkeypatch):
    """`autograder grade` says so, and the next time all is unchanged."""
    status, said = autograder(unsafe, monkeypatch, "grade", "--jobs", "1")
    assert status == 0
    assert "l2: 1 grades that this version of the grader did not make were made again (eve)" in said
    assert recorded(unsafe, "l2")["eve"].net == 0
    assert points(unsafe) == {"eve": 0}
    _, said = autograder(unsafe, monkeypatch, "grade", "--jobs", "1")
    assert said.startswith("0 graded, 1 unchanged")
    assert autograder(unsafe, monkeypatch, "export")[0] == 0


def test_a_graded_notebook_that_is_not_ours_is_made_again(course, grade_quietly):
    """Even where the points are the same; and nothing is done about one that is ours."""
    path = graded_file(course, "eve")
    ours = path.read_bytes()
    path.write_text(path.read_text().replace("was here", "was there"))
    assert grade_quietly(course) == {"eve"}
    assert path.read_bytes() == ours
    assert grade_quietly(course) == set()


def test_points_by_hand_are_the_instructors_own(course):
    """They leave the seal whole."""
    with course.api.gradebook as gradebook:
        gradebook.find_grade("check-l2_penalty", "l2", "l2", "eve").manual_score = 2
        gradebook.db.commit()
    try:
        assert points(course) == {"eve": 2}
    finally:
        with course.api.gradebook as gradebook:
            gradebook.find_grade("check-l2_penalty", "l2", "l2", "eve").manual_score = None
            gradebook.db.commit()


def test_a_file_of_the_instructor_in_the_root_is_kept(course, monkeypatch):
    """It is refused while it has other settings, and accepted when it leads to the course's."""
    mine = course.root / CONFIG
    mine.write_text("c = get_config()\nc.Autograde.create_student = False\n")
    status, said = autograder(course, monkeypatch, "grade")
    assert status == 2
    assert f"{mine}" in said
    assert f"load_subconfig('../{CONFIG}')" in said
    better = f"load_subconfig('../{CONFIG}')\nc.LimitOutput.max_lines = 50\n"
    mine.write_text(better)
    try:
        assert autograder(course, monkeypatch, "grade")[0] == 0
        assert mine.read_text() == better
    finally:
        mine.unlink()


def test_settings_without_our_plugins_are_refused(tmp_path, monkeypatch):
    """`autograder grade` grades by no other steps than ours."""
    course = released_course(tmp_path, 'c.Autograde.exporter_class = "notebook"\n')
    status, said = autograder(course, monkeypatch, "grade")
    assert status == 2
    assert "c.Autograde.exporter_class" in said


def test_commands_work_in_the_root_too(course, monkeypatch):
    """Where instructors who know nbgrader work."""
    there = Course(course.root / CONFIG)
    assert autograder(there, monkeypatch, "grade")[1].startswith("0 graded, 1 unchanged")
    assert there.exercises == course.exercises
