"""Draw what the cases of several tasks have in common."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def draw_weight_decay(rng: np.random.Generator) -> float:
    """Draw a strength at which the penalty is as visible as the rest."""
    return float(rng.uniform(0.1, 0.7))


def narrowing(scores: NDArray[Any]) -> float:
    """Return a factor that leaves every class of every row a probability above 0.001.

    What a program does about probabilities near 0 is judged in cases of their own.
    """
    return min(1.0, 5.0 / float(np.ptp(scores, axis=1).max()))
