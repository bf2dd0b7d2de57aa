"""Grade one submission where a bundle of `autograder bundle` has been unpacked.

There is neither a course nor a gradebook there, only a folder with what the course knows of one
assignment.  Whatever the student handed in, there is a report for each task.
"""

from __future__ import annotations

import hmac
import json
import secrets
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import nbformat

from autograder.course import names
from autograder.course.course import CourseError
from autograder.grading.job import Job, warm_sandbox
from autograder.grading.observation import observed_cells
from autograder.intake.notebook_file import UnreadableError
from autograder.intake.notebook_file import read as read_file
from autograder.judging.limits import refused
from autograder.judging.report import Report
from autograder.platforms.download import files_of
from autograder.platforms.notebooks import Notebook, notebooks
from autograder.sandbox import BACKENDS, Limits, SandboxUnavailableError

COURSE, SETTINGS, RELEASE, KEY = "course", "settings.json", "release.ipynb", "key"
"""The folder in a bundle for what the course knows, and the files in it."""


@dataclass(frozen=True)
class Settings:
    """What a bundle was made for.

    Attributes
    ----------
    assignment
        The name of the assignment.
    cells
        What tells the notebooks of each assignment of the course, see `belonging.own_cells`.
    limits
        What student code may use.
    visibility
        When students see results, in Gradescope's words.
    """

    assignment: str
    cells: Mapping[str, frozenset[str]]
    limits: Limits
    visibility: str = "visible"

    def to_json(self) -> str:
        """Return the content of the file from which `read` makes these settings."""
        values = {**asdict(self), "cells": {name: sorted(own) for name, own in self.cells.items()}}
        return json.dumps(values, indent=1)

    @classmethod
    def read(cls, bundle: Path) -> Settings:
        """Return the settings of an unpacked bundle."""
        values = json.loads((bundle / COURSE / SETTINGS).read_text(encoding="utf-8"))
        cells = {name: frozenset(own) for name, own in values["cells"].items()}
        return cls(**{**values, "cells": cells, "limits": Limits(**values["limits"])})


@dataclass(frozen=True)
class Graded:
    """What a submission earned.

    Attributes
    ----------
    reports
        One for each task, in the order of the notebook.
    notes
        Sentences for the student about the file.
    backend
        The sandbox in which the answers ran; empty if nothing could be graded.
    """

    reports: Sequence[Report]
    notes: Sequence[str]
    backend: str = ""

    @property
    def points(self) -> float:
        """The points of all tasks."""
        return sum(report.points for report in self.reports)

    @property
    def max_points(self) -> float:
        """The points that right answers earn."""
        return sum(report.max_points for report in self.reports)

    @property
    def sentences(self) -> list[str]:
        """What to tell above the reports."""
        warning = BACKENDS[self.backend].warning if self.backend else ""
        return [*self.notes, warning] if warning else [*self.notes]


def grade(bundle: Path, folder: Path) -> Graded:
    """Grade the notebook in a folder.

    Without a key in the bundle, inputs are new ones each time.

    Parameters
    ----------
    bundle
        The unpacked bundle.
    folder
        What the student handed in; nothing in it is trusted.

    Raises
    ------
    SandboxUnavailableError
        When no sandbox works here; then nothing of the student's has run.
    """
    settings, course = Settings.read(bundle), bundle / COURSE
    release = (course / RELEASE).read_text(encoding="utf-8")
    key = secrets.token_bytes(32)
    with suppress(FileNotFoundError):
        key = (course / KEY).read_bytes()
    # First, so that a machine that cannot grade gives no points, not 0 points.
    backend = _sandbox(settings.limits)
    try:
        with tempfile.TemporaryDirectory() as scratch:
            content = read_file(_notebook(settings, folder, Path(scratch)))
        job = Job(
            assignment=settings.assignment,
            content=content,
            release=release,
            key=hmac.digest(key, content, "sha256"),
            limits=settings.limits,
            backend=backend,
        )
        notes = job.rebuilt().notes
    except UnreadableError as error:
        return _nothing(release, str(error))
    outcome = names.tell(job.run(), names.read(course))
    return Graded(tuple(outcome.reports.values()), notes, backend)


def _sandbox(limits: Limits) -> str:
    """Return the name of the first sandbox that works here and hides what is not the student's."""
    problems = []
    for name in (name for name, backend in BACKENDS.items() if backend.isolates):
        try:
            warm_sandbox(limits, name).check()
        except SandboxUnavailableError as error:
            problems.append(str(error))
        else:
            return name
    raise SandboxUnavailableError(
        "No sandbox works here, so nothing was graded. " + " ".join(problems)
    )


def _notebook(settings: Settings, folder: Path, scratch: Path) -> Path:
    """Return the one notebook of the assignment.

    Raises
    ------
    UnreadableError
        When there is none, or more than one.
    """

    def empty() -> Path:
        return Path(tempfile.mkdtemp(dir=scratch))

    try:
        files = files_of(folder, empty())
    except CourseError:
        raise UnreadableError(
            "There are too many files to look at. Hand in nothing but your notebook."
        ) from None
    found, problems = notebooks(files, settings.cells, empty)
    mine = {one.digest: one for one in found if one.assignment == settings.assignment}
    if len(mine) == 1:
        return mine.popitem()[1].path
    if mine:
        there = ", ".join(sorted(map(_called, mine.values())))
        raise UnreadableError(
            f"There are several notebooks of {settings.assignment}: {there}. Hand in one of them."
        )
    problems += [f"{_called(one)}: {one.problem}" for one in found if one.problem]
    problems += [f"{_called(one)} is of {one.assignment}." for one in found if one.assignment]
    raise UnreadableError(
        " ".join([f"No notebook of {settings.assignment} was found.", *problems])
        + ("" if problems else " Hand in the file that ends in .ipynb.")
    )


def _called(notebook: Notebook) -> str:
    return notebook.file.inside or notebook.file.name


def _nothing(release: str, reason: str) -> Graded:
    """Return that nothing earns points, for one reason."""
    cells = observed_cells(nbformat.reads(release, as_version=4))
    reports = [refused(task, reason) for _, task in cells if task is not None]
    return Graded(reports, [reason])
