"""Grade one submission: run the student's code in a sandbox and judge what it returns.

The output of each check is a report and a number that nbgrader reads.
"""

from __future__ import annotations

import base64
import contextlib
import hmac
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import nbformat
import numpy as np
from nbformat import NotebookNode

from autograder.intake.exercise import is_check, is_demonstration, task_of
from autograder.judging.fingerprint import probe_cases
from autograder.judging.judge import judge
from autograder.judging.observed import TaskResult
from autograder.judging.report import Finding, Report
from autograder.sandbox import EndedError, Sandbox, Session
from autograder.sandbox.pipe import Output
from autograder.task import Case, Task
from autograder.tasks import tasks

MAX_SHOWN = 10 * 2**20
"""Characters and bytes of output to keep for one notebook."""


@dataclass(frozen=True)
class Outcome:
    """The result of grading a submission.

    Attributes
    ----------
    cells
        The outputs of all code cells except checks, by cell id.
    reports
        The reports of the checks, by cell id.
    """

    cells: dict[str, list[NotebookNode]]
    reports: dict[str, Report]

    def fill(self, notebook: NotebookNode, warning: str) -> None:
        """Put all outputs into a rebuilt notebook, in place.

        Parameters
        ----------
        notebook
            The result of `submission.rebuild`.
        warning
            A warning to show below each report; empty if there is none.
        """
        for cell in notebook.cells:
            if cell.cell_type != "code":
                continue
            if cell.id in self.reports:
                cell.outputs = [_verdict(self.reports[cell.id])]
                cell.outputs += [_stream(f"{warning}\n")] if warning else []
            else:
                cell.outputs = self.cells[cell.id]


def seed_of(key: bytes, purpose: str) -> int:
    """Derive a seed for a task or another purpose from a submission's key."""
    return int.from_bytes(hmac.digest(key, purpose.encode(), "sha256"))


def grade_notebook(notebook: NotebookNode, key: bytes, sandbox: Sandbox) -> Outcome:
    """Run a notebook that `submission.rebuild` made, and judge its answers.

    Parameters
    ----------
    notebook
        The notebook to run; it is not changed.
    key
        A hash of the course's secret and the submission; it seeds the test inputs.
    sandbox
        Where the student's code runs.
    """
    outcome = Outcome({}, {})
    with contextlib.closing(_Sessions(sandbox, key)) as sessions:
        for cell in notebook.cells:
            if cell.cell_type != "code":
                continue
            if is_demonstration(cell):
                skipped = _stream("Skipped: grading does not run demonstrations.\n")
                outcome.cells[cell.id] = [skipped]
            elif is_check(cell):
                task = tasks[task_of(cell.metadata.nbgrader.grade_id)]
                outcome.reports[cell.id] = _judged(task, key, sessions.of(task))
            else:
                outcome.cells[cell.id] = list(_run(cell.source, sessions))
    return outcome


class _Sessions:
    """Runs the same cells wherever a task of the notebook is tried.

    What the graded notebook shows comes from where nothing is missing.
    """

    def __init__(self, sandbox: Sandbox, key: bytes) -> None:
        self._start = partial(_Runner, sandbox, seed_of(key, "session"))
        self._shown = self._start(())
        self._others: dict[tuple[str, ...], _Runner] = {}
        self._ran: list[str] = []
        self.has_room_for = self._shown.has_room_for

    def run(self, source: str) -> tuple[Output, ...]:
        """Run a cell and return what it shows; raises EndedError."""
        outputs = self._shown.run(source)
        self._ran.append(source)
        return outputs

    def of(self, task: Task) -> _Runner:
        """Return where a task is tried, after all cells so far that came to an end."""
        if not task.forbidden:
            return self._shown
        if task.forbidden not in self._others:
            self._others[task.forbidden] = self._start(task.forbidden)
        runner = self._others[task.forbidden]
        for source in self._ran[runner.tried :]:
            with contextlib.suppress(EndedError):
                runner.run(source)
        return runner

    def close(self) -> None:
        """End all sessions."""
        for runner in (self._shown, *self._others.values()):
            runner.close()


def observe_task(
    notebook: NotebookNode, key: bytes, sandbox: Sandbox, task: Task
) -> tuple[str, list[Case], TaskResult | str]:
    """Run a notebook up to the check of one task, and try that task.

    Parameters
    ----------
    notebook, key, sandbox
        As for `grade_notebook`.
    task
        The task to try.

    Returns
    -------
    printed
        What the student's cells printed before the check.
    cases
        The cases of the task.
    result
        What the student's functions returned, or why nothing came back.
    """
    printed = []
    start = _Runner(sandbox, seed_of(key, "session"), task.forbidden)
    with contextlib.closing(start) as runner:
        for cell in notebook.cells:
            if cell.cell_type != "code" or is_demonstration(cell):
                continue
            if not is_check(cell):
                outputs = list(_run(cell.source, runner))
                printed += [output.text for output in outputs if "text" in output]
            elif task_of(cell.metadata.nbgrader.grade_id) == task.name:
                break
        return "".join(printed), *_observed(task, key, runner)


def _judged(task: Task, key: bytes, runner: _Runner) -> Report:
    cases, result = _observed(task, key, runner)
    if isinstance(result, str):
        return _refused(task, result)
    return judge(task, cases, result, lambda: _probed(task, runner))


def _observed(task: Task, key: bytes, runner: _Runner) -> tuple[list[Case], TaskResult | str]:
    cases = task.draw(np.random.default_rng(seed_of(key, task.name)))
    try:
        return cases, runner.session().observe(task, cases)
    except EndedError as ended:
        return cases, f"Your code was stopped when it was tried. {ended}"


def _probed(task: Task, runner: _Runner) -> TaskResult | None:
    """Run the student's functions where everybody's are run; a name is all that depends on it."""
    with contextlib.suppress(EndedError):
        return runner.session().observe(task, probe_cases(task))
    return None


def _refused(task: Task, reason: str) -> Report:
    return Report(
        task.name, (Finding("all of it", False, reason, max_points=float(task.max_points)),)
    )


def _run(source: str, runner: _Runner | _Sessions) -> Iterator[NotebookNode]:
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
    """Runs cells in a session; after a cell ends it, starts another one without that cell."""

    def __init__(self, sandbox: Sandbox, seed: int, forbidden: tuple[str, ...]) -> None:
        # Start the sandbox first, so that its startup does not count against the deadline.
        sandbox.check()
        self._sandbox = sandbox
        self._seed = seed
        self._forbidden = forbidden
        self._deadline = time.monotonic() + sandbox.limits.notebook_seconds
        self._session: Session | None = None
        self.tried = 0
        self._ran: list[str] = []
        self._room = MAX_SHOWN

    def has_room_for(self, output: Output) -> bool:
        """Count an output, and return whether the notebook can still show it."""
        self._room -= len(output.text) + len(output.picture)
        return self._room >= 0

    def run(self, source: str) -> tuple[Output, ...]:
        """Run a cell; raises EndedError."""
        self.tried += 1
        outputs = self.session().run_cell(source)
        self._ran.append(source)
        return outputs

    def session(self) -> Session:
        """Return the session, or a new one that has run the same cells; raises EndedError."""
        while self._session is None or self._session.closed:
            if time.monotonic() > self._deadline:
                seconds = self._sandbox.limits.notebook_seconds
                raise EndedError(f"The notebook took more than {seconds:g} seconds in all.")
            self._session = self._sandbox.session(self._seed, self._deadline, self._forbidden)
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


def _verdict(report: Report) -> NotebookNode:
    """Return the output that nbgrader reads as a number and people see as a table."""
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
