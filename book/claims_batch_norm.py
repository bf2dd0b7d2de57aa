"""What the chapter on batch normalization says about its experiments, as functions that check it.

Each function runs one experiment on the seeds it is given and returns the numbers that the chapter
prints and draws. It raises an AssertionError if a sentence of the chapter is not true of them. The
chapter calls it with its own seeds, the tests with other seeds and at a smaller size.
"""

import experiments as ex
import numpy as np
import torch
from torch import nn


class GroupedBatchNorm(nn.Module):
    """Batch norm that takes its statistics in training over groups of a batch ("ghost batches").

    PyTorch's own layer does the work: the groups are laid side by side as if they were further
    features. Stored statistics are averaged over the groups.

    Parameters
    ----------
    features : int
    groups : int
        Number of groups; the size of a batch in training has to be a multiple of it.
    """

    def __init__(self, features, groups):
        super().__init__()
        self.features, self.groups = features, groups
        self.norm = nn.BatchNorm1d(features * groups, affine=False)
        self.weight = nn.Parameter(torch.ones(features))
        self.bias = nn.Parameter(torch.zeros(features))

    def forward(self, x):
        """Normalize with the groups' statistics, or in evaluation mode with the stored ones."""
        if self.training:
            side_by_side = self.norm(x.reshape(-1, self.groups * self.features))
            return self.weight * side_by_side.reshape(x.shape) + self.bias
        mean, variance = (
            stored.view(self.groups, self.features).mean(0)
            for stored in (self.norm.running_mean, self.norm.running_var)
        )
        return nn.functional.batch_norm(x, mean, variance, self.weight, self.bias)


class ShiftingNoise(nn.Module):
    """Stretch and shift every unit at random, otherwise in each training step.

    Placed after batch norm, it brings back the moving distributions that batch norm is said to
    remove (the idea is Santurkar and others', 2018).

    Parameters
    ----------
    size : float
        The shift is drawn from [-size, size], the factor from [1 - size, 1 + size].
    """

    def __init__(self, size=0.5):
        super().__init__()
        self.size = size

    def forward(self, x):
        """Disturb in training, and return the input as it is in evaluation."""
        if not self.training:
            return x
        stretch, shift = self.size * (2 * torch.rand(2, x.shape[1]) - 1)
        return (1 + stretch) * x + shift


def network(*blocks):
    """Join lists of layers to a network."""
    return nn.Sequential(*(layer for block in blocks for layer in block))


def fit(model, data, rate, seed, epochs, batch_size=50, record_every=None):
    """Train with plain SGD, draw the order of the examples from ``seed``, return the history."""
    return ex.train(
        model,
        data,
        torch.optim.SGD(model.parameters(), lr=rate),
        epochs=epochs,
        batch_size=batch_size,
        record_every=record_every or epochs,
        generator=torch.Generator().manual_seed(seed),
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
    assert slow[:, 9].max() < 2.6, "after ten batches the slow one is still on its way"
    assert abs(slow[:, 30:].mean(0) - 3).max() < 0.7, "after 30 it has arrived"
    assert fast[:, :5].mean() > 2, "the fast one is there at once"
    assert fast[:, 30:].std(1).mean() > 2 * slow[:, 30:].std(1).mean(), "and does not rest"
    return {0.1: slow, 0.9: fast}


def learning_rates(seeds, rates=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0), epochs=15):
    """Batch norm learns at more learning rates, and at 0.3 fits wrong labels and suffers for it.

    Returns
    -------
    dict
        ``train`` and ``test``: each maps False (plain) and True (with batch norm) to an array of
        accuracies, one row per seed and one column per rate. ``works`` maps False and True to the
        rates at which the mean training accuracy is above 60%.
    """
    shape = len(seeds), len(rates)
    found = {part: {norm: np.empty(shape) for norm in (False, True)} for part in ("train", "test")}
    for row, seed in enumerate(seeds):
        data = ex.noisy_digits(np.random.default_rng(seed))
        for norm in (False, True):
            for column, rate in enumerate(rates):
                with ex.seeded(seed):
                    model = ex.digits_network(batch_norm=norm)
                history = fit(model, data, rate, seed, epochs)
                for part, values in found.items():
                    values[norm][row, column] = history[part][-1]
    train, test = found["train"], found["test"]
    works = {
        norm: [rate for rate, mean in zip(rates, values.mean(0), strict=True) if mean > 0.6]
        for norm, values in train.items()
    }
    low, high = (works[True][end] for end in (0, -1))
    assert low < works[False][0], "batch norm learns at smaller rates than the plain network"
    assert high > works[False][-1], "and at larger ones"
    at = list(rates).index(0.3)
    assert train[True].mean(0)[at] > 0.82 > train[False].mean(0)[at] - 0.04, (
        "at 0.3 it is batch norm that learns wrong labels"
    )
    assert test[True].mean(0)[at] < test[False].mean(0)[at] - 0.02, (
        "at 0.3 batch norm has the lower test accuracy"
    )
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
    signal = {key: np.mean(rows, axis=0) for key, rows in signal.items()}
    assert signal[False, 0.5][-1] < 1e-6, "from small weights the plain signal vanishes"
    assert signal[False, 2.0][-1] > 1e6, "from large ones it explodes"
    ends = [signal[True, gain][-1] for gain in gains]
    assert all(0.4 < end < 0.8 for end in ends), "with batch norm the signal keeps its size"
    assert np.ptp(ends) < 0.01, "whatever the initial scale"
    assert all(1.1 < factor < 1.3 for factor in growth), "the gradient grows by a fifth per layer"
    return {"gains": gains, "signal": signal, "growth": float(np.mean(growth))}


def initial_scales(seeds, scales=(0.01, 0.1, 0.3, 1.0, 3.0, 10.0), epochs=10):
    """With batch norm training works whatever the initial scale, but slows down at large ones.

    Returns
    -------
    dict
        ``scales``; False (plain) and True (batch norm): training accuracies, a row per seed.
    """
    found = {norm: np.empty((len(seeds), len(scales))) for norm in (False, True)}
    for row, seed in enumerate(seeds):
        data = ex.noisy_digits(np.random.default_rng(seed), wrong=0.0)
        for norm, values in found.items():
            for column, scale in enumerate(scales):
                with ex.seeded(seed):
                    model = ex.digits_network(hidden=64, batch_norm=norm)
                with torch.no_grad():
                    for layer in model[:-1]:
                        if isinstance(layer, nn.Linear):
                            layer.weight *= scale
                values[row, column] = fit(model, data, 0.1, seed, epochs)["train"][-1]
    plain, normed = (found[norm].mean(0) for norm in (False, True))
    small = np.array(scales) <= 0.3
    assert plain[small].max() < 0.4, "the plain network does not start from small weights"
    assert normed[small].min() > 0.95, "batch norm does"
    assert normed.min() > 0.8, "with batch norm every scale works"
    assert normed[-1] < normed[small].min() - 0.02, "large weights slow batch norm down"
    assert plain[-1] > normed[-1] + 0.02, "so far that the plain network is ahead there"
    return {"scales": scales, **found}


def forgotten_evaluation(seeds, epochs=10):
    """In training mode a prediction depends on the rest of the batch.

    Returns
    -------
    dict
        Test accuracies, one per seed: ``proper`` in evaluation mode; in training mode ``mixed`` on
        batches of 50 in random order and ``sorted`` on batches sorted by digit.
    """
    found = {"proper": [], "mixed": [], "sorted": []}
    for seed in seeds:
        data = ex.noisy_digits(np.random.default_rng(seed))
        with ex.seeded(seed):
            model = ex.digits_network(hidden=64, batch_norm=True)
        fit(model, data, 0.1, seed, epochs)
        found["proper"].append(ex.accuracy(model, data.x_test, data.y_test))
        model.train()
        shuffled = torch.randperm(len(data.y_test), generator=torch.Generator().manual_seed(seed))
        for name, order in (("mixed", shuffled), ("sorted", data.y_test.argsort())):
            with torch.no_grad():
                guesses = torch.cat([model(data.x_test[b]).argmax(1) for b in order.split(50)])
            found[name].append((guesses == data.y_test[order]).double().mean().item())
    proper, mixed, by_digit = (np.mean(found[name]) for name in ("proper", "mixed", "sorted"))
    assert abs(proper - mixed) < 0.05, "on mixed batches the mistake hardly shows"
    assert by_digit < 0.4 < proper - 0.4, "on sorted batches the predictions are useless"
    return found


def placement(seeds, rates=(0.03, 0.3), epochs=15):
    """After the ReLU learns faster at the small rate, but not at the large; both beat none.

    Returns
    -------
    dict
        Maps (place, rate), place being "none", "before" or "after", to an array with a row per
        seed: training accuracy after a third of the epochs, test accuracy at the end.
    """
    found = {(place, rate): [] for place in ("none", "before", "after") for rate in rates}
    for seed in seeds:
        # True labels only: fitting wrong ones sooner would count against the faster network.
        data = ex.noisy_digits(np.random.default_rng(seed), wrong=0.0)
        for (place, rate), values in found.items():
            with ex.seeded(seed):
                blocks = []
                for _ in range(2):
                    block = [nn.Linear(64, 64), nn.ReLU()]
                    if place != "none":
                        block.insert(1 if place == "before" else 2, nn.BatchNorm1d(64))
                    blocks.append(block)
                model = network(*blocks, [nn.Linear(64, 10)])
            history = fit(model, data, rate, seed, epochs, record_every=epochs // 3)
            values.append((history["train"][0], history["test"][-1]))
    found = {key: np.array(values) for key, values in found.items()}
    small, large = rates
    early, end = ({key: v[:, i].mean() for key, v in found.items()} for i in (0, 1))
    assert early["after", small] > early["before", small] + 0.01, "after is ahead at first at 0.03"
    assert early["before", large] > early["after", large] - 0.005, "but not any more at 0.3"
    for rate in rates:
        assert abs(end["before", rate] - end["after", rate]) < 0.025, "in the end they are close"
        assert min(end["before", rate], end["after", rate]) > end["none", rate] + 0.01, (
            "either is better than none"
        )
    return found


def group_sizes(seeds, sizes=(2, 4, 10, 20, 60), epochs=20):
    """Statistics over few examples harm on true labels, and regularize on wrong ones.

    Every step averages the gradient over the same 60 examples. Only the groups shrink over which
    mean and variance are taken.

    Returns
    -------
    dict
        ``sizes``; ``clean`` and ``noisy``: maps from a size, or "layer" for layer norm, to an array
        with a row per seed: training accuracy, test accuracy.
    """
    found = {"clean": {}, "noisy": {}}
    for part, wrong in (("clean", 0.0), ("noisy", 0.2)):
        for size in (*sizes, "layer"):
            rows = []
            for seed in seeds:
                data = ex.noisy_digits(np.random.default_rng(seed), wrong=wrong)
                with ex.seeded(seed):
                    blocks = []
                    for _ in range(2):
                        norm = (
                            nn.LayerNorm(64)
                            if size == "layer"
                            else GroupedBatchNorm(64, 60 // size)
                        )
                        blocks.append([nn.Linear(64, 64), norm, nn.ReLU()])
                    model = network(*blocks, [nn.Linear(64, 10)])
                history = fit(model, data, 0.1, seed, epochs, batch_size=60)
                rows.append((history["train"][-1], history["test"][-1]))
            found[part][size] = np.array(rows)
    (clean, noisy), few, all_ = (
        [{size: rows.mean(0) for size, rows in found[part].items()} for part in found],
        sizes[1],
        sizes[-1],
    )
    assert clean[2][1] < clean[all_][1] - 0.08, "groups of two harm"
    assert clean[few][1] < clean[all_][1], "groups of four harm a little on true labels"
    assert abs(clean["layer"][1] - clean[all_][1]) < 0.03, "layer norm has no such weakness"
    assert noisy[few][0] < noisy[all_][0] - 0.04, "small groups learn fewer wrong labels"
    assert noisy[few][1] > noisy[all_][1] + 0.03, "and predict better for it"
    assert noisy[2][1] < noisy[few][1] - 0.05, "but not groups of two"
    return {"sizes": sizes, **found}


def moving_distributions(seeds, epochs=15, rate=0.1):
    """Batch norm helps even when its outputs are made to move more than a plain network's.

    Returns
    -------
    dict
        Maps "plain", "batch norm" and "disturbed" to a dict with ``train``, the training accuracy
        after each epoch, a row per seed, and ``moves``, how far the mean of a unit's activations
        on the training images moves from one step to the next, in standard deviations.
    """
    found = {kind: {"train": [], "moves": []} for kind in ("plain", "batch norm", "disturbed")}
    for seed in seeds:
        data = ex.noisy_digits(np.random.default_rng(seed), wrong=0.0)
        for kind, values in found.items():
            with ex.seeded(seed):
                blocks = []
                for _ in range(3):
                    norm = [] if kind == "plain" else [nn.BatchNorm1d(64)]
                    if kind == "disturbed":
                        norm.append(ShiftingNoise())
                    blocks.append([nn.Linear(64, 64), *norm, nn.ReLU()])
                model = network(*blocks, [nn.Linear(64, 10)])
                moves = watch(model, data.x_train)
                history = fit(model, data, rate, seed, epochs, record_every=1)
            values["train"].append(history["train"])
            values["moves"].append(np.mean(moves))
    for values in found.values():
        values["train"], values["moves"] = (
            np.array(values["train"]),
            float(np.mean(values["moves"])),
        )
    plain, normed, disturbed = found.values()
    assert normed["moves"] < 0.05 * plain["moves"], "batch norm holds the distributions still"
    assert disturbed["moves"] > 3 * plain["moves"], "disturbed, they move several times as far"
    last = [values["train"][:, -1].mean() for values in found.values()]
    assert abs(last[2] - last[1]) < 0.05, "disturbed batch norm trains as well as undisturbed"
    assert last[2] > last[0] + 0.1, "and better than none"
    half = [values["train"][:, epochs // 2].mean() for values in found.values()]
    assert half[2] > half[0] + 0.3, "half way through far better"
    return found


def watch(model, x):
    """Collect how far the means of what enters each ReLU move from one training step to the next.

    The means are always taken over the same examples. Those of two mini-batches differ even in a
    network that does not learn at all.

    Parameters
    ----------
    model : torch.nn.Sequential
    x : torch.Tensor
        The examples.

    Returns
    -------
    list of float
        Filled while the model is trained.
    """
    moves, last, looking = [], {}, []

    def remember(layer, inputs):
        if looking:
            mean, deviation = inputs[0].mean(0), inputs[0].std(0)
            if layer in last:
                old_mean, old_deviation = last[layer]
                moves.append(((mean - old_mean).abs() / (old_deviation + 1e-6)).mean().item())
            last[layer] = mean, deviation

    def look(model, inputs):
        if model.training and not looking:
            looking.append(True)
            kept = [(buffer, buffer.clone()) for buffer in model.buffers()]
            with torch.no_grad():
                model(x)
                for buffer, value in kept:  # looking leaves no trace in the running statistics
                    buffer.copy_(value)
            looking.clear()

    model.register_forward_pre_hook(look)
    for layer in model:
        if isinstance(layer, nn.ReLU):
            layer.register_forward_pre_hook(remember)
    return moves


def dropout_with_batch_norm(seeds, epochs=20):
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
    for seed in seeds:
        data = ex.noisy_digits(np.random.default_rng(seed))
        for place, values in found.items():
            with ex.seeded(seed):
                drop = [nn.Dropout(0.5)]
                model = network(
                    [nn.Linear(64, 128), nn.ReLU()],
                    drop if place == "before" else [],
                    [nn.Linear(128, 128), nn.BatchNorm1d(128), nn.ReLU()],
                    drop if place == "after" else [],
                    [nn.Linear(128, 10)],
                )
                fit(model, data, 0.1, seed, epochs)
            at = next(i for i, layer in enumerate(model) if isinstance(layer, nn.BatchNorm1d))
            norm = model[at]
            model.eval()
            with torch.no_grad():
                arriving = model[:at](data.x_train)
                values["ratio"].append((arriving.var(0) / norm.running_var).median().item())
                for ending in ("", " again"):
                    scores = model(data.x_test)
                    values[f"loss{ending}"].append(
                        nn.functional.cross_entropy(scores, data.y_test).item()
                    )
                    right = (scores.argmax(1) == data.y_test).double().mean().item()
                    values[f"accuracy{ending}"].append(right)
                    # With a momentum of None one pass in training mode stores just this batch.
                    norm.reset_running_stats()
                    norm.momentum = None
                    norm.train()(arriving)
                    norm.eval()
    before, after = ({n: np.mean(v) for n, v in found[place].items()} for place in found)
    assert before["ratio"] < 0.8 < 0.9 < after["ratio"] < 1.1, "the variance shifts"
    gains = [values["loss"] - values["loss again"] for values in (before, after)]
    assert gains[0] > gains[1] + 0.03, "new statistics lower the loss, more than they do without"
    assert before["accuracy"] > after["accuracy"], "dropout in front is the more accurate here"
    assert abs(before["accuracy again"] - before["accuracy"]) < 0.02, "the accuracy moves little"
    return found


def smoothness(seeds, steps=(0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5), level=1.0):
    """At the same loss, the gradient changes less along itself with batch norm.

    Both networks are trained at the same learning rate until the training loss is below ``level``;
    then the loss is measured along the negative gradient.

    Returns
    -------
    dict
        ``steps``; False (plain) and True (batch norm): a dict of arrays, a row per seed and a
        column per step: ``loss`` and ``change``, the distance between the gradients at the start
        and after the step, over the size of the first; and ``size``, that size, one per seed.
    """
    found = {norm: {"loss": [], "change": [], "size": []} for norm in (False, True)}
    for seed in seeds:
        data = ex.noisy_digits(np.random.default_rng(seed), wrong=0.0)
        for norm, values in found.items():
            with ex.seeded(seed):
                model = ex.digits_network(hidden=64, batch_norm=norm)
            parameters = list(model.parameters())

            def slope(model=model, data=data, parameters=parameters):
                loss = nn.functional.cross_entropy(model.train()(data.x_train), data.y_train)
                gradient = torch.autograd.grad(loss, parameters)
                return loss.item(), nn.utils.parameters_to_vector(gradient)

            epoch = 0
            while slope()[0] > level and epoch < 100:
                fit(model, data, 0.1, seed + 1000 * epoch, 1)
                epoch += 1
            _, first = slope()
            start = nn.utils.parameters_to_vector(parameters).detach()
            losses, changes = [], []
            for step in steps:
                nn.utils.vector_to_parameters(start - step * first, parameters)
                loss, gradient = slope()
                losses.append(loss)
                changes.append(((gradient - first).norm() / first.norm()).item())
            values["loss"].append(losses)
            values["change"].append(changes)
            values["size"].append(first.norm().item())
    found = {
        norm: {name: np.array(rows) for name, rows in values.items()}
        for norm, values in found.items()
    }
    plain, normed = found.values()
    at = steps.index(0.5)
    assert normed["change"].mean(0)[at] < 0.5 * plain["change"].mean(0)[at], (
        "the gradient changes less than half as much with batch norm"
    )
    assert normed["loss"].mean(0)[-1] < normed["loss"].mean(0)[0] - 0.2, (
        "a long step still lowers the loss with batch norm"
    )
    assert plain["loss"].mean(0)[-1] > plain["loss"].mean(0)[0] + 0.1, (
        "without, the same step raises it"
    )
    return {"steps": steps, **found}
