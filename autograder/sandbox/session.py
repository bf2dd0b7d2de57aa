"""The grader's interface to the sandbox: start it, run cells and observe tasks."""

from __future__ import annotations

import contextlib
import math
import os
import select
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar

import psutil

from autograder.judging.limits import ENDED, SECONDS, not_finished, notebook_too_slow, too_slow
from autograder.judging.observed import TaskResult
from autograder.judging.wall import TORCH
from autograder.sandbox import cgroup, pause, pipe, scratch
from autograder.sandbox.backend import Backend, SandboxUnavailableError
from autograder.sandbox.backends import BACKENDS, DEFAULT
from autograder.sandbox.usage import Usage
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

    cell_seconds: float = SECONDS
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
    """Starts a session for each submission, from one of two warm processes.

    One has imported PyTorch; in the other it is not to be had.  Both start at the first use.

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
        self._with_torch = _WarmProcess(limits, self.backend, [])
        self._without_torch = _WarmProcess(limits, self.backend, ["--without-torch"])
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
        """Start the warm processes without waiting for them; `session` does both."""
        self._with_torch.start()
        self._without_torch.start()

    def session(self, seed: int, deadline: float, forbidden: Sequence[str] = ()) -> Session:
        """Return a fresh process for one submission; it has run nothing yet.

        Parameters
        ----------
        seed
            Seeds the global random number generators of the process.
        deadline
            The latest time for the whole notebook, as measured by `time.monotonic`.
        forbidden
            What is not there, as in `Task.forbidden`.

        Raises
        ------
        SandboxUnavailableError
            When this machine cannot provide one.
        """
        self.start()
        warm = self._without_torch if TORCH in forbidden else self._with_torch
        try:
            connection, process, *folder = warm.fork()
            session = Session(connection, process, self.limits, deadline, *folder)
            session.begin(seed, [one for one in forbidden if one != TORCH])
        except (EndedError, OSError, ValueError):
            problem = warm.problem()
            self.close()
            raise problem from None
        self._works = True
        return session

    def close(self) -> None:
        """End the warm processes and every session."""
        self._with_torch.close()
        self._without_torch.close()


class _WarmProcess:
    """A process that has imported what notebooks need, and forks for each session."""

    def __init__(self, limits: Limits, backend: Backend, options: Sequence[str]) -> None:
        self._limits = limits
        self._backend = backend
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it without waiting for it."""
        if self._process is not None and self._process.poll() is None:
            return
        self.close()
        command = [*self._backend.command(self._limits.files), *self._options]
        self._control, theirs = socket.socketpair()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # lives as long as the process
        with theirs:
            self._process = subprocess.Popen(
                command,
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=self._errors,
                env=self._backend.environment(),
                cwd="/",
            )
        self._ready = False

    def fork(self) -> tuple[Any, ...]:
        """Return the connection to a new fork, a descriptor of its process and one of its folder.

        Only a session without namespaces has a folder.

        Raises
        ------
        OSError, ValueError
            When it has ended or does not answer; `problem` says why.
        """
        if not self._ready:
            self._control.settimeout(_START_SECONDS)
            if self._control.recv(5) != b"ready":
                raise OSError("The warm process has ended.")
            self._ready = True
        ours, theirs = socket.socketpair()
        with theirs, contextlib.ExitStack() as on_failure:
            on_failure.callback(ours.close)
            socket.send_fds(self._control, [b"s"], [theirs.fileno()])
            found = socket.recv_fds(self._control, 1, 2)[1]
            if not found:
                raise OSError("The warm process has ended.")
            on_failure.pop_all()
        return pipe.Pipe(ours), *found

    def close(self) -> None:
        """End it and every session."""
        if self._process is None:
            return
        self._control.close()
        self._process.kill()
        self._process.wait()
        self._errors.close()
        self._process = None

    def problem(self) -> SandboxUnavailableError:
        """Return an exception that says why it does not work and what to do."""
        self._errors.seek(0)
        lines = self._errors.read()[-2000:].decode("utf-8", "replace").strip().splitlines()
        reason = lines[-1] if lines else "it ended without saying why"
        return SandboxUnavailableError(
            f"The sandbox ({self._backend.name}) did not start: {reason}. {self._backend.advice()}"
        )


class Session:
    """A process that runs the cells of one submission; made by `Sandbox.session`."""

    def __init__(
        self,
        connection: pipe.Pipe,
        process: int,
        limits: Limits,
        deadline: float,
        folder: int | None = None,
    ) -> None:
        self._pipe = connection
        self._process = process
        # A session that was given a folder has a keeper, who cleans up when told to.
        self._folder = folder
        pid = _pid(process)
        self._pid = pid
        self._paused: list[int] = []
        self._group = cgroup.enter(pid, limits.memory, limits.processes)
        self._usage = Usage(pid, keeper=folder is not None, group=self._group)
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

    def begin(self, seed: int, without: Sequence[str]) -> None:
        """Send the limits and what to remove, and wait until the process is isolated."""
        limits = {
            "memory": self._limits.memory,
            "cpu": int(self._limits.notebook_seconds) + 1,
            "file_size": self._limits.files,
            "processes": self._limits.processes,
            "seed": seed % 2**32,
            "without": list(without),
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

    def pause(self) -> None:
        """Let nothing run in this session until it is asked again; end it if that fails."""
        if self.closed or self._paused:
            return
        paused = pause.stop(self._pid, keeper=self._folder is not None)
        if paused is None:
            self.close()
        else:
            self._paused = paused

    @property
    def closed(self) -> bool:
        """Whether the session is over."""
        return self._process < 0

    def close(self) -> None:
        """Kill every process of the session."""
        self._pipe.close()
        if self._process < 0:
            return
        if self._folder is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._process, signal.SIGTERM)
            select.select([self._process], [], [], _KILL_SECONDS)
            os.close(self._folder)
        for process in self._usage.processes():
            with contextlib.suppress(psutil.Error):
                process.kill()
        select.select([self._process], [], [], _KILL_SECONDS)
        if self._group is not None:
            self._group.close()
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
            used = self._usage.processor_time()
            # Baseline, taken at the first poll.
            allowed = used + self._limits.cell_seconds if allowed is None else allowed
            if used > allowed:
                raise EndedError(too_slow(self._limits.cell_seconds))
            if self._usage.memory(self._limits.memory) > self._limits.memory:
                raise EndedError(f"It used more than {self._limits.memory / 2**30:g} GB of memory.")
            self._look_at_folder()

        pause.go_on(self._paused)
        self._paused = []
        try:
            self._pipe.send(request, deadline, watch)
            reply = read(*self._pipe.receive(deadline, watch))
            # Check now, or this growth is blamed on the next request.
            if self._usage.first_is_larger(self._limits.memory):
                watch()
            self._look_at_folder()
            return reply
        except TimeoutError:
            self.close()
            if deadline == latest:
                all_seconds = self._limits.notebook_seconds
                raise EndedError(notebook_too_slow(all_seconds), by_clock=True) from None
            raise EndedError(not_finished(seconds), by_clock=True) from None
        except pipe.ClosedError:
            self.close()
            raise EndedError(ENDED) from None
        except pipe.RefusedError as refused:
            self.close()
            raise EndedError(str(refused)) from None
        except BaseException:
            self.close()
            raise

    def _look_at_folder(self) -> None:
        """Raise EndedError if there is too much in a folder that the kernel does not limit."""
        if self._folder is None:
            return
        most, most_files = self._limits.files, scratch.MOST_FILES
        size, files = scratch.used(self._folder, most)
        if size > most or files > most_files:
            raise EndedError(f"It wrote more than {most / 2**20:g} MB or {most_files} files.")


def _pid(process: int) -> int:
    """Return the id that a process, given by its descriptor, has in our namespace."""
    with open(f"/proc/self/fdinfo/{process}") as file:
        fields = dict(line.split(":", 1) for line in file)
    return int(fields["Pid"])
