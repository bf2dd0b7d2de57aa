"""What was graded once is not run again, and what has changed is."""

import json
import shutil
from collections import Counter
from dataclasses import replace

import pytest
from helpers.courses import answered, hand_in, make_course, source_file

from autograder import cli
from autograder.grading import results
from autograder.grading.job import Job
from autograder.sandbox import Limits
from autograder.tasks import assignments

pytestmark = pytest.mark.filterwarnings("ignore:Object of type")

STUDENTS = ("ann", "bob", "cem")


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """Return a course in which three students, none like another, have been graded."""
    course = make_course(tmp_path_factory.mktemp("graded"))
    release(course, source_file(course))
    for student in STUDENTS:
        hand_in(course, student, answered(course, l2_penalty=f"return '{student}'"))
    assert cli.grade(course, feedback=False) == []
    return course


@pytest.fixture
def course(tmp_path, graded):
    """Return a copy of it, to change."""
    course = make_course(tmp_path)
    shutil.copytree(graded.root, course.root)
    return course


@pytest.fixture
def runs(monkeypatch):
    """Count how often the code of each submission is run."""
    counted = Counter()
    run = Job.run

    def counting(job):
        counted[next(name for name in STUDENTS if f"return '{name}'".encode() in job.content)] += 1
        return run(job)

    monkeypatch.setattr(Job, "run", counting)
    return counted


def forget_grades(course):
    """Leave of a grading nothing but the results."""
    for folder in (".graded", "autograded"):
        shutil.rmtree(course.root / folder)


def points(course):
    return {student: earned for student, (earned, _) in course.points("l2").items()}


def test_what_was_run_once_is_not_run_again(course, runs):
    """Nor is a copy of it that another student hands in."""
    forget_grades(course)
    content = (course.folder("submitted", "ann", "l2") / "l2.ipynb").read_text()
    hand_in(course, "copycat", content)
    assert cli.grade(course, feedback=False) == []
    assert points(course) == dict.fromkeys((*STUDENTS, "copycat"), 3)
    assert not runs


def test_force_runs_everything(course, runs):
    """Also what has not changed."""
    cli.grade(course, feedback=False, force=True)
    assert runs == dict.fromkeys(STUDENTS, 1)


def test_only_who_resubmitted_is_run(course, runs):
    """The grade follows the new file."""
    path = course.folder("submitted", "bob", "l2") / "l2.ipynb"
    path.write_text(path.read_text().replace("weight_decay * weight", "weight", 1))
    cli.grade(course, feedback=False)
    assert runs == {"bob": 1}
    assert points(course) == {"ann": 3, "bob": 0, "cem": 3}


def test_a_run_that_was_stopped_goes_on(course, runs, monkeypatch):
    """Whatever was done before is kept."""
    counting = Job.run

    def stopped(job):
        if sum(runs.values()) == 2:
            raise KeyboardInterrupt
        return counting(job)

    with monkeypatch.context() as patch:
        patch.setattr(Job, "run", stopped)
        with pytest.raises(KeyboardInterrupt):
            cli.grade(course, feedback=False, force=True)
    assert sum(runs.values()) == 2
    cli.grade(course, feedback=False)
    assert runs == dict.fromkeys(STUDENTS, 1)
    assert points(course) == dict.fromkeys(STUDENTS, 3)


def test_grading_goes_on_where_results_cannot_be_kept(course, runs):
    """The folder cannot be made, as on a disk that is full or read-only."""
    forget_grades(course)
    shutil.rmtree(course.root / results.FOLDER)
    (course.root / results.FOLDER).write_text("in the way")
    assert cli.grade(course, feedback=False) == []
    assert runs == dict.fromkeys(STUDENTS, 1)
    assert points(course) == dict.fromkeys(STUDENTS, 3)


def test_a_damaged_result_is_none(course, runs):
    """Half a file is left, say, of a disk that was pulled out."""
    forget_grades(course)
    for path in (course.root / results.FOLDER).iterdir():
        path.write_text(path.read_text()[:100])
    assert cli.grade(course, feedback=False) == []
    assert runs == dict.fromkeys(STUDENTS, 1)
    assert points(course) == dict.fromkeys(STUDENTS, 3)


def test_results_are_for_their_owner_only(graded):
    """They show what inputs a submission was judged on."""
    folder = graded.root / results.FOLDER
    assert folder.stat().st_mode & 0o077 == 0


def a_job(assignment, **changes):
    job = Job(assignment, b"{}", "{}", b"key", Limits(), "bubblewrap")
    return replace(job, **changes)


@pytest.mark.parametrize(
    "change",
    [
        {"content": b"{ }"},
        {"release": "{ }"},
        {"key": b"other"},
        {"limits": Limits(cell_seconds=1)},
        {"backend": "none"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_everything_that_a_result_follows_from_counts(change):
    """A change of any is another result."""
    assert results.result_name(a_job("l2")) == results.result_name(a_job("l2"))
    assert results.result_name(a_job("l2", **change)) != results.result_name(a_job("l2"))


@pytest.mark.parametrize(
    ("module", "concerned"),
    [
        ("tasks/batch_norm.py", {"batch_norm"}),
        ("tasks/l2.py", {"l2", "capstone"}),  # which borrows its losses
        ("judge.py", {*assignments}),
        ("sandbox/inside.py", {*assignments}),
        ("submission.py", {*assignments}),
        ("cli.py", set()),
        ("feedback/__init__.py", set()),
    ],
)
def test_a_change_of_code_concerns_what_it_grades(tmp_path, monkeypatch, module, concerned):
    """A task's file its own assignment, the judge all of them, the command line none."""

    def names():
        results._code.cache_clear()
        results._read.cache_clear()
        return {name: results.result_name(a_job(name)) for name in assignments}

    copy = tmp_path / "autograder"
    shutil.copytree(results._PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(results, "_PACKAGE", copy)
    before = names()
    with (copy / module).open("a") as file:
        file.write("\n# changed\n")
    after = names()
    assert {name for name in assignments if after[name] != before[name]} == concerned
    monkeypatch.undo()
    names()


def test_a_result_comes_back_as_it_was(tmp_path):
    """Also one that holds what JSON has to escape."""
    outputs = {"cell": [{"output_type": "stream", "name": "stdout", "text": "\ud83d\ude00\x00\n"}]}
    kept = results.Results(tmp_path)
    kept.put("name", outputs)
    assert kept.get("name") == json.loads(json.dumps(outputs))
    assert results.Results(tmp_path).get("name") == kept.get("name")
    kept.drop("name")
    assert not kept.has("name")
    assert kept.get("name") is None
