"""The network with one mask for ReLU and dropout, and a backward pass that normalizes again."""

import numpy as np


def two_layer_net(x, y, params, running, weight_decay, keep_prob, training, rng):
    W1, W2, gamma = params["W1"], params["W2"], params["gamma"]
    n, classes = len(x), len(params["b2"])
    z = x @ W1 + params["b1"]
    if training:
        mean, var = z.mean(axis=0), z.var(axis=0)
    else:
        mean, var = running["mean"], running["var"]
    scale = gamma / np.sqrt(var + 1e-5)
    shift = params["beta"] - mean * scale
    affine = z * scale + shift
    factors = (affine > 0).astype(float)
    if training:
        factors = factors * (rng.random(affine.shape) < keep_prob) / keep_prob
    hidden = affine * factors
    scores = hidden @ W2 + params["b2"]
    shifted = scores - scores.max(axis=1, keepdims=True)
    log_probabilities = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    data_loss = -log_probabilities[np.arange(n), y].mean()
    penalty = (W1**2).sum() + (W2**2).sum()
    loss = data_loss + weight_decay / 2 * penalty

    inv_std = 1 / np.sqrt(var + 1e-5)
    x_hat = (z - mean) * inv_std
    one_hot = np.eye(classes)[y]
    d_scores = (np.exp(log_probabilities) - one_hot) / n
    d_normalized = (d_scores @ W2.T) * factors
    d_x_hat = d_normalized * gamma
    if training:
        average = d_x_hat.mean(axis=0)
        slope = (d_x_hat * x_hat).mean(axis=0)
        d_x_hat = d_x_hat - average - x_hat * slope
    d_z = d_x_hat * inv_std
    grads = {
        "W1": x.T @ d_z + weight_decay * W1,
        "b1": d_z.sum(axis=0),
        "gamma": (d_normalized * x_hat).sum(axis=0),
        "beta": d_normalized.sum(axis=0),
        "W2": hidden.T @ d_scores + weight_decay * W2,
        "b2": d_scores.sum(axis=0),
    }
    if not training:
        return loss, grads, running
    unbiased = n / (n - 1) * var
    new_running = {
        "mean": 0.9 * running["mean"] + 0.1 * mean,
        "var": 0.9 * running["var"] + 0.1 * unbiased,
    }
    return loss, grads, new_running


def predict(x, params, running):
    scale = params["gamma"] / np.sqrt(running["var"] + 1e-5)
    shift = (params["b1"] - running["mean"]) * scale + params["beta"]
    hidden = np.maximum(x @ (params["W1"] * scale) + shift, 0)
    return hidden @ params["W2"] + params["b2"]
