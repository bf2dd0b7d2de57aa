"""An output beside what it should be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autograder.judging.compare import agrees, wrong_places
from autograder.task import Case, Expected, Scaled, array_of


@dataclass(frozen=True)
class Comparison:
    """One output in one case.

    Attributes
    ----------
    name
        The name of the output.
    case
        The case.
    got, expected
        The output, and what it should be.
    right
        Whether they agree.
    """

    name: str
    case: Case
    got: NDArray[Any]
    expected: Expected
    right: bool


class Difference:
    """One output that is wrong."""

    def __init__(
        self, comparison: Comparison, expected: NDArray[Any] | Scaled, tolerance: float
    ) -> None:
        self.name = comparison.name
        self.case = comparison.case.name
        self.inputs = comparison.case.inputs
        self.got = comparison.got
        self._expected = expected
        self._tolerance = tolerance

    @property
    def expected(self) -> NDArray[Any]:
        """The right numbers."""
        return array_of(self._expected)

    @property
    def comparable(self) -> bool:
        """Whether shape and dtype agree, so that only the numbers can differ."""
        return self.got.shape == self.expected.shape and self.got.dtype == self.expected.dtype

    @property
    def numbers(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """The wrong numbers, and what they should be; the output has to be comparable."""
        where = wrong_places(self.got, self._expected, self._tolerance)
        return self.got[where], self.expected[where]

    def would_agree(self, array: NDArray[Any], tolerance: float | None = None) -> bool:
        """Return whether `array` would be right in place of the output."""
        return agrees(array, self._expected, tolerance or self._tolerance)


def matrices(inputs: Any) -> Iterator[NDArray[Any]]:
    """Yield the inputs that have rows and columns."""
    for value in inputs.values():
        first = value[0] if isinstance(value, list) and value else value
        if isinstance(first, np.ndarray) and first.ndim == 2:
            yield first
