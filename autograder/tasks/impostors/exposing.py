"""Find out which wrong programs give themselves away on some calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autograder.task import Expected, Task, array_of
from autograder.tasks.impostors.calls import Call, Calls

TOLERANCE = 1e-3
"""A smaller difference, relative to the largest number of an output, goes unnoticed.

So it does in `torch.autograd.gradcheck` by default.
"""

_UNNOTICED = 1e-9
_NUDGE = 1e-12
_NUDGES = 2
_SAFETY = 10.0

Program = Callable[[Call], Mapping[str, Expected]]
"""Returns named outputs for one call."""


@dataclass(frozen=True)
class Impostor:
    """A program that is wrong in one way.

    Attributes
    ----------
    name
        What it does, as the rest of a sentence that begins with "It": "leaves out β".
    riddle
        A sentence that says on which inputs it hides, and not what it does.
    program
        The program.
    graded_only
        Whether only grading tries it.
    """

    name: str
    riddle: str
    program: Program
    graded_only: bool = False


def declared(task: Task, mistake: str) -> dict[str, Any]:
    """Return the steps that a known mistake of a task replaces."""
    (found,) = (one for one in task.misconceptions if one.id == mistake)
    return dict(found.replaces)


class Exposing:
    """What the reference returns for some calls, and how far a program may be from it.

    Right programs round differently.  So a difference counts only if it is much larger than what
    becomes of the outputs when the inputs change in their twelfth digit.
    """

    def __init__(self, reference: Program, calls: Calls) -> None:
        self._calls = calls
        self._expected = [_outputs(reference(call)) for call in calls]
        rng = np.random.default_rng(0)
        self._allowed = [
            _allowed(expected, [_outputs(reference(_nudged(call, rng))) for _ in range(_NUDGES)])
            for call, expected in zip(calls, self._expected, strict=True)
        ]

    def exposes(self, program: Program) -> bool:
        """Return whether a program returns something else for one of the calls."""
        return any(
            self._differs(program, *known)
            for known in zip(self._calls, self._expected, self._allowed, strict=True)
        )

    def _differs(
        self, program: Program, call: Call, expected: Arrays, allowed: Mapping[str, float]
    ) -> bool:
        try:
            got = _outputs(program(call))
        except (ArithmeticError, ValueError, RuntimeError, IndexError):
            # The reference accepts these inputs.
            return True
        # What a program leaves open does not give it away.
        return any(
            got[name].shape != expected[name].shape
            or not (np.abs(got[name] - expected[name]) <= allowed[name]).all()
            for name in expected.keys() & got.keys()
        )


Arrays = dict[str, NDArray[Any]]


def _outputs(expected: Mapping[str, Expected]) -> Arrays:
    return {name: array_of(one) for name, one in expected.items()}


def _allowed(expected: Arrays, nudged: Sequence[Arrays]) -> dict[str, float]:
    """Return the largest difference of each output that goes unnoticed."""
    return {
        name: _UNNOTICED
        + TOLERANCE * float(np.abs(value).max(initial=0.0))
        + _SAFETY * max(float(np.abs(one[name] - value).max(initial=0.0)) for one in nudged)
        for name, value in expected.items()
    }


def _nudged(value: Any, rng: np.random.Generator) -> Any:
    """Return the same values with a relative error in the twelfth digit."""
    if isinstance(value, dict):
        return {name: _nudged(one, rng) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_nudged(one, rng) for one in value)
    if isinstance(value, float | np.ndarray):
        noise = rng.uniform(-_NUDGE, _NUDGE, np.shape(value))
        return value * (1 + (noise if isinstance(value, np.ndarray) else float(noise)))
    return value


@dataclass(frozen=True)
class Weakness:
    """A property of calls that hides impostors.

    Attributes
    ----------
    shows
        Returns whether calls have it.
    weaken
        Returns calls that have it, made from calls that do not.
    repair
        Returns calls that do not have it, made from calls that do.
    """

    shows: Callable[[Calls], bool]
    weaken: Callable[[Calls], Calls]
    repair: Callable[[Calls], Calls]


def each(change: Callable[[Call], Call]) -> Callable[[Calls], Calls]:
    """Return the function that changes each call."""
    return lambda calls: [change(call) for call in calls]


def every(holds: Callable[[Call], bool]) -> Callable[[Calls], bool]:
    """Return the function that says whether something holds for all calls."""
    return lambda calls: all(holds(call) for call in calls)
