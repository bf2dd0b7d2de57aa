"""Take a layer of PyTorch out of this process, whatever road leads to it.

A module, a function, an operator's own name, another layer, TorchScript: each of them asks
PyTorch's dispatcher for the kernels of an operator.  There, each kernel of the operators that
compute the layer is replaced by one that raises.  Nothing in Python can bring the old ones back.
https://docs.pytorch.org/tutorials/advanced/dispatcher.html
"""

from __future__ import annotations

import contextlib
import ctypes
import warnings
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch

from autograder.judging.wall import LAYERS, classes, copies, refusal

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


@dataclass(frozen=True)
class Layer:
    """Where a layer is found in a process, and in those that are forked from it.

    Attributes
    ----------
    name
        One of `wall.LAYERS`.
    kernels
        The kernels that compute it.
    classes
        The modules that are it.
    copies
        Where its operators are written once more in Python: a namespace, and names in it.
    """

    name: str
    kernels: list[Kernel]
    classes: list[type]
    copies: list[tuple[dict[Any, Any], list[Any]]]


def find(name: str) -> Layer:
    """Find a layer in this process."""
    return Layer(name, _kernels(name), classes(name), list(copies(name)))


def remove(layer: Layer) -> None:
    """Remove a layer from this process; cannot be undone."""
    refuse = refusal(layer.name)
    libraries: dict[str, Any] = {}
    with warnings.catch_warnings():
        # It says that kernels are replaced.
        warnings.simplefilter("ignore")
        for operator, key in layer.kernels:
            library, name = operator.split("::")
            if library not in libraries:
                libraries[library] = torch._C._dispatch_library("IMPL", library, "", __file__, 0)
            libraries[library].impl(name, key, refuse)
    for one in libraries.values():
        # It lives on, or the old kernels would be back, but nothing leads to it.
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(one))
    for kind in layer.classes:
        kind.__init__ = refuse  # type: ignore[misc]
    for namespace, names in layer.copies:
        namespace.update(dict.fromkeys(names, refuse))
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


def _kernels(name: str) -> list[Kernel]:
    has_kernel = torch._C._dispatch_has_kernel_for_dispatch_key
    keys = _keys()
    return [
        (operator, key)
        for operator in torch._C._dispatch_get_all_op_names()
        if LAYERS[name].search(operator)
        for key in keys
        if has_kernel(operator, key)
    ]
