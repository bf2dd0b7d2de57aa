"""The hand-written solutions, as the student would have them after running a notebook."""

from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import jupytext

EXERCISES = Path(__file__).parents[2] / "exercises"


@cache
def solution(assignment: str) -> dict[str, Any]:
    """Run the set-up and answer cells of an exercise and return what they define."""
    notebook = jupytext.read(EXERCISES / assignment / f"{assignment}.py", fmt="py:percent")
    # A module of its own, so that classes find what they use as they do in a notebook.
    module = ModuleType(f"solution_of_{assignment}")
    for cell in notebook.cells:
        if cell.cell_type != "code" or "demonstration" in cell.metadata.get("tags", []):
            continue
        if cell.source.startswith("check("):
            continue
        exec(compile(cell.source, f"<{assignment}>", "exec"), vars(module))
    return vars(module)
