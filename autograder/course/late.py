"""What is due when, what lateness costs, and when work was handed in.

The instructor writes `dates.toml` in the root of the course.  nbgrader's gradebook gets the due
dates and extensions from it, and nbgrader asks `LateWork` what lateness costs.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from nbgrader.api import Gradebook, MissingEntry
from nbgrader.apps import NbGraderAPI
from nbgrader.coursedir import CourseDirectory
from nbgrader.plugins import LateSubmissionPlugin

FILE = "dates.toml"

EXAMPLE = "percent_per_day = 10, and below a line [due], l2 = 2026-11-01 23:59:00"

_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?) ?"
    r"(Z|[+-]\d\d:?\d\d|[A-Za-z][\w+/-]*)?",
    re.ASCII,
)


class DatesError(Exception):
    """A file with times cannot be used; the message names it and shows a valid example."""


@dataclass(frozen=True)
class Dates:
    """What `dates.toml` says; all times are in UTC, without a zone, as in nbgrader's gradebook.

    Attributes
    ----------
    due
        When each assignment is due.
    extensions
        When it is due for a student, by assignment and student.
    zone
        The time zone of times that name none.
    grace
        How late work may be without losing anything.
    percent_per_day, most_percent
        How much of the points earned each day that has begun costs, and the most that all cost.
    """

    due: Mapping[str, datetime] = field(default_factory=dict)
    extensions: Mapping[str, Mapping[str, datetime]] = field(default_factory=dict)
    zone: tzinfo = UTC
    grace: timedelta = timedelta()
    percent_per_day: float = 0.0
    most_percent: float = 100.0

    def penalty(self, points: float, seconds_late: float) -> float:
        """Return how many of the points earned are lost; days count from the due date."""
        if seconds_late <= self.grace.total_seconds():
            return 0.0
        days = math.ceil(seconds_late / timedelta(days=1).total_seconds())
        return points * min(days * self.percent_per_day, self.most_percent) / 100


class LateWork(LateSubmissionPlugin):  # type: ignore[misc]  # nbgrader is untyped
    """Take what `dates.toml` says; without that file, what nbgrader's own plug-in does."""

    def late_submission_penalty(
        self, student_id: str, score: float, total_seconds_late: float
    ) -> float | None:
        """Return how many points are lost."""
        dates = read(Path(CourseDirectory(parent=self).root))
        if dates is None:
            lost: float | None = super().late_submission_penalty(
                student_id, score, total_seconds_late
            )
            return lost
        return dates.penalty(score, total_seconds_late)


def read(root: Path) -> Dates | None:
    """Return what a course's `dates.toml` says; None if there is no such file.

    Raises
    ------
    DatesError
        When it cannot be used.
    """
    file = root / FILE
    try:
        found = tomllib.loads(file.read_bytes().decode("utf-8-sig"))
        return _dates(found)
    except FileNotFoundError:
        return None
    except (ValueError, OSError) as error:
        raise DatesError(f"{file}: {error}. Valid lines are {EXAMPLE}.") from None


def enter(dates: Dates, gradebook: Gradebook, submitted: Mapping[str, Collection[str]]) -> None:
    """Enter due dates and extensions into an open gradebook.

    The extensions of an assignment with a due date here are those of the file and no others.

    Parameters
    ----------
    dates
        What the file says.
    gradebook
        The gradebook.
    submitted
        Who has handed in each assignment; who has an extension must be in the gradebook.
    """
    for name, due in dates.due.items():
        with suppress(MissingEntry):
            assignment = gradebook.find_assignment(name)
            assignment.duedate = due
            extended = dates.extensions.get(name, {})
            known = {student.id for student in gradebook.students}
            for student in extended.keys() & set(submitted.get(name, ())) & known:
                # nbgrader keeps extensions in submissions and makes those only when it grades.
                gradebook.update_or_create_submission(name, student)
            for submission in gradebook.assignment_submissions(name):
                own = extended.get(submission.student_id)
                submission.extension = None if own is None else own - due
    gradebook.db.commit()


def handed_in(file: Path, zone: tzinfo) -> datetime | None:
    """Return the time in a `timestamp.txt`, in UTC without a zone; None if it has none.

    Only forms that can be read in one way are accepted.

    Parameters
    ----------
    file
        The file; it need not be there.
    zone
        The zone of a time that names none.

    Raises
    ------
    DatesError
        When it says something else.
    """
    try:
        text = file.read_bytes()[:200].decode("utf-8-sig").strip()
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        text = "something that is no text"
    if not text:
        return None
    match = _TIME.fullmatch(text)
    with suppress(ValueError, KeyError, OSError):
        if match:
            date, time, named = match.groups()
            return _utc(datetime.fromisoformat(f"{date} {time}"), _zone(named) if named else zone)
    raise DatesError(
        f"{file} says {text[:40]!a}, which is no time that can be read in only one way; write it "
        "like 2026-11-01 23:59:00 +0100, or with a zone like UTC or Europe/Berlin"
    )


def shown(time: datetime, zone: tzinfo) -> str:
    """Return a time of the gradebook, which is in UTC, as it is in a zone."""
    return f"{time.replace(tzinfo=UTC).astimezone(zone):%Y-%m-%d %H:%M %Z}"


def read_times_strictly() -> None:
    """Make nbgrader read every `timestamp.txt` as `handed_in` does.

    In formgrader's lists, a time that cannot be read is none; grading says what is wrong with it.
    """

    def existing(self: CourseDirectory, folder: str) -> datetime | None:
        dates = read(Path(self.root))
        return handed_in(Path(folder) / "timestamp.txt", dates.zone if dates else UTC)

    def listed(self: NbGraderAPI, assignment: str, student: str) -> datetime | None:
        course = self.coursedir
        folder = course.format_path(course.submitted_directory, student, assignment)
        with suppress(DatesError):
            return existing(course, folder)
        return None

    CourseDirectory.get_existing_timestamp = existing
    NbGraderAPI.get_submitted_timestamp = listed


def _zone(name: str) -> tzinfo:
    if name == "Z":
        return UTC
    if name[0] in "+-":
        return datetime.strptime(name, "%z").tzinfo or UTC
    return ZoneInfo(name)


def _utc(time: datetime, zone: tzinfo) -> datetime:
    aware = time if time.tzinfo else time.replace(tzinfo=zone)
    return aware.astimezone(UTC).replace(tzinfo=None)


def _dates(found: dict[str, Any]) -> Dates:
    settings = {"time_zone", "grace_minutes", "percent_per_day", "most_percent"}
    if unknown := found.keys() - settings - {"due", "extensions"}:
        raise ValueError(f"{min(unknown)} is no setting")
    numbers = {name: found.get(name, default) for name, default in _NUMBERS.items()}
    for name, number in numbers.items():
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise ValueError(f"{name} is no number")
        if not 0 <= number <= (math.inf if name == "grace_minutes" else 100):
            raise ValueError(f"{name} is out of range")
    try:
        zone = ZoneInfo(found.get("time_zone", "UTC"))
    except (KeyError, ValueError, TypeError, OSError):
        raise ValueError(f"{found['time_zone']!r} is no time zone") from None
    due = _times(found.get("due", {}), "due", zone)
    extensions = found.get("extensions", {})
    if not isinstance(extensions, dict):
        raise ValueError("extensions has no assignments in it")
    if alone := extensions.keys() - due.keys():
        raise ValueError(f"{min(alone)} has extensions but is not in [due]")
    return Dates(
        due,
        {name: _times(some, f"extensions.{name}", zone) for name, some in extensions.items()},
        zone,
        timedelta(minutes=numbers["grace_minutes"]),
        numbers["percent_per_day"],
        numbers["most_percent"],
    )


_NUMBERS: dict[str, float] = {"grace_minutes": 0, "percent_per_day": 0, "most_percent": 100}


def _times(found: Any, where: str, zone: tzinfo) -> dict[str, datetime]:
    if not isinstance(found, dict):
        raise ValueError(f"{where} is no table of times")
    for name, time in found.items():
        if not isinstance(time, datetime):
            raise ValueError(f"{name} in [{where}] is no date with a time of day")
    return {name: _utc(time, zone) for name, time in found.items()}
