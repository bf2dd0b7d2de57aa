"""The tasks on dropout (Srivastava et al. 2014, https://jmlr.org/papers/v15/srivastava14a.html).

No mask is compared with another: any way of drawing it that obeys the law is right.  The mask is
read off the student's own output.  Given the mask the numbers are exact, and the mask itself is
counted: how much it keeps, and whether neighbors, rows and calls are independent.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
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
    ObservedDraws,
    Outputs,
    Probability,
    Requirement,
    Scaled,
    Task,
)
from autograder.tasks.answers import NotObservedError, unpack
from autograder.tasks.dropout import ASSIGNMENT
from autograder.tasks.dropout.sections import BACKWARD as DROPOUT_BACKWARD
from autograder.tasks.dropout.sections import MASK as DROPOUT_MASK
from autograder.tasks.dropout.sections import MODES as DROPOUT_MODES
from autograder.tasks.dropout.sections import MONTE_CARLO as DROPOUT_MONTE_CARLO
from autograder.tasks.dropout.sections import PYTORCH as DROPOUT_PYTORCH
from autograder.tasks.dropout.sections import SCALING as DROPOUT_SCALING

# The laws of a mask, each a fraction that is counted.
KEPT = "fraction of values kept"
NEIGHBORS = "fraction of neighbors that share one fate"
ROWS = "fraction of values that share the fate of the next row"
CALLS = "fraction of values with the same fate in a second call"
REPLAY = "fraction of values with the same fate under an equal generator"
PASSED = "fraction of gradients that pass where x is not 0"
PASSED_AT_ZERO = "fraction of gradients that pass where x is 0"

Mask = NDArray[np.bool_]

VALUES = 100_000
"""Values in a case that is counted: enough to tell a rate that is off by 0.02 from chance."""


def _apply(x: Tensor, mask: Tensor, redrawn: Tensor, scale: float) -> Tensor:
    return x * mask * scale


def _apply_in_evaluation(x: Tensor, keep_prob: float) -> Tensor:
    return x * 1.0


def _same(rate: float) -> float:
    return rate


def _inverse(keep_prob: float) -> float:
    # torch.nn.Dropout(1) keeps nothing and returns zeros, not 0 / 0.
    return 1 / keep_prob if keep_prob > 0 else 0.0


def _dropout(
    inputs: Inputs,
    *,
    rate: Callable[[float], float] = _same,
    scale: Callable[[float], float] = _inverse,
    apply: Callable[..., Tensor] = _apply,
    passed: Callable[[float], float] = _same,
    passed_at_zero: Callable[[float], float] = _same,
    masks_in_evaluation: bool = False,
    apply_in_evaluation: Callable[[Tensor, float], Tensor] = _apply_in_evaluation,
    neighbors_alike: bool = False,
    rows_alike: bool = False,
    calls_alike: bool = False,
    replays: bool = True,
) -> dict[str, Expected]:
    """Return output and gradient given the mask that was drawn, and the laws of that mask.

    A known mistake says nothing about an output that it leaves open.
    """
    keep_prob = inputs["keep_prob"]
    x = torch.tensor(inputs["x"], requires_grad=True)
    if math.isinf(scale(keep_prob)) or (scale(keep_prob) == 0 and rate(keep_prob) > 0):
        # Values divided by 0: Python raises where NumPy goes on, so nothing can be said.
        return {}
    mask, redrawn = torch.tensor(inputs["mask"]), torch.tensor(inputs["redrawn"])
    if rate(keep_prob) > 0 and not mask[x != 0].any():
        # An output of zeros must not agree with a mask of zeros.
        mask = torch.ones_like(mask)
    if inputs["training"] or masks_in_evaluation:
        probability = rate(keep_prob)
        out = apply(x, mask, redrawn, scale(keep_prob))
    else:
        probability = 1.0
        out = apply_in_evaluation(x, keep_prob)
    alike = probability**2 + (1 - probability) ** 2
    laws = {
        KEPT: probability,
        NEIGHBORS: alike,
        ROWS: alike,
        CALLS: 1.0 if calls_alike else alike,
        REPLAY: 1.0 if replays else alike,
        PASSED: passed(probability),
        PASSED_AT_ZERO: passed_at_zero(probability),
    }
    one_row_only = calls_alike if inputs.get("row_by_row") else rows_alike
    if one_row_only or neighbors_alike:
        if x.ndim == 1:
            return {}
        # One row or column repeated is too small a sample for any law but this one.
        laws = {ROWS: 1.0} if one_row_only else {NEIGHBORS: 1.0}
    expected: dict[str, Expected] = {
        name: Probability(laws[name])
        for name in inputs["laws"]
        # In what is not a number no mask can be seen.
        if name in laws and not math.isnan(scale(keep_prob))
    }
    expected["out"] = out.detach().numpy()
    if "d_out" in inputs:
        (d_x,) = torch.autograd.grad((out * torch.tensor(inputs["d_out"])).sum(), x)
        expected["d_x"] = d_x.numpy()
    return expected


# Reading the mask off the output.


def _pairs(mask: Mask) -> Mask:
    """Compare disjoint pairs along the first axis, so that the comparisons are independent."""
    even = len(mask) // 2 * 2
    return np.asarray(mask[0:even:2] == mask[1:even:2])


def _count(events: Mask) -> NDArray[Any]:
    return np.array([events.sum(), events.size], dtype=float)


def _count_draws(events: Mask, where: Mask) -> NDArray[Any]:
    """Count events in some places; where all along an axis share a fate, they are one event.

    Whether elements may share a fate is another question than how many survive, and one draw that
    is counted many times would be taken for a wrong rate whenever chance wants it.
    """
    found = events & where
    if len(np.unique(events[where])) < 2:
        return _count(found[where])
    for axis in range(events.ndim):
        some = np.asarray(found.any(axis, keepdims=True))
        if not (some & where & ~found).any():
            found, where = some, np.asarray(where.any(axis, keepdims=True))
    return _count(found[where])


def _randomness(inputs: Inputs, outputs: Outputs) -> ObservedDraws:
    """Read the mask off an output, and count what its laws speak of."""
    x = inputs["x"]
    visible = x != 0
    everything = np.ones(x.shape, dtype=bool)

    def survivors(name: str) -> Mask | None:
        array = outputs.get(name)
        if array is None or array.shape != x.shape or array.dtype != np.float64:
            return None
        return np.asarray(array != 0) if np.isfinite(array).all() else None

    mask = survivors("out")
    if mask is None:
        return ObservedDraws({"mask": everything, "redrawn": everything}, {})
    counts = {KEPT: _count_draws(mask, visible)}
    if visible.all():
        counts |= {NEIGHBORS: _count(_pairs(np.moveaxis(mask, -1, 0))), ROWS: _count(_pairs(mask))}
    for name, law in (("again", CALLS), ("replay", REPLAY)):
        other = survivors(name)
        if other is not None:
            counts[law] = _count(other == mask)
    redrawn = survivors("d_x")
    if redrawn is None:
        redrawn = everything
    else:
        counts |= {
            PASSED: _count_draws(redrawn, visible),
            PASSED_AT_ZERO: _count_draws(redrawn, ~visible),
        }
    # Where x is 0 the output does not show the mask, but the gradient does.
    mask = np.where(visible, mask, redrawn)
    return ObservedDraws({"mask": mask, "redrawn": redrawn}, counts)


def _simulate(inputs: Inputs, rng: np.random.Generator, **steps: Any) -> Outputs:
    """Return what a program with these steps gives, its masks drawn from `rng`."""
    x, keep_prob = inputs["x"], inputs["keep_prob"]
    masked = inputs["training"] or steps.get("masks_in_evaluation", False)
    rate = steps.get("rate", _same)(keep_prob) if masked else 1.0
    drawn = list(x.shape)
    if steps.get("rows_alike"):
        drawn[0] = 1
    if steps.get("neighbors_alike"):
        drawn[1:] = [1] * (x.ndim - 1)
    if inputs.get("row_by_row") and steps.get("calls_alike"):
        drawn[0] = 1
    elif inputs.get("row_by_row") and steps.get("rows_alike"):
        drawn[0] = len(x)
    if x.ndim == 1 and (steps.get("rows_alike") or steps.get("neighbors_alike")):
        drawn = [1]

    def mask() -> Mask:
        return np.broadcast_to(rng.random(drawn) < rate, x.shape)

    def output(mask: Mask, redrawn: Mask) -> dict[str, Expected]:
        return _dropout({**inputs, "mask": mask, "redrawn": redrawn}, **steps)

    first = mask()
    # Where x is 0 nothing but the gradient shows the mask.
    at_zero = rng.random(x.shape) < steps.get("passed_at_zero", _same)(rate)
    given = output(np.where(x != 0, first, at_zero), np.where(x != 0, mask(), at_zero))
    outputs = {
        name: given.get(name, np.full(x.shape, np.nan))
        for name in ("out", "d_x")
        if name == "out" or "d_out" in inputs
    }
    if CALLS in inputs["laws"]:
        again = first if steps.get("calls_alike") else mask()
        outputs["again"] = output(again, again).get("out", outputs["out"])
        replay = first if steps.get("replays", True) else mask()
        outputs["replay"] = output(replay, replay).get("out", outputs["out"])
    return {name: array for name, array in outputs.items() if isinstance(array, np.ndarray)}


# The known mistakes.


def _swapped(keep_prob: float) -> float:
    return 1 - keep_prob


def _inverse_of_dropped(keep_prob: float) -> float:
    return 1 / (1 - keep_prob) if keep_prob < 1 else math.inf


def _normal_below(keep_prob: float) -> float:
    return 0.5 * (1 + math.erf(keep_prob / math.sqrt(2)))


FORWARD_MISCONCEPTIONS = (
    Misconception(
        "dropout-keep-drop-swapped",
        "Your mask keeps a value with probability 1 − keep_prob. At keep_prob = 0.5 nobody sees "
        "the difference; everywhere else keep and drop have changed places.",
        DROPOUT_MASK,
        {"rate": _swapped},
    ),
    Misconception(
        "dropout-scale-swapped",
        "You divide the survivors by 1 − keep_prob. Which number makes up for the share that is "
        "lost on average?",
        DROPOUT_SCALING,
        {"scale": _inverse_of_dropped},
    ),
    Misconception(
        "dropout-no-rescale",
        "You mask, but leave the survivors at their size. The next layer then gets less on average "
        "in training than in evaluation.",
        DROPOUT_SCALING,
        {"scale": lambda keep_prob: 1.0},
    ),
    Misconception(
        "dropout-vanilla",
        "You scale in evaluation instead of in training. That is consistent, and it is what the "
        "first paper did, but inverted dropout was asked: evaluation returns its input unchanged.",
        DROPOUT_SCALING,
        {
            "scale": lambda keep_prob: 1.0,
            "apply_in_evaluation": lambda x, keep_prob: x * keep_prob,
        },
    ),
    Misconception(
        "dropout-scaled-twice",
        "The survivors are divided by keep_prob twice. Is the mask scaled already when you apply "
        "it?",
        DROPOUT_SCALING,
        {"scale": lambda keep_prob: _inverse(keep_prob) ** 2},
    ),
    Misconception(
        "dropout-active-in-eval",
        "You drop values in evaluation mode too. There the network has to give its one "
        "deterministic answer.",
        DROPOUT_MODES,
        {"masks_in_evaluation": True},
    ),
    Misconception(
        "dropout-scaled-in-eval",
        "In evaluation mode you multiply by keep_prob. Inverted dropout has done all scaling in "
        "training; evaluation returns its input unchanged.",
        DROPOUT_MODES,
        {"apply_in_evaluation": lambda x, keep_prob: x * keep_prob},
    ),
    Misconception(
        "dropout-divided-in-eval",
        "In evaluation mode you divide by keep_prob. Nothing was dropped there, so nothing needs "
        "to be made up for.",
        DROPOUT_MODES,
        {"apply_in_evaluation": lambda x, keep_prob: x / keep_prob},
    ),
    Misconception(
        "dropout-normal-noise",
        "Your mask compares normally distributed numbers with keep_prob. The comparison keeps the "
        "right share only for numbers that are uniform between 0 and 1.",
        DROPOUT_MASK,
        {"rate": _normal_below},
    ),
    Misconception(
        "dropout-shared-mask",
        "All rows of the batch share one mask. Each element is kept or dropped on its own.",
        DROPOUT_MASK,
        {"rows_alike": True},
    ),
    Misconception(
        "dropout-row-mask",
        "All values of a row share one fate: a row is kept or dropped as a whole. Each element is "
        "kept or dropped on its own.",
        DROPOUT_MASK,
        {"neighbors_alike": True},
    ),
    Misconception(
        "dropout-fixed-seed",
        "Every call draws the same mask, so the same units are dropped for ever. Draw from the "
        "`rng` that is passed in and do not seed inside the function.",
        DROPOUT_MASK,
        {"calls_alike": True},
    ),
    Misconception(
        "dropout-ignores-rng",
        "Your mask does not come from `rng`: an equal generator gives another mask. Whoever passes "
        "a generator wants to be able to repeat a run.",
        DROPOUT_MASK,
        {"replays": False},
    ),
)

BACKWARD_MISCONCEPTIONS = (
    Misconception(
        "dropout-backward-no-mask",
        "You pass d_out through unchanged. A value that was dropped had no influence on the "
        "output, so it gets no gradient, and the survivors were scaled.",
        DROPOUT_BACKWARD,
        {
            "apply": lambda x, mask, redrawn, scale: (x * mask * scale).detach() + x - x.detach(),
            "passed": lambda rate: 1.0,
            "passed_at_zero": lambda rate: 1.0,
        },
    ),
    Misconception(
        "dropout-backward-no-mask-scaled",
        "You scale d_out but do not mask it. A value that was dropped had no influence on the "
        "output, so it gets no gradient.",
        DROPOUT_BACKWARD,
        {
            "apply": lambda x, mask, redrawn, scale: (
                (x * mask * scale).detach() + (x - x.detach()) * scale
            ),
            "passed": lambda rate: 1.0,
            "passed_at_zero": lambda rate: 1.0,
        },
    ),
    Misconception(
        "dropout-backward-no-scale",
        "You mask d_out but do not scale it. The forward pass multiplied the survivors by a "
        "factor, and the gradient goes through that factor.",
        DROPOUT_BACKWARD,
        {
            "apply": lambda x, mask, redrawn, scale: (
                (x * mask * scale).detach() + (x - x.detach()) * mask
            )
        },
    ),
    Misconception(
        "dropout-backward-new-mask",
        "Your backward pass draws a mask of its own. The gradient belongs to the mask of the "
        "forward pass; keep that one in the cache.",
        DROPOUT_BACKWARD,
        {
            "apply": lambda x, mask, redrawn, scale: (
                (x * mask * scale).detach() + (x - x.detach()) * redrawn * scale
            )
        },
    ),
    Misconception(
        "dropout-backward-mask-from-output",
        "You seem to take the mask from where the output is not 0. An input that was 0 and kept "
        "looks the same as one that was dropped, but its gradient does pass.",
        DROPOUT_BACKWARD,
        {"passed_at_zero": lambda rate: 0.0},
    ),
    Misconception(
        "dropout-backward-scaled-in-eval",
        "After a forward pass in evaluation mode you divide by keep_prob. There the output is the "
        "input, so the gradient passes unchanged.",
        DROPOUT_MODES,
        {"apply_in_evaluation": lambda x, keep_prob: x.detach() + (x - x.detach()) / keep_prob},
    ),
)


# How the functions are tried.


def _run_forward(student: Functions, inputs: Inputs) -> dict[str, Any]:
    def forward(x: NDArray[Any], rng: np.random.Generator) -> Any:
        returned = student["dropout_forward"](x, inputs["keep_prob"], inputs["training"], rng)
        out, _cache = unpack("dropout_forward", returned, ("out", "cache"))
        return out

    x, seed = inputs["x"], inputs["seed"]
    rng = np.random.default_rng(seed)
    if inputs.get("row_by_row"):
        return {"out": np.concatenate([forward(row[None], rng) for row in x])}
    outputs = {"out": forward(x, rng)}
    if CALLS in inputs["laws"]:
        outputs["again"] = forward(x, rng)
        outputs["replay"] = forward(x, np.random.default_rng(seed))
    return outputs


def _run_backward(student: Functions, inputs: Inputs) -> dict[str, Any]:
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


def _refuses(function: Callable[..., object], *arguments: object) -> bool:
    try:
        function(*arguments)
    except ValueError:
        return True
    return False


def _refuses_bad_keep_prob(student: Functions) -> bool:
    rng = np.random.default_rng(0)
    forward = student["dropout_forward"]
    return all(
        _refuses(forward, np.ones((2, 3)), bad, training, rng)
        for bad in (0.0, -0.2, 1.2)
        for training in (True, False)
    )


# The cases.


def _nonzero(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[Any]:
    return rng.choice([-1.0, 1.0], shape) * rng.uniform(0.5, 2.0, shape)


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(2**32))


def _inputs(
    rng: np.random.Generator,
    shape: tuple[int, ...],
    keep_prob: float,
    laws: tuple[str, ...] = (KEPT,),
    *,
    training: bool = True,
    **more: Any,
) -> dict[str, Any]:
    return {
        "x": _nonzero(rng, shape),
        "keep_prob": keep_prob,
        "training": training,
        "seed": _seed(rng),
        "laws": laws,
        **more,
    }


def _low(rng: np.random.Generator) -> float:
    return float(rng.uniform(0.25, 0.4))


def _high(rng: np.random.Generator) -> float:
    return float(rng.uniform(0.6, 0.85))


def _draw_forward(rng: np.random.Generator) -> list[Case]:
    laws = (KEPT, NEIGHBORS, ROWS, CALLS, REPLAY)
    return [
        # Small, so that most known mistakes are ruled out before the large ones.
        # One mask for all rows is a single draw here, which may leave nothing to see the size of.
        Case("a vector", _inputs(rng, (4000,), _high(rng), laws), "vector"),
        Case("keep_prob below one half", _inputs(rng, (VALUES // 250, 250), _low(rng), laws)),
        Case(
            "keep_prob above one half, four dimensions",
            _inputs(rng, (20, VALUES // 10_000, 20, 25), _high(rng), laws),
        ),
        Case(
            "one row in each of many calls",
            _inputs(rng, (1200, 6), _high(rng), (KEPT, NEIGHBORS, ROWS), row_by_row=True),
        ),
        Case("keep_prob = 1", _inputs(rng, (6, 5), 1.0)),
        Case("evaluation", _inputs(rng, (40, 25), _low(rng), training=False), "evaluation"),
        Case(
            "evaluation, four dimensions",
            _inputs(rng, (4, 5, 10, 5), _high(rng), training=False),
            "evaluation",
        ),
    ]


def _draw_backward(rng: np.random.Generator) -> list[Case]:
    def inputs(shape: tuple[int, ...], keep_prob: float, **more: Any) -> dict[str, Any]:
        drawn = _inputs(rng, shape, keep_prob, (KEPT, PASSED, PASSED_AT_ZERO), **more)
        # Half the inputs are 0, as after a ReLU.
        drawn["x"] *= rng.random(shape) < 0.5
        return {**drawn, "d_out": _nonzero(rng, shape)}

    return [
        Case("keep_prob below one half", inputs((100, 50), _low(rng))),
        Case("keep_prob above one half, four dimensions", inputs((25, 4, 5, 10), _high(rng))),
        Case("keep_prob = 1", inputs((10, 5), 1.0)),
        Case(
            "after an evaluation forward",
            inputs((40, 50), _low(rng), training=False),
            "evaluation",
        ),
    ]


FORWARD = Task(
    name="dropout_forward",
    assignment=ASSIGNMENT,
    number=1,
    section=DROPOUT_SCALING,
    hints=(
        "A value is kept with probability `keep_prob`. What is the mean of the output over many "
        "masks, and what should it be?",
        "`rng.random(shape)` is uniform between 0 and 1. Which comparison is true with probability"
        " `keep_prob`? Try it on a million numbers before you build on it, and not at 0.5.",
        "Every element has a draw of its own, however many axes x has. What shape do you ask `rng`"
        " for?",
        "Put the scale into the mask, so that its mean is 1; then the output is one product, and "
        "the backward pass will want the same mask.",
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
            (ROWS, CALLS, REPLAY, NEIGHBORS),
            ("vector", "training"),
        ),
        Aspect("evaluation mode", 1.5, ("out", KEPT), ("evaluation",)),
    ),
    draw=_draw_forward,
    run=_run_forward,
    reference=_dropout,
    misconceptions=FORWARD_MISCONCEPTIONS,
    requirements=(
        Requirement(
            "dropout-accepts-bad-keep-prob",
            "refuses a keep_prob outside (0, 1]",
            "Raise a ValueError unless 0 < keep_prob <= 1: a probability of 0 divides by zero, and "
            "anything outside is a mistake of the caller that should not pass in silence.",
            _refuses_bad_keep_prob,
        ),
    ),
    read_draws=_randomness,
    simulate=_simulate,
)

BACKWARD = Task(
    name="dropout_backward",
    assignment=ASSIGNMENT,
    number=2,
    section=DROPOUT_BACKWARD,
    hints=(
        "Once the mask is drawn, by which number is each element multiplied? What is the "
        "derivative of such a product?",
        "What must the forward pass remember? The output alone is not enough: after a ReLU many "
        "inputs are 0 already, and a kept 0 looks like a dropped one.",
        "An element that was dropped did not reach the output, so no gradient reaches it. One that"
        " was kept was scaled, and so is its gradient. Draw nothing again.",
        "After evaluation the gradient passes as it is. With which mask would that come out by "
        "itself? If the forward pass puts it into the cache, the two modes need no distinction "
        "here.",
    ),
    aspects=(
        Aspect("d_x in training", 4.5, ("d_x", PASSED, PASSED_AT_ZERO), ("training",)),
        Aspect("d_x after an evaluation forward", 1.5, ("d_x",), ("evaluation",)),
    ),
    draw=_draw_backward,
    run=_run_backward,
    reference=_dropout,
    misconceptions=BACKWARD_MISCONCEPTIONS,
    depends_on=("dropout_forward",),
    read_draws=_randomness,
    simulate=_simulate,
    forward_task=FORWARD,
)


# The module.


def _run_module(student: Functions, inputs: Inputs) -> dict[str, Any]:
    with torch.random.fork_rng():
        torch.manual_seed(inputs["seed"])
        module = student["Dropout"](1 - inputs["keep_prob"])
        if not isinstance(module, nn.Module):
            raise NotObservedError("`Dropout` is not an nn.Module. Derive it from nn.Module.")
        module.train(inputs["training"])
        x = torch.tensor(inputs["x"], requires_grad=True)
        out, again = module(x), module(x)
    if not isinstance(out, Tensor):
        raise NotObservedError("`forward` should return one tensor.")
    if out.shape == x.shape and out.requires_grad:
        torch.autograd.backward((out * torch.tensor(inputs["d_out"])).sum())
    d_x = torch.zeros_like(x) if x.grad is None else x.grad
    return {"out": out, "again": again, "d_x": d_x}


def _draw_module(rng: np.random.Generator) -> list[Case]:
    laws = (KEPT, NEIGHBORS, ROWS, CALLS)

    def inputs(shape: tuple[int, ...], keep_prob: float, **more: Any) -> dict[str, Any]:
        drawn = _inputs(rng, shape, keep_prob, **more)
        return {**drawn, "d_out": _nonzero(rng, shape)}

    return [
        # Small, so that most known mistakes are ruled out before the large ones.
        Case("a matrix", inputs((80, 50), _high(rng), laws=laws)),
        Case("p above one half", inputs((VALUES // 250, 250), _low(rng), laws=laws)),
        Case(
            "p below one half, four dimensions",
            inputs((20, VALUES // 10_000, 20, 25), _high(rng), laws=laws),
        ),
        Case("p = 0", inputs((6, 50), 1.0), "ends"),
        Case("p = 1", inputs((6, 50), 0.0), "ends"),
        Case("evaluation", inputs((40, 25), _low(rng), training=False), "evaluation"),
    ]


def _refuses_bad_p(student: Functions) -> bool:
    return all(_refuses(student["Dropout"], p) for p in (-0.1, 1.1))


# The mistakes of the forward pass in the words of a module, which has p and no rng.
MODULE_EXPLANATIONS = {
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
    "dropout-normal-noise": "Your mask compares normally distributed numbers with a probability. "
    "The comparison keeps the right share only for numbers that are uniform between 0 and 1.",
    "dropout-shared-mask": "All rows of the batch share one mask. Each element is kept or dropped "
    "on its own.",
    "dropout-row-mask": "All values of a row share one fate: a row is kept or dropped as a whole. "
    "Each element is kept or dropped on its own.",
    "dropout-fixed-seed": "Every call draws the same mask, so the same units are dropped for ever. "
    "Draw a new mask in every forward pass, and do not seed in it.",
}

MODULE = Task(
    name="Dropout",
    assignment=ASSIGNMENT,
    number=3,
    section=DROPOUT_PYTORCH,
    hints=(
        "What is known once the layer is made, and what is new in each forward pass?",
        "Every module has an attribute `self.training`. `torch.rand_like(x)` is uniform between 0 "
        "and 1.",
        "PyTorch's p is the probability to drop. What is the probability to keep, and by which of "
        "the two do you divide?",
        "What happens to your scale when p is 1? Nothing survives then, so nothing has to be "
        "scaled. An impossible p is an error in `__init__` already.",
    ),
    aspects=(
        Aspect("share of values kept", 1.5, (KEPT,), ("training",)),
        Aspect("size of the survivors", 1.0, ("out",), ("training",)),
        Aspect("each element on its own", 1.0, (ROWS, CALLS, NEIGHBORS), ("training",)),
        Aspect("gradient", 0.75, ("d_x",), ("training",)),
        Aspect("p = 0 and p = 1", 0.5, ("out", KEPT), ("ends",)),
        Aspect("evaluation mode", 1.25, ("out", "d_x", KEPT), ("evaluation",)),
    ),
    draw=_draw_module,
    run=_run_module,
    reference=_dropout,
    misconceptions=(
        Misconception(
            "module-p-is-keep",
            "You take p for the probability to keep a value. In PyTorch p is the probability to "
            "drop it.",
            DROPOUT_PYTORCH,
            {"rate": _swapped, "scale": _inverse_of_dropped},
        ),
        Misconception(
            "module-ignores-eval",
            "Your module drops values in evaluation mode too. `model.eval()` sets `self.training` "
            "to False; look at it in `forward`.",
            DROPOUT_MODES,
            {"masks_in_evaluation": True},
        ),
        Misconception(
            "dropout-keep-zero",
            "With p = 1 you divide 0 by 0. Nothing survives then, and nothing has to be made up "
            "for: the output is 0.",
            DROPOUT_PYTORCH,
            {"scale": lambda keep_prob: 1 / keep_prob if keep_prob > 0 else math.nan},
        ),
        *(
            replace(one, explanation=MODULE_EXPLANATIONS[one.id])
            for one in FORWARD_MISCONCEPTIONS
            if one.id in MODULE_EXPLANATIONS
        ),
    ),
    framework="torch",
    forbidden=("dropout",),
    requirements=(
        Requirement(
            "module-accepts-bad-p",
            "refuses a p outside [0, 1]",
            "Raise a ValueError in `__init__` unless 0 <= p <= 1, as nn.Dropout does.",
            _refuses_bad_p,
        ),
    ),
    read_draws=_randomness,
    simulate=_simulate,
)


# Monte Carlo dropout (Gal and Ghahramani 2016, https://arxiv.org/abs/1506.02142).
#
# The network has a single hidden unit that dropout can drop.  The mean over the samples then tells
# how often it was kept, and from that follows the standard deviation, exactly.

SAMPLES_KEPT = "fraction of samples in which the unit is kept"
CONSTANT_ROWS = "fraction of rows whose samples are all alike"


class _Network(nn.Module):
    def __init__(self, inputs: Inputs) -> None:
        super().__init__()
        drop = 1 - inputs["keep_prob"]
        self.linear = nn.Linear(inputs["hidden"].shape[1], 1)
        # Nested, because a real network's dropout layers are not all children of its root.
        self.dropout = (
            nn.Sequential(nn.Unflatten(1, (1, 1)), nn.Dropout1d(drop), nn.Flatten())
            if inputs["spatial"]
            else nn.Sequential(nn.Dropout(drop))
        )
        self.output = nn.Linear(1, len(inputs["output"]))
        # The last one, for a walk through the modules that ends too early.
        self.norm = nn.BatchNorm1d(1)
        self.double().load_state_dict(
            {
                **self.state_dict(),
                "linear.weight": torch.tensor(inputs["hidden"]),
                "norm.running_mean": torch.tensor([inputs["running_mean"]]),
                "norm.running_var": torch.tensor([inputs["running_var"]]),
                "linear.bias": torch.zeros(1),
                "output.weight": torch.tensor(inputs["output"][:, None]),
                "output.bias": torch.tensor(inputs["bias"]),
            }
        )

    def unit(self, x: Tensor) -> Tensor:
        # Not only layers of PyTorch have a mode: this network looks at its own.
        return torch.sigmoid(self.norm(self.linear(x)) + float(self.training))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.output(self.dropout(self.unit(x)))
        return out


def _kept_and_dropped(
    inputs: Inputs, batch_norm_trains: bool = False, network_trains: bool = False
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return what the network gives, (N, C) each, with the hidden unit kept and dropped."""
    network = _Network(inputs).eval()
    network.norm.training, network.training = batch_norm_trains, network_trains
    with torch.no_grad():
        unit = network.unit(torch.tensor(inputs["x"]))
        kept = network.output(unit / inputs["keep_prob"])
        dropped = network.output(torch.zeros_like(unit))
    return np.asarray(kept), np.asarray(dropped)


def _shares(
    mean: NDArray[Any], kept: NDArray[Any], dropped: NDArray[Any], n_samples: int
) -> NDArray[Any]:
    """Return for each row the share of samples that kept the unit, (N, 1)."""
    share = (mean[:, :1] - dropped[:, :1]) / (kept - dropped)[:, :1]
    return np.asarray(np.clip(np.round(share * n_samples), 0, n_samples) / n_samples)


def _monte_carlo(
    inputs: Inputs,
    *,
    batch_norm_trains: bool = False,
    network_trains: bool = False,
    correction: int = 0,
    single_pass: bool = False,
    root: Callable[[NDArray[Any]], NDArray[Any]] = np.sqrt,
    stochastic: bool = True,
) -> dict[str, Expected]:
    """Return mean and standard deviation given how often the hidden unit was kept."""
    n_samples, keep_prob = inputs["n_samples"], inputs["keep_prob"]
    kept, dropped = _kept_and_dropped(inputs, batch_norm_trains, network_trains)
    share = _shares(inputs["mean"], kept, dropped, n_samples)
    mean = dropped + share * (kept - dropped)
    variance = share * (1 - share)
    if not stochastic:
        mean, variance = dropped + keep_prob * (kept - dropped), 0 * variance
    with np.errstate(all="ignore"):
        variance = variance * np.float64(n_samples) / (n_samples - correction)
    constant = keep_prob**n_samples + (1 - keep_prob) ** n_samples
    expected: dict[str, Expected] = {
        "mean": mean,
        # Through E[x²] − E[x]² the root makes 1e-8 out of a rounding error of 1e-16.
        "std": Scaled(
            root(variance * (kept - dropped) ** 2), 10 * np.maximum(abs(kept), abs(dropped))
        ),
    }
    # What is counted is read off with the right network, so of another it says nothing.
    if stochastic and not batch_norm_trains and not network_trains:
        expected[CONSTANT_ROWS] = Probability(1.0 if single_pass else constant)
        if not single_pass:
            expected[SAMPLES_KEPT] = Probability(keep_prob)
    return expected


def _monte_carlo_randomness(inputs: Inputs, outputs: Outputs) -> ObservedDraws:
    kept, dropped = _kept_and_dropped(inputs)
    mean = outputs.get("mean")
    if (
        mean is None
        or mean.shape != kept.shape
        or mean.dtype != np.float64
        or not np.isfinite(mean).all()
    ):
        return ObservedDraws({"mean": kept}, {})
    counts = np.round(_shares(mean, kept, dropped, inputs["n_samples"]) * inputs["n_samples"])
    constant = (counts == 0) | (counts == inputs["n_samples"])
    return ObservedDraws(
        {"mean": mean},
        {
            SAMPLES_KEPT: np.array([counts.sum(), counts.size * inputs["n_samples"]]),
            CONSTANT_ROWS: _count(constant),
        },
    )


def _simulate_monte_carlo(inputs: Inputs, rng: np.random.Generator, **steps: Any) -> Outputs:
    """Return what a program with these steps gives, its masks drawn from `rng`."""
    modes = {name: steps[name] for name in ("batch_norm_trains", "network_trains") if name in steps}
    kept, dropped = _kept_and_dropped(inputs, **modes)
    n_samples, rows = inputs["n_samples"], (len(kept), 1)
    different = 1 if steps.get("single_pass") else n_samples
    share = rng.binomial(different, inputs["keep_prob"], rows) / different
    given = _monte_carlo({**inputs, "mean": dropped + share * (kept - dropped)}, **steps)
    mean, std = given["mean"], given["std"]
    assert isinstance(mean, np.ndarray)
    assert isinstance(std, Scaled)
    return {"mean": mean, "std": std.value}


def _run_monte_carlo(student: Functions, inputs: Inputs) -> dict[str, Any]:
    network = _Network(inputs).train()
    with torch.random.fork_rng():
        torch.manual_seed(inputs["seed"])
        returned = student["monte_carlo_predict"](
            network, torch.tensor(inputs["x"]), inputs["n_samples"]
        )
    mean, std = unpack("monte_carlo_predict", returned, ("mean", "std"))
    return {"mean": mean, "std": std}


def _draw_monte_carlo(rng: np.random.Generator) -> list[Case]:
    def inputs(rows: int, n_samples: int, spatial: bool = False) -> dict[str, Any]:
        return {
            "x": rng.standard_normal((rows, 4)),
            "hidden": rng.standard_normal((1, 4)),
            "output": _nonzero(rng, (3,)),
            "bias": _nonzero(rng, (3,)),
            "running_mean": float(rng.uniform(0.5, 1.0)),
            "running_var": float(rng.uniform(2.0, 4.0)),
            "keep_prob": _low(rng) if rng.random() < 0.5 else _high(rng),
            "n_samples": n_samples,
            "spatial": spatial,
            "seed": _seed(rng),
        }

    return [
        Case("twenty samples", inputs(300, 20)),
        Case("a single sample", inputs(300, 1)),
        Case("nn.Dropout1d", inputs(300, 20, spatial=True), "spatial"),
    ]


def _mixed_modes() -> nn.Sequential:
    frozen_norm = nn.BatchNorm1d(4)
    dropout_off = nn.Dropout(0.6)
    network = nn.Sequential(
        nn.Linear(3, 4),
        frozen_norm,
        nn.Dropout(0.3),
        nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), dropout_off),
        nn.Linear(4, 2),
    ).train()
    # Modes of single layers are set on purpose, and a caller relies on them.
    frozen_norm.eval()
    dropout_off.eval()
    return network


def _restores_modes(student: Functions) -> bool:
    for network in (_mixed_modes(), _mixed_modes().eval()):
        before = [module.training for module in network.modules()]
        student["monte_carlo_predict"](network, torch.ones(2, 3), 3)
        if [module.training for module in network.modules()] != before:
            return False
    return True


def _keeps_buffers(student: Functions) -> bool:
    network = _mixed_modes()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    student["monte_carlo_predict"](network, torch.ones(2, 3), 3)
    return all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


MONTE_CARLO = Task(
    name="monte_carlo_predict",
    assignment=ASSIGNMENT,
    number=4,
    section=DROPOUT_MONTE_CARLO,
    hints=(
        "Which layers have to be in training mode here? What would batch norm in training mode do "
        "to the predictions, and to the model you were lent?",
        "`model.modules()` walks through all layers, nested ones included, and each has its own "
        "`training`. Note them all before you touch any.",
        "`isinstance` tells the dropout layers from the rest, all kinds at once. `module.training "
        "= ...` changes one module; `module.train()` changes all that are inside it as well.",
        "Every sample is a forward pass of its own, and no graph is needed for it. `torch.stack` "
        "makes one tensor of a list of them; mean and `std` are taken over its first axis.",
        "Put every mode back at the end, from your notes; in a `finally`, so that it happens even "
        "if the model raises. The standard deviation of a population has `correction=0`.",
    ),
    aspects=(
        Aspect("mean", 2.0, ("mean",), ("training",)),
        Aspect("standard deviation", 2.0, ("std",), ("training",)),
        Aspect("a fresh mask in every pass", 1.25, (SAMPLES_KEPT, CONSTANT_ROWS), ("training",)),
        Aspect(
            "other kinds of dropout layers",
            0.75,
            ("mean", "std", SAMPLES_KEPT, CONSTANT_ROWS),
            ("spatial",),
        ),
    ),
    draw=_draw_monte_carlo,
    run=_run_monte_carlo,
    reference=_monte_carlo,
    misconceptions=(
        Misconception(
            "mc-single-pass",
            "Your samples are one pass repeated: they do not differ. Every sample needs a forward "
            "pass of its own, with a fresh mask.",
            DROPOUT_MONTE_CARLO,
            {"single_pass": True},
        ),
        Misconception(
            "mc-dropout-off",
            "No value is dropped in your passes. Dropout layers drop only in training mode, and "
            "the model is in evaluation mode.",
            DROPOUT_MONTE_CARLO,
            {"stochastic": False},
        ),
        Misconception(
            "mc-batch-norm-in-training",
            "Batch norm uses the statistics of the batch in your passes. Only the dropout layers "
            "should be in training mode.",
            DROPOUT_MONTE_CARLO,
            {"batch_norm_trains": True, "network_trains": True},
        ),
        Misconception(
            "mc-others-in-training",
            "Batch norm is in evaluation mode in your passes, but the model itself is in training "
            "mode. Any module may look at its mode, so only the dropout layers should be in "
            "training.",
            DROPOUT_MONTE_CARLO,
            {"network_trains": True},
        ),
        Misconception(
            "mc-sample-std",
            "Your standard deviation divides by n_samples − 1. The population's was asked, "
            "`correction=0`, which exists for a single sample as well.",
            DROPOUT_MONTE_CARLO,
            {"correction": 1},
        ),
        Misconception(
            "mc-variance",
            "You return the variance over the samples. The standard deviation is its root, and has "
            "the unit of the predictions.",
            DROPOUT_MONTE_CARLO,
            {"root": lambda variance: variance},
        ),
    ),
    framework="torch",
    forbidden=(),
    requirements=(
        Requirement(
            "mc-leaves-mode",
            "leaves every module in the mode it was in",
            "After the call some module is in another mode than before. Note the mode of each "
            "module first and put it back at the end; a model need not be in one mode throughout.",
            _restores_modes,
        ),
        Requirement(
            "mc-changes-batch-norm",
            "leaves the running statistics as they are",
            "The running statistics of a batch norm layer have changed. Prediction must not train "
            "the model: only the dropout layers may be in training mode.",
            _keeps_buffers,
        ),
    ),
    read_draws=_monte_carlo_randomness,
    simulate=_simulate_monte_carlo,
)
