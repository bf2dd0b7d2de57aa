"""One submission to a graded notebook: the plug-ins that `nbgrader_config.py` names.

`SubmissionExporter` makes a notebook of ours out of the file that was handed in; `GradeSubmission`
runs the student's code in a sandbox, judges what comes back in this process, and puts a report and
one number into the output of each check, where nbgrader reads it.
"""

from __future__ import annotations

import atexit
import base64
import contextlib
import hashlib
import hmac
import os
import secrets
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
from nbconvert.exporters import NotebookExporter
from nbformat import NotebookNode
from nbgrader.api import Gradebook, MissingEntry
from nbgrader.coursedir import CourseDirectory
from nbgrader.preprocessors import NbGraderPreprocessor
from nbgrader.utils import is_grade, is_locked
from traitlets import Enum, Float, Integer

from autograder import notebooks, submission
from autograder.forbidden import forbidden_use
from autograder.judge import judge
from autograder.report import Finding, Report
from autograder.sandbox import Ended, Limits, Sandbox, Session
from autograder.sandbox.pipe import Output
from autograder.task import Task
from autograder.tasks import tasks

SECRET = ".secret"
"""The file of a course, in its root, that inputs are drawn with."""

WITHOUT_SANDBOX = "Graded without a sandbox: this code could have changed its own points.\n"

_KEY = "autograder"
_LOCAL = "none"


# What nbgrader calls.


class SubmissionExporter(NotebookExporter):
    """Read a submitted file as a notebook of ours with the student's answers in it.

    For `Autograde.exporter_class`, which also reads the sanitized notebook again; that one is ours
    already.  The points of an earlier version are cleared first, so that a grading that fails
    leaves none behind.
    """

    def from_filename(self, filename: str, resources: Any = None, **options: Any) -> Any:
        """Convert a file.

        Raises
        ------
        Unreadable
            When there are no answers to be found in it.
        SandboxUnavailable
            When it could not be graded in any case.
        """
        course = CourseDirectory(parent=self)
        whose = resources["nbgrader"]
        assignment, student = whose["assignment"], whose["student"]
        folder = course.format_path(course.submitted_directory, student, assignment)
        if Path(filename).parent.absolute() != Path(folder).absolute():
            return super().from_filename(filename, resources, **options)
        GradeSubmission(parent=self).sandbox_for_student_code().check()
        clear_scores(course.db_url, assignment, student)
        content = submission.read(Path(filename))
        rebuilt = submission.rebuild(content, released_notebook(course, assignment))
        rebuilt.notebook.metadata[_KEY] = {
            "digest": hashlib.sha256(content).hexdigest(),
            "notes": list(rebuilt.notes),
        }
        return self.from_notebook_node(rebuilt.notebook, resources, **options)


class GradeSubmission(NbGraderPreprocessor):  # type: ignore[misc]  # nbgrader is untyped
    """Run a rebuilt notebook in a sandbox and judge its answers; the first of its preprocessors."""

    sandbox = Enum(
        ("bubblewrap", _LOCAL),
        "bubblewrap",
        help="'none' runs students' code with all that you may do; every report then says so.",
    ).tag(config=True)
    cell_seconds = Float(
        Limits.cell_seconds,
        help="Seconds of processor time for each cell and each task; twice as many on the clock.",
    ).tag(config=True)
    notebook_seconds = Float(
        Limits.notebook_seconds, help="Seconds on the clock for a whole notebook."
    ).tag(config=True)
    memory_megabytes = Integer(
        Limits.memory // 2**20, help="Memory that a notebook may use, beyond what Python takes."
    ).tag(config=True)

    def sandbox_for_student_code(self) -> Sandbox:
        """Return the sandbox of this process for these settings."""
        limits = Limits(
            cell_seconds=self.cell_seconds,
            notebook_seconds=self.notebook_seconds,
            memory=self.memory_megabytes * 2**20,
        )
        return _sandbox(limits, self.sandbox)

    def preprocess(self, nb: NotebookNode, resources: Any) -> Any:
        """Fill the outputs of all cells."""
        course = CourseDirectory(parent=self)
        ours = nb.metadata.pop(_KEY)
        digest = bytes.fromhex(ours["digest"])
        key = hmac.digest(course_secret(Path(course.root)), digest, "sha256")
        grade_notebook(nb, key, self.sandbox_for_student_code())
        if ours["notes"]:
            nb.cells.insert(0, _notes(ours["notes"]))
        return nb, resources


@cache
def _sandbox(limits: Limits, isolation: Any) -> Sandbox:
    sandbox = Sandbox(limits, isolation)
    atexit.register(sandbox.close)
    return sandbox


def released_notebook(course: CourseDirectory, assignment: str) -> NotebookNode:
    """Return the notebook that students got."""
    folder = Path(course.format_path(course.release_directory, ".", assignment))
    notebook: NotebookNode = nbformat.read(folder / f"{assignment}.ipynb", as_version=4)
    return notebook


def clear_scores(db_url: str, assignment: str, student: str) -> bool:
    """Take back what an earlier version of a submission got; return whether it got anything."""
    had_points = False
    with Gradebook(db_url) as gradebook:
        try:
            found = gradebook.find_submission(assignment, student)
        except MissingEntry:
            return False
        for notebook in found.notebooks:
            for grade in notebook.grades:
                had_points = had_points or grade.auto_score is not None
                grade.auto_score = None
                grade.needs_manual_grade = True
        gradebook.db.commit()
    return had_points


def course_secret(root: Path) -> bytes:
    """Return the secret of a course; make it when there is none.

    Only its owner can read the file.  With the secret and a submission goes what the submission is
    judged on: who loses it gets other inputs, and no grade changes for a right answer.
    """
    path = root / SECRET
    if not path.exists():
        root.mkdir(parents=True, exist_ok=True)
        new = root / f"{SECRET}.{secrets.token_hex(8)}"
        new.touch(mode=0o600)
        new.write_bytes(secrets.token_bytes(32))
        # Of several processes that make one, the first wins.
        with contextlib.suppress(FileExistsError):
            os.link(new, path)
        new.unlink()
    return path.read_bytes()


# What grading is.


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
    locked = [cell.source for cell in codes if is_locked(cell) and not is_grade(cell)]
    student = [cell.source for cell in codes if not is_locked(cell)]
    with contextlib.closing(_Runner(sandbox, _number(key, "session"))) as runner:
        for cell in codes:
            cell.execution_count = None
            if notebooks.is_demonstration(cell):
                cell.outputs = [_stream("Skipped: grading does not run demonstrations.\n")]
            elif is_grade(cell):
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
    except Ended as ended:
        return _refused(task, f"Your code was stopped when it was tried. {ended}")
    return judge(task, cases, observations)


def _refused(task: Task, reason: str) -> Report:
    return Report(
        task.name, (Finding("all of it", False, reason, max_points=float(task.max_points)),)
    )


def _run(source: str, runner: _Runner) -> Iterator[NotebookNode]:
    try:
        outputs = runner.run(source)
    except Ended as ended:
        yield _new("error", traceback=[f"This cell was left out. {ended}"])
        return
    for output in outputs:
        yield _output(output)


class _Runner:
    """Sessions one after the other: a cell that ended one is left out of the next."""

    def __init__(self, sandbox: Sandbox, seed: int) -> None:
        self._sandbox = sandbox
        self._seed = seed
        self._deadline = time.monotonic() + sandbox.limits.notebook_seconds
        self._session: Session | None = None
        self._ran: list[str] = []

    def run(self, source: str) -> tuple[Output, ...]:
        """Run a cell; raises Ended."""
        outputs = self.session().run_cell(source)
        self._ran.append(source)
        return outputs

    def session(self) -> Session:
        """Return the session, or a new one that is where the last one was; raises Ended."""
        while self._session is None or self._session.closed:
            if time.monotonic() > self._deadline:
                seconds = self._sandbox.limits.notebook_seconds
                raise Ended(f"The notebook took more than {seconds:g} seconds in all.")
            self._session = self._sandbox.session(self._seed, self._deadline)
            for source in list(self._ran):
                try:
                    self._session.run_cell(source)
                except Ended:
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


def _notes(notes: list[str]) -> NotebookNode:
    text = "\n".join(["**About this file**", "", *(f"- {note}" for note in notes)])
    cell: NotebookNode = nbformat.v4.new_markdown_cell(text, id="grading-notes")
    return cell
