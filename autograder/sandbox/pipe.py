"""The pipe between the grader and the sandbox, and the rules for what may cross it.

Everything that comes out of a sandbox is a *reply*: the length of a header, the header in JSON,
then as many bytes as the header announces.  Any number or text in it may be forged.  So lengths are
capped before anything is allocated, arrays are raw bytes of exactly the announced shape and dtype,
and texts are truncated.  Bytes that break a rule raise `RefusedError` and never another exception.
"""

from __future__ import annotations

import json
import math
import pickle
import select
import socket
import struct
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autograder.judging.observed import CaseResult, TaskResult
from autograder.task import Case, Task

MAX_HEADER = 2**20
MAX_BYTES = 64 * 2**20
MAX_TEXT = 20_000
MAX_OUTPUTS = 50
MAX_PICTURE = 2**20
MAX_PIXELS = 4_000_000

DTYPES = frozenset(
    np.dtype(code).str for code in ("?", *"bhilBHIL", "e", "f", "d", "F", "D", "q", "Q")
)
"""The dtypes that an array may have: little-endian or a single byte."""

_LENGTH = struct.Struct(">I")
_PNG = b"\x89PNG\r\n\x1a\n"
_TICK = 0.1


class RefusedError(Exception):
    """The sandbox sent an invalid reply; the message is a sentence for the student."""


class ClosedError(Exception):
    """The other end is closed."""


@dataclass(frozen=True)
class Output:
    """Something that a cell printed, showed or raised.

    Attributes
    ----------
    kind
        "stdout", "stderr", "text" (of a value), "picture" or "error".
    text
        The text; for an error, its traceback.
    name
        The type of an error.
    picture
        The bytes of a PNG.
    """

    kind: str
    text: str = ""
    name: str = ""
    picture: bytes = b""


class Pipe:
    """The grader's end of the connection.

    Parameters
    ----------
    connection
        A stream socket.  The pipe closes it.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._watched = time.monotonic()
        connection.setblocking(False)

    def close(self) -> None:
        """Close this end."""
        self._connection.close()

    def send(self, request: Any, deadline: float, watch: Callable[[], None]) -> None:
        """Send a request.

        Parameters
        ----------
        request
            Anything that can be pickled.  Pickles only ever go into the sandbox.
        deadline
            The latest time to finish, as measured by `time.monotonic`.
        watch
            Called every tenth of a second; may raise.

        Raises
        ------
        TimeoutError
            When the deadline has passed.
        ClosedError
            When the other end is closed.
        """
        body = pickle.dumps(request)
        rest = memoryview(_LENGTH.pack(len(body)) + body)
        while rest:
            self._wait(deadline, watch, writing=True)
            try:
                rest = rest[self._connection.send(rest) :]
            except BlockingIOError:
                continue
            except OSError:
                raise ClosedError from None

    def receive(self, deadline: float, watch: Callable[[], None]) -> tuple[Any, list[bytes]]:
        """Return the header and the byte strings of one reply; otherwise like `send`.

        Raises
        ------
        RefusedError
            When the bytes are not a valid reply.
        """

        def read(count: int) -> bytes:
            parts = bytearray()
            while len(parts) < count:
                self._wait(deadline, watch, writing=False)
                try:
                    part = self._connection.recv(min(count - len(parts), 2**20))
                except BlockingIOError:
                    continue
                except OSError:
                    raise ClosedError from None
                if not part:
                    raise ClosedError
                parts += part
            return bytes(parts)

        return read_reply(read)

    def _wait(self, deadline: float, watch: Callable[[], None], *, writing: bool) -> None:
        ends = [self._connection]
        while True:
            now = time.monotonic()
            if now >= deadline:
                raise TimeoutError
            # Watch even while bytes arrive, or a sandbox could keep sending to go unwatched.
            if now >= self._watched + _TICK:
                watch()
                self._watched = time.monotonic()
            ready = select.select(
                [] if writing else ends, ends if writing else [], [], min(deadline - now, _TICK)
            )
            if any(ready):
                return


def reply(header: Mapping[str, Any], blobs: Sequence[bytes] = ()) -> bytes:
    """Return the bytes of a reply, as an honest sandbox sends it.

    Parameters
    ----------
    header
        The header that `read_reply` will return.
    blobs
        The byte strings that it will return.
    """
    sizes = [len(blob) for blob in blobs]
    text = json.dumps({**header, "blobs": sizes}).encode()
    return b"".join([_LENGTH.pack(len(text)), text, *blobs])


def read_reply(read: Callable[[int], bytes]) -> tuple[Any, list[bytes]]:
    """Return the header and the byte strings of one reply.

    Parameters
    ----------
    read
        Returns exactly as many bytes as asked for.

    Raises
    ------
    RefusedError
        When the bytes are not a valid reply.
    """
    (length,) = _LENGTH.unpack(read(_LENGTH.size))
    if length > MAX_HEADER:
        raise RefusedError("It sent too much data for an answer.")
    try:
        header = json.loads(read(length))
    except (ValueError, RecursionError):
        raise RefusedError("It sent something that is not an answer.") from None
    sizes = _list(_dict(header).get("blobs"))
    if not all(type(size) is int and 0 <= size <= MAX_BYTES for size in sizes):
        raise RefusedError("It sent something that is not an answer.")
    if sum(sizes) > MAX_BYTES:
        raise RefusedError("It sent too much data for an answer.")
    return header, [read(size) for size in sizes]


def observed_reply(result: TaskResult) -> bytes:
    """Return the reply of which `observations` makes the same result."""
    cases, blobs = [], []
    for case in result.cases:
        header: dict[str, Any] = {"problems": dict(case.problems)}
        for name, arrays in (("outputs", case.outputs), ("arguments", case.arguments)):
            if arrays is not None:
                header[name] = {key: [a.dtype.str, list(a.shape)] for key, a in arrays.items()}
                blobs += [array.tobytes() for array in arrays.values()]
        cases.append(header)
    return reply({"cases": cases, "printed": result.printed}, blobs)


def observations(
    header: Any, blobs: Sequence[bytes], task: Task, cases: Sequence[Case]
) -> TaskResult:
    """Extract what was observed of a task from a reply.

    Raises
    ------
    RefusedError
        When the reply does not fit this task and these cases.
    """
    header = _dict(header)
    found = _list(header.get("cases"))
    if len(found) != len(cases):
        raise RefusedError("It sent something that is not an answer.")
    rest = list(reversed(blobs))
    result = TaskResult(
        cases=tuple(
            _observation(_dict(one), rest, with_arguments=task.framework == "numpy")
            for one in found
        ),
        printed=_text(header.get("printed"), MAX_TEXT),
    )
    if rest:
        raise RefusedError("It sent too much data for an answer.")
    return result


def _observation(header: dict[str, Any], rest: list[bytes], *, with_arguments: bool) -> CaseResult:
    explained = _dict(header.get("problems"))
    if len(explained) > 100:
        raise RefusedError("It sent too much data for an answer.")
    problems = {_text(name, 100): _text(text, MAX_TEXT) for name, text in explained.items()}
    outputs = _arrays(header.get("outputs"), rest)
    arguments = _arrays(header.get("arguments"), rest) if with_arguments else None
    return CaseResult(outputs, problems, arguments)


def _arrays(described: Any, rest: list[bytes]) -> dict[str, NDArray[Any]]:
    described = _dict(described)
    if len(described) > 100:
        raise RefusedError("It sent too much data for an answer.")
    return {_text(name, 100): _array(array, rest) for name, array in described.items()}


def _array(described: Any, rest: list[bytes]) -> NDArray[Any]:
    described = _list(described)
    if len(described) != 2 or not rest:
        raise RefusedError("It sent something that is not an answer.")
    code, shape = described[0], _list(described[1])
    if not isinstance(code, str) or code not in DTYPES or len(shape) > 8:
        raise RefusedError("It sent an invalid array.")
    if not all(type(length) is int and 0 <= length <= MAX_BYTES for length in shape):
        raise RefusedError("It sent an invalid array.")
    dtype, content = np.dtype(code), rest.pop()
    if math.prod(shape) * dtype.itemsize != len(content):
        raise RefusedError("It sent an array that does not have the announced size.")
    if dtype.kind == "b":
        # A bool with a byte other than 0 or 1 would be neither true nor false.
        content = (np.frombuffer(content, np.uint8) != 0).tobytes()
    try:
        return np.frombuffer(content, dtype).reshape(shape)
    except ValueError:
        # If one length is 0, the product of the others may overflow NumPy's size.
        raise RefusedError("It sent an array that does not have the announced size.") from None


def cell_outputs(header: Any, blobs: Sequence[bytes]) -> tuple[Output, ...]:
    """Extract the outputs of a cell from a reply.

    Raises
    ------
    RefusedError
        When the reply is not about a cell.
    """
    header = _dict(header)
    found = _list(header.get("outputs"))
    if len(found) > MAX_OUTPUTS:
        raise RefusedError("It showed more than a cell may.")
    rest = list(reversed(blobs))
    outputs = tuple(_output(_dict(one), rest) for one in found)
    if rest:
        raise RefusedError("It sent too much data for an answer.")
    return outputs


def _output(header: dict[str, Any], rest: list[bytes]) -> Output:
    kind = header.get("kind")
    if kind == "picture":
        if not rest:
            raise RefusedError("It sent something that is not an answer.")
        return _picture(rest.pop())
    if kind not in ("stdout", "stderr", "text", "error"):
        raise RefusedError("It sent something that is not an answer.")
    return Output(kind, _text(header.get("text"), MAX_TEXT), _text(header.get("name", ""), 100))


def _picture(content: bytes) -> Output:
    # The first chunk announces the size, and a browser would allocate that much.
    width, height = struct.unpack(">II", content[16:24].ljust(8, b"\xff"))
    if not content.startswith(_PNG) or len(content) > MAX_PICTURE or width * height > MAX_PIXELS:
        return Output("text", "(a picture that cannot be shown)")
    return Output("picture", picture=content)


def _dict(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise RefusedError("It sent something that is not an answer.")
    return value


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise RefusedError("It sent something that is not an answer.")
    return value


def _text(value: Any, limit: int) -> str:
    if not isinstance(value, str):
        raise RefusedError("It sent something that is not an answer.")
    # JSON can contain a lone surrogate, which cannot be written to a file.
    return value[:limit].encode("utf-8", "replace").decode()
