"""Find the notebooks in what a student handed in, and say which assignment each is of."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from autograder.intake.apart import TooMuchError, apart
from autograder.intake.archives import ArchiveError, unpack
from autograder.intake.belonging import most, names_in
from autograder.intake.notebook_file import UnreadableError, read
from autograder.platforms.platform import File

READ_SECONDS = 10

_ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")
_HIDDEN = ("__MACOSX",)
# The clock of a zip file ticks every other second.
_TICK = timedelta(seconds=2)


@dataclass(frozen=True)
class Notebook:
    """A notebook of a student.

    Attributes
    ----------
    file
        Where it is from.
    path
        Where its content is.
    digest
        The hash of its content.
    assignment
        What its cells say; "" if it has none of any assignment's.
    problem
        Why it cannot be read as a notebook, or "".
    """

    file: File
    path: Path
    digest: str
    assignment: str
    problem: str = ""


def notebooks(
    files: Iterable[File], own: Mapping[str, frozenset[str]], scratch: Callable[[], Path]
) -> tuple[list[Notebook], list[str]]:
    """Return the notebooks of a student, also those in archives; and why others were left out.

    Parameters
    ----------
    files
        What the student handed in.
    own
        The cells of each assignment, see `belonging.own_cells`.
    scratch
        Returns a new folder.
    """
    found: list[Notebook] = []
    problems: list[str] = []
    for file in _opened(files, scratch, problems):
        name = (file.inside or file.name).rpartition("/")[2]
        if ".ipynb" not in name.lower():
            continue
        if file.problem or file.path is None:
            problems.append(f"{name}: {file.problem}")
            continue
        try:
            content = read(file.path)
        except UnreadableError as error:
            problems.append(str(error))
            continue
        digest = hashlib.sha256(content).hexdigest()
        try:
            names = apart(READ_SECONDS, names_in, content)
        except UnreadableError as error:
            found.append(Notebook(file, file.path, digest, "", str(error)))
        except TooMuchError:
            problems.append("The file takes too long to read.")
        else:
            found.append(Notebook(file, file.path, digest, most(names, own)))
    return found, problems


def _opened(
    files: Iterable[File], scratch: Callable[[], Path], problems: list[str]
) -> Iterable[File]:
    for file in files:
        # A platform begins with the student's name, which may begin with a dot.
        if _is_hidden(file.name.partition("/")[2]):
            continue
        if file.path is None or not file.name.lower().endswith(_ARCHIVES):
            yield file
            continue
        try:
            members = unpack(file.path, scratch())
        except ArchiveError as error:
            problems.append(f"{file.name.rpartition('/')[2]}: {error}")
            continue
        for member in members:
            if not _is_hidden(member.name):
                yield replace(
                    file,
                    path=member.path,
                    problem=member.problem,
                    inside=member.name,
                    changed=member.changed,
                )


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") or part in _HIDDEN for part in name.split("/"))


def newest(some: Sequence[Notebook]) -> Notebook | None:
    """Return the newest of a student's notebooks; None if nothing says which that is."""
    by_content = {notebook.digest: notebook for notebook in sorted(some, key=_order)}
    ordered = sorted(by_content.values(), key=_order)
    for other in ordered[:-1]:
        if not _before(other.file, ordered[-1].file):
            return None
    return ordered[-1]


def _order(notebook: Notebook) -> tuple[int, datetime]:
    return notebook.file.number, notebook.file.changed or datetime.min


def _before(one: File, other: File) -> bool:
    if one.number != other.number:
        return one.number < other.number
    if one.changed is None or other.changed is None:
        return False
    return other.changed - one.changed > _TICK
