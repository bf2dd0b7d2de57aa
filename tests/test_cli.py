"""The `autograder` command."""

import subprocess
import sys

import pytest
from helpers.courses import (
    SOURCE,
    answered,
    hand_in,
    make_course,
    points,
    released_course,
    source_file,
)
from typer.testing import CliRunner

from autograder.cli import app
from autograder.sandbox.machine import Possibility

pytestmark = pytest.mark.filterwarnings("ignore:Object of type")

EXTRA_TASK = """

# %%
def sgd_step(param, grad, lr, weight_decay):
    ### BEGIN SOLUTION
    return param - lr * (grad + weight_decay * param)
    ### END SOLUTION


# %%
check(sgd_step)
"""


def run(*arguments):
    """Run the command and return its status and everything it said."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


@pytest.fixture
def course(tmp_path, monkeypatch):
    """Return a new course and stand in its folder."""
    course = make_course(tmp_path)
    monkeypatch.chdir(tmp_path)
    return course


@pytest.mark.parametrize(
    "command",
    [
        "release",
        "collect",
        "grade",
        "return",
        "export",
        "explain",
        "ready",
        "similar",
        "new",
        "validate",
    ],
)
def test_help_says_what_a_command_does(command):
    """Both for the command as a whole and for each part."""
    assert command in run("--help")[1]
    status, text = run(command, "--help")
    assert status == 0
    assert "Usage:" in text


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        (["grade"], "run `autograder release` first"),
        (["export"], "run `autograder release` and `grade` first"),
        (["release", "l3"], "No assignment 'l3'"),
    ],
)
def test_what_has_to_be_done_first_is_one_line_and_status_2(course, arguments, advice):
    """The line says what to do."""
    status, text = run(*arguments)
    assert status == 2
    assert advice in text
    assert len(text.strip().splitlines()) == 1


def test_outside_of_a_course(tmp_path, monkeypatch):
    """It says where to go."""
    monkeypatch.chdir(tmp_path)
    status, text = run("grade")
    assert status == 2
    assert "change into the folder of a course" in text


def test_wrong_usage():
    """An unknown command or option is status 2."""
    assert run("graed")[0] == 2
    assert run("grade", "--fource")[0] == 2


def test_without_the_extra_it_says_what_to_install():
    """Students install the package without what grading needs."""
    for missing in ("typer", "nbgrader"):
        code = f"import sys; sys.modules[{missing!r}] = None; from autograder.cli import app; app()"
        done = subprocess.run(
            [sys.executable, "-c", code, "grade"], capture_output=True, text=True, check=False
        )
        assert done.returncode == 1
        assert len(done.stderr.strip().splitlines()) == 1
        assert "pip install '.[grading]'" in done.stderr


def test_release_makes_what_the_committed_notebooks_are(course):
    """The release is the student's notebook to the byte, and is left alone the second time."""
    from autograder.intake.exercise import source_notebook, student_notebook, write

    assert run("release") == (0, "l2: released\n")
    released = course.folder("release", ".", "l2") / "l2.ipynb"
    assert "weight**2" not in released.read_text()
    assert not write(student_notebook(source_notebook(source_file(course))), released)
    time = released.stat().st_mtime_ns
    assert run("release", "l2") == (0, "l2: unchanged\n")
    assert released.stat().st_mtime_ns == time


@pytest.fixture
def released(tmp_path, monkeypatch):
    """Return a course whose assignment is released, and stand in its folder."""
    monkeypatch.chdir(tmp_path)
    return released_course(tmp_path)


@pytest.mark.sandbox
def test_release_is_safe_once_there_are_submissions(released):
    """New text is released; new cells are refused and the old release stays."""
    course = released
    hand_in(course, "ann", answered(course))
    assert run("grade", "--no-feedback")[0] == 0
    source_file(course).write_text(SOURCE.replace("# Two tasks", "# Both tasks"))
    status, text = run("release")
    assert (status, text.split(";")[0]) == (0, "l2: released again")
    file = course.folder("release", ".", "l2") / "l2.ipynb"
    before = file.read_text()
    assert "Both tasks" in before

    source_file(course).write_text(SOURCE + EXTRA_TASK)
    status, text = run("release")
    assert status == 2
    assert "check-sgd_step" in text
    assert file.read_text() == before
    assert points(course) == {"ann": 6}


@pytest.mark.sandbox
def test_grade_reports_and_export_writes(released):
    """Plain lines when nobody watches; one line of reason; status 1; grades in a file."""
    course = released
    assert run("grade") == (0, "Nothing has been submitted.\n")
    hand_in(course, "ann", answered(course, l2_penalty_backward="raise ValueError('no')"))
    hand_in(course, "bob", "[]")
    status, text = run("grade", "l2", "--jobs", "1")
    assert status == 1
    assert "l2 of ann: 3 of 6" in text
    assert "l2 of bob: The file is no notebook" in text
    assert "1 graded, 0 unchanged, 1 not graded" in text
    assert str(course.root / "grading.log") in text.replace("\n", "")
    assert "[INFO]" not in text
    assert (course.folder("feedback", "ann", "l2") / "l2.html").exists()

    status, text = run("export", "--to", "grades.csv")
    assert status == 0
    rows = (course.config_file.parent / "grades.csv").read_text().splitlines()
    assert [row.split(",")[3] for row in rows[1:]] == ["ann", "bob"]
    assert ",3.0," in rows[1]


def test_exercise_with_a_fault_is_not_released(course):
    """The sentence about the source is all that is shown."""
    source_file(course).write_text(SOURCE.replace("    ### END SOLUTION\n", ""))
    status, text = run("release")
    assert status == 2
    assert "### BEGIN SOLUTION without ### END SOLUTION" in text
    assert not course.folder("source", ".", "l2").exists()


def test_doctor_says_which_sandboxes_work_and_what_to_do(monkeypatch, tmp_path):
    """Without a course a line for each, and status 1 if the default does not work."""
    monkeypatch.chdir(tmp_path)
    found = [Possibility("bubblewrap", ""), Possibility("landlock", "No Landlock. Do this.")]
    monkeypatch.setattr("autograder.sandbox.machine.possibilities", lambda: found)
    result = CliRunner().invoke(app, ["doctor"])
    assert result.exit_code == 0
    assert result.output.startswith("bubblewrap: works. Students' code sees no file")
    assert "landlock: No Landlock. Do this." in result.output
    found[0] = Possibility("bubblewrap", "Not installed. Install it.")
    result = CliRunner().invoke(app, ["doctor"])
    assert result.exit_code == 1
    assert "bubblewrap: Not installed. Install it." in result.output


def test_a_shell_completes_commands_and_assignments(course, monkeypatch):
    """Quickly, without a gradebook."""
    monkeypatch.setenv("_AUTOGRADER_COMPLETE", "complete_bash")
    for words, number, expected in (("autograder gr", 1, "grade"), ("autograder grade l", 2, "l2")):
        monkeypatch.setenv("COMP_WORDS", words)
        monkeypatch.setenv("COMP_CWORD", str(number))
        said = CliRunner().invoke(app, [], prog_name="autograder").output
        assert said.split() == [expected]
