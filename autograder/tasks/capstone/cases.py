"""Draw what the cases of several tasks have in common."""

from __future__ import annotations

from typing import Any

import numpy as np


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
