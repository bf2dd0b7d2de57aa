"""The roster: a CSV file of the class, from a platform or from anywhere else."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from autograder.intake.student_id import safe_id, told_apart
from autograder.platforms import moodle
from autograder.platforms.sheet import Sheet, SheetError

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "student": ("student id", "nbgrader id", "student", "student_number"),
    "login": (
        "username", "user name", "login", "login id", "SIS Login ID", "user", "account",
        "Anmeldename", "Nutzername",
    ),
    "github": ("github_username", "github", "github login"),
    "email": ("email", "e-mail", "email address", "mail", "E-Mail-Adresse", "correo electrónico"),
    "sid": ("sid", "SIS User ID", "id number", "matriculation number", "Matrikelnummer"),
    "canvas": ("canvas id", "canvas user id"),
    "id": ("id", "user id", "identifier"),
    "name": ("name", "full name", "student name", "Vollständiger Name", "display name"),
    "first": ("first name", "given name", "Vorname"),
    "last": ("last name", "surname", "family name", "Nachname"),
    "group": ("group", "groups", "team", "group name", "Gruppe"),
}  # fmt: skip
"""The names of columns, whatever their case and punctuation, by what is in them."""

TEST_STUDENT = "Student, Test"
"""Nobody; in Canvas, instructors try things with it."""

# In this order, what a student is called in the course.
_CALLED = ("student", "login", "github", "email", "sid", "id", "canvas", "participant")


@dataclass(frozen=True)
class Person:
    """A row of a roster.

    Attributes
    ----------
    student
        The id in the course.
    name
        The name, or "".
    group
        The group, or "".
    known
        What is in the columns of ids, by the keys of `COLUMNS` and "participant", which is the
        number in Moodle's `Identifier`.
    """

    student: str
    name: str
    group: str
    known: Mapping[str, str]

    @property
    def email(self) -> str:
        """The address, or ""."""
        return self.known.get("email", "")


class Roster:
    """The people of a class."""

    def __init__(self, people: Sequence[Person]) -> None:
        self.people = people

    def find(self, ids: Iterable[str], columns: Sequence[str]) -> list[Person]:
        """Return the people whom some ids are about; whole ids win over those in another case."""
        ids = [id for id in ids if id]
        for same in (str, str.casefold):
            wanted = {same(id) for id in ids}
            found = [
                person
                for person in self.people
                if any(same(person.known.get(column, "")) in wanted for column in columns)
            ]
            if found:
                return found
        return []

    def called(self, name: str) -> list[Person]:
        """Return the people of a name; those who write it in the same way win over others."""
        named = [person for person in self.people if person.name]
        for same in (_composed, _parts):
            found = [person for person in named if same(person.name) == same(name)]
            if found:
                return found
        return []

    def of_group(self, name: str) -> list[Person]:
        """Return the members of a group."""
        return [person for person in self.people if person.group and person.group == name]


def _composed(name: str) -> str:
    """Return a name with its accents as all programs may write them."""
    return unicodedata.normalize("NFC", name).strip()


def _parts(name: str) -> list[str]:
    """Return a name without case, punctuation between its parts, and their order."""
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFKC", name).casefold())
    # Marks for the direction of text come and go with programs.
    visible = "".join(c if unicodedata.category(c) != "Cf" else "" for c in folded)
    return sorted(re.sub("[,_]", " ", visible).split())


def read(path: Path) -> Roster:
    """Read a roster.

    Raises
    ------
    SheetError
        When it is no table of people.
    """
    sheet = Sheet.open(path)
    columns = {kind: sheet.find(*names) for kind, names in COLUMNS.items()}
    if columns["id"] is not None and sheet.find("Section") is not None:
        # Canvas's gradebook has names in this column.
        columns["canvas"], columns["id"] = columns["id"], None
        columns["name"], columns["student"] = sheet.find("Student"), sheet.find("Student ID")
    worksheet = moodle.identifiers(sheet) if _is_worksheet(sheet) else None
    if worksheet is not None:
        columns["id"] = columns["student"] = None
    rows = []
    for row in sheet.rows:
        cells = {
            kind: sheet.value(row, column).strip()
            for kind, column in columns.items()
            if column is not None
        }
        if worksheet is not None:
            cells["participant"] = moodle.participant(sheet.value(row, worksheet))
        cells = {kind: cell for kind, cell in cells.items() if cell}
        if cells.get("name") == TEST_STUDENT:
            continue
        if any(kind in cells for kind in _CALLED):
            rows.append(cells)
    if not rows:
        raise SheetError(
            f"{path} has no column such as username, email or id. Name one so in its first line."
        )
    return Roster(_people(rows))


def _is_worksheet(sheet: Sheet) -> bool:
    """Return whether a sheet has Moodle's `Identifier`, in whatever language."""
    column = moodle.identifiers(sheet)
    if column is None:
        return False
    return all(moodle.participant(sheet.value(row, column)) for row in sheet.rows)


def _people(rows: Sequence[Mapping[str, str]]) -> list[Person]:
    called = [next(cells[kind] for kind in _CALLED if kind in cells) for cells in rows]
    called = [
        f"participant-{text}" if text == cells.get("participant") else text
        for text, cells in zip(called, rows, strict=True)
    ]
    ids = [safe_id(text) for text in called]
    # Two folders that differ in case only are one on some machines.
    twins = Counter(id.casefold() for id in ids)
    return [
        Person(
            student=told_apart(id, text) if twins[id.casefold()] > 1 else id,
            name=cells.get("name") or f"{cells.get('first', '')} {cells.get('last', '')}".strip(),
            group=cells.get("group", ""),
            known={k: v for k, v in cells.items() if k not in ("name", "first", "last", "group")},
        )
        for id, text, cells in zip(ids, called, rows, strict=True)
    ]
