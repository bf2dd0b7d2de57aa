"""A notebook is run as grading will, in a process that may end or hang."""

import json

import nbformat
import pytest
from helpers.courses import STUB, answered, make_course, source_file

from autograder.intake.exercise import source_notebook, student_notebook
from autograder.sandbox import Limits
from autograder.student.rehearsal import SECONDS, rehearse


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """Return a course of two tasks."""
    return make_course(tmp_path_factory.mktemp("course"))


def rehearsed(course, notebook, seconds=SECONDS):
    release = nbformat.writes(student_notebook(source_notebook(source_file(course))))
    return rehearse(json.dumps(notebook).encode(), release, seconds)


def test_what_ends_the_process_is_left_out(course):
    """The other answer is tried all the same, and the cells after it run."""
    notebook = answered(course, l2_penalty="os._exit(1)")
    notebook.cells.insert(0, nbformat.v4.new_code_cell("print('x' * 100_000); undefined"))
    done = rehearsed(course, notebook)
    assert list(done.reports) == ["l2_penalty_backward"]
    assert done.reports["l2_penalty_backward"].passed
    assert "It ended its process" in done.stopped["check-l2_penalty"]
    assert done.errors == {"student-1": "NameError: name 'undefined' is not defined"}


def test_what_hangs_is_left_out(course):
    """After as long as grading would wait, and longer."""
    assert 2 * Limits().cell_seconds == SECONDS
    notebook = answered(course)
    notebook.cells.insert(0, nbformat.v4.new_code_cell("while True: pass"))
    done = rehearsed(course, notebook, seconds=8)
    assert done.stopped == {"student-1": "It did not finish within 8 seconds."}
    assert all(report.passed for report in done.reports.values())


def test_a_check_says_what_the_notebooks_says(course):
    """Of an answer that is not written, and of one that its task does not allow."""
    torch = "import torch\n    return float(torch.tensor(weight_decay))"
    done = rehearsed(course, answered(course, l2_penalty=torch, l2_penalty_backward=STUB))
    assert (
        "PyTorch is not there when it is graded" in done.reports["l2_penalty"].findings[0].message
    )
    assert "is not written yet" in str(done.reports["l2_penalty_backward"])
