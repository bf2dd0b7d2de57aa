"""Make notebooks from the percent source of an exercise; needs no gradebook.

`exercises/NAME/NAME.py` is in jupytext's percent format.  The content of a code cell decides what
it is:

- an *answer* has one or more solution regions, from `### BEGIN SOLUTION` to `### END SOLUTION`,
  and defines one function or class, whose name is the name of the task;
- a *check* is exactly `check(NAME)`;
- a *demonstration* has `tags=["demonstration"]`; it is locked, and grading does not run it;
- everything else is *set-up*; it is locked, and grading runs the course's own copy.

In text cells `{{points:NAME}}` stands for the points of a task.

Each source yields three notebooks: nbgrader's source, the students' notebook (the same that
`nbgrader generate_assignment` releases) and a submission in which every task is solved.
`python -m autograder.intake.exercise` writes the students' notebooks beside their sources.
"""

from __future__ import annotations

import argparse
import ast
import copy
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import jupytext
import nbformat
from nbformat import NotebookNode

from autograder.intake.cells import CHECK_PREFIX, DEMONSTRATION, is_answer
from autograder.task import Task
from autograder.tasks import tasks as course_tasks

BEGIN = "### BEGIN SOLUTION"
END = "### END SOLUTION"

LOCKED_SETUP = "# Locked: set-up. Grading runs the course's own copy of this cell."
LOCKED_DEMONSTRATION = "# Locked: a demonstration. Grading skips it."

_POINTS = re.compile(r"\{\{points:([^}]*)\}\}")
_CHECK = re.compile(r"check\((\w+)\)")

_METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python", "pygments_lexer": "ipython3"},
}


class SourceError(ValueError):
    """An exercise source breaks a convention; the message is one sentence that says which."""


def sources(folder: Path) -> list[Path]:
    """Return the sources `NAME/NAME.py` in a folder of exercises, sorted by name."""
    return sorted(path for path in folder.glob("*/*.py") if path.stem == path.parent.name)


def source_notebook(path: Path, tasks: Mapping[str, Task] = course_tasks) -> NotebookNode:
    """Return nbgrader's source notebook, which has solution regions and metadata.

    Parameters
    ----------
    path
        A file `NAME.py`; the assignment is called NAME.
    tasks
        The tasks of the course, by name.

    Raises
    ------
    SourceError
        When the file breaks a convention.
    """
    try:
        return _Reader(path.stem, tasks).read(path.read_text(encoding="utf-8"))
    except SourceError as error:
        raise SourceError(f"{path}: {error}") from None


def student_notebook(source: NotebookNode) -> NotebookNode:
    """Return the students' notebook, made by the steps of `nbgrader generate_assignment`."""
    # Imported here because nbgrader takes seconds to import and not every caller needs it.
    from nbgrader.preprocessors import (
        CheckCellMetadata,
        ClearOutput,
        ClearSolutions,
        ComputeChecksums,
        LockCells,
    )

    notebook = copy.deepcopy(source)
    for step in (LockCells, ClearSolutions, ClearOutput, CheckCellMetadata, ComputeChecksums):
        notebook, _ = step().preprocess(notebook, {})
    return notebook


def solution_notebook(source: NotebookNode) -> NotebookNode:
    """Return the submission of a student who solved everything."""
    notebook = student_notebook(source)
    for cell, with_regions in zip(notebook.cells, source.cells, strict=True):
        if is_answer(cell):
            lines = with_regions.source.split("\n")
            cell.source = "\n".join(line for line in lines if line.strip() not in (BEGIN, END))
    return notebook


def write(notebook: NotebookNode, path: Path) -> bool:
    """Write a notebook unless the file is up to date; return whether it was written."""
    nbformat.validate(notebook)
    content = (nbformat.writes(notebook) + "\n").encode()
    if path.exists() and path.read_bytes() == content:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return True


class _Reader:
    """Reads one source and counts its cells."""

    def __init__(self, assignment: str, tasks: Mapping[str, Task]) -> None:
        self.assignment = assignment
        self.tasks = tasks
        self.counts = {"setup": 0, DEMONSTRATION: 0, "text": 0}
        self.answers: list[str] = []
        self.checks: list[str] = []

    def read(self, text: str) -> NotebookNode:
        try:
            found = jupytext.reads(text, fmt="py:percent").cells
        except nbformat.ValidationError as error:
            raise SourceError(f"the header of the file is not valid: {error.message}.") from None
        cells = [self._cell(cell) for cell in found]
        for name in self.answers:
            if name not in self.checks:
                raise SourceError(f"the answer {name} has no cell check({name}).")
        for name in self.checks:
            if name not in self.answers:
                raise SourceError(
                    f"check({name}) has no answer: no cell with {BEGIN} defines {name}."
                )
        notebook: NotebookNode = nbformat.v4.new_notebook(
            cells=cells, metadata=copy.deepcopy(_METADATA)
        )
        return notebook

    def _cell(self, cell: NotebookNode) -> NotebookNode:
        if cell.cell_type == "markdown":
            return self._text_cell(cell.source)
        if cell.cell_type != "code":
            raise SourceError(f"a cell of type {cell.cell_type} has no place in an exercise.")
        source = cell.source
        if BEGIN in source or END in source:
            name = _defined_name(source)
            self._note(name, self.answers)
            return _code_cell(source, name, solution=True)
        check = _CHECK.fullmatch(source.strip())
        if check:
            name = check[1]
            points = self._points(name)
            self._note(name, self.checks)
            return _code_cell(source.strip(), f"{CHECK_PREFIX}{name}", points=points)
        if re.search(r"^check\(", source, re.MULTILINE):
            raise SourceError(f"a check cell reads check(NAME) and nothing else, not {source!r}.")
        if DEMONSTRATION in cell.metadata.get("tags", []):
            return _code_cell(
                _with_first_line(LOCKED_DEMONSTRATION, source),
                self._next(DEMONSTRATION),
                tags=[DEMONSTRATION],
            )
        return _code_cell(_with_first_line(LOCKED_SETUP, source), self._next("setup"))

    def _text_cell(self, source: str) -> NotebookNode:
        text = _POINTS.sub(lambda match: str(self._points(match[1])), source)
        name = f"{self.assignment}-{self._next('text')}"
        cell: NotebookNode = nbformat.v4.new_markdown_cell(text, id=name)
        return cell

    def _next(self, kind: str) -> str:
        self.counts[kind] += 1
        return f"{kind}-{self.counts[kind]}"

    def _points(self, name: str) -> float:
        if name not in self.tasks:
            raise SourceError(f"no task of the course is called {name!r}.")
        points = self.tasks[name].max_points
        return int(points) if points == int(points) else points

    def _note(self, name: str, seen: list[str]) -> None:
        if name not in self.tasks:
            raise SourceError(f"no task of the course is called {name!r}.")
        if self.tasks[name].assignment.name != self.assignment:
            raise SourceError(f"{name} belongs to {self.tasks[name].assignment.name}.")
        if name in seen:
            raise SourceError(f"{name} has more than one answer or check cell.")
        seen.append(name)


def _code_cell(
    source: str,
    grade_id: str,
    *,
    solution: bool = False,
    points: float | None = None,
    tags: Sequence[str] = (),
) -> NotebookNode:
    nbgrader = {
        "schema_version": 3,
        "grade": points is not None,
        "grade_id": grade_id,
        "locked": not solution,
        "solution": solution,
        "task": False,
    }
    if points is not None:
        nbgrader["points"] = points
    metadata: dict[str, object] = {"nbgrader": nbgrader}
    if tags:
        metadata["tags"] = list(tags)
    cell: NotebookNode = nbformat.v4.new_code_cell(source, id=grade_id, metadata=metadata)
    return cell


def _with_first_line(line: str, source: str) -> str:
    """Put a comment at the top of a cell, or below its cell magic, which must come first."""
    if source.startswith("%%"):
        magic, _, rest = source.partition("\n")
        return f"{magic}\n{line}\n{rest}"
    return f"{line}\n{source}"


def _defined_name(source: str) -> str:
    """Return the name of the function or class that an answer cell defines.

    Its signature is outside the solution regions, where students see it; helpers of the solution
    are inside.
    """
    visible, inside = [], False
    for line in source.split("\n"):
        marker = line.strip()
        if BEGIN in line or END in line:
            if marker not in (BEGIN, END):
                raise SourceError(f"{marker!r} should be a line of its own.")
            if inside == (marker == BEGIN):
                raise SourceError(
                    f"{marker} without {END if inside else BEGIN} before it, in the cell that "
                    f"starts with {source.split(chr(10))[0]!r}."
                )
            inside = not inside
            visible.append(line.replace(marker, "pass"))
        elif not inside:
            visible.append(line)
    if inside:
        raise SourceError(
            f"{BEGIN} without {END}, in the cell that starts with {source.split(chr(10))[0]!r}."
        )
    try:
        statements = ast.parse("\n".join(visible)).body
    except SyntaxError as error:
        line = (error.text or str(error)).strip()
        raise SourceError(f"without its solution an answer cell is not Python: {line}") from None
    names = [
        statement.name
        for statement in statements
        if isinstance(statement, ast.FunctionDef | ast.ClassDef)
    ]
    if len(names) != 1:
        raise SourceError(
            f"an answer cell defines one function or class outside of its solution, not "
            f"{', '.join(names) or 'none'}."
        )
    return names[0]


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the students' notebooks beside their sources, and say which have changed."""
    parser = argparse.ArgumentParser(
        prog="python -m autograder.intake.exercise",
        description="Make exercises/NAME/NAME.ipynb from exercises/NAME/NAME.py.",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these exercises")
    parser.add_argument("--folder", type=Path, default=Path("exercises"), help="where they are")
    options = parser.parse_args(arguments)
    found = {path.stem: path for path in sources(options.folder)}
    unknown = [name for name in options.names if name not in found]
    if unknown:
        print(f"No {options.folder}/{unknown[0]}/{unknown[0]}.py.", file=sys.stderr)
        return 2
    for name in options.names or found:
        target = found[name].with_suffix(".ipynb")
        try:
            written = write(student_notebook(source_notebook(found[name])), target)
        except SourceError as error:
            print(error, file=sys.stderr)
            return 1
        print(f"{target}: {'written' if written else 'unchanged'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
