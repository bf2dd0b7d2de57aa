"""The tasks on batch normalization (Ioffe and Szegedy 2015, https://arxiv.org/abs/1502.03167).

One reference serves all of them: torch's conventions (biased variance to normalize, unbiased
variance into `running_var`, new = (1 - momentum) * old + momentum * batch), the gradient by
autograd, statistics over every axis but the second.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from autograder.task import (
    Aspect,
    Case,
    Expected,
    Functions,
    Inputs,
    Misconception,
    Requirement,
    Scaled,
    Task,
)
from autograder.tasks.answers import NotObservedError, unpack
from autograder.tasks.batch_norm import ASSIGNMENT
from autograder.tasks.batch_norm.sections import BACKWARD as BATCH_NORM_BACKWARD
from autograder.tasks.batch_norm.sections import CHANNELS as BATCH_NORM_CHANNELS
from autograder.tasks.batch_norm.sections import EVALUATION as BATCH_NORM_EVALUATION
from autograder.tasks.batch_norm.sections import FOLDING as BATCH_NORM_FOLDING
from autograder.tasks.batch_norm.sections import FORWARD as BATCH_NORM_FORWARD
from autograder.tasks.batch_norm.sections import PYTORCH as BATCH_NORM_PYTORCH
from autograder.tasks.batch_norm.sections import RUNNING as BATCH_NORM_RUNNING


def _mean(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    return x.mean(axes, keepdim=True)


def _biased_variance(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    return x.var(axes, correction=0, keepdim=True)


def _unbiased_variance(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    count = x.numel() // _mean(x, axes).numel()
    # Of one value it is not a number; Tensor.var would also warn.
    return (x - _mean(x, axes)).square().sum(axes, keepdim=True) / (count - 1)


def _blend(old: Tensor, batch: Tensor, momentum: float) -> Tensor:
    return (1 - momentum) * old + momentum * batch


def _normalize(x: Tensor, mean: Tensor, variance: Tensor, eps: float) -> Tensor:
    return (x - mean) / torch.sqrt(variance + eps)


def _affine(x_hat: Tensor, gamma: Tensor, beta: Tensor, x: Tensor) -> Tensor:
    return x_hat * gamma + beta


def _batch_norm(
    inputs: Inputs,
    *,
    axes: Callable[[Tensor], tuple[int, ...]] = lambda x: (0, *range(2, x.ndim)),
    mean: Callable[..., Tensor] = _mean,
    variance: Callable[..., Tensor] = _biased_variance,
    running_mean_of: Callable[..., Tensor] = _mean,
    running_variance_of: Callable[..., Tensor] = _unbiased_variance,
    stored_variance: Callable[..., Tensor] = lambda variance, eps: variance,
    blend_mean: Callable[..., Tensor] = _blend,
    blend_variance: Callable[..., Tensor] = _blend,
    normalize: Callable[..., Tensor] = _normalize,
    normalize_in_evaluation: Callable[..., Tensor] | None = None,
    affine: Callable[..., Tensor] = _affine,
    affine_in_evaluation: Callable[..., Tensor] | None = None,
    batch_statistics_in_evaluation: bool = False,
    updates_in_evaluation: bool = False,
    returned_statistics: Callable[[Tensor], Tensor] = lambda statistics: statistics,
) -> dict[str, Expected]:
    """Return output, running statistics and gradients after one or several batches."""
    gamma = torch.tensor(inputs["gamma"], requires_grad=True)
    beta = torch.tensor(inputs["beta"], requires_grad=True)
    running_mean = torch.tensor(inputs["running_mean"])
    running_var = torch.tensor(inputs["running_var"])
    momentum, eps = inputs.get("momentum", 0.1), inputs.get("eps", 1e-5)
    training = inputs["training"]
    if not training:
        normalize = normalize_in_evaluation or normalize
        affine = affine_in_evaluation or affine
    for batch in inputs["x"]:
        x = torch.tensor(batch, requires_grad=True)
        over = axes(x)
        per_channel = (1, -1) + (1,) * (x.ndim - 2)
        if training or batch_statistics_in_evaluation:
            used_mean, used_variance = mean(x, over), variance(x, over)
        else:
            used_mean = running_mean.reshape(per_channel)
            used_variance = running_var.reshape(per_channel)
        x_hat = normalize(x, used_mean, used_variance, eps)
        out = affine(x_hat, gamma.reshape(per_channel), beta.reshape(per_channel), x)
        if training or updates_in_evaluation:
            new_mean = running_mean_of(x, over).detach()
            new_variance = stored_variance(running_variance_of(x, over).detach(), eps)
            if new_mean.numel() in (1, running_mean.numel()):
                new_mean, new_variance = new_mean.flatten(), new_variance.flatten()
            running_mean = blend_mean(running_mean, new_mean, momentum)
            running_var = blend_variance(running_var, new_variance, momentum)
    expected: dict[str, Expected] = {
        "out": out.detach().numpy(),
        "running_mean": returned_statistics(running_mean).numpy(),
        "running_var": returned_statistics(running_var).numpy(),
    }
    if "d_out" in inputs:
        d_out = torch.tensor(inputs["d_out"])
        # Through a sum, because passing d_out to autograd makes torch import sympy, which takes
        # longer than a check may.
        d_x, d_gamma, d_beta = torch.autograd.grad((out * d_out).sum(), (x, gamma, beta))
        # For two rows d_x is a small difference of terms of this size.
        scale = gamma.reshape(per_channel) * d_out.abs().max() / torch.sqrt(used_variance + eps)
        expected["d_x"] = Scaled(d_x.numpy(), np.abs(scale.detach().numpy()))
        expected["d_gamma"] = d_gamma.numpy()
        expected["d_beta"] = d_beta.numpy()
    return expected


# The known mistakes of the forward pass.


def _over_rows(x: Tensor) -> tuple[int, ...]:
    return tuple(range(1, x.ndim))


def _over_everything(x: Tensor) -> tuple[int, ...]:
    return tuple(range(x.ndim))


FORWARD_MISCONCEPTIONS = (
    Misconception(
        "bn-unbiased-normalization",
        "This is what comes out when the batch is normalized with the variance that divides by "
        "N − 1. Batch norm divides by N here; the N − 1 belongs in the running variance only.",
        BATCH_NORM_FORWARD,
        {"variance": _unbiased_variance},
    ),
    Misconception(
        "bn-biased-running-var",
        "Your running variance averages the variance that divides by N. It estimates the variance "
        "of the whole population from a sample, so PyTorch stores the one that divides by N − 1.",
        BATCH_NORM_RUNNING,
        {"running_variance_of": _biased_variance},
    ),
    Misconception(
        "bn-momentum-flipped",
        "Old and new value have changed places in your running average: in PyTorch's convention "
        "`momentum` is the share of the new batch, not of the old value.",
        BATCH_NORM_RUNNING,
        {
            "blend_mean": lambda old, batch, momentum: momentum * old + (1 - momentum) * batch,
            "blend_variance": lambda old, batch, momentum: momentum * old + (1 - momentum) * batch,
        },
    ),
    Misconception(
        "bn-running-var-not-started",
        "Your running statistics are those of the last batch alone. They should move a little "
        "towards each batch and remember the earlier ones.",
        BATCH_NORM_RUNNING,
        {
            "blend_mean": lambda old, batch, momentum: batch,
            "blend_variance": lambda old, batch, momentum: batch,
        },
    ),
    Misconception(
        "bn-stats-never-updated",
        "You return the running statistics as they came in. In training they have to move towards "
        "the statistics of the batch, or evaluation mode has nothing to work with.",
        BATCH_NORM_RUNNING,
        {
            "blend_mean": lambda old, batch, momentum: old,
            "blend_variance": lambda old, batch, momentum: old,
        },
    ),
    Misconception(
        "bn-std-in-running-var",
        "Your running variance averages standard deviations. Average the variance and take the "
        "root where you use it.",
        BATCH_NORM_RUNNING,
        {"stored_variance": lambda variance, eps: torch.sqrt(variance)},
    ),
    Misconception(
        "bn-eps-in-running-var",
        "Your running variance contains ε already, so evaluation mode adds it a second time. "
        "Store the bare variance.",
        BATCH_NORM_RUNNING,
        {"stored_variance": lambda variance, eps: variance + eps},
    ),
    Misconception(
        "bn-eps-outside-root",
        "You divide by √σ² + ε. The ε belongs under the root, √(σ² + ε), where it keeps the "
        "division and its gradient tame when the variance is close to zero.",
        BATCH_NORM_FORWARD,
        {"normalize": lambda x, mean, variance, eps: (x - mean) / (torch.sqrt(variance) + eps)},
    ),
    Misconception(
        "bn-no-eps",
        "There is no ε in your division. A feature that is constant within the batch has variance "
        "zero, and the division has no result.",
        BATCH_NORM_FORWARD,
        {"normalize": lambda x, mean, variance, eps: (x - mean) / torch.sqrt(variance)},
    ),
    Misconception(
        "bn-no-root",
        "You divide by the variance, σ² + ε. What is left would have a variance of 1/σ²: which "
        "power of σ has the unit of x?",
        BATCH_NORM_FORWARD,
        {"normalize": lambda x, mean, variance, eps: (x - mean) / (variance + eps)},
    ),
    Misconception(
        "bn-eval-batch-stats",
        "In evaluation mode you normalize with the statistics of the batch. Use the running "
        "statistics: the answer for one example must not depend on its neighbors.",
        BATCH_NORM_EVALUATION,
        {"batch_statistics_in_evaluation": True},
    ),
    Misconception(
        "bn-eval-updates-stats",
        "Your running statistics change in evaluation mode. They belong to training; evaluating "
        "the network must not change it.",
        BATCH_NORM_EVALUATION,
        {"updates_in_evaluation": True},
    ),
    Misconception(
        "bn-eval-no-affine",
        "In evaluation mode you normalize but leave out γ and β. They are part of the layer in "
        "both modes.",
        BATCH_NORM_EVALUATION,
        {"affine_in_evaluation": lambda x_hat, gamma, beta, x: x_hat + 0 * (gamma + beta)},
    ),
    Misconception(
        "bn-wrong-axis",
        "You normalize each row by its own mean and variance. Batch norm takes one mean and one "
        "variance per feature, over the rows of the batch.",
        BATCH_NORM_FORWARD,
        {"axes": _over_rows},
    ),
    Misconception(
        "bn-global-stats",
        "You use one mean and one variance for the whole array. Each feature has its own.",
        BATCH_NORM_FORWARD,
        {"axes": _over_everything},
    ),
    Misconception(
        "bn-shape",
        "Your running statistics have an axis too many, (1, D) for (D,). The numbers are right, "
        "but such shapes broadcast silently into wrong results later; drop `keepdims`.",
        BATCH_NORM_RUNNING,
        {"returned_statistics": lambda statistics: statistics[None]},
    ),
)


# The known mistakes of the backward pass.  Values stay right and only the gradient departs, so
# most of them cut or replace an edge of the graph with detach().


def _gradient_of_gamma(replaced: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Return the affine step with the gradient of gamma taken from `replaced(x_hat, x)`."""

    def affine(x_hat: Tensor, gamma: Tensor, beta: Tensor, x: Tensor) -> Tensor:
        constant = gamma.detach()
        return x_hat * constant + replaced(x_hat, x).detach() * (gamma - constant) + beta

    return affine


def _averaged_gradients(x_hat: Tensor, gamma: Tensor, beta: Tensor, x: Tensor) -> Tensor:
    count = x_hat.numel() // gamma.numel()

    def averaged(parameter: Tensor) -> Tensor:
        return parameter.detach() + (parameter - parameter.detach()) / count

    return x_hat * averaged(gamma) + averaged(beta)


def _closed_form(weight: Callable[[Tensor], float]) -> Callable[..., Tensor]:
    """Return the normalizing step with the gradient of the closed form for batch statistics.

    Mean and variance count as constants for autograd; `weight(x)` multiplies the two averages
    that the closed form subtracts and is 1 where the formula is used rightly.
    """

    def normalize(x: Tensor, mean: Tensor, variance: Tensor, eps: float) -> Tensor:
        x_hat = _normalize(x, mean, variance, eps).detach()
        axes = (0, *range(2, x.ndim))
        # The Jacobian (I - 1/N - x_hat x_hat' / N) / sqrt(variance + eps) is symmetric.
        change = (x - x.detach()) / torch.sqrt(variance.detach() + eps)
        averages = _mean(change, axes) + x_hat * _mean(change * x_hat, axes)
        return x_hat + change - weight(x) * averages

    return normalize


def _gradient_without_eps(x: Tensor, mean: Tensor, variance: Tensor, eps: float) -> Tensor:
    without = (x - mean) / torch.sqrt(variance)
    return without - without.detach() + _normalize(x, mean, variance, eps).detach()


BACKWARD_MISCONCEPTIONS = (
    Misconception(
        "bn-backward-diagonal",
        "Your gradient takes mean and variance for constants. Both depend on every row of the "
        "batch, so a change of one row reaches the output of all others.",
        BATCH_NORM_BACKWARD,
        {
            "mean": lambda x, axes: _mean(x, axes).detach(),
            "variance": lambda x, axes: _biased_variance(x, axes).detach(),
        },
    ),
    Misconception(
        "bn-backward-no-mean",
        "Your gradient takes the mean for a constant. Which path from x to the output does it "
        "leave out?",
        BATCH_NORM_BACKWARD,
        {"mean": lambda x, axes: _mean(x, axes).detach()},
    ),
    Misconception(
        "bn-backward-no-var",
        "Your gradient takes the variance for a constant. Which path from x to the output does "
        "it leave out?",
        BATCH_NORM_BACKWARD,
        {"variance": lambda x, axes: _biased_variance(x, axes).detach()},
    ),
    Misconception(
        "bn-backward-no-gamma",
        "Your d_x does not contain γ. The upstream gradient passes through the multiplication "
        "by γ before it reaches the normalized values.",
        BATCH_NORM_BACKWARD,
        {"affine": lambda x_hat, gamma, beta, x: x_hat + x_hat.detach() * (gamma - 1) + beta},
    ),
    Misconception(
        "bn-backward-gamma-raw-x",
        "Your d_gamma is formed with x. γ multiplies the normalized values, so those belong in "
        "its gradient.",
        BATCH_NORM_BACKWARD,
        {"affine": _gradient_of_gamma(lambda x_hat, x: x)},
    ),
    Misconception(
        "bn-backward-mean-not-sum",
        "Your d_gamma and d_beta are averages over the batch. Every row used the same γ and β, "
        "so the contributions of the rows add up; an average over the batch is the loss's affair.",
        BATCH_NORM_BACKWARD,
        {"affine": _averaged_gradients},
    ),
    Misconception(
        "bn-backward-eval-as-train",
        "After a forward pass in evaluation mode you use the training formula. There the running "
        "statistics are constants, and the gradient is much simpler.",
        BATCH_NORM_EVALUATION,
        {"normalize_in_evaluation": _closed_form(lambda x: 1.0)},
    ),
    Misconception(
        "bn-backward-no-eps",
        "There is no ε in your gradient. The forward pass divides by √(σ² + ε), and so must the "
        "backward pass.",
        BATCH_NORM_BACKWARD,
        {"normalize": _gradient_without_eps, "normalize_in_evaluation": _gradient_without_eps},
    ),
)

IMAGE_MISCONCEPTIONS = (
    Misconception(
        "bn2d-no-transpose",
        "You reshape to (N·H·W, C) without moving the channel axis to the end first, so every "
        "column mixes values of several channels.",
        BATCH_NORM_CHANNELS,
        {"unfolded": True},
    ),
    Misconception(
        "bn2d-per-pixel",
        "You take statistics over the batch axis alone, one for each pixel. All pixels of a "
        "channel share one mean and one variance.",
        BATCH_NORM_CHANNELS,
        {
            "mean": lambda x, axes: _mean(x, (0,)),
            "variance": lambda x, axes: _biased_variance(x, (0,)),
        },
    ),
)

_NOT_MOVED_BACK = Misconception(
    "bn2d-not-moved-back",
    "The rows of your result come in the order N, H, W and are reshaped to (N, C, H, W) as they "
    "are. A reshape does not move an axis: undo the move as well as the reshape.",
    BATCH_NORM_CHANNELS,
    {"out_not_moved": True},
)

# Statistics of a wrong shape cannot be blended into running ones of images.
IMAGE_FORWARD_MISCONCEPTIONS = (
    *IMAGE_MISCONCEPTIONS,
    _NOT_MOVED_BACK,
    *(one for one in FORWARD_MISCONCEPTIONS if "axes" not in one.replaces),
)


def _not_moved(array: NDArray[Any]) -> NDArray[Any]:
    """Return images whose channel axis went to the end and only came back by a reshape."""
    return np.moveaxis(array, 1, -1).reshape(array.shape)


def _images(
    inputs: Inputs,
    *,
    unfolded: bool = False,
    out_not_moved: bool = False,
    d_out_not_moved: bool = False,
    d_x_not_moved: bool = False,
    **steps: Any,
) -> dict[str, Expected]:
    """Return what batch norm gives on images, or on wrongly reshaped ones."""
    if not unfolded:
        if d_out_not_moved:
            n, channels, *pixels = inputs["d_out"].shape
            moved = np.moveaxis(inputs["d_out"].reshape(n, *pixels, channels), -1, 1)
            inputs = {**inputs, "d_out": moved}
        expected = _batch_norm(inputs, **steps)
        for name, wrong in (("out", out_not_moved), ("d_x", d_x_not_moved)):
            if wrong:
                array = expected[name]
                value = array.value if isinstance(array, Scaled) else array
                assert isinstance(value, np.ndarray)
                expected[name] = _not_moved(value)
        return expected
    channels = inputs["gamma"].size
    as_rows = {"x": [x.reshape(-1, channels) for x in inputs["x"]]}
    if "d_out" in inputs:
        as_rows["d_out"] = inputs["d_out"].reshape(-1, channels)
    expected = _batch_norm({**inputs, **as_rows}, **steps)
    for name in {"out", "d_x"} & expected.keys():
        array = expected[name]
        value = array.value if isinstance(array, Scaled) else array
        assert isinstance(value, np.ndarray)
        expected[name] = value.reshape(inputs["x"][0].shape)
    return expected


# How the functions are tried.


def _forward(student: Functions, inputs: Inputs, suffix: str = "") -> tuple[dict[str, Any], Any]:
    running_mean, running_var = inputs["running_mean"], inputs["running_var"]
    options = {name: inputs[name] for name in ("momentum", "eps") if name in inputs}
    name = f"batch_norm{suffix}_forward"
    for x in inputs["x"]:
        returned = student[name](
            x,
            inputs["gamma"],
            inputs["beta"],
            running_mean,
            running_var,
            inputs["training"],
            **options,
        )
        out, running_mean, running_var, cache = unpack(
            name, returned, ("out", "running_mean", "running_var", "cache")
        )
    return {"out": out, "running_mean": running_mean, "running_var": running_var}, cache


def _run_forward(student: Functions, inputs: Inputs) -> dict[str, Any]:
    return _forward(student, inputs)[0]


def _run_backward(student: Functions, inputs: Inputs, suffix: str = "") -> dict[str, Any]:
    outputs, cache = _forward(student, inputs, suffix)
    name = f"batch_norm{suffix}_backward"
    returned = student[name](inputs["d_out"], cache)
    d_x, d_gamma, d_beta = unpack(name, returned, ("d_x", "d_gamma", "d_beta"))
    return {**outputs, "d_x": d_x, "d_gamma": d_gamma, "d_beta": d_beta}


def _run_images_forward(student: Functions, inputs: Inputs) -> dict[str, Any]:
    return _forward(student, inputs, "_2d")[0]


def _run_images_backward(student: Functions, inputs: Inputs) -> dict[str, Any]:
    return _run_backward(student, inputs, "_2d")


def _refuses_one_row(student: Functions) -> bool:
    one = np.ones(3)
    try:
        student["batch_norm_forward"](np.ones((1, 3)), one, one, one, one, True)
    except ValueError:
        return True
    return False


# The cases.


def _inputs(
    rng: np.random.Generator,
    shape: tuple[int, ...],
    *,
    steps: int = 1,
    training: bool = True,
    mean: float = 2.0,
    deviation: float = 1.5,
    **options: float,
) -> dict[str, Any]:
    channels = shape[1]
    per_channel = (channels,) + (1,) * (len(shape) - 2)
    center = rng.uniform(-mean, mean, per_channel)
    spread = deviation * rng.uniform(0.5, 1.5, per_channel)
    return {
        "x": [center + spread * rng.standard_normal(shape) for _ in range(steps)],
        "gamma": rng.uniform(0.5, 2.0, channels) * rng.choice([-1.0, 1.0], channels),
        "beta": rng.uniform(0.5, 2.0, channels),
        "running_mean": rng.uniform(-1.0, 1.0, channels),
        "running_var": rng.uniform(0.5, 3.0, channels),
        "training": training,
        **options,
    }


def _draw_forward(rng: np.random.Generator) -> list[Case]:
    constant = _inputs(rng, (6, 4), deviation=1e-3)
    constant["x"][0][:, 0] = 3.0
    return [
        Case("training", _inputs(rng, (7, 4), momentum=0.3, eps=1e-4)),
        Case("training, momentum and eps left at their defaults", _inputs(rng, (9, 3))),
        Case("two rows only", _inputs(rng, (2, 5), momentum=0.7)),
        Case("tiny variance and one constant feature", constant),
        Case("a large eps", _inputs(rng, (6, 4), momentum=0.2, eps=0.7)),
        Case("training on five batches in turn", _inputs(rng, (4, 3), steps=5, momentum=0.25)),
        Case("evaluation", _inputs(rng, (5, 4), training=False), "evaluation"),
        Case(
            "evaluation of one row, with a large eps",
            _inputs(rng, (1, 4), training=False, eps=0.7),
            "evaluation",
        ),
    ]


def _with_d_out(rng: np.random.Generator, inputs: dict[str, Any]) -> dict[str, Any]:
    return {**inputs, "d_out": rng.standard_normal(inputs["x"][0].shape)}


def _draw_backward(rng: np.random.Generator) -> list[Case]:
    return [
        Case("training", _with_d_out(rng, _inputs(rng, (7, 4), momentum=0.3, eps=1e-4))),
        Case("two rows only", _with_d_out(rng, _inputs(rng, (2, 5), momentum=0.7))),
        Case("tiny variance", _with_d_out(rng, _inputs(rng, (6, 4), deviation=1e-3))),
        Case("a large eps", _with_d_out(rng, _inputs(rng, (6, 4), momentum=0.2, eps=0.7))),
        Case(
            "after an evaluation forward",
            _with_d_out(rng, _inputs(rng, (5, 4), training=False, eps=0.3)),
            "evaluation",
        ),
        Case(
            "after an evaluation forward of one row",
            _with_d_out(rng, _inputs(rng, (1, 4), training=False)),
            "evaluation",
        ),
    ]


def _draw_images_forward(rng: np.random.Generator) -> list[Case]:
    return [
        Case("training", _inputs(rng, (3, 4, 5, 2), momentum=0.3, eps=1e-4)),
        Case("two images, a large eps", _inputs(rng, (2, 3, 2, 4), momentum=0.6, eps=0.7)),
        Case("a single image", _inputs(rng, (1, 3, 4, 2), momentum=0.2)),
        Case("training on three batches in turn", _inputs(rng, (3, 2, 4, 3), steps=3)),
        Case("evaluation", _inputs(rng, (2, 4, 3, 5), training=False), "evaluation"),
    ]


def _draw_images_backward(rng: np.random.Generator) -> list[Case]:
    return [
        Case("training", _with_d_out(rng, _inputs(rng, (3, 4, 5, 2), eps=1e-4))),
        Case("two images, a large eps", _with_d_out(rng, _inputs(rng, (2, 3, 2, 4), eps=0.7))),
        Case(
            "after an evaluation forward",
            _with_d_out(rng, _inputs(rng, (2, 4, 3, 5), training=False, eps=0.3)),
            "evaluation",
        ),
    ]


FORWARD = Task(
    name="batch_norm_forward",
    assignment=ASSIGNMENT,
    number=1,
    section=BATCH_NORM_FORWARD,
    hints=(
        "Write down the shape of every quantity before you write code: which of them are (N, D), "
        "which are (D,)?",
        "Each feature has one mean and one variance, over the rows. Which axis is that? `x.var` "
        "divides by N unless `ddof` tells it otherwise.",
        "Two variances are needed, one to normalize and one to remember. Which of them divides by "
        "N − 1? And on which side of the root is ε?",
        "With `momentum=0` the running statistics must stay, with 1 they must be those of the "
        "batch. Does your formula do that? Make new arrays.",
        "In evaluation the running statistics stand where those of the batch stood; γ and β act as"
        " before. Of one row alone no variance can be taken, so training on it is an error.",
    ),
    aspects=(
        Aspect("output in training", 3.5, ("out",), ("training",)),
        Aspect("running mean", 1.5, ("running_mean",), ("training",)),
        Aspect("running variance", 2.0, ("running_var",), ("training",)),
        Aspect("evaluation mode", 3.0, ("out", "running_mean", "running_var"), ("evaluation",)),
    ),
    draw=_draw_forward,
    run=_run_forward,
    reference=_batch_norm,
    misconceptions=FORWARD_MISCONCEPTIONS,
    requirements=(
        Requirement(
            "bn-accepts-one-row",
            "refuses to train on a single row",
            "With one row per batch the variance is zero and every normalized value with it. "
            "Raise a ValueError when N is 1 in training, as PyTorch does.",
            _refuses_one_row,
        ),
    ),
)

BACKWARD = Task(
    name="batch_norm_backward",
    assignment=ASSIGNMENT,
    number=2,
    section=BATCH_NORM_BACKWARD,
    hints=(
        "Which quantities of the forward pass depend on x: in training, and in evaluation?",
        "Decide in the forward pass what you will need here, the mode included, and put it into "
        "the cache. Going step by step through the graph is as good as the closed form.",
        "γ multiplied every row and β was added to every row. What does one row contribute to "
        "their gradients, and how do the contributions come together?",
        "Start from what reaches x̂, the upstream gradient times γ; call it ĝ. In training two "
        "averages over the batch are taken away from it: that of ĝ, and x̂ times that of ĝ · x̂.",
        "At the end divide by what the forward pass divided by, ε included. After an evaluation "
        "forward μ and σ² are constants: no average is taken away, and the rest stays.",
    ),
    aspects=(
        Aspect("d_x in training", 4.0, ("d_x",), ("training",)),
        Aspect("d_gamma in training", 1.5, ("d_gamma",), ("training",)),
        Aspect("d_beta in training", 1.0, ("d_beta",), ("training",)),
        Aspect("d_x after an evaluation forward", 2.0, ("d_x",), ("evaluation",)),
        Aspect(
            "d_gamma and d_beta after an evaluation forward",
            1.5,
            ("d_gamma", "d_beta"),
            ("evaluation",),
        ),
    ),
    draw=_draw_backward,
    run=_run_backward,
    reference=_batch_norm,
    misconceptions=BACKWARD_MISCONCEPTIONS,
    depends_on=("batch_norm_forward",),
    forward_task=FORWARD,
)

IMAGES_FORWARD = Task(
    name="batch_norm_2d_forward",
    assignment=ASSIGNMENT,
    number=3,
    section=BATCH_NORM_CHANNELS,
    hints=(
        "Which values share one mean? How many of them does a channel have?",
        "A channel has to become a column. `reshape` never moves a value past another one, so "
        "something has to happen before it. Try it on `np.arange(24).reshape(2, 3, 2, 2)`.",
        "`transpose` puts axes into another order. Which axis has to be the last one, so that a "
        "reshape can make rows of all the others?",
        "`batch_norm_forward` does the rest; hand on `momentum` and `eps` too. Then walk back the "
        "same way, the last step first.",
    ),
    aspects=(
        Aspect("output in training", 1.0, ("out",), ("training",)),
        Aspect("running statistics", 1.0, ("running_mean", "running_var"), ("training",)),
        Aspect("evaluation mode", 1.0, ("out", "running_mean", "running_var"), ("evaluation",)),
    ),
    draw=_draw_images_forward,
    run=_run_images_forward,
    reference=_images,
    misconceptions=IMAGE_FORWARD_MISCONCEPTIONS,
    depends_on=("batch_norm_forward",),
)

IMAGES_BACKWARD = Task(
    name="batch_norm_2d_backward",
    assignment=ASSIGNMENT,
    number=3,
    section=BATCH_NORM_CHANNELS,
    hints=(
        "Besides calling `batch_norm_forward`, your forward pass only moved values to other "
        "places. What becomes of a gradient there?",
        "`d_out` has the shape of the output. Make columns of it, as you did of x.",
        "`batch_norm_backward` does the rest. Which of its three results are already in shape, and"
        " which has to walk back to (N, C, H, W)?",
    ),
    aspects=(
        Aspect("d_x in training", 1.5, ("d_x",), ("training",)),
        Aspect("d_gamma and d_beta in training", 0.75, ("d_gamma", "d_beta"), ("training",)),
        Aspect("after an evaluation forward", 0.75, ("d_x", "d_gamma", "d_beta"), ("evaluation",)),
    ),
    draw=_draw_images_backward,
    run=_run_images_backward,
    reference=_images,
    misconceptions=(
        Misconception(
            "bn2d-wrong-count",
            "Your gradient divides by N where it should divide by N·H·W, the number of values "
            "that share one mean.",
            BATCH_NORM_CHANNELS,
            {"normalize": _closed_form(lambda x: x[0, 0].numel())},
        ),
        Misconception(
            "bn2d-backward-no-transpose",
            "Your backward pass only reshapes, d_out on the way in and d_x on the way out. The "
            "forward pass moved the channel axis too; go its way back step by step.",
            BATCH_NORM_CHANNELS,
            {"d_out_not_moved": True, "d_x_not_moved": True},
        ),
        Misconception(
            "bn2d-backward-d-out",
            "You reshape d_out to (N·H·W, C) without moving its channel axis to the end first, so "
            "its rows are not those of the forward pass.",
            BATCH_NORM_CHANNELS,
            {"d_out_not_moved": True},
        ),
        Misconception(
            "bn2d-backward-d-x",
            "The rows of your d_x come in the order N, H, W and are reshaped to (N, C, H, W) as "
            "they are. A reshape does not move an axis.",
            BATCH_NORM_CHANNELS,
            {"d_x_not_moved": True},
        ),
        *BACKWARD_MISCONCEPTIONS,
    ),
    depends_on=("batch_norm_2d_forward", "batch_norm_forward", "batch_norm_backward"),
    forward_task=IMAGES_FORWARD,
)


# The module.


def _run_module(student: Functions, inputs: Inputs) -> dict[str, Any]:
    options = {name: inputs[name] for name in ("momentum", "eps") if name in inputs}
    module = student["BatchNorm1d"](inputs["gamma"].size, **options)
    if not isinstance(module, nn.Module):
        raise NotObservedError("`BatchNorm1d` is not an nn.Module. Derive it from nn.Module.")
    module = module.double()
    fresh = {name: value.clone() for name, value in module.state_dict().items()}
    start = {
        "weight": torch.tensor(inputs["gamma"]),
        "bias": torch.tensor(inputs["beta"]),
        "running_mean": torch.tensor(inputs["running_mean"]),
        "running_var": torch.tensor(inputs["running_var"]),
        "num_batches_tracked": torch.tensor(inputs["batches"]),
    }
    try:
        module.load_state_dict(start)
    except RuntimeError as error:
        raise NotObservedError(
            "`BatchNorm1d` does not load the state_dict of nn.BatchNorm1d. " + str(error)[:500]
        ) from None
    if inputs["fresh"]:
        module.load_state_dict(fresh)
    module.train(inputs["training"])
    for batch in inputs["x"]:
        x = torch.tensor(batch, requires_grad=True)
        out = module(x)
        if not isinstance(out, Tensor):
            raise NotObservedError("`forward` should return one tensor.")
    (out * torch.tensor(inputs["d_out"])).sum().backward()
    parameters = dict(module.named_parameters())
    state = module.state_dict()
    return {
        "out": out,
        "d_x": x.grad,
        "weight.grad": parameters["weight"].grad if "weight" in parameters else None,
        "bias.grad": parameters["bias"].grad if "bias" in parameters else None,
        "running_mean": state["running_mean"],
        "running_var": state["running_var"],
        "num_batches_tracked": state["num_batches_tracked"],
    }


def _module(inputs: Inputs, **steps: Any) -> dict[str, Expected]:
    expected = _batch_norm(inputs, **steps)
    tracked = inputs["batches"] + (len(inputs["x"]) if inputs["training"] else 0)
    return {
        "out": expected["out"],
        "d_x": expected["d_x"],
        "weight.grad": expected["d_gamma"],
        "bias.grad": expected["d_beta"],
        "running_mean": expected["running_mean"],
        "running_var": expected["running_var"],
        "num_batches_tracked": np.asarray(tracked),
    }


def _draw_module(rng: np.random.Generator) -> list[Case]:
    def inputs(shape: tuple[int, int], **options: Any) -> dict[str, Any]:
        batches = int(rng.integers(1, 50))
        drawn = _with_d_out(rng, _inputs(rng, shape, **options))
        return {**drawn, "batches": batches, "fresh": False}

    # What a new layer starts from.
    start = {
        "gamma": np.ones(4),
        "beta": np.zeros(4),
        "running_mean": np.zeros(4),
        "running_var": np.ones(4),
        "batches": 0,
        "fresh": True,
    }
    return [
        Case("training", inputs((7, 4), momentum=0.3, eps=1e-4)),
        Case("momentum and eps left at their defaults", inputs((6, 3))),
        Case("two rows, a large eps", inputs((2, 5), momentum=0.7, eps=0.5)),
        Case("training on four batches in turn", inputs((4, 3), steps=4, momentum=0.25)),
        Case("evaluation", inputs((5, 4), training=False, eps=0.3), group="evaluation"),
        Case("a new layer", {**inputs((6, 4)), **start}),
        Case(
            "a new layer in evaluation",
            {**inputs((5, 4), training=False), **start},
            group="evaluation",
        ),
    ]


def _refuses_one_value(student: Functions) -> bool:
    module: nn.Module = student["BatchNorm1d"](3)
    module.train()
    try:
        module(torch.ones(1, 3))
    except ValueError:
        return True
    return False


def _keeps_plain_buffers(student: Functions) -> bool:
    module: nn.Module = student["BatchNorm1d"](3)
    buffers = {"running_mean", "running_var", "num_batches_tracked"}
    for _ in range(2):
        module(torch.ones(4, 3, requires_grad=True))
    kept = dict(module.named_buffers())
    return buffers <= kept.keys() and not any(buffer.requires_grad for buffer in kept.values())


MODULE = Task(
    name="BatchNorm1d",
    assignment=ASSIGNMENT,
    number=4,
    section=BATCH_NORM_PYTORCH,
    hints=(
        "Which quantities are trained, which are only remembered, and which are plain numbers? "
        "PyTorch has a place for each.",
        "A tensor that has to be saved but not trained is a buffer: `self.register_buffer(name, "
        "tensor)`. The running statistics must not drag the graph of every batch along with them.",
        "`forward` is Task 1 again, with `self.training` for the mode. Mind that torch's `var` "
        "divides by N − 1 unless it is told `correction=0`.",
        "Update the buffers inside `torch.no_grad()`, in training only, and count the batch. The "
        "mean and variance you normalize with stay outside of it: gradients have to go through "
        "them.",
    ),
    aspects=(
        Aspect("output in training", 1.5, ("out",), ("training",)),
        Aspect("running statistics", 1.5, ("running_mean", "running_var"), ("training",)),
        Aspect("count of batches", 0.5, ("num_batches_tracked",)),
        Aspect("gradients", 1.0, ("d_x", "weight.grad", "bias.grad")),
        Aspect("evaluation mode", 1.5, ("out", "running_mean", "running_var"), ("evaluation",)),
    ),
    draw=_draw_module,
    run=_run_module,
    reference=_module,
    misconceptions=(
        Misconception(
            "bnmodule-ignores-eval",
            "Your module does the same in both modes. `model.eval()` sets `self.training` to "
            "False; look at it in `forward`.",
            BATCH_NORM_EVALUATION,
            {"batch_statistics_in_evaluation": True, "updates_in_evaluation": True},
        ),
        *FORWARD_MISCONCEPTIONS,
    ),
    framework="torch",
    forbidden=("batchnorm", "instancenorm", "layernorm", "groupnorm", "rmsnorm", "normbase"),
    requirements=(
        Requirement(
            "bn-accepts-one-row",
            "refuses to train on a single row",
            "With one row per batch the variance is zero and every normalized value with it. "
            "Raise a ValueError in training, as nn.BatchNorm1d does.",
            _refuses_one_value,
        ),
        Requirement(
            "bnmodule-momentum-buffer",
            "keeps running statistics as plain buffers",
            "Running statistics are neither trained nor differentiated: register them with "
            "`register_buffer`, and update them outside of autograd, or every batch's graph hangs "
            "on to the next.",
            _keeps_plain_buffers,
        ),
    ),
)


# Folding.


def _fold(
    inputs: Inputs,
    *,
    bias: Callable[..., NDArray[Any]] = lambda b, mean, scale, beta: (b - mean) * scale + beta,
    scaled: Callable[..., NDArray[Any]] = lambda W, scale: W * scale,
    scale_of: Callable[..., NDArray[Any]] = lambda gamma, var, eps: gamma / np.sqrt(var + eps),
) -> dict[str, Expected]:
    """Return the weight and bias of the single layer x @ W + b followed by batch norm."""
    scale = scale_of(inputs["gamma"], inputs["running_var"], inputs["eps"])
    return {
        "W_folded": scaled(inputs["W"], scale),
        "b_folded": bias(inputs["b"], inputs["running_mean"], scale, inputs["beta"]),
    }


def _run_fold(student: Functions, inputs: Inputs) -> dict[str, Any]:
    returned = student["fold_batch_norm"](*inputs.values())
    W_folded, b_folded = unpack("fold_batch_norm", returned, ("W_folded", "b_folded"))
    return {"W_folded": W_folded, "b_folded": b_folded}


def _draw_fold(rng: np.random.Generator) -> list[Case]:
    def inputs(d_in: int, d_out: int, eps: float) -> dict[str, Any]:
        return {
            "W": rng.standard_normal((d_in, d_out)),
            "b": rng.standard_normal(d_out),
            "gamma": rng.uniform(0.5, 2.0, d_out) * rng.choice([-1.0, 1.0], d_out),
            "beta": rng.standard_normal(d_out),
            "running_mean": rng.standard_normal(d_out),
            "running_var": rng.uniform(0.1, 3.0, d_out),
            "eps": eps,
        }

    return [
        Case("as many outputs as inputs", inputs(4, 4, 1e-5)),
        Case("a large eps", inputs(3, 3, 0.5)),
        Case("more inputs than outputs", inputs(5, 2, 1e-3)),
    ]


FOLD = Task(
    name="fold_batch_norm",
    assignment=ASSIGNMENT,
    number=5,
    section=BATCH_NORM_FOLDING,
    hints=(
        "What is a constant in evaluation mode, and what is not?",
        "Multiply out the right side and collect what stands with x and what does not.",
        "γ/√(σ² + ε) is one number for each output. Do the outputs of W lie along its rows or its "
        "columns?",
        "The folded bias is what comes out at x = 0. Send b through batch norm, step by step.",
    ),
    aspects=(
        Aspect("folded weight", 1.5, ("W_folded",)),
        Aspect("folded bias", 1.5, ("b_folded",)),
    ),
    draw=_draw_fold,
    run=_run_fold,
    reference=_fold,
    misconceptions=(
        Misconception(
            "fold-forgets-mean",
            "The running mean is missing from your folded bias. Batch norm subtracts it from "
            "x @ W + b before it scales.",
            BATCH_NORM_FOLDING,
            {"bias": lambda b, mean, scale, beta: b * scale + beta},
        ),
        Misconception(
            "fold-bias-not-scaled",
            "Your folded bias contains b as it was. Batch norm scales all that comes out of the "
            "layer, its bias too.",
            BATCH_NORM_FOLDING,
            {"bias": lambda b, mean, scale, beta: b - mean * scale + beta},
        ),
        Misconception(
            "fold-forgets-beta",
            "β is missing from your folded bias. What comes out of batch norm where x̂ is 0?",
            BATCH_NORM_FOLDING,
            {"bias": lambda b, mean, scale, beta: (b - mean) * scale},
        ),
        Misconception(
            "fold-scales-rows",
            "You scale the rows of W. The outputs, whose statistics these are, belong to its "
            "columns.",
            BATCH_NORM_FOLDING,
            {
                "scaled": lambda W, scale: (
                    W * scale[:, None] if len(W) == len(scale) else np.full_like(W, np.nan)
                )
            },
        ),
        Misconception(
            "fold-no-eps",
            "There is no ε in your scale. The layer divides by √(σ² + ε), in evaluation as well.",
            BATCH_NORM_FOLDING,
            {"scale_of": lambda gamma, var, eps: gamma / np.sqrt(var)},
        ),
        Misconception(
            "fold-no-root",
            "You divide by the running variance. The layer divides by its root.",
            BATCH_NORM_FOLDING,
            {"scale_of": lambda gamma, var, eps: gamma / (var + eps)},
        ),
    ),
)
