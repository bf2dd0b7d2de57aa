"""Declare the task on group norm."""

from __future__ import annotations

from typing import Any

import numpy as np
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
from autograder.tasks.batch_norm.forward import no_eps, no_root, root_plus_eps
from autograder.tasks.batch_norm.reference import unbiased_variance
from autograder.tasks.norms import ASSIGNMENT, sections, steps
from autograder.tasks.norms.cases import draw_inputs
from autograder.tasks.norms.passes import options
from autograder.tasks.norms.reference import group_norm, neighbors

_GROUPS = "several groups"
_ENDS = "one group, or one for each channel"


def _draw(rng: np.random.Generator) -> list[Case]:
    def inputs(shape: tuple[int, ...], groups: int, **options: float) -> dict[str, Any]:
        return draw_inputs(rng, shape, channels=shape[1], groups=groups, **options)

    return [
        Case("two groups of three channels", inputs((3, 6, 4, 2), 2, eps=1e-3), _GROUPS),
        Case("four groups, as many channels as columns", inputs((2, 8, 3, 8), 4), _GROUPS),
        Case("a single image, a large eps", inputs((1, 6, 2, 3), 3, eps=0.7), _GROUPS),
        Case("tiny variance", inputs((2, 4, 3, 2), 2, mean=0.1, deviation=1e-3), _GROUPS),
        Case("one group", inputs((2, 4, 2, 3), 1, eps=1e-2), _ENDS),
        Case("as many groups as channels", inputs((3, 4, 3, 2), 4, eps=0.1), _ENDS),
        # A reshape to the number of groups would not fail here.
        Case("six channels in four groups", inputs((2, 6, 2, 4), 4), REQUIRED),
    ]


def _run(student: Functions, inputs: Inputs) -> dict[str, Any]:
    arguments = (inputs[name] for name in ("x", "groups", "gamma", "beta"))
    return {"out": student["group_norm_forward"](*arguments, **options(inputs))}


def _interleaved(x: Tensor, groups: int) -> Tensor:
    """Deal the channels out to the groups in turn."""
    return x.reshape(len(x), -1, groups, *x.shape[2:]).transpose(1, 2)


def _of_that_size(x: Tensor, groups: int) -> Tensor:
    """Take the number of groups for the number of channels in one."""
    return neighbors(x, x.shape[1] // groups)


def _along_columns(values: Tensor, x: Tensor) -> Tensor | None:
    return values if x.shape[1] in (1, x.shape[-1]) else None


_MISCONCEPTIONS = (
    Misconception(
        "gn-interleaved",
        "Your groups are interleaved: the channels are dealt out to them in turn. A group is made "
        "of channels that are next to each other.",
        sections.GROUP,
        {"split": _interleaved, "join": lambda x: x.transpose(1, 2).flatten(1, 2)},
    ),
    Misconception(
        "gn-size-for-number",
        "You take `groups` for the number of channels in a group. It is the number of groups.",
        sections.GROUP,
        {"split": _of_that_size},
    ),
    Misconception(
        "gn-is-layer-norm",
        "You normalize each image with one mean and one variance, whatever `groups` is. Each group "
        "of channels has its own.",
        sections.GROUP,
        {"axes": lambda x: (1, 2, 3, 4)},
    ),
    Misconception(
        "gn-is-instance-norm",
        "You normalize each channel of each image by itself, whatever `groups` is. The channels of "
        "a group share one mean and one variance.",
        sections.GROUP,
        {"axes": lambda x: (3, 4)},
    ),
    Misconception(
        "gn-across-batch",
        "Your means and variances go over the batch as well. Group norm treats each image on its "
        "own.",
        sections.GROUP,
        {"axes": lambda x: (0, 2, 3, 4)},
    ),
    Misconception(
        "gn-per-position",
        "You take a mean and a variance for each position. All positions of a group's channels "
        "share them.",
        sections.GROUP,
        {"axes": lambda x: (2,)},
    ),
    Misconception(
        "gn-gamma-along-columns",
        "γ and β meet the columns of your images. NumPy lines shapes up from the right, and only "
        "complains where there are not as many columns as channels.",
        sections.GROUP,
        {"per_channel": _along_columns},
    ),
    Misconception(
        "gn-unbiased",
        "This is what comes out with the variance that divides by one less than the number of "
        "values. Group norm describes these values, and divides by their number.",
        sections.GROUP,
        {"variance": unbiased_variance},
    ),
    Misconception(
        "gn-eps-outside-root",
        "You divide by √σ² + ε. The ε belongs under the root.",
        sections.GROUP,
        {"normalize": root_plus_eps},
    ),
    Misconception(
        "gn-no-eps",
        "There is no ε in your division. It keeps the division tame when the variance of a group "
        "is close to zero.",
        sections.GROUP,
        {"normalize": no_eps},
    ),
    Misconception(
        "gn-eps-fixed",
        "You add 10⁻⁵ to the variance, whatever `eps` is. That is only its default.",
        sections.GROUP,
        steps.default_eps(1e-5),
    ),
    Misconception(
        "gn-no-root",
        "You divide by the variance. Which power of σ has the unit of x?",
        sections.GROUP,
        {"normalize": no_root},
    ),
    Misconception(
        "gn-no-affine",
        "You return the normalized values as they are. What are γ and β for?",
        sections.GROUP,
        {"affine": lambda x_hat, gamma, beta, x: x_hat},
    ),
)

FORWARD = Task(
    name="group_norm_forward",
    assignment=ASSIGNMENT,
    number=4,
    section=sections.GROUP,
    hints=(
        "How many means are there for one image, and how many values does each go over?",
        "The channels of a group are neighbors, so one axis of C channels can become two. Which "
        "of the two comes first, the groups or the channels of a group?",
        "Reshape to (N, groups, C // groups, H, W). Over which of these axes does the mean go?",
        "After that everything goes back into its shape, and γ and β have one entry per channel. "
        "Which shape makes them meet the channels and not the columns?",
        "Use `keepdims=True` for the mean and the variance over the last three axes, reshape back, "
        "and give γ and β the shape (C, 1, 1). Test `C % groups` before you begin.",
    ),
    aspects=(
        Aspect("output for several groups", 2.0, ("out",), (_GROUPS,)),
        Aspect("one group, and as many as channels", 1.0, ("out",), (_ENDS,)),
    ),
    draw=_draw,
    run=_run,
    reference=group_norm,
    misconceptions=_MISCONCEPTIONS,
    depends_on=("layer_norm_forward",),
    requirements=(
        Requirement(
            "gn-accepts-unequal-groups",
            "refuses groups of unequal size",
            "The channels cannot be split into this many groups of the same size. Raise a "
            "ValueError, as PyTorch does.",
            REFUSED,
        ),
    ),
)
