"""Keep beside each download a file that says whose each file is; grades go back by it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from autograder.course.course import Course, CourseError
from autograder.platforms.download import KEPT

COLLECTED, REPLACED, UNCHANGED, OLDER, SET_ASIDE = (
    "collected", "replaced", "unchanged", "older", "set aside"
)  # fmt: skip
"""What became of a hand-in."""

WRITTEN = (COLLECTED, REPLACED, UNCHANGED)


@dataclass(frozen=True)
class Entry:
    """One hand-in of one student for one assignment.

    Attributes
    ----------
    student, assignment
        The student's id in the course, and the assignment; "" if not known.
    outcome, why
        What became of it, and the reason if it was set aside.
    name, email, group
        The student, as platform and roster say.
    key, row
        What the platform tells by who handed it in, and the student's row in a sheet.  They differ
        for the members of a group.
    file, inside
        The name in the download, and in an archive of the student's own.
    late, handed_in
        Whether the platform says that it is late, and when it was handed in.
    changed, number
        See `platform.File`.
    sha256
        The hash of the notebook.
    """

    student: str = ""
    assignment: str = ""
    outcome: str = SET_ASIDE
    why: str = ""
    name: str = ""
    email: str = ""
    group: str = ""
    key: str = ""
    row: str = ""
    file: str = ""
    inside: str = ""
    late: bool = False
    handed_in: str = ""
    changed: str = ""
    number: int = 0
    sha256: str = ""

    @property
    def order(self) -> tuple[str, str, str]:
        """What tells which of two attempts is newer, the best sign first; "" is no sign."""
        return self.handed_in, f"{self.number:020}" if self.number else "", self.changed


@dataclass(frozen=True)
class Record:
    """What is known of a download.

    Attributes
    ----------
    download
        The name of the copy in the course.
    platform
        The name of the platform.
    sha256
        The hash of the download.
    collected
        When it was collected first, in UTC.
    entries
        The hand-ins in it.
    """

    download: str
    platform: str
    sha256: str
    collected: str
    entries: Sequence[Entry] = field(default_factory=list)


def read_all(course: Course) -> list[Record]:
    """Return the records of all downloads, in the order in which they were collected.

    Raises
    ------
    CourseError
        When one cannot be read.
    """
    records = []
    for path in sorted((course.root / KEPT).glob("*.json")):
        try:
            read = json.loads(path.read_text(encoding="utf-8"))
            entries = [Entry(**entry) for entry in read.pop("entries")]
            records.append(Record(**read, entries=entries))
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            raise CourseError(
                f"{path} is damaged. Delete it and collect {path.stem} beside it again."
            ) from None
    return sorted(records, key=lambda record: record.collected)


def write(course: Course, record: Record) -> None:
    """Write a record, or nothing of it."""
    path = course.root / KEPT / f"{record.download}.json"
    put(
        path,
        (json.dumps(asdict(record), indent=2, ensure_ascii=False) + "\n").encode(
            "utf-8", "backslashreplace"
        ),
    )


def put(path: Path, content: bytes) -> None:
    """Write a file in one step, so that a crash leaves the old one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.new")
    try:
        scratch.write_bytes(content)
        os.replace(scratch, path)
    finally:
        with suppress(FileNotFoundError):
            scratch.unlink()


def entries(records: Sequence[Record]) -> Iterator[tuple[Record, Entry]]:
    """Yield the entries of all records, the latest last."""
    for record in records:
        for entry in record.entries:
            yield record, entry
