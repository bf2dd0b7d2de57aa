"""What a task forbids is found wherever an answer can reach it, and nothing else is."""

import time
from functools import cache

import pytest
from helpers.solutions import source_of
from hypothesis import given, settings
from hypothesis import strategies as st

from autograder import tasks
from autograder.intake import exercise
from autograder.judging.forbidden import forbidden_use
from autograder.tasks import assignments

PENALTY = "def l2_penalty(weights, weight_decay):\n    "
DROPOUT = "class Dropout(nn.Module):\n    def __init__(self, p):\n        super().__init__()\n"
FORWARD = "    def forward(self, x):\n        "
NORM = "class BatchNorm1d(nn.Module):\n" + FORWARD
HELPER = PENALTY + "return helper(weights) * weight_decay"


@cache
def notebook(assignment):
    """Return the answers of the solution by name, and the set-up cells."""
    source = exercise.source_notebook(source_of(assignment))
    code = [cell for cell in exercise.solution_notebook(source).cells if cell.cell_type == "code"]
    answers = {cell.id: cell.source for cell in code if exercise.is_answer(cell)}
    return answers, [cell.source for cell in code if cell.id.startswith("setup")]


def use(name, *cells):
    """Return what a notebook with these cells uses that the task must not."""
    return forbidden_use(tasks[name], cells, notebook(tasks[name].assignment.name)[1])


def beside_solutions(assignment, *cells):
    """Return the violations of all tasks of a solved notebook with other cells in it."""
    answers, setup = notebook(assignment)
    found = {
        name: forbidden_use(tasks[name], [*answers.values(), *cells], setup) for name in answers
    }
    return {name: violation for name, violation in found.items() if violation}


# A name, the task, and the cells of a notebook whose answer is a disguise.
DISGUISES = {
    # PyTorch for a NumPy task.
    "plainly": ("l2_penalty", PENALTY + "return torch.tensor(weights[0]).square().sum()"),
    "by nn": ("l2_penalty", PENALTY + "return nn.functional.mse_loss(weights, weights)"),
    "imported in the answer": ("l2_penalty", PENALTY + "import torch as t; return t.ones(1)"),
    "from import in the answer": ("l2_penalty", PENALTY + "from torch import ones; return ones(1)"),
    "another name": ("l2_penalty", "import torch as numpy2", PENALTY + "return numpy2.ones(1)"),
    "assigned": ("l2_penalty", "t = torch", PENALTY + "return t.ones(1)"),
    "assigned in a tuple": ("l2_penalty", "a, t = 1, torch", PENALTY + "return t.ones(1)"),
    "walrus": ("l2_penalty", "if (t := torch): pass", PENALTY + "return t.ones(1)"),
    "loop variable": ("l2_penalty", "for t in [torch]: pass", PENALTY + "return t.ones(1)"),
    "with": ("l2_penalty", "with closing(torch) as t: pass", PENALTY + "return t.ones(1)"),
    "augmented": ("l2_penalty", "f = []\nf += [torch.sum]", PENALTY + "return f[0](weights)"),
    "global": (
        "l2_penalty",
        "def install():\n    global t\n    t = torch\ninstall()",
        PENALTY + "return t.ones(1)",
    ),
    "patched numpy": ("l2_penalty", "np.sum = torch.sum", PENALTY + "return np.sum(weights)"),
    "numpy patched under another name": (
        "l2_penalty",
        "import numpy\nnumpy.linalg.norm = torch.norm",
        PENALTY + "return np.linalg.norm(weights)",
    ),
    "patched by setattr": (
        "l2_penalty",
        "setattr(np, 'sum', torch.sum)",
        PENALTY + "return np.sum(weights)",
    ),
    "patched builtin": (
        "l2_penalty",
        "import builtins\nbuiltins.sum = torch.sum",
        PENALTY + "return sum(weights)",
    ),
    "shadowed builtin": ("l2_penalty", "sum = torch.sum", PENALTY + "return sum(weights)"),
    "helper": ("l2_penalty", "def helper(w):\n    return torch.sum(w)", HELPER),
    "helper of a helper": (
        "l2_penalty",
        "def helper(w):\n    return further(w)",
        "further = lambda w: torch.sum(w)",
        HELPER,
    ),
    "helper defined later": ("l2_penalty", HELPER, "helper = torch.sum"),
    "attribute of a helper": (
        "l2_penalty",
        "def helper(w):\n    return helper.f(w)",
        "helper.f = torch.sum",
        HELPER,
    ),
    "item of a table": ("l2_penalty", "t = {}", "t['f'] = torch", PENALTY + "return t['f'].ones"),
    "appended": ("l2_penalty", "t = []", "t.append(torch)", PENALTY + "return t[0].ones(1)"),
    "updated": ("l2_penalty", "t = {}", "t.update(f=torch)", PENALTY + "return t['f'].ones(1)"),
    "decorator": (
        "l2_penalty",
        "def helped(f):\n    return lambda w, d: torch.sum(w)",
        "@helped\n" + PENALTY + "return 0",
    ),
    "default argument": ("l2_penalty", "def l2_penalty(w, d, t=torch):\n    return t.sum(w)"),
    "class attribute": ("l2_penalty", "class H:\n    t = torch", PENALTY + "return H.t.ones(1)"),
    "patched in a function": (
        "l2_penalty",
        "def patch():\n    import numpy as n\n    np.linalg.norm = torch.norm\npatch()",
        PENALTY + "return np.linalg.norm(weights)",
    ),
    "patched in a function under a local name": (
        "l2_penalty",
        "def patch():\n    import numpy as n\n    n.linalg.norm = torch.norm\npatch()",
        PENALTY + "return np.linalg.norm(weights)",
    ),
    "shell": ("l2_penalty", PENALTY + "x = !python solve.py\n    return float(x[0])"),
    "base class": (
        "l2_penalty",
        "class H(torch.Tensor): pass",
        PENALTY + "return H(weights).sum()",
    ),
    "answer assigned": ("l2_penalty", "l2_penalty = lambda w, d: torch.sum(w)"),
    "answer replaced later": (
        "l2_penalty",
        PENALTY + "return 0",
        "def theirs(w, d):\n    return torch.sum(w)",
        "l2_penalty = theirs",
    ),
    "companion": (
        "dropout_backward",
        "def dropout_forward(x, keep_prob, training, rng):\n    return torch.dropout(x), None",
        "def dropout_backward(d_out, cache):\n    return d_out",
    ),
    "star import": ("l2_penalty", "from torch import *", PENALTY + "return tensor(weights).sum()"),
    "comprehension": ("l2_penalty", PENALTY + "return [torch.sum(w) for torch in [torch]]"),
    "under %%time": ("l2_penalty", "%%time\nhelper = torch.sum", HELPER),
    "under %%capture with options": ("l2_penalty", "%%capture out\nhelper = torch.sum", HELPER),
    "in %time": ("l2_penalty", "%time helper = torch.sum", HELPER),
    "in %prun with options": ("l2_penalty", "%prun -l 10 -q helper = torch.sum", HELPER),
    "automagic": ("l2_penalty", "time helper = torch.sum", HELPER),
    "after an option that takes a value": (
        "l2_penalty",
        "%timeit -n 1 -r 1 helper = torch.sum",
        HELPER,
    ),
    "in a literal exec": ("l2_penalty", "exec('helper = torch.sum')", HELPER),
    "class of the notebook": (
        "Dropout",
        "class H:\n    pass",
        "H.drop_out = nn.functional.dropout",
        DROPOUT + FORWARD + "return H.drop_out(x)",
    ),
    "beside magics": ("l2_penalty", "%matplotlib inline\nx = !ls\nhelper = torch.sum", HELPER),
    "magic in the answer": ("l2_penalty", PENALTY + "%time t = torch.sum(weights)\n    return t"),
    "magic inside a magic": ("l2_penalty", "%%time\n%time helper = torch.sum", HELPER),
    "indented cell": ("l2_penalty", "    helper = torch.sum\n    x = 1", HELPER),
    "prompts": ("l2_penalty", ">>> helper = torch.sum\n>>> x = 1", HELPER),
    "in a block": ("l2_penalty", "try:\n    import x\nexcept E:\n    helper = torch.sum", HELPER),
    "in a match": ("l2_penalty", "match 1:\n    case 1:\n        helper = torch.sum", HELPER),
    "too deep to parse": (
        "l2_penalty",
        "helper = torch.sum" + " or 0 + 1" + "+ 1" * 20_000,
        HELPER,
    ),
    "other letters": ("l2_penalty", PENALTY + "return 𝘵𝘰𝘳𝘤𝘩.sum(weights)"),
    # The package's own reference.
    "reference": (
        "l2_penalty",
        "from autograder import tasks",
        PENALTY + "return tasks['l2_penalty'].reference({})",
    ),
    "reference, imported inside": (
        "l2_penalty",
        PENALTY + "from autograder.tasks.l2 import PENALTY as p; return p.reference({})",
    ),
    "check in the answer": ("l2_penalty", PENALTY + "return check.__globals__"),
    "reference for a PyTorch task": (
        "parameter_groups",
        "def parameter_groups(model, weight_decay):\n    import autograder as a; return a.tasks",
    ),
    # Dynamic ways.
    "importlib": (
        "l2_penalty",
        "import importlib",
        PENALTY + "return importlib.import_module('to' + 'rch')",
    ),
    "import_module": (
        "l2_penalty",
        "from importlib import import_module as i",
        PENALTY + "return i('to' + 'rch')",
    ),
    "__import__": ("l2_penalty", PENALTY + "return __import__('to' + 'rch')"),
    "__import__ elsewhere": ("l2_penalty", "helper = __import__('to' + 'rch').sum", HELPER),
    "eval": ("l2_penalty", PENALTY + "return eval('torch.sum')(weights)"),
    "exec": ("l2_penalty", PENALTY + "exec('import torch'); return 0"),
    "compile": ("l2_penalty", PENALTY + "return compile('torch', '', 'eval')"),
    "globals": ("l2_penalty", PENALTY + "return globals()['to' + 'rch'].sum(weights)"),
    "vars": ("l2_penalty", "import sys", PENALTY + "return vars(sys)['modules']"),
    "module-level locals": ("l2_penalty", "here = locals()", PENALTY + "return here['torch']"),
    "sys.modules": ("l2_penalty", "import sys", PENALTY + "return sys.modules['torch']"),
    "modules of sys": (
        "l2_penalty",
        "from sys import modules as m",
        PENALTY + "return m['torch']",
    ),
    "__globals__": (
        "l2_penalty",
        "def f(): pass",
        PENALTY + "return f.__globals__['torch'].sum(weights)",
    ),
    "__builtins__": ("l2_penalty", PENALTY + "return __builtins__['__import__']('torch')"),
    "frames": ("l2_penalty", "import sys", PENALTY + "return sys._getframe(1).f_globals"),
    "gc": ("l2_penalty", "import gc", PENALTY + "return gc.get_objects()"),
    "inspect": ("l2_penalty", PENALTY + "import inspect; return inspect.stack()"),
    "pickle": ("l2_penalty", "import pickle", PENALTY + "return pickle.loads(b'ctorch\\nsum\\n.')"),
    "ctypes": ("l2_penalty", PENALTY + "return np.ctypeslib.as_array(weights)"),
    "runpy": ("l2_penalty", "import runpy as r", PENALTY + "return r.run_module('x')"),
    "subprocess": ("l2_penalty", "import subprocess as s", PENALTY + "return s.run('python')"),
    "a module of its own": ("l2_penalty", "from solved import f", PENALTY + "return f(weights)"),
    # Ready-made layers for the layers.
    "nn.Dropout": ("Dropout", DROPOUT + "        self.layer = nn.Dropout(p)\n"),
    "nn.Dropout as a base class": ("Dropout", "class Dropout(nn.Dropout):\n    pass"),
    "nn.Dropout, just assigned": ("Dropout", "Dropout = nn.Dropout"),
    "nn.Dropout, imported": ("Dropout", "from torch.nn import Dropout"),
    "a kind of nn.Dropout": ("Dropout", "class Dropout(nn.AlphaDropout):\n    pass"),
    "_DropoutNd": ("Dropout", "class Dropout(nn.modules.dropout._DropoutNd):\n    pass"),
    "base class by another name": ("Dropout", "D = nn.Dropout", "class Dropout(D):\n    pass"),
    "F.dropout": (
        "Dropout",
        "import torch.nn.functional as F",
        DROPOUT + FORWARD + "return F.dropout(x, self.p, self.training)",
    ),
    "F.dropout by star": (
        "Dropout",
        "from torch.nn.functional import *",
        DROPOUT + FORWARD + "return dropout(x, self.p, self.training)",
    ),
    "kept in the object": (
        "Dropout",
        DROPOUT + "        self.f = nn.functional\n" + FORWARD + "return self.f.dropout(x)",
    ),
    "torch.dropout": ("Dropout", DROPOUT + FORWARD + "return torch.dropout(x, 0.5, True)"),
    "native_dropout": ("Dropout", DROPOUT + FORWARD + "return torch.native_dropout(x, 0.5, True)"),
    "torch.ops": (
        "Dropout",
        DROPOUT + FORWARD + "return torch.ops.aten.native_dropout(x, 0.5, True)",
    ),
    "getattr with a literal": ("Dropout", "class Dropout(getattr(nn, 'Dropout')):\n    pass"),
    "getattr with a built name": ("Dropout", "class Dropout(getattr(nn, 'Drop' + 'out')): pass"),
    "attrgetter": (
        "Dropout",
        "from operator import attrgetter as a",
        "Dropout = a('Drop' + 'out')(nn)",
    ),
    "attrgetter with a literal": (
        "Dropout",
        "import operator",
        "Dropout = operator.attrgetter('functional.dropout')(nn)",
    ),
    "methodcaller": (
        "Dropout",
        "from operator import methodcaller",
        DROPOUT + FORWARD + "return methodcaller('dropout', x)(nn.functional)",
    ),
    "reduce by getattr": (
        "Dropout",
        "from functools import reduce",
        "Dropout = reduce(getattr, ['nn', 'Dropout'], torch)",
    ),
    "__dict__": ("Dropout", "Dropout = nn.__dict__['Drop' + 'out']"),
    "vars of nn": ("Dropout", "Dropout = vars(nn)['Drop' + 'out']"),
    "__subclasses__": ("Dropout", "Dropout = nn.Module.__subclasses__()[7]"),
    "made by type": ("Dropout", "Dropout = type('Dropout', (nn.Dropout,), {})"),
    "class pattern": (
        "Dropout",
        "match nn:\n    case object(Dropout=theirs):\n        pass",
        "Dropout = theirs",
    ),
    "partial": (
        "Dropout",
        "from functools import partial\ndrop = partial(nn.functional.dropout, p=0.5)",
        DROPOUT + FORWARD + "return drop(x)",
    ),
    "patched module": (
        "Dropout",
        "nn.Module.forward = nn.Dropout.forward",
        DROPOUT + "        self.p = p\n        self.inplace = False",
    ),
    "nn.BatchNorm1d": ("BatchNorm1d", "class BatchNorm1d(nn.BatchNorm1d):\n    pass"),
    "_BatchNorm": (
        "BatchNorm1d",
        "from torch.nn.modules.batchnorm import _BatchNorm as Base",
        "class BatchNorm1d(Base):\n    pass",
    ),
    "SyncBatchNorm": ("BatchNorm1d", "class BatchNorm1d(nn.SyncBatchNorm):\n    pass"),
    "F.batch_norm": ("BatchNorm1d", NORM + "return nn.functional.batch_norm(x, None, None)"),
    "torch.batch_norm": ("BatchNorm1d", NORM + "return torch.batch_norm(x)"),
    "native_batch_norm": ("BatchNorm1d", NORM + "return torch.native_batch_norm(x)"),
    "layer norm, turned": ("BatchNorm1d", NORM + "return nn.functional.layer_norm(x.T, x.T.shape)"),
    "instance norm": ("BatchNorm1d", NORM + "return nn.InstanceNorm1d(3)(x.T)"),
    "group norm": ("BatchNorm1d", NORM + "return torch.group_norm(x, 3)"),
}

# Cells that replace an answer from outside, and so count for every task of the notebook.
REPLACING = {
    "exec": "source = 'x'\nexec(source)",
    "exec with names": "exec('l2_penalty = 1', {})",
    "eval": "eval(compile('x', '', 'eval'))",
    "globals": "globals()['l2_penalty'] = nn.Dropout",
    "globals, updated": "globals().update(l2_penalty=1)",
    "globals, kept": "g = globals()\ng['l2_penalty'] = 1",
    "globals, patched through": "globals()['np'].sum = torch.sum",
    "locals of the notebook": "locals()['l2_penalty'] = 1",
    "vars of the notebook": "vars()['l2_penalty'] = 1",
    "__globals__": "l2_penalty.__globals__['np'] = torch",
    "__main__": "import __main__\n__main__.l2_penalty = 1",
    "__main__ by name": "import importlib\nimportlib.import_module('__main__').l2_penalty = 1",
    "sys.modules": "import sys\nsys.modules[__name__].l2_penalty = 1",
    "run_cell": "get_ipython().run_cell('l2_penalty = 1')",
    "user_ns": "get_ipython().user_ns['l2_penalty'] = 1",
    "user_ns, by getattr": "getattr(get_ipython(), 'user_ns')['l2_penalty'] = 1",
    "push": "shell = get_ipython()\nshell.push({'l2_penalty': 1})",
    "ex": "get_ipython().ex('l2_penalty = 1')",
    "magic with a built text": "get_ipython().run_line_magic('time', 'x' + '=1')",
    "ast transformer": "get_ipython().ast_transformers.append(1)",
    "input transformer": "get_ipython().input_transformers_post.append(f)",
    "frames": "import sys\nsys._getframe(0).f_globals['l2_penalty'] = 1",
    "inside a function": "def f():\n    exec(input())\nf()",
    "under a magic": "%%time\nexec(input())",
    "%run": "%run solved.py",
    "a module the notebook writes": "%%writefile solved.py\nimport torch\n\x00import solved",
}

# Cells that may stand beside any answers.
LEGITIMATE = {
    "comparison with torch": "torch.testing.assert_close(torch.tensor(1.0), torch.ones(()))",
    "comparison with an answer": (
        "x = np.ones(3)\nassert np.allclose(l2_penalty([x], 1), torch.tensor(x).square().sum() / 2)"
    ),
    "comparison with F.dropout": "import torch.nn.functional as F\nout = F.dropout(torch.ones(3))",
    "demonstration helper": (
        "def reference(x):\n    return nn.functional.batch_norm(torch.tensor(x), None, None)\n"
        "np.testing.assert_allclose(1, reference(np.ones((2, 2))))"
    ),
    "torch under the names of arguments": "x, cache, weights, d_out = [torch.ones(1)] * 4",
    "torch layers under other names": "theirs = nn.BatchNorm1d(3)\ndrop = nn.Dropout(0.5)",
    "imported under another name": "from torch.nn import Dropout as TorchDropout",
    "checks": "check(l2_penalty)\ncheck(Dropout)",
    "standard library": (
        "import collections, copy, dataclasses, functools, itertools, math, os.path, time, typing"
    ),
    "more of it": "import random, warnings, pathlib, json, sys, operator, inspect, gc, importlib",
    "plot": "plt.plot([1, 2]); plt.gca().set_title('torch')\nplt.rcParams['figure.figsize'] = 4, 3",
    "%%time": "%%time\nx = sum(range(10))",
    "%%timeit": "%%timeit -n 3 -r 2\nsum(range(10))",
    "%%capture": "%%capture out\nprint(torch.ones(1))",
    "%time": "%time x = torch.ones(3)",
    "%timeit": "%timeit -n3 -r 1 np.ones(3)",
    "%matplotlib": "%matplotlib inline\n%config InlineBackend.figure_format = 'retina'",
    "%load_ext": "%load_ext autoreload\n%autoreload 2",
    "shell": "!ls\nfiles = !ls\n!pip install torch",
    "help": "?np.sum\nnp.sum?\nnn.Dropout??",
    "%%bash": "%%bash\nexec ls; eval x",
    "%%html": "%%html\n<b>exec(x)</b>",
    "%%writefile": "%%writefile notes.txt\nexec(globals())",
    "not Python": "This is what I did: exec(globals()) did not help.",
    "unfinished": "def l2_penalty(weights:\n    return torch.sum(",
    "only a comment": "# torch.nn.functional.dropout, exec, globals()['x'] = 1",
    "strings": "'''torch'''\nx = 'exec(globals()) sys.modules'",
    "getattr": "for name in dir(nn):\n    getattr(nn, name)",
    "setattr": "class Box: pass\nfor name in 'abc':\n    setattr(Box, name, 1)",
    "asks globals": "if 'x' not in globals():\n    x = 1",
    "reads globals": "print(globals()['x'], globals().get('y'))",
    "reads sys.modules": "import sys\nin_colab = 'google.colab' in sys.modules",
    "main guard": "if __name__ == '__main__':\n    print(1)",
    "timeit": (
        "import timeit\ntimeit.timeit('l2_penalty([], 1)', globals=globals(), number=3)\n"
        "timeit.timeit('f()', 'from __main__ import f')"
    ),
    "eval mode": "model = nn.Linear(2, 2)\nmodel.eval()",
    "methods with such names": "import re\nre.compile('x')\nnp.ones(2).copy()",
    "locals in a function": "def f(x):\n    y = x\n    return locals()",
    "training loop": (
        "model = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5))\nhistory = []\n"
        "for step in range(3):\n    loss = model(torch.ones(2)).sum()\n    history.append(loss)"
    ),
    "get_ipython": "print(get_ipython())\nget_ipython().run_line_magic('matplotlib', 'inline')",
    "a heap and a shell": "!ls\nclass Heap:\n    def push(self, x): pass\nHeap().push(1)",
    "a package that is not there": "try:\n    import google.colab\nexcept ImportError:\n    pass",
    "seeds and threads": "np.random.seed(0); torch.manual_seed(0); torch.set_num_threads(1)",
    "async": "async def f():\n    await g()\nawait f()",
    "help of exec": "exec?",
    "a literal eval": "x = eval('1 + 2')",
    "modules of torch": "from torch.nn import modules\nprint(nn.modules)",
    "many cells of data": "data = [" + "0.25, " * 15_000 + "]",
    "empty": "",
    "a long sum": "x = " + "1 + " * 20_000 + "1",
}

# Right answers in other styles.
STYLES = {
    "helper": ("l2_penalty", "def helper(w):\n    return (w ** 2).sum()", HELPER),
    "lambda": ("l2_penalty", "l2_penalty = lambda w, d: d * sum((v ** 2).sum() for v in w) / 2"),
    "nested function": (
        "l2_penalty",
        PENALTY + "def torch(w):\n        return w\n    return torch(weights)",
    ),
    "closure": (
        "l2_penalty",
        "def make():\n    memo = {}\n    def f(w, d):\n        memo['x'] = w\n        return w\n"
        "    return f",
        "l2_penalty = make()",
    ),
    "decorated": (
        "l2_penalty",
        "import functools",
        "@functools.lru_cache\ndef half(x):\n    return x / 2",
        PENALTY + "return half(weight_decay)",
    ),
    "dataclass": (
        "dropout_forward",
        "from dataclasses import dataclass\n@dataclass\nclass Cache:\n    mask: np.ndarray",
        "def dropout_forward(x, keep_prob, training, rng):\n    return x, Cache(mask=x)",
    ),
    "helper in a timed cell beside torch": (
        "l2_penalty",
        "%%time\ndef helper(w):\n    return (w ** 2).sum()\nprint(torch.ones(3), helper)",
        HELPER,
    ),
    "torch in comment and docstring": (
        "l2_penalty",
        PENALTY + "'''As torch.sum.'''\n    # torch.sum\n    return 'torch'",
    ),
    "annotated": ("l2_penalty", "def l2_penalty(w: 'np.ndarray', d: torch.float64) -> float: ..."),
    "defined twice": ("l2_penalty", PENALTY + "return 0", PENALTY + "return 1"),
    "arguments called as torch things elsewhere": (
        "l2_penalty",
        "weights = torch.ones(3)\nw = nn.Linear(1, 1)",
        PENALTY + "return sum((w ** 2).sum() for w in weights)",
    ),
    "locals as a cache": (
        "dropout_forward",
        "def dropout_forward(x, keep_prob, training, rng):\n    return x, locals()",
    ),
    "literal getattr": ("l2_penalty", PENALTY + "return getattr(weights[0], 'sum')()"),
    "regular expressions": (
        "l2_penalty",
        "import re",
        PENALTY + "re.compile('x'); return 0",
    ),
    "attributes called like the layer": (
        "Dropout",
        DROPOUT + "        self.dropout = p\n" + FORWARD + "return x * self.dropout",
    ),
    "methods called like the layer": (
        "BatchNorm1d",
        "class BatchNorm1d(nn.Module):\n    def batch_norm(self, x):\n        return x\n"
        + FORWARD
        + "return self.batch_norm(x)",
    ),
    "functions called like the layer": (
        "Dropout",
        "def dropout(x, p):\n    return x",
        "class Tools:\n    @staticmethod\n    def dropout_mask(x):\n        return x",
        DROPOUT + FORWARD + "return dropout(Tools.dropout_mask(x), self.p)",
    ),
    "super with arguments": (
        "Dropout",
        "class Dropout(nn.Module):\n    def __init__(self, p):\n"
        "        super(Dropout, self).__init__()\n        self.p = p",
    ),
    "bernoulli": (
        "Dropout",
        DROPOUT + FORWARD + "return x * torch.bernoulli(torch.full_like(x, 1 - self.p))",
    ),
    "buffers by name": (
        "BatchNorm1d",
        NORM + "return [getattr(self, name + '_mean') for name in ('running',)]",
    ),
    "isinstance of dropout": (
        "monte_carlo_predict",
        "def monte_carlo_predict(model, x, n):\n"
        "    kinds = tuple(getattr(nn, 'Dropout' + d) for d in ('', '1d', '2d'))\n"
        "    return [m for m in model.modules() if isinstance(m, kinds)]",
    ),
    "norm layers in groups": (
        "parameter_groups",
        "def parameter_groups(model, weight_decay):\n"
        "    return [m for m in model.modules() if isinstance(m, nn.BatchNorm1d | nn.LayerNorm)]",
    ),
    "not yet written": ("l2_penalty", PENALTY + "raise NotImplementedError()"),
    "missing": ("l2_penalty", "x = torch.ones(3)"),
}


@pytest.mark.parametrize("disguise", DISGUISES)
def test_a_disguise_is_found(disguise):
    """Every way to what a task forbids that an answer can take is named."""
    name, *cells = DISGUISES[disguise]
    assert use(name, *cells)


@pytest.mark.parametrize("cell", REPLACING)
def test_what_replaces_answers_unseen_counts_for_all_of_them(cell):
    """Code that could put anything under an answer's name costs every task of the notebook."""
    cells = REPLACING[cell].split("\x00")
    assert beside_solutions("l2", *cells).keys() == notebook("l2")[0].keys()


@pytest.mark.parametrize("assignment", assignments)
def test_the_solutions_use_nothing_forbidden(assignment):
    """No answer of ours is refused."""
    assert beside_solutions(assignment) == {}


@pytest.mark.parametrize("cell", LEGITIMATE)
def test_legitimate_cells_cost_nothing(cell):
    """Whatever a student does beside the answers is fine."""
    for assignment in assignments:
        assert beside_solutions(assignment, LEGITIMATE[cell]) == {}


@pytest.mark.parametrize("style", STYLES)
def test_right_answers_in_other_styles_are_allowed(style):
    """What only looks like something forbidden is not."""
    name, *cells = STYLES[style]
    assert use(name, *cells) is None


def test_one_tasks_violation_leaves_the_others_alone():
    """A forbidden call costs its own task, and those that build on it."""
    answers, setup = notebook("l2")
    cells = {**answers, "l2_penalty": PENALTY + "return torch.ones(1)"}
    found = {name for name in cells if forbidden_use(tasks[name], list(cells.values()), setup)}
    # The solution's softmax_regression calls l2_penalty.
    assert found == {"l2_penalty", "softmax_regression"}


def test_the_message_names_the_word_the_function_and_the_line():
    """A student reads what it is and where, in the lines as written."""
    message = use("l2_penalty", "def helper(w):\n    n = 1\n    return nn.Softmax(w)", HELPER)
    assert message.startswith("`helper` uses `torch`")
    assert "`return nn.Softmax(w)`" in message
    assert "Dropout(nn.Dropout)" in use("Dropout", "class Dropout(nn.Dropout):\n    pass")
    assert "`nn.Dropout`" in use("Dropout", "class Dropout(nn.Dropout):\n    pass")


def test_the_message_is_one_short_harmless_line():
    """Control characters and long lines of a student do not get into a report."""
    bell = "return torch.sum('\x1b[31m\u202e', " + "1, " * 500 + ")"
    message = use("l2_penalty", PENALTY + bell)
    assert len(message) < 400
    assert message.isprintable()


@pytest.mark.parametrize("assignment", assignments)
def test_it_is_quick(assignment):
    """All tasks of a notebook take a small part of the time that running it takes."""
    answers, setup = notebook(assignment)
    taken = []
    for turn in range(5):
        started = time.process_time()
        for name in answers:
            forbidden_use(tasks[name], [*answers.values(), f"turn = {turn}"], setup)
        taken.append(time.process_time() - started)
    assert min(taken) < 0.02


HOSTILE = [
    "(" * 10_000 + ")" * 10_000,
    "x = " + "-" * 50_000 + "1",
    "x" + ".a" * 50_000,
    "x" + "[0]" * 50_000 + " = 1",
    "f" + "()" * 50_000,
    "lambda: " * 5_000 + "0",
    "if x: pass\n" + "elif x: pass\n" * 5_000,
    "%%time\n" * 3_000 + "x = 1",
    "%time x = 1\n" * 3_000,
    "x = !ls\n" * 2_000,
    "f?\n" * 3_000,
    "\x00",
    "\ud800",
    "x = '\ud800'",
    "%time \ud800",
    "%%",
    "!",
    "?",
    "%",
    "%%time",
    "f'{x",
    "x = 1\r\ny = 2\r%time z = 3",
    "\x0c\x0b\x1c\u2028%time x",
    "import .x\nfrom . import y\nfrom .. import *",
    "x: int\ndel x, y[0], z.w\nglobal q",
    "%time " + "( " * 10_000,
    "x = 1\n" * 16_000,
    "\n".join(f"def f{i}(x, y{i}=f{i - 1}): return f{i - 1}(x)" for i in range(1, 2_000)),
    "".join(f"import a{i} as x\nx.a = 1\n" for i in range(4_000)),
    "class H: pass\nH.dropout\n" * 4_000,
    "def f():\n" + "".join(f"    x{i} = lambda: x{i}\n" for i in range(5_000)),
]


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_hostile_text_neither_raises_nor_takes_long(number):
    """Whatever a cell contains, there is an answer within seconds."""
    started = time.process_time()
    beside_solutions("l2", HOSTILE[number])
    assert time.process_time() - started < 10


@settings(deadline=None)
@given(st.lists(st.text(), max_size=3))
def test_any_text_gets_an_answer(cells):
    """Random text raises nothing and is hardly ever a violation."""
    for task in tasks.values():
        assert isinstance(forbidden_use(task, cells, ()), str | None)


FRAGMENTS = [
    *"()[]{}:,.;='\"\\\n\t #%!?@*&^~",
    *("%%time\n", "%time ", "def ", "class ", "lambda ", "import ", "from ", "global ", "del "),
    *("match x:\n case ", "for ", "in ", "torch", "exec(", "globals()", "getattr(", "nn.Dropout"),
    *("sys.modules", "get_ipython()", "self", "\x00", "\ud800"),
]


@settings(deadline=None)
@given(st.data())
def test_mutated_solutions_get_an_answer(data):
    """Cutting, repeating and inserting in a solution raises nothing."""
    assignment = data.draw(st.sampled_from(sorted(assignments)))
    answers, setup = notebook(assignment)
    name = data.draw(st.sampled_from(sorted(answers)))
    source = answers[name]
    for _ in range(data.draw(st.integers(1, 4))):
        start, stop = sorted(data.draw(st.tuples(*[st.integers(0, len(source))] * 2)))
        middle = data.draw(st.sampled_from(["", source[start:stop] * 2, *FRAGMENTS]))
        source = source[:start] + middle + source[stop:]
    assert isinstance(forbidden_use(tasks[name], [source], setup), str | None)
