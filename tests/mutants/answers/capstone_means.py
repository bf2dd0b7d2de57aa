"""The network with averages in batch norm's gradient, and a gradient that is divided late."""

import numpy as np


def two_layer_net(x, y, params, running, weight_decay, keep_prob, training, rng):
    n = len(x)
    keep = 0.9
    z = x.dot(params["W1"]) + params["b1"]
    mean, var = running["mean"], running["var"]
    if training:
        mean = np.mean(z, axis=0)
        var = np.mean((z - mean) ** 2, axis=0)
    scale = params["gamma"] / np.sqrt(var + 1e-5)
    x_hat = (z - mean) / np.sqrt(var + 1e-5)
    affine = scale * (z - mean) + params["beta"]
    hidden = np.maximum(affine, 0)
    mask = 1.0
    if training:
        mask = np.where(rng.random(hidden.shape) < keep_prob, 1 / keep_prob, 0.0)
    dropped = mask * hidden
    scores = dropped.dot(params["W2"]) + params["b2"]
    scores = scores - np.max(scores, axis=1, keepdims=True)
    exponentials = np.exp(scores)
    totals = np.sum(exponentials, axis=1, keepdims=True)
    probabilities = exponentials / totals
    data_loss = np.mean(np.log(totals)) - np.mean(scores[np.arange(n), y])
    penalty = weight_decay * np.sum(params["W1"] ** 2) / 2
    penalty = penalty + weight_decay * np.sum(params["W2"] ** 2) / 2

    errors = probabilities
    errors[np.arange(n), y] -= 1
    d_W2 = dropped.T.dot(errors) / n + weight_decay * params["W2"]
    d_b2 = np.mean(errors, axis=0)
    d_hidden = errors.dot(params["W2"].T) * mask / n
    d_normalized = np.where(affine > 0, d_hidden, 0)
    d_gamma = np.sum(d_normalized * x_hat, axis=0)
    d_beta = np.sum(d_normalized, axis=0)
    centered = d_normalized
    if training:
        average = np.mean(d_normalized, axis=0)
        slope = np.mean(d_normalized * x_hat, axis=0)
        centered = d_normalized - average - slope * x_hat
    d_z = scale * centered
    d_W1 = x.T.dot(d_z) + weight_decay * params["W1"]
    d_b1 = np.sum(d_z, axis=0)
    if training:
        running = {
            "mean": keep * running["mean"] + (1 - keep) * mean,
            "var": keep * running["var"] + (1 - keep) * var * n / (n - 1),
        }
    grads = {"W1": d_W1, "W2": d_W2, "b1": d_b1, "b2": d_b2, "gamma": d_gamma, "beta": d_beta}
    return data_loss + penalty, grads, running


def train(x, y, params, running, batches, lr, weight_decay, keep_prob, rng):
    losses = np.zeros(len(batches))
    weights = {key: np.array(params[key]) for key in params}
    for i, batch in enumerate(batches):
        losses[i], grads, running = two_layer_net(
            x[batch], y[batch], weights, running, weight_decay, keep_prob, True, rng
        )
        for key, grad in grads.items():
            weights[key] = weights[key] - lr * grad
    return weights, running, list(losses)
