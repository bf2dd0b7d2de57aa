"""Read the calls that an answer makes, and refuse those that are not within the limits.

A call is a dict of arguments by name.  It is read twice: beside the student's code, so that the
student learns what is wrong with it, and by the judge, who believes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autograder.task import Functions, Inputs
from autograder.tasks.answers import NotObservedError

MOST_CALLS = 4
MOST_NUMBERS = 64
"""How many numbers an array may hold."""
MOST_AXES = 8
"""How many axes an array may have: no more come out of the sandbox."""
LARGEST = 1e6
"""The largest number that an array may hold."""

_DEEPEST = 3
_PLACES = tuple(f"calls[{number}]" for number in range(MOST_CALLS))

Call = dict[str, Any]
Calls = list[Call]


class Values:
    """The arguments of one call by name.

    Each method returns one of them, or raises a NotObservedError that says what it should be.

    Parameters
    ----------
    found
        Arrays and numbers by name, as in "calls[0]['x']" or "calls[0]['weights'][2]".
    place
        What the names of this call begin with: "calls[0]".

    Attributes
    ----------
    read
        What was returned so far, by name, in dtypes that come out of the sandbox.
    """

    def __init__(self, found: Mapping[str, Any], place: str) -> None:
        self._found = found
        self._place = place
        self.read: dict[str, NDArray[Any]] = {}

    def inside(self, name: str) -> Values:
        """Return the values of a dict, list or tuple among the arguments."""
        inner = Values(self._found, f"{self._place}[{name!r}]")
        inner.read = self.read
        return inner

    def array(
        self, name: str | int, axes: int | None = None, shape: tuple[int, ...] | None = None
    ) -> NDArray[np.float64]:
        """Return an array, of a number of axes or of a shape if one is given."""
        place, value = self._value(name)
        if shape is not None and value.shape != shape:
            raise NotObservedError(f"`{place}` has shape {value.shape}; here it should be {shape}.")
        if axes is not None and value.ndim != axes:
            raise NotObservedError(f"`{place}` has shape {value.shape}; it needs {axes} axes.")
        if value.ndim > MOST_AXES:
            raise NotObservedError(f"`{place}` has {value.ndim} axes; {MOST_AXES} are allowed.")
        if not 1 <= value.size <= MOST_NUMBERS or value.ndim == 0 or value.dtype.kind == "b":
            raise NotObservedError(
                f"`{place}` has shape {value.shape}; it should be an array of one to "
                f"{MOST_NUMBERS} numbers."
            )
        numbers = value.astype(np.float64)
        if not (np.abs(numbers) <= LARGEST).all():
            raise NotObservedError(
                f"`{place}` holds a number that is not finite, or beyond a million."
            )
        self.read[place] = numbers
        return numbers

    def arrays(self, name: str, most: int) -> list[NDArray[np.float64]]:
        """Return a list of one to `most` arrays."""
        inner = self.inside(name)
        length = next(
            i for i in range(most + 2) if inner.place_of(i) not in self._found or i > most
        )
        if not 1 <= length <= most:
            raise NotObservedError(f"`{self.place_of(name)}` should list one to {most} arrays.")
        return [inner.array(i) for i in range(length)]

    def number(self, name: str | int, low: float, high: float) -> float:
        """Return a number from `low` to `high`."""
        place, value = self._value(name)
        given = float(value) if value.ndim == 0 and value.dtype.kind != "b" else np.nan
        if not low <= given <= high:
            raise NotObservedError(f"`{place}` should be a number from {low:g} to {high:g}.")
        self.read[place] = np.array(given)
        return given

    def whole(self, name: str | int, high: int) -> int:
        """Return a whole number from 0 to `high`."""
        given = self.number(name, 0, high)
        if given != int(given):
            raise NotObservedError(f"`{self.place_of(name)}` should be a whole number.")
        return int(given)

    def flag(self, name: str | int) -> bool:
        """Return True or False."""
        place, value = self._value(name)
        if value.ndim or value.dtype.kind != "b":
            raise NotObservedError(f"`{place}` should be True or False.")
        self.read[place] = value
        return bool(value)

    def place_of(self, name: str | int) -> str:
        """Return the whole name of an argument."""
        return f"{self._place}[{name!r}]"

    def _value(self, name: str | int) -> tuple[str, NDArray[Any]]:
        place = self.place_of(name)
        if place not in self._found:
            raise NotObservedError(f"`{place}` is missing.")
        try:
            value = np.array(self._found[place])
        except Exception:
            raise NotObservedError(f"`{place}` is not an array.") from None
        if value.dtype.kind not in "fiub":
            raise NotObservedError(f"`{place}` is not an array of numbers.")
        return place, value


Read = Callable[[Values], Call]
"""Reads one call from its arguments, or raises a NotObservedError."""


def read_calls(read: Read, found: Mapping[str, Any]) -> Calls:
    """Return the calls that arrays by name describe.

    Raises
    ------
    NotObservedError
        When there are none, or one of them is not within the limits.
    """
    there = [place for place in _PLACES if any(name.startswith(place) for name in found)]
    if not there:
        raise NotObservedError("There are no calls.")
    return [read(Values(found, place)) for place in there]


def run_calls(name: str, read: Read, student: Functions, inputs: Inputs) -> dict[str, Any]:
    """Run a student's function that returns calls; return their arrays by name.

    Raises
    ------
    NotObservedError
        When a call is not within the limits.
    """
    calls = student[name]()
    if calls is None:
        raise NotObservedError(f"`{name}` returned None; is a `return` missing?")
    if not isinstance(calls, list | tuple):
        raise NotObservedError(
            f"`{name}` returned a single {type(calls).__name__}. Return a list of calls, each a "
            "dict of arguments."
        )
    if not 1 <= len(calls) <= MOST_CALLS:
        raise NotObservedError(
            f"`{name}` returned {len(calls)} calls. Return one to {MOST_CALLS} of them."
        )
    return arrays_of(read, calls)


def arrays_of(read: Read, calls: Sequence[Any]) -> dict[str, Any]:
    """Return the arrays of calls by name, from which `read_calls` makes them again.

    Raises
    ------
    NotObservedError
        When a call is not within the limits.
    """
    arrays: dict[str, Any] = {}
    for place, call in zip(_PLACES, calls, strict=False):
        if not isinstance(call, Mapping):
            raise NotObservedError(
                f"`{place}` is a {type(call).__name__}. A call is a dict of arguments by name."
            )
        values = Values(dict(_named(call, place)), place)
        read(values)
        arrays |= values.read
    return arrays


def _named(value: Any, place: str, depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Yield what nested dicts, lists and tuples hold, by name."""
    if depth <= _DEEPEST and isinstance(value, Mapping):
        for key, item in value.items():
            yield from _named(item, f"{place}[{key!r}]", depth + 1)
    # A list may also stand for an array, and then it is not looked up in parts.
    yield place, value
    if depth <= _DEEPEST and isinstance(value, list | tuple):
        for number, item in enumerate(value):
            yield from _named(item, f"{place}[{number}]", depth + 1)
