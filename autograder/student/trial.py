"""Run the cells of a notebook and check its tasks, in a process that does nothing else.

`python -m autograder.student.trial` reads a request as JSON and answers with lines of JSON: which
step begins, and what came of it.  Whatever the cells print goes nowhere.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any, TextIO, TypedDict

RUNNING = "AUTOGRADER_TRIAL"
"""The environment variable that says that this is such a process."""

ELSEWHERE = "This runs in your own notebook, and is left out where the notebook is tried."


def is_running() -> bool:
    """Return whether this process tries a notebook, for a student or under stock nbgrader."""
    return RUNNING in os.environ or "NBGRADER_EXECUTION" in os.environ


class Step(TypedDict):
    """One cell: its id, its code, and the task that it checks, if it does."""

    id: str
    source: str
    task: str | None


def main() -> None:
    """Answer the request."""
    steps: list[Step] = json.load(sys.stdin)
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as replies:
        _become_silent()
        _run(steps, replies)
    # Threads of a student's would keep the process alive.
    os._exit(0)


def _become_silent() -> None:
    null = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(null, standard)


def _run(steps: list[Step], replies: TextIO) -> None:
    def say(**message: Any) -> None:
        replies.write(json.dumps(message) + "\n")
        replies.flush()

    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    from autograder.judging.check import grade
    from autograder.judging.fingerprint import PUBLIC_SEED
    from autograder.tasks import tasks

    class Shell(InteractiveShell):
        """IPython's shell, with plots that nobody sees."""

        def enable_gui(self, gui: str | None = None) -> None:
            """Do nothing."""

    config = Config()
    config.HistoryManager.enabled = False
    shell = Shell.instance(config=config)
    # Imports them, and PyTorch, which no cell should be charged for.
    len(tasks)
    say(started=True)
    for step in steps:
        say(begins=step["id"])
        if step["task"] is not None:
            report = grade(step["task"], shell.user_ns, PUBLIC_SEED)
            say(report=report.to_dict())
            continue
        result = shell.run_cell(step["source"])
        error = result.error_before_exec or result.error_in_exec
        say(error=_said(error) if error is not None else "")


def _said(error: BaseException) -> str:
    """Return an exception in a line; its own text may raise."""
    try:
        return f"{type(error).__name__}: {error}".splitlines()[0][:300]
    except Exception:
        return type(error).__name__


if __name__ == "__main__":
    main()
