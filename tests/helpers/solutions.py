"""The hand-written solutions, as the student would have them after running a notebook."""

import re
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import jupytext
import numpy as np

from autograder import tasks
from autograder.intake.exercise import BEGIN, END
from autograder.judging.judge import judge
from autograder.judging.observe import observe

EXERCISES = Path(__file__).parents[2] / "exercises"
ROUNDS = re.compile(r"(epochs=|for (?:seed|run) in range\(|for _ in range\()\d+")
"""How often experiments repeat something."""


def source_of(assignment: str) -> Path:
    """Return the source of an exercise."""
    return EXERCISES / assignment / f"{assignment}.py"


def shortened(source: str) -> str:
    """Return a program whose experiments make fewer rounds."""
    return ROUNDS.sub(r"\g<1>2", source)


@cache
def solution(assignment: str) -> dict[str, Any]:
    """Run the set-up and answer cells of an exercise and return what they define."""
    notebook = jupytext.read(source_of(assignment), fmt="py:percent")
    # A module of its own, so that classes find what they use as they do in a notebook.
    module = ModuleType(f"solution_of_{assignment}")
    for cell in notebook.cells:
        if cell.cell_type != "code" or "demonstration" in cell.metadata.get("tags", []):
            continue
        if cell.source.startswith("check("):
            continue
        exec(compile(cell.source, f"<{assignment}>", "exec"), vars(module))
    return vars(module)


def hidden_lines(assignment: str) -> set[str]:
    """Return the lines that only solution regions contain and that say something."""
    hidden, visible, inside = set(), set(), False
    for line in source_of(assignment).read_text().splitlines():
        line = line.strip()
        if line in (BEGIN, END):
            inside = line == BEGIN
        else:
            (hidden if inside else visible).add(line.removeprefix("# "))
    return {line for line in hidden - visible if len(line) >= 12}


def judged(name, functions, seed):
    """Return the report on an answer that may use what its task forbids, as PyTorch's own does."""
    task = tasks[name]
    cases = task.draw(np.random.default_rng(seed))
    return judge(task, cases, observe(task, functions, cases))
