"""Declare the task on folding batch norm into the layer before it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autograder.task import Aspect, Case, Expected, Functions, Inputs, Misconception, Task
from autograder.tasks.answers import unpack
from autograder.tasks.batch_norm import ASSIGNMENT, sections


def _fold(
    inputs: Inputs,
    *,
    bias: Callable[..., NDArray[Any]] = lambda b, mean, scale, beta: (b - mean) * scale + beta,
    scaled: Callable[..., NDArray[Any]] = lambda W, scale: W * scale,
    scale_of: Callable[..., NDArray[Any]] = lambda gamma, var, eps: gamma / np.sqrt(var + eps),
) -> dict[str, Expected]:
    """Return the weight and bias of the single layer x @ W + b followed by batch norm."""
    scale = scale_of(inputs["gamma"], inputs["running_var"], inputs["eps"])
    return {
        "W_folded": scaled(inputs["W"], scale),
        "b_folded": bias(inputs["b"], inputs["running_mean"], scale, inputs["beta"]),
    }


def _draw(rng: np.random.Generator) -> list[Case]:
    def inputs(d_in: int, d_out: int, eps: float) -> dict[str, Any]:
        return {
            "W": rng.standard_normal((d_in, d_out)),
            "b": rng.standard_normal(d_out),
            "gamma": rng.uniform(0.5, 2.0, d_out) * rng.choice([-1.0, 1.0], d_out),
            "beta": rng.standard_normal(d_out),
            "running_mean": rng.standard_normal(d_out),
            "running_var": rng.uniform(0.1, 3.0, d_out),
            "eps": eps,
        }

    return [
        Case("as many outputs as inputs", inputs(4, 4, 1e-5)),
        Case("a large eps", inputs(3, 3, 0.5)),
        Case("more inputs than outputs", inputs(5, 2, 1e-3)),
    ]


def _run(student: Functions, inputs: Inputs) -> dict[str, Any]:
    returned = student["fold_batch_norm"](*inputs.values())
    W_folded, b_folded = unpack("fold_batch_norm", returned, ("W_folded", "b_folded"))
    return {"W_folded": W_folded, "b_folded": b_folded}


_MISCONCEPTIONS = (
    Misconception(
        "fold-forgets-mean",
        "The running mean is missing from your folded bias. Batch norm subtracts it from "
        "x @ W + b before it scales.",
        sections.FOLDING,
        {"bias": lambda b, mean, scale, beta: b * scale + beta},
    ),
    Misconception(
        "fold-bias-not-scaled",
        "Your folded bias contains b as it was. Batch norm scales all that comes out of the "
        "layer, its bias too.",
        sections.FOLDING,
        {"bias": lambda b, mean, scale, beta: b - mean * scale + beta},
    ),
    Misconception(
        "fold-forgets-beta",
        "β is missing from your folded bias. What comes out of batch norm where x̂ is 0?",
        sections.FOLDING,
        {"bias": lambda b, mean, scale, beta: (b - mean) * scale},
    ),
    Misconception(
        "fold-scales-rows",
        "You scale the rows of W. The outputs, whose statistics these are, belong to its columns.",
        sections.FOLDING,
        {
            "scaled": lambda W, scale: (
                W * scale[:, None] if len(W) == len(scale) else np.full_like(W, np.nan)
            )
        },
    ),
    Misconception(
        "fold-no-eps",
        "There is no ε in your scale. The layer divides by √(σ² + ε), in evaluation as well.",
        sections.FOLDING,
        {"scale_of": lambda gamma, var, eps: gamma / np.sqrt(var)},
    ),
    Misconception(
        "fold-no-root",
        "You divide by the running variance. The layer divides by its root.",
        sections.FOLDING,
        {"scale_of": lambda gamma, var, eps: gamma / (var + eps)},
    ),
)

FOLD = Task(
    name="fold_batch_norm",
    assignment=ASSIGNMENT,
    number=5,
    section=sections.FOLDING,
    hints=(
        "What is a constant in evaluation mode, and what is not?",
        "Multiply out the right side and collect what stands with x and what does not. Which "
        "factor does x @ W get?",
        "γ/√(σ² + ε) is one number for each output. Do the outputs of W lie along its rows or its "
        "columns?",
        "The folded bias is what comes out at x = 0. Send b through batch norm, step by step.",
    ),
    aspects=(
        Aspect("folded weight", 1.5, ("W_folded",)),
        Aspect("folded bias", 1.5, ("b_folded",)),
    ),
    draw=_draw,
    run=_run,
    reference=_fold,
    misconceptions=_MISCONCEPTIONS,
)
