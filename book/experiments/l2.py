"""What the chapter on L2 says about its experiments.

Each function runs an experiment on the seeds it is given, raises ``AssertionError`` if a sentence
of the chapter is not true by a `margin <experiments.margins>`, and returns the numbers that the
chapter shows. The chapter calls it with its own seeds; the tests call it with others, and smaller.
"""

import numpy as np
import torch
from sklearn.datasets import make_moons
from torch import nn

from experiments import digits as ex
from experiments import ensemble
from experiments.margins import between, greater, less

# A window that holds all points of the two half circles.
MOONS_X, MOONS_Y = (-2.2, 3.2), (-1.7, 2.2)


def train_digits(
    seeds, *, optimizer=torch.optim.SGD, epochs, record_every=None, n_train=600, **settings
):
    """Train the common networks on the common data and return everything.

    Parameters
    ----------
    seeds : sequence of int
        Each decides the split, the wrong labels, the first weights and the order of the examples.
    optimizer : class
        One of torch's optimizers.
    epochs, record_every : int
        As for ``digits.train``; one record at the end when not said.
    n_train : int
        Number of training images.
    **settings
        For the optimizer; with SGD a learning rate of 0.05 and momentum 0.9 unless said otherwise.

    Returns
    -------
    tuple of ensemble.Stack, list of experiments.Digits and dict
        The networks, their data and the recorded history.
    """
    if optimizer is torch.optim.SGD:
        settings = {"lr": 0.05, "momentum": 0.9, **settings}
    data = ensemble.draw(seeds, n_train=n_train)
    stack = ensemble.build(seeds, ex.digits_network)
    history = ensemble.train(
        stack,
        data,
        optimizer(stack.parameters(), **settings),
        epochs=epochs,
        record_every=record_every or epochs,
        generators=ensemble.generators(seeds),
    )
    return stack, data, history


def decay_keeps_wrong_labels_out(seeds, strength=0.01, epochs=60, n_train=600):
    """Without decay wrong labels are learned and test accuracy sinks; with decay much less so.

    Parameters
    ----------
    seeds : sequence of int
    strength : float
        The weight decay λ of the second network.
    epochs, n_train : int

    Returns
    -------
    dict
        ``epoch``, and for each of ``plain`` and ``decayed`` the curves ``train`` and ``test``, a
        row per seed, and ``learned``, the share of the wrong labels that were learned.
    """
    result = {}
    for name, weight_decay in (("plain", 0.0), ("decayed", strength)):
        stack, data, history = train_digits(
            seeds, epochs=epochs, record_every=2, n_train=n_train, weight_decay=weight_decay
        )
        result["epoch"] = history["epoch"]
        learned = [
            ex.accuracy(network, one.x_train[one.wrong], one.y_train[one.wrong])
            for network, one in zip(stack.networks, data, strict=True)
        ]
        result[name] = {
            "train": history["train"],
            "test": history["test"],
            "learned": np.array(learned),
        }
    plain, decayed = result["plain"], result["decayed"]
    best = plain["test"].mean(0).argmax()
    greater(plain["learned"], 0.5, "Without decay most wrong labels are learned.")
    greater(plain["test"][:, best] - plain["test"][:, -1], 0, "Without it, accuracy sinks.")
    less(decayed["learned"] - plain["learned"] / 2, 0, "With decay far fewer are learned.")
    gained = decayed["test"][:, -1] - plain["test"][:, -1]
    greater(gained, 0, "With decay new images fare better.")
    lost = {
        name: curves["test"][:, curves["test"].mean(0).argmax()] - curves["test"][:, -1]
        for name, curves in result.items()
        if name != "epoch"
    }
    spared = lost["plain"] - lost["decayed"]
    greater(spared - gained / 2, 0, "Most of the gain is what is not lost after the best epoch.")
    between(decayed["train"][:, -1], 0.7, 0.9, "With decay it agrees with about 80% of labels.")
    return result


def wrong_labels_need_large_weights(
    seeds, *, shares=(0.0, 0.1, 0.2, 0.4), loss=0.1, epochs=200, n_train=600
):
    """The more labels are wrong, the larger the weights when the training loss has come down.

    Parameters
    ----------
    seeds : sequence of int
    shares : sequence of float
        Shares of wrong labels.
    loss : float
        The training loss at which the weights are looked at, for the first time after an epoch.
    epochs, n_train : int
        ``epochs`` is a limit.

    Returns
    -------
    dict
        ``shares``, and ``norm``, that of all weight matrices: a row per seed, a column per share.
    """
    norms = np.full((len(seeds), len(shares)), np.nan)
    for column, wrong in enumerate(shares):
        data = ensemble.draw(seeds, n_train=n_train, wrong=wrong)
        stack = ensemble.build(seeds, ex.digits_network)
        optimizer = torch.optim.SGD(stack.parameters(), lr=0.05, momentum=0.9)
        generators = ensemble.generators(seeds)
        x, y = (
            torch.stack([getattr(one, name) for one in data]) for name in ("x_train", "y_train")
        )
        for _ in range(epochs):
            for batch in ensemble.batches(data, generators):
                ensemble.step(stack, *batch, optimizer)
            with torch.no_grad():
                log_p = stack(x).log_softmax(2)
                reached = -log_p.gather(2, y[..., None]).mean((1, 2)).numpy() <= loss
                squares = [p.square().sum((1, 2)) for p in stack.parameters() if p.dim() > 2]
            now = np.isnan(norms[:, column]) & reached
            norms[now, column] = sum(squares).sqrt().numpy()[now]
            if not np.isnan(norms[:, column]).any():
                break
    for column in range(1, len(shares)):
        greater(norms[:, column] - norms[:, column - 1], 0, "More wrong labels, larger weights.")
    return {"shares": shares, "norm": norms}


def moons(seed, n_samples=80):
    """Return points of two blurred half circles and their classes as tensors."""
    points, classes = make_moons(
        n_samples=n_samples, noise=0.35, random_state=np.random.RandomState(seed)
    )
    return torch.tensor(points, dtype=torch.float32), torch.tensor(classes)


def moons_network():
    """Return a network 2 → 64 → 64 → 2 with ReLU."""
    return nn.Sequential(
        nn.Linear(2, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2)
    )


def moons_margin(net, columns=160, rows=120):
    """Return a grid over the moons, and the margin of class 1 and its steepness on it.

    Parameters
    ----------
    net : torch.nn.Module
        From points of the plane to two scores.
    columns, rows : int

    Returns
    -------
    tuple of four np.ndarray of shape (rows, columns)
        Both coordinates, the difference of the scores and the length of its gradient.
    """
    x, y = np.meshgrid(np.linspace(*MOONS_X, columns), np.linspace(*MOONS_Y, rows))
    places = torch.tensor(np.column_stack([x.ravel(), y.ravel()]), dtype=torch.float32)
    places.requires_grad_()
    scores = net(places)
    margin = scores[:, 1] - scores[:, 0]
    (slope,) = torch.autograd.grad(margin.sum(), places)
    return x, y, margin.detach().numpy().reshape(x.shape), slope.norm(dim=1).numpy()


def scores_get_flatter(seeds, strengths=(0.0, 0.01, 0.05), steps=400):
    """Stronger decay: smaller weights, flatter scores, more points given up.

    Parameters
    ----------
    seeds : sequence of int
    strengths : sequence of float
        In ascending order, the first one 0.
    steps : int
        Steps of gradient descent on all points.

    Returns
    -------
    dict of np.ndarray of shape (seeds, strengths), and ``networks``
        ``norm`` of all weights, mean ``steepness`` of the margin, share of points that are
        ``fitted``; ``networks`` is a list of tuples.
    """
    shape = (len(seeds), len(strengths))
    result = {name: np.empty(shape) for name in ("norm", "steepness", "fitted")}
    stacks = []
    many = [moons(seed) for seed in seeds]
    all_points, all_classes = (torch.stack(part) for part in zip(*many, strict=True))
    for column, strength in enumerate(strengths):
        stack = ensemble.build(seeds, moons_network)
        optimizer = torch.optim.SGD(stack.parameters(), lr=0.1, momentum=0.9, weight_decay=strength)
        for _ in range(steps):
            ensemble.step(stack, all_points, all_classes, optimizer)
        for row, (net, (points, classes)) in enumerate(zip(stack.networks, many, strict=True)):
            _, _, _, slope = moons_margin(net)
            weights = [p.detach() for p in net.parameters() if p.dim() > 1]
            result["norm"][row, column] = sum(w.square().sum() for w in weights).sqrt()
            result["steepness"][row, column] = slope.mean()
            result["fitted"][row, column] = ex.accuracy(net, points, classes)
        stacks.append(stack)
    result["networks"] = list(zip(*(stack.networks for stack in stacks), strict=True))
    for name, sentence in (
        ("norm", "The norm of the weights falls."),
        ("steepness", "The scores get flatter."),
    ):
        for fallen in -np.diff(np.log(result[name])).T:
            greater(fallen, 0, sentence)
    fitted = result["fitted"]
    greater(fitted[:, 0] - fitted[:, -1], 0, "More training points are on its wrong side.")
    return result


def validation_finds_a_strength(
    seeds, strengths=(0.0, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1), epochs=50, n_train=600, n_valid=200
):
    """The λ with the best validation accuracy is a good one for new images.

    The validation images are like the training images: one label in five is wrong.

    Parameters
    ----------
    seeds : sequence of int
    strengths : sequence of float
        In ascending order; the first is 0, the last far too strong.
    epochs, n_train : int
    n_valid : int
        Number of validation images, besides those for training.

    Returns
    -------
    dict
        ``train``, ``valid`` and ``test``, arrays of shape (seeds, strengths), and ``chosen``, the
        place of the λ with the highest mean validation accuracy.
    """
    result = {name: np.empty((len(seeds), len(strengths))) for name in ("train", "valid", "test")}
    everything = ensemble.draw(seeds, n_train=n_train + n_valid)
    data = [one.first(n_train) for one in everything]
    for column, strength in enumerate(strengths):
        stack = ensemble.build(seeds, ex.digits_network)
        history = ensemble.train(
            stack,
            data,
            torch.optim.SGD(stack.parameters(), lr=0.05, momentum=0.9, weight_decay=strength),
            epochs=epochs,
            record_every=epochs,
            generators=ensemble.generators(seeds),
        )
        for part in ("train", "test"):
            result[part][:, column] = history[part][:, -1]
        result["valid"][:, column] = [
            ex.accuracy(network, one.x_train[n_train:], one.y_train[n_train:])
            for network, one in zip(stack.networks, everything, strict=True)
        ]
    train, valid, test = (result[name] for name in ("train", "valid", "test"))
    chosen = result["chosen"] = int(valid.mean(0).argmax())
    greater(test[:, chosen] - test[:, 0], 0, "The chosen strength beats no decay.")
    for other in test.T:
        less(other - test[:, chosen], 0.05, "It is close to the best one in hindsight.")
    greater(train[:, 0] - train[:, chosen], 0, "Its training accuracy is lower than without.")
    greater(test[:, chosen] - valid[:, chosen], 0, "Its validation accuracy is lower.")
    less(test[:, -1], 0.3, "Far too strong a decay leaves little more than guessing.")
    return result
