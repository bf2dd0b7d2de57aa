"""Declare the tasks on the penalty and on its gradient.

One reference serves both: autograd takes the gradient of the penalty.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from autograder.task import Aspect, Case, Expected, Functions, Inputs, Misconception, Task
from autograder.tasks.answers import unpack_list
from autograder.tasks.l2 import ASSIGNMENT, sections
from autograder.tasks.l2.cases import draw_weight_decay

_GRADIENTS = tuple(f"d_weights[{i}]" for i in range(5))


def _sum_of_squares(w: Tensor) -> Tensor:
    return w.square().sum()


def penalty_of(
    weights: Sequence[Tensor],
    weight_decay: float,
    *,
    counted: Callable[[Sequence[Tensor]], Sequence[Tensor]] = lambda weights: weights,
    size: Callable[[Tensor], Tensor] = _sum_of_squares,
    strength: Callable[[float], float] = lambda weight_decay: weight_decay / 2,
) -> Tensor:
    """Return the penalty on a list of weights; the keyword arguments are its steps."""
    total = torch.zeros((), dtype=torch.float64)
    for w in counted(weights):
        total = total + size(w)
    return strength(weight_decay) * total


def _penalty_value(inputs: Inputs, **steps: Any) -> dict[str, Expected]:
    weights = [torch.tensor(w) for w in inputs["weights"]]
    return {"penalty": penalty_of(weights, inputs["weight_decay"], **steps).numpy()}


def _penalty_gradient(inputs: Inputs, **steps: Any) -> dict[str, Expected]:
    weights = [torch.tensor(w, requires_grad=True) for w in inputs["weights"]]
    penalty = penalty_of(weights, inputs["weight_decay"], **steps)
    if not penalty.requires_grad:
        return {name: np.zeros(w.shape) for name, w in zip(_GRADIENTS, weights, strict=False)}
    gradients = torch.autograd.grad(penalty, weights, materialize_grads=True)
    return {name: d.numpy() for name, d in zip(_GRADIENTS, gradients, strict=False)}


def _draw_penalty(rng: np.random.Generator) -> list[Case]:
    def inputs(*shapes: tuple[int, ...], weight_decay: float | None = None) -> dict[str, Any]:
        return {
            "weights": [rng.standard_normal(shape) + 0.3 for shape in shapes],
            "weight_decay": draw_weight_decay(rng) if weight_decay is None else weight_decay,
        }

    return [
        Case("one matrix", inputs((4, 3)), "one weight"),
        Case("one vector", inputs((5,)), "one weight"),
        Case("three weights", inputs((3, 4), (4, 5), (5, 2)), "several weights"),
        Case(
            "matrices, a vector and a convolution kernel",
            inputs((2, 6), (7,), (3, 2, 2, 2), (6, 3)),
            "several weights",
        ),
        Case("no weight decay", inputs((3, 2), (2, 4), weight_decay=0.0), "several weights"),
    ]


def _run_penalty(student: Functions, inputs: Inputs) -> dict[str, Any]:
    return {"penalty": student["l2_penalty"](inputs["weights"], inputs["weight_decay"])}


def _run_penalty_backward(student: Functions, inputs: Inputs) -> dict[str, Any]:
    name, weights = "l2_penalty_backward", inputs["weights"]
    gradients = unpack_list(
        name,
        student[name](weights, inputs["weight_decay"]),
        len(weights),
        "gradient",
        "It should return a list with one gradient for each weight.",
        each="weight",
    )
    return dict(zip(_GRADIENTS, gradients, strict=False))


Steps = Mapping[str, Callable[..., Any]]
"""A mistake replaces these steps of `penalty_of`."""

SKIPS_LAST: Steps = {"counted": lambda weights: weights[:-1]}
HALF_AS_STRONG: Steps = {"strength": lambda weight_decay: weight_decay / 4}
WITHOUT_LAMBDA: Steps = {"strength": lambda weight_decay: 0.5}
IGNORED: Steps = {"strength": lambda weight_decay: 0.0}
MISSING_HALF: Steps = {"strength": lambda weight_decay: weight_decay}
MEAN: Steps = {"size": lambda w: w.square().mean()}
NORM: Steps = {"size": lambda w: w.square().sum().sqrt()}
SQUARE_OF_SUM: Steps = {"size": lambda w: w.sum().square()}
LAMBDA_SQUARED: Steps = {"strength": lambda weight_decay: weight_decay**2 / 2}
SIGN: Steps = {"strength": lambda weight_decay: -weight_decay / 2}

_PENALTY_MISCONCEPTIONS = (
    Misconception(
        "l2-missing-half",
        "Your penalty is twice as large as it should be: the factor ½ is missing. It is there to "
        "cancel the 2 of the derivative.",
        sections.PENALTY,
        MISSING_HALF,
    ),
    Misconception(
        "l2-norm-not-squared",
        "You add up the norms of the weights, but not their squares. `np.linalg.norm` takes a "
        "square root at the end; the penalty wants the sum of squares itself.",
        sections.PENALTY,
        NORM,
    ),
    Misconception(
        "l2-square-of-sum",
        "You add up the entries and square the sum, so positive and negative weights cancel. "
        "Square each entry first, then add up.",
        sections.PENALTY,
        SQUARE_OF_SUM,
    ),
    Misconception(
        "l2-mean-not-sum",
        "You average the squares over the entries of each weight. The penalty adds them up; with "
        "an average, a large layer would be charged as little as a small one.",
        sections.PENALTY,
        MEAN,
    ),
    Misconception(
        "l2-skips-last",
        "Your penalty leaves out the last weight of the list.",
        sections.PENALTY,
        SKIPS_LAST,
    ),
    Misconception(
        "l2-first-only",
        "Your penalty contains the first weight only. Does your loop come to the others, or does "
        "its `return` end it in the first round?",
        sections.PENALTY,
        {"counted": lambda weights: weights[:1]},
    ),
    Misconception(
        "l2-one-weight-twice",
        "Your penalty counts the first weight again and again and never the others. Is the loop's "
        "own variable used inside it?",
        sections.PENALTY,
        {"counted": lambda weights: [weights[0]] * len(weights)},
    ),
    Misconception(
        "l2-lambda-squared",
        "weight_decay goes in twice: your penalty is λ²/2 times the sum of squares. Multiply by it "
        "inside the loop or after it, not both.",
        sections.PENALTY,
        LAMBDA_SQUARED,
    ),
    Misconception(
        "l2-sign",
        "Your penalty is negative, so that large weights would be rewarded.",
        sections.PENALTY,
        SIGN,
    ),
    Misconception(
        "l2-ignored",
        "Your penalty is always zero.",
        sections.PENALTY,
        IGNORED,
    ),
)

_GRADIENT_MISCONCEPTIONS = (
    Misconception(
        "l2-missing-half",
        "Your gradient is 2λw, that of a penalty without the factor ½. With it, the 2 of the "
        "derivative cancels.",
        sections.GRADIENT,
        MISSING_HALF,
    ),
    Misconception(
        "l2-half-gradient",
        "Your gradient is ½λw. The derivative of w² is 2w, and its 2 cancels the ½.",
        sections.GRADIENT,
        HALF_AS_STRONG,
    ),
    Misconception(
        "l2-gradient-sum",
        "Every entry of your gradient is λ times the sum of the whole weight. The penalty is a sum "
        "in which each entry has its own term, so the gradient of an entry depends on that entry "
        "only.",
        sections.GRADIENT,
        SQUARE_OF_SUM,
    ),
    Misconception(
        "l2-norm-not-squared",
        "This is the gradient of the norm, λ/2 · w/‖w‖, not of its square. The pull of L2 grows "
        "in proportion to the weight.",
        sections.GRADIENT,
        NORM,
    ),
    Misconception(
        "l2-mean-not-sum",
        "You divide by the number of entries. The penalty is a sum of squares, not an average.",
        sections.GRADIENT,
        MEAN,
    ),
    Misconception(
        "l2-skips-last",
        "The gradient of the last weight is zero. All weights of the list are penalized.",
        sections.GRADIENT,
        SKIPS_LAST,
    ),
    Misconception(
        "l2-lambda-squared",
        "weight_decay goes in twice: your gradient is λ²w.",
        sections.GRADIENT,
        LAMBDA_SQUARED,
    ),
    Misconception(
        "l2-sign",
        "Your gradient has the wrong sign. The penalty grows with the weight, so its gradient "
        "points along w; it is the update that subtracts it.",
        sections.GRADIENT,
        SIGN,
    ),
    Misconception(
        "l2-ignored",
        "Your gradient is zero. The penalty depends on the weights, so it pulls on them.",
        sections.GRADIENT,
        IGNORED,
    ),
)


PENALTY = Task(
    name="l2_penalty",
    assignment=ASSIGNMENT,
    number=1,
    section=sections.PENALTY,
    hints=(
        "Which numbers does the penalty depend on? Does it matter in which weight, or where in a "
        "weight, a number stands?",
        "Arithmetic on an array acts on all entries at once, whatever the shape, and `np.sum` "
        "without an axis adds up all of them. What is left of a whole weight then?",
        "Each weight of the list gives one number, and these add up. What is the sum before the "
        "first weight?",
        "What all terms have in common, the strength and the ½, can wait until everything is added"
        " up.",
    ),
    aspects=(
        Aspect("one weight", 1.5, ("penalty",), ("one weight",)),
        Aspect("several weights", 1.5, ("penalty",), ("several weights",)),
    ),
    draw=_draw_penalty,
    run=_run_penalty,
    reference=_penalty_value,
    misconceptions=_PENALTY_MISCONCEPTIONS,
)

PENALTY_BACKWARD = Task(
    name="l2_penalty_backward",
    assignment=ASSIGNMENT,
    number=2,
    section=sections.GRADIENT,
    hints=(
        "Change one entry of one weight a little. Which terms of the penalty notice?",
        "One array for each weight, in the same order. What shape does the gradient of a matrix "
        "have?",
        "Only one square notices. Its derivative brings a factor that meets the ½; what is left of"
        " λ/2 · w²?",
        "So nothing is added up here: every array of the list is multiplied by the same number. "
        "Make new arrays.",
    ),
    aspects=(
        Aspect("one weight", 1.5, _GRADIENTS, ("one weight",)),
        Aspect("several weights", 1.5, _GRADIENTS, ("several weights",)),
    ),
    draw=_draw_penalty,
    run=_run_penalty_backward,
    reference=_penalty_gradient,
    misconceptions=_GRADIENT_MISCONCEPTIONS,
)
