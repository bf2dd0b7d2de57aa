"""Batch norm in steps, and back through each of them, as in a computational graph."""

import numpy as np
import torch
from torch import nn


def batch_norm_forward(x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5):
    n = x.shape[0]
    if training:
        if n == 1:
            raise ValueError("one row")
        mean = np.sum(x, axis=0) / n
        centered = x - mean
        squares = centered**2
        var = np.sum(squares, axis=0) / n
        std = np.sqrt(var + eps)
        inv_std = 1 / std
        x_hat = centered * inv_std
        out = gamma * x_hat + beta
        running_mean = (1 - momentum) * running_mean + momentum * mean
        running_var = (1 - momentum) * running_var + momentum * var * n / (n - 1)
        cache = (training, x_hat, gamma, centered, inv_std, std)
    else:
        centered = x - running_mean
        std = np.sqrt(running_var + eps)
        inv_std = 1 / std
        x_hat = centered * inv_std
        out = gamma * x_hat + beta
        cache = (training, x_hat, gamma, centered, inv_std, std)
    return out, running_mean, running_var, cache


def batch_norm_backward(d_out, cache):
    training, x_hat, gamma, centered, inv_std, std = cache
    n = d_out.shape[0]
    d_beta = np.sum(d_out, axis=0)
    d_gamma = np.sum(d_out * x_hat, axis=0)
    d_x_hat = d_out * gamma
    if not training:
        d_x = d_x_hat * inv_std
        return d_x, d_gamma, d_beta
    d_inv_std = np.sum(d_x_hat * centered, axis=0)
    d_centered = d_x_hat * inv_std
    d_std = -d_inv_std / std**2
    d_var = 0.5 * d_std / std
    d_squares = d_var * np.ones_like(d_out) / n
    d_centered = d_centered + 2 * centered * d_squares
    d_mean = -np.sum(d_centered, axis=0)
    d_x = d_centered + d_mean / n
    return d_x, d_gamma, d_beta


def batch_norm_2d_forward(
    x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5
):
    N, C, H, W = x.shape
    columns = x.transpose(0, 2, 3, 1).reshape(N * H * W, C)
    out, running_mean, running_var, cache = batch_norm_forward(
        columns, gamma, beta, running_mean, running_var, training, momentum, eps
    )
    out = out.reshape(N, H, W, C).transpose(0, 3, 1, 2)
    return out, running_mean, running_var, cache


def batch_norm_2d_backward(d_out, cache):
    N, C, H, W = d_out.shape
    d_columns = d_out.transpose(0, 2, 3, 1).reshape(N * H * W, C)
    d_x, d_gamma, d_beta = batch_norm_backward(d_columns, cache)
    d_x = d_x.reshape(N, H, W, C).transpose(0, 3, 1, 2)
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
        if self.training:
            n = x.shape[0]
            if n == 1:
                raise ValueError("one row")
            mean = x.mean(0)
            var = ((x - mean) ** 2).mean(0)
            unbiased = var * n / (n - 1)
            self.running_mean = (
                1 - self.momentum
            ) * self.running_mean + self.momentum * mean.detach()
            self.running_var = (
                1 - self.momentum
            ) * self.running_var + self.momentum * unbiased.detach()
            self.num_batches_tracked += 1
        else:
            mean = self.running_mean
            var = self.running_var
        x_hat = (x - mean) / torch.sqrt(var + self.eps)
        return self.weight * x_hat + self.bias


def fold_batch_norm(W, b, gamma, beta, running_mean, running_var, eps):
    std = np.sqrt(running_var + eps)
    scale = gamma / std
    W_folded = W * scale
    b_folded = (b - running_mean) * scale + beta
    return W_folded, b_folded
