"""What the second chapter on normalization says about why batch norm works, and about its noise.

As in `experiments.batch_norm`, each function raises if a sentence is not true by a margin.
"""

import numpy as np
import torch
from torch import nn

from experiments import digits as ex
from experiments import ensemble
from experiments.batch_norm import build, fit, network
from experiments.margins import between, greater, less


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
        self.groups = groups
        self.norm = nn.BatchNorm1d(features * groups, affine=False)
        self.weight = nn.Parameter(torch.ones(features))
        self.bias = nn.Parameter(torch.zeros(features))

    @classmethod
    def stacked(cls, layers):
        """Return one layer for those of all networks of a stack."""
        whole = cls(len(layers[0].weight), layers[0].groups)
        whole.norm = ensemble.BatchNorm1d([layer.norm for layer in layers])
        whole.weight, whole.bias = (ensemble.joined(layers, name) for name in ("weight", "bias"))
        return whole

    def forward(self, x):
        """Normalize with the groups' statistics, or in evaluation mode with the stored ones."""
        if self.training:
            side_by_side = x.unflatten(-2, (-1, self.groups)).flatten(-2)
            out = self.norm(side_by_side).reshape(x.shape)
        else:
            mean, variance = (
                stored.unflatten(-1, (self.groups, -1)).mean(-2).unsqueeze(-2)
                for stored in (self.norm.running_mean, self.norm.running_var)
            )
            out = (x - mean) / (variance + self.norm.eps).sqrt()
        return self.weight.unsqueeze(-2) * out + self.bias.unsqueeze(-2)


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

    @classmethod
    def stacked(cls, layers):
        """Return one layer for those of all networks of a stack."""
        return cls(layers[0].size)

    def forward(self, x):
        """Disturb in training, and return the input as it is in evaluation."""
        if not self.training:
            return x
        # The same for all examples, which are counted by the last dimension but one.
        drawn = torch.rand(2, *x.shape[:-2], 1, x.shape[-1])
        stretch, shift = self.size * (2 * drawn - 1)
        return (1 + stretch) * x + shift


def with_best(history):
    """Add ``at``, the epoch at which the mean test accuracy is best, and ``best``, its column."""
    place = history["test"].mean(0).argmax()
    return {**history, "at": history["epoch"][place], "best": history["test"][:, place]}


def group_sizes(seeds, sizes=(2, 4, 10, 60), epochs=60, n_train=600):
    """Statistics over few examples harm on true labels; on wrong ones they mostly win time.

    Every step averages the gradient over the same 60 examples. Only the groups shrink over which
    mean and variance are taken.

    Returns
    -------
    dict
        ``sizes``; ``clean``: maps from a size, or "layer" for layer norm, to an array with a row
        per seed: training accuracy, test accuracy, after half of the epochs; ``noisy``: maps from
        the same to a history of the accuracies after each epoch, `with_best`.
    """

    def make(size):
        blocks = []
        for _ in range(2):
            norm = nn.LayerNorm(64) if size == "layer" else GroupedBatchNorm(64, 60 // size)
            blocks.append([nn.Linear(64, 64), norm, nn.ReLU()])
        return network(*blocks, [nn.Linear(64, 10)])

    found = {"clean": {}, "noisy": {}}
    for part, wrong, length in (("clean", 0.0, epochs // 2), ("noisy", 0.2, epochs)):
        data = ensemble.draw(seeds, n_train=n_train, wrong=wrong)
        every = length if part == "clean" else 1
        for size in (*sizes, "layer"):
            stack = build(seeds, make, size=size)
            history = fit(stack, data, 0.1, seeds, length, batch_size=60, record_every=every)
            found[part][size] = with_best(history)
    clean, noisy = found["clean"], found["noisy"]
    for size, history in clean.items():
        clean[size] = np.column_stack([history[name][:, -1] for name in ("train", "test")])
    few, some, many = sizes[1:]
    less(clean[2][:, 1] - clean[many][:, 1], 0, "Groups of two harm.")
    between(clean["layer"][:, 1] - clean[many][:, 1], -0.05, 0.05, "Layer norm does not.")
    end = {size: history["test"][:, -1] for size, history in noisy.items()}
    fitted = {size: history["train"][:, -1] for size, history in noisy.items()}
    for size in (few, some):
        less(fitted[size] - fitted[many], 0, "Small groups learn fewer wrong labels.")
        greater(end[size] - end[many], 0, "In the end they predict better for it.")
    less(end[2] - end[few], 0, "But not groups of two.")
    best = {size: history["best"] for size, history in noisy.items()}
    gained, gained_at_best = (
        (values[few] + values[some]) / 2 - values[many] for values in (end, best)
    )
    greater(gained_at_best, 0, "At their best they are ahead, too.")
    less(gained_at_best - gained / 2, 0, "By less than half as much.")
    return {"sizes": sizes, **found}


def decay_of_gamma(seeds, strength=0.03, epochs=60, n_train=600):
    """To decay the scales of batch norm too regularizes more than to decay the weights alone.

    Returns
    -------
    dict
        "weights", "weights and γ": a history of the accuracies after every other epoch,
        `with_best`, and ``gamma``, the mean size of the scales at the end, one per seed.
    """
    data = ensemble.draw(seeds, n_train=n_train)
    found = {}
    for kind in ("weights", "weights and γ"):
        stack = build(seeds, ex.digits_network, hidden=64, batch_norm=True)
        scales = [layer.weight for layer in stack.layers if isinstance(layer, ensemble.BatchNorm1d)]
        decayed = [layer.weight for layer in stack.layers if isinstance(layer, ensemble.Linear)] + (
            scales if kind == "weights and γ" else []
        )
        chosen = set(map(id, decayed))
        groups = [
            {"params": decayed, "weight_decay": strength},
            {"params": [p for p in stack.parameters() if id(p) not in chosen]},
        ]
        history = ensemble.train(
            stack,
            data,
            torch.optim.SGD(groups, lr=0.1),
            epochs=epochs,
            record_every=2,
            generators=ensemble.generators(seeds),
        )
        size = torch.cat([scale.detach().abs() for scale in scales], dim=1).mean(1).numpy()
        found[kind] = {**with_best(history), "gamma": size}
    weights, both = found.values()
    less(both["gamma"], 0.5, "Decay shrinks the scales.")
    greater(weights["gamma"], 0.8, "Without it they keep their size.")
    greater(both["best"] - weights["best"], 0, "With smaller scales the best epoch is better.")
    return found


def moving_distributions(seeds, epochs=15, rate=0.1, n_train=600):
    """Batch norm helps even when its outputs are made to move more than a plain network's.

    Returns
    -------
    dict
        Maps "plain", "batch norm" and "disturbed" to a dict with ``train``, the training accuracy
        after each epoch, a row per seed, and ``moves``, how far the mean of a unit's activations
        on the training images moves from one step to the next, in standard deviations.
    """

    def make(kind):
        blocks = []
        for _ in range(3):
            norm = [] if kind == "plain" else [nn.BatchNorm1d(64)]
            if kind == "disturbed":
                norm.append(ShiftingNoise())
            blocks.append([nn.Linear(64, 64), *norm, nn.ReLU()])
        return network(*blocks, [nn.Linear(64, 10)])

    data = ensemble.draw(seeds, n_train=n_train, wrong=0.0)
    found = {}
    for kind in ("plain", "batch norm", "disturbed"):
        stack = build(seeds, make, kind=kind)
        moves = watch(stack, torch.stack([one.x_train for one in data]))
        with ex.seeded(seeds[0]):
            history = fit(stack, data, rate, seeds, epochs, record_every=1)
        found[kind] = {"train": history["train"], "moves": torch.stack(moves).mean(0).numpy()}
    plain, normed, disturbed = found.values()
    less(normed["moves"] / plain["moves"], 0.1, "Batch norm holds the distributions still.")
    greater(disturbed["moves"] / plain["moves"], 2, "Disturbed, they move several times as far.")
    early, end = epochs // 5 - 1, -1
    between(
        disturbed["train"][:, end] - normed["train"][:, end],
        -0.05,
        0.05,
        "It trains nearly as well as undisturbed.",
    )
    for when in (early, end):
        ahead = disturbed["train"][:, when] - plain["train"][:, when]
        greater(ahead, 0, "And better than none.")
    for values in found.values():
        values["moves"] = float(values["moves"].mean())
    return found


def watch(stack, x):
    """Collect how far the means of what enters each ReLU move from one training step to the next.

    The means are always taken over the same examples. Those of two mini-batches differ even in a
    network that does not learn at all.

    Parameters
    ----------
    stack : ensemble.Stack
    x : torch.Tensor
        The examples of all networks.

    Returns
    -------
    list of torch.Tensor
        One number per network; filled while the stack is trained.
    """
    moves, last, looking = [], {}, []

    def remember(layer, inputs):
        if looking:
            mean = inputs[0].mean(1)
            # Torch's own std takes most of the experiment's time.
            deviation = (inputs[0] - mean[:, None]).square().mean(1).sqrt()
            if layer in last:
                old_mean, old_deviation = last[layer]
                moves.append(((mean - old_mean).abs() / (old_deviation + 1e-6)).mean(1))
            last[layer] = mean, deviation

    def look(stack, inputs):
        if stack.training and not looking:
            looking.append(True)
            kept = [(buffer, buffer.clone()) for buffer in stack.buffers()]
            with torch.no_grad():
                stack(x)
                for buffer, value in kept:  # looking leaves no trace in the running statistics
                    buffer.copy_(value)
            looking.clear()

    stack.register_forward_pre_hook(look)
    for layer in stack.layers:
        if isinstance(layer, nn.ReLU):
            layer.register_forward_pre_hook(remember)
    return moves


def smoothness(seeds, steps=(0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5), level=1.0, n_train=600):
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
        data = ex.noisy_digits(np.random.default_rng(seed), n_train=n_train, wrong=0.0)
        for norm, values in found.items():
            with ex.seeded(seed):
                model = ex.initialize_for_relu(ex.digits_network(hidden=64, batch_norm=norm))
            parameters = list(model.parameters())

            def slope(model=model, data=data, parameters=parameters):
                loss = nn.functional.cross_entropy(model.train()(data.x_train), data.y_train)
                gradient = torch.autograd.grad(loss, parameters)
                return loss.item(), nn.utils.parameters_to_vector(gradient)

            epoch = 0
            while slope()[0] > level and epoch < 100:
                ex.train(
                    model,
                    data,
                    torch.optim.SGD(parameters, lr=0.1),
                    epochs=1,
                    generator=torch.Generator().manual_seed(seed + 1000 * epoch),
                )
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
    plain, normed = found[False], found[True]
    at = steps.index(0.5)
    change = normed["change"][:, at] / plain["change"][:, at]
    less(change, 1, "The gradient changes less with batch norm.")
    greater(plain["change"][:, at], 1, "Without, it changes by more than its own size.")
    start, end = (normed["loss"][:, place] for place in (0, -1))
    less(end - start, 0, "A long step still lowers the loss with batch norm.")
    less(np.log(end / plain["loss"][:, -1]), 0, "After it the loss is lower than without.")
    raised = np.log(plain["loss"][:, -1] / plain["loss"][:, 0])
    greater(raised, 0, "Without, a long step raises it.")
    return {"steps": steps, **found}
