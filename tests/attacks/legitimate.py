"""What students do and may do; all of it scores full marks."""

from attacks.attack import LEGITIMATE, PENALTY, Attack, added, answers, honest

HELPERS = """
import functools, itertools, math, operator, statistics
from collections import defaultdict
from dataclasses import dataclass


@dataclass
class Half:
    value: float

    def __mul__(self, other):
        return self.value * other


@functools.cache
def half():
    return Half(0.5)


def squares(weight):
    if weight.ndim == 2:
        return math.fsum(number**2 for number in itertools.chain.from_iterable(weight.tolist()))
    return float((weight**2).sum())
"""

USES_HELPERS = """
total = functools.reduce(operator.add, [squares(weight) for weight in weights], 0.0)
return half() * weight_decay * total
"""

BODY = "return [weight_decay * weight for weight in weights]"

PLOT = """
%matplotlib inline
import matplotlib.pyplot as plt
plt.plot(np.linspace(0, 1, 50) ** 2, label="square")
plt.legend()
plt.show()
fig, axes = plt.subplots()
axes.hist(np.random.default_rng(0).normal(size=1000))
fig
"""

MAGICS = """
%timeit -n 2 -r 1 l2_penalty([np.ones(3)], 0.1)
!ls
%pwd
%env OMP_NUM_THREADS
files = !echo one two
print(files)
%whos
%load_ext autoreload
%autoreload 2
l2_penalty?
"""

TORCH = """
import torch
weights = [np.ones((2, 3)), np.arange(3.0)]
tensors = [torch.tensor(weight, requires_grad=True) for weight in weights]
(0.05 * sum((tensor**2).sum() for tensor in tensors)).backward()
for mine, theirs in zip(l2_penalty_backward(weights, 0.1), tensors):
    np.testing.assert_allclose(mine, theirs.grad.numpy())
layer = torch.nn.Dropout(0.5)
print("agrees", torch.nn.functional.dropout(torch.ones(3), 0.5).shape, layer)
"""

DROPOUT_TORCH = """
theirs = nn.Dropout(0.3)
x = torch.ones(1000)
print(theirs(x).mean(), Dropout(0.3)(x).mean(), nn.functional.dropout(x, 0.3).mean())
model = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5))
print(monte_carlo_predict(model, torch.ones(2, 3), 3))
"""

FILES = """
import json, pathlib, tempfile
with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder) / "numbers.npz"
    np.savez(path, a=np.arange(3))
    assert np.load(path)["a"].sum() == 3
pathlib.Path("notes.txt").write_text("mine")
assert pathlib.Path("notes.txt").read_text() == "mine"
"""

READS_BACK = """
import pathlib
assert pathlib.Path("notes.txt").read_text() == "mine"
print("still there")
"""

THREADS = """
import threading
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(2) as pool:
    print(list(pool.map(lambda n: n * n, range(5))))
thread = threading.Thread(target=print, args=("from a thread",))
thread.start()
thread.join()
"""

NOISY = f"""
import logging, sys, warnings
warnings.warn("careful", stacklevel=1)
print("to stderr", file=sys.stderr)
logging.warning("logged")
np.log(np.zeros(2))
print("x" * 100)
{PENALTY}
"""

ERRORS_ELSEWHERE = """
print(undefined_name)
"""

SYNTAX_ELSEWHERE = """
def half a function(
"""

SLOW = """
import time
time.sleep(1.5)
np.linalg.svd(np.random.default_rng(0).normal(size=(400, 400)))
"""

OTHER_STYLE = """
# In another style, with a lambda, defined twice.
l2_penalty = lambda weights, weight_decay: weight_decay / 2 * sum(np.vdot(w, w) for w in weights)
"""

NUMPY_TYPES = """
total = np.float64(0)
for weight in weights:
    total += np.einsum("i,i", weight.ravel(), weight.ravel())
return np.asarray(weight_decay * total / 2)
"""

TYPED = '''
%%time
from typing import Sequence
import numpy.typing as npt


def l2_penalty(weights: Sequence[npt.NDArray[np.float64]], weight_decay: float) -> float:
    """Return the penalty; `nn.Dropout`, `torch` and `autograder.tasks` are only words here."""
    forbidden = "import torch"  # torch.autograd, exec(...)
    assert isinstance(weights, list), forbidden
    return 0.5 * weight_decay * sum(float((weight**2).sum()) for weight in weights)
'''

RICH = """
from IPython.display import HTML, Markdown, display
display(Markdown("# Result"), HTML("<b>bold</b>"))
display({"text/plain": "plain"}, raw=True)
try:
    import pandas
except ImportError:
    pass
np.arange(3)
"""

RANDOM = """
import random
np.random.seed(0)
random.seed(0)
np.seterr(all="raise")
np.set_printoptions(precision=2)
"""

PROCESS = """
import subprocess, sys
done = subprocess.run([sys.executable, "-c", "print(6 * 7)"], capture_output=True, text=True)
print(done.stdout)
"""

ASYNC = """
import asyncio
await asyncio.sleep(0.01)

async def later():
    return 5

print(await later())
"""

REDEFINES = """
sum_of_squares = lambda weight: float((weight**2).sum())
list_of_names = sorted(dir())
type_names = [type(one).__name__ for one in (1, "a")]
id = 7
input = "x"
"""

ATTACKS = [
    Attack(
        "stderr-and-prints",
        LEGITIMATE,
        added(l2_penalty=NOISY, l2_penalty_backward=BODY),
        6.0,
        quick=True,
    ),
    Attack(
        "helpers",
        LEGITIMATE,
        added(HELPERS, l2_penalty=USES_HELPERS, l2_penalty_backward=BODY),
        6.0,
        quick=True,
    ),
    Attack("plots", LEGITIMATE, honest(PLOT, at=-1), 6.0),
    Attack("magics", LEGITIMATE, honest(MAGICS, at=-1), 6.0, quick=True),
    Attack("time-magic", LEGITIMATE, answers(l2_penalty=TYPED), 6.0),
    Attack("compares-with-torch", LEGITIMATE, honest(TORCH, at=-1), 6.0, quick=True),
    Attack("compares-with-dropout", LEGITIMATE, honest(DROPOUT_TORCH, at=-1), 25.0, "dropout"),
    Attack("temporary-files", LEGITIMATE, honest(FILES, READS_BACK, at=-1), 6.0),
    Attack("joined-threads", LEGITIMATE, honest(THREADS), 6.0),
    Attack("error-elsewhere", LEGITIMATE, honest(ERRORS_ELSEWHERE), 6.0),
    Attack("syntax-error-elsewhere", LEGITIMATE, honest(SYNTAX_ELSEWHERE), 6.0),
    Attack("slow-cell", LEGITIMATE, honest(SLOW), 6.0),
    Attack("defined-twice", LEGITIMATE, honest(OTHER_STYLE, at=-1), 6.0),
    Attack("numpy-types", LEGITIMATE, added(l2_penalty=NUMPY_TYPES, l2_penalty_backward=BODY), 6.0),
    Attack("rich-outputs", LEGITIMATE, honest(RICH, at=-1), 6.0),
    Attack("seeds-and-settings", LEGITIMATE, honest(RANDOM), 6.0),
    Attack("subprocess", LEGITIMATE, honest(PROCESS), 6.0),
    Attack("awaits", LEGITIMATE, honest(ASYNC), 6.0),
    Attack("shadows-builtins", LEGITIMATE, honest(REDEFINES), 6.0),
    Attack("solved", LEGITIMATE, honest(), 6.0, quick=True),
    Attack("solved-dropout", LEGITIMATE, honest(), 25.0, "dropout"),
]
