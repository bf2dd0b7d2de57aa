"""Declare what an assignment and a task are; nothing here runs them.

A `Task` is the only declaration behind the check in the notebook, the grade, the points, the box
of common mistakes in the chapter and the grader's own tests.  Its reference is a few lines of torch
in float64; a misconception is the same lines with one or more steps replaced.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Inputs = Mapping[str, Any]
Outputs = dict[str, NDArray[Any]]
Functions = Mapping[str, Callable[..., Any]]
"""A student's functions and classes by name."""


@dataclass(frozen=True)
class Assignment:
    """One notebook, and the chapter it belongs to.

    Attributes
    ----------
    name
        The name of the folder, the notebook and the assignment in the gradebook: "batch_norm".
    title
        The title of its chapter.
    page
        The path of its chapter from the root of the book, without a suffix: "book/dropout".
    number
        Its place in the course.
    """

    name: str
    title: str
    page: str
    number: int

    def section(self, label: str, heading: str) -> Section:
        """Return a place in the chapter; `label` follows the name of the page in its target."""
        page = self.page.rpartition("/")[2].replace("_", "-")
        return Section(self.page, self.title, f"{page}-{label}", heading)


@dataclass(frozen=True)
class Section:
    """A place in the book.

    Attributes
    ----------
    page
        Its page, as in `Assignment.page`.
    chapter
        The title of the page.
    label
        The target of links to it, as in "dropout-mask".
    heading
        Its heading, or the bold words that it begins with.
    """

    page: str
    chapter: str
    label: str
    heading: str

    @property
    def path(self) -> str:
        """Its address on the built site, relative to the root."""
        return f"{self.page}.html#{self.label}"

    def __str__(self) -> str:
        return f"“{self.heading}” in the chapter “{self.chapter}”"


REQUIRED = "required"
"""The group of the cases that earn nothing but may cost points."""

REFUSED = "refused"
"""The output of a case in which a ValueError was raised."""

IS_REFUSED: Mapping[str, NDArray[Any]] = {REFUSED: np.array(1.0)}
"""All outputs of a case in which a ValueError is due."""


@dataclass(frozen=True)
class Case:
    """One situation in which a student's functions are run.

    Attributes
    ----------
    name
        What is special about the case, in words for the student: "two rows only".
    inputs
        Plain data for `Task.run` and `Task.reference`: arrays, numbers, seeds, and lists or
        dicts of these.
    group
        The same aspects judge all cases of a group, see `Aspect.groups`.  Only requirements look
        at those of the group `REQUIRED`.
    graded_only
        Whether it is kept for grading: `check` does not try it.
    """

    name: str
    inputs: Inputs
    group: str = "training"
    graded_only: bool = False


@dataclass(frozen=True)
class Scaled:
    """An expected array and the scale of its rounding errors.

    Where large terms cancel, two correct programs differ by much more than one rounding of the
    result; `scale` (broadcastable to `value`) is the size of those terms.
    """

    value: NDArray[Any]
    scale: NDArray[Any] | float


@dataclass(frozen=True)
class Probability:
    """The expected probability of an event; the matching output is [events, trials]."""

    value: float


Expected = NDArray[Any] | Scaled | Probability


def array_of(expected: Expected) -> NDArray[Any]:
    """Return the numbers of an expected array.

    Raises
    ------
    TypeError
        When `expected` is a `Probability`, which has no array.
    """
    if isinstance(expected, Probability):
        raise TypeError("A probability is compared with counts, not with an array.")
    return expected.value if isinstance(expected, Scaled) else expected


@dataclass(frozen=True)
class ObservedDraws:
    """What a random answer reveals about its own draws.

    Attributes
    ----------
    draws
        Extra inputs for the reference, such as the mask that the student's code drew.
    counts
        [events, trials] by name, each to be compared with a `Probability`.
    """

    draws: dict[str, Any]
    counts: Outputs


@dataclass(frozen=True)
class Aspect:
    """A part of a task that earns its own points.

    Attributes
    ----------
    name
        Its name in the report: "running variance".
    points
        A multiple of a quarter, so that sums are exact.
    outputs
        The outputs that it judges.  All of them must agree with the reference.
    groups
        Only cases of these groups count; empty means all but those of `REQUIRED`.
    by_share
        Whether it earns the share of its outputs that agree, rounded down to a quarter, and not
        all of its points or nothing.
    """

    name: str
    points: float
    outputs: tuple[str, ...]
    groups: tuple[str, ...] = ()
    by_share: bool = False

    def covers(self, case: Case) -> bool:
        """Return whether this aspect judges `case`."""
        return case.group in self.groups if self.groups else case.group != REQUIRED


# Compared by identity: two tasks may describe a mistake of the same id in different words.
@dataclass(frozen=True, eq=False)
class Misconception:
    """A known wrong answer.

    Attributes
    ----------
    id
        Stable name, as in "bn-momentum-flipped".
    explanation
        Two or three sentences for the student: what the code computes and why it is wrong.
    section
        What to read.
    replaces
        The replacements for steps of the reference, by the names of the steps.
    """

    id: str
    explanation: str
    section: Section
    replaces: Mapping[str, Any]


@dataclass(frozen=True)
class Requirement:
    """A rule that no aspect judges.

    Breaking it costs a quarter of the task's points; meeting it earns nothing.

    Attributes
    ----------
    id
        Stable name, shown as the finding's misconception.
    name
        Its name in the report: "refuses a keep_prob outside (0, 1]".
    explanation
        What to tell a student who broke it.
    output
        What has to agree with the reference in the cases of the group `REQUIRED` that have it.
    """

    id: str
    name: str
    explanation: str
    output: str


@dataclass(frozen=True)
class Task:
    """One exercise: what it asks, how it is tried, what is right and the known mistakes.

    Attributes
    ----------
    name
        The function or class that the student writes.
    assignment
        The notebook it belongs to.
    number
        The number in its heading in the notebook; a forward and a backward pass may share one.
    aspects
        The parts that earn points.
    draw
        Draws the cases from a generator.
    run
        Runs the student's functions on the inputs of one case and returns named raw values.
    reference
        `reference(inputs, **steps)` returns the expected outputs by name.  The keyword arguments
        are its steps; their defaults are right.
    section
        What to read before it.
    misconceptions
        Known wrong answers, as replaced steps of the reference.
    depends_on
        The student's other functions that `run` calls.
    framework
        "numpy" tasks return float64 arrays and numbers, "torch" tasks tensors.
    forbidden
        What is not there when an answer is tried: "torch" altogether, or a layer of PyTorch, one
        of `wall.LAYERS`.
    requirements
        What can cost points but not earn them.
    read_draws
        For tasks that draw random numbers: reads the draws off the answer itself.
    describe
        `describe(name, got, expected)` says in words how an output of the right shape differs.
        It is for outputs whose numbers alone would not help a student.
    simulate
        `simulate(inputs, rng, **steps)` returns the outputs of a program with these steps.  It is
        for tasks that draw random numbers, to try a known mistake without code that makes it.
    forward_task
        For a backward pass, the task of the forward pass whose mistakes are carried forward.
    hints
        Three to five hints, from a first question to almost the answer, but never the answer.  All
        but the last end with a question, to be answered in a sentence before the next one.
    tolerance
        Largest accepted error relative to the scale of an output.
    """

    name: str
    assignment: Assignment
    number: int
    aspects: tuple[Aspect, ...]
    draw: Callable[[np.random.Generator], list[Case]]
    run: Callable[[Functions, Inputs], dict[str, Any]]
    reference: Callable[..., dict[str, Expected]]
    section: Section
    misconceptions: tuple[Misconception, ...] = ()
    depends_on: tuple[str, ...] = ()
    framework: Literal["numpy", "torch"] = "numpy"
    forbidden: tuple[str, ...] = ("torch",)
    requirements: tuple[Requirement, ...] = ()
    read_draws: Callable[[Inputs, Outputs], ObservedDraws] | None = None
    describe: Callable[[str, NDArray[Any], NDArray[Any]], str] | None = None
    simulate: Callable[..., Outputs] | None = None
    forward_task: Task | None = None
    hints: tuple[str, ...] = ()
    tolerance: float = 1e-7

    @property
    def max_points(self) -> float:
        """The sum of the points of all aspects."""
        return sum(aspect.points for aspect in self.aspects)

    def place_of(self, mistake: str) -> Section:
        """Return where the chapter lists a mistake or requirement of this task."""
        page, title = self.assignment.page, self.assignment.title
        heading = f"Common mistakes: {mistake}"
        return Section(page, title, f"mistake-{self.name}-{mistake}", heading)
