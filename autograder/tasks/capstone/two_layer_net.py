"""Declare the task on the network: its loss, gradients and running statistics."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from autograder.task import Aspect, Case, Expected, Functions, Inputs, Task
from autograder.tasks.answers import unpack, unpack_dict
from autograder.tasks.capstone import ASSIGNMENT, sections
from autograder.tasks.capstone.cases import (
    draw_params,
    draw_running,
    with_probable_classes,
    with_small_values,
)
from autograder.tasks.capstone.network import (
    PARAMETERS,
    STATISTICS,
    as_tensors,
    has_numbers,
    network,
)
from autograder.tasks.capstone.network_mistakes import MISCONCEPTIONS


def _two_layer_net(inputs: Inputs, **steps: Any) -> dict[str, Expected]:
    """Return loss, gradients and running statistics of one batch."""
    if not has_numbers(inputs["keep_prob"], **steps):
        return {}
    params = as_tensors(inputs["params"], requires_grad=True)
    loss, running = network(
        params,
        as_tensors(inputs["running"]),
        torch.tensor(inputs["x"]),
        torch.tensor(inputs["y"]),
        inputs["weight_decay"],
        inputs["keep_prob"],
        inputs["training"],
        np.random.default_rng(inputs["seed"]),
        **steps,
    )
    gradients = torch.autograd.grad(
        loss, [params[name] for name in PARAMETERS], materialize_grads=True
    )
    return {
        "loss": loss.detach().numpy(),
        **{f"grads[{name!r}]": d.numpy() for name, d in zip(PARAMETERS, gradients, strict=True)},
        **{f"running[{name!r}]": running[name].detach().numpy() for name in STATISTICS},
    }


def _draw(rng: np.random.Generator) -> list[Case]:
    def inputs(
        n: int, d: int, hidden: int, classes: int, keep_prob: float, *, training: bool = True
    ) -> dict[str, Any]:
        return {
            "x": rng.standard_normal((n, d)),
            "y": rng.integers(0, classes, n),
            "params": draw_params(rng, d, hidden, classes),
            "running": draw_running(rng, hidden),
            "weight_decay": float(rng.uniform(0.1, 0.7)),
            "keep_prob": keep_prob,
            "training": training,
            "seed": int(rng.integers(2**32)),
        }

    plain = {**inputs(6, 5, 4, 3, 1.0), "weight_decay": 0.0}
    one_row = inputs(1, 5, 6, 4, 0.3, training=False)
    z = one_row["x"] @ one_row["params"]["W1"] + one_row["params"]["b1"]
    # At least one unit is active, or most mistakes could not be seen.
    one_row["running"]["mean"][0] = z[0, 0] - np.sign(one_row["params"]["gamma"][0])
    large = _with_all_units_active(inputs(5, 4, 5, 3, 0.7, training=False))
    large["params"]["b2"] += rng.uniform(5e3, 9e3)
    apart = _with_all_units_active(inputs(5, 4, 5, 3, 0.7, training=False))
    # In row 0 the scores lie thousands above those of the others and thousands apart. Its right
    # class is the lowest, whose probability is rounded to 0.
    apart["x"][0] *= 30.0
    apart["params"]["W2"] = (0.5 + np.abs(apart["params"]["W2"])) * 100.0
    apart["params"]["W2"][:, 0] = 40.0
    apart["y"][0] = 0
    zero = inputs(6, 4, 5, 3, 0.7, training=False)
    for name in ("gamma", "beta"):
        zero["params"][name][0] = 0.0
    return [
        *(
            Case(name, with_probable_classes(drawn), group)
            for name, drawn, group in (
                ("training", inputs(8, 4, 6, 3, float(rng.uniform(0.6, 0.8))), "training"),
                (
                    "training with a small keep_prob",
                    inputs(7, 5, 9, 4, float(rng.uniform(0.3, 0.45))),
                    "training",
                ),
                ("training without weight decay, keeping every unit", plain, "training"),
                (
                    "training, with small values before batch norm",
                    with_small_values(inputs(7, 4, 5, 3, 0.6)),
                    "training",
                ),
                ("evaluation", inputs(6, 4, 5, 3, 0.7, training=False), "evaluation"),
                ("evaluation of one row", one_row, "evaluation"),
                (
                    "evaluation, with small values before batch norm",
                    with_small_values(inputs(5, 4, 6, 3, 0.6, training=False)),
                    "evaluation",
                ),
            )
        ),
        Case("scores in the thousands", large, "extremes"),
        Case("a row whose scores lie far above the others", apart, "extremes"),
        Case("a unit with γ = β = 0", zero, "extremes"),
    ]


def _with_all_units_active(inputs: dict[str, Any]) -> dict[str, Any]:
    """Return inputs for evaluation in which no unit is cut off by ReLU in any row.

    What is not a number then reaches all gradients, however a program computes them.
    """
    positive = {name: 0.5 + np.abs(inputs["params"][name]) for name in ("W1", "b1", "beta")}
    gamma = np.abs(inputs["params"]["gamma"])
    return {
        **inputs,
        "x": 0.5 + np.abs(inputs["x"]),
        "params": {**inputs["params"], **positive, "gamma": gamma},
        "running": {**inputs["running"], "mean": -np.abs(inputs["running"]["mean"])},
    }


def _run(student: Functions, inputs: Inputs) -> dict[str, Any]:
    name = "two_layer_net"
    arguments = (inputs[key] for key in ("x", "y", "params", "running", "weight_decay"))
    rng = np.random.default_rng(inputs["seed"])
    returned = student[name](*arguments, inputs["keep_prob"], inputs["training"], rng)
    loss, grads, running = unpack(name, returned, ("loss", "grads", "running"))
    return {
        "loss": loss,
        **unpack_dict(name, "grads", grads, PARAMETERS),
        **unpack_dict(name, "running", running, STATISTICS),
    }


NET = Task(
    name="two_layer_net",
    assignment=ASSIGNMENT,
    number=1,
    section=sections.EXERCISE,
    hints=(
        "Write the forward pass first and keep what the backward pass will need: the normalized "
        "values, the mask with its scale, the sign of what went into ReLU. For which step is each "
        "of them?",
        "Training and evaluation differ in two lines only: where μ and σ² come from, and what the "
        "mask is. What about the running statistics?",
        "Then walk back from the loss, one line of the forward pass at a time. What reaches S "
        "reaches its input through the transposed weights, and ReLU passes a gradient where its "
        "input was positive. Which steps lie between the two?",
        "On the way back the hidden units meet the mask first, with its scale, then ReLU, then γ, "
        "then batch norm. In evaluation μ and σ² are constants, and two terms of the gradient "
        "disappear. Which two?",
        "The penalty adds λ times the weight to the gradients of W1 and W2, and to no other. Do "
        "not be surprised that the gradient of b1 is zero in training (why?) and not in "
        "evaluation.",
    ),
    aspects=(
        Aspect("loss in training", 1.25, ("loss",), ("training",)),
        Aspect("gradients of the second layer", 1.0, ("grads['W2']", "grads['b2']"), ("training",)),
        Aspect(
            "gradients of gamma and beta", 1.0, ("grads['gamma']", "grads['beta']"), ("training",)
        ),
        Aspect("gradients of the first layer", 1.5, ("grads['W1']", "grads['b1']"), ("training",)),
        Aspect("running statistics", 1.0, ("running['mean']", "running['var']"), ("training",)),
        Aspect(
            "evaluation mode",
            0.75,
            (
                "loss",
                *(f"grads[{name!r}]" for name in PARAMETERS),
                *(f"running[{name!r}]" for name in STATISTICS),
            ),
            ("evaluation",),
        ),
        Aspect(
            "large scores, ReLU at 0",
            0.5,
            ("loss", *(f"grads[{name!r}]" for name in PARAMETERS)),
            ("extremes",),
        ),
    ),
    draw=_draw,
    run=_run,
    reference=_two_layer_net,
    misconceptions=MISCONCEPTIONS,
)
