"""What the chapter on dropout says about its experiments.

``train_networks`` trains the networks for some seeds. Most other functions look at one thing they
do. Each raises an ``AssertionError`` if a sentence of the chapter is not true by a
`margin <experiments.margins>`, and returns the numbers that the chapter shows. The chapter calls
them with its own seeds, the tests with others, and smaller.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import nn

from experiments import digits as ex
from experiments import ensemble, protocol
from experiments.margins import between, greater, less


@dataclass(frozen=True)
class Run:
    """A trained network, its data, its history and the seed that decided all of them."""

    model: nn.Module
    data: ex.Digits
    history: dict
    seed: int


def train_networks(
    seeds, drops=(0.0, 0.25, 0.5, 0.8), *, hidden=128, n_train=600, epochs=60, record_every=4
):
    """Train the common network for each drop probability and each seed.

    Parameters
    ----------
    seeds, drops : sequence
    hidden, n_train : int
        Units per hidden layer and training images.
    epochs, record_every : int
        As for ``digits.train``.

    Returns
    -------
    dict of float to list of Run
        For each drop probability one run per seed, in evaluation mode.
    """
    data = ensemble.draw(seeds, n_train=n_train)
    networks = {}
    for drop in drops:
        stack = ensemble.build(seeds, ex.digits_network, hidden=hidden, drop=drop)
        with ex.seeded(seeds[0]):
            history = ensemble.train(
                stack,
                data,
                torch.optim.SGD(stack.parameters(), lr=0.05, momentum=0.9),
                epochs=epochs,
                record_every=record_every,
                generators=ensemble.generators(seeds),
            )
        curves = zip(history["train"], history["test"], strict=True)
        networks[drop] = [
            Run(model.eval(), own, {"epoch": history["epoch"], "train": train, "test": test}, seed)
            for model, own, (train, test), seed in zip(
                stack.networks, data, curves, seeds, strict=True
            )
        ]
    return networks


def dropout_keeps_wrong_labels_out(networks):
    """Dropping half raises test accuracy in the end; dropping four fifths is too much.

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
    none, half = curves[0.0], curves[0.5]
    end = {drop: values["test"][:, -1] for drop, values in curves.items()}
    greater(end[0.5] - end[0.0], 0, "With it, accuracy is higher in the end.")
    between(half["train"][:, -1], 0.7, 0.9, "It agrees with about as many labels as are right.")
    greater(none["train"][:, -1], 0.8, "Without it, with more than are right.")
    less(end[0.8] - end[0.5], 0, "Four fifths is too much.")
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
    forgotten, proper = (np.array(result[name]) for name in ("forgotten", "proper"))
    assert (proper == proper[:, :1]).all(), "With eval() the result is the same for each call."
    # Five equal accuracies in one network are a rare accident, and in all of them no accident.
    assert np.ptp(forgotten, axis=1).any(), "Without eval() it changes from call to call."
    less((forgotten - proper).mean(1), 0, "Without eval() it is too low.")
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
        For both drop probabilities the test accuracy: a row per seed, a column per share.
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
                    with torch.no_grad():
                        for layer in layers[:-1]:
                            gone = torch.rand(layer.out_features, generator=generator) < share
                            h = layer(h).relu().masked_fill(gone, 0.0) / (1 - share)
                        right.append((layers[-1](h).argmax(1) == run.data.y_test).double().mean())
                values[row, column] = torch.stack(right).mean()
        result[drop] = values
    left = {drop: values[:, -1] for drop, values in result.items()}
    lost = {drop: values[:, 0] - values[:, -1] for drop, values in result.items()}
    less(lost[0.5] - lost[0.0], 0, "The network with dropout loses less.")
    greater(left[0.5] - left[0.0], 0, "And is better with units missing.")
    return result


def sample(run, images, passes):
    """Return the class probabilities of several passes with dropout on.

    The networks have no batch normalization, so training mode switches on dropout and nothing else.

    Returns
    -------
    torch.Tensor of shape (passes, images, classes)
    """
    stack = ensemble.Stack([run.model])  # of one, because its dropout is fast
    with torch.no_grad(), ex.seeded(run.seed + 1):
        return torch.stack([stack(images[None])[0].softmax(1) for _ in range(passes)])


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
    result = dict(zip(names, np.array(rows).T, strict=True))
    greater(result["average"] - result["single"], 0, "The average beats its members.")
    between(result["average"] - result["whole"], -0.02, 0.02, "The whole network is as good.")
    between(result["difference"], 0, 0.05, "Though not the same.")
    return {name: float(values.mean()) for name, values in result.items()}


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
    last = {name: values[:, -1] for name, values in errors.items()}
    for others in errors["dissent"][:, :-1].T:
        greater(last["dissent"] - others, 0, "Errors are where dissent is.")
    greater(last["dissent"], 10, "A good part of the last group is wrong.")
    less(last["deviation"] - last["dissent"], 0, "The deviation ranks worse.")
    greater(last["probability"] - last["deviation"], 0, "The probability ranks better than that.")
    greater(calm, 0, "For some images of noise the sub-networks agree.")
    less(np.divide(*spread.values()), 1, "The spread depends on the drop rate.")
    result = {name: values.mean(0) for name, values in errors.items()}
    result["calm"] = float(np.mean(calm))
    result["spread"] = {drop: float(np.mean(values)) for drop, values in spread.items()}
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
    greater(result["single"], 0.4, "Neighbors tell much about a single dropped value.")
    assert not any(result["channel"]), "In a dropped channel, no neighbor is left."
    return {name: float(np.mean(values)) for name, values in result.items()}


def network_with_dropped_maps(layer, drop, batch_norm=False):
    """Return the small convolutional network with a layer that drops after its first ReLU.

    Parameters
    ----------
    layer : type
        ``nn.Dropout`` or ``nn.Dropout2d``.
    drop : float
        Probability with which it zeroes a value or a channel; 0 for no such layer.
    batch_norm : bool
        Whether batch normalization stands between each convolution and its ReLU.

    Returns
    -------
    torch.nn.Sequential
    """
    layers = list(ex.convolutional_network(batch_norm=batch_norm))
    after = 1 + next(place for place, one in enumerate(layers) if isinstance(one, nn.ReLU))
    return nn.Sequential(*layers[:after], *([layer(drop)] if drop else []), *layers[after:])


def values_or_channels(seeds, **size):
    """On small maps dropping single values helps more than dropping whole channels.

    Parameters
    ----------
    seeds : sequence of int
    **size
        Passed on to `protocol.train`.

    Returns
    -------
    dict
        "none", "Dropout" and "Dropout2d": what `protocol.compare` returns for one method.
    """
    dropped = {"": [protocol.Setting(rate=0.1, drop=drop) for drop in (0.2, 0.5)]}
    found = {}
    for layer, grids in (
        (nn.Dropout, {"": protocol.grid("none")}),
        (nn.Dropout, dropped),
        (nn.Dropout2d, dropped),
    ):
        name = layer.__name__ if grids is dropped else "none"
        make = partial(network_with_dropped_maps, layer)
        found[name] = protocol.compare(seeds, grids, make=make, **size)[""]
    last = {name: runs["last"]["test"] for name, runs in found.items()}
    greater(last["Dropout"] - last["none"], 0, "Dropping single values helps.")
    greater(last["Dropout"] - last["Dropout2d"], 0, "It helps more than to drop channels.")
    return found


class Residual(nn.Module):
    """A block x + branch(x) whose branch is left out for an example with some probability.

    The branch is layer norm, a linear layer, ReLU and a linear layer. It is left out in training
    only, and scaled up where it is not, as dropout does it.

    Parameters
    ----------
    width : int
    drop : float
        Probability to leave the branch out.
    """

    def __init__(self, width, drop):
        super().__init__()
        self.norm, self.drop = nn.LayerNorm(width), nn.Dropout(drop)
        self.up, self.down = nn.Linear(width, width), nn.Linear(width, width)

    @classmethod
    def stacked(cls, layers):
        """Return one layer for those of all networks of a stack."""
        whole = cls(1, 0.0)
        for name in ("norm", "drop", "up", "down"):
            setattr(whole, name, ensemble.stacked([getattr(layer, name) for layer in layers]))
        return whole

    def forward(self, x):
        """Map inputs of shape (..., examples, width)."""
        # A factor of 0 or 1/(1 - drop) for each example.
        factor = self.drop(torch.ones_like(x[..., :1]))
        return x + factor * self.down(self.up(self.norm(x)).relu())


def deep_network(drop, batch_norm=False, blocks=8, width=32):
    """Return a residual network with stochastic depth.

    Parameters
    ----------
    drop : float
        Probability to leave out the last block; that of the others grows evenly up to it.
    batch_norm : bool
        Not used; `protocol.train` asks for it.
    blocks, width : int

    Returns
    -------
    torch.nn.Sequential
    """
    return nn.Sequential(
        nn.Linear(64, width),
        *(Residual(width, drop * number / blocks) for number in range(1, blocks + 1)),
        nn.LayerNorm(width),
        nn.Linear(width, 10),
    )


def stochastic_depth(seeds, **size):
    """To leave out whole blocks at random keeps wrong labels out of a deep network.

    Parameters
    ----------
    seeds : sequence of int
    **size
        Passed on to `protocol.train`.

    Returns
    -------
    dict
        "none" and "dropout", which here means blocks: what `protocol.compare` returns.
    """
    grids = {name: protocol.grid(name) for name in ("none", "dropout")}
    found = protocol.compare(seeds, grids, make=deep_network, **size)
    plain, thinned = (runs["last"] for runs in found.values())
    less(thinned["train"] - plain["train"], 0, "Fewer training labels are fitted.")
    greater(thinned["test"] - plain["test"], 0, "Test accuracy at the last epoch is higher.")
    return found
