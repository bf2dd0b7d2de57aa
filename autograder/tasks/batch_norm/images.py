"""Declare the tasks on images, whose channels have one mean and one variance each."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from autograder.task import (
    Aspect,
    Case,
    Expected,
    Functions,
    Inputs,
    Misconception,
    Task,
    array_of,
)
from autograder.tasks.batch_norm import ASSIGNMENT, sections
from autograder.tasks.batch_norm.backward import (
    BACKWARD_MISCONCEPTIONS,
    closed_form,
    run_backward,
)
from autograder.tasks.batch_norm.cases import draw_inputs, with_d_out
from autograder.tasks.batch_norm.forward import FORWARD_MISCONCEPTIONS, run_forward
from autograder.tasks.batch_norm.reference import (
    batch_mean,
    batch_norm,
    biased_variance,
    unbiased_variance,
)


def _not_moved(array: NDArray[Any]) -> NDArray[Any]:
    """Return images whose channel axis went to the end and only came back by a reshape."""
    return np.moveaxis(array, 1, -1).reshape(array.shape)


_OF_PIXELS = {
    "mean": lambda x, axes: batch_mean(x, (0,)),
    "variance": lambda x, axes: biased_variance(x, (0,)),
}


def _average_over_pixels(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    return batch_mean(unbiased_variance(x, (0,)), (2, 3))


def _images(
    inputs: Inputs,
    *,
    unfolded: bool = False,
    one_channel_at_a_time: bool = False,
    out_not_moved: bool = False,
    d_out_not_moved: bool = False,
    d_x_not_moved: bool = False,
    **steps: Any,
) -> dict[str, Expected]:
    """Return what batch norm gives on images, or on wrongly reshaped ones."""
    if one_channel_at_a_time and not unfolded:
        if len(inputs["x"][0]) == 1:
            # The channel of a single image is a single row, which batch norm refuses.
            return {}
        steps = {**_OF_PIXELS, "running_variance_of": _average_over_pixels, **steps}
    if not unfolded:
        if d_out_not_moved:
            n, channels, *pixels = inputs["d_out"].shape
            moved = np.moveaxis(inputs["d_out"].reshape(n, *pixels, channels), -1, 1)
            inputs = {**inputs, "d_out": moved}
        expected = batch_norm(inputs, **steps)
        for name, wrong in (("out", out_not_moved), ("d_x", d_x_not_moved)):
            if wrong:
                expected[name] = _not_moved(array_of(expected[name]))
        return expected
    channels = inputs["gamma"].size
    as_rows = {"x": [x.reshape(-1, channels) for x in inputs["x"]]}
    if "d_out" in inputs:
        as_rows["d_out"] = inputs["d_out"].reshape(-1, channels)
    expected = batch_norm({**inputs, **as_rows}, **steps)
    for name in {"out", "d_x"} & expected.keys():
        expected[name] = array_of(expected[name]).reshape(inputs["x"][0].shape)
    return expected


def _draw_forward(rng: np.random.Generator) -> list[Case]:
    return [
        Case("training", draw_inputs(rng, (3, 4, 5, 2), momentum=0.3, eps=1e-4)),
        Case("two images, a large eps", draw_inputs(rng, (2, 3, 2, 4), momentum=0.6, eps=0.7)),
        Case("a single image", draw_inputs(rng, (1, 3, 4, 2), momentum=0.2)),
        Case("training on three batches in turn", draw_inputs(rng, (3, 2, 4, 3), steps=3)),
        Case("evaluation", draw_inputs(rng, (2, 4, 3, 5), training=False), "evaluation"),
    ]


def _draw_backward(rng: np.random.Generator) -> list[Case]:
    return [
        Case("training", with_d_out(rng, draw_inputs(rng, (3, 4, 5, 2), eps=1e-4))),
        Case("two images, a large eps", with_d_out(rng, draw_inputs(rng, (2, 3, 2, 4), eps=0.7))),
        Case(
            "after an evaluation forward",
            with_d_out(rng, draw_inputs(rng, (2, 4, 3, 5), training=False, eps=0.3)),
            "evaluation",
        ),
    ]


def _run_forward(student: Functions, inputs: Inputs) -> dict[str, Any]:
    return run_forward(student, inputs, "_2d")[0]


def _run_backward(student: Functions, inputs: Inputs) -> dict[str, Any]:
    return run_backward(student, inputs, "_2d")


_FORWARD_MISCONCEPTIONS = (
    Misconception(
        "bn2d-no-transpose",
        "You reshape to (N·H·W, C) without moving the channel axis to the end first, so every "
        "column mixes values of several channels.",
        sections.CHANNELS,
        {"unfolded": True},
    ),
    Misconception(
        "bn2d-per-pixel",
        "You take statistics over the batch axis alone, one for each pixel. All pixels of a "
        "channel share one mean and one variance.",
        sections.CHANNELS,
        _OF_PIXELS,
    ),
    Misconception(
        "bn2d-channel-by-channel",
        "You give each channel to batch norm as an array of N rows and H·W columns. It takes a "
        "column for a feature, so that every pixel gets a mean and a variance of its own.",
        sections.CHANNELS,
        {"one_channel_at_a_time": True},
    ),
    Misconception(
        "bn2d-not-moved-back",
        "The rows of your result come in the order N, H, W and are reshaped to (N, C, H, W) as "
        "they are. A reshape does not move an axis: undo the move as well as the reshape.",
        sections.CHANNELS,
        {"out_not_moved": True},
    ),
    Misconception(
        "bn2d-across-channels",
        "You take statistics over the channels, one for each pixel of each image. A channel has "
        "one mean and one variance, over all images and pixels.",
        sections.CHANNELS,
        {
            "mean": lambda x, axes: batch_mean(x, (1,)),
            "variance": lambda x, axes: biased_variance(x, (1,)),
        },
    ),
    # Statistics of each row cannot be blended into those of the channels.
    *(one for one in FORWARD_MISCONCEPTIONS if one.id != "bn-wrong-axis"),
)

_BACKWARD_MISCONCEPTIONS = (
    Misconception(
        "bn2d-wrong-count",
        "Your gradient divides by N where it should divide by N·H·W, the number of values "
        "that share one mean.",
        sections.CHANNELS,
        {"normalize": closed_form(weight=lambda x: x[0, 0].numel())},
    ),
    Misconception(
        "bn2d-backward-no-transpose",
        "Your backward pass only reshapes, d_out on the way in and d_x on the way out. The "
        "forward pass moved the channel axis too; go its way back step by step.",
        sections.CHANNELS,
        {"d_out_not_moved": True, "d_x_not_moved": True},
    ),
    Misconception(
        "bn2d-backward-d-out",
        "You reshape d_out to (N·H·W, C) without moving its channel axis to the end first, so "
        "its rows are not those of the forward pass.",
        sections.CHANNELS,
        {"d_out_not_moved": True},
    ),
    Misconception(
        "bn2d-backward-d-x",
        "The rows of your d_x come in the order N, H, W and are reshaped to (N, C, H, W) as "
        "they are. A reshape does not move an axis.",
        sections.CHANNELS,
        {"d_x_not_moved": True},
    ),
    *BACKWARD_MISCONCEPTIONS,
)


IMAGES_FORWARD = Task(
    name="batch_norm_2d_forward",
    assignment=ASSIGNMENT,
    number=3,
    section=sections.CHANNELS,
    hints=(
        "Which values share one mean, and how many of them does a channel have?",
        "A channel has to become a column, and `reshape` never moves a value past another one. "
        "Try it on `np.arange(24).reshape(2, 3, 2, 2)`: what has to happen before it?",
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
    draw=_draw_forward,
    run=_run_forward,
    reference=_images,
    misconceptions=_FORWARD_MISCONCEPTIONS,
    depends_on=("batch_norm_forward",),
)

IMAGES_BACKWARD = Task(
    name="batch_norm_2d_backward",
    assignment=ASSIGNMENT,
    number=3,
    section=sections.CHANNELS,
    hints=(
        "Besides calling `batch_norm_forward`, your forward pass only moved values to other "
        "places. What becomes of a gradient there?",
        "`d_out` has the shape of the output. Make columns of it, as you did of x. Which function "
        "of yours takes them from there?",
        "`batch_norm_backward` does the rest. Which of its three results are already in shape, and"
        " which has to walk back to (N, C, H, W)?",
    ),
    aspects=(
        Aspect("d_x in training", 1.5, ("d_x",), ("training",)),
        Aspect("d_gamma and d_beta in training", 0.75, ("d_gamma", "d_beta"), ("training",)),
        Aspect("after an evaluation forward", 0.75, ("d_x", "d_gamma", "d_beta"), ("evaluation",)),
    ),
    draw=_draw_backward,
    run=_run_backward,
    reference=_images,
    misconceptions=_BACKWARD_MISCONCEPTIONS,
    depends_on=("batch_norm_2d_forward", "batch_norm_forward", "batch_norm_backward"),
    forward_task=IMAGES_FORWARD,
)
