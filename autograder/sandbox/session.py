"""The grader's interface to the sandbox: start it, run cells and observe tasks."""

from __future__ import annotations

import contextlib
import math
import os
import select
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar

import psutil

from autograder.judging.observed import TaskResult
from autograder.sandbox import pipe
from autograder.sandbox.backend import SandboxUnavailableError
from autograder.sandbox.backends import BACKENDS, DEFAULT
from autograder.task import Case, Task

_START_SECONDS = 120
_KILL_SECONDS = 10

_Reply = TypeVar("_Reply")


@dataclass(frozen=True)
class Limits:
    """What student code may use.

    Attributes
    ----------
    cell_seconds
        Processor time for each cell and each task.  The wall-clock limit is twice that, because
        sleeping costs no processor time and a busy machine gives little of it.
    notebook_seconds
        Wall-clock time for a whole notebook.
    memory
        Bytes for each process, and for all of them together.
    files
        Bytes for each file, and for each in-memory file system.
    processes
        Number of processes and threads at a time.
    """

    cell_seconds: float = 30
    notebook_seconds: float = 300
    memory: int = 2 * 2**30
    files: int = 64 * 2**20
    processes: int = 64


class EndedError(Exception):
    """A session ended early; the message is a sentence for the student that says why.

    `by_clock` says whether it might not have ended on a machine that was less busy.
    """

    def __init__(self, reason: str, by_clock: bool = False) -> None:
        super().__init__(reason)
        self.by_clock = by_clock


class Sandbox:
    """A warm process that starts a session for each submission.

    Parameters
    ----------
    limits
        The limits of each session.
    backend
        The name of one of `BACKENDS`.
    """

    def __init__(self, limits: Limits = Limits(), backend: str = DEFAULT) -> None:
        self.limits = limits
        self.backend = BACKENDS[backend]
        self._process: subprocess.Popen[bytes] | None = None
        self._works = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def check(self) -> None:
        """Make sure that sessions can be started.

        Raises
        ------
        SandboxUnavailableError
            When they cannot; the message says what to do.
        """
        if not self._works:
            self.session(0, math.inf).close()

    def start(self) -> None:
        """Start the warm process without waiting for it; `session` does both."""
        if self._process is not None and self._process.poll() is None:
            return
        self.close()
        command = self.backend.command(self.limits.files)
        self._control, theirs = socket.socketpair()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # lives as long as the process
        with theirs:
            self._process = subprocess.Popen(
                command,
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=self._errors,
                env=self.backend.environment(),
                cwd="/",
            )
        self._ready = False

    def session(self, seed: int, deadline: float) -> Session:
        """Return a fresh process for one submission; it has run nothing yet.

        Parameters
        ----------
        seed
            Seeds the global random number generators of the process.
        deadline
            The latest time for the whole notebook, as measured by `time.monotonic`.

        Raises
        ------
        SandboxUnavailableError
            When this machine cannot provide one.
        """
        self.start()
        try:
            if not self._ready:
                self._control.settimeout(_START_SECONDS)
                if self._control.recv(5) != b"ready":
                    raise self._unavailable()
                self._ready = True
            ours, theirs = socket.socketpair()
            with theirs, contextlib.ExitStack() as on_failure:
                on_failure.callback(ours.close)
                socket.send_fds(self._control, [b"s"], [theirs.fileno()])
                [process] = socket.recv_fds(self._control, 1, 1)[1]
                on_failure.pop_all()
        except (OSError, ValueError):
            raise self._unavailable() from None
        session = Session(pipe.Pipe(ours), process, self.limits, deadline)
        try:
            session.begin(seed)
        except EndedError:
            raise self._unavailable() from None
        self._works = True
        return session

    def close(self) -> None:
        """End the warm process and every session."""
        if self._process is None:
            return
        self._control.close()
        self._process.kill()
        self._process.wait()
        self._errors.close()
        self._process = None

    def _unavailable(self) -> SandboxUnavailableError:
        self._errors.seek(0)
        lines = self._errors.read()[-2000:].decode("utf-8", "replace").strip().splitlines()
        self.close()
        reason = lines[-1] if lines else "it ended without saying why"
        return SandboxUnavailableError(
            f"The sandbox ({self.backend.name}) did not start: {reason}. {self.backend.install}"
        )


class Session:
    """A process that runs the cells of one submission; made by `Sandbox.session`."""

    def __init__(
        self, connection: pipe.Pipe, process: int, limits: Limits, deadline: float
    ) -> None:
        self._pipe = connection
        self._process = process
        self._pid = _pid(process)
        self._limits = limits
        self._deadline = deadline

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def begin(self, seed: int) -> None:
        """Send the limits and wait until the process is isolated."""
        limits = {
            "memory": self._limits.memory,
            "cpu": int(self._limits.notebook_seconds) + 1,
            "file_size": self._limits.files,
            "processes": self._limits.processes,
            "seed": seed % 2**32,
        }
        self._ask(limits, lambda header, blobs: None, time.monotonic() + _START_SECONDS)

    def run_cell(self, source: str) -> tuple[pipe.Output, ...]:
        """Run a cell and return its outputs.

        Raises
        ------
        EndedError
            When the cell did not finish; the session is then closed.
        """
        return self._ask({"do": "cell", "source": source}, pipe.cell_outputs, self._deadline)

    def observe(self, task: Task, cases: Sequence[Case]) -> TaskResult:
        """Run the functions of a task on cases; raises like `run_cell`."""
        return self._ask(
            {"do": "observe", "task": task.name, "cases": list(cases)},
            lambda header, blobs: pipe.observations(header, blobs, task, cases),
            self._deadline,
        )

    @property
    def closed(self) -> bool:
        """Whether the session is over."""
        return self._process < 0

    def close(self) -> None:
        """Kill every process of the session."""
        self._pipe.close()
        if self._process < 0:
            return
        for process in self._processes():
            with contextlib.suppress(psutil.Error):
                process.kill()
        select.select([self._process], [], [], _KILL_SECONDS)
        os.close(self._process)
        self._process = -1

    def _ask(
        self, request: Any, read: Callable[[Any, list[bytes]], _Reply], latest: float
    ) -> _Reply:
        seconds = 2 * self._limits.cell_seconds
        deadline = min(time.monotonic() + seconds, latest)
        allowed: float | None = None

        def watch() -> None:
            nonlocal allowed
            processes = self._processes()
            used = _processor_time(processes)
            # Baseline, taken at the first poll.
            allowed = used + self._limits.cell_seconds if allowed is None else allowed
            if used > allowed:
                raise EndedError(
                    f"It used more than {self._limits.cell_seconds:g} seconds of processor time."
                )
            if _memory(processes, self._limits.memory) > self._limits.memory:
                raise EndedError(f"It used more than {self._limits.memory / 2**30:g} GB of memory.")

        try:
            self._pipe.send(request, deadline, watch)
            reply = read(*self._pipe.receive(deadline, watch))
            # Check now, or this growth is blamed on the next request.
            if self._first_process_is_large():
                watch()
            return reply
        except TimeoutError:
            self.close()
            if deadline == latest:
                seconds = self._limits.notebook_seconds
                raise EndedError(
                    f"The notebook took more than {seconds:g} seconds in all.", by_clock=True
                ) from None
            raise EndedError(
                f"It did not finish within {seconds:g} seconds.", by_clock=True
            ) from None
        except pipe.ClosedError:
            self.close()
            raise EndedError(
                "It ended its process: it crashed, exited or used more memory than allowed."
            ) from None
        except pipe.RefusedError as refused:
            self.close()
            raise EndedError(str(refused)) from None
        except BaseException:
            self.close()
            raise

    def _first_process_is_large(self) -> bool:
        try:
            return _resident(psutil.Process(self._pid)) > self._limits.memory
        except psutil.Error:
            return False

    def _processes(self) -> list[psutil.Process]:
        try:
            first = psutil.Process(self._pid)
            return [first, *first.children(recursive=True)]
        except psutil.Error:
            return []


def _pid(process: int) -> int:
    """Return the id that a process, given by its descriptor, has in our namespace."""
    with open(f"/proc/self/fdinfo/{process}") as file:
        fields = dict(line.split(":", 1) for line in file)
    return int(fields["Pid"])


def _processor_time(processes: Sequence[psutil.Process]) -> float:
    total = 0.0
    for process in processes:
        with contextlib.suppress(psutil.Error):
            total += sum(process.cpu_times()[:4])
    return total


def _memory(processes: Sequence[psutil.Process], limit: int) -> int:
    """Return the memory of processes in bytes, or an overestimate that is within the limit.

    The exact number divides shared pages among the processes that share them.  It is slow, because
    the kernel looks at every page.
    """
    for size in (_resident, _proportional):
        total = 0
        for process in processes:
            with contextlib.suppress(psutil.Error):
                total += size(process)
        if total <= limit:
            break
    return total


def _resident(process: psutil.Process) -> int:
    size: int = process.memory_info().rss
    return size


def _proportional(process: psutil.Process) -> int:
    size: int = process.memory_full_info().pss
    return size
