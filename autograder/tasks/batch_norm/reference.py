"""Compute batch normalization with PyTorch's conventions, as the reference of all tasks.

The biased variance normalizes a batch, and the unbiased variance goes into `running_var`.  A
running statistic becomes (1 - momentum) * old + momentum * batch.  Statistics are taken over every
axis but the second, and autograd takes the gradients.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from autograder.task import Expected, Inputs, Scaled


def batch_mean(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    """Return the mean over some axes, which stay with length 1."""
    return x.mean(axes, keepdim=True)


def biased_variance(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    """Return the variance that divides by the number of values."""
    return x.var(axes, correction=0, keepdim=True)


def unbiased_variance(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    """Return the variance that divides by one less than the number of values."""
    count = x.numel() // batch_mean(x, axes).numel()
    # For a single value this is not a number, as in Tensor.var, but there is no warning.
    return (x - batch_mean(x, axes)).square().sum(axes, keepdim=True) / (count - 1)


def _blend(old: Tensor, batch: Tensor, momentum: float) -> Tensor:
    return (1 - momentum) * old + momentum * batch


def normalize(x: Tensor, mean: Tensor, variance: Tensor, eps: float) -> Tensor:
    """Subtract the mean and divide by the root of variance + eps."""
    return (x - mean) / torch.sqrt(variance + eps)


def _affine(x_hat: Tensor, gamma: Tensor, beta: Tensor, x: Tensor) -> Tensor:
    return x_hat * gamma + beta


def batch_norm(
    inputs: Inputs,
    *,
    axes: Callable[[Tensor], tuple[int, ...]] = lambda x: (0, *range(2, x.ndim)),
    mean: Callable[..., Tensor] = batch_mean,
    variance: Callable[..., Tensor] = biased_variance,
    running_mean_of: Callable[..., Tensor] = batch_mean,
    running_variance_of: Callable[..., Tensor] = unbiased_variance,
    stored_variance: Callable[..., Tensor] = lambda variance, eps: variance,
    blend_mean: Callable[..., Tensor] = _blend,
    blend_variance: Callable[..., Tensor] = _blend,
    normalize: Callable[..., Tensor] = normalize,
    normalize_in_evaluation: Callable[..., Tensor] | None = None,
    affine: Callable[..., Tensor] = _affine,
    affine_in_evaluation: Callable[..., Tensor] | None = None,
    batch_statistics_in_evaluation: bool = False,
    updates_in_evaluation: bool = False,
    returned_statistics: Callable[[Tensor], Tensor] = lambda statistics: statistics,
) -> dict[str, Expected]:
    """Return output, running statistics and gradients after one or several batches."""
    gamma = torch.tensor(inputs["gamma"], requires_grad=True)
    beta = torch.tensor(inputs["beta"], requires_grad=True)
    running_mean = torch.tensor(inputs["running_mean"])
    running_var = torch.tensor(inputs["running_var"])
    momentum, eps = inputs.get("momentum", 0.1), inputs.get("eps", 1e-5)
    training = inputs["training"]
    if not training:
        normalize = normalize_in_evaluation or normalize
        affine = affine_in_evaluation or affine
    for batch in inputs["x"]:
        x = torch.tensor(batch, requires_grad=True)
        over = axes(x)
        per_channel = (1, -1) + (1,) * (x.ndim - 2)
        if training or batch_statistics_in_evaluation:
            used_mean, used_variance = mean(x, over), variance(x, over)
        else:
            used_mean = running_mean.reshape(per_channel)
            used_variance = running_var.reshape(per_channel)
        x_hat = normalize(x, used_mean, used_variance, eps)
        out = affine(x_hat, gamma.reshape(per_channel), beta.reshape(per_channel), x)
        if training or updates_in_evaluation:
            new_mean = running_mean_of(x, over).detach()
            new_variance = stored_variance(running_variance_of(x, over).detach(), eps)
            if new_mean.numel() in (1, running_mean.numel()):
                new_mean, new_variance = new_mean.flatten(), new_variance.flatten()
            running_mean = blend_mean(running_mean, new_mean, momentum)
            running_var = blend_variance(running_var, new_variance, momentum)
    expected: dict[str, Expected] = {
        "out": out.detach().numpy(),
        "running_mean": returned_statistics(running_mean).numpy(),
        "running_var": returned_statistics(running_var).numpy(),
    }
    if "d_out" in inputs:
        d_out = torch.tensor(inputs["d_out"])
        # Passing d_out to autograd would make torch import sympy, which takes longer than a check
        # may.  So the gradient of a sum is taken.
        d_x, d_gamma, d_beta = torch.autograd.grad((out * d_out).sum(), (x, gamma, beta))
        # With two rows, d_x is a small difference of terms of this size.
        scale = gamma.reshape(per_channel) * d_out.abs().max() / torch.sqrt(used_variance + eps)
        expected["d_x"] = Scaled(d_x.numpy(), np.abs(scale.detach().numpy()))
        expected["d_gamma"] = d_gamma.numpy()
        expected["d_beta"] = d_beta.numpy()
    return expected
