"""Declare the task on RMSNorm as a PyTorch module."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from autograder.task import Aspect, Case, Expected, Functions, Inputs, Task
from autograder.tasks.answers import NotObservedError, load, module_of
from autograder.tasks.norms import ASSIGNMENT, sections
from autograder.tasks.norms.cases import with_d_out
from autograder.tasks.norms.passes import options
from autograder.tasks.norms.reference import rms_norm
from autograder.tasks.norms.rms_norm import FORWARD_MISCONCEPTIONS, inputs_of


def _module(inputs: Inputs, **steps: Any) -> dict[str, Expected]:
    expected = rms_norm(inputs, **steps)
    names = {"out": "out", "d_x": "d_x", "d_gamma": "weight.grad"}
    return {names[name]: value for name, value in expected.items()}


def _draw(rng: np.random.Generator) -> list[Case]:
    def inputs(shape: tuple[int, ...], **options: float) -> dict[str, Any]:
        return {**with_d_out(rng, inputs_of(rng, shape, **options)), "fresh": False}

    return [
        Case("a matrix", inputs((5, 6), eps=1e-2)),
        Case("three axes", inputs((2, 3, 5), eps=0.1)),
        Case("as many rows as features", inputs((4, 4), eps=0.7)),
        Case("eps left at its default", inputs((3, 6), mean=1e-3, deviation=1e-3)),
        # A new layer starts from this value.
        Case("a new layer", {**inputs((5, 4), eps=0.2), "gamma": np.ones(4), "fresh": True}),
    ]


def _run(student: Functions, inputs: Inputs) -> dict[str, Any]:
    module = module_of("RMSNorm", student["RMSNorm"](inputs["gamma"].size, **options(inputs)))
    module = module.double()
    fresh = {name: value.clone() for name, value in module.state_dict().items()}
    load("RMSNorm", module, {"weight": torch.tensor(inputs["gamma"])})
    if inputs["fresh"]:
        module.load_state_dict(fresh)
    x = torch.tensor(inputs["x"], requires_grad=True)
    out = module(x)
    if not isinstance(out, Tensor):
        raise NotObservedError("`forward` should return one tensor.")
    torch.autograd.backward((out * torch.tensor(inputs["d_out"])).sum())
    weight = dict(module.named_parameters()).get("weight")
    return {
        "out": out,
        "d_x": x.grad,
        "weight.grad": None if weight is None else weight.grad,
    }


MODULE = Task(
    name="RMSNorm",
    assignment=ASSIGNMENT,
    number=5,
    section=sections.RMS,
    hints=(
        "What does the layer remember: what is trained, and what is a plain number?",
        "The `state_dict` of `nn.RMSNorm` has a single entry, `weight`, with one value for each "
        "feature. What makes PyTorch see a tensor as something to train?",
        "From which value should γ start, so that a new layer only normalizes?",
        "In `forward` take the mean of `x.square()` over the last axis with `keepdim=True`, add "
        "ε, take the root, divide, and multiply by the weight.",
    ),
    aspects=(
        Aspect("output", 1.25, ("out",)),
        Aspect("gradients", 0.75, ("d_x", "weight.grad")),
    ),
    draw=_draw,
    run=_run,
    reference=_module,
    misconceptions=FORWARD_MISCONCEPTIONS,
    framework="torch",
    forbidden=("batch_norm",),
)
