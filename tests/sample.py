"""A small assignment and courses in temporary folders, for tests of release and grading."""

import os
from pathlib import Path

from autograder.course.course import CONFIG, Course
from autograder.intake.exercise import (
    is_answer,
    solution_notebook,
    source_notebook,
    student_notebook,
    write,
)

ROOT = Path(__file__).parent.parent

SOURCE = '''# %% [markdown]
# # Two tasks of l2
# The first is worth {{points:l2_penalty}} points.

# %%
import os

from autograder import check


# %%
def l2_penalty(weights, weight_decay):
    """Return the penalty."""
    ### BEGIN SOLUTION
    squares = [float((weight**2).sum()) for weight in weights]
    return 0.5 * weight_decay * sum(squares)
    ### END SOLUTION


# %%
check(l2_penalty)

# %% tags=["demonstration"]
raise RuntimeError("grading has run a demonstration")


# %%
def l2_penalty_backward(weights, weight_decay):
    """Return its gradients."""
    ### BEGIN SOLUTION
    return [weight_decay * weight for weight in weights]
    ### END SOLUTION


# %%
check(l2_penalty_backward)
'''

STUB = "raise NotImplementedError()"


def make_course(folder, source=SOURCE, settings=""):
    """Write a course with the project's settings in a folder and return it."""
    exercise = folder / "exercises" / "l2" / "l2.py"
    exercise.parent.mkdir(parents=True, exist_ok=True)
    exercise.write_text(source)
    (folder / CONFIG).write_text(
        f"load_subconfig({os.fspath(ROOT / CONFIG)!r})\n"
        "c = get_config()\n"
        f"c.CourseDirectory.root = {os.fspath(folder / 'course')!r}\n"
        "c.GradeSubmission.cell_seconds = 3\n"
        f"{settings}"
    )
    return Course(folder / CONFIG)


def exercise(course):
    """Return the source file of the small assignment."""
    return course.exercises / "l2" / "l2.py"


def answered(course, **answers):
    """Return the notebook with the answers of the solution, some replaced.

    A replaced answer is what stands in the place of the stub.
    """
    source = source_notebook(exercise(course))
    notebook, released = solution_notebook(source), student_notebook(source)
    for cell, stub in zip(notebook.cells, released.cells, strict=True):
        if is_answer(cell) and cell.id in answers:
            cell.source = stub.source.replace(STUB, answers[cell.id])
    return notebook


def hand_in(course, student, notebook):
    """Put a notebook or a text where nbgrader expects a submission; return the file."""
    path = course.folder("submitted", student, "l2") / "l2.ipynb"
    if isinstance(notebook, str):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(notebook)
    else:
        write(notebook, path)
    return path
