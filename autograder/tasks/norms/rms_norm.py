"""Declare the tasks on the forward and the backward pass of RMSNorm."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from autograder.task import Aspect, Case, Misconception, Task
from autograder.tasks.batch_norm.backward import (
    closed_form,
    divisor_root_plus_eps,
    gradient_of_gamma,
    gradient_without_eps,
    variance_path_without_eps,
)
from autograder.tasks.batch_norm.forward import no_eps, no_root, root_plus_eps
from autograder.tasks.batch_norm.reference import batch_mean, biased_variance
from autograder.tasks.norms import ASSIGNMENT, sections, steps
from autograder.tasks.norms.cases import MATRICES, OTHERS, draw_inputs, with_d_out
from autograder.tasks.norms.passes import run_backward, run_forward
from autograder.tasks.norms.reference import last_axis, mean_square, rms_norm


def inputs_of(rng: np.random.Generator, shape: tuple[int, ...], **options: Any) -> dict[str, Any]:
    """Draw an array and a gamma."""
    inputs = draw_inputs(rng, shape, **options)
    del inputs["beta"]
    return inputs


def _draw_forward(rng: np.random.Generator) -> list[Case]:
    tiny = inputs_of(rng, (4, 6), mean=1e-3, deviation=1e-3)
    tiny["x"][0] = 0.0
    return [
        Case("a matrix", inputs_of(rng, (5, 6), eps=1e-3), MATRICES),
        Case("as many rows as features", inputs_of(rng, (5, 5), eps=1e-2), MATRICES),
        Case("two features only", inputs_of(rng, (4, 2), eps=0.1), MATRICES),
        Case("tiny values, one row of zeros, eps left at its default", tiny, MATRICES),
        Case("a large eps", inputs_of(rng, (6, 4), eps=0.7), MATRICES),
        Case("three axes", inputs_of(rng, (2, 3, 5), eps=1e-2), OTHERS),
        Case("four axes", inputs_of(rng, (2, 3, 2, 4), eps=0.1), OTHERS),
        Case("a single vector", inputs_of(rng, (6,), eps=0.2), OTHERS),
    ]


def _draw_backward(rng: np.random.Generator) -> list[Case]:
    tiny = inputs_of(rng, (3, 6), mean=1e-3, deviation=1e-3)
    return [
        Case("a matrix", with_d_out(rng, inputs_of(rng, (5, 6), eps=1e-3)), MATRICES),
        Case(
            "as many rows as features",
            with_d_out(rng, inputs_of(rng, (5, 5), eps=1e-2)),
            MATRICES,
        ),
        Case("tiny values, eps left at its default", with_d_out(rng, tiny), MATRICES),
        Case("a large eps", with_d_out(rng, inputs_of(rng, (6, 4), eps=0.7)), MATRICES),
        Case("three axes", with_d_out(rng, inputs_of(rng, (2, 3, 5), eps=1e-2)), OTHERS),
        Case("a single vector", with_d_out(rng, inputs_of(rng, (6,), eps=0.2)), OTHERS),
    ]


def _sum_of_squares(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    return x.square().sum(axes, keepdim=True)


FORWARD_MISCONCEPTIONS = (
    Misconception(
        "rms-is-layer-norm",
        "You subtract the mean and divide by the standard deviation, which is layer norm. RMSNorm "
        "takes no mean at all.",
        sections.RMS,
        {"mean": batch_mean, "variance": biased_variance},
    ),
    Misconception(
        "rms-subtracts-mean",
        "You subtract the mean before you divide. RMSNorm only changes the length of an example, "
        "and leaves its mean where it comes out.",
        sections.RMS,
        {"mean": batch_mean},
    ),
    Misconception(
        "rms-divides-by-deviation",
        "You divide by the standard deviation. It measures distances from the mean; the root mean "
        "square measures them from zero.",
        sections.RMS,
        {"variance": biased_variance},
    ),
    Misconception(
        "rms-sum-of-squares",
        "You divide by the root of the sum of the squares, which makes each example a vector of "
        "length one. What does the M in RMS stand for?",
        sections.RMS,
        {"variance": _sum_of_squares},
    ),
    Misconception(
        "rms-square-of-mean",
        "You square the mean, and the root takes the square away again. Which comes first, square "
        "or mean?",
        sections.RMS,
        {"variance": lambda x, axes: batch_mean(x, axes).square()},
    ),
    Misconception(
        "rms-mean-of-sizes",
        "You divide by the mean of the absolute values. It is a measure of size as well, but not "
        "the one in the name.",
        sections.RMS,
        {"variance": lambda x, axes: batch_mean(x.abs(), axes).square()},
    ),
    Misconception(
        "rms-batch-axis",
        "You take the mean of the squares over the first axis. An example must not notice which "
        "others are in its batch.",
        sections.RMS,
        {"axes": steps.first_axis},
    ),
    Misconception(
        "rms-second-axis",
        "You take the mean of the squares over axis 1. In a matrix that is the axis of the "
        "features; where is it in an array of three axes?",
        sections.RMS,
        {"axes": steps.second_axis},
    ),
    Misconception(
        "rms-whole-example",
        "You take one mean of squares over all axes but the first. Only the last axis holds "
        "features.",
        sections.RMS,
        {"axes": steps.all_but_first},
    ),
    Misconception(
        "rms-global",
        "You divide the whole array by one number. Each example has its own root mean square.",
        sections.RMS,
        {"axes": steps.everything},
    ),
    Misconception(
        "rms-no-keepdims",
        "Your means of squares have lost their last axis, so the one of row j meets feature j. An "
        "error comes only where there are not as many rows as features.",
        sections.RMS,
        {
            "axes": steps.where_rows_pass_for_features,
            "variance": lambda x, axes: x.square().mean(axes),
        },
    ),
    Misconception(
        "rms-eps-outside-root",
        "You add ε to the root. It belongs under it, to the mean of the squares.",
        sections.RMS,
        {"normalize": root_plus_eps},
    ),
    Misconception(
        "rms-no-eps",
        "There is no ε in your division. Of an example of zeros nothing is left to divide by.",
        sections.RMS,
        {"normalize": no_eps},
    ),
    Misconception(
        "rms-eps-fixed",
        "You add 10⁻⁶ to the mean of the squares, whatever `eps` is. That is only its default.",
        sections.RMS,
        steps.default_eps(1e-6),
    ),
    Misconception(
        "rms-no-root",
        "You divide by the mean of the squares. What does the R in RMS stand for?",
        sections.RMS,
        {"normalize": no_root},
    ),
    Misconception(
        "rms-one-plus-gamma",
        "You multiply by 1 + γ. Some models store γ − 1, so that zero is the neutral value; here "
        "and in PyTorch it is γ itself.",
        sections.RMS,
        {"affine": lambda x_hat, gamma, beta, x: x_hat * (1 + gamma) + beta},
    ),
    Misconception(
        "rms-no-gamma",
        "You return the normalized values as they are. What is γ for?",
        sections.RMS,
        {"affine": lambda x_hat, gamma, beta, x: x_hat + 0 * gamma + beta},
    ),
)

_BACKWARD_MISCONCEPTIONS = (
    Misconception(
        "rms-backward-diagonal",
        "Your gradient takes the root mean square for a constant. It depends on every feature of "
        "the example, so a change of one feature reaches the outputs of all others.",
        sections.RMS_BACKWARD,
        {"variance": lambda x, axes: mean_square(x, axes).detach()},
    ),
    Misconception(
        "rms-backward-as-layer-norm",
        "You take away two averages, as in layer norm. One of them came through the mean: is there "
        "a mean in this forward pass?",
        sections.RMS_BACKWARD,
        {"normalize": closed_form(axes=last_axis)},
    ),
    Misconception(
        "rms-backward-gamma-outside",
        "You multiply by γ at the end, outside of the average. Each feature has its own γ, so the "
        "γ inside of the average is not the one outside.",
        sections.RMS_BACKWARD,
        steps.GAMMA_OUTSIDE,
    ),
    Misconception(
        "rms-backward-no-gamma",
        "Your gradient of the input does not contain γ. The upstream gradient passes through the "
        "multiplication by γ before it reaches the normalized values.",
        sections.RMS_BACKWARD,
        {"affine": steps.no_gamma_in_d_x},
    ),
    Misconception(
        "rms-backward-batch-average",
        "Your gradient of the input takes away an average over the batch. Over which axis did the "
        "forward pass take its mean of squares?",
        sections.RMS_BACKWARD,
        {"normalize": closed_form(axes=steps.first_axis, through_mean=False)},
    ),
    Misconception(
        "rms-backward-sum-not-mean",
        "Your gradient of the input takes away a sum over the features where an average belongs. "
        "The mean of the squares contains a 1/D, and so does its gradient.",
        sections.RMS_BACKWARD,
        {
            "normalize": closed_form(
                axes=last_axis, through_mean=False, weight=lambda x: x.shape[-1]
            )
        },
    ),
    Misconception(
        "rms-backward-wrong-count",
        "The sum in your gradient of the input is divided by the number of examples. How many "
        "values share one mean of squares?",
        sections.RMS_BACKWARD,
        {"normalize": closed_form(axes=last_axis, through_mean=False, weight=steps.examples_of)},
    ),
    Misconception(
        "rms-backward-no-x-hat",
        "The average that your gradient takes away lacks its factor x̂. Not all features change "
        "the mean of the squares alike: how much does each?",
        sections.RMS_BACKWARD,
        {"normalize": closed_form(axes=last_axis, through_mean=False, factor=torch.ones_like)},
    ),
    Misconception(
        "rms-backward-raw-x",
        "In what your gradient takes away, x stands where x̂ belongs. The derivative of s contains "
        "s to the third power: where do two of the three go?",
        sections.RMS_BACKWARD,
        {"normalize": steps.spread_not_cubed},
    ),
    Misconception(
        "rms-backward-half",
        "What your gradient takes away is half as large as it should be. What is the derivative "
        "of a square?",
        sections.RMS_BACKWARD,
        {"normalize": steps.half_of_the_spread},
    ),
    Misconception(
        "rms-backward-gamma-over-features",
        "Your gradient of γ is a sum over the features. γ has an entry for each feature, which all "
        "examples share: over what do its contributions add up?",
        sections.RMS_BACKWARD,
        {"collect": steps.over_features},
    ),
    Misconception(
        "rms-backward-gamma-first-axis",
        "Your gradient of γ is a sum over the first axis only. With three axes there are more "
        "examples than that: all axes but the last count them.",
        sections.RMS_BACKWARD,
        {"collect": steps.over_first_axis},
    ),
    Misconception(
        "rms-backward-mean-not-sum",
        "Your gradient of γ is an average over the examples. Every example used the same γ, so "
        "their contributions add up; an average over the batch is the loss's affair.",
        sections.RMS_BACKWARD,
        {"collect": steps.averaged},
    ),
    Misconception(
        "rms-backward-gamma-raw-x",
        "Your gradient of γ is formed with the bare input. γ multiplies the normalized values, so "
        "those belong in its gradient.",
        sections.RMS_BACKWARD,
        {"affine": gradient_of_gamma(lambda x_hat, x: x)},
    ),
    Misconception(
        "rms-backward-no-eps",
        "There is no ε in your gradient. The forward pass has it under the root, and so must the "
        "backward pass.",
        sections.RMS_BACKWARD,
        {"normalize": gradient_without_eps},
    ),
    Misconception(
        "rms-backward-no-eps-in-square",
        "There is no ε in the gradient of your mean of squares. It went through 1/√(… + ε), whose "
        "derivative has the same ε in it.",
        sections.RMS_BACKWARD,
        {"normalize": variance_path_without_eps},
    ),
    Misconception(
        "rms-backward-no-scale",
        "Your gradient of the input lacks the factor s = 1/√(… + ε). The forward pass multiplied "
        "every feature by it, so the way back does, too.",
        sections.RMS_BACKWARD,
        {"normalize": closed_form(axes=last_axis, through_mean=False, divisor=steps.no_divisor)},
    ),
    Misconception(
        "rms-backward-eps-outside-root",
        "Your gradient adds ε to the root, your forward pass adds it under the root. Keep in the "
        "cache what the forward pass divided by.",
        sections.RMS_BACKWARD,
        {
            "normalize": closed_form(
                axes=last_axis, through_mean=False, divisor=divisor_root_plus_eps
            )
        },
    ),
)

FORWARD = Task(
    name="rms_norm_forward",
    assignment=ASSIGNMENT,
    number=3,
    section=sections.RMS,
    hints=(
        "What is left of layer norm if nothing is subtracted and nothing added?",
        "Read the name from right to left: square, mean, root. Over which axis is the mean, and "
        "on which side of the root is ε?",
        "Each example is divided by one number, and there are as many of these as there are "
        "examples. How does it keep its place in front of the features?",
        "Take the mean of x² over the last axis with `keepdims=True`, add ε, take the root, divide "
        "x by it, and multiply by γ.",
    ),
    aspects=(
        Aspect("output for a matrix", 1.25, ("out",), (MATRICES,)),
        Aspect("output for more or fewer axes", 0.75, ("out",), (OTHERS,)),
    ),
    draw=_draw_forward,
    run=partial(run_forward, norm="rms_norm"),
    reference=rms_norm,
    misconceptions=FORWARD_MISCONCEPTIONS,
)

BACKWARD = Task(
    name="rms_norm_backward",
    assignment=ASSIGNMENT,
    number=3,
    section=sections.RMS_BACKWARD,
    hints=(
        "By which two ways does one feature of an example reach the outputs of that example?",
        "s is the same for all features of an example and depends on all of them. What is the "
        "derivative of s with respect to one feature?",
        "It contains s³. Two of these factors make normalized values of bare ones: which are the "
        "two?",
        "With ĝ for the upstream gradient times γ: one average over the features is taken away "
        "from ĝ, that of ĝ · x̂, times x̂. The rest is multiplied by s. And over what is the "
        "gradient of γ a sum?",
        "The gradient of γ is the sum of d_out · x̂ over all axes but the last; reshape to "
        "(-1, D) first, and a single axis is left to sum over.",
    ),
    aspects=(
        Aspect("d_x for a matrix", 2.0, ("d_x",), (MATRICES,)),
        Aspect("d_gamma for a matrix", 1.0, ("d_gamma",), (MATRICES,)),
        Aspect("more or fewer axes", 1.0, ("d_x", "d_gamma"), (OTHERS,)),
    ),
    draw=_draw_backward,
    run=partial(run_backward, norm="rms_norm"),
    reference=rms_norm,
    misconceptions=_BACKWARD_MISCONCEPTIONS,
    depends_on=("rms_norm_forward",),
    forward_task=FORWARD,
)
