"""nbgrader's gradebook for a process that grades many submissions.

For each of them nbgrader opens the gradebook a dozen times.  It makes an engine each time, which
compiles every query again, commits to the disk after each cell, and gives up after five seconds
when somebody else writes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import nbgrader.api
from sqlalchemy import Connection, Engine, create_engine

LOCKED_SECONDS = 300
"""How long to wait for another process that writes into the gradebook."""

_joined: list[_Joined] = []


def keep_engines() -> None:
    """Let nbgrader use one engine for each gradebook, and wait for others that write into it.

    A gradebook that is closed closes its connections all the same.
    """
    nbgrader.api.create_engine = _open


@contextmanager
def one_transaction(url: str) -> Iterator[None]:
    """Let all that nbgrader writes into a gradebook meanwhile be written at the end, or not at all.

    It locks others out from the first change on, so nothing slow belongs in it.

    Parameters
    ----------
    url
        Of the gradebook; `keep_engines` has to be called before.
    """
    joined = _Joined(_engine(url))
    with joined, joined.begin():
        _joined.append(joined)
        try:
            yield
        finally:
            _joined.pop()


class _Joined(Connection):
    """Sessions that are bound to it leave the end of its transaction to who began it."""

    def dispose(self) -> None:
        """Do nothing where a gradebook of nbgrader's would close its engine."""


def _open(url: str, **options: Any) -> Engine | _Joined:
    return _joined[-1] if _joined else _engine(url, **options)


@cache
def _engine(url: str, **options: Any) -> Engine:
    if url.startswith("sqlite:"):
        options["connect_args"] = {"timeout": LOCKED_SECONDS}
    return create_engine(url, **options)
