"""Find notebooks in `submitted` that nbgrader does not see, because they are at another place."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from itertools import islice
from pathlib import Path

from autograder.course.course import Course
from autograder.course.sanitize import spell_out
from autograder.course.scores import released

SHOWN = 300
"""Characters to show of a path."""

_ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar")
_MOST = 10_000


def misplaced(course: Course) -> list[str]:
    """Return a sentence about each file or folder in `submitted` that grading does not see.

    nbgrader looks for submitted/STUDENT/ASSIGNMENT and nowhere else.  What begins with a dot is
    left alone.
    """
    folder = course.folder("submitted", ".", ".").resolve()
    return list(_found(folder, released(course)))


def _found(folder: Path, known: Sequence[str]) -> Iterator[str]:
    for one in _entries(folder):
        if not one.is_dir():
            if one.suffix.lower() in _ARCHIVES:
                yield f"{_shown(folder, one)} is an archive: run `autograder collect` with it."
            elif one.suffix == ".ipynb":
                yield f"{_shown(folder, one)} is nobody's: move it to {_place('STUDENT', known)}."
        elif _closest(one.name, known) and not _has_any(one, known):
            # An assignment's name where the student's belongs.
            for student in _entries(one):
                right = _place(_plain(student), [one.name if one.name in known else known[0]])
                yield f"{_shown(folder, student)} is not seen: move it to {right}."
        else:
            yield from _of_student(folder, one, known)


def _of_student(folder: Path, student: Path, known: Sequence[str]) -> Iterator[str]:
    for one in _entries(student):
        if one.name in known:
            continue
        if one.is_dir():
            close = _closest(one.name, known)
            hint = f"rename it to {close}" if close else f"released are {', '.join(known)}"
            yield f"{_shown(folder, one)} is no assignment: {hint}."
        elif one.suffix == ".ipynb":
            name = _closest(one.stem, known) or "ASSIGNMENT"
            yield f"{_shown(folder, one)} is not seen: move it to {_place(student.name, [name])}."


def _has_any(student: Path, known: Sequence[str]) -> bool:
    """Return whether a folder holds what a student's folder holds."""
    return any((student / name).is_dir() for name in known)


def _closest(name: str, known: Sequence[str]) -> str:
    """Return the assignment that a name is meant for, or ""."""
    by_lower = {one.lower(): one for one in known}
    found = get_close_matches(name.lower().replace("-", "_").replace(" ", "_"), by_lower, 1, 0.8)
    return by_lower[found[0]] if found else ""


def _place(student: str, assignments: Sequence[str]) -> str:
    name = assignments[0] if len(assignments) == 1 else "ASSIGNMENT"
    return f"submitted/{spell_out(student, SHOWN)}/{name}/{name}.ipynb"


def _plain(path: Path) -> str:
    return path.name.removesuffix(".ipynb")


def _shown(folder: Path, path: Path) -> str:
    return f"submitted/{spell_out(os.fspath(path.relative_to(folder)), SHOWN)}"


def _entries(folder: Path) -> list[Path]:
    """Return what is in a folder, sorted; nothing if it is none or a link."""
    if folder.is_symlink() or not folder.is_dir():
        return []
    return sorted(one for one in islice(folder.iterdir(), _MOST) if not one.name.startswith("."))
