"""Dropout that chooses between two numbers."""

import numpy as np
import torch
from torch import nn


def dropout_forward(x, keep_prob, training, rng):
    if keep_prob <= 0.0 or keep_prob > 1.0:
        raise ValueError("keep_prob")
    keep = rng.random(x.shape) < keep_prob if training else np.full(x.shape, True)
    scale = 1.0 / keep_prob if training else 1.0
    out = np.where(keep, scale * x, 0.0)
    return out, (keep, scale)


def dropout_backward(d_out, cache):
    keep, scale = cache
    return np.where(keep, scale * d_out, 0.0)


class Dropout(nn.Module):
    def __init__(self, p=0.5):
        super().__init__()
        if p < 0.0 or p > 1.0:
            raise ValueError("p")
        self.p = p

    def forward(self, x):
        if not self.training:
            return 1.0 * x
        dropped = torch.rand_like(x) < self.p
        scale = 1.0 / (1.0 - self.p) if self.p < 1.0 else 0.0
        return torch.where(dropped, 0.0, scale * x)
