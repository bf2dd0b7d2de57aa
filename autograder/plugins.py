"""What `nbgrader_config.py` names: nbgrader's own commands, formgrader and ours grade through it.

`SubmissionExporter` makes a notebook of ours out of the file that was handed in; `GradeSubmission`
grades it.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import hmac
import os
import secrets
from functools import cache
from pathlib import Path
from typing import Any

import nbformat
from nbconvert.exporters import NotebookExporter
from nbformat import NotebookNode
from nbgrader.api import Gradebook, MissingEntry
from nbgrader.coursedir import CourseDirectory
from nbgrader.preprocessors import NbGraderPreprocessor
from traitlets import Enum, Float, Integer

from autograder import submission
from autograder.grading import grade_notebook
from autograder.sandbox import Limits, Sandbox

SECRET = ".secret"
"""The file of a course, in its root, that inputs are drawn with."""

_KEY = "autograder"


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
        ("bubblewrap", "none"),
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


def _notes(notes: list[str]) -> NotebookNode:
    text = "\n".join(["**About this file**", "", *(f"- {note}" for note in notes)])
    cell: NotebookNode = nbformat.v4.new_markdown_cell(text, id="grading-notes")
    return cell
