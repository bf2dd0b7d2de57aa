"""Declare the task on dropout as a PyTorch module."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

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
from autograder.tasks.answers import NotObservedError, module_of
from autograder.tasks.dropout import ASSIGNMENT, sections
from autograder.tasks.dropout.cases import (
    VALUES,
    draw_from_few,
    draw_inputs,
    high_keep_prob,
    low_keep_prob,
)
from autograder.tasks.dropout.forward import FORWARD_MISCONCEPTIONS, inverse_of_dropped, swapped
from autograder.tasks.dropout.mask import (
    CALLS,
    KEPT,
    NEIGHBORS,
    REPLAY,
    ROWS,
    SHIFTS,
    dropout,
    read_draws,
    simulate,
)


def _draw(rng: np.random.Generator) -> list[Case]:
    frequencies = (KEPT, NEIGHBORS, ROWS, SHIFTS, CALLS, REPLAY)

    def inputs(shape: tuple[int, ...], keep_prob: float, **more: Any) -> dict[str, Any]:
        drawn = draw_inputs(rng, shape, keep_prob, **more)
        return {**drawn, "d_out": draw_from_few(rng, shape)}

    return [
        # This case is small, so that it rules out most known mistakes before the large cases run.
        # All cases have many rows: of few, a mask for each row as a whole may keep every one.
        Case("a matrix", inputs((160, 25), high_keep_prob(rng), frequencies=frequencies)),
        Case(
            "p above one half",
            inputs((VALUES // 250, 250), low_keep_prob(rng), frequencies=frequencies),
        ),
        Case(
            "p below one half, four dimensions",
            inputs((200, VALUES // 10_000, 5, 10), high_keep_prob(rng), frequencies=frequencies),
        ),
        Case("p = 0", inputs((6, 50), 1.0), "ends"),
        Case("p = 1", inputs((6, 50), 0.0), "ends"),
        Case("evaluation", inputs((40, 25), low_keep_prob(rng), training=False), "evaluation"),
        *(
            Case("an impossible p", inputs((2, 3), 1 - bad), REQUIRED)
            for bad in (-float(rng.uniform(0.1, 0.5)), float(rng.uniform(1.1, 1.5)))
        ),
    ]


def _reference(inputs: Inputs, **steps: Any) -> dict[str, Expected]:
    return dropout(inputs, **steps) if 0 <= inputs["keep_prob"] <= 1 else dict(IS_REFUSED)


def _run(student: Functions, inputs: Inputs) -> dict[str, Any]:
    with torch.random.fork_rng():
        torch.manual_seed(inputs["seed"])
        module = module_of("Dropout", student["Dropout"](1 - inputs["keep_prob"]))
        module.train(inputs["training"])
        x = torch.tensor(inputs["x"], requires_grad=True)
        torch.manual_seed(inputs["seed"])
        out, again = module(x), module(x)
        torch.manual_seed(inputs["seed"])
        replay = module(x)
    if not isinstance(out, Tensor):
        raise NotObservedError("`forward` should return one tensor.")
    if out.shape == x.shape and out.requires_grad:
        torch.autograd.backward((out * torch.tensor(inputs["d_out"])).sum())
    d_x = torch.zeros_like(x) if x.grad is None else x.grad
    return {"out": out, "again": again, "replay": replay, "d_x": d_x}


# These explain the mistakes of the forward pass for a module, which has p and no rng.
_EXPLANATIONS = {
    "dropout-keep-drop-swapped": "Your mask keeps a value with probability p. In PyTorch p is the "
    "probability to drop it.",
    "dropout-scale-swapped": "You divide the survivors by p. Which number makes up for the share "
    "that is lost on average?",
    "dropout-no-rescale": "You mask, but leave the survivors at their size. The next layer then "
    "gets less on average in training than in evaluation.",
    "dropout-vanilla": "You scale in evaluation instead of in training. PyTorch's dropout is "
    "inverted: evaluation returns its input unchanged.",
    "dropout-scaled-twice": "The survivors are divided by 1 − p twice. Is the mask scaled already "
    "when you apply it?",
    "dropout-scaled-in-eval": "In evaluation mode you multiply by 1 − p. All scaling is done in "
    "training; evaluation returns its input unchanged.",
    "dropout-divided-in-eval": "In evaluation mode you divide by 1 − p. Nothing was dropped there, "
    "so nothing needs to be made up for.",
    "dropout-unscaled-in-both": "You drop values in both modes and scale in neither. Evaluation "
    "returns its input unchanged, so training has to make up for the share that is lost.",
    "dropout-ignored": "Nothing is dropped in training. Is the mask applied, and does what "
    "follows use the result of that?",
    "dropout-nothing-kept": "Your output in training is 0 everywhere, even at p = 0, where nothing "
    "may be dropped. Print what each line computes: which is the first that is 0 everywhere?",
    "dropout-returns-mask": "Your output is the scaled mask. The mask multiplies the input, and "
    "that product is the output.",
    "dropout-normal-noise": "Your mask compares normally distributed numbers with a probability. "
    "The comparison keeps the right share only for numbers that are uniform between 0 and 1.",
    "dropout-coin-flip": "Your mask keeps half of the values, whatever p is. The draw has to be "
    "compared with a probability, or made with one.",
    "dropout-shared-mask": "All rows of the batch share one mask. Each element is kept or dropped "
    "on its own.",
    "dropout-row-mask": "All values of a row are kept or dropped together. Each element is kept "
    "or dropped on its own.",
    "dropout-fixed-seed": "Every call draws the same mask, so the same units are dropped for ever. "
    "Draw a new mask in every forward pass, and do not seed in it.",
}

_MISCONCEPTIONS = (
    Misconception(
        "module-p-is-keep",
        "You take p for the probability to keep a value. In PyTorch p is the probability to "
        "drop it.",
        sections.PYTORCH,
        {"rate": swapped, "scale": inverse_of_dropped},
    ),
    Misconception(
        "module-own-generator",
        "Your mask does not come from PyTorch's generator: after the same `torch.manual_seed` it "
        "is another one. Draw it with torch, so that whoever seeds torch can repeat a run.",
        sections.PYTORCH,
        {"replays": False},
    ),
    Misconception(
        "module-ignores-eval",
        "Your module drops values in evaluation mode too. `model.eval()` sets `self.training` "
        "to False; look at it in `forward`.",
        sections.MODES,
        {"masks_in_evaluation": True},
    ),
    Misconception(
        "dropout-keep-zero",
        "With p = 1 you divide 0 by 0. Nothing survives then, and nothing has to be made up "
        "for: the output is 0.",
        sections.PYTORCH,
        {"scale": lambda keep_prob: 1 / keep_prob if keep_prob > 0 else math.nan},
    ),
    *(
        replace(one, explanation=_EXPLANATIONS[one.id])
        for one in FORWARD_MISCONCEPTIONS
        if one.id in _EXPLANATIONS
    ),
)

MODULE = Task(
    name="Dropout",
    assignment=ASSIGNMENT,
    number=3,
    section=sections.PYTORCH,
    hints=(
        "What is known once the layer is made, and what is new in each forward pass?",
        "Every module has an attribute `self.training`. `torch.rand_like(x)` is uniform between 0 "
        "and 1. How does such a number decide about one element?",
        "PyTorch's p is the probability to drop. What is the probability to keep, and by which of "
        "the two do you divide?",
        "What happens to your scale when p is 1? Nothing survives then, so nothing has to be "
        "scaled. An impossible p is an error in `__init__` already.",
    ),
    aspects=(
        Aspect("share of values kept", 1.5, (KEPT,), ("training",)),
        Aspect("size of the survivors", 1.0, ("out",), ("training",)),
        Aspect(
            "each element on its own", 1.0, (ROWS, CALLS, REPLAY, NEIGHBORS, SHIFTS), ("training",)
        ),
        Aspect("gradient", 0.75, ("d_x",), ("training",)),
        Aspect("p = 0 and p = 1", 0.5, ("out", KEPT), ("ends",)),
        Aspect("evaluation mode", 1.25, ("out", "d_x", KEPT), ("evaluation",)),
    ),
    draw=_draw,
    run=_run,
    reference=_reference,
    misconceptions=_MISCONCEPTIONS,
    framework="torch",
    forbidden=("dropout",),
    requirements=(
        Requirement(
            "module-accepts-bad-p",
            "refuses a p outside [0, 1]",
            "Raise a ValueError in `__init__` unless 0 <= p <= 1, as nn.Dropout does.",
            REFUSED,
        ),
    ),
    read_draws=read_draws,
    simulate=simulate,
)
