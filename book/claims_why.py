"""The experimental claims of the chapter "Why regularize".

Each function runs an experiment on the seeds it is given, raises ``AssertionError`` if a sentence
of the chapter is not true of the result, and returns the numbers that the chapter shows. The
chapter calls it with its own seeds; the tests call it with others.
"""

import experiments as ex
import numpy as np
import torch
from torch import nn


def curves(seed, *, wrong=0.2, n_train=600, hidden=128, epochs=60, record_every=2, held_out=0):
    """Train the unregularized network and record what it knows along the way.

    Parameters
    ----------
    seed : int
        Seed of data, network and order of examples.
    wrong : float
        Share of wrong training labels.
    n_train : int
        Training images, those held out included.
    hidden : int
        Width of both hidden layers.
    epochs, record_every : int
    held_out : int
        Training images that are kept out of training, for validation. Their labels are as wrong
        as the others.

    Returns
    -------
    dict of str to numpy.ndarray
        At each recorded epoch: ``train`` and ``test`` accuracy, ``train_loss`` and ``test_loss``,
        ``learned_right`` and ``learned_wrong`` (agreement with the training labels that are right
        and with those that are wrong; not a number where there are none), and ``validation`` if
        images are held out.
    """
    data = ex.noisy_digits(np.random.default_rng(seed), n_train=n_train, wrong=wrong)
    kept = n_train - held_out
    fitted = ex.Digits(
        data.x_train[:kept], data.y_train[:kept], data.x_test, data.y_test, data.wrong[:kept]
    )
    with ex.seeded(seed):
        model = ex.digits_network(hidden=hidden)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    generator = torch.Generator().manual_seed(seed)
    records = []
    for epoch in range(record_every, epochs + 1, record_every):
        ex.train(
            model,
            fitted,
            optimizer,
            epochs=record_every,
            record_every=epochs + 1,
            generator=generator,
        )
        with torch.no_grad():
            scores, test_scores = model(fitted.x_train), model(fitted.x_test)
        agrees = (scores.argmax(1) == fitted.y_train).double()
        record = {
            "epoch": epoch,
            "train": agrees.mean().item(),
            "test": (test_scores.argmax(1) == fitted.y_test).double().mean().item(),
            "train_loss": nn.functional.cross_entropy(scores, fitted.y_train).item(),
            "test_loss": nn.functional.cross_entropy(test_scores, fitted.y_test).item(),
            "learned_right": agrees[~fitted.wrong].mean().item(),
            "learned_wrong": agrees[fitted.wrong].mean().item(),
        }
        if held_out:
            record["validation"] = ex.accuracy(model, data.x_train[kept:], data.y_train[kept:])
        records.append(record)
    return {name: np.array([record[name] for record in records]) for name in records[0]}


def stacked(runs):
    """Return runs of equal length as one dict of arrays with a row per run."""
    return {name: np.stack([run[name] for run in runs]) for name in runs[0]}


def network_memorizes(seeds, **size):
    """Without regularization the network learns the rule first and the mistakes afterwards.

    Parameters
    ----------
    seeds : sequence of int
    **size
        Passed on to `curves`.

    Returns
    -------
    dict of str to numpy.ndarray
        The recorded curves, a row per seed, and ``best``, the column where the mean test accuracy
        is highest.
    """
    runs = stacked([curves(seed, **size) for seed in seeds])
    mean = {name: values.mean(0) for name, values in runs.items()}
    best = int(mean["test"].argmax())
    assert mean["train"][-1] > 0.85, "In the end it agrees with more labels than are right."
    assert mean["learned_wrong"][-1] > 0.5, "In the end it has learned most of the wrong labels."
    assert mean["test"][best] - mean["test"][-1] > 0.04, "Test accuracy falls from its peak."
    assert mean["learned_right"][best] > 0.88, "At its best it knows most of the right labels."
    assert mean["learned_wrong"][best] < 0.15, "At its best it has learned few of the wrong ones."
    assert mean["test_loss"][-1] > 1.3 * mean["test_loss"].min(), "Test loss rises again."
    assert mean["train_loss"][-1] < 0.6 * mean["train_loss"][best], "Training loss goes on falling."
    return {**runs, "best": best}


def right_labels_are_harmless(seeds, **size):
    """With right labels the same network fits everything, and its test accuracy stays.

    Returns
    -------
    dict of str to numpy.ndarray
        The recorded curves, a row per seed.
    """
    runs = stacked([curves(seed, wrong=0.0, **size) for seed in seeds])
    test = runs["test"].mean(0)
    assert runs["train"].mean(0)[-1] > 0.995, "It fits all training labels."
    assert test.max() - test[-1] < 0.01, "Test accuracy does not fall from its peak."
    assert test[-1] > 0.94, "Test accuracy is high."
    return runs


def capacity_cuts_both_ways(seeds, *, widths=(2, 4, 8, 16, 32, 64, 128), **size):
    """A narrow network fits neither rule nor noise, a wide one both, but the rule first.

    Returns
    -------
    dict
        ``widths``, and for ``train``, ``test`` and ``learned_wrong`` the values in the end, for
        ``peak`` the best test accuracy on the way: arrays with a row per seed and a column per
        width.
    """
    size = {"record_every": 4, **size}
    runs = [stacked([curves(seed, hidden=width, **size) for seed in seeds]) for width in widths]
    result = {
        name: np.stack([run[name][:, -1] for run in runs], axis=1)
        for name in ("train", "test", "learned_wrong")
    }
    result["peak"] = np.stack([run["test"].max(1) for run in runs], axis=1)
    mean = {name: values.mean(0) for name, values in result.items()}
    eight = widths.index(8)
    assert mean["train"][0] < 0.6, "The narrowest network cannot even fit the right labels."
    assert mean["test"][0] < 0.6, "It underfits."
    assert (mean["learned_wrong"][: eight + 1] < 0.2).all(), "Up to width 8, hardly any mistakes."
    assert mean["learned_wrong"][-1] > 0.6, "The widest network learns most mistakes."
    assert mean["test"].max() < 0.88, "In the end no width is good."
    assert mean["peak"][-1] > mean["test"].max() + 0.04, "The widest network was better on the way."
    assert mean["peak"][-1] > mean["peak"][eight] + 0.04, "And better than a narrow one ever was."
    return {**result, "widths": widths}


def more_data_help(seeds, *, sizes=(150, 300, 600, 1200), steps=720, **size):
    """With more training images, as many of them wrong, the same network errs less.

    Parameters
    ----------
    seeds : sequence of int
    sizes : sequence of int
        Numbers of training images; multiples of the batch size of 50.
    steps : int
        Optimization steps, the same for each number of images.
    **size
        Passed on to `curves`.

    Returns
    -------
    dict
        ``sizes``, and ``train`` and ``test`` in the end: a row per seed, a column per size.
    """
    runs = []
    for images in sizes:
        epochs = steps * 50 // images
        many = [
            curves(seed, n_train=images, epochs=epochs, record_every=epochs, **size)
            for seed in seeds
        ]
        runs.append(stacked(many))
    result = {
        name: np.stack([run[name][:, -1] for run in runs], axis=1) for name in ("train", "test")
    }
    gap = (result["train"] - result["test"]).mean(0)
    assert (np.diff(result["test"].mean(0)) > 0).all(), "Each doubling helps on test images."
    assert (np.diff(gap) < 0).all(), "Each doubling narrows the gap."
    return {**result, "sizes": sizes}


def best_of_many_flatters(seeds, *, candidates=(1, 2, 5, 10, 20, 50, 100), trials=2000):
    """The best of many scores on one validation set is better than the truth.

    All candidates have the same true accuracy of 90 percent, so that whatever the best of them
    seems to gain is luck.

    Parameters
    ----------
    seeds : sequence of int
    candidates : sequence of int
        How many candidates are compared.
    trials : int
        How often the comparison is repeated, for each seed.

    Returns
    -------
    dict
        ``candidates``, and ``score``: the mean score of the best, by number of images.
    """
    score = {}
    for images in (100, 300, 1000):
        drawn = np.concatenate(
            [
                np.random.default_rng(seed).binomial(images, 0.9, (trials, max(candidates)))
                for seed in seeds
            ]
        )
        score[images] = np.array([drawn[:, :k].max(1).mean() / images for k in candidates])
        assert abs(score[images][0] - 0.9) < 0.003, "One candidate's score is right on average."
        assert (np.diff(score[images]) > 0).all(), "More candidates flatter more."
    at = candidates.index(20)
    assert score[100][at] > 0.94, "The best of twenty gains more than four points on 100 images."
    assert score[100][at] > score[300][at] > score[1000][at], "More images flatter less."
    return {"candidates": candidates, "score": score}


def stopping_helps(seeds, *, held_out=150, **size):
    """Stopping where accuracy on held-out images is best beats training to the end.

    The held-out images are taken from the training images and have wrong labels, too.

    Returns
    -------
    dict of str to numpy.ndarray
        The recorded curves, a row per seed; ``stop``, the column chosen for each seed; ``stopped``,
        ``final`` and ``peak``, test accuracies there, in the end and at the best of all columns.
    """
    runs = stacked([curves(seed, held_out=held_out, **size) for seed in seeds])
    stop = runs["validation"].argmax(1)
    stopped = runs["test"][np.arange(len(stop)), stop]
    final, peak = runs["test"][:, -1], runs["test"].max(1)
    assert (stopped - final).mean() > 0.04, "Stopping gains several points on average."
    assert (stopped > final).mean() >= 0.75, "It gains in nearly every run."
    assert (peak - stopped).mean() < 0.04, "It comes close to the best that could be had."
    noisy = runs["validation"][np.arange(len(stop)), stop].mean()
    assert noisy < 0.85, "Accuracy on wrong labels cannot tell the true accuracy."
    return {**runs, "stop": stop, "stopped": stopped, "final": final, "peak": peak}


def double_descent(
    seeds, *, n_train=600, widths=(20, 50, 100, 200, 300, 400, 500, 600, 700, 900, 1500, 4000)
):
    """Random features fitted by least squares err most where they just fit everything.

    Random ReLU features of the images, and a linear map from them to the ten classes: the smallest
    one that has the least squared error, and one with an L2 penalty.

    Returns
    -------
    dict
        ``widths``; ``train``, ``test`` and ``ridge`` (test accuracy with a penalty): a row per seed
        and a column per width.
    """
    result = {name: np.empty((len(seeds), len(widths))) for name in ("train", "test", "ridge")}
    for row, seed in enumerate(seeds):
        data = ex.noisy_digits(np.random.default_rng(seed), n_train=n_train)
        generator = torch.Generator().manual_seed(seed)
        directions = torch.randn(64, max(widths), generator=generator, dtype=torch.float64) / 8
        inputs, others = (
            torch.relu(images.double() @ directions) for images in (data.x_train, data.x_test)
        )
        targets = nn.functional.one_hot(data.y_train, 10).double()
        for column, width in enumerate(widths):
            x, x_test = inputs[:, :width] / width**0.5, others[:, :width] / width**0.5
            # The smaller of the two matrices of inner products tells the singular values.
            wide = width > n_train
            values, vectors = torch.linalg.eigh(x @ x.T if wide else x.T @ x)
            solutions = []
            for ridge in (0.0, 0.06):
                # Directions that the features lack are left alone: the smallest solution.
                present = values > 1e-11 * values[-1]
                inverse = torch.where(present, 1 / (values + ridge), 0.0)
                middle = vectors * inverse @ vectors.T
                solutions.append(x.T @ middle @ targets if wide else middle @ x.T @ targets)
            for name, images, labels, solution in (
                ("train", x, data.y_train, solutions[0]),
                ("test", x_test, data.y_test, solutions[0]),
                ("ridge", x_test, data.y_test, solutions[1]),
            ):
                right = (images @ solution).argmax(1) == labels
                result[name][row, column] = right.double().mean().item()
    test, ridge = result["test"].mean(0), result["ridge"].mean(0)
    threshold = widths.index(n_train)
    assert test.argmin() == threshold, "Worst where there are as many features as images."
    first = test[:threshold].max()
    assert first - test[threshold] > 0.3, "It is bad there, and was good before."
    assert test[-1] - test[threshold] > 0.3, "It recovers beyond."
    assert first > test[-1] + 0.02, "With wrong labels, it does not come back to where it was."
    assert (result["train"].mean(0)[threshold:] > 0.99).all(), "From there on it fits everything."
    assert ridge[threshold:].min() > first, "A penalty removes the peak."
    assert abs(ridge[threshold] - ridge[-1]) < 0.02, "With it, width hardly matters any more."
    return {**result, "widths": widths, "threshold": threshold}
