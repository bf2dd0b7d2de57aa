"""Declare the task on the forward pass of batch normalization."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from autograder.task import (
    REFUSED,
    REQUIRED,
    Aspect,
    Case,
    Functions,
    Inputs,
    Misconception,
    Requirement,
    Task,
)
from autograder.tasks.answers import unpack
from autograder.tasks.batch_norm import ASSIGNMENT, sections
from autograder.tasks.batch_norm.cases import draw_inputs
from autograder.tasks.batch_norm.reference import (
    batch_norm,
    biased_variance,
    blend,
    unbiased_variance,
)


def _draw(rng: np.random.Generator) -> list[Case]:
    constant = draw_inputs(rng, (6, 4), deviation=1e-3)
    constant["x"][0][:, 0] = 3.0
    return [
        Case("training", draw_inputs(rng, (7, 4), momentum=0.3, eps=1e-4)),
        Case("training, momentum and eps left at their defaults", draw_inputs(rng, (9, 3))),
        Case("two rows only", draw_inputs(rng, (2, 5), momentum=0.7)),
        Case("tiny variance and one constant feature", constant),
        Case("a large eps", draw_inputs(rng, (6, 4), momentum=0.2, eps=0.7)),
        Case("training on five batches in turn", draw_inputs(rng, (4, 3), steps=5, momentum=0.25)),
        Case("evaluation", draw_inputs(rng, (5, 4), training=False), "evaluation"),
        Case(
            "evaluation of one row, with a large eps",
            draw_inputs(rng, (1, 4), training=False, eps=0.7),
            "evaluation",
        ),
        Case("training on one row", draw_inputs(rng, (1, 3)), REQUIRED),
    ]


def run_forward(student: Functions, inputs: Inputs, suffix: str = "") -> tuple[dict[str, Any], Any]:
    """Run a forward pass on all batches; return its last outputs and its last cache.

    Parameters
    ----------
    student, inputs
        As for `Task.run`.
    suffix
        What follows "batch_norm" in the name of the function.
    """
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


def _run(student: Functions, inputs: Inputs) -> dict[str, Any]:
    return run_forward(student, inputs)[0]


def _over_rows(x: Tensor) -> tuple[int, ...]:
    return tuple(range(1, x.ndim))


def _over_everything(x: Tensor) -> tuple[int, ...]:
    return tuple(range(x.ndim))


def _global_sum(x: Tensor) -> Tensor:
    """Return the sum over everything, divided by the number of values of one feature."""
    return x.sum(_over_everything(x), keepdim=True) / (x.numel() // x.shape[1])


def _global_variance(x: Tensor, correction: int = 0) -> Tensor:
    count = x.numel() // x.shape[1]
    return _global_sum((x - _global_sum(x)).square()) * count / (count - correction)


def root_plus_eps(x: Tensor, mean: Tensor, variance: Tensor, eps: float) -> Tensor:
    """Subtract the mean and divide by the root of the variance, to which eps is added."""
    return (x - mean) / (torch.sqrt(variance) + eps)


def no_eps(x: Tensor, mean: Tensor, variance: Tensor, eps: float) -> Tensor:
    """Subtract the mean and divide by the root of the variance alone."""
    return (x - mean) / torch.sqrt(variance)


def no_root(x: Tensor, mean: Tensor, variance: Tensor, eps: float) -> Tensor:
    """Subtract the mean and divide by variance + eps."""
    return (x - mean) / (variance + eps)


def _bare_variance(x: Tensor, mean: Tensor, variance: Tensor, eps: float) -> Tensor:
    return (x - mean) / variance


def _deviation(variance: Tensor, eps: float) -> Tensor:
    return torch.sqrt(variance)


def _divisor(variance: Tensor, eps: float) -> Tensor:
    return torch.sqrt(variance + eps)


def _blend_twice(old: Tensor, batch: Tensor, momentum: float) -> Tensor:
    return blend(blend(old, batch, momentum), batch, momentum)


FORWARD_MISCONCEPTIONS = (
    Misconception(
        "bn-unbiased-normalization",
        "This is what comes out when the batch is normalized with the variance that divides by "
        "N − 1. Batch norm divides by N here; the N − 1 belongs in the running variance only.",
        sections.FORWARD,
        {"variance": unbiased_variance},
    ),
    Misconception(
        "bn-biased-running-var",
        "Your running variance averages the variance that divides by N. It estimates the variance "
        "of the whole population from a sample, so PyTorch stores the one that divides by N − 1.",
        sections.RUNNING,
        {"running_variance_of": biased_variance},
    ),
    Misconception(
        "bn-momentum-flipped",
        "Old and new value have changed places in your running average: in PyTorch's convention "
        "`momentum` is the share of the new batch, not of the old value.",
        sections.RUNNING,
        {
            "blend_mean": lambda old, batch, momentum: momentum * old + (1 - momentum) * batch,
            "blend_variance": lambda old, batch, momentum: momentum * old + (1 - momentum) * batch,
        },
    ),
    Misconception(
        "bn-running-var-not-started",
        "Your running statistics are those of the last batch alone. They should move a little "
        "towards each batch and remember the earlier ones.",
        sections.RUNNING,
        {
            "blend_mean": lambda old, batch, momentum: batch,
            "blend_variance": lambda old, batch, momentum: batch,
        },
    ),
    Misconception(
        "bn-stats-never-updated",
        "You return the running statistics as they came in. In training they have to move towards "
        "the statistics of the batch, or evaluation mode has nothing to work with.",
        sections.RUNNING,
        {
            "blend_mean": lambda old, batch, momentum: old,
            "blend_variance": lambda old, batch, momentum: old,
        },
    ),
    Misconception(
        "bn-std-in-running-var",
        "Your running variance averages standard deviations. Average the variance and take the "
        "root where you use it.",
        sections.RUNNING,
        {"stored_variance": _deviation},
    ),
    Misconception(
        "bn-eps-in-running-var",
        "Your running variance contains ε already, so evaluation mode adds it a second time. "
        "Store the bare variance.",
        sections.RUNNING,
        {"stored_variance": lambda variance, eps: variance + eps},
    ),
    Misconception(
        "bn-eps-outside-root",
        "You divide by √σ² + ε. The ε belongs under the root, √(σ² + ε), where it keeps the "
        "division and its gradient tame when the variance is close to zero.",
        sections.FORWARD,
        {"normalize": root_plus_eps},
    ),
    Misconception(
        "bn-no-eps",
        "There is no ε in your division. A feature that is constant within the batch has variance "
        "zero, and the division has no result.",
        sections.FORWARD,
        {"normalize": no_eps},
    ),
    Misconception(
        "bn-no-root",
        "You divide by the variance, σ² + ε. What is left would have a variance of 1/σ²: which "
        "power of σ has the unit of x?",
        sections.FORWARD,
        {"normalize": no_root},
    ),
    Misconception(
        "bn-std-stored-and-used",
        "Your running variance holds standard deviations, and evaluation divides by it without "
        "taking a root. The two belong together, but what comes in and goes out is a variance: "
        "store σ², and take the root where you divide.",
        sections.RUNNING,
        {
            "stored_variance": _deviation,
            "normalize_in_evaluation": no_root,
        },
    ),
    Misconception(
        "bn-divisor-stored-and-used",
        "Your running variance holds √(σ² + ε), what you divide by in training, and evaluation "
        "divides by it as it is. The two belong together, but what comes in and goes out is a "
        "variance.",
        sections.RUNNING,
        {
            "stored_variance": _divisor,
            "normalize_in_evaluation": _bare_variance,
        },
    ),
    Misconception(
        "bn-divisor-in-running-var",
        "Your running variance averages √(σ² + ε), what you divide by. Evaluation takes it for a "
        "variance, so average the variance.",
        sections.RUNNING,
        {"stored_variance": _divisor},
    ),
    Misconception(
        "bn-stats-updated-twice",
        "Your running statistics move twice for each batch. Is there a second update behind the "
        "first?",
        sections.RUNNING,
        {"blend_mean": _blend_twice, "blend_variance": _blend_twice},
    ),
    Misconception(
        "bn-global-sum",
        "You add up the whole array and divide by N. Each feature has a mean of its own: which "
        "axis do you sum over?",
        sections.FORWARD,
        {
            "mean": lambda x, axes: _global_sum(x),
            "variance": lambda x, axes: _global_variance(x),
            "running_mean_of": lambda x, axes: _global_sum(x),
            "running_variance_of": lambda x, axes: _global_variance(x, correction=1),
        },
    ),
    Misconception(
        "bn-running-stats-in-training",
        "In training you normalize with the running statistics, after they have moved. Use those "
        "of the batch; the running ones are for evaluation.",
        sections.FORWARD,
        {"used_in_training": lambda batch, old, new: new},
    ),
    Misconception(
        "bn-old-stats-in-training",
        "In training you normalize with the running statistics that came in. Use those of the "
        "batch; the running ones are for evaluation.",
        sections.FORWARD,
        {"used_in_training": lambda batch, old, new: old},
    ),
    Misconception(
        "bn-ignores-training",
        "You do the same in both modes: evaluation uses the statistics of the batch, and moves the "
        "running ones. What is `training` for?",
        sections.EVALUATION,
        {"batch_statistics_in_evaluation": True, "updates_in_evaluation": True},
    ),
    Misconception(
        "bn-eval-no-eps",
        "In evaluation mode there is no ε in your division. Divide by the root of running_var + ε, "
        "as by that of σ² + ε in training.",
        sections.EVALUATION,
        {"normalize_in_evaluation": no_eps},
    ),
    Misconception(
        "bn-eval-eps-outside-root",
        "In evaluation mode you divide by √σ² + ε. The ε belongs under the root in both modes.",
        sections.EVALUATION,
        {"normalize_in_evaluation": root_plus_eps},
    ),
    Misconception(
        "bn-eval-no-root",
        "In evaluation mode you divide by the running variance, plus ε. The layer divides by a "
        "standard deviation, in both modes.",
        sections.EVALUATION,
        {"normalize_in_evaluation": no_root},
    ),
    Misconception(
        "bn-eval-bare-variance",
        "In evaluation mode you divide by the running variance as it is. What do you make of the "
        "batch's variance in training, before you divide by it?",
        sections.EVALUATION,
        {"normalize_in_evaluation": _bare_variance},
    ),
    Misconception(
        "bn-eval-batch-stats",
        "In evaluation mode you normalize with the statistics of the batch. Use the running "
        "statistics: the answer for one example must not depend on its neighbors.",
        sections.EVALUATION,
        {"batch_statistics_in_evaluation": True},
    ),
    Misconception(
        "bn-eval-updates-stats",
        "Your running statistics change in evaluation mode. They belong to training; evaluating "
        "the network must not change it.",
        sections.EVALUATION,
        {"updates_in_evaluation": True},
    ),
    Misconception(
        "bn-eval-no-affine",
        "In evaluation mode you normalize but leave out γ and β. They are part of the layer in "
        "both modes.",
        sections.EVALUATION,
        {"affine_in_evaluation": lambda x_hat, gamma, beta, x: x_hat + 0 * (gamma + beta)},
    ),
    Misconception(
        "bn-wrong-axis",
        "You normalize each row by its own mean and variance. Batch norm takes one mean and one "
        "variance per feature, over the rows of the batch.",
        sections.FORWARD,
        {"axes": _over_rows},
    ),
    Misconception(
        "bn-global-stats",
        "You use one mean and one variance for the whole array. Each feature has its own.",
        sections.FORWARD,
        {"axes": _over_everything},
    ),
    Misconception(
        "bn-shape",
        "Your running statistics have one axis too many, (1, D) for (D,). The numbers are right, "
        "but such shapes broadcast silently into wrong results later; drop `keepdims`.",
        sections.RUNNING,
        {
            # In evaluation a program returns what came in.
            "returned_statistics": lambda statistics, training: (
                statistics[None] if training else statistics
            )
        },
    ),
)


FORWARD = Task(
    name="batch_norm_forward",
    assignment=ASSIGNMENT,
    number=1,
    section=sections.FORWARD,
    hints=(
        "Write down the shape of every quantity before you write code: which of them are (N, D), "
        "which are (D,)?",
        "`x.var` divides by N unless `ddof` tells it otherwise. Each feature has one mean and one "
        "variance, over the rows: which axis is that?",
        "Two variances are needed, one to normalize and one to remember. Which of them divides by "
        "N − 1, and on which side of the root is ε?",
        "Make new arrays. With `momentum=0` the running statistics must stay, with 1 they must be "
        "those of the batch: how does your formula do both?",
        "In evaluation the running statistics stand where those of the batch stood; γ and β act as"
        " before. Of one row alone no variance can be taken, so training on it is an error.",
    ),
    aspects=(
        Aspect("output in training", 3.5, ("out",), ("training",)),
        Aspect("running mean", 1.5, ("running_mean",), ("training",)),
        Aspect("running variance", 2.0, ("running_var",), ("training",)),
        Aspect("evaluation mode", 3.0, ("out", "running_mean", "running_var"), ("evaluation",)),
    ),
    draw=_draw,
    run=_run,
    reference=batch_norm,
    misconceptions=FORWARD_MISCONCEPTIONS,
    requirements=(
        Requirement(
            "bn-accepts-one-row",
            "refuses to train on a single row",
            "With one row per batch the variance is zero and every normalized value with it. "
            "Raise a ValueError when N is 1 in training, as PyTorch does.",
            REFUSED,
        ),
    ),
)
