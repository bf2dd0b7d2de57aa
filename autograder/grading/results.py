"""Keep outcomes by content, so that no submission runs twice.

An outcome depends on a `Job`, on the code that grades its assignment, and on the libraries.  The
hash of all these is the name of a file in the course.  So a run that was interrupted resumes where
it stopped, and changing a task regrades exactly the submissions that it affects.  Of a task's code
the meaning counts, so a changed comment or a changed word for students runs nothing again.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.metadata
import json
import os
import platform
import secrets
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

from nbformat import from_dict

import autograder
from autograder.grading.job import Job
from autograder.grading.notebook import Outcome
from autograder.judging.report import Report
from autograder.tasks import tasks

FOLDER = ".results"
"""The folder of the outcomes, in the root of a course."""

_PACKAGE = Path(autograder.__file__).resolve().parent
_LIBRARIES = ("numpy", "torch", "ipython", "nbformat")
_TASKS = "tasks"


class Results:
    """The outcomes that a course keeps.

    Parameters
    ----------
    root
        The root of the course.
    """

    def __init__(self, root: Path) -> None:
        self._folder = root / FOLDER
        # The last one that could not be written, until the caller reads it.
        self._kept: dict[str, Outcome] = {}

    def has(self, name: str) -> bool:
        """Return whether there is an outcome of that name."""
        return name in self._kept or self._file(name).exists()

    def get(self, name: str) -> Outcome | None:
        """Return the outcome of that name; None if there is none."""
        if name in self._kept:
            return self._kept[name]
        with suppress(OSError, ValueError, TypeError, KeyError):
            found = json.loads(self._file(name).read_text(encoding="utf-8"))
            return Outcome(
                {id: [from_dict(output) for output in cell] for id, cell in found["cells"].items()},
                {id: Report.from_dict(report) for id, report in found["reports"].items()},
                found["stopped"],
            )
        return None

    def put(self, name: str, outcome: Outcome) -> None:
        """Write an outcome; if that fails, keep it in memory until the next one that fails."""
        reports = {id: report.to_dict() for id, report in outcome.reports.items()}
        new = self._folder / f"{name}.{secrets.token_hex(8)}"
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            new.write_text(
                json.dumps(
                    {"cells": outcome.cells, "reports": reports, "stopped": outcome.stopped}
                ),
                encoding="utf-8",
            )
            os.replace(new, self._file(name))
        except OSError:
            self._kept = {name: outcome}
            with suppress(OSError):
                new.unlink()

    def drop(self, name: str) -> None:
        """Delete an outcome."""
        self._kept.pop(name, None)
        self._file(name).unlink(missing_ok=True)

    def _file(self, name: str) -> Path:
        return self._folder / f"{name}.json"


def result_name(job: Job) -> str:
    """Return the name under which the outcome of a job is kept."""
    digest = hashlib.sha256()
    for part in (
        repr((job.assignment, job.limits, job.backend)).encode(),
        job.content,
        job.release.encode(),
        job.key,
        _code(job.assignment),
    ):
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


@cache
def _code(assignment: str) -> bytes:
    """Return a hash of the code that grades an assignment and of the libraries' versions."""
    digest = hashlib.sha256()
    versions = [importlib.metadata.version(library) for library in _LIBRARIES]
    digest.update(repr((platform.python_version(), versions)).encode())
    for path in sorted(_files(assignment)):
        name, content = path.relative_to(_PACKAGE), path.read_bytes()
        if name.parts[0] == _TASKS:
            content = ast.dump(_Meaning().visit(ast.parse(content))).encode()
        digest.update(repr((str(name), content)).encode())
    return digest.digest()


class _Meaning(ast.NodeTransformer):
    """Leaves out what only people read."""

    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        return ast.Constant("") if is_text(node.value) else node

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        is_docstring = isinstance(node.value, ast.Constant)
        return ast.Pass() if is_docstring else self.generic_visit(node)


def is_text(value: object) -> bool:
    """Return whether a constant in a task's code is a sentence, and no name."""
    return isinstance(value, str) and " " in value and value.endswith((".", "?", "!", ":"))


def _files(assignment: str) -> Iterator[Path]:
    """Yield the files of this package that an outcome may depend on.

    These are the layers up to grading.  Of the assignments, only this one and those that it
    imports from count.
    """
    yield _PACKAGE / "__init__.py"
    yield _PACKAGE / "task.py"
    yield from (_PACKAGE / _TASKS).glob("*.py")
    for folder in ("judging", "intake", "sandbox", "grading"):
        yield from (_PACKAGE / folder).rglob("*.py")
    for task in tasks.values():
        if task.assignment.name == assignment:
            yield from (_PACKAGE / "judging" / "fingerprints").glob(f"{task.name}.npz")
    waiting, seen = [assignment], {assignment}
    while waiting:
        for path in (_PACKAGE / _TASKS / waiting.pop()).rglob("*.py"):
            yield path
            used = set(_assignments_used(ast.parse(path.read_bytes()))) - seen
            seen |= used
            waiting += used


def _assignments_used(tree: ast.Module) -> Iterator[str]:
    """Yield the assignments from which a module imports."""
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            package, tasks, used = [*name.split("."), "", ""][:3]
            ours = (package, tasks) == ("autograder", _TASKS) and used != ""
            if ours and (_PACKAGE / _TASKS / used).is_dir():
                yield used
