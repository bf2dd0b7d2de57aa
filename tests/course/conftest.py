"""One course in which a submission of each kind was graded, shared by all tests of courses."""

import os
from collections import Counter

import nbformat
import pytest
from helpers import late
from helpers.courses import (
    answered,
    autograder,
    copy_course,
    hand_in,
    released_course,
    source_file,
)
from helpers.formgrader import formgrader

from autograder.course.grading import grade
from autograder.grading.job import Job
from autograder.intake.exercise import source_notebook, student_notebook

DOUBLED = "print('doubling')\n    return weight_decay * sum((w**2).sum() for w in weights)"
WRONG = "return 3.3 * weight_decay * sum(float((weight**2).sum()) for weight in weights)"
CHANGING = "found = [weight_decay * w for w in weights]\n    weights[0] += 1\n    return found"
HELPER = "def times(weights, factor):\n    return [factor * weight for weight in weights]"


def pytest_collection_modifyitems(items):
    """Let nbgrader use SQLAlchemy as it does."""
    for item in items:
        if "/tests/course/" in str(item.path):
            item.add_marker(pytest.mark.filterwarnings("ignore:Object of type"))


@pytest.fixture(scope="session")
def graded(first_run):
    """Return the course, as `autograder grade` left it; nobody may change it."""
    return first_run[0]


@pytest.fixture(scope="session")
def first_run(tmp_path_factory):
    """Return the course with the status of `autograder grade` and what it said."""
    course = released_course(tmp_path_factory.mktemp("graded"))
    answers = {
        "solved": {},
        "half": {"l2_penalty": "raise ValueError"},
        "wrong": {"l2_penalty": WRONG},
        "doubled": {"l2_penalty": DOUBLED},
        "changing": {"l2_penalty_backward": CHANGING},
        "hangs": {"l2_penalty": "while True: pass"},
    }
    for student, replaced in answers.items():
        hand_in(course, student, answered(course, **replaced))
    hand_in(course, "untouched", student_notebook(source_notebook(source_file(course))))
    dies = answered(
        course, l2_penalty="os._exit(1)", l2_penalty_backward="return times(weights, weight_decay)"
    )
    dies.cells.insert(2, nbformat.v4.new_code_cell(HELPER))
    hand_in(course, "dies", dies)
    repaired = answered(course)
    repaired.cells = [cell for cell in repaired.cells if not cell.id.startswith("check-")]
    folder = hand_in(course, "repaired", repaired).parent
    (folder / "linked").symlink_to("/etc/passwd")
    (folder / "linked folder").symlink_to("/etc")
    (folder / "data.csv").write_text("1,2\n")
    os.mkfifo(folder / "fifo")
    hand_in(course, "broken", "This was a notebook once.\n")
    for student, day in (("solved", 3), ("doubled", 4), ("half", 1)):
        path = course.folder("submitted", student, "l2") / "timestamp.txt"
        path.write_text(f"2026-03-{day:02} 12:00:00 UTC")
    with pytest.MonkeyPatch.context() as patch:
        status, said = autograder(course, patch, "grade", "--jobs", "1")
    return course, status, said


@pytest.fixture
def copied(graded, tmp_path):
    """Return a copy of the graded course, to change."""
    return copy_course(graded, tmp_path)


@pytest.fixture(scope="session")
def served(graded, tmp_path_factory):
    """Return a copy of the course in which late work loses points, and formgrader's API on it."""
    course = copy_course(graded, tmp_path_factory.mktemp("served"), late.SETTINGS)
    with formgrader(course) as api:
        yield course, api


@pytest.fixture
def runs(monkeypatch):
    """Count how often the code of each submission is run, by what was handed in."""
    counted = Counter()
    run = Job.run

    def counting(job):
        outcome = run(job)
        counted[job.content] += 1
        return outcome

    monkeypatch.setattr(Job, "run", counting)
    return counted


@pytest.fixture
def grade_quietly():
    """Return a function that grades without feedback pages and returns what was looked at."""

    def run(course, *students, **options):
        summary = grade(course, students=students or None, feedback=False, **options)
        assert not summary.failed, summary.failed
        return {one.student for one in summary.graded}

    return run
