"""Canvas: `submissions.zip`, and the gradebook's CSV file.

A download holds `{name}[_LATE]_{user}_{file}_{file name}`.  The user's number is also the `ID` in
the gradebook, and tells Canvas whose a file is when it comes back, so names stay as they came.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from autograder.intake.student_id import plain
from autograder.platforms.platform import File, HandIn, Platform, unclaimed
from autograder.platforms.roster import TEST_STUDENT
from autograder.platforms.sheet import Sheet, SheetError, number, one_column

# The first row of numbers: what follows it is the student's.
_NAMED = re.compile(r"(?P<name>.*?)(?P<numbers>(?:_\d+){2,})_.+", re.DOTALL)
_ANONYMOUS = re.compile(r"(?P<late>LATE_)?anon_(?P<id>[0-9A-Za-z]+)_(?:(?P<file>\d+)_)?.+")
_LATE = "_LATE"
_DOUBT = (
    "its name has several numbers that may be the student's: give --roster with Canvas's gradebook"
)
_POINTS = "points possible"
_STUDENT_COLUMNS = (
    "student", "id", "sis user id", "sis login id", "integration id", "root account", "section"
)  # fmt: skip


@dataclass(frozen=True)
class _Named:
    """What a name says: who, which file, whether it is late, and how it may be read, too."""

    name: str
    user: str
    file: str
    late: bool
    other: _Named | None = None


def _read(files: Sequence[File], assignments: Collection[str]) -> list[HandIn] | None:
    named = [_parsed(file.name) for file in files]
    if 2 * sum(one is not None for one in named) <= len(files):
        return None
    # The numbers of one download have the same lengths, by and large.
    usual = {_lengths(one) for one in named if one and not one.other}
    found: dict[str, HandIn] = {}
    nobody = []
    for file, one in zip(files, named, strict=True):
        if one is None:
            nobody.append(unclaimed(file))
            continue
        other, ids, doubt = one.other, [one.user], ""
        if other:
            fits, other_fits = _lengths(one) in usual, _lengths(other) in usual
            if other_fits and not fits:
                one, ids = other, [other.user]
            elif fits == other_fits:
                ids, doubt = [one.user, other.user], _DOUBT
        before = found.get(one.user)
        found[one.user] = HandIn(
            key=one.user,
            name=one.name,
            files=(*(before.files if before else ()), replace(file, number=int(one.file[:18]))),
            suggested=f"{plain(one.name)}-{one.user}",
            ids=tuple(ids),
            late=one.late or (before is not None and before.late),
            doubt=doubt,
        )
    return [*found.values(), *nobody]


def _parsed(name: str) -> _Named | None:
    if "/" in name:
        return None
    anonymous = _ANONYMOUS.fullmatch(name)
    if anonymous:
        return _Named("anon", anonymous["id"], anonymous["file"] or "0", bool(anonymous["late"]))
    match = _NAMED.fullmatch(name)
    if match is None:
        return None
    numbers = match["numbers"].split("_")[1:]
    late = match["name"].endswith(_LATE)
    who = match["name"].removesuffix(_LATE)
    # With a third number, a name may end in a number, unless the mark stands between.
    other = None
    if len(numbers) > 2 and not late:
        other = _Named(f"{who}_{numbers[0]}", numbers[1], numbers[2], late=False)
    return _Named(who, numbers[0], numbers[1], late, other)


def _lengths(named: _Named) -> tuple[int, int]:
    return len(named.user), len(named.file)


def _page(file: str, assignment: str, student: str) -> str:
    stem, dot, _ = file.rpartition(".")
    return f"{stem if dot else file}.html"


def _rows(sheet: Sheet) -> Mapping[int, Sequence[str]]:
    columns = [sheet.find("ID"), sheet.find("SIS User ID"), sheet.find("SIS Login ID")]
    first, id = sheet.find("Student"), columns[0]
    if first is None or id is None or sheet.find("Section") is None:
        raise SheetError(
            "The sheet has no columns Student, ID and Section. In Canvas, open Grades, Export, "
            "Export Entire Gradebook."
        )
    return {
        row: [sheet.value(row, column) for column in columns if column is not None]
        for row in sheet.rows
        if not _is_points(sheet.value(row, first)) and sheet.value(row, first) != TEST_STUDENT
    }


def _points(sheet: Sheet) -> int | None:
    """Return the row of possible points, if there is one."""
    rows = (row for row in sheet.rows if _is_points(sheet.value(row, 0)))
    return next(rows, None)


def _is_points(cell: str) -> bool:
    return cell.strip().casefold().startswith(_POINTS)


def _most(sheet: Sheet, column: int) -> float | None:
    points = _points(sheet)
    return None if points is None else number(sheet.value(points, column))


def _column(sheet: Sheet, names: Sequence[str]) -> int:
    # Canvas skips what is read-only, and only the row of possible points says that.
    points = _points(sheet)
    columns = [
        column
        for column, title in enumerate(sheet.header)
        if title.casefold() not in _STUDENT_COLUMNS
        and (points is None or "(read only)" not in sheet.value(points, column))
    ]
    return one_column(sheet, columns, names)


CANVAS = Platform(
    name="canvas",
    title="Canvas",
    read=_read,
    joins=("canvas", "id"),
    one_assignment=True,
    page=_page,
    rows=_rows,
    column=_column,
    most=_most,
    numbered=True,
)
