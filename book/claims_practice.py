"""The experimental claims of the chapter "Regularization in practice".

Each function runs an experiment on the seeds it is given, raises ``AssertionError`` if a sentence
of the chapter is not true of the result, and returns the numbers that the chapter shows. The
chapter calls it with its own seeds; the tests call it with others.
"""

import claims_why
import experiments as ex
import numpy as np
import torch

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
# Two-sided 97.5 percent points of Student's distribution, by degrees of freedom.
STUDENT = {2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 7: 2.365, 9: 2.262, 11: 2.201, 14: 2.145}


def accuracies(setting, seed, *, wrong, hidden=64, epochs=40):
    """Train one network and return its final agreement with training labels and test accuracy.

    Weight decay acts on weight matrices only. Data, initial weights and order of examples depend
    on the seed alone, not on the setting, so that settings can be compared run by run.
    """
    weight_decay, drop, batch_norm = SETTINGS[setting]
    data = ex.noisy_digits(np.random.default_rng(seed), wrong=wrong)
    with ex.seeded(seed):
        model = ex.digits_network(hidden=hidden, drop=drop, batch_norm=batch_norm)
        parameters = list(model.parameters())
        groups = [
            {"params": [p for p in parameters if p.dim() > 1], "weight_decay": weight_decay},
            {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0.0},
        ]
        history = ex.train(
            model,
            data,
            torch.optim.SGD(groups, lr=0.05, momentum=0.9),
            epochs=epochs,
            record_every=epochs,
            generator=torch.Generator().manual_seed(seed),
        )
    return history["train"][-1], history["test"][-1]


def compare(settings, seeds, **size):
    """Train every setting on every seed.

    Returns
    -------
    dict of str to numpy.ndarray
        For each setting, training and test accuracy in percent: a row per seed, two columns.
    """
    return {
        setting: 100 * np.array([accuracies(setting, seed, **size) for seed in seeds])
        for setting in settings
    }


def interval(values):
    """Return the mean of independent values and half the width of its 95 percent interval."""
    values = np.asarray(values)
    half = STUDENT[len(values) - 1] * values.std(ddof=1) / len(values) ** 0.5
    return values.mean(), half


def wrong_labels(seeds, *, hidden=64, epochs=40, wrong=0.2):
    """Say which settings protect a network from wrong labels.

    Returns
    -------
    dict of str to numpy.ndarray
        As `compare`, with "early stopping" in addition.
    """
    size = {"hidden": hidden, "epochs": epochs, "wrong": wrong}
    result = compare(SETTINGS, seeds, **size)
    stopped = []
    for seed in seeds:
        run = claims_why.curves(seed, **size, held_out=150, record_every=1)
        stop = run["validation"].argmax()
        stopped.append((run["train"][stop], run["test"][stop]))
    result["early stopping"] = 100 * np.array(stopped)

    test = {setting: values[:, 1].mean() for setting, values in result.items()}
    fit = {setting: values[:, 0].mean() for setting, values in result.items()}
    for setting in ("weight decay", "dropout", "early stopping"):
        assert test[setting] > test["none"] + 0.5, f"On average {setting} helps by itself."
        assert fit[setting] < fit["none"], f"With {setting} training labels are fitted less well."
    assert test["batch norm"] < test["none"] - 1, "Batch norm alone makes it worse."
    assert fit["batch norm"] > 95, "It fits nearly all training labels, wrong ones included."
    assert test["decay + norm"] < test["none"], "Weight decay does not mend that."
    assert test["dropout + norm"] > test["batch norm"] + 5, "Dropout does."
    both = test["decay + dropout"]
    assert both < test["dropout"], "With weight decay dropout is worse than by itself."
    assert test["weight decay"] < test["dropout"], "Dropout is ahead of weight decay."
    single = max(test["weight decay"], test["dropout"])
    for setting in ("decay + dropout", "dropout + norm", "all three"):
        assert test[setting] < single + 1.5, f"Not much is gained by {setting} over one alone."
    return result


def right_labels(seeds, *, hidden=64, epochs=40):
    """Say what the same settings do when all training labels are right.

    Returns
    -------
    dict of str to numpy.ndarray
        As `compare`, for none and each of the three alone.
    """
    settings = ("none", "weight decay", "dropout", "batch norm")
    result = compare(settings, seeds, hidden=hidden, epochs=epochs, wrong=0.0)
    test = {setting: values[:, 1].mean() for setting, values in result.items()}
    assert test["batch norm"] == max(test.values()), "Batch norm comes first."
    assert test["batch norm"] > test["none"] + 0.5, "It helps."
    assert test["weight decay"] < test["none"] - 0.3, "Weight decay of this strength harms."
    assert abs(test["dropout"] - test["none"]) < 1.5, "Dropout makes little difference."
    assert max(test.values()) - min(test.values()) < 6, "All of this is a matter of few points."
    return result
