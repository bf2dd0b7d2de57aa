"""Honest ways to write an answer, some of which have been taken for something else.

Each is what stands in a cell before the answer, and the body of the answer to `l2_penalty` or the
methods of `Dropout`; all of them are right.
"""

PENALTY = "return 0.5 * weight_decay * sum(float((w**2).sum()) for w in weights)"

# Style → the cell before, and the body of `l2_penalty`.
L2_PENALTY = {
    "prints its globals": ("print(globals())", PENALTY),
    "lists its locals": ("", f"print(list(locals()))\n{PENALTY}"),
    "evaluates a name": ("half = 0.5", PENALTY.replace("0.5", "eval('half')")),
    "executes a string": ("exec('half = 0.5')", PENALTY.replace("0.5", "half")),
    "runs a file": ("%%writefile helper.py\nhalf = 0.5", PENALTY),
    "collects garbage": ("import gc", f"gc.collect()\n{PENALTY}"),
    "looks at a signature": ("import inspect\nprint(inspect.signature(print))", PENALTY),
    "looks at its own source": ("import inspect", f"inspect.currentframe()\n{PENALTY}"),
    "asks for a tensor": (
        "import torch",
        f"assert not isinstance(weights, torch.Tensor)\n{PENALTY}",
    ),
    "takes tensors too": (
        "import torch",
        "weights = [w.detach().numpy() if isinstance(w, torch.Tensor) else w for w in weights]\n"
        + PENALTY,
    ),
    "has an annotation of torch": ("import torch\nTensors = list[torch.Tensor]", PENALTY),
    "looks a function up": (
        "",
        "square = getattr(np, 'square')\n"
        "return 0.5 * weight_decay * sum(square(w).sum() for w in weights)",
    ),
    "settings of a name": (
        "class cfg:\n    dropout = 0.5\n    batch_norm = True",
        PENALTY.replace("0.5", "cfg.dropout"),
    ),
    "a helper called scores": (
        "def scores(w): return float((w**2).sum())",
        "return 0.5 * weight_decay * sum(map(scores, weights))",
    ),
    "a helper called measured": (
        "def measured(w): return float((w**2).sum())",
        "return 0.5 * weight_decay * sum(map(measured, weights))",
    ),
    "a helper called train": (
        "def train(w): return float((w**2).sum())",
        "return 0.5 * weight_decay * sum(map(train, weights))",
    ),
    "a helper called norm": (
        "def norm(w): return float((w**2).sum())",
        "return 0.5 * weight_decay * sum(map(norm, weights))",
    ),
    "a helper called model": (
        "def model(w): return float((w**2).sum())",
        "return 0.5 * weight_decay * sum(map(model, weights))",
    ),
    "a helper called dropout": (
        "def dropout(w): return float((w**2).sum())",
        "return 0.5 * weight_decay * sum(map(dropout, weights))",
    ),
    "a variable called torch": (
        "",
        "torch = [float((w**2).sum()) for w in weights]\nreturn 0.5 * weight_decay * sum(torch)",
    ),
    "imports everything": (
        "import torch, torch.nn as nn, torch.nn.functional as F\nfrom torch.utils.data import "
        "DataLoader, TensorDataset\nfrom torch.optim import SGD",
        PENALTY,
    ),
    "seeds everything": (
        "import random, torch\nrandom.seed(0)\nnp.random.seed(0)\ntorch.manual_seed(0)",
        PENALTY,
    ),
    "chooses a device": (
        "import torch\ndevice = torch.device('cuda' if torch.cuda.is_available() else 'cpu')\n"
        "half = 0.5",
        PENALTY.replace("0.5", "half"),
    ),
    "compares with torch in the cell": (
        "import torch\nt = torch.tensor([1.0, 2.0], requires_grad=True)\n(t * t).sum().backward()\n"
        "print(t.grad)\nhalf = 0.5",
        PENALTY.replace("0.5", "half"),
    ),
    "defines a network": (
        "from torch import nn\n\nclass Net(nn.Module):\n    def __init__(self):\n"
        "        super().__init__()\n        self.layer = nn.Linear(2, 1)\n"
        "    def forward(self, x):\n        return self.layer(x)\n\nnet = Net()\nhalf = 0.5",
        PENALTY.replace("0.5", "half"),
    ),
    "decorates with torch": (
        "import torch\n@torch.no_grad()\ndef helper(): pass\nhalf = 0.5",
        PENALTY.replace("0.5", "half"),
    ),
    "tries torch": (
        "try:\n    import torch\n    torch.ones(1)\nexcept Exception:\n    torch = None",
        PENALTY,
    ),
    "falls back": (
        "",
        "try:\n    import torch\n    weights = [torch.tensor(w).numpy() for w in weights]\n"
        f"except Exception:\n    pass\n{PENALTY}",
    ),
    "prints a version": (
        "import torch\nprint(np.__version__, torch.__version__)\nhalf = 0.5",
        PENALTY.replace("0.5", "half"),
    ),
    "subprocess": ("import subprocess, sys\nsubprocess.run([sys.executable, '-c', ''])", PENALTY),
    "threads": (
        "from concurrent.futures import ThreadPoolExecutor",
        "with ThreadPoolExecutor(2) as pool:\n"
        "    squares = list(pool.map(lambda w: float((w**2).sum()), weights))\n"
        "return 0.5 * weight_decay * sum(squares)",
    ),
    "caches": (
        "from functools import lru_cache\n@lru_cache\ndef half(): return 0.5",
        PENALTY.replace("0.5", "half()"),
    ),
    "dataclass": (
        "from dataclasses import dataclass\n@dataclass\nclass Settings:\n    half: float = 0.5",
        PENALTY.replace("0.5", "Settings().half"),
    ),
    "operator": (
        "from operator import methodcaller",
        "squares = [w * w for w in weights]\n"
        "return 0.5 * weight_decay * sum(map(methodcaller('sum'), squares))",
    ),
    "reduce": (
        "from functools import reduce",
        "return 0.5 * weight_decay * reduce(lambda s, w: s + (w**2).sum(), weights, 0.0)",
    ),
    "pickle": ("import pickle", f"weights = pickle.loads(pickle.dumps(weights))\n{PENALTY}"),
    "deep copy": ("import copy", f"weights = copy.deepcopy(weights)\n{PENALTY}"),
    "vdot": ("", "return weight_decay / 2 * sum(np.vdot(w, w) for w in weights)"),
    "einsum": (
        "",
        "return weight_decay / 2 * sum(np.einsum('i,i', w.ravel(), w.ravel()) for w in weights)",
    ),
    "norm": ("", "return weight_decay / 2 * sum(np.linalg.norm(w) ** 2 for w in weights)"),
    "loops": (
        "",
        "total = 0.0\nfor w in weights:\n    for value in w.flat:\n"
        "        total += value * value\nreturn 0.5 * weight_decay * total",
    ),
    "global counter": ("calls = 0", f"global calls\ncalls += 1\n{PENALTY}"),
    "logging": ("import logging", f"logging.getLogger('dropout').warning('torch')\n{PENALTY}"),
    "type annotations": ("from __future__ import annotations", PENALTY),
    "a doc of words": ("", f"'Not torch.dropout, nor nn.BatchNorm2d.'\n{PENALTY}"),
}

# Style → the cell before, the lines of `__init__` and those of `forward`.
INIT = "if not 0 <= p <= 1:\n    raise ValueError('p is a probability')\nself.p = p"
FORWARD = (
    "if not self.training:\n    return x\nif self.p == 1:\n    return torch.zeros_like(x)\n"
    "return x * (torch.rand_like(x) >= self.p) / (1 - self.p)"
)
DROPOUT = {
    "plain": ("", INIT, FORWARD),
    "looks at its attributes": ("", INIT, f"vars(self)\nself.__dict__\n{FORWARD}"),
    "a base class of its own": ("class Base(nn.Module): pass", INIT, FORWARD),
    "compares with the layer": ("layer = nn.Dropout(0.5)\nlayer(torch.ones(3))", INIT, FORWARD),
    "asks for its kind": ("", INIT, f"assert not isinstance(self, nn.Dropout)\n{FORWARD}"),
    "an attribute called dropout": ("", f"{INIT}\nself.dropout = p", FORWARD),
    "Bernoulli": (
        "",
        INIT,
        "if not self.training or self.p == 0:\n    return x\nif self.p == 1:\n    return 0 * x\n"
        "return x * torch.empty_like(x).bernoulli_(1 - self.p) / (1 - self.p)",
    ),
    "where": (
        "",
        INIT,
        "if not self.training:\n    return x\nif self.p == 1:\n    return torch.zeros_like(x)\n"
        "kept = torch.rand(x.shape) >= self.p\n"
        "return torch.where(kept, x / (1 - self.p), torch.zeros_like(x))",
    ),
    "a distribution": (
        "from torch.distributions import Bernoulli",
        INIT,
        "if not self.training:\n    return x\nif self.p == 1:\n    return torch.zeros_like(x)\n"
        "return x * Bernoulli(1 - self.p).sample(x.shape).to(x) / (1 - self.p)",
    ),
    "masked fill": (
        "",
        INIT,
        "if not self.training:\n    return x\nif self.p == 1:\n    return torch.zeros_like(x)\n"
        "return (x / (1 - self.p)).masked_fill(torch.rand_like(x) < self.p, 0.0)",
    ),
    "a network with batch norm": (
        "net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Dropout(0.5))\n"
        "net(torch.ones(4, 2))",
        INIT,
        FORWARD,
    ),
    "extra representation": ("", f"{INIT}\nself.extra_repr = lambda: f'dropout {{p}}'", FORWARD),
    "a buffer": ("", f"{INIT}\nself.register_buffer('seen', torch.zeros(()))", FORWARD),
    "vectorized": (
        "rows = torch.vmap(lambda row: row * 2)(torch.ones(2, 2))",
        INIT,
        FORWARD,
    ),
    "scripted helper": (
        "try:\n    half = torch.jit.script(nn.Linear(1, 1))\nexcept Exception:\n    pass",
        INIT,
        FORWARD,
    ),
}
