"""The relatives of batch norm in steps, and back through each of them, as in a graph."""

import numpy as np
import torch
from torch import nn


def layer_norm_forward(x, gamma, beta, eps=1e-5):
    count = x.shape[-1]
    mean = np.sum(x, axis=-1, keepdims=True) / count
    centered = x - mean
    squares = centered**2
    var = np.sum(squares, axis=-1, keepdims=True) / count
    std = np.sqrt(var + eps)
    inv_std = 1 / std
    x_hat = centered * inv_std
    out = gamma * x_hat + beta
    return out, (x_hat, gamma, centered, inv_std, std)


def layer_norm_backward(d_out, cache):
    x_hat, gamma, centered, inv_std, std = cache
    count = d_out.shape[-1]
    examples = tuple(range(d_out.ndim - 1))
    d_beta = np.sum(d_out, axis=examples)
    d_gamma = np.sum(d_out * x_hat, axis=examples)
    d_x_hat = d_out * gamma
    d_inv_std = np.sum(d_x_hat * centered, axis=-1, keepdims=True)
    d_centered = d_x_hat * inv_std
    d_std = -d_inv_std / std**2
    d_var = 0.5 * d_std / std
    d_squares = d_var * np.ones_like(d_out) / count
    d_centered = d_centered + 2 * centered * d_squares
    d_mean = -np.sum(d_centered, axis=-1, keepdims=True)
    d_x = d_centered + d_mean / count
    return d_x, d_gamma, d_beta


def rms_norm_forward(x, gamma, eps=1e-6):
    count = x.shape[-1]
    x_squared = x**2
    mean_square = np.sum(x_squared, axis=-1, keepdims=True) / count
    rms = np.sqrt(mean_square + eps)
    x_hat = x / rms
    return gamma * x_hat, (x, x_hat, gamma, rms)


def rms_norm_backward(d_out, cache):
    x, x_hat, gamma, rms = cache
    count = d_out.shape[-1]
    examples = tuple(range(d_out.ndim - 1))
    d_gamma = np.sum(d_out * x_hat, axis=examples)
    d_x_hat = d_out * gamma
    d_rms = -np.sum(d_x_hat * x, axis=-1, keepdims=True) / rms**2
    d_mean_square = d_rms / (2 * rms)
    d_squared = d_mean_square * np.ones_like(d_out) / count
    d_x = d_x_hat / rms + 2 * x * d_squared
    return d_x, d_gamma


def group_norm_forward(x, groups, gamma, beta, eps=1e-5):
    if x.shape[1] % groups:
        raise ValueError("unequal groups")
    size = x.shape[1] // groups
    out = np.zeros_like(x)
    for number in range(groups):
        channels = slice(number * size, (number + 1) * size)
        group = x[:, channels]
        mean = group.mean(axis=(1, 2, 3), keepdims=True)
        var = group.var(axis=(1, 2, 3), keepdims=True)
        x_hat = (group - mean) / np.sqrt(var + eps)
        scale = gamma[channels].reshape(1, size, 1, 1)
        shift = beta[channels].reshape(1, size, 1, 1)
        out[:, channels] = scale * x_hat + shift
    return out


class RMSNorm(nn.Module):
    def __init__(self, features, eps=1e-6):
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(features))

    def forward(self, x):
        mean_square = x.pow(2).mean(-1, keepdim=True)
        rms = (mean_square + self.eps).sqrt()
        return self.weight * (x / rms)
