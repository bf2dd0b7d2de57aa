"""Draw what the cases of several tasks have in common."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from autograder.tasks.dropout.mask import KEPT

VALUES = 100_000
"""This many values are enough to tell a rate that is off by 0.02 from chance."""


def draw_nonzero(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[Any]:
    """Draw values that are well away from 0, of both signs."""
    return rng.choice([-1.0, 1.0], shape) * rng.uniform(0.5, 2.0, shape)


def draw_from_few(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[Any]:
    """Draw from two positive and two negative values, which are well away from 0.

    Each of them is kept somewhere and dropped elsewhere, whatever the mask is.
    """
    return rng.choice(np.array([-1.0, -1.0, 1.0, 1.0]) * rng.uniform(0.5, 2.0, 4), shape)


def draw_seed(rng: np.random.Generator) -> int:
    """Draw the seed of a generator."""
    return int(rng.integers(2**32))


def low_keep_prob(rng: np.random.Generator) -> float:
    """Draw a probability below one half."""
    return float(rng.uniform(0.25, 0.4))


def high_keep_prob(rng: np.random.Generator) -> float:
    """Draw a probability above one half."""
    return float(rng.uniform(0.6, 0.85))


def draw_inputs(
    rng: np.random.Generator,
    shape: tuple[int, ...],
    keep_prob: float,
    frequencies: tuple[str, ...] = (KEPT,),
    *,
    training: bool = True,
    **more: Any,
) -> dict[str, Any]:
    """Draw the inputs of a case in which the named frequencies are counted."""
    return {
        "x": draw_from_few(rng, shape),
        "keep_prob": keep_prob,
        "training": training,
        "seed": draw_seed(rng),
        "frequencies": frequencies,
        **more,
    }
