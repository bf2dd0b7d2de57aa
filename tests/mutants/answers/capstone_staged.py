"""The network in steps, and back through each of them."""

import numpy as np


def two_layer_net(x, y, params, running, weight_decay, keep_prob, training, rng):
    W1, b1, gamma, beta = params["W1"], params["b1"], params["gamma"], params["beta"]
    W2, b2 = params["W2"], params["b2"]
    n = x.shape[0]
    eps, momentum = 1e-5, 0.1
    z = x @ W1 + b1
    if training:
        mean = z.mean(axis=0)
        var = z.var(axis=0)
        unbiased = z.var(axis=0, ddof=1)
        running_mean = (1 - momentum) * running["mean"] + momentum * mean
        running_var = (1 - momentum) * running["var"] + momentum * unbiased
    else:
        mean = running["mean"]
        var = running["var"]
        running_mean = running["mean"]
        running_var = running["var"]
    std = np.sqrt(var + eps)
    x_hat = (z - mean) / std
    affine = gamma * x_hat + beta
    activated = np.maximum(0, affine)
    if training:
        mask = rng.random(activated.shape) < keep_prob
        dropped = activated * mask / keep_prob
    else:
        dropped = activated
    scores = dropped @ W2 + b2
    shifted = scores - scores.max(axis=1, keepdims=True)
    exponentials = np.exp(shifted)
    totals = exponentials.sum(axis=1, keepdims=True)
    probabilities = exponentials / totals
    log_probabilities = shifted - np.log(totals)
    data_loss = -np.sum(log_probabilities[np.arange(n), y]) / n
    penalty = 0.5 * weight_decay * (np.sum(W1 * W1) + np.sum(W2 * W2))
    loss = data_loss + penalty

    d_scores = probabilities.copy()
    d_scores[np.arange(n), y] -= 1
    d_scores = d_scores / n
    d_W2 = dropped.T @ d_scores + weight_decay * W2
    d_b2 = d_scores.sum(axis=0)
    d_dropped = d_scores @ W2.T
    if training:
        d_activated = d_dropped * mask / keep_prob
    else:
        d_activated = d_dropped
    d_normalized = d_activated * (affine > 0)
    d_gamma = np.sum(d_normalized * x_hat, axis=0)
    d_beta = np.sum(d_normalized, axis=0)
    d_x_hat = d_normalized * gamma
    if training:
        d_var = np.sum(d_x_hat * (z - mean), axis=0) * -0.5 / std**3
        d_mean = -np.sum(d_x_hat, axis=0) / std
        d_z = d_x_hat / std + 2 * d_var * (z - mean) / n + d_mean / n
    else:
        d_z = d_x_hat / std
    d_W1 = x.T @ d_z + weight_decay * W1
    d_b1 = d_z.sum(axis=0)
    grads = {"W1": d_W1, "b1": d_b1, "gamma": d_gamma, "beta": d_beta, "W2": d_W2, "b2": d_b2}
    return loss, grads, {"mean": running_mean, "var": running_var}


def predict(x, params, running):
    z = x @ params["W1"] + params["b1"]
    std = np.sqrt(running["var"] + 1e-5)
    x_hat = (z - running["mean"]) / std
    affine = params["gamma"] * x_hat + params["beta"]
    activated = np.maximum(0, affine)
    return activated @ params["W2"] + params["b2"]


def train(x, y, params, running, batches, lr, weight_decay, keep_prob, rng):
    losses = []
    params = dict(params)
    for batch in batches:
        loss, grads, running = two_layer_net(
            x[batch], y[batch], params, running, weight_decay, keep_prob, True, rng
        )
        for name in params:
            params[name] = params[name] - lr * grads[name]
        losses.append(loss)
    return params, running, losses
