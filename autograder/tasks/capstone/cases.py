"""Draw what the cases of several tasks have in common."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from autograder.tasks.capstone.network import as_tensors, scores_of
from autograder.tasks.l2.cases import narrowing


def draw_params(rng: np.random.Generator, d: int, hidden: int, classes: int) -> dict[str, Any]:
    """Draw the parameters of a network by name."""
    return {
        "W1": rng.standard_normal((d, hidden)),
        "b1": rng.standard_normal(hidden),
        "gamma": rng.uniform(0.5, 2.0, hidden) * rng.choice([-1.0, 1.0], hidden),
        "beta": rng.uniform(0.3, 1.0, hidden),
        "W2": rng.standard_normal((hidden, classes)),
        "b2": rng.standard_normal(classes),
    }


def draw_running(rng: np.random.Generator, hidden: int) -> dict[str, Any]:
    """Draw the running statistics of a network by name."""
    return {
        "mean": rng.uniform(-1.0, 1.0, hidden),
        "var": rng.uniform(0.5, 6.0, hidden),
    }


def with_small_values(inputs: dict[str, Any]) -> dict[str, Any]:
    """Return inputs with little variance before batch norm, so that its ε can be seen."""
    params, running = inputs["params"], inputs["running"]
    factor = 0.01
    return {
        **inputs,
        "params": {**params, "W1": factor * params["W1"], "b1": factor * params["b1"]},
        "running": {"mean": factor * running["mean"], "var": factor**2 * running["var"]},
    }


def with_probable_classes(inputs: dict[str, Any]) -> dict[str, Any]:
    """Return inputs in which no class of any row is improbable."""
    params = inputs["params"]
    scores, _ = scores_of(
        as_tensors(params),
        as_tensors(inputs["running"]),
        torch.tensor(inputs["x"]),
        inputs["keep_prob"],
        inputs["training"],
        np.random.default_rng(inputs["seed"]),
    )
    factor = narrowing(scores.numpy())
    return {
        **inputs,
        "params": {**params, "W2": factor * params["W2"], "b2": factor * params["b2"]},
    }
