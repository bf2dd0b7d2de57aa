"""Classroom 50 and GitHub Classroom: a folder for each repository; results go back as JSON.

Scores of the schema `classroom50/result/v1` are integers, so all are multiplied by four.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from autograder.platforms.folder import assignment_pattern
from autograder.platforms.platform import File, HandIn, Platform, unclaimed
from autograder.platforms.sheet import Sheet, SheetError, any_column

SCHEMA = "classroom50/result/v1"
QUARTERS = 4
"""What scores are multiplied by, because points are multiples of a quarter."""


def _read(files: Sequence[File], assignments: Collection[str]) -> list[HandIn] | None:
    folders: dict[str, list[File]] = {}
    nobody = []
    for file in files:
        folder, slash, _ = file.name.partition("/")
        if not slash:
            nobody.append(unclaimed(file))
        else:
            folders.setdefault(folder, []).append(file)
    if not folders:
        return None
    if not all(_is_repository(name, some) for name, some in folders.items()):
        return None
    prefix, found = _common(list(folders)), []
    for folder, some in folders.items():
        owner, ids = _owner(folder, prefix, assignments)
        # A repository is checked out in no order of time, and git's own files are nobody's answer.
        answers = tuple(replace(file, changed=None) for file in some if "/.git" not in file.name)
        found.append(HandIn(owner, owner, answers, owner, ids))
    return [*found, *(one for one in nobody if one.name.endswith(".ipynb"))]


def _is_repository(folder: str, files: Sequence[File]) -> bool:
    return any(file.name.startswith(f"{folder}/.git") for file in files)


def _common(folders: Sequence[str]) -> str:
    """Return what all names begin with, up to a hyphen; "" if there are too few to say."""
    if len(folders) < 3:
        return ""
    shared = ""
    for words in zip(*(folder.split("-")[:-1] for folder in folders), strict=False):
        if len({*words}) > 1:
            break
        shared += f"{words[0]}-"
    return shared


def _owner(folder: str, prefix: str, assignments: Collection[str]) -> tuple[str, tuple[str, ...]]:
    """Return the account, and what else it may be.

    A classroom calls repositories `ASSIGNMENT-ACCOUNT`, and its assignments what it likes.
    """
    match = assignment_pattern(assignments, "[-_](?P<rest>.+)").fullmatch(folder)
    if match:
        return match["rest"], (match["rest"],)
    words = folder.split("-")
    ids = ("-".join(words[start:]) for start in range(len(words)))
    return folder.removeprefix(prefix), tuple(ids)


def _page(file: str, assignment: str, student: str) -> str:
    return f"{file.partition('/')[0]}/{assignment}.html"


def result(
    was: Mapping[str, Any],
    assignment: str,
    owner: str,
    points: tuple[float, float],
    tests: Sequence[tuple[str, float, float]],
    now: datetime,
) -> dict[str, Any]:
    """Return a result of the schema.

    Parameters
    ----------
    was
        The result that the platform has, whose other fields stay; may be empty.
    assignment, owner
        The assignment and the account.
    points
        The points and the highest number of points.
    tests
        The name, the points and the highest number of points of each task.
    now
        When this is, in UTC.
    """
    return {
        "schema": SCHEMA,
        "classroom": was.get("classroom", ""),
        "assignment": was.get("assignment", assignment),
        "assignment_type": was.get("assignment_type", "individual"),
        "owner": was.get("owner", owner),
        "submission": was.get("submission", f"submit/{assignment}"),
        "commit": was.get("commit", ""),
        "release": was.get("release", ""),
        "review": was.get("review", ""),
        "datetime": was.get("datetime", f"{now:%Y-%m-%dT%H:%M:%SZ}"),
        "score": _whole(points[0]),
        "max-score": _whole(points[1]),
        "tests": [
            {
                "test-name": name,
                "passed": score >= most,
                "score": _whole(score),
                "max-score": _whole(most),
            }
            for name, score, most in tests
        ],
    }


def _whole(points: float) -> int:
    return round(points * QUARTERS)


def _rows(sheet: Sheet) -> Mapping[int, Sequence[str]]:
    columns = [
        c for c in (sheet.find("github_username"), sheet.find("identifier")) if c is not None
    ]
    if not columns:
        raise SheetError("The sheet has no column github_username. Export the classroom's roster.")
    return {row: [sheet.value(row, column) for column in columns] for row in sheet.rows}


CLASSROOM50 = Platform(
    name="classroom50",
    title="GitHub",
    read=_read,
    joins=("github", "login", "student"),
    one_assignment=False,
    page=_page,
    rows=_rows,
    column=any_column,
)
