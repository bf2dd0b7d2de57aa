"""Say how far a student has come with an exercise."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from autograder.student import own_file
from autograder.student.released import released
from autograder.student.table import EMPTY, RIGHT, Row, Table, total
from autograder.student.trial import ELSEWHERE, is_running


def progress(assignment: str) -> Table:
    """Show the tasks of an exercise, the points that their checks give now, and what is left.

    Functions that are not defined, as after a restart of the kernel, are taken from the saved
    notebook, which takes some seconds.

    Parameters
    ----------
    assignment
        The name of the exercise, such as "l2".
    """
    from autograder.tasks import assignments, tasks

    if is_running():
        return Table(ELSEWHERE)
    if assignment not in assignments:
        return Table(f"There is no exercise {assignment!r}; there are {', '.join(assignments)}.")
    names = [name for name, task in tasks.items() if task.assignment.name == assignment]
    defined = sys._getframe(1).f_globals
    here = {name: _checked(name, defined) for name in names if name in defined}
    missing = [name for name in names if name not in here]
    saved = _saved(assignment, missing) if missing else {}
    rows = tuple(here.get(name) or saved.get(name) or _empty(name) for name in names)
    left = [row for row in rows if row.mark != RIGHT]
    if not left:
        remarks: tuple[str, ...] = ("All tasks are right.",)
    else:
        first = left[0]
        remarks = (
            f"Next: Task {tasks[first.name].number}, `{first.name}`, "
            f"{first.max_points - first.points:g} points.",
        )
    if any(name in saved and saved[name].mark != EMPTY for name in missing):
        remarks += ("What was not run in this kernel is taken from the saved file.",)
    return Table(f"{assignment}: {total(rows)} in the public checks", rows, (("", remarks),))


def _empty(name: str) -> Row:
    from autograder.tasks import tasks

    return Row(EMPTY, name, 0.0, float(tasks[name].max_points))


def _checked(name: str, defined: Mapping[str, Any]) -> Row:
    from autograder.judging.check import grade
    from autograder.judging.fingerprint import PUBLIC_SEED
    from autograder.judging.observe import NOT_WRITTEN

    report = grade(name, defined, PUBLIC_SEED)
    wrong = next((one.in_short for one in report.findings if not one.passed), "")
    if not report.points and NOT_WRITTEN in wrong:
        return _empty(name)
    return Row.of(report, wrong)


def _saved(assignment: str, missing: Sequence[str]) -> dict[str, Row]:
    """Return the rows of the answers in the saved file; nothing if it has none of the missing."""
    file, handed_out = own_file.find(f"{assignment}.ipynb"), released().get(assignment)
    needed = ("nbformat", "IPython")
    if file is None or handed_out is None or not all(map(importlib.util.find_spec, needed)):
        return {}
    text = handed_out.read_text(encoding="utf-8")
    with contextlib.suppress(OSError, ValueError, TypeError, LookupError):
        saved, stubs = _sources(file.read_bytes()), _sources(text)
        if all(saved[name] == stubs[name] for name in missing):
            # Reading a notebook in full takes an import of a second.
            return {}
    import nbformat

    from autograder.intake.notebook_file import UnreadableError
    from autograder.intake.submission import rebuild_text
    from autograder.student.pitfalls import unanswered
    from autograder.student.readiness import rows_of
    from autograder.student.rehearsal import rehearse

    try:
        content = file.read_bytes()
        rebuilt = rebuild_text(content, text).notebook
        empty = unanswered(rebuilt, nbformat.reads(text, as_version=4))
        if set(missing) <= set(empty):
            return {}
        return {row.name: row for row in rows_of(assignment, rehearse(content, text), empty)}
    except (OSError, UnreadableError):
        return {}


def _sources(notebook: str | bytes) -> dict[str, str]:
    """Return the sources of the cells of a notebook by their ids."""
    return {cell["id"]: "".join(cell["source"]) for cell in json.loads(notebook)["cells"]}
