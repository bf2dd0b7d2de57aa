"""Frames by the thousand against the trusted side of the pipe, and what judging makes of them.

The quick ones run with the tests; the long ones print what they tried and what they reached.
"""

import array
import contextlib
import copy
import inspect
import json
import math
import os
import random
import socket
import struct
import subprocess
import sys
import threading
import time
import tracemalloc
import warnings
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from helpers import fuzz_pipe
from helpers.fuzz_pipe import TASKS, frame, seeds
from helpers.replies import JSON, announced
from helpers.solutions import solution
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from autograder import tasks
from autograder.judging.judge import judge
from autograder.judging.observe import observe
from autograder.judging.observed import CaseResult, TaskResult
from autograder.sandbox import pipe

CAP = 4 * (pipe.MAX_BYTES + pipe.MAX_HEADER)
"""Bytes that one reply, received and decoded, may ever take on the grader's side."""

FRAMES = 105_000
EXAMPLES = 3_000


class WatchedError(Exception):
    """Raised by what watches a session."""


# Memory.


def wide(pattern, size=pipe.MAX_HEADER):
    """Return a header of the largest size that repeats a bit of JSON in a list."""
    start, end = b'{"blobs":[],"cases":[', b"]}"
    text = start + b",".join([pattern] * ((size - len(start) - len(end)) // (len(pattern) + 1)))
    return struct.pack(">I", len(text + end)) + text + end


def one_array(code, size):
    described = {"outputs": {"out": [code, [size]]}, "problems": {}, "arguments": {}}
    _, cases = TASKS[0]
    empty = {"outputs": {}, "problems": {}, "arguments": {}}
    header = {"cases": [described, *[empty] * (len(cases) - 1)], "printed": ""}
    return pipe.reply(header, [b"\xff" * (size * np.dtype(code).itemsize)])


def names():
    outputs = {f"{i}": ["|b1", [0]] for i in range(40_000)}
    cases = [{"outputs": outputs, "problems": {}, "arguments": {}}] * len(TASKS[0][1])
    header = {"cases": cases[:1], "printed": ""}
    return pipe.reply(header, [b""] * 40_000)


LARGEST = {
    "dicts of one": lambda: wide(b'{"":0}'),
    "cases": lambda: wide(b'{"outputs":{},"problems":{}}'),
    "large numbers": lambda: wide(b"9" * 4000),
    "one long text of wide characters": lambda: wide(
        b'"' + b"x" * (2**19) + "\U0001f600".encode() * 2**16 + b'"'
    ),
    "empty byte strings": lambda: announced({"blobs": [0] * 300_000}),
    "names": names,
    "one array": lambda: one_array("<f8", pipe.MAX_BYTES // 8),
    "truths": lambda: one_array("|b1", pipe.MAX_BYTES),
    "one byte string": lambda: announced({"blobs": [2**26], "outputs": []}, [bytes(2**26)]),
}


def received(content):
    """Send bytes to a pipe from a thread and decode them in both ways."""
    ours, theirs = socket.socketpair()
    end = pipe.Pipe(ours)

    def send():
        with theirs, contextlib.suppress(OSError):
            theirs.sendall(content)

    thread = threading.Thread(target=send)
    thread.start()
    try:
        reply = end.receive(time.monotonic() + 60, lambda: None)
        with contextlib.suppress(pipe.RefusedError):
            pipe.observations(*reply, *TASKS[0])
        pipe.cell_outputs(*reply)
    except (pipe.RefusedError, pipe.ClosedError):
        pass
    finally:
        end.close()
        thread.join()


@pytest.mark.parametrize("kind", LARGEST)
def test_the_largest_replies_stay_below_the_cap(kind):
    """Headers full of the smallest values, and the largest byte strings."""
    content = LARGEST[kind]()
    assert len(content) < pipe.MAX_BYTES + pipe.MAX_HEADER
    tracemalloc.start()
    try:
        received(content)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    print(f"{kind}: {len(content) / 2**20:.1f} MiB sent, {peak / 2**20:.0f} MiB at most")
    assert peak < CAP


# A whole pipe with somebody hostile at its other end.


def hostile(theirs, rng, stop):
    """Write something in some manner to a socket, and end somehow."""
    which = rng.choice(list(seeds()))
    content = rng.choice(
        [
            which[1:],
            (fuzz_pipe.mutated(which, rng) or b"")[1:],
            which[1 : rng.randrange(len(which)) + 1],
            which[1:] + rng.randbytes(1000),
            rng.randbytes(rng.randrange(100)),
            struct.pack(">I", pipe.MAX_HEADER) + bytes(2**16),
            announced({"blobs": [pipe.MAX_BYTES]}, [bytes(2**18)]),
        ]
    )
    size = rng.choice([1, 7, 1000, 2**20])
    pause = rng.choice([0, 0, 0, 0.001])
    extra = rng.choice(["nothing", "nothing", "descriptors", "out of band"])
    ending = rng.choice(["close", "shut", "stay", "flood"])
    try:
        for start in range(0, min(len(content), 2000 * size), size):
            part = content[start : start + size]
            if extra == "descriptors":
                files = array.array("i", [theirs.fileno()] * 3)
                theirs.sendmsg([part], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, files)])
            elif extra == "out of band" and rng.random() < 0.2:
                theirs.send(part, socket.MSG_OOB)
            else:
                theirs.sendall(part)
            time.sleep(pause)
        while ending == "flood" and not stop.is_set():
            theirs.sendall(bytes(2**16))
        if ending == "shut":
            theirs.shutdown(socket.SHUT_WR)
        if ending in ("shut", "stay"):
            stop.wait(30)
    except OSError:
        pass
    finally:
        theirs.close()


def meet(seed):
    """Ask something of somebody hostile; return how it ended and how long it took."""
    rng = random.Random(seed)
    ours, theirs = socket.socketpair()
    stop = threading.Event()
    writer = threading.Thread(target=hostile, args=(theirs, random.Random(seed), stop))
    end = pipe.Pipe(ours)
    started = time.monotonic()
    patience = rng.choice([0.05, 0.3, 0.3])

    def watch():
        if rng.random() < 0.1:
            raise WatchedError

    which = rng.randrange(len(TASKS))
    request = rng.choice([{"do": "cell"}, bytes(2**20)])
    writer.start()
    try:
        end.send(request, started + patience, watch)
        header, blobs = end.receive(started + patience, watch)
        pipe.cell_outputs(header, blobs)
        pipe.observations(header, blobs, *TASKS[which])
        return "answered", time.monotonic() - started
    except (pipe.RefusedError, pipe.ClosedError, TimeoutError, WatchedError) as error:
        return type(error).__name__, time.monotonic() - started
    finally:
        end.close()
        stop.set()
        writer.join()


def meetings(count):
    """Meet many, and return how often it ended in which way."""
    endings = {}
    before = len(os.listdir("/proc/self/fd"))
    for seed in range(count):
        ending, seconds = meet(seed)
        endings[ending] = endings.get(ending, 0) + 1
        # It may take a third of one, but machines are busy.
        assert seconds < 10, seed
    assert len(os.listdir("/proc/self/fd")) == before
    return endings


def test_somebody_hostile_at_the_other_end():
    """Drops, floods, early ends, descriptors and urgent data: four ways to end, all expected."""
    assert set(meetings(30)) >= {"RefusedError", "ClosedError", "TimeoutError"}


# What judging makes of what was decoded.


@cache
def honest(name):
    """Return the cases of a task and what the solution gives for them."""
    task = tasks[name]
    cases = fuzz_pipe.cases_of(task)
    return cases, observe(task, solution(task.assignment.name), cases)


@pytest.fixture
def all_honest():
    """Run all solutions; some draw random numbers, which strategies must not."""
    for name in tasks:
        honest(name)


SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, 1e-320, 1e308, -1e308, np.inf, -np.inf, np.nan]


def at_one_place(array, value):
    changed = array.copy()
    changed.reshape(-1)[:1] = value
    return changed


WHOLE = st.sampled_from(
    [
        lambda array: -array,
        lambda array: array * 2,
        lambda array: array + 1,
        lambda array: array.T,
        lambda array: array.reshape(-1),
        lambda array: array[None],
        lambda array: array[..., None],
        lambda array: array.sum(0) if array.ndim else array,
        lambda array: array.reshape(-1)[:1],
        lambda array: array.reshape(-1)[:1].reshape(()) if array.size else array,
        lambda array: array[:0] if array.ndim else array,
        lambda array: np.repeat(array.reshape(-1), 100)[: 2 * 10**5],
        lambda array: np.broadcast_to(array, (2, *array.shape)),
        lambda array: np.roll(array, 1),
        lambda array: np.sign(array),
        lambda array: array != 0,
        lambda array: np.zeros((0, 2**20, 3)),
    ]
)
CHANGES = st.one_of(
    WHOLE,
    st.sampled_from(SPECIAL).map(lambda value: lambda array: np.full_like(array, value)),
    st.sampled_from(SPECIAL).map(lambda value: lambda array: at_one_place(array, value)),
    st.sampled_from(sorted(pipe.DTYPES)).map(lambda code: lambda array: array.astype(code)),
    arrays.arrays(
        st.sampled_from(sorted(pipe.DTYPES)), arrays.array_shapes(min_dims=0, max_dims=4)
    ).map(lambda new: lambda array: new),
    st.just(None),
)


@st.composite
def forged(draw):
    """Draw a task and a reply about it: the solution's, with arrays changed, dropped or added."""
    name = draw(st.sampled_from(sorted(tasks)))
    cases, observed = honest(name)
    given = [dict(case.outputs) for case in observed.cases]
    known = sorted({key for outputs in given for key in outputs})
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(draw(st.integers(1, 3))):
            key = draw(st.sampled_from([*known, "new"]))
            change = draw(CHANGES)
            where = draw(st.none() | st.integers(0, len(cases) - 1))
            for outputs in given if where is None else [given[where]]:
                source = outputs.get(key, np.zeros((2, 3)))
                if change is None:
                    outputs.pop(key, None)
                else:
                    # No array of truths has a negative, and no integer is infinite.
                    with contextlib.suppress(TypeError, ValueError, OverflowError):
                        outputs[key] = np.array(change(source), order="C")
    problems = draw(st.dictionaries(st.sampled_from(["", *known]), st.text(max_size=5), max_size=2))
    results = [
        # Nobody looks at the arguments of an answer in PyTorch.
        CaseResult(
            outputs,
            problems,
            case.arguments and draw(st.sampled_from([case.arguments, {}, outputs])),
        )
        for outputs, case in zip(given, observed.cases, strict=True)
    ]
    return name, pipe.observed_reply(TaskResult(tuple(results), draw(st.text(max_size=20))))


def judged(name, content):
    """Judge a reply and look at all of the report."""
    cases, _ = honest(name)
    reply = pipe.read_reply(fuzz_pipe.reader(content))
    report = judge(tasks[name], cases, pipe.observations(*reply, tasks[name], cases))
    assert 0 <= report.points <= report.max_points == tasks[name].max_points
    assert (report.points * 4).is_integer()
    json.dumps(report.to_dict())
    return str(report) + report._repr_html_()


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(forged())
@pytest.mark.usefixtures("all_honest")
def test_whatever_is_decoded_is_judged(reply):
    """There is a report with a number of points, for arrays of all kinds and values."""
    assert judged(*reply)


# The long ones.


def lines_of(code):
    """Return the lines of all functions of a module, without their first."""
    found = set()
    for inner in code.co_consts:
        if hasattr(inner, "co_lines"):
            if inner.co_flags & inspect.CO_OPTIMIZED and inner.co_name[0] != "<":
                lines = {line for _, _, line in inner.co_lines() if line}
                found |= lines - {inner.co_firstlineno}
            found |= lines_of(inner)
    return found


class Reached:
    """The lines of pipe.py that run while this is entered, in all threads."""

    def __init__(self):
        self.lines = set()

    def __enter__(self):
        threading.settrace(self._call)
        sys.settrace(self._call)
        return self

    def __exit__(self, *error):
        sys.settrace(None)
        threading.settrace(None)

    def _call(self, frame, event, argument):
        return self._line if frame.f_code.co_filename == pipe.__file__ else None

    def _line(self, frame, event, argument):
        self.lines.add(frame.f_lineno)
        return self._line


@pytest.mark.evidence
def test_a_hundred_thousand_frames(tmp_path):
    """Guided by coverage: no exception, and memory in proportion to what was sent."""
    pytest.importorskip("atheris", reason="atheris has no package for this system")
    started = time.monotonic()
    corpus = tmp_path / "corpus"
    program = [sys.executable, fuzz_pipe.__file__, str(corpus), str(FRAMES), "1"]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-5000:]
    found = json.loads(corpus.with_suffix(".json").read_text())
    assert found["frames"] >= 100_000
    assert found["decoded"] > 1000
    with Reached() as reached:
        for path in sorted(corpus.iterdir()):
            fuzz_pipe.decode(path.read_bytes())
        meetings(200)
    every = lines_of(compile(Path(pipe.__file__).read_text(), pipe.__file__, "exec"))
    missed = sorted(every - reached.lines)
    print(
        f"\ncoverage-guided: {found['frames']} frames in {time.monotonic() - started:.0f} s, "
        f"{found['decoded']} of them replies; at most {found['peak'] / 2**20:.2f} MiB for one "
        f"frame (of up to 64 KiB), {found['amplification']:.1f} bytes for each of its bytes; "
        f"{len(every) - len(missed)} of {len(every)} lines of pipe.py reached, not {missed}"
    )
    assert len(missed) <= 4


TEXT = st.text(max_size=5)
ARRAYS = st.tuples(
    st.sampled_from(sorted(pipe.DTYPES)), st.lists(st.integers(0, 3), max_size=3)
).map(list)


@st.composite
def nearly_right(draw):
    """Draw a reply that is right in every way, or has something else in one place."""
    which = draw(st.integers(0, len(TASKS)))
    if which == len(TASKS):
        kind = st.sampled_from(["stdout", "stderr", "text", "error", "picture"])
        outputs = draw(st.lists(st.fixed_dictionaries({"kind": kind, "text": TEXT}), max_size=3))
        header = {"outputs": outputs}
        blobs = [fuzz_pipe.PNG for output in outputs if output["kind"] == "picture"]
    else:
        cases, blobs = [], []
        for _ in TASKS[which][1]:
            found = draw(st.dictionaries(TEXT, ARRAYS, max_size=2))
            arguments = draw(st.dictionaries(TEXT, ARRAYS, max_size=2))
            problems = draw(st.just({}) | st.just({"": "why"}))
            cases.append({"outputs": found, "problems": problems, "arguments": arguments})
            for code, shape in [*found.values(), *arguments.values()]:
                blobs.append(b"\xff" * (math.prod(shape) * np.dtype(code).itemsize))
        header = {"cases": cases, "printed": draw(TEXT)}
    if draw(st.booleans()):
        header = copy.deepcopy(header)
        container, key = draw(st.sampled_from(list(fuzz_pipe.places(header))))
        container[key] = draw(JSON)
    return frame(header, blobs, which)


@pytest.mark.evidence
def test_frames_by_hypothesis():
    """Three thousand by other rules: right replies, and such with one thing wrong."""
    found = {"frames": 0, "decoded": 0, "peak": 0}

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(nearly_right())
    def one_frame(data):
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        decoded = fuzz_pipe.decode(data)
        peak = tracemalloc.get_traced_memory()[1] - before
        found["frames"] += 1
        found["decoded"] += decoded is not None
        found["peak"] = max(found["peak"], peak)
        assert peak < fuzz_pipe.FIRST + fuzz_pipe.AMPLIFICATION * len(data)

    started = time.monotonic()
    tracemalloc.start()
    try:
        one_frame()
    finally:
        tracemalloc.stop()
    print(
        f"\nhypothesis: {found['frames']} frames in {time.monotonic() - started:.0f} s, "
        f"{found['decoded']} of them replies, at most {found['peak'] / 2**10:.0f} KiB for one"
    )
    assert found["frames"] >= EXAMPLES
    assert found["decoded"] > EXAMPLES / 10


@pytest.mark.evidence
def test_a_thousand_meetings():
    """With somebody hostile, who never ends the grader nor keeps it waiting."""
    started = time.monotonic()
    endings = meetings(1000)
    print(f"\n1000 meetings in {time.monotonic() - started:.0f} s ended so: {endings}")


@pytest.mark.evidence
@pytest.mark.usefixtures("all_honest")
def test_two_thousand_forged_replies_are_judged():
    """All tasks, with arrays of the solution changed in all ways."""
    seconds = {}

    @settings(
        max_examples=2000,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(forged())
    def one_reply(reply):
        started = time.monotonic()
        assert judged(*reply)
        seconds.setdefault(reply[0], []).append(time.monotonic() - started)

    one_reply()
    count = sum(map(len, seconds.values()))
    longest = {name: round(max(taken), 2) for name, taken in sorted(seconds.items())}
    print(f"\n{count} replies judged; the longest took, in seconds: {longest}")
    assert max(longest.values()) < 60
