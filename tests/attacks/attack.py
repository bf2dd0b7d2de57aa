"""What an attack is, and the few ways to build one from the released notebook."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from helpers.courses import ROOT, STUB
from nbformat import NotebookNode

from autograder.intake import cells

TESTS = "change the tests"
COMPARISON = "trick the comparison"
ANSWERS = "find the answers"
FORBIDDEN = "use what is forbidden"
REACH = "reach out"
STAY = "stay"
PIPE = "cross the pipe"
EXHAUST = "exhaust"
DIE = "die"
FILE = "break the file"
READER = "attack the reader"
LEGITIMATE = "legitimate"

SOURCES = {
    "l2": '''# %% [markdown]
# # Two tasks of l2

# %%
import numpy as np

from autograder import check


# %%
def l2_penalty(weights, weight_decay):
    """Return the penalty."""
    ### BEGIN SOLUTION
    # SOLUTION_CANARY
    return 0.5 * weight_decay * sum(float((weight**2).sum()) for weight in weights)
    ### END SOLUTION


# %%
check(l2_penalty)


# %%
def l2_penalty_backward(weights, weight_decay):
    """Return its gradients."""
    ### BEGIN SOLUTION
    return [weight_decay * weight for weight in weights]
    ### END SOLUTION


# %%
check(l2_penalty_backward)
''',
    **{
        name: (ROOT / "exercises" / name / f"{name}.py").read_text(encoding="utf-8")
        for name in ("dropout", "impostors")
    },
}
"""Three assignments: a small one, 3 + 3 points, and the real ones on dropout and on impostors."""

PENALTY = "return 0.5 * weight_decay * sum(float((weight**2).sum()) for weight in weights)"
BACKWARD = "return [weight_decay * weight for weight in weights]"
HONEST = {"l2_penalty": PENALTY, "l2_penalty_backward": BACKWARD}

Handed = NotebookNode | bytes | Callable[[Path], None]
"""A notebook, the bytes of the file, or a function that makes what lies at the file's path."""

Build = Callable[[NotebookNode, NotebookNode], Handed]
"""From the released notebook and the solved one to what is handed in."""


@dataclass(frozen=True)
class Attack:
    """A submission, and what it must come to.

    Attributes
    ----------
    name
        Also the student's.
    row
        What kind of attack it is: one of the names above.
    build
        Makes it.  `@NAME@` in a notebook stands for what `canaries.Canaries.names` has.
    points
        What its answers earn honestly; None if the file must be refused with a reason.
    assignment
        A key of `SOURCES`.
    forfeits
        Less is as good, and so is refusing the file with a reason: who breaks the program that
        answers for him has himself to blame.
    says
        Must be in the feedback, or in the reason.
    quick
        Part of `make test`.
    stock
        Harmless enough to be run by stock nbgrader, without a sandbox.
    """

    name: str
    row: str
    build: Build
    points: float | None = 0.0
    assignment: str = "l2"
    forfeits: bool = False
    says: str = ""
    quick: bool = False
    stock: bool = False


def solve(notebook: NotebookNode, **answers: str) -> NotebookNode:
    """Return a copy of a released notebook with some stubs replaced."""
    notebook = copy.deepcopy(notebook)
    missing = set(answers)
    for cell in notebook.cells:
        if cells.is_answer(cell) and cell.id in answers:
            body = "\n    ".join(answers[cell.id].strip("\n").split("\n"))
            assert cell.source.count(STUB) == 1, cell.id
            cell.source = cell.source.replace(STUB, body)
            missing.remove(cell.id)
    assert not missing, missing
    return notebook


def insert(notebook: NotebookNode, *sources: str, at: int = 2) -> NotebookNode:
    """Put code cells into a notebook, behind its set-up if not said otherwise."""
    for number, source in enumerate(sources):
        cell = nbformat.v4.new_code_cell(source.strip("\n"), id=f"added-{number}")
        place = at + number if at >= 0 else len(notebook.cells)
        notebook.cells.insert(place, cell)
    return notebook


def added(*sources: str, at: int = 2, **answers: str) -> Build:
    """Add cells to the released notebook and answer some of its tasks."""

    def build(release: NotebookNode, _solution: NotebookNode) -> Handed:
        return insert(solve(release, **answers), *sources, at=at)

    return build


def honest(*sources: str, at: int = 2) -> Build:
    """Add cells to the solved notebook."""

    def build(_release: NotebookNode, solution: NotebookNode) -> Handed:
        return insert(copy.deepcopy(solution), *sources, at=at)

    return build


def answers(*sources: str, at: int = 2, **cells: str) -> Build:
    """Replace whole answer cells of the solved notebook, and add cells."""

    def build(_release: NotebookNode, solution: NotebookNode) -> Handed:
        notebook = copy.deepcopy(solution)
        replaced = [cell for cell in notebook.cells if cell.id in cells]
        assert len(replaced) == len(cells), cells
        for cell in replaced:
            cell.source = cells[cell.id].strip("\n")
        return insert(notebook, *sources, at=at)

    return build


def edited(edit: Callable[[NotebookNode], Any]) -> Build:
    """Hand in the solved notebook after an edit in place, unless that returns something else."""

    def build(_release: NotebookNode, solution: NotebookNode) -> Handed:
        notebook = copy.deepcopy(solution)
        handed = edit(notebook)
        return notebook if handed is None else handed

    return build
