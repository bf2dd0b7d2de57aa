"""Remove from the sandbox's process what would give the answers away.

The process only needs the part of a task that runs a student's functions.  It does not need the
reference, which a submission could find and call.
"""

from __future__ import annotations

import dis
import gc
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from types import CodeType, FunctionType
from typing import Any

import autograder
from autograder.tasks import tasks

_HERE = "autograder.tasks."


def strip_references() -> None:
    """Keep only the parts of each task that observing it needs; cannot be undone."""
    kept = {
        name: replace(
            task,
            draw=_gone,
            reference=_gone,
            misconceptions=(),
            read_draws=None,
            describe=None,
            simulate=None,
            forward_task=None,
        )
        for name, task in tasks.items()
    }
    running: list[Any] = [task.run for task in kept.values()]
    needed = {id(value) for value in _reached(running)}
    for name, module in list(sys.modules.items()):
        if name.startswith(_HERE):
            for key, value in list(vars(module).items()):
                if not key.startswith("__") and id(value) not in needed:
                    delattr(module, key)
    vars(tasks)["_by_name"] = kept
    for name in ("check", "grade"):
        setattr(autograder, name, _unchecked)
    gc.collect()


def _gone(*_: Any, **__: Any) -> Any:
    raise RuntimeError("This is not available where submissions are run.")


def _unchecked(*_: Any, **__: Any) -> None:
    print("Not checked here: grading judges the answers by itself.")


def _reached(functions: Iterable[Any]) -> Iterator[Any]:
    """Yield everything that functions can reach by name in the modules of the tasks."""
    waiting, seen = list(functions), set()
    while waiting:
        value = waiting.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        yield value
        if isinstance(value, partial):
            waiting += [value.func, *value.args, *value.keywords.values()]
        elif isinstance(value, FunctionType):
            waiting += [cell.cell_contents for cell in value.__closure__ or ()]
            waiting += [
                value.__globals__[name]
                for name in _globals(value.__code__)
                if name in value.__globals__ and value.__module__.startswith(_HERE)
            ]
        elif isinstance(value, type) and value.__module__.startswith(_HERE):
            waiting += [*value.__bases__, *vars(value).values()]


def _globals(code: CodeType) -> Iterator[str]:
    for instruction in dis.get_instructions(code):
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            yield instruction.argval
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _globals(constant)
