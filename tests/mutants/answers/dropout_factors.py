"""Dropout with a factor for each value, which evaluation has too."""

import numpy as np
import torch
from torch import nn


def dropout_forward(x, keep_prob, training, rng):
    if not (keep_prob > 0 and keep_prob <= 1):
        raise ValueError("keep_prob")
    factors = np.ones(x.shape)
    if training:
        draws = rng.random(x.shape)
        mask = np.where(draws < keep_prob, 1.0, 0.0)
        factors = mask / keep_prob
    out = factors * x
    return out, factors


def dropout_backward(d_out, cache):
    factors = cache
    d_x = factors * d_out
    return d_x


class Dropout(nn.Module):
    def __init__(self, p=0.5):
        super().__init__()
        if not (p >= 0 and p <= 1):
            raise ValueError("p")
        self.p = p

    def forward(self, x):
        factors = torch.ones_like(x)
        if self.training:
            draws = torch.rand_like(x)
            factors = torch.where(draws < self.p, 0.0, 1.0)
            if self.p < 1:
                factors = factors / (1 - self.p)
        return x * factors
