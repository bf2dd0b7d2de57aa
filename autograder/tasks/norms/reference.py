"""Compute layer norm, RMSNorm and group norm, as the reference of all tasks.

They normalize as batch norm does, but each example by itself.  They differ in which values share a
mean and a variance; RMSNorm takes 0 for the mean.  Autograd takes the gradients.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor

from autograder.task import IS_REFUSED, Expected, Inputs, Scaled
from autograder.tasks.batch_norm.reference import affine, batch_mean, biased_variance, normalize

Axes = Callable[[Tensor], tuple[int, ...] | None]
"""What statistics are taken over, for an x; None where a program would end with an error."""


def last_axis(x: Tensor) -> tuple[int, ...]:
    """Return the axis of the features."""
    return (-1,)


def no_mean(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    """Return 0, the mean that RMSNorm subtracts."""
    return torch.zeros_like(batch_mean(x, axes))


def mean_square(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    """Return the mean of the squares over some axes, which stay with length 1."""
    return batch_mean(x.square(), axes)


def over_examples(gradients: Tensor) -> Tensor:
    """Return the sum over all axes but the last."""
    return gradients.reshape(-1, gradients.shape[-1]).sum(0)


def layer_norm(
    inputs: Inputs,
    *,
    axes: Axes = last_axis,
    entry: Callable[[Tensor, Tensor], Tensor] = lambda x, gamma: x,
    mean: Callable[..., Tensor] = batch_mean,
    variance: Callable[..., Tensor] = biased_variance,
    normalize: Callable[..., Tensor] = normalize,
    affine: Callable[..., Tensor] = affine,
    collect: Callable[[Tensor], Tensor] = over_examples,
    eps: float = 1e-5,
) -> dict[str, Expected]:
    """Return the output, and the gradients where the inputs have one of it.

    Without a beta there is none.

    Parameters
    ----------
    inputs
        Those of a case.
    axes, mean, variance, normalize, affine
        The steps of the forward pass.
    entry
        What x goes through first, with gamma.
    collect
        Makes the gradient of gamma or beta of the gradients with respect to each use of it.
    eps
        The eps where the inputs have none.
    """
    x = torch.tensor(inputs["x"], requires_grad=True)
    # Each example has a copy of its own, so that `collect` is a step.
    gamma, beta = (
        torch.tensor(inputs.get(name, np.zeros(x.shape[-1])), requires_grad=True).expand(x.shape)
        for name in ("gamma", "beta")
    )
    eps, over = inputs.get("eps", eps), axes(x)
    if over is None:
        return {}
    taken = entry(x, gamma)
    spread = variance(taken, over)
    out = affine(normalize(taken, mean(taken, over), spread, eps), gamma, beta, x)
    expected: dict[str, Expected] = {"out": out.detach().numpy()}
    if "d_out" in inputs:
        d_out = torch.tensor(inputs["d_out"])
        # A gradient of a sum, because torch would import sympy for any other.
        d_x, d_gamma, d_beta = torch.autograd.grad(
            (out * d_out).sum(), (x, gamma, beta), materialize_grads=True
        )
        # With two features, d_x is a small difference of terms of this size.
        scale = gamma.abs().max() * d_out.abs().max() / torch.sqrt(spread + eps)
        expected["d_x"] = Scaled(d_x.numpy(), scale.detach().numpy())
        expected["d_gamma"] = collect(d_gamma).numpy()
        if "beta" in inputs:
            expected["d_beta"] = collect(d_beta).numpy()
    return expected


rms_norm = partial(layer_norm, mean=no_mean, variance=mean_square, eps=1e-6)
"""The same with the steps of RMSNorm for a mean and a variance, and its eps."""


def neighbors(x: Tensor, groups: int) -> Tensor:
    """Split the channels of images into groups of neighbors: (N, groups, C / groups, H, W)."""
    return x.reshape(len(x), groups, -1, *x.shape[2:])


def all_but_group(x: Tensor) -> tuple[int, ...]:
    """Return the axes of what `neighbors` returns that one group extends over."""
    return (2, 3, 4)


def group_norm(
    inputs: Inputs,
    *,
    split: Callable[[Tensor, int], Tensor | None] = neighbors,
    join: Callable[[Tensor], Tensor] = lambda x: x.flatten(1, 2),
    axes: Axes = all_but_group,
    mean: Callable[..., Tensor] = batch_mean,
    variance: Callable[..., Tensor] = biased_variance,
    normalize: Callable[..., Tensor] = normalize,
    affine: Callable[..., Tensor] = affine,
    per_channel: Callable[[Tensor, Tensor], Tensor | None] = lambda values, x: values.reshape(
        -1, 1, 1
    ),
    eps: float = 1e-5,
) -> dict[str, Expected]:
    """Return the output for a batch of images; groups of unequal size are refused.

    Parameters
    ----------
    inputs
        Those of a case.
    split, join
        Put an axis of groups before that of their channels, and take it away.
    axes, mean, variance, normalize, affine
        As for `layer_norm`, after the split.
    per_channel
        Gives gamma or beta the shape in which it meets an x; None where it would not fit.
    eps
        As for `layer_norm`.
    """
    x = torch.tensor(inputs["x"])
    if x.shape[1] % inputs["groups"]:
        return dict(IS_REFUSED)
    grouped = split(x, inputs["groups"])
    gamma, beta = (per_channel(torch.tensor(inputs[name]), x) for name in ("gamma", "beta"))
    over = None if grouped is None else axes(grouped)
    if grouped is None or over is None or gamma is None or beta is None:
        return {}
    eps = inputs.get("eps", eps)
    x_hat = normalize(grouped, mean(grouped, over), variance(grouped, over), eps)
    return {"out": affine(join(x_hat), gamma, beta, x).numpy()}
