"""Parse an untrusted file into the cells of a notebook, or say why that is impossible.

The file is opened without following links and read within limits.  Only the text, the kinds and
the ids of its cells are used.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any

MAX_BYTES = 30_000_000
MAX_BRACKETS = 500_000
MAX_DEPTH = 100
MAX_CELLS = 500
MAX_SOURCE = 100_000

SUBMITTED = "submitted"

_SAVE_AGAIN = "Open it in Jupyter, save it and hand it in again."
# Possessive, with an optional closing quote: takes linear time on any input.
_STRING = re.compile(r'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_NO_BRACKET = re.compile(r"[^][{}]+")
_SURROGATE = re.compile(r"[\ud800-\udfff]")


class UnreadableError(Exception):
    """No answers can be found in a file.

    The message is for the student.  One sentence says what is wrong and another what to do;
    neither quotes anything that the student wrote.
    """


def read(path: Path) -> bytes:
    """Return the content of a submitted file.

    Links are not followed: neither the file nor a folder between it and `submitted` may be one.

    Raises
    ------
    UnreadableError
        When it is not a regular file, is too large, or cannot be opened.
    """
    above = [folder.name for folder in path.parents]
    own = above.index(SUBMITTED) if SUBMITTED in above else 1
    try:
        if any(folder.is_symlink() for folder in list(path.parents)[:own]):
            raise UnreadableError("The folder of the notebook is a link. Hand in the file itself.")
        # Without O_NONBLOCK, opening a FIFO that has no writer would block.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with os.fdopen(os.open(path, flags), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise UnreadableError("The notebook is not a file. Hand in the .ipynb file itself.")
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise UnreadableError("The notebook is missing. Hand it in under its own name.") from None
    except (OSError, ValueError):
        reason = "is a link" if path.is_symlink() else "could not be opened"
        raise UnreadableError(f"The notebook {reason}. Hand in the .ipynb file itself.") from None
    _check_size(content)
    return content


def _check_size(content: bytes) -> None:
    if len(content) > MAX_BYTES:
        raise UnreadableError(
            f"The file has more than {MAX_BYTES // 1_000_000} MB. "
            "Clear all outputs, save the notebook and hand it in again."
        )


class Notes:
    """Collects notes for the student: each sentence once, with the names it is about."""

    def __init__(self) -> None:
        self._said: dict[str, list[str]] = {}

    def say(self, sentence: str, names: Iterable[str] = ()) -> None:
        """Add a sentence about some names or about the whole file."""
        self._said.setdefault(sentence, []).extend(names)

    def about(self, sentence: str, names: Iterable[str]) -> None:
        """Add a sentence about names, if there are any."""
        names = list(names)
        if names:
            self.say(sentence, names)

    def all(self) -> tuple[str, ...]:
        """Return all notes."""
        return tuple(
            f"{sentence.removesuffix('.')}: {', '.join(names)}." if names else sentence
            for sentence, names in self._said.items()
        )


@dataclass
class Cell:
    """A cell of the student's, reduced to what we use."""

    kind: str
    source: str
    id: str | None
    nbgrader: dict[str, Any]
    # Indices of cells of the release: those it is named after, is a copy of, and answers.
    by_id: int | None = None
    by_grade_id: int | None = None
    copy_of: int | None = None
    defines: set[int] = field(default_factory=set)

    @property
    def grade_id(self) -> str | None:
        """The cell's id in nbgrader's metadata."""
        found = self.nbgrader.get("grade_id")
        return found if isinstance(found, str) else None


def parse(content: bytes, notes: Notes) -> list[Cell]:
    """Return the cells of a notebook.

    Parameters
    ----------
    content
        Any bytes.
    notes
        Collects what had to be repaired.

    Raises
    ------
    UnreadableError
        When they are not a notebook that can be graded.
    """
    return _cells(_parsed(content, notes), notes)


def _parsed(content: bytes, notes: Notes) -> Any:
    _check_size(content)
    encoding = json.detect_encoding(content)
    if encoding != "utf-8":
        notes.say("The file was not saved as plain UTF-8; it was read anyway.")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        text = content.decode(encoding, "replace")
        notes.say("Bytes that encode no character were replaced.")
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
            f"The file is no notebook: it breaks off or is invalid in line {error.lineno}. "
            f"{_SAVE_AGAIN}"
        ) from None
    except (ValueError, RecursionError):
        raise UnreadableError(f"The file is no notebook. {_SAVE_AGAIN}") from None


def _cells(notebook: Any, notes: Notes) -> list[Cell]:
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
            # Not an error, because Colab puts pictures into the text.
            notes.say(f"Text cells of more than {MAX_SOURCE} characters were left out.")
    return cells


def _raw_cells(notebook: Any, notes: Notes) -> list[Any]:
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
    notes.say("The notebook was saved in an old format and was converted.")
    return [
        cell
        for sheet in sheets
        if isinstance(sheet, dict) and isinstance(sheet.get("cells"), list)
        for cell in sheet["cells"]
    ]


def _cell(raw: Any, notes: Notes) -> Cell | None:
    if not isinstance(raw, dict):
        return None
    # In format 3, the code of a cell is in `input`.
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
    return Cell(
        kind=kind if kind in ("code", "markdown") else "raw",
        source=text,
        id=name if isinstance(name, str) else None,
        nbgrader=_get(_get(raw, "metadata"), "nbgrader"),
    )


def _get(mapping: dict[str, Any], key: str) -> dict[str, Any]:
    found = mapping.get(key)
    return found if isinstance(found, dict) else {}
