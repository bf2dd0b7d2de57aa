"""The network with closed forms: one-hot labels, and batch norm's gradient with sums."""

import numpy as np


def two_layer_net(x, y, params, running, weight_decay, keep_prob, training, rng):
    n = len(x)
    one_hot = np.eye(params["W2"].shape[1])[y]
    z = np.dot(x, params["W1"]) + params["b1"]
    if training:
        mean, var = np.mean(z, axis=0), np.var(z, axis=0)
        running = {
            "mean": 0.9 * running["mean"] + 0.1 * mean,
            "var": 0.9 * running["var"] + 0.1 * np.var(z, axis=0, ddof=1),
        }
    else:
        mean, var = running["mean"], running["var"]
    inv_std = 1 / np.sqrt(var + 1e-5)
    x_hat = (z - mean) * inv_std
    affine = params["gamma"] * x_hat + params["beta"]
    gate = affine > 0
    hidden = affine * gate
    if training:
        mask = (rng.random(hidden.shape) < keep_prob) / keep_prob
        hidden = hidden * mask
    scores = np.dot(hidden, params["W2"]) + params["b2"]
    scores = scores - np.max(scores, axis=1, keepdims=True)
    log_probabilities = scores - np.log(np.sum(np.exp(scores), axis=1, keepdims=True))
    loss = -np.sum(one_hot * log_probabilities) / n
    loss += 0.5 * weight_decay * np.sum(params["W1"] ** 2)
    loss += 0.5 * weight_decay * np.sum(params["W2"] ** 2)

    grads = {}
    d_scores = (np.exp(log_probabilities) - one_hot) / n
    grads["W2"] = np.dot(hidden.T, d_scores) + weight_decay * params["W2"]
    grads["b2"] = np.sum(d_scores, axis=0)
    d_hidden = np.dot(d_scores, params["W2"].T)
    if training:
        d_hidden = d_hidden * mask
    d_normalized = d_hidden * gate
    d_gamma = np.sum(d_normalized * x_hat, axis=0)
    d_beta = np.sum(d_normalized, axis=0)
    d_z = params["gamma"] * inv_std * d_normalized
    if training:
        d_z = params["gamma"] * inv_std / n * (n * d_normalized - d_beta - x_hat * d_gamma)
    grads["gamma"] = d_gamma
    grads["beta"] = d_beta
    grads["W1"] = np.dot(x.T, d_z) + weight_decay * params["W1"]
    grads["b1"] = np.sum(d_z, axis=0)
    return loss, grads, running


def predict(x, params, running):
    z = np.dot(x, params["W1"]) + params["b1"]
    inv_std = 1 / np.sqrt(running["var"] + 1e-5)
    affine = params["gamma"] * (z - running["mean"]) * inv_std + params["beta"]
    hidden = affine * (affine > 0)
    return np.dot(hidden, params["W2"]) + params["b2"]


def train(x, y, params, running, batches, lr, weight_decay, keep_prob, rng):
    losses = []
    params = {name: value.copy() for name, value in params.items()}
    for batch in batches:
        loss, grads, running = two_layer_net(
            x[batch], y[batch], params, running, weight_decay, keep_prob, True, rng
        )
        for name in grads:
            params[name] -= lr * grads[name]
        losses.append(loss)
    return params, running, losses
