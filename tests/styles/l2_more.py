"""More answers to the exercise on weight decay, in styles that the others leave out."""

import copy
import itertools
import pickle
from types import MappingProxyType, SimpleNamespace

import numpy as np


def complex_step():
    """Gradients by differentiation along the imaginary axis, exact to rounding."""

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
    """Signatures that take whatever comes, and tuples and odd containers in return."""

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


def vectorized_scalars():
    """Functions of single numbers, spread over arrays by np.vectorize."""
    half_square = np.vectorize(lambda w, strength: strength * w * w / 2, otypes=[float])
    pull = np.vectorize(lambda w, strength: strength * w, otypes=[float])
    descend = np.vectorize(lambda w, g, lr, strength: w - lr * (g + strength * w), otypes=[float])

    def adam(w, g, m, v, t, lr, beta1, beta2, eps, strength, decoupled):
        if decoupled:
            w = w - lr * strength * w
        else:
            g = g + strength * w
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g * g
        return w - lr * (m / (1 - beta1**t)) / ((v / (1 - beta2**t)) ** 0.5 + eps), m, v

    def l2_penalty(weights, weight_decay):
        return sum(half_square(w, weight_decay).sum() for w in weights)

    def l2_penalty_backward(weights, weight_decay):
        return [pull(w, weight_decay) for w in weights]

    def softmax_regression(x, y, W, b, weight_decay):
        def row(scores, label):
            shifted = scores - scores.max()
            log_p = shifted - np.log(np.exp(shifted).sum())
            return -log_p[label], np.exp(log_p) - np.eye(len(scores))[label]

        losses, d_s = np.vectorize(row, signature="(c),()->(),(c)")(x @ W + b, y)
        d_W = np.tensordot(x, d_s, axes=(0, 0)) / len(x) + pull(W, weight_decay)
        return losses.mean() + half_square(W, weight_decay).sum(), d_W, d_s.mean(axis=0)

    def sgd_step(param, grad, lr, weight_decay):
        return descend(param, grad, lr, weight_decay)

    def adam_step(param, grad, state, lr, betas, eps, weight_decay, decoupled):
        t = state["step"] + 1
        new, m, v = np.vectorize(adam, otypes=[float] * 3)(
            param, grad, state["m"], state["v"], t, lr, *betas, eps, weight_decay, decoupled
        )
        return new, {"step": t, "m": m, "v": v}

    return l2_penalty, l2_penalty_backward, softmax_regression, sgd_step, adam_step


def one_class_at_a_time():
    def l2_penalty(weights, weight_decay):
        total = 0.0
        for w in weights:
            columns = np.atleast_2d(w.reshape(w.shape[0] if w.ndim else 1, -1)).T
            total += sum(column @ column for column in columns)
        return total * weight_decay / 2

    def l2_penalty_backward(weights, weight_decay):
        return [np.array([weight_decay * part for part in w]) if w.ndim else weight_decay * w
                for w in weights]  # fmt: skip

    def softmax_regression(x, y, W, b, weight_decay):
        scores = [x @ W[:, c] + b[c] for c in range(len(b))]
        top = np.maximum.reduce(scores)
        exponentials = [np.exp(s - top) for s in scores]
        total = np.add.reduce(exponentials)
        loss, d_W, d_b = l2_penalty([W], weight_decay), weight_decay * W, np.zeros(len(b))
        for c, (s, e) in enumerate(zip(scores, exponentials, strict=True)):
            here = y == c
            loss = loss + np.sum((np.log(total) + top - s)[here]) / y.size
            error = (e / total - here) / y.size
            d_W[:, c] += x.T @ error
            d_b[c] = error.sum()
        return loss, d_W, d_b

    def sgd_step(param, grad, lr, weight_decay):
        new = np.array(param)
        for i in range(new.size):
            new.flat[i] -= lr * (grad.flat[i] + weight_decay * param.flat[i])
        return new

    def adam_step(param, grad, state, lr, betas, eps, weight_decay, decoupled):
        frozen = MappingProxyType(state)
        kind = {True: "AdamW", False: "Adam"}[bool(decoupled)]
        start = {"AdamW": (1 - lr * weight_decay) * param, "Adam": param}[kind]
        g = {"AdamW": grad, "Adam": grad + weight_decay * param}[kind]
        t = frozen["step"] + 1
        m = np.average([frozen["m"], g], axis=0, weights=[betas[0], 1 - betas[0]])
        v = np.average([frozen["v"], g**2], axis=0, weights=[betas[1], 1 - betas[1]])
        correction = np.array([1, 1]) - np.power(betas, t)
        step = m / correction[0] / (np.sqrt(v / correction[1]) + eps)
        return start - lr * step, {"step": t, "m": m, "v": v}

    return l2_penalty, l2_penalty_backward, softmax_regression, sgd_step, adam_step


def chatty():
    """Prints, pickles and asks NumPy to be strict on the way."""

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


MORE = (
    complex_step,
    long_doubles,
    any_arguments,
    vectorized_scalars,
    one_class_at_a_time,
    chatty,
)
