"""Draw what the cases of several tasks have in common."""

from __future__ import annotations

import numpy as np


def draw_weight_decay(rng: np.random.Generator) -> float:
    """Draw a strength at which the penalty is as visible as the rest."""
    return float(rng.uniform(0.1, 0.7))
