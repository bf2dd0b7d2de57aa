"""Compute batch normalization with PyTorch's conventions, as the reference of all tasks.

The biased variance normalizes a batch, and the unbiased variance goes into `running_var`.  A
running statistic becomes (1 - momentum) * old + momentum * batch.  Statistics are taken over every
axis but the second, and autograd takes the gradients.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from autograder.task import IS_REFUSED, Expected, Inputs, Scaled


def batch_mean(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    """Return the mean over some axes, which stay with length 1."""
    return x.mean(axes, keepdim=True)


def biased_variance(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    """Return the variance that divides by the number of values."""
    return x.var(axes, correction=0, keepdim=True)


def unbiased_variance(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    """Return the variance that divides by one less than the number of values."""
    mean = batch_mean(x, axes)
    # For a single value this is not a number, as in Tensor.var, but there is no warning.
    return (x - mean).square().sum(axes, keepdim=True) / (x.numel() // mean.numel() - 1)


def blend(old: Tensor, batch: Tensor, momentum: float) -> Tensor:
    """Return a running statistic that has moved towards that of the batch."""
    return (1 - momentum) * old + momentum * batch


def normalize(x: Tensor, mean: Tensor, variance: Tensor, eps: float) -> Tensor:
    """Subtract the mean and divide by the root of variance + eps."""
    return (x - mean) / torch.sqrt(variance + eps)


def affine(x_hat: Tensor, gamma: Tensor, beta: Tensor, x: Tensor) -> Tensor:
    """Multiply by gamma and add beta; some mistakes use the input x here."""
    return x_hat * gamma + beta


class Statistics(NamedTuple):
    """A mean and a variance of each channel."""

    mean: Tensor
    variance: Tensor


def batch_norm_of_batch(
    x: Tensor,
    gamma: Tensor,
    beta: Tensor,
    running: Statistics,
    training: bool,
    momentum: float,
    eps: float,
    *,
    axes: Callable[[Tensor], tuple[int, ...]] = lambda x: (0, *range(2, x.ndim)),
    mean: Callable[..., Tensor] = batch_mean,
    variance: Callable[..., Tensor] = biased_variance,
    running_mean_of: Callable[..., Tensor] = batch_mean,
    running_variance_of: Callable[..., Tensor] = unbiased_variance,
    stored_variance: Callable[..., Tensor] = lambda variance, eps: variance,
    blend_mean: Callable[..., Tensor] = blend,
    blend_variance: Callable[..., Tensor] = blend,
    used_in_training: Callable[..., Statistics] = lambda batch, old, new: batch,
    normalize: Callable[..., Tensor] = normalize,
    normalize_in_evaluation: Callable[..., Tensor] | None = None,
    affine: Callable[..., Tensor] = affine,
    affine_in_evaluation: Callable[..., Tensor] | None = None,
    batch_statistics_in_evaluation: bool = False,
    updates_in_evaluation: bool = False,
) -> tuple[Tensor, Statistics, Tensor]:
    """Return the output for one batch, the new running statistics and the variance that was used.

    The keyword arguments are the steps that a mistake may replace.
    """
    if not training:
        normalize = normalize_in_evaluation or normalize
        affine = affine_in_evaluation or affine
    over = axes(x)
    per_channel = (1, -1) + (1,) * (x.ndim - 2)
    new = running
    if training or updates_in_evaluation:
        of_batch = (
            running_mean_of(x.detach(), over),
            stored_variance(running_variance_of(x.detach(), over), eps),
        )
        if of_batch[0].numel() in (1, running.mean.numel()):
            of_batch = (of_batch[0].flatten(), of_batch[1].flatten())
        new = Statistics(
            blend_mean(running.mean, of_batch[0], momentum),
            blend_variance(running.variance, of_batch[1], momentum),
        )
    used = running
    if training or batch_statistics_in_evaluation:
        used = Statistics(mean(x, over), variance(x, over))
        if training:
            used = used_in_training(used, running, new)
    # What is not taken from the batch has one axis only.
    used_mean, used_variance = (
        one if one.ndim == x.ndim else one.reshape(per_channel) for one in used
    )
    x_hat = normalize(x, used_mean, used_variance, eps)
    out = affine(x_hat, gamma.reshape(per_channel), beta.reshape(per_channel), x)
    return out, new, used_variance


def batch_norm(
    inputs: Inputs,
    *,
    returned_statistics: Callable[[Tensor, bool], Tensor] = lambda statistics, training: statistics,
    **steps: Any,
) -> dict[str, Expected]:
    """Return output, running statistics and gradients after one or several batches.

    In training, a batch with a single value per channel is refused.
    """
    if inputs["training"] and any(x.size == x.shape[1] for x in inputs["x"]):
        return dict(IS_REFUSED)
    gamma = torch.tensor(inputs["gamma"], requires_grad=True)
    beta = torch.tensor(inputs["beta"], requires_grad=True)
    running = Statistics(torch.tensor(inputs["running_mean"]), torch.tensor(inputs["running_var"]))
    momentum, eps = inputs.get("momentum", 0.1), inputs.get("eps", 1e-5)
    training = inputs["training"]
    for batch in inputs["x"]:
        x = torch.tensor(batch, requires_grad=True)
        out, running, used_variance = batch_norm_of_batch(
            x, gamma, beta, running, training, momentum, eps, **steps
        )
    expected: dict[str, Expected] = {
        "out": out.detach().numpy(),
        "running_mean": returned_statistics(running.mean, training).numpy(),
        "running_var": returned_statistics(running.variance, training).numpy(),
    }
    if "d_out" in inputs:
        d_out = torch.tensor(inputs["d_out"])
        # Passing d_out to autograd would make torch import sympy, which takes longer than a check
        # may.  So the gradient of a sum is taken.
        d_x, d_gamma, d_beta = torch.autograd.grad((out * d_out).sum(), (x, gamma, beta))
        # With two rows, d_x is a small difference of terms of this size.
        per_channel = gamma.reshape((1, -1) + (1,) * (x.ndim - 2))
        scale = per_channel * d_out.abs().max() / torch.sqrt(used_variance + eps)
        expected["d_x"] = Scaled(d_x.numpy(), np.abs(scale.detach().numpy()))
        expected["d_gamma"] = d_gamma.numpy()
        expected["d_beta"] = d_beta.numpy()
    return expected
