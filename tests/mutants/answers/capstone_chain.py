"""The network with one operation in each line."""

import numpy as np


def two_layer_net(x, y, params, running, weight_decay, keep_prob, training, rng):
    W1, b1, gamma, beta, W2, b2 = (params[key] for key in ("W1", "b1", "gamma", "beta", "W2", "b2"))
    old_mean, old_var = running["mean"], running["var"]
    n = x.shape[0]
    rows = np.arange(n)
    momentum = 0.1
    products = x @ W1
    z = products + b1
    if training:
        mean = z.mean(axis=0)
        centered = z - mean
        total = (centered * centered).sum(axis=0)
        var = total / n
        unbiased = total / (n - 1)
        running_mean = old_mean + momentum * (mean - old_mean)
        running_var = old_var + momentum * (unbiased - old_var)
    else:
        centered = z - old_mean
        var = old_var
        running_mean, running_var = old_mean, old_var
    std = np.sqrt(var + 1e-5)
    inv_std = 1 / std
    x_hat = centered * inv_std
    scaled = x_hat * gamma
    affine = scaled + beta
    activated = np.where(affine > 0, affine, 0)
    mask = np.ones_like(activated)
    if training:
        keep = rng.random(activated.shape) < keep_prob
        mask = keep / keep_prob
    dropped = activated * mask
    weighted = dropped @ W2
    scores = weighted + b2
    largest = scores.max(axis=1, keepdims=True)
    exponentials = np.exp(scores - largest)
    totals = exponentials.sum(axis=1, keepdims=True)
    log_totals = np.log(totals) + largest
    right = scores[rows, y]
    costs = log_totals[:, 0] - right
    data_loss = costs.mean()
    squares1 = np.sum(W1**2)
    squares2 = np.sum(W2**2)
    penalty = weight_decay * (squares1 + squares2) / 2
    loss = data_loss + penalty

    probabilities = exponentials / totals
    labels = np.zeros_like(probabilities)
    labels[rows, y] = 1
    errors = probabilities - labels
    d_scores = errors / n
    d_W2 = dropped.T @ d_scores
    d_W2 = d_W2 + weight_decay * W2
    d_b2 = d_scores.sum(axis=0)
    d_dropped = d_scores @ W2.T
    d_activated = d_dropped * mask
    gate = affine > 0
    d_normalized = d_activated * gate
    d_gamma = (d_normalized * x_hat).sum(axis=0)
    d_beta = d_normalized.sum(axis=0)
    d_x_hat = d_normalized * gamma
    d_centered = d_x_hat * inv_std
    d_z = d_centered
    if training:
        d_inv_std = (d_x_hat * centered).sum(axis=0)
        cube = inv_std**3
        d_var = -0.5 * cube * d_inv_std
        d_centered = d_centered + 2 * d_var * centered / n
        through_mean = d_centered.mean(axis=0)
        d_z = d_centered - through_mean
    d_W1 = x.T @ d_z
    d_W1 = d_W1 + weight_decay * W1
    d_b1 = d_z.sum(axis=0)
    grads = {"W1": d_W1, "b1": d_b1, "gamma": d_gamma, "beta": d_beta, "W2": d_W2, "b2": d_b2}
    new_running = {"mean": running_mean, "var": running_var}
    return loss, grads, new_running


def predict(x, params, running):
    z = x @ params["W1"]
    z = z + params["b1"]
    centered = z - running["mean"]
    var = running["var"] + 1e-5
    x_hat = centered / np.sqrt(var)
    scaled = x_hat * params["gamma"]
    affine = scaled + params["beta"]
    activated = np.where(affine > 0, affine, 0)
    scores = activated @ params["W2"]
    return scores + params["b2"]


def train(x, y, params, running, batches, lr, weight_decay, keep_prob, rng):
    losses = []
    training = True
    for batch in batches:
        inputs, labels = x[batch], y[batch]
        loss, grads, running = two_layer_net(
            inputs, labels, params, running, weight_decay, keep_prob, training, rng
        )
        trained = {}
        for name, value in params.items():
            update = lr * grads[name]
            trained[name] = value - update
        params = trained
        losses.append(loss)
    return params, running, losses
