"""The penalty, softmax regression and the optimizers, one step after another."""

import numpy as np


def l2_penalty(weights, weight_decay):
    penalty = 0.0
    for w in weights:
        penalty += np.sum(w * w)
    return weight_decay / 2 * penalty


def l2_penalty_backward(weights, weight_decay):
    gradients = []
    for w in weights:
        gradients.append(weight_decay * w)
    return gradients


def softmax_regression(x, y, W, b, weight_decay):
    n = x.shape[0]
    scores = np.dot(x, W) + b
    shifted = scores - np.max(scores, axis=1, keepdims=True)
    exponentials = np.exp(shifted)
    totals = np.sum(exponentials, axis=1, keepdims=True)
    probabilities = exponentials / totals
    data_loss = np.sum(np.log(totals[:, 0]) - shifted[np.arange(n), y]) / n
    penalty = 0.5 * weight_decay * np.sum(W * W)
    loss = data_loss + penalty
    d_scores = probabilities.copy()
    d_scores[np.arange(n), y] -= 1
    d_scores = d_scores / n
    d_W = np.dot(x.T, d_scores)
    d_W += weight_decay * W
    d_b = np.sum(d_scores, axis=0)
    return loss, d_W, d_b


def sgd_step(param, grad, lr, weight_decay):
    grad = grad + weight_decay * param
    return param - lr * grad


def adam_step(param, grad, state, lr, betas, eps, weight_decay, decoupled):
    step = state["step"] + 1
    if not decoupled:
        grad = grad + weight_decay * param
    m = betas[0] * state["m"] + (1 - betas[0]) * grad
    v = betas[1] * state["v"] + (1 - betas[1]) * (grad * grad)
    m_hat = m / (1 - betas[0] ** step)
    v_hat = v / (1 - betas[1] ** step)
    if decoupled:
        param = param - lr * weight_decay * param
    param = param - lr * m_hat / (np.sqrt(v_hat) + eps)
    return param, {"step": step, "m": m, "v": v}


def parameter_groups(model, weight_decay):
    decayed, undecayed = [], []
    for parameter in model.parameters():
        if not parameter.requires_grad:
            continue
        if parameter.dim() > 1:
            decayed.append(parameter)
        else:
            undecayed.append(parameter)
    return [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": undecayed, "weight_decay": 0.0},
    ]
