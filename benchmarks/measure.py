"""Measure the time, processor time and memory of a command and of every process it starts."""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

_TICK = 0.25
_GROUP = "autograder-bench-"


@dataclass(frozen=True)
class Usage:
    """The resources that a command used.

    Attributes
    ----------
    seconds
        Wall-clock time.
    cpu
        Processor time in seconds, of the command and its descendants.
    peak
        Peak memory of all processes in bytes; shared pages count once.
    output
        What the command printed.
    """

    seconds: float
    cpu: float
    peak: int
    output: str


def measured(
    command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None
) -> Usage:
    """Run a command to its end and return the resources that it used.

    Parameters
    ----------
    command, folder, environment
        As for `subprocess.run`.
    """
    with _group() as group:
        before, started = _cpu(group), time.monotonic()
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, **(environment or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=None if group is None else lambda: _enter(group),
        )
        with Memory(process.pid) as memory:
            output, _ = process.communicate()
            seconds = time.monotonic() - started
        if process.returncode != 0:
            raise RuntimeError(f"{' '.join(command)} failed ({process.returncode}):\n{output}")
        if group is not None:
            _wait_until_empty(group)
        return Usage(seconds, _cpu(group) - before, memory.peak, output)


class Memory:
    """Samples the memory of a process and its descendants every quarter of a second.

    Parameters
    ----------
    pid
        The id of the process.

    Attributes
    ----------
    samples
        Pairs of `time.monotonic` and bytes.
    """

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.samples: list[tuple[float, int]] = []

    @property
    def peak(self) -> int:
        """The largest sample, in bytes."""
        return max((size for _, size in self.samples), default=0)

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(_TICK):
            total = 0
            with contextlib.suppress(psutil.Error):
                for process in (self._process, *self._process.children(recursive=True)):
                    with contextlib.suppress(psutil.Error):
                        total += process.memory_full_info().pss
            self.samples.append((time.monotonic(), total))


def cpu_so_far() -> float:
    """Return the processor time of this process and its descendants, in seconds."""
    found = _own_group()
    if found is not None and found.name.startswith(_GROUP):
        return _cpu(found)
    return time.process_time() + _cpu(None)


def counts_all() -> bool:
    """Return whether processor time is complete.

    Without a control group, it lacks the time of killed processes, and every sandbox is killed.
    """
    with _group() as group:
        return group is not None


@contextlib.contextmanager
def _group() -> Iterator[Path | None]:
    """Make a control group, if permitted; it counts the time of every process ever in it."""
    above = _own_group()
    if above is not None:
        group = above / f"{_GROUP}{os.getpid()}"
        try:
            group.mkdir()
        except OSError:
            above = None
    if above is None:
        yield None
        return
    try:
        yield group
    finally:
        with contextlib.suppress(OSError):
            group.rmdir()


def _own_group() -> Path | None:
    """Return the folder of the control group (version 2) that this process is in."""
    own = Path("/proc/self/cgroup").read_text().split("0::/")[-1].splitlines()[0]
    for line in Path("/proc/mounts").read_text().splitlines():
        _, mount, kind, *_ = line.split()
        if kind == "cgroup2":
            return Path(mount) / own
    return None


def _enter(group: Path) -> None:
    (group / "cgroup.procs").write_text("0")


def _wait_until_empty(group: Path, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while pids := (group / "cgroup.procs").read_text().split():
        if time.monotonic() > deadline:
            found = [" ".join(psutil.Process(int(pid)).cmdline()) for pid in pids]
            (group / "cgroup.kill").write_text("1")
            raise RuntimeError(f"These processes did not end: {found}")
        time.sleep(0.05)


def _cpu(group: Path | None) -> float:
    if group is None:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime
    [line, *_] = (group / "cpu.stat").read_text().splitlines()
    return int(line.split()[1]) / 1e6
