"""Notebooks with the solutions and what there is to say about them."""

from pathlib import Path

import nbformat
import pytest
from helpers.solutions import shortened
from nbclient import NotebookClient

from autograder.intake.exercise import END, source_notebook, sources
from autograder.intake.solved import COMMENTARY, solutions, solved_notebook
from autograder.tasks import tasks

ROOT = Path(__file__).parents[2]
EXERCISES = sources(ROOT / "exercises")


@pytest.mark.parametrize("source", EXERCISES, ids=lambda path: path.stem)
def test_every_solution_of_the_course_has_a_commentary(source):
    """A student who compares gets a reason to each line of ours, not only the line."""
    found = solutions(solved_notebook(source_notebook(source)))
    assert found.keys() == {
        name for name, task in tasks.items() if task.assignment.name == source.stem
    }
    for name, solution in found.items():
        assert len(solution.commentary.split()) > 25, name
        assert "#" not in solution.commentary
        assert solution.code.startswith((f"def {name}(", f"class {name}("))
        assert '"""' not in solution.code


def test_solution_stands_below_its_commentary():
    """The commentary is text, and the code is without it and without marks of the source."""
    notebook = solved_notebook(source_notebook(ROOT / "exercises/dropout/dropout.py"))
    nbformat.validate(notebook)
    ids = [cell.id for cell in notebook.cells]
    where = ids.index("dropout_backward")
    said, code = notebook.cells[where - 1 : where + 1]
    assert said.id == f"{COMMENTARY}dropout_backward"
    assert said.source.startswith("The output is a product of the input")
    assert said.source.split()[0] not in code.source.split("return")[-1]
    assert code.source.rstrip().endswith("return d_out * scaled_mask")
    assert not any(END in cell.source or "nbgrader" in cell.metadata for cell in notebook.cells)


def test_a_solution_without_a_comment_has_no_commentary():
    """An instructor's own exercise need not comment."""
    text = (ROOT / "exercises/dropout/dropout.py").read_text()
    source = source_notebook(ROOT / "exercises/dropout/dropout.py")
    for cell in source.cells:
        lines = cell.source.split("\n")
        cell.source = "\n".join(line for line in lines if f"{line}\n" not in _comments(text))
    found = solutions(solved_notebook(source))
    assert {solution.commentary for solution in found.values()} == {""}


def _comments(text):
    return {f"{line}\n" for line in text.split("\n") if line.startswith("    # ")} | {
        f"{line}\n" for line in text.split("\n") if line.startswith("        # ")
    }


@pytest.mark.parametrize("source", EXERCISES, ids=lambda path: path.stem)
def test_the_notebook_runs(source):
    """All of its checks say that everything is right; experiments make fewer rounds."""
    notebook = solved_notebook(source_notebook(source))
    for cell in notebook.cells:
        cell.source = shortened(cell.source)
    NotebookClient(notebook, timeout=300).execute()
    said = [
        output.data["text/plain"]
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        if cell.id.startswith("check-") and "data" in output
    ]
    assert len(said) == len(solutions(notebook))
    assert not any("wrong" in one for one in said)
