"""Right answers to the capstone, each in a way that could be taken for wrong.

Each function is one style: it says what the risk is, and returns the functions that a student
would have handed in.
"""

import copy
import math
import pickle
import warnings
from collections import ChainMap
from types import MappingProxyType

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


def row_by_row():
    """Python loops add in another order."""

    def softmax_row(s):
        e = np.exp(s - max(s))
        return e / sum(e), max(s) + math.log(sum(e))

    def two_layer_net(x, y, params, running, weight_decay, keep_prob, training, rng):
        W1, b1, W2, b2 = params["W1"], params["b1"], params["W2"], params["b2"]
        gamma, beta = params["gamma"], params["beta"]
        n, width = len(x), len(b1)
        z = np.array([row @ W1 + b1 for row in x])
        if training:
            mean = sum(z) / n
            var = sum((row - mean) ** 2 for row in z) / n
            new = {
                "mean": 0.9 * running["mean"] + 0.1 * mean,
                "var": 0.9 * running["var"] + 0.1 * sum((row - mean) ** 2 for row in z) / (n - 1),
            }
            uniform = rng.random((n, width))
            mask = np.array(
                [[1 / keep_prob if u < keep_prob else 0.0 for u in row] for row in uniform]
            )
        else:
            mean, var = running["mean"], running["var"]
            new = {"mean": running["mean"].copy(), "var": running["var"].copy()}
            mask = np.ones((n, width))
        std = np.array([math.sqrt(v + 1e-5) for v in var])
        loss = 0.5 * weight_decay * sum(w * w for w in [*W1.flat, *W2.flat])
        grads = {"W1": weight_decay * W1, "W2": weight_decay * W2, "b2": np.zeros(len(b2))}
        z_hat, d_a = np.zeros((n, width)), np.zeros((n, width))
        for i in range(n):
            z_hat[i] = (z[i] - mean) / std
            a = gamma * z_hat[i] + beta
            h = np.array([max(0.0, value) for value in a]) * mask[i]
            s = h @ W2 + b2
            p, log_z = softmax_row(s)
            loss += (log_z - s[y[i]]) / n
            p[y[i]] -= 1
            p /= n
            grads["W2"] = grads["W2"] + np.outer(h, p)
            grads["b2"] = grads["b2"] + p
            d_a[i] = [d * m if v > 0 else 0.0 for d, m, v in zip(W2 @ p, mask[i], a, strict=True)]
        grads["gamma"], grads["beta"] = sum(d_a * z_hat), sum(d_a)
        d_z = [
            gamma / std * (d - (grads["beta"] + h * grads["gamma"]) / n if training else d)
            for d, h in zip(d_a, z_hat, strict=True)
        ]
        grads["b1"] = sum(d_z)
        for row, d in zip(x, d_z, strict=True):
            grads["W1"] = grads["W1"] + np.outer(row, d)
        return loss, grads, new

    def predict(x, params, running):
        rows = []
        for row in x:
            z = row @ params["W1"] + params["b1"]
            z_hat = (z - running["mean"]) / (running["var"] + 1e-5) ** 0.5
            a = params["gamma"] * z_hat + params["beta"]
            rows.append([max(0.0, v) for v in a] @ params["W2"] + params["b2"])
        return np.array(rows)

    def train(x, y, params, running, batches, lr, weight_decay, keep_prob, rng):
        losses = [0.0] * len(batches)
        for step in range(len(batches)):
            rows = [int(r) for r in batches[step]]
            examples = np.array([x[r] for r in rows])
            labels = [int(y[r]) for r in rows]
            losses[step], grads, running = two_layer_net(
                examples, labels, params, running, weight_decay, keep_prob, True, rng
            )
            new = {}
            for name in params:
                new[name] = params[name] - lr * grads[name]
            params = new
        return params, running, losses

    return two_layer_net, predict, train


def einsum():
    """Sums of products by einsum, which rounds otherwise than a matrix product."""

    def two_layer_net(x, y, params, running, weight_decay, keep_prob, training, rng):
        n, c = len(y), len(params["b2"])
        z = np.einsum("nd,dh->nh", x, params["W1"]) + params["b1"]
        mean, var = running["mean"], running["var"]
        if training:
            mean = np.einsum("nh->h", z) / n
            squares = np.einsum("nh,nh->h", z - mean, z - mean)
            var = squares / n
            running = {
                "mean": running["mean"] + 0.1 * (mean - running["mean"]),
                "var": running["var"] + 0.1 * (squares / (n - 1) - running["var"]),
            }
        rate = (var + 1e-5) ** -0.5
        z_hat = np.einsum("nh,h->nh", z - mean, rate)
        a = np.einsum("nh,h->nh", z_hat, params["gamma"]) + params["beta"]
        gate = (a > 0).astype(float)
        if training:
            gate = gate * (rng.random(a.shape) < keep_prob) / keep_prob
        h = gate * a
        s = np.einsum("nh,hc->nc", h, params["W2"]) + params["b2"]
        target = np.eye(c)[y]
        top = s.max(axis=1)
        e = np.exp(s - top[:, None])
        total = np.einsum("nc->n", e)
        loss = (np.sum(np.log(total) + top) - np.einsum("nc,nc->", s, target)) / n
        for name in ("W1", "W2"):
            loss += weight_decay / 2 * np.einsum("ij,ij->", params[name], params[name])
        d_s = (e / total[:, None] - target) / n
        d_a = np.einsum("nc,hc,nh->nh", d_s, params["W2"], gate)
        d_gamma = np.einsum("nh,nh->h", d_a, z_hat)
        d_beta = np.einsum("nh->h", d_a)
        d_z = d_a
        if training:
            d_z = d_a - d_beta / n - np.einsum("nh,h->nh", z_hat, d_gamma) / n
        d_z = np.einsum("nh,h,h->nh", d_z, params["gamma"], rate)
        grads = {
            "W1": np.einsum("nd,nh->dh", x, d_z) + weight_decay * params["W1"],
            "b1": np.einsum("nh->h", d_z),
            "gamma": d_gamma,
            "beta": d_beta,
            "W2": np.einsum("nh,nc->hc", h, d_s) + weight_decay * params["W2"],
            "b2": np.einsum("nc->c", d_s),
        }
        return loss, grads, running

    def predict(x, params, running):
        rate = (running["var"] + 1e-5) ** -0.5
        z = np.einsum("nd,dh->nh", x, params["W1"]) + params["b1"]
        a = np.einsum("nh,h,h->nh", z - running["mean"], rate, params["gamma"]) + params["beta"]
        return np.einsum("nh,hc->nc", a * (a > 0), params["W2"]) + params["b2"]

    def train(x, y, params, running, batches, lr, weight_decay, keep_prob, rng):
        losses = []
        for batch in batches:
            loss, grads, running = two_layer_net(
                x[batch], y[batch], params, running, weight_decay, keep_prob, True, rng
            )
            losses.append(loss)
            params = {k: np.einsum("...,->...", v, 1.0) - lr * grads[k] for k, v in params.items()}
        return params, running, losses

    return two_layer_net, predict, train


def transposed():
    """Examples in columns on the way, so results are not contiguous."""

    def two_layer_net(x, y, params, running, weight_decay, keep_prob, training, rng):
        X, m = x.T, x.shape[0]
        W1, W2 = params["W1"].T, params["W2"].T
        b1, b2, gamma, beta = (params[k].reshape(-1, 1) for k in ("b1", "b2", "gamma", "beta"))
        Z = W1 @ X + b1
        mu, var = running["mean"].reshape(-1, 1), running["var"].reshape(-1, 1)
        if training:
            mu_batch = Z.mean(axis=1, keepdims=True)
            var_batch = Z.var(axis=1, keepdims=True)
            running = {
                "mean": (0.9 * mu + 0.1 * mu_batch).ravel(),
                "var": (0.9 * var + 0.1 * m / (m - 1) * var_batch).ravel(),
            }
            mu, var = mu_batch, var_batch
        std = np.sqrt(var + 1e-5)
        Zn = (Z - mu) / std
        A = gamma * Zn + beta
        M = 1.0
        if training:
            M = ((rng.random((m, len(b1))) < keep_prob) / keep_prob).T
        H = M * np.maximum(A, 0)
        S = W2 @ H + b2
        S = S - S.max(axis=0)
        P = np.exp(S) / np.exp(S).sum(axis=0)
        Y = np.zeros(P.shape)
        Y[y, np.arange(m)] = 1
        loss = np.sum(np.log(np.exp(S).sum(axis=0))) / m - np.sum(Y * S) / m
        loss += weight_decay * (np.sum(W1 * W1) + np.sum(W2 * W2)) / 2
        dS = (P - Y) / m
        dA = (W2.T @ dS) * M * (A > 0)
        dZn = gamma * dA
        if training:
            dZ = (
                m * dZn
                - dZn.sum(axis=1, keepdims=True)
                - Zn * (dZn * Zn).sum(axis=1, keepdims=True)
            ) / (m * std)
        else:
            dZ = dZn / std
        grads = {
            "W1": (dZ @ X.T + weight_decay * W1).T,
            "b1": dZ.sum(axis=1),
            "gamma": (dA * Zn).sum(axis=1),
            "beta": dA.sum(axis=1),
            "W2": (dS @ H.T + weight_decay * W2).T,
            "b2": dS.sum(axis=1),
        }
        return loss, grads, running

    def predict(x, params, running):
        column = {k: v[:, np.newaxis] for k, v in {**params, **running}.items() if v.ndim == 1}
        Z = params["W1"].T @ x.T + column["b1"]
        A = column["gamma"] * (Z - column["mean"]) / np.sqrt(column["var"] + 1e-5) + column["beta"]
        return (params["W2"].T @ np.maximum(A, 0) + column["b2"]).T

    def train(x, y, params, running, batches, lr, weight_decay, keep_prob, rng):
        history = []
        for batch in batches:
            out = two_layer_net(
                x[batch, :], y[batch], params, running, weight_decay, keep_prob, True, rng
            )
            history.append(float(out[0]))
            running = out[2]
            params = {k: params[k] - np.multiply(lr, out[1][k]) for k in params}
        return params, running, history

    return two_layer_net, predict, train


def a_class():
    """The network is an object that keeps its state."""

    class Network:
        def __init__(self, params, running):
            self.__dict__.update(params)
            self.mean, self.var = running["mean"], running["var"]

        def hidden(self, x, mean, var):
            self.std = np.sqrt(var + 1e-5)
            self.z_hat = (x @ self.W1 + self.b1 - mean) / self.std
            self.a = self.z_hat * self.gamma + self.beta
            return np.clip(self.a, 0, None)

        def scores(self, x):
            return self.hidden(x, self.mean, self.var) @ self.W2 + self.b2

        def loss_and_gradients(self, x, y, weight_decay, keep_prob, training, rng):
            n = x.shape[0]
            mean, var, mask = self.mean, self.var, np.ones((n, self.b1.size))
            if training:
                z = x @ self.W1 + self.b1
                mean, var = z.mean(0), z.var(0)
                self.mean = 0.9 * self.mean + 0.1 * mean
                self.var = 0.9 * self.var + 0.1 * z.var(0, ddof=1)
                mask = np.where(rng.random(z.shape) < keep_prob, 1 / keep_prob, 0)
            h = mask * self.hidden(x, mean, var)
            s = h @ self.W2 + self.b2
            log_p = s - np.logaddexp.reduce(s, axis=1, keepdims=True)
            Y = np.zeros_like(s)
            Y[np.arange(n), y] = 1
            loss = -(Y * log_p).sum() / n
            loss += weight_decay * 0.5 * (np.vdot(self.W1, self.W1) + np.vdot(self.W2, self.W2))
            error = (np.exp(log_p) - Y) / n
            d_a = (error @ self.W2.T) * mask
            d_a[self.a <= 0] = 0
            d_hat = d_a * self.gamma
            if training:
                d_hat = d_hat - d_hat.mean(0) - self.z_hat * np.mean(d_hat * self.z_hat, 0)
            d_z = d_hat / self.std
            return loss, {
                "W1": x.T @ d_z + weight_decay * self.W1,
                "b1": d_z.sum(0),
                "gamma": np.sum(self.z_hat * d_a, 0),
                "beta": d_a.sum(0),
                "W2": h.T @ error + weight_decay * self.W2,
                "b2": error.sum(0),
            }

    def two_layer_net(x, y, params, running, weight_decay, keep_prob, training, rng):
        network = Network(params, running)
        loss, grads = network.loss_and_gradients(x, y, weight_decay, keep_prob, training, rng)
        return loss, grads, {"mean": network.mean, "var": network.var}

    def predict(x, params, running):
        return Network(params, running).scores(x)

    def train(x, y, params, running, batches, lr, weight_decay, keep_prob, rng):
        names = list(params)
        network, losses = Network(params, running), []
        for batch in batches:
            loss, grads = network.loss_and_gradients(
                x[batch], y[batch], weight_decay, keep_prob, True, rng
            )
            losses.append(loss)
            for name in names:
                setattr(network, name, getattr(network, name) - lr * grads[name])
        trained = {name: getattr(network, name) for name in names}
        return trained, {"mean": network.mean, "var": network.var}, losses

    return two_layer_net, predict, train


def tape():
    """Backward steps are closures on a stack."""

    def two_layer_net(x, y, params, running, weight_decay, keep_prob, training, rng):
        n = y.shape[0]
        grads, tape = {}, []

        def linear(value, W, b):
            def back(d):
                grads[W] = value.T @ d + weight_decay * params[W]
                grads[b] = np.add.reduce(d)
                return d @ params[W].T

            tape.append(back)
            return value @ params[W] + params[b]

        def subtract_mean(value):
            tape.append(lambda d: d - d.mean(axis=0))
            return value - value.mean(axis=0)

        def divide_by_std(value):
            std = np.sqrt((value**2).mean(axis=0) + 1e-5)
            tape.append(lambda d: d / std - value * (d * value).mean(axis=0) / std**3)
            return value / std

        def affine(value):
            def back(d):
                grads["gamma"], grads["beta"] = np.add.reduce(d * value), np.add.reduce(d)
                return d * params["gamma"]

            tape.append(back)
            return value * params["gamma"] + params["beta"]

        def multiply(value, factor):
            tape.append(lambda d: d * factor)
            return value * factor

        z = linear(x, "W1", "b1")
        if training:
            running = {
                "mean": 0.9 * running["mean"] + 0.1 * z.mean(axis=0),
                "var": 0.9 * running["var"] + 0.1 * z.var(axis=0) * n / (n - 1),
            }
            z_hat = divide_by_std(subtract_mean(z))
        else:
            z_hat = multiply(z - running["mean"], 1 / np.sqrt(running["var"] + 1e-5))
        a = affine(z_hat)
        h = multiply(a, a > 0)
        if training:
            h = multiply(h, (rng.random(h.shape) < keep_prob) / keep_prob)
        s = linear(h, "W2", "b2")
        s = s - s.max(axis=1, keepdims=True)
        p = np.exp(s) / np.exp(s).sum(axis=1, keepdims=True)
        loss = (np.log(np.exp(s).sum(axis=1)) - s[np.arange(n), y]).mean()
        loss += sum(weight_decay / 2 * np.square(params[name]).sum() for name in ("W1", "W2"))
        d = (p - np.eye(s.shape[1])[y]) / n
        while tape:
            d = tape.pop()(d)
        return loss, grads, running

    def predict(x, params, running):
        z_hat = (x.dot(params["W1"]) + params["b1"] - running["mean"]) / np.sqrt(
            running["var"] + 1e-5
        )
        return (z_hat * params["gamma"] + params["beta"]).clip(min=0).dot(params["W2"]) + params[
            "b2"
        ]

    def train(x, y, params, running, batches, lr, weight_decay, keep_prob, rng):
        losses, iterator = [], iter(batches)
        while (batch := next(iterator, None)) is not None:
            loss, grads, running = two_layer_net(
                x[batch], y[batch], params, running, weight_decay, keep_prob, True, rng
            )
            losses += [loss]
            params = {name: value - lr * grads[name] for name, value in params.items()}
        return params, running, losses

    return two_layer_net, predict, train


def deep_copies_and_in_place():
    """Much is changed in place, but only in deep copies."""

    def two_layer_net(x, y, params, running, weight_decay, keep_prob, training, rng):
        params, running = copy.deepcopy(params), copy.deepcopy(running)
        n = len(y)
        z = x @ params["W1"]
        z += params["b1"]
        if training:
            mean, var = z.mean(axis=0), z.var(axis=0)
            for name, new in (("mean", mean), ("var", var * (n / (n - 1.0)))):
                running[name] *= 0.9
                running[name] += 0.1 * new
        else:
            mean, var = running["mean"], running["var"]
        z -= mean
        std = np.sqrt(var + 1e-5)
        z /= std
        h = z * params["gamma"]
        h += params["beta"]
        positive = h > 0
        h[~positive] = 0
        if training:
            dropped = rng.random(h.shape) >= keep_prob
            h[dropped] = 0
            h /= keep_prob
        s = h @ params["W2"]
        s += params["b2"]
        s -= s.max(axis=1, keepdims=True)
        loss = -s[range(n), y].sum()
        np.exp(s, out=s)
        total = s.sum(axis=1, keepdims=True)
        loss += np.log(total).sum()
        loss /= n
        s /= total
        s[range(n), y] -= 1
        s /= n
        grads = {"W2": h.T @ s, "b2": s.sum(axis=0)}
        d = s @ params["W2"].T
        if training:
            d[dropped] = 0
            d /= keep_prob
        d[~positive] = 0
        grads["gamma"], grads["beta"] = (d * z).sum(axis=0), d.sum(axis=0)
        if training:
            d -= (grads["beta"] + z * grads["gamma"]) / n
        d *= params["gamma"]
        d /= std
        grads["W1"], grads["b1"] = x.T @ d, d.sum(axis=0)
        for name in ("W1", "W2"):
            grads[name] += weight_decay * params[name]
            params[name] **= 2
            loss += 0.5 * weight_decay * params[name].sum()
        return loss, grads, running

    def predict(x, params, running):
        a = x @ params["W1"]
        a += params["b1"]
        a -= running["mean"]
        a /= np.sqrt(running["var"] + 1e-5)
        a *= params["gamma"]
        a += params["beta"]
        a[a < 0] = 0
        s = a @ params["W2"]
        s += params["b2"]
        return s

    def train(x, y, params, running, batches, lr, weight_decay, keep_prob, rng):
        params, running = copy.deepcopy(params), copy.deepcopy(running)
        losses = []
        for batch in batches:
            loss, grads, running = two_layer_net(
                x[batch], y[batch], params, running, weight_decay, keep_prob, True, rng
            )
            losses.append(loss)
            for name, grad in grads.items():
                params[name] -= lr * grad
        return params, running, losses

    return two_layer_net, predict, train


def one_vector_of_parameters():
    """Results are views of one flat vector."""
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


def odd_containers():
    """Read-only mappings, chained dicts and tuples instead of dicts and lists."""

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


def complex_step():
    """Complex numbers on the way; gradients with other rounding than any formula."""

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
    """More digits on the way than float64 has."""

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


def one_matrix_for_evaluation():
    """Evaluation by one affine map, which rounds otherwise than normalizing."""

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


STYLES = (
    row_by_row,
    einsum,
    transposed,
    a_class,
    tape,
    deep_copies_and_in_place,
    one_vector_of_parameters,
    odd_containers,
    complex_step,
    long_doubles,
    indices_of_the_kept,
    one_matrix_for_evaluation,
)
