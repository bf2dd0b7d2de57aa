"""Compute the loss of the network, from which the references of all tasks are made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from autograder.tasks.l2.loss import cross_entropies, half_sum_of_squares, mean_plus_penalty

PARAMETERS = ("W1", "b1", "gamma", "beta", "W2", "b2")
STATISTICS = ("mean", "var")
MOMENTUM, EPS = 0.1, 1e-5

Tensors = Mapping[str, Tensor]


def batch_norm_with(
    *,
    mean: Callable[[Tensor], Tensor] = lambda z: z.mean(0),
    variance: Callable[[Tensor], Tensor] = lambda z: z.var(0, correction=0),
    running_variance: Callable[[Tensor], Tensor] = lambda z: z.var(0),
    blend: Callable[[Tensor, Tensor], Tensor] = lambda old, batch: old + MOMENTUM * (batch - old),
    batch_statistics_in_evaluation: bool = False,
    updates_in_evaluation: bool = False,
    affine_in_evaluation: bool = True,
    root: Callable[[Tensor], Tensor] = torch.sqrt,
) -> Callable[..., tuple[Tensor, Tensors]]:
    """Return batch norm in PyTorch's convention, right unless a part is replaced.

    This is not nn.functional.batch_norm, which waits for all threads to work on a few numbers: on
    a busy machine that takes a hundred times as long.
    """

    def batch_norm(
        z: Tensor, params: Tensors, running: Tensors, training: bool
    ) -> tuple[Tensor, Tensors]:
        if training or batch_statistics_in_evaluation:
            used_mean, used_variance = mean(z), variance(z)
        else:
            used_mean, used_variance = running["mean"], running["var"]
        out = (z - used_mean) / root(used_variance + EPS)
        if training or affine_in_evaluation:
            out = params["gamma"] * out + params["beta"]
        else:
            out = out + 0 * (params["gamma"] + params["beta"])
        # One row has no unbiased variance.
        if (training or updates_in_evaluation) and len(z) > 1:
            rows = z.detach()
            running = {
                "mean": blend(running["mean"], rows.mean(0)),
                "var": blend(running["var"], running_variance(rows)),
            }
        return out, running

    return batch_norm


def _dropout(hidden: Tensor, keep_prob: float, training: bool, uniform: Tensor) -> Tensor:
    return hidden * (uniform < keep_prob) / keep_prob if training else hidden


def network(
    params: Tensors,
    running: Tensors,
    x: Tensor,
    y: Tensor,
    weight_decay: float,
    keep_prob: float,
    training: bool,
    rng: np.random.Generator,
    *,
    activation: Callable[[Tensor], Tensor] = torch.relu,
    dropout: Callable[..., Tensor] = _dropout,
    losses: Callable[..., Tensor] = cross_entropies,
    penalty: Callable[..., Tensor] = half_sum_of_squares,
    total: Callable[..., Tensor] = mean_plus_penalty,
    **parts_of_batch_norm: Any,
) -> tuple[Tensor, Tensors]:
    """Return the loss and the new running statistics."""
    batch_norm = batch_norm_with(**parts_of_batch_norm)
    normalized, new_running = batch_norm(x @ params["W1"] + params["b1"], params, running, training)
    hidden = activation(normalized)
    uniform = torch.from_numpy(rng.random(hidden.shape))
    scores = dropout(hidden, keep_prob, training, uniform) @ params["W2"] + params["b2"]
    charged = [params["W1"], params["W2"]], [params["b1"], params["b2"]]
    return total(losses(scores, y), penalty(*charged, weight_decay)), new_running


def as_tensors(arrays: Mapping[str, Any], requires_grad: bool = False) -> dict[str, Tensor]:
    """Return tensors of the arrays, by the same names."""
    return {
        name: torch.tensor(array, requires_grad=requires_grad) for name, array in arrays.items()
    }
