"""Run a notebook as grading will, but for the sandbox and for the inputs: in a fresh process.

The file is rebuilt first, as grading does it, so what counts there counts here.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

from nbformat import NotebookNode

from autograder.intake.cells import is_check, is_demonstration, task_of
from autograder.intake.submission import rebuild_text
from autograder.judging import limits
from autograder.judging.report import Report
from autograder.student.trial import RUNNING, Step

SECONDS = 2 * limits.SECONDS
"""How long a cell may take: twice the processor time that it has when it is graded."""

_START_SECONDS = 600.0


@dataclass(frozen=True)
class Rehearsal:
    """What grading will make of a file.

    Attributes
    ----------
    notebook
        The course's notebook with the student's answers in it.
    notes
        What was repaired.
    reports
        What the public checks say, by task.
    stopped
        Why a cell or a task did not come to an end, by cell id.
    errors
        The exceptions that cells raised, by cell id.
    """

    notebook: NotebookNode
    notes: tuple[str, ...]
    reports: dict[str, Report] = field(default_factory=dict)
    stopped: dict[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)


def rehearse(content: bytes, release: str, seconds: float = SECONDS) -> Rehearsal:
    """Rebuild a file, run it, and check its tasks on the inputs of the notebook's checks.

    A cell that does not come to an end is left out, and the others are run again.

    Parameters
    ----------
    content
        Any bytes.
    release
        The text of the released notebook.
    seconds
        How long a cell may take.

    Raises
    ------
    UnreadableError
        When grading will refuse the file.
    """
    submission = rebuild_text(content, release)
    done = Rehearsal(submission.notebook, submission.notes)
    steps = [
        Step(
            id=cell.id,
            source=cell.source,
            task=task_of(cell.metadata.nbgrader.grade_id) if is_check(cell) else None,
        )
        for cell in submission.notebook.cells
        if cell.cell_type == "code" and not is_demonstration(cell)
    ]
    while True:
        done.reports.clear()
        done.errors.clear()
        stopped = _try(steps, done, seconds)
        if stopped is None:
            return done
        steps = [step for step in steps if step["id"] != stopped]


def _try(steps: list[Step], done: Rehearsal, seconds: float) -> str | None:
    """Run steps in a new process; return the id of one that did not come to an end."""
    current: str | None = None
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        with _Trial(steps, folder) as trial:
            while message := trial.message(seconds):
                if "begins" in message:
                    current = message["begins"]
                    continue
                if "stopped" in message:
                    break
                if "report" in message:
                    report = Report.from_dict(message["report"])
                    done.reports[report.task] = report
                elif message["error"] and current is not None:
                    done.errors[current] = message["error"]
                current = None
        if current is not None:
            done.stopped[current] = message.get("stopped", limits.ENDED)
    return current


class _Trial:
    """The other process, and what it says."""

    def __init__(self, steps: list[Step], folder: str) -> None:
        # In an empty folder, because nothing but the notebook is handed in; plots need no screen.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-W", "ignore", "-m", "autograder.student.trial"],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, RUNNING: "yes", "MPLBACKEND": "agg", "IPYTHONDIR": folder},
        )
        self._lines: SimpleQueue[bytes] = SimpleQueue()
        self._reader = Thread(target=self._read, daemon=True)
        self._steps = steps

    def __enter__(self) -> _Trial:
        self._reader.start()
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError), self._process.stdin as stream:
            stream.write(json.dumps(self._steps).encode())
        if "started" not in self.message(_START_SECONDS):
            raise RuntimeError(
                f"`{sys.executable} -m autograder.student.trial` does not start: run it to see."
            )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        # Processes that it has left behind may keep the pipe open.
        self._reader.join(timeout=1)
        if self._process.stdout is not None and not self._reader.is_alive():
            self._process.stdout.close()

    def _read(self) -> None:
        for line in self._process.stdout or ():
            self._lines.put(line)
        self._lines.put(b"")

    def message(self, seconds: float) -> dict[str, Any]:
        """Return the next message; empty at the end, and "stopped" if it is silent for long."""
        try:
            line = self._lines.get(timeout=seconds)
        except Empty:
            return {"stopped": limits.not_finished(seconds)}
        found: dict[str, Any] = json.loads(line) if line else {}
        return found
