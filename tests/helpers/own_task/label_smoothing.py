"""Declare the task on label smoothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from autograder.task import Aspect, Case, Expected, Functions, Inputs, Misconception, Task
from autograder.tasks.answers import unpack
from autograder.tasks.smoothing import ASSIGNMENT, sections


def _draw(rng: np.random.Generator) -> list[Case]:
    def inputs(rows: int, classes: int) -> dict[str, Any]:
        return {
            "logits": rng.standard_normal((rows, classes)),
            "y": rng.integers(0, classes, rows),
            "smoothing": float(rng.uniform(0.1, 0.4)),
        }

    unsmoothed = {**inputs(4, 3), "smoothing": 0.0}
    return [
        Case("more rows than classes", inputs(6, 3)),
        Case("more classes than rows", inputs(2, 5)),
        Case("no smoothing", unsmoothed),
    ]


def _run(student: Functions, inputs: Inputs) -> dict[str, Any]:
    returned = student["label_smoothing"](*inputs.values())
    loss, d_logits = unpack("label_smoothing", returned, ("loss", "d_logits"))
    return {"loss": loss, "d_logits": d_logits}


def _reference(
    inputs: Inputs,
    *,
    soften: Callable[[Tensor, float], Tensor] = lambda hard, smoothing: (
        (1 - smoothing) * hard + smoothing / hard.shape[1]
    ),
    average: Callable[[Tensor], Tensor] = torch.mean,
) -> dict[str, Expected]:
    logits = torch.tensor(inputs["logits"], requires_grad=True)
    hard = one_hot(torch.tensor(inputs["y"]), logits.shape[1]).double()
    targets = soften(hard, inputs["smoothing"])
    loss = average(-(targets * logits.log_softmax(1)).sum(1))
    (d_logits,) = torch.autograd.grad(loss, logits)
    return {"loss": loss.detach().numpy(), "d_logits": d_logits.numpy()}


LABEL_SMOOTHING = Task(
    name="label_smoothing",
    assignment=ASSIGNMENT,
    number=1,
    section=sections.LABEL_SMOOTHING,
    hints=(
        "With hard labels the target of a row is 1 at its class. What is it with soft ones?",
        "The right class gets a share of what is spread, too. Do your targets add up to 1?",
        "The gradient is what it was, probabilities minus targets, averaged over the rows.",
    ),
    aspects=(
        Aspect("loss", 1.5, ("loss",)),
        Aspect("d_logits", 1.5, ("d_logits",)),
    ),
    draw=_draw,
    run=_run,
    reference=_reference,
    misconceptions=(
        Misconception(
            "smoothing-spares-right-class",
            "You spread α over the wrong classes alone. It is spread over all C classes, so the "
            "right one keeps 1 − α + α/C.",
            sections.LABEL_SMOOTHING,
            {
                "soften": lambda hard, smoothing: (
                    (1 - smoothing) * hard + smoothing * (1 - hard) / (hard.shape[1] - 1)
                )
            },
        ),
        Misconception(
            "smoothing-ignored",
            "Your targets are the hard labels: nothing depends on the smoothing.",
            sections.LABEL_SMOOTHING,
            {"soften": lambda hard, smoothing: hard},
        ),
        Misconception(
            "smoothing-sum-not-mean",
            "You add up the losses of the rows. Take their mean, in the loss and in the gradient.",
            sections.LABEL_SMOOTHING,
            {"average": torch.sum},
        ),
    ),
)
