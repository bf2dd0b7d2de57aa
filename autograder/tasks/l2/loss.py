"""Compute a cross-entropy with a penalty, and declare the mistakes that are made with it.

Softmax regression and the capstone's network end in the same steps, so they share their mistakes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from autograder.task import Misconception
from autograder.tasks.gradients import with_gradient_of
from autograder.tasks.l2 import sections
from autograder.tasks.l2.penalty import (
    IGNORED,
    MEAN,
    MISSING_HALF,
    NORM,
    SIGN,
    SQUARE_OF_SUM,
    Steps,
    penalty_of,
)


def cross_entropies(scores: Tensor, y: Tensor) -> Tensor:
    """Return the cross-entropy of each row.

    This is not nn.functional.cross_entropy, whose gradient waits for all threads to work on a few
    numbers: on a busy machine that takes ten times as long.
    """
    return scores.logsumexp(1) - scores.gather(1, y[:, None])[:, 0]


def half_sum_of_squares(
    weights: Sequence[Tensor], biases: Sequence[Tensor], weight_decay: float
) -> Tensor:
    """Return the penalty of a loss; only a mistake needs the biases."""
    return penalty_of(weights, weight_decay)


def mean_plus_penalty(losses: Tensor, penalty: Tensor) -> Tensor:
    """Return the loss of a batch from the losses of its rows."""
    return losses.mean() + penalty


_RIGHT: Steps = {}


def _penalty(*, loss: Steps = _RIGHT, gradient: Steps = _RIGHT) -> Callable[..., Tensor]:
    """Return a penalty with some steps replaced in the loss and some in the gradient."""

    def penalty(weights: Sequence[Tensor], biases: Sequence[Tensor], weight_decay: float) -> Tensor:
        return with_gradient_of(
            penalty_of(weights, weight_decay, **loss),
            penalty_of(weights, weight_decay, **gradient),
        )

    return penalty


LOSS_MISCONCEPTIONS = (
    Misconception(
        "l2-missing-half",
        "Your penalty is λ‖W‖² in the loss and 2λW in the gradient. The two agree, but the "
        "penalty is twice as strong as asked: the factor ½ is missing.",
        sections.PENALTY,
        {"penalty": _penalty(loss=MISSING_HALF, gradient=MISSING_HALF)},
    ),
    Misconception(
        "l2-missing-half-loss",
        "The loss has the penalty λ‖W‖² and the gradient that of ½λ‖W‖². With the factor ½ in "
        "both places they agree.",
        sections.PENALTY,
        {"penalty": _penalty(loss=MISSING_HALF)},
    ),
    Misconception(
        "l2-missing-half-gradient",
        "The loss has the penalty ½λ‖W‖² and the gradient that of λ‖W‖². The 2 of the derivative "
        "cancels the ½.",
        sections.GRADIENT,
        {"penalty": _penalty(gradient=MISSING_HALF)},
    ),
    Misconception(
        "l2-gradient-sum",
        "To every entry of the gradient you add λ times the sum of the whole weight. The penalty's "
        "gradient at an entry is λ times that entry.",
        sections.GRADIENT,
        {"penalty": _penalty(gradient=SQUARE_OF_SUM)},
    ),
    Misconception(
        "l2-sign",
        "Your gradient subtracts λW where it should add it, so the weights would grow. The "
        "gradient of a sum is the sum of the gradients; the minus comes with the update.",
        sections.GRADIENT,
        {"penalty": _penalty(gradient=SIGN)},
    ),
    Misconception(
        "l2-missing-from-gradient",
        "Your loss contains the penalty, your gradient does not. Nothing would shrink: training "
        "follows the gradient.",
        sections.GRADIENT,
        {"penalty": _penalty(gradient=IGNORED)},
    ),
    Misconception(
        "l2-missing-from-loss",
        "Your gradient contains λW, your loss no penalty. They belong to different functions.",
        sections.PENALTY,
        {"penalty": _penalty(loss=IGNORED)},
    ),
    Misconception(
        "l2-ignored",
        "There is no penalty, neither in your loss nor in your gradient.",
        sections.PENALTY,
        {"penalty": _penalty(loss=IGNORED, gradient=IGNORED)},
    ),
    Misconception(
        "l2-decays-bias",
        "You penalize the bias as well. A bias shifts a function and does not make it steeper, so "
        "it goes free.",
        sections.WHAT_NOT,
        {
            "penalty": lambda weights, biases, weight_decay: penalty_of(
                [*weights, *biases], weight_decay
            )
        },
    ),
    Misconception(
        "l2-norm-not-squared",
        "Your penalty is λ/2 times the norm, not times its square. `np.linalg.norm` takes a "
        "square root at the end.",
        sections.PENALTY,
        {"penalty": _penalty(loss=NORM, gradient=NORM)},
    ),
    Misconception(
        "l2-mean-not-sum",
        "You average the squared weights over the entries. The penalty is their sum.",
        sections.PENALTY,
        {"penalty": _penalty(loss=MEAN, gradient=MEAN)},
    ),
    Misconception(
        "l2-mean-over-batch",
        "Your penalty is divided by the number of rows. Average the cross-entropy over the batch "
        "and add the penalty after that, once.",
        sections.WRONG,
        {"total": lambda losses, penalty: losses.mean() + penalty / len(losses)},
    ),
    Misconception(
        "loss-sum-not-mean",
        "You add up the cross-entropy over the batch. Take the mean, or the strength of weight "
        "decay depends on the size of the batch.",
        sections.WRONG,
        {"total": lambda losses, penalty: losses.sum() + penalty},
    ),
    Misconception(
        "loss-gradient-not-averaged",
        "Your loss is a mean over the batch, but its gradient is a sum: divide it by the number of "
        "rows as well.",
        sections.SOFTMAX,
        {"total": lambda losses, penalty: with_gradient_of(losses.mean(), losses.sum()) + penalty},
    ),
    Misconception(
        "softmax-gradient-no-target",
        "Your gradient takes the probabilities themselves. The gradient at the scores is the "
        "probabilities minus 1 at the right class.",
        sections.SOFTMAX,
        {
            "losses": lambda scores, y: with_gradient_of(
                cross_entropies(scores, y), scores.logsumexp(1)
            )
        },
    ),
)


def _overflowing(scores: Tensor, y: Tensor) -> Tensor:
    exponentials = scores.exp()
    probabilities = exponentials / exponentials.sum(1, keepdim=True)
    return -probabilities[torch.arange(len(y)), y].log()


def _log_of_probabilities(scores: Tensor, y: Tensor) -> Tensor:
    probabilities = scores.softmax(1)[torch.arange(len(y)), y]
    return with_gradient_of(-probabilities.log(), cross_entropies(scores, y))


def _shifted_by_the_batch(scores: Tensor, y: Tensor) -> Tensor:
    exponentials = (scores - scores.max()).exp().detach()
    probabilities = exponentials / exponentials.sum(1, keepdim=True)
    rows = torch.arange(len(y))
    # The gradient of this is the probabilities minus 1 at the right class.
    linear = (probabilities * scores).sum(1) - scores[rows, y]
    return with_gradient_of(-probabilities[rows, y].log(), linear)


LARGE_SCORES_MISCONCEPTIONS = (
    Misconception(
        "softmax-overflow",
        "Your exponentials leave the range of floating point numbers when the scores are "
        "large. Subtract the largest score of each row first: the probabilities stay the same "
        "and no exponential exceeds 1.",
        sections.OVERFLOW,
        {"losses": _overflowing},
    ),
    Misconception(
        "softmax-log-of-zero",
        "Your loss takes the logarithm of a probability that has been rounded to 0 already. "
        "What is the logarithm of the formula, before anything is rounded?",
        sections.OVERFLOW,
        {"losses": _log_of_probabilities},
    ),
    Misconception(
        "softmax-batch-max",
        "You subtract the largest score of the whole batch. A row whose scores are all far "
        "below it is left with exponentials of 0, and 0/0 is not a number.",
        sections.OVERFLOW,
        {"losses": _shifted_by_the_batch},
    ),
)
