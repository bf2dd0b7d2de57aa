"""Say of which assignment a notebook is, by its cells and by what they define."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import nbformat

from autograder.intake.notebook_file import Notes, parse

_DEFINED = re.compile(r"^(?:def|class)[ \t]++(\w++)", re.MULTILINE)


def own_cells(released: Mapping[str, Path]) -> dict[str, frozenset[str]]:
    """Return what tells the notebooks of each assignment from those of the others.

    Parameters
    ----------
    released
        The released notebooks, by assignment.
    """
    names = {
        assignment: {
            cell.metadata.nbgrader.grade_id
            for cell in nbformat.read(path, as_version=4).cells
            if cell.metadata.get("nbgrader", {}).get("solution")
            or cell.metadata.get("nbgrader", {}).get("grade")
        }
        for assignment, path in released.items()
    }
    counted = Counter(name for some in names.values() for name in some)
    return {
        assignment: frozenset(name for name in some if counted[name] == 1)
        for assignment, some in names.items()
    }


def names_in(content: bytes) -> set[str]:
    """Return the ids of a notebook's cells, and the functions and classes that they define.

    Raises
    ------
    UnreadableError
        When it is no notebook.
    """
    names: set[str] = set()
    for cell in parse(content, Notes()):
        names.update(filter(None, (cell.id, cell.grade_id)))
        names.update(_DEFINED.findall(cell.source))
    return names


def most(names: set[str], own: Mapping[str, frozenset[str]]) -> str:
    """Return the assignment of which a notebook has most; "" if it has none, or as much of two."""
    counts = Counter({assignment: len(names & cells) for assignment, cells in own.items()})
    [(first, most), *others] = counts.most_common(2)
    return first if most and all(count < most for _, count in others) else ""
