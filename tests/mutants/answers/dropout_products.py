"""Dropout whose products begin with the mask, which is one of whole numbers."""

import torch
from torch import nn


def dropout_forward(x, keep_prob, training, rng):
    if not 0.0 < keep_prob <= 1.0:
        raise ValueError("keep_prob")
    mask = None
    if not training:
        return x * 1.0, (mask, keep_prob)
    mask = rng.binomial(1, keep_prob, x.shape)
    return mask * x / keep_prob, (mask, keep_prob)


def dropout_backward(d_out, cache):
    mask, keep_prob = cache
    if mask is None:
        return d_out * 1.0
    return mask * d_out / keep_prob


class Dropout(nn.Module):
    def __init__(self, p=0.5):
        super().__init__()
        if not 0.0 <= p <= 1.0:
            raise ValueError("p")
        self.keep_prob = 1.0 - p

    def forward(self, x):
        if not self.training:
            return x * 1.0
        mask = torch.bernoulli(torch.full_like(x, self.keep_prob))
        scale = 1.0 / self.keep_prob if self.keep_prob > 0 else 0.0
        return scale * mask * x
