"""Many submissions at a time, on this machine or on others, by dask.distributed.

Workers need this package and bubblewrap, and no disk that they share: a job carries all that its
result follows from.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from itertools import islice
from typing import TypeVar

import dask
from distributed import Client, LocalCluster, as_completed
from distributed.scheduler import KilledWorker

from autograder.grading import Job, Outputs
from autograder.sandbox import SandboxUnavailable

DEATHS = 2
"""How many workers a submission may take with it before it is set aside."""

_AHEAD = 4

Key = TypeVar("Key")


class ClusterUnavailable(Exception):
    """There is no scheduler or no worker; the message says what to do."""


class SetAside(Exception):
    """A submission that was not graded; the message is a sentence that says why."""


def run(
    jobs: Iterable[tuple[Key, Job]], workers: int, scheduler: str | None = None
) -> Iterator[tuple[Key, Job, Outputs | SetAside]]:
    """Yield the results of jobs as they are done.

    Parameters
    ----------
    jobs
        Each with a key to know it by; asked for as workers become free.
    workers
        How many processes to start on this machine, when there is no `scheduler`.
    scheduler
        The address of one, such as "tcp://grader:8786", with workers of its own.

    Raises
    ------
    ClusterUnavailable
        When the scheduler does not answer, or has no workers.
    SandboxUnavailable
        When a worker cannot build the sandbox.
    """
    with ExitStack() as stack:
        stack.enter_context(
            dask.config.set(
                {
                    "distributed.scheduler.allowed-failures": DEATHS - 1,
                    # Nothing waits at a worker, or a worker's death would be blamed on it too.
                    "distributed.scheduler.worker-saturation": 1.0,
                    "distributed.comm.timeouts.connect": "10s",
                    # Memory is limited by the sandbox; a restart would cost a good submission.
                    "distributed.worker.memory.terminate": False,
                }
            )
        )
        client = stack.enter_context(_client(workers, scheduler, stack))
        ahead = _AHEAD * max(1, len(client.scheduler_info()["workers"]))
        waiting = iter(jobs)
        sent = {client.submit(_graded, one[1], pure=False): one for one in islice(waiting, ahead)}
        running = as_completed(sent)
        for future in running:
            key, job = sent.pop(future)
            try:
                result: Outputs | SetAside = future.result()
            except KilledWorker:
                result = SetAside(
                    f"{DEATHS} grading processes died of it. Look at it yourself, or grade again."
                )
            except SandboxUnavailable:
                raise
            except Exception as error:
                result = SetAside(f"Grading failed: {type(error).__name__}: {error}")
            for one in islice(waiting, 1):
                new = client.submit(_graded, one[1], pure=False)
                sent[new] = one
                running.add(new)
            yield key, job, result


def _client(workers: int, scheduler: str | None, stack: ExitStack) -> Client:
    if scheduler is None:
        local = LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            dashboard_address=None,
            silence_logs=logging.CRITICAL,
        )
        return Client(stack.enter_context(local))
    try:
        client = Client(scheduler)
    except (OSError, ValueError) as error:
        raise ClusterUnavailable(
            f"No scheduler answers at {scheduler} ({error}): start one with `dask scheduler`."
        ) from None
    if not client.scheduler_info()["workers"]:
        client.close()
        raise ClusterUnavailable(
            f"The scheduler at {scheduler} has no workers: start some with `dask worker`."
        )
    return client


def _graded(job: Job) -> Outputs:
    return job.run()
