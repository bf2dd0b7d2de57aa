"""What a task is, and what passes between the student's side and the judge's side.

A `Task` is the one declaration from which the check in the notebook, the grade, the points and
the test of the grader come.  Its reference is a few lines of torch in float64; a misconception
is the same lines with one step replaced.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Inputs = Mapping[str, Any]
Outputs = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Case:
    """One situation in which a student's functions are run.

    Attributes
    ----------
    name
        What is special about it, in words a student reads: "two rows only".
    inputs
        Plain data for `Task.run` and `Task.reference`: arrays, numbers, seeds, and lists or
        dicts of these.
    mode
        Which aspects look at it, see `Aspect.modes`.
    """

    name: str
    inputs: Inputs
    mode: str = "training"


@dataclass(frozen=True)
class Scaled:
    """An expected array together with the scale at which its rounding errors live.

    Where large terms cancel, two correct programs differ by much more than one rounding of the
    result; `scale` (broadcastable to `value`) is the size of those terms.
    """

    value: NDArray[Any]
    scale: NDArray[Any] | float


@dataclass(frozen=True)
class Probability:
    """The expected probability of an event; the output compared with it is [events, trials]."""

    value: float


Expected = NDArray[Any] | Scaled | Probability


@dataclass(frozen=True)
class Randomness:
    """What a random answer says about its own draws.

    Attributes
    ----------
    given
        Added to the inputs of the reference: the mask the student's code drew, for instance.
    outputs
        Counts to be compared with a `Probability`.
    """

    given: dict[str, Any]
    outputs: Outputs


@dataclass(frozen=True)
class Aspect:
    """A part of a task that earns points by itself.

    Attributes
    ----------
    name
        As the report shows it: "running variance".
    points
        A multiple of a quarter, so that sums are exact.
    outputs
        The outputs it judges; all of them must agree with the reference.
    modes
        Only in cases with one of these modes; empty means all cases.
    """

    name: str
    points: float
    outputs: tuple[str, ...]
    modes: tuple[str, ...] = ()

    def covers(self, case: Case) -> bool:
        """Say whether this aspect looks at `case`."""
        return not self.modes or case.mode in self.modes


@dataclass(frozen=True)
class Section:
    """A place in the book.

    Attributes
    ----------
    page
        Its page without a suffix, below the root of the book: "book/dropout".
    chapter
        The title of the page.
    label
        What links to it name, as in "dropout-mask".
    heading
        Its heading, or the words in bold type that it begins with.
    """

    page: str
    chapter: str
    label: str
    heading: str

    @property
    def path(self) -> str:
        """Where it is on the built site, below its root."""
        return f"{self.page}.html#{self.label}"

    def __str__(self) -> str:
        return f"“{self.heading}” in the chapter “{self.chapter}”"


@dataclass(frozen=True)
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
    departure
        The steps of the reference that it replaces, by name.
    """

    id: str
    explanation: str
    section: Section
    departure: Mapping[str, Any]


LEAVES_ARGUMENTS = "leaves its arguments as they are"
"""What is required of every answer in NumPy; `Observations.mutated` says who does not."""


@dataclass(frozen=True)
class Requirement:
    """Something that can only be seen from inside the student's process.

    It can cost points and never earn them: breaking it takes a quarter of the task's points.

    Attributes
    ----------
    id
        Stable name, shown as the finding's misconception.
    name
        As the report shows it: "refuses a keep_prob outside (0, 1]".
    explanation
        What to tell a student who broke it.
    holds
        Runs the student's functions and says whether the requirement holds.
    """

    id: str
    name: str
    explanation: str
    holds: Callable[[Functions], bool]


@dataclass(frozen=True)
class Task:
    """One exercise: what is asked, how it is tried, what is right and what is known to go wrong.

    Attributes
    ----------
    name
        The function or class the student writes.
    assignment
        The notebook it belongs to.
    aspects
        What earns points.
    draw
        Draws the cases from a generator.
    run
        Runs the student's functions on the inputs of one case and returns named raw values.
    reference
        `reference(inputs, **steps)`: what is expected, by output name.  The keyword arguments
        are its steps, each right by default.
    misconceptions
        Known wrong answers, as departures from the reference.
    companions
        Other functions of the student that `run` calls.
    framework
        "numpy" tasks return float64 arrays and numbers, "torch" tasks tensors.
    forbidden
        What an answer must not use: every name that contains one of these, in lower case and
        without underscores ("batchnorm" stands for nn.BatchNorm2d and F.batch_norm), counts.
        This package is never allowed.
    requirements
        What can cost points but not earn them.
    randomness
        For tasks that draw random numbers: what the answer says about its own draws.
    described
        `described(name, got, expected)`: says in words how an output of the right shape differs,
        where its numbers alone would tell a student nothing.
    simulate
        `simulate(inputs, rng, **steps)`: for tasks that draw random numbers, the outputs of a
        program with these steps.  So a known mistake can be tried without code that makes it.
    forward
        For a backward pass, the task of the forward pass whose mistakes are carried forward.
    section
        What to read before it.
    hints
        Three to five, from what to ask yourself to nearly the answer and never the answer.
    tolerance
        Largest accepted error relative to the scale of an output.
    """

    name: str
    assignment: str
    aspects: tuple[Aspect, ...]
    draw: Callable[[np.random.Generator], list[Case]]
    run: Callable[[Functions, Inputs], dict[str, Any]]
    reference: Callable[..., dict[str, Expected]]
    misconceptions: tuple[Misconception, ...] = ()
    companions: tuple[str, ...] = ()
    framework: Literal["numpy", "torch"] = "numpy"
    forbidden: tuple[str, ...] = ("torch",)
    requirements: tuple[Requirement, ...] = ()
    randomness: Callable[[Inputs, Outputs], Randomness] | None = None
    described: Callable[[str, NDArray[Any], NDArray[Any]], str] | None = None
    simulate: Callable[..., Outputs] | None = None
    forward: Task | None = None
    section: Section | None = None
    hints: tuple[str, ...] = ()
    tolerance: float = 1e-7

    @property
    def page(self) -> str:
        """The page of the book, as in `Section.page`, that lists the mistakes of this task."""
        return "book/practice" if self.assignment == "capstone" else f"book/{self.assignment}"

    @property
    def max_points(self) -> float:
        """The sum of the points of all aspects."""
        return sum(aspect.points for aspect in self.aspects)


@dataclass(frozen=True)
class Observation:
    """What the student's functions did in one case.

    Attributes
    ----------
    outputs
        Arrays by name; not yet checked for shape, dtype or values.
    problems
        Why an output is missing, by output name; the key "" speaks of the whole case.
    """

    outputs: Outputs
    problems: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Observations:
    """What the student's functions did in all cases of a task.

    Attributes
    ----------
    cases
        One observation for each case, in order.
    mutated
        Names of arguments that were changed in place.
    broken
        Ids of the requirements that do not hold.
    printed
        What the student's code printed, cut off.
    """

    cases: tuple[Observation, ...]
    mutated: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()
    printed: str = ""


class NotObserved(Exception):
    """The student's functions gave nothing that could be compared; the message says why."""


class Functions(Mapping[str, Callable[..., Any]]):
    """The student's functions by name; asking for one that is missing says what to do."""

    def __init__(self, functions: Mapping[str, Any]) -> None:
        self._functions = functions

    def __getitem__(self, name: str) -> Callable[..., Any]:
        function: Callable[..., Any] | None = self._functions.get(name)
        if not callable(function):
            raise NotObserved(f"`{name}` is not defined. Run the cell that defines it first.")
        return function

    def __iter__(self) -> Iterator[str]:
        return iter(self._functions)

    def __len__(self) -> int:
        return len(self._functions)


def unpack(function: str, value: Any, names: tuple[str, ...]) -> tuple[Any, ...]:
    """Take apart what a function returned.

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
    NotObserved
        When `value` is not a tuple or list of that many values.
    """
    wanted = f"`{function}` should return {len(names)} values: {', '.join(names)}."
    if value is None:
        raise NotObserved(f"`{function}` returned None; is its `return` missing? {wanted}")
    if not isinstance(value, tuple | list):
        raise NotObserved(f"`{function}` returned a single {type(value).__name__}. {wanted}")
    if len(value) != len(names):
        raise NotObserved(
            f"`{function}` returned {len(value)} value{'' if len(value) == 1 else 's'}. {wanted}"
        )
    return tuple(value)
