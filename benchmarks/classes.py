"""Make classes of any size from the kinds of the sample class; no two files are the same."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import nbformat

from autograder import demo
from autograder.course.course import CONFIG, Course
from autograder.course.release import release
from autograder.course.scores import Score, is_complete, score_of
from autograder.intake import cells, exercise
from autograder.tasks import assignments as course_assignments

ROOT = Path(__file__).resolve().parent.parent

KINDS = [kind for kind in demo.STUDENTS.values() if kind not in ("broken", "hangs")]
"""What students hand in.  A broken file never runs, and how long a hanging one takes depends on the
limits, not on the grader."""

# Stock nbgrader's own preprocessors run every cell, including demonstrations, in a kernel.
STOCK = """
c.Execute.kernel_name = "python3"
c.Execute.timeout = 40
c.Execute.iopub_timeout = 60
from nbgrader.converters import Autograde
c.Autograde.exporter_class = Autograde.exporter_class.default_value
c.Autograde.sanitize_preprocessors = Autograde.sanitize_preprocessors.default()
c.Autograde.autograde_preprocessors = Autograde.autograde_preprocessors.default()
"""


def make(
    folder: Path,
    students: Iterable[int],
    assignments: Sequence[str] = tuple(course_assignments),
    settings: str = "",
) -> Course:
    """Write a course with submissions that nobody has graded yet.

    Parameters
    ----------
    folder
        The folder of the course; it must not exist.
    students
        The numbers of the students.  Each hands in every assignment; the number picks the kind.
    assignments
        The names of the assignments.
    settings
        Python code to append to `nbgrader_config.py`.
    """
    numbers = list(students)
    folder.mkdir(parents=True)
    (folder / CONFIG).write_text(
        f"load_subconfig({os.fspath(ROOT / CONFIG)!r})\n"
        "c = get_config()\n"
        f"c.CourseDirectory.root = {os.fspath(folder / 'course')!r}\n"
        f"{settings}",
        encoding="utf-8",
    )
    course = Course(folder / CONFIG)
    for name in assignments:
        source = ROOT / "exercises" / name / f"{name}.py"
        release(course, source)
        texts = [_text(source, name, kind) for kind in KINDS]
        for number in numbers:
            student = f"student-{number:04}"
            path = course.folder("submitted", student, name) / f"{name}.ipynb"
            path.parent.mkdir(parents=True)
            path.write_text(texts[number % len(KINDS)].replace(_NAME, student), encoding="utf-8")
    return course


def recorded(course: Course, assignment: str) -> dict[str, Score]:
    """Return everyone's complete score from the gradebook, whichever grader gave it."""
    with course.api.gradebook as gradebook:
        return {
            submission.student_id: score_of(submission)
            for submission in gradebook.assignment_submissions(assignment)
            if is_complete(submission)
        }


_NAME = "NAME OF THE STUDENT"


def _text(source: Path, assignment: str, kind: str) -> str:
    """Return a submission with a placeholder for a name, so that no two copies are the same."""
    notebook = demo.submission(exercise.source_notebook(source), assignment, kind)
    if isinstance(notebook, str):
        raise ValueError(f"{kind} is no notebook")
    last = [cell for cell in notebook.cells if cells.is_answer(cell)][-1]
    last.source += f"\n\n# {_NAME}"
    return nbformat.writes(notebook)
