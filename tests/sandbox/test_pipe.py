"""Nothing that a sandbox can send does more to the grader than be refused."""

import json
import socket
import struct
import threading
import time
import tracemalloc

import numpy as np
import pytest
from helpers.fuzz_pipe import reader
from helpers.replies import JSON, announced
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from autograder import tasks
from autograder.judging.observed import CaseResult, TaskResult
from autograder.sandbox import pipe
from autograder.task import Case

TASK = tasks["batch_norm_forward"]
CASES = [Case("one", {}), Case("two", {})]

NEARLY = st.fixed_dictionaries(
    {},
    optional={
        "blobs": st.lists(st.integers(-1, 100) | JSON, max_size=4) | JSON,
        "cases": st.lists(
            st.fixed_dictionaries(
                {},
                optional={
                    "outputs": st.dictionaries(
                        st.text(max_size=3),
                        st.tuples(
                            st.sampled_from([*pipe.DTYPES, "O", "<M8", "V8", ">f8"]),
                            st.lists(st.integers(-1, 2**40), max_size=3),
                        )
                        | JSON,
                        max_size=3,
                    ),
                    "problems": st.dictionaries(st.text(), st.text()) | JSON,
                },
            ),
            min_size=1,
            max_size=3,
        )
        | JSON,
        "outputs": st.lists(
            st.fixed_dictionaries(
                {"kind": st.sampled_from(["stdout", "text", "error", "picture", "x"])},
                optional={"text": st.text() | JSON, "name": st.text() | JSON},
            )
        )
        | JSON,
        "printed": st.text() | JSON,
    },
)


def received(content):
    """Take apart bytes from a sandbox in both ways; return what came of them."""
    results = []
    for take in (pipe.cell_outputs, lambda *reply: pipe.observations(*reply, TASK, CASES)):
        try:
            results.append(take(*pipe.read_reply(reader(content))))
        except (pipe.RefusedError, pipe.ClosedError):
            results.append(None)
    return results


@settings(max_examples=100)
@given(st.binary())
def test_any_bytes(content):
    """Random bytes are refused, or break off."""
    assert received(content) == [None, None]


@settings(max_examples=100)
@given(JSON | NEARLY, st.binary(max_size=200))
def test_any_header(header, rest):
    """Any JSON as a header is a reply, or refused."""
    text = json.dumps(header).encode()
    received(struct.pack(">I", len(text)) + text + rest)


@settings(max_examples=70)
@given(arrays.arrays(arrays.scalar_dtypes(), arrays.array_shapes(min_dims=0, min_side=0)))
def test_arrays_cross_as_they_are(array):
    """Dtype, shape and every byte, for the dtypes that may cross; no other may."""
    first = CaseResult({"out": array}, arguments={"x": array})
    sent = TaskResult((first, CaseResult({}, {"": "why"}, {})))
    _, observed = received(pipe.observed_reply(sent))
    if array.dtype.str in pipe.DTYPES:
        for got in observed.cases[0].outputs["out"], observed.cases[0].arguments["x"]:
            assert (got.dtype, got.shape) == (array.dtype, array.shape)
            assert got.tobytes() == array.tobytes()
        assert observed.cases[1] == sent.cases[1]
    else:
        assert observed is None


EMPTY = {"printed": ""}


def one_output(described):
    return {"outputs": {"out": described}, "problems": {}, "arguments": {}}


@pytest.mark.parametrize(
    "content",
    [
        struct.pack(">I", 2**32 - 1),
        struct.pack(">I", pipe.MAX_HEADER + 1),
        struct.pack(">I", 2**19) + b"[" * 2**19,
        struct.pack(">I", 9) + b"9" * 9,
        struct.pack(">I", 6000) + b'{"a":' + b"9" * 5994 + b"}",
        announced({"blobs": [2**40]}),
        announced({"blobs": [pipe.MAX_BYTES] * 2}),
        announced({"blobs": [True]}, [b"x"]),
        announced({"blobs": [], "cases": []}),
        announced({"blobs": [8], "cases": [{}, {}], **EMPTY}, [bytes(8)]),
        announced(
            {
                "blobs": [8],
                "cases": [
                    {"outputs": {"out": ["<f8", [2**62, 2**62]]}, "problems": {}, "arguments": {}}
                ]
                * 2,
                **EMPTY,
            },
            [bytes(8)],
        ),
        announced(
            {
                "blobs": [0, 0],
                "cases": [
                    {
                        "outputs": {"out": ["<f8", [0, *[2**26] * 3]]},
                        "problems": {},
                        "arguments": {},
                    }
                ]
                * 2,
                **EMPTY,
            },
        ),
        announced({"blobs": [], "outputs": [{"kind": "picture"}]}),
        announced({"blobs": [], "outputs": [{"kind": "stdout", "text": "x"}] * 51}),
    ],
    ids=range(14),
)
def test_classic_forgeries(content):
    """Lengths that promise terabytes, deep or huge JSON, wrong counts and sizes."""
    assert received(content) == [None, None]


def test_an_announced_length_costs_nothing_until_it_comes():
    """The largest reply that may be announced, of which nothing follows."""
    content = announced({"blobs": [pipe.MAX_BYTES]})
    tracemalloc.start()
    try:
        assert received(content) == [None, None]
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_a_bomb_of_a_picture_is_left_out():
    """A browser would allocate what the first chunk announces."""
    bomb = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", 10**5, 10**5)
    header = {"outputs": [{"kind": "picture"}]}
    outputs, _ = received(pipe.reply(header, [bomb]))
    assert outputs[0].picture == b""


def test_texts_can_be_written_to_a_file():
    """Half a surrogate pair cannot."""
    outputs, _ = received(announced({"blobs": [], "outputs": [{"kind": "text", "text": "\ud800"}]}))
    assert outputs[0].text.encode() == b"?"


def test_a_reply_may_come_in_drops_but_not_for_ever():
    """A sandbox that sends a byte now and then does not move the deadline."""
    ours, theirs = socket.socketpair()
    with theirs:
        end = pipe.Pipe(ours)
        content = pipe.reply({"outputs": []})
        theirs.sendall(content[:5])
        calls = []

        def watch():
            calls.append(theirs.send(b" "))

        with pytest.raises(TimeoutError):
            end.receive(time.monotonic() + 0.35, watch)
        assert calls
        end.close()


def test_limits_are_watched_while_bytes_keep_coming():
    """A sandbox that sends a byte whenever one is read is stopped by what watches it."""
    ours, theirs = socket.socketpair()
    with theirs:
        end = pipe.Pipe(ours)
        theirs.sendall(struct.pack(">I", pipe.MAX_HEADER) + b" " * 2**16)
        ended = time.monotonic() + 30

        def feed():
            while time.monotonic() < ended:
                try:
                    theirs.send(b" " * 64)
                except OSError:
                    return
                time.sleep(0.02)

        def watch():
            raise MemoryError

        thread = threading.Thread(target=feed)
        thread.start()
        try:
            with pytest.raises(MemoryError):
                end.receive(ended, watch)
        finally:
            end.close()
            thread.join()


def test_what_nobody_reads_ends_at_the_deadline():
    """A sandbox that does not read its requests cannot hold the grader."""
    ours, theirs = socket.socketpair()
    with theirs:
        end = pipe.Pipe(ours)
        with pytest.raises(TimeoutError):
            end.send(np.zeros(10**7), time.monotonic() + 0.3, lambda: None)
        theirs.close()
        with pytest.raises(pipe.ClosedError):
            end.send(1, time.monotonic() + 5, lambda: None)
        with pytest.raises(pipe.ClosedError):
            end.receive(time.monotonic() + 5, lambda: None)
        end.close()
