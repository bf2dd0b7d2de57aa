"""Rebuild a submitted file as a notebook that is safe to grade.

`rebuild` takes only the text of its cells.  Everything else comes from the released notebook: our
cells in our order, our metadata and ids.  An answer is a cell that defines the function or class
of the task.  If there are several or none, the cell id decides, then nbgrader's id.

All of the student's code is kept and runs in its original order, each added cell before the cell
of ours that followed it.  So what counts is what Run All would have shown the student.
"""

from __future__ import annotations

import ast
import copy
import re
import warnings
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import nbformat
from nbformat import NotebookNode

from autograder.intake.cells import is_answer, is_check, is_demonstration
from autograder.intake.magics import without_magics
from autograder.intake.notebook_file import Cell, Notes, UnreadableError, parse

_START_AGAIN = (
    "Open the notebook of this exercise, copy your answers into its cells and hand that in."
)


@dataclass(frozen=True)
class Submission:
    """A notebook with our cells and the student's answers, and notes on what was repaired."""

    notebook: NotebookNode
    notes: tuple[str, ...]


def rebuild(content: bytes, release: NotebookNode) -> Submission:
    """Return the student's answers in a fresh copy of the released notebook.

    Cells of ours that were changed, moved, deleted or copied are restored, and an answer that is
    elsewhere is moved to its place.  A changed set-up cell also runs as a cell of the student's,
    after our own, because it may hold an import that the answers need.

    Parameters
    ----------
    content
        Any bytes.
    release
        The released notebook; it is not changed.

    Raises
    ------
    UnreadableError
        When no answer to any task can be found.
    """
    notes = Notes()
    return _Rebuild(parse(content, notes), release, notes).done()


def rebuild_text(content: bytes, release: str) -> Submission:
    """Rebuild with the text of the released notebook; see `rebuild`."""
    return rebuild(content, nbformat.reads(release, as_version=4))


class _Rebuild:
    """Finds the student's version of each cell of the release, and puts the rest between them."""

    def __init__(self, cells: list[Cell], release: NotebookNode, notes: Notes) -> None:
        self.notebook = copy.deepcopy(release)
        self.ours = self.notebook.cells
        self.cells = cells
        self.notes = notes
        self.names = [_grade_id(cell) or cell.id for cell in self.ours]
        self.answers = [place for place, cell in enumerate(self.ours) if is_answer(cell)]
        # Maps an index in the release to the index of the student's cell.
        self.found: dict[int, int] = {}
        # Maps an answer without its own cell to the answer whose cell it is in.
        self.inside: dict[int, int] = {}

    def done(self) -> Submission:
        self._look()
        self._find_answers()
        self._find_others()
        self._say_what_was_found()
        added = self._added()
        self._fill_answers()
        cells = []
        for place, cell in enumerate([*self.ours, None]):
            cells += added.get(place, [])
            if cell is not None:
                cells.append(cell)
        number = 0
        for cell in cells:
            if "id" not in cell:
                number += 1
                cell.id = f"student-{number}"
        self.notebook.cells = cells
        return Submission(self.notebook, self.notes.all())

    def _look(self) -> None:
        ids = {cell.id: place for place, cell in enumerate(self.ours)}
        grade_ids = {_grade_id(cell): place for place, cell in enumerate(self.ours)}
        sources: dict[str, list[int]] = {}
        for place, cell in enumerate(self.ours):
            sources.setdefault(_plain(cell.source), []).append(place)
        functions = {self.names[place]: place for place in self.answers}
        for cell in self.cells:
            if cell.id is not None:
                cell.by_id = ids.get(cell.id)
            if cell.grade_id is not None:
                cell.by_grade_id = grade_ids.get(cell.grade_id)
            same = sources.get(_plain(cell.source), [])
            # Of cells that are alike, each is a copy of the next.
            cell.copy_of = same.pop(0) if len(same) > 1 else next(iter(same), None)
            named = {cell.by_id, cell.by_grade_id}
            if cell.copy_of is None and (cell.kind == "code" or named & {*self.answers}):
                names = _defined(cell.source, functions)
                cell.defines = {functions[name] for name in names}

    def _best(self, place: int, candidates: Iterable[int]) -> int | None:
        """Return the candidate that is named after a place; else a copy; else the last one."""

        def rank(index: int) -> tuple[bool, bool, bool, int]:
            cell = self.cells[index]
            return (
                cell.by_id == place,
                cell.by_grade_id == place,
                cell.copy_of == place,
                index,
            )

        return max(candidates, key=rank, default=None)

    def _find_answers(self) -> None:
        indices = range(len(self.cells))
        taken: dict[int, int] = {}
        for place in self.answers:
            best = self._best(place, (i for i in indices if place in self.cells[i].defines))
            if best is None:
                continue
            if best in taken:
                self.inside[place] = taken[best]
            else:
                self.found[place] = best
                taken[best] = place
        for place in self.answers:
            if place not in self.found and place not in self.inside:
                self._claim(place)
        if self.answers and not any(place in self.found for place in self.answers):
            raise UnreadableError(
                f"The file has none of the answers of this exercise. {_START_AGAIN}"
            )

    def _find_others(self) -> None:
        for place in range(len(self.ours)):
            if place not in self.answers:
                self._claim(place)

    def _claim(self, place: int) -> None:
        taken = {*self.found.values()}
        best = self._best(
            place,
            (
                index
                for index, cell in enumerate(self.cells)
                if index not in taken and place in (cell.by_id, cell.by_grade_id, cell.copy_of)
            ),
        )
        if best is not None:
            self.found[place] = best

    def _added(self) -> dict[int, list[NotebookNode]]:
        """Return the student's own cells, by the index in the release that they come before."""
        places = {index: place for place, index in self.found.items()}
        added: dict[int, list[NotebookNode]] = {}
        waiting: list[NotebookNode] = []
        for index, cell in enumerate(self.cells):
            if index in places:
                place = places[index]
                added.setdefault(place, []).extend(waiting)
                waiting = []
                if self._runs_too(place, cell):
                    waiting.append(_new(cell))
            elif cell.copy_of is None and cell.source.strip():
                waiting.append(_new(cell))
        added.setdefault(len(self.ours), []).extend(waiting)
        return added

    def _differs(self, place: int, cell: Cell) -> bool:
        same = _plain(cell.source) == _plain(self.ours[place].source)
        return place not in self.answers and not same

    def _runs_too(self, place: int, cell: Cell) -> bool:
        ours = self.ours[place]
        locked_code = _grade_id(ours) is not None and (is_demonstration(ours) or is_check(ours))
        return (
            self._differs(place, cell)
            and cell.kind == "code"
            and not locked_code
            and bool(cell.source.strip())
        )

    def _fill_answers(self) -> None:
        for place in self.answers:
            if place in self.found:
                self.ours[place].source = self.cells[self.found[place]].source
            elif place in self.inside:
                other = self.names[self.inside[place]]
                self.ours[place].source = f"# Answered in the cell {other}."

    def _say_what_was_found(self) -> None:
        answers = set(self.answers)
        found = sorted(self.found.items())
        pairs = [(place, self.names[place], self.cells[index]) for place, index in found]
        about = self.notes.about
        about(
            "No cell was found for these answers, whose empty cells were put back.",
            (self.names[p] for p in self.answers if p not in self.found and p not in self.inside),
        )
        about(
            "These answers were found by the function or class that they define.",
            (
                name
                for place, name, cell in pairs
                if place in answers and place not in (cell.by_id, cell.by_grade_id, cell.copy_of)
            ),
        )
        about(
            "These answers were not in a code cell and were read as code.",
            (name for place, name, cell in pairs if place in answers and cell.kind != "code"),
        )
        about(
            "These answers were found in the cell of another answer, which was put where the "
            "first of them belongs.",
            (self.names[place] for place in self.inside),
        )
        about(
            "These functions are defined in several cells; all cells run from top to bottom, so "
            "the last definition above the check counts.",
            self._defined_twice(),
        )
        about(
            "These cells differed from the course's, whose own were used.",
            (
                name
                for place, name, cell in pairs
                if self._differs(place, cell) and not self._runs_too(place, cell)
            ),
        )
        about(
            "These cells differed from the course's, whose own were run first and yours after "
            "them.",
            (name for place, name, cell in pairs if self._runs_too(place, cell)),
        )
        about(
            "These cells were missing and were put back.",
            (
                self.names[place]
                for place in range(len(self.ours))
                if place not in answers and place not in self.found
            ),
        )
        about(
            "nbgrader's settings of these cells were changed, so the course's own were used.",
            (name for place, name, cell in pairs if self._edited(place, cell)),
        )
        order = [place for _, place in sorted((index, place) for place, index in found)]
        if any(first > second for first, second in pairwise(order)):
            self.notes.say("The cells of the course were put back into their order.")

    def _defined_twice(self) -> list[str]:
        found = Counter(
            place
            for place, _ in {(place, cell.source) for cell in self.cells for place in cell.defines}
        )
        return [self.names[place] for place in self.answers if found[place] > 1]

    def _edited(self, place: int, cell: Cell) -> bool:
        if not cell.nbgrader or place not in (cell.by_id, cell.by_grade_id):
            return False
        ours = self.ours[place].metadata.get("nbgrader", {})
        # Ignore the checksum: it differs in an older copy of the exercise, which is fine.
        return any(
            cell.nbgrader.get(key) != ours.get(key)
            for key in {*ours, *cell.nbgrader} - {"checksum"}
        )


def _grade_id(cell: NotebookNode) -> str | None:
    found: str | None = cell.metadata.get("nbgrader", {}).get("grade_id")
    return found


def _plain(source: str) -> str:
    """Return a source without the whitespace that editors change on their own."""
    return "\n".join(line.rstrip() for line in source.strip().split("\n"))


def _defined(source: str, names: Iterable[str]) -> set[str]:
    """Return which of some names a cell defines as a top-level function or class."""
    found = {
        name
        for name in names
        if re.search(
            rf"^[ \t]*+(?:async[ \t]++)?(?:def|class)[ \t]++{name}\b", source, re.MULTILINE
        )
    }
    if not found:
        return found
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            statements = ast.parse(without_magics(source)).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        # An answer with a syntax error is still the answer.
        return found
    return found & {
        statement.name
        for statement in statements
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    }


def _new(cell: Cell) -> NotebookNode:
    """Return a cell of the student's own, without an id."""
    node = NotebookNode(cell_type=cell.kind, metadata=NotebookNode(), source=cell.source)
    if cell.kind == "code":
        node.update(outputs=[], execution_count=None)
    return node
