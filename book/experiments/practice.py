"""What the chapter "Regularization in practice" says about its experiments.

Each function runs an experiment on the seeds it is given, raises ``AssertionError`` if a sentence
of the chapter is not true by a `margin <experiments.margins>`, and returns the numbers that the
chapter shows. The chapter calls it with its own seeds; the tests call it with others, and smaller.
"""

import numpy as np
import torch

from experiments import digits as ex
from experiments import ensemble, why
from experiments.margins import between, greater, less

# Name of a setting → weight decay, drop probability, batch norm.
SETTINGS = {
    "none": (0.0, 0.0, False),
    "weight decay": (0.01, 0.0, False),
    "dropout": (0.0, 0.5, False),
    "batch norm": (0.0, 0.0, True),
    "decay + dropout": (0.01, 0.5, False),
    "decay + norm": (0.01, 0.0, True),
    "dropout + norm": (0.0, 0.5, True),
    "all three": (0.01, 0.5, True),
}


def accuracies(setting, seeds, *, wrong, hidden=128, epochs=60, n_train=600):
    """Train networks and return final agreement with training labels and test accuracy.

    Weight decay acts on weight matrices only. Data, initial weights and order of examples depend
    on the seed alone, not on the setting, so that settings can be compared run by run.

    Returns
    -------
    numpy.ndarray
        A row per seed, two columns.
    """
    weight_decay, drop, batch_norm = SETTINGS[setting]
    data = ensemble.draw(seeds, n_train=n_train, wrong=wrong)
    stack = ensemble.build(
        seeds, ex.digits_network, hidden=hidden, drop=drop, batch_norm=batch_norm
    )
    parameters = list(stack.parameters())
    # The first dimension is the network's number, so a matrix has three.
    groups = [
        {"params": [p for p in parameters if p.dim() > 2], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.dim() < 3], "weight_decay": 0.0},
    ]
    with ex.seeded(seeds[0]):
        history = ensemble.train(
            stack,
            data,
            torch.optim.SGD(groups, lr=0.05, momentum=0.9),
            epochs=epochs,
            record_every=epochs,
            generators=ensemble.generators(seeds),
        )
    return np.column_stack([history["train"][:, -1], history["test"][:, -1]])


def compare(settings, seeds, **size):
    """Train every setting on every seed.

    Returns
    -------
    dict of str to numpy.ndarray
        For each setting, training and test accuracy in percent: a row per seed, two columns.
    """
    return {setting: 100 * accuracies(setting, seeds, **size) for setting in settings}


def wrong_labels(seeds, **size):
    """Say which settings protect a network from wrong labels.

    Parameters
    ----------
    seeds : sequence of int
    **size
        Passed on to `accuracies`.

    Returns
    -------
    dict of str to numpy.ndarray
        As `compare`.
    """
    result = compare(SETTINGS, seeds, **{"wrong": 0.2, **size})
    fit = {setting: values[:, 0] for setting, values in result.items()}
    test = {setting: values[:, 1] for setting, values in result.items()}
    gain = {setting: values - test["none"] for setting, values in test.items()}
    for setting in ("weight decay", "dropout"):
        greater(gain[setting], 0, f"On average {setting} helps by itself.")
        less(fit[setting] - fit["none"], 0, f"With {setting} training labels are fitted less well.")
        less(gain["batch norm"] - gain[setting], 0, f"Batch norm by itself is behind {setting}.")
    greater(fit["batch norm"] - fit["none"], 0, "Batch norm fits training labels better.")
    greater(fit["batch norm"], 90, "It fits nearly all training labels, wrong ones included.")
    mended = test["decay + norm"] - test["weight decay"]
    less(mended, 0, "Weight decay does not mend that.")
    greater(test["dropout + norm"] - test["batch norm"], 0, "Dropout does.")
    for setting in ("decay + dropout", "dropout + norm", "all three"):
        more = gain[setting] - 2 * gain["dropout"]
        less(more, 0, f"Two are not twice as good: {setting}.")
    return result


def early_stopping(seeds, *, hidden=128, epochs=60, n_train=600, held_out=150):
    """Say what stopping does that is decided by held-out images with labels as wrong.

    Parameters
    ----------
    seeds : sequence of int
    hidden, epochs : int
    n_train, held_out : int
        Training images, and how many of them are held out.

    Returns
    -------
    numpy.ndarray
        Training and test accuracy in percent: a row per seed, two columns.
    """
    size = {"hidden": hidden, "epochs": epochs, "n_train": n_train, "wrong": 0.2}
    runs = why.curves(seeds, **size, held_out=held_out, record_every=1)
    stop = np.arange(len(seeds)), runs["validation"].argmax(1)
    result = 100 * np.column_stack([runs["train"][stop], runs["test"][stop]])
    fit, gain = (result - compare(["none"], seeds, **size)["none"]).T
    greater(gain, 0, "On average early stopping helps by itself.")
    less(fit, 0, "With early stopping training labels are fitted less well.")
    return result


def right_labels(seeds, **size):
    """Say what the same settings do when all training labels are right.

    Parameters
    ----------
    seeds : sequence of int
    **size
        Passed on to `accuracies`.

    Returns
    -------
    dict of str to numpy.ndarray
        As `compare`, for none and each of the three alone.
    """
    result = compare(("none", "weight decay", "dropout", "batch norm"), seeds, wrong=0.0, **size)
    fit = {setting: values[:, 0] for setting, values in result.items()}
    test = {setting: values[:, 1] for setting, values in result.items()}
    gain = {setting: values - test["none"] for setting, values in test.items()}
    greater(gain["batch norm"], 0, "Batch norm helps.")
    greater(gain["batch norm"] - gain["weight decay"], 0, "More than weight decay.")
    less(gain["weight decay"], 2, "Weight decay gains less than two points.")
    between(gain["dropout"], -3, 3, "Dropout makes a difference of less than three points.")
    for setting in ("none", "batch norm"):
        greater(fit[setting], 98, f"With {setting} nearly all training labels are fitted.")
    return result
