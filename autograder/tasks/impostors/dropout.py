"""Declare the task of exposing impostors of dropout, forward and backward.

All programs get the same random numbers, of which the judge draws several sets.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from autograder.task import Expected
from autograder.tasks.dropout.backward import BACKWARD
from autograder.tasks.dropout.forward import FORWARD
from autograder.tasks.dropout.mask import STEPS_OF_BATCH, dropout_of_batch, same
from autograder.tasks.impostors.calls import Call, Calls, Values
from autograder.tasks.impostors.exposing import Impostor, Program, declared, each, every
from autograder.tasks.impostors.probing import TRAINING_ONLY, always, probe_task, weakness

Array = NDArray[np.float64]

_SETS = 16
"""How many sets of random numbers are drawn for each call."""


def _read(values: Values) -> Call:
    x = values.array("x")
    return {
        "x": x,
        "keep_prob": values.number("keep_prob", 0.01, 1.0),
        "training": values.flag("training"),
        "d_out": values.array("d_out", shape=x.shape),
    }


def _own(uniform: Array) -> Array:
    return uniform


def _program(
    call: Call,
    *,
    rate: Callable[[float], float] = same,
    passed_at_zero: Callable[[float], float] = same,
    drawn: Callable[[Array], Array] = _own,
    **steps: Any,
) -> Mapping[str, Expected]:
    """Return output and gradient for all sets of random numbers.

    The keyword arguments are the steps that an impostor replaces: `drawn` returns which numbers
    are used, on the axes behind the first one.  The others are those of the reference of dropout.
    """
    keep_prob, training = call["keep_prob"], call["training"]
    shape = (_SETS, *call["x"].shape)
    first, second = np.random.default_rng(0).random((2, *shape))
    chance = rate(keep_prob)
    chances = np.where(call["x"] == 0, passed_at_zero(chance), chance)
    mask = np.broadcast_to(drawn(first), shape) < chances
    x = torch.tensor(np.broadcast_to(call["x"], shape), requires_grad=True)
    out = dropout_of_batch(
        x,
        torch.tensor(mask),
        torch.tensor(second < chances),
        keep_prob,
        training,
        **{name: step for name, step in steps.items() if name in STEPS_OF_BATCH},
    )
    (d_x,) = torch.autograd.grad((out * torch.tensor(call["d_out"])).sum(), x)
    return {"out": out.detach().numpy(), "d_x": d_x.numpy()}


def _forward(mistake: str) -> Program:
    return partial(_program, **declared(FORWARD, mistake))


def _backward(mistake: str) -> Program:
    return partial(_program, **declared(BACKWARD, mistake))


def _of_first_row(uniform: Array) -> Array:
    return uniform[:, :1] if uniform.ndim > 2 else uniform


def _of_each_row(uniform: Array) -> Array:
    return _first_along(uniform, behind=2)


def _of_each_channel(uniform: Array) -> Array:
    return _first_along(uniform, behind=3)


def _first_along(uniform: Array, behind: int) -> Array:
    """Return the first entry along all axes behind the first few."""
    for axis in range(behind, uniform.ndim):
        uniform = uniform.take([0], axis)
    return uniform


IMPOSTORS = (
    Impostor(
        "keeps with probability 1 − keep_prob",
        "One is right only where keep_prob is one half, or outside of training.",
        _forward("dropout-keep-drop-swapped"),
    ),
    Impostor(
        "divides by 1 − keep_prob",
        "One drops what it should, and is right only where keep_prob is one half, or outside of "
        "training.",
        _forward("dropout-scale-swapped"),
    ),
    Impostor(
        "does not scale the survivors",
        "One is right only where nothing is to be dropped.",
        _forward("dropout-no-rescale"),
    ),
    Impostor(
        "drops in evaluation too",
        "One does not care whether it is in training.",
        _forward("dropout-active-in-eval"),
    ),
    Impostor(
        "multiplies by keep_prob in evaluation",
        "One is right in training.",
        _forward("dropout-scaled-in-eval"),
    ),
    Impostor(
        "draws one mask for all rows",
        "In training, one is right only where there is a single row.",
        partial(_program, drawn=_of_first_row),
    ),
    Impostor(
        "draws one number for each row",
        "In training, one is right only where every row holds a single number.",
        partial(_program, drawn=_of_each_row),
    ),
    Impostor(
        "passes the gradient on as it is",
        "The output of one is right; its gradient is right only where nothing is to be dropped, or "
        "where nothing comes back.",
        _backward("dropout-backward-no-mask"),
    ),
    Impostor(
        "does not scale the gradient",
        "The output of one is right, and so are the zeros of its gradient.",
        _backward("dropout-backward-no-scale"),
    ),
    Impostor(
        "draws another mask for the gradient",
        "Output and gradient of one are each as likely as they should be.",
        _backward("dropout-backward-new-mask"),
    ),
    Impostor(
        "takes the mask from where its output is not 0",
        "In training, the gradient of one is right only where no entry of x is 0.",
        _backward("dropout-backward-mask-from-output"),
    ),
    Impostor(
        "divides the gradient by keep_prob in evaluation",
        "The gradient of one is right in training.",
        _backward("dropout-backward-scaled-in-eval"),
    ),
    Impostor(
        "doubles the survivors whatever keep_prob is",
        "One is made for a keep_prob of one half.",
        partial(_program, scale=lambda keep_prob: 2.0),
        graded_only=True,
    ),
    Impostor(
        "keeps at least every second value",
        "One is right wherever keep_prob is not below one half.",
        partial(_program, rate=lambda keep_prob: max(keep_prob, 0.5)),
        graded_only=True,
    ),
    Impostor(
        "sets negative values to 0 as well",
        "One is right in evaluation, and in training wherever x is not negative.",
        partial(_program, apply=lambda x, mask, redrawn, scale: x.clamp(min=0) * mask * scale),
        graded_only=True,
    ),
    Impostor(
        "drops whole channels, as Dropout2d does",
        "In training, one is right only where x has at most two axes.",
        partial(_program, drawn=_of_each_channel),
        graded_only=True,
    ),
)


def _draw(rng: np.random.Generator) -> Calls:
    shape = (4, 2, 3)
    x = rng.choice([-1, 1], shape) * rng.uniform(0.5, 1.5, shape)
    x[:, 0, 0] = 0
    return [
        {
            "x": x,
            "keep_prob": float(rng.uniform(0.25, 0.4)),
            "training": training,
            "d_out": rng.choice([-1, 1], shape) * rng.uniform(0.5, 1.5, shape),
        }
        for training in (True, False)
    ]


def _rows(call: Call, change: Callable[[Array], Array]) -> Call:
    return {**call, "x": change(call["x"]), "d_out": change(call["d_out"])}


WEAKNESSES = (
    always(
        "probe-keep-prob-half",
        "keep_prob is one half in all your calls, where keeping and dropping look the same.",
        "keep_prob",
        0.5,
        0.3,
    ),
    TRAINING_ONLY,
    weakness(
        "probe-one-row",
        "There is a single row in all your calls. Nobody sees whether rows share a mask.",
        shows=every(lambda call: len(call["x"]) == 1),
        weaken=each(partial(_rows, change=lambda array: array[:1])),
        repair=each(partial(_rows, change=lambda array: np.concatenate([array] * 4))),
    ),
    weakness(
        "probe-no-zero",
        "No entry of your x is 0. After a ReLU many are, and there a program that reads the mask "
        "off its output goes wrong.",
        shows=every(lambda call: bool(call["x"].all())),
        weaken=each(lambda call: {**call, "x": np.where(call["x"] == 0, 0.8, call["x"])}),
        repair=each(
            lambda call: {**call, "x": call["x"] * (np.indices(call["x"].shape).sum(0) % 2)}
        ),
    ),
    weakness(
        "probe-no-gradient",
        "d_out is 0 in all your calls. Every backward pass makes 0 of it.",
        shows=every(lambda call: not call["d_out"].any()),
        weaken=each(lambda call: {**call, "d_out": 0 * call["d_out"]}),
        repair=each(lambda call: {**call, "d_out": np.ones(call["d_out"].shape)}),
    ),
)

PROBE_DROPOUT = probe_task(
    "probe_dropout",
    3,
    read=_read,
    reference=_program,
    impostors=IMPOSTORS,
    draw=_draw,
    misconceptions=WEAKNESSES,
    hints=(
        "At which keep_prob can keeping and dropping be exchanged without anybody noticing?",
        "What is asked of dropout differs between training and evaluation. How many calls does "
        "that take?",
        "Numbers that share a draw are kept or dropped together. In which directions can they "
        "stand side by side, and how many axes does that take?",
        "Where x is 0, the output is 0 either way. Whom does that expose, and why only if d_out is "
        "not 0 there?",
        "Three axes with two or more entries each; a keep_prob below one half; zeros and negative "
        "numbers in x; once in training and once in evaluation.",
    ),
)
