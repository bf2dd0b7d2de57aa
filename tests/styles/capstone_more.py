"""More answers to the capstone, in styles that the others leave out."""

import functools
import itertools
import math
import pickle
import warnings
from collections import ChainMap, deque
from types import MappingProxyType, SimpleNamespace

import numpy as np

EPS = 1e-5
WEIGHTS = ("W1", "W2")


def moved(running, z):
    """Return the running statistics after a batch, by PyTorch's convention."""
    return {
        "mean": 0.9 * running["mean"] + 0.1 * z.mean(axis=0),
        "var": 0.9 * running["var"] + 0.1 * z.var(axis=0, ddof=1),
    }


def log_softmax(s):
    s = s - s.max(axis=1, keepdims=True)
    return s - np.log(np.exp(s).sum(axis=1, keepdims=True))


def steps(network):
    """Return a plain training loop around a network."""

    def train(x, y, params, running, batches, lr, weight_decay, keep_prob, rng):
        losses = []
        for batch in batches:
            loss, grads, running = network(
                x[batch], y[batch], params, running, weight_decay, keep_prob, True, rng
            )
            losses.append(loss)
            params = {name: params[name] - lr * grads[name] for name in params}
        return params, running, losses

    return train


def complex_step():
    """Gradients by differentiation along the imaginary axis, exact to rounding."""

    def loss_of(params, x, y, running, mask, training, weight_decay):
        z = x @ params["W1"] + params["b1"]
        mean, var = running["mean"], running["var"]
        if training:
            mean = z.sum(axis=0) / len(z)
            var = ((z - mean) * (z - mean)).sum(axis=0) / len(z)
        a = params["gamma"] * (z - mean) / np.sqrt(var + EPS) + params["beta"]
        s = (mask * np.where(a.real > 0, a, 0)) @ params["W2"] + params["b2"]
        s = s - s.real.max(axis=1, keepdims=True)
        cross_entropy = np.log(np.exp(s).sum(axis=1)) - s[np.arange(len(y)), y]
        squares = sum((params[name] * params[name]).sum() for name in WEIGHTS)
        return cross_entropy.mean() + weight_decay / 2 * squares

    def two_layer_net(x, y, params, running, weight_decay, keep_prob, training, rng):
        mask = 1.0
        if training:
            mask = (rng.random((len(x), len(params["b1"]))) < keep_prob) / keep_prob
        rest = (x, y, running, mask, training, weight_decay)
        grads = {}
        for name, value in params.items():
            grads[name] = np.empty(value.shape)
            for index in np.ndindex(value.shape):
                nudged = value.astype(complex)
                nudged[index] += 1e-200j
                slope = loss_of({**params, name: nudged}, *rest).imag / 1e-200
                grads[name][index] = slope
        new = moved(running, x @ params["W1"] + params["b1"]) if training else running
        return loss_of(params, *rest), grads, new

    def predict(x, params, running):
        z_hat = (x @ params["W1"] + params["b1"] - running["mean"]) / np.sqrt(running["var"] + EPS)
        a = params["gamma"] * z_hat + params["beta"]
        return np.where(a > 0, a, 0) @ params["W2"] + params["b2"]

    return two_layer_net, predict


def long_doubles():
    def wide(mapping):
        return {name: np.asarray(value, dtype=np.longdouble) for name, value in mapping.items()}

    def narrow(mapping):
        return {name: np.asarray(value, dtype=np.float64) for name, value in mapping.items()}

    def two_layer_net(x, y, params, running, weight_decay, keep_prob, training, rng):
        p, run, x = wide(params), wide(running), x.astype(np.longdouble)
        z = x @ p["W1"] + p["b1"]
        mean, var = (z.mean(0), z.var(0)) if training else (run["mean"], run["var"])
        std = np.sqrt(var + np.longdouble("1e-5"))
        z_hat = (z - mean) / std
        a = p["gamma"] * z_hat + p["beta"]
        gate = np.longdouble(a > 0)
        if training:
            gate *= rng.random(a.shape) < keep_prob
            gate /= keep_prob
        h = gate * a
        log_p = log_softmax(h @ p["W2"] + p["b2"])
        rows = np.arange(len(y))
        loss = -log_p[rows, y].mean()
        d_s = np.exp(log_p)
        d_s[rows, y] -= 1
        d_s /= len(y)
        d_a = gate * (d_s @ p["W2"].T)
        g = d_a
        if training:
            g = g - d_a.mean(0) - z_hat * (d_a * z_hat).mean(0)
        d_z = p["gamma"] * g / std
        grads = {
            "W1": x.T @ d_z,
            "b1": d_z.sum(0),
            "gamma": (d_a * z_hat).sum(0),
            "beta": d_a.sum(0),
            "W2": h.T @ d_s,
            "b2": d_s.sum(0),
        }
        for name in WEIGHTS:
            loss += weight_decay / np.longdouble(2) * (p[name] ** 2).sum()
            grads[name] += weight_decay * p[name]
        return float(loss), narrow(grads), narrow(moved(run, z)) if training else running

    def predict(x, params, running):
        p, run = wide(params), wide(running)
        z_hat = (x @ p["W1"] + p["b1"] - run["mean"]) / np.sqrt(run["var"] + EPS)
        h = np.maximum(p["gamma"] * z_hat + p["beta"], 0)
        return (h @ p["W2"] + p["b2"]).astype(float)

    return two_layer_net, predict, steps(two_layer_net)


def sequential():
    """Layers are pairs of functions; the network is a list of them."""

    def linear(x, W, b):
        return x @ W + b, lambda d: (d @ W.T, {"W": x.T @ d, "b": d.sum(0)})

    def batch_norm(z, gamma, beta, mean, var, training):
        x_hat = (z - mean) / np.sqrt(var + EPS)

        def back(d):
            grads = {"gamma": (d * x_hat).sum(0), "beta": d.sum(0)}
            shared = (grads["beta"] + x_hat * grads["gamma"]) / len(d) if training else 0
            return (d - shared) * gamma / np.sqrt(var + EPS), grads

        return gamma * x_hat + beta, back

    def gate(h, factor):
        return h * factor, lambda d: (d * factor, {})

    def cross_entropy(s, y):
        log_p = log_softmax(s)
        target = np.identity(s.shape[1])[y]
        d = (np.exp(log_p) - target) / len(y)
        return -(log_p * target).sum() / len(y), d

    def two_layer_net(x, y, params, running, weight_decay, keep_prob, training, rng):
        p = SimpleNamespace(**params)
        backs = deque()
        z, back = linear(x, p.W1, p.b1)
        backs.appendleft((back, {"W": "W1", "b": "b1"}))
        mean, var = (z.mean(0), z.var(0)) if training else (running["mean"], running["var"])
        a, back = batch_norm(z, p.gamma, p.beta, mean, var, training)
        backs.appendleft((back, {"gamma": "gamma", "beta": "beta"}))
        h, back = gate(a, a > 0)
        backs.appendleft((back, {}))
        if training:
            h, back = gate(h, (rng.random(h.shape) < keep_prob) / keep_prob)
            backs.appendleft((back, {}))
        s, back = linear(h, p.W2, p.b2)
        backs.appendleft((back, {"W": "W2", "b": "b2"}))
        loss, d = cross_entropy(s, y)
        grads = {}
        for back, names in backs:
            d, found = back(d)
            grads.update({names[key]: value for key, value in found.items()})
        for name in WEIGHTS:
            loss = loss + weight_decay * np.vdot(params[name], params[name]) / 2
            grads[name] = grads[name] + weight_decay * params[name]
        return loss, grads, moved(running, z) if training else running

    def predict(x, params, running):
        a, _ = batch_norm(
            linear(x, params["W1"], params["b1"])[0],
            params["gamma"],
            params["beta"],
            running["mean"],
            running["var"],
            False,
        )
        return linear(gate(a, a > 0)[0], params["W2"], params["b2"])[0]

    return two_layer_net, predict, steps(two_layer_net)


def one_vector_of_parameters():
    """All parameters in one vector, and all gradients."""
    names = ("W1", "b1", "gamma", "beta", "W2", "b2")

    def pack(values):
        return np.concatenate([np.ravel(values[name]) for name in names])

    def unpack(vector, like):
        ends = np.cumsum([like[name].size for name in names])[:-1]
        parts = zip(names, np.split(vector, ends), strict=True)
        return {name: part.reshape(like[name].shape) for name, part in parts}

    def two_layer_net(x, y, params, running, weight_decay, keep_prob, training, rng):
        theta = pack(params)
        decayed = pack({k: np.full(v.shape, float(k in WEIGHTS)) for k, v in params.items()})
        W1, b1, gamma, beta, W2, b2 = (unpack(theta, params)[name] for name in names)
        z = x @ W1 + b1
        mean, var = (running["mean"], running["var"]) if not training else (z.mean(0), z.var(0))
        rate = 1 / np.sqrt(var + EPS)
        z_hat = (z - mean) * rate
        a = gamma * z_hat + beta
        open_ = np.sign(np.maximum(a, 0))
        if training:
            open_ = open_ * np.where(rng.random(a.shape) < keep_prob, 1 / keep_prob, 0.0)
        log_p = log_softmax((a * open_) @ W2 + b2)
        d_s = (np.exp(log_p) - np.equal.outer(y, np.arange(len(b2)))) / len(y)
        d_a = open_ * (d_s @ W2.T)
        d_z = d_a * gamma * rate
        if training:
            d_z = d_z - d_z.mean(0) - z_hat * (d_z * z_hat).mean(0)
        data = (x.T @ d_z, d_z.sum(0), (d_a * z_hat).sum(0), d_a.sum(0), (a * open_).T @ d_s)
        gradient = pack(dict(zip(names, (*data, d_s.sum(0)), strict=True)))
        loss = -np.mean(log_p[np.arange(len(y)), y]) + weight_decay / 2 * (decayed * theta) @ theta
        grads = unpack(gradient + weight_decay * decayed * theta, params)
        return loss, grads, moved(running, z) if training else running

    def train(x, y, params, running, batches, lr, weight_decay, keep_prob, rng):
        theta, losses = pack(params), []
        for batch in batches:
            loss, grads, running = two_layer_net(
                x[batch],
                y[batch],
                unpack(theta, params),
                running,
                weight_decay,
                keep_prob,
                True,
                rng,
            )
            theta = theta - lr * pack(grads)
            losses.append(loss)
        return unpack(theta, params), running, losses

    return two_layer_net, train


def outer_products():
    """The gradient of each row by itself; their mean at the end."""

    def two_layer_net(x, y, params, running, weight_decay, keep_prob, training, rng):
        n = len(x)
        z = np.stack([row @ params["W1"] for row in x]) + params["b1"]
        mean, var = running["mean"], running["var"]
        if training:
            mean, var = np.mean(z, axis=0), np.mean((z - np.mean(z, axis=0)) ** 2, axis=0)
        z_hat = (z - mean) / np.sqrt(var + EPS)
        a = params["gamma"] * z_hat + params["beta"]
        factor = np.piecewise(a, [a > 0], [1.0, 0.0])
        if training:
            factor = factor * (rng.random(a.shape) < keep_prob) / keep_prob
        log_p = log_softmax(np.stack([h @ params["W2"] for h in factor * a]) + params["b2"])
        d_s = np.exp(log_p)
        for row, label in zip(d_s, y, strict=True):
            row[label] -= 1
        d_a = np.stack([f * (params["W2"] @ d) for f, d in zip(factor, d_s, strict=True)])
        shared = 0
        if training:
            shared = np.mean(d_a, axis=0) + z_hat * np.mean(d_a * z_hat, axis=0)
        d_z = (d_a - shared) * params["gamma"] / np.sqrt(var + EPS)
        grads = {
            "W1": np.mean([np.outer(r, d) for r, d in zip(x, d_z, strict=True)], axis=0),
            "b1": np.mean(d_z, axis=0),
            "gamma": np.mean(d_a * z_hat, axis=0),
            "beta": np.mean(d_a, axis=0),
            "W2": np.mean([np.outer(h, d) for h, d in zip(factor * a, d_s, strict=True)], axis=0),
            "b2": np.mean(d_s, axis=0),
        }
        loss = -math.fsum(log_p[i, label] for i, label in enumerate(y)) / n
        for name in WEIGHTS:
            loss += weight_decay / 2 * math.fsum(w * w for w in params[name].flat)
            grads[name] += weight_decay * params[name]
        return loss, grads, moved(running, z) if training else running

    def predict(x, params, running):
        std = np.sqrt(running["var"] + EPS)
        return np.concatenate(
            [
                np.fmax(
                    params["gamma"] * (row @ params["W1"] + params["b1"] - running["mean"]) / std
                    + params["beta"],
                    0,
                )[None]
                @ params["W2"]
                + params["b2"]
                for row in x
            ]
        )

    return two_layer_net, predict, steps(two_layer_net)


def kronecker():
    """Gradients of the weights as vectors: vec(AᵀB) is a product with a Kronecker matrix."""

    def product(A, B):
        vector = np.kron(np.eye(B.shape[1]), A.T) @ B.T.ravel()
        return vector.reshape(B.shape[1], A.shape[1]).T

    def two_layer_net(x, y, params, running, weight_decay, keep_prob, training, rng):
        z = np.linalg.multi_dot([np.eye(len(x)), x, params["W1"]]) + params["b1"]
        used = {"mean": z.mean(0), "var": z.var(0)} if training else running
        rate = np.power(used["var"] + EPS, -0.5)
        z_hat = (z - used["mean"]) * rate
        a = z_hat * params["gamma"] + params["beta"]
        mask = np.ones(a.shape)
        if training:
            mask = np.where(np.less(rng.random(a.shape), keep_prob), mask / keep_prob, 0 * mask)
        h = (np.abs(a) + a) / 2 * mask
        log_p = log_softmax(np.inner(h, params["W2"].T) + params["b2"])
        Y = np.zeros(log_p.shape)
        np.put_along_axis(Y, y[:, np.newaxis], 1.0, axis=1)
        d_s = (np.exp(log_p) - Y) / len(y)
        d_a = np.inner(d_s, params["W2"]) * mask * (np.sign(a) + 1 > 1)
        d_gamma, d_beta = product(d_a * z_hat, np.ones((len(x), 1)))[:, 0], d_a.sum(0)
        d_z = d_a - (d_beta + z_hat * d_gamma) / len(x) if training else d_a
        d_z = d_z * params["gamma"] * rate
        squares = [np.trace(params[name].T @ params[name]) for name in WEIGHTS]
        loss = -np.tensordot(Y, log_p, 2) / len(y) + 0.5 * weight_decay * np.sum(squares)
        grads = {
            "b2": d_s.sum(0),
            "W2": product(h, d_s) + weight_decay * params["W2"],
            "beta": d_beta,
            "gamma": d_gamma,
            "b1": d_z.sum(0),
            "W1": product(x, d_z) + weight_decay * params["W1"],
        }
        return np.asarray(loss), grads, moved(running, z) if training else running

    return two_layer_net, steps(two_layer_net)


def generators():
    """Training as a generator of states; loops over hidden units and classes."""

    def unit(x, params, j):
        return x @ params["W1"][:, j] + params["b1"][j]

    def two_layer_net(x, y, params, running, weight_decay, keep_prob, training, rng):
        n, width, classes = len(x), len(params["b1"]), len(params["b2"])
        keep = rng.random((n, width)) < keep_prob if training else np.ones((n, width), bool)
        scale = 1 / keep_prob if training else 1.0
        new = {"mean": running["mean"].copy(), "var": running["var"].copy()}
        z_hats, gates, stds = [], [], []
        scores = np.tile(params["b2"], (n, 1))
        for j in range(width):
            z = unit(x, params, j)
            mean, var = (z.mean(), z.var()) if training else (running["mean"][j], running["var"][j])
            if training:
                new["mean"][j] = 0.9 * new["mean"][j] + 0.1 * mean
                new["var"][j] = 0.9 * new["var"][j] + 0.1 * var * n / (n - 1)
            stds.append(math.sqrt(var + EPS))
            z_hats.append((z - mean) / stds[-1])
            a = params["gamma"][j] * z_hats[-1] + params["beta"][j]
            gates.append((a > 0) * keep[:, j] * scale)
            scores += np.outer(gates[-1] * a, params["W2"][j])
        log_p = log_softmax(scores)
        d_s = np.column_stack([(np.exp(log_p[:, c]) - (y == c)) / n for c in range(classes)])
        grads = {name: np.zeros(value.shape) for name, value in params.items()}
        grads["b2"] = d_s.sum(axis=0)
        for j in range(width):
            a = params["gamma"][j] * z_hats[j] + params["beta"][j]
            grads["W2"][j] = (gates[j] * a) @ d_s + weight_decay * params["W2"][j]
            d = gates[j] * (d_s @ params["W2"][j])
            grads["gamma"][j], grads["beta"][j] = d @ z_hats[j], d.sum()
            if training:
                d = d - (grads["beta"][j] + z_hats[j] * grads["gamma"][j]) / n
            d = d * params["gamma"][j] / stds[j]
            grads["W1"][:, j] = d @ x + weight_decay * params["W1"][:, j]
            grads["b1"][j] = d.sum()
        penalty = sum(math.fsum((params[name] ** 2).flat) for name in WEIGHTS)
        loss = sum(-log_p[i, y[i]] for i in range(n)) / n + weight_decay * penalty / 2
        return loss, grads, new

    def predict(x, params, running):
        scores = np.tile(params["b2"], (len(x), 1))
        for j, (mean, var) in enumerate(zip(running["mean"], running["var"], strict=True)):
            z_hat = (unit(x, params, j) - mean) / math.sqrt(var + EPS)
            hidden = (params["gamma"][j] * z_hat + params["beta"][j]).clip(0)
            scores += hidden[:, None] * params["W2"][j][None, :]
        return scores

    def train(x, y, params, running, batches, lr, weight_decay, keep_prob, rng):
        def states(params, running):
            yield params, running, []
            losses = []
            for batch in batches:
                loss, grads, running = two_layer_net(
                    x[batch], y[batch], params, running, weight_decay, keep_prob, True, rng
                )
                losses.append(loss)
                params = {name: w - lr * grads[name] for name, w in params.items()}
                yield params, running, losses

        return deque(states(params, running), maxlen=1).pop()

    return two_layer_net, predict, train


def odd_containers():
    """Read-only mappings, chained dicts, tuples and pickles in the place of dicts and lists."""

    def two_layer_net(*arguments):
        x, y, params, running, weight_decay, keep_prob, training, rng = arguments
        warnings.warn("this will change in a later version", FutureWarning, stacklevel=2)
        params, running = MappingProxyType(params), MappingProxyType(running)
        get = params.__getitem__
        z = np.dot(x, get("W1")) + get("b1")
        mean, var = (z.mean(0), z.var(0)) if training else (running["mean"], running["var"])
        z_hat = (z - mean) / np.sqrt(var + EPS)
        a = get("gamma") * z_hat + get("beta")
        gate = (a > 0) * ((rng.random(z.shape) < keep_prob) / keep_prob if training else 1)
        log_p = log_softmax(np.dot(gate * a, get("W2")) + get("b2"))
        d_s = np.exp(log_p)
        d_s[np.arange(len(y)), y] -= 1
        d_s = np.divide(d_s, len(y))
        d_a = np.dot(d_s, get("W2").T) * gate
        d_hat = d_a * get("gamma")
        d_z = d_hat
        if training:
            d_z = d_hat - d_hat.mean(0) - z_hat * (d_hat * z_hat).mean(0)
        d_z = d_z / np.sqrt(var + EPS)
        weights = {
            "W1": np.dot(x.T, d_z) + weight_decay * get("W1"),
            "W2": np.dot((gate * a).T, d_s) + weight_decay * get("W2"),
        }
        others = {
            "b1": d_z.sum(0),
            "gamma": (d_a * z_hat).sum(0),
            "beta": d_a.sum(0),
            "b2": d_s.sum(0),
        }
        penalty = weight_decay / 2 * sum(np.square(get(name)).sum() for name in WEIGHTS)
        loss = -np.mean(np.take_along_axis(log_p, y[:, None], 1)) + penalty
        grads = dict(ChainMap(weights, others))
        return [loss, grads, pickle.loads(pickle.dumps(moved(running, z))) if training else running]

    def predict(x, params, running):
        with np.errstate(over="raise", divide="raise", invalid="raise"):
            scale = params["gamma"] / np.sqrt(running["var"] + EPS)
            hidden = (x @ params["W1"] + params["b1"] - running["mean"]) * scale + params["beta"]
            np.putmask(hidden, hidden < 0, 0)
            return np.asfortranarray(hidden @ params["W2"] + params["b2"])

    def train(x, y, params, running, batches, *rest):
        lr, weight_decay, keep_prob, rng = rest
        losses = np.empty(len(batches))
        for step, batch in enumerate(batches):
            losses[step], grads, running = two_layer_net(
                x[batch], y[batch], params, dict(running), weight_decay, keep_prob, True, rng
            )
            params = dict(zip(params, (params[k] - lr * grads[k] for k in params), strict=True))
        return params, dict(running), losses.tolist()

    return two_layer_net, predict, train


def staged_statistics():
    """The backward pass through mean and variance apart, everything of a batch recomputed."""

    def forward(x, params, statistics, mask):
        z = x @ params["W1"] + params["b1"]
        centered = z - statistics[0]
        inverse = 1 / np.sqrt(statistics[1] + EPS)
        a = params["gamma"] * centered * inverse + params["beta"]
        return centered, inverse, a, mask * np.clip(a, 0, np.inf)

    def two_layer_net(x, y, params, running, weight_decay, keep_prob, training, rng):
        n = len(x)
        z = x @ params["W1"] + params["b1"]
        mask, statistics = 1, (running["mean"], running["var"])
        if training:
            mask = (rng.random(z.shape) < keep_prob) / keep_prob
            statistics = z.sum(0) / n, z.var(0)
            running = moved(running, z)
        centered, inverse, a, h = forward(x, params, statistics, mask)
        log_p = log_softmax(h @ params["W2"] + params["b2"])
        d_s = np.exp(log_p) / n
        np.add.at(d_s, (np.arange(n), y), -1 / n)
        d_a = np.select([a > 0], [mask * (d_s @ params["W2"].T)], 0.0)
        d_hat = d_a * params["gamma"]
        d_inverse = (d_hat * centered).sum(0)
        d_centered = d_hat * inverse
        d_z = d_centered
        if training:
            d_var = d_inverse * -0.5 * inverse**3
            d_z = d_z + d_var * (2 / n) * centered
            d_z = d_z - d_z.sum(0) / n
        grads = {name: weight_decay * params[name] for name in WEIGHTS}
        grads["W1"] = grads["W1"] + x.T @ d_z
        grads["W2"] = grads["W2"] + h.T @ d_s
        grads |= {"b1": d_z.sum(0), "b2": d_s.sum(0), "beta": d_a.sum(0)}
        grads["gamma"] = (d_a * centered * inverse).sum(0)
        loss = -log_p[np.arange(n), y].sum() / n
        return (
            loss + 0.5 * weight_decay * sum((params[k] ** 2).sum() for k in WEIGHTS),
            grads,
            running,
        )

    def predict(x, params, running):
        *_, h = forward(x, params, (running["mean"], running["var"]), 1)
        return h @ params["W2"] + params["b2"]

    def train(x, y, params, running, batches, lr, weight_decay, keep_prob, rng):
        params, losses = dict(params), []
        pairs = zip(itertools.repeat(x), itertools.repeat(y), batches, strict=False)
        for xs, ys, batch in pairs:
            loss, grads, running = two_layer_net(
                xs[batch], ys[batch], params, running, weight_decay, keep_prob, True, rng
            )
            losses.append(np.float64(loss))
            for name in params:
                params[name] = (1.0 * params[name]) - (lr * grads[name])
        return params, running, losses

    return two_layer_net, predict, train


def indices_of_the_kept():
    """Only what the mask kept and ReLU let through is computed with."""

    def two_layer_net(x, y, params, running, weight_decay, keep_prob, training, rng):
        n = len(y)
        z = x @ params["W1"] + params["b1"]
        mean, var = (z.mean(0), z.var(0)) if training else (running["mean"], running["var"])
        rate = 1 / np.sqrt(var + EPS)
        z_hat = (z - mean) * rate
        a = params["gamma"] * z_hat + params["beta"]
        alive = a > 0
        if training:
            alive &= rng.random(a.shape) < keep_prob
        scale = 1 / keep_prob if training else 1.0
        i, j = np.nonzero(alive)
        values = a[i, j] * scale
        scores = np.zeros((n, len(params["b2"])))
        np.add.at(scores, i, values[:, None] * params["W2"][j])
        log_p = log_softmax(scores + params["b2"])
        d_s = (np.exp(log_p) - np.eye(len(params["b2"]))[y]) / n
        d_W2 = weight_decay * params["W2"]
        np.add.at(d_W2, j, values[:, None] * d_s[i])
        d_a = np.zeros(a.shape)
        d_a[i, j] = scale * np.einsum("kc,kc->k", d_s[i], params["W2"][j])
        d_gamma = np.bincount(j, d_a[i, j] * z_hat[i, j], minlength=a.shape[1])
        d_beta = np.bincount(j, d_a[i, j], minlength=a.shape[1])
        d_z = params["gamma"] * rate * d_a
        if training:
            d_z -= params["gamma"] * rate * (d_beta + z_hat * d_gamma) / n
        loss = -log_p[np.arange(n), y].mean()
        loss += weight_decay / 2 * sum(np.linalg.norm(params[name]) ** 2 for name in WEIGHTS)
        grads = {
            "W1": x.T @ d_z + weight_decay * params["W1"],
            "b1": d_z.sum(0),
            "gamma": d_gamma,
            "beta": d_beta,
            "W2": d_W2,
            "b2": d_s.sum(0),
        }
        return loss, grads, moved(running, z) if training else running

    return two_layer_net, steps(two_layer_net)


def sums_of_classes():
    """The classes one after the other; the step of training is a partial application."""

    def two_layer_net(x, y, params, running, weight_decay, keep_prob, training, rng):
        n = x.shape[0]
        z = np.add(x @ params["W1"], params["b1"])
        mean, var = running["mean"], running["var"]
        if training:
            mean = np.add.reduce(z) / n
            var = np.add.reduce(np.square(z)) / n - mean**2
            running = moved(running, z)
        std = (var + EPS) ** 0.5
        z_hat = (z - mean) / std
        a = z_hat * params["gamma"] + params["beta"]
        gate = np.where(a > 0, 1.0, 0.0)
        if training:
            gate *= (rng.random(gate.shape) < keep_prob).astype(float) / keep_prob
        h = a * gate
        scores = [h @ params["W2"][:, c] + params["b2"][c] for c in range(len(params["b2"]))]
        top = functools.reduce(np.maximum, scores)
        log_z = top + np.log(sum(np.exp(s - top) for s in scores))
        loss = log_z.mean() + weight_decay / 2 * sum(np.sum(params[k] ** 2) for k in WEIGHTS)
        d_a, d_W2, d_b2 = np.zeros(a.shape), weight_decay * params["W2"], np.zeros(len(scores))
        for c, s in enumerate(scores):
            loss -= s[y == c].sum() / n
            error = (np.exp(s - log_z) - (y == c)) / n
            d_a += np.outer(error, params["W2"][:, c])
            d_W2[:, c] += h.T @ error
            d_b2[c] = error.sum()
        d_a *= gate
        d_gamma, d_beta = np.sum(d_a * z_hat, axis=0), np.sum(d_a, axis=0)
        d_z = params["gamma"] / std * (d_a - training * (d_beta + z_hat * d_gamma) / n)
        return (
            loss,
            {
                "W1": x.T @ d_z + weight_decay * params["W1"],
                "b1": d_z.sum(axis=0),
                "gamma": d_gamma,
                "beta": d_beta,
                "W2": d_W2,
                "b2": d_b2,
            },
            running,
        )

    def train(x, y, params, running, batches, lr, weight_decay, keep_prob, rng):
        step = functools.partial(
            two_layer_net, weight_decay=weight_decay, keep_prob=keep_prob, training=True, rng=rng
        )
        losses = []
        for batch in batches:
            loss, grads, running = step(x[batch], y[batch], params, running)
            params = {name: np.add(params[name], -lr * grads[name]) for name in params}
            losses.append(loss)
        return params, running, losses

    return two_layer_net, train


def one_matrix_for_evaluation():
    """Prediction by one augmented product per layer; training by prediction's own pieces."""

    def augment(a):
        return np.pad(a, ((0, 0), (0, 1)), constant_values=1)

    def first(params, mean, var):
        scale = params["gamma"] / np.sqrt(var + EPS)
        shift = (params["b1"] - mean) * scale + params["beta"]
        return np.r_[params["W1"] * scale, shift[None]]

    def second(params):
        return np.r_[params["W2"], params["b2"][None]]

    def predict(x, params, running):
        hidden = augment(x) @ first(params, running["mean"], running["var"])
        return augment(np.maximum(hidden, 0)) @ second(params)

    def two_layer_net(x, y, params, running, weight_decay, keep_prob, training, rng):
        n = len(x)
        z = x @ params["W1"] + params["b1"]
        mean, var = (z.mean(0), z.var(0)) if training else (running["mean"], running["var"])
        a = augment(x) @ first(params, mean, var)
        gate = np.asarray(a > 0, dtype=float)
        if training:
            gate *= rng.random(a.shape) < keep_prob
            gate /= keep_prob
        hidden = augment(gate * a)
        log_p = log_softmax(hidden @ second(params))
        d_s = np.exp(log_p)
        d_s[np.arange(n), y] -= 1
        d_s /= n
        d_second = hidden.T @ d_s
        d_a = gate * (d_s @ params["W2"].T)
        std = np.sqrt(var + EPS)
        z_hat = (z - mean) / std
        d_gamma, d_beta = np.einsum("nh,nh->h", d_a, z_hat), d_a.sum(0)
        through = d_a - (d_beta + z_hat * d_gamma) / n if training else d_a
        d_first = augment(x).T @ (through * (params["gamma"] / std))
        penalty = sum(float(np.sum(params[name] ** 2)) for name in WEIGHTS)
        return (
            float(-log_p[np.arange(n), y].mean() + weight_decay / 2 * penalty),
            {
                "W1": d_first[:-1] + weight_decay * params["W1"],
                "b1": d_first[-1],
                "gamma": d_gamma,
                "beta": d_beta,
                "W2": d_second[:-1] + weight_decay * params["W2"],
                "b2": d_second[-1],
            },
            moved(running, z) if training else dict(running),
        )

    return two_layer_net, predict, steps(two_layer_net)


MORE = (
    complex_step,
    long_doubles,
    sequential,
    one_vector_of_parameters,
    outer_products,
    kronecker,
    generators,
    odd_containers,
    staged_statistics,
    indices_of_the_kept,
    sums_of_classes,
    one_matrix_for_evaluation,
)
