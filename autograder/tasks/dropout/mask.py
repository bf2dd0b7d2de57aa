"""Compute dropout for a given mask, read the mask off an output, and count what it keeps."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from autograder.task import Expected, Inputs, ObservedDraws, Outputs, Probability

# Each of these fractions is counted and compared with the frequency that is expected.
KEPT = "fraction of values kept"
NEIGHBORS = "fraction of neighbors with the same outcome"
ROWS = "fraction of values with the same outcome as in the next row"
SHIFTS = "fraction of shifts at which the mask repeats itself"
SEEN = "fraction of calls with a mask that came before"
CALLS = "fraction of values with the same outcome in a second call"
REPLAY = "fraction of values with the same outcome under an equal generator"
PASSED = "fraction of gradients that pass where x is not 0"
PASSED_AT_ZERO = "fraction of gradients that pass where x is 0"

_CHANCE = 1e-9
"""What is less probable than this does not happen by chance."""

Mask = NDArray[np.bool_]


def apply_mask(x: Tensor, mask: Tensor, redrawn: Tensor, scale: float) -> Tensor:
    """Return the output in training; only a mistake needs a mask that was drawn again."""
    return x * mask * scale


def _apply_in_evaluation(x: Tensor, keep_prob: float) -> Tensor:
    return x * 1.0


def same(rate: float) -> float:
    """Return the probability as it is."""
    return rate


def inverse(keep_prob: float) -> float:
    """Return the scale of the survivors."""
    # torch.nn.Dropout(1) keeps nothing and returns zeros, not 0 / 0.
    return 1 / keep_prob if keep_prob > 0 else 0.0


def is_undetermined(
    keep_prob: float, rate: Callable[[float], float], scale: Callable[[float], float]
) -> bool:
    """Return whether programs with these steps differ, because they divide by 0.

    Python raises there, and NumPy goes on.
    """
    return math.isinf(scale(keep_prob)) or (scale(keep_prob) == 0 and rate(keep_prob) > 0)


STEPS_OF_BATCH = frozenset({"scale", "apply", "masks_in_evaluation", "apply_in_evaluation"})
"""The names of the steps of `dropout_of_batch`."""


def dropout_of_batch(
    x: Tensor,
    mask: Tensor,
    redrawn: Tensor,
    keep_prob: float,
    training: bool,
    *,
    scale: Callable[[float], float] = inverse,
    apply: Callable[..., Tensor] = apply_mask,
    masks_in_evaluation: bool = False,
    apply_in_evaluation: Callable[[Tensor, float], Tensor] = _apply_in_evaluation,
) -> Tensor:
    """Return the output for a mask; the keyword arguments are the steps a mistake may replace."""
    if training or masks_in_evaluation:
        return apply(x, mask, redrawn, scale(keep_prob))
    return apply_in_evaluation(x, keep_prob)


def dropout(
    inputs: Inputs,
    *,
    rate: Callable[[float], float] = same,
    scale: Callable[[float], float] = inverse,
    passed: Callable[[float], float] = same,
    passed_at_zero: Callable[[float], float] = same,
    masks_in_evaluation: bool = False,
    shared_within_rows: bool = False,
    shared_by_rows: bool = False,
    shared_by_calls: bool = False,
    replays: bool = True,
    **steps: Any,
) -> dict[str, Expected]:
    """Return output and gradient for the mask that was drawn, and the expected frequencies.

    Where a mistake does not determine an output, that output is left out.
    """
    keep_prob = inputs["keep_prob"]
    x = torch.tensor(inputs["x"], requires_grad=True)
    if is_undetermined(keep_prob, rate, scale):
        return {}
    mask, redrawn = torch.tensor(inputs["mask"]), torch.tensor(inputs["redrawn"])
    nothing_left = rate(keep_prob) > 0 and not (mask & (x != 0)).any()
    if nothing_left and rate(keep_prob) == 1:
        # An output of zeros must not agree with a mask of zeros.
        mask = torch.ones_like(mask)
    masked = inputs["training"] or masks_in_evaluation
    out = dropout_of_batch(x, mask, redrawn, keep_prob, masked, scale=scale, **steps)
    probability = rate(keep_prob) if masked else 1.0
    # Whether values share a draw does not depend on the share that is kept.
    share = inputs.get("share", probability)
    agreement = share**2 + (1 - share) ** 2
    frequencies = {
        KEPT: probability,
        NEIGHBORS: agreement,
        ROWS: agreement,
        SHIFTS: 0.0,
        SEEN: 0.0 if 0 < probability < 1 else 1 - 1 / len(x),
        CALLS: 1.0 if shared_by_calls else agreement,
        REPLAY: 1.0 if replays else agreement,
        PASSED: passed(probability),
        PASSED_AT_ZERO: passed_at_zero(probability),
    }
    one_row_only = shared_by_calls if inputs.get("row_by_row") else shared_by_rows
    shared = one_row_only or shared_within_rows
    some, every = inputs["mask"].any(), inputs["mask"].all()
    if (shared or shared_by_calls) and some == every:
        outcome = probability if some else 1 - probability
        rows, columns = (1 if one_row_only else len(x)), (1 if shared_within_rows else x[0].numel())
        draws = 1 if shared and x.ndim == 1 else rows * columns
        if 0 < outcome < 1 and outcome**draws > _CHANCE:
            # So few draws may agree, and all values with them, whoever shares a draw.
            return {}
        # Nobody shares a draw where nothing is left to chance, or where chance gives no such mask.
        shared = False
    if shared:
        if x.ndim == 1:
            return {}
        # A row or column that is repeated is too small a sample for all other frequencies.
        frequencies = {ROWS: 1.0} if one_row_only else {NEIGHBORS: 1.0}
    expected: dict[str, Expected] = {
        name: Probability(frequencies[name])
        for name in inputs["frequencies"]
        # A mask cannot be seen in values that are not numbers.
        if name in frequencies and not math.isnan(scale(keep_prob))
    }
    if nothing_left and masked and rate(keep_prob) < 1:
        # One draw for all may drop all of them, and nobody can tell the scale then.
        return expected
    expected["out"] = out.detach().numpy()
    if "d_out" in inputs:
        (d_x,) = torch.autograd.grad((out * torch.tensor(inputs["d_out"])).sum(), x)
        expected["d_x"] = d_x.numpy()
    return expected


def _pairs(mask: Mask) -> Mask:
    """Compare disjoint pairs along the first axis, so that the comparisons are independent."""
    even = len(mask) // 2 * 2
    return np.asarray(mask[0:even:2] == mask[1:even:2])


def count_events(events: Mask) -> NDArray[Any]:
    """Return how many events there are and how many there could be."""
    return np.array([events.sum(), events.size], dtype=float)


def _count_draws(events: Mask, where: Mask) -> NDArray[Any]:
    """Count events in some places; an outcome that is the same all along an axis counts once.

    Values that share one draw would otherwise count as many draws, and by chance alone their rate
    would often look wrong.  Other frequencies tell whether values share a draw.
    """
    found = events & where
    if len(np.unique(events[where])) < 2:
        return count_events(found[where])
    for axis in range(events.ndim):
        some = np.asarray(found.any(axis, keepdims=True))
        if not (some & where & ~found).any():
            found, where = some, np.asarray(where.any(axis, keepdims=True))
    return count_events(found[where])


def _repeats(mask: Mask) -> NDArray[Any]:
    """Count the shifts at which a mask agrees with itself more, or less, than by chance.

    Of 100,000 shifts of a mask whose values are all drawn on their own, one has such a correlation
    with a probability of 10⁻¹⁸.
    """
    values = mask.ravel() - mask.mean()
    spectrum = np.abs(np.fft.rfft(values)) ** 2
    correlations = np.fft.irfft(spectrum, mask.size)[1 : mask.size // 2 + 1]
    return count_events(np.abs(correlations) > 10 * values.var() * math.sqrt(mask.size))


def _seen(mask: Mask) -> NDArray[Any]:
    """Count the rows that are equal to another one, except for the first of them."""
    different = {row.tobytes() for row in mask}
    return np.array([len(mask) - len(different), len(mask)], dtype=float)


def read_draws(inputs: Inputs, outputs: Outputs) -> ObservedDraws:
    """Read the mask off an output, and count its frequencies."""
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
    draws: dict[str, Any] = {}
    if visible.all():
        counts |= {
            NEIGHBORS: count_events(_pairs(np.moveaxis(mask, -1, 0))),
            ROWS: count_events(_pairs(mask)),
            SHIFTS: _repeats(mask),
            SEEN: _seen(mask),
        }
        if 0.05 < mask.mean() < 0.95:
            draws["share"] = mask.mean()
    for name, frequency in (("again", CALLS), ("replay", REPLAY)):
        other = survivors(name)
        if other is not None:
            counts[frequency] = count_events(other == mask)
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
    return ObservedDraws({"mask": mask, "redrawn": redrawn, **draws}, counts)


def simulate(inputs: Inputs, rng: np.random.Generator, **steps: Any) -> Outputs:
    """Return the outputs of a program with these steps that draws its masks from `rng`."""
    x, keep_prob = inputs["x"], inputs["keep_prob"]
    masked = inputs["training"] or steps.get("masks_in_evaluation", False)
    rate = steps.get("rate", same)(keep_prob) if masked else 1.0
    drawn = list(x.shape)
    if steps.get("shared_by_rows"):
        drawn[0] = 1
    if steps.get("shared_within_rows"):
        drawn[1:] = [1] * (x.ndim - 1)
    if inputs.get("row_by_row") and steps.get("shared_by_calls"):
        drawn[0] = 1
    elif inputs.get("row_by_row") and steps.get("shared_by_rows"):
        drawn[0] = len(x)
    if x.ndim == 1 and (steps.get("shared_by_rows") or steps.get("shared_within_rows")):
        drawn = [1]

    def mask() -> Mask:
        return np.broadcast_to(rng.random(drawn) < rate, x.shape)

    # Which values share a draw is in the masks.
    others = {name: step for name, step in steps.items() if not name.startswith("shared_")}

    def output(mask: Mask, redrawn: Mask) -> dict[str, Expected]:
        expected = dropout({**inputs, "mask": mask, "redrawn": redrawn}, **others)
        if expected and rate > 0 and not mask.any():
            # The reference takes zeros for wrong.
            return dict.fromkeys(("out", "d_x"), np.zeros(x.shape))
        return expected

    first = mask()
    # Where x is 0, only the gradient shows the mask.
    at_zero = rng.random(x.shape) < steps.get("passed_at_zero", same)(rate)
    expected = output(np.where(x != 0, first, at_zero), np.where(x != 0, mask(), at_zero))
    outputs = {
        name: expected.get(name, np.full(x.shape, np.nan))
        for name in ("out", "d_x")
        if name == "out" or "d_out" in inputs
    }
    if CALLS in inputs["frequencies"]:
        again = first if steps.get("shared_by_calls") else mask()
        outputs["again"] = output(again, again).get("out", outputs["out"])
        replay = first if steps.get("replays", True) else mask()
        outputs["replay"] = output(replay, replay).get("out", outputs["out"])
    return {name: array for name, array in outputs.items() if isinstance(array, np.ndarray)}
