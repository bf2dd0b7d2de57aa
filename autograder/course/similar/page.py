"""What is alike as one HTML page, side by side, that runs no script and loads nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from autograder.course.class_report.page import rendered
from autograder.course.similar.alike import Likeness, Pair
from autograder.course.similar.compare import Similar

SHOWN = 50
"""How many pairs the page shows."""


def html_page(found: Similar) -> str:
    """Return the page; everything that a student wrote or is called is escaped."""

    def sides(pair: Pair, likeness: Likeness) -> Iterator[tuple[str, list[tuple[str, bool]]]]:
        for student in pair.students:
            code = found.code[student][likeness.task]
            marked = code.lines_with(likeness.rare)
            lines = enumerate(code.source.split("\n"))
            own = (
                (number, line) for number, line in lines if line.rstrip() not in found.handed_out
            )
            yield student, [(line, number in marked) for number, line in own]

    template = Path(__file__).with_name("page.html.j2")
    return rendered(template, {}, found=found, shown=found.pairs[:SHOWN], sides=sides)
