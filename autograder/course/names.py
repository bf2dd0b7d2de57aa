"""Names that an instructor gives to wrong answers for which the course has none.

They are in `names.json` in the root of a course; a copy of that file hands them on to another one.
A name belongs to a fingerprint, which every grading keeps, so nothing has to run again to tell it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from autograder.grading.notebook import Outcome
from autograder.judging.fingerprint import is_same_program
from autograder.judging.report import Finding, Report
from autograder.tasks import tasks

FILE = "names.json"


class NamesError(Exception):
    """The file of names cannot be read; the message is one line that says why."""


@dataclass(frozen=True)
class Name:
    """The name of a wrong answer.

    Attributes
    ----------
    task
        The task that it answers.
    id
        A short name, as those of known mistakes: "bn-sum-over-everything".
    text
        What to tell a student who gives it.
    numbers
        Its fingerprint.
    """

    task: str
    id: str
    text: str
    numbers: tuple[float, ...]


def read(root: Path) -> list[Name]:
    """Return the names of a course.

    Raises
    ------
    NamesError
        When the file is there but is not a list of names.
    """
    with suppress(FileNotFoundError):
        try:
            found = json.loads((root / FILE).read_text(encoding="utf-8"))
            return [Name(**{**one, "numbers": tuple(one["numbers"])}) for one in found]
        except (ValueError, TypeError, KeyError) as error:
            raise NamesError(
                f"{root / FILE} is not a list of names: {error}; mend it or take it away."
            ) from None
    return []


def add(root: Path, name: Name) -> None:
    """Add a name to a course, in place of an earlier one of the same answer."""
    others = [one for one in read(root) if not _are_same(one, name.task, name.numbers)]
    text = json.dumps([asdict(one) for one in (*others, name)], ensure_ascii=False, indent=1)
    new = root / f"{FILE}.new"
    new.write_text(text + "\n", encoding="utf-8")
    new.replace(root / FILE)


def state(root: Path, assignment: str, outcome: Outcome | None) -> str:
    """Return a hash of the names that an outcome of an assignment is told; empty if it is none.

    Of an outcome that is not kept nobody knows, so it depends on all of them.
    """
    known = [one for one in read(root) if one.task in tasks and _belongs(one, assignment)]
    if outcome is not None:
        told = (_name_of(report, known) for report in outcome.reports.values())
        known = [one for one in told if one is not None]
    return hashlib.sha256(repr(known).encode()).hexdigest() if known else ""


def tell(outcome: Outcome, names: Sequence[Name]) -> Outcome:
    """Return an outcome whose reports say the names of its wrong answers."""
    reports = {cell: _told(report, names) for cell, report in outcome.reports.items()}
    return replace(outcome, reports=reports)


def is_unnamed(finding: Finding) -> bool:
    """Return whether a finding is wrong and names no mistake."""
    return not finding.passed and finding.max_points > 0 and finding.misconception is None


def _told(report: Report, names: Sequence[Name]) -> Report:
    name = _name_of(report, names)
    if name is None:
        return report
    findings = (
        replace(
            one,
            misconception=name.id,
            message=f"{name.text} ({name.id})\n{one.message}",
        )
        if is_unnamed(one)
        else one
        for one in report.findings
    )
    return replace(report, findings=tuple(findings))


def _name_of(report: Report, names: Sequence[Name]) -> Name | None:
    """Return the name of the answer that a report is about; None if it has none."""
    if not report.fingerprint:
        return None
    same = (one for one in names if _are_same(one, report.task, report.fingerprint))
    return next(same, None)


def _are_same(name: Name, task: str, numbers: Sequence[float]) -> bool:
    return name.task == task and is_same_program(tasks[task], name.numbers, numbers)


def _belongs(name: Name, assignment: str) -> bool:
    return tasks[name.task].assignment.name == assignment
