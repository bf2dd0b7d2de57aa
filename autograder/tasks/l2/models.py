"""Build the models on which `parameter_groups` is tried, and count their parameters."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from autograder.task import Inputs

Parameter = tuple[nn.Module, str, Tensor]
"""This holds the layer that owns a parameter, its name there and its tensor."""


class Scale(nn.Module):
    """Hold a vector that belongs to no layer of PyTorch."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(size))


class Projection(nn.Module):
    """Hold a matrix that belongs to no layer of PyTorch."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.projection = nn.Parameter(torch.ones(size, 2))


_LAYERS: dict[str, Callable[[int], nn.Module]] = {
    "linear": lambda size: nn.Linear(size, 3),
    "linear without bias": lambda size: nn.Linear(size, 3, bias=False),
    "convolution": lambda size: nn.Conv2d(size, 2, 3),
    "embedding": lambda size: nn.Embedding(size, 4),
    "batch norm": nn.BatchNorm1d,
    "layer norm": nn.LayerNorm,
    "scale": Scale,
    "projection": Projection,
}


def build(inputs: Inputs) -> nn.Module:
    """Build the model that `inputs` describe."""
    # A check must leave alone the random numbers of the notebook that it runs in.
    with torch.random.fork_rng(devices=[]):
        layers = [_LAYERS[kind](size) for kind, size in inputs["layers"]]
    for index in inputs["frozen"]:
        for parameter in layers[index].parameters():
            parameter.requires_grad_(False)
    for first, second in inputs["shared"]:
        layers[second].weight = layers[first].weight
    return nn.Sequential(*layers)


def role_of(owner: nn.Module, name: str, parameter: Tensor) -> str:
    """Return the kind of a parameter as the report names it, in the plural."""
    if not parameter.requires_grad:
        return "frozen parameters"
    if isinstance(owner, nn.BatchNorm1d | nn.LayerNorm):
        return "gammas and betas"
    if parameter.ndim > 1:
        return "weights"
    return "biases" if name == "bias" else "other vectors"


_ROLES = ("weights", "biases", "gammas and betas", "other vectors", "frozen parameters")
COUNTS = tuple(
    f"{role} in the {group} group" for role in _ROLES for group in ("decayed", "undecayed")
)
"""By these names `count_in_groups` may return counts."""


def parameters_of(model: nn.Module) -> list[Parameter]:
    """Return the parameters of a model, a shared one only once."""
    found: dict[Tensor, Parameter] = {}
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            found.setdefault(parameter, (module, name, parameter))
    return list(found.values())


def count_in_groups(model: nn.Module, groups: Sequence[Sequence[Tensor]]) -> dict[str, list[float]]:
    """Return by role how often each parameter is in the decayed and in the undecayed group."""
    counts: dict[str, list[float]] = {}
    for module, name, parameter in parameters_of(model):
        role = role_of(module, name, parameter)
        for label, group in zip(("decayed", "undecayed"), groups, strict=True):
            times = float(sum(parameter is other for other in group))
            counts.setdefault(f"{role} in the {label} group", []).append(times)
    return counts
