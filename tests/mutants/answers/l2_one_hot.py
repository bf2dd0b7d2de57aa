"""Softmax regression with one-hot labels; Adam with its corrections in the step size."""

import numpy as np


def l2_penalty(weights, weight_decay):
    return sum(0.5 * weight_decay * (w**2).sum() for w in weights)


def l2_penalty_backward(weights, weight_decay):
    return [w * weight_decay for w in weights]


def softmax_regression(x, y, W, b, weight_decay):
    n, classes = len(x), W.shape[1]
    one_hot = np.zeros((n, classes))
    one_hot[np.arange(n), y] = 1.0
    scores = x @ W + b
    scores = scores - scores.max(axis=1)[:, None]
    log_probabilities = scores - np.log(np.exp(scores).sum(axis=1))[:, None]
    probabilities = np.exp(log_probabilities)
    loss = -(one_hot * log_probabilities).sum() / n + weight_decay / 2 * (W**2).sum()
    d_W = x.T @ (probabilities - one_hot) / n + weight_decay * W
    d_b = (probabilities - one_hot).sum(axis=0) / n
    return loss, d_W, d_b


def sgd_step(param, grad, lr, weight_decay):
    return (1 - lr * weight_decay) * param - lr * grad


def adam_step(param, grad, state, lr, betas, eps, weight_decay, decoupled):
    beta1, beta2 = betas
    step, m, v = state["step"], state["m"], state["v"]
    step = step + 1
    if decoupled:
        param = param - lr * weight_decay * param
    else:
        grad = grad + weight_decay * param
    m = m + (1 - beta1) * (grad - m)
    v = v + (1 - beta2) * (grad**2 - v)
    scale = lr / (1 - beta1**step)
    divisor = np.sqrt(v / (1 - beta2**step)) + eps
    return param - scale * m / divisor, {"step": step, "m": m, "v": v}
