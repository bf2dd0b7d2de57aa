"""The plug-ins as a user meets them: the course's secret, its inputs, and its sandbox."""

import os
import re
import stat
import sys
from multiprocessing import get_context
from pathlib import Path

import pytest
from helpers.courses import answered, autograder, graded_file, hand_in, make_course, outputs, points
from typer.main import get_command

from autograder.cli import app
from autograder.course.plugins import GradeSubmission
from autograder.course.secret import SECRET, course_secret
from autograder.sandbox import BACKENDS

NOTICE = "Graded without a sandbox"
STUDENTS = ("solved", "half", "wrong")


def test_a_course_has_one_secret(tmp_path):
    """Made at first use in a folder that need not be there, and kept."""
    first = course_secret(tmp_path / "course")
    assert len(first) == 32
    assert course_secret(tmp_path / "course") == first
    assert course_secret(tmp_path / "other") != first
    [file] = (tmp_path / "course").iterdir()
    assert file.name == SECRET


def test_only_its_owner_can_read_the_secret(tmp_path):
    """Whatever the user's mask says about new files."""
    before = os.umask(0)
    try:
        course_secret(tmp_path)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / SECRET).stat().st_mode) == 0o600


def test_processes_that_race_for_the_secret_get_the_same(tmp_path):
    """The first to make it wins, and no file of the others is left."""
    with get_context("fork").Pool(4) as pool:
        roots = [tmp_path / str(i // 8) for i in range(80)]
        secrets = dict.fromkeys(roots, frozenset())
        for root, secret in zip(roots, pool.map(course_secret, roots, 1), strict=True):
            secrets[root] |= {secret}
    assert [len(found) for found in secrets.values()] == [1] * 10
    assert [len(list(root.iterdir())) for root in secrets] == [1] * 10


@pytest.mark.sandbox
def test_inputs_differ_between_submissions_and_courses(copied, grade_quietly):
    """What a wrong answer is shown is no use to others, nor in next year's course."""
    report = outputs(copied, "wrong")["check-l2_penalty"]
    path = copied.folder("submitted", "wrong", "l2") / "l2.ipynb"
    hand_in(copied, "other", path.read_text().replace("return 3.3", "return 03.3"))
    grade_quietly(copied, "other")
    assert outputs(copied, "other")["check-l2_penalty"] != report

    (copied.root / SECRET).unlink()
    grade_quietly(copied, "wrong")
    assert outputs(copied, "wrong")["check-l2_penalty"] != report


@pytest.mark.sandbox
def test_running_again_changes_no_byte(copied, grade_quietly):
    """The same inputs, the same report, the same file."""
    before = {student: graded_file(copied, student).read_bytes() for student in STUDENTS}
    assert grade_quietly(copied, *STUDENTS, rerun=True) == set(STUDENTS)
    after = {student: graded_file(copied, student).read_bytes() for student in STUDENTS}
    assert after == before


@pytest.mark.sandbox
def test_without_a_sandbox_nothing_is_graded(copied, tmp_path, monkeypatch):
    """One message that says what to install, status 2, and the old scores stay."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "alembic").symlink_to(Path(sys.executable).parent / "alembic")
    monkeypatch.setenv("PATH", str(tools))
    before = points(copied)
    hand_in(copied, "solved", answered(copied, l2_penalty="return 0.0"))
    with copied.config_file.open("a") as file:
        # Other limits than those with which this process has a sandbox already.
        file.write("c.GradeSubmission.cell_seconds = 3.5\n")
    status, said = autograder(copied, monkeypatch, "grade", "--student", "solved")
    assert status == 2
    assert "bubblewrap is not installed. Install bubblewrap" in said
    assert len(said.strip().splitlines()) == 1
    assert points(copied) == before


@pytest.mark.sandbox
@pytest.mark.parametrize("way", ["flag", "setting"])
def test_a_sandbox_can_be_done_without_deliberately(copied, monkeypatch, way):
    """By `--sandbox none` or in nbgrader_config.py; every report then says so."""
    assert not any(NOTICE in text for text in outputs(copied, "solved").values())
    before = points(copied)
    options = ["--jobs", "1", "--student", "solved", "--student", "wrong"]
    if way == "flag":
        options += ["--sandbox", "none"]
    else:
        with copied.config_file.open("a") as file:
            file.write('c.GradeSubmission.sandbox = "none"\n')
    status, said = autograder(copied, monkeypatch, "grade", *options)
    assert status == 0, said
    assert points(copied) == before
    for student in ("solved", "wrong"):
        for task in ("l2_penalty", "l2_penalty_backward"):
            assert NOTICE in outputs(copied, student)[f"check-{task}"]
        assert NOTICE in (copied.folder("feedback", student, "l2") / "l2.html").read_text()


def test_setting_option_and_help_know_the_same_backends(tmp_path, monkeypatch):
    """A backend that is added in one place can be chosen, and is described, everywhere."""
    setting = GradeSubmission.sandbox
    assert set(setting.values) == set(BACKENDS)
    status, said = autograder(make_course(tmp_path), monkeypatch, "grade", "--sandbox", "paper")
    assert status == 2
    choices = said.partition("is not one of")[2]
    assert set(re.findall(r"'(\w+)'", choices)) == set(BACKENDS)
    [option] = [one for one in get_command(app).commands["grade"].params if one.name == "sandbox"]
    for name, backend in BACKENDS.items():
        for text in (setting.help, option.help):
            assert name in text
            assert backend.promise in text
