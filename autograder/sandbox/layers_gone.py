"""Take a layer of PyTorch out of this process, whatever road leads to it.

A module, a function, an operator's own name, another layer, TorchScript: each of them asks
PyTorch's dispatcher for the kernels of an operator.  There, each kernel of the operators that
compute the layer is replaced by one that raises.  Nothing in Python can bring the old ones back.
https://docs.pytorch.org/tutorials/advanced/dispatcher.html
"""

from __future__ import annotations

import contextlib
import ctypes
import sys
import warnings
from collections.abc import Sequence
from functools import cache
from typing import Any

import torch

from autograder.judging.wall import LAYERS, classes, refusal

# Operators written once more in Python.
_IN_PYTHON = ("torch._decomp", "torch._refs", "torch._prims")
# Their kernels only lead to those of another key.
_ON_THE_WAY = ("Autograd", "ADInplaceOrView", "Meta")
# TorchScript has formulas of its own for some operators whose gradient is asked for.
_TORCHSCRIPT = (
    "_jit_script_compile",
    "_jit_script_class_compile",
    "_create_function_from_graph",
    "_create_function_from_trace",
    "_create_function_from_trace_with_dict",
    "_jit_interpret_graph",
    "import_ir_module",
    "import_ir_module_from_buffer",
    "CompilationUnit",
)

Kernel = tuple[str, str]
"""The name of an operator, and the key under which the dispatcher holds the kernel."""


def kernels(layer: str) -> list[Kernel]:
    """Return the kernels that compute a layer."""
    has_kernel = torch._C._dispatch_has_kernel_for_dispatch_key
    keys = _keys()
    return [
        (operator, key)
        for operator in torch._C._dispatch_get_all_op_names()
        if LAYERS[layer].search(operator)
        for key in keys
        if has_kernel(operator, key)
    ]


def remove(layer: str, found: Sequence[Kernel]) -> None:
    """Remove a layer from this process; cannot be undone.

    Parameters
    ----------
    layer
        One of `wall.LAYERS`.
    found
        What `kernels` returned for it, in this process or the one that it was forked from.
    """
    refuse = refusal(layer)
    libraries: dict[str, Any] = {}
    with warnings.catch_warnings():
        # It says that kernels are replaced.
        warnings.simplefilter("ignore")
        for operator, key in found:
            namespace, name = operator.split("::")
            if namespace not in libraries:
                libraries[namespace] = torch._C._dispatch_library(
                    "IMPL", namespace, "", __file__, 0
                )
            libraries[namespace].impl(name, key, refuse)
    for library in libraries.values():
        # It lives on, or the old kernels would be back, but nothing leads to it.
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(library))
    for one in classes(layer):
        one.__init__ = refuse  # type: ignore[misc]
    for name, module in list(sys.modules.items()):
        if name.startswith(_IN_PYTHON):
            _replace(vars(module), layer)
            for value in list(vars(module).values()):
                if isinstance(value, dict):
                    _replace(value, layer)
    for name in _TORCHSCRIPT:
        if hasattr(torch._C, name):
            delattr(torch._C, name)


@cache
def _keys() -> list[str]:
    found = []
    for key in dir(torch._C.DispatchKey):
        if key.startswith(_ON_THE_WAY):
            continue
        # Some names are bounds of ranges, and no keys.
        with contextlib.suppress(RuntimeError, TypeError):
            torch._C._dispatch_has_kernel_for_dispatch_key("aten::dropout", key)
            found.append(key)
    return found


def _replace(names: dict[Any, Any], layer: str) -> None:
    for name, value in list(names.items()):
        if callable(value) and LAYERS[layer].search(str(name)):
            names[name] = refusal(layer)
