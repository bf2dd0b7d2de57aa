"""The plug-ins that `nbgrader_config.py` names.

nbgrader's commands, formgrader and `autograder grade` all grade through them.  `SubmissionExporter`
rebuilds a submitted file as our notebook, and `GradeSubmission` grades it.
"""

from __future__ import annotations

import hmac
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import nbformat
from nbconvert.exporters import NotebookExporter
from nbformat import NotebookNode
from nbgrader.api import Gradebook, MissingEntry
from nbgrader.coursedir import CourseDirectory
from nbgrader.preprocessors import NbGraderPreprocessor
from nbgrader.utils import determine_grade, is_grade
from traitlets import Enum, Float, Integer

from autograder.course import names, seals
from autograder.course.secret import course_secret
from autograder.grading.job import Job, warm_sandbox
from autograder.grading.results import Results, result_name
from autograder.intake import notebook_file
from autograder.sandbox import BACKENDS, DEFAULT, Limits

NOTES = "grading-notes"
"""The id of the cell that says what was repaired in a file."""

_NOTES = "autograder_notes"


class SubmissionExporter(NotebookExporter):
    """Read a submitted file as our notebook with the student's answers in it.

    This is the `Autograde.exporter_class`.  nbgrader also reads the sanitized notebook with it,
    which is ours already.  The points of an earlier version are cleared first, so that a failed
    grading leaves none behind.
    """

    def from_filename(self, filename: str, resources: Any = None, **options: Any) -> Any:
        """Convert a file.

        Raises
        ------
        UnreadableError
            When no answers can be found in it.
        SandboxUnavailableError
            When grading has to run it but the sandbox cannot be started.
        """
        whose = resources["nbgrader"]
        assignment, student = whose["assignment"], whose["student"]
        grader = GradeSubmission(parent=self)
        if Path(filename).absolute() != grader.submitted_file(assignment, student).absolute():
            return super().from_filename(filename, resources, **options)
        try:
            job = grader.job(assignment, student)
            rebuilt = job.rebuilt()
            if grader.results.get(result_name(job)) is None:
                grader.check_sandbox()
        except notebook_file.UnreadableError:
            clear_scores(grader.course.db_url, assignment, student)
            raise
        clear_scores(grader.course.db_url, assignment, student)
        rebuilt.notebook.metadata[_NOTES] = list(rebuilt.notes)
        return self.from_notebook_node(rebuilt.notebook, resources, **options)


class GradeSubmission(NbGraderPreprocessor):  # type: ignore[misc]  # nbgrader is untyped
    """Run a rebuilt notebook in a sandbox and judge its answers; the first preprocessor."""

    sandbox = Enum(
        tuple(BACKENDS),
        DEFAULT,
        help=" ".join(f"{one.name!r}: {one.promise}" for one in BACKENDS.values()),
    ).tag(config=True)
    cell_seconds = Float(
        Limits.cell_seconds,
        help="Processor seconds for each cell and each task; the wall-clock limit is twice that.",
    ).tag(config=True)
    notebook_seconds = Float(
        Limits.notebook_seconds, help="Wall-clock seconds for a whole notebook."
    ).tag(config=True)
    memory_megabytes = Integer(
        Limits.memory // 2**20, help="Megabytes of memory that a notebook may use."
    ).tag(config=True)

    @cached_property
    def course(self) -> CourseDirectory:
        """The course that these settings belong to."""
        return CourseDirectory(parent=self)

    @property
    def results(self) -> Results:
        """The outcomes of the course's submissions."""
        return _results(Path(self.course.root))

    @property
    def limits(self) -> Limits:
        """What student code may use."""
        return Limits(
            cell_seconds=self.cell_seconds,
            notebook_seconds=self.notebook_seconds,
            memory=self.memory_megabytes * 2**20,
        )

    def check_sandbox(self) -> None:
        """Raise SandboxUnavailableError if a sandbox with these settings cannot be started."""
        warm_sandbox(self.limits, self.sandbox).check()

    def submitted_file(self, assignment: str, student: str) -> Path:
        """Return the file that a student should have handed in."""
        folder = self.course.format_path(self.course.submitted_directory, student, assignment)
        return Path(folder) / f"{assignment}.ipynb"

    def job(self, assignment: str, student: str) -> Job:
        """Return a submission with all that its outcome depends on.

        Raises
        ------
        UnreadableError
            When the file cannot be read.
        """
        content = notebook_file.read(self.submitted_file(assignment, student))
        released = Path(self.course.format_path(self.course.release_directory, ".", assignment))
        return Job(
            assignment=assignment,
            content=content,
            release=(released / f"{assignment}.ipynb").read_text(encoding="utf-8"),
            key=hmac.digest(course_secret(Path(self.course.root)), content, "sha256"),
            limits=self.limits,
            backend=self.sandbox,
        )

    def preprocess(self, nb: NotebookNode, resources: Any) -> Any:
        """Fill in all outputs, from the kept outcome if there is one, and seal the points."""
        whose = resources["nbgrader"]
        job = self.job(whose["assignment"], whose["student"])
        name = result_name(job)
        outcome = self.results.get(name)
        if outcome is None:
            outcome = job.run()
            self.results.put(name, outcome)
        told = names.tell(outcome, names.read(Path(self.course.root)))
        told.fill(nb, BACKENDS[job.backend].warning)
        seals.write(
            Path(self.course.root),
            whose["assignment"],
            whose["student"],
            {
                cell.metadata.nbgrader.grade_id: determine_grade(cell, self.log)[0]
                for cell in nb.cells
                if is_grade(cell)
            },
        )
        notes = nb.metadata.pop(_NOTES)
        if notes:
            nb.cells.insert(0, _notes_cell(notes))
        return nb, resources


@cache
def _results(root: Path) -> Results:
    return Results(root)


def clear_scores(db_url: str, assignment: str, student: str) -> bool:
    """Clear the points of an earlier version of a submission; return whether it had any."""
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


def _notes_cell(notes: list[str]) -> NotebookNode:
    text = "\n".join(["**About this file**", "", *(f"- {note}" for note in notes)])
    cell: NotebookNode = nbformat.v4.new_markdown_cell(text, id=NOTES)
    return cell
