"""Run many submissions at a time with dask.distributed, on this machine or on others.

Workers need this package and bubblewrap but no shared disk, because a job carries everything that
its result depends on.  A worker only returns bytes, which say what it observed.  They are judged
here, where the gradebook is.
"""

from __future__ import annotations

import io
import logging
import os
import signal
from collections.abc import Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import ExitStack, suppress
from itertools import islice
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Lock
from typing import Generic, TypeVar, cast

import dask
from distributed import Client, Future, LocalCluster, Security, get_worker
from distributed.scheduler import KilledWorker
from tornado.ioloop import IOLoop, PeriodicCallback

from autograder.grading import certificates
from autograder.grading.job import Job
from autograder.grading.notebook import Outcome
from autograder.grading.results import result_name
from autograder.grading.strict import StrictClient, nothing_unpickled
from autograder.intake.notebook_file import UnreadableError
from autograder.sandbox import SandboxUnavailableError
from autograder.sandbox.pipe import RefusedError, read_reply, reply

DEATHS = 2
"""A submission is set aside after this many workers have died while running it."""

CONNECT_SECONDS = 10
"""How long to wait for a scheduler to answer."""

START_SECONDS = 120
"""How long to wait for the first worker on this machine."""

SILENCE_SECONDS = 300
"""How long no result may come, beyond what a notebook may take."""

RESULT_SECONDS = 60
"""How long a worker may take to hand a result over."""

CLOSE_SECONDS = 30
"""How long the workers on this machine may take to end."""

_MAX_REASON = 2000

_AHEAD = 4
_LOOK_MILLISECONDS = 2000

Key = TypeVar("Key")


class ClusterUnavailableError(Exception):
    """There is no scheduler or no usable worker; the message says what to do."""


class SetAsideError(Exception):
    """A submission was not graded; the message is a sentence that says why."""


class _FailedError(SetAsideError):
    """Grading failed on a worker."""


def run(
    jobs: Iterable[tuple[Key, Job]],
    workers: int,
    scheduler: str | None = None,
    keys: Path = Path(certificates.FOLDER),
) -> Iterator[tuple[Key, Job, Outcome | SetAsideError]]:
    """Yield the results of jobs as they finish.

    Parameters
    ----------
    jobs
        Pairs of a key that identifies the job and the job.  They are consumed as workers become
        free.
    workers
        How many processes to start on this machine; ignored if there is a `scheduler`.
    scheduler
        The address of a running scheduler with workers, such as "tls://grader:8786".  Its own
        settings decide how many workers may die while running a submission.
    keys
        The folder of the keys for a scheduler.

    Raises
    ------
    ClusterUnavailableError
        When the scheduler does not answer, has no workers, or has workers with other versions.
    SandboxUnavailableError
        When a worker cannot build the sandbox.
    """
    with ExitStack() as stack:
        stack.enter_context(
            dask.config.set(
                {
                    "distributed.scheduler.allowed-failures": DEATHS - 1,
                    # Queue nothing at a worker, or its death would be blamed on waiting jobs too.
                    "distributed.scheduler.worker-saturation": 1.0,
                    "distributed.comm.timeouts.connect": CONNECT_SECONDS,
                    # A worker that takes longer to restart is closed just when it is ready.
                    "distributed.deploy.lost-worker-timeout": "1h",
                    # The default log of tasks would keep a thousand submissions in memory.
                    "distributed.admin.low-level-log-length": 10,
                    "distributed.scheduler.http.routes": [],
                    "distributed.worker.http.routes": [],
                    # The sandbox limits memory; a restart would lose a good submission.
                    "distributed.worker.memory.terminate": False,
                }
            )
        )
        client = _client(workers, scheduler, keys, stack)
        run: _Run[Key] = _Run(client, scheduler)
        yield from run.all(iter(jobs))


class _Run(Generic[Key]):
    """The jobs that a cluster is running, and what came back."""

    def __init__(self, client: Client, scheduler: str | None) -> None:
        self._client = client
        self._scheduler = scheduler
        self._sent: dict[Future[bytes], tuple[Key, Job]] = {}
        self._done: SimpleQueue[Future[bytes]] = SimpleQueue()

    def all(
        self, waiting: Iterator[tuple[Key, Job]]
    ) -> Iterator[tuple[Key, Job, Outcome | SetAsideError]]:
        """Yield the results of jobs as they finish, then of those that the clock ended."""
        again = []
        while True:
            ahead = _AHEAD * max(1, sum(self._client.nthreads().values()))
            for key, job in islice(waiting, max(0, ahead - len(self._sent))):
                self._send(key, job)
            if not self._sent:
                break
            for key, job, result, by_clock in self._next():
                if by_clock:
                    again.append((key, job))
                else:
                    yield key, job, result
        # Now there is room, and each runs alone.
        for key, job in again:
            self._send(key, job)
            for last_key, last_job, result, _ in self._next():
                yield last_key, last_job, result

    def _send(self, key: Key, job: Job) -> None:
        future = self._client.submit(_graded, job, result_name(job), pure=False)
        self._sent[future] = key, job
        future.add_done_callback(self._done.put)

    def _next(self) -> Iterator[tuple[Key, Job, Outcome | SetAsideError, bool]]:
        """Yield the next result; if there is none for too long, set aside all that was sent."""
        silence = SILENCE_SECONDS + max(
            job.limits.notebook_seconds for _, job in self._sent.values()
        )
        try:
            future = self._done.get(timeout=silence)
        except Empty:
            lost, self._sent = list(self._sent.values()), {}
            for key, job in lost:
                yield (
                    key,
                    job,
                    SetAsideError(
                        f"No grading process answered within {silence:g} seconds. Grade again."
                    ),
                    False,
                )
            raise ClusterUnavailableError(
                f"No grading process has answered for {silence:g} seconds: look into the machines "
                "that grade, and grade again; finished grades are kept."
            ) from None
        key, job = self._sent.pop(future)
        result: Outcome | SetAsideError
        by_clock = False
        try:
            result, by_clock = _judged(job, future.result(timeout=RESULT_SECONDS))
        except KilledWorker as error:
            deaths = error.allowed_failures + 1
            result = SetAsideError(
                f"{deaths} grading processes died of it. Look into it, or grade again."
            )
        except (SandboxUnavailableError, ClusterUnavailableError):
            raise
        except CancelledError:
            raise ClusterUnavailableError(
                f"The scheduler at {self._scheduler} is gone: start it again, and grade again; "
                "finished grades are kept."
            ) from None
        except (UnreadableError, _FailedError) as error:
            result = SetAsideError(str(error))
        except RefusedError as error:
            result = SetAsideError(
                f"A worker answered with something that nobody can have observed ({error}) Look "
                "into the worker, and grade again."
            )
        except Exception as error:
            # Nothing that a worker sends is quoted: it raises nothing of its own accord.
            reason = type(error).__name__ if self._scheduler else f"{type(error).__name__}: {error}"
            result = SetAsideError(
                f"Grading failed: {reason}. Look into the submission and the worker that ran it."
            )
        yield key, job, result, by_clock


def _judged(job: Job, content: object) -> tuple[Outcome, bool]:
    """Return the outcome of what a worker returned, and whether the clock shaped it."""
    if type(content) is not bytes:
        raise RefusedError("It sent something that is not an answer.")
    stream = io.BytesIO(content)
    header, _ = read_reply(lambda count: stream.read(count).ljust(count, b"\0"))
    kind, reason = header.get("kind"), str(header.get("reason", ""))[:_MAX_REASON]
    # A worker's words end up in a terminal.
    reason = "".join(letter if letter.isprintable() else " " for letter in reason)
    if kind == "observed":
        return job.judge(stream.read())
    if kind in _PROBLEMS:
        raise _PROBLEMS[kind](reason)
    raise RefusedError("It sent something that is not an answer.")


def _client(workers: int, scheduler: str | None, keys: Path, stack: ExitStack) -> Client:
    if scheduler is None:
        # Without keys, other users of this machine could run code on the cluster.
        security = Security.temporary()
        local = LocalCluster(
            # `_respawn` starts the workers, because here one that dies at startup would end all.
            n_workers=0,
            threads_per_worker=1,
            # Any free port; no pages are served.
            dashboard_address="127.0.0.1:0",
            scheduler_kwargs={"dashboard": False},
            silence_logs=logging.CRITICAL,
            security=security,
        )
        stack.callback(_close, local)
        client: Client = stack.enter_context(Client(local, security=security))
        _respawn(workers, local, stack)
        try:
            client.wait_for_workers(1, timeout=START_SECONDS)
        except TimeoutError:
            raise ClusterUnavailableError(
                f"No grading process started within {START_SECONDS} seconds: find out what keeps "
                "this machine from starting one, or grade with --jobs 1."
            ) from None
        return client
    stack.enter_context(nothing_unpickled())
    if "://" not in scheduler:
        scheduler = f"tls://{scheduler}"
    try:
        encrypted = scheduler.startswith("tls://")
        client = stack.enter_context(
            StrictClient(scheduler, security=certificates.security(keys) if encrypted else None)
        )
    except FileNotFoundError:
        raise ClusterUnavailableError(
            f"There are no keys in {keys}: make some with `autograder certificates`."
        ) from None
    except (OSError, ValueError) as error:
        raise ClusterUnavailableError(
            f"No scheduler answers at {scheduler} ({error}): start one with `dask scheduler`."
        ) from None
    if not client.nthreads():
        raise ClusterUnavailableError(
            f"The scheduler at {scheduler} has no workers: start some with `dask worker`."
        )
    return client


def _respawn(workers: int, local: LocalCluster, stack: ExitStack) -> None:
    """Keep `workers` workers alive.

    Dask gives up on workers that die while they start, and waits forever if none is left.
    """
    # Failed starts are retried, so their errors are only noise.
    logging.getLogger("tornado.application").setLevel(logging.CRITICAL)
    loop = cast(IOLoop, local.loop)
    dead_before: set[object] = set()

    def look() -> None:
        nonlocal dead_before
        dead = {name for name, nanny in local.workers.items() if not nanny.is_alive()}
        # Close only those that stay dead: Dask itself restarts a worker that dies at work.
        for name in dead & dead_before:
            loop.add_callback(local.workers.pop(name).close)
        dead_before = dead
        local.scale(workers)

    looking = PeriodicCallback(look, _LOOK_MILLISECONDS)
    loop.add_callback(look)
    loop.add_callback(looking.start)
    stack.callback(loop.add_callback, looking.stop)


def _close(local: LocalCluster) -> None:
    """Close a cluster; kill what does not close, because Dask would wait for it for ever."""
    processes = [nanny.pid for nanny in local.workers.values() if nanny.pid]
    with suppress(TimeoutError):
        local.close(timeout=CLOSE_SECONDS)
    for process in processes:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


# A sandbox serves one submission at a time, but a worker may have several threads.
_one_at_a_time = Lock()

_PROBLEMS: dict[str, type[Exception]] = {
    "versions": ClusterUnavailableError,
    "sandbox": SandboxUnavailableError,
    "unreadable": UnreadableError,
    "failed": _FailedError,
}


def _graded(job: Job, name: str) -> bytes:
    """Observe a job on a worker that has the same versions as the coordinator."""
    here = get_worker().address
    # Threads take turns from the start, because in Python 3.11 two cannot parse at a time.
    with _one_at_a_time:
        try:
            if result_name(job) != name:
                return _problem(
                    "versions",
                    f"The worker at {here} has other versions than this machine of the package, "
                    "Python or a library: install the same versions there.",
                )
            return reply({"kind": "observed"}) + job.observe()
        except SandboxUnavailableError as error:
            return _problem("sandbox", f"Worker {here}: {error}")
        except UnreadableError as error:
            return _problem("unreadable", str(error))
        except Exception as error:
            return _problem("failed", f"Grading failed: {type(error).__name__}: {error}")


def _problem(kind: str, reason: str) -> bytes:
    return reply({"kind": kind, "reason": reason})
