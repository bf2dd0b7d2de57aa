"""The relatives of batch norm with inputs in their caches, and variances from mean squares."""

import numpy as np


def layer_norm_forward(x, gamma, beta, eps=1e-5):
    mean = x.mean(axis=-1, keepdims=True)
    var = (x * x).mean(axis=-1, keepdims=True) - mean**2
    scale = (var + eps) ** -0.5
    x_hat = (x - mean) * scale
    return gamma * x_hat + beta, (x, gamma, eps)


def layer_norm_backward(d_out, cache):
    x, gamma, eps = cache
    mean = x.mean(axis=-1, keepdims=True)
    var = (x * x).mean(axis=-1, keepdims=True) - mean**2
    std = np.sqrt(var + eps)
    x_hat = (x - mean) / std
    d_x_hat = d_out * gamma
    inner = d_x_hat - d_x_hat.mean(axis=-1, keepdims=True)
    inner -= x_hat * (d_x_hat * x_hat).mean(axis=-1, keepdims=True)
    others = tuple(range(x.ndim - 1))
    return inner / std, (d_out * x_hat).sum(axis=others), d_out.sum(axis=others)


def rms_norm_forward(x, gamma, eps=1e-6):
    mean_square = (x**2).mean(axis=-1, keepdims=True)
    scale = (mean_square + eps) ** -0.5
    return x * scale * gamma, (x, gamma, eps)


def rms_norm_backward(d_out, cache):
    x, gamma, eps = cache
    square = (x**2).mean(axis=-1, keepdims=True) + eps
    rms = np.sqrt(square)
    d_x_hat = d_out * gamma
    d_x_hat_x = (d_x_hat * x).mean(axis=-1, keepdims=True)
    d_x = (d_x_hat - x * d_x_hat_x / square) / rms
    others = tuple(range(x.ndim - 1))
    return d_x, (d_out * x / rms).sum(axis=others)


def group_norm_forward(x, groups, gamma, beta, eps=1e-5):
    n, c, h, w = x.shape
    if c % groups:
        raise ValueError("unequal groups")
    count = c // groups * h * w
    rows = x.reshape(n, groups, count)
    mean = rows.mean(axis=2, keepdims=True)
    var = (rows**2).mean(axis=2, keepdims=True) - mean**2
    out = ((rows - mean) / np.sqrt(var + eps)).reshape(x.shape)
    for channel in range(c):
        out[:, channel] *= gamma[channel]
        out[:, channel] += beta[channel]
    return out
