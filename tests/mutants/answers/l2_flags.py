"""Adam whose flag is a factor, with averages that are changed by a difference."""

import numpy as np


def l2_penalty(weights, weight_decay):
    penalty = 0.0
    for w in weights:
        entries = w.reshape(-1)
        penalty = penalty + 0.5 * weight_decay * np.dot(entries, entries)
    return penalty


def sgd_step(param, grad, lr, weight_decay):
    update = grad + weight_decay * param
    update = lr * update
    new = param.copy()
    new -= update
    return new


def adam_step(param, grad, state, lr, betas, eps, weight_decay, decoupled):
    m, v, step = state["m"].copy(), state["v"].copy(), state["step"] + 1
    beta1, beta2 = betas
    l2 = 0 if decoupled else weight_decay
    decay = weight_decay if decoupled else 0
    g = grad + l2 * param
    m -= (1 - beta1) * (m - g)
    v -= (1 - beta2) * (v - g * g)
    power1 = beta1**step
    power2 = beta2**step
    rate = lr * np.sqrt(1 - power2) / (1 - power1)
    param = param - lr * decay * param - rate * m / (np.sqrt(v) + eps * np.sqrt(1 - power2))
    return param, {"m": m, "v": v, "step": step}
