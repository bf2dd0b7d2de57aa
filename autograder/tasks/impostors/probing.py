"""Make the task of writing inputs on which impostors differ from a reference."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autograder.task import (
    Aspect,
    Case,
    Expected,
    Inputs,
    Misconception,
    ObservedDraws,
    Outputs,
    Probability,
    Task,
)
from autograder.tasks.answers import NotObservedError
from autograder.tasks.impostors import ASSIGNMENT, sections
from autograder.tasks.impostors.calls import Calls, Read, arrays_of, read_calls, run_calls
from autograder.tasks.impostors.exposing import (
    Exposing,
    Impostor,
    Program,
    Weakness,
    each,
    every,
)

EXPOSED = Probability(1.0)
_NOT_EXPOSED = Probability(0.0)


def probe_task(
    name: str,
    number: int,
    *,
    read: Read,
    reference: Program,
    impostors: Sequence[Impostor],
    draw: Callable[[np.random.Generator], Calls],
    misconceptions: Sequence[Misconception],
    hints: Sequence[str],
) -> Task:
    """Return the task whose answer is a function that returns calls.

    The outputs that are judged are named after the impostors: how many of one program the calls
    expose.  A mistake replaces a step by a `Weakness`, and accounts for whoever got away because
    of it: those that the repaired calls expose.

    Parameters
    ----------
    name, number, hints
        As for `Task`.
    read
        Reads one call.
    reference
        The right program.
    impostors
        The wrong ones.
    draw
        Draws calls that expose all of them.
    misconceptions
        Weaknesses of calls that have a name.
    """

    def tried(inputs: Inputs) -> list[Impostor]:
        return [one for one in impostors if one.graded_only == inputs["graded_only"]]

    def read_draws(inputs: Inputs, outputs: Outputs) -> ObservedDraws:
        try:
            calls = read_calls(read, outputs)
        except NotObservedError:
            return ObservedDraws({}, {})
        exposing = Exposing(reference, calls)
        exposed = {one.name: exposing.exposes(one.program) for one in tried(inputs)}
        counts: Outputs = {who: np.array([float(found), 1.0]) for who, found in exposed.items()}
        return ObservedDraws({"calls": calls, "exposed": exposed}, counts)

    def expected(inputs: Inputs, **steps: Weakness) -> dict[str, Expected]:
        outputs: dict[str, Expected] = {one.name: EXPOSED for one in tried(inputs)}
        calls: Calls = inputs.get("calls", [])
        if not steps or not calls or not all(one.shows(calls) for one in steps.values()):
            return outputs
        for weakness in steps.values():
            calls = weakness.repair(calls)
        repaired = Exposing(reference, calls)
        for one in tried(inputs):
            if not inputs["exposed"][one.name] and repaired.exposes(one.program):
                outputs[one.name] = _NOT_EXPOSED
        return outputs

    def simulate(inputs: Inputs, rng: np.random.Generator, **steps: Weakness) -> Outputs:
        calls = draw(rng)
        for weakness in steps.values():
            calls = weakness.weaken(calls)
        return arrays_of(read, calls)

    riddles: Mapping[str, str] = {one.name: one.riddle for one in impostors}

    def describe(name: str, got: NDArray[Any], expected: NDArray[Any]) -> str:
        return riddles[name]

    return Task(
        name=name,
        assignment=ASSIGNMENT,
        number=number,
        section=sections.TESTING,
        hints=tuple(hints),
        aspects=(Aspect("impostors exposed", 4.0, tuple(riddles), by_share=True),),
        draw=_draw,
        run=partial(run_calls, name, read),
        reference=expected,
        misconceptions=tuple(misconceptions),
        read_draws=read_draws,
        simulate=simulate,
        describe=describe,
    )


def _draw(rng: np.random.Generator) -> list[Case]:
    return [
        Case("the impostors that `check` knows", {"graded_only": False}, "known"),
        Case(
            "the impostors that only grading knows",
            {"graded_only": True},
            "unknown",
            graded_only=True,
        ),
    ]


def weakness(
    id: str,
    explanation: str,
    *,
    shows: Callable[[Calls], bool],
    weaken: Callable[[Calls], Calls],
    repair: Callable[[Calls], Calls],
) -> Misconception:
    """Return the mistake of writing calls with a weakness."""
    return Misconception(id, explanation, sections.INPUTS, {id: Weakness(shows, weaken, repair)})


def always(id: str, explanation: str, name: str, value: Any, otherwise: Any) -> Misconception:
    """Return the mistake of giving an argument the same value in all calls."""
    return weakness(
        id,
        explanation,
        shows=every(lambda call: bool(call[name] == value)),
        weaken=each(lambda call: {**call, name: value}),
        repair=each(lambda call: {**call, name: otherwise}),
    )


def one_mode(id: str, explanation: str, name: str, mode: bool) -> Misconception:
    """Return the mistake of trying a single mode, which calls in the other one repair."""
    return weakness(
        id,
        explanation,
        shows=every(lambda call: bool(call[name] == mode)),
        weaken=each(lambda call: {**call, name: mode}),
        repair=lambda calls: calls + [{**call, name: not mode} for call in calls],
    )


TRAINING_ONLY = one_mode(
    "probe-training-only",
    "All your calls are in training, so evaluation is never tried.",
    "training",
    True,
)
