"""All tasks of the course by name.

The modules that declare them are imported when the first task is asked for, because they bring
torch with them.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from functools import cached_property

from autograder.task import Task

ASSIGNMENTS = ("l2", "dropout", "batch_norm", "capstone")


class _Tasks(Mapping[str, Task]):
    """The tasks by name, in the order of the course."""

    @cached_property
    def _by_name(self) -> dict[str, Task]:
        modules = [importlib.import_module(f"autograder.tasks.{name}") for name in ASSIGNMENTS]
        return {task.name: task for module in modules for task in module.TASKS}

    def __getitem__(self, name: str) -> Task:
        return self._by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)


tasks: Mapping[str, Task] = _Tasks()
