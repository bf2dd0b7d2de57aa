"""Run a student's passes of a normalization whose features are on the last axis."""

from __future__ import annotations

from typing import Any

from autograder.task import Functions, Inputs
from autograder.tasks.answers import unpack

GRADIENTS = {"x": "d_x", "gamma": "d_gamma", "beta": "d_beta"}
"""What the gradient of an argument is called."""


def _arguments(inputs: Inputs) -> list[str]:
    """Return which of the arguments that have a gradient there are."""
    return [name for name in GRADIENTS if name in inputs]


def options(inputs: Inputs) -> dict[str, Any]:
    """Return the eps, if it is not left at its default."""
    return {name: inputs[name] for name in ("eps",) if name in inputs}


def _forward(student: Functions, inputs: Inputs, norm: str) -> tuple[dict[str, Any], Any]:
    """Run the forward pass; return its outputs and its cache."""
    name = f"{norm}_forward"
    returned = student[name](*(inputs[one] for one in _arguments(inputs)), **options(inputs))
    out, cache = unpack(name, returned, ("out", "cache"))
    return {"out": out}, cache


def run_forward(student: Functions, inputs: Inputs, norm: str) -> dict[str, Any]:
    """Run the forward pass of a norm, as in "layer_norm"; return its outputs."""
    return _forward(student, inputs, norm)[0]


def run_backward(student: Functions, inputs: Inputs, norm: str) -> dict[str, Any]:
    """Run a forward and a backward pass, named as in `run_forward`; return their outputs."""
    outputs, cache = _forward(student, inputs, norm)
    name = f"{norm}_backward"
    names = [GRADIENTS[one] for one in _arguments(inputs)]
    returned = unpack(name, student[name](inputs["d_out"], cache), names)
    return {**outputs, **dict(zip(names, returned, strict=True))}
