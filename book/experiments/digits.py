"""The experiment that the chapters share: a small network on digits with wrong labels.

The chapters are about what happens when a network has room to memorize mistakes, so every
experiment uses the same ingredients: scikit-learn's digits, a part of the training labels replaced
by wrong ones, and a fully connected network with two hidden layers.
"""

import contextlib
import functools
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib_inline.backend_inline import set_matplotlib_formats
from sklearn.datasets import load_digits
from torch import nn

# Okabe and Ito's palette: told apart with any kind of color vision, and by lightness in gray.
BLUE, ORANGE, GREEN, GRAY = "#0072B2", "#D55E00", "#009E73", "#767676"


@dataclass(frozen=True)
class Digits:
    """Training and test digits as tensors.

    Attributes
    ----------
    x_train, x_test : torch.Tensor
        Images as rows of 64 numbers between 0 and 1, float32.
    y_train, y_test : torch.Tensor
        Labels from 0 to 9. A part of ``y_train`` is wrong, none of ``y_test``.
    wrong : torch.Tensor
        True where the training label was replaced.
    """

    x_train: torch.Tensor
    y_train: torch.Tensor
    x_test: torch.Tensor
    y_test: torch.Tensor
    wrong: torch.Tensor

    def first(self, count):
        """Return the same with the first ``count`` training images only."""
        train = (part[:count] for part in (self.x_train, self.y_train, self.wrong))
        x_train, y_train, wrong = train
        return Digits(x_train, y_train, self.x_test, self.y_test, wrong)


# Reading the file takes about a tenth of the time in which a small network is trained on it.
read_digits = functools.cache(load_digits)


def noisy_digits(rng, n_train=600, wrong=0.2):
    """Split scikit-learn's 1797 digits at random and spoil a part of the training labels.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of the split and of the wrong labels.
    n_train : int
        Number of training images; all others are for testing.
    wrong : float
        Fraction of the training labels that are replaced by another digit, drawn uniformly.

    Returns
    -------
    Digits
    """
    images, labels = read_digits(return_X_y=True)
    order = rng.permutation(len(labels))
    images, labels = images[order] / 16, labels[order]
    spoiled = rng.choice(n_train, size=round(wrong * n_train), replace=False)
    y_train = labels[:n_train].copy()
    # A shift by 1 to 9 always gives another digit.
    y_train[spoiled] = (y_train[spoiled] + rng.integers(1, 10, size=len(spoiled))) % 10
    is_wrong = np.zeros(n_train, dtype=bool)
    is_wrong[spoiled] = True
    return Digits(
        x_train=torch.tensor(images[:n_train], dtype=torch.float32),
        y_train=torch.tensor(y_train),
        x_test=torch.tensor(images[n_train:], dtype=torch.float32),
        y_test=torch.tensor(labels[n_train:]),
        wrong=torch.tensor(is_wrong),
    )


@contextlib.contextmanager
def seeded(seed):
    """Give PyTorch's global generator a seed inside a ``with`` block, and restore it after.

    Layers draw their first weights, and dropout its masks, from the global generator; there is no
    way to pass them another one.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def digits_network(hidden=128, drop=0.0, batch_norm=False):
    """Return a network 64 → hidden → hidden → 10 with ReLU.

    Parameters
    ----------
    hidden : int
        Units in each of the two hidden layers.
    drop : float
        Probability with which dropout zeroes a hidden activation; 0 for no dropout layers.
    batch_norm : bool
        Whether batch normalization stands between each linear map and its ReLU.

    Returns
    -------
    torch.nn.Sequential
    """
    layers = []
    for inputs in (64, hidden):
        layers.append(nn.Linear(inputs, hidden))
        if batch_norm:
            layers.append(nn.BatchNorm1d(hidden))
        layers.append(nn.ReLU())
        if drop:
            layers.append(nn.Dropout(drop))
    return nn.Sequential(*layers, nn.Linear(hidden, 10))


def convolutional_network(channels=(16, 32), drop=0.0, batch_norm=False):
    """Return a network of two convolutions and a linear layer, for rows of 64 pixels.

    A pooling layer makes the maps half as large after the first, a stride of 2 in the second.

    Parameters
    ----------
    channels : tuple of int
        Channels after the first convolution and after the second.
    drop : float
        Probability with which dropout zeroes an input of the linear layer; 0 for no dropout layer.
    batch_norm : bool
        Whether batch normalization stands between each convolution and its ReLU.

    Returns
    -------
    torch.nn.Sequential
    """
    norms = [[nn.BatchNorm2d(count)] if batch_norm else [] for count in channels]
    return nn.Sequential(
        nn.Unflatten(1, (1, 8, 8)),
        nn.Conv2d(1, channels[0], 3, padding=1),
        *norms[0],
        nn.MaxPool2d(2),
        nn.ReLU(),
        nn.Conv2d(*channels, 3, stride=2, padding=1),
        *norms[1],
        nn.ReLU(),
        nn.Flatten(),
        *([nn.Dropout(drop)] if drop else []),
        nn.Linear(4 * channels[1], 10),
    )


def initialize_for_relu(network):
    """Draw He's initial weights, N(0, 2/inputs), where ReLU follows, and set those biases to 0.

    That is all linear layers and convolutions but the last, which keeps what PyTorch has drawn.

    Source: He et al., "Delving Deep into Rectifiers", 2015.

    Parameters
    ----------
    network : torch.nn.Sequential

    Returns
    -------
    torch.nn.Sequential
        The same network.
    """
    layers = [layer for layer in network if isinstance(layer, (nn.Linear, nn.Conv2d))]
    for layer in layers[:-1]:
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        nn.init.zeros_(layer.bias)
    return network


def shifted(x):
    """Return images moved by up to one pixel, in each of the nine ways; zeros come in at the edge.

    Parameters
    ----------
    x : torch.Tensor
        Images as rows of 64 numbers, shape (..., 64).

    Returns
    -------
    torch.Tensor
        Shape (9, ..., 64); the fifth are the images as they were.
    """
    wide = nn.functional.pad(x.unflatten(-1, (8, 8)), (1, 1, 1, 1))
    return torch.stack(
        [
            wide[..., down : down + 8, right : right + 8].flatten(-2)
            for down in range(3)
            for right in range(3)
        ]
    )


def accuracy(model, x, y):
    """Return the fraction of correct predictions in evaluation mode, and restore the mode."""
    training = model.training
    model.eval()
    with torch.no_grad():
        correct = (model(x).argmax(dim=1) == y).double().mean().item()
    model.train(training)
    return correct


def train(model, data, optimizer, *, epochs, generator, batch_size=50, record_every=1):
    """Train on mini-batches and record accuracies along the way.

    Parameters
    ----------
    model : torch.nn.Module
    data : Digits
    optimizer : torch.optim.Optimizer
        Holds the parameters of ``model``.
    epochs : int
    generator : torch.Generator
        Source of the order of the training examples.
    batch_size : int
    record_every : int
        Number of epochs between two records.

    Returns
    -------
    dict of str to list
        ``epoch``, ``train`` and ``test``: accuracies in evaluation mode. The training accuracy is
        agreement with the given labels, wrong ones included.
    """
    history = {"epoch": [], "train": [], "test": []}
    for epoch in range(1, epochs + 1):
        model.train()
        for batch in torch.randperm(len(data.x_train), generator=generator).split(batch_size):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(data.x_train[batch]), data.y_train[batch])
            loss.backward()
            optimizer.step()
        if epoch % record_every == 0:
            history["epoch"].append(epoch)
            history["train"].append(accuracy(model, data.x_train, data.y_train))
            history["test"].append(accuracy(model, data.x_test, data.y_test))
    return history


def prepare():
    """Set up a chapter: vector figures in the course's style, and one thread per computation.

    One thread, because on networks this small more of them only wait for each other, and because
    sums are then always added in the same order.
    """
    torch.set_num_threads(1)
    # The page's style sheet turns the lightness over in dark mode, hence no background here.
    # No date in the file: the same figure is the same file.
    set_matplotlib_formats("svg", facecolor="none", bbox_inches="tight", metadata={"Date": None})
    plt.rcParams.update(
        {
            "axes.grid": True,
            "axes.prop_cycle": plt.cycler(
                color=[BLUE, ORANGE, GREEN, GRAY], linestyle=["-", "--", "-.", ":"]
            ),
            "axes.spines.right": False,
            "axes.spines.top": False,
            "figure.figsize": (7, 3.2),
            "figure.facecolor": "none",
            "axes.facecolor": "none",
            "font.size": 11,
            "grid.alpha": 0.25,
            "legend.frameon": False,
            "lines.linewidth": 2,
            "svg.hashsalt": "regularization",
        }
    )
