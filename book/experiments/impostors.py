"""Inputs of several kinds, to see how many wrong programs they expose."""

import numpy as np

from autograder import grade, tasks
from autograder.judging.judge import judge
from autograder.validate import as_observed

TARGETS = {
    "probe_l2": "penalty",
    "probe_adam": "Adam",
    "probe_dropout": "dropout",
    "probe_batch_norm": "batch norm",
}


def fresh(rng):
    """Return the first inputs that come to mind: a new layer, its defaults, normal numbers."""
    x, d_out = rng.standard_normal((2, 8, 8))
    nothing = np.zeros((8, 8))
    return {
        "probe_l2": [{"weights": [x], "weight_decay": 1.0}],
        "probe_adam": [
            {
                "param": x,
                "grad": d_out,
                "state": {"step": 0, "m": nothing, "v": nothing},
                "lr": 1e-3,
                "betas": (0.9, 0.999),
                "eps": 1e-8,
                "weight_decay": 0.01,
                "decoupled": False,
            }
        ],
        "probe_dropout": [{"x": x, "keep_prob": 0.5, "training": True, "d_out": d_out}],
        "probe_batch_norm": [
            {
                "x": x,
                "gamma": np.ones(8),
                "beta": np.zeros(8),
                "running_mean": np.zeros(8),
                "running_var": np.ones(8),
                "training": True,
                "momentum": 0.1,
                "eps": 1e-5,
                "d_out": d_out,
            }
        ],
    }


def as_in_cs231n(rng):
    """Return inputs like those by which the notebooks of CS231n check these layers.

    https://cs231n.github.io, assignments 1 and 2: small weights and a strength of 50; a state of
    Adam with a history; inputs far from 0 for dropout and batch norm, in both modes.
    """
    x, d_out = rng.standard_normal((2, 8, 8))
    places = np.arange(20).reshape(4, 5) / 19
    adam = {
        "param": -0.4 + places,
        "grad": -0.6 + places,
        "state": {"step": 5, "m": 0.6 + 0.3 * places, "v": 0.7 - 0.2 * places},
        "lr": 1e-2,
        "betas": (0.9, 0.999),
        "eps": 1e-8,
        "weight_decay": 0.0,
        "decoupled": False,
    }
    norm = {
        "x": 5 * rng.standard_normal((4, 5)) + 12,
        "gamma": rng.standard_normal(5),
        "beta": rng.standard_normal(5),
        "running_mean": np.full(5, 12.0),
        "running_var": np.full(5, 25.0),
        "momentum": 0.1,
        "eps": 1e-5,
        "d_out": rng.standard_normal((4, 5)),
    }
    return {
        "probe_l2": [{"weights": [1e-4 * x], "weight_decay": 50.0}],
        "probe_adam": [adam],
        "probe_dropout": [
            {"x": x + 10, "keep_prob": keep_prob, "training": training, "d_out": d_out}
            for keep_prob, training in ((0.25, True), (0.7, True), (0.25, False))
        ],
        "probe_batch_norm": [{**norm, "training": True}, {**norm, "training": False}],
    }


def all_normal(rng):
    """Return inputs in which everything that can be is drawn, in both modes."""
    x, d_out = rng.standard_normal((2, 8, 8))
    adam = {
        "param": x,
        "grad": d_out,
        "state": {"step": 2, "m": rng.standard_normal((8, 8)), "v": rng.random((8, 8))},
        "lr": rng.uniform(0.01, 1),
        "betas": (rng.uniform(0.5, 0.9), rng.uniform(0.9, 0.99)),
        "eps": 1e-8,
        "weight_decay": rng.uniform(0.1, 1),
    }
    dropout = {"x": x, "keep_prob": rng.uniform(0.2, 0.8), "d_out": d_out}
    norm = {
        "x": x,
        "gamma": rng.standard_normal(8),
        "beta": rng.standard_normal(8),
        "running_mean": rng.standard_normal(8),
        "running_var": rng.uniform(0.5, 2, 8),
        "momentum": rng.uniform(0.1, 0.9),
        "eps": 1e-5,
        "d_out": d_out,
    }
    modes = (True, False)
    return {
        "probe_l2": [{"weights": [x, d_out], "weight_decay": rng.uniform(0.1, 1)}],
        "probe_adam": [{**adam, "decoupled": mode} for mode in modes],
        "probe_dropout": [{**dropout, "training": mode} for mode in modes],
        "probe_batch_norm": [{**norm, "training": mode} for mode in modes],
    }


KINDS = {
    "a new layer, normal numbers": fresh,
    "as in CS231n's notebooks": as_in_cs231n,
    "all normal, both modes": all_normal,
}
CHOSEN = "chosen to be seen"


def shares_exposed(seeds):
    """Return the mean share of sixteen impostors that inputs expose, by kind and program.

    Inputs that are chosen have everything as large as what it meets, and nothing equal.
    """
    shares = {kind: dict.fromkeys(TARGETS, 0.0) for kind in (*KINDS, CHOSEN)}
    for seed in seeds:
        for name in TARGETS:
            task = tasks[name]
            for kind, draw in KINDS.items():
                calls = draw(np.random.default_rng(seed))[name]
                shares[kind][name] += grade(name, {name: lambda calls=calls: calls}, seed).points
            cases = task.draw(np.random.default_rng(seed))
            shares[CHOSEN][name] += judge(task, cases, as_observed(task, cases, {}, seed)).points
    return {
        kind: {
            name: points / (len(seeds) * tasks[name].max_points) for name, points in found.items()
        }
        for kind, found in shares.items()
    }
