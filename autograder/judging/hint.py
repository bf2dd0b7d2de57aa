"""Show the hints of a task one after another."""

from __future__ import annotations

import html
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from autograder.judging.check import WrongCallError, name_of
from autograder.judging.report import marked
from autograder.task import Task
from autograder.tasks import tasks

_given: dict[str, int] = {}
"""How many hints this kernel has given, by task."""


def hint(function: Callable[..., Any] | str) -> Hints:
    """Show the next hint for a task, below the earlier ones.

    Each call reveals a little more, from a first question to almost the answer.  Restarting the
    kernel starts over.  Hints cost no points.

    Parameters
    ----------
    function
        One of your functions or classes, or its name in quotes.

    Raises
    ------
    TypeError
        When it is not one of the course's functions.
    """
    name = function if isinstance(function, str) else name_of(function, "hint")
    if name not in tasks:
        raise WrongCallError.unknown(name, "hint")
    task = tasks[name]
    count = min(_given.get(task.name, 0) + 1, len(task.hints))
    _given[task.name] = count
    return Hints(task, count)


@dataclass(frozen=True, repr=False)
class Hints:
    """The first hints of a task, as text and HTML.

    Attributes
    ----------
    task
        The task.
    count
        How many of its hints to show.
    """

    task: Task
    count: int

    def __repr__(self) -> str:
        lines = [self._headline(), ""]
        for number, text in enumerate(self._shown(), 1):
            lines += textwrap.wrap(
                text, width=96, initial_indent=f"  {number}. ", subsequent_indent=" " * 5
            )
        return "\n".join([*lines, "", *textwrap.wrap(self._next_step(), width=96)])

    def _repr_html_(self) -> str:
        *earlier, newest = (
            f"<p style='margin:0.3em 0'>{marked(text)}</p>" for text in self._shown()
        )
        # Opacity instead of gray, which would be illegible on either a light or a dark page.
        items = [f'<li style="opacity:0.65">{one}</li>' for one in earlier] + [f"<li>{newest}</li>"]
        return (
            f'<div style="max-width:46em"><p><b>{html.escape(self._headline())}</b></p>'
            f"<ol>{''.join(items)}</ol><p>{marked(self._next_step())}</p></div>"
        )

    def _shown(self) -> tuple[str, ...]:
        return self.task.hints[: self.count]

    def _headline(self) -> str:
        return f"{self.task.name}: hint {self.count} of {len(self.task.hints)}"

    def _next_step(self) -> str:
        if self.count < len(self.task.hints):
            return "Run this again for the next one."
        return f"There are no more hints. Read {self.task.section}."
