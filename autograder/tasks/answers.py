"""Take apart what a student's function returned, or say what is wrong with it.

These functions look at the form of an answer only.  The judge decides whether its numbers are
right.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn


class NotObservedError(Exception):
    """The student's functions gave nothing that could be compared; the message says why."""


def unpack(function: str, value: Any, names: Sequence[str]) -> tuple[Any, ...]:
    """Return the values of a tuple or list that a function returned.

    Parameters
    ----------
    function
        The function's name, for the message.
    value
        What it returned.
    names
        The names of the values that it should have returned, two or more.

    Raises
    ------
    NotObservedError
        When `value` is not a tuple or list of that many values.
    """
    wanted = f"`{function}` should return {len(names)} values: {', '.join(names)}."
    found = _items(function, value, wanted)
    if len(found) != len(names):
        raise NotObservedError(f"`{function}` returned {count(len(found), 'value')}. {wanted}")
    return found


def unpack_list(
    function: str, value: Any, length: int, what: str, wanted: str, each: str = ""
) -> tuple[Any, ...]:
    """Return the items of a list that a function returned; otherwise like `unpack`.

    Parameters
    ----------
    function, value
        As for `unpack`.
    length
        How many items there should be.
    what
        What one of them is: "gradient".
    wanted
        A sentence that says what should be returned.
    each
        What the list has one item for, if the function has to loop over something: "weight".
    """
    found = _items(function, value, wanted)
    if len(found) != length:
        owners = f" for {count(length, each)}" if each else ""
        hint = " Is the `return` inside the loop?" if each and len(found) == 1 else ""
        raise NotObservedError(
            f"`{function}` returned {count(len(found), what)}{owners}. {wanted}{hint}"
        )
    return found


def unpack_dict(function: str, what: str, value: Any, names: Sequence[str]) -> dict[str, Any]:
    """Return the values of a dict that a function returned, named as in "grads['W1']".

    Parameters
    ----------
    function, value
        As for `unpack`.
    what
        What the dict is called: "grads".
    names
        The keys that it should have; others are left alone.

    Raises
    ------
    NotObservedError
        When `value` is not a dict, or a key is missing.
    """
    if not isinstance(value, Mapping):
        raise NotObservedError(
            f"The {what} that `{function}` returned is a single {type(value).__name__}. "
            f"Return a dict with the keys {', '.join(names)}."
        )
    missing = [name for name in names if name not in value]
    if missing:
        raise NotObservedError(
            f"There is no {', '.join(map(repr, missing))} in the {what} that `{function}` returned."
        )
    return {f"{what}[{name!r}]": value[name] for name in names}


def module_of(name: str, answer: Any) -> nn.Module:
    """Return a module that a student's class made.

    Parameters
    ----------
    name
        The name of the class, for the message.
    answer
        What it made.

    Raises
    ------
    NotObservedError
        When that is no module, or one whose base class has not been initialized.
    """
    from torch import nn

    if not isinstance(answer, nn.Module):
        raise NotObservedError(f"`{name}` is not an nn.Module. Derive it from nn.Module.")
    if "_modules" not in vars(answer):
        raise NotObservedError(f"`{name}.__init__` should begin with `super().__init__()`.")
    return answer


def load(name: str, module: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Load a state into a student's module.

    Parameters
    ----------
    name
        The name of its class, which PyTorch has as well.
    module
        The module.
    state
        What a `state_dict` of PyTorch's own holds.

    Raises
    ------
    NotObservedError
        When the module's `state_dict` has other entries or shapes.
    """
    own = module.state_dict()
    plain = [f"`{key}`" for key in state if key not in own and hasattr(module, key)]
    missing = [f"`{key}`" for key in state if key not in own and not hasattr(module, key)]
    extra = [f"`{key}`" for key in own if key not in state]
    odd = [key for key in own if key in state and own[key].shape != state[key].shape]
    problems = []
    if plain:
        problems.append(
            f"PyTorch does not know of {', '.join(plain)}: make what is trained an `nn.Parameter`, "
            "and register what is only kept with `register_buffer`."
        )
    if missing:
        problems.append(f"It has no {', '.join(missing)}.")
    if extra:
        problems.append(f"It has {', '.join(extra)} besides.")
    problems += [
        f"`{key}` has the shape {tuple(own[key].shape)}; expected {tuple(state[key].shape)}."
        for key in odd
    ]
    if problems:
        raise NotObservedError(
            f"`{name}` does not load the state_dict of nn.{name}. {' '.join(problems)}"
        )
    module.load_state_dict(dict(state))


def count(number: int, what: str) -> str:
    """Return a number with what it counts: "1 value", "3 values"."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def _items(function: str, value: Any, wanted: str) -> tuple[Any, ...]:
    if value is None:
        raise NotObservedError(f"`{function}` returned None; is its `return` missing? {wanted}")
    if not isinstance(value, tuple | list):
        raise NotObservedError(f"`{function}` returned a single {type(value).__name__}. {wanted}")
    return tuple(value)
