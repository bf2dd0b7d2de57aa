"""One submission to a graded notebook: run the student's code in a sandbox, judge what comes out.

Into the output of each check go a report and one number, where nbgrader reads it.  What comes out
follows from what goes in: the bytes of the submission, the released notebook, a key to draw inputs
with, and the versions of tasks and libraries.
"""

from __future__ import annotations

import atexit
import base64
import contextlib
import hmac
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

import nbformat
import numpy as np
from nbformat import NotebookNode

from autograder.intake import exercise as notebooks
from autograder.intake import submission
from autograder.judging.forbidden import forbidden_use
from autograder.judging.judge import judge
from autograder.judging.report import Finding, Report
from autograder.sandbox import EndedError, Isolation, Limits, Sandbox, Session
from autograder.sandbox.pipe import Output
from autograder.task import Task
from autograder.tasks import tasks

WITHOUT_SANDBOX = "Graded without a sandbox: this code could have changed its own points.\n"

_LOCAL = "none"


MAX_SHOWN = 10 * 2**20
"""Bytes of outputs that are kept of one notebook."""

Outputs = dict[str, list[NotebookNode]]
"""The outputs of a graded notebook's cells, by cell id."""


@dataclass(frozen=True)
class Job:
    """A submission, and all that its result follows from but code and libraries.

    Attributes
    ----------
    assignment
        Its name.
    content
        The bytes that were handed in.
    release
        The notebook that students got, as text.
    key
        From the course's secret and the submission; with it, inputs are drawn.
    limits, isolation
        Of the sandbox.
    """

    assignment: str
    content: bytes
    release: str
    key: bytes
    limits: Limits
    isolation: Isolation

    def rebuilt(self) -> submission.Submission:
        """Return our notebook with the student's answers in it.

        Raises
        ------
        UnreadableError
            When there are no answers to be found.
        """
        return submission.rebuild(self.content, nbformat.reads(self.release, as_version=4))

    def run(self) -> Outputs:
        """Grade it in this process's sandbox.

        Raises
        ------
        UnreadableError
            When there are no answers to be found.
        SandboxUnavailableError
            When there is no sandbox to be had here.
        """
        notebook = self.rebuilt().notebook
        grade_notebook(notebook, self.key, warm_sandbox(self.limits, self.isolation))
        return {cell.id: cell.outputs for cell in notebook.cells if cell.cell_type == "code"}


@cache
def warm_sandbox(limits: Limits, isolation: Isolation) -> Sandbox:
    """Return the sandbox of this process for some settings.

    Raises
    ------
    SandboxUnavailableError
        When it cannot even be tried to start one.
    """
    sandbox = Sandbox(limits, isolation)
    atexit.register(sandbox.close)
    sandbox.start()
    # Judging will need it, and it takes as long as the start, which nobody has to wait for.
    import_module("torch")
    return sandbox


def grade_notebook(notebook: NotebookNode, key: bytes, sandbox: Sandbox) -> None:
    """Run a notebook that `submission.rebuild` made, and fill the outputs of its cells.

    Parameters
    ----------
    notebook
        Changed in place.
    key
        From the course's secret and the submission; with it, inputs are drawn.
    sandbox
        Where the student's code runs.
    """
    codes = [cell for cell in notebook.cells if cell.cell_type == "code"]
    locked = [
        cell.source for cell in codes if notebooks.is_locked(cell) and not notebooks.is_check(cell)
    ]
    student = [cell.source for cell in codes if not notebooks.is_locked(cell)]
    with contextlib.closing(_Runner(sandbox, _number(key, "session"))) as runner:
        for cell in codes:
            cell.execution_count = None
            if notebooks.is_demonstration(cell):
                cell.outputs = [_stream("Skipped: grading does not run demonstrations.\n")]
            elif notebooks.is_check(cell):
                task = tasks[cell.metadata.nbgrader.grade_id.removeprefix("check-")]
                reason = forbidden_use(task, student, locked)
                report = _refused(task, reason) if reason else _judged(task, key, runner)
                cell.outputs = [_verdict(report)]
                if sandbox.isolation == _LOCAL:
                    cell.outputs.append(_stream(WITHOUT_SANDBOX))
            else:
                cell.outputs = list(_run(cell.source, runner))


def _judged(task: Task, key: bytes, runner: _Runner) -> Report:
    cases = task.draw(np.random.default_rng(_number(key, task.name)))
    try:
        observations = runner.session().observe(task, cases)
    except EndedError as ended:
        return _refused(task, f"Your code was stopped when it was tried. {ended}")
    return judge(task, cases, observations)


def _refused(task: Task, reason: str) -> Report:
    return Report(
        task.name, (Finding("all of it", False, reason, max_points=float(task.max_points)),)
    )


def _run(source: str, runner: _Runner) -> Iterator[NotebookNode]:
    try:
        outputs = runner.run(source)
    except EndedError as ended:
        text = f"This cell was left out. {ended}"
        yield _new("error", ename="Stopped", evalue=text, traceback=[text])
        return
    for output in outputs:
        if runner.has_room_for(output):
            yield _output(output)
        else:
            yield _stream("(left out: the notebook shows more than can be kept)\n")
            return


class _Runner:
    """Sessions one after the other: a cell that ended one is left out of the next."""

    def __init__(self, sandbox: Sandbox, seed: int) -> None:
        # Its start is not the student's time.
        sandbox.check()
        self._sandbox = sandbox
        self._seed = seed
        self._deadline = time.monotonic() + sandbox.limits.notebook_seconds
        self._session: Session | None = None
        self._ran: list[str] = []
        self._room = MAX_SHOWN

    def has_room_for(self, output: Output) -> bool:
        """Count an output, and say whether the notebook can still show it."""
        self._room -= len(output.text) + len(output.picture)
        return self._room >= 0

    def run(self, source: str) -> tuple[Output, ...]:
        """Run a cell; raises EndedError."""
        outputs = self.session().run_cell(source)
        self._ran.append(source)
        return outputs

    def session(self) -> Session:
        """Return the session, or a new one that is where the last one was; raises EndedError."""
        while self._session is None or self._session.closed:
            if time.monotonic() > self._deadline:
                seconds = self._sandbox.limits.notebook_seconds
                raise EndedError(f"The notebook took more than {seconds:g} seconds in all.")
            self._session = self._sandbox.session(self._seed, self._deadline)
            for source in list(self._ran):
                try:
                    self._session.run_cell(source)
                except EndedError:
                    self._ran.remove(source)
                    break
        return self._session

    def close(self) -> None:
        """End the session."""
        if self._session is not None:
            self._session.close()


def _number(key: bytes, purpose: str) -> int:
    return int.from_bytes(hmac.digest(key, purpose.encode(), "sha256"))


def _verdict(report: Report) -> NotebookNode:
    """Return the output that nbgrader reads as a number and people as a table."""
    data = {"text/plain": repr(float(report.points)), "text/html": report._repr_html_()}
    return _new("execute_result", data)


def _output(output: Output) -> NotebookNode:
    if output.kind == "picture":
        picture = base64.b64encode(output.picture).decode()
        return _new("display_data", {"image/png": picture})
    if output.kind == "text":
        return _new("display_data", {"text/plain": output.text})
    if output.kind == "error":
        return _new("error", ename=output.name, traceback=output.text.splitlines())
    return _stream(output.text, output.kind)


def _stream(text: str, name: str = "stdout") -> NotebookNode:
    return _new("stream", name=name, text=text)


def _new(kind: str, *data: Any, **content: Any) -> NotebookNode:
    output: NotebookNode = nbformat.v4.new_output(kind, *data, **content)
    return output
