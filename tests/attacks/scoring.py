"""Attacks that want points: on the tests, the comparison, the answers, and what is forbidden."""

import numpy as np
from attacks.attack import (
    ANSWERS,
    BACKWARD,
    COMPARISON,
    FORBIDDEN,
    PENALTY,
    TESTS,
    Attack,
    Build,
    added,
    answers,
    solve,
)
from nbformat import NotebookNode

from autograder.judging.check import GRADING_SEED, PUBLIC_SEED
from autograder.tasks import tasks

# Wrong, but of the right shape, which some attacks need.
ZERO = "return 0.0"
ZEROS = "return [0.0 * weight for weight in weights]"

# Looks for a task, a case or an expected value wherever Python keeps things, and answers with it.
SEARCH = """
def _answer(things, output):
    things = list(things)
    for thing in things:
        if type(thing).__name__ == "Scaled":
            thing = thing.value
        if isinstance(thing, dict) and output in thing:
            return thing[output]
    case = next((t for t in things if type(t).__name__ == "Case"), None)
    for thing in things:
        if type(thing).__name__ == "Task":
            reference = getattr(thing, "refer" + "ence", None)
            inputs = case.inputs if case is not None else None
            if callable(reference) and inputs is not None and thing.name == "l2_" + output:
                return reference(inputs)[output]
    return None
"""


def _lookup(release: NotebookNode, _solution: NotebookNode) -> NotebookNode:
    """Answer from a table for every seed that can be known."""
    table = {}
    task = tasks["l2_penalty"]
    for seed in (PUBLIC_SEED, GRADING_SEED, 0, 1, 42):
        for case in task.draw(np.random.default_rng(seed)):
            key = repr([weight.tolist() for weight in case.inputs["weights"]])
            value = task.reference(case.inputs)["penalty"]
            table[key] = float(getattr(value, "value", value))
    body = f"return {table!r}.get(repr([weight.tolist() for weight in weights]), 0.0)"
    return solve(release, l2_penalty=body)


TRANSFORMED = """
import ast

class Full(ast.NodeTransformer):
    def visit_Module(self, node):
        words = {getattr(one, "id", type(one).__name__) for one in ast.walk(node)}
        if words & {"Assert", "check"}:
            node.body = [ast.Expr(ast.Constant(3.0))]
        return ast.fix_missing_locations(node)

get_ipython().ast_transformers.append(Full())
"""

INPUT_TRANSFORMED = """
def full(lines):
    text = "".join(lines)
    return ["3.0\\n"] if "check(" in text or "assert" in text else lines

get_ipython().input_transformers_cleanup.append(full)
get_ipython().input_transformers_post.append(full)
"""

RUN_CELL = """
shell = type(get_ipython())
for name in ("run_cell", "run_cell_async", "_run_cell", "transform_cell", "run_code"):
    def patch(original):
        def run(self, cell, *arguments, **options):
            if isinstance(cell, str) and ("check(" in cell or "assert" in cell):
                cell = "3.0"
            return original(self, cell, *arguments, **options)
        return run
    setattr(shell, name, patch(getattr(shell, name)))
"""

SESSION = """
kernel = getattr(get_ipython(), "kernel", None)
if kernel is not None:
    send = kernel.session.send
    def forged(stream, message, content=None, *arguments, **options):
        kind = message if isinstance(message, str) else message["header"]["msg_type"]
        if kind == "execute_result":
            (content or message["content"])["data"] = {"text/plain": "3.0"}
        if kind == "error":
            return None
        if kind == "execute_reply" and content:
            content = {"status": "ok", "execution_count": 1, "payload": [], "user_expressions": {}}
        return send(stream, message, content, *arguments, **options)
    kernel.session.send = forged
hook = get_ipython().displayhook
hook.compute_format_data = lambda result: ({"text/plain": "3.0"}, {})
"""

FORGED = """
class Number:
    def __repr__(self):
        return "@@"

def forge(info):
    if "check(" in info.raw_cell or "assert" in info.raw_cell:
        get_ipython().displayhook(Number())

get_ipython().events.register("pre_run_cell", forge)
"""

AFTER = """
def forge(result):
    from IPython.display import display
    display({"text/plain": "3.0"}, raw=True)
    get_ipython().displayhook(3.0)

get_ipython().events.register("post_run_cell", forge)
get_ipython().events.register("post_execute", lambda: forge(None))
"""

LATER = """
import threading, time
shell = get_ipython()

def later():
    for _ in range(100):
        time.sleep(0.05)
        shell.displayhook(3.0)
        shell.user_ns["_"] = 3.0

threading.Thread(target=later, daemon=True).start()
"""

OUTPUTS = [
    {
        "output_type": "execute_result",
        "execution_count": 7,
        "metadata": {},
        "data": {"text/plain": "3.0", "text/html": "<b>3 of 3</b>"},
    }
]


def _saved_outputs(release: NotebookNode, _solution: NotebookNode) -> NotebookNode:
    """Leave full marks in the file."""
    from nbformat import from_dict

    for cell in release.cells:
        if cell.cell_type == "code":
            cell.outputs = from_dict(OUTPUTS)
            cell.execution_count = 7
            cell.metadata["trusted"] = True
    return release


def _no_asserts(release: NotebookNode, _solution: NotebookNode) -> NotebookNode:
    """Edit the check cells and unlock them."""
    for cell in release.cells:
        if cell.id.startswith("check-"):
            cell.source = "3.0"
            cell.metadata["nbgrader"].update(locked=False, points=1000, solution=True)
    return release


NUMPY = """
import numpy as np
np.abs = np.absolute = lambda *a, **k: np.float64(0.0)
np.isfinite = lambda a, *r, **k: np.ones(np.shape(a), bool)
np.array_equal = np.allclose = np.isclose = np.all = lambda *a, **k: np.True_
np.testing.assert_allclose = np.testing.assert_array_equal = lambda *a, **k: None
"""

BUILTINS = """
import builtins
builtins.sum = lambda *a, **k: 3.0
builtins.max = builtins.min = lambda *a, **k: 3.0
builtins.all = lambda values: True
builtins.any = lambda values: False
"""

CHECK = """
import sys
import autograder

def check(function):
    return 3.0

autograder.check = autograder.grade = check
for name, module in list(sys.modules.items()):
    if name.startswith("autograder"):
        for attribute in ("check", "grade", "judge", "_judge_aspect"):
            if callable(getattr(module, attribute, None)):
                setattr(module, attribute, lambda *a, **k: 3.0)
get_ipython().user_ns["check"] = check
"""

REPORT = """
import sys
for name, module in list(sys.modules.items()):
    if name.startswith("autograder") and hasattr(module, "Report"):
        module.Report.points = property(lambda self: self.max_points)
        module.Report.passed = property(lambda self: True)
    if name.startswith("autograder") and hasattr(module, "_difference"):
        module._difference = module._different_numbers = lambda *a, **k: None
        module._first_failure = lambda *a, **k: None
"""

# `reference` by another name, since naming it is forbidden anyway.
OBSERVE = """
import sys

def numbers(task, student, inputs):
    from autograder.judging.observed import CaseResult
    expected = getattr(task, "refer" + "ence")(inputs)
    return CaseResult({k: getattr(v, "value", v) for k, v in expected.items()}, {})

for name, module in list(sys.modules.items()):
    if hasattr(module, "_observe_case"):
        module._observe_case = numbers
"""

TASK_RUN = """
import gc
gc.unfreeze()
for task in gc.get_objects():
    if type(task).__name__ == "Task":
        def run(student, inputs, task=task):
            expected = getattr(task, "refer" + "ence")(inputs)
            return {k: getattr(v, "value", v) for k, v in expected.items()}
        object.__setattr__(task, "run", run)
"""

TASK_EASY = """
import sys
for name, module in list(sys.modules.items()):
    for task in getattr(module, "tasks", {}).values() if name.startswith("autograder") else ():
        object.__setattr__(task, "draw", lambda rng: [])
        object.__setattr__(task, "tolerance", float("inf"))
        object.__setattr__(task, "aspects", task.aspects[:0])
"""

CASES = """
import sys
frame = sys._getframe()
while frame is not None:
    case = frame.f_locals.get("case")
    if type(case).__name__ == "Case":
        for weight in case.inputs["weights"]:
            weight[...] = 0
    for value in list(frame.f_locals.values()):
        if isinstance(value, dict) and "weights" in value:
            for weight in value["weights"]:
                weight[...] = 0
    frame = frame.f_back
return 0.0
"""

TRACE = """
import sys, threading

def spy(frame, event, argument):
    names = frame.f_locals
    if "got" in names and "expected" in names:
        try:
            names["got"][...] = names["expected"]
        except Exception:
            pass
    return spy

sys.settrace(spy)
threading.settrace(spy)
"""

ENVIRONMENT = """
import os, sys
os.environ["NBGRADER_EXECUTION"] = "validate"
os.environ["PYTHONOPTIMIZE"] = "2"
os.environ.pop("NBGRADER_VALIDATING", None)
for flag in ("__debug__",):
    try:
        import builtins
        setattr(builtins, flag, False)
    except Exception:
        pass
"""

MAGIC = """
from IPython.core.magic import register_line_magic, register_cell_magic

@register_line_magic
def check(line):
    return 3.0

get_ipython().run_line_magic("automagic", "on")
get_ipython().alias_manager.define_alias("check", "echo 3.0") if False else None
get_ipython().prefilter_manager.multi_line_specials = True
"""

COPY = """
import copy, contextlib, io, traceback, warnings, types
copy.deepcopy = lambda value, *rest: value
traceback.extract_tb = lambda *a, **k: (_ for _ in ()).throw(KeyboardInterrupt)
io.StringIO.write = lambda self, text: len(text)
warnings.catch_warnings = lambda *a, **k: contextlib.nullcontext()
"""

CHANGE_THE_TESTS = [
    Attack("ast-transformer", TESTS, added(TRANSFORMED), quick=True, stock=True),
    Attack("input-transformer", TESTS, added(INPUT_TRANSFORMED), stock=True),
    Attack("patched-run-cell", TESTS, added(RUN_CELL), stock=True),
    Attack("patched-session", TESTS, added(SESSION), stock=True),
    Attack("forged-nan", TESTS, added(FORGED.replace("@@", "nan")), stock=True),
    Attack("forged-inf", TESTS, added(FORGED.replace("@@", "inf")), stock=True),
    Attack("forged-above-maximum", TESTS, added(FORGED.replace("@@", "99.0"))),
    Attack("forged-full", TESTS, added(FORGED.replace("@@", "3.0")), quick=True, stock=True),
    Attack("forged-afterwards", TESTS, added(AFTER)),
    Attack("forged-by-a-thread", TESTS, added(LATER)),
    Attack("forged-in-the-file", TESTS, _saved_outputs, stock=True),
    Attack("edited-checks", TESTS, _no_asserts, stock=True),
    Attack(
        "patched-numpy", TESTS, added(NUMPY, l2_penalty=ZERO, l2_penalty_backward=ZEROS), stock=True
    ),
    Attack("patched-builtins", TESTS, added(BUILTINS, at=-1)),
    Attack("patched-builtins-first", TESTS, added(BUILTINS)),
    Attack("patched-check", TESTS, added(CHECK), stock=True),
    Attack(
        "patched-report",
        TESTS,
        added(REPORT, l2_penalty=ZERO, l2_penalty_backward=ZEROS),
        stock=True,
    ),
    Attack("patched-observe", TESTS, added(OBSERVE)),
    Attack("patched-task", TESTS, added(TASK_RUN)),
    Attack("patched-draw", TESTS, added(TASK_EASY)),
    Attack("easier-inputs", TESTS, added(l2_penalty=CASES), stock=True),
    Attack("traced-comparison", TESTS, added(TRACE, l2_penalty=ZERO, l2_penalty_backward=ZEROS)),
    Attack("patched-environment", TESTS, added(ENVIRONMENT)),
    Attack("check-as-a-magic", TESTS, added(MAGIC)),
    Attack("patched-library", TESTS, added(COPY)),
    Attack("patched-library-beside-an-answer", TESTS, added(COPY, l2_penalty=PENALTY), 3.0),
]

EQUAL = """
class Equal:
    __hash__ = None
    __array_priority__ = 1e9
    shape, ndim, dtype, size = (), 0, np.dtype(float), 1
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    __lt__ = __le__ = __gt__ = __ge__ = __eq__
    def __bool__(self): return True
    def __float__(self): return 0.0
    def __getattr__(self, name): return Equal()
    def __call__(self, *a, **k): return self
    def __iter__(self): return iter([Equal()])
    def __len__(self): return 1
    def __getitem__(self, key): return self
    def __sub__(self, other): return 0.0
    __rsub__ = __add__ = __radd__ = __mul__ = __rmul__ = __abs__ = lambda self, *a: 0.0
"""

SUBCLASS = """
class Right(np.ndarray):
    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        if ufunc in (np.isfinite, np.less_equal, np.equal, np.isnan):
            return np.True_
        return np.float64(0.0)
    def __array_function__(self, function, types, arguments, options):
        return np.True_
    def __array_finalize__(self, other):
        self.other = other
    def __array_wrap__(self, *a, **k):
        return self
    def __eq__(self, other):
        return np.ones(1, bool)
    @property
    def shape(self):
        return SHAPES.pop() if SHAPES else (2, 2)
    @property
    def dtype(self):
        return np.dtype(float)

SHAPES = []
"""

RAISING = """
class Raising(np.ndarray):
    @property
    def size(self): raise KeyboardInterrupt("size")
    @property
    def dtype(self): raise SystemExit(0)
    def __array_finalize__(self, other): raise GeneratorExit
"""

SNEAKY = """
class Meta(type):
    @property
    def __name__(cls): raise BaseException("no name")
    def __instancecheck__(cls, other): return True
    def __repr__(cls): raise KeyboardInterrupt

class Sneaky(metaclass=Meta):
    @property
    def __class__(self): raise KeyboardInterrupt
    def __repr__(self): raise SystemExit
    __str__ = __repr__
    def __del__(self): raise KeyboardInterrupt
"""

ENDLESS_LIST = """
class Endless(list):
    def __iter__(self):
        while True:
            yield np.zeros((2, 2))
    def __len__(self):
        return 10**18
    def __eq__(self, other):
        return True
"""

INTERFACE = '''
class Memory:
    __array_interface__ = {"shape": (2**40,), "typestr": "<f8", "data": (8, False), "version": 3}

class Changing(np.ndarray):
    """Other numbers at every look."""
    def __array__(self, *a, **k):
        return np.random.default_rng().random(self.shape)
'''

VIEW = "return np.broadcast_to(np.float64(1.0), (10**6, 10**6))"
STRIDED = """
view = np.lib.stride_tricks.as_strided
return [view(weight, weight.shape, [2**40] * weight.ndim) for weight in weights]
"""
MASKED = "return [np.ma.masked_array(0.0 * weight, mask=True) for weight in weights]"
KEPT = """
KEPT = []

def replace():
    import threading, time
    while True:
        time.sleep(0.001)
        for array in KEPT:
            array += 1.0

import threading
threading.Thread(target=replace, daemon=True).start()
"""


def _penalty(body: str, *cells: str) -> tuple[Build, float]:
    """Answer one task with a trick and the other honestly."""
    return added(*cells, l2_penalty=body, l2_penalty_backward=BACKWARD), 3.0


def _backward(body: str, *cells: str) -> tuple[Build, float]:
    return added(*cells, l2_penalty=PENALTY, l2_penalty_backward=body), 3.0


def _dropout(body: str) -> Build:
    """Replace the module of the dropout exercise and leave the rest solved."""
    return answers(Dropout=f"class Dropout(nn.Module):\n{body}")


TENSOR_INIT = """
    def __init__(self, p):
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(p)
        self.p = p
"""

TRICK_THE_COMPARISON = [
    Attack(
        "always-equal",
        COMPARISON,
        added(EQUAL, l2_penalty="return Equal()", l2_penalty_backward="return Equal()"),
        quick=True,
        stock=True,
    ),
    Attack("always-equal-inside", COMPARISON, *_backward("return [Equal()] * len(weights)", EQUAL)),
    Attack(
        "array-subclass",
        COMPARISON,
        *_backward("return [(0 * weight).view(Right) for weight in weights]", SUBCLASS),
        stock=True,
    ),
    Attack(
        "raising-subclass",
        COMPARISON,
        *_backward("return [np.ndarray.__new__(Raising, (2,)) for weight in weights]", RAISING),
    ),
    Attack("object-array", COMPARISON, *_penalty("return np.array(Equal(), dtype=object)", EQUAL)),
    Attack(
        "object-arrays",
        COMPARISON,
        *_backward("return [np.full(w.shape, Equal(), dtype=object) for w in weights]", EQUAL),
    ),
    Attack("view-of-a-trillion", COMPARISON, *_penalty(VIEW), quick=True),
    Attack("views-of-a-trillion", COMPARISON, *_backward(f"{VIEW[:7]}[{VIEW[7:]}] * len(weights)")),
    Attack("wild-strides", COMPARISON, *_backward(STRIDED)),
    Attack(
        "memory-shared-with-a-thread",
        COMPARISON,
        *_backward("KEPT[:] = [0.0 * weight for weight in weights]; return KEPT", KEPT),
    ),
    Attack("returns-its-input", COMPARISON, *_backward("return weights")),
    Attack(
        "complex",
        COMPARISON,
        *_backward("return [weight_decay * w.astype(complex) for w in weights]"),
    ),
    Attack("nan", COMPARISON, *_penalty("return float('nan')")),
    Attack("nans", COMPARISON, *_backward("return [weight * np.nan for weight in weights]")),
    Attack("infinity", COMPARISON, *_penalty("return float('inf')")),
    Attack("minus-zero", COMPARISON, *_penalty("return -0.0")),
    Attack("huge-integer", COMPARISON, *_penalty("return 10**400")),
    Attack(
        "float-subclass",
        COMPARISON,
        *_penalty(
            "return Close(0.0)",
            "class Close(float):\n    __sub__ = __rsub__ = __abs__ = lambda *a: 0.0\n"
            "    __eq__ = lambda *a: True\n    def __float__(self): raise KeyboardInterrupt",
        ),
    ),
    Attack("sneaky-object", COMPARISON, *_penalty("return Sneaky()", SNEAKY)),
    Attack("endless-list", COMPARISON, *_backward("return Endless()", ENDLESS_LIST)),
    Attack("array-interface", COMPARISON, *_penalty("return Memory()", INTERFACE)),
    Attack(
        "changing-array",
        COMPARISON,
        *_backward("return [np.zeros(w.shape).view(Changing) for w in weights]", INTERFACE),
    ),
    Attack("masked-array", COMPARISON, *_backward(MASKED)),
    Attack(
        "structured-dtype",
        COMPARISON,
        *_backward("return [np.zeros(w.shape, 'f8,f8') for w in weights]"),
    ),
    Attack("date", COMPARISON, *_penalty("return np.datetime64('2026-01-01')")),
    Attack("text-array", COMPARISON, *_penalty("return np.array('0.0')")),
    Attack(
        "memoryview", COMPARISON, *_backward("return [memoryview(weight) for weight in weights]")
    ),
    Attack(
        "nested-lists",
        COMPARISON,
        *_backward("return [(weight_decay * weight).tolist() for weight in weights]"),
    ),
    Attack(
        "half-precision",
        COMPARISON,
        *_backward("return [(weight_decay * w).astype(np.float16) for w in weights]"),
    ),
    Attack("classic-no-half", COMPARISON, *_penalty(PENALTY.replace("0.5 * ", ""))),
    Attack(
        "matrix-that-is-right",
        COMPARISON,
        added(
            l2_penalty=PENALTY,
            l2_penalty_backward="return [(weight_decay * w).view(np.recarray) for w in weights]",
        ),
        6.0,
    ),
    Attack(
        "tensor-on-meta",
        COMPARISON,
        _dropout(f"{TENSOR_INIT}\n    def forward(self, x):\n        return x.to('meta')"),
        19.0,
        "dropout",
    ),
    Attack(
        "sparse-tensor",
        COMPARISON,
        _dropout(f"{TENSOR_INIT}\n    def forward(self, x):\n        return x.to_sparse()"),
        19.0,
        "dropout",
    ),
    Attack(
        "tensor-subclass",
        COMPARISON,
        _dropout(
            f"{TENSOR_INIT}\n    def forward(self, x):\n        return x.as_subclass(Liar)\n\n\n"
            "class Liar(torch.Tensor):\n"
            "    @classmethod\n"
            "    def __torch_function__(cls, function, types, arguments=(), options=None):\n"
            "        return torch.ones((), dtype=torch.bool)\n"
            "    def detach(self): raise KeyboardInterrupt\n"
            "    def numpy(self): raise SystemExit\n"
        ),
        19.0,
        "dropout",
    ),
]

READ_FILES = """
import os
seen = 0
for top in (".", "..", "../..", "/", os.path.expanduser("~"), "@COURSE@", "/proc/self/cwd/.."):
    for folder, folders, files in os.walk(top):
        folders[:] = [f for f in folders if f not in ("proc", "sys", "site-packages", "lib")]
        for name in files:
            seen += 1
            if name.endswith((".ipynb", ".db", ".secret", ".key", ".txt")) or "secret" in name:
                try:
                    text = open(os.path.join(folder, name), errors="replace").read(10**6)
                except OSError:
                    continue
                for start in range(len(text)):
                    start = text.find("canary-", start)
                    if start < 0:
                        break
                    print(name, text[start : start + 60])
                    break
        if seen > 20000:
            break
"""

HISTORY = """
import glob, os, sqlite3
shell = get_ipython()
for name in ("In", "_ih", "_i", "_ii", "_iii"):
    print(name, str(shell.user_ns.get(name))[:2000])
manager = getattr(shell, "history_manager", None)
print(getattr(manager, "hist_file", None))
try:
    print(list(manager.get_tail(50, raw=True)))
except Exception as error:
    print(type(error))
for path in glob.glob(os.path.expanduser("~/.ipython/*/history.sqlite")):
    print(sqlite3.connect(path).execute("select * from history").fetchmany(50))
"""

FRAMES = """
import sys
things, frame = [], sys._getframe()
while frame is not None:
    things += list(frame.f_locals.values())
    things += [v for v in frame.f_globals.values() if not isinstance(v, type(sys))]
    frame = frame.f_back
found = _answer(things + [value for thing in things if type(thing) is dict
                          for value in list(thing.values())], "penalty")
return 0.0 if found is None else found
"""

TRACEBACK = """
try:
    raise ValueError
except ValueError as error:
    frame = error.__traceback__.tb_frame
things = []
while frame is not None:
    things += list(frame.f_locals.values())
    frame = frame.f_back
found = _answer(things, "penalty")
return 0.0 if found is None else found
"""

GC = """
import gc
gc.unfreeze()
found = _answer(gc.get_objects(), "penalty")
if found is None:
    case = type("Case", (), {"inputs": {"weights": weights, "weight_decay": weight_decay}})()
    found = _answer([case, *gc.get_objects()], "penalty")
return 0.0 if found is None else found
"""

GLOBALS = """
inside = check.__globals__
case = type("Case", (), {"inputs": {"weights": weights, "weight_decay": weight_decay}})()
known = inside.get("tasks", {})
found = _answer([case, *known.values()], "penalty")
return 0.0 if found is None else found
"""

CLASSES = """
def below(cls):
    for sub in type.__subclasses__(cls):
        yield sub
        yield from below(sub)

loaders = [sub for sub in type.__subclasses__(object) if sub.__name__ == "BuiltinImporter"]
modules = loaders[0].load_module("sys").modules if loaders else {}
case = type("Case", (), {"inputs": {"weights": weights, "weight_decay": weight_decay}})()
package = modules.get("autograder.tasks")
known = vars(package).get("tasks", {}) if package else {}
found = _answer([case, *known.values()], "penalty")
return 0.0 if found is None else found
"""

PROC = """
import glob
for pattern in ("/proc/[0-9]*/environ", "/proc/[0-9]*/cmdline", "/proc/self/mountinfo",
                "/proc/[0-9]*/maps", "/proc/*/task/*/environ", "/proc/keys", "/proc/net/unix"):
    for path in glob.glob(pattern):
        try:
            data = open(path, "rb").read(10**6)
        except OSError:
            continue
        at = data.find(b"canary-")
        if at >= 0:
            print(path, data[at : at + 60])
import os
print({name: value for name, value in os.environ.items()})
"""

MEMORY = """
import glob, os, re
for folder in glob.glob("/proc/[0-9]*"):
    try:
        maps = open(folder + "/maps").read()
        memory = open(folder + "/mem", "rb", 0)
    except OSError:
        continue
    for line in maps.splitlines():
        start, end = (int(part, 16) for part in line.split()[0].split("-"))
        if " r" not in line or end - start > 2**24 or line.endswith(("[vvar]", "[vsyscall]")):
            continue
        try:
            memory.seek(start)
            data = memory.read(end - start)
        except (OSError, ValueError, OverflowError):
            continue
        for found in re.findall(rb"canary" + rb"-[0-9a-z-]{20,60}", data):
            print(folder, found)
"""

DESCRIPTORS = """
import glob, os
for path in glob.glob("/proc/[0-9]*/fd/*"):
    try:
        print(path, os.readlink(path))
    except OSError:
        pass
for fd in range(256):
    try:
        os.set_blocking(fd, False)
        data = os.pread(fd, 2**20, 0)
    except OSError:
        continue
    at = data.find(b"canary-")
    print(fd, data[at : at + 60] if at >= 0 else len(data))
    try:
        os.chdir(f"/proc/self/fd/{fd}")
        print(fd, os.listdir("."), os.listdir(".."))
    except OSError:
        pass
"""

SECRET = """
import glob, hashlib, hmac, os
paths = ["@COURSE@/" + name for name in (".secret", "secret", ".autograder/secret", ".key")]
paths += glob.glob("@COURSE@/.*") + glob.glob("@COURSE@/*") + glob.glob("/**/.secret*")
for path in paths:
    try:
        print("stolen", path, open(path, "rb").read(64).hex())
    except OSError:
        pass
"""

FIND_THE_ANSWERS = [
    Attack("reads-files", ANSWERS, added(READ_FILES), quick=True),
    Attack("reads-history", ANSWERS, added(HISTORY)),
    Attack("searches-frames", ANSWERS, added(SEARCH, l2_penalty=FRAMES)),
    Attack("searches-a-traceback", ANSWERS, added(SEARCH, l2_penalty=TRACEBACK)),
    Attack("searches-gc", ANSWERS, added(SEARCH, l2_penalty=GC)),
    Attack("searches-globals-of-check", ANSWERS, added(SEARCH, l2_penalty=GLOBALS), stock=True),
    Attack("searches-classes", ANSWERS, added(SEARCH, l2_penalty=CLASSES)),
    Attack("reads-proc", ANSWERS, added(PROC)),
    Attack("reads-memory", ANSWERS, added(MEMORY)),
    Attack("reads-descriptors", ANSWERS, added(DESCRIPTORS)),
    Attack("reads-the-secret", ANSWERS, added(SECRET)),
    Attack("table-of-answers", ANSWERS, _lookup, stock=True),
]

AUTOGRAD = """
tensors = [torch.tensor(weight, requires_grad=True) for weight in weights]
sum(0.5 * weight_decay * (tensor**2).sum() for tensor in tensors).backward()
return [tensor.grad.numpy() for tensor in tensors]
"""


def _torch(line: str, *cells: str) -> tuple[Build, float]:
    """Get hold of torch in one way or another for the gradient; the penalty is honest."""
    return _backward(f"{line}\n{AUTOGRAD}".strip(), *cells)


DROPOUT_CLASS = """
class Dropout(nn.Dropout):
    pass
"""

DROPOUT_CHILD = f"""
class Dropout(nn.Module):
{TENSOR_INIT}
        self.layer = nn.Dropout(p)

    def forward(self, x):
        return self.layer(x)
"""


def _forward(expression: str, *cells: str) -> Build:
    source = (
        f"class Dropout(nn.Module):\n{TENSOR_INIT}\n"
        f"    def forward(self, x):\n        return {expression}"
    )
    return answers(*cells, Dropout=source)


USE_THE_FORBIDDEN = [
    Attack("torch", FORBIDDEN, *_torch("import torch"), quick=True),
    Attack("torch-at-the-top", FORBIDDEN, *_torch("", "import torch")),
    Attack("torch-by-another-name", FORBIDDEN, *_torch("torch = helper", "import torch as helper")),
    Attack(
        "torch-by-importlib",
        FORBIDDEN,
        *_torch('import importlib\ntorch = importlib.import_module("torch")'),
    ),
    Attack("torch-by-dunder-import", FORBIDDEN, *_torch('torch = __import__("to" + "rch")')),
    Attack(
        "torch-by-getattr",
        FORBIDDEN,
        *_torch('import builtins\ntorch = getattr(builtins, "__imp" + "ort__")("to" + "rch")'),
    ),
    Attack(
        "torch-by-exec",
        FORBIDDEN,
        *_torch('names = {}\nexec("import tor" + "ch", names)\ntorch = names["tor" + "ch"]'),
        forfeits=True,
    ),
    Attack("torch-by-eval", FORBIDDEN, *_torch("torch = eval(\"__import__('torch')\")")),
    Attack(
        "torch-by-sys-modules",
        FORBIDDEN,
        *_torch('import sys\ntorch = sys.modules["torch"]'),
        # With it any answer could be replaced, so all of them may count.
        forfeits=True,
    ),
    Attack(
        "torch-in-a-helper",
        FORBIDDEN,
        *_backward(
            "return gradients(weights, weight_decay)",
            "import torch\n\ndef gradients(weights, weight_decay):\n    "
            + AUTOGRAD.strip().replace("\n", "\n    "),
        ),
    ),
    Attack("torch-below-a-magic", FORBIDDEN, *_torch("", "%%time\nimport torch")),
    Attack(
        "torch-behind-star",
        FORBIDDEN,
        *_backward(
            "return [t.numpy() * weight_decay for t in map(from_numpy, weights)]",
            "from torch import *",
        ),
        forfeits=True,
    ),
    Attack(
        "torch-in-a-default",
        FORBIDDEN,
        answers(
            l2_penalty_backward="def l2_penalty_backward(weights, weight_decay, "
            "torch=__import__('torch')):\n    " + AUTOGRAD.strip().replace("\n", "\n    ")
        ),
        3.0,
    ),
    Attack(
        "torch-redefined-later",
        FORBIDDEN,
        added(
            "import torch\n\ndef l2_penalty_backward(weights, weight_decay):\n    "
            + AUTOGRAD.strip().replace("\n", "\n    "),
            at=-1,
            l2_penalty=PENALTY,
            l2_penalty_backward=ZEROS,
        ),
        3.0,
    ),
    Attack(
        "reference-of-the-package",
        FORBIDDEN,
        *_penalty(
            "from autograder import tasks\n"
            'inputs = {"weights": weights, "weight_decay": weight_decay}\n'
            'return float(tasks["l2_penalty"].reference(inputs)["penalty"])'
        ),
        stock=True,
    ),
    Attack(
        "reference-by-its-module",
        FORBIDDEN,
        *_penalty(
            'inputs = {"weights": weights, "weight_decay": weight_decay}\n'
            'return float(value(inputs)["penalty"])',
            "from autograder.tasks.l2.penalty import _penalty_value as value",
        ),
    ),
    Attack("dropout-as-base", FORBIDDEN, answers(Dropout=DROPOUT_CLASS), 19.0, "dropout"),
    Attack(
        "dropout-as-base-by-alias",
        FORBIDDEN,
        answers("Base = nn.Dropout", Dropout="class Dropout(Base):\n    pass"),
        19.0,
        "dropout",
    ),
    Attack("dropout-as-child", FORBIDDEN, answers(Dropout=DROPOUT_CHILD), 19.0, "dropout"),
    Attack(
        "dropout-functional",
        FORBIDDEN,
        _forward("F.dropout(x, self.p, self.training)", "import torch.nn.functional as F"),
        19.0,
        "dropout",
    ),
    Attack(
        "dropout-of-torch",
        FORBIDDEN,
        _forward("torch.dropout(x, self.p, self.training)"),
        19.0,
        "dropout",
    ),
    Attack(
        "dropout-of-aten",
        FORBIDDEN,
        _forward("torch.ops.aten.dropout(x, self.p, self.training)"),
        19.0,
        "dropout",
    ),
    Attack(
        "dropout-by-getattr",
        FORBIDDEN,
        _forward('getattr(torch, "drop" + "out")(x, self.p, self.training)'),
        19.0,
        "dropout",
    ),
    Attack(
        "dropout-native",
        FORBIDDEN,
        _forward("torch.native_dropout(x, self.p, self.training)[0]"),
        19.0,
        "dropout",
    ),
    # These two come when the check has been tried, so that the honest answer before it counts.
    Attack(
        "dropout-assigned-afterwards",
        FORBIDDEN,
        answers("Dropout = nn.Dropout", at=-1),
        25.0,
        "dropout",
    ),
    Attack(
        "dropout-forward-grafted",
        FORBIDDEN,
        answers("Dropout.forward = nn.Dropout.forward", at=-1),
        25.0,
        "dropout",
    ),
]

ATTACKS = [*CHANGE_THE_TESTS, *TRICK_THE_COMPARISON, *FIND_THE_ANSWERS, *USE_THE_FORBIDDEN]
