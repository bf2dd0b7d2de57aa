"""The relatives of batch norm with one operation in each line, whose backward computes x̂ again."""

import numpy as np
import torch
from torch import nn


def layer_norm_forward(x, gamma, beta, eps=1e-5):
    mean = x.mean(axis=-1, keepdims=True)
    centered = x - mean
    squares = centered * centered
    var = squares.mean(axis=-1, keepdims=True)
    shifted_var = var + eps
    std = np.sqrt(shifted_var)
    inv_std = 1 / std
    x_hat = centered * inv_std
    scaled = x_hat * gamma
    out = scaled + beta
    cache = (x, mean, inv_std, gamma)
    return out, cache


def layer_norm_backward(d_out, cache):
    x, mean, inv_std, gamma = cache
    count = x.shape[-1]
    centered = x - mean
    x_hat = centered * inv_std
    d_out_x_hat = d_out * x_hat
    d_gamma = d_out_x_hat.reshape(-1, count).sum(axis=0)
    d_beta = d_out.reshape(-1, count).sum(axis=0)
    d_x_hat = d_out * gamma
    d_x = d_x_hat * inv_std
    cube = inv_std**3
    d_inv_std = (d_x_hat * centered).sum(axis=-1, keepdims=True)
    d_var = -0.5 * cube * d_inv_std
    d_mean = -d_x.sum(axis=-1, keepdims=True)
    through_variance = 2 * d_var * centered / count
    through_mean = d_mean / count
    d_x = d_x + through_variance + through_mean
    return d_x, d_gamma, d_beta


def rms_norm_forward(x, gamma, eps=1e-6):
    x_squared = x * x
    mean_square = x_squared.mean(axis=-1, keepdims=True)
    shifted_square = mean_square + eps
    rms = np.sqrt(shifted_square)
    inv_rms = 1 / rms
    x_hat = x * inv_rms
    out = x_hat * gamma
    cache = (x, inv_rms, gamma)
    return out, cache


def rms_norm_backward(d_out, cache):
    x, inv_rms, gamma = cache
    count = x.shape[-1]
    x_hat = x * inv_rms
    d_out_x_hat = d_out * x_hat
    d_gamma = d_out_x_hat.reshape(-1, count).sum(axis=0)
    d_x_hat = d_out * gamma
    d_inv_rms = (d_x_hat * x).sum(axis=-1, keepdims=True)
    cube = inv_rms**3
    d_mean_square = -0.5 * cube * d_inv_rms
    through_rms = 2 * d_mean_square * x / count
    d_x = d_x_hat * inv_rms + through_rms
    return d_x, d_gamma


def group_norm_forward(x, groups, gamma, beta, eps=1e-5):
    n, c, h, w = x.shape
    if c % groups != 0:
        raise ValueError("unequal groups")
    grouped = x.reshape(n, groups, c // groups, h, w)
    mean = grouped.mean(axis=(2, 3, 4), keepdims=True)
    centered = grouped - mean
    var = (centered * centered).mean(axis=(2, 3, 4), keepdims=True)
    inv_std = 1 / np.sqrt(var + eps)
    x_hat_rows = centered * inv_std
    x_hat = x_hat_rows.reshape(n, c, h, w)
    scaled = x_hat * gamma[:, None, None]
    return scaled + beta[:, None, None]


class RMSNorm(nn.Module):
    def __init__(self, features, eps=1e-6):
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(features))

    def forward(self, x):
        mean_square = (x * x).mean(dim=-1, keepdim=True)
        inv_rms = torch.rsqrt(mean_square + self.eps)
        x_hat = x * inv_rms
        return x_hat * self.weight
