"""What is noticed without running anything."""

import json
from pathlib import Path

import nbformat
import pytest
from helpers.solutions import source_of

from autograder.intake.exercise import solution_notebook, source_notebook
from autograder.intake.submission import rebuild
from autograder.student.pitfalls import pitfalls, unanswered
from autograder.student.rehearsal import Rehearsal

RELEASE = nbformat.read(source_of("l2").with_suffix(".ipynb"), as_version=4)


@pytest.fixture
def notebook():
    """Return a solved notebook, whose cells all have run."""
    solved = solution_notebook(source_notebook(source_of("l2")))
    for cell in solved.cells:
        if cell.cell_type == "code":
            cell.execution_count = 1
    return solved


def said(notebook, typed=()):
    content = json.dumps(notebook).encode()
    rebuilt = rebuild(content, RELEASE)
    empty = unanswered(rebuilt.notebook, RELEASE)
    done = Rehearsal(rebuilt.notebook, rebuilt.notes)
    return list(pitfalls(content, Path("/nowhere"), done, empty, typed))


def cell(notebook, name):
    return next(cell for cell in notebook.cells if cell.id == name)


def test_nothing_is_said_of_good_work(notebook):
    """Also when it has imports of its own from what is there."""
    one = cell(notebook, "l2_penalty")
    one.source = "import math, scipy.special, torch\nfrom sklearn import svm\n" + one.source
    assert said(notebook, [one.source]) == []


def test_what_ran_last_and_was_not_saved(notebook):
    """The kernel has a newer answer than the file."""
    source = cell(notebook, "l2_penalty").source
    [line] = said(notebook, [source, f"{source}\n# better"])
    assert line.startswith("What you ran last of `l2_penalty` is not in the file: save")
    assert said(notebook, [f"{source}\n# worse", f"{source}  \n"]) == []


def test_what_was_never_run(notebook):
    """If other cells were; a notebook without outputs says nothing about it."""
    cell(notebook, "sgd_step").execution_count = None
    [line] = said(notebook)
    assert "`sgd_step`" in line
    for one in notebook.cells:
        one.execution_count = None
    assert said(notebook) == []


def test_a_name_that_is_defined_elsewhere_is_not_missed(notebook):
    """A cell may define helpers; the function may be in another cell."""
    one = cell(notebook, "l2_penalty")
    one.source = f"def helper():\n    pass\n\n{one.source}"
    assert said(notebook) == []
