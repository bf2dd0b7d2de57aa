"""The networks whose dropout layers a Monte Carlo prediction has to find."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from autograder.task import Inputs


class Network(nn.Module):
    """A network in which each dropout layer drops a single hidden unit."""

    def __init__(self, inputs: Inputs) -> None:
        super().__init__()
        drop = 1 - inputs["keep_prob"]
        units = len(inputs["layers"])
        self.linear = nn.Linear(inputs["hidden"].shape[1], units)
        # They are nested, because not all dropout layers of a real network are children of its
        # root.
        self.dropout = nn.ModuleList(
            nn.Sequential(nn.Unflatten(1, (1, 1)), nn.Dropout1d(drop), nn.Flatten())
            if kind == "Dropout1d"
            else nn.Sequential(nn.Dropout(drop))
            for kind in inputs["layers"]
        )
        self.output = nn.Linear(units, len(inputs["bias"]))
        # It comes last, to catch a walk through the modules that ends too early.
        self.norm = nn.BatchNorm1d(units)
        self.double().load_state_dict(
            {
                **self.state_dict(),
                "linear.weight": torch.tensor(inputs["hidden"]),
                "norm.running_mean": torch.tensor(inputs["running_mean"]),
                "norm.running_var": torch.tensor(inputs["running_var"]),
                "linear.bias": torch.zeros(units),
                "output.weight": torch.tensor(inputs["output"]),
                "output.bias": torch.tensor(inputs["bias"]),
            }
        )

    def units(self, x: Tensor) -> Tensor:
        """Return the hidden units, (N, units), before dropout."""
        # Not only PyTorch's layers have a mode: this network looks at its own.
        return torch.sigmoid(self.norm(self.linear(x)) + float(self.training))

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs, (N, C)."""
        units = self.units(x)
        kept = [layer(units[:, [number]]) for number, layer in enumerate(self.dropout)]
        out: Tensor = self.output(torch.cat(kept, dim=1))
        return out


def contributions_of(
    inputs: Inputs, batch_norm_trains: bool = False, network_trains: bool = False
) -> NDArray[Any]:
    """Return what each unit adds to each output when it is kept, (N, C, units)."""
    network = Network(inputs).eval()
    network.norm.training, network.training = batch_norm_trains, network_trains
    with torch.no_grad():
        units = network.units(torch.tensor(inputs["x"])) / inputs["keep_prob"]
    return np.asarray(np.asarray(units)[:, None, :] * inputs["output"])


def shares_of(inputs: Inputs, contributions: NDArray[Any], mean: NDArray[Any]) -> NDArray[Any]:
    """Return for each row the share of samples that kept each unit, (N, units)."""
    n_samples = inputs["n_samples"]
    kept = np.linalg.pinv(contributions) @ (mean - inputs["bias"])[:, :, None]
    return np.asarray(np.clip(np.round(kept[:, :, 0] * n_samples), 0, n_samples) / n_samples)


def lent_network(inputs: Inputs) -> nn.Sequential:
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
