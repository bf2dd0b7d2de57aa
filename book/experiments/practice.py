"""What the chapter "Regularization in practice" says about its experiments.

Each function runs an experiment on the seeds it is given, raises ``AssertionError`` if a sentence
of the chapter is not true by a `margin <experiments.margins>`, and returns the numbers that the
chapter shows. The chapter calls it with its own seeds; the tests call it with others.
"""

import numpy as np
import torch
from torch import nn

from experiments import digits as ex
from experiments import ensemble, protocol
from experiments.margins import between, greater, less

NETWORKS = {"dense": protocol.dense, "convolutional": protocol.convolutional}
ALONE = ("weight decay", "dropout", "shifts", "label smoothing", "mixup")
BINS = 10


def both(seeds, **size):
    """Compare all methods on both networks; see `protocol.compare`."""
    return {name: protocol.compare(seeds, make=make, **size) for name, make in NETWORKS.items()}


def mean_of_both(found, method, when, part="test"):
    """Return the mean of the two networks, one number per seed."""
    return np.mean([one[method][when][part] for one in found.values()], axis=0)


def wrong_labels(seeds, **size):
    """Say what helps where labels are wrong, if all methods are treated alike.

    Parameters
    ----------
    seeds : sequence of int
    **size
        Passed on to `protocol.train`.

    Returns
    -------
    dict
        By network what `protocol.compare` returns.
    """
    found = both(seeds, **{"wrong": 0.2, **size})
    last = {method: mean_of_both(found, method, "last") for method in protocol.METHODS}
    best = {method: mean_of_both(found, method, "best") for method in protocol.METHODS}
    gain = {method: test - last["none"] for method, test in last.items()}
    greater(np.mean([gain[method] for method in ALONE], axis=0), 0, "On average the five help.")
    for method in ("shifts", "label smoothing", "mixup"):
        greater(gain[method], 0, f"With wrong labels {method} helps at the last epoch.")
    for method in ALONE:
        less(gain[method], 4, f"No more than a few points: {method}.")
    slow, fast = (
        np.mean([one["none"]["last"]["tried"][setting] for one in found.values()], axis=0)
        for setting in protocol.grid("none")
    )
    greater(slow - fast, 0, "A small learning rate protects, too.")
    for method in ("batch norm", "decay + norm"):
        less(gain[method], 0, f"With wrong labels {method} harms at the last epoch.")
    fit = {name: mean_of_both(found, name, "last", "train") for name in ("none", "batch norm")}
    greater(fit["batch norm"] - fit["none"], 0, "Batch norm fits more wrong labels.")
    greater(best["batch norm"] - last["batch norm"], 0, "Batch norm gains by stopping early.")
    early = np.mean([best[method] - last[method] for method in ALONE], axis=0)
    between(early, -1.5, 1.0, "With the others it makes little difference.")
    greater(gain["dropout + norm"] - gain["batch norm"], 0, "Dropout mends batch norm.")
    return found


def right_labels(seeds, **size):
    """Say what the same methods do where all labels are right.

    Parameters
    ----------
    seeds : sequence of int
    **size
        Passed on to `protocol.train`.

    Returns
    -------
    dict
        By network what `protocol.compare` returns.
    """
    found = both(seeds, **{"wrong": 0.0, **size})
    last = {method: mean_of_both(found, method, "last") for method in protocol.METHODS}
    gain = {method: test - last["none"] for method, test in last.items()}
    for method in ("batch norm", "shifts", "label smoothing", "dropout + norm"):
        greater(gain[method], 0, f"With right labels {method} helps.")
    between(gain["weight decay"], -1, 1, "Weight decay makes next to no difference.")
    for method in ("batch norm", "decay + norm", *ALONE):
        less(gain[method], 4, f"No more than a few points: {method}.")
    for method in ("batch norm", "weight decay"):
        more = gain["decay + norm"] - gain[method]
        greater(more, 0, f"Decay and norm together are better than {method} alone.")
    for method in ("none", "batch norm"):
        fit = mean_of_both(found, method, "last", "train")
        greater(fit, 98, f"With {method} nearly all training labels are fitted.")
    return found


def temperature(scores, labels):
    """Return the number by which scores are to be divided, of those tried the one of least loss.

    Parameters
    ----------
    scores : torch.Tensor
        Shape (examples, classes).
    labels : torch.Tensor

    Returns
    -------
    float
        Between 0.1 and 10, in steps of two percent.
    """
    tried = torch.logspace(-1, 1, 231)
    loss = [nn.functional.cross_entropy(scores / one, labels) for one in tried]
    return tried[torch.stack(loss).argmin()].item()


def reliability(probabilities, labels):
    """Sort predictions by their confidence into ten bins of equal width.

    Parameters
    ----------
    probabilities : torch.Tensor
        Shape (examples, classes).
    labels : torch.Tensor

    Returns
    -------
    numpy.ndarray
        A row per bin: number of examples, sum of confidences, number of right ones.
    """
    confidence, predicted = probabilities.max(1)
    number = (confidence * BINS).long().clamp(max=BINS - 1)
    columns = (torch.ones_like(confidence), confidence, (predicted == labels).float())
    return torch.stack(
        [torch.bincount(number, weights=one.double(), minlength=BINS) for one in columns], dim=1
    ).numpy()


def calibration_error(bins):
    """Return the expected calibration error of what `reliability` returns."""
    return float(np.abs(bins[:, 1] - bins[:, 2]).sum() / bins[:, 0].sum())


def calibration(seeds, *, smoothing=0.1, n_train=600, held_out=150, hidden=64, epochs=60):
    """Say how far confidence can be trusted, and what a temperature does about it.

    Returns
    -------
    dict
        By share of wrong labels, 0.0 and 0.2, and by name: ``bins``, of `reliability` on test
        images, one for each seed, ``error``, ``confidence`` and ``accuracy``, and the
        ``temperature``. Names are "plain" and "smoothed", both as they are, with "scaled" after
        them with a temperature fitted to the validation labels, and with "checked" with one fitted
        to their true labels.
    """
    settings = [protocol.Setting(rate=0.2, smoothing=share) for share in (0.0, smoothing)]
    size = {"n_train": n_train, "held_out": held_out, "hidden": hidden, "epochs": epochs}
    true = [one.y_train[-held_out:] for one in ensemble.draw(seeds, n_train=n_train, wrong=0.0)]
    found = {}
    for wrong in (0.0, 0.2):
        runs = protocol.train(settings, seeds, wrong=wrong, **size)["last"]
        found[wrong] = {}
        for row, name in enumerate(("plain", "smoothed")):
            for column, checked in enumerate(true):
                held, scores = (
                    runs[part]["scores"][row, column] for part in ("validation", "test")
                )
                given, labels = (
                    runs[part]["labels"][row, column] for part in ("validation", "test")
                )
                for way, divisor in (
                    (name, 1.0),
                    (f"{name} scaled", temperature(held, given)),
                    (f"{name} checked", temperature(held, checked)),
                ):
                    bins = reliability((scores / divisor).softmax(1), labels)
                    kept = found[wrong].setdefault(way, {"bins": [], "temperature": []})
                    kept["bins"].append(bins)
                    kept["temperature"].append(divisor)
        for kept in found[wrong].values():
            kept["error"] = np.array([calibration_error(bins) for bins in kept["bins"]])
            total = np.sum(kept["bins"], axis=1)
            kept["confidence"], kept["accuracy"] = (total[:, 1:] / total[:, :1]).T
    right, noisy = found.values()
    for some in found.values():
        sure = some["plain"]["confidence"] - some["plain"]["accuracy"]
        greater(sure, 0, "A network that was trained for long is too sure of itself.")
        unsure = some["smoothed"]["confidence"] - some["smoothed"]["accuracy"]
        less(unsure, 0, "With label smoothing it is not sure enough.")
    error = {name: kept["error"] for name, kept in right.items()}
    for name in ("plain", "smoothed"):
        less(error[f"{name} scaled"] - error[name], 0, f"A temperature mends that: {name}.")
    error = {name: kept["error"] for name, kept in noisy.items()}
    greater(error["plain scaled"] - error["plain"], 0, "Fitted to wrong labels it makes it worse.")
    less(error["plain checked"] - error["plain"], 0, "Fitted to true labels it makes it better.")
    return found


def forgotten_train_mode(seeds, *, n_train=600, held_out=150, hidden=64, epochs=60, largest=50):
    """Follow a run with dropout that overfits, because `train` is not called after validation.

    Parameters
    ----------
    seeds : sequence of int
    n_train, held_out, hidden, epochs : int
    largest : int
        So many training images with the largest loss are looked at.

    Returns
    -------
    dict
        "forgotten" and "mended": a dict of arrays with a row per seed and a column per epoch:
        ``train_loss``, ``loss`` and ``accuracy`` on validation images and ``test`` accuracy; the
        column ``at`` of the best validation accuracy, one per seed; ``doubtful``, the indices of
        the training images with the largest loss then, and ``wrong``, which of them have wrong
        labels. And ``data``, for each seed.
    """
    everything = ensemble.draw(seeds, n_train=n_train)
    kept = n_train - held_out
    data = [one.first(kept) for one in everything]
    parts = [
        (torch.stack([one[0][rows] for one in pairs]), torch.stack([one[1][rows] for one in pairs]))
        for pairs, rows in (
            ([(one.x_train, one.y_train) for one in everything], slice(kept)),
            ([(one.x_train, one.y_train) for one in everything], slice(kept, None)),
            ([(one.x_test, one.y_test) for one in everything], slice(None)),
        )
    ]
    found = {}
    for name in ("forgotten", "mended"):
        stack = ensemble.build(
            seeds, lambda: ex.initialize_for_relu(ex.digits_network(hidden, drop=0.5))
        )
        optimizer = torch.optim.SGD(stack.parameters(), lr=0.05, momentum=0.9)
        generators = ensemble.generators(seeds)
        records = []
        with ex.seeded(seeds[0]):
            for epoch in range(epochs):
                if epoch == 0 or name == "mended":
                    stack.train()
                for x, y in ensemble.batches(data, generators):
                    ensemble.step(stack, x, y, optimizer)
                given = [protocol.scores(stack, x) for x, _ in parts]
                losses = [
                    nn.functional.cross_entropy(one.transpose(1, 2), y, reduction="none")
                    for one, (_, y) in zip(given, parts, strict=True)
                ]
                records.append(
                    {
                        "each": losses[0],
                        "train_loss": losses[0].mean(1).numpy(),
                        "loss": losses[1].mean(1).numpy(),
                        "accuracy": protocol.percent(given[1], parts[1][1]),
                        "test": protocol.percent(given[2], parts[2][1]),
                    }
                )
        runs = {
            part: np.array([one[part] for one in records]).T
            for part in ("train_loss", "loss", "accuracy", "test")
        }
        runs["at"] = runs["accuracy"].argmax(1)
        runs["doubtful"] = np.array(
            [
                records[column]["each"][row].argsort(descending=True)[:largest].numpy()
                for row, column in enumerate(runs["at"])
            ]
        )
        runs["wrong"] = np.array(
            [one.wrong[rows].numpy() for one, rows in zip(data, runs["doubtful"], strict=True)]
        )
        found[name] = runs
    forgotten, mended = found.values()
    rise = np.log(forgotten["loss"][:, -1] / forgotten["loss"].min(1))
    greater(rise, 0, "Validation loss rises again.")
    rows = np.arange(len(seeds))
    fall = forgotten["accuracy"][rows, forgotten["at"]] - forgotten["accuracy"][:, -1]
    greater(fall, 3, "Validation accuracy falls by points.")
    greater(mended["test"][:, -1] - forgotten["test"][:, -1], 0, "Dropout that works helps.")
    lower = np.log(mended["loss"][:, -1] / forgotten["loss"][:, -1])
    less(lower, 0, "And its validation loss ends lower.")
    greater(mended["wrong"].mean(1), 0.5, "Most of the doubtful labels are wrong.")
    return {**found, "data": data}
