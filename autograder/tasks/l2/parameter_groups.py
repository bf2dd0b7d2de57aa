"""Declare the task on parameter groups, of which only one is decayed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from autograder.task import Aspect, Case, Expected, Functions, Inputs, Misconception, Task
from autograder.tasks.answers import NotObservedError, unpack_list
from autograder.tasks.l2 import ASSIGNMENT, sections
from autograder.tasks.l2.cases import draw_weight_decay
from autograder.tasks.l2.models import (
    COUNTS,
    Parameter,
    Projection,
    Scale,
    build,
    count_in_groups,
    parameters_of,
    role_of,
)

Placement = Callable[[nn.Module, str, Tensor], tuple[int, ...]]
"""It maps owner, name and tensor to the groups of a parameter: 0 is decayed, 1 is not."""


def _by_dimensions(owner: nn.Module, name: str, parameter: Tensor) -> tuple[int, ...]:
    if not parameter.requires_grad:
        return ()
    return (0,) if parameter.ndim > 1 else (1,)


def _groups(
    inputs: Inputs,
    *,
    placed: Placement = _by_dimensions,
    walked: Callable[[nn.Module], list[Parameter]] = parameters_of,
) -> dict[str, Expected]:
    """Return how often each parameter is in which group."""
    model = build(inputs)
    groups: tuple[list[Tensor], list[Tensor]] = ([], [])
    for owner, name, parameter in walked(model):
        for index in placed(owner, name, parameter):
            groups[index].append(parameter)
    return {name: np.array(counts) for name, counts in count_in_groups(model, groups).items()}


def _draw(rng: np.random.Generator) -> list[Case]:
    def inputs(
        *kinds: str,
        frozen: Sequence[int] = (),
        shared: Sequence[tuple[int, int]] = (),
        mixed: bool = True,
    ) -> dict[str, Any]:
        order = [int(i) for i in (rng.permutation(len(kinds)) if mixed else range(len(kinds)))]
        size = int(rng.integers(4, 9))
        return {
            "layers": [[kinds[i], size] for i in order],
            "frozen": [order.index(i) for i in frozen],
            "shared": [[order.index(i) for i in pair] for pair in shared],
            "weight_decay": draw_weight_decay(rng),
        }

    return [
        Case("linear layers", inputs("linear", "linear", "linear without bias"), "layers"),
        Case("a convolution and a linear layer", inputs("convolution", "linear"), "layers"),
        Case(
            "with batch norm, layer norm and an embedding",
            inputs("linear", "batch norm", "layer norm", "embedding"),
            "normalization",
        ),
        Case(
            "with parameters of the model's own, a vector first and a matrix last",
            inputs("scale", "convolution", "batch norm", "projection", mixed=False),
            "normalization",
        ),
        Case(
            "with a frozen layer",
            inputs("linear", "linear", "batch norm", "convolution", frozen=(1,)),
            "frozen",
        ),
        Case(
            "with a weight that two layers share",
            inputs("linear", "linear", "linear without bias", "layer norm", shared=((0, 1),)),
            "shared",
        ),
    ]


def _run(student: Functions, inputs: Inputs) -> dict[str, Any]:
    model, weight_decay = build(inputs), inputs["weight_decay"]
    groups = unpack_list(
        "parameter_groups",
        student["parameter_groups"](model, weight_decay),
        2,
        "group",
        "It should return a list of two groups.",
    )
    tensors = dict(_unpack_group(one, model) for one in groups)
    if tensors.keys() != {weight_decay, 0.0}:
        decays = " and ".join(str(group["weight_decay"]) for group in groups)
        raise NotObservedError(
            f'With weight_decay={weight_decay:.3g} the groups have "weight_decay" {decays}. '
            f"One should have {weight_decay:.3g}, the other 0.0."
        )
    counts = count_in_groups(model, (tensors[weight_decay], tensors[0.0]))
    return {name: torch.tensor(values, dtype=torch.float64) for name, values in counts.items()}


def _unpack_group(group: Any, model: nn.Module) -> tuple[float, list[Tensor]]:
    """Return the weight decay and the parameters of a group that the student made."""
    if not isinstance(group, dict) or not {"params", "weight_decay"} <= group.keys():
        raise NotObservedError(
            'Each group should be a dict with the keys "params" and "weight_decay".'
        )
    if isinstance(group["params"], Tensor) or not hasattr(group["params"], "__iter__"):
        raise NotObservedError('"params" should be a list of parameters.')
    # A generator can be walked through only once.
    parameters = list(group["params"])
    known = {id(parameter) for parameter in model.parameters()}
    for parameter in parameters:
        if not isinstance(parameter, Tensor):
            raise NotObservedError(
                f'"params" should contain parameters; it contains a {type(parameter).__name__}.'
            )
        if id(parameter) not in known:
            raise NotObservedError(
                '"params" contains a tensor that is not one of the model\'s parameters. '
                "Put in the parameters themselves, not copies or their `.data`."
            )
    decay = group["weight_decay"]
    if not isinstance(decay, int | float):
        raise NotObservedError(f'"weight_decay" is a {type(decay).__name__}; make it a number.')
    return float(decay), parameters


def _describe(name: str, got: NDArray[Any], expected: NDArray[Any]) -> str:
    """Say in words which parameters are where they should not be."""
    role, group = name.split(" in the ")
    count, inside, wanted = len(got), int((got > 0).sum()), int((expected > 0).sum())
    if inside == wanted:
        return f"{int((got > 1).sum())} of {count} {role} are in the {group} more than once."
    return (
        f"{inside or 'none'} of {count} {role} {'is' if inside == 1 else 'are'} in the {group}; "
        f"{'all' if wanted else 'none'} should be."
    )


def _decays(decayed: Callable[[nn.Module, str, Tensor], bool]) -> Placement:
    """Return the placement that decays what `decayed` says and leaves out what is frozen."""

    def placed(owner: nn.Module, name: str, parameter: Tensor) -> tuple[int, ...]:
        if not parameter.requires_grad:
            return ()
        return (0,) if decayed(owner, name, parameter) else (1,)

    return placed


def _decays_roles(*roles: str) -> Placement:
    return _decays(lambda owner, name, parameter: role_of(owner, name, parameter) in roles)


def _spares(kind: type[nn.Module]) -> Placement:
    """Return the placement that spares biases and what layers of one kind own."""
    return _decays(lambda owner, name, parameter: name != "bias" and not isinstance(owner, kind))


def _loses_own(owner: nn.Module, name: str, parameter: Tensor) -> tuple[int, ...]:
    if isinstance(owner, Scale | Projection):
        return ()
    return _by_dimensions(owner, name, parameter)


def _keeps_frozen(owner: nn.Module, name: str, parameter: Tensor) -> tuple[int, ...]:
    return (0,) if parameter.ndim > 1 else (1,)


def _in_both(owner: nn.Module, name: str, parameter: Tensor) -> tuple[int, ...]:
    if not parameter.requires_grad:
        return ()
    return (0, 1) if parameter.ndim > 1 else (1,)


def _each_time(model: nn.Module) -> list[Parameter]:
    return [
        (module, name, parameter)
        for module in model.modules()
        for name, parameter in module.named_parameters(recurse=False)
    ]


_MISCONCEPTIONS = (
    Misconception(
        "groups-decay-everything",
        "All parameters are in the group that is decayed. Those with fewer than two dimensions "
        "(biases, γ and β) belong in the other.",
        sections.WHAT_NOT,
        {"placed": _decays(lambda owner, name, parameter: True)},
    ),
    Misconception(
        "groups-decay-nothing",
        "All parameters are in the group that is not decayed. Those with two or more "
        "dimensions belong in the other.",
        sections.WHAT_NOT,
        {"placed": _decays(lambda owner, name, parameter: False)},
    ),
    Misconception(
        "groups-decay-norm",
        "You decay γ and β of the normalization layers. Pulled to zero they shrink the signal "
        "for no gain in smoothness.",
        sections.WHAT_NOT,
        {"placed": _decays_roles("weights", "gammas and betas")},
    ),
    Misconception(
        "groups-decay-bias",
        "You decay the biases. A bias shifts a function and does not make it steeper.",
        sections.WHAT_NOT,
        {"placed": _decays_roles("weights", "biases")},
    ),
    Misconception(
        "groups-by-name",
        "You sort by name: what is not called `bias` is decayed. The γ of a normalization "
        "layer is called `weight` and has one dimension; look at `parameter.ndim`.",
        sections.WHAT_NOT,
        {"placed": _decays(lambda owner, name, parameter: name != "bias")},
    ),
    Misconception(
        "groups-by-type",
        "You decay what is neither a bias nor in a normalization layer. A model may have other "
        "vectors of its own; look at `parameter.ndim`.",
        sections.WHAT_NOT,
        {"placed": _decays_roles("weights", "other vectors")},
    ),
    Misconception(
        "groups-layer-norm-only",
        "You spare biases and the parameters of layer norm, but decay the γ of batch norm. There "
        "are many kinds of normalization layers; look at `parameter.ndim`.",
        sections.WHAT_NOT,
        {"placed": _spares(nn.LayerNorm)},
    ),
    Misconception(
        "groups-batch-norm-only",
        "You spare biases and the parameters of batch norm, but decay the γ of layer norm. There "
        "are many kinds of normalization layers; look at `parameter.ndim`.",
        sections.WHAT_NOT,
        {"placed": _spares(nn.BatchNorm1d)},
    ),
    Misconception(
        "groups-swapped",
        "The two groups have changed places: what should be decayed is not, and the other way "
        "round.",
        sections.WHAT_NOT,
        {"placed": _decays(lambda owner, name, parameter: parameter.ndim < 2)},
    ),
    Misconception(
        "groups-linear-only",
        "You decay the weights of linear layers and convolutions only. Embeddings and a "
        "model's own matrices have two dimensions too.",
        sections.WHAT_NOT,
        {
            "placed": _decays(
                lambda owner, name, parameter: (
                    isinstance(owner, nn.Linear | nn.Conv2d) and name == "weight"
                )
            )
        },
    ),
    Misconception(
        "groups-lost-parameter",
        "Parameters that belong to none of PyTorch's layers are in neither group, so the "
        "optimizer would never train them. Go through `model.parameters()`, which has all.",
        sections.WHAT_NOT,
        {"placed": _loses_own},
    ),
    Misconception(
        "groups-in-both",
        "You put the decayed parameters into the other group as well. An optimizer refuses a "
        "parameter that is in two groups.",
        sections.WHAT_NOT,
        {"placed": _in_both},
    ),
    Misconception(
        "groups-keeps-frozen",
        "Frozen parameters are in your groups. Leave out those whose `requires_grad` is False.",
        sections.WHAT_NOT,
        {"placed": _keeps_frozen},
    ),
    Misconception(
        "groups-shared-twice",
        "A parameter that two layers share is in your groups twice. `model.parameters()` names "
        "each parameter once.",
        sections.WHAT_NOT,
        {"walked": _each_time},
    ),
)

PARAMETER_GROUPS = Task(
    name="parameter_groups",
    assignment=ASSIGNMENT,
    number=6,
    section=sections.WHAT_NOT,
    hints=(
        "What tells a weight matrix from a bias, whatever layer they belong to?",
        "`model.parameters()` goes through all parameters of all layers and names a shared one "
        "only once. Each of them knows its `ndim`: what is it for a matrix, a bias, a γ and a "
        "kernel of a convolution?",
        "Sort out the frozen ones first, by `requires_grad`. Each of the others is in exactly one "
        "of two lists: what decides in which?",
        "A bias has one dimension, and so have γ and β; a kernel of a convolution has four. On "
        "which side is two? The second group needs a `weight_decay` as well, or the optimizer "
        "takes its default.",
    ),
    aspects=(
        Aspect("linear layers and convolutions", 1.0, COUNTS, ("layers",)),
        Aspect("normalization, embeddings, own parameters", 1.5, COUNTS, ("normalization",)),
        Aspect("frozen parameters", 0.75, COUNTS, ("frozen",)),
        Aspect("shared parameters", 0.75, COUNTS, ("shared",)),
    ),
    draw=_draw,
    run=_run,
    reference=_groups,
    describe=_describe,
    misconceptions=_MISCONCEPTIONS,
    framework="torch",
    forbidden=(),
)
