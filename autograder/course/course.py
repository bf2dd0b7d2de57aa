"""A course's folder: release assignments and grade submissions, all through nbgrader's API.

So `nbgrader autograde`, formgrader and `autograder grade` do the same thing, by the plug-ins of
`autograder.course.plugins`.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sys
import time
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

from nbgrader.api import Gradebook, MissingEntry
from nbgrader.apps import NbGraderAPI
from traitlets.config.loader import Config, PyFileConfigLoader

from autograder.intake import exercise as notebooks
from autograder.course import plugins
from autograder.intake import submission
from autograder.course.gradebook import keep_engines, one_transaction
from autograder.grading.notebook import Job, Outputs
from autograder.course.sanitize import spell_out
from autograder.grading.results import result_name
from autograder.sandbox import SandboxUnavailableError, readable

CONFIG = "nbgrader_config.py"
LOG = "grading.log"


class CourseError(Exception):
    """Something that has to be put right first; the message is one line that says what to do."""


@dataclass(frozen=True)
class Result:
    """What became of one submission.

    Attributes
    ----------
    assignment, student
        Whose it is.
    points, max_points
        The grade; None when it was not graded.
    problem
        Why it was not graded, or has no feedback; empty when all went well.
    log
        What nbgrader had to say.
    seconds
        How long it took.
    """

    assignment: str
    student: str
    points: float | None = None
    max_points: float | None = None
    problem: str = ""
    log: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class Course:
    """The course of one `nbgrader_config.py`.

    Attributes
    ----------
    config_file
        That file.
    sandbox
        Takes the place of `GradeSubmission.sandbox` in it, unless None.
    """

    config_file: Path
    sandbox: str | None = None

    @classmethod
    def nearest(cls, folder: Path) -> Course:
        """Return the course whose `nbgrader_config.py` is in `folder` or nearest above it.

        Raises
        ------
        CourseError
            When there is none.
        """
        folder = folder.resolve()
        for candidate in (folder, *folder.parents):
            if (candidate / CONFIG).is_file():
                return cls(candidate / CONFIG)
        raise CourseError(f"No {CONFIG} here or above: change into the folder of a course.")

    @cached_property
    def api(self) -> NbGraderAPI:
        """nbgrader, configured for this course."""
        # nbgrader calls alembic, which lies beside this Python, to make a gradebook.
        scripts = str(Path(sys.executable).parent)
        if scripts not in os.environ["PATH"].split(os.pathsep):
            os.environ["PATH"] = scripts + os.pathsep + os.environ["PATH"]
        try:
            config = PyFileConfigLoader(self.config_file.name, str(self.config_file.parent))
            settings = Config(config.load_config())
            if self.sandbox is not None:
                settings.GradeSubmission.sandbox = self.sandbox
            keep_engines()
            return NbGraderAPI(config=settings)
        except Exception as error:
            raise CourseError(f"{self.config_file} cannot be used: {error}") from error

    @cached_property
    def grader(self) -> plugins.GradeSubmission:
        """The plug-in that grades, with this course's settings."""
        return plugins.GradeSubmission(config=self.api.config)

    @cached_property
    def root(self) -> Path:
        """The folder with source, release, submitted, autograded, feedback and gradebook."""
        return Path(self.api.coursedir.root)

    @cached_property
    def exercises(self) -> Path:
        """The folder `exercises` beside the configuration or nearest above it."""
        for folder in self.config_file.parents:
            if (folder / "exercises").is_dir():
                return folder / "exercises"
        raise CourseError(f"No folder exercises beside {self.config_file} or above it.")

    def folder(self, step: str, student: str, assignment: str) -> Path:
        """Return nbgrader's folder for a step such as "submitted"; "." is no student."""
        directory = getattr(self.api.coursedir, f"{step}_directory")
        return Path(self.api.coursedir.format_path(directory, student, assignment))

    # Releasing.

    def release(self, source: Path) -> str:
        """Write nbgrader's source and release of one exercise; return what was done.

        Parameters
        ----------
        source
            The file `NAME/NAME.py`.

        Raises
        ------
        CourseError
            When it cannot be released; nothing has been changed then.
        """
        name = source.stem
        try:
            notebook = notebooks.source_notebook(source)
        except notebooks.SourceError as error:
            raise CourseError(str(error)) from error
        self.root.mkdir(parents=True, exist_ok=True)
        with self.api.gradebook as gradebook:
            known, submissions = _recorded_cells(gradebook, name)
        ours = {
            cell.metadata.nbgrader.grade_id
            for cell in notebook.cells
            if "nbgrader" in cell.metadata
        }
        if submissions and known != ours:
            # nbgrader would delete the release first and complain afterwards.
            different = ", ".join(sorted(known ^ ours))
            raise CourseError(
                f"{name}: cells came or went ({different}), and nbgrader cannot change them once "
                f"there are submissions ({submissions}); undo that, or release under a new name."
            )
        changed = notebooks.write(notebook, self.folder("source", ".", name) / f"{name}.ipynb")
        if not changed and known and (self.folder("release", ".", name) / f"{name}.ipynb").exists():
            return "unchanged"
        done = self.api.generate_assignment(name, force=True)
        self.keep_log(done.get("log", "") + done.get("error", ""))
        if not done["success"]:
            raise CourseError(f"{name}: {_last_error(done)} (see {self.root / LOG}).")
        if submissions:
            return "released again; `autograder grade --force` grades by the new version"
        return "released"

    # Grading.

    def check_course_hidden(self) -> None:
        """Make sure that a sandbox on this machine would not show the course.

        Raises
        ------
        CourseError
            When it would.
        """
        for shown in readable():
            if self.root.resolve().is_relative_to(shown):
                raise CourseError(
                    f"Students' code would see the course in {self.root}, because Python is in "
                    f"{shown}; make Python's environment in a folder of its own, such as .venv."
                )

    def check_sandbox(self) -> None:
        """Make sure that submissions can be run in this process as the settings ask.

        Raises
        ------
        CourseError
            When the sandbox cannot be built.
        """
        try:
            self.grader.check_sandbox()
        except SandboxUnavailableError as error:
            raise CourseError(str(error)) from None

    def released(self) -> list[str]:
        """Return the names of the assignments in the gradebook."""
        url = self.api.coursedir.db_url
        if url.startswith("sqlite:///") and not Path(url.removeprefix("sqlite:///")).exists():
            # Opening it would make an empty one.
            return []
        with self.api.gradebook as gradebook:
            return [assignment.name for assignment in gradebook.assignments]

    def submissions(self, assignment: str) -> list[str]:
        """Return the students who handed in something, in order."""
        return sorted(self.api.get_submitted_students(assignment))

    def add_students(self, students: set[str]) -> None:
        """Enter students into the gradebook.

        Two processes that grade for one new student would both try.
        """
        with one_transaction(self.api.coursedir.db_url), self.api.gradebook as gradebook:
            new = students - {student.id for student in gradebook.students}
            for student in sorted(new):
                gradebook.add_student(student)

    def points(self, assignment: str) -> dict[str, tuple[float, float]]:
        """Return points and maximum of all students whose grade is complete."""
        with self.api.gradebook as gradebook:
            return {
                submission.student_id: (submission.score, submission.max_score)
                for submission in gradebook.assignment_submissions(assignment)
                if all(
                    grade.auto_score is not None
                    for notebook in submission.notebooks
                    for grade in notebook.grades
                )
            }

    def is_up_to_date(self, assignment: str, student: str) -> bool:
        """Say whether exactly these files have been graded."""
        record = self._record(assignment, student)
        graded = self.folder("autograded", student, assignment) / f"{assignment}.ipynb"
        try:
            return graded.exists() and record.read_text() == self._state(assignment, student)
        except (OSError, submission.UnreadableError):
            return False

    def job(self, assignment: str, student: str) -> Job:
        """Return what is to be run of a submission.

        Raises
        ------
        UnreadableError
            When the file cannot be read.
        """
        return self.grader.job(assignment, student)

    def has_result(self, assignment: str, student: str) -> bool:
        """Say whether a submission has been run; what cannot be read needs no running."""
        try:
            return self.grader.results.has(result_name(self.job(assignment, student)))
        except submission.UnreadableError:
            return True

    def keep_result(self, job: Job, outputs: Outputs) -> None:
        """Keep what running a submission gave, for `grade`."""
        self.grader.results.put(result_name(job), outputs)

    def forget_result(self, assignment: str, student: str) -> None:
        """Let a submission be run again."""
        with contextlib.suppress(submission.UnreadableError):
            self.grader.results.drop(result_name(self.job(assignment, student)))

    def grade(self, assignment: str, student: str, feedback: bool = True) -> Result:
        """Grade one submission, whatever it looks like; run it if there is no result of it.

        Parameters
        ----------
        assignment, student
            Which one.
        feedback
            Whether to make the feedback page too.
        """
        started = time.monotonic()
        # Should this process be killed, the submission must not look graded.
        self._record(assignment, student).unlink(missing_ok=True)
        problem = self._unreadable(assignment, student)
        if problem:
            return self.set_aside(assignment, student, problem)
        state = self._state(assignment, student)
        self._run(assignment, student)
        with one_transaction(self.api.coursedir.db_url):
            done = self.api.autograde(assignment, student, force=True)
        log = done.get("log", "")
        if not done["success"]:
            if "KeyboardInterrupt" in done["error"]:
                raise KeyboardInterrupt
            return self.set_aside(assignment, student, _last_error(done), log + done["error"])
        if feedback:
            done = self.api.generate_feedback(assignment, student, force=True)
            log += done.get("log", "")
            if not done["success"]:
                log += done["error"]
                problem = f"graded, but without feedback: {_last_error(done)}"
        record = self._record(assignment, student)
        record.parent.mkdir(parents=True, exist_ok=True)
        record.write_text(state)
        with self.api.gradebook as gradebook:
            found = gradebook.find_submission(assignment, student)
            points, maximum = found.score, found.max_score
        return Result(
            assignment, student, points, maximum, problem, log, time.monotonic() - started
        )

    def _run(self, assignment: str, student: str) -> None:
        """Run a submission unless that has been done; the gradebook is not kept waiting for it."""
        job = self.job(assignment, student)
        if not self.grader.results.has(result_name(job)):
            try:
                self.keep_result(job, job.run())
            except SandboxUnavailableError as error:
                raise CourseError(str(error)) from None

    def _record(self, assignment: str, student: str) -> Path:
        return self.root / ".graded" / student / assignment

    def _state(self, assignment: str, student: str) -> str:
        """Return what the grade of a submission follows from, its lateness included."""
        timestamp = self.folder("submitted", student, assignment) / "timestamp.txt"
        handed_in = (
            submission.read(timestamp).decode("utf-8", "replace") if timestamp.exists() else ""
        )
        return f"{result_name(self.job(assignment, student))} {handed_in}"

    def set_aside(self, assignment: str, student: str, problem: str, log: str = "") -> Result:
        """Take back what an earlier version of a submission that cannot be graded got."""
        for step in ("autograded", "feedback"):
            shutil.rmtree(self.folder(step, student, assignment), ignore_errors=True)
        self._record(assignment, student).unlink(missing_ok=True)
        if plugins.clear_scores(self.api.coursedir.db_url, assignment, student):
            problem += "; the points of an earlier version were cleared"
        return Result(assignment, student, problem=problem, log=log)

    def _unreadable(self, assignment: str, student: str) -> str:
        """Return why no answers can be found in a submission; empty if they can."""
        folder = self.folder("submitted", student, assignment)
        path = folder / f"{assignment}.ipynb"
        if not os.path.lexists(path):
            found = ", ".join(sorted(other.name for other in islice(folder.iterdir(), 10)))
            return f"there is no {path.name}, only {spell_out(found, 300) or 'nothing'}"
        try:
            self.job(assignment, student).rebuilt()
        except submission.UnreadableError as error:
            return str(error)
        return ""

    def keep_log(self, text: str) -> None:
        """Append what nbgrader said to the course's log."""
        if text:
            with (self.root / LOG).open("a", encoding="utf-8") as file:
                file.write(text.rstrip("\n") + "\n")


def _recorded_cells(gradebook: Gradebook, name: str) -> tuple[set[str], int]:
    """Return the cells that a gradebook knows of an assignment, and how many submissions."""
    try:
        notebook = gradebook.find_notebook(name, name)
    except MissingEntry:
        return set(), 0
    return {cell.name for cell in notebook.source_cells}, len(notebook.submissions)


def _last_error(done: dict[str, Any]) -> str:
    """Return the last exception that nbgrader reports, in one line."""
    # Its log has the cause, its error only that there was one.
    for text in (done.get("log", ""), done.get("error", "")):
        errors = re.findall(r"^(?:\w+\.)*\w*(?:Error|Exception)\b.*$", text, re.MULTILINE)
        if errors:
            return str(errors[-1])[:300]
    return "nbgrader failed without saying why"
