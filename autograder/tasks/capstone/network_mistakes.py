"""Declare the mistakes that are made in the network.

What is known of a layer is known of the network: only what a network alone can have is new here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch

from autograder.task import Misconception
from autograder.tasks.batch_norm import sections as batch_norm_sections
from autograder.tasks.batch_norm.backward import BACKWARD_MISCONCEPTIONS as BATCH_NORM_BACKWARD
from autograder.tasks.batch_norm.forward import FORWARD_MISCONCEPTIONS as BATCH_NORM_FORWARD
from autograder.tasks.capstone import sections
from autograder.tasks.capstone.network import AFFINE, BATCH_NORM, DROPOUT, RELU
from autograder.tasks.dropout import sections as dropout_sections
from autograder.tasks.dropout.backward import BACKWARD_MISCONCEPTIONS as DROPOUT_BACKWARD
from autograder.tasks.dropout.forward import FORWARD_MISCONCEPTIONS as DROPOUT_FORWARD
from autograder.tasks.dropout.forward import swapped
from autograder.tasks.gradients import with_gradient_of
from autograder.tasks.l2 import sections as l2_sections
from autograder.tasks.l2.loss import (
    LARGE_SCORES_MISCONCEPTIONS,
    LOSS_MISCONCEPTIONS,
    half_sum_of_squares,
)

_NOT_IN_A_NETWORK = {
    # Statistics of such shapes do not go through a second batch.
    "bn-wrong-axis",
    "bn-shape",
    # These draw other numbers than the ones that the exercise tells to draw.
    "dropout-normal-noise",
    "dropout-coin-flip",
    "dropout-one-draw",
    # Only b2 is left of the scores then, which many programs have in common.
    "dropout-nothing-kept",
    "dropout-backward-new-mask",
    # Here the numbers tell which comparison makes the mask, so there are two rows below.
    "dropout-keep-drop-swapped",
}
# The network's mask is known, so nothing is counted.
_COUNTED = {"passed", "passed_at_zero", "shared_by_calls", "replays"}


def _in_a_network(*catalogs: Sequence[Misconception]) -> tuple[Misconception, ...]:
    """Return the mistakes in a layer that a network can have, too."""
    found = []
    for one in (one for catalog in catalogs for one in catalog):
        replaces = {name: step for name, step in one.replaces.items() if name not in _COUNTED}
        if replaces and one.id not in _NOT_IN_A_NETWORK:
            found.append(replace(one, replaces=replaces))
    return tuple(found)


def _in_order(*layers: str) -> dict[str, Callable[[float], Sequence[str]]]:
    return {"order": lambda keep_prob: layers}


IN_EITHER_MODE = (
    Misconception(
        "net-no-batch-norm",
        "There is no batch norm in your network.",
        sections.EXERCISE,
        _in_order(AFFINE, RELU, DROPOUT),
    ),
    Misconception(
        "net-batch-norm-after-relu",
        "Your batch norm comes after ReLU. Here it normalizes what goes into ReLU.",
        sections.EXERCISE,
        _in_order(AFFINE, RELU, BATCH_NORM, DROPOUT),
    ),
    Misconception(
        "relu-missing",
        "There is no ReLU after batch norm.",
        sections.EXERCISE,
        _in_order(AFFINE, BATCH_NORM, DROPOUT),
    ),
)

MISCONCEPTIONS = (
    *_in_a_network(BATCH_NORM_FORWARD, BATCH_NORM_BACKWARD, DROPOUT_FORWARD, DROPOUT_BACKWARD),
    Misconception(
        "dropout-keep-drop-swapped",
        "You keep the units where the random number is at least keep_prob, so they survive with "
        "probability 1 − keep_prob. Keep those where it is smaller.",
        dropout_sections.MASK,
        {"kept": torch.ge},
    ),
    Misconception(
        "dropout-rate-swapped",
        "You keep the units where the random number is smaller than 1 − keep_prob, the probability "
        "to drop.",
        dropout_sections.MASK,
        {"rate": swapped},
    ),
    Misconception(
        "dropout-other-comparison",
        "You keep the units where the random number is at least 1 − keep_prob. That is as likely, "
        "but it is another mask: to give the same numbers as everybody, compare "
        "rng.random(H.shape) < keep_prob.",
        dropout_sections.MASK,
        {"rate": swapped, "kept": torch.ge},
    ),
    *IN_EITHER_MODE,
    Misconception(
        "net-batch-norm-without-dropout",
        "With keep_prob below 1 your network has no batch norm. The two layers do not exclude each "
        "other: units are normalized first, and dropped after ReLU.",
        batch_norm_sections.DROPOUT,
        {
            "order": lambda keep_prob: (
                (AFFINE, BATCH_NORM, RELU) if keep_prob == 1 else (AFFINE, RELU, DROPOUT)
            )
        },
    ),
    Misconception(
        "net-batch-norm-last",
        "Your batch norm comes after ReLU and dropout, where it undoes the scale of dropout and "
        "sees units that were dropped. It normalizes what goes into ReLU.",
        batch_norm_sections.DROPOUT,
        _in_order(AFFINE, RELU, DROPOUT, BATCH_NORM),
    ),
    Misconception(
        "net-dropout-on-input",
        "You drop inputs of the network. Dropout comes after ReLU, on the hidden units.",
        sections.EXERCISE,
        _in_order(DROPOUT, AFFINE, BATCH_NORM, RELU),
    ),
    Misconception(
        "relu-backward-no-mask",
        "Your gradient passes ReLU unchanged. Where the input of ReLU was negative its output "
        "does not depend on it, so the gradient there is zero.",
        sections.EXERCISE,
        {"activation": lambda z: with_gradient_of(torch.relu(z), z)},
    ),
    *LOSS_MISCONCEPTIONS,
    Misconception(
        "l2-skips-first",
        "Your penalty leaves out W1.",
        l2_sections.PENALTY,
        {"penalty": lambda weights, *rest: half_sum_of_squares(weights[1:], *rest)},
    ),
    Misconception(
        "l2-skips-last",
        "Your penalty leaves out W2.",
        l2_sections.PENALTY,
        {"penalty": lambda weights, *rest: half_sum_of_squares(weights[:1], *rest)},
    ),
    *LARGE_SCORES_MISCONCEPTIONS,
    Misconception(
        "relu-passes-at-zero",
        "Your gradient passes ReLU where its input is exactly 0. It counts as 0 there, as in "
        "PyTorch: look for inputs that are greater than 0.",
        sections.EXERCISE,
        {"activation": lambda z: with_gradient_of(torch.relu(z), z * (z >= 0))},
    ),
)


def _in_training(misconceptions: Sequence[Misconception]) -> tuple[Misconception, ...]:
    """Return the mistakes that training can tell apart, without what they do in evaluation."""
    found: dict[frozenset[tuple[str, Any]], Misconception] = {}
    for one in misconceptions:
        replaces = {
            name: step for name, step in one.replaces.items() if not name.endswith("_in_evaluation")
        }
        if replaces:
            found.setdefault(frozenset(replaces.items()), replace(one, replaces=replaces))
    return tuple(found.values())


TRAINING_MISCONCEPTIONS = _in_training(MISCONCEPTIONS)

_STEPS_OF_EVALUATION = {
    "normalize_in_evaluation",
    "affine_in_evaluation",
    "batch_statistics_in_evaluation",
}
# A gradient is no part of a prediction, so the backward pass's mistakes are not here.
EVALUATION_MISCONCEPTIONS = tuple(
    one for one in BATCH_NORM_FORWARD if one.replaces.keys() <= _STEPS_OF_EVALUATION
)
