"""A course as one `nbgrader_config.py` defines it: its settings, its folders and nbgrader's API."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from nbgrader.apps import NbGraderAPI
from traitlets.config.loader import Config, PyFileConfigLoader

from autograder.course import plugins
from autograder.course.gradebook import keep_engines
from autograder.sandbox import BACKENDS, SandboxUnavailableError

CONFIG = "nbgrader_config.py"
LOG = "grading.log"


class CourseError(Exception):
    """Something must be fixed first; the message is one line that says what to do."""


@dataclass(frozen=True)
class Course:
    """The course of one `nbgrader_config.py`.

    Attributes
    ----------
    config_file
        The path of that file.
    sandbox
        Overrides `GradeSubmission.sandbox` in that file, unless None.
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
        # To make a gradebook, nbgrader calls alembic, which is installed beside this Python.
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
        """Return nbgrader's folder for a step such as "submitted"; "." stands for no student."""
        directory = getattr(self.api.coursedir, f"{step}_directory")
        return Path(self.api.coursedir.format_path(directory, student, assignment))

    def release_file(self, assignment: str) -> Path:
        """Return the released notebook.

        Raises
        ------
        CourseError
            When it is not there any more.
        """
        path = self.folder("release", ".", assignment) / f"{assignment}.ipynb"
        if not path.is_file():
            raise CourseError(f"{path} is missing: run `autograder release {assignment}` again.")
        return path

    def submitted(self, assignment: str) -> list[str]:
        """Return the students who handed in something, sorted."""
        return sorted(self.api.get_submitted_students(assignment))

    def keep_log(self, text: str) -> None:
        """Append nbgrader's output to the course's log."""
        if text:
            with (self.root / LOG).open("a", encoding="utf-8") as file:
                file.write(text.rstrip("\n") + "\n")

    def check_course_hidden(self) -> None:
        """Make sure that the sandbox on this machine hides the course from student code.

        Raises
        ------
        CourseError
            When it does not.
        """
        backend = BACKENDS[self.grader.sandbox]
        if not backend.isolates:
            # Nothing is hidden, and every report says so.
            return
        for shown in backend.readable():
            if self.root.resolve().is_relative_to(shown):
                raise CourseError(
                    f"Students' code would see the course in {self.root}, because Python is in "
                    f"{shown}; put Python's environment in its own folder, such as .venv."
                )

    def check_sandbox(self) -> None:
        """Make sure that this process can run submissions with the course's settings.

        Raises
        ------
        CourseError
            When the sandbox cannot be built.
        """
        try:
            self.grader.check_sandbox()
        except SandboxUnavailableError as error:
            raise CourseError(str(error)) from None


def check_names(names: Sequence[str] | None, known: Sequence[str], where: str) -> None:
    """Make sure that the assignments that the user named exist.

    Raises
    ------
    CourseError
        When one does not.
    """
    for name in names or ():
        if name not in known:
            raise CourseError(f"No assignment {name!r}; {where} {', '.join(known) or 'none'}.")
