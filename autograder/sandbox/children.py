"""Which processes came from which, without asking every process of the machine."""

from __future__ import annotations

import contextlib
import os
from functools import cache

import psutil


def children(pid: int) -> list[int]:
    """Return the ids of the children that a process has now; none if it is gone."""
    if not _kernel_lists_children():
        with contextlib.suppress(psutil.Error):
            return [child.pid for child in psutil.Process(pid).children()]
        return []
    found: list[int] = []
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{thread}/children") as file:
                found += map(int, file.read().split())
    return found


def descendants(pid: int) -> list[int]:
    """Return the ids of a process, of its children, of theirs and so on."""
    found = [pid]
    for one in found:
        found += children(one)
    return found


@cache
def _kernel_lists_children() -> bool:
    """Return whether the kernel can; otherwise every process of the machine has to be asked."""
    return os.path.exists(f"/proc/self/task/{os.getpid()}/children")
