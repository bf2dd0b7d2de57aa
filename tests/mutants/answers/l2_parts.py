"""Right answers in which each operation has a line of its own."""

import numpy as np


def softmax_regression(x, y, W, b, weight_decay):
    n, classes = len(y), len(b)
    products = np.dot(x, W)
    scores = products + b
    largest = np.amax(scores, axis=1)
    shifted = scores - largest[:, np.newaxis]
    exponentials = np.exp(shifted)
    totals = exponentials.sum(axis=1)
    position = np.arange(n) * classes + y
    right = shifted.ravel()[position]
    logarithms = np.log(totals)
    costs = logarithms - right
    data_loss = costs.mean()
    W_squared = np.square(W)
    penalty = weight_decay * W_squared.sum() / 2
    loss = data_loss + penalty
    d_scores = exponentials / totals[:, np.newaxis]
    flat = d_scores.ravel()
    flat[position] = flat[position] - 1
    d_scores = flat.reshape(n, classes) / n
    d_penalty = weight_decay * W
    d_W = x.T @ d_scores
    d_W = d_W + d_penalty
    d_b = d_scores.sum(axis=0)
    return loss, d_W, d_b
