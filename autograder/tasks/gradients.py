"""Give a tensor the gradient of another one, which is how many mistakes in a backward pass look."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def with_gradient_of(value: Tensor, other: Tensor) -> Tensor:
    """Return a tensor that has the value of the first argument and the gradient of the second."""
    zero: Tensor = _Zero.apply(other)  # type: ignore[no-untyped-call]
    return value.detach() + zero


class _Zero(torch.autograd.Function):
    """Compute zeros that have a gradient, also where `other - other.detach()` is not a number."""

    @staticmethod
    def forward(ctx: Any, other: Tensor) -> Tensor:
        return torch.zeros_like(other)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return gradients[0]
