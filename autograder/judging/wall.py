"""What is not there when an answer is tried: PyTorch for NumPy tasks, a layer where it is written.

When a submission is graded, it is really gone (`autograder.sandbox`).  In a student's notebook,
which needs it for other things, its use is noticed.  Either way the answer is told the same.
"""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from torch.overrides import TorchFunctionMode
    from torch.utils._python_dispatch import TorchDispatchMode


class NotAllowedError(Exception):
    """An answer used what its task does not allow; the message says what, and what to do."""


TORCH = "torch"

LAYERS: Mapping[str, re.Pattern[str]] = {
    "dropout": re.compile("dropout", re.IGNORECASE),
    "batch_norm": re.compile("(batch|instance|layer|group|rms)_?norm|_normbase", re.IGNORECASE),
}
"""What the names of the operators and classes have in common that compute a layer."""

MESSAGES: Mapping[str, str] = {
    TORCH: (
        "This task is written in NumPy, and PyTorch is not there when it is graded. "
        "Compute with NumPy arrays."
    ),
    "dropout": (
        "This task has you write dropout yourself, and PyTorch's own is not there when it is "
        "graded. Draw the mask with `torch.rand` or the like."
    ),
    "batch_norm": (
        "This task has you write a normalization yourself, and PyTorch's own are not there when it "
        "is graded. Compute the statistics, then normalize with them."
    ),
}

# Operators written once more in Python.
_IN_PYTHON = ("torch._decomp", "torch._refs", "torch._prims")


def refusal(name: str) -> Callable[..., NoReturn]:
    """Return a function that takes anything and raises the NotAllowedError of `MESSAGES[name]`."""

    def refuse(*_: object, **__: object) -> NoReturn:
        raise NotAllowedError(MESSAGES[name])

    return refuse


def classes(layer: str) -> list[type]:
    """Return the classes of `torch.nn` that are a layer, or that such classes derive from."""
    from torch import nn

    return [
        value
        for module in list(sys.modules.values())
        if module.__name__.startswith("torch.nn.modules.")
        for value in vars(module).values()
        if isinstance(value, type)
        and value.__module__ == module.__name__
        and issubclass(value, nn.Module)
        and LAYERS[layer].search(value.__name__)
    ]


def copies(layer: str) -> Iterator[tuple[dict[Any, Any], list[Any]]]:
    """Yield where its operators are written once more in Python: a namespace, and names in it."""
    for module_name, module in list(sys.modules.items()):
        if module_name.startswith(_IN_PYTHON):
            inner = [value for value in vars(module).values() if isinstance(value, dict)]
            for namespace in (vars(module), *inner):
                names = [
                    key
                    for key, value in namespace.items()
                    if callable(value) and LAYERS[layer].search(str(key))
                ]
                if names:
                    yield namespace, names


@contextlib.contextmanager
def kept_out(names: Sequence[str]) -> Iterator[None]:
    """Raise a NotAllowedError wherever PyTorch, or a layer of it, is used in this block.

    Parameters
    ----------
    names
        As in `Task.forbidden`.
    """
    with contextlib.ExitStack() as stack:
        for name in names:
            function_mode, dispatch_mode = _modes(name)
            stack.enter_context(function_mode)
            stack.enter_context(dispatch_mode)
            if name in LAYERS:
                refuse = refusal(name)
                replaced = [
                    (one, "__init__", refuse) for one in classes(name) if "__init__" in vars(one)
                ]
                for owner, attribute, stand_in in (*replaced, *_ways_around(name)):
                    stack.callback(setattr, owner, attribute, vars(owner)[attribute])
                    setattr(owner, attribute, stand_in)
                for namespace, keys in copies(name):
                    stack.callback(namespace.update, {key: namespace[key] for key in keys})
                    namespace.update(dict.fromkeys(keys, refuse))
        yield


def _ways_around(layer: str) -> Iterator[tuple[type, str, Callable[..., Any]]]:
    """Yield what passes the modes by: a class, a method of it, and one that notices the layer."""
    from torch._ops import OpOverload
    from torch.jit import ScriptModule
    from torch.nn import Module

    redispatch, call, refuse = OpOverload.redispatch, Module.__call__, refusal(layer)

    def redispatched(operator: Any, /, *arguments: Any, **named: Any) -> Any:
        is_layer = LAYERS[layer].search(str(operator))
        return (refuse if is_layer else redispatch)(operator, *arguments, **named)

    def called(module: Any, /, *arguments: Any, **named: Any) -> Any:
        # Grading has no TorchScript.
        return (refuse if isinstance(module, ScriptModule) else call)(module, *arguments, **named)

    yield OpOverload, "redispatch", redispatched
    yield Module, "__call__", called


def _modes(name: str) -> tuple[TorchFunctionMode, TorchDispatchMode]:
    """Return what notices a call: of a function in Python, and of an operator below it."""
    from torch.overrides import TorchFunctionMode
    from torch.utils._python_dispatch import TorchDispatchMode

    refuse = refusal(name)

    def drops(called: str, arguments: Any, named: Any) -> bool:
        # Attention draws its mask where no mode sees it.
        return (
            name == "dropout"
            and called == "scaled_dot_product_attention"
            and bool(named.get("dropout_p") or any(arguments[4:5]))
        )

    def call(function: Any, arguments: Any, named: Any) -> Any:
        called = str(getattr(function, "__name__", function))
        if name == TORCH or LAYERS[name].search(called) or drops(called, arguments, named or {}):
            refuse()
        return function(*arguments, **(named or {}))

    class Functions(TorchFunctionMode):
        def __torch_function__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            return call(func, args, kwargs)

    class Operators(TorchDispatchMode):  # type: ignore[no-untyped-call]
        @classmethod
        def _should_skip_dynamo(cls) -> bool:
            # To skip it, PyTorch imports it first, which takes seconds.
            return False

        def __torch_dispatch__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            return call(func, args, kwargs)

    return Functions(), Operators()  # type: ignore[no-untyped-call]
