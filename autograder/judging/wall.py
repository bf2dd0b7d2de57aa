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
                for one in classes(name):
                    if "__init__" in vars(one):
                        stack.callback(setattr, one, "__init__", vars(one)["__init__"])
                        one.__init__ = refusal(name)  # type: ignore[misc]
        yield


def _modes(name: str) -> tuple[TorchFunctionMode, TorchDispatchMode]:
    """Return what notices a call: of a function in Python, and of an operator below it."""
    from torch.overrides import TorchFunctionMode
    from torch.utils._python_dispatch import TorchDispatchMode

    refuse = refusal(name)

    def call(function: Any, arguments: Any, named: Any) -> Any:
        if name == TORCH or LAYERS[name].search(str(getattr(function, "__name__", function))):
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
