"""Declare the tasks on the forward and the backward pass of layer norm."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch

from autograder.task import Aspect, Case, Misconception, Task
from autograder.tasks.batch_norm.backward import (
    closed_form,
    divisor_root_plus_eps,
    gradient_of_gamma,
    gradient_without_eps,
    variance_path_without_eps,
)
from autograder.tasks.batch_norm.forward import no_eps, no_root, root_plus_eps
from autograder.tasks.batch_norm.reference import batch_mean, biased_variance, unbiased_variance
from autograder.tasks.norms import ASSIGNMENT, sections, steps
from autograder.tasks.norms.cases import MATRICES, OTHERS, draw_inputs, with_d_out
from autograder.tasks.norms.passes import run_backward, run_forward
from autograder.tasks.norms.reference import last_axis, layer_norm, mean_square, no_mean


def _draw_forward(rng: np.random.Generator) -> list[Case]:
    constant = draw_inputs(rng, (4, 6), deviation=1e-3)
    constant["x"][0] = 3.0
    return [
        Case("a matrix", draw_inputs(rng, (5, 6), eps=1e-3), MATRICES),
        Case("eps left at its default", draw_inputs(rng, (7, 3), deviation=0.1), MATRICES),
        Case("as many rows as features", draw_inputs(rng, (5, 5), eps=1e-2), MATRICES),
        Case("two features only", draw_inputs(rng, (4, 2), eps=0.1), MATRICES),
        Case("tiny variance and one constant row", constant, MATRICES),
        Case("a large eps", draw_inputs(rng, (6, 4), eps=0.7), MATRICES),
        Case("three axes", draw_inputs(rng, (2, 3, 5), eps=1e-2), OTHERS),
        Case("four axes", draw_inputs(rng, (2, 3, 2, 4), eps=0.1), OTHERS),
        Case("a single vector", draw_inputs(rng, (6,), eps=0.2), OTHERS),
    ]


def _draw_backward(rng: np.random.Generator) -> list[Case]:
    return [
        Case("a matrix", with_d_out(rng, draw_inputs(rng, (5, 6), eps=1e-3)), MATRICES),
        Case(
            "as many rows as features",
            with_d_out(rng, draw_inputs(rng, (5, 5), eps=1e-2)),
            MATRICES,
        ),
        Case("two features only", with_d_out(rng, draw_inputs(rng, (4, 2), eps=0.1)), MATRICES),
        Case("tiny variance", with_d_out(rng, draw_inputs(rng, (3, 6), deviation=1e-3)), MATRICES),
        Case("a large eps", with_d_out(rng, draw_inputs(rng, (6, 4), eps=0.7)), MATRICES),
        Case("three axes", with_d_out(rng, draw_inputs(rng, (2, 3, 5), eps=1e-2)), OTHERS),
        Case("a single vector", with_d_out(rng, draw_inputs(rng, (6,), eps=0.2)), OTHERS),
    ]


_FORWARD_MISCONCEPTIONS = (
    Misconception(
        "ln-batch-axis",
        "You take the mean and the variance over the first axis. That is batch norm: in layer norm "
        "an example must not notice which others are in its batch.",
        sections.LAYER,
        {"axes": steps.first_axis},
    ),
    Misconception(
        "ln-second-axis",
        "You take the mean and the variance over axis 1. In a matrix that is the axis of the "
        "features; where is it in an array of three axes?",
        sections.LAYER,
        {"axes": steps.second_axis},
    ),
    Misconception(
        "ln-whole-example",
        "You take one mean and one variance over all axes but the first. Here only the last axis "
        "holds features: each position of a sequence is normalized by itself.",
        sections.LAYER,
        {"axes": steps.all_but_first},
    ),
    Misconception(
        "ln-global-stats",
        "You use one mean and one variance for the whole array. Each example has its own.",
        sections.LAYER,
        {"axes": steps.everything},
    ),
    Misconception(
        "ln-no-keepdims",
        "Your means and variances have lost their last axis, so the one of row j meets feature j. "
        "NumPy only notices where there are not as many rows as features.",
        sections.LAYER,
        {
            "axes": steps.where_rows_pass_for_features,
            "mean": lambda x, axes: x.mean(axes),
            "variance": lambda x, axes: x.var(axes, correction=0),
        },
    ),
    Misconception(
        "ln-unbiased",
        "This is what comes out with the variance that divides by D − 1. Layer norm describes "
        "these D values and estimates nothing, so it divides by D.",
        sections.LAYER,
        {"variance": unbiased_variance},
    ),
    Misconception(
        "ln-eps-outside-root",
        "You divide by √σ² + ε. The ε belongs under the root, where it keeps the division and its "
        "gradient tame when the variance is close to zero.",
        sections.LAYER,
        {"normalize": root_plus_eps},
    ),
    Misconception(
        "ln-no-eps",
        "There is no ε in your division. An example whose features are all alike has variance "
        "zero, and the division has no result.",
        sections.LAYER,
        {"normalize": no_eps},
    ),
    Misconception(
        "ln-eps-fixed",
        "You add 10⁻⁵ to the variance, whatever `eps` is. That is only its default.",
        sections.LAYER,
        steps.default_eps(1e-5),
    ),
    Misconception(
        "ln-no-root",
        "You divide by the variance, σ² + ε. What is left would have a variance of 1/σ²: which "
        "power of σ has the unit of x?",
        sections.LAYER,
        {"normalize": no_root},
    ),
    Misconception(
        "ln-mean-not-subtracted",
        "You divide by the standard deviation without subtracting the mean first. What is the "
        "mean of your normalized values?",
        sections.LAYER,
        {"mean": no_mean},
    ),
    Misconception(
        "ln-mean-of-squares",
        "Where the variance belongs you have the mean of the squares of x. A variance is the mean "
        "of the squared distances from the mean.",
        sections.LAYER,
        {"variance": mean_square},
    ),
    Misconception(
        "ln-shift-before-scale",
        "You add β before you multiply by γ, so that γ scales it, too. β is to be the new mean.",
        sections.LAYER,
        {"affine": lambda x_hat, gamma, beta, x: gamma * (x_hat + beta)},
    ),
    Misconception(
        "ln-no-affine",
        "You return the normalized values as they are. What are γ and β for?",
        sections.LAYER,
        {"affine": lambda x_hat, gamma, beta, x: x_hat + 0 * (gamma + beta)},
    ),
)

_BACKWARD_MISCONCEPTIONS = (
    Misconception(
        "ln-backward-diagonal",
        "Your gradient takes mean and variance for constants. Both depend on every feature of the "
        "example, so a change of one feature reaches the outputs of all others.",
        sections.LAYER_BACKWARD,
        {
            "mean": lambda x, axes: batch_mean(x, axes).detach(),
            "variance": lambda x, axes: biased_variance(x, axes).detach(),
        },
    ),
    Misconception(
        "ln-backward-no-mean",
        "Your gradient takes the mean for a constant. Which path from x to the output does it "
        "leave out?",
        sections.LAYER_BACKWARD,
        {"mean": lambda x, axes: batch_mean(x, axes).detach()},
    ),
    Misconception(
        "ln-backward-no-var",
        "Your gradient takes the variance for a constant. Which path from x to the output does "
        "it leave out?",
        sections.LAYER_BACKWARD,
        {"variance": lambda x, axes: biased_variance(x, axes).detach()},
    ),
    Misconception(
        "ln-backward-gamma-outside",
        "You multiply by γ at the end, outside of the averages. In batch norm γ is the same for "
        "all terms of an average; here each feature has its own.",
        sections.LAYER_BACKWARD,
        steps.GAMMA_OUTSIDE,
    ),
    Misconception(
        "ln-backward-no-gamma",
        "Your gradient of the input does not contain γ. The upstream gradient passes through the "
        "multiplication by γ before it reaches the normalized values.",
        sections.LAYER_BACKWARD,
        {"affine": steps.no_gamma_in_d_x},
    ),
    Misconception(
        "ln-backward-batch-averages",
        "Your gradient of the input takes away averages over the batch, as in batch norm. Over "
        "which axis did the forward pass take its mean?",
        sections.LAYER_BACKWARD,
        {"normalize": closed_form(axes=steps.first_axis)},
    ),
    Misconception(
        "ln-backward-sum-not-mean",
        "Your gradient of the input takes away sums over the features where averages belong. Mean "
        "and variance both contain a 1/D, and so do their gradients.",
        sections.LAYER_BACKWARD,
        {"normalize": closed_form(axes=last_axis, weight=lambda x: x.shape[-1])},
    ),
    Misconception(
        "ln-backward-wrong-count",
        "The sums in your gradient of the input are divided by the number of examples. How many "
        "values share one mean?",
        sections.LAYER_BACKWARD,
        {"normalize": closed_form(axes=last_axis, weight=steps.examples_of)},
    ),
    Misconception(
        "ln-backward-no-x-hat",
        "One of the two averages that your gradient takes away lacks its factor x̂. Not all "
        "features change the variance alike: how much does each?",
        sections.LAYER_BACKWARD,
        {"normalize": closed_form(axes=last_axis, factor=torch.ones_like)},
    ),
    Misconception(
        "ln-backward-half-variance",
        "The part of your gradient that comes through the variance is half as large as it should "
        "be. What is the derivative of a square?",
        sections.LAYER_BACKWARD,
        {"normalize": steps.half_of_the_spread},
    ),
    Misconception(
        "ln-backward-gamma-over-features",
        "Your gradients of γ and β are sums over the features. γ has an entry for each feature, "
        "which all examples share: over what do its contributions add up?",
        sections.LAYER_BACKWARD,
        {"collect": steps.over_features},
    ),
    Misconception(
        "ln-backward-gamma-first-axis",
        "Your gradients of γ and β are sums over the first axis only. With three axes there are "
        "more examples than that: all axes but the last count them.",
        sections.LAYER_BACKWARD,
        {"collect": steps.over_first_axis},
    ),
    Misconception(
        "ln-backward-mean-not-sum",
        "Your gradients of γ and β are averages over the examples. Every example used the same γ "
        "and β, so their contributions add up; an average over the batch is the loss's affair.",
        sections.LAYER_BACKWARD,
        {"collect": steps.averaged},
    ),
    Misconception(
        "ln-backward-gamma-raw-x",
        "Your gradient of γ is formed with the bare input. γ multiplies the normalized values, so "
        "those belong in its gradient.",
        sections.LAYER_BACKWARD,
        {"affine": gradient_of_gamma(lambda x_hat, x: x)},
    ),
    Misconception(
        "ln-backward-no-eps",
        "There is no ε in your gradient. The forward pass divides by √(σ² + ε), and so must the "
        "backward pass.",
        sections.LAYER_BACKWARD,
        {"normalize": gradient_without_eps},
    ),
    Misconception(
        "ln-backward-no-eps-in-variance",
        "There is no ε in the gradient of your variance. The variance went through 1/√(σ² + ε), so "
        "its gradient has the same σ² + ε in it.",
        sections.LAYER_BACKWARD,
        {"normalize": variance_path_without_eps},
    ),
    Misconception(
        "ln-backward-no-scale",
        "Your gradient of the input is not divided by √(σ² + ε). The forward pass divided every "
        "feature by it, so the way back does, too.",
        sections.LAYER_BACKWARD,
        {"normalize": closed_form(axes=last_axis, divisor=steps.no_divisor)},
    ),
    Misconception(
        "ln-backward-eps-outside-root",
        "Your gradient divides by √σ² + ε, your forward pass by √(σ² + ε). Keep in the cache what "
        "the forward pass divided by.",
        sections.LAYER_BACKWARD,
        {"normalize": closed_form(axes=last_axis, divisor=divisor_root_plus_eps)},
    ),
)

FORWARD = Task(
    name="layer_norm_forward",
    assignment=ASSIGNMENT,
    number=1,
    section=sections.LAYER,
    hints=(
        "Write down the shape of every quantity for an x of shape (N, T, D): which of them have "
        "one value for each example, which one for each feature?",
        "The features are on the last axis, however many axes there are. How do you tell NumPy "
        "“the last one”?",
        "A mean over the last axis has one axis less than x, and NumPy lines shapes up from the "
        "right. What does `keepdims` do?",
        "γ and β have the shape (D,), so they line up with the features by themselves. Which of "
        "these quantities will the backward pass need, so that they belong in the cache?",
        "Subtract the mean, divide by the root of the variance plus ε (`x.var` divides by D as it "
        "is), multiply by γ, add β.",
    ),
    aspects=(
        Aspect("output for a matrix", 2.75, ("out",), (MATRICES,)),
        Aspect("output for more or fewer axes", 1.25, ("out",), (OTHERS,)),
    ),
    draw=_draw_forward,
    run=partial(run_forward, norm="layer_norm"),
    reference=layer_norm,
    misconceptions=_FORWARD_MISCONCEPTIONS,
)

BACKWARD = Task(
    name="layer_norm_backward",
    assignment=ASSIGNMENT,
    number=2,
    section=sections.LAYER_BACKWARD,
    hints=(
        "Which outputs does one feature of one example reach, and by how many paths?",
        "The steps from x to x̂ are those of batch norm, along another axis. Which axis do the "
        "averages of its closed form go over here?",
        "Start from what reaches x̂, the upstream gradient times γ; call it ĝ. γ differs from "
        "feature to feature: does it belong inside or outside of the averages?",
        "γ and β are shared by all examples, so their gradients are sums. Which axes of an array "
        "of three axes count examples?",
        "d_x is ĝ less its mean over the features, less x̂ times the mean of ĝ · x̂, and the whole "
        "divided by √(σ² + ε).",
    ),
    aspects=(
        Aspect("d_x for a matrix", 2.25, ("d_x",), (MATRICES,)),
        Aspect("d_gamma for a matrix", 1.0, ("d_gamma",), (MATRICES,)),
        Aspect("d_beta for a matrix", 0.5, ("d_beta",), (MATRICES,)),
        Aspect("more or fewer axes", 1.25, ("d_x", "d_gamma", "d_beta"), (OTHERS,)),
    ),
    draw=_draw_backward,
    run=partial(run_backward, norm="layer_norm"),
    reference=layer_norm,
    misconceptions=_BACKWARD_MISCONCEPTIONS,
    depends_on=("layer_norm_forward",),
    forward_task=FORWARD,
)
