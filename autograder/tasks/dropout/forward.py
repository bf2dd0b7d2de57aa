"""Declare the task on the forward pass of dropout."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autograder.task import (
    IS_REFUSED,
    REFUSED,
    REQUIRED,
    Aspect,
    Case,
    Expected,
    Functions,
    Inputs,
    Misconception,
    Requirement,
    Task,
)
from autograder.tasks.answers import unpack
from autograder.tasks.dropout import ASSIGNMENT, sections
from autograder.tasks.dropout.cases import VALUES, draw_inputs, high_keep_prob, low_keep_prob
from autograder.tasks.dropout.mask import (
    CALLS,
    KEPT,
    NEIGHBORS,
    REPLAY,
    ROWS,
    SEEN,
    SHIFTS,
    dropout,
    inverse,
    read_draws,
    simulate,
)


def _draw(rng: np.random.Generator) -> list[Case]:
    frequencies = (KEPT, NEIGHBORS, ROWS, SHIFTS, CALLS, REPLAY)
    return [
        # This case is small, so that it rules out most known mistakes before the large cases run.
        # A mask that all rows share is a single draw here, which may drop all values.
        Case("a vector", draw_inputs(rng, (4000,), high_keep_prob(rng), frequencies), "vector"),
        Case(
            "keep_prob below one half",
            draw_inputs(rng, (VALUES // 250, 250), low_keep_prob(rng), frequencies),
        ),
        Case(
            "keep_prob above one half, four dimensions",
            draw_inputs(rng, (20, VALUES // 10_000, 20, 25), high_keep_prob(rng), frequencies),
        ),
        # A mask that all calls share is twelve draws here, too few for a share.
        Case(
            "one row in each of many calls",
            draw_inputs(
                rng, (1200, 12), high_keep_prob(rng), (NEIGHBORS, ROWS, SHIFTS), row_by_row=True
            ),
        ),
        # So many columns that no mask comes twice.
        Case(
            "one long row in each of many calls",
            draw_inputs(
                rng, (600, 100), high_keep_prob(rng), (KEPT, SHIFTS, SEEN), row_by_row=True
            ),
        ),
        Case("keep_prob = 1", draw_inputs(rng, (6, 5), 1.0)),
        Case(
            "evaluation",
            draw_inputs(rng, (40, 25), low_keep_prob(rng), training=False),
            "evaluation",
        ),
        Case(
            "evaluation, four dimensions",
            draw_inputs(rng, (4, 5, 10, 5), high_keep_prob(rng), training=False),
            "evaluation",
        ),
        *(
            Case("an impossible keep_prob", draw_inputs(rng, (2, 3), bad, training=mode), REQUIRED)
            for bad in (0.0, -float(rng.uniform(0.1, 0.5)), float(rng.uniform(1.1, 1.5)))
            for mode in (True, False)
        ),
    ]


def _reference(inputs: Inputs, **steps: Any) -> dict[str, Expected]:
    return dropout(inputs, **steps) if 0 < inputs["keep_prob"] <= 1 else dict(IS_REFUSED)


def _run(student: Functions, inputs: Inputs) -> dict[str, Any]:
    def forward(x: NDArray[Any], rng: np.random.Generator) -> Any:
        returned = student["dropout_forward"](x, inputs["keep_prob"], inputs["training"], rng)
        out, _cache = unpack("dropout_forward", returned, ("out", "cache"))
        return out

    x, seed = inputs["x"], inputs["seed"]
    rng = np.random.default_rng(seed)
    if inputs.get("row_by_row"):
        return {"out": np.concatenate([forward(row[None], rng) for row in x])}
    outputs = {"out": forward(x, rng)}
    if CALLS in inputs["frequencies"]:
        outputs["again"] = forward(x, rng)
        outputs["replay"] = forward(x, np.random.default_rng(seed))
    return outputs


def swapped(keep_prob: float) -> float:
    """Return the probability to drop."""
    return 1 - keep_prob


def inverse_of_dropped(keep_prob: float) -> float:
    """Return the scale that makes up for the wrong share."""
    return 1 / (1 - keep_prob) if keep_prob < 1 else math.inf


def _no_scale(keep_prob: float) -> float:
    return 1.0


def _normal_below(keep_prob: float) -> float:
    return 0.5 * (1 + math.erf(keep_prob / math.sqrt(2)))


FORWARD_MISCONCEPTIONS = (
    Misconception(
        "dropout-keep-drop-swapped",
        "Your mask keeps a value with probability 1 − keep_prob. At keep_prob = 0.5 nobody sees "
        "the difference; everywhere else keep and drop have changed places.",
        sections.MASK,
        {"rate": swapped},
    ),
    Misconception(
        "dropout-scale-swapped",
        "You divide the survivors by 1 − keep_prob. Which number makes up for the share that is "
        "lost on average?",
        sections.SCALING,
        {"scale": inverse_of_dropped},
    ),
    Misconception(
        "dropout-no-rescale",
        "You mask, but leave the survivors at their size. The next layer then gets less on average "
        "in training than in evaluation.",
        sections.SCALING,
        {"scale": _no_scale},
    ),
    Misconception(
        "dropout-vanilla",
        "You scale in evaluation instead of in training. That is consistent, and it is what the "
        "first paper did, but inverted dropout was asked: evaluation returns its input unchanged.",
        sections.SCALING,
        {
            "scale": _no_scale,
            "apply_in_evaluation": lambda x, keep_prob: x * keep_prob,
        },
    ),
    Misconception(
        "dropout-scaled-twice",
        "The survivors are divided by keep_prob twice. Is the mask scaled already when you apply "
        "it?",
        sections.SCALING,
        {"scale": lambda keep_prob: inverse(keep_prob) ** 2},
    ),
    Misconception(
        "dropout-active-in-eval",
        "You drop values in evaluation mode too. There the network has to give its one "
        "deterministic answer.",
        sections.MODES,
        {"masks_in_evaluation": True},
    ),
    Misconception(
        "dropout-scaled-in-eval",
        "In evaluation mode you multiply by keep_prob. Inverted dropout has done all scaling in "
        "training; evaluation returns its input unchanged.",
        sections.MODES,
        {"apply_in_evaluation": lambda x, keep_prob: x * keep_prob},
    ),
    Misconception(
        "dropout-divided-in-eval",
        "In evaluation mode you divide by keep_prob. Nothing was dropped there, so nothing needs "
        "to be made up for.",
        sections.MODES,
        {"apply_in_evaluation": lambda x, keep_prob: x / keep_prob},
    ),
    Misconception(
        "dropout-keep-is-drop",
        "You take keep_prob for the drop probability, both in the mask and in the scale. A value "
        "should be kept with probability keep_prob.",
        sections.MASK,
        {"rate": swapped, "scale": inverse_of_dropped},
    ),
    Misconception(
        "dropout-unscaled-in-both",
        "You drop values in both modes and scale in neither. Evaluation should return its input "
        "unchanged, and training has to make up for the share that is lost.",
        sections.SCALING,
        {"masks_in_evaluation": True, "scale": _no_scale},
    ),
    Misconception(
        "dropout-ignored",
        "Nothing is dropped in training. Is the mask applied, and does what follows use the result "
        "of that?",
        sections.MASK,
        {"rate": lambda keep_prob: 1.0, "scale": _no_scale},
    ),
    Misconception(
        "dropout-nothing-kept",
        "Your output in training is 0 everywhere, even at keep_prob = 1, where nothing may be "
        "dropped. Print what each line computes: which is the first that is 0 everywhere?",
        sections.MASK,
        {"rate": lambda keep_prob: 0.0},
    ),
    Misconception(
        "dropout-returns-mask",
        "Your output is the scaled mask. The mask multiplies the input, and that product is the "
        "output.",
        sections.MASK,
        {"apply": lambda x, mask, redrawn, scale: mask * scale + 0 * x},
    ),
    Misconception(
        "dropout-normal-noise",
        "Your mask compares normally distributed numbers with keep_prob. The comparison keeps the "
        "right share only for numbers that are uniform between 0 and 1.",
        sections.MASK,
        {"rate": _normal_below},
    ),
    Misconception(
        "dropout-coin-flip",
        "Your mask keeps half of the values, whatever keep_prob is. The draw has to be compared "
        "with keep_prob, or made with that probability.",
        sections.MASK,
        {"rate": lambda keep_prob: 0.5},
    ),
    Misconception(
        "dropout-one-draw",
        "One draw decides for all values at once: they are all kept or all dropped. Each element "
        "needs a draw of its own, so the shape of x belongs in the call.",
        sections.MASK,
        # One draw for all calls could not be told from keeping everything, or nothing.
        {"shared_by_rows": True, "shared_within_rows": True, "shared_by_calls": False},
    ),
    Misconception(
        "dropout-shared-mask",
        "All rows of the batch share one mask. Each element is kept or dropped on its own.",
        sections.MASK,
        {"shared_by_rows": True},
    ),
    Misconception(
        "dropout-row-mask",
        "All values of a row are kept or dropped together. Each element is kept or dropped on its "
        "own.",
        sections.MASK,
        {"shared_within_rows": True},
    ),
    Misconception(
        "dropout-fixed-seed",
        "Every call draws the same mask, so the same units are dropped for ever. Draw from the "
        "`rng` that is passed in and do not seed inside the function.",
        sections.MASK,
        {"shared_by_calls": True},
    ),
    Misconception(
        "dropout-ignores-rng",
        "Your mask does not come from `rng`: an equal generator gives another mask. Whoever passes "
        "a generator wants to be able to repeat a run.",
        sections.MASK,
        {"replays": False},
    ),
)


FORWARD = Task(
    name="dropout_forward",
    assignment=ASSIGNMENT,
    number=1,
    section=sections.SCALING,
    hints=(
        "A value is kept with probability `keep_prob`. What is the mean of the output over many "
        "masks, and what should it be?",
        "`rng.random(shape)` is uniform between 0 and 1. Try what you make of it on a million "
        "numbers, and not at 0.5: which comparison is true with probability `keep_prob`?",
        "Every element has a draw of its own, however many axes x has. What shape do you ask `rng`"
        " for?",
        "Put the scale into the mask, so that its mean is 1; then the output is one product, and "
        "the backward pass will want the same mask. Which two numbers does such a mask hold?",
        "Look at `keep_prob` before anything else: an impossible one is an error in both modes. In"
        " evaluation nothing is drawn, but the backward pass still has to learn from the cache "
        "what happened.",
    ),
    aspects=(
        Aspect("share of values kept", 2.0, (KEPT,), ("vector", "training")),
        Aspect("size of the survivors", 2.0, ("out",), ("training",)),
        Aspect(
            "each element on its own",
            1.5,
            (ROWS, CALLS, REPLAY, NEIGHBORS, SHIFTS, SEEN),
            ("vector", "training"),
        ),
        Aspect("evaluation mode", 1.5, ("out", KEPT), ("evaluation",)),
    ),
    draw=_draw,
    run=_run,
    reference=_reference,
    misconceptions=FORWARD_MISCONCEPTIONS,
    requirements=(
        Requirement(
            "dropout-accepts-bad-keep-prob",
            "refuses a keep_prob outside (0, 1]",
            "Raise a ValueError unless 0 < keep_prob <= 1: a probability of 0 divides by zero, and "
            "anything outside is a mistake of the caller that should not pass in silence.",
            REFUSED,
        ),
    ),
    read_draws=read_draws,
    simulate=simulate,
)
