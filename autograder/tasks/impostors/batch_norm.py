"""Declare the task of exposing impostors of batch norm, forward and backward."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autograder.task import Expected, Task
from autograder.tasks.answers import NotObservedError
from autograder.tasks.batch_norm.backward import BACKWARD
from autograder.tasks.batch_norm.forward import FORWARD
from autograder.tasks.batch_norm.reference import normalize
from autograder.tasks.impostors.calls import Call, Calls, Values
from autograder.tasks.impostors.exposing import Impostor, Program, declared, each, every
from autograder.tasks.impostors.probing import TRAINING_ONLY, always, probe_task, weakness

Array = NDArray[np.float64]

_SMALL = 1e-4


def _read(values: Values) -> Call:
    x = values.array("x", axes=2)
    features = x.shape[1:]
    running_var, training = values.array("running_var", shape=features), values.flag("training")
    if (running_var < 0).any():
        raise NotObservedError(f"`{values.place_of('running_var')}` holds a negative variance.")
    if training and len(x) < 2:
        raise NotObservedError(
            f"`{values.place_of('x')}` has one row; batch norm refuses that in training."
        )
    return {
        "x": x,
        "gamma": values.array("gamma", shape=features),
        "beta": values.array("beta", shape=features),
        "running_mean": values.array("running_mean", shape=features),
        "running_var": running_var,
        "training": training,
        "momentum": values.number("momentum", 0.0, 1.0),
        "eps": values.number("eps", 1e-8, 10.0),
        "d_out": values.array("d_out", shape=x.shape),
    }


def _program(**steps: Any) -> Program:
    """Return the program that replaces steps of the reference."""

    def program(call: Call) -> Mapping[str, Expected]:
        return BACKWARD.reference({**call, "x": [call["x"]]}, **steps)

    return program


def _known(task: Task, mistake: str) -> Program:
    return _program(**declared(task, mistake))


IMPOSTORS = (
    Impostor(
        "normalizes with the variance that divides by N − 1",
        "One is right in evaluation; in training it would be right if the batch were endless.",
        _known(FORWARD, "bn-unbiased-normalization"),
    ),
    Impostor(
        "keeps the variance that divides by N",
        "All that one returns is right, except for something that it remembers of training.",
        _known(FORWARD, "bn-biased-running-var"),
    ),
    Impostor(
        "exchanges old and new in the running statistics",
        "One is right wherever momentum is one half.",
        _known(FORWARD, "bn-momentum-flipped"),
    ),
    Impostor(
        "adds eps outside the root",
        "One is right wherever eps is tiny beside the variance and its root.",
        _known(FORWARD, "bn-eps-outside-root"),
    ),
    Impostor(
        "uses the statistics of the batch in evaluation too",
        "One is right in training.",
        _known(FORWARD, "bn-eval-batch-stats"),
    ),
    Impostor(
        "does not add β",
        "One is right only where β is 0.",
        _program(affine=lambda x_hat, gamma, beta, x: x_hat * gamma + beta - beta.detach()),
    ),
    Impostor(
        "takes the variance for a constant on the way back",
        "The gradient of one is right in evaluation, and wherever every column of d_out holds one "
        "number only.",
        _known(BACKWARD, "bn-backward-no-var"),
    ),
    Impostor(
        "takes the mean for a constant on the way back",
        "The gradient of one is right in evaluation, and wherever every column of d_out adds up "
        "to 0.",
        _known(BACKWARD, "bn-backward-no-mean"),
    ),
    Impostor(
        "leaves γ out of the gradient of x",
        "The gradient of one is right only where γ is 1.",
        _known(BACKWARD, "bn-backward-no-gamma"),
    ),
    Impostor(
        "averages the gradients of γ and β over the batch",
        "The gradient of one is right only where there is one row.",
        _known(BACKWARD, "bn-backward-mean-not-sum"),
    ),
    Impostor(
        "uses the gradient of training in evaluation too",
        "The gradient of one is right in training.",
        _known(BACKWARD, "bn-backward-eval-as-train"),
    ),
    Impostor(
        "uses β in place of γ in the gradient of x",
        "The gradient of one is right only where γ and β are equal.",
        _known(BACKWARD, "bn-backward-beta-for-gamma"),
    ),
    Impostor(
        "leaves eps out of the gradient",
        "The output of one is right; its gradient is right wherever eps is tiny.",
        _known(BACKWARD, "bn-backward-no-eps"),
        graded_only=True,
    ),
    Impostor(
        "updates the running statistics in evaluation too",
        "The output of one is right, and in training what it remembers is right too.",
        _known(FORWARD, "bn-eval-updates-stats"),
        graded_only=True,
    ),
    Impostor(
        "takes one mean and one variance for all features",
        "One is right in evaluation; its output in training is right wherever all features have "
        "the same mean and variance.",
        _known(FORWARD, "bn-global-stats"),
        graded_only=True,
    ),
    Impostor(
        "clips normalized values at ±1.5",
        "One is right wherever no row is far from the mean.",
        _program(normalize=lambda *given: normalize(*given).clamp(-1.5, 1.5)),
        graded_only=True,
    ),
)


def _draw(rng: np.random.Generator) -> Calls:
    x = rng.uniform(-1, 1, (7, 3))
    # One row is far from the others.
    x[0] = rng.choice([-1, 1], 3) * rng.uniform(4, 6, 3)
    return [
        {
            "x": x + np.array([0.0, 2.0, -3.0]),
            "gamma": rng.uniform(1.5, 2.0, 3),
            "beta": rng.uniform(0.5, 1.0, 3),
            "running_mean": rng.uniform(-1, 1, 3),
            "running_var": rng.uniform(1.0, 4.0, 3),
            "training": training,
            "momentum": 0.3,
            "eps": float(rng.uniform(0.4, 0.8)),
            "d_out": rng.choice([-1, 1], (7, 3)) * rng.uniform(0.5, 2.0, (7, 3)),
        }
        for training in (True, False)
    ]


def _filled(name: str, value: float) -> Callable[[Call], Call]:
    return lambda call: {**call, name: np.full(call[name].shape, value)}


def _spread(name: str) -> Callable[[Call], Call]:
    """Return the function that makes all entries of an argument different."""
    return lambda call: {
        **call,
        name: 0.7 + np.cos(2.0 * np.arange(call[name].size)).reshape(call[name].shape),
    }


def _has_constant_columns(call: Call) -> bool:
    return bool((call["d_out"] == call["d_out"][0]).all())


WEAKNESSES = (
    weakness(
        "probe-gamma-one",
        "γ is 1 in all your calls, and nobody notices where it is missing. Give every feature a γ "
        "of its own.",
        shows=every(lambda call: bool((call["gamma"] == 1).all())),
        weaken=each(_filled("gamma", 1.0)),
        repair=each(_spread("gamma")),
    ),
    weakness(
        "probe-beta-zero",
        "β is 0 in all your calls, and nobody notices where it is missing.",
        shows=every(lambda call: not call["beta"].any()),
        weaken=each(_filled("beta", 0.0)),
        repair=each(_spread("beta")),
    ),
    TRAINING_ONLY,
    weakness(
        "probe-eps-tiny",
        "eps is tiny in all your calls, as it is by default. Where it is added can only be seen "
        "if it is about as large as the variance.",
        shows=every(lambda call: call["eps"] <= _SMALL),
        weaken=each(lambda call: {**call, "eps": 1e-5}),
        repair=each(lambda call: {**call, "eps": 0.6}),
    ),
    weakness(
        "probe-constant-gradient",
        "All rows of d_out are equal in all your calls. What comes back is then 0 in training, "
        "whatever the gradient of the variance is.",
        shows=every(_has_constant_columns),
        weaken=each(
            lambda call: {**call, "d_out": np.broadcast_to(call["d_out"][0], call["d_out"].shape)}
        ),
        repair=each(_spread("d_out")),
    ),
    always(
        "probe-momentum-half",
        "momentum is one half in all your calls, where old and new count the same.",
        "momentum",
        0.5,
        0.2,
    ),
)

PROBE_BATCH_NORM = probe_task(
    "probe_batch_norm",
    4,
    read=_read,
    reference=_program(),
    impostors=IMPOSTORS,
    draw=_draw,
    misconceptions=WEAKNESSES,
    hints=(
        "A fresh layer has γ = 1, β = 0, running_mean 0 and running_var 1. Which mistakes does "
        "nobody see in a fresh layer?",
        "With d_out full of ones, what is the gradient of x in training? Which paths could be "
        "missing without a change?",
        "eps is there for a variance near 0. How large must it be, beside the variance of your "
        "batch, so that its place matters by more than a thousandth?",
        "Evaluation has a program of its own, and so has its gradient. What should the running "
        "statistics be so that nobody takes them for those of the batch?",
        "Everything different from everything: two calls, one in each mode, the features of "
        "different mean and width, one row far from the others, eps as large as the variance.",
    ),
)
