"""What the processes of a session use, as the grader sees it from outside."""

from __future__ import annotations

import contextlib

import psutil

from autograder.sandbox import cgroup
from autograder.sandbox.children import children, descendants


class Usage:
    """Processor time and memory of a process and all its descendants.

    Parameters
    ----------
    pid
        The first process.
    keeper
        Whether the first process only waits for the others, see `keeper`.
    group
        Their control group, if they have one.
    """

    def __init__(
        self, pid: int, *, keeper: bool = False, group: cgroup.Group | None = None
    ) -> None:
        self._pid = pid
        self._keeper = keeper
        self._group = group
        self._running: dict[psutil.Process, float] = {}
        self._ended = 0.0
        self._most = 0.0

    def processes(self) -> list[psutil.Process]:
        """Return the processes that there are now, the first one first."""
        found = []
        for pid in descendants(self._pid):
            with contextlib.suppress(psutil.Error):
                found.append(psutil.Process(pid))
        return found

    def processor_time(self) -> float:
        """Return the seconds that all have used so far; it never becomes less.

        The kernel adds the time of a process that ended to its parent's, but not if the parent
        ignores that its children end.  So what was last seen of those that are gone counts as well.
        What ended between two looks, and nobody waited for, is missing without a control group.
        """
        own, waited = {}, 0.0
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                times = process.cpu_times()
                own[process] = times.user + times.system
                waited += times.children_user + times.children_system
        for process, time in self._running.items():
            if process in own:
                continue
            if process.is_running():
                # The kernel may miss a process when it lists those of another that has just ended.
                own[process] = time
            else:
                self._ended += time
        self._running = own
        counted = self._group.processor_time() if self._group is not None else 0.0
        seen = sum(own.values()) + max(waited, self._ended)
        self._most = max(self._most, counted, seen)
        return self._most

    def memory(self, limit: int) -> int:
        """Return their memory in bytes, or an overestimate that is within the limit.

        The exact number divides shared pages among the processes that share them.  It is slow,
        because the kernel looks at every page.
        """
        processes = self.processes()[self._keeper :]
        for size in (_resident, _proportional):
            total = 0
            for process in processes:
                with contextlib.suppress(psutil.Error):
                    total += size(process)
            if total <= limit:
                break
        return total

    def first_is_larger(self, limit: int) -> bool:
        """Return whether the first process that runs student code is larger than a limit."""
        with contextlib.suppress(psutil.Error, ValueError):
            pid = self._pid
            if self._keeper:
                [pid] = children(pid)[:1]
            return _resident(psutil.Process(pid)) > limit
        return False


def _resident(process: psutil.Process) -> int:
    size: int = process.memory_info().rss
    return size


def _proportional(process: psutil.Process) -> int:
    try:
        size: int = process.memory_full_info().pss
    except psutil.AccessDenied:
        # Root in a container may not see it, and what cannot be seen must not count as nothing.
        return _resident(process)
    return size
