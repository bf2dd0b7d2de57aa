"""What kind of cell a cell of a released notebook is; needs nothing but nbformat.

`exercise` says how the source of an exercise decides it.
"""

from __future__ import annotations

import re

from nbformat import NotebookNode

DEMONSTRATION = "demonstration"
CHECK_PREFIX = "check-"


def is_answer(cell: NotebookNode) -> bool:
    """Return whether students write this cell."""
    return bool(cell.metadata.get("nbgrader", {}).get("solution"))


def is_check(cell: NotebookNode) -> bool:
    """Return whether this cell earns points."""
    return bool(cell.metadata.get("nbgrader", {}).get("grade"))


def task_of(grade_id: str) -> str:
    """Return the name of the task of a check cell, given the cell's id in nbgrader."""
    return grade_id.removeprefix(CHECK_PREFIX)


def is_locked(cell: NotebookNode) -> bool:
    """Return whether this cell is the course's own."""
    return bool(cell.metadata.get("nbgrader", {}).get("locked"))


def is_demonstration(cell: NotebookNode) -> bool:
    """Return whether this is a locked cell that grading skips."""
    return is_locked(cell) and _is_demonstration_id(cell.metadata.nbgrader.get("grade_id"))


def _is_demonstration_id(grade_id: object) -> bool:
    return re.fullmatch(rf"{DEMONSTRATION}-\d+", str(grade_id)) is not None
