"""Declare the mistakes that are made in the network."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from autograder.task import Misconception
from autograder.tasks.batch_norm import sections as batch_norm_sections
from autograder.tasks.capstone import sections
from autograder.tasks.capstone.network import MOMENTUM
from autograder.tasks.dropout import sections as dropout_sections
from autograder.tasks.gradients import with_gradient_of
from autograder.tasks.l2 import sections as l2_sections
from autograder.tasks.l2.loss import (
    LARGE_SCORES_MISCONCEPTIONS,
    LOSS_MISCONCEPTIONS,
    half_sum_of_squares,
)


def _wrong_dropout(
    forward: Callable[[Tensor, Tensor, float], Tensor],
    evaluation: Callable[[Tensor, float], Tensor] = lambda hidden, keep_prob: hidden,
) -> Callable[..., Tensor]:
    """Return a dropout made of `forward(hidden, uniform, keep_prob)` and of `evaluation`."""

    def dropout(hidden: Tensor, keep_prob: float, training: bool, uniform: Tensor) -> Tensor:
        return forward(hidden, uniform, keep_prob) if training else evaluation(hidden, keep_prob)

    return dropout


def _inverted(hidden: Tensor, uniform: Tensor, keep_prob: float) -> Tensor:
    return hidden * (uniform < keep_prob) / keep_prob


_DROPOUT_MISCONCEPTIONS = (
    Misconception(
        "dropout-no-rescale",
        "You drop units in training but do not divide the others by keep_prob, so the next layer "
        "sees smaller sums in training than in evaluation.",
        dropout_sections.SCALING,
        {
            "dropout": _wrong_dropout(
                lambda hidden, uniform, keep_prob: hidden * (uniform < keep_prob)
            )
        },
    ),
    Misconception(
        "dropout-keep-drop-swapped",
        "You keep the units where the random number is at least keep_prob, so they survive with "
        "probability 1 − keep_prob. Keep those where it is smaller.",
        dropout_sections.MASK,
        {
            "dropout": _wrong_dropout(
                lambda hidden, uniform, keep_prob: hidden * (uniform >= keep_prob) / keep_prob
            )
        },
    ),
    Misconception(
        "dropout-other-comparison",
        "You keep the units where the random number is at least 1 − keep_prob. That is as likely, "
        "but it is another mask: to give the same numbers as everybody, compare "
        "rng.random(H.shape) < keep_prob.",
        dropout_sections.MASK,
        {
            "dropout": _wrong_dropout(
                lambda hidden, uniform, keep_prob: hidden * (uniform >= 1 - keep_prob) / keep_prob
            )
        },
    ),
    Misconception(
        "dropout-vanilla",
        "You do not scale in training and multiply by keep_prob in evaluation. That is "
        "consistent, but it is not inverted dropout, which leaves evaluation alone.",
        dropout_sections.SCALING,
        {
            "dropout": _wrong_dropout(
                lambda hidden, uniform, keep_prob: hidden * (uniform < keep_prob),
                lambda hidden, keep_prob: hidden * keep_prob,
            )
        },
    ),
    Misconception(
        "dropout-backward-no-mask",
        "Your gradient passes dropout as if it were not there. A unit that was dropped had no "
        "influence on the loss, so its gradient is zero; the others have the factor 1/keep_prob.",
        dropout_sections.BACKWARD,
        {
            "dropout": _wrong_dropout(
                lambda hidden, uniform, keep_prob: with_gradient_of(
                    _inverted(hidden, uniform, keep_prob), hidden
                )
            )
        },
    ),
    Misconception(
        "dropout-backward-no-scale",
        "Your gradient is masked but not divided by keep_prob. What multiplies the output in the "
        "forward pass multiplies the gradient in the backward pass.",
        dropout_sections.BACKWARD,
        {
            "dropout": _wrong_dropout(
                lambda hidden, uniform, keep_prob: with_gradient_of(
                    _inverted(hidden, uniform, keep_prob), hidden * (uniform < keep_prob)
                )
            )
        },
    ),
)

_BATCH_NORM_MISCONCEPTIONS = (
    Misconception(
        "bn-biased-running-var",
        "Your running variance averages the variance that divides by N. The one to store divides "
        "by N − 1, as in PyTorch.",
        batch_norm_sections.RUNNING,
        {"running_variance": lambda z: z.var(0, correction=0)},
    ),
    Misconception(
        "bn-unbiased-normalization",
        "You normalize the batch with the variance that divides by N − 1. That one belongs in "
        "the running variance only.",
        batch_norm_sections.FORWARD,
        {"variance": lambda z: z.var(0)},
    ),
    Misconception(
        "bn-no-root",
        "You divide by the variance of the batch. Normalized values have the variance 1: which "
        "power of σ has the unit of what you divide?",
        batch_norm_sections.FORWARD,
        {"root": lambda variance: variance},
    ),
    Misconception(
        "bn-momentum-flipped",
        "Old and new value have changed places in your running average: it should be 0.9 times "
        "the old value plus 0.1 times that of the batch.",
        batch_norm_sections.RUNNING,
        {"blend": lambda old, batch: MOMENTUM * old + (1 - MOMENTUM) * batch},
    ),
    Misconception(
        "bn-stats-never-updated",
        "You return the running statistics as they came in. In training they move towards those "
        "of the batch, or evaluation mode has nothing to work with.",
        batch_norm_sections.RUNNING,
        {"blend": lambda old, batch: old},
    ),
    Misconception(
        "bn-running-var-not-started",
        "Your running statistics are those of the last batch alone. They should move a little "
        "towards each batch and remember the earlier ones.",
        batch_norm_sections.RUNNING,
        {"blend": lambda old, batch: batch},
    ),
    Misconception(
        "bn-backward-diagonal",
        "Your gradient takes the mean and the variance of the batch for constants. Both depend on "
        "every row.",
        batch_norm_sections.BACKWARD,
        {
            "mean": lambda z: z.mean(0).detach(),
            "variance": lambda z: z.var(0, correction=0).detach(),
        },
    ),
)

_ACTIVATION_MISCONCEPTIONS = (
    Misconception(
        "relu-backward-no-mask",
        "Your gradient passes ReLU unchanged. Where the input of ReLU was negative its output "
        "does not depend on it, so the gradient there is zero.",
        sections.EXERCISE,
        {"activation": lambda z: with_gradient_of(torch.relu(z), z)},
    ),
    Misconception(
        "relu-missing",
        "There is no ReLU between batch norm and dropout.",
        sections.EXERCISE,
        {"activation": lambda z: z},
    ),
)

TRAINING_MISCONCEPTIONS = (
    *_DROPOUT_MISCONCEPTIONS,
    *_BATCH_NORM_MISCONCEPTIONS,
    *_ACTIVATION_MISCONCEPTIONS,
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
)

EVALUATION_MISCONCEPTIONS = (
    Misconception(
        "dropout-active-in-eval",
        "Units are dropped in evaluation too. There the whole network answers.",
        dropout_sections.MODES,
        {
            "dropout": lambda hidden, keep_prob, training, uniform: _inverted(
                hidden, uniform, keep_prob
            )
        },
    ),
    Misconception(
        "dropout-scaled-in-eval",
        "You multiply by keep_prob in evaluation. The division in training has taken care of the "
        "scale already.",
        dropout_sections.MODES,
        {"dropout": _wrong_dropout(_inverted, lambda hidden, keep_prob: hidden * keep_prob)},
    ),
    Misconception(
        "bn-eval-batch-stats",
        "In evaluation you normalize with the statistics of the batch. Use the running "
        "statistics: the answer for one example must not depend on its neighbors.",
        batch_norm_sections.EVALUATION,
        {"batch_statistics_in_evaluation": True},
    ),
    Misconception(
        "bn-eval-updates-stats",
        "Your running statistics change in evaluation. Evaluating a network must not change it.",
        batch_norm_sections.EVALUATION,
        {"updates_in_evaluation": True},
    ),
    Misconception(
        "bn-ignores-training",
        "Batch norm does the same in both modes: in evaluation it uses and updates the statistics "
        "of the batch.",
        batch_norm_sections.EVALUATION,
        {"batch_statistics_in_evaluation": True, "updates_in_evaluation": True},
    ),
    Misconception(
        "bn-eval-no-affine",
        "In evaluation you normalize but leave out γ and β. They are part of the layer in both "
        "modes.",
        batch_norm_sections.EVALUATION,
        {"affine_in_evaluation": False},
    ),
)

EXTREME_MISCONCEPTIONS = (
    *LARGE_SCORES_MISCONCEPTIONS,
    Misconception(
        "relu-passes-at-zero",
        "Your gradient passes ReLU where its input is exactly 0. It counts as 0 there, as in "
        "PyTorch: look for inputs that are greater than 0.",
        sections.EXERCISE,
        {"activation": lambda z: with_gradient_of(torch.relu(z), z * (z >= 0))},
    ),
)
