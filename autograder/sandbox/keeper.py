"""The process between the warm one and a session that has no namespaces: it leaves nothing behind.

In a PID namespace, the kernel ends everything with the first process.  Without one, a keeper does:
orphans become its children, and it ends them all when the session's first process has ended, when
the grader says so (SIGTERM), or when the warm process dies.  It runs no student code, and student
code cannot signal it.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal

from autograder.sandbox.scratch import Scratch, end_user

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36

_libc = ctypes.CDLL(None, use_errno=True)


def keep(scratch: Scratch) -> None:
    """Fork; return only in the fork, which is to become the session, and never in the keeper."""
    signals = {signal.SIGTERM, signal.SIGCHLD}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    first = os.fork()
    if first == 0:
        os.setsid()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
        return
    try:
        _hold_only(scratch.lock)
        scratch.note(first)
        while _runs(first) and signal.sigwait(signals) != signal.SIGTERM:
            pass
        _end(first, scratch.user)
        scratch.remove()
    finally:
        os._exit(0)


def _hold_only(descriptor: int) -> None:
    """Close all other files, so that the grader notices when the session closes its connection."""
    os.dup2(descriptor, 0)
    os.closerange(1, resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def _runs(first: int) -> bool:
    """Reap what has ended, except the first process, whose number names the group until the end."""
    while ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
        if ended.si_pid == first:
            return False
        os.waitpid(ended.si_pid, 0)
    return True


def _end(first: int, user: int | None) -> None:
    """Kill the whole group at once; nothing in it can leave it, because the filter forbids that."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(first, signal.SIGKILL)
    if user is not None:
        end_user(user)
    with contextlib.suppress(ChildProcessError):
        while True:
            os.waitpid(-1, 0)
