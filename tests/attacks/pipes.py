"""Attacks on the pipe by someone who has read autograder/sandbox/."""

from attacks.attack import PENALTY, PIPE, Attack, added, honest
from attacks.limits import GUARD

# The one descriptor there is, and what would be written to it.
SOCKET = """
import json, os, socket, struct, threading, time

pipe = None
for fd in range(3, 256):
    try:
        one = socket.socket(fileno=fd)
        one.getpeername()
        pipe = one
        break
    except OSError:
        pass

def frame(header, *blobs):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack(">I", len(text)) + text + b"".join(blobs)

def send(*frames):
    pipe.sendall(b"".join(frames))
"""


def _sends(*frames: str) -> str:
    return f"{SOCKET}\nif pipe:\n    send({', '.join(frames)})\n    time.sleep(0.2)\n"


ZERO = '{"cases": [{"outputs": {"penalty": ["<f8", []]}, "problems": {}, "arguments": {}}] * 4'
ZERO_REPLY = f'frame({ZERO}, "printed": "", "blobs": [8] * 4}}, bytes(32))'
CELL_REPLY = 'frame({"outputs": [], "blobs": []})'

FORMS = {
    "terabyte-header": 'struct.pack(">I", 2**32 - 1)',
    "terabyte-blob": 'frame({"outputs": [], "blobs": [2**62]})',
    "many-blobs": 'frame({"outputs": [], "blobs": [2**26] * 1000})',
    "negative-blob": 'frame({"outputs": [], "blobs": [-8]})',
    "blob-of-true": 'frame({"outputs": [], "blobs": [True]}, b"x")',
    "blob-of-half": 'frame({"outputs": [], "blobs": [0.5]})',
    "blob-of-infinity": 'frame(b\'{"outputs": [], "blobs": [Infinity]}\')',
    "deep-header": 'frame(b"[" * 1_000_000)',
    "long-number": 'frame(b"9" * 1_000_000)',
    "list-header": 'frame(b"[]")',
    "not-utf-8": 'frame(b"\\xff" * 1000)',
    "million-outputs": 'frame({"outputs": [{"kind": "stdout", "text": ""}] * 20_000, "blobs": []})',
    "pictures-that-lie": (
        'frame({"outputs": [{"kind": "picture"}], "blobs": [33]}, '
        'b"\\x89PNG\\r\\n\\x1a\\n\\0\\0\\0\\rIHDR" + b"\\xff" * 17)'
    ),
    "surrogates-in-text": (
        'frame(b\'{"outputs": [{"kind": "stdout", "text": "\\\\ud800\\\\u0000\\\\u001b[2J"}], '
        '"blobs": []}\')'
    ),
    "answer-to-another-question": ZERO_REPLY,
}

# Stands in for the program in the sandbox: the grader asks, and this answers.
HIJACK = (
    SOCKET
    + """
import pickle

def read(count):
    data = b""
    while len(data) < count:
        data += pipe.recv(count - len(data))
    return data

def put(value, name, arguments, blobs):
    if isinstance(value, dict):
        for key, one in value.items():
            put(one, f"{name}[{key!r}]" if name else key, arguments, blobs)
    elif isinstance(value, (list, tuple)):
        for number, one in enumerate(value):
            put(one, f"{name}[{number}]", arguments, blobs)
    elif np.asarray(value).dtype.kind in "fiub":
        array = np.asarray(value)
        arguments[name] = [array.dtype.str, list(array.shape)]
        blobs.append(array.tobytes())

def serve(answer):
    send(frame({"outputs": [], "blobs": []}))
    while True:
        (length,) = struct.unpack(">I", read(4))
        request = pickle.loads(read(length))
        if request["do"] == "cell":
            send(frame({"outputs": [], "blobs": []}))
            continue
        cases, blobs = [], []
        for case in request["cases"]:
            outputs = {}
            for name, value in answer(request["task"], case.inputs).items():
                value = np.asarray(getattr(value, "value", value), dtype=float)
                outputs[name] = ["<f8", list(value.shape)]
                blobs.append(value.tobytes())
            cases.append({"outputs": outputs, "problems": {}, "arguments": {}})
            put(case.inputs, "", cases[-1]["arguments"], blobs)
        send(frame({"cases": cases, "printed": "", "blobs": [len(one) for one in blobs]}, *blobs))
"""
)

HIJACK_TASKS = (
    HIJACK
    + """
from autograder import tasks
serve(lambda name, inputs: getattr(tasks[name], "refer" + "ence")(inputs))
"""
)

HIJACK_GC = (
    HIJACK
    + """
import gc
gc.unfreeze()
known = {one.name: one for one in gc.get_objects() if type(one).__name__ == "Task"}
serve(lambda name, inputs: getattr(known[name], "refer" + "ence")(inputs))
"""
)

HIJACK_ZEROS = (
    HIJACK
    + """
def zeros(name, inputs):
    weights = inputs["weights"]
    if name == "l2_penalty":
        return {"penalty": float("nan")}
    return {f"gradient {n}": np.full(w.shape, np.nan) for n, w in enumerate(weights)}

serve(zeros)
"""
)

# Laws are counted by the grader; counts of one's own must not be believed.
COUNTS = (
    HIJACK.replace("float)", "float, copy=True)")
    + """
def counts(name, inputs):
    kept = inputs["keep_prob"] if inputs["training"] else 1.0
    alike = kept**2 + (1 - kept) ** 2
    rates = {name: alike for name in inputs["frequencies"]}
    rates["fraction of values kept"] = kept
    return {
        law: np.array([rate * 1e6, 1e6]) for law, rate in rates.items()
    }

serve(counts)
"""
)
COUNTS_NAN = COUNTS.replace("[rate * 1e6, 1e6]", "[np.nan, 5.0]")
COUNTS_NEGATIVE = COUNTS.replace("[rate * 1e6, 1e6]", "[0.0, -1.0]")

SHAPES = (
    HIJACK.replace(
        "value = np.asarray",
        "shape = [0, 2**26, 2**26, 2**26, 2**26, 2**26, 2**26, 1]\n"
        "                value = np.asarray",
    )
    .replace('["<f8", list(value.shape)]', '["<f8", shape]')
    .replace("blobs.append(value.tobytes())", 'blobs.append(b"")')
    + """
serve(lambda name, inputs: {"penalty": 0.0, "gradient 0": 0.0})
"""
)

# Nobody waits in vain while bytes keep coming, but the limits must be watched all the same.
DRIBBLE = (
    SOCKET
    + """
def dribble():
    send(struct.pack(">I", 2**20))
    while True:
        send(b" ")

if pipe:
    threading.Thread(target=dribble, daemon=True).start()
"""
)

DRIBBLE_MEMORY = (
    GUARD
    + DRIBBLE
    + """
kept = []
for _ in range(5):
    if os.fork() == 0:
        kept = [b"x" * (300 * 2**20)]
        time.sleep(1000)
time.sleep(1000)
"""
)

DRIBBLE_TIME = (
    DRIBBLE
    + """
while True:
    pass
"""
)

UNSEEN_MEMORY = (
    GUARD
    + """
import ctypes, os, time
for _ in range(5):
    if os.fork() == 0:
        ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)
        ctypes.CDLL(None).prctl(15, b"a) R 1 ) \\n\\xff", 0, 0, 0)
        kept = [b"x" * (300 * 2**20)]
        time.sleep(1000)
time.sleep(1000)
"""
)

GALLERY = """
import os, struct, zlib
from IPython.display import display
head = b"\\x89PNG\\r\\n\\x1a\\n" + struct.pack(">I", 13) + b"IHDR" + struct.pack(">II", 9, 9)
for _ in range(49):
    display({"image/png": head + os.urandom(2**20 - 100)}, raw=True)
"""

SOCKET_BUFFERS = (
    GUARD
    + """
import os, socket, time

def fill():
    kept = []
    try:
        for _ in range(100):
            pair = socket.socketpair()
            kept.append(pair)
            for end in pair:
                end.setblocking(False)
                try:
                    while True:
                        end.send(b"x" * 65536)
                except BlockingIOError:
                    pass
    except OSError:
        pass
    return kept

for _ in range(20):
    if os.fork() == 0:
        kept = fill()
        time.sleep(1000)
time.sleep(3)
"""
)

ATTACKS = [
    *(
        Attack(name, PIPE, honest(_sends(form)), 6.0, forfeits=True, quick=name == "terabyte-blob")
        for name, form in FORMS.items()
    ),
    Attack("answers-ahead", PIPE, added(_sends(CELL_REPLY, *[ZERO_REPLY] * 5))),
    Attack(
        "answers-ahead-beside-an-answer",
        PIPE,
        added(_sends(*[CELL_REPLY] * 3, *[ZERO_REPLY] * 2), l2_penalty=PENALTY),
    ),
    Attack("hijacked", PIPE, added(HIJACK_ZEROS), quick=True),
    Attack("hijacked-with-the-reference", PIPE, added(HIJACK_TASKS)),
    Attack("hijacked-with-gc", PIPE, added(HIJACK_GC)),
    Attack("forged-counts", PIPE, added(COUNTS), 0.0, "dropout"),
    Attack("forged-counts-of-nan", PIPE, added(COUNTS_NAN), 0.0, "dropout"),
    Attack("forged-counts-below-zero", PIPE, added(COUNTS_NEGATIVE), 0.0, "dropout"),
    Attack("empty-array-of-many-dimensions", PIPE, added(SHAPES)),
    Attack("dribbles-and-takes-memory", PIPE, honest(DRIBBLE_MEMORY), 6.0, says="GB of memory"),
    Attack("dribbles-and-takes-time", PIPE, honest(DRIBBLE_TIME), 6.0, says="left out"),
    Attack("memory-that-is-not-seen", PIPE, honest(UNSEEN_MEMORY), 6.0, says="GB of memory"),
    Attack("gigabyte-of-pictures", PIPE, honest(*[GALLERY] * 20), 6.0, forfeits=True),
    Attack("socket-buffers", PIPE, honest(SOCKET_BUFFERS), 6.0),
]
