"""What the chapter on batch normalization says about its experiments.

Each function runs an experiment on the seeds it is given, raises ``AssertionError`` if a sentence
of the chapter is not true by a `margin <experiments.margins>`, and returns the numbers that the
chapter shows. The chapter calls it with its own seeds; the tests call it with others, and smaller.
"""

import numpy as np
import torch
from torch import nn

from experiments import digits as ex
from experiments import ensemble
from experiments.margins import between, greater, less


def build(seeds, make, **options):
    """Return a stack of what ``make`` returns, its hidden layers with He's initial weights."""
    return ensemble.build(seeds, lambda: ex.initialize_for_relu(make(**options)))


def network(*blocks):
    """Join lists of layers to a network."""
    return nn.Sequential(*(layer for block in blocks for layer in block))


def fit(stack, data, rate, seeds, epochs, batch_size=50, record_every=None):
    """Train with plain SGD, draw the order of the examples from the seeds, return the history."""
    return ensemble.train(
        stack,
        data,
        torch.optim.SGD(stack.parameters(), lr=rate),
        epochs=epochs,
        batch_size=batch_size,
        record_every=record_every or epochs,
        generators=ensemble.generators(seeds),
    )


def momentum_direction(seeds, batches=60):
    """With a weight of 0.1 the running mean needs 30 batches and is steady; with 0.9 it is neither.

    Batches of eight numbers are drawn from a normal distribution with mean 3 and deviation 2.

    Returns
    -------
    dict
        Maps the weight of the new batch to an array of running means, a row per seed.
    """
    paths = {0.1: [], 0.9: []}
    for seed in seeds:
        for momentum, rows in paths.items():
            generator = torch.Generator().manual_seed(seed)
            layer = nn.BatchNorm1d(1, momentum=momentum)
            row = []
            for _ in range(batches):
                layer(3 + 2 * torch.randn(8, 1, generator=generator))
                row.append(layer.running_mean.item())
            rows.append(row)
    slow, fast = (np.array(rows) for rows in paths.values())
    less(slow[:, 9], 2.7, "After ten batches the slow one is still on its way.")
    between(slow[:, 30:].mean(1), 2.5, 3.5, "After 30 it has arrived.")
    greater(fast[:, :5].mean(1), 2, "The fast one is there at once.")
    greater(fast[:, 30:].std(1) / slow[:, 30:].std(1), 1, "And does not rest.")
    return {0.1: slow, 0.9: fast}


def learning_rates(
    seeds, rates=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0), epochs=15, n_train=600
):
    """Batch norm learns at more learning rates, and at 0.3 fits wrong labels and suffers for it.

    Returns
    -------
    dict
        ``train`` and ``test``: each maps "plain", "default" (plain, from PyTorch's initial weights)
        and "batch norm" to an array of accuracies, one row per seed and one column per rate.
        ``works`` maps the same to the rates at which the mean training accuracy is above 65%.
    """
    shape = len(seeds), len(rates)
    kinds = ("plain", "default", "batch norm")
    found = {part: {kind: np.empty(shape) for kind in kinds} for part in ("train", "test")}
    data = ensemble.draw(seeds, n_train=n_train)
    for kind in kinds:
        start = ensemble.build if kind == "default" else build
        for column, rate in enumerate(rates):
            stack = start(seeds, ex.digits_network, batch_norm=kind == "batch norm")
            history = fit(stack, data, rate, seeds, epochs)
            for part, values in found.items():
                values[kind][:, column] = history[part][:, -1]
    train, test = found["train"], found["test"]
    works = {
        kind: [rate for rate, mean in zip(rates, values.mean(0), strict=True) if mean > 0.65]
        for kind, values in train.items()
    }
    small, middle, large = (list(rates).index(rate) for rate in (0.01, 0.3, 3.0))
    plain, normed = train["plain"], train["batch norm"]
    ahead = normed[:, small] - plain[:, small]
    greater(ahead, 0, "Batch norm learns faster at a small rate.")
    start = plain[:, small] - train["default"][:, small]
    greater(start - ahead / 2, 0, "Much of its lead over PyTorch's weights is due to the weights.")
    greater(normed[:, large], 0.6, "It learns at a rate at which the plain network breaks down.")
    less(plain[:, large], 0.3, "Which that network does.")
    greater(normed[:, middle], 0.82, "At 0.3 batch norm learns wrong labels.")
    greater(normed[:, middle] - plain[:, middle], 0, "More than the plain network.")
    suffers = test["batch norm"][:, middle] - test["plain"][:, middle]
    less(suffers, 0, "And its test accuracy suffers.")
    return {**found, "works": works}


def deep_signal(seeds, depth=30, width=128):
    """Plain signals vanish or explode with depth, and gradients too; batch norm holds signals.

    Nothing is trained. The weights of a deep network with ReLU start as is usual for it (He), or
    at half or twice that.

    Returns
    -------
    dict
        ``gains``; ``signal`` maps (norm, gain) to the mean standard deviation after each layer;
        ``growth``: for batch norm, by what factor the gradient grows per layer on its way back.
    """
    gains = (0.5, 1.0, 2.0)
    signal = {(norm, gain): [] for norm in (False, True) for gain in gains}
    growth = []
    for seed in seeds:
        data = ex.noisy_digits(np.random.default_rng(seed))
        for norm, gain in signal:
            with ex.seeded(seed):
                layers = []
                for inputs in (64, *[width] * (depth - 1)):
                    linear = nn.Linear(inputs, width, bias=False)
                    nn.init.normal_(linear.weight, std=gain * (2 / inputs) ** 0.5)
                    layers.append((linear, *([nn.BatchNorm1d(width)] if norm else []), nn.ReLU()))
                upstream = torch.randn(100, width)
            x, outputs = data.x_train[:100], []
            for layer in layers:
                for part in layer:
                    x = part(x)
                x.retain_grad()
                outputs.append(x)
            x.backward(upstream)
            signal[norm, gain].append([out.std().item() for out in outputs])
            if norm:
                sizes = [out.grad.norm().item() for out in outputs]
                growth.append((sizes[0] / sizes[-1]) ** (1 / (depth - 1)))
    signal = {key: np.array(rows) for key, rows in signal.items()}
    less(np.log10(signal[False, 0.5][:, -1]), -9, "From small weights the plain signal vanishes.")
    greater(np.log10(signal[False, 2.0][:, -1]), 8, "From large ones it explodes.")
    ends = np.array([signal[True, gain][:, -1] for gain in gains])
    for end in ends:
        between(end, 0.4, 0.8, "With batch norm the signal keeps its size.")
    less(np.ptp(ends, axis=0), 0.01, "Whatever the initial scale.")
    growth = np.array(growth).reshape(len(seeds), len(gains)).mean(1)
    between(growth, 1.1, 1.3, "The gradient grows by about a fifth per layer.")
    signal = {key: rows.mean(0) for key, rows in signal.items()}
    return {"gains": gains, "signal": signal, "growth": float(np.mean(growth))}


def initial_scales(seeds, scales=(0.01, 0.1, 0.3, 1.0, 3.0, 10.0), epochs=10, n_train=600):
    """With batch norm training works whatever the initial scale, but slows down at large ones.

    Returns
    -------
    dict
        ``scales``, in He's initial weights; False (plain) and True (batch norm): training
        accuracies, a row per seed.
    """
    found = {norm: np.empty((len(seeds), len(scales))) for norm in (False, True)}
    data = ensemble.draw(seeds, n_train=n_train, wrong=0.0)
    for norm, values in found.items():
        for column, scale in enumerate(scales):
            stack = build(seeds, ex.digits_network, hidden=64, batch_norm=norm)
            with torch.no_grad():
                for layer in stack.layers[:-1]:
                    if isinstance(layer, ensemble.Linear):
                        layer.weight *= scale
            values[:, column] = fit(stack, data, 0.1, seeds, epochs)["train"][:, -1]
    plain, normed = found[False], found[True]
    for column in np.flatnonzero(np.array(scales) <= 0.1):
        less(plain[:, column], 0.5, "The plain network does not start from small weights.")
        greater(normed[:, column], 0.9, "Batch norm does.")
        less(normed[:, -1] - normed[:, column], 0, "Large weights slow batch norm down.")
    for values in normed.T:
        greater(values, 0.7, "With batch norm every scale works.")
    large = list(scales).index(3.0)
    ahead = plain[:, large] - normed[:, large]
    greater(ahead, 0, "From weights three times as large the plain network is ahead.")
    return {"scales": scales, **found}


def forgotten_evaluation(seeds, epochs=10, n_train=600):
    """In training mode a prediction depends on the rest of the batch.

    Returns
    -------
    dict
        Test accuracies, one per seed: ``proper`` in evaluation mode; in training mode ``mixed`` on
        batches of 50 in random order and ``sorted`` on batches sorted by digit.
    """
    found = {"proper": [], "mixed": [], "sorted": []}
    data = ensemble.draw(seeds, n_train=n_train)
    stack = build(seeds, ex.digits_network, hidden=64, batch_norm=True)
    found["proper"] = fit(stack, data, 0.1, seeds, epochs)["test"][:, -1]
    for model, one, generator in zip(stack.networks, data, ensemble.generators(seeds), strict=True):
        model.train()
        shuffled = torch.randperm(len(one.y_test), generator=generator)
        for name, order in (("mixed", shuffled), ("sorted", one.y_test.argsort())):
            with torch.no_grad():
                guesses = torch.cat([model(one.x_test[b]).argmax(1) for b in order.split(50)])
            found[name].append((guesses == one.y_test[order]).double().mean().item())
    proper, mixed, by_digit = (np.array(found[name]) for name in ("proper", "mixed", "sorted"))
    between(proper - mixed, -0.06, 0.06, "On mixed batches the mistake hardly shows.")
    less(by_digit, 0.5, "On sorted batches the predictions are useless.")
    greater(proper - by_digit, 0.3, "They are far worse than in evaluation mode.")
    return found


def placement(seeds, rates=(0.03, 0.3), epochs=15, n_train=600):
    """At the small rate, after the ReLU learns faster than before it, and both beat none.

    Returns
    -------
    dict
        Maps (place, rate), place being "none", "before" or "after", to an array with a row per
        seed: training accuracy after a third of the epochs, test accuracy at the end.
    """

    def make(place):
        blocks = []
        for _ in range(2):
            block = [nn.Linear(64, 64), nn.ReLU()]
            if place != "none":
                block.insert(1 if place == "before" else 2, nn.BatchNorm1d(64))
            blocks.append(block)
        return network(*blocks, [nn.Linear(64, 10)])

    # True labels only: fitting wrong ones sooner would count against the faster network.
    data = ensemble.draw(seeds, n_train=n_train, wrong=0.0)
    found = {}
    for place in ("none", "before", "after"):
        for rate in rates:
            stack = build(seeds, make, place=place)
            history = fit(stack, data, rate, seeds, epochs, record_every=epochs // 3)
            found[place, rate] = np.column_stack([history["train"][:, 0], history["test"][:, -1]])
    early, end = ({key: rows[:, part] for key, rows in found.items()} for part in (0, 1))
    ahead = early["after", rates[0]] - early["before", rates[0]]
    greater(ahead, 0, "After the ReLU is ahead at first at the small rate.")
    for rate in rates:
        between(end["before", rate] - end["after", rate], -0.07, 0.07, "In the end they are close.")
    for place in ("before", "after"):
        gained = end[place, rates[0]] - end["none", rates[0]]
        greater(gained, 0, "At the small rate, either is better than none.")
    return found


def dropout_with_batch_norm(seeds, epochs=20, n_train=600):
    """Dropout before batch norm leaves it with a stored variance that is wrong in evaluation.

    Returns
    -------
    dict
        Maps "before", "after" (where dropout stands) to a dict of lists, one number per seed:
        ``ratio``, the variance in evaluation over the stored one (median over units); ``loss`` and
        ``accuracy`` on test images; ``loss again`` and ``accuracy again``, the same when the stored
        statistics are taken once more, without dropout.
    """
    names = ("ratio", "loss", "accuracy", "loss again", "accuracy again")
    found = {place: {name: [] for name in names} for place in ("before", "after")}

    def make(place):
        drop = [nn.Dropout(0.5)]
        return network(
            [nn.Linear(64, 128), nn.ReLU()],
            drop if place == "before" else [],
            [nn.Linear(128, 128), nn.BatchNorm1d(128), nn.ReLU()],
            drop if place == "after" else [],
            [nn.Linear(128, 10)],
        )

    data = ensemble.draw(seeds, n_train=n_train)
    for place, values in found.items():
        stack = build(seeds, make, place=place)
        with ex.seeded(seeds[0]):
            fit(stack, data, 0.1, seeds, epochs)
        for model, one in zip(stack.networks, data, strict=True):
            at = next(i for i, layer in enumerate(model) if isinstance(layer, nn.BatchNorm1d))
            norm = model[at]
            model.eval()
            with torch.no_grad():
                arriving = model[:at](one.x_train)
                values["ratio"].append((arriving.var(0) / norm.running_var).median().item())
                for ending in ("", " again"):
                    scores = model(one.x_test)
                    values[f"loss{ending}"].append(
                        nn.functional.cross_entropy(scores, one.y_test).item()
                    )
                    right = (scores.argmax(1) == one.y_test).double().mean().item()
                    values[f"accuracy{ending}"].append(right)
                    # With a momentum of None one pass in training mode stores just this batch.
                    norm.reset_running_stats()
                    norm.momentum = None
                    norm.train()(arriving)
                    norm.eval()
    before, after = (
        {name: np.array(values) for name, values in found[place].items()} for place in found
    )
    less(before["ratio"], 0.8, "The variance shifts.")
    between(after["ratio"], 0.85, 1.15, "Without dropout in front it does not.")
    gains = [values["loss"] - values["loss again"] for values in (before, after)]
    greater(gains[0], 0, "New statistics lower the loss.")
    greater(gains[0] - gains[1], 0, "More than they do without.")
    moved = before["accuracy again"] - before["accuracy"]
    between(moved, -0.02, 0.02, "The accuracy moves little.")
    return found
