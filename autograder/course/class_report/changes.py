"""Keep the points of the last class report, to tell what changed since."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from autograder.course.class_report.facts import Changed, Changes, People, Person

FILE = ".report.json"
"""The file of the last points, in the root of a course."""

Points = Mapping[str, float | None]
"""The points of everybody who handed in; None without a grade."""


@dataclass(frozen=True)
class Earlier:
    """The points of one assignment in an earlier report, and when that was made."""

    made: str
    points: Points


def read(root: Path) -> dict[str, Earlier]:
    """Return what the last report on each assignment said; nothing if the file is damaged."""
    with suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
        found = json.loads((root / FILE).read_text(encoding="utf-8"))
        return {name: Earlier(one["made"], dict(one["points"])) for name, one in found.items()}
    return {}


def write(root: Path, made: str, points: Mapping[str, Points]) -> None:
    """Keep the points of a report; those of assignments that it left out stay."""
    kept = read(root) | {name: Earlier(made, dict(some)) for name, some in points.items()}
    new = root / f"{FILE}.new"
    new.write_text(json.dumps({name: asdict(one) for name, one in kept.items()}), encoding="utf-8")
    new.replace(root / FILE)


def since(earlier: Earlier | None, now: Points, names: Mapping[str, str]) -> Changes | None:
    """Return what changed since an earlier report; None if there was none.

    Parameters
    ----------
    earlier
        The earlier report.
    now
        The points now.
    names
        The names of students by their ids.
    """
    if earlier is None:
        return None
    before = earlier.points
    changed = [
        Changed(student, before[student], now[student])
        for student in sorted(now)
        if student in before and before[student] != now[student]
    ]
    gains = [(one.after or 0.0) - (one.before or 0.0) for one in changed]

    def people(some: set[str]) -> People:
        return People.of([Person(student, names.get(student, "")) for student in some])

    return Changes(
        earlier.made,
        people(set(now) - set(before)),
        people(set(before) - set(now)),
        sum(gain > 0 for gain in gains),
        sum(gain < 0 for gain in gains),
        tuple(changed),
    )
