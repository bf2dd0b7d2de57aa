"""Answers to the exercise on weight decay, written from its notebook's text alone.

Nobody had looked at the solutions or the grader when these were written. Each function below is
one style and returns the functions that a student would have handed in.
"""

import functools
import itertools
import math
import operator

import numpy as np


def plainest():
    def l2_penalty(weights, weight_decay):
        return weight_decay / 2 * sum(np.sum(w**2) for w in weights)

    def l2_penalty_backward(weights, weight_decay):
        return [weight_decay * w for w in weights]

    def softmax_regression(x, y, W, b, weight_decay):
        n = len(x)
        scores = x @ W + b
        scores = scores - scores.max(axis=1, keepdims=True)
        log_p = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
        loss = -log_p[np.arange(n), y].mean() + weight_decay / 2 * np.sum(W**2)
        d_scores = np.exp(log_p)
        d_scores[np.arange(n), y] -= 1
        d_scores /= n
        return loss, x.T @ d_scores + weight_decay * W, d_scores.sum(axis=0)

    def sgd_step(param, grad, lr, weight_decay):
        return param - lr * (grad + weight_decay * param)

    def adam_step(param, grad, state, lr, betas, eps, weight_decay, decoupled):
        if decoupled:
            param = param * (1 - lr * weight_decay)
        else:
            grad = grad + weight_decay * param
        t = state["step"] + 1
        m = betas[0] * state["m"] + (1 - betas[0]) * grad
        v = betas[1] * state["v"] + (1 - betas[1]) * grad**2
        m_hat = m / (1 - betas[0] ** t)
        v_hat = v / (1 - betas[1] ** t)
        param = param - lr * m_hat / (np.sqrt(v_hat) + eps)
        return param, {"step": t, "m": m, "v": v}

    return l2_penalty, l2_penalty_backward, softmax_regression, sgd_step, adam_step


def scalar_loops():
    def l2_penalty(weights, weight_decay):
        total = 0.0
        for w in weights:
            for value in w.ravel().tolist():
                total += value * value
        return 0.5 * weight_decay * total

    def l2_penalty_backward(weights, weight_decay):
        gradients = []
        for w in weights:
            d_w = np.zeros(w.shape)
            for index in np.ndindex(*w.shape):
                d_w[index] = weight_decay * w[index]
            gradients.append(d_w)
        return gradients

    def softmax_regression(x, y, W, b, weight_decay):
        n, d = x.shape
        c = W.shape[1]
        loss = 0.0
        d_W, d_b = np.zeros((d, c)), np.zeros(c)
        for i in range(n):
            s = [sum(x[i, j] * W[j, k] for j in range(d)) + b[k] for k in range(c)]
            top = max(s)
            z = sum(math.exp(v - top) for v in s)
            loss -= (s[y[i]] - top - math.log(z)) / n
            for k in range(c):
                g = (math.exp(s[k] - top) / z - (1.0 if k == y[i] else 0.0)) / n
                d_b[k] += g
                for j in range(d):
                    d_W[j, k] += g * x[i, j]
        for j in range(d):
            for k in range(c):
                loss += weight_decay / 2 * W[j, k] ** 2
                d_W[j, k] += weight_decay * W[j, k]
        return loss, d_W, d_b

    def sgd_step(param, grad, lr, weight_decay):
        new = np.empty(param.shape)
        for index, value in np.ndenumerate(param):
            new[index] = value - lr * (grad[index] + weight_decay * value)
        return new

    def adam_step(param, grad, state, lr, betas, eps, weight_decay, decoupled):
        b1, b2 = betas
        step = state["step"] + 1
        new, m, v = np.zeros(param.shape), np.zeros(param.shape), np.zeros(param.shape)
        for i in np.ndindex(*param.shape):
            w, g = float(param[i]), float(grad[i])
            if decoupled:
                w -= lr * weight_decay * w
            else:
                g += weight_decay * w
            m[i] = b1 * state["m"][i] + (1 - b1) * g
            v[i] = b2 * state["v"][i] + (1 - b2) * g * g
            new[i] = w - lr * (m[i] / (1 - b1**step)) / (math.sqrt(v[i] / (1 - b2**step)) + eps)
        return new, {"step": step, "m": m, "v": v}

    return l2_penalty, l2_penalty_backward, softmax_regression, sgd_step, adam_step


def einsum():
    def l2_penalty(weights, weight_decay):
        squares = 0
        for w in weights:
            flat = w.reshape(-1)
            squares = squares + np.einsum("i,i->", flat, flat)
        return weight_decay * squares / 2

    def l2_penalty_backward(weights, weight_decay):
        return [np.einsum("...,->...", w, weight_decay) for w in weights]

    def softmax_regression(x, y, W, b, weight_decay):
        n, c = x.shape[0], W.shape[1]
        s = np.einsum("nd,dc->nc", x, W) + b[None, :]
        e = np.exp(s - np.max(s, axis=1)[:, None])
        p = np.einsum("nc,n->nc", e, 1 / np.einsum("nc->n", e))
        one_hot = np.eye(c)[y]
        top = np.max(s, axis=1)
        log_z = top + np.log(np.einsum("nc->n", e))
        loss = (np.einsum("n->", log_z) - np.einsum("nc,nc->", s, one_hot)) / n
        loss += weight_decay / 2 * np.einsum("dc,dc->", W, W)
        d_W = np.einsum("nd,nc->dc", x, p - one_hot) / n + weight_decay * W
        return loss, d_W, np.einsum("nc->c", p - one_hot) / n

    def sgd_step(param, grad, lr, weight_decay):
        return np.einsum("...,->...", param, 1 - lr * weight_decay) - np.einsum(
            "...,->...", grad, lr
        )

    def adam_step(param, grad, state, lr, betas, eps, weight_decay, decoupled):
        g = grad + (0 if decoupled else 1) * weight_decay * param
        w = param - (lr if decoupled else 0) * weight_decay * param
        t = state["step"] + 1
        m = np.einsum("k...,k->...", np.stack([state["m"], g]), [betas[0], 1 - betas[0]])
        v = np.einsum("k...,k->...", np.stack([state["v"], g * g]), [betas[1], 1 - betas[1]])
        update = (m / (1 - betas[0] ** t)) / ((v / (1 - betas[1] ** t)) ** 0.5 + eps)
        return w - lr * update, {"step": t, "m": m, "v": v}

    return l2_penalty, l2_penalty_backward, softmax_regression, sgd_step, adam_step


def linear_algebra():
    def l2_penalty(weights, weight_decay):
        norms = [np.linalg.norm(w.ravel()) for w in weights]
        return float(weight_decay / 2 * np.dot(norms, norms))

    def l2_penalty_backward(weights, weight_decay):
        return [(weight_decay * np.eye(w.size) @ w.ravel()).reshape(w.shape) for w in weights]

    def softmax_regression(x, y, W, b, weight_decay):
        n = x.shape[0]
        design = np.hstack([x, np.ones((n, 1))])
        theta = np.vstack([W, b])
        penalized = np.diag([1.0] * len(W) + [0.0])
        s = design @ theta
        top = np.max(s, axis=1, keepdims=True)
        log_z = top + np.log(np.sum(np.exp(s - top), axis=1, keepdims=True))
        p = np.exp(s - log_z)
        target = np.zeros_like(p)
        target[np.arange(n), y] = 1
        loss = -np.trace(target.T @ (s - log_z)) / n
        loss += weight_decay / 2 * np.trace(theta.T @ penalized @ theta)
        d_theta = design.T @ (p - target) / n + weight_decay * penalized @ theta
        return float(loss), d_theta[:-1], d_theta[-1]

    def sgd_step(param, grad, lr, weight_decay):
        flat = np.column_stack([param.ravel(), grad.ravel()]) @ np.array(
            [1 - lr * weight_decay, -lr]
        )
        return flat.reshape(param.shape)

    def adam_step(param, grad, state, lr, betas, eps, weight_decay, decoupled):
        beta1, beta2 = betas
        pair = np.array([param.ravel(), grad.ravel()])
        mix = np.eye(2)
        if decoupled:
            mix[0, 0] = 1 - lr * weight_decay
        else:
            mix[1, 0] = weight_decay
        w, g = (mix @ pair).reshape((2, *param.shape))
        t = 1 + state["step"]
        m = beta1 * state["m"] + (1 - beta1) * g
        v = beta2 * state["v"] + (1 - beta2) * np.square(g)
        correction = np.sqrt(1 - beta2**t)
        rate = lr * correction / (1 - beta1**t)
        w = w - rate * m / (np.sqrt(v) + eps * correction)
        return w, {"step": t, "m": m, "v": v}

    return l2_penalty, l2_penalty_backward, softmax_regression, sgd_step, adam_step


def functional():
    def l2_penalty(weights, weight_decay):
        return functools.reduce(lambda s, w: s + weight_decay / 2 * (w * w).sum(), weights, 0.0)

    def l2_penalty_backward(weights, weight_decay):
        return list(map(functools.partial(np.multiply, weight_decay), weights))

    def softmax_regression(x, y, W, b, weight_decay):
        def row(example, label):
            scores = example @ W + b
            shifted = scores - scores.max()
            log_p = shifted - np.log(np.exp(shifted).sum())
            d_s = np.exp(log_p) - (np.arange(len(b)) == label)
            return -log_p[label], np.outer(example, d_s), d_s

        losses, d_Ws, d_bs = zip(*map(row, x, y), strict=True)
        return (
            np.mean(losses) + l2_penalty([W], weight_decay),
            np.mean(d_Ws, axis=0) + l2_penalty_backward([W], weight_decay)[0],
            np.mean(d_bs, axis=0),
        )

    def sgd_step(param, grad, lr, weight_decay):
        total = operator.add(grad, *l2_penalty_backward([param], weight_decay))
        return operator.sub(param, operator.mul(lr, total))

    def adam_step(param, grad, state, lr, betas, eps, weight_decay, decoupled):
        def average(beta, old, new):
            return beta * old + (1 - beta) * new

        def debias(beta, value, t):
            return value / (1 - beta**t)

        g = grad if decoupled else grad + weight_decay * param
        new = {
            "step": state["step"] + 1,
            "m": average(betas[0], state["m"], g),
            "v": average(betas[1], state["v"], g**2),
        }
        m, v = (debias(beta, new[k], new["step"]) for beta, k in zip(betas, "mv", strict=True))
        start = param * (1 - lr * weight_decay) if decoupled else param
        return start - lr * m / (np.sqrt(v) + eps), new

    return l2_penalty, l2_penalty_backward, softmax_regression, sgd_step, adam_step


def one_flat_vector():
    def l2_penalty(weights, weight_decay):
        everything = np.concatenate([w.ravel() for w in weights])
        return 0.5 * weight_decay * np.dot(everything, everything)

    def l2_penalty_backward(weights, weight_decay):
        sizes = [w.size for w in weights]
        everything = weight_decay * np.concatenate([np.ravel(w) for w in weights])
        parts = np.split(everything, np.cumsum(sizes)[:-1])
        return [part.reshape(w.shape) for part, w in zip(parts, weights, strict=True)]

    def softmax_regression(x, y, W, b, weight_decay):
        n = y.size
        s = np.dot(x, W)
        s += b
        s -= np.amax(s, 1).reshape(n, 1)
        flat = np.arange(n) * s.shape[1] + y
        p = np.exp(s)
        z = p.sum(1)
        loss = np.log(z).sum() / n - s.ravel()[flat].sum() / n + l2_penalty([W], weight_decay)
        p /= z.reshape(n, 1)
        p.ravel()[flat] -= 1.0
        d_W = np.dot(x.T, p)
        d_W /= n
        d_W += weight_decay * W
        return loss, d_W, p.sum(0) / n

    def sgd_step(param, grad, lr, weight_decay):
        w = param.flatten()
        w *= 1 - lr * weight_decay
        w -= lr * grad.ravel()
        return w.reshape(param.shape)

    def adam_step(param, grad, state, lr, betas, eps, weight_decay, decoupled):
        w, g = param.flatten(), grad.flatten()
        if not decoupled:
            g += weight_decay * w
        if decoupled:
            w *= 1 - lr * weight_decay
        t = state["step"] + 1
        m = state["m"].flatten()
        m += (1 - betas[0]) * (g - m)
        v = state["v"].flatten()
        v += (1 - betas[1]) * (g * g - v)
        w -= lr / (1 - betas[0] ** t) * m / (eps + np.sqrt(v / (1 - betas[1] ** t)))
        shape = param.shape
        return w.reshape(shape), {"step": t, "m": m.reshape(shape), "v": v.reshape(shape)}

    return l2_penalty, l2_penalty_backward, softmax_regression, sgd_step, adam_step


def in_place_on_copies():
    def l2_penalty(weights, weight_decay):
        total = np.zeros(())
        for w in weights:
            square = w.copy()
            square *= w
            total += square.sum()
        total *= weight_decay / 2
        return total

    def l2_penalty_backward(weights, weight_decay):
        result = [np.array(w, dtype=float) for w in weights]
        for d_w in result:
            d_w *= weight_decay
        return result

    def softmax_regression(x, y, W, b, weight_decay):
        rows = np.arange(x.shape[0])
        buffer = x @ W
        buffer += b
        buffer -= buffer.max(axis=-1)[..., np.newaxis]
        right = buffer[rows, y].copy()
        np.exp(buffer, out=buffer)
        z = buffer.sum(axis=-1)
        buffer /= z[..., np.newaxis]
        loss = np.log(z)
        loss -= right
        loss = loss.mean()
        loss += 0.5 * weight_decay * np.vdot(W, W)
        np.subtract.at(buffer, (rows, y), 1)
        buffer /= x.shape[0]
        d_W = W.copy()
        d_W *= weight_decay
        d_W += x.T @ buffer
        return loss, d_W, buffer.sum(axis=0)

    def sgd_step(param, grad, lr, weight_decay):
        step = param.copy()
        step *= weight_decay
        step += grad
        step *= -lr
        step += param
        return step

    def adam_step(param, grad, state, lr, betas, eps, weight_decay, decoupled):
        param, grad = param.copy(), grad.copy()
        state = {name: np.copy(value) for name, value in state.items()}
        state["step"] = int(state["step"]) + 1
        if decoupled:
            param -= lr * weight_decay * param
        else:
            grad += weight_decay * param
        state["m"] *= betas[0]
        state["m"] += (1 - betas[0]) * grad
        state["v"] *= betas[1]
        grad *= grad
        state["v"] += (1 - betas[1]) * grad
        root = state["v"] / (1 - betas[1] ** state["step"])
        np.sqrt(root, out=root)
        root += eps
        param -= lr * (state["m"] / (1 - betas[0] ** state["step"])) / root
        return param, state

    return l2_penalty, l2_penalty_backward, softmax_regression, sgd_step, adam_step


def numpy_ufuncs():
    def l2_penalty(weights, weight_decay):
        parts = [np.add.reduce(np.square(w), axis=None) for w in weights]
        return np.multiply(np.true_divide(weight_decay, 2), np.add.reduce(parts))

    def l2_penalty_backward(weights, weight_decay):
        return [np.multiply(w, weight_decay, out=np.empty_like(w, dtype=float)) for w in weights]

    def softmax_regression(x, y, W, b, weight_decay):
        s = np.add(np.matmul(x, W), b)
        log_z = np.logaddexp.reduce(s, axis=1)
        log_p = np.subtract(s, log_z[:, np.newaxis])
        losses = np.negative(np.take_along_axis(log_p, y[:, np.newaxis], axis=1))
        loss = np.average(losses) + np.multiply(weight_decay / 2, np.square(W).sum())
        d_s = np.true_divide(np.exp(log_p) - np.equal.outer(y, np.arange(W.shape[1])), len(y))
        d_W = np.add(np.matmul(np.transpose(x), d_s), np.multiply(weight_decay, W))
        return loss, d_W, np.add.reduce(d_s, axis=0)

    def sgd_step(param, grad, lr, weight_decay):
        return np.subtract(param, np.multiply(lr, np.add(grad, np.multiply(weight_decay, param))))

    def adam_step(param, grad, state, lr, betas, eps, weight_decay, decoupled):
        shrink = np.where(decoupled, 1 - lr * weight_decay, 1.0)
        coupling = np.where(decoupled, 0.0, weight_decay)
        grad = np.add(grad, np.multiply(coupling, param))
        t = np.add(state["step"], 1)
        m = np.add(np.multiply(betas[0], state["m"]), np.multiply(1 - betas[0], grad))
        v = np.add(np.multiply(betas[1], state["v"]), np.multiply(1 - betas[1], np.square(grad)))
        m_hat = np.true_divide(m, np.subtract(1, np.power(betas[0], t)))
        v_hat = np.true_divide(v, np.subtract(1, np.power(betas[1], t)))
        step = np.multiply(lr, np.true_divide(m_hat, np.add(np.sqrt(v_hat), eps)))
        return np.subtract(np.multiply(shrink, param), step), {"step": t, "m": m, "v": v}

    return l2_penalty, l2_penalty_backward, softmax_regression, sgd_step, adam_step


def classes():
    class Penalty:
        def __init__(self, strength):
            self.strength = strength

        def value(self, w):
            return self.strength / 2 * (np.abs(w) ** 2).sum()

        def gradient(self, w):
            return self.strength * w

    class Softmax:
        def __init__(self, scores):
            self.shifted = scores - scores.max(1, keepdims=True)
            self.log_z = np.log(np.exp(self.shifted).sum(1, keepdims=True))

        @property
        def log_probabilities(self):
            return self.shifted - self.log_z

        @property
        def probabilities(self):
            return np.exp(self.log_probabilities)

    class Average:
        def __init__(self, beta, value):
            self.beta, self.value = beta, value

        def update(self, new):
            self.value = self.beta * self.value + (1 - self.beta) * new
            return self

        def corrected(self, t):
            return self.value / (1 - self.beta**t)

    def l2_penalty(weights, weight_decay):
        penalty = Penalty(weight_decay)
        return sum(penalty.value(w) for w in weights)

    def l2_penalty_backward(weights, weight_decay):
        penalty = Penalty(weight_decay)
        return [penalty.gradient(w) for w in weights]

    def softmax_regression(x, y, W, b, weight_decay):
        penalty, softmax = Penalty(weight_decay), Softmax(x @ W + b)
        Y = np.zeros((x.shape[0], W.shape[1]), dtype=int)
        Y[range(len(y)), y] = 1
        loss = -(Y * softmax.log_probabilities).sum(axis=1).mean() + penalty.value(W)
        error = (softmax.probabilities - Y) / Y.shape[0]
        return loss, x.transpose() @ error + penalty.gradient(W), error.sum(axis=0)

    def sgd_step(param, grad, lr, weight_decay):
        return param - lr * grad - lr * Penalty(weight_decay).gradient(param)

    def adam_step(param, grad, state, lr, betas, eps, weight_decay, decoupled):
        pull = Penalty(weight_decay).gradient(param)
        if decoupled:
            param = param - lr * pull
        else:
            grad = grad + pull
        m = Average(betas[0], state["m"]).update(grad)
        v = Average(betas[1], state["v"]).update(grad**2)
        t = state["step"] + 1
        param = param - lr * m.corrected(t) / (v.corrected(t) ** 0.5 + eps)
        return param, {"m": m.value, "v": v.value, "step": t}

    return l2_penalty, l2_penalty_backward, softmax_regression, sgd_step, adam_step


def roundabout():
    """Everything by the long way: factored constants, masks, transposed matrices."""

    def l2_penalty(weights, weight_decay):
        return math.fsum(itertools.chain(*(np.ravel(w) ** 2 * weight_decay for w in weights))) / 2

    def l2_penalty_backward(weights, weight_decay):
        half = weight_decay / 2
        return [half * w + half * w for w in weights]

    def softmax_regression(x, y, W, b, weight_decay):
        s = (W.T @ x.T + b[:, None]).T
        differences = s[:, :, None] - s[:, None, :]
        # A probability is one over the sum of exp(other - own); too large a sum is a zero.
        with np.errstate(over="ignore"):
            p = 1 / np.exp(-differences).sum(axis=2)
        top = s.max(axis=1)
        mask = np.arange(s.shape[1]) == y[:, None]
        loss = np.log(np.exp((s.T - top).T).sum(axis=1)) + top - s[mask]
        d_s = np.where(mask, p - 1, p)
        d_W = (d_s.T @ x).T / len(y) + weight_decay * W
        return loss.mean() + weight_decay * (W**2).sum() / 2, d_W, d_s.mean(axis=0)

    def sgd_step(param, grad, lr, weight_decay):
        decayed = param - lr * weight_decay * param
        return decayed + (-lr) * grad

    def adam_step(param, grad, state, lr, betas, eps, weight_decay, decoupled):
        if decoupled:
            return adam_step(
                (1 - lr * weight_decay) * param, grad, state, lr, betas, eps, 0.0, False
            )
        t = state["step"] + 1
        grad = grad + weight_decay * param
        m = state["m"] - (1 - betas[0]) * (state["m"] - grad)
        v = state["v"] - (1 - betas[1]) * (state["v"] - grad * grad)
        scale1, scale2 = 1 / (1 - betas[0] ** t), 1 / (1 - betas[1] ** t)
        return param - lr * scale1 * m / (np.sqrt(scale2 * v) + eps), {
            **state,
            "step": t,
            "m": m,
            "v": v,
        }

    return l2_penalty, l2_penalty_backward, softmax_regression, sgd_step, adam_step


def plain_floats():
    def l2_penalty(weights, weight_decay):
        return float(sum(float((w**2).sum()) for w in weights) * weight_decay * 0.5)

    def l2_penalty_backward(weights, weight_decay):
        return [np.asarray(w, dtype=np.float64) * float(weight_decay) for w in weights]

    def softmax_regression(x, y, W, b, weight_decay):
        x, W, b = (np.asarray(a, dtype=np.float64) for a in (x, W, b))
        s = np.matmul(x, W) + b
        m = np.max(s, axis=1, keepdims=True)
        e = np.exp(s - m)
        z = np.sum(e, axis=1, keepdims=True)
        p = e / z
        n = float(x.shape[0])
        picked = [s[i, k] - m[i, 0] - np.log(z[i, 0]) for i, k in enumerate(y)]
        loss = -float(np.sum(picked)) / n + 0.5 * float(weight_decay) * float(np.sum(W * W))
        p[np.arange(len(p)), y] -= 1.0
        return loss, np.matmul(x.T, p) / n + weight_decay * W, np.sum(p, axis=0) / n

    def sgd_step(param, grad, lr, weight_decay):
        keep = 1.0 - float(lr) * float(weight_decay)
        return keep * np.asarray(param) - float(lr) * np.asarray(grad)

    def adam_step(param, grad, state, lr, betas, eps, weight_decay, decoupled):
        beta1, beta2 = map(float, betas)
        w = np.array(param, dtype=np.float64)
        g = np.array(grad, dtype=np.float64)
        if decoupled is False or not decoupled:
            g = g + weight_decay * w
        else:
            w = w - lr * weight_decay * w
        t = int(state["step"]) + 1
        m = beta1 * state["m"] + (1.0 - beta1) * g
        v = beta2 * state["v"] + (1.0 - beta2) * g * g
        denominator = np.sqrt(v) / math.sqrt(1.0 - beta2**t) + eps
        w = w - (lr / (1.0 - beta1**t)) * (m / denominator)
        return np.array(w), {"step": t, "m": np.array(m), "v": np.array(v)}

    return l2_penalty, l2_penalty_backward, softmax_regression, sgd_step, adam_step


def staged_with_checks():
    """Every step has a name and is asserted."""

    def l2_penalty(weights, weight_decay):
        sums_of_squares = np.array([np.sum(np.multiply(w, w)) for w in weights])
        assert np.all(sums_of_squares >= 0)
        total = sums_of_squares.sum()
        return weight_decay * 0.5 * total

    def l2_penalty_backward(weights, weight_decay):
        out = []
        for w in weights:
            d_w = np.full(w.shape, weight_decay) * w
            assert d_w.shape == w.shape
            out.append(d_w)
        return out

    def softmax_regression(x, y, W, b, weight_decay):
        n_examples, n_classes = x.shape[0], b.shape[0]
        scores = x @ W + b
        maxima = np.max(scores, axis=1, keepdims=True)
        shifted = scores - maxima
        exponentials = np.exp(shifted)
        sums = np.sum(exponentials, axis=1, keepdims=True)
        probabilities = exponentials / sums
        np.testing.assert_allclose(probabilities.sum(axis=1), 1.0)
        log_probabilities = shifted - np.log(sums)
        one_hot = np.zeros((n_examples, n_classes))
        one_hot[np.arange(n_examples), y] = 1.0
        data_loss = -np.sum(one_hot * log_probabilities) / n_examples
        penalty = l2_penalty([W], weight_decay)
        d_scores = (probabilities - one_hot) / n_examples
        d_b = np.sum(d_scores, axis=0)
        assert d_b.shape == b.shape
        d_W_data = np.dot(x.T, d_scores)
        (d_W_penalty,) = l2_penalty_backward([W], weight_decay)
        return data_loss + penalty, d_W_data + d_W_penalty, d_b

    def sgd_step(param, grad, lr, weight_decay):
        assert param.shape == grad.shape
        d_penalty = weight_decay * param
        d_total = grad + d_penalty
        update = -lr * d_total
        return param + update

    def adam_step(param, grad, state, lr, betas, eps, weight_decay, decoupled):
        beta1, beta2 = betas
        assert set(state) == {"step", "m", "v"}
        new_state = state.copy()
        new_state["step"] += 1
        t = new_state["step"]
        if decoupled:
            gradient, start = grad, param - lr * weight_decay * param
        else:
            gradient, start = grad + weight_decay * param, param
        new_state["m"] = beta1 * new_state["m"] + (1 - beta1) * gradient
        new_state["v"] = beta2 * new_state["v"] + (1 - beta2) * gradient**2
        m_hat = new_state["m"] / (1 - beta1**t)
        v_hat = new_state["v"] / (1 - beta2**t)
        assert np.all(v_hat >= 0)
        direction = m_hat / (np.sqrt(v_hat) + eps)
        return start - lr * direction, new_state

    return l2_penalty, l2_penalty_backward, softmax_regression, sgd_step, adam_step


FROM_TEXT = (
    plainest,
    scalar_loops,
    einsum,
    linear_algebra,
    functional,
    one_flat_vector,
    in_place_on_copies,
    numpy_ufuncs,
    classes,
    roundabout,
    plain_floats,
    staged_with_checks,
)
