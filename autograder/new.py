"""Start an assignment or a task of an instructor's own: `autograder new`.

What is written works at once: its example doubles a number.  The word TODO says what the instructor
has to write instead, and `autograder validate` repeats it until it is gone.
"""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

ROOT = Path(__file__).resolve().parents[1]

ASSIGNMENT = '''\
"""Declare the assignment on {words}."""

from autograder.task import Assignment

# TODO the chapter: give its title and its page, or those of a chapter that is there.
ASSIGNMENT = Assignment("{name}", "{title}", page="book/{name}", number={number})
'''

SECTIONS = '''\
"""Name the places in the chapter that findings and hints send a student to."""

from autograder.tasks.{assignment} import ASSIGNMENT

'''

SECTION = '{constant} = ASSIGNMENT.section("{label}", "{title}")\n'

EXERCISE = """\
# %% [markdown]
# # Exercise: {words}
#
# TODO the text: say what the exercise is about.
#
# **How to work.** Write your code where it says `YOUR CODE HERE`, run the cell, then run the cell
# below it, which checks it. Check as often as you like; your work is graded in the same way on
# other numbers. `hint(...)` with the name of the function gives one hint after another. Cells
# marked *Locked* are the course's own. You may add cells of your own anywhere.
#
# **What is not allowed.** Answers are written in NumPy, without PyTorch and without the package
# `autograder`. Both are not there when an answer is tried.
#
# **How to hand in.** Run everything from top to bottom once (*Restart and run all*) and save. In a
# cell of your own, `ready("{name}.ipynb")` tries the saved file as grading
# will and makes the file to hand in.

# %%
import numpy as np

from autograder import check, hint, progress, ready
"""

ANSWER = '''
# %% [markdown]
# ## Task {number}: {words} ({{{{points:{name}}}}} points)
#
# TODO the text: say what it computes, in words and formulas.
#
# Write `{name}(x)`.


# %%
def {name}(x):
    """Return TODO the docstring: describe the arguments and results; a test runs the example.

    Parameters
    ----------
    x : np.ndarray
        Numbers of any shape; not changed.

    Returns
    -------
    np.ndarray
        Twice as much.

    Examples
    --------
    >>> print({name}(np.array([1.0, -2.0])))
    [ 2. -4.]
    """
    ### BEGIN SOLUTION
    return 2 * x  # TODO the solution: write it in NumPy.
    ### END SOLUTION


# %%
check({name})
'''

TASK = '''\
"""Declare the task on {words}."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from autograder.task import Aspect, Case, Expected, Functions, Inputs, Misconception, Task
from autograder.tasks.{assignment} import ASSIGNMENT, sections


def _draw(rng: np.random.Generator) -> list[Case]:
    # TODO the cases: draw inputs that expose a wrong answer, such as no factor of 1.
    def inputs(*shape: int) -> dict[str, Any]:
        return {{"x": rng.standard_normal(shape)}}

    return [Case("a vector", inputs(5)), Case("a matrix", inputs(3, 4))]


def _run(student: Functions, inputs: Inputs) -> dict[str, Any]:
    # TODO the run: name each value returned; `unpack` in tasks/answers.py takes several apart.
    return {{"out": student["{name}"](*inputs.values())}}


def _reference(
    inputs: Inputs,
    *,
    step: Callable[[Tensor], Tensor] = lambda x: 2 * x,
) -> dict[str, Expected]:
    # TODO the reference: compute in torch what is right; steps that can go wrong are arguments.
    return {{"out": step(torch.tensor(inputs["x"])).numpy()}}


{constant} = Task(
    name="{name}",
    assignment=ASSIGNMENT,
    number={number},
    section=sections.{constant},
    # All hints but the last end with a question, to be answered before the next one.
    hints=("TODO the hints: lead from a first question to almost the answer, in three to five.",),
    aspects=(
        # TODO the points: what earns how many, in quarters; an aspect is right or wrong as a whole.
        Aspect("value", 1.0, ("out",)),
    ),
    draw=_draw,
    run=_run,
    reference=_reference,
    misconceptions=(
        Misconception(
            "{label}-ignored",
            "TODO the known mistake: say what the code computes and why that is wrong.",
            sections.{constant},
            {{"step": lambda x: x}},
        ),
    ),
)
'''

app = typer.Typer(
    help="Start an assignment or a task of your own, in a clone of the course's repository.",
    no_args_is_help=True,
)


class NewError(Exception):
    """An assignment or a task cannot be made; the message is one line that says what to do."""


@app.command("assignment")
def assignment_command(name: Annotated[str, typer.Argument(help="A Python name.")]) -> None:
    """Write the files of a new assignment, which has no task yet."""
    _tell(lambda: new_assignment(name))


@app.command("task")
def task_command(
    name: Annotated[str, typer.Argument(help="The function or class that students write.")],
    assignment: Annotated[str, typer.Option("--in", help="Its assignment.")],
) -> None:
    """Write a new task and append its cells to the exercise.

    It works; `autograder validate` lists what to write in place of its example.
    """
    _tell(lambda: new_task(name, assignment))


def new_assignment(name: str) -> str:
    """Write the files of a new assignment; return what was made and what to do next.

    Raises
    ------
    NewError
        When the name cannot be used, or the files cannot be written.
    """
    from autograder.tasks import assignments

    _check_name(name, "assignment")
    folder, exercise = ROOT / "autograder" / "tasks" / name, _exercises() / name / f"{name}.py"
    files = (folder, folder.with_suffix(".py"), exercise.parent)
    # A folder would hide what the package of all tasks defines under its name.
    if hasattr(import_module("autograder.tasks"), name) or any(path.exists() for path in files):
        raise NewError(f"The name {name} is taken: choose another one for the assignment.")
    fields = {**_words(name), "number": max(one.number for one in assignments.values()) + 1}
    _write(folder / "__init__.py", ASSIGNMENT.format(**fields))
    _write(exercise, EXERCISE.format(**fields))
    return (
        f"Made {_shown(folder)} and {_shown(exercise)}. Next: autograder new task NAME --in "
        f"{name}, where NAME is the function that students write."
    )


def new_task(name: str, assignment: str) -> str:
    """Write a new task and append it to its exercise; return what was made and what to do next.

    Raises
    ------
    NewError
        When the name cannot be used, there is no such assignment, or the files cannot be written.
    """
    from autograder.tasks import assignments, tasks

    _check_name(name, "task")
    if assignment not in assignments:
        raise NewError(f"No assignment {assignment!r}; there are {', '.join(assignments)}.")
    declared = ROOT / "autograder" / "tasks" / assignment / f"{name}.py"
    exercise = _exercises() / assignment / f"{assignment}.py"
    if not exercise.is_file():
        raise NewError(f"There is no {_shown(exercise)}: write it, or choose another assignment.")
    text = exercise.read_text(encoding="utf-8")
    used = re.search(rf"^((def|class) {name}\b|{name} =|(import|from) .*\b{name}\b)", text, re.M)
    if name in tasks or used or declared.exists() or name.lower() in ("assignment", "sections"):
        raise NewError(f"The name {name} is taken: choose another one for the task.")
    numbers = [task.number for task in tasks.values() if task.assignment.name == assignment]
    fields = {
        **_words(name),
        "assignment": assignment,
        "constant": name.upper(),
        "label": name.replace("_", "-").lower(),
        "number": max(numbers, default=0) + 1,
    }
    _write(declared, TASK.format(**fields))
    sections = declared.parent / "sections.py"
    if not sections.exists():
        _write(sections, SECTIONS.format(**fields))
    if not re.search(rf"^{name.upper()} =", sections.read_text(encoding="utf-8"), re.M):
        _write(sections, SECTION.format(**fields), "a")
    _write(exercise, ANSWER.format(**fields), "a")
    return (
        f"Made {_shown(declared)}, and its cells at the end of {_shown(exercise)}. Next: write "
        f"what TODO asks for; autograder validate {name} says what is left."
    )


def _tell(make: Callable[[], str]) -> None:
    """Say what was made, or in one line why nothing was."""
    try:
        typer.echo(make())
    except NewError as error:
        typer.secho(f"autograder: {error}", err=True, fg="red")
        raise typer.Exit(2) from None


def _check_name(name: str, kind: str) -> None:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) or keyword.iskeyword(name):
        raise NewError(
            f"{name!a} is no name for Python: give the {kind} one of letters, digits and "
            "underscores, such as label_smoothing."
        )
    if hasattr(builtins, name):
        raise NewError(f"{name} is Python's own: choose another name for the {kind}.")


def _exercises() -> Path:
    if not (ROOT / "exercises").is_dir():
        raise NewError(
            f"There are no exercises in {ROOT}: make a clone of the course's repository, "
            "run `make setup` there and use its .venv."
        )
    return ROOT / "exercises"


def _shown(path: Path) -> Path:
    return path.relative_to(ROOT)


def _words(name: str) -> dict[str, str]:
    words = name.replace("_", " ")
    return {"name": name, "words": words, "title": words[0].upper() + words[1:]}


def _write(path: Path, text: str, mode: str = "x") -> None:
    """Write a file that is not there yet, or append to one with the mode "a"."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open(mode, encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise NewError(f"{_shown(path)} cannot be written: {error.strerror}.") from None
