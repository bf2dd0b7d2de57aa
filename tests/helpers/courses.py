"""A small assignment, courses of it in temporary folders, and what can be read from them."""

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import nbformat
from nbgrader import api as nbgrader_api
from typer.testing import CliRunner

from autograder import cli
from autograder.course import release, scores
from autograder.course.course import CONFIG, Course
from autograder.intake.cells import is_answer
from autograder.intake.exercise import solution_notebook, source_notebook, student_notebook, write

ROOT = Path(__file__).parents[2]
TOOLS = Path(sys.executable).parent
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PATH": f"{TOOLS}:{os.environ['PATH']}"}
"""For commands in processes of their own: nbgrader finds alembic, torch starts no threads."""

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

# For each new gradebook nbgrader asks a program that takes seconds, always the same.
nbgrader_api.get_alembic_version = cache(nbgrader_api.get_alembic_version)


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


def released_course(folder, settings=""):
    """Write a course whose small assignment is released, with an empty gradebook."""
    return copy_course(_released(), folder, settings)


@cache
def _released():
    """Release the assignment once in a process: making a gradebook takes seconds."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    course = make_course(folder)
    release.release(course, source_file(course))
    return course


def copy_course(course, folder, settings=""):
    """Copy a course into another folder; pipes among its files are left out."""
    copied = make_course(folder, source_file(course).read_text(), settings)
    shutil.copytree(course.root, copied.root, symlinks=True, ignore=_pipes)
    return copied


def _pipes(folder, names):
    return [name for name in names if (Path(folder) / name).is_fifo()]


def source_file(course):
    """Return the source file of the small assignment."""
    return course.exercises / "l2" / "l2.py"


def answered(course, **answers):
    """Return the notebook with the answers of the solution, some replaced.

    A replaced answer is what stands in the place of the stub.
    """
    source = source_notebook(source_file(course))
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


def graded_file(course, student):
    """Return the path of a graded notebook."""
    return course.folder("autograded", student, "l2") / "l2.ipynb"


def outputs(course, student):
    """Return the outputs of a graded notebook by cell id, as one text each."""
    notebook = nbformat.read(graded_file(course, student), as_version=4)
    return {
        cell.id: "".join(str(output) for output in cell.outputs)
        for cell in notebook.cells
        if cell.cell_type == "code"
    }


def points(course, assignment="l2"):
    """Return the score that counts of everyone who has one."""
    return {student: score.net for student, score in scores.scores(course, assignment).items()}


def autograder(course, monkeypatch, *arguments):
    """Run `autograder` in this process, in the folder of a course; return status and output."""
    monkeypatch.chdir(course.config_file.parent)
    result = CliRunner().invoke(cli.app, arguments)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


def nbgrader(course, *arguments, succeeds=True):
    """Run nbgrader's own command in the folder of a course; return all it said."""
    done = subprocess.run(
        [sys.executable, "-m", "nbgrader", *arguments],
        cwd=course.config_file.parent,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode == 0) == succeeds, done.stderr
    return done.stdout + done.stderr
