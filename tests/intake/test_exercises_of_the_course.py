"""The exercises as a student with all answers meets them."""

import doctest
import os
import subprocess
import sys

import pytest
from helpers.solutions import solution, source_of

from autograder import tasks
from autograder.tasks import assignments


@pytest.mark.parametrize("assignment", assignments)
def test_an_exercise_runs_from_top_to_bottom(assignment, tmp_path):
    """Every cell runs, demonstrations and the experiment included, without a warning."""
    done = subprocess.run(
        [sys.executable, "-W", "error", source_of(assignment)],
        cwd=tmp_path,
        env={**os.environ, "MPLBACKEND": "agg"},
        capture_output=True,
        text=True,
        timeout=300,
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
