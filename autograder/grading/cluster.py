"""Many submissions at a time, on this machine or on others, by dask.distributed.

Workers need this package and bubblewrap, and no disk that they share: a job carries all that its
result follows from.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import ExitStack
from itertools import islice
from threading import Lock
from typing import TypeVar, cast

import dask
from distributed import Client, Future, LocalCluster, Security, as_completed, get_worker
from distributed.scheduler import KilledWorker
from tornado.ioloop import IOLoop, PeriodicCallback

from autograder.grading.job import Job
from autograder.grading.notebook import Outcome
from autograder.grading.results import result_name
from autograder.intake.notebook_file import UnreadableError
from autograder.sandbox import SandboxUnavailableError

DEATHS = 2
"""How many workers a submission may take with it before it is set aside."""

CONNECT_SECONDS = 10
"""How long to look for a scheduler."""

START_SECONDS = 120
"""How long to wait for the first worker on this machine."""

_AHEAD = 4
_LOOK_MILLISECONDS = 2000

Key = TypeVar("Key")


class ClusterUnavailableError(Exception):
    """There is no scheduler or no fit worker; the message says what to do."""


class SetAsideError(Exception):
    """A submission that was not graded; the message is a sentence that says why."""


def run(
    jobs: Iterable[tuple[Key, Job]], workers: int, scheduler: str | None = None
) -> Iterator[tuple[Key, Job, Outcome | SetAsideError]]:
    """Yield the results of jobs as they are done.

    Parameters
    ----------
    jobs
        Each with a key to know it by; asked for as workers become free.
    workers
        How many processes to start on this machine, when there is no `scheduler`.
    scheduler
        The address of one, such as "tcp://grader:8786", with workers of its own.  How many of
        them a submission may take with it is a setting of its own, too.

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
                    # Nothing waits at a worker, or a worker's death would be blamed on it too.
                    "distributed.scheduler.worker-saturation": 1.0,
                    "distributed.comm.timeouts.connect": CONNECT_SECONDS,
                    # One that takes longer to start again would be closed as it begins to work.
                    "distributed.deploy.lost-worker-timeout": "1h",
                    # A log of tasks would keep the last thousand submissions in memory.
                    "distributed.admin.low-level-log-length": 10,
                    "distributed.scheduler.http.routes": [],
                    "distributed.worker.http.routes": [],
                    # Memory is limited by the sandbox; a restart would cost a good submission.
                    "distributed.worker.memory.terminate": False,
                }
            )
        )
        client = stack.enter_context(_client(workers, scheduler, stack))
        waiting = iter(jobs)
        sent: dict[Future[Outcome], tuple[Key, Job]] = {}
        running = as_completed()

        def send() -> None:
            ahead = _AHEAD * max(1, sum(client.nthreads().values()))
            for key, job in islice(waiting, max(0, ahead - len(sent))):
                future = client.submit(_graded, job, result_name(job), pure=False)
                sent[future] = key, job
                running.add(future)

        send()
        for future in running:
            key, job = sent.pop(future)
            try:
                result: Outcome | SetAsideError = future.result()
            except KilledWorker as error:
                deaths = error.allowed_failures + 1
                result = SetAsideError(
                    f"{deaths} grading processes died of it. Look at it yourself, or grade again."
                )
            except (SandboxUnavailableError, ClusterUnavailableError):
                raise
            except CancelledError:
                raise ClusterUnavailableError(
                    f"The scheduler at {scheduler} has gone: start it again, and grade again; "
                    "what has been graded is kept."
                ) from None
            except UnreadableError as error:
                result = SetAsideError(str(error))
            except Exception as error:
                result = SetAsideError(f"Grading failed: {type(error).__name__}: {error}")
            send()
            yield key, job, result


def _client(workers: int, scheduler: str | None, stack: ExitStack) -> Client:
    if scheduler is None:
        # Others on this machine could have their code run by a cluster that asks for no key.
        security = Security.temporary()
        local = LocalCluster(
            # They come from `_respawn`, because one that dies at its start would end all here.
            n_workers=0,
            threads_per_worker=1,
            # Any free port, for pages that there are none of.
            dashboard_address="127.0.0.1:0",
            scheduler_kwargs={"dashboard": False},
            silence_logs=logging.CRITICAL,
            security=security,
        )
        client = Client(stack.enter_context(local), security=security)
        _respawn(workers, local, stack)
        try:
            client.wait_for_workers(1, timeout=START_SECONDS)
        except TimeoutError:
            raise ClusterUnavailableError(
                f"No process that could grade was there after {START_SECONDS} seconds: see what "
                "keeps this machine from starting any, or grade with --jobs 1."
            ) from None
        return client
    try:
        client = Client(scheduler)
    except (OSError, ValueError) as error:
        raise ClusterUnavailableError(
            f"No scheduler answers at {scheduler} ({error}): start one with `dask scheduler`."
        ) from None
    if not client.nthreads():
        client.close()
        raise ClusterUnavailableError(
            f"The scheduler at {scheduler} has no workers: start some with `dask worker`."
        )
    return client


def _respawn(workers: int, local: LocalCluster, stack: ExitStack) -> None:
    """Keep `workers` workers alive.

    Dask gives up those that die while they start, and would wait for ever if there were no others.
    """
    # A failed start is tried again; nobody needs to read about it.
    logging.getLogger("tornado.application").setLevel(logging.CRITICAL)
    loop = cast(IOLoop, local.loop)
    dead_before: set[object] = set()

    def look() -> None:
        nonlocal dead_before
        dead = {name for name, nanny in local.workers.items() if not nanny.is_alive()}
        # One that died while it worked is started again by itself.
        for name in dead & dead_before:
            loop.add_callback(local.workers.pop(name).close)
        dead_before = dead
        local.scale(workers)

    looking = PeriodicCallback(look, _LOOK_MILLISECONDS)
    loop.add_callback(look)
    loop.add_callback(looking.start)
    stack.callback(loop.add_callback, looking.stop)


# A sandbox serves one submission at a time, a worker may have several threads.
_one_at_a_time = Lock()


def _graded(job: Job, name: str) -> Outcome:
    """Run a job on a worker, if the result will be what the coordinator calls it."""
    if result_name(job) != name:
        raise ClusterUnavailableError(
            f"The worker at {get_worker().address} has other versions than this machine of the "
            "package, Python or a library that counts: install the same there."
        )
    with _one_at_a_time:
        try:
            return job.run()
        except SandboxUnavailableError as error:
            raise SandboxUnavailableError(f"Worker {get_worker().address}: {error}") from None
