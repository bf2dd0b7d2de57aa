"""Ways to reach what a task forbids, one line or a few each; none of them leads anywhere.

Each is the body of a function or method.  A name that ends in “before” runs in a cell of its own.
"""

GRADIENTS = """
ws = [torch.tensor(w, requires_grad=True) for w in weights]
(0.5 * weight_decay * sum((w * w).sum() for w in ws)).backward()
return [w.grad.numpy() for w in ws]
"""
"""Right gradients of the penalty, if there is a `torch`."""

# Disguise → what runs before, and how the answer gets `torch`.
TORCH = {
    "import": ("", "import torch"),
    "import from": ("from torch import tensor", "import torch; torch.tensor = tensor"),
    "another name": ("import torch as helper", "torch = helper"),
    "importlib": ("", "import importlib; torch = importlib.import_module('to' + 'rch')"),
    "dunder import": ("", "torch = __import__('to' + 'rch')"),
    "import of builtins": ("", "import builtins; torch = builtins.__dict__['__import__']('torch')"),
    "exec": ("", "names = {}; exec('import tor' 'ch', names); torch = names['tor' + 'ch']"),
    "eval": ("", "torch = eval('__import__(\"torch\")')"),
    "compile": ("", "exec(compile('import torch as t', '', 'exec'), globals()); torch = t"),
    "sys.modules": ("", "import sys; torch = sys.modules['torch']"),
    "sys.modules emptied": (
        "",
        "import sys\n"
        "for name in [n for n in sys.modules if n.startswith('torch')]: del sys.modules[name]\n"
        "sys.meta_path[:] = sys.meta_path[-1:]\n"
        "sys.path_importer_cache.clear()\n"
        "import torch",
    ),
    "path finder": (
        "",
        "import importlib.machinery as m, importlib.util as u, sys\n"
        "spec = m.PathFinder.find_spec('torch', sys.path)\n"
        "torch = u.module_from_spec(spec); sys.modules['torch'] = torch\n"
        "spec.loader.exec_module(torch)",
    ),
    "pkgutil": ("", "import pkgutil; torch = pkgutil.resolve_name('torch')"),
    "runpy": ("", "import runpy; torch = runpy.run_module('torch')"),
    "zipimport": ("", "import pydoc; torch = pydoc.locate('torch')"),
    "pickle": ("", "import pickle; torch = pickle.loads(b'ctorch\\nnn\\n.').__class__"),
    "unittest.mock": ("", "from unittest.mock import _importer; torch = _importer('torch')"),
    "logging.config": (
        "",
        "from logging.config import BaseConfigurator; "
        "torch = BaseConfigurator({}).resolve('torch.tensor') and __import__('torch')",
    ),
    "numpy's tests": ("", "import numpy.testing as t; torch = t.sys.modules['torch']"),
    "a module's import": ("", "import doctest; torch = doctest.__import__('torch')"),
    "gc": (
        "",
        "import gc, types\n"
        "torch = [o for o in gc.get_objects() if isinstance(o, types.ModuleType) "
        "and o.__name__ == 'torch'][0]",
    ),
    "frames": ("", "import sys; torch = sys._getframe(1).f_globals['torch']"),
    "package's own": (
        "",
        "from autograder.tasks import l2; import sys; "
        "torch = sys.modules['autograder.tasks.l2.penalty'].torch",
    ),
    "annotation": (
        "",
        "def inner(x: __import__('torch')): pass\ntorch = inner.__annotations__['x']",
    ),
    "default": ("def give(torch=__import__('torch')): return torch", "torch = give()"),
    "decorator": ("", "import torch\n@torch.no_grad()\ndef f(): pass"),
    "history": ("import torch\ntorch", "torch = [o for o in Out.values()][-1]"),
    "magic": ("%alias_magic t time", "torch = get_ipython().ev('__import__(\"torch\")')"),
    "prompt": (">>> import torch as t", "torch = t"),
    "cell magic": ("%%time\nimport torch as t", "torch = t"),
    "line magic": ("", "get_ipython().run_line_magic('run', '-m torch'); import torch"),
    "hook": (
        "import sys\nsys.displayhook = lambda v: None\n"
        "def hook(): import torch as t; get_ipython().user_ns['t'] = t\n"
        "get_ipython().events.register('pre_execute', hook)",
        "torch = t",
    ),
    "transformer": (
        "get_ipython().input_transformers_post.append("
        "lambda lines: ['import torch as t\\n', *lines])",
        "torch = t",
    ),
    "subprocess": (
        "",
        "import subprocess, sys, json\n"
        "code = 'import torch, sys, json; print(torch.ones(1).tolist())'\n"
        "subprocess.run([sys.executable, '-c', code], check=True); import torch",
    ),
    "fork": ("", "import os; os.fork() or os._exit(0); import torch"),
    "thread": (
        "",
        "import threading\nfound = []\n"
        "one = threading.Thread(target=lambda: found.append(__import__('torch')))\n"
        "one.start(); one.join(); torch = found[0]",
    ),
    "put": (
        "",
        "import numpy as np\nbox = np.empty(1, object); np.put(box, 0, __import__('torch')); "
        "torch = box[0]",
    ),
    "functorch": ("", "import functorch; torch = functorch.torch"),
    "shared library": (
        "",
        "import ctypes, glob, sys\n"
        "ctypes.CDLL(glob.glob(sys.prefix + '/lib/*/site-packages/torch/lib/libtorch_cpu.so')[0])"
        "\nimport torch",
    ),
    "reload": ("", "import importlib, torch; torch = importlib.reload(torch)"),
}

# Disguise → what runs before, and what `forward` returns.
DROPOUT = {
    "functional": ("import torch.nn.functional as F", "F.dropout(x, self.p, self.training)"),
    "module": ("", "nn.Dropout(self.p)(x)"),
    "module before": ("layer = nn.Dropout(0.5)", "layer(x)"),
    "base class": ("Base = type('Base', (nn.Dropout,), {})", "Base(self.p)(x)"),
    "forward of the class": ("", "nn.Dropout.forward(self, x)"),
    "without init": (
        "",
        "(lambda d: (nn.Module.__init__(d), setattr(d, 'p', self.p), setattr(d, 'inplace', False), "
        "d.train(self.training), d(x))[-1])(object.__new__(nn.Dropout))",
    ),
    "pickle": (
        "import pickle\ntext = pickle.dumps(nn.Dropout(0.5))",
        "pickle.loads(text).train(self.training)(x)",
    ),
    "deep copy": (
        "import copy\none = nn.Sequential(nn.Dropout(0.5))",
        "copy.deepcopy(one).train(self.training)(x)",
    ),
    "torch's": ("", "torch.dropout(x, self.p, self.training)"),
    "native": ("", "torch.native_dropout(x, self.p, self.training)[0]"),
    "variadic": ("", "torch._VF.dropout(x, self.p, self.training)"),
    "aten": ("", "torch.ops.aten.dropout(x, self.p, self.training)"),
    "aten overload": (
        "",
        "torch.ops.aten.native_dropout.default(x, self.p, self.training)[0]",
    ),
    "redispatched": (
        "",
        "torch.ops.aten.native_dropout.default.redispatch(torch._C.DispatchKeySet("
        "torch._C.DispatchKey.CPU), x, self.p, self.training)[0]",
    ),
    "operation": (
        "",
        "torch._C._jit_get_operation('aten::dropout')[0](x, self.p, self.training)",
    ),
    "by name": ("", "getattr(torch, 'drop' + 'out')(x, self.p, self.training)"),
    "in place": ("", "torch.dropout_(x.clone(), self.p, self.training)"),
    "of features": ("", "torch.feature_dropout(x[:, :, None], self.p, self.training)[..., 0]"),
    "alpha": ("", "torch.alpha_dropout(x, self.p, self.training)"),
    "two dimensions": (
        "",
        "nn.functional.dropout2d(x[:, :, None, None], self.p, self.training)[..., 0, 0]",
    ),
    "attention": (
        "",
        "nn.functional.scaled_dot_product_attention(1e9 * torch.eye(len(x))[None], "
        "torch.eye(len(x))[None], x[None].float(), dropout_p=self.p)[0].double()",
    ),
    "recurrent": ("", "nn.LSTM(x.shape[1], x.shape[1], 2, dropout=self.p).double()(x)[0]"),
    "transformer": (
        "",
        "nn.TransformerEncoderLayer(x.shape[1], 1, dropout=self.p).double()(x)",
    ),
    "script": ("", "torch.jit.script(nn.Sequential(nn.Dropout(0.5)))(x)"),
    "script before": (
        "scripted = torch.jit.script(nn.Sequential(nn.Dropout(0.5)))",
        "scripted(x.requires_grad_())",
    ),
    "trace": ("", "torch.jit.trace(nn.Sequential(nn.Dropout(0.5)), x, check_trace=False)(x)"),
    "vmap": (
        "",
        "torch.vmap(lambda row: nn.functional.dropout(row, self.p, self.training), "
        "randomness='different')(x)",
    ),
    "functionalized": (
        "",
        "torch.func.functionalize(lambda v: torch.dropout(v, self.p, self.training))(x)",
    ),
    "without gradients": (
        "",
        "torch.inference_mode()(lambda: torch.dropout(x, self.p, self.training))()",
    ),
    "decomposition": (
        "",
        "__import__('torch._decomp.decompositions', fromlist=['x'])"
        ".native_dropout(x, self.p, self.training)[0]",
    ),
    "table of decompositions": (
        "import torch._decomp as d",
        "[f for o, f in d.decomposition_table.items() if 'native_dropout.default' in str(o)]"
        "[0](x, self.p, self.training)[0]",
    ),
    "reference": (
        "",
        "__import__('torch._refs.nn.functional', fromlist=['x']).dropout(x, self.p, self.training)",
    ),
    "graph": ("", "torch.fx.symbolic_trace(nn.Sequential(nn.Dropout(self.p)))(x)"),
    "compiled": (
        "",
        "torch.compile(lambda v: torch.dropout(v, self.p, self.training), backend='eager')(x)",
    ),
    "sparse": ("", "torch.dropout(x.to_sparse_csr(), self.p, self.training).to_dense()"),
    "quantized": (
        "",
        "torch.ops.quantized.dropout(torch.quantize_per_tensor(x.float(), 0.1, 0, torch.quint8), "
        "self.p, self.training, False).dequantize().double()",
    ),
    "library": (
        "from torch import library as made\none = made.Library('aten', 'IMPL')\ndel one",
        "torch.dropout(x, self.p, self.training)",
    ),
    "the wall's own": (
        "import gc\nfor one in gc.get_objects():\n"
        "    if 'dispatch_library' in type(one).__name__.lower() and hasattr(one, 'reset'):\n"
        "        one.reset()",
        "torch.dropout(x, self.p, self.training)",
    ),
    "modes": (
        "from torch.utils._python_dispatch import _disable_current_modes as off",
        "[torch.dropout(x, self.p, self.training) for _ in [off().__enter__()]][0]",
    ),
}

# Disguise → what runs before, and the normalized batch in training.
BATCH_NORM = {
    "functional": ("", "nn.functional.batch_norm(x, None, None, training=True, eps=self.eps)"),
    "module": ("", "nn.BatchNorm1d(x.shape[1]).double()(x)"),
    "module before": ("layer = nn.BatchNorm1d(4, affine=False)", "layer(x)"),
    "lazy module": ("", "nn.LazyBatchNorm1d(affine=False).double()(x)"),
    "synchronized": ("", "nn.SyncBatchNorm(x.shape[1], affine=False).double()(x)"),
    "instances": ("", "nn.functional.instance_norm(x.t()[None])[0].t()"),
    "layers": ("", "nn.functional.layer_norm(x.t(), (len(x),)).t()"),
    "groups": ("", "nn.functional.group_norm(x.t()[None].contiguous(), x.shape[1])[0].t()"),
    "root mean square": (
        "",
        "nn.functional.rms_norm((x - x.mean(0)).t(), (len(x),), eps=1e-5).t()",
    ),
    "fused root mean square": (
        "",
        "torch._fused_rms_norm((x - x.mean(0)).t(), [len(x)], None, 1e-5)[0].t()",
    ),
    "native": ("", "torch.native_batch_norm(x, None, None, None, None, True, 0.1, 1e-5)[0]"),
    "index": (
        "",
        "torch._batch_norm_impl_index(x, None, None, None, None, True, 0.1, 1e-5, False)[0]",
    ),
    "aten": (
        "",
        "torch.ops.aten._native_batch_norm_legit.no_stats(x, None, None, True, 0.1, 1e-5)[0]",
    ),
    "native layers": ("", "torch.native_layer_norm(x.t(), (len(x),), None, None, 1e-5)[0].t()"),
    "vmap": ("", "torch.vmap(lambda c: nn.functional.layer_norm(c, (len(x),)))(x.t()).t()"),
    "forward mode": (
        "",
        "torch.func.jvp(lambda v: nn.functional.batch_norm(v, None, None, training=True), "
        "(x,), (x,))[0]",
    ),
    "decomposition": (
        "",
        "__import__('torch._decomp.decompositions', fromlist=['x'])"
        ".native_batch_norm(x, None, None, None, None, True, 0.1, 1e-5)[0]",
    ),
    "helper of decompositions": (
        "",
        "__import__('torch._decomp.decompositions', fromlist=['x'])"
        ".native_batch_norm_helper(x, None, None, None, None, True, 0.1, 1e-5, False)[0]",
    ),
    "reference": (
        "",
        "__import__('torch._refs', fromlist=['x'])"
        ".native_layer_norm(x.t(), (len(x),), None, None, 1e-5)[0].t()",
    ),
    "transformer": (
        "",
        "nn.TransformerEncoderLayer(x.shape[1], 1, dropout=0.0).double()(x)",
    ),
    "script before": (
        "scripted = torch.jit.script(nn.BatchNorm1d(4, affine=False).double())",
        "scripted(x)",
    ),
    "base class": (
        "",
        "nn.modules.batchnorm._NormBase(x.shape[1]) and nn.functional.batch_norm(x, None, None, "
        "training=True)",
    ),
    "one-layer library": (
        "",
        "torch.onednn if False else torch.batch_norm(x, None, None, None, None, True, 0.1, 1e-5, "
        "False)",
    ),
}
