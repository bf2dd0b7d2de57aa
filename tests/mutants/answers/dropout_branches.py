"""Dropout in two branches, with a mask that is scaled where it is used."""

import torch
from torch import nn


def dropout_forward(x, keep_prob, training, rng):
    if keep_prob <= 0 or keep_prob > 1:
        raise ValueError("keep_prob")
    if training:
        mask = rng.random(x.shape) < keep_prob
        out = x * mask / keep_prob
        cache = (mask, keep_prob, training)
    else:
        out = 1.0 * x
        cache = (None, keep_prob, training)
    return out, cache


def dropout_backward(d_out, cache):
    mask, keep_prob, training = cache
    if training:
        d_x = d_out * mask / keep_prob
    else:
        d_x = 1.0 * d_out
    return d_x


class Dropout(nn.Module):
    def __init__(self, p=0.5):
        super().__init__()
        if p < 0 or p > 1:
            raise ValueError("p")
        self.p = p

    def forward(self, x):
        if self.training:
            if self.p == 1:
                return torch.zeros_like(x)
            keep_prob = 1 - self.p
            mask = (torch.rand(x.shape) < keep_prob).to(x.dtype)
            return x * mask / keep_prob
        return x
