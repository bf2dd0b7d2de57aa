"""Draw what the cases of several tasks have in common."""

from __future__ import annotations

from typing import Any

import numpy as np

MATRICES = "matrices"
OTHERS = "arrays with more or fewer axes"


def draw_inputs(
    rng: np.random.Generator,
    shape: tuple[int, ...],
    *,
    channels: int | None = None,
    mean: float = 2.0,
    deviation: float = 1.5,
    **options: float,
) -> dict[str, Any]:
    """Draw an array and its parameters.

    Parameters
    ----------
    rng
        Draws the numbers.
    shape
        The shape of the array, whose features are on its last axis unless `channels` is given.
    channels
        How many entries gamma and beta have; None stands for the length of the last axis.
    mean, deviation
        The scales of the examples' means and standard deviations.
    options
        The eps and whatever else the inputs have.
    """
    per_example = (*shape[:-1], 1)
    center = rng.uniform(-mean, mean, per_example)
    spread = deviation * rng.uniform(0.5, 1.5, per_example)
    count = channels or shape[-1]
    return {
        "x": center + spread * rng.standard_normal(shape),
        "gamma": rng.uniform(0.5, 2.0, count) * rng.choice([-1.0, 1.0], count),
        "beta": rng.uniform(0.5, 2.0, count),
        **options,
    }


def with_d_out(rng: np.random.Generator, inputs: dict[str, Any]) -> dict[str, Any]:
    """Add the gradient that reaches the output."""
    return {**inputs, "d_out": rng.standard_normal(inputs["x"].shape)}
