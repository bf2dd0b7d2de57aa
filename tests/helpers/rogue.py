"""What a worker does that wants more than to grade; `dask worker --preload` loads this file."""

import os

from autograder.grading import cluster
from autograder.grading.observation import Ended, Observation, observed_cells
from autograder.sandbox.pipe import Output, reply

LIVE = "<script>hit = 1</script>"


class Evil:
    """An object whose pickle writes down which process has loaded it."""

    def __reduce__(self):
        """Return what a pickle calls."""
        return os.system, (f"echo $PPID >> {os.environ['ROGUE_FILE']}",)


class EvilError(Exception):
    """An error that does the same."""

    __reduce__ = Evil.__reduce__


def returns_a_pickle(job, name):
    """Return no bytes."""
    return Evil()


def raises_a_pickle(job, name):
    """Return nothing."""
    raise EvilError


def sends_an_event(job, name):
    """Let Dask itself warn and print where the client is."""
    from distributed import get_worker

    get_worker().log_event("warn", {"message": b"", "category": b"cos\nabort\n(tR."})
    get_worker().log_event("print", {"args": ("PRINTED",)})
    return b""


def claims_points(job, name):
    """Return a verdict."""
    return reply({"kind": "observed", "points": 6}) + reply({"reports": {"check-l2_penalty": 3}})


def says_live_things(job, name):
    """Return what fits the notebook, with live HTML wherever there is text, and no numbers."""
    notebook, seen = job.rebuilt().notebook, Observation()
    for cell, task in observed_cells(notebook):
        if task is None:
            kinds = ("stdout", "text", "error")
            seen.cells[cell.id] = tuple(Output(kind, LIVE, LIVE) for kind in kinds)
        else:
            seen.results[cell.id] = Ended(LIVE)
    return reply({"kind": "observed"}) + seen.to_bytes(notebook)


if "ROGUE" in os.environ:
    cluster._graded = globals()[os.environ["ROGUE"]]
