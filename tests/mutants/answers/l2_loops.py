"""Right answers that go through the examples one by one."""

import numpy as np


def softmax_regression(x, y, W, b, weight_decay):
    n, classes = x.shape[0], W.shape[1]
    data_loss = 0.0
    d_W = np.zeros(W.shape)
    d_b = np.zeros(b.shape)
    for i in range(n):
        scores = np.zeros(classes)
        for k in range(classes):
            for j in range(x.shape[1]):
                scores[k] += x[i, j] * W[j, k]
            scores[k] += b[k]
        largest = max(scores)
        exponentials = np.exp(scores - largest)
        totals = sum(exponentials)
        data_loss += np.log(totals) - (scores[y[i]] - largest)
        for k in range(classes):
            d_score = exponentials[k] / totals - (k == y[i])
            d_W[:, k] += d_score * x[i] / n
            d_b[k] += d_score / n
    penalty = 0.5 * weight_decay * (W**2).sum()
    return data_loss / n + penalty, d_W + weight_decay * W, d_b
