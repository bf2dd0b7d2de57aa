"""Batch norm with averages for gradients, and a scale and a shift in evaluation."""

import numpy as np


def batch_norm_forward(x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5):
    if not training:
        inv_std = 1.0 / np.sqrt(running_var + eps)
        scale = gamma * inv_std
        shift = beta - running_mean * scale
        out = x * scale + shift
        cache = {"x_hat": (x - running_mean) * inv_std, "scale": scale, "training": False}
        return out, running_mean, running_var, cache
    count = x.shape[0]
    if count <= 1:
        raise ValueError("one row")
    mean = x.sum(axis=0) / count
    var = np.square(x - mean).sum(axis=0) / count
    inv_std = 1.0 / np.sqrt(var + eps)
    x_hat = (x - mean) * inv_std
    correction = count / (count - 1)
    running_mean = running_mean - momentum * running_mean + momentum * mean
    running_var = running_var - momentum * running_var + momentum * correction * var
    cache = {"x_hat": x_hat, "scale": gamma * inv_std, "training": True}
    return beta + gamma * x_hat, running_mean, running_var, cache


def batch_norm_backward(d_out, cache):
    x_hat, scale = cache["x_hat"], cache["scale"]
    d_out_x_hat = d_out * x_hat
    d_gamma = np.sum(d_out_x_hat, axis=0)
    d_beta = np.sum(d_out, axis=0)
    d_x = d_out
    if cache["training"]:
        average = np.mean(d_out, axis=0)
        slope = np.mean(d_out_x_hat, axis=0)
        d_x = d_out - average
        d_x = d_x - x_hat * slope
    d_x = scale * d_x
    return d_x, d_gamma, d_beta


def fold_batch_norm(W, b, gamma, beta, running_mean, running_var, eps):
    inv_std = (running_var + eps) ** -0.5
    W_folded = np.zeros_like(W)
    b_folded = np.zeros_like(b)
    for j in range(W.shape[1]):
        W_folded[:, j] = W[:, j] * gamma[j] * inv_std[j]
        b_folded[j] = (b[j] - running_mean[j]) * inv_std[j] * gamma[j] + beta[j]
    return W_folded, b_folded
