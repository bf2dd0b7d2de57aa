"""Points depend neither on how busy a machine is nor on which sandbox it allows."""

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers.courses import ENVIRONMENT, ROOT, TOOLS
from helpers.ordinary_user import NOBODY, with_python_in_reach

from autograder import demo
from autograder.course.course import CONFIG
from autograder.course.scores import scores
from autograder.tasks import assignments

BUSY = 6

SUM_FOREVER = "while True: pass"

pytestmark = [pytest.mark.sandbox, pytest.mark.evidence]


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """Return the sample class, in which one student's cells never end, and grade it."""
    folder = tmp_path_factory.mktemp("same") / "demo"
    sources = [ROOT / "exercises" / name / f"{name}.py" for name in assignments]
    made = demo.make(folder, ROOT / CONFIG, sources)
    grade(made)
    return made


def grade(course, *options, before=()):
    """Run all submissions again; return the points and how many seconds it took."""
    started = time.monotonic()
    command = [str(TOOLS / "autograder"), "grade", "--rerun", "--no-feedback", *options]
    done = subprocess.run(
        [*before, *command],
        cwd=course.config_file.parent,
        env={**ENVIRONMENT, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    # The class has a file that is no notebook.
    assert done.returncode == 1, done.stdout + done.stderr
    return points(course), time.monotonic() - started


def points(course):
    """Return the points of all students for all assignments."""
    return {
        (name, student): score.net
        for name in assignments
        for student, score in scores(course, name).items()
    }


@contextlib.contextmanager
def busy():
    """Keep some processes busy meanwhile."""
    processes = [subprocess.Popen([sys.executable, "-c", SUM_FOREVER]) for _ in range(BUSY)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def test_a_busy_machine_gives_the_same_points(course):
    """The sample class, three times on its own and three times beside six busy processes."""
    first, _ = grade(course)
    assert len(first) > 40
    for _ in range(2):
        again, quiet = grade(course)
        assert again == first
    for _ in range(3):
        with busy():
            again, loud = grade(course)
        assert again == first
    print(f"\n{len(first)} submissions: {quiet:.0f} s alone, {loud:.0f} s beside {BUSY} processes")


def forbidden(*options):
    """Return a command before another one that forbids what a container does."""
    helper = Path(__file__).parents[1] / "helpers" / "without_namespaces.py"
    return [sys.executable, str(helper), *options]


def test_a_container_gives_the_same_points(course, tmp_path_factory):
    """With Docker's filter landlock grades, as root and as a user; with ours bubblewrap does."""
    expected = points(course)
    found = {"landlock, root": grade(course, "--sandbox", "landlock", before=forbidden())}
    home = course.config_file.parent
    for folder in home.parents[:-2]:
        folder.chmod(0o755)
    for path in (home, *home.rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    reach = with_python_in_reach(tmp_path_factory.mktemp("spare"))
    user = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    profile = ("--profile", str(ROOT / "scripts" / "docker_seccomp.json"))
    for sandbox, options in (("landlock", ()), ("bubblewrap", profile)):
        before = [*reach, *forbidden(*options), *user]
        found[f"{sandbox}, user"] = grade(course, "--sandbox", sandbox, before=before)
    for name, (got, seconds) in found.items():
        print(f"\n{name}: {len(got)} submissions in {seconds:.0f} s", end="")
        assert got == expected, name
