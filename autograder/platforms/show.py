"""Show on a terminal what was collected and what goes back."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from autograder.course.sanitize import printed
from autograder.platforms import record
from autograder.platforms.collect import Collected
from autograder.platforms.give_back import Returned
from autograder.platforms.record import Entry

LONGEST = 60
"""How much of a name to show."""


def text(value: str, limit: int = LONGEST) -> Text:
    """Return a stranger's text, which must not steer the terminal, on one line and not too long."""
    value = " ".join(printed(value).split())
    return Text(value if len(value) <= limit else f"{value[: limit - 1]}…")


def table(*columns: str) -> Table:
    """Return an empty table whose first column is never broken."""
    made = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    made.add_column(columns[0], no_wrap=True)
    for column in columns[1:]:
        made.add_column(column, overflow="fold")
    return made


def collected(found: Collected, console: Console) -> None:
    """Show what was collected, who is missing, and what was set aside and why."""
    outcomes = table("", "students", "who")
    several = len({entry.assignment for entry in found.entries if entry.student}) > 1
    for outcome, color in (
        (record.COLLECTED, "green"),
        (record.REPLACED, "green"),
        (record.UNCHANGED, ""),
        (record.OLDER, ""),
    ):
        some = found.of(outcome)
        for name in sorted({entry.assignment for entry in some}):
            entries = [entry for entry in some if entry.assignment == name]
            label = "older than what is there" if outcome == record.OLDER else outcome
            label += f", {name}" if several else ""
            outcomes.add_row(Text(label, color), str(len(entries)), _students(entries))
    some = found.of(record.SET_ASIDE)
    if some:
        outcomes.add_row(Text("set aside", "red"), str(len(some)), Text("see below"))
    for name in sorted({name for name, _ in found.missing}):
        people = [person for missing, person in found.missing if missing == name]
        who = Text(", ").join(_named(p.student, p.name) for p in people)
        outcomes.add_row(Text(f"missing in {name}", "yellow"), str(len(people)), who)
    if found.unlisted:
        who = Text(", ").join(text(one.name or one.key) for one in found.unlisted)
        outcomes.add_row(Text("not in the roster", "yellow"), str(len(found.unlisted)), who)
    late = [entry for entry in found.entries if entry.late and entry.student]
    if late:
        outcomes.add_row("late, says the platform", str(len(late)), _students(late))
    console.print(outcomes)
    if some:
        aside = table("set aside", "why")
        for entry in some:
            aside.add_row(text(_source(entry), 40), text(entry.why, 300))
        console.print()
        console.print(aside)
        console.print()


def _source(entry: Entry) -> str:
    return entry.file.rpartition("/")[0] or entry.file or entry.name or entry.key


def _students(entries: Iterable[Entry]) -> Text:
    return names(entry.student for entry in entries)


def names(students: Iterable[str]) -> Text:
    """Return ids of students in the order in which people count."""
    return Text(", ").join(Text(student) for student in sorted({*students}, key=_counted))


def _counted(student: str) -> list[tuple[str, int]]:
    return [(text, int(number[:18] or 0)) for text, number in re.findall(r"(\D*)(\d*)", student)]


def _named(student: str, name: str) -> Text:
    return text(f"{student} ({name})" if name and name != student else student)


def sentence(found: Collected) -> str:
    """Return the last line: what was done."""
    counts = [
        (len(found.of(record.COLLECTED)), "collected"),
        (len(found.of(record.REPLACED)), "replaced"),
        (len(found.of(record.UNCHANGED)) + len(found.of(record.OLDER)), "unchanged"),
        (len(found.of(record.SET_ASIDE)), "set aside"),
    ]
    if found.missing:
        counts.append((len(found.missing), "missing"))
    return ", ".join(f"{number} {what}" for number, what in counts)


def sources(found: Collected) -> Sequence[str]:
    """Return a line for each download: where it is from."""
    return [f"{name}: a download of {title}" for name, title in found.sources]


def returned(done: Returned, console: Console) -> None:
    """Show what does not go back, and why."""
    rows = table("", "students", "who")
    reasons: dict[str, list[str]] = {}
    for student, why in done.ungraded.items():
        reasons.setdefault(why, []).append(student)
    for why, students in reasons.items():
        rows.add_row(Text(why, "red"), str(len(students)), names(students))
    for label, color, some in (
        ("graded, but not in the sheet", "red", done.unplaced),
        ("no feedback page of this grade", "red", done.without_page),
        ("excused", "", done.excused),
        ("nothing handed in", "yellow", done.nothing),
    ):
        if some:
            who = Text(", ").join(text(one) for one in sorted({*some}, key=_counted))
            rows.add_row(Text(label, color), str(len({*some})), who)
    if rows.row_count:
        console.print(rows)
        console.print()
    for warning in done.warnings:
        console.print(text(warning, 300), style="yellow")
