"""Make nbgrader's gradebook fast in a process that grades many submissions.

nbgrader opens the gradebook a dozen times for each submission.  Each time it makes a new engine,
which compiles every query again.  It commits to disk after each cell, and it fails if another
process keeps writing for five seconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import nbgrader.api
from alembic.script import ScriptDirectory
from nbgrader.dbutil import ALEMBIC_DIR
from sqlalchemy import Connection, Engine, create_engine

LOCKED_SECONDS = 300
"""How long to wait for another process that writes to the gradebook."""

_joined: list[_Joined] = []


def keep_engines() -> None:
    """Make nbgrader use one engine for each gradebook, and wait while others write to it.

    Closing a gradebook still closes its connections.
    """
    nbgrader.api.create_engine = _open


def current_schema() -> str:
    """Return the version of the tables that this nbgrader uses."""
    return str(ScriptDirectory(ALEMBIC_DIR).get_current_head())


@contextmanager
def one_transaction(url: str) -> Iterator[None]:
    """Put everything that nbgrader writes to a gradebook into a single transaction.

    The first change locks out other writers until the end, so do nothing slow inside.

    Parameters
    ----------
    url
        The address of the gradebook.  Call `keep_engines` first.
    """
    joined = _Joined(_engine(url))
    with joined, joined.begin():
        _joined.append(joined)
        try:
            yield
        finally:
            _joined.pop()


class _Joined(Connection):
    """A connection whose sessions do not end its transaction; whoever began it does."""

    def dispose(self) -> None:
        """Do nothing; nbgrader calls this to close the engine of a gradebook."""


def _open(url: str, **options: Any) -> Engine | _Joined:
    return _joined[-1] if _joined else _engine(url, **options)


@cache
def _engine(url: str, **options: Any) -> Engine:
    if url.startswith("sqlite:"):
        options["connect_args"] = {"timeout": LOCKED_SECONDS}
    return create_engine(url, **options)
