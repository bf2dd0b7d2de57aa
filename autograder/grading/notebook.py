"""Grade one submission: run the student's code in a sandbox, then judge what it returned.

The two steps may happen on different machines.  The output of each check is a report and a number
that nbgrader reads.
"""

from __future__ import annotations

import base64
import contextlib
import hmac
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar

import nbformat
import numpy as np
from nbformat import NotebookNode

from autograder.grading.observation import Ended, Observation, Room, observed_cells
from autograder.intake.cells import is_demonstration
from autograder.judging import replay
from autograder.judging.fingerprint import probe_cases
from autograder.judging.judge import first_difference, judge
from autograder.judging.limits import not_judged, notebook_too_slow, refused
from autograder.judging.observed import TaskResult
from autograder.judging.report import Report
from autograder.sandbox import EndedError, Sandbox, Session
from autograder.sandbox.pipe import Output
from autograder.task import Case, Task

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Outcome:
    """The result of grading a submission.

    Attributes
    ----------
    cells
        The outputs of all code cells except checks, by cell id.
    reports
        The reports of the checks, by cell id.
    stopped
        Why a limit or a crash ended a cell or a task, by cell id.
    """

    cells: dict[str, list[NotebookNode]]
    reports: dict[str, Report]
    stopped: dict[str, str] = field(default_factory=dict)

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
    return int.from_bytes(hmac.digest(key, purpose.encode(), "sha256")[: replay.BITS // 8])


Reports = dict[str, Report]
"""Reports by the id of their check."""


def run_notebook(
    notebook: NotebookNode, key: bytes, sandbox: Sandbox
) -> tuple[Observation, Reports]:
    """Run a notebook, and judge it here while it runs.

    Parameters
    ----------
    notebook, key, sandbox
        As for `observe_notebook`.

    Returns
    -------
    seen
        As from `observe_notebook`.
    reports
        The reports of all checks that could be tried.
    """
    reports: Reports = {}

    def look(check: str, task: Task, cases: list[Case], result: TaskResult, probe: _Probe) -> None:
        reports[check] = judge(task, cases, result, probe)

    return _observe(notebook, key, sandbox, look), reports


def observe_notebook(notebook: NotebookNode, key: bytes, sandbox: Sandbox) -> Observation:
    """Run a notebook that `submission.rebuild` made, and try the functions of its tasks.

    Parameters
    ----------
    notebook
        The notebook to run; it is not changed.
    key
        A hash of the course's secret and the submission; it seeds the test inputs.
    sandbox
        Where the student's code runs.
    """

    def look(check: str, task: Task, cases: list[Case], result: TaskResult, probe: _Probe) -> None:
        if first_difference(task, cases, result):
            probe()

    return _observe(notebook, key, sandbox, look)


_Probe = Callable[[], TaskResult | None]
_Look = Callable[[str, Task, list[Case], TaskResult, _Probe], None]


def _observe(notebook: NotebookNode, key: bytes, sandbox: Sandbox, look: _Look) -> Observation:
    """Run a notebook; show each result to `look`, which may ask for that of the public cases."""
    seen, room = Observation(), Room()
    with contextlib.closing(_Sessions(sandbox, key)) as sessions:
        for cell, task in observed_cells(notebook):
            if task is None:
                seen.cells[cell.id] = room.shown(_tried(partial(sessions.run, cell.source)))
                continue
            cases, runner = cases_of(task, key), sessions.of(task)
            result = seen.results[cell.id] = room.returned(_observed(task, cases, runner))

            def probe(
                name: str = cell.id, task: Task = task, runner: _Runner = runner
            ) -> TaskResult | None:
                found = room.returned(_observed(task, probe_cases(task), runner))
                seen.probes[name] = found
                return found if isinstance(found, TaskResult) else None

            if isinstance(result, TaskResult):
                look(cell.id, task, cases, result, probe)
    return seen


def judge_notebook(
    notebook: NotebookNode, key: bytes, seen: Observation, reports: Reports | None = None
) -> Outcome:
    """Judge what was observed of a notebook; never runs a student's code.

    Parameters
    ----------
    notebook, key
        As for `observe_notebook`.
    seen
        What it returned.
    reports
        What has been judged already.
    """
    outcome = Outcome({}, {}, {name: ended.reason for name, ended in seen.ended().items()})
    room = Room()
    for cell in notebook.cells:
        if cell.cell_type == "code" and is_demonstration(cell):
            skipped = _stream("Skipped: grading does not run demonstrations.\n")
            outcome.cells[cell.id] = [skipped]
    for cell, task in observed_cells(notebook):
        if task is None:
            outcome.cells[cell.id] = list(_shown(room.shown(seen.cells[cell.id])))
            continue
        result, probed = seen.results[cell.id], seen.probes.get(cell.id)
        if isinstance(result, Ended):
            outcome.reports[cell.id] = refused(task, not_judged(result.reason))
        elif reports is not None:
            outcome.reports[cell.id] = reports[cell.id]
        else:
            found = probed if isinstance(probed, TaskResult) else None
            outcome.reports[cell.id] = judge(
                task, cases_of(task, key), result, partial(_the_same, found)
            )
        if not outcome.reports[cell.id].passed:
            code = replay.code_of(seed_of(key, task.name))
            outcome.reports[cell.id] = replace(outcome.reports[cell.id], replay=code)
    return outcome


def cases_of(task: Task, key: bytes) -> list[Case]:
    """Return the cases on which a submission is tried."""
    return task.draw(np.random.default_rng(seed_of(key, task.name)))


class _Sessions:
    """Runs the same cells wherever a task of the notebook is tried.

    What the graded notebook shows comes from where nothing is missing.  While one session is asked
    the others stand still, so that none answers for another.
    """

    def __init__(self, sandbox: Sandbox, key: bytes) -> None:
        self._start = partial(_Runner, sandbox, seed_of(key, "session"))
        self._shown = self._start(())
        self._others: dict[tuple[str, ...], _Runner] = {}
        self._awake = self._shown
        self._ran: list[str] = []

    def run(self, source: str) -> tuple[Output, ...]:
        """Run a cell and return what it shows; raises EndedError."""
        outputs = self._only(self._shown).run(source)
        self._ran.append(source)
        return outputs

    def of(self, task: Task) -> _Runner:
        """Return where a task is tried, after all cells so far that came to an end."""
        if not task.forbidden:
            return self._only(self._shown)
        if task.forbidden not in self._others:
            self._others[task.forbidden] = self._start(task.forbidden)
        runner = self._only(self._others[task.forbidden])
        for source in self._ran[runner.tried :]:
            with contextlib.suppress(EndedError):
                runner.run(source)
        return runner

    def _only(self, runner: _Runner) -> _Runner:
        """Let one run, and no other."""
        if runner is not self._awake:
            self._awake.pause()
            self._awake = runner
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
    printed = ""
    with contextlib.closing(_Runner(sandbox, seed_of(key, "session"), task.forbidden)) as runner:
        for cell, found in observed_cells(notebook):
            if found is None:
                shown = _shown(Room().shown(_tried(partial(runner.run, cell.source))))
                printed += "".join(output.text for output in shown if "text" in output)
            elif found is task:
                break
        cases = cases_of(task, key)
        result = _observed(task, cases, runner)
    return printed, cases, not_judged(result.reason) if isinstance(result, Ended) else result


def _the_same(thing: _Result) -> _Result:
    return thing


def _tried(work: Callable[[], _Result]) -> _Result | Ended:
    try:
        return work()
    except EndedError as ended:
        return Ended.of(ended)


def _observed(task: Task, cases: list[Case], runner: _Runner) -> TaskResult | Ended:
    return _tried(lambda: runner.session().observe(task, cases))


def _shown(seen: tuple[Output, ...] | Ended) -> Iterator[NotebookNode]:
    """Yield what a cell showed as a notebook's outputs."""
    if isinstance(seen, Ended):
        text = f"This cell was left out. {seen.reason}"
        yield _new("error", ename="Stopped", evalue=text, traceback=[text])
    else:
        yield from map(_output, seen)


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
                raise EndedError(notebook_too_slow(seconds), by_clock=True)
            self._session = self._sandbox.session(self._seed, self._deadline, self._forbidden)
            for source in list(self._ran):
                try:
                    self._session.run_cell(source)
                except EndedError:
                    self._ran.remove(source)
                    break
        return self._session

    def pause(self) -> None:
        """Let nothing run until something is asked."""
        if self._session is not None:
            self._session.pause()

    def close(self) -> None:
        """End the session."""
        if self._session is not None:
            self._session.close()


def _verdict(report: Report) -> NotebookNode:
    """Return the output that nbgrader reads as a number and people see as a table.

    The head of the feedback page is made from the report that goes with it.
    """
    data = {"text/plain": repr(float(report.points)), "text/html": report._repr_html_()}
    short = replace(report, printed="", fingerprint=())
    return _new("execute_result", data, metadata={"report": short.to_dict()})


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
