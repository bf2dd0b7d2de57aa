"""Feed the decoding side of the pipe with frames, kept and mutated for the code they reach.

`sandbox/test_fuzz.py` runs `python fuzz_pipe.py CORPUS FRAMES SEED` in a process of its own,
because the fuzzer (atheris, which is libFuzzer) ends it.  An exception other than the two that
decoding may raise ends it with a traceback and a status that is not 0.
"""

import copy
import json
import random
import struct
import sys
import tracemalloc
from pathlib import Path

import numpy as np

from autograder import tasks
from autograder.judging.observed import CaseResult, TaskResult
from autograder.sandbox import pipe

FIRST = 2**18
"""Bytes that decoding a frame may take, and AMPLIFICATION for each byte of it on top."""

AMPLIFICATION = 64

# The keys of both kinds of reply and what they may wrongly hold.
VALUES = [
    None, True, False, 0, 1, -1, 2, 3, 8, 100, 2**26, 2**31, 2**32, 2**53, 2**63, 2**64, 10**400,
    0.5, 1.0, 1e308, float("nan"), float("inf"), "", "x", "\0", "\ud800", "x" * 200, "out", [], {},
    [[]], [0], [0, 2**26, 2**26, 2**26], [1] * 9, {"": 0}, "O", "<M8[s]", "V8", ">f8",
    *sorted(pipe.DTYPES), "stdout", "stderr", "text", "error", "picture", "blobs", "cases",
    "outputs", "problems", "arguments", "printed", "kind", "name",
]  # fmt: skip

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", 3, 3)


def cases_of(task):
    """Return the cases that replies about a task are taken to be about, always the same."""
    return task.draw(np.random.default_rng(0))


TASKS = [(task, cases_of(task)) for task in tasks.values()]


def reader(content):
    """Return a function that reads from bytes, and is closed at their end."""
    rest = memoryview(content)

    def read(count):
        nonlocal rest
        if count > len(rest):
            raise pipe.ClosedError
        part, rest = rest[:count], rest[count:]
        return bytes(part)

    return read


def decode(data):
    """Decode an input: a byte that says what was asked, then what the sandbox sends."""
    which = data[0] % (len(TASKS) + 1) if data else 0
    try:
        header, blobs = pipe.read_reply(reader(data[1:]))
        if which == len(TASKS):
            return pipe.cell_outputs(header, blobs)
        return pipe.observations(header, blobs, *TASKS[which])
    except (pipe.RefusedError, pipe.ClosedError):
        return None


def frame(header, blobs, which=0):
    """Return the input with a reply in it, honest about the lengths of its byte strings."""
    return bytes([which]) + pipe.reply(header, blobs)


def seeds():
    """Return an honest reply of each kind, with small arrays."""
    array = np.arange(6.0).reshape(2, 3)
    case = CaseResult({"out": array}, {"d_x": "It is None."}, {"x": array})
    for which, (_, cases) in enumerate(TASKS):
        result = TaskResult((case,) * len(cases), "hi")
        header, blobs = pipe.read_reply(reader(pipe.observed_reply(result)))
        yield frame(header, blobs, which)
    outputs = [{"kind": kind, "text": "x", "name": "y"} for kind in ("stdout", "text", "error")]
    yield frame({"outputs": [*outputs, {"kind": "picture"}]}, [PNG], len(TASKS))


# Mutations that keep a frame a frame, most of the time; bytes alone would seldom get past JSON.


def taken_apart(data):
    """Return the header and the byte strings of an input that can be read, or None."""
    try:
        return pipe.read_reply(reader(data[1:]))
    except (pipe.RefusedError, pipe.ClosedError):
        return None


def places(value):
    """Yield all places in a header, as a container and a key."""
    for key in value if isinstance(value, dict) else range(len(value)):
        yield value, key
        if isinstance(value[key], dict | list):
            yield from places(value[key])


def change_header(header, rng):
    """Put something else in one place of a header, or take it out, or repeat it."""
    found = list(places(header))
    if not found:
        return
    container, key = rng.choice(found)
    action = rng.randrange(5)
    if action == 0:
        del container[key]
    elif action == 1:
        other, other_key = rng.choice(found)
        container[key] = copy.deepcopy(other[other_key])
    elif action == 2:
        value = container[key]
        times = rng.choice([1, 2, 10, 60, 200])
        if isinstance(container, list):
            container[key:key] = [value] * times
        else:
            container.update({f"{key}{i}": value for i in range(times)})
    else:
        alike = [value for value in VALUES if type(value) is type(container[key])]
        container[key] = copy.deepcopy(rng.choice(alike if alike and action == 3 else VALUES))


def change_array(header, blobs, rng):
    """Announce another dtype and shape for one array, and mostly send what is announced."""
    cases = header.get("cases")
    arrays = [
        described
        for case in (cases if isinstance(cases, list) else [])
        if isinstance(case, dict) and isinstance(case.get("outputs"), dict)
        for described in case["outputs"].values()
    ]
    if not arrays or not blobs:
        return
    position = rng.randrange(min(len(arrays), len(blobs)))
    code = rng.choice(sorted(pipe.DTYPES))
    shape = [rng.choice([0, 1, 2, 3, 7]) for _ in range(rng.randrange(4))]
    if isinstance(arrays[position], list):
        arrays[position][:] = [code, shape]
    size = int(np.prod(shape)) * np.dtype(code).itemsize + (rng.random() < 0.1)
    blobs[position] = rng.randbytes(size) if rng.random() < 0.5 else b"\xff" * size


def change_blobs(blobs, rng):
    """Add, drop, cut or fill a byte string."""
    position = rng.randrange(len(blobs) + 1)
    action = rng.randrange(4)
    if action == 0 or position == len(blobs):
        new = rng.choice([b"", PNG, PNG[:20], PNG[:16] + b"\xff" * 8, rng.randbytes(8)])
        blobs.insert(position, new)
    elif action == 1:
        del blobs[position]
    elif action == 2:
        blobs[position] = blobs[position][: rng.randrange(len(blobs[position]) + 1)]
    else:
        blobs[position] += rng.randbytes(rng.randrange(9))


def mutated(data, rng):
    """Return another input that is much like this one; None when this one is no frame."""
    parts = taken_apart(data)
    if parts is None:
        return None
    header, blobs = parts
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        action = rng.randrange(5)
        if action < 2:
            change_header(header, rng)
        elif action < 4:
            change_array(header, blobs, rng)
        else:
            change_blobs(blobs, rng)
    announced = header.pop("blobs", None)
    if rng.random() < 0.1:
        text = json.dumps({**header, "blobs": announced}).encode()
        content = struct.pack(">I", len(text)) + text + b"".join(blobs)
    else:
        content = pipe.reply(header, blobs)
    return data[:1] + content


def mutate(data, max_size, seed):
    """Return another input, for the fuzzer."""
    import atheris

    rng = random.Random(seed)
    changed = mutated(data, rng) if rng.random() < 0.8 else None
    return (changed or atheris.Mutate(data, max_size))[:max_size]


def main():
    """Fuzz until enough frames were tried, then write what was found beside the corpus."""
    import atheris

    corpus, frames, seed = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    for name in ("read_reply", "observations", "cell_outputs"):
        setattr(pipe, name, atheris.instrument_func(getattr(pipe, name)))
    for name in ("_observation", "_array", "_output", "_picture", "_dict", "_list", "_text"):
        setattr(pipe, name, atheris.instrument_func(getattr(pipe, name)))
    corpus.mkdir()
    for number, content in enumerate(seeds()):
        (corpus / f"seed-{number}").write_bytes(content)
    found = {"frames": 0, "decoded": 0, "peak": 0, "amplification": 0.0}

    def one_frame(data):
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        decoded = decode(data)
        peak = tracemalloc.get_traced_memory()[1] - before
        found["frames"] += 1
        found["decoded"] += decoded is not None
        found["peak"] = max(found["peak"], peak)
        found["amplification"] = max(found["amplification"], (peak - FIRST) / max(len(data), 1))
        if found["amplification"] > AMPLIFICATION:
            raise MemoryError(f"{peak} bytes for a frame of {len(data)}")
        if found["frames"] == frames:
            corpus.with_suffix(".json").write_text(json.dumps(found))

    tracemalloc.start()
    options = [f"-runs={frames + 10}", f"-seed={seed}", "-max_len=65536", "-timeout=20"]
    options += [f"-artifact_prefix={corpus.parent}/", "-print_final_stats=1", "-rss_limit_mb=2048"]
    atheris.Setup([sys.argv[0], *options, str(corpus)], one_frame, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
