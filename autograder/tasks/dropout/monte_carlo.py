"""Declare the task on Monte Carlo dropout (Gal and Ghahramani 2016).

The paper is https://arxiv.org/abs/1506.02142.  The network has a single hidden unit that dropout
can drop.  The mean over the samples then tells how often the unit was kept, and the standard
deviation follows from that exactly.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

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

SAMPLES_KEPT = "fraction of samples in which the unit is kept"
MODES = "mode of each module afterwards"
BUFFERS = "running statistics afterwards"
CONSTANT_ROWS = "fraction of rows whose samples are all equal"


class _Network(nn.Module):
    def __init__(self, inputs: Inputs) -> None:
        super().__init__()
        drop = 1 - inputs["keep_prob"]
        self.linear = nn.Linear(inputs["hidden"].shape[1], 1)
        # It is nested, because not all dropout layers of a real network are children of its root.
        self.dropout = (
            nn.Sequential(nn.Unflatten(1, (1, 1)), nn.Dropout1d(drop), nn.Flatten())
            if inputs["spatial"]
            else nn.Sequential(nn.Dropout(drop))
        )
        self.output = nn.Linear(1, len(inputs["output"]))
        # It comes last, to catch a walk through the modules that ends too early.
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
        # Not only PyTorch's layers have a mode: this network looks at its own.
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
    is_stochastic: Callable[[bool], bool] = lambda spatial: True,
) -> dict[str, Expected]:
    """Return mean and standard deviation, given how often the hidden unit was kept."""
    n_samples, keep_prob = inputs["n_samples"], inputs["keep_prob"]
    stochastic = is_stochastic(inputs["spatial"])
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
        # Programs that compute E[x²] − E[x]² turn a rounding error of 1e-16 into one of 1e-8.
        "std": Scaled(
            root(variance * (kept - dropped) ** 2), 10 * np.maximum(abs(kept), abs(dropped))
        ),
    }
    # The counts are read off with the right network and say nothing about another one.
    if stochastic and not batch_norm_trains and not network_trains:
        expected[CONSTANT_ROWS] = Probability(1.0 if single_pass else constant)
        if not single_pass:
            expected[SAMPLES_KEPT] = Probability(keep_prob)
    return expected


def _read_draws(inputs: Inputs, outputs: Outputs) -> ObservedDraws:
    """Read off the mean how often the unit was kept in each row, and count that."""
    if "modes" in inputs:
        return ObservedDraws({}, {})
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
            CONSTANT_ROWS: count_events(constant),
        },
    )


def _simulate(inputs: Inputs, rng: np.random.Generator, **steps: Any) -> Outputs:
    """Return the outputs of a program with these steps that draws its masks from `rng`."""
    modes = {name: steps[name] for name in ("batch_norm_trains", "network_trains") if name in steps}
    kept, dropped = _kept_and_dropped(inputs, **modes)
    n_samples, rows = inputs["n_samples"], (len(kept), 1)
    different = 1 if steps.get("single_pass") else n_samples
    share = rng.binomial(different, inputs["keep_prob"], rows) / different
    expected = _monte_carlo({**inputs, "mean": dropped + share * (kept - dropped)}, **steps)
    return {name: array_of(expected[name]) for name in ("mean", "std")}


def _draw(rng: np.random.Generator) -> list[Case]:
    def inputs(rows: int, n_samples: int, spatial: bool = False) -> dict[str, Any]:
        return {
            "x": rng.standard_normal((rows, 4)),
            "hidden": rng.standard_normal((1, 4)),
            "output": draw_nonzero(rng, (3,)),
            "bias": draw_nonzero(rng, (3,)),
            "running_mean": float(rng.uniform(0.5, 1.0)),
            "running_var": float(rng.uniform(2.0, 4.0)),
            "keep_prob": low_keep_prob(rng) if rng.random() < 0.5 else high_keep_prob(rng),
            "n_samples": n_samples,
            "spatial": spatial,
            "seed": draw_seed(rng),
        }

    cases = [
        Case("twenty samples", inputs(300, 20)),
        Case("a single sample", inputs(300, 1)),
        Case("nn.Dropout1d", inputs(300, 20, spatial=True), "spatial"),
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
    network = _Network(inputs).train()
    with torch.random.fork_rng():
        torch.manual_seed(inputs["seed"])
        returned = student["monte_carlo_predict"](
            network, torch.tensor(inputs["x"]), inputs["n_samples"]
        )
    mean, std = unpack("monte_carlo_predict", returned, ("mean", "std"))
    return {"mean": mean, "std": std}


def _lent_network(inputs: Inputs) -> nn.Sequential:
    """Return a network whose caller set the mode of each module on purpose."""
    norms = nn.BatchNorm1d(4), nn.BatchNorm1d(4)
    network = nn.Sequential(
        nn.Linear(3, 4),
        norms[0],
        nn.Dropout(0.3),
        nn.Sequential(nn.Linear(4, 4), norms[1], nn.Dropout(0.6)),
        nn.Linear(4, 2),
    ).double()
    for norm, mean in zip(norms, inputs["means"], strict=True):
        norm.running_mean = torch.tensor(mean)
    for module, training in zip(network.modules(), inputs["modes"], strict=True):
        module.training = bool(training)
    return network


def _after_prediction(student: Functions, inputs: Inputs) -> dict[str, Any]:
    network = _lent_network(inputs)
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
        {"is_stochastic": lambda spatial: False},
    ),
    Misconception(
        "mc-dropout-of-one-kind",
        "Layers of the class nn.Dropout drop values in your passes, those of other kinds do not. "
        "nn.Dropout1d, Dropout2d, Dropout3d, AlphaDropout and FeatureAlphaDropout are classes "
        "beside it.",
        sections.MONTE_CARLO,
        {"is_stochastic": lambda spatial: not spatial},
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
