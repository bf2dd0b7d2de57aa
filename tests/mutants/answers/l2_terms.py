"""Sums taken term by term; Adam that adds up one update and takes it at the end."""

import numpy as np


def l2_penalty(weights, weight_decay):
    norms = [np.sum(np.square(w)) for w in weights]
    total = np.sum(norms)
    return total * weight_decay / 2


def l2_penalty_backward(weights, weight_decay):
    gradients = []
    for w in weights:
        d_w = np.zeros_like(w)
        d_w += weight_decay * w
        gradients.append(d_w)
    return gradients


def softmax_regression(x, y, W, b, weight_decay):
    n = x.shape[0]
    rows = np.arange(n)
    scores = x @ W + b
    largest = scores.max(axis=1, keepdims=True)
    log_totals = largest + np.log(np.exp(scores - largest).sum(axis=1, keepdims=True))
    data_loss = 0.0
    for i in range(n):
        data_loss += log_totals[i, 0] - scores[i, y[i]]
    loss = data_loss / n + weight_decay * np.sum(W * W) / 2
    probabilities = np.exp(scores - log_totals)
    labels = np.zeros_like(probabilities)
    labels[rows, y] = 1
    errors = probabilities - labels
    d_W = np.dot(errors.T, x).T / n
    d_W = d_W + weight_decay * W
    d_b = errors.mean(axis=0)
    return loss, d_W, d_b


def sgd_step(param, grad, lr, weight_decay):
    decay = weight_decay * param
    change = lr * grad + lr * decay
    return param - change


def adam_step(param, grad, state, lr, betas, eps, weight_decay, decoupled):
    beta1, beta2 = betas[0], betas[1]
    step = state["step"]
    step += 1
    m, v = state["m"], state["v"]
    decay = weight_decay * param
    if not decoupled:
        grad = grad + decay
    squared = grad * grad
    m = m * beta1 + grad * (1 - beta1)
    v = v * beta2 + squared * (1 - beta2)
    correction1 = 1 - beta1**step
    correction2 = 1 - beta2**step
    m_hat = m / correction1
    v_hat = v / correction2
    root = np.sqrt(v_hat)
    update = m_hat / (root + eps)
    if decoupled:
        update = update + decay
    change = lr * update
    new = param - change
    return new, {"step": step, "m": m, "v": v}
