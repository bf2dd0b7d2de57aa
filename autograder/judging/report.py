"""The verdict on one task, as text, HTML and JSON.  All three say the same thing."""

from __future__ import annotations

import html
import textwrap
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from itertools import takewhile
from typing import Any

from autograder import distribution
from autograder.judging.compare import Places
from autograder.task import Section

# Inline, because notebooks do not load our style sheets.
CELL = "text-align:left;vertical-align:top;padding:0.2em 0.7em"
"""The style of a cell in a table."""

_NUMBER = (
    "border:0;font-size:0.9em;font-variant-numeric:tabular-nums;font-weight:normal;"
    "padding:0 1em 0 0;white-space:nowrap"
)

WIDTH = 80
"""How many characters a line of text has at most, as terminals do."""


@cache
def book_address() -> str:
    """Return the address of the published book, ending in a slash; empty if it has none.

    It is one of the project's URLs in `pyproject.toml`.
    """
    return distribution.address("Documentation")


@dataclass(frozen=True)
class Finding:
    """The verdict on one aspect or requirement of a task.

    Attributes
    ----------
    aspect
        The name of the aspect or requirement.
    passed
        Whether it is right.
    message
        What is wrong and what to do; empty when it is right.
    misconception
        Id of the known mistake or of the broken requirement, or None.
    points, max_points
        Points earned and possible.  A finding that can only cost points has a `max_points` of 0
        and `points` of 0 or less.
    links
        Places in the book that explain more.  HTML links to them if the book has an address.
    places
        Where an array is farthest off; empty if nothing can stand side by side.
    """

    aspect: str
    passed: bool
    message: str = ""
    misconception: str | None = None
    points: float = 0.0
    max_points: float = 0.0
    links: tuple[Section, ...] = ()
    places: Places = ()

    @property
    def in_short(self) -> str:
        """What the message says first, with the items of a list that belong to it."""
        first, *others = self.message.splitlines() or [""]
        # Items are indented.
        items = takewhile(lambda line: first.endswith(":") and line.startswith((" ", "\t")), others)
        return " ".join([first, *(item.strip() for item in items)])


@dataclass(frozen=True)
class Report:
    """The verdict on one task.

    Attributes
    ----------
    task
        Name of the function or class.
    findings
        One for each aspect, then one for each reason for which points are deducted.
    printed
        What the student's code printed, truncated; shown only when something is wrong.
    fingerprint
        Of an answer that is wrong, the numbers by which it is recognized; empty if there are none.
    replay
        The code of the inputs on which a wrong answer was graded; empty in a student's notebook.
    """

    task: str
    findings: tuple[Finding, ...]
    printed: str = ""
    fingerprint: tuple[float, ...] = ()
    replay: str = ""

    @property
    def points(self) -> float:
        """Points earned: never negative, never more than `max_points`."""
        return max(0.0, sum(finding.points for finding in self.findings))

    @property
    def max_points(self) -> float:
        """Points that a right answer earns."""
        return sum(finding.max_points for finding in self.findings)

    @property
    def passed(self) -> bool:
        """Whether everything is right."""
        return all(finding.passed for finding in self.findings)

    @property
    def call(self) -> str:
        """The call that meets the inputs of `replay`."""
        return f'check({self.task}, replay="{self.replay}")'

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON-ready values."""
        return {
            "task": self.task,
            "points": self.points,
            "max_points": self.max_points,
            "passed": self.passed,
            "findings": [asdict(finding) for finding in self.findings],
            "printed": self.printed,
            "fingerprint": list(self.fingerprint),
            "replay": self.replay,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Report:
        """Return the report from which `to_dict` made these values."""
        return cls(
            values["task"],
            tuple(map(_finding_of, values["findings"])),
            values["printed"],
            tuple(values["fingerprint"]),
            values["replay"],
        )

    def __str__(self) -> str:
        lines = [self._headline(), ""]
        if self._right:
            (first, *others) = wrapped(self._all_right())
            lines += [f"  right  {first.strip()}", *others]
        width = max((len(finding.aspect) for finding in self._wrong), default=0)
        for finding in self._wrong:
            lines.append(f"  wrong  {finding.aspect:<{width}}  {_points(finding)}")
            message, places = self._told(finding)
            lines += [*wrapped(message), *(f"{' ' * 11}{line}" for line in aligned(places))]
        if self.printed and not self.passed:
            lines += ["", "  Your code printed:", textwrap.indent(self.printed, "    ")]
        if self.replay:
            lines += ["", f"  The same inputs in your notebook: {self.call}"]
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        rows = []
        if self._right:
            rows.append(_row("right", "#2b8a3e", html.escape(self._all_right())))
        for finding in self._wrong:
            message, places = self._told(finding)
            what = f"{html.escape(finding.aspect)}&emsp;{_points(finding)}"
            if message:
                what += (
                    f'<div style="margin-top:0.3em;white-space:pre-wrap">{marked(message)}</div>'
                )
            what += _table(places) + _linked(finding)
            rows.append(_row("wrong", "#e03131", what))
        printed = (
            f"<details><summary>Your code printed</summary><pre>{html.escape(self.printed)}</pre>"
            "</details>"
            if self.printed and not self.passed
            else ""
        )
        again = (
            f"<p>The same inputs in your notebook: <code>{html.escape(self.call)}</code></p>"
            if self.replay
            else ""
        )
        return (
            f"<div><p><b>{html.escape(self._headline())}</b></p>"
            f"<table>{''.join(rows)}</table>{printed}{again}</div>"
        )

    def _headline(self) -> str:
        return f"{self.task}: {self.points:g} of {self.max_points:g} points"

    @property
    def _right(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.passed]

    @property
    def _wrong(self) -> list[Finding]:
        return [finding for finding in self.findings if not finding.passed]

    def _all_right(self) -> str:
        """Say in a line what is right."""
        names = ", ".join(
            f"{finding.aspect} ({finding.points:g})" if finding.max_points else finding.aspect
            for finding in self._right
        )
        return names if self.passed else f"{len(self._right)} of {len(self.findings)}: {names}"

    def _told(self, finding: Finding) -> tuple[str, Places]:
        """Return a finding's message and places; what was said before is not said again."""
        position = next(i for i, other in enumerate(self.findings) if other is finding)
        said = {line for other in self.findings[:position] for line in other.message.splitlines()}
        lines = finding.message.splitlines()
        new = [line for line in lines if line not in said]
        if finding.message and not new:
            return "As above.", ()
        if any(f"({finding.misconception})" in line for line in lines if line in said):
            # What the first numbers showed, more of them do not explain.
            return "\n".join([f"The same mistake ({finding.misconception}).", *new]), ()
        elif len(new) < len(lines) and finding.misconception is None:
            # How many cases are wrong may be said twice; what is said of them leads.
            new = ["As above.", *new] if lines[0] in said else lines
        return "\n".join(new), finding.places


def _finding_of(values: Mapping[str, Any]) -> Finding:
    links = tuple(Section(**link) for link in values["links"])
    places = tuple(map(tuple, values.get("places", ())))
    return Finding(**{**values, "links": links, "places": places})


def aligned(places: Places) -> list[str]:
    """Return the lines of places, with the numbers in columns."""
    widths = [max(map(len, column)) for column in zip(*places, strict=True)]
    return [
        f"{place:<{widths[0]}}  {got:>{widths[1]}}  {expected:>{widths[2]}}"
        for place, got, expected in places
    ]


def _table(places: Places) -> str:
    """Return places as HTML."""
    rows = ""
    for number, row in enumerate(places):
        cell = "td" if number else "th"
        texts = zip(("left", "right", "right"), map(html.escape, row), strict=True)
        cells = (
            f'<{cell} style="{_NUMBER};text-align:{side}">{text}</{cell}>' for side, text in texts
        )
        # Jupyter colors every other row.
        rows += f'<tr style="background:none">{"".join(cells)}</tr>'
    return f'<table style="margin:0.3em 0">{rows}</table>' if rows else ""


def _row(mark: str, color: str, what: str) -> str:
    """Return a row of a report's table; `what` is HTML."""
    return (
        "<tr>"
        f'<td style="{CELL};color:{color}"><b>{mark}</b></td>'
        f'<td style="{CELL};max-width:46em">{what}</td>'
        "</tr>"
    )


def _points(finding: Finding) -> str:
    if finding.max_points:
        return f"{finding.points:g} of {finding.max_points:g}"
    return f"{finding.points:g}" if finding.points else ""


def _linked(finding: Finding) -> str:
    book = book_address()
    if not book or not finding.links:
        return ""
    links = (
        f'<a href="{html.escape(book + link.path)}">{html.escape(link.heading)}</a>'
        for link in finding.links
    )
    return f"<div>In the book: {' · '.join(links)}</div>"


def wrapped(message: str) -> list[str]:
    """Return the lines of a message, wrapped and indented to stand below a row of a report."""
    lines: list[str] = []
    for line in message.splitlines():
        indent = " " * (9 + len(line) - len(line.lstrip()))
        lines += textwrap.wrap(
            line.strip(),
            width=WIDTH,
            initial_indent=indent,
            subsequent_indent=indent,
            # Readers search for the ids of mistakes, which contain hyphens.
            break_on_hyphens=False,
        )
    return lines


def marked(message: str) -> str:
    """Escape a message and format the text between backquotes as code."""
    parts = html.escape(message).split("`")
    if len(parts) % 2 == 0:
        return "`".join(parts)
    return "".join(f"<code>{part}</code>" if i % 2 else part for i, part in enumerate(parts))
