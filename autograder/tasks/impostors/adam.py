"""Declare the task of exposing impostors of a step of Adam or AdamW."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from autograder.task import Expected
from autograder.tasks.answers import NotObservedError
from autograder.tasks.impostors.calls import Call, Calls, Values
from autograder.tasks.impostors.exposing import Impostor, Program, declared, each, every
from autograder.tasks.impostors.probing import always, one_mode, probe_task, weakness
from autograder.tasks.l2.adam_step import ADAM, Array

_SMALL = 1e-6


def _read(values: Values) -> Call:
    param = values.array("param")
    state, betas = values.inside("state"), values.inside("betas")
    v = state.array("v", shape=param.shape)
    if (v < 0).any():
        raise NotObservedError(f"`{state.place_of('v')}` is an average of squares, but negative.")
    return {
        "param": param,
        "grad": values.array("grad", shape=param.shape),
        "state": {
            "step": state.whole("step", 1000),
            "m": state.array("m", shape=param.shape),
            "v": v,
        },
        "lr": values.number("lr", 1e-6, 10.0),
        "betas": (betas.number(0, 0.0, 0.9999), betas.number(1, 0.0, 0.9999)),
        "eps": values.number("eps", 1e-12, 10.0),
        "weight_decay": values.number("weight_decay", 0.0, 100.0),
        "decoupled": values.flag("decoupled"),
    }


def _known(mistake: str) -> Program:
    return partial(ADAM.reference, **declared(ADAM, mistake))


def _without_history(call: Call) -> Mapping[str, Expected]:
    state = {name: value * 0 for name, value in call["state"].items() if name != "step"}
    return ADAM.reference({**call, "state": {"step": call["state"]["step"], **state}})


def _largest_so_far(call: Call) -> Mapping[str, Expected]:
    step, before = call["state"]["step"] + 1, call["state"]["v"]
    largest = before / (1 - call["betas"][1] ** step)

    def quotient(m_hat: Array, v_hat: Array, eps: float) -> Array:
        return np.asarray(m_hat / (np.sqrt(np.maximum(v_hat, largest)) + eps))

    return ADAM.reference(call, quotient=quotient)


def _clipped(call: Call) -> Mapping[str, Expected]:
    return ADAM.reference({**call, "grad": np.clip(call["grad"], -1, 1)})


def _one_size(m_hat: Array, v_hat: Array, eps: float) -> Array:
    return np.asarray(m_hat / (np.sqrt(v_hat.mean()) + eps))


IMPOSTORS = (
    Impostor(
        "adds weight_decay times the weight to the gradient even if `decoupled` is true",
        "One is right only where `decoupled` is false or nothing decays.",
        _known("adam-coupled-as-adamw"),
    ),
    Impostor(
        "shrinks the weight itself even if `decoupled` is false",
        "One is right only where `decoupled` is true or nothing decays.",
        _known("adamw-as-coupled"),
    ),
    Impostor(
        "shrinks the weight by weight_decay without the learning rate",
        "One is right wherever the learning rate is 1.",
        _known("adamw-without-lr"),
    ),
    Impostor(
        "shrinks the weight after the step and not before it",
        "One is right wherever lr · weight_decay is small or `decoupled` is false.",
        _known("adamw-decay-after"),
    ),
    Impostor(
        "does not correct the averages for their start at zero",
        "One is right only after so many steps that the start is forgotten.",
        _known("adam-no-bias-correction"),
    ),
    Impostor(
        "adds eps under the root",
        "One is right wherever eps is tiny beside v̂ and its root.",
        _known("adam-eps-inside-root"),
    ),
    Impostor(
        "uses 1e-8 whatever `eps` is",
        "One does not care what `eps` is.",
        _known("adam-eps-always-1e-8"),
    ),
    Impostor(
        "divides by v̂ and not by its root",
        "One is right wherever v̂ is 1.",
        _known("adam-no-root"),
    ),
    Impostor(
        "exchanges β₁ and β₂",
        "One is right only where both betas are equal.",
        _known("adam-betas-swapped"),
    ),
    Impostor(
        "counts one step too many",
        "One is right only late in training.",
        _known("adam-counts-one-too-many"),
    ),
    Impostor(
        "keeps the corrected averages in the state",
        "The parameter of one is right; what it remembers is right only late in training.",
        _known("adam-corrected-in-state"),
    ),
    Impostor(
        "forgets the averages of the steps before",
        "One is right only where m and v are 0.",
        _without_history,
    ),
    Impostor(
        "corrects eps together with v",
        "One is right only where eps is tiny, or after many steps.",
        _known("adam-eps-before-correction"),
        graded_only=True,
    ),
    Impostor(
        "divides by the largest v̂ so far, as AMSGrad does",
        "One is right wherever v̂ does not shrink.",
        _largest_so_far,
        graded_only=True,
    ),
    Impostor(
        "clips the gradient at 1",
        "One is right only where no gradient is larger than 1.",
        _clipped,
        graded_only=True,
    ),
    Impostor(
        "divides all entries by the root of their mean v̂",
        "One is right only where v̂ is the same for all entries.",
        partial(ADAM.reference, quotient=_one_size),
        graded_only=True,
    ),
)


def _state(like: Array, step: int) -> dict[str, Any]:
    """Return a state in which no entry is like another, and v is going to shrink."""
    places = np.arange(like.size).reshape(like.shape)
    return {"step": step, "m": 0.4 * np.cos(2.0 * places), "v": 2.0 + np.sin(places)}


def _draw(rng: np.random.Generator) -> Calls:
    return [
        {
            "param": rng.uniform(0.5, 1.5, 5),
            "grad": rng.choice([-1, 1], 5) * np.array([0.1, 0.3, 0.6, 1.5, 3.0]),
            "state": _state(np.zeros(5), 2),
            "lr": 0.6,
            "betas": (0.7, 0.9),
            "eps": float(rng.uniform(0.2, 0.4)),
            "weight_decay": float(rng.uniform(0.6, 0.9)),
            "decoupled": decoupled,
        }
        for decoupled in (False, True)
    ]


def _with_history(calls: Calls) -> Calls:
    return calls + [{**call, "state": _state(call["param"], 2)} for call in calls]


def _is_first(call: Call) -> bool:
    state = call["state"]
    return state["step"] == 0 and not state["m"].any() and not state["v"].any()


WEAKNESSES = (
    weakness(
        "probe-first-step",
        "All your calls are first steps. Nobody sees what a program does with the averages of the "
        "steps before. Start one call from a state with m and v.",
        shows=every(_is_first),
        weaken=each(
            lambda call: {
                **call,
                "state": {"step": 0, "m": 0 * call["param"], "v": 0 * call["param"]},
            }
        ),
        repair=_with_history,
    ),
    always(
        "probe-no-decay",
        "weight_decay is 0 in all your calls, so Adam and AdamW are the same.",
        "weight_decay",
        0,
        0.8,
    ),
    one_mode(
        "probe-always-decoupled",
        "`decoupled` is true in all your calls. Half of the program never runs.",
        "decoupled",
        True,
    ),
    one_mode(
        "probe-never-decoupled",
        "`decoupled` is false in all your calls. Half of the program never runs.",
        "decoupled",
        False,
    ),
    weakness(
        "probe-eps-tiny",
        "eps is tiny in all your calls, as it is by default. Where it is added can only be seen "
        "if it is about as large as what it is added to.",
        shows=every(lambda call: call["eps"] <= _SMALL),
        weaken=each(lambda call: {**call, "eps": 1e-8}),
        repair=each(lambda call: {**call, "eps": 0.3}),
    ),
    weakness(
        "probe-betas-equal",
        "Both betas are equal in all your calls, so nobody sees which belongs to which average.",
        shows=every(lambda call: call["betas"][0] == call["betas"][1]),
        weaken=each(lambda call: {**call, "betas": (call["betas"][0],) * 2}),
        repair=each(lambda call: {**call, "betas": (call["betas"][0] / 2, call["betas"][1])}),
    ),
)

PROBE_ADAM = probe_task(
    "probe_adam",
    2,
    read=_read,
    reference=ADAM.reference,
    impostors=IMPOSTORS,
    draw=_draw,
    misconceptions=WEAKNESSES,
    hints=(
        "The program has two branches. How many calls do you need at least so that each of them "
        "runs?",
        "The defaults are lr 0.001, betas (0.9, 0.999) and eps 1e-8. Which of them make a wrong "
        "place for something nearly invisible?",
        "A difference shows if it is a thousandth of the largest number returned. What happens to "
        "a step of 0.001 beside a weight of 100?",
        "Choose the state by hand: `step` small, m and v not 0, and v different in every entry. "
        "What must the gradient be so that v shrinks in one entry?",
        "Two calls, one of each kind, from a state with a history; lr, eps and weight_decay near "
        "one half, and weights about as large as the step; some gradients well above 1 and some "
        "well below.",
    ),
)
