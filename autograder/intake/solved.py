"""Make a notebook of an exercise's solutions, and read the solutions from it.

In the source of an exercise, the comment at the beginning of a solution is what its author has to
say about it, in markdown.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

import nbformat
from nbformat import NotebookNode

from autograder.intake.cells import is_answer
from autograder.intake.exercise import BEGIN, solution_notebook
from autograder.tasks import tasks

COMMENTARY = "commentary-"
"""With the name of a task, the id of the cell that comments on its solution."""


@dataclass(frozen=True)
class Solution:
    """A solution of a task.

    Attributes
    ----------
    code
        The code without the docstrings that the exercise gives.
    commentary
        What there is to say about it, in markdown.
    """

    code: str
    commentary: str


def solved_notebook(source: NotebookNode) -> NotebookNode:
    """Return a notebook with every solution, and what there is to say about it before it.

    Parameters
    ----------
    source
        nbgrader's source notebook, see `exercise.source_notebook`.
    """
    notebook = solution_notebook(source)
    cells: list[NotebookNode] = []
    for cell, with_regions in zip(notebook.cells, source.cells, strict=True):
        if is_answer(cell):
            said = _commentary(with_regions.source)
            text = "\n".join(line.strip().removeprefix("#").removeprefix(" ") for line in said)
            if text:
                name = f"{COMMENTARY}{cell.metadata.nbgrader.grade_id}"
                cells.append(nbformat.v4.new_markdown_cell(text, id=name))
            cell.source = cell.source.replace("".join(f"{line}\n" for line in said), "", 1)
        # Nobody hands this notebook in.
        cell.metadata.pop("nbgrader", None)
        cells.append(cell)
    notebook.cells = cells
    return notebook


def solutions(notebook: NotebookNode) -> dict[str, Solution]:
    """Return the solutions in a notebook that `solved_notebook` has made, by task."""
    cells = {cell.id: cell.source for cell in notebook.cells}
    return {
        name: Solution(_without_docstrings(cells[name]), cells.get(f"{COMMENTARY}{name}", ""))
        for name in cells.keys() & tasks
    }


def _commentary(source: str) -> list[str]:
    """Return the lines of the comment that begins the first solution region of an answer."""
    lines = source.split("\n")
    first = next(number for number, line in enumerate(lines) if line.strip() == BEGIN) + 1
    return list(_comment(lines[first:]))


def _comment(lines: list[str]) -> Iterator[str]:
    for line in lines:
        if not line.strip().startswith("#"):
            return
        yield line


def _without_docstrings(code: str) -> str:
    documented = (
        node.body[0]
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node)
    )
    left_out = {
        number for text in documented for number in range(text.lineno, (text.end_lineno or 0) + 1)
    }
    lines = enumerate(code.split("\n"), start=1)
    return "\n".join(line for number, line in lines if number not in left_out)
