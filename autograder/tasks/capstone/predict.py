"""Declare the task on prediction with a trained network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from autograder.task import Aspect, Case, Expected, Functions, Inputs, Misconception, Task
from autograder.tasks.capstone import ASSIGNMENT, sections
from autograder.tasks.capstone.cases import draw_params, draw_running, with_small_values
from autograder.tasks.capstone.network import as_tensors, scores_of
from autograder.tasks.capstone.network_mistakes import EVALUATION_MISCONCEPTIONS, IN_EITHER_MODE


def _predict(
    inputs: Inputs,
    *,
    returned: Callable[[Tensor], Tensor] = lambda scores: scores,
    **steps: Any,
) -> dict[str, Expected]:
    """Return the scores in evaluation mode."""
    params, running = as_tensors(inputs["params"]), as_tensors(inputs["running"])
    x, rng = torch.tensor(inputs["x"]), np.random.default_rng(0)
    scores, _ = scores_of(params, running, x, 1.0, False, rng, **steps)
    return {"scores": returned(scores).numpy()}


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
        Case("small values before batch norm", with_small_values(inputs(5, 4, 6, 3))),
    ]


def _run(student: Functions, inputs: Inputs) -> dict[str, Any]:
    return {"scores": student["predict"](inputs["x"], inputs["params"], inputs["running"])}


_MISCONCEPTIONS = (
    *EVALUATION_MISCONCEPTIONS,
    *IN_EITHER_MODE,
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
