"""Experiments behind the claims of the chapter on dropout.

``train_networks`` trains the networks for some seeds. Each other function looks at one thing they
do, raises an ``AssertionError`` that names the sentence which is not true of them, and returns the
numbers that the chapter prints or plots. The chapter calls them with its own seeds, the tests with
others.
"""

from dataclasses import dataclass

import experiments as ex
import numpy as np
import torch
from torch import nn


@dataclass(frozen=True)
class Run:
    """A trained network, its data, its history and the seed that decided all of them."""

    model: nn.Module
    data: ex.Digits
    history: dict
    seed: int


def train_networks(seeds, drops=(0.0, 0.25, 0.5, 0.8), epochs=60, record_every=4):
    """Train the common network for each drop probability and each seed.

    Parameters
    ----------
    seeds, drops : sequence
    epochs, record_every : int
        As for ``experiments.train``.

    Returns
    -------
    dict of float to list of Run
        For each drop probability one run per seed, in evaluation mode.
    """
    networks = {}
    for drop in drops:
        networks[drop] = []
        for seed in seeds:
            data = ex.noisy_digits(np.random.default_rng(seed))
            with ex.seeded(seed):
                model = ex.digits_network(drop=drop)
                history = ex.train(
                    model,
                    data,
                    torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9),
                    epochs=epochs,
                    record_every=record_every,
                    generator=torch.Generator().manual_seed(seed),
                )
            networks[drop].append(Run(model.eval(), data, history, seed))
    return networks


def dropout_keeps_wrong_labels_out(networks):
    """Dropping half keeps test accuracy from falling; dropping four fifths is too much.

    Parameters
    ----------
    networks : dict
        From ``train_networks``, with the drop probabilities 0, 0.5 and 0.8 at least.

    Returns
    -------
    dict of float to dict of np.ndarray
        For each drop probability ``train`` and ``test``, of shape (seeds, records).
    """
    curves = {
        drop: {part: np.array([run.history[part] for run in runs]) for part in ("train", "test")}
        for drop, runs in networks.items()
    }
    none, half, most = (curves[drop] for drop in (0.0, 0.5, 0.8))
    assert none["test"].max(1).mean() > none["test"][:, -1].mean() + 0.04, (
        "without it, accuracy sinks"
    )
    assert half["test"][:, -1].mean() > none["test"][:, -1].mean() + 0.04, "with it, it is better"
    sunk = half["test"].max(1).mean() - half["test"][:, -1].mean()
    assert sunk < 0.03, "and hardly sinks"
    assert abs(half["train"][:, -1].mean() - 0.8) < 0.05, "about the right labels are learned"
    assert none["train"][:, -1].mean() > 0.87, "without dropout, wrong ones, too"
    assert most["test"][:, -1].mean() < half["test"][:, -1].mean() - 0.05, "four fifths is too much"
    return curves


def accuracy_as_it_is(model, data):
    """Return the accuracy on the test images in whatever mode the model is in."""
    with torch.no_grad():
        return (model(data.x_test).argmax(1) == data.y_test).double().mean().item()


def forgetting_eval_costs_accuracy(runs, calls=5):
    """With dropout left on, accuracy changes from call to call and is too low.

    Parameters
    ----------
    runs : list of Run
        Networks with dropout.
    calls : int

    Returns
    -------
    dict of list
        For each run the accuracies of all calls, ``forgotten`` and ``proper``.
    """
    result = {"forgotten": [], "proper": []}
    for run in runs:
        with ex.seeded(run.seed):
            run.model.train()
            result["forgotten"].append(
                [accuracy_as_it_is(run.model, run.data) for _ in range(calls)]
            )
            run.model.eval()
            result["proper"].append([accuracy_as_it_is(run.model, run.data) for _ in range(calls)])
    for forgotten, proper in zip(result["forgotten"], result["proper"], strict=True):
        assert len(set(forgotten)) > 1, "without eval() the result changes from call to call"
        assert len(set(proper)) == 1, "with eval() it does not"
        assert max(forgotten) < proper[0] - 0.02, "without eval() it is too low"
    return result


def units_can_be_missed(networks, missing=(0.0, 0.1, 0.2, 0.3, 0.4, 0.5), draws=10):
    """A network trained with dropout loses less when some of its hidden units are removed.

    Parameters
    ----------
    networks : dict
        From ``train_networks``, with the drop probabilities 0 and 0.5 at least.
    missing : sequence of float
        Shares of the hidden units that are removed, in ascending order from 0; the others are
        scaled up.
    draws : int
        Random choices of units to average over.

    Returns
    -------
    dict of float to np.ndarray
        For both drop probabilities the mean test accuracy for each share.
    """
    result = {}
    for drop in (0.0, 0.5):
        values = np.empty((len(networks[drop]), len(missing)))
        for row, run in enumerate(networks[drop]):
            layers = [layer for layer in run.model if isinstance(layer, nn.Linear)]
            generator = torch.Generator().manual_seed(run.seed)
            for column, share in enumerate(missing):
                right = []
                for _ in range(draws):
                    # The same units are missing for all images, as if they had been cut out.
                    h = run.data.x_test
                    for layer in layers[:-1]:
                        gone = torch.rand(layer.out_features, generator=generator) < share
                        h = layer(h).relu().masked_fill(gone, 0.0) / (1 - share)
                    with torch.no_grad():
                        right.append((layers[-1](h).argmax(1) == run.data.y_test).double().mean())
                values[row, column] = torch.stack(right).mean()
        result[drop] = values.mean(0)
    lost = {drop: values[0] - values[-1] for drop, values in result.items()}
    assert lost[0.5] < lost[0.0] - 0.03, "the network with dropout loses less"
    assert result[0.5][-1] > result[0.0][-1] + 0.06, "and is far better with units missing"
    return result


def sample(run, images, passes):
    """Return the class probabilities of several passes with dropout on.

    The networks have no batch normalization, so training mode switches on dropout and nothing else.

    Returns
    -------
    torch.Tensor of shape (passes, images, classes)
    """
    with torch.no_grad(), ex.seeded(run.seed + 1):
        run.model.train()
        many = run.model(images.repeat(passes, 1)).softmax(1)
        run.model.eval()
    return many.view(passes, len(images), -1)


def evaluation_mode_is_close_to_the_average(runs, passes=60):
    """One pass in evaluation mode is about as good as the average of many sub-networks.

    Parameters
    ----------
    runs : list of Run
        Networks with dropout.
    passes : int

    Returns
    -------
    dict of float
        Mean test accuracy of ``single`` sub-networks, of their ``average`` and of the ``whole``
        network; mean absolute ``difference`` of a probability between the latter two.
    """
    rows = []
    for run in runs:
        many = sample(run, run.data.x_test, passes)
        with torch.no_grad():
            whole = run.model(run.data.x_test).softmax(1)
        right = [
            (many.argmax(2) == run.data.y_test).double().mean().item(),
            (many.mean(0).argmax(1) == run.data.y_test).double().mean().item(),
            (whole.argmax(1) == run.data.y_test).double().mean().item(),
        ]
        rows.append([*right, (many.mean(0) - whole).abs().mean().item()])
    names = ("single", "average", "whole", "difference")
    result = dict(zip(names, np.mean(rows, axis=0).tolist(), strict=True))
    assert result["average"] > result["single"] + 0.04, "the average beats its members"
    assert abs(result["average"] - result["whole"]) < 0.015, "and the whole network is as good"
    assert 0.002 < result["difference"] < 0.05, "though not the same"
    return result


def dissent_finds_errors(runs, passes=60, groups=5):
    """Where sub-networks disagree, predictions are wrong; plain probabilities know it as well.

    Parameters
    ----------
    runs : list of Run
        Networks with half of their units dropped.
    passes : int
    groups : int
        Number of groups of equal size into which the test images are sorted.

    Returns
    -------
    dict
        Error rates in percent, mean over runs, per group sorted by ``deviation`` of the predicted
        probability, by ``dissent``, and by one minus the ``probability`` in evaluation mode;
        ``calm``, the share of pure noise images that have less dissent than the last group;
        ``spread`` for the drop probabilities 0.2 and 0.5 at prediction, the mean dissent.
    """
    names = ("deviation", "dissent", "probability")
    errors = {name: np.empty((len(runs), groups)) for name in names}
    calm, spread = [], {0.2: [], 0.5: []}
    for row, run in enumerate(runs):
        images = run.data.x_test
        many = sample(run, images, passes)
        predicted = many.mean(0).argmax(1)
        dissent = (many.argmax(2) != predicted).double().mean(0)
        with torch.no_grad():
            whole = run.model(images).softmax(1)
        scores = {
            "deviation": many[:, torch.arange(len(images)), predicted].std(0, correction=0),
            "dissent": dissent,
            "probability": -whole.max(1).values,
        }
        for name, score in scores.items():
            wrong = (whole.argmax(1) if name == "probability" else predicted) != run.data.y_test
            for place, group in enumerate(torch.tensor_split(score.argsort(), groups)):
                errors[name][row, place] = 100 * wrong[group].double().mean()
        generator = torch.Generator().manual_seed(run.seed)
        noise = sample(run, torch.rand(500, 64, generator=generator), passes)
        doubt = (noise.argmax(2) != noise.mean(0).argmax(1)).double().mean(0)
        calm.append((doubt < dissent.quantile(1 - 1 / groups)).double().mean().item())
        layers = [layer for layer in run.model if isinstance(layer, nn.Dropout)]
        for drop in spread:
            for layer in layers:
                layer.p = drop
            many = sample(run, images[:400], passes)
            spread[drop].append((many.argmax(2) != many.mean(0).argmax(1)).double().mean().item())
        for layer in layers:
            layer.p = 0.5
    result = {name: values.mean(0) for name, values in errors.items()}
    result["calm"] = float(np.mean(calm))
    result["spread"] = {drop: float(np.mean(values)) for drop, values in spread.items()}
    assert result["dissent"][-1] > 3 * max(result["dissent"][:-1]), "errors are where dissent is"
    assert result["dissent"][-1] > 15, "a good part of the last group is wrong"
    assert result["deviation"][-1] < 0.8 * result["dissent"][-1], "the deviation ranks worse"
    assert result["probability"][-1] > 0.75 * result["dissent"][-1], (
        "the probability nearly as well"
    )
    assert result["calm"] > 0.04, "for some images of noise the sub-networks agree"
    assert result["spread"][0.2] < 0.6 * result["spread"][0.5], "spread depends on the drop rate"
    return result


def feature_maps(images):
    """Return four channels of edges for each image, with weights set by hand.

    Parameters
    ----------
    images : torch.Tensor of shape (N, 64)

    Returns
    -------
    torch.Tensor of shape (N, 4, 8, 8)
    """
    rows = torch.tensor([[1.0, 2.0, 1.0], [0.0, 0.0, 0.0], [-1.0, -2.0, -1.0]])
    layer = nn.Conv2d(1, 4, 3, padding=1, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.stack([rows, -rows, rows.T, -rows.T])[:, None])
        return layer(images.view(-1, 1, 8, 8)).relu()


def neighbors_give_dropped_values_away(seeds, n_images=300, drop=0.5):
    """A single dropped value can be guessed from its neighbors, a dropped channel cannot.

    Parameters
    ----------
    seeds : sequence of int
    n_images : int
    drop : float

    Returns
    -------
    dict of float
        Correlation between dropped values and the mean of those of their eight neighbors that
        were kept, for ``single`` values dropped and whole ``channel``s.
    """
    result = {"single": [], "channel": []}
    for seed in seeds:
        data = ex.noisy_digits(np.random.default_rng(seed))
        maps = feature_maps(data.x_test[:n_images])
        window = torch.ones(1, 1, 3, 3)
        window[0, 0, 1, 1] = 0.0
        for name, shape in (("single", maps.shape), ("channel", (*maps.shape[:2], 1, 1))):
            generator = torch.Generator().manual_seed(seed)
            kept = (torch.rand(shape, generator=generator) >= drop).float().expand_as(maps)

            def total(values, window=window):
                flat = values.reshape(-1, 1, 8, 8)
                return nn.functional.conv2d(flat, window, padding=1).view_as(values)

            guess = total(maps * kept) / total(kept).clamp_min(1.0)
            gone = kept == 0
            pair = torch.stack([maps[gone], guess[gone]]).double()
            # A guess that is always the same is no guess.
            constant = pair[1].std() == 0
            result[name].append(0.0 if constant else torch.corrcoef(pair)[0, 1].item())
    result = {name: float(np.mean(values)) for name, values in result.items()}
    assert result["single"] > 0.4, "neighbors tell much about a single dropped value"
    assert result["channel"] == 0, "in a dropped channel, no neighbor is left"
    return result
