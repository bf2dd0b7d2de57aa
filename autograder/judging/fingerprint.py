"""Recognize a wrong program by what it returns on inputs that are the same for everybody.

The tables hold a few numbers for each of many programs that are right but for one small change,
and say what the change is.  `tests/mutants` makes them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autograder.judging.compare import ABSOLUTE_TOLERANCE
from autograder.judging.trial import Trial, Trials
from autograder.task import Aspect, Case, Expected, Probability, Scaled, Task, array_of

PUBLIC_SEED = 20150206
"""The seed of the cases that are the same for everybody, in a notebook's checks as in grading."""

PROJECTIONS = (1.0, 2.3)
"""Frequencies of the cosines with which arrays are multiplied and summed."""

MISSING = 1e9
"""What stands for an output that is not there."""
_MOST_NUMBERS = 1_000_000
_NOT_A_NUMBER, _INFINITE = 1e6, 1e7
_LOOKED_AT, _MOST_PAIRS = 5000, 64
_ROUNDING = 1e-10


def probe_cases(task: Task) -> list[Case]:
    """Return the cases of a task that are the same for everybody, as `check` tries them."""
    cases = task.draw(np.random.default_rng(PUBLIC_SEED))
    return [case for case in cases if not case.graded_only]


def fingerprint(probes: Trials) -> NDArray[np.float64]:
    """Return the numbers by which a program is recognized.

    There are as many for each output of each case as there are projections.  They are relative to
    the scale of the expected output.  Where a task draws random numbers, they describe what comes
    out for each value that the reference gives for the same draws, and how often an event happens
    that should happen with another probability.
    """
    with np.errstate(all="ignore"):
        return np.array(
            [number for trial, name in cells(probes) for number in numbers_of(trial, name)]
        )


def cells(probes: Trials) -> Iterator[tuple[Trial, str]]:
    """Yield the outputs of a program in the order of their numbers in a fingerprint.

    They are those that an aspect judges in their case, and what no aspect judges: what the forward
    pass returned when a backward pass is tried.
    """
    for trial in probes:
        covering = [aspect for aspect in probes.task.aspects if aspect.covers(trial.case)]
        judged = [name for aspect in covering for name in aspect.outputs]
        for name in dict.fromkeys([*judged, *trial.not_judged]):
            yield trial, name


def numbers_of(trial: Trial, name: str) -> tuple[float, float]:
    """Return the part of a fingerprint that one output of one case gives."""
    expected = trial.expected().get(name)
    if isinstance(expected, Probability):
        frequency = _frequency(trial, name)
        return frequency, frequency
    return _numbers_of(trial.task, trial.got(name), expected)


def _frequency(trial: Trial, name: str) -> float:
    """Return how often an event happens, plus 1; 0 if that is as likely as it should be."""
    if trial.agrees(name):
        return 0.0
    counts = trial.got(name)
    return -1.0 if counts is None or not counts[1] else 1.0 + float(counts[0] / counts[1])


def _numbers_of(
    task: Task, got: NDArray[Any] | None, expected: NDArray[Any] | Scaled | None
) -> tuple[float, float]:
    if expected is None:
        return 0.0, 0.0
    if got is None or got.dtype.kind not in "fiub" or got.size > _MOST_NUMBERS:
        return MISSING, MISSING
    if task.read_draws is not None:
        return _relative(got, array_of(expected))
    # What is expected may be 0 but for rounding.
    scale = _scale(expected) + ABSOLUTE_TOLERANCE / _tolerance(task)
    size = scale * max(1, array_of(expected).size) ** 0.5
    numbers = np.nan_to_num(
        got.astype(np.float64).ravel() / size,
        nan=_NOT_A_NUMBER,
        posinf=_INFINITE,
        neginf=-_INFINITE,
    )
    places = np.arange(1, numbers.size + 1)
    # An array of another shape or type is another array.
    shift = 0.0 if got.shape == array_of(expected).shape else float(len(got.shape) + 1)
    shift += 0.5 if got.dtype != array_of(expected).dtype else 0.0
    first, second = (float(np.cos(f * places) @ numbers) + shift for f in PROJECTIONS)
    return first, second


def _right_numbers(trial: Trial, name: str) -> tuple[float, float]:
    """Return the part of the fingerprint of right programs that one output of one case gives."""
    expected = trial.expected().get(name)
    if expected is None or isinstance(expected, Probability):
        return 0.0, 0.0
    return _numbers_of(trial.task, array_of(expected), expected)


def _relative(got: NDArray[Any], expected: NDArray[Any]) -> tuple[float, float]:
    """Describe an array by the pairs of an expected number and the one that is there instead.

    If there are few pairs, they are the same whatever is drawn.  If there are many, return the
    factor between the two arrays, and how much is left when it is taken out.
    """
    if got.shape != expected.shape:
        return np.inf, np.inf
    numbers = np.nan_to_num(
        got.astype(np.float64), nan=_NOT_A_NUMBER, posinf=_INFINITE, neginf=-_INFINITE
    )
    scale = float(np.abs(expected).max(initial=0.0)) or 1.0
    pairs = _pairs(expected / scale, numbers / scale)
    if len(pairs) <= _MOST_PAIRS:
        places = np.arange(1, pairs.size + 1)
        first, second = (float(np.cos(f * places) @ pairs.ravel()) for f in PROJECTIONS)
        return first, second
    square = float((expected * expected).sum())
    if not square:
        return float(got.any()), 0.0
    factor = float((numbers * expected).sum()) / square
    return factor, float(np.abs(numbers - factor * expected).max()) / scale


def _pairs(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the different pairs of numbers in the same places, in order."""
    both = np.unique(one.ravel()[:_LOOKED_AT] + 1j * other.ravel()[:_LOOKED_AT])
    pairs = np.stack([both.real, both.imag], axis=1)
    # Numbers that differ by rounding are one number.
    apart = np.abs(np.diff(pairs, axis=0)) > _ROUNDING * np.maximum(1.0, np.abs(pairs[1:]))
    return np.asarray(pairs[np.append(True, apart.any(axis=1))[: len(pairs)]])


def _scale(expected: Expected) -> float:
    numbers = expected.scale if isinstance(expected, Scaled) else array_of(expected)
    numbers = np.abs(np.asarray(numbers, dtype=np.float64))
    return float(numbers[np.isfinite(numbers)].max(initial=0.0))


def is_same(one: NDArray[np.float64], other: NDArray[np.float64], task: Task) -> NDArray[np.bool_]:
    """Return for each number of two fingerprints, or of a table of them, whether they agree.

    Whatever is not a number in `other` agrees with everything, and what is infinite with nothing.
    """
    with np.errstate(all="ignore"):
        close = np.abs(one - other) <= _tolerance(task) * np.maximum(1.0, np.abs(other))
    return np.asarray((close & ~np.isinf(other)) | np.isnan(other))


def is_same_program(task: Task, one: Sequence[float], other: Sequence[float]) -> bool:
    """Return whether two fingerprints of a task are those of programs that return the same."""
    return len(one) == len(other) and bool(is_same(np.array(one), np.array(other), task).all())


def _tolerance(task: Task) -> float:
    # Correct programs differ by far less than the tolerance of the task.
    return task.tolerance / 100


def digest(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Reduce fingerprints to two numbers each, so that a table of many thousands stays small."""
    places = np.arange(1, numbers.shape[-1] + 1)
    # Sums of large numbers would lose the small ones.
    bounded = numbers / (1.0 + np.abs(numbers))
    return np.stack([bounded @ np.cos(f * places) for f in PROJECTIONS], axis=-1)


@dataclass(frozen=True)
class Table:
    """What is known of wrong programs of a task by their fingerprints.

    Attributes
    ----------
    rows
        One fingerprint in each row, of programs that are right but for one small change.
    changes
        For each row, what is changed, as clauses that follow “in which”.  All of them give the
        same numbers.
    mistakes
        Known mistakes, those of the forward pass behind `FORWARD`.  There are none where a task
        draws random numbers: their fingerprints cannot be computed.
    mistake_rows
        Their fingerprints; not a number where a mistake leaves an output open.
    pairs
        Pairs of them, joined by a space.
    pair_digests
        The digest of the fingerprint of each pair.
    """

    rows: NDArray[np.float64]
    changes: tuple[tuple[str, ...], ...]
    mistakes: tuple[str, ...]
    mistake_rows: NDArray[np.float64]
    pairs: tuple[str, ...]
    pair_digests: NDArray[np.float64]

    @classmethod
    @cache
    def of(cls, name: str) -> Table | None:
        """Return the table of a task, or None if it has none."""
        path = resources.files(__package__) / "fingerprints" / f"{name}.npz"
        if not path.is_file():
            return None
        with path.open("rb") as file, np.load(file) as stored:
            return cls(
                rows=stored["rows"],
                changes=tuple(tuple(str(text).split("\n")) for text in stored["changes"]),
                mistakes=tuple(map(str, stored["mistakes"])),
                mistake_rows=stored["mistake_rows"],
                pairs=tuple(map(str, stored["pairs"])),
                pair_digests=stored["pair_digests"],
            )


FORWARD = "forward/"
"""What stands before the id of a mistake of the forward pass."""


@dataclass(frozen=True)
class Probes:
    """What a program did in the cases that are the same for everybody, and its fingerprint."""

    trials: Trials
    numbers: NDArray[np.float64]
    table: Table | None

    @classmethod
    def of(cls, trials: Trials) -> Probes:
        """Reduce what a program did in `probe_cases`."""
        numbers = fingerprint(trials)
        table = Table.of(trials.task.name)
        if table is not None and table.rows.shape[1] != len(numbers):
            table = None
        return cls(trials, numbers, table)

    @property
    def knows_mistakes(self) -> bool:
        """Whether known mistakes and their pairs can be looked up."""
        return self.table is not None and bool(self.table.mistakes)

    def changes(self, aspect: Aspect | None = None) -> tuple[str, ...]:
        """Return what may be changed in a right program to make it this one.

        Parameters
        ----------
        aspect
            If given, only what it judges has to agree, and what no aspect judges (where a task
            draws, all that comes back in its cases); its outputs must also agree in the other
            cases, unless the change makes no difference there.
        """
        if self.table is None or not self._tells_enough(aspect):
            return ()
        same = self._matching(self.table.rows, aspect, with_not_judged=True)
        if aspect is not None and same.size:
            same = same[self._agree_elsewhere(self.table.rows[same], aspect)]
        return tuple(dict.fromkeys(one for i in same for one in self.table.changes[i]))

    def mistakes(self, aspect: Aspect | None = None) -> set[str]:
        """Return the known mistakes that may account for the numbers, of those in the table."""
        if self.table is None or not self.knows_mistakes:
            return set()
        same = self._matching(self.table.mistake_rows, aspect)
        return {self.table.mistakes[i] for i in same}

    def pairs(self) -> set[str]:
        """Return the pairs of known mistakes that may account for all numbers."""
        if self.table is None:
            return set()
        digests, tolerance = self.table.pair_digests, _tolerance(self.trials.task)
        close = np.abs(digests - digest(self.numbers)) <= tolerance * len(self.numbers)
        return {self.table.pairs[i] for i in np.flatnonzero(close.all(axis=1))}

    def _agree_elsewhere(self, rows: NDArray[np.float64], aspect: Aspect) -> NDArray[np.bool_]:
        """Return for each row whether the outputs of an aspect agree wherever they are wrong."""
        task = self.trials.task
        here = np.repeat([name in aspect.outputs for _, name in self._cells], len(PROJECTIONS))
        right = np.array([_right_numbers(trial, name) for trial, name in self._cells]).ravel()
        same = is_same(self.numbers, rows, task) | is_same(right, rows, task)
        return np.asarray(same[:, here].all(axis=1))

    @cached_property
    def _cells(self) -> list[tuple[Trial, str]]:
        return list(cells(self.trials))

    def _counts_for(self, aspect: Aspect | None, trial: Trial, name: str) -> bool:
        """Return whether an output of a case counts for an aspect, or for all of them."""
        if aspect is None or not aspect.covers(trial.case):
            return aspect is None
        # How often something happens says little without the numbers.
        draws = self.trials.task.read_draws is not None
        return draws or (name in aspect.outputs and name in trial.expected())

    def _tells_enough(self, aspect: Aspect | None) -> bool:
        """Return whether each output says something in more than half of the cases.

        Many programs return nothing but NaN, or drop all that there is; that two of them do makes
        them no less different.
        """
        draws = self.trials.task.read_draws is not None
        telling: dict[str, list[bool]] = {}
        for trial, name in self._cells:
            got = trial.got(name) if self._counts_for(aspect, trial, name) else None
            if got is not None and got.dtype.kind == "f" and got.size:
                tells = np.isfinite(got).any() and (got.any() or not draws)
                telling.setdefault(name, []).append(bool(tells))
        return all(sum(found) > len(found) / 2 for found in telling.values())

    def _matching(
        self,
        rows: NDArray[np.float64],
        aspect: Aspect | None,
        with_not_judged: bool = False,
    ) -> NDArray[np.intp]:
        """Return the rows that agree on what an aspect judges, or on everything."""
        looked_at = [
            self._counts_for(aspect, trial, name) or (with_not_judged and name in trial.not_judged)
            for trial, name in self._cells
        ]
        here = np.repeat(looked_at, len(PROJECTIONS))
        same = is_same(self.numbers[here], rows[:, here], self.trials.task)
        return np.flatnonzero(same.all(axis=1))
