"""Compute the loss of the network, from which the references of all tasks are made.

Batch norm, dropout and the loss are those of the other assignments, steps included, so what is a
known mistake there is one here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from autograder.tasks.batch_norm.reference import Statistics, batch_norm_of_batch
from autograder.tasks.dropout.mask import (
    STEPS_OF_BATCH,
    dropout_of_batch,
    inverse,
    is_undetermined,
    same,
)
from autograder.tasks.l2.loss import cross_entropies, half_sum_of_squares, linear, mean_plus_penalty

PARAMETERS = ("W1", "b1", "gamma", "beta", "W2", "b2")
STATISTICS = ("mean", "var")
MOMENTUM, EPS = 0.1, 1e-5

AFFINE, BATCH_NORM, RELU, DROPOUT = "affine", "batch norm", "ReLU", "dropout"

Tensors = Mapping[str, Tensor]


def scores_of(
    params: Tensors,
    running: Tensors,
    x: Tensor,
    keep_prob: float,
    training: bool,
    rng: np.random.Generator,
    *,
    order: Callable[[float], Sequence[str]] = lambda keep_prob: (AFFINE, BATCH_NORM, RELU, DROPOUT),
    linear: Callable[[Tensor, Tensor, Tensor], Tensor] = linear,
    activation: Callable[[Tensor], Tensor] = torch.relu,
    rate: Callable[[float], float] = same,
    kept: Callable[[Tensor, float], Tensor] = torch.lt,
    shared_by_rows: bool = False,
    shared_within_rows: bool = False,
    **steps: Any,
) -> tuple[Tensor, Tensors]:
    """Return the scores and the new running statistics."""
    steps_of_dropout = {name: steps.pop(name) for name in STEPS_OF_BATCH & steps.keys()}
    hidden = x
    for layer in order(keep_prob):
        if layer == AFFINE:
            hidden = linear(hidden, params["W1"], params["b1"])
        elif layer == BATCH_NORM:
            before = Statistics(running["mean"], running["var"])
            hidden, after, _ = batch_norm_of_batch(
                hidden, params["gamma"], params["beta"], before, training, MOMENTUM, EPS, **steps
            )
            running = {"mean": after.mean, "var": after.variance}
        elif layer == RELU:
            hidden = activation(hidden)
        else:
            rows, columns = hidden.shape
            drawn = (1 if shared_by_rows else rows, 1 if shared_within_rows else columns)
            mask = kept(torch.from_numpy(rng.random(drawn)), rate(keep_prob))
            hidden = dropout_of_batch(hidden, mask, mask, keep_prob, training, **steps_of_dropout)
    return linear(hidden, params["W2"], params["b2"]), running


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
    losses: Callable[..., Tensor] = cross_entropies,
    penalty: Callable[..., Tensor] = half_sum_of_squares,
    total: Callable[..., Tensor] = mean_plus_penalty,
    **steps: Any,
) -> tuple[Tensor, Tensors]:
    """Return the loss and the new running statistics."""
    scores, new_running = scores_of(params, running, x, keep_prob, training, rng, **steps)
    charged = [params["W1"], params["W2"]], [params["b1"], params["b2"]]
    return total(losses(scores, y), penalty(*charged, weight_decay)), new_running


def has_numbers(
    keep_prob: float,
    *,
    rate: Callable[[float], float] = same,
    scale: Callable[[float], float] = inverse,
    **steps: Any,
) -> bool:
    """Return whether all programs with these steps compute the same."""
    return not is_undetermined(keep_prob, rate, scale)


def as_tensors(arrays: Mapping[str, Any], requires_grad: bool = False) -> dict[str, Tensor]:
    """Return tensors of the arrays, by the same names."""
    return {
        name: torch.tensor(array, requires_grad=requires_grad) for name, array in arrays.items()
    }
