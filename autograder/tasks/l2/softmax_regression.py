"""Declare the task on softmax regression with a penalty."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from autograder.task import Aspect, Case, Expected, Functions, Inputs, Task
from autograder.tasks.answers import unpack
from autograder.tasks.l2 import ASSIGNMENT, sections
from autograder.tasks.l2.cases import draw_weight_decay, narrowing
from autograder.tasks.l2.loss import (
    LARGE_SCORES_MISCONCEPTIONS,
    LOSS_MISCONCEPTIONS,
    cross_entropies,
    half_sum_of_squares,
    linear,
    mean_plus_penalty,
)


def _softmax_regression(
    inputs: Inputs,
    *,
    linear: Callable[[Tensor, Tensor, Tensor], Tensor] = linear,
    losses: Callable[..., Tensor] = cross_entropies,
    penalty: Callable[..., Tensor] = half_sum_of_squares,
    total: Callable[..., Tensor] = mean_plus_penalty,
) -> dict[str, Expected]:
    """Return the loss of softmax regression and its gradients."""
    x, y = torch.tensor(inputs["x"]), torch.tensor(inputs["y"])
    W = torch.tensor(inputs["W"], requires_grad=True)
    b = torch.tensor(inputs["b"], requires_grad=True)
    loss = total(losses(linear(x, W, b), y), penalty([W], [b], inputs["weight_decay"]))
    d_W, d_b = torch.autograd.grad(loss, (W, b))
    return {"loss": loss.detach().numpy(), "d_W": d_W.numpy(), "d_b": d_b.numpy()}


def _draw(rng: np.random.Generator) -> list[Case]:
    def inputs(
        n: int, d: int, classes: int, *, weight_decay: float | None = None, present: int = 0
    ) -> dict[str, Any]:
        x, W = rng.standard_normal((n, d)), rng.standard_normal((d, classes)) + 0.2
        b = rng.standard_normal(classes)
        factor = narrowing(x @ W + b)
        return {
            "x": x,
            "y": rng.integers(0, present or classes, n),
            "W": factor * W,
            "b": factor * b,
            "weight_decay": draw_weight_decay(rng) if weight_decay is None else weight_decay,
        }

    large = inputs(6, 4, 3)
    large["b"] += rng.uniform(5e3, 9e3)
    negative = inputs(5, 3, 4)
    negative["W"] *= 300.0
    negative["b"] -= rng.uniform(5e3, 9e3)
    apart = inputs(4, 3, 4)
    # In row 0 the first class lies thousands below the others, so that its probability is rounded
    # to 0, and it is the right one.
    apart["W"] = (0.5 + np.abs(apart["W"])) * 300.0
    apart["W"][:, 0] = 60.0
    apart["x"] = (0.5 + np.abs(apart["x"])) * np.array([[30.0], [-30.0], [1.0], [-1.0]])
    apart["y"][0] = 0
    return [
        Case("more rows than classes", inputs(8, 5, 3)),
        Case("no weight decay", inputs(5, 3, 4, weight_decay=0.0)),
        Case("two rows", inputs(2, 4, 3)),
        Case("two classes that no row belongs to", inputs(6, 3, 5, present=3)),
        Case("scores in the thousands", large, "large scores"),
        Case("scores far below zero", negative, "large scores"),
        Case("one row far above, another far below zero", apart, "large scores"),
    ]


def _run(student: Functions, inputs: Inputs) -> dict[str, Any]:
    names = ("loss", "d_W", "d_b")
    returned = unpack("softmax_regression", student["softmax_regression"](*inputs.values()), names)
    return dict(zip(names, returned, strict=True))


SOFTMAX_REGRESSION = Task(
    name="softmax_regression",
    assignment=ASSIGNMENT,
    number=3,
    section=sections.SOFTMAX,
    hints=(
        "Write down the shape of every quantity: scores, probabilities, loss, `d_W`, `d_b`. Which "
        "of them have a row for each example?",
        "If the largest score of a row is 0, no exponential exceeds 1. `keepdims=True` keeps one "
        "number per row in a shape that can be subtracted from (N, C). Why does subtracting it "
        "leave P as it is?",
        "log P needs no division that could give 0: it is the score minus the logarithm of a sum. "
        "`log_p[np.arange(N), y]` picks the right class of each row. How do these N numbers "
        "become the loss?",
        "Divide P − Y by N before you go on, and both gradients are averages. It is P with one "
        "entry of each row changed: which one, and by how much?",
        "`d_W` is a product of P − Y with x; the shapes say which is transposed and stands first. "
        "Then comes the gradient of the penalty. The bias was added to every row, so `d_b` "
        "collects all rows.",
    ),
    aspects=(
        Aspect("loss", 2.0, ("loss",), ("training",)),
        Aspect("d_W", 2.0, ("d_W",), ("training",)),
        Aspect("d_b", 1.0, ("d_b",), ("training",)),
        Aspect("large scores", 1.0, ("loss", "d_W", "d_b"), ("large scores",)),
    ),
    draw=_draw,
    run=_run,
    reference=_softmax_regression,
    misconceptions=(*LOSS_MISCONCEPTIONS, *LARGE_SCORES_MISCONCEPTIONS),
)
