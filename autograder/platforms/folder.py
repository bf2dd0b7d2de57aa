"""A plain folder: `ada/l2.ipynb` or `ada_l2.ipynb`; and sheets of no platform in particular.

This also reads a folder of Google Classroom, whose files have the names that students gave them.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from functools import cache

from autograder.intake.student_id import PLAIN_NAME
from autograder.platforms.platform import File, HandIn, Platform, unclaimed
from autograder.platforms.roster import COLUMNS
from autograder.platforms.sheet import Sheet, SheetError, one_column

_NOTEBOOK_OR_ARCHIVE = (".ipynb", ".zip", ".tar", ".gz", ".tgz")
_IDS = ("student", "login", "email", "sid", "id")


def _read(files: Sequence[File], assignments: Collection[str]) -> list[HandIn] | None:
    if _is_wrapped(files, assignments):
        return None
    by_assignment = all(
        file.name.count("/") > 1 and _is_assignment(file.name.partition("/")[0], assignments)
        for file in files
    )
    found: dict[str, list[File]] = {}
    nobody = []
    for file in files:
        name = file.name.partition("/")[2] if by_assignment else file.name
        folder, slash, _ = name.partition("/")
        owner = folder if slash else _owner(name, assignments)
        if owner:
            found.setdefault(owner, []).append(file)
        elif name.lower().endswith(_NOTEBOOK_OR_ARCHIVE):
            nobody.append(unclaimed(file))
    claimed = [
        HandIn(
            key=owner,
            name=owner,
            files=tuple(some),
            suggested=owner,
            ids=(owner, owner.replace("_", " ")),
            doubt=_doubt(owner, some),
        )
        for owner, some in found.items()
    ]
    return [*claimed, *nobody]


def _doubt(owner: str, files: Sequence[File]) -> str:
    """Return why several files may be of several people, or ""."""
    loose = [file for file in files if "/" not in file.name]
    if len(loose) < 2 or PLAIN_NAME.fullmatch(owner):
        return ""
    return f"{len(loose)} files have this name, which several students may have: give --roster"


def _is_wrapped(files: Sequence[File], assignments: Collection[str]) -> bool:
    """Return whether all files are in one folder that is no student's."""
    loose = any(
        "/" not in file.name and file.name.lower().endswith(_NOTEBOOK_OR_ARCHIVE) for file in files
    )
    files = [file for file in files if "/" in file.name]
    if loose or len({file.name.partition("/")[0] for file in files}) != 1:
        return False
    for file in files:
        folder, slash, _ = file.name.partition("/")[2].partition("/")
        if slash and not _is_assignment(folder, assignments):
            return True
        if not slash and _named(folder, assignments):
            return True
    return False


def _is_assignment(folder: str, assignments: Collection[str]) -> bool:
    return assignment_pattern(assignments).fullmatch(folder) is not None


def _owner(name: str, assignments: Collection[str]) -> str:
    """Return whose a file is that is in no folder, from its name."""
    stem, named = _stem(name), _named(name, assignments)
    if named or _is_assignment(_without_copy(stem), assignments):
        return named
    return stem.strip() if name.lower().endswith(_NOTEBOOK_OR_ARCHIVE) else ""


def _stem(name: str) -> str:
    return (name.rpartition(".")[0] or name).removesuffix(".tar")


def _named(name: str, assignments: Collection[str]) -> str:
    """Return what is before or after the name of an assignment, or ""."""
    stem = _stem(name)
    last = assignment_pattern(assignments, before=r"(?P<rest>.+?)[\s_-]+(?:copy of\s+)?")
    first = assignment_pattern(assignments, after=r"[\s_-]+(?P<rest>.+)")
    # A number at the end may belong to the student's name.
    match = last.fullmatch(_without_copy(stem)) or first.fullmatch(_without_copy(stem, ""))
    return match["rest"].strip() if match else ""


def _without_copy(stem: str, number: str = r"|-\d{1,2}") -> str:
    """Return a name without what a copy has: `Copy of l2`, `l2 (1)`, `l2-1`, `l2-Copy1`."""
    stem = re.sub(r"^copy of\s+", "", stem.strip(), flags=re.IGNORECASE)
    copies = rf"(?:\s*\(\d+\)|-copy\d*{number})+$"
    return re.sub(copies, "", stem, flags=re.IGNORECASE).strip()


def assignment_pattern(
    assignments: Collection[str], after: str = "", before: str = ""
) -> re.Pattern[str]:
    """Return a pattern for the name of an assignment, however its words are joined."""
    return _pattern(tuple(sorted(assignments, key=len, reverse=True)), after, before)


@cache
def _pattern(assignments: tuple[str, ...], after: str, before: str) -> re.Pattern[str]:
    names = "|".join(re.escape(name).replace("_", r"[\s_-]?") for name in assignments)
    return re.compile(rf"{before}(?:{names}){after}", re.IGNORECASE | re.DOTALL)


def _page(file: str, assignment: str, student: str) -> str:
    return f"{student}/{assignment}.html"


def _rows(sheet: Sheet) -> Mapping[int, Sequence[str]]:
    columns = [
        column for kind in _IDS for column in [sheet.find(*COLUMNS[kind])] if column is not None
    ]
    if not columns:
        raise SheetError("The sheet has no column such as student, username, email or id. Add one.")
    return {row: [sheet.value(row, column) for column in columns] for row in sheet.rows}


def _column(sheet: Sheet, names: Sequence[str]) -> int:
    return one_column(sheet, range(len(sheet.header)), names)


FOLDER = Platform(
    name="csv",
    title="a folder",
    read=_read,
    joins=_IDS,
    one_assignment=False,
    page=_page,
    rows=_rows,
    column=_column,
)
