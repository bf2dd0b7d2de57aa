"""What a learning platform has to say about its downloads and its sheets of grades.

Each platform is one file beside this one, which declares a `Platform`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from autograder.platforms.sheet import Sheet


@dataclass(frozen=True)
class File:
    """A file of a download.

    Attributes
    ----------
    name
        Its name there, with "/" between folders.
    path
        Where its content is; None if it was left out.
    changed
        When it was changed, in the time of the clock that the archive was made by.
    problem
        Why it was left out, or "".
    number
        Grows with every file that the platform gets; 0 if it does not tell.
    inside
        The name in an archive that the student handed in, or "".
    """

    name: str
    path: Path | None
    changed: datetime | None = None
    problem: str = ""
    number: int = 0
    inside: str = ""


@dataclass(frozen=True)
class HandIn:
    """What one student, or one group, has handed in.

    Attributes
    ----------
    key
        What the platform tells the student by; "" if a file does not say whose it is.
    name
        The name of the student or group, as the platform writes it.
    files
        The files.
    suggested
        The id in the course if no roster says another.
    ids
        What a roster may know the student by.
    email
        The address, or "".
    late
        Whether the platform says that it is late.
    handed_in
        When, in UTC; None if the platform does not tell.
    doubt
        Why only a roster can say whose it is, or "".
    """

    key: str
    name: str
    files: tuple[File, ...]
    suggested: str = ""
    ids: tuple[str, ...] = ()
    email: str = ""
    late: bool = False
    handed_in: datetime | None = None
    doubt: str = ""


def unclaimed(file: File) -> HandIn:
    """Return a hand-in of nobody, for a file that does not say whose it is."""
    return HandIn(key="", name=file.name, files=(file,))


@dataclass(frozen=True)
class Platform:
    """How a platform packs what it gives, and what it takes back.

    Attributes
    ----------
    name
        The name on the command line.
    title
        The name in sentences.
    read
        Returns who handed in which files, or None if a download has another shape.  Its arguments
        are the files and the names of the assignments.  Raises a SheetError if the list of them
        in the download is damaged.
    joins
        The columns of a roster that know the platform's ids, see `roster.Person.known`.
    one_assignment
        Whether a download is of one assignment only.
    page
        Returns the name of a feedback page in the archive that goes back, from the name of the
        file that was handed in, the assignment and the student's id in the course.
    rows
        Returns what tells the student of each row of a sheet, the platform's own id first.
    column
        Returns the column of an assignment in a sheet, from all names that it goes by; raises a
        SheetError if there is none or more than one.
    most
        Returns the highest grade in a column of a sheet, if the sheet says it.
    numbered
        Whether the first id of a row is a number that means nothing elsewhere.
    """

    name: str
    title: str
    read: Callable[[Sequence[File], Collection[str]], list[HandIn] | None]
    joins: tuple[str, ...]
    one_assignment: bool
    page: Callable[[str, str, str], str]
    rows: Callable[[Sheet], Mapping[int, Sequence[str]]]
    column: Callable[[Sheet, Sequence[str]], int]
    most: Callable[[Sheet, int], float | None] = lambda sheet, column: None
    numbered: bool = False
