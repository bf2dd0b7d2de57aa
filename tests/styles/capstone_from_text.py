"""Answers to the capstone, written from its notebook's text alone.

Nobody had looked at the solutions or the grader when these were written. Each function below is
one style and returns the functions that a student would have handed in.
"""

import copy
import math
from functools import reduce

import numpy as np


def plainest():
    def two_layer_net(x, y, params, running, weight_decay, keep_prob, training, rng):
        W1, b1, gamma, beta, W2, b2 = (
            params[name] for name in ("W1", "b1", "gamma", "beta", "W2", "b2")
        )
        n = len(x)
        z = x @ W1 + b1
        if training:
            mean, var = z.mean(axis=0), z.var(axis=0)
            new_running = {
                "mean": 0.9 * running["mean"] + 0.1 * mean,
                "var": 0.9 * running["var"] + 0.1 * var * n / (n - 1),
            }
        else:
            mean, var = running["mean"], running["var"]
            new_running = running
        std = np.sqrt(var + 1e-5)
        z_hat = (z - mean) / std
        a = gamma * z_hat + beta
        h = np.maximum(0, a)
        mask = (rng.random(h.shape) < keep_prob) / keep_prob if training else 1.0
        dropped = mask * h
        s = dropped @ W2 + b2
        s = s - s.max(axis=1, keepdims=True)
        log_p = s - np.log(np.exp(s).sum(axis=1, keepdims=True))
        penalty = weight_decay / 2 * (np.sum(W1**2) + np.sum(W2**2))
        loss = -log_p[np.arange(n), y].mean() + penalty

        d_s = np.exp(log_p)
        d_s[np.arange(n), y] -= 1
        d_s /= n
        d_a = d_s @ W2.T * mask * (a > 0)
        g = gamma * d_a
        if training:
            g = g - g.mean(axis=0) - z_hat * (g * z_hat).mean(axis=0)
        d_z = g / std
        grads = {
            "W1": x.T @ d_z + weight_decay * W1,
            "b1": d_z.sum(axis=0),
            "gamma": (d_a * z_hat).sum(axis=0),
            "beta": d_a.sum(axis=0),
            "W2": dropped.T @ d_s + weight_decay * W2,
            "b2": d_s.sum(axis=0),
        }
        return loss, grads, new_running

    def predict(x, params, running):
        z = x @ params["W1"] + params["b1"]
        z_hat = (z - running["mean"]) / np.sqrt(running["var"] + 1e-5)
        h = np.maximum(0, params["gamma"] * z_hat + params["beta"])
        return h @ params["W2"] + params["b2"]

    def train(x, y, params, running, batches, lr, weight_decay, keep_prob, rng):
        losses = []
        for batch in batches:
            loss, grads, running = two_layer_net(
                x[batch], y[batch], params, running, weight_decay, keep_prob, True, rng
            )
            params = {name: params[name] - lr * grads[name] for name in params}
            losses.append(loss)
        return params, running, losses

    return two_layer_net, predict, train


def layers_as_functions():
    """The functions of the three other exercises, copied and put together."""

    def linear_forward(x, W, b):
        return x @ W + b, (x, W)

    def linear_backward(d_out, cache):
        x, W = cache
        return d_out @ W.T, x.T @ d_out, d_out.sum(axis=0)

    def batch_norm_forward(x, gamma, beta, mean, var, training):
        new_mean, new_var = mean, var
        if training:
            mean, var = np.mean(x, axis=0), np.var(x, axis=0)
            new_mean = 0.9 * new_mean + 0.1 * mean
            new_var = 0.9 * new_var + 0.1 * np.var(x, axis=0, ddof=1)
        x_hat = (x - mean) / np.sqrt(var + 1e-5)
        cache = x_hat, gamma / np.sqrt(var + 1e-5), training
        return gamma * x_hat + beta, new_mean, new_var, cache

    def batch_norm_backward(d_out, cache):
        x_hat, slope, training = cache
        d_gamma, d_beta = (d_out * x_hat).sum(axis=0), d_out.sum(axis=0)
        if training:
            d_out = d_out - (d_beta + x_hat * d_gamma) / len(d_out)
        return slope * d_out, d_gamma, d_beta

    def relu_forward(x):
        return np.where(x > 0, x, 0.0), x

    def relu_backward(d_out, cache):
        return np.where(cache > 0, d_out, 0.0)

    def dropout_forward(x, keep_prob, training, rng):
        if not training:
            return x, 1
        mask = (rng.random(x.shape) < keep_prob) / keep_prob
        return x * mask, mask

    def dropout_backward(d_out, cache):
        return d_out * cache

    def softmax_loss(scores, y):
        rows = np.arange(len(y))
        p = np.exp(scores - scores.max(axis=1, keepdims=True))
        z = p.sum(axis=1, keepdims=True)
        loss = np.mean(np.log(z[:, 0]) + scores.max(axis=1) - scores[rows, y])
        p = p / z
        p[rows, y] -= 1
        return loss, p / len(y)

    def two_layer_net(x, y, params, running, weight_decay, keep_prob, training, rng):
        p = params
        z, c1 = linear_forward(x, p["W1"], p["b1"])
        a, mean, var, c2 = batch_norm_forward(
            z, p["gamma"], p["beta"], running["mean"], running["var"], training
        )
        h, c3 = relu_forward(a)
        d, c4 = dropout_forward(h, keep_prob, training, rng)
        s, c5 = linear_forward(d, p["W2"], p["b2"])
        loss, d_s = softmax_loss(s, y)
        grads = {}
        d_d, grads["W2"], grads["b2"] = linear_backward(d_s, c5)
        d_a = relu_backward(dropout_backward(d_d, c4), c3)
        d_z, grads["gamma"], grads["beta"] = batch_norm_backward(d_a, c2)
        _, grads["W1"], grads["b1"] = linear_backward(d_z, c1)
        for name in ("W1", "W2"):
            loss = loss + weight_decay / 2 * (p[name] ** 2).sum()
            grads[name] = grads[name] + weight_decay * p[name]
        return loss, grads, {"mean": mean, "var": var}

    def predict(x, params, running):
        z, _ = linear_forward(x, params["W1"], params["b1"])
        a, *_ = batch_norm_forward(
            z, params["gamma"], params["beta"], running["mean"], running["var"], False
        )
        return linear_forward(relu_forward(a)[0], params["W2"], params["b2"])[0]

    def train(x, y, params, running, batches, lr, weight_decay, keep_prob, rng):
        params, running, losses = dict(params), dict(running), []
        for rows in batches:
            loss, grads, running = two_layer_net(
                x[rows], y[rows], params, running, weight_decay, keep_prob, True, rng
            )
            losses.append(loss)
            for name in grads:
                params[name] = params[name] - lr * grads[name]
        return params, running, losses

    return two_layer_net, predict, train


def einsum():
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


def row_by_row():
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


def a_class():
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
    """A stack of backward steps is filled on the way forward and emptied on the way back."""

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


def functional():
    def normalize(z, mean, var):
        return (z - mean) / np.sqrt(var + 1e-5)

    def log_softmax(s):
        shifted = s - s.max(axis=1, keepdims=True)
        return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))

    def moments(z):
        return {"mean": z.mean(axis=0), "var": z.var(axis=0, ddof=1)}

    def blend(old, new):
        return {name: 0.9 * old[name] + 0.1 * new[name] for name in ("mean", "var")}

    def two_layer_net(x, y, params, running, weight_decay, keep_prob, training, rng):
        z = x @ params["W1"] + params["b1"]
        mean, var = (
            (z.mean(axis=0), z.var(axis=0)) if training else (running["mean"], running["var"])
        )
        z_hat = normalize(z, mean, var)
        a = params["gamma"] * z_hat + params["beta"]
        mask = (rng.random(a.shape) < keep_prob) / keep_prob if training else np.ones(a.shape)
        factor = mask * np.heaviside(a, 0)
        log_p = log_softmax((factor * a) @ params["W2"] + params["b2"])
        losses = -np.take_along_axis(log_p, np.asarray(y).reshape(-1, 1), axis=1)
        Y = np.arange(log_p.shape[1])[None, :] == np.asarray(y)[:, None]
        d_s = (np.exp(log_p) - Y) / len(x)
        d_a = factor * (d_s @ params["W2"].T)
        own = d_a * params["gamma"]
        shared = (own.mean(axis=0) + z_hat * (own * z_hat).mean(axis=0)) if training else 0
        d_z = normalize(own - shared, 0, var)
        plain = {
            "W1": x.T @ d_z,
            "b1": d_z.sum(axis=0),
            "gamma": (d_a * z_hat).sum(axis=0),
            "beta": d_a.sum(axis=0),
            "W2": (factor * a).T @ d_s,
            "b2": d_s.sum(axis=0),
        }
        decay = {"W1": weight_decay, "W2": weight_decay}
        grads = {k: g + decay.get(k, 0.0) * params[k] for k, g in plain.items()}
        squares = sum((params[k] ** 2).sum() * d for k, d in decay.items()) / 2
        return losses.mean() + squares, grads, blend(running, moments(z)) if training else running

    def predict(x, params, running):
        z_hat = normalize(x @ params["W1"] + params["b1"], running["mean"], running["var"])
        a = params["gamma"] * z_hat + params["beta"]
        return (a * np.heaviside(a, 0)) @ params["W2"] + params["b2"]

    def train(x, y, params, running, batches, lr, weight_decay, keep_prob, rng):
        def step(state, batch):
            params, running, losses = state
            loss, grads, running = two_layer_net(
                x[batch], y[batch], params, running, weight_decay, keep_prob, True, rng
            )
            params = {k: params[k] - lr * grads[k] for k in params}
            return params, running, (*losses, loss)

        params, running, losses = reduce(step, batches, (params, running, ()))
        return params, running, list(losses)

    return two_layer_net, predict, train


def matrices():
    """Biases in a row of their own, batch norm by a centering matrix."""

    def with_ones(a):
        return np.column_stack([a, np.ones(len(a))])

    def two_layer_net(x, y, params, running, weight_decay, keep_prob, training, rng):
        n = len(x)
        T1 = np.vstack([params["W1"], params["b1"]])
        T2 = np.vstack([params["W2"], params["b2"]])
        X = with_ones(x)
        Z = X @ T1
        if training:
            C = np.eye(n) - np.ones((n, n)) / n
            centered = C @ Z
            covariance = np.diag(centered.T @ centered)
            mean, var = Z.mean(axis=0), covariance / n
            running = {
                "mean": running["mean"] * 0.9 + mean * 0.1,
                "var": running["var"] * 0.9 + covariance / (n - 1) * 0.1,
            }
        else:
            C, centered, var = np.eye(n), Z - running["mean"], running["var"]
        R = np.diag(1 / np.sqrt(var + 1e-5))
        Zh = centered @ R
        A = Zh @ np.diag(params["gamma"]) + params["beta"]
        M = (rng.random(A.shape) < keep_prob).astype(float) / keep_prob if training else 1.0
        gate = M * (A > 0)
        H = with_ones(A * gate)
        S = H @ T2
        E = np.exp(S - S.max(axis=1)[:, None])
        P = np.diag(1 / E.sum(axis=1)) @ E
        Y = np.zeros(P.shape)
        Y[np.arange(n), y] = 1
        log_P = S - S.max(axis=1)[:, None] - np.log(E.sum(axis=1))[:, None]
        loss = -np.trace(Y @ log_P.T) / n
        loss += weight_decay / 2 * np.linalg.norm(params["W1"], "fro") ** 2
        loss += weight_decay / 2 * np.linalg.norm(params["W2"], "fro") ** 2
        D = (P - Y) / n
        d_T2 = H.T @ D
        d_A = (D @ T2[:-1].T) * gate
        G = d_A @ np.diag(params["gamma"])
        G = C @ G - (Zh @ np.diag(np.diag(Zh.T @ G)) / n if training else 0)
        d_T1 = X.T @ G @ R
        grads = {
            "W1": d_T1[:-1] + weight_decay * params["W1"],
            "b1": d_T1[-1],
            "gamma": np.diag(Zh.T @ d_A),
            "beta": np.ones(n) @ d_A,
            "W2": d_T2[:-1] + weight_decay * params["W2"],
            "b2": d_T2[-1],
        }
        return loss, grads, running

    def predict(x, params, running):
        scale = params["gamma"] / np.sqrt(running["var"] + 1e-5)
        T1 = np.vstack(
            [params["W1"] * scale, (params["b1"] - running["mean"]) * scale + params["beta"]]
        )
        T2 = np.vstack([params["W2"], params["b2"]])
        return with_ones(np.maximum(with_ones(x) @ T1, 0)) @ T2

    def train(x, y, params, running, batches, lr, weight_decay, keep_prob, rng):
        losses = []
        for batch in batches:
            pick = np.eye(len(x))[batch]
            loss, grads, running = two_layer_net(
                pick @ x, y[batch], params, running, weight_decay, keep_prob, True, rng
            )
            losses.append(loss)
            params = {name: params[name] + (-lr) * grads[name] for name in params}
        return params, running, losses

    return two_layer_net, predict, train


def deep_copies_and_in_place():
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


def two_modes_apart():
    """One function for each mode, nothing shared but the tail."""

    def tail(x, y, params, z_hat, a, mask, weight_decay):
        h = mask * np.where(a > 0, a, 0)
        s = h @ params["W2"] + params["b2"]
        biggest = np.max(s, axis=1, keepdims=True)
        p = np.exp(s - biggest)
        normalizer = np.sum(p, axis=1, keepdims=True)
        p /= normalizer
        cross_entropy = np.average(np.log(normalizer) + biggest - s[np.arange(len(y)), y][:, None])
        norms = np.linalg.norm(params["W1"]) ** 2 + np.linalg.norm(params["W2"]) ** 2
        p[np.arange(len(y)), y] -= 1
        p /= len(y)
        d_a = np.where(a > 0, mask * (p @ params["W2"].T), 0)
        grads = {
            "W2": h.T @ p + weight_decay * params["W2"],
            "b2": p.sum(axis=0),
            "gamma": (d_a * z_hat).sum(axis=0),
            "beta": d_a.sum(axis=0),
        }
        return float(cross_entropy + weight_decay / 2 * norms), d_a, grads

    def head(x, params, d_z, grads, weight_decay):
        W1 = x.T @ d_z + weight_decay * params["W1"]
        return {**grads, "W1": W1, "b1": d_z.sum(axis=0)}

    def in_training(x, y, params, running, weight_decay, keep_prob, rng):
        n = len(x)
        z = x @ params["W1"] + params["b1"]
        mean = z.sum(axis=0) / n
        var = ((z - mean) ** 2).sum(axis=0) / n
        z_hat = (z - mean) / np.sqrt(var + 1e-5)
        a = params["gamma"] * z_hat + params["beta"]
        mask = np.zeros_like(a)
        mask[rng.random(a.shape) < keep_prob] = 1 / keep_prob
        loss, d_a, grads = tail(x, y, params, z_hat, a, mask, weight_decay)
        d_hat = params["gamma"] * d_a
        d_var = (d_hat * (z - mean) * -0.5 * (var + 1e-5) ** -1.5).sum(axis=0)
        d_mean = -(d_hat / np.sqrt(var + 1e-5)).sum(axis=0)
        d_z = d_hat / np.sqrt(var + 1e-5) + d_var * 2 * (z - mean) / n + d_mean / n
        moved = {
            "mean": 0.9 * running["mean"] + 0.1 * mean,
            "var": 0.9 * running["var"] + 0.1 * (n / (n - 1)) * var,
        }
        return loss, head(x, params, d_z, grads, weight_decay), moved

    def in_evaluation(x, y, params, running, weight_decay):
        z = x @ params["W1"] + params["b1"]
        std = np.sqrt(running["var"] + 1e-5)
        z_hat = (z - running["mean"]) / std
        a = params["gamma"] * z_hat + params["beta"]
        loss, d_a, grads = tail(x, y, params, z_hat, a, 1.0, weight_decay)
        d_z = params["gamma"] * d_a / std
        return loss, head(x, params, d_z, grads, weight_decay), dict(running)

    def two_layer_net(x, y, params, running, weight_decay, keep_prob, training, rng):
        if training:
            return in_training(x, y, params, running, weight_decay, keep_prob, rng)
        return in_evaluation(x, y, params, running, weight_decay)

    def predict(x, params, running):
        z = np.matmul(x, params["W1"]) + params["b1"]
        a = (
            params["gamma"] * (z - running["mean"]) / np.sqrt(running["var"] + 1e-5)
            + params["beta"]
        )
        return np.matmul(np.where(a < 0, 0, a), params["W2"]) + params["b2"]

    def train(x, y, params, running, batches, lr, weight_decay, keep_prob, rng):
        losses = []
        for rows in batches:
            loss, grads, running = in_training(
                np.take(x, rows, axis=0),
                np.take(y, rows),
                params,
                running,
                weight_decay,
                keep_prob,
                rng,
            )
            losses.append(loss)
            params = {name: params[name] - lr * grads[name] for name in sorted(params)}
        return params, running, losses

    return two_layer_net, predict, train


def transposed():
    """Examples in columns, as in many textbooks."""

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


def recursion_and_comparisons():
    def two_layer_net(x, y, params, running, weight_decay, keep_prob, training, rng):
        eps = 10.0**-5
        rows = np.arange(x.shape[0])
        pre = np.add(np.dot(x, params["W1"]), params["b1"])
        statistics = (
            (np.mean(pre, axis=0), np.mean(np.square(pre - np.mean(pre, axis=0)), axis=0))
            if training
            else (running["mean"], running["var"])
        )
        inverse = np.divide(1, np.sqrt(np.add(statistics[1], eps)))
        normalized = np.multiply(np.subtract(pre, statistics[0]), inverse)
        activated = np.add(np.multiply(params["gamma"], normalized), params["beta"])
        open_gates = np.greater(activated, 0)
        factors = np.asarray(open_gates, dtype=float)
        if training:
            keep = np.less(rng.random(activated.shape), keep_prob)
            factors = np.divide(np.logical_and(open_gates, keep), keep_prob)
        hidden = np.multiply(factors, activated)
        scores = np.add(np.dot(hidden, params["W2"]), params["b2"])
        log_sum = np.logaddexp.reduce(scores, axis=1)
        loss = np.mean(log_sum - scores[rows, y]) + weight_decay / 2 * np.add(
            np.square(params["W1"]).sum(), np.square(params["W2"]).sum()
        )
        d_scores = np.exp(scores - log_sum[:, np.newaxis])
        np.add.at(d_scores, (rows, y), -1.0)
        d_scores = np.divide(d_scores, len(rows))
        d_activated = np.multiply(factors, np.dot(d_scores, np.transpose(params["W2"])))
        d_gamma = np.sum(np.multiply(d_activated, normalized), axis=0)
        d_beta = np.sum(d_activated, axis=0)
        inner = d_activated
        if training:
            inner = inner - d_beta / len(rows) - normalized * d_gamma / len(rows)
            unbiased = statistics[1] * len(rows) / (len(rows) - 1)
            running = {
                "mean": np.add(0.9 * running["mean"], 0.1 * statistics[0]),
                "var": np.add(0.9 * running["var"], 0.1 * unbiased),
            }
        d_pre = np.multiply(params["gamma"] * inverse, inner)
        return (
            loss,
            {
                "W1": np.dot(x.T, d_pre) + weight_decay * params["W1"],
                "b1": np.sum(d_pre, axis=0),
                "gamma": d_gamma,
                "beta": d_beta,
                "W2": np.dot(hidden.T, d_scores) + weight_decay * params["W2"],
                "b2": np.sum(d_scores, axis=0),
            },
            running,
        )

    def predict(x, params, running):
        slope = params["gamma"] / np.sqrt(running["var"] + 1e-5)
        shift = params["beta"] - slope * running["mean"]
        activated = slope * (x @ params["W1"] + params["b1"]) + shift
        return (np.abs(activated) + activated) / 2 @ params["W2"] + params["b2"]

    def train(x, y, params, running, batches, lr, weight_decay, keep_prob, rng):
        if len(batches) == 0:
            return params, running, []
        first, *others = batches
        loss, grads, running = two_layer_net(
            x[first], y[first], params, running, weight_decay, keep_prob, True, rng
        )
        params = {name: np.subtract(params[name], lr * grads[name]) for name in params}
        params, running, losses = train(
            x, y, params, running, others, lr, weight_decay, keep_prob, rng
        )
        return params, running, [loss, *losses]

    return two_layer_net, predict, train


FROM_TEXT = (
    plainest,
    layers_as_functions,
    einsum,
    row_by_row,
    a_class,
    tape,
    functional,
    matrices,
    deep_copies_and_in_place,
    two_modes_apart,
    transposed,
    recursion_and_comparisons,
)
