"""A class with hostile students in it, a grading run that is killed, and other users."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from attacks.attack import SOURCES
from attacks.canaries import Canaries
from attacks.corpus import BY_NAME, LEGITIMATE
from attacks.graded import (
    HONEST_POINTS,
    LIMITS,
    graded,
    hand_in,
    hand_in_honestly,
    released_and_solved,
    start_grading,
)
from helpers.courses import ROOT, make_course, points
from helpers.ordinary_user import NOBODY, with_python_in_reach

from autograder.course.plugins import course_secret
from autograder.course.release import release

pytestmark = [
    pytest.mark.evidence,
    pytest.mark.sandbox,
    pytest.mark.filterwarnings("ignore:Object of type"),
]

HOSTILE = (
    "patched-run-cell",
    "wild-strides",
    "searches-gc",
    "torch-by-exec",
    "writes-the-gradebook",
    "signals-everyone",
    "double-fork",
    "terabyte-header",
    "fork-bomb",
    "memory-by-forks",
    "endless-loop-everywhere",
    "segfault",
    "not-json",
    "link-to-zeros",
    "script-in-text",
)

SMALL_CLASS = ("os-exit", "endless-loop", "not-json", "classic-no-half", "helpers", "torch", "nan")
KILLED = 20


def test_a_class_of_forty_with_fifteen_hostile():
    """The other 25 get the grades that they get in a class without these."""
    grades = []
    for hostile in (HOSTILE, ()):
        with Canaries() as canaries:
            result = graded([*LEGITIMATE, *(BY_NAME[name] for name in hostile)], canaries)
        assert len(result.points) + len(result.reasons) >= 25 + len(hostile)
        grades.append({name: result.points[name] for name in {*HONEST_POINTS, *_names(LEGITIMATE)}})
    assert len(grades[0]) == 25
    assert grades[0] == grades[1]
    print(f"\n25 honest grades beside {len(HOSTILE)} hostile submissions: the same as without them")


def _names(attacks):
    return [attack.name for attack in attacks]


def test_killed_and_run_again_it_ends_with_the_same_gradebook(tmp_path):
    """Twenty times at random moments; no process outlives the grader."""
    with Canaries() as canaries:
        course = make_course(canaries.folder, SOURCES["l2"], LIMITS)
        release(course, course.exercises / "l2" / "l2.py")
        course_secret(course.root)
        hand_in_honestly(course, canaries)
        for name in SMALL_CLASS:
            handed = BY_NAME[name].build(*released_and_solved(course, "l2"))
            hand_in(handed, course.folder("submitted", name, "l2") / "l2.ipynb", canaries)
        shutil.copytree(course.root, tmp_path / "course")
        log = tmp_path / "output.txt"

        assert start_grading(course, log, 2).wait() == 1, log.read_text()
        undisturbed = _scores(course)
        assert sum(len(scores) for scores in undisturbed.values()) >= 20

        rng = np.random.default_rng(20)
        graded_before = []
        for number in range(KILLED):
            # On a busy machine the time tells little about how far grading is.
            lines, moment = number % 7, rng.uniform(0, 0.3)
            shutil.rmtree(course.root)
            shutil.copytree(tmp_path / "course", course.root)
            _kill_after(start_grading(course, log, 2), log, lines, moment)
            graded_before.append(len(points(course)))
            assert start_grading(course, log, 2).wait() == 1, log.read_text()
            assert _scores(course) == undisturbed, f"after {lines}:\n{log.read_text()}"
    assert len(set(graded_before)) > 3, "it was always killed at the same stage"
    print(f"\nkilled {KILLED} times; graded by then: {graded_before}; the same gradebook each time")


def _kill_after(process, log, lines, seconds):
    """Kill a process group some time after it wrote so many lines; all that it started ends."""
    while process.poll() is None and len(log.read_text().splitlines()) < lines:
        time.sleep(0.02)
    time.sleep(seconds)
    try:
        started = psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        started = []
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    _, alive = psutil.wait_procs(started, timeout=20)
    assert not [one for one in alive if one.status() != psutil.STATUS_ZOMBIE], alive


def _scores(course):
    """Return the score of each cell of each student, and None where there is no grade."""
    with course.api.gradebook as gradebook:
        return {
            submission.student_id: {
                grade.name: (grade.auto_score, grade.manual_score, grade.needs_manual_grade)
                for notebook in submission.notebooks
                for grade in notebook.grades
            }
            for submission in gradebook.assignment_submissions("l2")
        }


def test_an_ordinary_user_sees_the_same(tmp_path_factory):
    """All of this module and the attacks once more, by a user who is nobody."""
    if os.getuid() != 0:
        pytest.skip("this is an ordinary user already")
    # Another run of pytest would close its folder to others meanwhile.
    home = Path(tempfile.mkdtemp(prefix="home-"))
    os.chown(home, NOBODY, NOBODY)
    user = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--no-new-privs"]
    tests = [sys.executable, "-m", "pytest", "-s", "-p", "no:cacheprovider", "tests/attacks"]
    # One of these tests grades hundreds of attacks, which takes as long as the machine is busy.
    tests += ["-o", "faulthandler_timeout=0"]
    user = [*with_python_in_reach(tmp_path_factory.mktemp("spare")), *user]
    done = subprocess.run(
        [*user, *tests, f"--basetemp={home / 'tmp'}"],
        cwd=ROOT,
        env={**os.environ, "HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1"},
        check=False,
    )
    shutil.rmtree(home)
    assert done.returncode == 0
