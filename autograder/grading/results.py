"""What grading found out, kept by content: what was answered once is not run again.

A result follows from a `Job`, from the code that grades its assignment, and from the libraries.
The hash of all these is the name of a file in the course, so a run that was stopped goes on where
it was, and a changed task grades exactly the submissions that it concerns again.
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

from autograder.grading.notebook import Job, Outputs

FOLDER = ".results"
"""Where they are, in the root of a course."""

_PACKAGE = Path(__file__).resolve().parent
_LIBRARIES = ("numpy", "torch", "ipython", "nbformat")
_ROOTS = ("autograder.grading.notebook", "autograder.sandbox.inside", "autograder.sandbox.shell")


class Results:
    """The results of a course.

    Parameters
    ----------
    root
        The root of the course.
    """

    def __init__(self, root: Path) -> None:
        self._folder = root / FOLDER
        # The last one that could not be written, for who records it next.
        self._kept: dict[str, Outputs] = {}

    def has(self, name: str) -> bool:
        """Say whether there is a result of that name."""
        return name in self._kept or self._file(name).exists()

    def get(self, name: str) -> Outputs | None:
        """Return the result of that name; None if there is none."""
        if name in self._kept:
            return self._kept[name]
        with suppress(OSError, ValueError, TypeError):
            found = json.loads(self._file(name).read_text(encoding="utf-8"))
            return {cell: [from_dict(output) for output in found[cell]] for cell in found}
        return None

    def put(self, name: str, outputs: Outputs) -> None:
        """Keep a result: in memory, until the next one, when it cannot be written."""
        new = self._folder / f"{name}.{secrets.token_hex(8)}"
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            new.write_text(json.dumps(outputs), encoding="utf-8")
            os.replace(new, self._file(name))
        except OSError:
            self._kept = {name: outputs}
            with suppress(OSError):
                new.unlink()

    def drop(self, name: str) -> None:
        """Forget a result."""
        self._kept.pop(name, None)
        self._file(name).unlink(missing_ok=True)

    def _file(self, name: str) -> Path:
        return self._folder / f"{name}.json"


def result_name(job: Job) -> str:
    """Return the name under which the result of a job is kept."""
    digest = hashlib.sha256()
    for part in (
        repr((job.assignment, job.limits, job.isolation)).encode(),
        job.content,
        job.release.encode(),
        job.key,
        _code(job.assignment),
    ):
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


@cache
def _code(assignment: str) -> bytes:
    """Return a hash of all code that grades an assignment, and of the libraries' versions."""
    digest = hashlib.sha256()
    versions = [importlib.metadata.version(library) for library in _LIBRARIES]
    digest.update(repr((platform.python_version(), versions)).encode())
    for name, text in sorted(_with_imports(*_ROOTS, f"autograder.tasks.{assignment}")):
        digest.update(repr((name, text)).encode())
    return digest.digest()


def _with_imports(*names: str) -> Iterator[tuple[str, str]]:
    """Yield the modules of this package that some of them import, and the text of each."""
    waiting, seen = list(names), set(names)
    while waiting:
        name = waiting.pop()
        path = _PACKAGE.parent.joinpath(*name.split("."))
        found = [one for one in (path.with_suffix(".py"), path / "__init__.py") if one.is_file()]
        if not found:
            # A name within a module, not a module.
            continue
        text, imports = _read(found[0])
        yield name, text
        for imported in imports:
            if imported.startswith("autograder.") and imported not in seen:
                seen.add(imported)
                waiting.append(imported)


@cache
def _read(path: Path) -> tuple[str, frozenset[str]]:
    """Return the text of a module, and what it imports."""
    text = path.read_text(encoding="utf-8")
    return text, frozenset(_imports(ast.parse(text)))


def _imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            if node.module.count(".") < 2:
                yield from (f"{node.module}.{alias.name}" for alias in node.names)
