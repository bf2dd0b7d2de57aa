"""The relatives of batch norm with closed forms of their gradients, written with sums."""

import numpy as np


def layer_norm_forward(x, gamma, beta, eps=1e-5):
    mean = np.mean(x, axis=-1, keepdims=True)
    var = np.var(x, axis=-1, keepdims=True)
    x_hat = (x - mean) / np.sqrt(var + eps)
    cache = {"x": x, "mean": mean, "var": var, "eps": eps, "gamma": gamma}
    return x_hat * gamma + beta, cache


def layer_norm_backward(d_out, cache):
    x, mean, var, eps, gamma = (cache[key] for key in ("x", "mean", "var", "eps", "gamma"))
    count = x.shape[-1]
    std = np.sqrt(var + eps)
    x_hat = (x - mean) / std
    d_x_hat = gamma * d_out
    total = np.sum(d_x_hat, axis=-1, keepdims=True)
    slope = np.sum(d_x_hat * x_hat, axis=-1, keepdims=True)
    d_x = (count * d_x_hat - total - x_hat * slope) / (count * std)
    d_gamma = np.sum(np.reshape(d_out * x_hat, (-1, count)), axis=0)
    d_beta = np.sum(np.reshape(d_out, (-1, count)), axis=0)
    return d_x, d_gamma, d_beta


def rms_norm_forward(x, gamma, eps=1e-6):
    rms = np.sqrt(np.mean(np.square(x), axis=-1, keepdims=True) + eps)
    cache = {"x": x, "rms": rms, "gamma": gamma}
    return gamma * x / rms, cache


def rms_norm_backward(d_out, cache):
    x, rms, gamma = cache["x"], cache["rms"], cache["gamma"]
    count = x.shape[-1]
    d_x_hat = gamma * d_out
    slope = np.sum(d_x_hat * x, axis=-1, keepdims=True)
    d_x = d_x_hat / rms - x * slope / (count * rms**3)
    d_gamma = np.sum(np.reshape(d_out * x / rms, (-1, count)), axis=0)
    return d_x, d_gamma


def group_norm_forward(x, groups, gamma, beta, eps=1e-5):
    n, c, h, w = x.shape
    if c % groups:
        raise ValueError("unequal groups")
    count = c // groups * h * w
    rows = x.reshape(n * groups, count)
    mean = rows.sum(axis=1, keepdims=True) / count
    deviations = rows - mean
    var = (deviations**2).sum(axis=1, keepdims=True) / count
    x_hat = (deviations / np.sqrt(var + eps)).reshape(n, c, h, w)
    return np.einsum("nchw,c->nchw", x_hat, gamma) + np.reshape(beta, (1, c, 1, 1))
