"""Experiments behind the claims of the chapter on L2.

Each function runs one experiment, raises an ``AssertionError`` that names the sentence which is not
true of its result, and returns the numbers that the chapter prints or plots. The chapter calls it
with its own seeds, the tests with others.
"""

import copy

import experiments as ex
import numpy as np
import torch
from sklearn.datasets import make_moons
from torch import nn

# A window that holds all points of the two half circles.
MOONS_X, MOONS_Y = (-2.2, 3.2), (-1.7, 2.2)


def train_digits(seed, *, optimizer=torch.optim.SGD, epochs, record_every=None, **settings):
    """Train the common network on the common data and return everything.

    Parameters
    ----------
    seed : int
        Decides the split, the wrong labels, the first weights and the order of the examples.
    optimizer : class
        One of torch's optimizers.
    epochs, record_every : int
        As for ``experiments.train``; one record at the end when not said.
    **settings
        For the optimizer; with SGD a learning rate of 0.05 and momentum 0.9 unless said otherwise.

    Returns
    -------
    tuple of torch.nn.Module, experiments.Digits and dict
        The network, the data and the recorded history.
    """
    if optimizer is torch.optim.SGD:
        settings = {"lr": 0.05, "momentum": 0.9, **settings}
    data = ex.noisy_digits(np.random.default_rng(seed))
    with ex.seeded(seed):
        model = ex.digits_network()
    history = ex.train(
        model,
        data,
        optimizer(model.parameters(), **settings),
        epochs=epochs,
        record_every=record_every or epochs,
        generator=torch.Generator().manual_seed(seed),
    )
    return model, data, history


def decay_keeps_wrong_labels_out(seeds, strength=0.01, epochs=60):
    """Without decay wrong labels are learned and test accuracy sinks; with decay much less so.

    Parameters
    ----------
    seeds : sequence of int
    strength : float
        The weight decay λ of the second network.
    epochs : int

    Returns
    -------
    dict
        ``epoch``, and for each of ``plain`` and ``decayed`` the mean over seeds of the curves
        ``train`` and ``test``, of the highest test accuracy ``best`` and of ``learned``, the
        share of the wrong labels that were learned.
    """
    result = {}
    for name, weight_decay in (("plain", 0.0), ("decayed", strength)):
        runs = [
            train_digits(seed, epochs=epochs, record_every=2, weight_decay=weight_decay)
            for seed in seeds
        ]
        result["epoch"] = runs[0][2]["epoch"]
        result[name] = {
            "train": np.mean([history["train"] for _, _, history in runs], axis=0),
            "test": np.mean([history["test"] for _, _, history in runs], axis=0),
            "best": np.mean([max(history["test"]) for _, _, history in runs]),
            "learned": np.mean(
                [
                    ex.accuracy(model, data.x_train[data.wrong], data.y_train[data.wrong])
                    for model, data, _ in runs
                ]
            ),
        }
    plain, decayed = result["plain"], result["decayed"]
    assert plain["learned"] > 0.5, "without decay most wrong labels are learned"
    assert plain["best"] - plain["test"][-1] > 0.04, "without decay test accuracy sinks"
    assert decayed["learned"] < plain["learned"] / 2, "with decay far fewer are learned"
    assert decayed["test"][-1] > plain["test"][-1] + 0.03, "with decay new images fare better"
    return result


def moons(seed, n_samples=80):
    """Return points of two blurred half circles and their classes as tensors."""
    points, classes = make_moons(
        n_samples=n_samples, noise=0.35, random_state=np.random.RandomState(seed)
    )
    return torch.tensor(points, dtype=torch.float32), torch.tensor(classes)


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


def boundaries_get_smoother(seeds, strengths=(0.0, 0.01, 0.05), steps=1000):
    """Stronger decay: smaller weights, flatter scores, a shorter boundary, more points given up.

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
        ``norm`` of all weights, mean ``steepness`` of the margin, ``length`` of the boundary,
        share of points that are ``fitted``; ``networks`` is a list of lists.
    """
    shape = (len(seeds), len(strengths))
    result = {name: np.empty(shape) for name in ("norm", "steepness", "length", "fitted")}
    result["networks"] = []
    for row, seed in enumerate(seeds):
        points, classes = moons(seed)
        networks = []
        for column, strength in enumerate(strengths):
            with ex.seeded(seed):
                net = nn.Sequential(
                    nn.Linear(2, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2)
                )
            optimizer = torch.optim.SGD(
                net.parameters(), lr=0.1, momentum=0.9, weight_decay=strength
            )
            for _ in range(steps):
                optimizer.zero_grad()
                nn.functional.cross_entropy(net(points), classes).backward()
                optimizer.step()
            x, y, margin, slope = moons_margin(net)
            side = margin > 0
            # Crossings of the grid's lines, weighted by their distance: the length of a curve
            # whose directions are all equally frequent (Cauchy and Crofton).
            length = (np.pi / 4) * (
                (side[1:] != side[:-1]).sum() * (x[0, 1] - x[0, 0])
                + (side[:, 1:] != side[:, :-1]).sum() * (y[1, 0] - y[0, 0])
            )
            weights = [p.detach() for p in net.parameters() if p.dim() > 1]
            result["norm"][row, column] = sum(w.square().sum() for w in weights).sqrt()
            result["steepness"][row, column] = slope.mean()
            result["length"][row, column] = length
            result["fitted"][row, column] = ex.accuracy(net, points, classes)
            networks.append(net)
        result["networks"].append(networks)
    norm, steepness, length, fitted = (
        result[name].mean(0) for name in ("norm", "steepness", "length", "fitted")
    )
    assert (norm[:-1] > 1.5 * norm[1:]).all(), "the norm of the weights falls"
    assert (steepness[:-1] > 2 * steepness[1:]).all(), "the scores get flatter"
    assert length[0] > 1.1 * length[-1], "the boundary gets shorter"
    assert fitted[0] > fitted[-1] + 0.05, "and more training points are on its wrong side"
    return result


def validation_finds_a_strength(
    seeds, strengths=(0.0, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1), epochs=50, n_valid=200
):
    """The λ with the best validation accuracy is a good one for new images.

    The validation images are like the training images: one label in five is wrong.

    Parameters
    ----------
    seeds : sequence of int
    strengths : sequence of float
        In ascending order; the first is 0, the last far too strong.
    epochs : int
    n_valid : int
        Number of validation images, besides 600 for training.

    Returns
    -------
    dict
        ``train``, ``valid`` and ``test``, arrays of shape (seeds, strengths), and ``chosen``, the
        place of the λ with the highest mean validation accuracy.
    """
    result = {name: np.empty((len(seeds), len(strengths))) for name in ("train", "valid", "test")}
    for row, seed in enumerate(seeds):
        everything = ex.noisy_digits(np.random.default_rng(seed), n_train=600 + n_valid)
        data = ex.Digits(
            x_train=everything.x_train[:600],
            y_train=everything.y_train[:600],
            x_test=everything.x_test,
            y_test=everything.y_test,
            wrong=everything.wrong[:600],
        )
        for column, strength in enumerate(strengths):
            with ex.seeded(seed):
                model = ex.digits_network()
            optimizer = torch.optim.SGD(
                model.parameters(), lr=0.05, momentum=0.9, weight_decay=strength
            )
            generator = torch.Generator().manual_seed(seed)
            ex.train(
                model, data, optimizer, epochs=epochs, record_every=epochs, generator=generator
            )
            for name, x, y in (
                ("train", data.x_train, data.y_train),
                ("valid", everything.x_train[600:], everything.y_train[600:]),
                ("test", data.x_test, data.y_test),
            ):
                result[name][row, column] = ex.accuracy(model, x, y)
    train, valid, test = (result[name].mean(0) for name in ("train", "valid", "test"))
    chosen = result["chosen"] = int(valid.argmax())
    assert 0 < chosen < len(strengths) - 1, "the best strength is inside the range"
    assert test[chosen] > test[0] + 0.02, "the chosen strength beats no decay"
    assert test[chosen] > test.max() - 0.03, "and is close to the best one in hindsight"
    assert abs(chosen - int(test.argmax())) <= 1, "wrong labels hardly move the peak"
    assert train[0] > train[chosen] + 0.03, "its training accuracy is lower than without decay"
    assert valid[chosen] < 0.85, "validation accuracy cannot exceed the share of right labels"
    assert test[-1] < 0.3, "far too strong a decay leaves little more than guessing"
    return result


def adam_decays_by_gradient_size(seeds, steps=1500, copies=20):
    """Coupled decay depends on the size of the gradients, decoupled decay does not.

    Weights start at 1; their gradients are noise of size 1 for half of them and 0.01 for the
    others.

    Parameters
    ----------
    seeds : sequence of int
    steps : int
    copies : int
        Number of weights of each kind that are averaged, to calm the noise.

    Returns
    -------
    dict of np.ndarray
        ``Adam`` and ``AdamW``, the mean paths, of shape (steps, 2), and ``expected``, pure decay.
    """
    lr, strength = 1e-3, 0.5
    result = {"expected": (1 - lr * strength) ** np.arange(1, steps + 1)}
    size = torch.tensor([[1.0], [0.01]], dtype=torch.float64)
    for optimizer_class in (torch.optim.Adam, torch.optim.AdamW):
        paths = []
        for seed in seeds:
            generator = torch.Generator().manual_seed(seed)
            w = torch.ones(2, copies, dtype=torch.float64, requires_grad=True)
            optimizer = optimizer_class([w], lr=lr, weight_decay=strength)
            path = np.empty((steps, 2))
            for step in range(steps):
                noise = torch.randn(2, copies, generator=generator, dtype=torch.float64)
                w.grad = size * noise
                optimizer.step()
                path[step] = w.detach().mean(1)
            paths.append(path)
        result[optimizer_class.__name__] = np.mean(paths, axis=0)
    large, small = result["Adam"][-1]
    assert large - small > 0.25, "Adam decays the weight with small gradients much faster"
    off = np.abs(result["AdamW"][-1] - result["expected"][-1]).max()
    assert off < 0.08, "AdamW decays both alike, as the formula says"
    # While decay outweighs the noise, Adam normalizes it away and every step has length η.
    early = slice(100, 400)
    slope = np.polyfit(np.arange(steps)[early], result["Adam"][early, 1], 1)[0]
    assert -1.1 * lr < slope < -0.8 * lr, "there, Adam's weight falls by almost η in each step"
    return result


def strengths_do_not_carry_over(seeds, weak=0.01, strong=1.0, epochs=30, lr=4e-3):
    """A λ that suits Adam does next to nothing in AdamW; one that suits AdamW ruins Adam.

    Parameters
    ----------
    seeds : sequence of int
    weak, strong : float
        The two strengths.
    epochs : int
    lr : float

    Returns
    -------
    dict of (str, float) to tuple of two floats
        Mean accuracy on the training labels and on the test images, for optimizer and strength;
        for strength 0 only under "Adam", since without decay both are the same.
    """
    result = {}
    for kind, strength in (
        (torch.optim.Adam, 0.0),
        (torch.optim.Adam, weak),
        (torch.optim.AdamW, weak),
        (torch.optim.AdamW, strong),
        (torch.optim.Adam, strong),
    ):
        runs = [
            train_digits(seed, optimizer=kind, epochs=epochs, lr=lr, weight_decay=strength)[2]
            for seed in seeds
        ]
        result[kind.__name__, strength] = tuple(
            float(np.mean([run[part][-1] for run in runs])) for part in ("train", "test")
        )
    none = result["Adam", 0.0][0]
    assert result["Adam", weak][0] < none - 0.025, "in Adam the weak decay keeps wrong labels out"
    assert abs(result["AdamW", weak][0] - none) < 0.015, "in AdamW it is hardly felt"
    assert result["AdamW", strong][0] < none - 0.025, "there it takes the strong one"
    assert result["Adam", weak][0] < 0.81, "whose agreement comes down to what is right"
    assert result["AdamW", strong][1] > 0.85, "which does AdamW no harm"
    assert result["Adam", strong][1] < 0.3, "and ruins Adam"
    return result


def decay_turns_normalized_weights_faster(seeds, strength=0.01, epochs=60, lr=0.1):
    """Before batch norm, decay shrinks weights, and gradient steps turn them by a larger angle.

    Parameters
    ----------
    seeds : sequence of int
    strength : float
        Weight decay of the two matrices that batch normalization follows; all else is not decayed.
    epochs : int
    lr : float

    Returns
    -------
    dict
        For each of ``plain`` and ``decayed`` the mean over seeds, per epoch, of ``norm``, the
        length of a unit's incoming weights in the first layer, and of ``angle``, by which one
        step turns them, in degrees (root mean square).
    """
    result = {}
    for name, weight_decay in (("plain", 0.0), ("decayed", strength)):
        norms, angles = np.empty((2, len(seeds), epochs))
        for row, seed in enumerate(seeds):
            data = ex.noisy_digits(np.random.default_rng(seed))
            with ex.seeded(seed):
                model = ex.digits_network(batch_norm=True)
            optimizer = normalized_and_others(model, lr, weight_decay)
            weight = model[0].weight
            generator = torch.Generator().manual_seed(seed)
            for epoch in range(epochs):
                squares = []
                for batch in torch.randperm(len(data.x_train), generator=generator).split(50):
                    before = weight.detach().clone()
                    step(model, data, batch, optimizer)
                    cosine = nn.functional.cosine_similarity(before, weight.detach(), dim=1)
                    squares.append(torch.arccos(cosine.clamp(-1, 1)).square().mean().item())
                norms[row, epoch] = weight.detach().norm(dim=1).mean()
                angles[row, epoch] = np.degrees(np.sqrt(np.mean(squares)))
        result[name] = {"norm": norms.mean(0), "angle": angles.mean(0)}
    plain, decayed = result["plain"], result["decayed"]
    last = max(1, epochs // 6)
    assert plain["norm"][-1] > plain["norm"][0], "without decay the weights only grow"
    assert decayed["norm"][-1] < 0.9 * plain["norm"][-1], "with decay they shrink"
    late = plain["angle"][-last:].mean()
    assert late < 0.9 * plain["angle"].max(), "without decay they turn less and less"
    ratio = decayed["angle"][-last:].mean() / late
    assert ratio > 1.3, "with decay a step turns them by a larger angle"
    result["ratio"] = ratio
    return result


def normalized_and_others(model, lr, weight_decay):
    """Return plain SGD that decays only the matrices followed by batch norm, its first group."""
    decayed = [model[0].weight, model[3].weight]
    others = [p for p in model.parameters() if all(p is not w for w in decayed)]
    return torch.optim.SGD(
        [{"params": decayed, "weight_decay": weight_decay}, {"params": others}], lr=lr
    )


def step(model, data, batch, optimizer):
    """Take one step on a mini-batch."""
    model.train()
    optimizer.zero_grad()
    nn.functional.cross_entropy(model(data.x_train[batch]), data.y_train[batch]).backward()
    optimizer.step()


def decay_is_a_growing_learning_rate(seeds, strength=0.1, lr=0.1, epochs=4):
    """Decay before batch norm does exactly what a growing learning rate does.

    Both networks are trained in double precision, with batch norm's ε made tiny, because only
    without ε is the layer indifferent to the scale of the weights.

    Parameters
    ----------
    seeds : sequence of int
    strength, lr : float
        λ and η of the network with decay.
    epochs : int

    Returns
    -------
    dict
        ``difference``, the largest one between the two networks' scores on the test images;
        ``other``, the same when the rate is not raised; ``norms``, the ratio of the lengths of
        their weights; ``rate``, by what factor the rate has grown in the end.
    """
    differences, others, ratios = [], [], []
    for seed in seeds:
        data = ex.noisy_digits(np.random.default_rng(seed))
        data = ex.Digits(
            data.x_train.double(), data.y_train, data.x_test.double(), data.y_test, data.wrong
        )
        with ex.seeded(seed):
            decayed = ex.digits_network(hidden=32, batch_norm=True).double()
        for layer in decayed:
            if isinstance(layer, nn.BatchNorm1d):
                layer.eps = 1e-14
        growing, constant = copy.deepcopy(decayed), copy.deepcopy(decayed)
        with_decay = normalized_and_others(decayed, lr, strength)
        without_decay = normalized_and_others(growing, lr, 0.0)
        unchanged = normalized_and_others(constant, lr, 0.0)
        generator = torch.Generator().manual_seed(seed)
        factor = 1 - lr * strength
        count = 0
        for _ in range(epochs):
            for batch in torch.randperm(len(data.x_train), generator=generator).split(50):
                without_decay.param_groups[0]["lr"] = lr * factor ** -(2 * count + 1)
                step(decayed, data, batch, with_decay)
                step(growing, data, batch, without_decay)
                step(constant, data, batch, unchanged)
                count += 1
        # In training mode: running statistics mix batches from times when weights were longer.
        with torch.no_grad():
            scores = [net.train()(data.x_test) for net in (decayed, growing, constant)]
        differences.append((scores[0] - scores[1]).abs().max().item())
        others.append((scores[0] - scores[2]).abs().max().item())
        ratios.append((growing[0].weight.norm() / decayed[0].weight.norm()).item())
    result = {
        "difference": max(differences),
        "other": min(others),
        "norms": float(np.mean(ratios)),
        "rate": factor ** -(2 * count - 1),
        "steps": count,
    }
    assert result["difference"] < 1e-6, "the two networks compute the same scores"
    assert result["other"] > 0.1, "a network whose rate stays as it is computes others"
    assert abs(result["norms"] * factor**count - 1) < 1e-6, "only the length of weights differs"
    return result
