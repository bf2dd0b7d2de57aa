"""Declare the task on batch normalization as a PyTorch module."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from autograder.task import (
    REFUSED,
    REQUIRED,
    Aspect,
    Case,
    Expected,
    Functions,
    Inputs,
    Misconception,
    Requirement,
    Task,
)
from autograder.tasks.answers import NotObservedError, load, module_of
from autograder.tasks.batch_norm import ASSIGNMENT, sections
from autograder.tasks.batch_norm.cases import draw_inputs, with_d_out
from autograder.tasks.batch_norm.forward import FORWARD_MISCONCEPTIONS
from autograder.tasks.batch_norm.reference import batch_norm

PLAIN = "plain buffers"
_BUFFERS = ("running_mean", "running_var", "num_batches_tracked")


def _module(inputs: Inputs, **steps: Any) -> dict[str, Expected]:
    expected = batch_norm(inputs, **steps)
    if REFUSED in expected:
        return expected
    counts = inputs["training"] or steps.get("updates_in_evaluation", False)
    tracked = inputs["batches"] + (len(inputs["x"]) if counts else 0)
    return {
        "out": expected["out"],
        "d_x": expected["d_x"],
        "weight.grad": expected["d_gamma"],
        "bias.grad": expected["d_beta"],
        "running_mean": expected["running_mean"],
        "running_var": expected["running_var"],
        "num_batches_tracked": np.asarray(tracked),
        PLAIN: np.ones(len(_BUFFERS)),
    }


def _draw(rng: np.random.Generator) -> list[Case]:
    def inputs(shape: tuple[int, int], **options: Any) -> dict[str, Any]:
        batches = int(rng.integers(1, 50))
        drawn = with_d_out(rng, draw_inputs(rng, shape, **options))
        return {**drawn, "batches": batches, "fresh": False}

    # A new layer starts from these values.
    start = {
        "gamma": np.ones(4),
        "beta": np.zeros(4),
        "running_mean": np.zeros(4),
        "running_var": np.ones(4),
        "batches": 0,
        "fresh": True,
    }
    return [
        Case("training", inputs((7, 4), momentum=0.3, eps=1e-4)),
        Case("momentum and eps left at their defaults", inputs((6, 3))),
        Case("two rows, a large eps", inputs((2, 5), momentum=0.7, eps=0.5)),
        Case("training on four batches in turn", inputs((4, 3), steps=4, momentum=0.25)),
        Case("evaluation", inputs((5, 4), training=False, eps=0.3), group="evaluation"),
        Case("a new layer", {**inputs((6, 4)), **start}),
        Case(
            "a new layer in evaluation",
            {**inputs((5, 4), training=False), **start},
            group="evaluation",
        ),
        Case("training on one row", inputs((1, 3)), REQUIRED),
        Case("training on two batches", inputs((4, 3), steps=2), REQUIRED),
    ]


def _run(student: Functions, inputs: Inputs) -> dict[str, Any]:
    options = {name: inputs[name] for name in ("momentum", "eps") if name in inputs}
    module = module_of("BatchNorm1d", student["BatchNorm1d"](inputs["gamma"].size, **options))
    module = module.double()
    fresh = {name: value.clone() for name, value in module.state_dict().items()}
    start = {
        "weight": torch.tensor(inputs["gamma"]),
        "bias": torch.tensor(inputs["beta"]),
        "running_mean": torch.tensor(inputs["running_mean"]),
        "running_var": torch.tensor(inputs["running_var"]),
        "num_batches_tracked": torch.tensor(inputs["batches"]),
    }
    load("BatchNorm1d", module, start)
    if inputs["fresh"]:
        module.load_state_dict(fresh)
    module.train(inputs["training"])
    for batch in inputs["x"]:
        x = torch.tensor(batch, requires_grad=True)
        out = module(x)
        if not isinstance(out, Tensor):
            raise NotObservedError("`forward` should return one tensor.")
    (out * torch.tensor(inputs["d_out"])).sum().backward()
    parameters = dict(module.named_parameters())
    state, buffers = module.state_dict(), dict(module.named_buffers())
    plain = [name in buffers and not buffers[name].requires_grad for name in _BUFFERS]
    return {
        "out": out,
        "d_x": x.grad,
        "weight.grad": parameters["weight"].grad if "weight" in parameters else None,
        "bias.grad": parameters["bias"].grad if "bias" in parameters else None,
        "running_mean": state["running_mean"],
        "running_var": state["running_var"],
        "num_batches_tracked": state["num_batches_tracked"],
        PLAIN: torch.tensor(plain, dtype=torch.float64),
    }


_MISCONCEPTIONS = (
    Misconception(
        "bnmodule-ignores-eval",
        "Your module does the same in both modes. `model.eval()` sets `self.training` to "
        "False; look at it in `forward`.",
        sections.EVALUATION,
        {"batch_statistics_in_evaluation": True, "updates_in_evaluation": True},
    ),
    # The first mistake has other words for a function, which is told its mode.
    *(one for one in FORWARD_MISCONCEPTIONS if one.id != "bn-ignores-training"),
)

MODULE = Task(
    name="BatchNorm1d",
    assignment=ASSIGNMENT,
    number=4,
    section=sections.PYTORCH,
    hints=(
        "PyTorch has a place for what is trained, for what is only remembered and for plain "
        "numbers. Which quantities of batch norm are which?",
        "A tensor that has to be saved but not trained is a buffer: `self.register_buffer(name, "
        "tensor)`. What would happen if the running statistics dragged the graph of every batch "
        "along with them?",
        "`forward` is Task 1 again, with `self.training` for the mode. Mind that torch's `var` "
        "divides by N − 1 unless it is told `correction=0`. Which of the two variances needs "
        "that?",
        "Update the buffers inside `torch.no_grad()`, in training only, and count the batch. The "
        "mean and variance you normalize with stay outside of it: gradients have to go through "
        "them.",
    ),
    aspects=(
        Aspect("output in training", 1.5, ("out",), ("training",)),
        Aspect("running statistics", 1.5, ("running_mean", "running_var"), ("training",)),
        Aspect("count of batches", 0.5, ("num_batches_tracked",)),
        Aspect("gradients", 1.0, ("d_x", "weight.grad", "bias.grad")),
        Aspect("evaluation mode", 1.5, ("out", "running_mean", "running_var"), ("evaluation",)),
    ),
    draw=_draw,
    run=_run,
    reference=_module,
    misconceptions=_MISCONCEPTIONS,
    framework="torch",
    forbidden=("batch_norm",),
    requirements=(
        Requirement(
            "bn-accepts-one-row",
            "refuses to train on a single row",
            "With one row per batch the variance is zero and every normalized value with it. "
            "Raise a ValueError in training, as nn.BatchNorm1d does.",
            REFUSED,
        ),
        Requirement(
            "bnmodule-momentum-buffer",
            "keeps running statistics as plain buffers",
            "Running statistics are neither trained nor differentiated: register them with "
            "`register_buffer`, and update them outside of autograd, or every batch's graph hangs "
            "on to the next.",
            PLAIN,
        ),
    ),
)
