"""Records of what a student's functions did, passed from the side that runs them to the judge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from autograder.task import Outputs

LEAVES_ARGUMENTS = "leaves its arguments as they are"
"""A requirement for every NumPy answer; `TaskResult.mutated` names the arguments that changed."""


@dataclass(frozen=True)
class CaseResult:
    """What the student's functions did in one case.

    Attributes
    ----------
    outputs
        Arrays by name; not yet checked for shape, dtype or values.
    problems
        Why an output is missing, by output name; the key "" is for the whole case.
    """

    outputs: Outputs
    problems: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class TaskResult:
    """What the student's functions did in all cases of a task.

    Attributes
    ----------
    cases
        One result for each case, in order.
    mutated
        Names of the arguments that were changed in place.
    broken
        Ids of the requirements that do not hold.
    printed
        What the student's code printed, truncated.
    """

    cases: tuple[CaseResult, ...]
    mutated: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()
    printed: str = ""
