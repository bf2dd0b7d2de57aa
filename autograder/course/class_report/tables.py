"""A class report as JSON, and as one long CSV table with a fact in each row."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import asdict

from autograder.course.class_report.facts import (
    AssignmentFacts,
    Changes,
    ClassReport,
    Item,
    People,
    TaskFacts,
)
from autograder.course.spreadsheet import harmless

COLUMNS = ("assignment", "task", "item", "student", "fact", "value", "text")
"""The columns of the table; those that a fact does not need are empty."""

Row = dict[str, str | float | None]


def json_text(report: ClassReport) -> str:
    """Return a report as JSON, with the names of the fields of `ClassReport`."""
    return json.dumps(asdict(report), ensure_ascii=False, indent=1) + "\n"


def csv_table(report: ClassReport) -> str:
    """Return a report as CSV."""
    file = io.StringIO()
    table = csv.DictWriter(file, COLUMNS, restval="")
    table.writeheader()
    for facts in report.assignments:
        for row in _assignment(facts):
            cells = {"assignment": facts.name, **row}
            table.writerow({name: _cell(value) for name, value in cells.items()})
    return file.getvalue()


def _cell(value: str | float | None) -> str | float | None:
    return harmless(value) if isinstance(value, str) else value


def _assignment(facts: AssignmentFacts) -> Iterator[Row]:
    found = facts.distribution
    for fact, value in (
        ("enrolled", facts.enrolled),
        ("submitted", facts.submitted),
        ("graded", found.count),
        ("max_points", found.max_points),
        ("mean", found.mean),
        ("median", found.median),
    ):
        yield {"fact": fact, "value": value}
    for bin in found.bins:
        yield {"item": f"{bin.low:g} to {bin.high:g}", "fact": "histogram", "value": bin.count}
    for task in facts.tasks:
        yield from _task(task)
    for shared in facts.shared:
        wrong = ", ".join(shared.wrong)
        yield {
            "task": shared.task,
            "item": wrong,
            "fact": "shared_answer",
            "value": shared.count,
            "text": shared.command,
        }
        for student in shared.students:
            yield {
                "task": shared.task,
                "item": wrong,
                "student": student,
                "fact": "gave_shared_answer",
            }
    for fact in ("missing", "late", "stopped", "refused", "waiting", "outdated"):
        yield from _people(fact, getattr(facts, fact))
    if facts.changes is not None:
        yield from _changes(facts.changes)


def _task(task: TaskFacts) -> Iterator[Row]:
    for row in _item(task.item):
        yield {"task": task.item.name, **row, "item": ""}
    yield {"task": task.item.name, "fact": "graded", "value": task.count}
    yield {"task": task.item.name, "fact": "right", "value": task.right}
    yield {"task": task.item.name, "fact": "wrong_otherwise", "value": task.other}
    for aspect in task.aspects:
        for row in _item(aspect):
            yield {"task": task.item.name, **row}
    for mistake in task.mistakes:
        yield {
            "task": task.item.name,
            "item": mistake.id,
            "fact": "mistake",
            "value": mistake.count,
            "text": mistake.text,
        }
    if task.more:
        yield {"task": task.item.name, "fact": "further_mistakes", "value": task.more}


def _item(item: Item) -> Iterator[Row]:
    interval = item.interval
    for fact, value in (
        ("max_points", item.max_points),
        ("earned", item.earned),
        ("solved", item.solved),
        ("solved_low", interval.low if interval else None),
        ("solved_high", interval.high if interval else None),
        ("discrimination", item.discrimination),
    ):
        if value is not None:
            yield {"item": item.name, "fact": fact, "value": value}


def _people(fact: str, people: People) -> Iterator[Row]:
    yield {"fact": fact, "value": people.count}
    for person in people.listed:
        yield {
            "student": person.student,
            "item": person.name,
            "fact": f"is_{fact}",
            "text": person.detail,
        }


def _changes(changes: Changes) -> Iterator[Row]:
    yield {"fact": "since", "text": changes.since}
    yield from _people("new", changes.new)
    yield from _people("gone", changes.gone)
    yield {"fact": "points_up", "value": changes.up}
    yield {"fact": "points_down", "value": changes.down}
    for one in changes.changed:
        yield {"student": one.student, "fact": "points_before", "value": one.before}
        yield {"student": one.student, "fact": "points_after", "value": one.after}
