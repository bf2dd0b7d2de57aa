"""Show the hints of a task one after another, and ask a question before each next one."""

from __future__ import annotations

import html
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from autograder.judging.check import WrongCallError, name_of
from autograder.judging.report import WIDTH, marked
from autograder.task import Task
from autograder.tasks import tasks

_given: dict[str, list[str]] = {}
"""What a student answered to each hint that this kernel has given, by task; "" for nothing."""


def hint(function: Callable[..., Any] | str, answer: str = "") -> Hints:
    """Show the next hint for a task, below the earlier ones.

    Each call reveals a little more, from a first question to almost the answer.  All hints but the
    last end with a question; the next one can be compared with what a student makes of it.  An
    answer is optional.  It is kept in this kernel alone, and nobody grades it.  Restarting the
    kernel starts over.  Hints cost no points.

    Students who are asked to explain to themselves what they have read understand more: Chi, de
    Leeuw, Chiu and LaVancher, "Eliciting self-explanations improves understanding", Cognitive
    Science 18 (1994).  A mean effect of g = 0.55 in 64 studies: Bisra, Liu, Nesbit, Salimi and
    Winne, "Inducing self-explanation: a meta-analysis", Educational Psychology Review 30 (2018).

    Parameters
    ----------
    function
        One of your functions or classes, or its name in quotes.
    answer
        A sentence in answer to the question of the last hint.

    Raises
    ------
    TypeError
        When it is not one of the course's functions, or the answer is not text.
    """
    name = function if isinstance(function, str) else name_of(function, "hint")
    if name not in tasks:
        raise WrongCallError.unknown(name, "hint")
    if not isinstance(answer, str):
        raise WrongCallError(
            f"hint() was given an answer of the type {type(answer).__name__}. Write a sentence in "
            "quotes."
        )
    task, answers = tasks[name], _given.setdefault(name, [])
    if len(answers) < len(task.hints):
        # A cell that runs twice does not answer two questions.
        if answers and answer.strip() not in answers:
            answers[-1] = answer.strip()
        answers.append("")
    return Hints(task, tuple(answers))


@dataclass(frozen=True, repr=False)
class Hints:
    """The first hints of a task, as text and HTML.

    Attributes
    ----------
    task
        The task.
    answers
        For each hint that is shown, what the student answered to its question; "" for nothing.
    """

    task: Task
    answers: tuple[str, ...]

    @property
    def count(self) -> int:
        """How many hints are shown."""
        return len(self.answers)

    def __repr__(self) -> str:
        lines = [self._headline(), ""]
        for number, (text, answer) in enumerate(self._shown(), 1):
            lines += _wrapped(text, f"  {number}. ")
            if answer:
                lines += _wrapped(f"You: {answer}", " " * 5)
        lines.append("")
        for line in self._next_step().splitlines():
            lines += _wrapped(line)
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        *earlier, newest = (
            f"<p style='margin:0.3em 0'>{marked(text)}</p>"
            + (f"<p style='margin:0.3em 0'><i>You: {html.escape(answer)}</i></p>" if answer else "")
            for text, answer in self._shown()
        )
        # Opacity instead of gray, which would be illegible on either a light or a dark page.
        items = [f'<li style="opacity:0.65">{one}</li>' for one in earlier] + [f"<li>{newest}</li>"]
        return (
            f'<div style="max-width:46em"><p><b>{html.escape(self._headline())}</b></p>'
            f"<ol>{''.join(items)}</ol><p>{marked(self._next_step())}</p></div>"
        )

    def _shown(self) -> list[tuple[str, str]]:
        return list(zip(self.task.hints, self.answers, strict=False))

    def _headline(self) -> str:
        return f"{self.task.name}: hint {self.count} of {len(self.task.hints)}"

    def _next_step(self) -> str:
        if self.count < len(self.task.hints):
            return (
                "Before the next hint, answer the question in a sentence:\n"
                f'`hint({self.task.name}, "...")`. Nobody grades it. To skip it, run this again.'
            )
        return f"There are no more hints. Read {self.task.section}."


def _wrapped(text: str, indent: str = "") -> list[str]:
    return textwrap.wrap(
        text, width=WIDTH, initial_indent=indent, subsequent_indent=" " * len(indent)
    )
