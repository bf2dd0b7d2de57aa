"""Batch norm with the formulas of the paper: gradients of σ² and μ, then that of x."""

import numpy as np


def batch_norm_forward(x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5):
    n = x.shape[0]
    if training:
        if n == 1:
            raise ValueError("one row")
        batch_mean = np.mean(x, axis=0)
        batch_var = np.var(x, axis=0)
        running_mean = running_mean + momentum * (batch_mean - running_mean)
        running_var = running_var + momentum * (batch_var * n / (n - 1) - running_var)
        x_hat = (x - batch_mean) / np.sqrt(batch_var + eps)
        cache = (x, x_hat, batch_mean, batch_var, gamma, eps, True)
    else:
        x_hat = (x - running_mean) / np.sqrt(running_var + eps)
        cache = (x, x_hat, running_mean, running_var, gamma, eps, False)
    return x_hat * gamma + beta, running_mean, running_var, cache


def batch_norm_backward(d_out, cache):
    x, x_hat, mean, var, gamma, eps, training = cache
    n = x.shape[0]
    d_x_hat = d_out * gamma
    if training:
        d_var = np.sum(d_x_hat * (x - mean) * -0.5 * (var + eps) ** -1.5, axis=0)
        d_mean = np.sum(-d_x_hat / np.sqrt(var + eps), axis=0) + d_var * np.mean(
            -2.0 * (x - mean), axis=0
        )
        d_x = d_x_hat / np.sqrt(var + eps) + d_var * 2.0 * (x - mean) / n + d_mean / n
    else:
        d_x = d_x_hat / np.sqrt(var + eps)
    d_gamma = np.sum(d_out * x_hat, axis=0)
    d_beta = np.sum(d_out, axis=0)
    return d_x, d_gamma, d_beta


def fold_batch_norm(W, b, gamma, beta, running_mean, running_var, eps):
    inv_std = 1.0 / np.sqrt(running_var + eps)
    W_folded = W * (gamma * inv_std)[None, :]
    b_folded = b * gamma * inv_std - running_mean * gamma * inv_std + beta
    return W_folded, b_folded
