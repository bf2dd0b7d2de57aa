"""Say what grading will make of a notebook, and make the file to hand in."""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from autograder.student import own_file
from autograder.student.released import released
from autograder.student.table import EMPTY, WRONG, Row, Table, total
from autograder.student.trial import ELSEWHERE, is_running

if TYPE_CHECKING:
    from autograder.student.rehearsal import Rehearsal

_NEEDED = ("nbformat", "IPython")

_NO_FILE = (
    "There is no {name} here. Give the file that you save, as in ready('l2.ipynb'). Where a "
    "notebook has no file, as in Colab, download it and hand that in: grading says what `check` "
    "says."
)


class NotReadyError(Exception):
    """A file cannot be tried; the message says what to do."""


def ready(notebook: str | os.PathLike[str]) -> Table:
    """Try a saved notebook as grading will, and make the file to hand in.

    Its cells run in a fresh process, in an empty folder.  The file to hand in has the name that
    grading expects and no outputs; it is in the folder `to-hand-in` beside the notebook, which
    stays as it is.

    Parameters
    ----------
    notebook
        The file, such as "l2.ipynb".  Where the editor says which file is open, that one is tried.
    """
    if is_running():
        # A cell of the student's calls this, and the file is being tried already.
        return Table(ELSEWHERE)
    file = own_file.find(os.fspath(notebook))
    try:
        if file is None:
            raise NotReadyError(_NO_FILE.format(name=Path(notebook).name))
        return _try(file)
    except NotReadyError as error:
        return Table(str(error))


def _try(file: Path) -> Table:
    from autograder.intake.notebook_file import UnreadableError
    from autograder.student.hand_in import ChangedError, write_copy

    absent = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if absent:
        raise NotReadyError(f"{absent[0]} is missing: run pip install {' '.join(absent)}.")
    try:
        content = file.read_bytes()
    except OSError as error:
        raise NotReadyError(f"{file} cannot be read: {error.strerror}.") from None
    try:
        assignment = _assignment_of(content)
        rows, remarks = _rehearsed(content, file, assignment)
        saved = datetime.fromtimestamp(file.stat().st_mtime)
        remarks["Tried:"] = (f"{file.name}, as it was saved on {saved:%Y-%m-%d at %H:%M}",)
        made = write_copy(content, file.parent, assignment)
    except UnreadableError as error:
        return Table("Grading will refuse this file.", (), (("", (str(error),)),))
    except ChangedError as error:
        remarks["To hand in:"] = (str(error),)
    else:
        named = "" if file.name == made.name else ", under the name that grading expects"
        remarks["To hand in:"] = (f"{made}{named}",)
    some = tuple((heading, tuple(sentences)) for heading, sentences in remarks.items() if sentences)
    return Table(f"{assignment}: {total(rows)} in the public checks", rows, some)


def _assignment_of(content: bytes) -> str:
    from autograder.intake.belonging import most, names_in, own_cells

    found = most(names_in(content), own_cells(released()))
    if not found:
        raise NotReadyError(
            f"This is the notebook of no exercise of the course: {', '.join(released())}. "
            "Copy your answers into the notebook of the exercise."
        )
    return found


def _rehearsed(
    content: bytes, file: Path, assignment: str
) -> tuple[tuple[Row, ...], dict[str, Sequence[str]]]:
    import nbformat

    from autograder.student.pitfalls import pitfalls, unanswered
    from autograder.student.rehearsal import rehearse

    text = released()[assignment].read_text(encoding="utf-8")
    rehearsal = rehearse(content, text)
    empty = unanswered(rehearsal.notebook, nbformat.reads(text, as_version=4))
    found = pitfalls(content, file.parent, rehearsal, empty, own_file.typed())
    return rows_of(assignment, rehearsal, empty), {
        "Look at this before you hand in:": list(found),
        "Grading repairs this:": rehearsal.notes,
    }


def rows_of(assignment: str, rehearsal: Rehearsal, empty: Sequence[str]) -> tuple[Row, ...]:
    """Return a row for each task of an assignment."""
    from autograder.intake.cells import CHECK_PREFIX
    from autograder.judging.limits import not_judged
    from autograder.tasks import tasks

    rows = []
    for name, task in tasks.items():
        report = rehearsal.reports.get(name)
        most = float(task.max_points)
        if task.assignment.name != assignment:
            continue
        if name in empty:
            rows.append(Row(EMPTY, name, 0.0, most))
        elif report is None:
            reason = rehearsal.stopped.get(f"{CHECK_PREFIX}{name}")
            rows.append(Row(WRONG, name, 0.0, most, not_judged(reason) if reason else ""))
        else:
            wrong = next((one.in_short for one in report.findings if not one.passed), "")
            rows.append(Row.of(report, wrong))
    return tuple(rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `autograder ready`; return 0 if there is a file to hand in, 1 if not."""
    parser = argparse.ArgumentParser(
        prog="autograder ready",
        description="Try a notebook as grading will, say what it finds, and make the file to hand "
        "in. Exit status: 0 there is a file to hand in, 1 it will be refused, 2 wrong usage.",
    )
    parser.add_argument("notebook", type=Path, help="the saved notebook, such as l2.ipynb")
    file: Path = parser.parse_args(arguments).notebook
    try:
        if not file.is_file():
            raise NotReadyError(f"There is no file {file}.")
        table = _try(file)
    except NotReadyError as error:
        print(f"autograder: {error}", file=sys.stderr)
        return 2
    print(table)
    return 0 if table.rows else 1
