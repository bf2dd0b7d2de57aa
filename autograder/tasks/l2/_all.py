"""The tasks on L2 regularization and weight decay.

The penalty is half of weight_decay times the sum of all squared weights.  Decoupled decay is that
of AdamW (Loshchilov and Hutter 2019, https://arxiv.org/abs/1711.05101).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from autograder.task import Aspect, Case, Expected, Functions, Inputs, Misconception, Task
from autograder.tasks.answers import NotObservedError, unpack
from autograder.tasks.l2 import ASSIGNMENT
from autograder.tasks.l2.sections import ADAM as L2_ADAM
from autograder.tasks.l2.sections import GRADIENT as L2_GRADIENT
from autograder.tasks.l2.sections import OVERFLOW as L2_OVERFLOW
from autograder.tasks.l2.sections import PENALTY as L2_PENALTY
from autograder.tasks.l2.sections import SOFTMAX as L2_SOFTMAX
from autograder.tasks.l2.sections import UPDATE as L2_UPDATE
from autograder.tasks.l2.sections import WHAT_NOT as L2_WHAT_NOT
from autograder.tasks.l2.sections import WRONG as L2_WRONG

Array = NDArray[np.float64]


# The penalty and its gradient.


def _sum_of_squares(w: Tensor) -> Tensor:
    return w.square().sum()


def _penalty(
    weights: Sequence[Tensor],
    weight_decay: float,
    *,
    counted: Callable[[Sequence[Tensor]], Sequence[Tensor]] = lambda weights: weights,
    size: Callable[[Tensor], Tensor] = _sum_of_squares,
    strength: Callable[[float], float] = lambda weight_decay: weight_decay / 2,
) -> Tensor:
    total = torch.zeros((), dtype=torch.float64)
    for w in counted(weights):
        total = total + size(w)
    return strength(weight_decay) * total


def _penalty_value(inputs: Inputs, **steps: Any) -> dict[str, Expected]:
    weights = [torch.tensor(w) for w in inputs["weights"]]
    return {"penalty": _penalty(weights, inputs["weight_decay"], **steps).numpy()}


def _penalty_gradient(inputs: Inputs, **steps: Any) -> dict[str, Expected]:
    weights = [torch.tensor(w, requires_grad=True) for w in inputs["weights"]]
    penalty = _penalty(weights, inputs["weight_decay"], **steps)
    if not penalty.requires_grad:
        return {name: np.zeros(w.shape) for name, w in zip(GRADIENTS, weights, strict=False)}
    gradients = torch.autograd.grad(penalty, weights, materialize_grads=True)
    return {name: d.numpy() for name, d in zip(GRADIENTS, gradients, strict=False)}


GRADIENTS = tuple(f"d_weights[{i}]" for i in range(5))

_SKIPS_LAST = {"counted": lambda weights: weights[:-1]}
_IGNORED = {"strength": lambda weight_decay: 0.0}
_MISSING_HALF = {"strength": lambda weight_decay: weight_decay}
_MEAN = {"size": lambda w: w.square().mean()}
_NORM = {"size": lambda w: w.square().sum().sqrt()}
_SQUARE_OF_SUM = {"size": lambda w: w.sum().square()}
_LAMBDA_SQUARED = {"strength": lambda weight_decay: weight_decay**2 / 2}
_SIGN = {"strength": lambda weight_decay: -weight_decay / 2}

PENALTY_MISCONCEPTIONS = (
    Misconception(
        "l2-missing-half",
        "Your penalty is twice as large as it should be: the factor ½ is missing. It is there to "
        "cancel the 2 of the derivative.",
        L2_PENALTY,
        _MISSING_HALF,
    ),
    Misconception(
        "l2-norm-not-squared",
        "You add up the norms of the weights, but not their squares. `np.linalg.norm` takes a "
        "square root at the end; the penalty wants the sum of squares itself.",
        L2_PENALTY,
        _NORM,
    ),
    Misconception(
        "l2-square-of-sum",
        "You add up the entries and square the sum, so positive and negative weights cancel. "
        "Square each entry first, then add up.",
        L2_PENALTY,
        _SQUARE_OF_SUM,
    ),
    Misconception(
        "l2-mean-not-sum",
        "You average the squares over the entries of each weight. The penalty adds them up; with "
        "an average, a large layer would be charged as little as a small one.",
        L2_PENALTY,
        _MEAN,
    ),
    Misconception(
        "l2-skips-last",
        "Your penalty leaves out the last weight of the list.",
        L2_PENALTY,
        _SKIPS_LAST,
    ),
    Misconception(
        "l2-first-only",
        "Your penalty contains the first weight only. Does your loop come to the others, or does "
        "its `return` end it in the first round?",
        L2_PENALTY,
        {"counted": lambda weights: weights[:1]},
    ),
    Misconception(
        "l2-one-weight-twice",
        "Your penalty counts the first weight again and again and never the others. Is the loop's "
        "own variable used inside it?",
        L2_PENALTY,
        {"counted": lambda weights: [weights[0]] * len(weights)},
    ),
    Misconception(
        "l2-lambda-squared",
        "weight_decay goes in twice: your penalty is λ²/2 times the sum of squares. Multiply by it "
        "inside the loop or after it, not both.",
        L2_PENALTY,
        _LAMBDA_SQUARED,
    ),
    Misconception(
        "l2-sign",
        "Your penalty is negative, so that large weights would be rewarded.",
        L2_PENALTY,
        _SIGN,
    ),
    Misconception(
        "l2-ignored",
        "Your penalty is always zero.",
        L2_PENALTY,
        _IGNORED,
    ),
)

GRADIENT_MISCONCEPTIONS = (
    Misconception(
        "l2-missing-half",
        "Your gradient is 2λw, that of a penalty without the factor ½. With it, the 2 of the "
        "derivative cancels.",
        L2_GRADIENT,
        _MISSING_HALF,
    ),
    Misconception(
        "l2-half-gradient",
        "Your gradient is ½λw. The derivative of w² is 2w, and its 2 cancels the ½.",
        L2_GRADIENT,
        {"strength": lambda weight_decay: weight_decay / 4},
    ),
    Misconception(
        "l2-gradient-sum",
        "Every entry of your gradient is λ times the sum of the whole weight. The penalty is a sum "
        "in which each entry has its own term, so the gradient of an entry depends on that entry "
        "only.",
        L2_GRADIENT,
        _SQUARE_OF_SUM,
    ),
    Misconception(
        "l2-norm-not-squared",
        "This is the gradient of the norm, λ/2 · w/‖w‖, not of its square. The pull of L2 grows "
        "in proportion to the weight.",
        L2_GRADIENT,
        _NORM,
    ),
    Misconception(
        "l2-mean-not-sum",
        "You divide by the number of entries. The penalty is a sum of squares, not an average.",
        L2_GRADIENT,
        _MEAN,
    ),
    Misconception(
        "l2-skips-last",
        "The gradient of the last weight is zero. All weights of the list are penalized.",
        L2_GRADIENT,
        _SKIPS_LAST,
    ),
    Misconception(
        "l2-lambda-squared",
        "weight_decay goes in twice: your gradient is λ²w.",
        L2_GRADIENT,
        _LAMBDA_SQUARED,
    ),
    Misconception(
        "l2-sign",
        "Your gradient has the wrong sign. The penalty grows with the weight, so its gradient "
        "points along w; it is the update that subtracts it.",
        L2_GRADIENT,
        _SIGN,
    ),
    Misconception(
        "l2-ignored",
        "Your gradient is zero. The penalty depends on the weights, so it pulls on them.",
        L2_GRADIENT,
        _IGNORED,
    ),
)


def _run_penalty(student: Functions, inputs: Inputs) -> dict[str, Any]:
    return {"penalty": student["l2_penalty"](inputs["weights"], inputs["weight_decay"])}


def _run_penalty_backward(student: Functions, inputs: Inputs) -> dict[str, Any]:
    name = "l2_penalty_backward"
    gradients = student[name](inputs["weights"], inputs["weight_decay"])
    count = len(inputs["weights"])
    if gradients is None:
        raise NotObservedError(f"`{name}` returned None; is its `return` missing?")
    if not isinstance(gradients, list | tuple):
        raise NotObservedError(
            f"`{name}` returned a single {type(gradients).__name__}. "
            "It should return a list with one gradient for each weight."
        )
    if len(gradients) != count:
        raise NotObservedError(
            f"`{name}` returned {len(gradients)} gradient{'' if len(gradients) == 1 else 's'} "
            f"for {count} weight{'' if count == 1 else 's'}."
            + (" Is the `return` inside the loop?" if len(gradients) == 1 else "")
        )
    return dict(zip(GRADIENTS, gradients, strict=False))


def _weight_decay(rng: np.random.Generator) -> float:
    return float(rng.uniform(0.1, 0.7))


def _draw_penalty(rng: np.random.Generator) -> list[Case]:
    def inputs(*shapes: tuple[int, ...], weight_decay: float | None = None) -> dict[str, Any]:
        return {
            "weights": [rng.standard_normal(shape) + 0.3 for shape in shapes],
            "weight_decay": _weight_decay(rng) if weight_decay is None else weight_decay,
        }

    return [
        Case("one matrix", inputs((4, 3)), "one weight"),
        Case("one vector", inputs((5,)), "one weight"),
        Case("three weights", inputs((3, 4), (4, 5), (5, 2)), "several weights"),
        Case(
            "matrices, a vector and a convolution kernel",
            inputs((2, 6), (7,), (3, 2, 2, 2), (6, 3)),
            "several weights",
        ),
        Case("no weight decay", inputs((3, 2), (2, 4), weight_decay=0.0), "several weights"),
    ]


PENALTY = Task(
    name="l2_penalty",
    assignment=ASSIGNMENT,
    number=1,
    section=L2_PENALTY,
    hints=(
        "Which numbers does the penalty depend on? Does it matter in which weight, or where in a "
        "weight, a number stands?",
        "Arithmetic on an array acts on all entries at once, whatever the shape, and `np.sum` "
        "without an axis adds up all of them.",
        "Each weight of the list gives one number, and these add up. What is the sum before the "
        "first weight?",
        "What all terms have in common, the strength and the ½, can wait until everything is added"
        " up.",
    ),
    aspects=(
        Aspect("one weight", 1.5, ("penalty",), ("one weight",)),
        Aspect("several weights", 1.5, ("penalty",), ("several weights",)),
    ),
    draw=_draw_penalty,
    run=_run_penalty,
    reference=_penalty_value,
    misconceptions=PENALTY_MISCONCEPTIONS,
)

PENALTY_BACKWARD = Task(
    name="l2_penalty_backward",
    assignment=ASSIGNMENT,
    number=2,
    section=L2_GRADIENT,
    hints=(
        "Change one entry of one weight a little. Which terms of the penalty notice?",
        "One array for each weight, in the same order. What shape does the gradient of a matrix "
        "have?",
        "Only one square notices. Its derivative brings a factor that meets the ½; what is left of"
        " λ/2 · w²?",
        "So nothing is added up here: every array of the list is multiplied by the same number. "
        "Make new arrays.",
    ),
    aspects=(
        Aspect("one weight", 1.5, GRADIENTS, ("one weight",)),
        Aspect("several weights", 1.5, GRADIENTS, ("several weights",)),
    ),
    draw=_draw_penalty,
    run=_run_penalty_backward,
    reference=_penalty_gradient,
    misconceptions=GRADIENT_MISCONCEPTIONS,
)


# A loss with a penalty.  The capstone's network has the same last steps and the same mistakes.


def with_gradient_of(value: Tensor, other: Tensor) -> Tensor:
    """Return a tensor that has the value of the one and the gradient of the other."""
    return value.detach() + other - other.detach()


def cross_entropies(scores: Tensor, y: Tensor) -> Tensor:
    """Return the cross-entropy of each row.

    Not nn.functional.cross_entropy, whose gradient waits for all threads to work on a few numbers:
    on a busy machine that takes ten times as long.
    """
    return scores.logsumexp(1) - scores.gather(1, y[:, None])[:, 0]


def half_sum_of_squares(
    weights: Sequence[Tensor], biases: Sequence[Tensor], weight_decay: float
) -> Tensor:
    """Return the penalty of a loss; the biases are there for those who penalize them."""
    return _penalty(weights, weight_decay)


def mean_plus_penalty(losses: Tensor, penalty: Tensor) -> Tensor:
    """Return the loss of a batch from the losses of its rows."""
    return losses.mean() + penalty


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
    # A function of the scores whose gradient is the probabilities minus 1 at the right class.
    linear = (probabilities * scores).sum(1) - scores[rows, y]
    return with_gradient_of(-probabilities[rows, y].log(), linear)


LOSS_MISCONCEPTIONS = (
    Misconception(
        "l2-missing-half",
        "Your penalty is λ‖W‖² in the loss and 2λW in the gradient. The two agree, but the "
        "penalty is twice as strong as asked: the factor ½ is missing.",
        L2_PENALTY,
        {"penalty": lambda weights, biases, weight_decay: _penalty(weights, 2 * weight_decay)},
    ),
    Misconception(
        "l2-missing-half-loss",
        "The loss has the penalty λ‖W‖² and the gradient that of ½λ‖W‖². With the factor ½ in "
        "both places they agree.",
        L2_PENALTY,
        {
            "penalty": lambda weights, biases, weight_decay: with_gradient_of(
                _penalty(weights, 2 * weight_decay), _penalty(weights, weight_decay)
            )
        },
    ),
    Misconception(
        "l2-missing-half-gradient",
        "The loss has the penalty ½λ‖W‖² and the gradient that of λ‖W‖². The 2 of the derivative "
        "cancels the ½.",
        L2_GRADIENT,
        {
            "penalty": lambda weights, biases, weight_decay: with_gradient_of(
                _penalty(weights, weight_decay), _penalty(weights, 2 * weight_decay)
            )
        },
    ),
    Misconception(
        "l2-gradient-sum",
        "To every entry of the gradient you add λ times the sum of the whole weight. The penalty's "
        "gradient at an entry is λ times that entry.",
        L2_GRADIENT,
        {
            "penalty": lambda weights, biases, weight_decay: with_gradient_of(
                _penalty(weights, weight_decay), _penalty(weights, weight_decay, **_SQUARE_OF_SUM)
            )
        },
    ),
    Misconception(
        "l2-sign",
        "Your gradient subtracts λW where it should add it, so the weights would grow. The "
        "gradient of a sum is the sum of the gradients; the minus comes with the update.",
        L2_GRADIENT,
        {
            "penalty": lambda weights, biases, weight_decay: with_gradient_of(
                _penalty(weights, weight_decay), _penalty(weights, -weight_decay)
            )
        },
    ),
    Misconception(
        "l2-missing-from-gradient",
        "Your loss contains the penalty, your gradient does not. Nothing would shrink: training "
        "follows the gradient.",
        L2_GRADIENT,
        {"penalty": lambda weights, biases, weight_decay: _penalty(weights, weight_decay).detach()},
    ),
    Misconception(
        "l2-missing-from-loss",
        "Your gradient contains λW, your loss no penalty. They belong to different functions.",
        L2_PENALTY,
        {
            "penalty": lambda weights, biases, weight_decay: with_gradient_of(
                torch.zeros((), dtype=torch.float64), _penalty(weights, weight_decay)
            )
        },
    ),
    Misconception(
        "l2-ignored",
        "There is no penalty, neither in your loss nor in your gradient.",
        L2_PENALTY,
        {"penalty": lambda weights, biases, weight_decay: torch.zeros((), dtype=torch.float64)},
    ),
    Misconception(
        "l2-decays-bias",
        "You penalize the bias as well. A bias shifts a function and does not make it steeper, so "
        "it goes free.",
        L2_WHAT_NOT,
        {
            "penalty": lambda weights, biases, weight_decay: _penalty(
                [*weights, *biases], weight_decay
            )
        },
    ),
    Misconception(
        "l2-norm-not-squared",
        "Your penalty is λ/2 times the norm, not times its square. `np.linalg.norm` takes a "
        "square root at the end.",
        L2_PENALTY,
        {"penalty": lambda weights, biases, weight_decay: _penalty(weights, weight_decay, **_NORM)},
    ),
    Misconception(
        "l2-mean-not-sum",
        "You average the squared weights over the entries. The penalty is their sum.",
        L2_PENALTY,
        {"penalty": lambda weights, biases, weight_decay: _penalty(weights, weight_decay, **_MEAN)},
    ),
    Misconception(
        "l2-mean-over-batch",
        "Your penalty is divided by the number of rows. Average the cross-entropy over the batch "
        "and add the penalty after that, once.",
        L2_WRONG,
        {"total": lambda losses, penalty: losses.mean() + penalty / len(losses)},
    ),
    Misconception(
        "loss-sum-not-mean",
        "You add up the cross-entropy over the batch. Take the mean, or the strength of weight "
        "decay depends on the size of the batch.",
        L2_WRONG,
        {"total": lambda losses, penalty: losses.sum() + penalty},
    ),
    Misconception(
        "loss-gradient-not-averaged",
        "Your loss is a mean over the batch, but its gradient is a sum: divide it by the number of "
        "rows as well.",
        L2_SOFTMAX,
        {"total": lambda losses, penalty: with_gradient_of(losses.mean(), losses.sum()) + penalty},
    ),
    Misconception(
        "softmax-gradient-no-target",
        "Your gradient takes the probabilities themselves. The gradient at the scores is the "
        "probabilities minus 1 at the right class.",
        L2_SOFTMAX,
        {
            "losses": lambda scores, y: with_gradient_of(
                cross_entropies(scores, y), scores.logsumexp(1)
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
        L2_OVERFLOW,
        {"losses": _overflowing},
    ),
    Misconception(
        "softmax-log-of-zero",
        "Your loss takes the logarithm of a probability that has been rounded to 0 already. "
        "What is the logarithm of the formula, before anything is rounded?",
        L2_OVERFLOW,
        {"losses": _log_of_probabilities},
    ),
    Misconception(
        "softmax-batch-max",
        "You subtract the largest score of the whole batch. A row whose scores are all far "
        "below it is left with exponentials of 0, and 0/0 is not a number.",
        L2_OVERFLOW,
        {"losses": _shifted_by_the_batch},
    ),
)


def _softmax_regression(
    inputs: Inputs,
    *,
    losses: Callable[..., Tensor] = cross_entropies,
    penalty: Callable[..., Tensor] = half_sum_of_squares,
    total: Callable[..., Tensor] = mean_plus_penalty,
) -> dict[str, Expected]:
    """Return the loss of softmax regression and its gradients."""
    x, y = torch.tensor(inputs["x"]), torch.tensor(inputs["y"])
    W = torch.tensor(inputs["W"], requires_grad=True)
    b = torch.tensor(inputs["b"], requires_grad=True)
    loss = total(losses(x @ W + b, y), penalty([W], [b], inputs["weight_decay"]))
    d_W, d_b = torch.autograd.grad(loss, (W, b))
    return {"loss": loss.detach().numpy(), "d_W": d_W.numpy(), "d_b": d_b.numpy()}


def _run_softmax_regression(student: Functions, inputs: Inputs) -> dict[str, Any]:
    names = ("loss", "d_W", "d_b")
    returned = unpack("softmax_regression", student["softmax_regression"](*inputs.values()), names)
    return dict(zip(names, returned, strict=True))


def _draw_softmax_regression(rng: np.random.Generator) -> list[Case]:
    def inputs(
        n: int, d: int, classes: int, *, weight_decay: float | None = None, present: int = 0
    ) -> dict[str, Any]:
        return {
            "x": rng.standard_normal((n, d)),
            "y": rng.integers(0, present or classes, n),
            "W": rng.standard_normal((d, classes)) + 0.2,
            "b": rng.standard_normal(classes),
            "weight_decay": _weight_decay(rng) if weight_decay is None else weight_decay,
        }

    large = inputs(6, 4, 3)
    large["b"] += rng.uniform(5e3, 9e3)
    negative = inputs(5, 3, 4)
    negative["W"] *= 300.0
    negative["b"] -= rng.uniform(5e3, 9e3)
    apart = inputs(4, 3, 4)
    # In row 0 the first class lies thousands below the others, so that its probability is rounded
    # to 0, and it is the right one.
    apart["W"] = (0.5 + np.abs(apart["W"])) * 300.0
    apart["W"][:, 0] = 60.0
    apart["x"] = (0.5 + np.abs(apart["x"])) * np.array([[30.0], [-30.0], [1.0], [-1.0]])
    apart["y"][0] = 0
    return [
        Case("more rows than classes", inputs(8, 5, 3)),
        Case("no weight decay", inputs(5, 3, 4, weight_decay=0.0)),
        Case("two rows", inputs(2, 4, 3)),
        Case("two classes that no row belongs to", inputs(6, 3, 5, present=3)),
        Case("scores in the thousands", large, "large scores"),
        Case("scores far below zero", negative, "large scores"),
        Case("one row far above, another far below zero", apart, "large scores"),
    ]


SOFTMAX_REGRESSION = Task(
    name="softmax_regression",
    assignment=ASSIGNMENT,
    number=3,
    section=L2_SOFTMAX,
    hints=(
        "Write down the shape of every quantity: scores, probabilities, loss, `d_W`, `d_b`. Which "
        "of them have a row for each example?",
        "If the largest score of a row is 0, no exponential exceeds 1. `keepdims=True` keeps one "
        "number per row in a shape that can be subtracted from (N, C).",
        "log P needs no division that could give 0: it is the score minus the logarithm of a sum. "
        "`log_p[np.arange(N), y]` picks the right class of each row.",
        "P − Y is P with one entry of each row changed. Divide it by N before you go on, and both "
        "gradients are averages.",
        "`d_W` is a product of P − Y with x; the shapes say which is transposed and stands first. "
        "Then comes the gradient of the penalty. The bias was added to every row, so `d_b` "
        "collects all rows.",
    ),
    aspects=(
        Aspect("loss", 2.0, ("loss",), ("training",)),
        Aspect("d_W", 2.0, ("d_W",), ("training",)),
        Aspect("d_b", 1.0, ("d_b",), ("training",)),
        Aspect("large scores", 1.0, ("loss", "d_W", "d_b"), ("large scores",)),
    ),
    draw=_draw_softmax_regression,
    run=_run_softmax_regression,
    reference=_softmax_regression,
    misconceptions=(*LOSS_MISCONCEPTIONS, *LARGE_SCORES_MISCONCEPTIONS),
)


# Optimizers.  Plain arithmetic, so that torch.optim remains an independent witness.


def _sgd(
    inputs: Inputs,
    *,
    step: Callable[[Array, Array, float, float], Array] = lambda w, g, lr, decay: (
        w - lr * (g + decay * w)
    ),
) -> dict[str, Expected]:
    """Return the parameter after one step."""
    w = step(inputs["param"], inputs["grad"], inputs["lr"], inputs["weight_decay"])
    return {"param": w}


def _run_sgd(student: Functions, inputs: Inputs) -> dict[str, Any]:
    return {"param": student["sgd_step"](*inputs.values())}


def _draw_sgd(rng: np.random.Generator) -> list[Case]:
    def inputs(*shape: int, weight_decay: float | None = None) -> dict[str, Any]:
        return {
            "param": rng.standard_normal(shape),
            "grad": rng.standard_normal(shape),
            "lr": float(rng.uniform(0.1, 0.5)),
            "weight_decay": _weight_decay(rng) if weight_decay is None else weight_decay,
        }

    return [
        Case("a matrix without weight decay", inputs(4, 3, weight_decay=0.0), "no decay"),
        Case("a vector without weight decay", inputs(5, weight_decay=0.0), "no decay"),
        Case("a matrix", inputs(3, 4), "decay"),
        Case("a vector", inputs(6), "decay"),
        Case("a kernel", inputs(2, 3, 2, 2), "decay"),
    ]


SGD = Task(
    name="sgd_step",
    assignment=ASSIGNMENT,
    number=4,
    section=L2_OVERFLOW,
    hints=(
        "Two things pull at the parameter, the loss and the penalty. What is the gradient of each?",
        "The step goes against both of them at once. Is either spared the learning rate?",
        "Put the two gradients together first; from there on it is a step of plain gradient "
        "descent.",
        "Return a new array. `param -= ...` would change the array of whoever called you.",
    ),
    aspects=(
        Aspect("without weight decay", 1.0, ("param",), ("no decay",)),
        Aspect("with weight decay", 2.0, ("param",), ("decay",)),
    ),
    draw=_draw_sgd,
    run=_run_sgd,
    reference=_sgd,
    misconceptions=(
        Misconception(
            "sgd-decay-without-lr",
            "Your weights shrink by λ in each step, whatever the learning rate. The penalty is "
            "part of the loss, so its gradient is multiplied by the learning rate like the rest.",
            L2_UPDATE,
            {"step": lambda w, g, lr, decay: w - decay * w - lr * g},
        ),
        Misconception(
            "sgd-decay-after",
            "You take the step first and shrink its result. The gradient of the penalty is taken "
            "at the weight before the step, so the factor 1 − ηλ multiplies the old weight only.",
            L2_UPDATE,
            {"step": lambda w, g, lr, decay: (1 - lr * decay) * (w - lr * g)},
        ),
        Misconception(
            "l2-missing-half",
            "Your weights decay by 2λ. The gradient of ½λ‖w‖² is λw.",
            L2_GRADIENT,
            {"step": lambda w, g, lr, decay: w - lr * (g + 2 * decay * w)},
        ),
        Misconception(
            "l2-gradient-sum",
            "To every entry of the gradient you add λ times the sum of the whole parameter. Each "
            "entry decays in proportion to itself.",
            L2_GRADIENT,
            {"step": lambda w, g, lr, decay: w - lr * (g + decay * w.sum())},
        ),
        Misconception(
            "l2-sign",
            "Your weights grow where they should decay: the sign of the decay is wrong.",
            L2_UPDATE,
            {"step": lambda w, g, lr, decay: w - lr * (g - decay * w)},
        ),
        Misconception(
            "l2-ignored",
            "Your step does not use weight_decay.",
            L2_UPDATE,
            {"step": lambda w, g, lr, decay: w - lr * g},
        ),
        Misconception(
            "sgd-ascent",
            "Your step goes up the gradient. Descent subtracts it.",
            L2_UPDATE,
            {"step": lambda w, g, lr, decay: w + lr * (g + decay * w)},
        ),
    ),
)


def _corrected(average: Array, beta: float, step: int) -> Array:
    return average / (1 - beta**step)


def _adam_update(m: Array, v: Array, betas: tuple[float, float], eps: float, step: int) -> Array:
    return _corrected(m, betas[0], step) / (np.sqrt(_corrected(v, betas[1], step)) + eps)


def _before(w: Array, update: Array, lr: float, weight_decay: float) -> Array:
    return (1 - lr * weight_decay) * w - lr * update


def _adam(
    inputs: Inputs,
    *,
    is_decoupled: Callable[[bool], bool] = lambda decoupled: decoupled,
    coupled_gradient: Callable[[Array, Array, float], Array] = lambda g, w, decay: g + decay * w,
    decay_and_step: Callable[[Array, Array, float, float], Array] = _before,
    squared: Callable[[Array], Array] = np.square,
    used_betas: Callable[[Any], tuple[float, float]] = lambda betas: (betas[0], betas[1]),
    update: Callable[[Array, Array, tuple[float, float], float, int], Array] = _adam_update,
    counted: Callable[[int], int] = lambda step: step + 1,
    kept: Callable[[Array, float, int], Array] = lambda average, beta, step: average,
) -> dict[str, Expected]:
    """Return the parameter and the state after one step for each gradient."""
    w, lr, weight_decay = inputs["param"], inputs["lr"], inputs["weight_decay"]
    step, m, v = (inputs["state"][name] for name in ("step", "m", "v"))
    betas = used_betas(inputs["betas"])
    decoupled = is_decoupled(inputs["decoupled"])
    for g in inputs["grads"]:
        t = step + 1
        if not decoupled:
            g = coupled_gradient(g, w, weight_decay)
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * squared(g)
        # Of mistakes only: the root of a negative average, a division by zero.
        with np.errstate(divide="ignore", invalid="ignore"):
            change = update(m, v, betas, inputs["eps"], t)
        w = decay_and_step(w, change, lr, weight_decay if decoupled else 0.0)
        m, v = kept(m, betas[0], t), kept(v, betas[1], t)
        step = counted(step)
    return {"param": w, "m": m, "v": v, "step": np.asarray(float(step))}


def _run_adam(student: Functions, inputs: Inputs) -> dict[str, Any]:
    param, state = inputs["param"], inputs["state"]
    for grad in inputs["grads"]:
        returned = student["adam_step"](
            param,
            grad,
            state,
            inputs["lr"],
            inputs["betas"],
            inputs["eps"],
            inputs["weight_decay"],
            inputs["decoupled"],
        )
        param, state = unpack("adam_step", returned, ("param", "state"))
        if not isinstance(state, dict):
            raise NotObservedError(
                f"The state that `adam_step` returned is a single {type(state).__name__}. "
                'Return a dict with the keys "step", "m" and "v".'
            )
        missing = [name for name in ("step", "m", "v") if name not in state]
        if missing:
            raise NotObservedError(f"The state that `adam_step` returned has no {missing[0]!r}.")
    step = state["step"]
    # A count may be any kind of integer.
    if isinstance(step, np.ndarray | np.generic) and step.ndim == 0:
        step = step.item()
    return {"param": param, "m": state["m"], "v": state["v"], "step": step}


def _draw_adam(rng: np.random.Generator) -> list[Case]:
    def inputs(
        *shape: int,
        steps: int,
        eps: float,
        decoupled: bool,
        weight_decay: float | None = None,
        before: int = 0,
    ) -> dict[str, Any]:
        earlier = rng.standard_normal((2, *shape)) if before else np.zeros((2, *shape))
        return {
            "param": rng.standard_normal(shape),
            "grads": [rng.standard_normal(shape) for _ in range(steps)],
            "state": {"step": before, "m": 0.5 * earlier[0], "v": 0.5 * earlier[1] ** 2},
            "lr": float(rng.uniform(0.1, 0.5)),
            "betas": (float(rng.uniform(0.6, 0.85)), float(rng.uniform(0.88, 0.98))),
            "eps": eps,
            "weight_decay": _weight_decay(rng) if weight_decay is None else weight_decay,
            "decoupled": decoupled,
        }

    return [
        Case(
            "four steps without weight decay",
            inputs(4, 3, steps=4, eps=1e-8, decoupled=False, weight_decay=0.0),
            "no decay",
        ),
        Case(
            "a large eps, without weight decay",
            inputs(5, steps=3, eps=0.3, decoupled=True, weight_decay=0.0),
            "no decay",
        ),
        Case("Adam, one step", inputs(6, steps=1, eps=0.2, decoupled=False), "Adam"),
        Case("Adam, four steps", inputs(3, 4, steps=4, eps=0.1, decoupled=False), "Adam"),
        Case(
            "Adam, after seven earlier steps",
            inputs(2, 5, steps=2, eps=1e-3, decoupled=False, before=7),
            "Adam",
        ),
        Case("AdamW, one step", inputs(6, steps=1, eps=0.2, decoupled=True), "AdamW"),
        Case("AdamW, four steps", inputs(4, 2, steps=4, eps=0.1, decoupled=True), "AdamW"),
        Case(
            "AdamW, after five earlier steps",
            inputs(3, 3, steps=2, eps=1e-3, decoupled=True, before=5),
            "AdamW",
        ),
    ]


ADAM = Task(
    name="adam_step",
    assignment=ASSIGNMENT,
    number=5,
    section=L2_ADAM,
    hints=(
        "Follow λw through the formulas: in which of the two kinds is it divided by the root of "
        "v̂, and in which not?",
        "Decide first what the gradient is and what the weight is that Adam's step starts from; "
        "from there on both kinds are the same.",
        '`state["step"]` counts the steps taken so far. Which t does the first step have?',
        "The state keeps m and v, not m̂ and v̂: the correction is for this step only. Return a "
        "new dict and leave the old one as it is.",
        "Coupled: change the gradient, before anything else. Decoupled: change the weight, before "
        "anything else. And ε comes after the root.",
    ),
    aspects=(
        Aspect("parameter without weight decay", 1.5, ("param",), ("no decay",)),
        Aspect("parameter with weight decay as in Adam", 1.5, ("param",), ("Adam",)),
        Aspect("parameter with weight decay as in AdamW", 1.5, ("param",), ("AdamW",)),
        Aspect("state", 1.5, ("m", "v", "step")),
    ),
    draw=_draw_adam,
    run=_run_adam,
    reference=_adam,
    misconceptions=(
        Misconception(
            "adam-coupled-as-adamw",
            "With `decoupled` you still add λw to the gradient, where it is divided by √v̂ like "
            "everything else. Decoupled decay multiplies the parameter by 1 − ηλ and leaves the "
            "gradient alone.",
            L2_ADAM,
            {"is_decoupled": lambda decoupled: False},
        ),
        Misconception(
            "adamw-as-coupled",
            "Without `decoupled` you multiply the parameter by 1 − ηλ, which is AdamW. In Adam "
            "λw is added to the gradient before m and v see it.",
            L2_ADAM,
            {"is_decoupled": lambda decoupled: True},
        ),
        Misconception(
            "adam-decoupling-swapped",
            "You do Adam's step when `decoupled` is true and AdamW's when it is false.",
            L2_ADAM,
            {"is_decoupled": lambda decoupled: not decoupled},
        ),
        Misconception(
            "adamw-without-lr",
            "Your decoupled decay multiplies by 1 − λ. PyTorch's AdamW multiplies by 1 − ηλ, with "
            "the learning rate in it.",
            L2_ADAM,
            {"decay_and_step": lambda w, update, lr, decay: (1 - decay) * w - lr * update},
        ),
        Misconception(
            "adamw-sign",
            "Your decoupled decay multiplies by 1 + ηλ, so the weights grow.",
            L2_ADAM,
            {"decay_and_step": lambda w, update, lr, decay: (1 + lr * decay) * w - lr * update},
        ),
        Misconception(
            "adamw-decay-after",
            "You decay the parameter after Adam's step, the step included. AdamW decays it first.",
            L2_ADAM,
            {"decay_and_step": lambda w, update, lr, decay: (1 - lr * decay) * (w - lr * update)},
        ),
        Misconception(
            "l2-ignored",
            "Your step does not use weight_decay.",
            L2_ADAM,
            {
                "coupled_gradient": lambda g, w, decay: g,
                "decay_and_step": lambda w, update, lr, decay: w - lr * update,
            },
        ),
        Misconception(
            "l2-sign",
            "You subtract λw from the gradient. The penalty's gradient is added.",
            L2_GRADIENT,
            {"coupled_gradient": lambda g, w, decay: g - decay * w},
        ),
        Misconception(
            "adam-no-bias-correction",
            "You use m and v as they are. They start at zero and are too small in the first steps; "
            "divide them by 1 − β₁ᵗ and 1 − β₂ᵗ.",
            L2_ADAM,
            {"update": lambda m, v, betas, eps, step: m / (np.sqrt(v) + eps)},
        ),
        Misconception(
            "adam-eps-inside-root",
            "You divide by √(v̂ + ε). In Adam ε is added after the root: √v̂ + ε.",
            L2_ADAM,
            {
                "update": lambda m, v, betas, eps, step: (
                    _corrected(m, betas[0], step) / np.sqrt(_corrected(v, betas[1], step) + eps)
                )
            },
        ),
        Misconception(
            "adam-eps-before-correction",
            "You add ε to √v and correct for the start at zero afterwards, which rescales ε too. "
            "PyTorch adds it to the corrected √v̂.",
            L2_ADAM,
            {
                "update": lambda m, v, betas, eps, step: (
                    _corrected(m, betas[0], step)
                    * np.sqrt(1 - betas[1] ** step)
                    / (np.sqrt(v) + eps)
                )
            },
        ),
        Misconception(
            "adam-counts-from-zero",
            "Your bias correction counts the first step as number 0, where 1 − β⁰ is zero. "
            '`state["step"]` counts the steps before this one.',
            L2_ADAM,
            {"update": lambda m, v, betas, eps, step: _adam_update(m, v, betas, eps, step - 1)},
        ),
        Misconception(
            "adam-no-root",
            "You divide by v̂ + ε. It is an average of squares; Adam divides by its root.",
            L2_ADAM,
            {
                "update": lambda m, v, betas, eps, step: (
                    _corrected(m, betas[0], step) / (_corrected(v, betas[1], step) + eps)
                )
            },
        ),
        Misconception(
            "adam-not-squared",
            "Your v averages the gradient. It should average the square of the gradient.",
            L2_ADAM,
            {"squared": lambda g: g},
        ),
        Misconception(
            "adam-betas-swapped",
            "β₁ and β₂ have changed places: `betas[0]` belongs to m, `betas[1]` to v.",
            L2_ADAM,
            {"used_betas": lambda betas: (betas[1], betas[0])},
        ),
        Misconception(
            "adam-corrected-in-state",
            "You store the corrected averages in the state, so that the next step corrects them "
            "again. Keep m and v as they are and correct only what you divide.",
            L2_ADAM,
            {"kept": _corrected},
        ),
        Misconception(
            "adam-step-not-counted",
            'The "step" in the state you return is the one that came in, so every step corrects '
            "like the first. Return it increased by one.",
            L2_ADAM,
            {"counted": lambda step: step},
        ),
    ),
)


# Parameter groups.


class _Scale(nn.Module):
    """A vector that belongs to no layer of PyTorch."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(size))


class _Projection(nn.Module):
    """A matrix that belongs to no layer of PyTorch."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.projection = nn.Parameter(torch.ones(size, 2))


_LAYERS: dict[str, Callable[[int], nn.Module]] = {
    "linear": lambda size: nn.Linear(size, 3),
    "linear without bias": lambda size: nn.Linear(size, 3, bias=False),
    "convolution": lambda size: nn.Conv2d(size, 2, 3),
    "embedding": lambda size: nn.Embedding(size, 4),
    "batch norm": nn.BatchNorm1d,
    "layer norm": nn.LayerNorm,
    "scale": _Scale,
    "projection": _Projection,
}


def _model(inputs: Inputs) -> nn.Module:
    """Build the model that `inputs` describe."""
    # Not on this process's random numbers: a check must leave a notebook's seed alone.
    with torch.random.fork_rng(devices=[]):
        layers = [_LAYERS[kind](size) for kind, size in inputs["layers"]]
    for index in inputs["frozen"]:
        for parameter in layers[index].parameters():
            parameter.requires_grad_(False)
    for first, second in inputs["shared"]:
        layers[second].weight = layers[first].weight
    return nn.Sequential(*layers)


def _role(owner: nn.Module, name: str, parameter: Tensor) -> str:
    """Return the kind of a parameter as the report names it, in the plural."""
    if not parameter.requires_grad:
        return "frozen parameters"
    if isinstance(owner, nn.BatchNorm1d | nn.LayerNorm):
        return "gammas and betas"
    if parameter.ndim > 1:
        return "weights"
    return "biases" if name == "bias" else "other vectors"


_ROLES = ("weights", "biases", "gammas and betas", "other vectors", "frozen parameters")
_PLACES = tuple(
    f"{role} in the {group} group" for role in _ROLES for group in ("decayed", "undecayed")
)


def _parameters(model: nn.Module) -> list[tuple[nn.Module, str, Tensor]]:
    """Return the layer, the name and the tensor of each parameter, shared ones once."""
    found: dict[Tensor, tuple[nn.Module, str, Tensor]] = {}
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            found.setdefault(parameter, (module, name, parameter))
    return list(found.values())


def _counts(model: nn.Module, groups: Sequence[Sequence[Tensor]]) -> dict[str, list[float]]:
    """Return by role how often each parameter is in the decayed and in the undecayed group."""
    counts: dict[str, list[float]] = {}
    for module, name, parameter in _parameters(model):
        role = _role(module, name, parameter)
        for label, group in zip(("decayed", "undecayed"), groups, strict=True):
            times = float(sum(parameter is other for other in group))
            counts.setdefault(f"{role} in the {label} group", []).append(times)
    return counts


Placement = Callable[[nn.Module, str, Tensor], tuple[int, ...]]
"""In which groups a parameter is, by owner, name and parameter: 0 is decayed, 1 is not."""


def _by_dimensions(owner: nn.Module, name: str, parameter: Tensor) -> tuple[int, ...]:
    if not parameter.requires_grad:
        return ()
    return (0,) if parameter.ndim > 1 else (1,)


def _decays(decayed: Callable[[nn.Module, str, Tensor], bool]) -> Placement:
    """Return the placement that decays what `decayed` says and leaves out what is frozen."""

    def placed(owner: nn.Module, name: str, parameter: Tensor) -> tuple[int, ...]:
        if not parameter.requires_grad:
            return ()
        return (0,) if decayed(owner, name, parameter) else (1,)

    return placed


def _decays_roles(*roles: str) -> Placement:
    return _decays(lambda owner, name, parameter: _role(owner, name, parameter) in roles)


def _loses_own(owner: nn.Module, name: str, parameter: Tensor) -> tuple[int, ...]:
    if isinstance(owner, _Scale | _Projection):
        return ()
    return _by_dimensions(owner, name, parameter)


def _keeps_frozen(owner: nn.Module, name: str, parameter: Tensor) -> tuple[int, ...]:
    return (0,) if parameter.ndim > 1 else (1,)


def _in_both(owner: nn.Module, name: str, parameter: Tensor) -> tuple[int, ...]:
    if not parameter.requires_grad:
        return ()
    return (0, 1) if parameter.ndim > 1 else (1,)


def _groups(
    inputs: Inputs,
    *,
    placed: Placement = _by_dimensions,
    walked: Callable[[nn.Module], list[tuple[nn.Module, str, Tensor]]] = _parameters,
) -> dict[str, Expected]:
    """Return how often each parameter is in which group."""
    model = _model(inputs)
    groups: tuple[list[Tensor], list[Tensor]] = ([], [])
    for owner, name, parameter in walked(model):
        for index in placed(owner, name, parameter):
            groups[index].append(parameter)
    return {name: np.array(counts) for name, counts in _counts(model, groups).items()}


def _each_time(model: nn.Module) -> list[tuple[nn.Module, str, Tensor]]:
    return [
        (module, name, parameter)
        for module in model.modules()
        for name, parameter in module.named_parameters(recurse=False)
    ]


def _described(name: str, got: Array, expected: Array) -> str:
    """Say in words which parameters are where they should not be."""
    role, group = name.split(" in the ")
    count, inside, wanted = len(got), int((got > 0).sum()), int((expected > 0).sum())
    if inside == wanted:
        return f"{int((got > 1).sum())} of {count} {role} are in the {group} more than once."
    return (
        f"{inside or 'none'} of {count} {role} {'is' if inside == 1 else 'are'} in the {group}; "
        f"{'all' if wanted else 'none'} should be."
    )


def _run_parameter_groups(student: Functions, inputs: Inputs) -> dict[str, Any]:
    model, weight_decay = _model(inputs), inputs["weight_decay"]
    groups = student["parameter_groups"](model, weight_decay)
    if groups is None:
        raise NotObservedError("`parameter_groups` returned None; is its `return` missing?")
    if not isinstance(groups, list | tuple):
        raise NotObservedError(
            f"`parameter_groups` returned a single {type(groups).__name__}. "
            "It should return a list of two groups."
        )
    if len(groups) != 2:
        raise NotObservedError(
            f"`parameter_groups` returned {len(groups)} group{'' if len(groups) == 1 else 's'}. "
            "It should return a list of two groups."
        )
    tensors: dict[float, list[Tensor]] = {}
    for group in groups:
        if not isinstance(group, dict) or not {"params", "weight_decay"} <= group.keys():
            raise NotObservedError(
                'Each group should be a dict with the keys "params" and "weight_decay".'
            )
        if isinstance(group["params"], Tensor) or not hasattr(group["params"], "__iter__"):
            raise NotObservedError('"params" should be a list of parameters.')
        # A generator can be walked through only once.
        parameters = list(group["params"])
        known = {id(parameter) for parameter in model.parameters()}
        for parameter in parameters:
            if not isinstance(parameter, Tensor):
                raise NotObservedError(
                    f'"params" should contain parameters; it contains a {type(parameter).__name__}.'
                )
            if id(parameter) not in known:
                raise NotObservedError(
                    '"params" contains a tensor that is not one of the model\'s parameters. '
                    "Put in the parameters themselves, not copies or their `.data`."
                )
        decay = group["weight_decay"]
        if not isinstance(decay, int | float):
            raise NotObservedError(f'"weight_decay" is a {type(decay).__name__}; make it a number.')
        tensors[float(decay)] = parameters
    if tensors.keys() != {weight_decay, 0.0}:
        decays = " and ".join(str(group["weight_decay"]) for group in groups)
        raise NotObservedError(
            f'With weight_decay={weight_decay:.3g} the groups have "weight_decay" {decays}. '
            f"One should have {weight_decay:.3g}, the other 0.0."
        )
    counts = _counts(model, (tensors[weight_decay], tensors[0.0]))
    return {name: torch.tensor(values, dtype=torch.float64) for name, values in counts.items()}


def _draw_parameter_groups(rng: np.random.Generator) -> list[Case]:
    def inputs(
        *kinds: str,
        frozen: Sequence[int] = (),
        shared: Sequence[tuple[int, int]] = (),
        mixed: bool = True,
    ) -> dict[str, Any]:
        order = [int(i) for i in (rng.permutation(len(kinds)) if mixed else range(len(kinds)))]
        size = int(rng.integers(4, 9))
        return {
            "layers": [[kinds[i], size] for i in order],
            "frozen": [order.index(i) for i in frozen],
            "shared": [[order.index(i) for i in pair] for pair in shared],
            "weight_decay": _weight_decay(rng),
        }

    return [
        Case("linear layers", inputs("linear", "linear", "linear without bias"), "layers"),
        Case("a convolution and a linear layer", inputs("convolution", "linear"), "layers"),
        Case(
            "with batch norm, layer norm and an embedding",
            inputs("linear", "batch norm", "layer norm", "embedding"),
            "normalization",
        ),
        Case(
            "with parameters of the model's own, a vector first and a matrix last",
            inputs("scale", "convolution", "batch norm", "projection", mixed=False),
            "normalization",
        ),
        Case(
            "with a frozen layer",
            inputs("linear", "linear", "batch norm", "convolution", frozen=(1,)),
            "frozen",
        ),
        Case(
            "with a weight that two layers share",
            inputs("linear", "linear", "linear without bias", "layer norm", shared=((0, 1),)),
            "shared",
        ),
    ]


PARAMETER_GROUPS = Task(
    name="parameter_groups",
    assignment=ASSIGNMENT,
    number=6,
    section=L2_WHAT_NOT,
    hints=(
        "What tells a weight matrix from a bias, whatever layer they belong to?",
        "`model.parameters()` goes through all parameters of all layers and names a shared one "
        "only once. Each of them knows its `ndim`.",
        "Sort out the frozen ones first, by `requires_grad`. Each of the others is in exactly one "
        "of two lists.",
        "A bias has one dimension, and so have γ and β; a kernel of a convolution has four. On "
        "which side is two? The second group needs a `weight_decay` as well, or the optimizer "
        "takes its default.",
    ),
    aspects=(
        Aspect("linear layers and convolutions", 1.0, _PLACES, ("layers",)),
        Aspect("normalization, embeddings, own parameters", 1.5, _PLACES, ("normalization",)),
        Aspect("frozen parameters", 0.75, _PLACES, ("frozen",)),
        Aspect("shared parameters", 0.75, _PLACES, ("shared",)),
    ),
    draw=_draw_parameter_groups,
    run=_run_parameter_groups,
    reference=_groups,
    describe=_described,
    misconceptions=(
        Misconception(
            "groups-decay-everything",
            "All parameters are in the group that is decayed. Those with fewer than two dimensions "
            "(biases, γ and β) belong in the other.",
            L2_WHAT_NOT,
            {"placed": _decays(lambda owner, name, parameter: True)},
        ),
        Misconception(
            "groups-decay-nothing",
            "All parameters are in the group that is not decayed. Those with two or more "
            "dimensions belong in the other.",
            L2_WHAT_NOT,
            {"placed": _decays(lambda owner, name, parameter: False)},
        ),
        Misconception(
            "groups-decay-norm",
            "You decay γ and β of the normalization layers. Pulled to zero they shrink the signal "
            "for no gain in smoothness.",
            L2_WHAT_NOT,
            {"placed": _decays_roles("weights", "gammas and betas")},
        ),
        Misconception(
            "groups-decay-bias",
            "You decay the biases. A bias shifts a function and does not make it steeper.",
            L2_WHAT_NOT,
            {"placed": _decays_roles("weights", "biases")},
        ),
        Misconception(
            "groups-by-name",
            "You sort by name: what is not called `bias` is decayed. The γ of a normalization "
            "layer is called `weight` and has one dimension; look at `parameter.ndim`.",
            L2_WHAT_NOT,
            {"placed": _decays(lambda owner, name, parameter: name != "bias")},
        ),
        Misconception(
            "groups-swapped",
            "The two groups have changed places: what should be decayed is not, and the other way "
            "round.",
            L2_WHAT_NOT,
            {"placed": _decays(lambda owner, name, parameter: parameter.ndim < 2)},
        ),
        Misconception(
            "groups-linear-only",
            "You decay the weights of linear layers and convolutions only. Embeddings and a "
            "model's own matrices have two dimensions too.",
            L2_WHAT_NOT,
            {
                "placed": _decays(
                    lambda owner, name, parameter: (
                        isinstance(owner, nn.Linear | nn.Conv2d) and name == "weight"
                    )
                )
            },
        ),
        Misconception(
            "groups-lost-parameter",
            "Parameters that belong to none of PyTorch's layers are in neither group, so the "
            "optimizer would never train them. Go through `model.parameters()`, which has all.",
            L2_WHAT_NOT,
            {"placed": _loses_own},
        ),
        Misconception(
            "groups-in-both",
            "You put the decayed parameters into the other group as well. An optimizer refuses a "
            "parameter that is in two groups.",
            L2_WHAT_NOT,
            {"placed": _in_both},
        ),
        Misconception(
            "groups-keeps-frozen",
            "Frozen parameters are in your groups. Leave out those whose `requires_grad` is False.",
            L2_WHAT_NOT,
            {"placed": _keeps_frozen},
        ),
        Misconception(
            "groups-shared-twice",
            "A parameter that two layers share is in your groups twice. `model.parameters()` names "
            "each parameter once.",
            L2_WHAT_NOT,
            {"walked": _each_time},
        ),
    ),
    framework="torch",
    forbidden=(),
)
