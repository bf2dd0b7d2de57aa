"""How the chapter "Regularization in practice" compares methods: in the same way for all of them.

- He's first weights where ReLU follows, SGD with momentum, and a learning rate that a cosine brings
  down to zero.
- Some training images are held out for validation. Their labels are as wrong as the others.
- Each method has a small grid of learning rates and strengths. All of it is trained on all seeds,
  and the setting counts whose validation accuracy is best on average.
- Two results: at the epoch that is best on validation images ("best", early stopping), and at the
  last one ("last"), each with the setting that is best then. That goes for no regularization, too.
- Data, first weights and order of the images depend on the seed alone, so that methods are compared
  seed by seed.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from experiments import digits as ex
from experiments import ensemble

MOMENTUM = 0.9
WHEN = ("best", "last")
RATES = (0.03, 0.1)


@dataclass(frozen=True)
class Setting:
    """How one network is trained.

    Attributes
    ----------
    rate : float
        Learning rate at the start.
    decay : float
        Weight decay of matrices and kernels; all other parameters go free.
    drop : float
        Probability to drop an activation in front of a linear layer.
    norm : bool
        Whether there is batch norm before each ReLU.
    shifts : float
        Probability that an image is moved by up to one pixel each way, drawn anew in each epoch.
    smoothing : float
        Share of each label that is spread evenly over all classes.
    mixup : float
        Both parameters of the Beta distribution that tells in which parts two images are mixed.
    """

    rate: float = 0.0
    decay: float = 0.0
    drop: float = 0.0
    norm: bool = False
    shifts: float = 0.0
    smoothing: float = 0.0
    mixup: float = 0.0


# Name of a method → the strengths that are tried, each at both rates.
METHODS = {
    "none": (Setting(),),
    "weight decay": (Setting(decay=0.003), Setting(decay=0.01)),
    "dropout": (Setting(drop=0.2), Setting(drop=0.5)),
    "batch norm": (Setting(norm=True),),
    "shifts": (Setting(shifts=0.3), Setting(shifts=1.0)),
    "label smoothing": (Setting(smoothing=0.1), Setting(smoothing=0.4)),
    "mixup": (Setting(mixup=0.3), Setting(mixup=1.0)),
    "decay + dropout": (Setting(decay=0.003, drop=0.2), Setting(decay=0.01, drop=0.5)),
    "decay + norm": (Setting(decay=0.01, norm=True), Setting(decay=0.03, norm=True)),
    "dropout + norm": (Setting(drop=0.2, norm=True), Setting(drop=0.5, norm=True)),
}


def grid(method):
    """Return all settings that are tried for a method."""
    return [replace(strength, rate=rate) for strength in METHODS[method] for rate in RATES]


def dense(hidden=64, **options):
    """Return the fully connected network; see `digits.digits_network`."""
    return ex.digits_network(hidden, **options)


def convolutional(channels=(8, 16), **options):
    """Return the convolutional network; see `digits.convolutional_network`."""
    return ex.convolutional_network(channels, **options)


class SGD:
    """SGD with momentum and a cosine schedule, with a rate and a decay for each network of a stack.

    Parameters
    ----------
    stack : ensemble.Stack
    settings : sequence of Setting
        One for each network.
    steps : int
        Number of steps in which the learning rate goes to zero.
    """

    def __init__(self, stack, settings, steps):
        self.stack, self.steps, self.count = stack, steps, 0
        self.parameters = list(stack.parameters())
        self.velocity = [torch.zeros_like(one) for one in self.parameters]
        self.rate, self.decay = (column(settings, name) for name in ("rate", "decay"))

    def step(self, x, targets):
        """Take a step on a batch; targets are probabilities, (networks, examples, classes)."""
        loss = -(self.stack(x).log_softmax(-1) * targets).sum() / x.shape[1]
        gradients = torch.autograd.grad(loss, self.parameters)
        part = (1 + math.cos(math.pi * self.count / self.steps)) / 2
        self.count += 1
        with torch.no_grad():
            for one, gradient, velocity in zip(
                self.parameters, gradients, self.velocity, strict=True
            ):
                shape = (-1, *[1] * (one.dim() - 1))
                velocity.mul_(MOMENTUM).add_(gradient)
                if one.dim() > 2:  # the first dimension is the network's number
                    velocity.addcmul_(one, self.decay.view(shape))
                one.addcmul_(velocity, self.rate.view(shape), value=-part)


class Batches:
    """The training images of all networks, changed as their settings say, and cut into batches.

    Parameters
    ----------
    x, y : torch.Tensor
        Images, (networks, examples, pixels), and labels.
    settings : sequence of Setting
    seeds : sequence of int
        One for each network.
    """

    def __init__(self, x, y, settings, seeds):
        smoothing = column(settings, "smoothing")
        self.x = x
        self.targets = (1 - smoothing) * nn.functional.one_hot(y, 10) + smoothing / 10
        self.shifts, self.mixup = (column(settings, name) for name in ("shifts", "mixup"))
        self.moved = ex.shifted(x) if self.shifts.any() else None
        self.generators = ensemble.generators(seeds)
        self.rng = np.random.default_rng(seeds)

    def epoch(self, batch_size):
        """Yield the batches of one epoch."""
        count, examples, _ = self.x.shape
        order = torch.stack(
            [torch.randperm(examples, generator=generator) for generator in self.generators]
        )
        number = torch.arange(count)[:, None]
        x, targets = self.x[number, order], self.targets[number, order]
        if self.moved is not None:
            way = torch.from_numpy(self.rng.integers(len(self.moved), size=order.shape))
            chosen = torch.from_numpy(self.rng.random((*order.shape, 1))) < self.shifts
            x = torch.where(chosen, self.moved[way, number, order], x)
        if self.mixup.any():
            drawn = self.rng.beta(self.mixup, self.mixup, (*order.shape, 1))
            share = torch.from_numpy(drawn.astype(np.float32))
            # The order is random, and so is the neighbor in it.
            x, targets = (share * one + (1 - share) * one.roll(1, dims=1) for one in (x, targets))
        yield from zip(x.split(batch_size, dim=1), targets.split(batch_size, dim=1), strict=True)


def column(settings, name):
    """Return an attribute of all settings in a shape that goes with (networks, examples, ...)."""
    return torch.tensor([float(getattr(setting, name)) for setting in settings])[:, None, None]


def train(
    settings,
    seeds,
    *,
    make=dense,
    wrong=0.2,
    n_train=600,
    held_out=150,
    epochs=30,
    batch_size=50,
    **size,
):
    """Train a network with each setting on each seed, all at once.

    Parameters
    ----------
    settings : sequence of Setting
        Of one method: with or without batch norm all of them, and so with dropout.
    seeds : sequence of int
    make : function
        Makes a network, given ``drop``, ``batch_norm`` and ``size``.
    wrong : float
        Share of wrong labels among the training images, those held out included.
    n_train, held_out, epochs, batch_size : int

    Returns
    -------
    dict
        For "best" and "last" a dict with the ``epoch``, and by "train", "validation" and "test"
        the ``scores`` and the ``labels`` of these images and the ``accuracy`` in percent, each with
        a row per setting and a column per seed.
    """
    drawn = ensemble.draw(seeds, n_train=n_train, wrong=wrong) * len(settings)
    kept = n_train - held_out
    parts = {
        "train": [(one.x_train[:kept], one.y_train[:kept]) for one in drawn],
        "validation": [(one.x_train[kept:], one.y_train[kept:]) for one in drawn],
        "test": [(one.x_test, one.y_test) for one in drawn],
    }
    parts = {
        part: tuple(map(torch.stack, zip(*pairs, strict=True))) for part, pairs in parts.items()
    }
    each = [setting for setting in settings for _ in seeds]
    networks = []
    for setting, seed in zip(each, list(seeds) * len(settings), strict=True):
        with ex.seeded(seed):
            network = make(drop=setting.drop, batch_norm=setting.norm, **size)
            networks.append(ex.initialize_for_relu(network))
    stack = ensemble.Stack(networks)
    batches = Batches(*parts["train"], each, list(seeds) * len(settings))
    optimizer = SGD(stack, each, steps=epochs * math.ceil(kept / batch_size))
    tensors = [one.detach() for one in (*stack.parameters(), *stack.buffers())]
    at, reached = np.zeros(len(each), dtype=int), np.full(len(each), -1.0)
    best = [one.clone() for one in tensors]
    with ex.seeded(seeds[0]):
        for epoch in range(1, epochs + 1):
            stack.train()
            for batch in batches.epoch(batch_size):
                optimizer.step(*batch)
            # Of epochs that are equally good the latest, where the rate is smallest.
            accuracy = percent(scores(stack, parts["validation"][0]), parts["validation"][1])
            better = accuracy >= reached
            at[better], reached[better] = epoch, accuracy[better]
            for copy, now in zip(best, tensors, strict=True):
                copy[better] = now[better]
    found = {"last": look(stack, parts, len(settings), np.full(len(each), epochs))}
    for copy, now in zip(best, tensors, strict=True):
        now.copy_(copy)
    return {"best": look(stack, parts, len(settings), at), **found}


def scores(stack, x):
    """Return the scores of each network in evaluation mode."""
    stack.eval()
    with torch.no_grad():
        # What goes through the layers at once should fit into the processor's cache.
        return torch.cat([stack(part) for part in x.split(100, dim=1)], dim=1)


def percent(scores, y):
    """Return how many of the highest scores are at the labels, for each network."""
    return 100 * (scores.argmax(-1) == y).double().mean(-1).numpy()


def look(stack, parts, settings, epoch):
    """Return what `train` returns, for the networks as they are."""
    found = {"epoch": epoch.reshape(settings, -1)}
    for part, (x, y) in parts.items():
        given = scores(stack, x)
        found[part] = {
            "scores": given.unflatten(0, (settings, -1)),
            "labels": y.unflatten(0, (settings, -1)),
            "accuracy": percent(given, y).reshape(settings, -1),
        }
    return found


def compare(seeds, grids=None, **size):
    """Train methods with all settings of their grids, and choose by validation.

    Parameters
    ----------
    seeds : sequence of int
    grids : dict of str to list of Setting, optional
        By method the settings that are tried; those of `grid` for all `METHODS` by default.
    **size
        Passed on to `train`.

    Returns
    -------
    dict
        By method, and by "best" and "last": the ``setting`` that was chosen, its ``train`` and
        ``test`` accuracy in percent and the ``epoch``, one of each per seed; and ``tried``, the
        test accuracies of all settings.
    """
    found = {}
    for method, settings in (grids or {name: grid(name) for name in METHODS}).items():
        runs = train(settings, seeds, **size)
        found[method] = {}
        for when in WHEN:
            chosen = int(runs[when]["validation"]["accuracy"].mean(1).argmax())
            found[method][when] = {
                "setting": settings[chosen],
                "epoch": runs[when]["epoch"][chosen],
                **{part: runs[when][part]["accuracy"][chosen] for part in ("train", "test")},
                "tried": dict(zip(settings, runs[when]["test"]["accuracy"], strict=True)),
            }
    return found
