"""Declare the task on the backward pass of dropout."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from torch import Tensor

from autograder.task import Aspect, Case, Functions, Inputs, Misconception, Task
from autograder.tasks.answers import unpack
from autograder.tasks.dropout import ASSIGNMENT, sections
from autograder.tasks.dropout.cases import (
    draw_from_few,
    draw_inputs,
    high_keep_prob,
    low_keep_prob,
)
from autograder.tasks.dropout.forward import FORWARD, FORWARD_MISCONCEPTIONS
from autograder.tasks.dropout.mask import (
    KEPT,
    PASSED,
    PASSED_AT_ZERO,
    apply_mask,
    dropout,
    read_draws,
    simulate,
)
from autograder.tasks.gradients import with_gradient_of


def _draw(rng: np.random.Generator) -> list[Case]:
    def inputs(shape: tuple[int, ...], keep_prob: float, **more: Any) -> dict[str, Any]:
        drawn = draw_inputs(rng, shape, keep_prob, (KEPT, PASSED, PASSED_AT_ZERO), **more)
        # Half the inputs are 0, as after a ReLU.
        drawn["x"] *= rng.random(shape) < 0.5
        return {**drawn, "d_out": draw_from_few(rng, shape)}

    return [
        Case("keep_prob below one half", inputs((100, 50), low_keep_prob(rng))),
        Case(
            "keep_prob above one half, four dimensions", inputs((25, 4, 5, 10), high_keep_prob(rng))
        ),
        Case("keep_prob = 1", inputs((10, 5), 1.0)),
        Case(
            "after an evaluation forward",
            inputs((40, 50), low_keep_prob(rng), training=False),
            "evaluation",
        ),
    ]


def _run(student: Functions, inputs: Inputs) -> dict[str, Any]:
    rng = np.random.default_rng(inputs["seed"])

    def forward() -> Any:
        returned = student["dropout_forward"](
            inputs["x"], inputs["keep_prob"], inputs["training"], rng
        )
        return unpack("dropout_forward", returned, ("out", "cache"))

    out, cache = forward()
    # A network has many dropout layers: a mask kept outside the cache is overwritten by this.
    forward()
    return {"out": out, "d_x": student["dropout_backward"](inputs["d_out"], cache)}


def _with_gradient(gradient: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Return the step that applies the mask, but has the gradient of another one."""

    def apply(x: Tensor, mask: Tensor, redrawn: Tensor, scale: float) -> Tensor:
        return with_gradient_of(
            apply_mask(x, mask, redrawn, scale), gradient(x, mask, redrawn, scale)
        )

    return apply


BACKWARD_MISCONCEPTIONS = (
    Misconception(
        "dropout-backward-no-mask",
        "Your gradient passes dropout unchanged. A value that was dropped had no influence on the "
        "output, so it gets no gradient; that of a survivor has the factor of inverted dropout.",
        sections.BACKWARD,
        {
            "apply": _with_gradient(lambda x, mask, redrawn, scale: x),
            "passed": lambda rate: 1.0,
            "passed_at_zero": lambda rate: 1.0,
        },
    ),
    Misconception(
        "dropout-backward-no-mask-scaled",
        "Your gradient is scaled but not masked. A value that was dropped had no influence on the "
        "output, so it gets no gradient.",
        sections.BACKWARD,
        {
            "apply": _with_gradient(lambda x, mask, redrawn, scale: x * scale),
            "passed": lambda rate: 1.0,
            "passed_at_zero": lambda rate: 1.0,
        },
    ),
    Misconception(
        "dropout-backward-no-scale",
        "Your gradient is masked but not scaled. Inverted dropout multiplies the survivors by a "
        "factor, and their gradient goes through the same factor.",
        sections.BACKWARD,
        {"apply": _with_gradient(lambda x, mask, redrawn, scale: x * mask)},
    ),
    Misconception(
        "dropout-backward-new-mask",
        "Your backward pass draws a mask of its own. The gradient belongs to the mask of the "
        "forward pass; keep that one in the cache.",
        sections.BACKWARD,
        {"apply": _with_gradient(lambda x, mask, redrawn, scale: x * redrawn * scale)},
    ),
    Misconception(
        "dropout-backward-mask-from-output",
        "You seem to take the mask from where the output is not 0. An input that was 0 and kept "
        "looks the same as one that was dropped, but its gradient does pass.",
        sections.BACKWARD,
        {"passed_at_zero": lambda rate: 0.0},
    ),
    Misconception(
        "dropout-backward-scaled-in-eval",
        "After a forward pass in evaluation mode you divide by keep_prob. There the output is the "
        "input, so the gradient passes unchanged.",
        sections.MODES,
        {"apply_in_evaluation": lambda x, keep_prob: with_gradient_of(x, x / keep_prob)},
    ),
)

# Where nothing is dropped, or nothing of x is left, a gradient that fits is no achievement.
_LEAVE_NO_MASK = (
    "dropout-ignored",
    "dropout-nothing-kept",
    "dropout-returns-mask",
    "dropout-one-draw",
)
_CARRIED_FORWARD = replace(
    FORWARD,
    misconceptions=tuple(one for one in FORWARD_MISCONCEPTIONS if one.id not in _LEAVE_NO_MASK),
)

BACKWARD = Task(
    name="dropout_backward",
    assignment=ASSIGNMENT,
    number=2,
    section=sections.BACKWARD,
    hints=(
        "Once the mask is drawn, by which number is each element multiplied? What is the "
        "derivative of such a product?",
        "The output alone does not tell what was dropped: after a ReLU many inputs are 0 already, "
        "and a kept 0 looks like a dropped one. What must the forward pass remember?",
        "An element that was dropped did not reach the output, so no gradient reaches it. One "
        "that was kept was scaled, and so is its gradient. Draw nothing again. What of this "
        "changes after an evaluation forward?",
        "After evaluation the gradient passes as it is. With which mask would that come out by "
        "itself? If the forward pass puts it into the cache, the two modes need no distinction "
        "here.",
    ),
    aspects=(
        Aspect("d_x in training", 4.5, ("d_x", PASSED, PASSED_AT_ZERO), ("training",)),
        Aspect("d_x after an evaluation forward", 1.5, ("d_x",), ("evaluation",)),
    ),
    draw=_draw,
    run=_run,
    reference=dropout,
    misconceptions=BACKWARD_MISCONCEPTIONS,
    depends_on=("dropout_forward",),
    read_draws=read_draws,
    simulate=simulate,
    forward_task=_CARRIED_FORWARD,
)
