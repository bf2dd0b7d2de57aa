"""Declare the task on prediction with a trained network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from autograder.task import Aspect, Case, Expected, Functions, Inputs, Misconception, Task
from autograder.tasks.batch_norm import sections as batch_norm_sections
from autograder.tasks.capstone import ASSIGNMENT, sections
from autograder.tasks.capstone.cases import draw_params, draw_running
from autograder.tasks.capstone.network import Tensors, as_tensors, batch_norm_with


def _predict(
    inputs: Inputs,
    *,
    batch_norm: Callable[..., tuple[Tensor, Tensors]] | None = None,
    activation: Callable[[Tensor], Tensor] = torch.relu,
    returned: Callable[[Tensor], Tensor] = lambda scores: scores,
    **parts_of_batch_norm: Any,
) -> dict[str, Expected]:
    """Return the scores in evaluation mode."""
    batch_norm = batch_norm or batch_norm_with(**parts_of_batch_norm)
    params, running = as_tensors(inputs["params"]), as_tensors(inputs["running"])
    z = torch.tensor(inputs["x"]) @ params["W1"] + params["b1"]
    hidden = activation(batch_norm(z, params, running, False)[0])
    return {"scores": returned(hidden @ params["W2"] + params["b2"]).numpy()}


def _draw(rng: np.random.Generator) -> list[Case]:
    def inputs(n: int, d: int, hidden: int, classes: int) -> dict[str, Any]:
        return {
            "x": rng.standard_normal((n, d)),
            "params": draw_params(rng, d, hidden, classes),
            "running": draw_running(rng, hidden),
        }

    return [
        Case("several rows", inputs(6, 4, 5, 3)),
        Case("one row", inputs(1, 5, 7, 4)),
    ]


def _run(student: Functions, inputs: Inputs) -> dict[str, Any]:
    return {"scores": student["predict"](inputs["x"], inputs["params"], inputs["running"])}


_MISCONCEPTIONS = (
    Misconception(
        "bn-eval-batch-stats",
        "You normalize with the statistics of the batch. Use the running statistics: the "
        "answer for one example must not depend on its neighbors.",
        batch_norm_sections.EVALUATION,
        {"batch_statistics_in_evaluation": True},
    ),
    Misconception(
        "bn-eval-no-affine",
        "You normalize but leave out γ and β. They are part of the layer in both modes.",
        batch_norm_sections.EVALUATION,
        {"affine_in_evaluation": False},
    ),
    Misconception(
        "bn-no-root",
        "You divide by the running variance. Batch norm divides by its root.",
        batch_norm_sections.FORWARD,
        {"root": lambda variance: variance},
    ),
    Misconception(
        "predict-no-batch-norm",
        "There is no batch norm in your prediction.",
        sections.EXERCISE,
        {"batch_norm": lambda z, params, running, training: (z, running)},
    ),
    Misconception(
        "relu-missing",
        "There is no ReLU in your prediction.",
        sections.EXERCISE,
        {"activation": lambda z: z},
    ),
    Misconception(
        "predict-probabilities",
        "You return probabilities. Scores were asked for, the numbers before the softmax.",
        sections.EXERCISE,
        {"returned": lambda scores: scores.softmax(1)},
    ),
    Misconception(
        "predict-labels",
        "You return the number of the best class for each row. The scores of all classes were "
        "asked for.",
        sections.EXERCISE,
        {"returned": lambda scores: scores.argmax(1)},
    ),
)

PREDICT = Task(
    name="predict",
    assignment=ASSIGNMENT,
    number=2,
    section=sections.EXERCISE,
    hints=(
        "It has to work for a single row as well. Which statistics make that possible?",
        "Go through the network: affine, batch norm with γ and β, ReLU, dropout, affine, softmax. "
        "Which of these are there in evaluation, and where do the scores come out?",
        "It is what your `two_layer_net` computes in evaluation before it comes to the loss.",
    ),
    aspects=(Aspect("scores", 2.0, ("scores",)),),
    draw=_draw,
    run=_run,
    reference=_predict,
    misconceptions=_MISCONCEPTIONS,
    depends_on=("two_layer_net",),
)
