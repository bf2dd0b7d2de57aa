"""Right answers to the exercise on weight decay, each in a way that could be taken for wrong.

Each function is one style: it says what the risk is, and returns the functions that a student
would have handed in.
"""

import copy
import itertools
import math
import pickle
from types import SimpleNamespace

import numpy as np


def scalar_loops():
    """Python loops add in another order, and return Python floats."""

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
    """Sums of products by einsum, which rounds otherwise than a matrix product."""

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


def one_flat_vector():
    """Results are views of one flat vector."""

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
    """Much is changed in place, but only in copies of the arguments."""

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


def classes():
    """The answers are callable objects, not functions."""

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


def complex_step():
    """Complex numbers on the way; gradients with other rounding than any formula."""

    def slope(function, array):
        gradient = np.empty(array.shape)
        for index in np.ndindex(array.shape):
            nudged = array.astype(complex)
            nudged[index] += 1e-200j
            gradient[index] = np.imag(function(nudged)) / 1e-200
        return gradient

    def penalty(weights, weight_decay):
        return weight_decay / 2 * sum((w * w).sum() for w in weights)

    def l2_penalty(weights, weight_decay):
        return penalty(weights, weight_decay)

    def l2_penalty_backward(weights, weight_decay):
        return [slope(lambda w: penalty([w], weight_decay), w) for w in weights]

    def softmax_regression(x, y, W, b, weight_decay):
        def loss(W, b):
            s = x @ W + b
            s = s - s.real.max(axis=1, keepdims=True)
            log_z = np.log(np.exp(s).sum(axis=1))
            return (log_z - s[np.arange(len(y)), y]).mean() + penalty([W], weight_decay)

        return (
            loss(W, b),
            slope(lambda changed: loss(changed, b), W),
            slope(lambda changed: loss(W, changed), b),
        )

    def sgd_step(param, grad, lr, weight_decay):
        return param - lr * (grad + slope(lambda w: penalty([w], weight_decay), param))

    return l2_penalty, l2_penalty_backward, softmax_regression, sgd_step


def long_doubles():
    """More digits on the way than float64 has."""

    def wide(array):
        return np.asarray(array, dtype=np.longdouble)

    def l2_penalty(weights, weight_decay):
        return np.float64(wide(weight_decay) / 2 * sum((wide(w) ** 2).sum() for w in weights))

    def l2_penalty_backward(weights, weight_decay):
        return [(wide(weight_decay) * wide(w)).astype(np.float64) for w in weights]

    def softmax_regression(x, y, W, b, weight_decay):
        s = wide(x) @ wide(W) + wide(b)
        log_p = s - np.logaddexp.reduce(s, axis=1, keepdims=True)
        d = np.exp(log_p)
        d[np.arange(len(y)), y] -= 1
        d /= len(y)
        loss = -log_p[np.arange(len(y)), y].mean() + wide(weight_decay) / 2 * (wide(W) ** 2).sum()
        d_W = wide(x).T @ d + wide(weight_decay) * wide(W)
        return float(loss), d_W.astype(float), d.sum(axis=0).astype(float)

    def sgd_step(param, grad, lr, weight_decay):
        return np.float64(wide(param) - wide(lr) * (wide(grad) + wide(weight_decay) * wide(param)))

    def adam_step(param, grad, state, lr, betas, eps, weight_decay, decoupled):
        w, g = wide(param), wide(grad)
        lr, weight_decay, beta1, beta2 = map(wide, (lr, weight_decay, *betas))
        w, g = (w - lr * weight_decay * w, g) if decoupled else (w, g + weight_decay * w)
        t = state["step"] + 1
        m = beta1 * wide(state["m"]) + (1 - beta1) * g
        v = beta2 * wide(state["v"]) + (1 - beta2) * g * g
        w = w - lr * (m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + eps)
        return w.astype(float), {"step": t, "m": m.astype(float), "v": v.astype(float)}

    return l2_penalty, l2_penalty_backward, softmax_regression, sgd_step, adam_step


def any_arguments():
    """Signatures that take whatever comes; tuples and other mappings in return."""

    def l2_penalty(*arguments):
        weights, strength = arguments
        return strength * 0.5 * sum(map(lambda w: np.square(w).sum(), weights))  # noqa: C417

    def l2_penalty_backward(weights, *strength):
        return tuple(w * s for w, s in itertools.product(weights, strength))

    def softmax_regression(x, y, *rest):
        W, b, strength = rest
        keep = SimpleNamespace(s=x @ W + b)
        keep.s -= np.max(keep.s, axis=1, keepdims=True)
        keep.e = np.exp(keep.s)
        keep.z = np.sum(keep.e, axis=1, keepdims=True)
        keep.p = keep.e / keep.z
        hit = np.zeros(keep.p.shape, dtype=bool)
        np.put_along_axis(hit, y[:, None], True, axis=1)
        loss = np.mean(np.log(keep.z[:, 0]) - keep.s[hit]) + l2_penalty([W], strength)
        keep.p[hit] -= 1
        (d_W,) = l2_penalty_backward([W], strength)
        return [loss, keep.p.T.dot(x).T / len(y) + d_W, np.mean(keep.p, axis=0)]

    def sgd_step(param, grad, **options):
        return param - options["lr"] * grad - options["lr"] * options["weight_decay"] * param

    def adam_step(*arguments, **named):
        order = ("param", "grad", "state", "lr", "betas", "eps", "weight_decay", "decoupled")
        a = SimpleNamespace(**dict(zip(order, arguments, strict=False)), **named)
        pull = a.weight_decay * a.param
        g = a.grad + pull * (not a.decoupled)
        new = copy.deepcopy(dict(a.state))
        new["step"] += 1
        for key, beta, value in zip("mv", a.betas, (g, g * g), strict=True):
            new[key] = new[key] * beta + value * (1 - beta)
        ratio = new["m"] / (1 - a.betas[0] ** new["step"])
        ratio /= np.sqrt(new["v"] / (1 - a.betas[1] ** new["step"])) + a.eps
        return [a.param - a.lr * (ratio + pull * bool(a.decoupled)), new]

    # The exercise shows how sgd_step is called: by name or by position.
    def sgd_step_by_position(param, grad, lr, weight_decay):
        return sgd_step(param, grad, lr=lr, weight_decay=weight_decay)

    sgd_step_by_position.__name__ = "sgd_step"
    return l2_penalty, l2_penalty_backward, softmax_regression, sgd_step_by_position, adam_step


def chatty():
    """Prints, warnings and np.seterr on the way."""

    def l2_penalty(weights, weight_decay):
        print("weights:", *(w.shape for w in weights))
        with np.errstate(divide="raise", invalid="raise"):
            return weight_decay * np.hstack([w.ravel() ** 2 for w in weights]).sum() / 2

    def l2_penalty_backward(weights, weight_decay):
        mine = pickle.loads(pickle.dumps(weights))
        for w in mine:
            w *= weight_decay
        return mine

    def softmax_regression(x, y, W, b, weight_decay):
        with np.errstate(over="raise", divide="raise", invalid="raise"):
            s = x @ W + b
            print(f"scores from {s.min():.3g} to {s.max():.3g}")
            s = s - s.max(axis=1)[:, None]
            e = np.exp(s)
            p = e / e.sum(axis=1)[:, None]
            right = np.ravel_multi_index((np.arange(len(y)), y), s.shape)
            loss = np.log(e.sum(axis=1)).mean() - s.take(right).mean()
        np.testing.assert_allclose(p.sum(axis=1), 1)
        d = p.copy()
        d.flat[right] -= 1
        d_W = x.T @ d / len(y)
        return loss + l2_penalty([W], weight_decay), d_W + weight_decay * W, d.sum(0) / len(y)

    def sgd_step(param, grad, lr, weight_decay):
        print(f"{lr=} {weight_decay=}")
        return np.add(param * (1 - lr * weight_decay), -lr * grad)

    def adam_step(param, grad, state, lr, betas, eps, weight_decay, decoupled):
        param, grad, state = pickle.loads(pickle.dumps((param, grad, state)))
        print("step", state["step"])
        (b1, b2), strength = betas, weight_decay
        if decoupled:
            param *= 1 - lr * strength
        else:
            grad += strength * param
        state["step"] += 1
        state.update(m=b1 * state["m"] + (1 - b1) * grad, v=b2 * state["v"] + (1 - b2) * grad**2)
        unbiased = state["m"] / (1 - b1 ** state["step"]), state["v"] / (1 - b2 ** state["step"])
        param -= lr * unbiased[0] / (np.sqrt(unbiased[1]) + eps)
        return param, state

    return l2_penalty, l2_penalty_backward, softmax_regression, sgd_step, adam_step


STYLES = (
    scalar_loops,
    einsum,
    one_flat_vector,
    in_place_on_copies,
    classes,
    complex_step,
    long_doubles,
    any_arguments,
    chatty,
)
