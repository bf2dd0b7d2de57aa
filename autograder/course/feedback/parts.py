"""Divide a graded notebook into its tasks, and say in short what each of them lost and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any

from nbformat import NotebookNode

from autograder.course.plugins import NOTES
from autograder.judging.observe import NOT_WRITTEN
from autograder.judging.report import Finding, Report
from autograder.task import Section
from autograder.tasks import tasks

# nbgrader writes this where nothing was answered.
_NO_COMMENT = "No response."


@dataclass(frozen=True)
class Part:
    """Cells of a notebook that belong to one check or to none, and what came of it.

    Attributes
    ----------
    cells
        The cells, the check last if there is one.
    marks
        What nbgrader knows of the check; empty if there is none.
    report
        The report of the check, or None.
    """

    cells: Sequence[NotebookNode]
    marks: Mapping[str, Any]
    report: Report | None = None

    @property
    def name(self) -> str:
        """The name of its task."""
        return str(self.marks.get("grade_id", "")).removeprefix("check-")

    @property
    def lost(self) -> float:
        """How many points are missing."""
        return float(self.marks.get("points", 0)) - float(self.marks.get("score", 0))

    @property
    def right(self) -> bool:
        """Whether nothing is wrong, in the eyes of the grader and of a person."""
        return self.lost <= 0 and (self.report is None or self.report.passed)

    @property
    def unanswered(self) -> bool:
        """Whether there is nothing to judge: a function that does only what was handed out."""
        return (
            self.report is not None
            and not self.changed
            and all(NOT_WRITTEN in one.message for one in self.report.findings if one.max_points)
        )

    @property
    def changed(self) -> bool:
        """Whether a person gave other points than the report."""
        return self.report is not None and float(self.marks["score"]) != self.report.points

    @property
    def folded(self) -> bool:
        """Whether nobody has to read it."""
        return (self.right or self.unanswered) and not any(
            comment(cell) or cell.get("id") == NOTES for cell in self.cells
        )


@dataclass(frozen=True)
class Reason:
    """Why a task lost points.

    Attributes
    ----------
    aspects
        What is wrong.
    text
        What the report says first about it; empty if an earlier task has said it.
    mistake
        The id of the mistake or of the broken requirement, or None.
    sections
        What to read.
    told_in
        The earlier task that has said it, or "".
    """

    aspects: tuple[str, ...]
    text: str
    mistake: str | None
    sections: tuple[Section, ...]
    told_in: str = ""


def comment(cell: NotebookNode) -> str:
    """Return what a person wrote on a cell; empty if that is nothing."""
    said = str((cell.metadata.get("nbgrader") or {}).get("comment") or "").strip()
    return "" if said == _NO_COMMENT else said


def parts(cells: Sequence[NotebookNode]) -> Iterator[Part]:
    """Yield the parts of a graded notebook.

    The notes on the file, the course's text before an answer that is not right, and what follows
    the last check are parts by themselves.
    """
    some: list[NotebookNode] = []
    for cell in cells:
        some.append(cell)
        marks = cell.metadata.get("nbgrader") or {}
        if marks.get("grade") or marks.get("task"):
            part = Part(some, marks, _report(cell))
            if part.folded:
                yield part
            else:
                text = list(takewhile(_is_text, some))
                yield from [Part(text, {})] if text else []
                yield replace(part, cells=some[len(text) :])
            some = []
        elif cell.get("id") == NOTES:
            yield Part(some, {})
            some = []
    if some:
        yield Part(some, {})


def is_added(cell: NotebookNode) -> bool:
    """Return whether a student added a cell."""
    return str(cell.get("id") or "student-").startswith("student-")


def _is_text(cell: NotebookNode) -> bool:
    """Return whether a cell is the course's own and no check."""
    marks = cell.metadata.get("nbgrader") or {}
    return not is_added(cell) and not any(map(marks.get, ("solution", "grade", "task")))


def reasons(parts: Sequence[Part]) -> dict[str, list[Reason]]:
    """Return why each task lost points, by its name; a mistake is told where it is first made."""
    told: dict[str, str] = {}
    found = {}
    for part in parts:
        if part.lost > 0:
            found[part.name] = [
                one
                # Two errors of the same words may have nothing in common.
                if one.mistake is None or told.setdefault(one.text, part.name) == part.name
                else replace(one, text="", told_in=told[one.text])
                for one in _reasons(part.report)
            ]
    return found


def _report(cell: NotebookNode) -> Report | None:
    """Return the report that grading left with the output of a check."""
    for output in cell.get("outputs", ()):
        if "report" in output.get("metadata", {}):
            return Report.from_dict(output.metadata.report)
    return None


def _reasons(report: Report | None) -> Iterator[Reason]:
    if report is None:
        return
    found: dict[str, list[Finding]] = {}
    for one in report.findings:
        if one.points < one.max_points:
            found.setdefault(_in_short(one), []).append(one)
    for text, findings in found.items():
        first = findings[0]
        everything = len(findings) == sum(one.max_points > 0 for one in report.findings)
        yield Reason(
            ("everything",) if everything else tuple(one.aspect for one in findings),
            text,
            first.misconception,
            first.links or ((tasks[report.task].section,) if report.task in tasks else ()),
        )


def _in_short(finding: Finding) -> str:
    """Return what a message says first, without what the head of the page says anyway."""
    text = finding.in_short
    for section in finding.links:
        text = text.replace(f" Read {section}.", "")
    return text.removesuffix(f" ({finding.misconception})")
