"""What the chapter "Why regularize" says about its experiments.

Each function runs an experiment on the seeds it is given, raises ``AssertionError`` if a sentence
of the chapter is not true by a `margin <experiments.margins>`, and returns the numbers that the
chapter shows. The chapter calls it with its own seeds; the tests call it with others, and smaller.
"""

import numpy as np
import torch
from numpy.linalg import pinv
from numpy.polynomial.legendre import legvander
from torch import nn

from experiments import digits as ex
from experiments import ensemble
from experiments.margins import between, greater, less


def curves(seeds, *, wrong=0.2, n_train=600, hidden=128, epochs=60, record_every=2, held_out=0):
    """Train the unregularized network for each seed and record what it knows along the way.

    Parameters
    ----------
    seeds : sequence of int
        Seeds of data, network and order of examples.
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
        A row per seed, a column per record: ``epoch``, ``train`` and ``test`` accuracy,
        ``train_loss`` and ``test_loss``,
        ``learned_right`` and ``learned_wrong`` (agreement with the training labels that are right
        and with those that are wrong; not a number where there are none), and ``validation`` if
        images are held out.
    """
    everything = ensemble.draw(seeds, n_train=n_train, wrong=wrong)
    kept = n_train - held_out
    data = [one.first(kept) for one in everything]
    stack = ensemble.build(seeds, ex.digits_network, hidden=hidden)
    optimizer = torch.optim.SGD(stack.parameters(), lr=0.05, momentum=0.9)
    generators = ensemble.generators(seeds)
    records = []
    for epoch in range(record_every, epochs + 1, record_every):
        ensemble.train(
            stack,
            data,
            optimizer,
            epochs=record_every,
            record_every=epochs + 1,
            generators=generators,
        )
        records.append(
            [
                {"epoch": epoch, **known(network, one, kept)}
                for network, one in zip(stack.networks, everything, strict=True)
            ]
        )
    return {
        name: np.array([[run[name] for run in record] for record in records]).T
        for name in records[0][0]
    }


def known(network, data, kept):
    """Return what a network trained on the first images knows, by name; see `curves`."""
    with torch.no_grad():
        scores, test_scores = network(data.x_train), network(data.x_test)
    agrees = (scores.argmax(1) == data.y_train).double()
    learned, wrong = agrees[:kept], data.wrong[:kept]
    result = {
        "train": learned.mean(),
        "test": (test_scores.argmax(1) == data.y_test).double().mean(),
        "train_loss": nn.functional.cross_entropy(scores[:kept], data.y_train[:kept]),
        "test_loss": nn.functional.cross_entropy(test_scores, data.y_test),
        "learned_right": learned[~wrong].mean(),
        "learned_wrong": learned[wrong].mean(),
    }
    if kept < len(agrees):
        result["validation"] = agrees[kept:].mean()
    return {name: value.item() for name, value in result.items()}


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
    runs = curves(seeds, **size)
    best = int(runs["test"].mean(0).argmax())
    then = {name: values[:, best] for name, values in runs.items()}
    end = {name: values[:, -1] for name, values in runs.items()}
    greater(end["train"], 0.8, "In the end it agrees with more labels than are right.")
    greater(end["learned_wrong"], 0.5, "In the end it has learned most of the wrong labels.")
    greater(then["test"] - end["test"], 0, "Test accuracy falls from its peak.")
    greater(then["learned_right"], 0.8, "At its best it knows most of the right labels.")
    less(then["learned_wrong"], 0.5, "At its best it has not learned most of the wrong ones.")
    least = runs["test_loss"][:, runs["test_loss"].mean(0).argmin()]
    greater(np.log(end["test_loss"] / least), 0, "Test loss rises again.")
    less(np.log(end["train_loss"] / then["train_loss"]), 0, "Training loss goes on falling.")
    return {**runs, "best": best}


def right_labels_are_harmless(seeds, **size):
    """With right labels the same network fits everything, and its test accuracy stays.

    Returns
    -------
    dict of str to numpy.ndarray
        The recorded curves, a row per seed.
    """
    runs = curves(seeds, wrong=0.0, **size)
    test = runs["test"]
    greater(runs["train"][:, -1], 0.99, "It fits nearly all training labels.")
    less(test[:, test.mean(0).argmax()] - test[:, -1], 0.02, "Test accuracy hardly falls.")
    greater(test[:, -1], 0.8, "Test accuracy is high.")
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
    runs = [curves(seeds, hidden=width, **size) for width in widths]
    result = {
        name: np.stack([run[name][:, -1] for run in runs], axis=1)
        for name in ("train", "test", "learned_wrong")
    }
    result["peak"] = np.stack([run["test"].max(1) for run in runs], axis=1)
    eight = widths.index(8)
    less(result["train"][:, 0], 0.8, "The narrowest network cannot even fit the right labels.")
    less(result["test"][:, 0], 0.8, "It underfits.")
    for wrong in result["learned_wrong"][:, : eight + 1].T:
        less(wrong, 0.5, "Up to width 8, most mistakes are not learned.")
    greater(result["learned_wrong"][:, -1], 0.5, "The widest network learns most mistakes.")
    best = result["peak"][:, -1]
    others = result["test"].max(1)
    greater(best - others, 0, "The widest network was better on its way than any is in the end.")
    greater(best - result["peak"][:, eight], 0, "And better than a narrow one ever was.")
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
        runs.append(curves(seeds, n_train=images, epochs=epochs, record_every=epochs, **size))
    result = {
        name: np.stack([run[name][:, -1] for run in runs], axis=1) for name in ("train", "test")
    }
    gap = result["train"] - result["test"]
    greater(result["test"][:, -1] - result["test"][:, 0], 0, "More data help on test images.")
    less(gap[:, -1] - gap[:, 0], 0, "More data narrow the gap.")
    return {**result, "sizes": sizes}


def longer_training_learns_more_mistakes(seeds, *, n_train=1200, epochs=60):
    """Among many images too, wrong labels are learned if training goes on for long enough.

    Returns
    -------
    dict of str to numpy.ndarray
        As `curves`, with two records: after half of the epochs, and after all of them.
    """
    runs = curves(seeds, n_train=n_train, epochs=epochs, record_every=epochs // 2)
    half, end = runs["learned_wrong"].T
    less(half, 0.5, "After half of the time most mistakes are not learned.")
    greater(end - half, 0, "Then more of them are.")
    return runs


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
        ``candidates``, and ``score``: the mean score of the best, by number of images; an array
        with a row per seed and a column per number of candidates.
    """
    score = {}
    for images in (100, 300, 1000):
        drawn = np.stack(
            [
                np.random.default_rng(seed).binomial(images, 0.9, (trials, max(candidates)))
                for seed in seeds
            ]
        )
        score[images] = np.stack(
            [drawn[:, :, :k].max(2).mean(1) / images for k in candidates], axis=1
        )
        between(score[images][:, 0], 0.89, 0.91, "One candidate's score is right on average.")
        for gained in np.diff(score[images]).T:
            greater(gained, 0, "More candidates flatter more.")
    at = candidates.index(20)
    greater(score[100][:, at], 0.94, "The best of twenty gains over four points on 100 images.")
    for few, many in ((100, 300), (300, 1000)):
        greater(score[few][:, at] - score[many][:, at], 0, "More images flatter less.")
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
    runs = curves(seeds, held_out=held_out, **size)
    stop = runs["validation"].argmax(1)
    stopped = runs["test"][np.arange(len(stop)), stop]
    final, peak = runs["test"][:, -1], runs["test"].max(1)
    greater(stopped - final, 0, "Stopping gains on average.")
    greater(stopped - final - (peak - final) / 3, 0, "It gains a good part of what could be had.")
    seen = runs["validation"][np.arange(len(stop)), stop]
    greater(stopped - seen, 0, "Accuracy on wrong labels lies below the true accuracy.")
    return {**runs, "stop": stop, "stopped": stopped, "final": final, "peak": peak}


def bias_and_variance(rng, *, degrees=15, shown=(1, 5, 14), n_train=25, noise=0.4):
    """Fit polynomials to noisy values of a wave; nothing here is estimated from samples.

    The places are given and the noise is new in each training set, so predictions are a fixed
    linear map of the noisy values.

    Parameters
    ----------
    rng : numpy.random.Generator
        Draws the training sets of the fits that are shown.

    Returns
    -------
    dict
        ``x`` and ``truth``; ``degrees``; ``bias`` (squared), ``variance`` and ``error``, their
        sum, by degree and averaged over ``x``; ``fits``, ten predictions for each degree shown.
    """
    x, places = np.linspace(-1, 1, 201), np.linspace(-1, 1, n_train)
    truth, values = (np.sin(1.5 * np.pi * one) for one in (x, places))
    maps = [legvander(x, degree) @ pinv(legvander(places, degree)) for degree in range(degrees)]
    bias = np.array([((fit @ values - truth) ** 2).mean() for fit in maps])
    variance = noise**2 * np.array([(fit**2).sum(axis=1).mean() for fit in maps])
    drawn = values + noise * rng.standard_normal((10, n_train))
    error = bias + variance
    assert (np.diff(bias) < 1e-9).all(), "Bias falls with the degree."
    assert (np.diff(variance) > 0).all(), "Variance rises."
    assert error.argmin() == shown[1], "Their sum is least in between."
    return {
        "x": x,
        "truth": truth,
        "degrees": range(degrees),
        "bias": bias,
        "variance": variance,
        "error": error,
        "fits": {degree: drawn @ maps[degree].T for degree in shown},
    }


def double_descent(
    seeds, *, n_train=600, widths=(20, 50, 100, 200, 300, 400, 500, 600, 700, 900, 1500, 4000)
):
    """Random features fitted by least squares err most near where they just fit everything.

    Random ReLU features of the images, and a linear map from them to the ten classes: the smallest
    one that has the least squared error, and one with an L2 penalty.

    Returns
    -------
    dict
        ``widths``; ``train``, ``test`` and ``ridge`` (test accuracy with a penalty), and ``norm``,
        that of the linear map without a penalty: a row per seed and a column per width.
    """
    names = ("train", "test", "ridge", "norm")
    result = {name: np.empty((len(seeds), len(widths))) for name in names}
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
                known = targets if wide else x.T @ targets
                solution = vectors * inverse @ (vectors.T @ known)
                solutions.append(x.T @ solution if wide else solution)
            for name, images, labels, solution in (
                ("train", x, data.y_train, solutions[0]),
                ("test", x_test, data.y_test, solutions[0]),
                ("ridge", x_test, data.y_test, solutions[1]),
            ):
                right = (images @ solution).argmax(1) == labels
                result[name][row, column] = right.double().mean().item()
            result["norm"][row, column] = solutions[0].norm().item()
    threshold = widths.index(n_train)
    test, ridge = result["test"], result["ridge"]
    first = test[:, test[:, :threshold].mean(0).argmax()]
    worst = test[:, threshold]
    for column, width in enumerate(widths):
        if not 2 / 3 < width / n_train < 1.5:
            greater(
                test[:, column] - worst, 0, "Worst where features and images are about as many."
            )
    for column in (0, -1):
        larger = np.log(result["norm"][:, threshold] / result["norm"][:, column])
        greater(larger, 0, "The map is largest there.")
    greater(first - worst, 0, "It is bad there, and was good before.")
    greater(test[:, -1] - worst, 0, "It recovers beyond.")
    greater(first - test[:, -1], 0, "With wrong labels, it does not come back to where it was.")
    for column in range(threshold, len(widths)):
        greater(result["train"][:, column], 0.98, "From there on it fits everything.")
        greater(ridge[:, column] - first, 0, "A penalty removes the peak.")
    between(ridge[:, -1] - ridge[:, threshold], -0.05, 0.05, "With it, width matters little.")
    return {**result, "widths": widths, "threshold": threshold}
