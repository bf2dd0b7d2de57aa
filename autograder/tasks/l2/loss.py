"""Compute a cross-entropy with a penalty, and declare the mistakes that are made with it.

Softmax regression and the capstone's network end in the same steps, so they share their mistakes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

from autograder.task import Misconception
from autograder.tasks.gradients import with_gradient_of
from autograder.tasks.l2 import sections
from autograder.tasks.l2.penalty import (
    HALF_AS_STRONG,
    IGNORED,
    MEAN,
    MISSING_HALF,
    NORM,
    SIGN,
    SQUARE_OF_SUM,
    WITHOUT_LAMBDA,
    Steps,
    penalty_of,
)


def linear(x: Tensor, W: Tensor, b: Tensor) -> Tensor:
    """Return what a linear layer computes."""
    return x @ W + b


def cross_entropies(scores: Tensor, y: Tensor) -> Tensor:
    """Return the cross-entropy of each row.

    This is not nn.functional.cross_entropy, whose gradient waits for all threads to work on a few
    numbers: on a busy machine that takes ten times as long.
    """
    return scores.logsumexp(1) - _of_right_class(scores, y)


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


def _of_right_class(table: Tensor, y: Tensor) -> Tensor:
    return table.gather(1, y[:, None])[:, 0]


def _gradient_through_logarithm(scores: Tensor, y: Tensor) -> Tensor:
    probabilities = _of_right_class(scores.softmax(1), y).detach()
    return with_gradient_of(cross_entropies(scores, y), -_of_right_class(scores, y) / probabilities)


def _from_exponentials(exponentials: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    """Return the losses and gradients of a program that normalizes these exponentials."""

    def losses(scores: Tensor, y: Tensor) -> Tensor:
        unscaled = exponentials(scores, y).detach()
        probabilities = unscaled / unscaled.sum(1, keepdim=True)
        # The gradient of this is the probabilities minus 1 at the right class.
        linear = (probabilities * scores).sum(1) - _of_right_class(scores, y)
        return with_gradient_of(-_of_right_class(probabilities, y).log(), linear)

    return losses


def _from_plain_sums(scores: Tensor, y: Tensor) -> Tensor:
    """Return the losses of a program that subtracts no largest score."""
    return scores.exp().sum(1).log() - _of_right_class(scores, y)


def _with_guard(guard: float) -> Callable[..., Tensor]:
    """Return the losses of a program that adds a small number before it takes the logarithm."""

    def losses(scores: Tensor, y: Tensor) -> Tensor:
        guarded = _of_right_class(scores.softmax(1), y) + guard
        return with_gradient_of(-guarded.log(), cross_entropies(scores, y))

    return losses


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
        "l2-half-gradient",
        "Your gradient contains ½λW. The derivative of w² is 2w, and its 2 cancels the ½ of the "
        "penalty.",
        sections.GRADIENT,
        {"penalty": _penalty(gradient=HALF_AS_STRONG)},
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
        "l2-loss-without-lambda",
        "The penalty in your loss is not multiplied by weight_decay, the one in your gradient is. "
        "Without it nobody can choose how strong the penalty is.",
        sections.PENALTY,
        {"penalty": _penalty(loss=WITHOUT_LAMBDA)},
    ),
    Misconception(
        "l2-gradient-without-lambda",
        "The penalty in your loss is multiplied by weight_decay, the one in your gradient is not: "
        "you add W itself. A constant factor stays when a derivative is taken.",
        sections.GRADIENT,
        {"penalty": _penalty(gradient=WITHOUT_LAMBDA)},
    ),
    Misconception(
        "l2-replaces-loss",
        "Your loss is the penalty alone. Does an `=` stand where the penalty is to be added?",
        sections.PENALTY,
        {"total": lambda losses, penalty: with_gradient_of(penalty, losses.mean() + penalty)},
    ),
    Misconception(
        "l2-replaces-gradient",
        "Your gradient at the weights is that of the penalty alone, and what comes from the data "
        "is lost. Does an `=` stand where λW is to be added?",
        sections.GRADIENT,
        {"linear": lambda x, W, b: x @ W.detach() + b},
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
    Misconception(
        "softmax-gradient-through-logarithm",
        "Your gradient at the scores is −1/p at the right class. That is the gradient at the "
        "probabilities; it has to pass through the softmax, where every score changes every "
        "probability.",
        sections.SOFTMAX,
        {"losses": _gradient_through_logarithm},
    ),
    Misconception(
        "softmax-gradient-sign",
        "Your gradient at the scores has the wrong sign. A larger score of the right class makes "
        "the loss smaller.",
        sections.SOFTMAX,
        {
            "losses": lambda scores, y: with_gradient_of(
                cross_entropies(scores, y), -cross_entropies(scores, y)
            )
        },
    ),
    Misconception(
        "softmax-loss-sign",
        "The cross-entropy in your loss has the wrong sign. It should be −log p, which is never "
        "negative; yours is log p. A large penalty can hide this: the sum is positive then.",
        sections.SOFTMAX,
        {
            "losses": lambda scores, y: with_gradient_of(
                -cross_entropies(scores, y), cross_entropies(scores, y)
            )
        },
    ),
    Misconception(
        "softmax-no-logarithm",
        "Your loss averages the probabilities of the right classes. The cross-entropy takes their "
        "logarithms.",
        sections.SOFTMAX,
        {
            "losses": lambda scores, y: with_gradient_of(
                -_of_right_class(scores.softmax(1), y), cross_entropies(scores, y)
            )
        },
    ),
)


LARGE_SCORES_MISCONCEPTIONS = (
    Misconception(
        "softmax-overflow",
        "Your exponentials leave the range of floating point numbers when the scores are "
        "large. Subtract the largest score of each row first: the probabilities stay the same "
        "and no exponential exceeds 1.",
        sections.OVERFLOW,
        {"losses": _from_exponentials(lambda scores, y: scores.exp())},
    ),
    Misconception(
        "softmax-log-of-zero",
        "Your loss takes the logarithm of a probability that has been rounded to 0 already. "
        "What is the logarithm of the formula, before anything is rounded?",
        sections.OVERFLOW,
        {"losses": _with_guard(0.0)},
    ),
    Misconception(
        "softmax-batch-max",
        "You subtract the largest score of the whole batch. A row whose scores are all far "
        "below it is left with exponentials of 0, and 0/0 is not a number.",
        sections.OVERFLOW,
        {"losses": _from_exponentials(lambda scores, y: (scores - scores.max()).exp())},
    ),
    Misconception(
        "softmax-sum-overflow",
        "The sum of exponentials in your loss leaves the range of floating point numbers when the "
        "scores are large, and its logarithm is infinite. Subtract the largest score of each row "
        "first, here as in the probabilities.",
        sections.OVERFLOW,
        {"losses": _from_plain_sums},
    ),
    Misconception(
        "softmax-loss-overflow",
        "The sum of exponentials in your loss leaves the range of floating point numbers when the "
        "scores are large, and its logarithm is infinite. Subtract the largest score of each row "
        "first, as you do in the probabilities.",
        sections.OVERFLOW,
        {
            "losses": lambda scores, y: with_gradient_of(
                _from_plain_sums(scores, y), cross_entropies(scores, y)
            )
        },
    ),
    Misconception(
        "softmax-shifted-by-target",
        "You subtract the score of the right class. The exponential of a score far above it still "
        "leaves the range of floating point numbers; subtract the largest of the row.",
        sections.OVERFLOW,
        {
            "losses": _from_exponentials(
                lambda scores, y: (scores - _of_right_class(scores, y)[:, None]).exp()
            )
        },
    ),
    Misconception(
        "softmax-guarded-logarithm",
        "Your loss never takes the logarithm of less than 1e-12. That hides the infinity, but the "
        "loss of a row whose probability has been rounded to 0 is not what it says. What is the "
        "logarithm of the formula, before anything is rounded?",
        sections.OVERFLOW,
        {"losses": _with_guard(1e-12)},
    ),
)
