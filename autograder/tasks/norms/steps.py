"""Replace the steps that layer norm, RMSNorm and group norm share, where known mistakes do."""

from __future__ import annotations

import torch
from torch import Tensor

from autograder.tasks.batch_norm.reference import normalize
from autograder.tasks.gradients import with_gradient_of
from autograder.tasks.norms.reference import last_axis, over_examples


def first_axis(x: Tensor) -> tuple[int, ...]:
    """Return the axis of the batch."""
    return (0,)


def second_axis(x: Tensor) -> tuple[int, ...] | None:
    """Return axis 1, which is that of the features in a matrix only."""
    return (1,) if x.ndim > 1 else None


def all_but_first(x: Tensor) -> tuple[int, ...] | None:
    """Return the axes of one example."""
    return tuple(range(1, x.ndim)) if x.ndim > 1 else None


def everything(x: Tensor) -> tuple[int, ...]:
    """Return all axes."""
    return tuple(range(x.ndim))


def where_rows_pass_for_features(x: Tensor) -> tuple[int, ...] | None:
    """Return the last axis where a value for each row broadcasts along the features."""
    return last_axis(x) if len(set(x.shape)) == 1 else None


def default_eps(eps: float) -> dict[str, object]:
    """Return the steps of a program that adds the same eps whatever it is told."""
    return {"normalize": lambda x, mean, variance, _: normalize(x, mean, variance, eps)}


def over_features(gradients: Tensor) -> Tensor:
    """Return the sum over the last axis."""
    return gradients.sum(-1)


def over_first_axis(gradients: Tensor) -> Tensor:
    """Return the sum over the first axis, even if there are others besides the last one."""
    return gradients.sum(0)


def averaged(gradients: Tensor) -> Tensor:
    """Return the mean over the examples."""
    return over_examples(gradients) * gradients.shape[-1] / gradients.numel()


def no_gamma_in_d_x(x_hat: Tensor, gamma: Tensor, beta: Tensor, x: Tensor) -> Tensor:
    """Multiply by gamma with a gradient that goes past it."""
    return x_hat + x_hat.detach() * (gamma - 1) + beta


GAMMA_OUTSIDE = {
    "affine": no_gamma_in_d_x,
    "entry": lambda x, gamma: with_gradient_of(x, x * gamma.detach()),
}
"""The steps of a backward pass that multiplies by gamma at the end."""


def half_of_the_spread(x: Tensor, mean: Tensor, variance: Tensor, eps: float) -> Tensor:
    """Normalize with half of the gradient that goes through the divisor."""
    rate = torch.rsqrt(variance + eps)
    return (x - mean) * with_gradient_of(rate, rate / 2)


def spread_not_cubed(x: Tensor, mean: Tensor, variance: Tensor, eps: float) -> Tensor:
    """Normalize as if the derivative of 1 / root had the first power of 1 / root in it."""
    rate = torch.rsqrt(variance + eps)
    return (x - mean) * with_gradient_of(rate, -torch.sqrt(variance + eps))


def no_divisor(variance: Tensor, eps: float) -> Tensor:
    """Return 1, by which a gradient is divided whose root was forgotten."""
    return torch.ones_like(variance)


def examples_of(x: Tensor) -> float:
    """Return what turns averages over the features into ones divided by the number of examples."""
    return x.shape[-1] ** 2 / x.numel()
