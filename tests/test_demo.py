"""The sample class."""

import sys
from collections import Counter
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from helpers.courses import ROOT, nbgrader

from autograder import cli, demo, grade, tasks
from autograder.course.course import CONFIG
from autograder.course.scores import scores
from autograder.intake import exercise
from autograder.sandbox import Sandbox, SandboxUnavailableError
from autograder.tasks import assignments
from benchmarks.classes import STOCK, recorded

pytestmark = pytest.mark.filterwarnings("ignore:Object of type")

EVERY_MISTAKE = [
    pytest.param(assignment, number, id=f"{assignment}-{mistake.id}")
    for assignment, mistakes in demo.MISTAKES.items()
    for number, mistake in enumerate(mistakes, 1)
]


@cache
def source(assignment):
    return exercise.source_notebook(ROOT / "exercises" / assignment / f"{assignment}.py")


def functions(notebook):
    """Run set-up and answers of a notebook and return what they define."""
    module = ModuleType("submission")
    sys.modules[module.__name__] = module
    for cell in notebook.cells:
        if cell.cell_type == "code" and not cell.id.startswith(("check-", "demonstration-")):
            exec(compile(cell.source, cell.id, "exec"), vars(module))
    return vars(module)


def test_every_assignment_has_a_class_of_twelve_and_of_every_kind():
    """Complete, untouched, half done, six mistakes, raising, hanging and broken."""
    kinds = Counter(kind.split()[0] for kind in demo.STUDENTS.values())
    assert kinds["mistake"] == 6
    assert sum(kinds.values()) >= 12
    assert {"complete", "untouched", "half", "raises", "hangs", "broken"} < set(kinds)
    assert {name: len(mistakes) for name, mistakes in demo.MISTAKES.items()} == dict.fromkeys(
        assignments, 6
    )


@pytest.mark.parametrize(("assignment", "number"), EVERY_MISTAKE)
def test_each_mistake_is_named(assignment, number):
    """The grader names the very mistake that was put in, and takes points for it."""
    mistake = demo.MISTAKES[assignment][number - 1]
    notebook = demo.submission(source(assignment), assignment, f"mistake {number}")
    with np.errstate(all="ignore"):
        report = grade(mistake.task, functions(notebook), 1)
    assert report.points < report.max_points
    assert mistake.id in {finding.misconception for finding in report.findings}


def test_a_replacement_that_does_not_fit_fails_loudly(monkeypatch):
    """When a solution is rewritten, its mistakes have to be rewritten with it."""
    wrong = demo.Mistake("bn-no-eps", "batch_norm_forward", (("no such text", ""),))
    monkeypatch.setitem(demo.MISTAKES, "batch_norm", (wrong,))
    with pytest.raises(ValueError, match="no such text"):
        demo.submission(source("batch_norm"), "batch_norm", "mistake 1")


def test_making_it_again_touches_nothing(tmp_path):
    """Files that are right keep their times, and nothing is made outside of the folder."""

    def make():
        return demo.make(tmp_path / "demo", ROOT / CONFIG, [ROOT / "exercises" / "l2" / "l2.py"])

    def times():
        return {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.*") if path.is_file()}

    course = make()
    assert course.root == tmp_path / "demo"
    assert set(course.submitted("l2")) == set(demo.STUDENTS)
    before = times()
    make()
    after = times()
    gradebook = Path(tmp_path / "demo" / "gradebook.db")
    assert {path for path in after if after[path] != before.get(path)} <= {gradebook}


@pytest.mark.evidence
@pytest.mark.sandbox
def test_the_whole_class_gets_the_same_scores_from_stock_nbgrader(tmp_path):
    """`nbgrader autograde` with its own preprocessors on every file that it can open."""
    sources = [ROOT / "exercises" / name / f"{name}.py" for name in assignments]
    ours = demo.make(tmp_path / "ours", ROOT / CONFIG, sources)
    theirs = demo.make(tmp_path / "theirs", ROOT / CONFIG, sources)
    cli.grade(ours, jobs=2)
    theirs.config_file.write_text(theirs.config_file.read_text() + STOCK)
    [broken] = [student for student, kind in demo.STUDENTS.items() if kind == "broken"]
    for name in assignments:
        (theirs.folder("submitted", broken, name) / f"{name}.ipynb").unlink()
        nbgrader(theirs, "autograde", name, f"--CourseDirectory.student_id_exclude={broken}")
        points = recorded(theirs, name)
        assert len(points) == len(demo.STUDENTS) - 1
        assert scores(ours, name) == points
        print(f"{name}: {len(points)} submissions, the same scores")


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


@pytest.mark.evidence
@pytest.mark.parametrize("assignment", assignments)
def test_two_hundred_seeds(assignment):
    """The solution is always worth everything and the untouched notebook nothing."""
    kinds = ("complete", "untouched")
    with np.errstate(all="ignore"):
        for kind in kinds:
            notebook = demo.submission(source(assignment), assignment, kind)
            share = 1 if kind == "complete" else 0
            for name, task in tasks.items():
                if task.assignment.name != assignment:
                    continue
                defined = functions(notebook)
                for seed in range(200):
                    report = grade(name, defined, seed)
                    assert report.points == share * task.max_points, (name, seed, str(report))
