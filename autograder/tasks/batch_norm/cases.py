"""Draw what the cases of several tasks have in common."""

from __future__ import annotations

from typing import Any

import numpy as np


def draw_inputs(
    rng: np.random.Generator,
    shape: tuple[int, ...],
    *,
    steps: int = 1,
    training: bool = True,
    mean: float = 2.0,
    deviation: float = 1.5,
    **options: float,
) -> dict[str, Any]:
    """Draw batches of some shape, parameters and running statistics.

    Parameters
    ----------
    rng
        Draws the numbers.
    shape
        The shape of a batch, with the channels on its second axis.
    steps
        How many batches are drawn.
    training
        Whether the layer is in training mode.
    mean, deviation
        The scales of the channels' means and standard deviations.
    options
        The momentum and eps, if they are not left at their defaults.
    """
    channels = shape[1]
    per_channel = (channels,) + (1,) * (len(shape) - 2)
    center = rng.uniform(-mean, mean, per_channel)
    spread = deviation * rng.uniform(0.5, 1.5, per_channel)
    return {
        "x": [center + spread * rng.standard_normal(shape) for _ in range(steps)],
        "gamma": rng.uniform(0.5, 2.0, channels) * rng.choice([-1.0, 1.0], channels),
        "beta": rng.uniform(0.5, 2.0, channels),
        "running_mean": rng.uniform(-1.0, 1.0, channels),
        "running_var": rng.uniform(0.5, 3.0, channels),
        "training": training,
        **options,
    }


def with_d_out(rng: np.random.Generator, inputs: dict[str, Any]) -> dict[str, Any]:
    """Add the gradient that reaches the output of the last batch."""
    return {**inputs, "d_out": rng.standard_normal(inputs["x"][0].shape)}
