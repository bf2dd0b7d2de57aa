"""The tasks of the capstone: a network with batch norm, dropout and weight decay."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from autograder.task import Aspect, Case, Expected, Functions, Inputs, Misconception, Task
from autograder.tasks.answers import NotObservedError, unpack, unpack_dict
from autograder.tasks.batch_norm.sections import BACKWARD as BATCH_NORM_BACKWARD
from autograder.tasks.batch_norm.sections import EVALUATION as BATCH_NORM_EVALUATION
from autograder.tasks.batch_norm.sections import FORWARD as BATCH_NORM_FORWARD
from autograder.tasks.batch_norm.sections import RUNNING as BATCH_NORM_RUNNING
from autograder.tasks.capstone import ASSIGNMENT
from autograder.tasks.capstone.sections import EXERCISE as CAPSTONE
from autograder.tasks.dropout.sections import BACKWARD as DROPOUT_BACKWARD
from autograder.tasks.dropout.sections import MASK as DROPOUT_MASK
from autograder.tasks.dropout.sections import MODES as DROPOUT_MODES
from autograder.tasks.dropout.sections import SCALING as DROPOUT_SCALING
from autograder.tasks.l2._all import (
    LARGE_SCORES_MISCONCEPTIONS,
    LOSS_MISCONCEPTIONS,
    cross_entropies,
    half_sum_of_squares,
    mean_plus_penalty,
    with_gradient_of,
)
from autograder.tasks.l2.sections import PENALTY as L2_PENALTY
from autograder.tasks.l2.sections import UPDATE as L2_UPDATE
from autograder.tasks.l2.sections import WRONG as L2_WRONG

PARAMETERS = ("W1", "b1", "gamma", "beta", "W2", "b2")
STATISTICS = ("mean", "var")
MOMENTUM, EPS = 0.1, 1e-5

Tensors = Mapping[str, Tensor]


# The steps of the network.


def _batch_norm_with(
    *,
    mean: Callable[[Tensor], Tensor] = lambda z: z.mean(0),
    variance: Callable[[Tensor], Tensor] = lambda z: z.var(0, correction=0),
    running_variance: Callable[[Tensor], Tensor] = lambda z: z.var(0),
    blend: Callable[[Tensor, Tensor], Tensor] = lambda old, batch: old + MOMENTUM * (batch - old),
    batch_statistics_in_evaluation: bool = False,
    updates_in_evaluation: bool = False,
    affine_in_evaluation: bool = True,
    root: Callable[[Tensor], Tensor] = torch.sqrt,
) -> Callable[..., tuple[Tensor, Tensors]]:
    """Return batch norm in PyTorch's convention, right unless a part is replaced.

    Not nn.functional.batch_norm, which waits for all threads to work on a few numbers: on a busy
    machine that takes a hundred times as long.
    """

    def batch_norm(
        z: Tensor, params: Tensors, running: Tensors, training: bool
    ) -> tuple[Tensor, Tensors]:
        if training or batch_statistics_in_evaluation:
            used_mean, used_variance = mean(z), variance(z)
        else:
            used_mean, used_variance = running["mean"], running["var"]
        out = (z - used_mean) / root(used_variance + EPS)
        if training or affine_in_evaluation:
            out = params["gamma"] * out + params["beta"]
        else:
            out = out + 0 * (params["gamma"] + params["beta"])
        # One row has no unbiased variance.
        if (training or updates_in_evaluation) and len(z) > 1:
            rows = z.detach()
            running = {
                "mean": blend(running["mean"], rows.mean(0)),
                "var": blend(running["var"], running_variance(rows)),
            }
        return out, running

    return batch_norm


def _dropout(hidden: Tensor, keep_prob: float, training: bool, uniform: Tensor) -> Tensor:
    return hidden * (uniform < keep_prob) / keep_prob if training else hidden


def _network(
    params: Tensors,
    running: Tensors,
    x: Tensor,
    y: Tensor,
    weight_decay: float,
    keep_prob: float,
    training: bool,
    rng: np.random.Generator,
    *,
    activation: Callable[[Tensor], Tensor] = torch.relu,
    dropout: Callable[..., Tensor] = _dropout,
    losses: Callable[..., Tensor] = cross_entropies,
    penalty: Callable[..., Tensor] = half_sum_of_squares,
    total: Callable[..., Tensor] = mean_plus_penalty,
    **parts_of_batch_norm: Any,
) -> tuple[Tensor, Tensors]:
    """Return the loss and the new running statistics."""
    batch_norm = _batch_norm_with(**parts_of_batch_norm)
    normalized, new_running = batch_norm(x @ params["W1"] + params["b1"], params, running, training)
    hidden = activation(normalized)
    uniform = torch.from_numpy(rng.random(hidden.shape))
    scores = dropout(hidden, keep_prob, training, uniform) @ params["W2"] + params["b2"]
    charged = [params["W1"], params["W2"]], [params["b1"], params["b2"]]
    return total(losses(scores, y), penalty(*charged, weight_decay)), new_running


def _as_tensors(arrays: Mapping[str, Any], requires_grad: bool = False) -> dict[str, Tensor]:
    return {
        name: torch.tensor(array, requires_grad=requires_grad) for name, array in arrays.items()
    }


def _two_layer_net(inputs: Inputs, **steps: Any) -> dict[str, Expected]:
    """Return loss, gradients and running statistics of one batch."""
    params = _as_tensors(inputs["params"], requires_grad=True)
    loss, running = _network(
        params,
        _as_tensors(inputs["running"]),
        torch.tensor(inputs["x"]),
        torch.tensor(inputs["y"]),
        inputs["weight_decay"],
        inputs["keep_prob"],
        inputs["training"],
        np.random.default_rng(inputs["seed"]),
        **steps,
    )
    gradients = torch.autograd.grad(loss, [params[name] for name in PARAMETERS])
    return {
        "loss": loss.detach().numpy(),
        **{f"grads[{name!r}]": d.numpy() for name, d in zip(PARAMETERS, gradients, strict=True)},
        **{f"running[{name!r}]": running[name].detach().numpy() for name in STATISTICS},
    }


# The known mistakes of the network.


def _wrong_dropout(
    forward: Callable[[Tensor, Tensor, float], Tensor],
    evaluation: Callable[[Tensor, float], Tensor] = lambda hidden, keep_prob: hidden,
) -> Callable[..., Tensor]:
    """Return a dropout made of `forward(hidden, uniform, keep_prob)` and of `evaluation`."""

    def dropout(hidden: Tensor, keep_prob: float, training: bool, uniform: Tensor) -> Tensor:
        return forward(hidden, uniform, keep_prob) if training else evaluation(hidden, keep_prob)

    return dropout


def _inverted(hidden: Tensor, uniform: Tensor, keep_prob: float) -> Tensor:
    return hidden * (uniform < keep_prob) / keep_prob


_DROPOUT_MISCONCEPTIONS = (
    Misconception(
        "dropout-no-rescale",
        "You drop units in training but do not divide the others by keep_prob, so the next layer "
        "sees smaller sums in training than in evaluation.",
        DROPOUT_SCALING,
        {
            "dropout": _wrong_dropout(
                lambda hidden, uniform, keep_prob: hidden * (uniform < keep_prob)
            )
        },
    ),
    Misconception(
        "dropout-keep-drop-swapped",
        "You keep the units where the random number is at least keep_prob, so they survive with "
        "probability 1 − keep_prob. Keep those where it is smaller.",
        DROPOUT_MASK,
        {
            "dropout": _wrong_dropout(
                lambda hidden, uniform, keep_prob: hidden * (uniform >= keep_prob) / keep_prob
            )
        },
    ),
    Misconception(
        "dropout-other-comparison",
        "You keep the units where the random number is at least 1 − keep_prob. That is as likely, "
        "but it is another mask: to give the same numbers as everybody, compare "
        "rng.random(H.shape) < keep_prob.",
        DROPOUT_MASK,
        {
            "dropout": _wrong_dropout(
                lambda hidden, uniform, keep_prob: hidden * (uniform >= 1 - keep_prob) / keep_prob
            )
        },
    ),
    Misconception(
        "dropout-vanilla",
        "You do not scale in training and multiply by keep_prob in evaluation. That is "
        "consistent, but it is not inverted dropout, which leaves evaluation alone.",
        DROPOUT_SCALING,
        {
            "dropout": _wrong_dropout(
                lambda hidden, uniform, keep_prob: hidden * (uniform < keep_prob),
                lambda hidden, keep_prob: hidden * keep_prob,
            )
        },
    ),
    Misconception(
        "dropout-backward-no-mask",
        "Your gradient passes dropout as if it were not there. A unit that was dropped had no "
        "influence on the loss, so its gradient is zero; the others have the factor 1/keep_prob.",
        DROPOUT_BACKWARD,
        {
            "dropout": _wrong_dropout(
                lambda hidden, uniform, keep_prob: with_gradient_of(
                    _inverted(hidden, uniform, keep_prob), hidden
                )
            )
        },
    ),
    Misconception(
        "dropout-backward-no-scale",
        "Your gradient is masked but not divided by keep_prob. What multiplies the output in the "
        "forward pass multiplies the gradient in the backward pass.",
        DROPOUT_BACKWARD,
        {
            "dropout": _wrong_dropout(
                lambda hidden, uniform, keep_prob: with_gradient_of(
                    _inverted(hidden, uniform, keep_prob), hidden * (uniform < keep_prob)
                )
            )
        },
    ),
)

_BATCH_NORM_MISCONCEPTIONS = (
    Misconception(
        "bn-biased-running-var",
        "Your running variance averages the variance that divides by N. The one to store divides "
        "by N − 1, as in PyTorch.",
        BATCH_NORM_RUNNING,
        {"running_variance": lambda z: z.var(0, correction=0)},
    ),
    Misconception(
        "bn-unbiased-normalization",
        "You normalize the batch with the variance that divides by N − 1. That one belongs in "
        "the running variance only.",
        BATCH_NORM_FORWARD,
        {"variance": lambda z: z.var(0)},
    ),
    Misconception(
        "bn-no-root",
        "You divide by the variance of the batch. Normalized values have the variance 1: which "
        "power of σ has the unit of what you divide?",
        BATCH_NORM_FORWARD,
        {"root": lambda variance: variance},
    ),
    Misconception(
        "bn-momentum-flipped",
        "Old and new value have changed places in your running average: it should be 0.9 times "
        "the old value plus 0.1 times that of the batch.",
        BATCH_NORM_RUNNING,
        {"blend": lambda old, batch: MOMENTUM * old + (1 - MOMENTUM) * batch},
    ),
    Misconception(
        "bn-stats-never-updated",
        "You return the running statistics as they came in. In training they move towards those "
        "of the batch, or evaluation mode has nothing to work with.",
        BATCH_NORM_RUNNING,
        {"blend": lambda old, batch: old},
    ),
    Misconception(
        "bn-running-var-not-started",
        "Your running statistics are those of the last batch alone. They should move a little "
        "towards each batch and remember the earlier ones.",
        BATCH_NORM_RUNNING,
        {"blend": lambda old, batch: batch},
    ),
    Misconception(
        "bn-backward-diagonal",
        "Your gradient takes the mean and the variance of the batch for constants. Both depend on "
        "every row.",
        BATCH_NORM_BACKWARD,
        {
            "mean": lambda z: z.mean(0).detach(),
            "variance": lambda z: z.var(0, correction=0).detach(),
        },
    ),
)

_ACTIVATION_MISCONCEPTIONS = (
    Misconception(
        "relu-backward-no-mask",
        "Your gradient passes ReLU unchanged. Where the input of ReLU was negative its output "
        "does not depend on it, so the gradient there is zero.",
        CAPSTONE,
        {"activation": lambda z: with_gradient_of(torch.relu(z), z)},
    ),
    Misconception(
        "relu-missing",
        "There is no ReLU between batch norm and dropout.",
        CAPSTONE,
        {"activation": lambda z: z},
    ),
)

TRAINING_MISCONCEPTIONS = (
    *_DROPOUT_MISCONCEPTIONS,
    *_BATCH_NORM_MISCONCEPTIONS,
    *_ACTIVATION_MISCONCEPTIONS,
    *LOSS_MISCONCEPTIONS,
    Misconception(
        "l2-skips-first",
        "Your penalty leaves out W1.",
        L2_PENALTY,
        {
            "penalty": lambda weights, biases, weight_decay: half_sum_of_squares(
                weights[1:], biases, weight_decay
            )
        },
    ),
    Misconception(
        "l2-skips-last",
        "Your penalty leaves out W2.",
        L2_PENALTY,
        {
            "penalty": lambda weights, biases, weight_decay: half_sum_of_squares(
                weights[:1], biases, weight_decay
            )
        },
    ),
)

EVALUATION_MISCONCEPTIONS = (
    Misconception(
        "dropout-active-in-eval",
        "Units are dropped in evaluation too. There the whole network answers.",
        DROPOUT_MODES,
        {
            "dropout": lambda hidden, keep_prob, training, uniform: _inverted(
                hidden, uniform, keep_prob
            )
        },
    ),
    Misconception(
        "dropout-scaled-in-eval",
        "You multiply by keep_prob in evaluation. The division in training has taken care of the "
        "scale already.",
        DROPOUT_MODES,
        {"dropout": _wrong_dropout(_inverted, lambda hidden, keep_prob: hidden * keep_prob)},
    ),
    Misconception(
        "bn-eval-batch-stats",
        "In evaluation you normalize with the statistics of the batch. Use the running "
        "statistics: the answer for one example must not depend on its neighbors.",
        BATCH_NORM_EVALUATION,
        {"batch_statistics_in_evaluation": True},
    ),
    Misconception(
        "bn-eval-updates-stats",
        "Your running statistics change in evaluation. Evaluating a network must not change it.",
        BATCH_NORM_EVALUATION,
        {"updates_in_evaluation": True},
    ),
    Misconception(
        "bn-ignores-training",
        "Batch norm does the same in both modes: in evaluation it uses and updates the statistics "
        "of the batch.",
        BATCH_NORM_EVALUATION,
        {"batch_statistics_in_evaluation": True, "updates_in_evaluation": True},
    ),
    Misconception(
        "bn-eval-no-affine",
        "In evaluation you normalize but leave out γ and β. They are part of the layer in both "
        "modes.",
        BATCH_NORM_EVALUATION,
        {"affine_in_evaluation": False},
    ),
)


EXTREME_MISCONCEPTIONS = (
    *LARGE_SCORES_MISCONCEPTIONS,
    Misconception(
        "relu-passes-at-zero",
        "Your gradient passes ReLU where its input is exactly 0. It counts as 0 there, as in "
        "PyTorch: look for inputs that are greater than 0.",
        CAPSTONE,
        {"activation": lambda z: with_gradient_of(torch.relu(z), z * (z >= 0))},
    ),
)


# How the network is tried.


def _run_two_layer_net(student: Functions, inputs: Inputs) -> dict[str, Any]:
    name = "two_layer_net"
    arguments = (inputs[key] for key in ("x", "y", "params", "running", "weight_decay"))
    rng = np.random.default_rng(inputs["seed"])
    returned = student[name](*arguments, inputs["keep_prob"], inputs["training"], rng)
    loss, grads, running = unpack(name, returned, ("loss", "grads", "running"))
    return {
        "loss": loss,
        **unpack_dict(name, "grads", grads, PARAMETERS),
        **unpack_dict(name, "running", running, STATISTICS),
    }


def _params(rng: np.random.Generator, d: int, hidden: int, classes: int) -> dict[str, Any]:
    return {
        "W1": rng.standard_normal((d, hidden)),
        "b1": rng.standard_normal(hidden),
        "gamma": rng.uniform(0.5, 2.0, hidden) * rng.choice([-1.0, 1.0], hidden),
        "beta": rng.uniform(0.3, 1.0, hidden),
        "W2": rng.standard_normal((hidden, classes)),
        "b2": rng.standard_normal(classes),
    }


def _running(rng: np.random.Generator, hidden: int) -> dict[str, Any]:
    return {
        "mean": rng.uniform(-1.0, 1.0, hidden),
        "var": rng.uniform(0.5, 6.0, hidden),
    }


def _draw_two_layer_net(rng: np.random.Generator) -> list[Case]:
    def inputs(
        n: int, d: int, hidden: int, classes: int, keep_prob: float, *, training: bool = True
    ) -> dict[str, Any]:
        return {
            "x": rng.standard_normal((n, d)),
            "y": rng.integers(0, classes, n),
            "params": _params(rng, d, hidden, classes),
            "running": _running(rng, hidden),
            "weight_decay": float(rng.uniform(0.1, 0.7)),
            "keep_prob": keep_prob,
            "training": training,
            "seed": int(rng.integers(2**32)),
        }

    plain = {**inputs(6, 5, 4, 3, 1.0), "weight_decay": 0.0}
    one_row = inputs(1, 5, 6, 4, 0.3, training=False)
    z = one_row["x"] @ one_row["params"]["W1"] + one_row["params"]["b1"]
    # One unit is active at least: with none, nothing would be seen of most mistakes.
    one_row["running"]["mean"][0] = z[0, 0] - np.sign(one_row["params"]["gamma"][0])
    large = _with_all_units_active(inputs(5, 4, 5, 3, 0.7, training=False))
    large["params"]["b2"] += rng.uniform(5e3, 9e3)
    apart = _with_all_units_active(inputs(5, 4, 5, 3, 0.7, training=False))
    # In row 0 the scores lie thousands above those of the others and thousands apart. Its right
    # class is the lowest, whose probability is rounded to 0.
    apart["x"][0] *= 30.0
    apart["params"]["W2"] = (0.5 + np.abs(apart["params"]["W2"])) * 100.0
    apart["params"]["W2"][:, 0] = 40.0
    apart["y"][0] = 0
    zero = inputs(6, 4, 5, 3, 0.7, training=False)
    for name in ("gamma", "beta"):
        zero["params"][name][0] = 0.0
    return [
        Case("training", inputs(8, 4, 6, 3, float(rng.uniform(0.6, 0.8)))),
        Case("training with a small keep_prob", inputs(7, 5, 9, 4, float(rng.uniform(0.3, 0.45)))),
        Case("training without weight decay, keeping every unit", plain),
        Case("evaluation", inputs(6, 4, 5, 3, 0.7, training=False), "evaluation"),
        Case("evaluation of one row", one_row, "evaluation"),
        Case("scores in the thousands", large, "extremes"),
        Case("a row whose scores lie far above the others", apart, "extremes"),
        Case("a unit with γ = β = 0", zero, "extremes"),
    ]


def _with_all_units_active(inputs: dict[str, Any]) -> dict[str, Any]:
    """Return inputs for evaluation in which no unit is cut off by ReLU in any row.

    What is not a number then reaches all gradients, however a program computes them.
    """
    positive = {name: 0.5 + np.abs(inputs["params"][name]) for name in ("W1", "b1", "beta")}
    gamma = np.abs(inputs["params"]["gamma"])
    return {
        **inputs,
        "x": 0.5 + np.abs(inputs["x"]),
        "params": {**inputs["params"], **positive, "gamma": gamma},
        "running": {**inputs["running"], "mean": -np.abs(inputs["running"]["mean"])},
    }


NET = Task(
    name="two_layer_net",
    assignment=ASSIGNMENT,
    number=1,
    section=CAPSTONE,
    hints=(
        "Write the forward pass first and keep what the backward pass will need: the normalized "
        "values, the mask with its scale, the sign of what went into ReLU.",
        "Training and evaluation differ in two lines only: where μ and σ² come from, and what the "
        "mask is. What about the running statistics?",
        "Then walk back from the loss, one line of the forward pass at a time. What reaches S "
        "reaches its input through the transposed weights, and ReLU passes a gradient where its "
        "input was positive.",
        "On the way back the hidden units meet the mask first, with its scale, then ReLU, then γ, "
        "then batch norm. In evaluation μ and σ² are constants, and two terms of the gradient "
        "disappear.",
        "The penalty adds λ times the weight to the gradients of W1 and W2, and to no other. Do "
        "not be surprised that the gradient of b1 is zero in training (why?) and not in "
        "evaluation.",
    ),
    aspects=(
        Aspect("loss in training", 1.25, ("loss",), ("training",)),
        Aspect("gradients of the second layer", 1.0, ("grads['W2']", "grads['b2']"), ("training",)),
        Aspect(
            "gradients of gamma and beta", 1.0, ("grads['gamma']", "grads['beta']"), ("training",)
        ),
        Aspect("gradients of the first layer", 1.5, ("grads['W1']", "grads['b1']"), ("training",)),
        Aspect("running statistics", 1.0, ("running['mean']", "running['var']"), ("training",)),
        Aspect(
            "evaluation mode",
            0.75,
            (
                "loss",
                *(f"grads[{name!r}]" for name in PARAMETERS),
                *(f"running[{name!r}]" for name in STATISTICS),
            ),
            ("evaluation",),
        ),
        Aspect(
            "large scores, ReLU at 0",
            0.5,
            ("loss", *(f"grads[{name!r}]" for name in PARAMETERS)),
            ("extremes",),
        ),
    ),
    draw=_draw_two_layer_net,
    run=_run_two_layer_net,
    reference=_two_layer_net,
    misconceptions=(
        *TRAINING_MISCONCEPTIONS,
        *EVALUATION_MISCONCEPTIONS,
        *EXTREME_MISCONCEPTIONS,
    ),
)


# Prediction.


def _predict(
    inputs: Inputs,
    *,
    batch_norm: Callable[..., tuple[Tensor, Tensors]] | None = None,
    activation: Callable[[Tensor], Tensor] = torch.relu,
    returned: Callable[[Tensor], Tensor] = lambda scores: scores,
    **parts_of_batch_norm: Any,
) -> dict[str, Expected]:
    """Return the scores in evaluation mode."""
    batch_norm = batch_norm or _batch_norm_with(**parts_of_batch_norm)
    params, running = _as_tensors(inputs["params"]), _as_tensors(inputs["running"])
    z = torch.tensor(inputs["x"]) @ params["W1"] + params["b1"]
    hidden = activation(batch_norm(z, params, running, False)[0])
    return {"scores": returned(hidden @ params["W2"] + params["b2"]).numpy()}


def _run_predict(student: Functions, inputs: Inputs) -> dict[str, Any]:
    return {"scores": student["predict"](inputs["x"], inputs["params"], inputs["running"])}


def _draw_predict(rng: np.random.Generator) -> list[Case]:
    def inputs(n: int, d: int, hidden: int, classes: int) -> dict[str, Any]:
        return {
            "x": rng.standard_normal((n, d)),
            "params": _params(rng, d, hidden, classes),
            "running": _running(rng, hidden),
        }

    return [
        Case("several rows", inputs(6, 4, 5, 3)),
        Case("one row", inputs(1, 5, 7, 4)),
    ]


PREDICT = Task(
    name="predict",
    assignment=ASSIGNMENT,
    number=2,
    section=CAPSTONE,
    hints=(
        "It has to work for a single row as well. Which statistics make that possible?",
        "Go through the network: affine, batch norm with γ and β, ReLU, dropout, affine, softmax. "
        "Which of these are there in evaluation, and where do the scores come out?",
        "It is what your `two_layer_net` computes in evaluation before it comes to the loss.",
    ),
    aspects=(Aspect("scores", 2.0, ("scores",)),),
    draw=_draw_predict,
    run=_run_predict,
    reference=_predict,
    misconceptions=(
        Misconception(
            "bn-eval-batch-stats",
            "You normalize with the statistics of the batch. Use the running statistics: the "
            "answer for one example must not depend on its neighbors.",
            BATCH_NORM_EVALUATION,
            {"batch_statistics_in_evaluation": True},
        ),
        Misconception(
            "bn-eval-no-affine",
            "You normalize but leave out γ and β. They are part of the layer in both modes.",
            BATCH_NORM_EVALUATION,
            {"affine_in_evaluation": False},
        ),
        Misconception(
            "bn-no-root",
            "You divide by the running variance. Batch norm divides by its root.",
            BATCH_NORM_FORWARD,
            {"root": lambda variance: variance},
        ),
        Misconception(
            "predict-no-batch-norm",
            "There is no batch norm in your prediction.",
            CAPSTONE,
            {"batch_norm": lambda z, params, running, training: (z, running)},
        ),
        Misconception(
            "relu-missing",
            "There is no ReLU in your prediction.",
            CAPSTONE,
            {"activation": lambda z: z},
        ),
        Misconception(
            "predict-probabilities",
            "You return probabilities. Scores were asked for, the numbers before the softmax.",
            CAPSTONE,
            {"returned": lambda scores: scores.softmax(1)},
        ),
        Misconception(
            "predict-labels",
            "You return the number of the best class for each row. The scores of all classes were "
            "asked for.",
            CAPSTONE,
            {"returned": lambda scores: scores.argmax(1)},
        ),
    ),
    depends_on=("two_layer_net",),
)


# Training.


def _descend(w: Tensor, d: Tensor, lr: float, weight_decay: float) -> Tensor:
    return w - lr * d


def _train(
    inputs: Inputs,
    *,
    walked: Callable[[list[Any]], list[Any]] = lambda batches: batches,
    rows: Callable[[Tensor, Any], Tensor] = lambda array, batch: array[batch],
    update: Callable[[Tensor, Tensor, float, float], Tensor] = _descend,
    gradients_at: Callable[[Tensors, Tensors], Tensors] = lambda start, params: params,
    statistics_from: Callable[[Tensors, Tensors], Tensors] = lambda start, running: running,
    returned_statistics: Callable[[Tensors, Tensors], Tensors] = lambda start, running: running,
    training: bool = True,
    **steps: Any,
) -> dict[str, Expected]:
    """Return parameters, statistics and losses after one step of SGD for each batch."""
    rng = np.random.default_rng(inputs["seed"])
    x, y = torch.tensor(inputs["x"]), torch.tensor(inputs["y"])
    start, start_running = _as_tensors(inputs["params"]), _as_tensors(inputs["running"])
    params: Tensors = start
    running: Tensors = start_running
    losses = []
    for batch in walked(inputs["batches"]):
        here = {
            name: w.detach().requires_grad_() for name, w in gradients_at(start, params).items()
        }
        loss, running = _network(
            here,
            statistics_from(start_running, running),
            rows(x, batch),
            rows(y, batch),
            inputs["weight_decay"],
            inputs["keep_prob"],
            training,
            rng,
            **steps,
        )
        gradients = torch.autograd.grad(loss, [here[name] for name in PARAMETERS])
        params = {
            name: update(params[name].detach(), d, inputs["lr"], inputs["weight_decay"])
            for name, d in zip(PARAMETERS, gradients, strict=True)
        }
        losses.append(float(loss.detach()))
    running = returned_statistics(start_running, running)
    return {
        **{f"params[{name!r}]": params[name].numpy() for name in PARAMETERS},
        **{f"running[{name!r}]": running[name].detach().numpy() for name in STATISTICS},
        "losses": np.array(losses),
    }


def _run_train(student: Functions, inputs: Inputs) -> dict[str, Any]:
    names = ("x", "y", "params", "running", "batches", "lr", "weight_decay", "keep_prob")
    rng = np.random.default_rng(inputs["seed"])
    returned = student["train"](*(inputs[name] for name in names), rng)
    params, running, losses = unpack("train", returned, ("params", "running", "losses"))
    if isinstance(losses, list | tuple):
        try:
            losses = np.array([float(loss) for loss in losses])
        except (TypeError, ValueError):
            raise NotObservedError(
                "`losses` should be a list with one number for each step."
            ) from None
    return {
        **unpack_dict("train", "params", params, PARAMETERS),
        **unpack_dict("train", "running", running, STATISTICS),
        "losses": losses,
    }


def _draw_train(rng: np.random.Generator) -> list[Case]:
    def inputs(
        n: int, d: int, hidden: int, classes: int, sizes: Sequence[int], **options: float
    ) -> dict[str, Any]:
        params = _params(rng, d, hidden, classes)
        return {
            "x": rng.standard_normal((n, d)),
            "y": rng.integers(0, classes, n),
            "params": params,
            "running": _running(rng, hidden),
            "batches": [rng.choice(n, size, replace=False) for size in sizes],
            "seed": int(rng.integers(2**32)),
            **options,
        }

    sizes = [int(size) for size in rng.integers(6, 12, 18)]
    return [
        # Short, so that almost all known mistakes are ruled out quickly.
        Case(
            "two steps with everything",
            inputs(12, 4, 5, 3, [6, 7], lr=0.1, weight_decay=0.1, keep_prob=0.75),
        ),
        Case(
            "eighteen steps with everything",
            inputs(30, 5, 6, 3, sizes, lr=0.1, weight_decay=0.1, keep_prob=0.75),
        ),
        Case(
            "six steps without regularization",
            inputs(20, 4, 5, 4, [8] * 6, lr=0.15, weight_decay=0.0, keep_prob=1.0),
        ),
    ]


TRAIN = Task(
    name="train",
    assignment=ASSIGNMENT,
    number=3,
    section=CAPSTONE,
    hints=(
        "What does a step need, and what of that did the step before it change?",
        "`x[batch]` picks the rows. Make a new dict of parameters in each step, so that the one "
        "you were given stays as it is.",
        "`two_layer_net` returns three things: one to write down, one to step with, one to hand on"
        " to the next step. It has to be in training mode, and gets the same `rng` each time.",
        "All six parameters take a plain step of gradient descent. The gradients know of weight "
        "decay already.",
    ),
    aspects=(
        Aspect("parameters", 3.0, tuple(f"params[{name!r}]" for name in PARAMETERS)),
        Aspect("running statistics", 1.5, tuple(f"running[{name!r}]" for name in STATISTICS)),
        Aspect("losses", 1.5, ("losses",)),
    ),
    draw=_draw_train,
    run=_run_train,
    reference=_train,
    misconceptions=(
        Misconception(
            "train-ascends",
            "Your steps go up the gradient. Descent subtracts it.",
            L2_UPDATE,
            {"update": lambda w, d, lr, weight_decay: w + lr * d},
        ),
        Misconception(
            "train-decays-twice",
            "You decay every parameter in the step, but the gradients that `two_layer_net` "
            "returns contain the penalty's already. Take a plain step, w − lr · gradient.",
            L2_WRONG,
            {"update": lambda w, d, lr, weight_decay: w - lr * (d + weight_decay * w)},
        ),
        Misconception(
            "train-stale-gradients",
            "All your gradients are taken at the parameters that training started from. Each step "
            "has to start where the last one ended.",
            L2_UPDATE,
            {"gradients_at": lambda start, params: start},
        ),
        Misconception(
            "train-full-batch",
            "Every step of yours uses all rows. Take the rows that the index array names: "
            "`x[batch]` and `y[batch]`.",
            L2_UPDATE,
            {"rows": lambda array, batch: array},
        ),
        Misconception(
            "train-reversed",
            "You go through the batches from the last to the first.",
            L2_UPDATE,
            {"walked": lambda batches: batches[::-1]},
        ),
        Misconception(
            "train-skips-last",
            "You leave out the last batch.",
            L2_UPDATE,
            {"walked": lambda batches: batches[:-1]},
        ),
        Misconception(
            "train-first-only",
            "You return after the first step. Is the `return` inside the loop?",
            L2_UPDATE,
            {"walked": lambda batches: batches[:1]},
        ),
        Misconception(
            "train-running-not-carried",
            "Every step starts again from the running statistics that training started from. Pass "
            "on those that the step before returned.",
            BATCH_NORM_RUNNING,
            {"statistics_from": lambda start, running: start},
        ),
        Misconception(
            "train-running-untouched",
            "You return the running statistics as they came in and lose what the steps returned.",
            BATCH_NORM_RUNNING,
            {"returned_statistics": lambda start, running: start},
        ),
        Misconception(
            "train-in-evaluation",
            "You train in evaluation mode, without dropout and with the running statistics. Pass "
            "`training=True`.",
            DROPOUT_MODES,
            {"training": False},
        ),
    ),
    depends_on=("two_layer_net",),
    forward_task=NET,
    tolerance=1e-6,
)
