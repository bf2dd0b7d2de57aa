"""Moodle: the archive of all submissions, and the grading worksheet.

A download holds `{name}_{id}_assignsubmission_file/l2.ipynb`, or the same with `_` for `/`.  The
number belongs to the student in this assignment only; the worksheet's `Identifier` has it, too.
Headers of a worksheet are in the site's language, so its columns are found by what is in them.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence

from autograder.intake.student_id import plain
from autograder.platforms.platform import File, HandIn, Platform, unclaimed
from autograder.platforms.sheet import Sheet, SheetError, number, one_column

# The first place that fits: what a student chose comes after it, and Moodle's names have no "_".
_NAMED = re.compile(
    r"(?P<name>.*?)_(?P<id>\d+)_assignsubmission_(?P<kind>[a-z]+)(?P<rest>_.*)?", re.DOTALL
)
_IDENTIFIER = re.compile(r"\D*?(\d+)\s*")


def _read(files: Sequence[File], assignments: Collection[str]) -> list[HandIn] | None:
    matches = [_NAMED.fullmatch(file.name.partition("/")[0]) for file in files]
    if 2 * sum(match is not None for match in matches) <= len(files):
        return None
    found: dict[str, HandIn] = {}
    nobody = []
    for file, match in zip(files, matches, strict=True):
        if match is None:
            nobody.append(unclaimed(file))
            continue
        key, name = match["id"], match["name"]
        # Some sites put the account in front.
        account, _, full_name = name.rpartition("_")
        before = found[key].files if key in found else ()
        found[key] = HandIn(
            key=key,
            name=full_name,
            files=(*before, file),
            suggested=f"{plain(full_name)}-{key}",
            ids=(key, account) if account else (key,),
        )
    return [*found.values(), *nobody]


def _page(file: str, assignment: str, student: str) -> str:
    folder, slash, _ = file.partition("/")
    if slash:
        return f"{folder}/{assignment}.html"
    match = _NAMED.fullmatch(file)
    assert match is not None
    return f"{file[: match.end('kind')]}_{assignment}.html"


def identifiers(sheet: Sheet) -> int | None:
    """Return the column of a worksheet whose cells are a word and a number, or only a number."""
    named = sheet.find("Identifier")
    if named is not None:
        return named
    # In another language it is still the first.
    cells = [sheet.value(row, 0) for row in sheet.rows]
    return 0 if cells and all(re.fullmatch(r"[^\d,;]+\d+", cell) for cell in cells) else None


def participant(cell: str) -> str:
    """Return the number in a cell such as "Participant 1234", or ""."""
    match = _IDENTIFIER.fullmatch(cell)
    return match[1] if match else ""


def _rows(sheet: Sheet) -> Mapping[int, Sequence[str]]:
    column = identifiers(sheet)
    if column is None:
        raise SheetError(
            "The sheet has no column Identifier. In Moodle, open the assignment, and choose "
            "Download grading worksheet."
        )
    found = {row: [participant(sheet.value(row, column))] for row in sheet.rows}
    for other in range(len(sheet.header)):
        cells = [sheet.value(row, other).strip() for row in sheet.rows]
        if any(cells) and all(re.fullmatch(r"\S+@\S+", cell) for cell in cells if cell):
            for row, cell in zip(sheet.rows, cells, strict=True):
                found[row].append(cell)
    return found


def _column(sheet: Sheet, names: Sequence[str]) -> int:
    grade = sheet.find("Grade")
    if grade is not None:
        return grade
    # Before the highest grade, which is the same number in every row.
    found = []
    for column in range(1, len(sheet.header)):
        cells = {sheet.value(row, column) for row in sheet.rows}
        if len(cells) == 1 and number(*cells) and _grades(sheet, column - 1):
            found.append(column - 1)
    if len(found) == 1:
        return found[0]
    return one_column(sheet, range(len(sheet.header)), names)


def _grades(sheet: Sheet, column: int) -> bool:
    cells = [sheet.value(row, column).strip() for row in sheet.rows]
    return all(cell in ("", "-") or number(cell) is not None for cell in cells)


def _most(sheet: Sheet, column: int) -> float | None:
    cells = {sheet.value(row, column + 1) for row in sheet.rows}
    return number(*cells) if len(cells) == 1 else None


MOODLE = Platform(
    name="moodle",
    title="Moodle",
    read=_read,
    joins=("participant", "login"),
    one_assignment=True,
    page=_page,
    rows=_rows,
    column=_column,
    most=_most,
    numbered=True,
)
