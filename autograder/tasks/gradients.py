"""Give a tensor the gradient of another one, which is how many mistakes in a backward pass look."""

from __future__ import annotations

from torch import Tensor


def with_gradient_of(value: Tensor, other: Tensor) -> Tensor:
    """Return a tensor that has the value of the first argument and the gradient of the second."""
    # The difference comes first: it is exactly zero, so it leaves the value as it is.
    return value.detach() + (other - other.detach())
