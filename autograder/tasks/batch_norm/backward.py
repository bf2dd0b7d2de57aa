"""Declare the task on the backward pass of batch normalization."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from autograder.task import Aspect, Case, Functions, Inputs, Misconception, Task
from autograder.tasks.answers import unpack
from autograder.tasks.batch_norm import ASSIGNMENT, sections
from autograder.tasks.batch_norm.cases import draw_inputs, with_d_out
from autograder.tasks.batch_norm.forward import FORWARD, root_plus_eps, run_forward
from autograder.tasks.batch_norm.reference import (
    batch_mean,
    batch_norm,
    biased_variance,
    normalize,
)
from autograder.tasks.gradients import with_gradient_of


def _draw(rng: np.random.Generator) -> list[Case]:
    return [
        Case("training", with_d_out(rng, draw_inputs(rng, (7, 4), momentum=0.3, eps=1e-4))),
        Case("two rows only", with_d_out(rng, draw_inputs(rng, (2, 5), momentum=0.7))),
        Case("tiny variance", with_d_out(rng, draw_inputs(rng, (6, 4), deviation=1e-3))),
        Case("a large eps", with_d_out(rng, draw_inputs(rng, (6, 4), momentum=0.2, eps=0.7))),
        Case(
            "after an evaluation forward",
            with_d_out(rng, draw_inputs(rng, (5, 4), training=False, eps=0.3)),
            "evaluation",
        ),
        Case(
            "after an evaluation forward of one row",
            with_d_out(rng, draw_inputs(rng, (1, 4), training=False)),
            "evaluation",
        ),
    ]


def run_backward(student: Functions, inputs: Inputs, suffix: str = "") -> dict[str, Any]:
    """Run a forward and a backward pass, named as in `run_forward`; return their outputs."""
    outputs, cache = run_forward(student, inputs, suffix)
    name = f"batch_norm{suffix}_backward"
    returned = student[name](inputs["d_out"], cache)
    d_x, d_gamma, d_beta = unpack(name, returned, ("d_x", "d_gamma", "d_beta"))
    return {**outputs, "d_x": d_x, "d_gamma": d_gamma, "d_beta": d_beta}


def _run(student: Functions, inputs: Inputs) -> dict[str, Any]:
    return run_backward(student, inputs)


# These mistakes leave the values right and change the gradient only.  So most of them cut an edge
# of the graph with detach() or replace it.


def gradient_of_gamma(replaced: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Return the affine step with the gradient of gamma taken from `replaced(x_hat, x)`."""

    def affine(x_hat: Tensor, gamma: Tensor, beta: Tensor, x: Tensor) -> Tensor:
        constant = gamma.detach()
        return x_hat * constant + replaced(x_hat, x).detach() * (gamma - constant) + beta

    return affine


def _averaged_gradients(x_hat: Tensor, gamma: Tensor, beta: Tensor, x: Tensor) -> Tensor:
    count = x_hat.numel() // gamma.numel()
    gamma, beta = (with_gradient_of(one, one / count) for one in (gamma, beta))
    return x_hat * gamma + beta


def over_channel(x: Tensor) -> tuple[int, ...]:
    """Return all axes but the second."""
    return (0, *range(2, x.ndim))


def closed_form(
    *,
    axes: Callable[[Tensor], tuple[int, ...]] = over_channel,
    through_mean: bool = True,
    weight: Callable[[Tensor], float] = lambda x: 1.0,
    divisor: Callable[[Tensor, float], Tensor] = lambda variance, eps: torch.sqrt(variance + eps),
    forward: Callable[..., Tensor] = normalize,
    factor: Callable[[Tensor], Tensor] = lambda x_hat: x_hat,
) -> Callable[..., Tensor]:
    """Return the normalizing step with the gradient of the closed form for batch statistics.

    Autograd takes mean and variance for constants.

    Parameters
    ----------
    axes
        What the averages are taken over, for an x.
    through_mean
        Whether the first average, which comes from the mean, is subtracted.
    weight
        What multiplies the two averages that the closed form subtracts, for an x.
    divisor
        What the closed form divides by.
    forward
        The normalizing step of the forward pass.
    factor
        What multiplies the second of the two averages, that of the upstream gradient times x_hat.
    """

    def normalized(x: Tensor, mean: Tensor, variance: Tensor, eps: float) -> Tensor:
        x_hat = forward(x, mean, variance, eps).detach()
        over = axes(x)
        # This is the transpose of what the gradient is multiplied by.  Where it is right,
        # (I - 1/N - x_hat x_hat' / N) / sqrt(variance + eps), it is symmetric.
        change = (x - x.detach()) / divisor(variance.detach(), eps)
        averages = x_hat * batch_mean(change * factor(x_hat), over)
        if through_mean:
            averages = averages + batch_mean(change, over)
        return x_hat + change - weight(x) * averages

    return normalized


def _divides_by(divisor: Callable[[Tensor, float], Tensor]) -> Callable[..., Tensor]:
    """Return the normalizing step of evaluation with the gradient of another divisor."""

    def normalized(x: Tensor, mean: Tensor, variance: Tensor, eps: float) -> Tensor:
        return with_gradient_of(normalize(x, mean, variance, eps), x / divisor(variance, eps))

    return normalized


def divisor_root_plus_eps(variance: Tensor, eps: float) -> Tensor:
    """Return the divisor of `root_plus_eps`."""
    return torch.sqrt(variance) + eps


def gradient_without_eps(x: Tensor, mean: Tensor, variance: Tensor, eps: float) -> Tensor:
    """Normalize with the gradient of a division that has no eps in it."""
    return with_gradient_of(normalize(x, mean, variance, eps), (x - mean) / torch.sqrt(variance))


def variance_path_without_eps(x: Tensor, mean: Tensor, variance: Tensor, eps: float) -> Tensor:
    """Normalize with a gradient that has no eps where it goes through the variance."""
    return (x - mean) * with_gradient_of(torch.rsqrt(variance + eps), torch.rsqrt(variance))


def mean_path_without_sum(x: Tensor, mean: Tensor, variance: Tensor, eps: float) -> Tensor:
    """Normalize with a gradient in which each value's share of the mean reaches itself only."""
    count = x.numel() // mean.numel()
    return with_gradient_of(x - mean, x - x / count) * torch.rsqrt(variance + eps)


BACKWARD_MISCONCEPTIONS = (
    Misconception(
        "bn-backward-diagonal",
        "Your gradient takes mean and variance for constants. Both depend on every row of the "
        "batch, so a change of one row reaches the output of all others.",
        sections.BACKWARD,
        {
            "mean": lambda x, axes: batch_mean(x, axes).detach(),
            "variance": lambda x, axes: biased_variance(x, axes).detach(),
        },
    ),
    Misconception(
        "bn-backward-no-mean",
        "Your gradient takes the mean for a constant. Which path from x to the output does it "
        "leave out?",
        sections.BACKWARD,
        {"mean": lambda x, axes: batch_mean(x, axes).detach()},
    ),
    Misconception(
        "bn-backward-mean-per-row",
        "Your gradient of the mean is not summed over the batch. Every row was centered with the "
        "same mean, so its gradient is the sum of what the rows contribute.",
        sections.BACKWARD,
        {"normalize": mean_path_without_sum, "normalize_in_evaluation": normalize},
    ),
    Misconception(
        "bn-backward-no-var",
        "Your gradient takes the variance for a constant. Which path from x to the output does "
        "it leave out?",
        sections.BACKWARD,
        {"variance": lambda x, axes: biased_variance(x, axes).detach()},
    ),
    Misconception(
        "bn-backward-no-gamma",
        "Your gradient of the input does not contain γ. The upstream gradient passes through the "
        "multiplication by γ before it reaches the normalized values.",
        sections.BACKWARD,
        {"affine": lambda x_hat, gamma, beta, x: x_hat + x_hat.detach() * (gamma - 1) + beta},
    ),
    Misconception(
        "bn-backward-gamma-raw-x",
        "Your gradient of γ is formed with the bare input. γ multiplies the normalized values, so "
        "those belong in its gradient.",
        sections.BACKWARD,
        {"affine": gradient_of_gamma(lambda x_hat, x: x)},
    ),
    Misconception(
        "bn-backward-mean-not-sum",
        "Your gradients of γ and β are averages over the batch. Every row used the same γ and β, "
        "so the contributions of the rows add up; an average over the batch is the loss's affair.",
        sections.BACKWARD,
        {"affine": _averaged_gradients},
    ),
    Misconception(
        "bn-backward-eval-as-train",
        "After a forward pass in evaluation mode you use the training formula. There the running "
        "statistics are constants, and the gradient is much simpler.",
        sections.EVALUATION,
        {"normalize_in_evaluation": closed_form()},
    ),
    Misconception(
        "bn-backward-no-eps",
        "There is no ε in your gradient. The forward pass divides by √(σ² + ε), and so must the "
        "backward pass.",
        sections.BACKWARD,
        {"normalize": gradient_without_eps, "normalize_in_evaluation": gradient_without_eps},
    ),
    Misconception(
        "bn-backward-no-eps-in-variance",
        "There is no ε in the gradient of your variance. The variance went through 1/√(σ² + ε), so "
        "its gradient has the same σ² + ε in it.",
        sections.BACKWARD,
        {"normalize": variance_path_without_eps},
    ),
    Misconception(
        "bn-backward-eps-outside-root",
        "Your gradient divides by √σ² + ε, your forward pass by √(σ² + ε). Keep in the cache what "
        "the forward pass divided by.",
        sections.BACKWARD,
        {
            "normalize": closed_form(divisor=divisor_root_plus_eps),
            "normalize_in_evaluation": _divides_by(divisor_root_plus_eps),
        },
    ),
    Misconception(
        "bn-backward-eps-moved",
        "Your forward pass divides by √σ² + ε and your gradient by √(σ² + ε). The second is what "
        "batch norm divides by, on both ways.",
        sections.FORWARD,
        {
            "normalize": closed_form(forward=root_plus_eps),
            "normalize_in_evaluation": lambda x, mean, variance, eps: with_gradient_of(
                root_plus_eps(x, mean, variance, eps), normalize(x, mean, variance, eps)
            ),
        },
    ),
    Misconception(
        "bn-backward-beta-for-gamma",
        "Your gradient of the input contains β in place of γ. Do you take things out of the "
        "cache in the order in which you put them in?",
        sections.BACKWARD,
        {
            "affine": lambda x_hat, gamma, beta, x: (
                x_hat.detach() * gamma + beta + (x_hat - x_hat.detach()) * beta.detach()
            )
        },
    ),
    Misconception(
        "bn-backward-sum-not-mean",
        "Your gradient of the input takes away sums over the batch where averages belong. Mean and "
        "variance both contain a 1/N, and so do their gradients.",
        sections.BACKWARD,
        {"normalize": closed_form(weight=lambda x: x.numel() // x.shape[1])},
    ),
    Misconception(
        "bn-backward-no-x-hat",
        "One of the two averages that your gradient takes away lacks its factor x̂. Not all rows "
        "change the variance alike: how much does each?",
        sections.BACKWARD,
        {"normalize": closed_form(factor=torch.ones_like)},
    ),
)


BACKWARD = Task(
    name="batch_norm_backward",
    assignment=ASSIGNMENT,
    number=2,
    section=sections.BACKWARD,
    hints=(
        "Which quantities of the forward pass depend on x: in training, and in evaluation?",
        "Going step by step through the graph is as good as the closed form. What will you need "
        "here, the mode included, that the forward pass has to put into the cache?",
        "γ multiplied every row and β was added to every row. What does one row contribute to "
        "their gradients, and how do the contributions come together?",
        "Start from what reaches x̂, the upstream gradient times γ; call it ĝ. In training two "
        "averages over the batch are taken away from it: that of ĝ, and x̂ times that of ĝ · x̂. "
        "Which of them comes from μ, and which from σ²?",
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
    draw=_draw,
    run=_run,
    reference=batch_norm,
    misconceptions=BACKWARD_MISCONCEPTIONS,
    depends_on=("batch_norm_forward",),
    forward_task=FORWARD,
)
