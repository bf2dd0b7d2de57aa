"""Run many submissions at a time with dask.distributed, on this machine or on others.

Workers need this package and bubblewrap but no shared disk, because a job carries everything that
its result depends on.
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
"""A submission is set aside after this many workers have died while running it."""

CONNECT_SECONDS = 10
"""How long to wait for a scheduler to answer."""

START_SECONDS = 120
"""How long to wait for the first worker on this machine."""

_AHEAD = 4
_LOOK_MILLISECONDS = 2000

Key = TypeVar("Key")


class ClusterUnavailableError(Exception):
    """There is no scheduler or no usable worker; the message says what to do."""


class SetAsideError(Exception):
    """A submission was not graded; the message is a sentence that says why."""


def run(
    jobs: Iterable[tuple[Key, Job]], workers: int, scheduler: str | None = None
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
        The address of a running scheduler with workers, such as "tcp://grader:8786".  Its own
        settings decide how many workers may die while running a submission.

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
                    f"{deaths} grading processes died of it. Look into it, or grade again."
                )
            except (SandboxUnavailableError, ClusterUnavailableError):
                raise
            except CancelledError:
                raise ClusterUnavailableError(
                    f"The scheduler at {scheduler} is gone: start it again, and grade again; "
                    "finished grades are kept."
                ) from None
            except UnreadableError as error:
                result = SetAsideError(str(error))
            except Exception as error:
                result = SetAsideError(f"Grading failed: {type(error).__name__}: {error}")
            send()
            yield key, job, result


def _client(workers: int, scheduler: str | None, stack: ExitStack) -> Client:
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
        client = Client(stack.enter_context(local), security=security)
        _respawn(workers, local, stack)
        try:
            client.wait_for_workers(1, timeout=START_SECONDS)
        except TimeoutError:
            raise ClusterUnavailableError(
                f"No grading process started within {START_SECONDS} seconds: find out what keeps "
                "this machine from starting one, or grade with --jobs 1."
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


# A sandbox serves one submission at a time, but a worker may have several threads.
_one_at_a_time = Lock()


def _graded(job: Job, name: str) -> Outcome:
    """Run a job on a worker that has the same versions as the coordinator."""
    if result_name(job) != name:
        raise ClusterUnavailableError(
            f"The worker at {get_worker().address} has other versions than this machine of the "
            "package, Python or a library: install the same versions there."
        )
    with _one_at_a_time:
        try:
            return job.run()
        except SandboxUnavailableError as error:
            raise SandboxUnavailableError(f"Worker {get_worker().address}: {error}") from None
