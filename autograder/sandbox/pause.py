"""Stop the processes of a session while another one is asked, and let them go on.

A notebook has several sessions.  PyTorch is in one of them and gone in another, so the first must
not compute while the other is asked: there is always some way to pass it the question, if only by
the time that something takes.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Sequence

from autograder.sandbox.children import descendants

_SECONDS = 2
_LOOK_AGAIN = 0.001
_STOPPED = "TtZX"


def stop(pid: int, *, keeper: bool = False) -> list[int] | None:
    """Stop a process and all its descendants; return them, or None if some go on.

    Parameters
    ----------
    pid
        The first process.
    keeper
        Whether the first process only waits for the others, and shall go on.
    """
    end = time.monotonic() + _SECONDS
    told: set[int] = set()
    still: list[int] = []
    # What was told to stop cannot fork any more, so what it has started will be seen.
    while time.monotonic() < end:
        found = descendants(pid)[keeper:]
        running = [one for one in found if one not in told or _state(one) not in _STOPPED]
        if not running:
            # The children of one that ended while we looked have another parent only now.
            if still == found:
                return found
            still = found
            continue
        for one in running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(one, signal.SIGSTOP)
            told.add(one)
        if all(_state(one) in _STOPPED for one in running):
            continue
        time.sleep(_LOOK_AGAIN)
    return None


def go_on(processes: Sequence[int]) -> None:
    """Let processes go on that `stop` has stopped."""
    for one in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(one, signal.SIGCONT)


def _state(pid: int) -> str:
    """Return the state of a process as `ps` shows it."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0]
    return "X"
