"""Compare observed outputs with expected ones, for both the judge and the diagnosis."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autograder.judging.compare import Places, agrees, difference, worst_places
from autograder.judging.observed import RAISED, CaseResult, TaskResult
from autograder.task import (
    REQUIRED,
    Aspect,
    Case,
    Expected,
    Misconception,
    ObservedDraws,
    Outputs,
    Probability,
    Requirement,
    Task,
)

MAX_TOLD = 3
"""How many wrong outputs to describe where each earns a share."""

Mistakes = tuple[Misconception, ...]
"""Mistakes that a program makes at once; the empty tuple stands for the reference."""


@dataclass(frozen=True)
class Failure:
    """How a wrong output differs: a sentence, and where it is farthest off."""

    text: str
    places: Places = ()


class Trial:
    """One case: the observed outputs, and those of the reference or of known mistakes.

    Expected outputs are computed on first use and cached.
    """

    def __init__(self, task: Task, case: Case, observed: CaseResult) -> None:
        self.task = task
        self.case = case
        self.problems = observed.problems
        self.observed = observed.outputs
        read = (
            task.read_draws(case.inputs, observed.outputs)
            if task.read_draws is not None
            else ObservedDraws({}, {})
        )
        self._inputs = {**case.inputs, **read.draws}
        # Use only our own counts: a program could send forged ones.
        self._counts: Outputs = read.counts
        self._expected: dict[Mistakes, dict[str, Expected]] = {}
        self._agrees: dict[tuple[Mistakes, str], bool] = {}

    @property
    def size(self) -> int:
        """How many numbers came back."""
        return sum(array.size for array in self.observed.values())

    @property
    def answered(self) -> bool:
        """Whether anything came back that was asked for."""
        return not self.observed.keys().isdisjoint(self.expected())

    @cached_property
    def not_judged(self) -> list[str]:
        """The outputs that no aspect judges: what the forward pass of a backward pass returned."""
        judged = {name for aspect in self.task.aspects for name in aspect.outputs}
        return [
            name
            for name, expected in self.expected().items()
            if name not in judged and not isinstance(expected, Probability)
        ]

    def expected(self, mistakes: Mistakes = ()) -> dict[str, Expected]:
        """Return the outputs of the reference, or of a program that makes known mistakes."""
        if mistakes not in self._expected:
            steps: dict[str, Any] = {}
            for mistake in mistakes:
                steps.update(mistake.replaces)
            # An aspect and a requirement never look at the same cases.
            required = {requirement.output for requirement in self.task.requirements}
            self._expected[mistakes] = {
                name: expected
                for name, expected in self.task.reference(self._inputs, **steps).items()
                if (name in required) == (self.case.group == REQUIRED)
            }
        return self._expected[mistakes]

    def got(self, name: str) -> NDArray[Any] | None:
        """Return an output, or the counts of an event; None if there are none."""
        expected = self.expected().get(name)
        if isinstance(expected, Probability) and self.task.read_draws is not None:
            return self._counts.get(name)
        return self.observed.get(name)

    def agrees(self, name: str, mistakes: Mistakes = ()) -> bool:
        """Return whether an output is as expected."""
        key = mistakes, name
        if key not in self._agrees:
            got, expected = self.got(name), self.expected(mistakes).get(name)
            self._agrees[key] = (
                got is not None
                and expected is not None
                and agrees(got, expected, self.task.tolerance)
            )
        return self._agrees[key]

    def allows(self, name: str, mistakes: Mistakes) -> bool:
        """Return whether an output is as expected or left open by these mistakes."""
        return name not in self.expected(mistakes) or self.agrees(name, mistakes)

    def agrees_everywhere(self, mistakes: Mistakes) -> bool:
        """Return whether all outputs are as expected."""
        return all(self.agrees(name, mistakes) for name in self.expected(mistakes))

    def failure(self, name: str) -> Failure:
        """Describe how a wrong output differs from the reference."""
        got, expected = self.got(name), self.expected()[name]
        if got is None:
            return Failure(
                self.problems.get(name)
                or self.problems.get("")
                or f"The {name} cannot be determined from what was returned."
            )
        describe = self.task.describe
        if describe is not None:
            if isinstance(expected, Probability):
                return Failure(describe(name, got, np.array(expected.value)))
            if isinstance(expected, np.ndarray) and (got.shape, got.dtype) == (
                expected.shape,
                expected.dtype,
            ):
                return Failure(describe(name, got, expected))
        return Failure(
            difference(name, got, expected, self.task.tolerance),
            worst_places(got, expected, self.task.tolerance),
        )


class Trials(Sequence[Trial]):
    """All cases of a task but those that only requirements look at."""

    def __init__(self, task: Task, cases: Sequence[Case], result: TaskResult) -> None:
        self.task = task
        self._trials: list[Trial] = []
        self._required: list[Trial] = []
        for case, observed in zip(cases, result.cases, strict=True):
            kind = self._required if case.group == REQUIRED else self._trials
            kind.append(Trial(task, case, observed))

    def __getitem__(self, index: Any) -> Any:
        return self._trials[index]

    def __len__(self) -> int:
        return len(self._trials)

    def looked_at(self, aspect: Aspect) -> Iterator[tuple[Trial, str]]:
        """Yield each output that an aspect judges, as its trial and its name."""
        for trial in self:
            if aspect.covers(trial.case):
                for name in aspect.outputs:
                    if name in trial.expected():
                        yield trial, name

    def agree_on(self, aspect: Aspect, mistakes: Mistakes = ()) -> bool:
        """Return whether all outputs of an aspect are as expected.

        Mistakes may leave some of them open, but not all.
        """
        cells = list(self.looked_at(aspect))
        return all(trial.allows(name, mistakes) for trial, name in cells) and any(
            trial.agrees(name, mistakes) for trial, name in cells
        )

    def meet(self, requirement: Requirement) -> bool:
        """Return whether a requirement holds."""
        return all(
            trial.agrees(requirement.output)
            for trial in self._required
            if requirement.output in trial.expected()
        )

    def raised_instead_of(self, requirement: Requirement) -> str:
        """Say which exception came where a ValueError was due; empty if it comes anyway."""
        anyway = {trial.problems.get("") for trial in self._trials}
        for trial in self._required:
            problem = trial.problems.get("", "")
            if requirement.output in trial.expected() and not trial.agrees(requirement.output):
                return problem if problem.startswith(RAISED) and problem not in anyway else ""
        return ""

    def looked_through(self, aspect: Aspect) -> Iterator[tuple[Trial, str]]:
        """Yield the outputs of an aspect, or the arrays in which none of its events is seen."""
        cells = list(self.looked_at(aspect))
        counted = [cell for cell in cells if isinstance(cell[0].expected()[cell[1]], Probability)]
        if not counted or any(trial.got(name) is not None for trial, name in counted):
            yield from cells
            return
        for trial in self:
            if aspect.covers(trial.case):
                for name, expected in trial.expected().items():
                    if not isinstance(expected, Probability):
                        yield trial, name

    def share_of(self, aspect: Aspect) -> float:
        """Return the share of an aspect's outputs that are as expected."""
        right = [trial.agrees(name) for trial, name in self.looked_at(aspect)]
        return sum(right) / len(right)

    def each_failure(self, aspect: Aspect, named: bool) -> Failure:
        """Describe the outputs of an aspect that are wrong, the first few of them one by one.

        Parameters
        ----------
        aspect
            The aspect.
        named
            Whether to name them as well.
        """
        cells = list(self.looked_at(aspect))
        wrong = [(trial, name) for trial, name in cells if not trial.agrees(name)]
        if any(trial.got(name) is None for trial, name in wrong):
            trial, name = wrong[0]
            return trial.failure(name)
        get = "gets" if len(wrong) == 1 else "get"
        lines = [f"{len(wrong)} of {len(cells)} {get} away:"]
        for trial, name in wrong[:MAX_TOLD]:
            lines.append(f"  {trial.failure(name).text}{f' It {name}.' if named else ''}")
        if len(wrong) > MAX_TOLD:
            lines.append(f"  And {len(wrong) - MAX_TOLD} more.")
        return Failure("\n".join(lines))

    def first_failure(self, aspect: Aspect) -> Failure | None:
        """Describe the first output of an aspect that is wrong; None if all are right."""
        reasons = {trial.problems.get("") for trial in self}
        if len(reasons) == 1 and (reason := reasons.pop()):
            # Every case has the same reason, such as a function that is not written yet.
            return Failure(reason)
        cells = list(self.looked_at(aspect))
        for trial, name in cells:
            if not trial.agrees(name):
                failure = trial.failure(name)
                return Failure(f"In the case “{trial.case.name}”: {failure.text}", failure.places)
        return None if cells else Failure("Nothing came back by which this could be judged.")
