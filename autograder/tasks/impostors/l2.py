"""Declare the task of exposing impostors of the L2 penalty and its gradient."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from autograder.task import Expected
from autograder.tasks.impostors.calls import Call, Calls, Values
from autograder.tasks.impostors.exposing import Impostor, Program, declared, each, every
from autograder.tasks.impostors.probing import always, probe_task, weakness
from autograder.tasks.l2.penalty import PENALTY, PENALTY_BACKWARD

Array = NDArray[np.float64]
Steps = Mapping[str, Any]

MOST_WEIGHTS = 5


def _read(values: Values) -> Call:
    return {
        "weights": values.arrays("weights", MOST_WEIGHTS),
        "weight_decay": values.number("weight_decay", 0.0, 1000.0),
    }


def _program(*, penalty: Steps | None = None, gradient: Steps | None = None) -> Program:
    """Return the program that replaces steps of the penalty, of its gradient or of both."""

    def program(call: Call) -> Mapping[str, Expected]:
        value = PENALTY.reference(call, **(penalty or {}))
        return value | PENALTY_BACKWARD.reference(call, **(gradient or {}))

    return program


def _both(**steps: Any) -> Program:
    return _program(penalty=steps, gradient=steps)


def _known(mistake: str) -> Program:
    return _both(**declared(PENALTY, mistake))


def _largest_singular_value(w: Tensor) -> Tensor:
    return torch.linalg.matrix_norm(w, 2).square() if w.ndim == 2 else w.square().sum()


IMPOSTORS = (
    Impostor(
        "leaves out the factor ½",
        "One is right only where the penalty is 0.",
        _known("l2-missing-half"),
    ),
    Impostor(
        "adds up norms in place of their squares",
        "One is right only where every weight has norm 0 or 1.",
        _program(penalty=declared(PENALTY, "l2-norm-not-squared")),
    ),
    Impostor(
        "squares the sum of a weight's entries",
        "One is right only where the products of each two entries of a weight add up to 0.",
        _program(penalty=declared(PENALTY, "l2-square-of-sum")),
    ),
    Impostor(
        "takes the mean of a weight's squares",
        "One is right only where every weight has a single entry.",
        _known("l2-mean-not-sum"),
    ),
    Impostor(
        "leaves out the last weight",
        "One does not care what the last weight is.",
        _known("l2-skips-last"),
    ),
    Impostor(
        "returns after the first weight",
        "One does not care what follows the first weight.",
        _known("l2-first-only"),
    ),
    Impostor(
        "multiplies by weight_decay twice",
        "One is right only where weight_decay is 0 or 1.",
        _known("l2-lambda-squared"),
    ),
    Impostor(
        "does not use weight_decay",
        "One is right only where weight_decay is 1.",
        _both(strength=lambda weight_decay: 0.5),
    ),
    Impostor(
        "adds up absolute values in place of squares",
        "One is right only where every entry is 0, 1 or −1.",
        _program(penalty={"size": lambda w: w.abs().sum()}),
    ),
    Impostor(
        "leaves out weights with one axis",
        "One is right only where every weight has two axes or more.",
        _both(counted=lambda weights: [w for w in weights if w.ndim > 1]),
    ),
    Impostor(
        "halves the gradient",
        "The penalty of one is right; its gradient is right only where it is 0.",
        _program(gradient=declared(PENALTY_BACKWARD, "l2-half-gradient")),
    ),
    Impostor(
        "adds up the gradient over a whole weight",
        "The penalty of one is right; its gradient is right only where a weight has one entry.",
        _program(gradient=declared(PENALTY_BACKWARD, "l2-gradient-sum")),
    ),
    Impostor(
        "takes a matrix's largest singular value in place of its entries",
        "One is right only where every matrix has rank one, as a single row has.",
        _program(penalty={"size": _largest_singular_value}),
        graded_only=True,
    ),
    Impostor(
        "leaves out negative entries",
        "One is right only where no entry is negative.",
        _both(size=lambda w: w.clamp(min=0).square().sum()),
        graded_only=True,
    ),
    Impostor(
        "never uses a weight_decay above 1",
        "One is right only where weight_decay is at most 1.",
        _both(strength=lambda weight_decay: min(weight_decay, 1.0) / 2),
        graded_only=True,
    ),
    Impostor(
        "leaves out weights with more than two axes",
        "One is right only where no weight is a convolution kernel.",
        _both(counted=lambda weights: [w for w in weights if w.ndim < 3]),
        graded_only=True,
    ),
)


def _draw(rng: np.random.Generator) -> Calls:
    shapes = ((3, 4), (5,), (2, 1, 3, 2))
    weights = [rng.choice([-1, 1], shape) * rng.uniform(0.3, 2.0, shape) for shape in shapes]
    return [{"weights": weights, "weight_decay": float(rng.uniform(1.5, 2.5))}]


def _weights(change: Callable[[list[Array]], list[Array]]) -> Callable[[Call], Call]:
    return lambda call: {**call, "weights": change(call["weights"])}


def _entries(change: Callable[[Array], Array]) -> Callable[[Call], Call]:
    return _weights(lambda weights: [change(w) for w in weights])


def _every_weight(holds: Callable[[Array], bool]) -> Callable[[Calls], bool]:
    return every(lambda call: all(holds(w) for w in call["weights"]))


def _varied(w: Array) -> Array:
    return w * np.linspace(1.2, 2.0, w.size).reshape(w.shape)


def _with_other_axes(calls: Calls) -> Calls:
    """Add the same calls with vectors and with kernels in place of matrices."""
    as_vectors = each(_entries(lambda w: w.reshape(-1)))
    as_kernels = each(_entries(lambda w: w.reshape(1, 1, *w.shape)))
    return calls + as_vectors(calls) + as_kernels(calls)


WEAKNESSES = (
    weakness(
        "probe-one-weight",
        "Every list of yours holds a single weight, so nobody sees how a program goes through a "
        "list. Give it several, of different shapes.",
        shows=every(lambda call: len(call["weights"]) == 1),
        weaken=each(_weights(lambda weights: weights[:1])),
        repair=each(
            _weights(lambda weights: [*weights, np.array([1.5, -0.7]), np.full((2, 1, 2), 0.6)])
        ),
    ),
    always(
        "probe-weight-decay-one",
        "weight_decay is 1 in all your calls. A factor of 1 shows neither that it is missing nor "
        "that it is there twice.",
        "weight_decay",
        1,
        1.7,
    ),
    weakness(
        "probe-ones",
        "All your entries are 0, 1 or −1, which are as large as their squares. Give a weight "
        "entries of several sizes.",
        shows=_every_weight(lambda w: bool(np.isin(w, (-1, 0, 1)).all())),
        weaken=each(_entries(np.sign)),
        repair=each(_entries(_varied)),
    ),
    weakness(
        "probe-no-negative",
        "None of your entries is negative. What a program does to negative ones stays unseen.",
        shows=_every_weight(lambda w: bool((w >= 0).all())),
        weaken=each(_entries(np.abs)),
        repair=each(_entries(lambda w: w * np.resize([1.0, -1.0], w.shape))),
    ),
    weakness(
        "probe-matrices-only",
        "All your weights are matrices. A network has vectors too, and kernels with more axes.",
        shows=_every_weight(lambda w: w.ndim == 2),
        weaken=each(_entries(lambda w: w.reshape(len(w), -1) if w.ndim > 1 else w[None])),
        repair=_with_other_axes,
    ),
)

PROBE_L2 = probe_task(
    "probe_l2",
    1,
    read=_read,
    reference=_program(),
    impostors=IMPOSTORS,
    draw=_draw,
    misconceptions=WEAKNESSES,
    hints=(
        "Take a single weight with the single entry 1, and weight_decay 1. What could be wrong in "
        "the formula and still give one half? What do these two numbers have in common?",
        "A program that leaves something out is right wherever that changes nothing. Which values "
        "change nothing when they multiply, and which when they are added?",
        "One call can do the work of many. Of which shapes should the weights of a single list be "
        "so that each way of skipping one shows?",
        "Entries of both signs and of several sizes, no size equal to its square; a matrix, a "
        "vector and a kernel in one list; a weight_decay above 1.",
    ),
)
