"""Courses graded through nbgrader: real sandboxes and gradebooks, in temporary folders."""

import os
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import nbformat
import pytest
from nbgrader.validator import Validator
from helpers.courses import answered, source_file, hand_in, make_course

from autograder import cli
from autograder.intake import exercise

# nbgrader's own use of SQLAlchemy.
pytestmark = pytest.mark.filterwarnings("ignore:Object of type")

BROKEN = "This was a notebook once.\n"
DOUBLED = "return weight_decay * sum((weight**2).sum() for weight in weights)"

# Stock nbgrader runs demonstrations, and fails a submission in which one takes too long.
STOCK = """
c.Execute.kernel_name = "python3"
c.Execute.timeout = 40
c.Execute.iopub_timeout = 60
from nbgrader.converters import Autograde
c.Autograde.exporter_class = Autograde.exporter_class.default_value
c.Autograde.sanitize_preprocessors = Autograde.sanitize_preprocessors.default()
c.Autograde.autograde_preprocessors = Autograde.autograde_preprocessors.default()
"""


def outputs(course, student):
    """Return the outputs of a graded notebook by cell id, as one text each."""
    path = course.folder("autograded", student, "l2") / "l2.ipynb"
    notebook = nbformat.read(path, as_version=4)
    return {
        cell.id: "".join(str(output) for output in cell.outputs)
        for cell in notebook.cells
        if cell.cell_type == "code"
    }


def nbgrader(course, *arguments):
    """Run nbgrader's own command in the folder of a course."""
    done = subprocess.run(
        [sys.executable, "-m", "nbgrader", *arguments],
        cwd=course.config_file.parent,
        env={
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """Return a course in which one submission of each kind has been graded."""
    course = make_course(tmp_path_factory.mktemp("graded"))
    release(course, source_file(course))
    hand_in(course, "solved", answered(course))
    untouched = exercise.student_notebook(exercise.source_notebook(source_file(course)))
    hand_in(course, "untouched", untouched)
    hand_in(course, "doubled", answered(course, l2_penalty=DOUBLED))
    hand_in(course, "hangs", answered(course, l2_penalty="while True: pass"))
    dies = answered(
        course, l2_penalty="os._exit(1)", l2_penalty_backward="return times(weights, weight_decay)"
    )
    helper = "def times(weights, factor):\n    return [factor * weight for weight in weights]"
    dies.cells.insert(2, nbformat.v4.new_code_cell(helper))
    hand_in(course, "dies", dies)
    hand_in(course, "broken", BROKEN)
    failed = cli.grade(course)
    return course, failed


def test_everyone_gets_what_the_answers_are_worth(graded):
    """The solution full marks, the untouched notebook nothing, others what is right."""
    course, _ = graded
    points = {student: earned for student, (earned, _) in course.points("l2").items()}
    assert points.pop("doubled") < 6
    assert points == {"solved": 6, "untouched": 0, "hangs": 3, "dies": 3}


def test_the_report_of_a_mistake_is_in_the_graded_notebook_and_the_feedback(graded):
    """Its number is what nbgrader records, its table what the student reads."""
    course, _ = graded
    report = outputs(course, "doubled")["check-l2_penalty"]
    assert "text/html" in report
    page = course.folder("feedback", "doubled", "l2") / "l2.html"
    assert "l2_penalty: " in page.read_text()


def test_a_broken_file_does_not_stop_the_others(graded):
    """It is the only one without a grade, and the reason fits in a line."""
    _, failed = graded
    [result] = failed
    assert (result.student, result.points) == ("broken", None)
    assert result.problem.startswith("The file is no notebook")
    assert "\n" not in result.problem


def test_demonstrations_are_skipped_and_say_so(graded):
    """The one of this notebook would raise."""
    course, _ = graded
    assert "grading does not run demonstrations" in outputs(course, "solved")["demonstration-1"]


@pytest.mark.parametrize(
    ("student", "message"),
    [("hangs", "stopped when it was tried"), ("dies", "ended its process")],
)
def test_a_dead_or_hung_process_costs_its_task(graded, student, message):
    """The report says what happened; later tasks are judged in a new process."""
    course, _ = graded
    shown = outputs(course, student)
    assert message in shown["check-l2_penalty"]
    assert "3.0" in shown["check-l2_penalty_backward"]


def test_grading_again_does_nothing_until_something_changes(graded, monkeypatch):
    """An unchanged submission is not run again."""
    course, _ = graded
    before = outputs(course, "solved")
    monkeypatch.setattr(course.api, "autograde", lambda *_, **__: pytest.fail("graded again"))
    [result] = cli.grade(course)
    assert result.student == "broken"
    assert outputs(course, "solved") == before


def test_a_resubmission_is_graded_whatever_its_date(tmp_path, graded):
    """Only timestamps matter to nbgrader; downloads often carry an old one or none."""
    original, _ = graded
    course = make_course(tmp_path)
    shutil.copytree(original.root, course.root)
    path = hand_in(course, "untouched", answered(course))
    os.utime(path, (1, 1))
    cli.grade(course)
    assert course.points("l2")["untouched"] == (6, 6)

    hand_in(course, "untouched", BROKEN)
    failed = {result.student: result.problem for result in cli.grade(course)}
    assert "earlier version were cleared" in failed["untouched"]
    assert "untouched" not in course.points("l2")
    assert "untouched,,,,0.0" in export(course).read_text()
    assert not course.folder("feedback", "untouched", "l2").exists()


def test_a_file_of_another_name_is_a_reason(graded):
    """From nbgrader came the question whether the assignment was released; nothing hides in it."""
    course, _ = graded
    folder = course.folder("submitted", "renamed", "l2")
    folder.mkdir(parents=True)
    (folder / "l2 (1)\u202e.ipynb").write_text("{}")
    result = grade_one(course, "l2", "renamed")
    shutil.rmtree(folder)
    assert result.problem == "there is no l2.ipynb, only l2 (1)⟨U+202E⟩.ipynb"


def test_validate_passes_the_solution_and_shows_our_message(tmp_path):
    """Students may use nbgrader's Validate button."""
    course = make_course(tmp_path)
    right, wrong = tmp_path / "right.ipynb", tmp_path / "wrong.ipynb"
    exercise.write(answered(course), right)
    exercise.write(answered(course, l2_penalty=DOUBLED), wrong)
    assert "failed" not in Validator().validate(str(right))
    failed = Validator().validate(str(wrong))["failed"]
    assert [cell["source"] for cell in failed] == ["check(l2_penalty)"]
    assert "l2_penalty: " in failed[0]["error"]


def test_stock_nbgrader_gives_the_same_scores(tmp_path, graded):
    """With nbgrader's own preprocessors, which run demonstrations too."""
    ours, _ = graded
    course = make_course(tmp_path, settings=STOCK)
    release(course, source_file(course))
    for student in ("solved", "untouched", "doubled"):
        shutil.copytree(
            ours.folder("submitted", student, "l2"), course.folder("submitted", student, "l2")
        )
    nbgrader(course, "autograde", "l2")
    theirs = course.points("l2")
    assert theirs == {student: ours.points("l2")[student] for student in theirs}
    assert len(theirs) == 3


def test_nbgraders_own_commands_work(graded):
    """They do the same on the same course."""
    course, _ = graded
    points = course.points("l2")
    nbgrader(course, "autograde", "l2", "--student", "dies", "--force")
    nbgrader(course, "generate_feedback", "l2", "--student", "dies", "--force")
    nbgrader(course, "generate_assignment", "l2", "--force")
    nbgrader(course, "export", "--to", "grades.csv")
    assert course.points("l2") == points
    assert "solved" in (course.config_file.parent / "grades.csv").read_text()


@pytest.mark.parametrize("name", ["ann_l2.ipynb", "ann_4711_l2-1.ipynb"])
def test_zip_collect_reads_the_names_of_downloads(tmp_path, name):
    """Downloads of a learning platform end where grading looks for them."""
    course = make_course(tmp_path)
    release(course, source_file(course))
    downloaded = course.root / "downloaded" / "l2" / "archive"
    downloaded.mkdir(parents=True)
    exercise.write(answered(course), tmp_path / name)
    shutil.make_archive(str(downloaded / "class"), "zip", tmp_path, name)
    nbgrader(course, "zip_collect", "l2")
    assert course.submitted("l2") == ["ann"]
    assert (course.folder("submitted", "ann", "l2") / "l2.ipynb").exists()


def test_formgrader_lists_the_assignment(graded):
    """A Jupyter server started in the course's folder has formgrader with its submissions."""
    course, _ = graded
    command = [sys.executable, "-m", "jupyter_server", "--no-browser", "--allow-root"]
    options = ["--ServerApp.token=", "--ServerApp.password=", "--port=0"]
    extension = "--ServerApp.jpserver_extensions=nbgrader.server_extensions.formgrader=True"
    log = course.config_file.parent / "server.log"
    with log.open("w") as file:
        server = subprocess.Popen(
            [*command, *options, extension], cwd=log.parent, stdout=file, stderr=file
        )
    try:
        deadline = time.monotonic() + 60
        while "http://127.0.0.1:" not in log.read_text() and time.monotonic() < deadline:
            time.sleep(0.2)
        port = log.read_text().split("http://127.0.0.1:")[1].split("/")[0]
        address = f"http://127.0.0.1:{port}/formgrader/api/assignments"
        with urllib.request.urlopen(address, timeout=30) as reply:
            assert '"l2"' in reply.read().decode()
    finally:
        server.terminate()
        server.wait()
