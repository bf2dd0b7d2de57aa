"""Declare the task on training the network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from autograder.task import Aspect, Case, Expected, Functions, Inputs, Misconception, Task
from autograder.tasks.answers import NotObservedError, unpack, unpack_dict
from autograder.tasks.batch_norm import sections as batch_norm_sections
from autograder.tasks.capstone import ASSIGNMENT, sections
from autograder.tasks.capstone.cases import draw_params, draw_running
from autograder.tasks.capstone.network import (
    PARAMETERS,
    STATISTICS,
    Tensors,
    as_tensors,
    has_numbers,
    network,
)
from autograder.tasks.capstone.network_mistakes import TRAINING_MISCONCEPTIONS
from autograder.tasks.capstone.two_layer_net import NET
from autograder.tasks.dropout import sections as dropout_sections
from autograder.tasks.l2 import sections as l2_sections


def _descend(w: Tensor, d: Tensor, lr: float, weight_decay: float) -> Tensor:
    return w - lr * d


def _train(
    inputs: Inputs,
    *,
    walked: Callable[[list[Any]], list[Any]] = lambda batches: batches,
    rows: Callable[[Tensor, Any], Tensor] = lambda array, batch: array[batch],
    update: Callable[[Tensor, Tensor, float, float], Tensor] = _descend,
    gradients_at: Callable[[Tensors, Tensors], Tensors] = lambda start, params: params,
    statistics_from: Callable[[Tensors, Tensors], Tensors] = lambda start, running: running,
    returned_statistics: Callable[[Tensors, Tensors], Tensors] = lambda start, running: running,
    training: bool = True,
    **steps: Any,
) -> dict[str, Expected]:
    """Return parameters, statistics and losses after one step of SGD for each batch."""
    if not has_numbers(inputs["keep_prob"], **steps):
        return {}
    rng = np.random.default_rng(inputs["seed"])
    x, y = torch.tensor(inputs["x"]), torch.tensor(inputs["y"])
    start, start_running = as_tensors(inputs["params"]), as_tensors(inputs["running"])
    params: Tensors = start
    running: Tensors = start_running
    losses = []
    for batch in walked(inputs["batches"]):
        here = {
            name: w.detach().requires_grad_() for name, w in gradients_at(start, params).items()
        }
        loss, running = network(
            here,
            statistics_from(start_running, running),
            rows(x, batch),
            rows(y, batch),
            inputs["weight_decay"],
            inputs["keep_prob"],
            training,
            rng,
            **steps,
        )
        gradients = torch.autograd.grad(
            loss, [here[name] for name in PARAMETERS], materialize_grads=True
        )
        params = {
            name: update(params[name].detach(), d, inputs["lr"], inputs["weight_decay"])
            for name, d in zip(PARAMETERS, gradients, strict=True)
        }
        losses.append(float(loss.detach()))
    running = returned_statistics(start_running, running)
    return {
        **{f"params[{name!r}]": params[name].numpy() for name in PARAMETERS},
        **{f"running[{name!r}]": running[name].detach().numpy() for name in STATISTICS},
        "losses": np.array(losses),
    }


def _draw(rng: np.random.Generator) -> list[Case]:
    def inputs(
        n: int, d: int, hidden: int, classes: int, sizes: Sequence[int], **options: float
    ) -> dict[str, Any]:
        params = draw_params(rng, d, hidden, classes)
        # No class becomes improbable on the way, see `narrowing`.
        params["W2"] *= 0.3
        return {
            "x": rng.standard_normal((n, d)),
            "y": rng.integers(0, classes, n),
            "params": params,
            "running": draw_running(rng, hidden),
            "batches": [rng.choice(n, size, replace=False) for size in sizes],
            "seed": int(rng.integers(2**32)),
            **options,
        }

    sizes = [int(size) for size in rng.integers(6, 12, 18)]
    return [
        # This case is short, so that it rules out almost all known mistakes quickly.
        Case(
            "two steps with everything",
            inputs(12, 4, 5, 3, [6, 7], lr=0.1, weight_decay=0.1, keep_prob=0.75),
        ),
        Case(
            "eighteen steps with everything",
            inputs(30, 5, 6, 3, sizes, lr=0.1, weight_decay=0.1, keep_prob=0.75),
        ),
        Case(
            "six steps without regularization",
            inputs(20, 4, 5, 4, [8] * 6, lr=0.15, weight_decay=0.0, keep_prob=1.0),
        ),
    ]


def _run(student: Functions, inputs: Inputs) -> dict[str, Any]:
    names = ("x", "y", "params", "running", "batches", "lr", "weight_decay", "keep_prob")
    rng = np.random.default_rng(inputs["seed"])
    returned = student["train"](*(inputs[name] for name in names), rng)
    params, running, losses = unpack("train", returned, ("params", "running", "losses"))
    if isinstance(losses, list | tuple):
        try:
            losses = np.array([float(loss) for loss in losses])
        except (TypeError, ValueError):
            raise NotObservedError(
                "`losses` should be a list with one number for each step."
            ) from None
    return {
        **unpack_dict("train", "params", params, PARAMETERS),
        **unpack_dict("train", "running", running, STATISTICS),
        "losses": losses,
    }


_MISCONCEPTIONS = (
    Misconception(
        "train-ascends",
        "Your steps go up the gradient. Descent subtracts it.",
        l2_sections.UPDATE,
        {"update": lambda w, d, lr, weight_decay: w + lr * d},
    ),
    Misconception(
        "train-decays-twice",
        "You decay every parameter in the step, but the gradients that `two_layer_net` "
        "returns contain the penalty's already. Take a plain step, w − lr · gradient.",
        l2_sections.WRONG,
        {"update": lambda w, d, lr, weight_decay: w - lr * (d + weight_decay * w)},
    ),
    Misconception(
        "train-stale-gradients",
        "All your gradients are taken at the parameters that training started from. Each step "
        "has to start where the last one ended.",
        l2_sections.UPDATE,
        {"gradients_at": lambda start, params: start},
    ),
    Misconception(
        "train-full-batch",
        "Every step of yours uses all rows. Take the rows that the index array names: "
        "`x[batch]` and `y[batch]`.",
        l2_sections.UPDATE,
        {"rows": lambda array, batch: array},
    ),
    Misconception(
        "train-reversed",
        "You go through the batches from the last to the first.",
        l2_sections.UPDATE,
        {"walked": lambda batches: batches[::-1]},
    ),
    Misconception(
        "train-skips-last",
        "You leave out the last batch.",
        l2_sections.UPDATE,
        {"walked": lambda batches: batches[:-1]},
    ),
    Misconception(
        "train-first-only",
        "You return after the first step. Is the `return` inside the loop?",
        l2_sections.UPDATE,
        {"walked": lambda batches: batches[:1]},
    ),
    Misconception(
        "train-running-not-carried",
        "Every step starts again from the running statistics that training started from. Pass "
        "on those that the step before returned.",
        batch_norm_sections.RUNNING,
        {"statistics_from": lambda start, running: start},
    ),
    Misconception(
        "train-running-untouched",
        "You return the running statistics as they came in and lose what the steps returned.",
        batch_norm_sections.RUNNING,
        {"returned_statistics": lambda start, running: start},
    ),
    Misconception(
        "train-in-evaluation",
        "You train in evaluation mode, without dropout and with the running statistics. Pass "
        "`training=True`.",
        dropout_sections.MODES,
        {"training": False},
    ),
)

TRAIN = Task(
    name="train",
    assignment=ASSIGNMENT,
    number=3,
    section=sections.EXERCISE,
    hints=(
        "What does a step need, and what of that did the step before it change?",
        "`x[batch]` picks the rows. Make a new dict of parameters in each step, so that the one "
        "you were given stays as it is. Why is a copy of the dict not enough if you then write "
        "`-=`?",
        "In training mode, with the same `rng` each time, `two_layer_net` returns three things: "
        "one to write down, one to step with, one to hand on to the next step. Which is which?",
        "All six parameters take a plain step of gradient descent. The gradients know of weight "
        "decay already.",
    ),
    aspects=(
        Aspect("parameters", 3.0, tuple(f"params[{name!r}]" for name in PARAMETERS)),
        Aspect("running statistics", 1.5, tuple(f"running[{name!r}]" for name in STATISTICS)),
        Aspect("losses", 1.5, ("losses",)),
    ),
    draw=_draw,
    run=_run,
    reference=_train,
    misconceptions=_MISCONCEPTIONS,
    depends_on=("two_layer_net",),
    forward_task=replace(NET, misconceptions=TRAINING_MISCONCEPTIONS),
    tolerance=1e-6,
)
