"""How far a student is."""

import sys

import nbformat
import pytest
from helpers.solutions import solution, source_of

from autograder import Finding, progress
from autograder.intake.exercise import solution_notebook, source_notebook
from autograder.tasks import assignments


@pytest.fixture(autouse=True)
def nowhere(tmp_path, monkeypatch):
    """Stand in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def shown(**names):
    """Return what a notebook shows in which some names are defined."""
    notebook = {"progress": progress, **names}
    exec("table = progress('l2')", notebook)
    return repr(notebook["table"])


def test_a_new_notebook_has_everything_left():
    """And no function of its own yet, and no file."""
    text = shown()
    assert text.startswith("l2: 0 of 25 points")
    assert text.count("empty") == 6
    assert "Next: Task 1, `l2_penalty`, 3 points." in text


def test_what_is_defined_is_checked_at_once():
    """Right, wrong and not written; the next is the first that is not right."""

    def sgd_step(param, grad, lr, weight_decay):
        raise NotImplementedError()

    right = solution("l2")
    text = shown(
        l2_penalty=right["l2_penalty"], l2_penalty_backward=lambda *_: 3, sgd_step=sgd_step
    )
    assert text.startswith("l2: 3 of 25 points")
    assert "  right   l2_penalty " in text
    assert "  wrong   l2_penalty_backward " in text
    assert "  empty   sgd_step " in text
    assert "Next: Task 2, `l2_penalty_backward`, 3 points." in text


def test_the_items_of_a_list_belong_to_what_is_wrong():
    """A sentence that ends with a colon does not end there; lines of code are left out."""
    text = Finding("f", False, "Several known mistakes:\n  a. (x)\n  b. (y)\nIn a case.").in_short
    assert text == "Several known mistakes: a. (x) b. (y)"
    assert Finding("f", False, "TypeError: no\n  f, line 2: g()").in_short == "TypeError: no"


def test_after_a_restart_the_saved_file_counts(nowhere):
    """Nothing is defined in the kernel, but all of it is in the file."""
    nbformat.write(solution_notebook(source_notebook(source_of("l2"))), nowhere / "l2.ipynb")
    text = shown()
    assert text.startswith("l2: 25 of 25 points")
    assert "All tasks are right." in text
    assert "taken from the saved file" in text


def test_an_untouched_file_is_not_run(nowhere, monkeypatch):
    """The first look takes no time: nothing runs, and what takes a second to import is not."""
    nbformat.write(
        nbformat.read(source_of("l2").with_suffix(".ipynb"), as_version=4), nowhere / "l2.ipynb"
    )
    monkeypatch.setattr(sys, "executable", "/nowhere")
    monkeypatch.setitem(sys.modules, "nbformat", None)
    assert shown().count("empty") == 6


def test_an_unknown_exercise_is_named():
    """With those that there are."""
    assert f"there are {', '.join(assignments)}" in repr(progress("l3"))
