"""The relatives of batch norm on rows: other axes are folded into the first, averages over rows."""

import numpy as np


def layer_norm_forward(x, gamma, beta, eps=1e-5):
    rows = x.reshape(-1, x.shape[-1])
    mean = rows.mean(axis=1)
    var = rows.var(axis=1)
    inv_std = 1.0 / np.sqrt(var + eps)
    x_hat = (rows - mean[:, None]) * inv_std[:, None]
    out = gamma * x_hat + beta
    return out.reshape(x.shape), (x_hat, inv_std, gamma)


def layer_norm_backward(d_out, cache):
    x_hat, inv_std, gamma = cache
    rows = d_out.reshape(x_hat.shape)
    d_gamma = np.sum(rows * x_hat, axis=0)
    d_beta = np.sum(rows, axis=0)
    d_x_hat = rows * gamma
    average = d_x_hat.mean(axis=1)
    slope = (d_x_hat * x_hat).mean(axis=1)
    d_x = d_x_hat - average[:, None]
    d_x = d_x - x_hat * slope[:, None]
    d_x = d_x * inv_std[:, None]
    return d_x.reshape(d_out.shape), d_gamma, d_beta


def rms_norm_forward(x, gamma, eps=1e-6):
    rows = x.reshape(-1, x.shape[-1])
    inv_rms = 1.0 / np.sqrt((rows * rows).mean(axis=1) + eps)
    x_hat = rows * inv_rms[:, None]
    return (gamma * x_hat).reshape(x.shape), (x_hat, inv_rms, gamma)


def rms_norm_backward(d_out, cache):
    x_hat, inv_rms, gamma = cache
    rows = d_out.reshape(x_hat.shape)
    d_gamma = np.sum(rows * x_hat, axis=0)
    d_x_hat = rows * gamma
    slope = (d_x_hat * x_hat).mean(axis=1)
    d_x = d_x_hat - x_hat * slope[:, None]
    d_x = d_x * inv_rms[:, None]
    return d_x.reshape(d_out.shape), d_gamma


def group_norm_forward(x, groups, gamma, beta, eps=1e-5):
    n, c = x.shape[:2]
    if c % groups:
        raise ValueError("unequal groups")
    rows = x.reshape(n, groups, -1)
    mean = np.mean(rows, axis=2, keepdims=True)
    std = np.std(rows, axis=2, keepdims=True)
    x_hat = (rows - mean) / np.sqrt(std**2 + eps)
    images = x_hat.reshape(n, c, -1)
    scaled = images * gamma.reshape(1, c, 1)
    out = scaled + beta.reshape(1, c, 1)
    return out.reshape(x.shape)
