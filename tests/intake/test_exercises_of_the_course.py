"""The exercises as a student with all answers meets them."""

import doctest
import runpy
import subprocess
import sys

import matplotlib.pyplot as plt
import pytest
from helpers.courses import ENVIRONMENT
from helpers.solutions import shortened, solution, source_of

from autograder import tasks
from autograder.tasks import assignments


@pytest.mark.parametrize("assignment", assignments)
def test_an_exercise_runs_from_top_to_bottom(assignment, tmp_path, monkeypatch):
    """Every cell, demonstrations and the experiment included, without a warning.

    The experiments make fewer rounds; the evidence has all of them.
    """
    text = shortened(source_of(assignment).read_text())
    program, folder = tmp_path / "shortened.py", tmp_path / "empty"
    program.write_text(text)
    folder.mkdir()
    monkeypatch.chdir(folder)
    plt.switch_backend("agg")
    runpy.run_path(str(program), run_name="exercise")
    plt.close("all")
    assert list(folder.iterdir()) == []


@pytest.mark.evidence
@pytest.mark.parametrize("assignment", assignments)
def test_an_exercise_runs_as_it_is(assignment, tmp_path):
    """With every round of its experiments, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-W", "error", source_of(assignment)],
        cwd=tmp_path,
        env={**ENVIRONMENT, "MPLBACKEND": "agg"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", list(tasks))
def test_the_example_in_the_docstring_is_right(name):
    """Every task shows an example, and the solution gives what it shows."""
    names = solution(tasks[name].assignment.name)
    runner = doctest.DocTestRunner(verbose=False)
    finder = doctest.DocTestFinder(recurse=False)
    for example in finder.find(names[name], name, globs=dict(names), module=False):
        runner.run(example)
    assert runner.tries > 0
    assert runner.summarize(verbose=False).failed == 0
