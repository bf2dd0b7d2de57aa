"""Batch norm with one operation in each line, whose backward pass computes x̂ again."""

import numpy as np
import torch
from torch import nn


def batch_norm_forward(x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5):
    mean, var = running_mean, running_var
    if training:
        n = x.shape[0]
        if n == 1:
            raise ValueError("one row")
        mean = x.mean(axis=0)
        deviations = x - mean
        total = (deviations * deviations).sum(axis=0)
        var = total / n
        unbiased = total / (n - 1)
        kept = 1 - momentum
        running_mean = kept * running_mean + momentum * mean
        running_var = kept * running_var + momentum * unbiased
    centered = x - mean
    shifted_var = var + eps
    std = np.sqrt(shifted_var)
    inv_std = 1 / std
    x_hat = centered * inv_std
    scaled = x_hat * gamma
    out = scaled + beta
    cache = (x, mean, inv_std, gamma, training)
    return out, running_mean, running_var, cache


def batch_norm_backward(d_out, cache):
    x, mean, inv_std, gamma, training = cache
    n = x.shape[0]
    centered = x - mean
    x_hat = centered * inv_std
    d_out_x_hat = d_out * x_hat
    d_gamma = d_out_x_hat.sum(axis=0)
    d_beta = d_out.sum(axis=0)
    d_x_hat = d_out * gamma
    d_x = d_x_hat * inv_std
    if training:
        cube = inv_std**3
        d_inv_std = (d_x_hat * centered).sum(axis=0)
        d_var = -0.5 * cube * d_inv_std
        total = d_x.sum(axis=0)
        d_mean = -total
        through_variance = 2 * d_var * centered / n
        through_mean = d_mean / n
        d_x = d_x + through_variance + through_mean
    return d_x, d_gamma, d_beta


def batch_norm_2d_forward(
    x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5
):
    n, c, h, w = x.shape
    columns = x.swapaxes(0, 1).reshape(c, n * h * w).T
    out_columns, running_mean, running_var, cache = batch_norm_forward(
        columns, gamma, beta, running_mean, running_var, training, momentum, eps
    )
    out = out_columns.T.reshape(c, n, h, w).swapaxes(0, 1)
    return out, running_mean, running_var, cache


def batch_norm_2d_backward(d_out, cache):
    n, c, h, w = d_out.shape
    d_columns = d_out.swapaxes(0, 1).reshape(c, n * h * w).T
    d_flat, d_gamma, d_beta = batch_norm_backward(d_columns, cache)
    d_x = d_flat.T.reshape(c, n, h, w).swapaxes(0, 1)
    return d_x, d_gamma, d_beta


class BatchNorm1d(nn.Module):
    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        super().__init__()
        self.eps = eps
        self.momentum = momentum
        self.weight = nn.Parameter(torch.ones(num_features))
        self.bias = nn.Parameter(torch.zeros(num_features))
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_var", torch.ones(num_features))
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    def forward(self, x):
        mean, var = self.running_mean, self.running_var
        if self.training:
            if len(x) < 2:
                raise ValueError("one row")
            mean, var = x.mean(dim=0), x.var(dim=0, unbiased=False)
            with torch.no_grad():
                unbiased = x.var(dim=0, unbiased=True)
                self.running_mean += self.momentum * (mean - self.running_mean)
                self.running_var += self.momentum * (unbiased - self.running_var)
                self.num_batches_tracked += 1
        inv_std = torch.rsqrt(var + self.eps)
        x_hat = (x - mean) * inv_std
        return x_hat * self.weight + self.bias


def fold_batch_norm(W, b, gamma, beta, running_mean, running_var, eps):
    var = running_var + eps
    std = np.sqrt(var)
    scale = gamma / std
    shift = beta - running_mean * scale
    W_folded = W * scale
    b_folded = b * scale + shift
    return W_folded, b_folded
