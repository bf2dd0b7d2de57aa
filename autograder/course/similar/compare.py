"""Read the code of everybody who handed in an assignment and find what is alike."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import nbformat
from nbformat import NotebookNode

from autograder.course.course import Course, CourseError
from autograder.course.sanitize import spell_out
from autograder.course.scores import require_released
from autograder.course.similar.alike import Code, Pair, pairs
from autograder.intake.cells import is_answer
from autograder.intake.notebook_file import UnreadableError

ADDED = "added cells"
"""What stands for a task for the cells that a student added."""

MAX_SOURCE = 20_000
"""Characters of an answer that are looked at."""


@dataclass(frozen=True)
class Similar:
    """What is alike in an assignment.

    Attributes
    ----------
    assignment
        Its name.
    least
        From which share on pairs were looked for.
    code
        The code by student and task.
    pairs
        The pairs of students whose code is alike, most alike first.
    unreadable
        Why the submission of a student was left out.
    handed_out
        The lines that everybody was given.
    """

    assignment: str
    least: float
    code: Mapping[str, Mapping[str, Code]]
    pairs: list[Pair]
    unreadable: Mapping[str, str]
    handed_out: frozenset[str]

    @property
    def sentence(self) -> str:
        """What was found and what it means."""
        students = {student for pair in self.pairs for student in pair.students}
        found = (
            f"{len(self.pairs)} of {len(self.code) * (len(self.code) - 1) // 2} pairs are alike, "
            f"of {len(students)} students: a reason to talk with them, and no verdict."
            if self.pairs
            else f"No two of {len(self.code)} submissions are alike."
        )
        if 1 < len(self.code) < 10:
            found += " In a class this small, nobody can tell what everybody would write."
        return found


def compare(course: Course, assignment: str, least: float) -> Similar:
    """Compare the submissions of an assignment; nothing runs.

    Parameters
    ----------
    course, assignment
        The course and the assignment.
    least
        The least share that makes a pair.

    Raises
    ------
    CourseError
        When there are no submissions to compare.
    """
    require_released(course, [assignment])
    release = nbformat.read(course.release_file(assignment), as_version=4)
    stubs = "\n".join(cell.source for cell in release.cells if is_answer(cell))
    names = frozenset(re.findall(r"\w+", re.sub(r'""".*?"""', "", stubs, flags=re.DOTALL)))
    code, unreadable = {}, {}
    for student in course.submitted(assignment):
        try:
            notebook = course.grader.job(assignment, student).rebuilt().notebook
        except (UnreadableError, OSError) as error:
            unreadable[student] = str(error)
        else:
            code[student] = {task: Code(text, names) for task, text in _written(notebook).items()}
    if not code and not unreadable:
        raise CourseError(f"Nobody has handed in {assignment}: run `autograder collect` first.")
    given = [cell.source for cell in release.cells if cell.cell_type == "code"]
    found = pairs(code, [Code(source, names) for source in given], least)
    lines = frozenset(line.rstrip() for source in given for line in source.split("\n"))
    return Similar(assignment, least, code, found, unreadable, lines)


def _written(notebook: NotebookNode) -> dict[str, str]:
    """Return what a student wrote, by task; invisible characters are spelled out."""
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    written = {cell.id: cell.source for cell in code if is_answer(cell)}
    added = [cell.source for cell in code if cell.id.startswith("student-")]
    if added:
        written[ADDED] = "\n\n".join(added)
    return {task: spell_out(text, MAX_SOURCE) for task, text in written.items()}
