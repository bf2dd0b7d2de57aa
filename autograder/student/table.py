"""A list of tasks with their points and some remarks, as text and HTML that say the same thing."""

from __future__ import annotations

import html
from dataclasses import dataclass

from autograder.judging.report import CELL, Report, marked, wrapped

RIGHT, PARTLY, WRONG, EMPTY = "right", "partly", "wrong", "empty"

# Legible on light and dark pages.
_COLORS = {RIGHT: "#2b8a3e", PARTLY: "#c05600", WRONG: "#e03131", EMPTY: "inherit"}


@dataclass(frozen=True)
class Row:
    """One task: how it stands, its points and, if there is one, a sentence about it."""

    mark: str
    name: str
    points: float
    max_points: float
    message: str = ""

    @classmethod
    def of(cls, report: Report, message: str = "") -> Row:
        """Return the row of a task that was checked."""
        mark = RIGHT if report.passed else PARTLY if report.points else WRONG
        return cls(mark, report.task, report.points, report.max_points, message)


@dataclass(frozen=True, repr=False)
class Table:
    """What `progress` and `ready` show.

    Attributes
    ----------
    headline
        The result in a line.
    rows
        The tasks.
    remarks
        Headings with sentences below them; a heading may be empty.
    """

    headline: str
    rows: tuple[Row, ...] = ()
    remarks: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def __repr__(self) -> str:
        width = max((len(row.name) for row in self.rows), default=0)
        lines = [self.headline, *([""] if self.rows else [])]
        for row in self.rows:
            lines.append(f"  {row.mark:<6}  {row.name:<{width}}  {_points(row)}")
            lines += wrapped(row.message)
        for heading, sentences in self.remarks:
            lines += ["", *([heading] if heading else [])]
            for sentence in sentences:
                first, *more = wrapped(sentence)
                lines += [f"  - {first.strip()}", *(f"    {line.strip()}" for line in more)]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        rows = "".join(
            "<tr>"
            f'<td style="{CELL};color:{_COLORS[row.mark]}"><b>{row.mark}</b></td>'
            f'<td style="{CELL};max-width:46em"><code>{html.escape(row.name)}</code>'
            f"{f'<div>{marked(row.message)}</div>' if row.message else ''}</td>"
            f'<td style="{CELL};text-align:right;white-space:nowrap">{_points(row)}</td>'
            "</tr>"
            for row in self.rows
        )
        remarks = "".join(
            f"<p style='margin-bottom:0'>{html.escape(heading)}</p>"
            f"<ul style='margin-top:0;max-width:50em'>"
            f"{''.join(f'<li>{marked(sentence)}</li>' for sentence in sentences)}</ul>"
            for heading, sentences in self.remarks
        )
        table = f"<table>{rows}</table>" if rows else ""
        return f"<div><p><b>{html.escape(self.headline)}</b></p>{table}{remarks}</div>"


def total(rows: tuple[Row, ...]) -> str:
    """Return the points of all rows, as in "9 of 25 points"."""
    points, most = sum(row.points for row in rows), sum(row.max_points for row in rows)
    return f"{points:g} of {most:g} points"


def _points(row: Row) -> str:
    return f"{row.points:g} of {row.max_points:g}"
