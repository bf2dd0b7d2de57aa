"""The network with lines of its own for evaluation, and one loop for both weights' penalty."""

import numpy as np


def two_layer_net(x, y, params, running, weight_decay, keep_prob, training, rng):
    W1, b1, W2, b2 = params["W1"], params["b1"], params["W2"], params["b2"]
    gamma, beta = params["gamma"], params["beta"]
    old_mean, old_var = running["mean"], running["var"]
    n, classes = x.shape[0], W2.shape[1]
    z = x @ W1 + b1
    if training:
        mean = z.sum(axis=0) / n
        centered = z - mean
        squares = (centered**2).sum(axis=0)
        var = squares / n
        inv_std = (var + 1e-5) ** -0.5
        x_hat = centered * inv_std
        affine = x_hat * gamma + beta
        mask = np.where(rng.random(z.shape) < keep_prob, 1 / keep_prob, 0.0)
        hidden = np.where(affine > 0, affine, 0) * mask
        running_mean = 0.9 * old_mean + 0.1 * mean
        running_var = 0.9 * old_var + 0.1 * squares / (n - 1)
    else:
        inv_std = (old_var + 1e-5) ** -0.5
        x_hat = (z - old_mean) * inv_std
        affine = x_hat * gamma + beta
        hidden = np.where(affine > 0, affine, 0)
        running_mean, running_var = old_mean, old_var
    scores = hidden @ W2 + b2
    largest = scores.max(axis=1)
    logarithms = np.log(np.exp(scores - largest[:, None]).sum(axis=1))
    one_hot = np.zeros((n, classes))
    one_hot[np.arange(n), y] = 1.0
    loss = (logarithms + largest).sum() / n - (scores * one_hot).sum() / n

    exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
    probabilities = exponentials / exponentials.sum(axis=1, keepdims=True)
    d_scores = (probabilities - one_hot) / n
    d_W2 = hidden.T @ d_scores
    d_b2 = d_scores.sum(axis=0)
    d_hidden = d_scores @ W2.T
    if training:
        d_normalized = np.where(affine > 0, d_hidden * mask, 0)
        d_gamma = (d_normalized * x_hat).sum(axis=0)
        d_beta = d_normalized.sum(axis=0)
        total = n * d_normalized - d_beta - x_hat * d_gamma
        d_z = gamma * inv_std * total / n
    else:
        d_normalized = np.where(affine > 0, d_hidden, 0)
        d_gamma = (d_normalized * x_hat).sum(axis=0)
        d_beta = d_normalized.sum(axis=0)
        d_z = gamma * inv_std * d_normalized
    d_W1 = x.T @ d_z
    d_b1 = d_z.sum(axis=0)
    grads = {"W1": d_W1, "b1": d_b1, "gamma": d_gamma, "beta": d_beta, "W2": d_W2, "b2": d_b2}
    for name in ("W1", "W2"):
        loss = loss + 0.5 * weight_decay * np.sum(params[name] ** 2)
        grads[name] = grads[name] + weight_decay * params[name]
    return loss, grads, {"mean": running_mean, "var": running_var}
