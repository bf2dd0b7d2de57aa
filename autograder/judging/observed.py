"""Records of what a student's functions did, passed from the side that runs them to the judge."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autograder.task import Outputs

RAISED = "Your code raised "
"""How it is said that an exception came."""

LEAVES_ARGUMENTS = "leaves its arguments as they are"
"""A requirement for every NumPy answer."""


@dataclass(frozen=True)
class CaseResult:
    """What the student's functions did in one case.

    Attributes
    ----------
    outputs
        Arrays by name; not yet checked for shape, dtype or values.
    problems
        Why an output is missing, by output name; the key "" is for the whole case.
    arguments
        What `arrays_in` finds in the inputs after the call; None if nobody looked.
    """

    outputs: Outputs
    problems: Mapping[str, str] = field(default_factory=dict)
    arguments: Outputs | None = None


@dataclass(frozen=True)
class TaskResult:
    """What the student's functions did in all cases of a task.

    Attributes
    ----------
    cases
        One result for each case, in order.
    printed
        What the student's code printed, truncated.
    """

    cases: tuple[CaseResult, ...]
    printed: str = ""


def arrays_in(inputs: Any, name: str = "") -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield the arrays and numbers in nested inputs by name, as in `params['W1']`."""
    if isinstance(inputs, Mapping):
        for key, value in inputs.items():
            yield from arrays_in(value, f"{name}[{key!r}]" if name else str(key))
    elif isinstance(inputs, list | tuple):
        for number, value in enumerate(inputs):
            yield from arrays_in(value, f"{name}[{number}]")
    else:
        array = np.asarray(inputs)
        if array.dtype.kind in "fiub":
            yield name, array
