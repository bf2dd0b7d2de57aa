"""Dropout with a scaled mask of floats that a dict remembers."""

import numpy as np


def dropout_forward(x, keep_prob, training, rng):
    if not 0 < keep_prob <= 1:
        raise ValueError("keep_prob")
    cache = {"training": training}
    if training:
        mask = (rng.uniform(size=x.shape) < keep_prob).astype(float)
        scale = 1 / keep_prob
        cache["mask"] = mask * scale
        return x * cache["mask"], cache
    return np.array(x), cache


def dropout_backward(d_out, cache):
    if cache["training"]:
        return d_out * cache["mask"]
    return np.array(d_out)
