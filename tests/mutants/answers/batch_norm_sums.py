"""Batch norm with the closed form of its gradient, written with sums over the rows."""

import numpy as np


def batch_norm_forward(x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5):
    if training:
        n = len(x)
        if n < 2:
            raise ValueError("one row")
        mean = x.mean(axis=0)
        var = x.var(axis=0)
        unbiased = x.var(axis=0, ddof=1)
        running_mean = momentum * mean + (1 - momentum) * running_mean
        running_var = momentum * unbiased + (1 - momentum) * running_var
    else:
        mean = running_mean
        var = running_var
    x_hat = (x - mean) / np.sqrt(var + eps)
    out = gamma * x_hat + beta
    cache = {"x": x, "mean": mean, "var": var, "eps": eps, "gamma": gamma, "training": training}
    return out, running_mean, running_var, cache


def batch_norm_backward(d_out, cache):
    x, mean, var = cache["x"], cache["mean"], cache["var"]
    eps, gamma, training = cache["eps"], cache["gamma"], cache["training"]
    n = len(x)
    std = np.sqrt(var + eps)
    x_hat = (x - mean) / std
    d_beta = d_out.sum(axis=0)
    d_gamma = (d_out * x_hat).sum(axis=0)
    if training:
        d_x = gamma / (n * std) * (n * d_out - d_beta - x_hat * d_gamma)
    else:
        d_x = gamma / std * d_out
    return d_x, d_gamma, d_beta


def batch_norm_2d_forward(
    x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5
):
    columns = np.moveaxis(x, 1, -1)
    shape = columns.shape
    out, running_mean, running_var, cache = batch_norm_forward(
        columns.reshape(-1, shape[3]),
        gamma,
        beta,
        running_mean,
        running_var,
        training,
        momentum=momentum,
        eps=eps,
    )
    images = np.moveaxis(out.reshape(shape), -1, 1)
    return images, running_mean, running_var, cache


def batch_norm_2d_backward(d_out, cache):
    columns = np.moveaxis(d_out, 1, -1)
    shape = columns.shape
    d_columns, d_gamma, d_beta = batch_norm_backward(columns.reshape(-1, shape[3]), cache)
    d_x = np.moveaxis(d_columns.reshape(shape), -1, 1)
    return d_x, d_gamma, d_beta


def fold_batch_norm(W, b, gamma, beta, running_mean, running_var, eps):
    std = np.sqrt(running_var + eps)
    W_folded = W * gamma / std
    b_folded = gamma * (b - running_mean) / std + beta
    return W_folded, b_folded
