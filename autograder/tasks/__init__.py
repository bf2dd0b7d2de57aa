"""Find all assignments and tasks of the course in the folders here.

Each folder is an assignment and declares itself in its `__init__.py`; each `Task` in a module of
the folder is one of its tasks.  Importing these modules imports torch too, so it waits until the
first task is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType

from autograder.task import Assignment, Task


def _modules(package: ModuleType, *, folders: bool) -> Iterator[ModuleType]:
    """Import the folders or the files of a package, in the order of their names."""
    for module in sorted(iter_modules(package.__path__)):
        if module.ispkg == folders:
            yield import_module(f"{package.__name__}.{module.name}")


def _assignments() -> dict[str, Assignment]:
    folders = _modules(import_module(__name__), folders=True)
    found: list[Assignment] = [folder.ASSIGNMENT for folder in folders]
    found.sort(key=lambda assignment: assignment.number)
    return {assignment.name: assignment for assignment in found}


class _Tasks(Mapping[str, Task]):
    """The tasks by name, in the order of the course."""

    @cached_property
    def _by_name(self) -> dict[str, Task]:
        found: dict[str, Task] = {}
        for assignment in assignments:
            for module in _modules(import_module(f"{__name__}.{assignment}"), folders=False):
                tasks = [value for value in vars(module).values() if isinstance(value, Task)]
                found |= {task.name: task for task in tasks}
        # The sort is stable, so a backward pass stays behind the forward pass above it in its file.
        order = sorted(found.values(), key=lambda task: (task.assignment.number, task.number))
        return {task.name: task for task in order}

    def __getitem__(self, name: str) -> Task:
        return self._by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)


assignments: Mapping[str, Assignment] = _assignments()

tasks: Mapping[str, Task] = _Tasks()
