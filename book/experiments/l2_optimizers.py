"""What the chapter on L2 says about decay in Adam and decay in front of batch normalization.

As in `experiments.l2`, each function raises if a sentence is not true by a margin.
"""

import dataclasses

import numpy as np
import torch
from torch import nn

from experiments import digits as ex
from experiments import ensemble
from experiments.l2 import train_digits
from experiments.margins import between, greater, less


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
    expected = (1 - lr * strength) ** np.arange(1, steps + 1)
    paths = {}
    noise = torch.stack(
        [
            torch.randn(
                steps,
                2,
                copies,
                generator=torch.Generator().manual_seed(seed),
                dtype=torch.float64,
            )
            for seed in seeds
        ],
        dim=1,
    ) * torch.tensor([[1.0], [0.01]])
    for optimizer_class in (torch.optim.Adam, torch.optim.AdamW):
        w = torch.ones(noise.shape[1:], dtype=torch.float64, requires_grad=True)
        optimizer = optimizer_class([w], lr=lr, weight_decay=strength)
        path = np.empty((len(seeds), steps, 2))
        for step in range(steps):
            w.grad = noise[step]
            optimizer.step()
            path[:, step] = w.detach().mean(2)
        paths[optimizer_class.__name__] = path
    large, small = paths["Adam"][:, -1].T
    greater(large - small, 0.25, "Adam decays the weight with small gradients much faster.")
    for kind in paths["AdamW"][:, -1].T:
        off = kind - expected[-1]
        between(off, -0.08, 0.08, "AdamW decays both alike, as the formula says.")
    between(large - expected[-1], -0.08, 0.08, "Adam gets the first one right.")
    # While decay outweighs the noise, Adam normalizes it away and every step has length η.
    early = slice(100, 400)
    slopes = np.polyfit(np.arange(steps)[early], paths["Adam"][:, early, 1].T, 1)[0]
    between(slopes / lr, -1.1, -0.8, "There, Adam's weight falls by almost η in each step.")
    return {"expected": expected, **{name: path.mean(0) for name, path in paths.items()}}


def strengths_do_not_carry_over(seeds, weak=0.01, strong=1.0, epochs=30, lr=4e-3, n_train=600):
    """A λ that suits Adam does next to nothing in AdamW; one that suits AdamW ruins Adam.

    Parameters
    ----------
    seeds : sequence of int
    weak, strong : float
        The two strengths.
    epochs : int
    lr : float
    n_train : int

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
        _, _, history = train_digits(
            seeds, optimizer=kind, epochs=epochs, n_train=n_train, lr=lr, weight_decay=strength
        )
        result[kind.__name__, strength] = history["train"][:, -1], history["test"][:, -1]
    none = result["Adam", 0.0][0]
    less(result["Adam", weak][0] - none, 0, "In Adam weak decay keeps wrong labels out.")
    between(result["AdamW", weak][0] - none, -0.03, 0.03, "In AdamW it is hardly felt.")
    less(result["AdamW", strong][0] - none, 0, "There it takes the strong one.")
    greater(result["AdamW", strong][1], 0.6, "With which AdamW learns.")
    between(result["Adam", weak][0], 0.7, 0.9, "Adam agrees with about 80%.")
    less(result["Adam", strong][1], 0.3, "And ruins Adam.")
    return {
        setting: tuple(float(values.mean()) for values in parts)
        for setting, parts in result.items()
    }


def decay_turns_normalized_weights_faster(seeds, strength=0.01, epochs=60, lr=0.1, n_train=600):
    """Before batch norm, decay shrinks weights, and gradient steps turn them by a larger angle.

    Parameters
    ----------
    seeds : sequence of int
    strength : float
        Weight decay of the two matrices that batch normalization follows; all else is not decayed.
    epochs : int
    lr : float
    n_train : int

    Returns
    -------
    dict
        For each of ``plain`` and ``decayed`` the mean over seeds, per epoch, of ``norm``, the
        length of a unit's incoming weights in the first layer, and of ``angle``, by which one
        step turns them, in degrees (root mean square). ``ratio`` of both angles in the last sixth
        of the epochs.
    """
    result = {}
    data = ensemble.draw(seeds, n_train=n_train)
    for name, weight_decay in (("plain", 0.0), ("decayed", strength)):
        norms, angles = np.empty((2, len(seeds), epochs))
        stack = ensemble.build(seeds, ex.digits_network, batch_norm=True)
        optimizer = normalized_and_others(stack, lr, weight_decay)
        weight = stack.layers[0].weight.detach()
        generators = ensemble.generators(seeds)
        for epoch in range(epochs):
            squares = []
            for x, y in ensemble.batches(data, generators):
                before = weight.clone()
                ensemble.step(stack, x, y, optimizer)
                cosine = nn.functional.cosine_similarity(before, weight, dim=1)
                squares.append(torch.arccos(cosine.clamp(-1, 1)).square().mean(-1))
            norms[:, epoch] = weight.norm(dim=1).mean(-1).numpy()
            angles[:, epoch] = np.degrees(torch.stack(squares).mean(0).sqrt().numpy())
        result[name] = {"norm": norms, "angle": angles}
    plain, decayed = result["plain"], result["decayed"]
    last = max(1, epochs // 6)
    greater(plain["norm"][:, -1] / plain["norm"][:, 0], 1, "Without decay the weights grow.")
    less(decayed["norm"][:, -1] / decayed["norm"][:, 0], 1, "With decay they shrink.")
    late, decayed_late = (kind["angle"][:, -last:].mean(1) for kind in (plain, decayed))
    less(late / plain["angle"][:, 0], 1, "Without decay they turn less and less.")
    greater(decayed_late / late, 1, "With decay a step turns them by a larger angle.")
    means = {
        name: {part: values.mean(0) for part, values in parts.items()}
        for name, parts in result.items()
    }
    return {**means, "ratio": float(decayed_late.mean() / late.mean())}


def normalized_and_others(stack, lr, weight_decay):
    """Return plain SGD that decays only the matrices followed by batch norm, its first group."""
    decayed = [stack.layers[0].weight, stack.layers[3].weight]
    others = [p for p in stack.parameters() if all(p is not w for w in decayed)]
    return torch.optim.SGD(
        [{"params": decayed, "weight_decay": weight_decay}, {"params": others}], lr=lr
    )


def exact_network():
    """Return a network with batch norm in double precision, and with hardly any ε."""
    network = ex.digits_network(hidden=32, batch_norm=True).double()
    for layer in network:
        if isinstance(layer, nn.BatchNorm1d):
            layer.eps = 1e-14
    return network


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
    data = [
        dataclasses.replace(one, x_train=one.x_train.double(), x_test=one.x_test.double())
        for one in ensemble.draw(seeds)
    ]
    decayed, growing, constant = (ensemble.build(seeds, exact_network) for _ in range(3))
    with_decay = normalized_and_others(decayed, lr, strength)
    without_decay = normalized_and_others(growing, lr, 0.0)
    unchanged = normalized_and_others(constant, lr, 0.0)
    generators = ensemble.generators(seeds)
    factor = 1 - lr * strength
    count = 0
    for _ in range(epochs):
        for x, y in ensemble.batches(data, generators):
            without_decay.param_groups[0]["lr"] = lr * factor ** -(2 * count + 1)
            ensemble.step(decayed, x, y, with_decay)
            ensemble.step(growing, x, y, without_decay)
            ensemble.step(constant, x, y, unchanged)
            count += 1
    # In training mode: running statistics mix batches from times when weights were longer.
    images = torch.stack([one.x_test for one in data])
    with torch.no_grad():
        scores, same, other = (stack(images) for stack in (decayed, growing, constant))
        others = (scores - other).abs().amax((1, 2)).numpy()
        lengths = [stack.layers[0].weight.norm(dim=(1, 2)) for stack in (growing, decayed)]
        ratios = (lengths[0] / lengths[1]).numpy()
    result = {
        "difference": (scores - same).abs().max().item(),
        "other": float(others.mean()),
        "norms": float(ratios.mean()),
        "rate": factor ** -(2 * count - 1),
        "steps": count,
    }
    # An identity: what remains is rounding in double precision, far below these bounds.
    assert result["difference"] < 1e-6, "The two networks compute the same scores."
    assert np.abs(ratios * factor**count - 1).max() < 1e-6, "Only lengths differ."
    greater(others, 0.1, "A network whose rate stays as it is computes others.")
    return result
