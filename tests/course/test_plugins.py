"""The plug-ins as a user meets them: in courses, through every way there is to grade."""

import contextlib
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import time
import urllib.request
from multiprocessing import get_context
from pathlib import Path

import nbformat
import pytest
from helpers.courses import answered, source_file, hand_in, make_course
from typer.testing import CliRunner

from autograder import cli, demo
from autograder.course.plugins import SECRET, course_secret
from autograder.sandbox import Sandbox, SandboxUnavailableError

pytestmark = pytest.mark.filterwarnings("ignore:Object of type")

WRONG = "return 3.3 * weight_decay * sum(float((weight**2).sum()) for weight in weights)"
POINTS = {"solved": 6, "half": 3, "wrong": 3, "repaired": 6}
NOTICE = "Graded without a sandbox"


def graded_file(course, student):
    return course.folder("autograded", student, "l2") / "l2.ipynb"


def outputs(course, student):
    """Return the outputs of a graded notebook by cell id, as one text each."""
    notebook = nbformat.read(graded_file(course, student), as_version=4)
    return {
        cell.id: "".join(str(output) for output in cell.outputs)
        for cell in notebook.cells
        if cell.cell_type == "code"
    }


def points(course):
    return {student: earned for student, (earned, _) in course.points("l2").items()}


def environment():
    """Return an environment in which nbgrader finds its tools."""
    tools = Path(sys.executable).parent
    return {**os.environ, "OMP_NUM_THREADS": "1", "PATH": f"{tools}:{os.environ['PATH']}"}


def autograder(course, monkeypatch, *arguments, setting=""):
    """Run `autograder` in this process; return its status and all it said."""
    monkeypatch.chdir(course.config_file.parent)
    if setting:
        with course.config_file.open("a") as file:
            file.write(f"c.GradeSubmission.{setting}\n")
    result = CliRunner().invoke(cli.app, arguments)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """Return a course whose submissions `autograder grade` has graded."""
    course = make_course(tmp_path_factory.mktemp("graded"))
    release(course, source_file(course))
    hand_in(course, "solved", answered(course))
    hand_in(course, "half", answered(course, l2_penalty="raise ValueError"))
    hand_in(course, "wrong", answered(course, l2_penalty=WRONG))
    repaired = answered(course)
    repaired.cells = [cell for cell in repaired.cells if not cell.id.startswith("check-")]
    folder = hand_in(course, "repaired", repaired).parent
    (folder / "linked").symlink_to("/etc/passwd")
    (folder / "linked folder").symlink_to("/etc")
    (folder / "data.csv").write_text("1,2\n")
    os.mkfifo(folder / "fifo")
    assert cli.grade(course) == []
    return course


@pytest.fixture
def copied(graded, tmp_path):
    """Return a copy of the graded course, to change."""
    course = make_course(tmp_path)
    shutil.copytree(graded.root, course.root, ignore=shutil.ignore_patterns("fifo"), symlinks=True)
    return course


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


def test_everyone_gets_what_the_answers_are_worth(graded):
    """The same as on paper, for these submissions."""
    assert points(graded) == POINTS


def test_inputs_differ_between_submissions_and_courses(copied):
    """What a wrong answer is shown is no use to others, nor in next year's course."""
    report = outputs(copied, "wrong")["check-l2_penalty"]
    changed = answered(copied, l2_penalty=f"{WRONG}  # mine")
    hand_in(copied, "other", changed)
    grade_one(copied, "l2", "other", feedback=False)
    assert outputs(copied, "other")["check-l2_penalty"] != report

    (copied.root / SECRET).unlink()
    cli.grade(copied, force=True, feedback=False)
    assert outputs(copied, "wrong")["check-l2_penalty"] != report


def test_grading_again_changes_no_byte(copied):
    """The same inputs, the same report, the same file."""
    before = {student: graded_file(copied, student).read_bytes() for student in POINTS}
    cli.grade(copied, force=True, feedback=False)
    after = {student: graded_file(copied, student).read_bytes() for student in POINTS}
    assert after == before


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


def test_nbgraders_own_command_gives_the_same_points(copied):
    """A file that cannot be graded does not stop it, and loses what an earlier one got."""
    hand_in(copied, "half", "no notebook any more")
    done = subprocess.run(
        [sys.executable, "-m", "nbgrader", "autograde", "l2", "--force"],
        cwd=copied.config_file.parent,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "The file is no notebook" in done.stderr
    assert points(copied) == {name: earned for name, earned in POINTS.items() if name != "half"}
    [half] = [row for row in export(copied).read_text().splitlines() if ",half," in row]
    assert half.endswith("half,,,,0.0,0.0,0.0,6.0")


def address(log):
    """Return the address that a server writes into its log, once somebody answers there."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for found in re.findall(r"http://127\.0\.0\.1:\d+", log.read_text()):
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{found}/api", timeout=30):
                return found
        time.sleep(0.2)
    pytest.fail(f"No server started: {log.read_text()[-2000:]}")


def test_formgraders_button_gives_the_same_points(copied):
    """Through its web interface, by a server in the course's folder."""
    hand_in(copied, "half", answered(copied))
    log = copied.config_file.parent / "server.log"
    command = [sys.executable, "-m", "jupyter_server", "--no-browser", "--allow-root"]
    command += ["--ServerApp.token=", "--ServerApp.password=", "--port=0"]
    command += ["--ServerApp.disable_check_xsrf=True"]
    command += ["--ServerApp.jpserver_extensions=nbgrader.server_extensions.formgrader=True"]
    with log.open("w") as file:
        server = subprocess.Popen(
            command, cwd=log.parent, env=environment(), stdout=file, stderr=file
        )
    try:
        api = f"{address(log)}/formgrader/api/submission/l2/half"
        request = urllib.request.Request(f"{api}/autograde", method="POST", data=b"")
        with urllib.request.urlopen(request, timeout=120) as reply:
            assert json.load(reply)["success"]
        with urllib.request.urlopen(api, timeout=60) as reply:
            assert json.load(reply)["score"] == 6
    finally:
        server.terminate()
        server.wait()


def test_without_a_sandbox_nothing_is_graded(copied, tmp_path, monkeypatch):
    """One message that says what to install, status 2, and the old scores stay."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "alembic").symlink_to(Path(sys.executable).parent / "alembic")
    monkeypatch.setenv("PATH", str(tools))
    hand_in(copied, "solved", answered(copied, l2_penalty=WRONG))
    # Other limits than those with which this process has a sandbox already.
    status, said = autograder(copied, monkeypatch, "grade", setting="cell_seconds = 3.5")
    assert status == 2
    assert "bubblewrap is not installed. Install bubblewrap" in said
    assert len(said.strip().splitlines()) == 1
    assert points(copied) == POINTS


@pytest.mark.parametrize("way", ["flag", "setting"])
def test_a_sandbox_can_be_done_without_deliberately(copied, monkeypatch, way):
    """By `--sandbox none` or in nbgrader_config.py; every report then says so."""
    assert not any(NOTICE in text for text in outputs(copied, "solved").values())
    arguments = ["grade", "--force", "--jobs", "1"]
    if way == "flag":
        status, said = autograder(copied, monkeypatch, *arguments, "--sandbox", "none")
    else:
        status, said = autograder(copied, monkeypatch, *arguments, setting='sandbox = "none"')
    assert status == 0, said
    assert points(copied) == POINTS
    for student in POINTS:
        for task in ("l2_penalty", "l2_penalty_backward"):
            assert NOTICE in outputs(copied, student)[f"check-{task}"]
        assert NOTICE in (copied.folder("feedback", student, "l2") / "l2.html").read_text()


def test_the_sample_class_falls_back_loudly(monkeypatch, capsys):
    """Where there is no sandbox; where there is one, it is used without a word."""

    def unavailable(self):
        raise SandboxUnavailableError("There is none here. Install one.")

    monkeypatch.setattr(Sandbox, "check", unavailable)
    assert demo.sandbox_or_none() == "none"
    said = capsys.readouterr().err
    assert "There is none here. Install one." in said
    assert "WITHOUT A SANDBOX" in said

    monkeypatch.setattr(Sandbox, "check", lambda self: None)
    assert demo.sandbox_or_none() is None
    assert capsys.readouterr().err == ""
