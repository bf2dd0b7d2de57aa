"""Gradescope: an export of submissions with `submission_metadata.yml`, and the sheet of grades."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import yaml
from dateutil.parser import parse as parse_time

from autograder.intake.apart import TooMuchError, apart
from autograder.intake.notebook_file import UnreadableError, read
from autograder.platforms.platform import File, HandIn, Platform, unclaimed
from autograder.platforms.sheet import Sheet, SheetError, any_column

_METADATA = "submission_metadata.yml"
_SECONDS = 30


def _read(files: Sequence[File], assignments: Collection[str]) -> list[HandIn] | None:
    metadata = next((file for file in files if file.name == _METADATA), None)
    if metadata is None or metadata.path is None:
        return None
    try:
        submissions = apart(_SECONDS, _metadata, read(metadata.path))
    except (TooMuchError, UnreadableError, yaml.YAMLError):
        raise SheetError(f"{_METADATA} cannot be read. Export the submissions again.") from None
    by_folder: dict[str, list[File]] = {}
    for file in files:
        if file is not metadata:
            by_folder.setdefault(file.name.partition("/")[0], []).append(file)
    found = []
    for folder, (submitters, handed_in) in submissions.items():
        its_files = tuple(by_folder.pop(folder, ()))
        for name, sid, email in submitters:
            key = email or sid or folder
            ids = tuple(filter(None, (email, sid)))
            found.append(HandIn(key, name, its_files, key, ids, email=email, handed_in=handed_in))
    return [*found, *(unclaimed(file) for rest in by_folder.values() for file in rest)]


def _metadata(
    content: bytes,
) -> dict[str, tuple[list[tuple[str, str, str]], datetime | None]]:
    """Return the submitters' names, numbers and addresses, and the time, of each submission."""
    # Every scalar is a text: a number may begin with zeros.
    loaded = yaml.load(content, Loader=getattr(yaml, "CBaseLoader", yaml.BaseLoader))
    found = {}
    for folder, about in (loaded if isinstance(loaded, dict) else {}).items():
        submitters = _get(about, "submitters")
        people = [
            (_text(one, "name"), _text(one, "sid"), _text(one, "email"))
            for one in (submitters if isinstance(submitters, list) else [])
        ]
        found[str(folder)] = (people, _time(_text(about, "created_at")))
    return found


def _get(mapping: Any, key: str) -> Any:
    # Ruby writes its symbols with a colon in front.
    return mapping.get(f":{key}", mapping.get(key)) if isinstance(mapping, dict) else None


def _text(mapping: Any, key: str) -> str:
    found = _get(mapping, key)
    return found.strip() if isinstance(found, str) else ""


def _time(text: str) -> datetime | None:
    try:
        found = parse_time(text)
    except (ValueError, OverflowError):
        return None
    return found.astimezone(UTC) if found.tzinfo else None


def _page(file: str, assignment: str, student: str) -> str:
    return f"{file.partition('/')[0]}/{assignment}.html"


def _rows(sheet: Sheet) -> Mapping[int, Sequence[str]]:
    columns = [c for c in (sheet.find("Email"), sheet.find("SID")) if c is not None]
    if not columns:
        raise SheetError(
            "The sheet has no column Email or SID. In Gradescope, open Review Grades and choose "
            "Download Grades, CSV."
        )
    return {row: [sheet.value(row, column) for column in columns] for row in sheet.rows}


GRADESCOPE = Platform(
    name="gradescope",
    title="Gradescope",
    read=_read,
    joins=("email", "sid", "id"),
    one_assignment=True,
    page=_page,
    rows=_rows,
    column=any_column,
)
