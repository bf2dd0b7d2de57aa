"""Declare the task on Monte Carlo dropout (Gal and Ghahramani 2016).

The paper is https://arxiv.org/abs/1506.02142.  Each dropout layer of the network drops a single
hidden unit.  The mean over the samples then tells how often each unit was kept, and with one such
layer the standard deviation follows from that exactly.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from autograder.task import (
    REQUIRED,
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
    array_of,
)
from autograder.tasks.answers import unpack
from autograder.tasks.dropout import ASSIGNMENT, sections
from autograder.tasks.dropout.cases import (
    draw_nonzero,
    draw_seed,
    high_keep_prob,
    low_keep_prob,
)
from autograder.tasks.dropout.mask import count_events
from autograder.tasks.dropout.networks import Network, contributions_of, lent_network, shares_of

SAMPLES_KEPT = "fraction of samples in which a unit is kept"
MODES = "mode of each module afterwards"
BUFFERS = "running statistics afterwards"
CONSTANT_ROWS = "fraction of rows whose samples are all equal"
AGAIN = "fraction of rows whose mean is the same in a second call"


def _monte_carlo(
    inputs: Inputs,
    *,
    batch_norm_trains: bool = False,
    network_trains: bool = False,
    correction: int = 0,
    single_pass: bool = False,
    seeds: bool = False,
    root: Callable[[NDArray[Any]], NDArray[Any]] = np.sqrt,
    is_stochastic: Callable[[int, str], bool] = lambda number, kind: True,
) -> dict[str, Expected]:
    """Return mean and standard deviation, given how often each hidden unit was kept."""
    n_samples, keep_prob = inputs["n_samples"], inputs["keep_prob"]
    stochastic = np.array([is_stochastic(*layer) for layer in enumerate(inputs["layers"])])
    contributions = contributions_of(inputs, batch_norm_trains, network_trains)
    # A mean that is not finite has no shares, but must not agree with anything.
    mean = np.nan_to_num(inputs["mean"], posinf=0.0, neginf=0.0)
    share = np.where(stochastic, shares_of(inputs, contributions, mean), keep_prob)
    expected: dict[str, Expected] = {
        "mean": inputs["bias"] + (contributions @ share[:, :, None])[:, :, 0]
    }
    if len(stochastic) == 1:
        variance = stochastic * share * (1 - share)
        with np.errstate(all="ignore"):
            variance = variance * np.float64(n_samples) / (n_samples - correction)
        kept = contributions[:, :, 0]
        # Programs that compute E[x²] − E[x]² turn a rounding error of 1e-16 into one of 1e-8.
        scale = 10 * np.maximum(abs(kept + inputs["bias"]), abs(inputs["bias"]))
        expected["std"] = Scaled(root(variance * kept**2), scale)
    # The counts are read off with the right network and say nothing about another one.
    if stochastic.all() and not batch_norm_trains and not network_trains:
        constant = (keep_prob**n_samples + (1 - keep_prob) ** n_samples) ** len(stochastic)
        expected[CONSTANT_ROWS] = Probability(1.0 if single_pass else constant)
        if not single_pass:
            expected[SAMPLES_KEPT] = Probability(keep_prob)
        if inputs["twice"]:
            times = 1 if single_pass else n_samples
            expected[AGAIN] = Probability(1.0 if seeds else _same_count(times, keep_prob))
    return expected


def _same_count(n_samples: int, keep_prob: float) -> float:
    """Return how likely it is that a unit is kept equally often in two calls."""
    likely = [
        math.comb(n_samples, k) * keep_prob**k * (1 - keep_prob) ** (n_samples - k)
        for k in range(n_samples + 1)
    ]
    return sum(one**2 for one in likely)


def _read_draws(inputs: Inputs, outputs: Outputs) -> ObservedDraws:
    """Read off the mean how often each unit was kept in each row, and count that."""
    if "modes" in inputs:
        return ObservedDraws({}, {})
    contributions, n_samples = contributions_of(inputs), inputs["n_samples"]
    mean, again = outputs.get("mean"), outputs.get("again")
    if (
        mean is None
        or mean.shape != contributions.shape[:2]
        or mean.dtype != np.float64
        or not np.isfinite(mean).all()
    ):
        return ObservedDraws({"mean": inputs["bias"] + contributions.sum(axis=2)}, {})
    kept = np.round(shares_of(inputs, contributions, mean) * n_samples)
    constant = ((kept == 0) | (kept == n_samples)).all(axis=1)
    found = {
        SAMPLES_KEPT: np.array([kept.sum(), kept.size * n_samples]),
        CONSTANT_ROWS: count_events(constant),
    }
    if again is not None and again.shape == (2, *mean.shape):
        # Mean and standard deviation may be swapped, which is another mistake.
        same = np.isclose(again, mean, rtol=1e-9, atol=1e-12).all(axis=2).any(axis=0)
        found[AGAIN] = count_events(np.asarray(same))
    return ObservedDraws({"mean": mean}, found)


def _simulate(inputs: Inputs, rng: np.random.Generator, **steps: Any) -> Outputs:
    """Return the outputs of a program with these steps that draws its masks from `rng`."""
    modes = {name: steps[name] for name in ("batch_norm_trains", "network_trains") if name in steps}
    contributions = contributions_of(inputs, **modes)
    different = 1 if steps.get("single_pass") else inputs["n_samples"]

    def outputs() -> Outputs:
        drawn = (len(contributions), contributions.shape[2])
        share = rng.binomial(different, inputs["keep_prob"], drawn) / different
        mean = inputs["bias"] + (contributions @ share[:, :, None])[:, :, 0]
        expected = _monte_carlo({**inputs, "mean": mean}, **steps)
        return {name: array_of(expected[name]) for name in ("mean", "std") if name in expected}

    first = outputs()
    if inputs["twice"]:
        again = first if steps.get("seeds") else outputs()
        first["again"] = np.stack([again["mean"], again["std"]])
    return first


def _draw(rng: np.random.Generator) -> list[Case]:
    def inputs(n_samples: int, *layers: str, twice: bool = False) -> dict[str, Any]:
        units = len(layers)
        return {
            "x": rng.standard_normal((300, 4)),
            "hidden": rng.standard_normal((units, 4)),
            # Turned towards different outputs, so that each shows how often it was kept.
            "output": draw_nonzero(rng, (3, units)) + 2 * np.eye(3, units),
            "bias": draw_nonzero(rng, (3,)),
            "running_mean": rng.uniform(0.5, 1.0, units),
            "running_var": rng.uniform(2.0, 4.0, units),
            "keep_prob": low_keep_prob(rng) if rng.random() < 0.5 else high_keep_prob(rng),
            "n_samples": n_samples,
            "layers": layers,
            "twice": twice,
            "seed": draw_seed(rng),
        }

    cases = [
        Case("twenty samples", inputs(20, "Dropout", twice=True)),
        Case("a single sample", inputs(1, "Dropout")),
        Case("nn.Dropout1d and nn.Dropout", inputs(20, "Dropout1d", "Dropout"), "several"),
    ]
    modes = rng.random(9) < 0.5
    lent = {
        "x": rng.standard_normal((2, 3)),
        "n_samples": 3,
        "means": list(rng.standard_normal((2, 4))),
        "modes": modes,
    }
    return [
        *cases,
        Case("modules in various modes", lent, REQUIRED),
        # What sets all modules to one mode is wrong in one of the two.
        Case("modules in the other modes", {**lent, "modes": ~modes}, REQUIRED),
    ]


def _run(student: Functions, inputs: Inputs) -> dict[str, Any]:
    if "modes" in inputs:
        return _after_prediction(student, inputs)
    network = Network(inputs).train()

    def predict() -> tuple[Any, ...]:
        returned = student["monte_carlo_predict"](
            network, torch.tensor(inputs["x"]), inputs["n_samples"]
        )
        return unpack("monte_carlo_predict", returned, ("mean", "std"))

    with torch.random.fork_rng():
        torch.manual_seed(inputs["seed"])
        mean, std = predict()
        outputs = {"mean": mean, "std": std}
        if inputs["twice"]:
            again = predict()
            if all(isinstance(one, torch.Tensor) and one.shape == again[0].shape for one in again):
                outputs["again"] = torch.stack(again)
    return outputs


def _after_prediction(student: Functions, inputs: Inputs) -> dict[str, Any]:
    network = lent_network(inputs)
    student["monte_carlo_predict"](network, torch.tensor(inputs["x"]), inputs["n_samples"])
    modes = [float(module.training) for module in network.modules()]
    buffers = [buffer.double().flatten() for buffer in network.buffers()]
    return {MODES: torch.tensor(modes, dtype=torch.float64), BUFFERS: torch.cat(buffers)}


def _reference(inputs: Inputs, **steps: Any) -> dict[str, Expected]:
    if "modes" not in inputs:
        return _monte_carlo(inputs, **steps)
    new = np.ones(4), np.zeros(1)
    buffers = [array for mean in inputs["means"] for array in (mean, *new)]
    return {MODES: inputs["modes"].astype(np.float64), BUFFERS: np.concatenate(buffers)}


_MISCONCEPTIONS = (
    Misconception(
        "mc-single-pass",
        "Your samples are one pass repeated: they do not differ. Every sample needs a forward "
        "pass of its own, with a fresh mask.",
        sections.MONTE_CARLO,
        {"single_pass": True},
    ),
    Misconception(
        "mc-dropout-off",
        "No value is dropped in your passes. Dropout layers drop only in training mode, and "
        "the model is in evaluation mode.",
        sections.MONTE_CARLO,
        {"is_stochastic": lambda number, kind: False},
    ),
    Misconception(
        "mc-dropout-of-one-kind",
        "Layers of the class nn.Dropout drop values in your passes, those of other kinds do not. "
        "nn.Dropout1d, Dropout2d, Dropout3d, AlphaDropout and FeatureAlphaDropout are classes "
        "beside it.",
        sections.MONTE_CARLO,
        {"is_stochastic": lambda number, kind: kind == "Dropout"},
    ),
    Misconception(
        "mc-first-dropout-only",
        "Only the first dropout layer drops values in your passes. A model may have many, and "
        "every one of them has to be in training mode.",
        sections.MONTE_CARLO,
        {"is_stochastic": lambda number, kind: number == 0},
    ),
    Misconception(
        "mc-seeds",
        "Two calls give the same numbers, so PyTorch's generator is seeded, or put back, in each. "
        "Whoever wants to repeat a run seeds it outside; your function only draws from it.",
        sections.MONTE_CARLO,
        {"seeds": True},
    ),
    Misconception(
        "mc-batch-norm-in-training",
        "Batch norm uses the statistics of the batch in your passes. Only the dropout layers "
        "should be in training mode.",
        sections.MONTE_CARLO,
        {"batch_norm_trains": True, "network_trains": True},
    ),
    Misconception(
        "mc-others-in-training",
        "Batch norm is in evaluation mode in your passes, but the model itself is in training "
        "mode. Any module may look at its mode, so only the dropout layers should be in "
        "training.",
        sections.MONTE_CARLO,
        {"network_trains": True},
    ),
    Misconception(
        "mc-sample-std",
        "Your standard deviation divides by n_samples − 1. The population's was asked, "
        "`correction=0`, which exists for a single sample as well.",
        sections.MONTE_CARLO,
        {"correction": 1},
    ),
    Misconception(
        "mc-variance",
        "You return the variance over the samples. The standard deviation is its root, and has "
        "the unit of the predictions.",
        sections.MONTE_CARLO,
        {"root": lambda variance: variance},
    ),
)

MONTE_CARLO = Task(
    name="monte_carlo_predict",
    assignment=ASSIGNMENT,
    number=4,
    section=sections.MONTE_CARLO,
    hints=(
        "Which layers have to be in training mode here? What would batch norm in training mode do "
        "to the predictions, and to the model you were lent?",
        "`model.modules()` walks through all layers, nested ones included, and each has its own "
        "`training`. Note them all before you touch any. Why is it not enough to note that of the "
        "model?",
        "`isinstance` tells the dropout layers from the rest, all kinds at once. `module.training "
        "= ...` changes one module; `module.train()` changes all that are inside it as well. "
        "Where would that be too much?",
        "Every sample is a forward pass of its own, and no graph is needed for it. `torch.stack` "
        "makes one tensor of a list of them; mean and `std` are taken over its first axis. In "
        "which mode do you leave the model then?",
        "Put every mode back at the end, from your notes; in a `finally`, so that it happens even "
        "if the model raises. The standard deviation of a population has `correction=0`.",
    ),
    aspects=(
        Aspect("mean", 2.0, ("mean",), ("training",)),
        Aspect("standard deviation", 2.0, ("std",), ("training",)),
        Aspect(
            "a fresh mask in every pass",
            1.25,
            (SAMPLES_KEPT, CONSTANT_ROWS, AGAIN),
            ("training",),
        ),
        Aspect(
            "every dropout layer, of any kind",
            0.75,
            ("mean", SAMPLES_KEPT, CONSTANT_ROWS),
            ("several",),
        ),
    ),
    draw=_draw,
    run=_run,
    reference=_reference,
    misconceptions=_MISCONCEPTIONS,
    framework="torch",
    forbidden=(),
    requirements=(
        Requirement(
            "mc-leaves-mode",
            "leaves every module in the mode it was in",
            "After the call some module is in another mode than before. Note the mode of each "
            "module first and put it back at the end; a model need not be in one mode throughout.",
            MODES,
        ),
        Requirement(
            "mc-changes-batch-norm",
            "leaves the running statistics as they are",
            "The running statistics of a batch norm layer have changed. Prediction must not train "
            "the model: only the dropout layers may be in training mode.",
            BUFFERS,
        ),
    ),
    read_draws=_read_draws,
    simulate=_simulate,
)
