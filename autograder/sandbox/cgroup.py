"""Let the kernel count and limit what a session uses, where it has control groups for us.

Any group of version 2 counts processor time, also that of processes which nobody saw, and can be
killed as a whole.  Where the controllers for memory and processes are there as well, their limits
hold for the session as a whole.  Root has groups, and so have users to whom one was delegated:
`systemd-run --user --scope -p Delegate=yes autograder grade`.  Elsewhere there are none, and the
grader only watches.  https://docs.kernel.org/admin-guide/cgroup-v2.html
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from itertools import count
from pathlib import Path

import psutil

from autograder.sandbox.children import children

_PREFIX = "autograder-session-"
_GRADER = "autograder-grader"
_TRIES = 100
_numbers = count()


class Group:
    """The control group of one session.

    Parameters
    ----------
    path
        Its folder.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def processor_time(self) -> float:
        """Return the seconds that all processes that ever were in it have used."""
        with contextlib.suppress(OSError, ValueError, KeyError):
            lines = (self._path / "cpu.stat").read_text().splitlines()
            return int(dict(line.split() for line in lines)["usage_usec"]) / 1e6
        return 0.0

    def close(self) -> None:
        """Kill what is in it, and remove it."""
        with contextlib.suppress(OSError):
            (self._path / "cgroup.kill").write_text("1")
        for _ in range(_TRIES):
            try:
                self._path.rmdir()
            except OSError as error:
                # What was killed a moment ago is still there for another.
                if error.errno == errno.EBUSY:
                    time.sleep(0.01)
                    continue
            return


def enter(pid: int, memory: int, processes: int, parent: Path | None = None) -> Group | None:
    """Put a process and its children into a new group, and return it; None if that is not possible.

    Parameters
    ----------
    pid
        The process, which may fork meanwhile, but its children may not.
    memory, processes
        Limits of the whole group, where the kernel has them.
    parent
        The group around it: if not given, the one that this process is in.
    """
    parent = parent or _own()
    if parent is None:
        return None
    path = parent / f"{_PREFIX}{os.getpid()}-{next(_numbers)}"
    try:
        _enable_controllers(parent)
        _remove_left_behind(parent)
        path.mkdir()
        for name, value in {
            "memory.max": memory,
            "memory.swap.max": 0,
            "memory.oom.group": 1,
            # Of the processes, one may be what keeps the others.
            "pids.max": processes + 1,
        }.items():
            if (path / name).exists():
                (path / name).write_text(str(value))
        _move(pid, path)
        # A child that was there before goes with it, and later ones begin there.
        for child in children(pid):
            _move(child, path)
    except (OSError, psutil.Error):
        Group(path).close()
        return None
    return Group(path)


def _own() -> Path | None:
    """Return the folder of the group that this process is in, without the one for graders."""
    with contextlib.suppress(OSError):
        lines = Path("/proc/self/cgroup").read_text().splitlines()
        name = next((line[4:] for line in lines if line.startswith("0::/")), "")
        for line in Path("/proc/mounts").read_text().splitlines():
            _, mount, kind, *_ = line.split()
            if kind == "cgroup2":
                own = Path(mount) / name
                return own.parent if own.name == _GRADER else own
    return None


def _enable_controllers(parent: Path) -> None:
    """Enable what there is.  A group with controllers may hold no process: ours move down."""
    there = (parent / "cgroup.controllers").read_text().split()
    wanted = "".join(f"+{name} " for name in ("memory", "pids") if name in there)
    if not wanted:
        return
    control = parent / "cgroup.subtree_control"
    try:
        control.write_text(wanted)
    except OSError:
        inside = {int(pid) for pid in (parent / "cgroup.procs").read_text().split()}
        ours = psutil.Process().children(recursive=True)
        if inside <= {os.getpid(), *(process.pid for process in ours)}:
            (parent / _GRADER).mkdir(exist_ok=True)
            for pid in inside:
                _move(pid, parent / _GRADER)
            with contextlib.suppress(OSError):
                control.write_text(wanted)


def _remove_left_behind(parent: Path) -> None:
    """End and remove the groups of graders that were killed."""
    for path in parent.glob(f"{_PREFIX}*"):
        if not psutil.pid_exists(int(path.name.removeprefix(_PREFIX).split("-")[0])):
            Group(path).close()


def _move(pid: int, path: Path) -> None:
    (path / "cgroup.procs").write_text(str(pid))
