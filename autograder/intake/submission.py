"""From a file that a student handed in to a notebook that is safe to grade.

The file is a stranger's: `read` opens it without following links, `rebuild` takes nothing from it
but the text of its cells.  Everything else comes from the committed student notebook: our cells
in our order, our metadata and ids.  What a student wrote is looked for by cell id, then by the
nbgrader id in the metadata, then by the function or class that it defines.

All code of the student's is kept and runs in the order in which it stood, each added cell before
the cell of ours that followed it.  So what counts is what Run All would have shown the student.
"""

from __future__ import annotations

import ast
import copy
import json
import os
import re
import stat
import warnings
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

from jupytext.magics import comment_magic
from nbformat import NotebookNode

from autograder.intake.exercise import is_answer, is_demonstration

MAX_BYTES = 10_000_000
MAX_BRACKETS = 500_000
MAX_DEPTH = 100
MAX_CELLS = 500
MAX_SOURCE = 100_000

SUBMITTED = "submitted"

_SAVE_AGAIN = "Open it in Jupyter, save it and hand it in again."
_START_AGAIN = (
    "Open the notebook of this exercise, copy your answers into its cells and hand that in."
)

# Possessive, and the closing quote is optional: linear on whatever comes.
_STRING = re.compile(r'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_NO_BRACKET = re.compile(r"[^][{}]+")
_SURROGATE = re.compile(r"[\ud800-\udfff]")


class UnreadableError(Exception):
    """A file in which no answers can be found.

    The message is for the student: a sentence that says what is wrong and one that says what to
    do, with nothing in it that the student wrote.
    """


@dataclass(frozen=True)
class Submission:
    """A notebook that has our cells and the student's answers, and what had to be repaired."""

    notebook: NotebookNode
    notes: tuple[str, ...]


def read(path: Path) -> bytes:
    """Return the content of a submitted file.

    Links are not followed: neither the file nor a folder of it below `submitted` may be one.

    Raises
    ------
    UnreadableError
        When it is no regular file, too large, or cannot be opened.
    """
    above = [folder.name for folder in path.parents]
    own = above.index(SUBMITTED) if SUBMITTED in above else 1
    try:
        if any(folder.is_symlink() for folder in list(path.parents)[:own]):
            raise UnreadableError("The folder of the notebook is a link. Hand in the file itself.")
        # A FIFO without a writer would keep us waiting.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with os.fdopen(os.open(path, flags), "rb") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise UnreadableError("The notebook is not a file. Hand in the .ipynb file itself.")
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise UnreadableError("The notebook is missing. Hand it in under its own name.") from None
    except (OSError, ValueError):
        reason = "is a link" if path.is_symlink() else "could not be opened"
        raise UnreadableError(f"The notebook {reason}. Hand in the .ipynb file itself.") from None
    _check_size(content)
    return content


def rebuild(content: bytes, release: NotebookNode) -> Submission:
    """Return the student's answers in a fresh copy of the released notebook.

    Cells of ours that were changed, moved, deleted or copied are restored; an answer that stands
    elsewhere is moved up to its place at the latest.  A changed set-up cell also runs as a cell
    of the student's, after our own: it may hold an import that the answers need.

    Parameters
    ----------
    content
        Any bytes.
    release
        The committed student notebook, which is not changed.

    Raises
    ------
    UnreadableError
        When no answer to any task can be found.
    """
    notes = _Notes()
    return _Rebuild(_cells(_parse(content, notes), notes), release, notes).done()


def _check_size(content: bytes) -> None:
    if len(content) > MAX_BYTES:
        raise UnreadableError(
            f"The file has more than {MAX_BYTES // 1_000_000} MB. "
            "Clear all outputs, save the notebook and hand it in again."
        )


class _Notes:
    """Collects what to tell the student: each sentence once, with the names it is about."""

    def __init__(self) -> None:
        self._said: dict[str, list[str]] = {}

    def say(self, sentence: str, names: Iterable[str] = ()) -> None:
        self._said.setdefault(sentence, []).extend(names)

    def about(self, sentence: str, names: Iterable[str]) -> None:
        """Say something about names, if there are any."""
        names = list(names)
        if names:
            self.say(sentence, names)

    def all(self) -> tuple[str, ...]:
        return tuple(
            f"{sentence.removesuffix('.')}: {', '.join(names)}." if names else sentence
            for sentence, names in self._said.items()
        )


@dataclass
class _Cell:
    """A cell of the student's, reduced to what we look at."""

    kind: str
    source: str
    id: str | None
    nbgrader: dict[str, Any]
    # Places in the release: those it is named for, that it is a copy of, that it answers.
    by_id: int | None = None
    by_grade_id: int | None = None
    copy_of: int | None = None
    defines: set[int] = field(default_factory=set)

    @property
    def grade_id(self) -> str | None:
        found = self.nbgrader.get("grade_id")
        return found if isinstance(found, str) else None


def _parse(content: bytes, notes: _Notes) -> Any:
    _check_size(content)
    encoding = json.detect_encoding(content)
    if encoding != "utf-8":
        notes.say("The file was not saved as plain UTF-8; it was read all the same.")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        text = content.decode(encoding, "replace")
        notes.say("Bytes that stand for no character were replaced.")
    brackets = _NO_BRACKET.sub("", _STRING.sub("", text))
    depths = accumulate(1 if bracket in "[{" else -1 for bracket in brackets)
    if len(brackets) > MAX_BRACKETS or max(depths, default=0) > MAX_DEPTH:
        raise UnreadableError(
            "The file is no notebook: it is nested too deeply or has too many parts. "
            "Clear all outputs, save the notebook and hand it in again."
        )
    try:
        return json.loads(text, strict=False)
    except json.JSONDecodeError as error:
        raise UnreadableError(
            f"The file is no notebook: it breaks off or goes wrong in line {error.lineno}. "
            f"{_SAVE_AGAIN}"
        ) from None
    except (ValueError, RecursionError):
        raise UnreadableError(f"The file is no notebook. {_SAVE_AGAIN}") from None


def _cells(notebook: Any, notes: _Notes) -> list[_Cell]:
    found = _raw_cells(notebook, notes)
    if not found:
        raise UnreadableError(f"The file is no notebook: it has no cells. {_SAVE_AGAIN}")
    if len(found) > MAX_CELLS:
        raise UnreadableError(
            f"The notebook has more than {MAX_CELLS} cells. Delete those you do not need."
        )
    cells = []
    for number, raw in enumerate(found, 1):
        cell = _cell(raw, notes)
        if cell is None:
            notes.say("What is no cell was left out of the notebook.")
        elif len(cell.source) <= MAX_SOURCE:
            cells.append(cell)
        elif cell.kind == "code":
            raise UnreadableError(
                f"Cell {number} has more than {MAX_SOURCE} characters. "
                "Shorten it and hand in again."
            )
        else:
            # Colab puts pictures into the text.
            notes.say(f"Text cells of more than {MAX_SOURCE} characters were left out.")
    return cells


def _raw_cells(notebook: Any, notes: _Notes) -> list[Any]:
    if not isinstance(notebook, dict):
        return []
    language = _get(_get(notebook, "metadata"), "language_info").get("name", "python")
    if language not in ("python", "ipython"):
        notes.say("The notebook was saved for another language; it was run as Python.")
    cells = notebook.get("cells")
    if isinstance(cells, list):
        return cells
    sheets = notebook.get("worksheets")
    if not isinstance(sheets, list):
        return []
    notes.say("The notebook was saved in an old format and was brought up to date.")
    return [
        cell
        for sheet in sheets
        if isinstance(sheet, dict) and isinstance(sheet.get("cells"), list)
        for cell in sheet["cells"]
    ]


def _cell(raw: Any, notes: _Notes) -> _Cell | None:
    if not isinstance(raw, dict):
        return None
    # Code is the `input` of a cell in format 3.
    source = raw.get("source", raw.get("input"))
    if isinstance(source, list) and all(isinstance(line, str) for line in source):
        source = "".join(source)
    if not isinstance(source, str):
        return None
    text = _SURROGATE.sub("\ufffd", source.replace("\0", ""))
    if text != source:
        notes.say("Characters that no text may have were removed or replaced.")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    kind, name = raw.get("cell_type"), raw.get("id")
    if kind == "heading":
        kind, text = "markdown", f"# {text}"
    return _Cell(
        kind=kind if kind in ("code", "markdown") else "raw",
        source=text,
        id=name if isinstance(name, str) else None,
        nbgrader=_get(_get(raw, "metadata"), "nbgrader"),
    )


def _get(mapping: dict[str, Any], key: str) -> dict[str, Any]:
    found = mapping.get(key)
    return found if isinstance(found, dict) else {}


class _Rebuild:
    """Finds for each cell of the release the student's, and puts the rest between them."""

    def __init__(self, cells: list[_Cell], release: NotebookNode, notes: _Notes) -> None:
        self.notebook = copy.deepcopy(release)
        self.ours = self.notebook.cells
        self.cells = cells
        self.notes = notes
        self.names = [_grade_id(cell) or cell.id for cell in self.ours]
        self.answers = [place for place, cell in enumerate(self.ours) if is_answer(cell)]
        # From places in the release to places in the student's notebook.
        self.found: dict[int, int] = {}
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
        sources = {_plain(cell.source): place for place, cell in enumerate(self.ours)}
        functions = {self.names[place]: place for place in self.answers}
        for cell in self.cells:
            if cell.id is not None:
                cell.by_id = ids.get(cell.id)
            if cell.grade_id is not None:
                cell.by_grade_id = grade_ids.get(cell.grade_id)
            cell.copy_of = sources.get(_plain(cell.source))
            named = {cell.by_id, cell.by_grade_id}
            if cell.copy_of is None and (cell.kind == "code" or named & {*self.answers}):
                names = _defined(cell.source, functions)
                cell.defines = {functions[name] for name in names}

    def _best(self, place: int, candidates: Iterable[int]) -> int | None:
        """Return the cell that is named for a place; else a copy; else the last of them."""

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
        """Return the student's own cells by the place in the release before which they come."""
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

    def _differs(self, place: int, cell: _Cell) -> bool:
        same = _plain(cell.source) == _plain(self.ours[place].source)
        return place not in self.answers and not same

    def _runs_too(self, place: int, cell: _Cell) -> bool:
        ours = self.ours[place]
        locked_code = _grade_id(ours) is not None and (is_demonstration(ours) or _is_check(ours))
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
            "These answers were found in the cell of another, which was put where the first "
            "of them belongs.",
            (self.names[place] for place in self.inside),
        )
        about(
            "These functions are defined in several cells; as all cells run from top to bottom, "
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
            "nbgrader's settings of these cells were changed, and the course's own were used.",
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

    def _edited(self, place: int, cell: _Cell) -> bool:
        if not cell.nbgrader or place not in (cell.by_id, cell.by_grade_id):
            return False
        ours = self.ours[place].metadata.get("nbgrader", {})
        # The checksum follows the exercise, and older copies of it are no offence.
        return any(
            cell.nbgrader.get(key) != ours.get(key)
            for key in {*ours, *cell.nbgrader} - {"checksum"}
        )


def _grade_id(cell: NotebookNode) -> str | None:
    found: str | None = cell.metadata.get("nbgrader", {}).get("grade_id")
    return found


def _is_check(cell: NotebookNode) -> bool:
    return bool(cell.metadata.get("nbgrader", {}).get("grade"))


def _plain(source: str) -> str:
    """Return a source without what editors change by themselves."""
    return "\n".join(line.rstrip() for line in source.strip().split("\n"))


def _defined(source: str, names: Iterable[str]) -> set[str]:
    """Return which of some names a cell defines as a function or class, outside of others."""
    found = {
        name
        for name in names
        if re.search(
            rf"^[ \t]*+(?:async[ \t]++)?(?:def|class)[ \t]++{name}\b", source, re.MULTILINE
        )
    }
    if not found:
        return found
    lines = comment_magic(source.split("\n"))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            statements = ast.parse("\n".join(lines)).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        # An answer with a mistake in its syntax is still the answer.
        return found
    return found & {
        statement.name
        for statement in statements
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    }


def _new(cell: _Cell) -> NotebookNode:
    """Return a cell of the student's own, without an id."""
    node = NotebookNode(cell_type=cell.kind, metadata=NotebookNode(), source=cell.source)
    if cell.kind == "code":
        node.update(outputs=[], execution_count=None)
    return node
