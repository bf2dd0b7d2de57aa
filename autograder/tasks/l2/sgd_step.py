"""Declare the task on a step of SGD with weight decay.

The reference is plain arithmetic, so that torch.optim remains an independent witness.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autograder.task import Aspect, Case, Expected, Functions, Inputs, Misconception, Task
from autograder.tasks.l2 import ASSIGNMENT, sections
from autograder.tasks.l2.cases import draw_weight_decay

Array = NDArray[np.float64]


def _sgd(
    inputs: Inputs,
    *,
    step: Callable[[Array, Array, float, float], Array] = lambda w, g, lr, decay: (
        w - lr * (g + decay * w)
    ),
) -> dict[str, Expected]:
    """Return the parameter after one step."""
    w = step(inputs["param"], inputs["grad"], inputs["lr"], inputs["weight_decay"])
    return {"param": w}


def _draw(rng: np.random.Generator) -> list[Case]:
    def inputs(*shape: int, weight_decay: float | None = None) -> dict[str, Any]:
        return {
            "param": rng.standard_normal(shape),
            "grad": rng.standard_normal(shape),
            "lr": float(rng.uniform(0.1, 0.5)),
            "weight_decay": draw_weight_decay(rng) if weight_decay is None else weight_decay,
        }

    return [
        Case("a matrix without weight decay", inputs(4, 3, weight_decay=0.0), "no decay"),
        Case("a vector without weight decay", inputs(5, weight_decay=0.0), "no decay"),
        Case("a matrix", inputs(3, 4), "decay"),
        Case("a vector", inputs(6), "decay"),
        Case("a kernel", inputs(2, 3, 2, 2), "decay"),
    ]


def _run(student: Functions, inputs: Inputs) -> dict[str, Any]:
    return {"param": student["sgd_step"](*inputs.values())}


_MISCONCEPTIONS = (
    Misconception(
        "sgd-decay-without-lr",
        "Your weights shrink by λ in each step, whatever the learning rate. The penalty is "
        "part of the loss, so its gradient is multiplied by the learning rate like the rest.",
        sections.UPDATE,
        {"step": lambda w, g, lr, decay: w - decay * w - lr * g},
    ),
    Misconception(
        "sgd-decay-after",
        "You take the step first and shrink its result. The gradient of the penalty is taken "
        "at the weight before the step, so the factor 1 − ηλ multiplies the old weight only.",
        sections.UPDATE,
        {"step": lambda w, g, lr, decay: (1 - lr * decay) * (w - lr * g)},
    ),
    Misconception(
        "l2-missing-half",
        "Your weights decay by 2λ. The gradient of ½λ‖w‖² is λw.",
        sections.GRADIENT,
        {"step": lambda w, g, lr, decay: w - lr * (g + 2 * decay * w)},
    ),
    Misconception(
        "l2-gradient-sum",
        "To every entry of the gradient you add λ times the sum of the whole parameter. Each "
        "entry decays in proportion to itself.",
        sections.GRADIENT,
        {"step": lambda w, g, lr, decay: w - lr * (g + decay * w.sum())},
    ),
    Misconception(
        "l2-sign",
        "Your weights grow where they should decay: the sign of the decay is wrong.",
        sections.UPDATE,
        {"step": lambda w, g, lr, decay: w - lr * (g - decay * w)},
    ),
    Misconception(
        "l2-ignored",
        "Your step does not use weight_decay.",
        sections.UPDATE,
        {"step": lambda w, g, lr, decay: w - lr * g},
    ),
    Misconception(
        "sgd-ascent",
        "Your step goes up the gradient. Descent subtracts it.",
        sections.UPDATE,
        {"step": lambda w, g, lr, decay: w + lr * (g + decay * w)},
    ),
)

SGD = Task(
    name="sgd_step",
    assignment=ASSIGNMENT,
    number=4,
    section=sections.UPDATE,
    hints=(
        "Two things pull at the parameter, the loss and the penalty. What is the gradient of each?",
        "The step goes against both of them at once. Is either spared the learning rate?",
        "Put the two gradients together first; from there on it is a step of plain gradient "
        "descent. What would `param -= ...` do to the array of whoever called you?",
        "Return a new array, and leave the one that you were given as it is.",
    ),
    aspects=(
        Aspect("without weight decay", 1.0, ("param",), ("no decay",)),
        Aspect("with weight decay", 2.0, ("param",), ("decay",)),
    ),
    draw=_draw,
    run=_run,
    reference=_sgd,
    misconceptions=_MISCONCEPTIONS,
)
