"""Attacks by forged observations, and by answers that know when they are tried."""

from attacks.attack import (
    ANSWERS,
    COMPARISON,
    PENALTY,
    PIPE,
    READER,
    TESTS,
    Attack,
    Build,
    added,
    answers,
)
from attacks.pipes import HIJACK
from attacks.reading import EVERYTHING

ZEROS = """
def zeros(name, inputs):
    if name == "l2_penalty":
        return {"penalty": 0.0}
    return {f"d_weights[{n}]": 0.0 * w for n, w in enumerate(inputs["weights"])}
serve(zeros)
"""

# The right numbers, where only the dtype is changed.
RIGHT = """
def right(name, inputs):
    weights, decay = inputs["weights"], inputs["weight_decay"]
    if name == "l2_penalty":
        return {"penalty": 0.5 * decay * sum(float((w**2).sum()) for w in weights)}
    return {f"d_weights[{n}]": decay * w for n, w in enumerate(weights)}
serve(right)
"""


def _forged(old: str, new: str, serving: str = ZEROS) -> Build:
    assert old in HIJACK
    return added(HIJACK.replace(old, new) + serving)


_DTYPE = '["<f8", list(value.shape)]'
_CASE = 'cases.append({"outputs": outputs, "problems": {}, "arguments": {}})'
_END = '"printed": ""'
_COUNT = '"blobs": [len(one) for one in blobs]}, *blobs)'

FORGED = [
    *(
        Attack(f"forged-dtype-{name}", PIPE, _forged(_DTYPE, form, RIGHT))
        for name, form in {
            "of-objects": '["|O", list(value.shape)]',
            "of-text": '["<U2", list(value.shape)]',
            "of-dates": '["<M8[s]", list(value.shape)]',
            "with-swapped-bytes": '[">f8", list(value.shape)]',
            "of-integers": '["<i8", list(value.shape)]',
            "that-is-evaluated": (
                """["__import__('os').system('touch @MARKER@')", list(value.shape)]"""
            ),
            "of-a-list": '[["<f8"], list(value.shape)]',
        }.items()
    ),
    *(
        Attack(f"forged-shape-{name}", PIPE, _forged(_DTYPE, f'["<f8", {form}]', RIGHT))
        for name, form in {
            "of-minus-one": "[-1]",
            "of-halves": "[float(n) for n in value.shape] or [1.0]",
            "of-true": "[*value.shape, True]",
            "that-is-flat": "[value.size]",
            "of-sixty-four-dimensions": "[1] * 64 + list(value.shape)",
        }.items()
    ),
    Attack("too-few-cases", PIPE, _forged('{"cases": cases,', '{"cases": cases[:1],', RIGHT)),
    Attack("too-many-cases", PIPE, _forged('{"cases": cases,', '{"cases": cases * 9,', RIGHT)),
    Attack("cases-by-name", PIPE, _forged('{"cases": cases,', '{"cases": {"0": cases},', RIGHT)),
    Attack(
        "blobs-left-over",
        PIPE,
        _forged(_COUNT, '"blobs": [*map(len, blobs), 8]}, *blobs, bytes(8))', RIGHT),
    ),
    Attack(
        "one-blob-for-all",
        PIPE,
        _forged(_COUNT, '"blobs": [sum(map(len, blobs))]}, *blobs)', RIGHT),
    ),
    Attack(
        "names-without-end",
        PIPE,
        _forged(_CASE, _CASE.replace('"problems": {}', '"problems": {"x" * 900_000: "y"}')),
    ),
    Attack(
        "names-of-python",
        PIPE,
        _forged("outputs[name] =", "outputs[name] = outputs['__class__'] ="),
    ),
    Attack(
        "script-in-a-forged-problem",
        READER,
        _forged(_CASE, _CASE.replace('"problems": {}', f'"problems": {{"": {EVERYTHING!r}}}')),
    ),
    Attack(
        "script-in-forged-arguments",
        READER,
        _forged(
            _CASE,
            _CASE.replace('"arguments": {}', f'"arguments": {{{EVERYTHING!r}: ["<f8", [0]]}}')
            + '; blobs.append(b"")',
        ),
    ),
    Attack(
        "script-in-forged-prints",
        READER,
        _forged(_END, f'"printed": {EVERYTHING!r} + "\\x1b[2J"'),
    ),
    Attack(
        "forged-refusals",
        TESTS,
        _forged(_CASE, 'outputs["refused"] = ["<f8", []]; blobs.append(bytes(8)); ' + _CASE),
    ),
    Attack(
        "largest-numbers",
        COMPARISON,
        _forged("value = np.asarray", "value = 1.7e308 + 0 * np.asarray"),
    ),
    Attack(
        "numbers-that-are-none",
        COMPARISON,
        _forged(
            "blobs.append(value.tobytes())",
            'blobs.append(b"\\xde\\xad\\xbe\\xef\\x00\\x00\\xf0\\x7f" * value.size)',
        ),
    ),
]

# What would be told by a hook in each call of Python.
AUDIT_HOOK = """
import sys
FOUND = []
def listen(event, arguments):
    for thing in arguments:
        if type(thing).__name__ in ("Task", "Scaled", "Case"):
            FOUND.append(thing)
    frame = sys._getframe()
    while frame is not None and len(FOUND) < 100:
        FOUND.extend(frame.f_locals[name] for name in ("expected", "reference", "cases", "task")
                     if name in frame.f_locals)
        frame = frame.f_back
sys.addaudithook(listen)
sys.setprofile(lambda frame, event, argument: listen(event, [argument]))
"""

AFTER_AUDIT = """
for thing in FOUND:
    value = getattr(thing, "value", thing)
    if isinstance(value, np.ndarray) and value.shape == ():
        return float(value)
    reference = getattr(thing, "refer" + "ence", None)
    if reference:
        try:
            inputs = {"weights": weights, "weight_decay": weight_decay}
            found = reference(inputs)["penalty"]
            return float(getattr(found, "value", found))
        except Exception:
            pass
return 0.0
"""

# Every question becomes one that is easy to answer.
EASIER_QUESTIONS = """
import pickle
load = pickle.loads
def easier(data):
    request = load(data)
    for case in request.get("cases", ()):
        case.inputs["weight_decay"] = 0.0
        for weight in case.inputs["weights"]:
            weight[...] = 0.0
    return request
pickle.loads = easier
"""

REPLACED = """
import importlib, sys, types
class Observed:
    cases, printed = (), ""
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name.startswith("autograder"):
            module = types.ModuleType(name)
            module.observe = lambda *_: Observed()
            module.reply = module.observed_reply = lambda *_: b""
            sys.modules[name] = module
            return importlib.machinery.ModuleSpec(name, None)
for name in [name for name in sys.modules if name.startswith("autograder")]:
    del sys.modules[name]
sys.meta_path.insert(0, Finder())
"""

# The interpreter's own 0.0 and 1, which are shared by all that run on it.
POISONED = """
import ctypes
for value, other in ((0, 1), (False, True)):
    ctypes.memmove(id(value) + 16, id(other) + 16, 12)
"""

BY_CASE = """
CALLS = []
"""
RIGHT_WHERE_NOTHING = """
CALLS.append(len(weights))
if weight_decay == 0:
    return [0.0 * weight for weight in weights]
return [np.random.default_rng(len(CALLS)).random(weight.shape) for weight in weights]
"""

# Changes its answer after it was copied, and its argument after it was compared.
CHANGES_LATER = """
import threading, time
def later(arrays):
    for _ in range(200):
        time.sleep(0.0005)
        for array in arrays:
            array *= 1.0000001
"""

INSTANCES = """
import builtins
class Anything(type):
    def __instancecheck__(cls, other): return True
    def __subclasscheck__(cls, other): return True
true = builtins.isinstance
builtins.isinstance = lambda thing, kind: True if kind is not type else true(thing, kind)
builtins.len = lambda thing: 1
builtins.type = Anything
"""

SEEDS = """
import random
STATES = [np.random.get_state()[1][:4].tolist(), list(random.getstate()[1][:4])]
def drawn(seed, weights):
    rng = np.random.default_rng(seed)
    return all(np.allclose(rng.standard_normal(w.shape) + 0.3, w) for w in weights)
"""
FROM_SEEDS = f"""
for seed in [*range(1000), *(n for state in STATES for n in state)]:
    if drawn(seed, weights):
        {PENALTY}
return 0.0
"""


def _mask(expression: str, *cells: str) -> Build:
    source = f"""
class Dropout(nn.Module):
    def __init__(self, p):
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(p)
        self.p = p

    def forward(self, x):
        if not self.training or self.p == 0:
            return x
        if self.p == 1:
            return x * 0
        kept = {expression}
        return x * kept.to(x.dtype) / (1 - self.p)
"""
    return answers(*cells, Dropout=source)


BEHAVING = [
    Attack("hook-for-audits", ANSWERS, added(AUDIT_HOOK, l2_penalty=AFTER_AUDIT)),
    Attack("easier-questions", TESTS, added(EASIER_QUESTIONS, l2_penalty="return 0.0")),
    Attack("replaced-package", TESTS, added(REPLACED)),
    Attack("poisoned-constants", TESTS, added(POISONED, l2_penalty="return 0.0")),
    Attack(
        "right-where-nothing-is-asked",
        COMPARISON,
        added(BY_CASE, l2_penalty_backward=RIGHT_WHERE_NOTHING),
    ),
    Attack(
        "changes-its-answer-later",
        COMPARISON,
        added(
            CHANGES_LATER,
            l2_penalty_backward="found = [0.0 * w for w in weights]\n"
            "threading.Thread(target=later, args=(found,), daemon=True).start()\nreturn found",
        ),
    ),
    Attack("everything-is-an-instance", TESTS, added(INSTANCES, l2_penalty="return 0.0")),
    Attack("knows-the-seed", ANSWERS, added(SEEDS, l2_penalty=FROM_SEEDS)),
    Attack(
        "one-mask-for-ever",
        COMPARISON,
        _mask("MASKS.setdefault((x.shape, self.p), torch.rand(x.shape) >= self.p)", "MASKS = {}"),
        24.0,
        "dropout",
        forfeits=True,
    ),
    Attack(
        "mask-of-a-fixed-seed",
        COMPARISON,
        _mask("torch.rand(x.shape, generator=torch.Generator().manual_seed(7)) >= self.p"),
        24.0,
        "dropout",
        forfeits=True,
    ),
    Attack(
        "mask-of-the-values",
        COMPARISON,
        _mask("(x.detach().abs() * 1e6).frac() >= self.p"),
        24.0,
        "dropout",
        forfeits=True,
    ),
    Attack(
        "one-mask-for-all-rows",
        COMPARISON,
        _mask("torch.rand(x.shape[1:]).expand(x.shape) >= self.p"),
        24.0,
        "dropout",
        forfeits=True,
    ),
    Attack(
        "exactly-as-many-as-expected",
        COMPARISON,
        _mask("(torch.randperm(x.numel()) >= round(self.p * x.numel())).reshape(x.shape)"),
        25.0,
        "dropout",
        forfeits=True,
    ),
]

ATTACKS = [*FORGED, *BEHAVING]
