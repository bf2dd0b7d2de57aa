"""Write the file to hand in: the student's cells without their outputs, under the right name."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from autograder.intake.notebook_file import UnreadableError

FOLDER = "to-hand-in"
_MADE = "to_hand_in"


class ChangedError(Exception):
    """The file to hand in is there already, and somebody has changed it; the message says so."""


def write_copy(content: bytes, folder: Path, assignment: str) -> Path:
    """Write the file to hand in into a folder of its own; return it.

    The student's file stays as it is.  A file that this has written before is replaced, unless it
    was changed since.

    Parameters
    ----------
    content
        The student's file.
    folder
        Where it is.
    assignment
        Of which assignment it is.

    Raises
    ------
    ChangedError
        When what is there already is not what this has written.
    UnreadableError
        When the student's file has to be saved again.
    """
    target = folder / FOLDER / f"{assignment}.ipynb"
    new = _without_outputs(content)
    if target.exists() and not _is_ours(target):
        raise ChangedError(
            f"{target} is there already and was changed: nothing was written. Move it away, or "
            "hand it in if it is what you want to hand in."
        )
    target.parent.mkdir(exist_ok=True)
    target.write_bytes(new)
    return target


def _without_outputs(content: bytes) -> bytes:
    try:
        notebook = json.loads(content, strict=False)
        cells = notebook["cells"]
        for cell in cells:
            if cell["cell_type"] == "code":
                cell["outputs"], cell["execution_count"] = [], None
        # Widgets keep their state here, which is an output too.
        notebook["metadata"].pop("widgets", None)
        notebook["metadata"]["autograder"] = {_MADE: _digest(cells)}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UnreadableError(
            "The file was saved in a way that Jupyter no longer writes. Open it in Jupyter, save "
            "it and run this again."
        ) from None
    return (json.dumps(notebook, indent=1, ensure_ascii=False) + "\n").encode("utf-8", "replace")


def _is_ours(path: Path) -> bool:
    """Return whether a file is as `write_copy` wrote it."""
    try:
        notebook = json.loads(path.read_bytes())
        made: object = notebook["metadata"]["autograder"][_MADE]
        return made == _digest(notebook["cells"])
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _digest(cells: Any) -> str:
    return hashlib.sha256(json.dumps(cells, sort_keys=True).encode()).hexdigest()
