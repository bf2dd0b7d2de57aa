"""Work on a stranger's text in a process of its own, with a limit of processor time.

Parsers and highlighters are somebody else's, and some take forever for a text that was made for
that.  No thread can stop them, so they run where the kernel can: `python -m
autograder.intake.apart` serves one request after the other and is killed by a request that is too
expensive.  It runs no code of a stranger, so its replies are trusted.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import pickle
import resource
import signal
import struct
import subprocess
import sys
from collections.abc import Callable
from threading import Lock
from typing import IO, Any, ParamSpec, TypeVar

MAX_MEMORY = 4 * 2**30

_LENGTH = struct.Struct(">Q")
_READY = b"ready"

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")


class TooMuchError(Exception):
    """Work on a text used more processor time or memory than it may."""


def apart(
    seconds: float,
    work: Callable[_Parameters, _Result],
    *arguments: _Parameters.args,
    **named: _Parameters.kwargs,
) -> _Result:
    """Return what a function returns, or raise what it raises, in the other process.

    Only processor time counts, so a busy machine changes nothing.

    Parameters
    ----------
    seconds
        Processor time that the function may use.
    work, arguments, named
        A function of a module and its arguments.

    Raises
    ------
    TooMuchError
        When the function uses more processor time or memory than it may.
    """
    request = pickle.dumps((seconds, work, arguments, named))
    with _lock:
        try:
            returned, result = _helper.ask(request)
        except EOFError:
            # The text may be innocent: something else may have killed the process.
            try:
                returned, result = _helper.ask(request)
            except EOFError:
                raise TooMuchError from None
    if returned:
        answer: _Result = result
        return answer
    if isinstance(result, MemoryError):
        raise TooMuchError from None
    raise result


class _Helper:
    """The other process; started when it is needed, and again after it was killed."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, request: bytes) -> tuple[bool, Any]:
        """Return whether the function returned, and what it returned or raised.

        Raises
        ------
        TooMuchError
            When the function took too much.
        EOFError
            When the process ended for another reason.
        """
        process = self._process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(_LENGTH.pack(len(request)) + request)
            process.stdin.flush()
            reply: tuple[bool, Any] = pickle.loads(_read(process.stdout))
            return reply
        except (EOFError, BrokenPipeError):
            self.close()
            if process.returncode == -signal.SIGPROF:
                raise TooMuchError from None
            raise EOFError from None
        except BaseException:
            # Half a reply is left, which the next request must not get.
            self.close()
            raise

    def _start(self) -> subprocess.Popen[bytes]:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        assert self._process.stdout is not None
        if self._process.stdout.read(len(_READY)) != _READY:
            self.close()
            raise RuntimeError(f"`{sys.executable} -m {__name__}` does not start: run it to see.")
        return self._process

    def close(self) -> None:
        """End the process."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                # Closing may try to write what was not sent.
                with contextlib.suppress(OSError):
                    stream.close()
        self._process = None


_lock = Lock()
_helper = _Helper()
atexit.register(_helper.close)


def _read(stream: IO[bytes]) -> bytes:
    header = stream.read(_LENGTH.size)
    if len(header) < _LENGTH.size:
        raise EOFError
    (length,) = _LENGTH.unpack(header)
    body = stream.read(length)
    if len(body) < length:
        raise EOFError
    return body


def _serve() -> None:
    """Answer requests until there are no more."""
    requests, replies = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    # Whatever prints must not print into a reply.
    os.dup2(2, 1)
    # Control-C is for the parent, whose end closes the pipe.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    replies.write(_READY)
    replies.flush()
    while True:
        try:
            body = _read(requests)
        except EOFError:
            return
        seconds, work, arguments, named = pickle.loads(body)
        # Libraries reserve address space when they are imported, which has happened now.
        resource.setrlimit(
            resource.RLIMIT_AS, (MAX_MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1])
        )
        # Nobody handles the signal at the end, so the kernel ends the process.
        signal.setitimer(signal.ITIMER_PROF, seconds)
        try:
            reply = pickle.dumps((True, work(*arguments, **named)))
        except Exception as error:
            reply = pickle.dumps((False, error))
        signal.setitimer(signal.ITIMER_PROF, 0)
        replies.write(_LENGTH.pack(len(reply)) + reply)
        replies.flush()


if __name__ == "__main__":
    _serve()
