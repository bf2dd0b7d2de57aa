"""Say what often goes wrong between a notebook and its grade, and what to do about it."""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

from autograder.intake.cells import is_answer, is_locked
from autograder.intake.magics import without_magics
from autograder.judging.libraries import do_without, lacking
from autograder.student.rehearsal import Rehearsal


def unanswered(notebook: NotebookNode, release: NotebookNode) -> list[str]:
    """Return the tasks whose cells are as they were handed out.

    Parameters
    ----------
    notebook
        A notebook that was rebuilt.
    release
        The released notebook.
    """
    stubs = {cell.id: cell.source.strip() for cell in release.cells if is_answer(cell)}
    return [
        cell.id
        for cell in notebook.cells
        if is_answer(cell) and stubs.get(cell.id) == cell.source.strip()
    ]


def pitfalls(
    content: bytes, folder: Path, rehearsal: Rehearsal, empty: Sequence[str], typed: Sequence[str]
) -> Iterator[str]:
    """Yield sentences for the student.

    Parameters
    ----------
    content
        The file.
    folder
        Where it is.
    rehearsal
        What came of it.
    empty
        From `unanswered`.
    typed
        The cells that ran in the student's kernel.
    """
    answers = {cell.id: cell for cell in rehearsal.notebook.cells if is_answer(cell)}
    if empty:
        yield (
            f"Not answered: {_list(empty)}. If you have written an answer, save the notebook and "
            "run this again."
        )
    unsaved = [name for name in answers if _is_unsaved(name, typed, content)]
    if unsaved:
        yield (
            f"What you ran last of {_list(unsaved)} is not in the file: save the notebook and run "
            "this again."
        )
    not_run = [name for name in _not_run(content) if name in answers and name not in empty]
    if not_run:
        yield f"These cells were changed and not run: {_list(not_run)}. Run and check them."
    yield from _renamed(
        {name: cell for name, cell in answers.items() if name not in empty},
        [cell.source for cell in rehearsal.notebook.cells if cell.cell_type == "code"],
    )
    own = [
        cell
        for cell in rehearsal.notebook.cells
        if cell.cell_type == "code" and not is_locked(cell)
    ]
    yield from _imports(sorted({name for cell in own for name in _imported(cell.source)}), folder)
    for cell in own:
        if cell.id in rehearsal.errors and cell.id not in empty:
            where = f"The cell of `{cell.id}`" if cell.id in answers else "A cell of your own"
            begins = "" if cell.id in answers else f" that begins with `{_first_line(cell.source)}`"
            yield f"{where}{begins} raises {rehearsal.errors[cell.id]}"
        if cell.id in rehearsal.stopped:
            yield (
                f"The cell that begins with `{_first_line(cell.source)}` is left out when the file "
                f"is graded. {rehearsal.stopped[cell.id]}"
            )


def _list(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _first_line(source: str) -> str:
    return source.strip().split("\n")[0][:60].replace("`", "'")


def _parsed(source: str) -> list[ast.stmt]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(without_magics(source)).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []


def _defined(source: str) -> list[str]:
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    return [one.name for one in _parsed(source) if isinstance(one, kinds)]


def _renamed(answers: dict[str, NotebookNode], sources: Iterable[str]) -> Iterator[str]:
    """Yield which answers define something else than what is asked for."""
    everywhere = {name for source in sources for name in _defined(source)}
    for name, cell in answers.items():
        others = [other for other in _defined(cell.source) if other not in answers]
        if name not in everywhere and others:
            yield (
                f"The cell of `{name}` defines {_list(others)} and nothing of that name: give "
                f"your function the name `{name}`, by which grading looks for it."
            )


def _is_unsaved(name: str, typed: Sequence[str], content: bytes) -> bool:
    """Return whether the last definition that ran is in no cell of the file."""
    begins = re.compile(rf"^(?:def|class)[ \t]+{name}\b", re.MULTILINE)
    last = next((cell for cell in reversed(typed) if begins.search(cell)), None)
    return last is not None and all(_plain(last) != _plain(cell) for cell in _sources(content))


def _plain(source: str) -> list[str]:
    return [line.rstrip() for line in source.strip().splitlines()]


def _raw_cells(content: bytes) -> list[dict[str, Any]]:
    """Return the cells of a file that has been read as a notebook before."""
    try:
        cells = json.loads(content)["cells"]
        return [cell for cell in cells if cell.get("cell_type") == "code"]
    except (ValueError, KeyError, TypeError, AttributeError):
        return []


def _sources(content: bytes) -> list[str]:
    sources = [cell.get("source", "") for cell in _raw_cells(content)]
    return [source if isinstance(source, str) else "".join(source) for source in sources]


def _not_run(content: bytes) -> list[str]:
    """Return what cells define that were not run since they were changed; if others were."""
    cells = _raw_cells(content)
    if not any(cell.get("execution_count") for cell in cells):
        return []
    return [
        name
        for cell, source in zip(cells, _sources(content), strict=True)
        if not cell.get("execution_count")
        for name in _defined(source)
    ]


def _imported(source: str) -> Iterator[str]:
    """Yield the modules that a cell imports, without what is below them."""
    for statement in _parsed(source):
        for node in ast.walk(statement):
            if isinstance(node, ast.Import):
                yield from (alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                yield node.module.partition(".")[0]


def _imports(modules: Iterable[str], folder: Path) -> Iterator[str]:
    here = [
        name for name in modules if (folder / f"{name}.py").is_file() or (folder / name).is_dir()
    ]
    if here:
        yield (
            f"{_list(here)} is a file of yours beside the notebook, and only the notebook is "
            "handed in: copy what you need of it into a cell."
        )
    absent = lacking(set(modules) - set(here))
    if absent:
        yield do_without(absent)
