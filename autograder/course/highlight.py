"""Find the code that takes too long to highlight, which pages then show as it is.

Pygments' time can grow with the square of the code (a star in each line, say), and formgrader
highlights at every view.
"""

from __future__ import annotations

from collections.abc import Sequence

from autograder.intake.apart import TooMuchError, apart

MAX_HIGHLIGHTED = 10_000
"""Characters of the longest cell that is highlighted."""

SECONDS = 2
"""Processor time for all cells of a notebook; honest ones take a hundredth of that."""


def too_slow(sources: Sequence[str]) -> list[bool]:
    """Return for each cell of a notebook whether to show it without colors.

    A cell that is too long is; if the others take too long together, all of them are.
    """
    long = [len(source) > MAX_HIGHLIGHTED for source in sources]
    try:
        apart(
            SECONDS, highlight, [s for s, is_long in zip(sources, long, strict=True) if not is_long]
        )
    except TooMuchError:
        return [True] * len(sources)
    return long


def highlight(sources: Sequence[str]) -> None:
    """Do what a page will do for each cell."""
    from IPython.lib.lexers import IPython3Lexer

    for source in sources:
        for _ in IPython3Lexer().get_tokens(source):
            pass
