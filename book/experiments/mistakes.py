"""What classic mistakes cost: a network trained with each of them, and the right one beside it.

The networks of all seeds are trained at once, as in `ensemble`, but their layers are written by
hand: a mistake replaces a step of the computation. Its name is that in the catalogue of tasks.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import nn

from experiments import digits as ex
from experiments import ensemble
from experiments.margins import between, greater, less

KEEP_PROB, MOMENTUM, EPS = 0.7, 0.1, 1e-5
FEW = 4
"""So many images make a batch in evaluation, where that matters."""


def dropout(
    hidden,
    training,
    place,
    *,
    rate=KEEP_PROB,
    scale=1 / KEEP_PROB,
    in_evaluation=None,
    share=(),
    fixed=False,
    backward=None,
):
    """Drop units of ``hidden``, (networks, examples, units).

    Parameters
    ----------
    hidden : torch.Tensor
    training : bool
    place : int
        Number of the layer, which is all that a fixed mask depends on.
    rate, scale : float
        Probability to keep a unit, and factor of those kept.
    in_evaluation : float or "drop" or None
        Factor in evaluation, or drop there, too.
    share : tuple of int
        Dimensions along which all units share a draw.
    fixed : bool
        Whether each call draws the same mask.
    backward : "new mask" or "no mask" or None
        What the gradient passes through in place of the mask.
    """
    if not training and in_evaluation != "drop":
        return hidden * (in_evaluation or 1)
    generator = torch.Generator().manual_seed(place) if fixed else None
    shape = [1 if axis in share else size for axis, size in enumerate(hidden.shape)]
    mask = (torch.rand(shape, generator=generator) < rate) * scale
    out = hidden * mask
    if backward is None:
        return out
    other = 1.0 if backward == "no mask" else (torch.rand(shape) < rate) * scale
    passed = hidden * other
    return passed + (out - passed).detach()


def batch_norm(
    z,
    training,
    stored,
    *,
    momentum=MOMENTUM,
    detach=(),
    correction=0,
    stored_correction=1,
    outside=False,
    own_statistics=False,
    store=None,
):
    """Normalize ``z``, (networks, examples, units), and keep running statistics in ``stored``.

    Parameters
    ----------
    z : torch.Tensor
    training : bool
    stored : dict of str to torch.Tensor
        ``mean`` and ``var``; replaced in training.
    momentum : float
    detach : tuple of str
        Those of "mean" and "var" that no gradient passes through.
    correction, stored_correction : int
        Degrees of freedom that the variance loses where it normalizes, and where it is stored.
    outside : bool
        Whether ε is added to the standard deviation.
    own_statistics : bool
        Whether evaluation takes the statistics of its own batch, which is small.
    store : function or None
        What is stored in place of the variance.
    """
    if own_statistics and not training:
        # In use, images come a few at a time.
        groups = z.split(FEW, dim=1)
        return torch.cat([batch_norm(one, True, {}, momentum=0.0) for one in groups], dim=1)
    if training:
        mean, var = z.mean(1, keepdim=True), z.var(1, keepdim=True, correction=correction)
    else:
        mean, var = stored["mean"], stored["var"]
    if training and momentum:
        kept = z.detach().var(1, keepdim=True, correction=stored_correction)
        kept = kept if store is None else store(kept)
        for name, new in (("mean", mean.detach()), ("var", kept)):
            stored[name] = torch.lerp(stored[name], new, momentum)
    mean = mean.detach() if "mean" in detach else mean
    var = var.detach() if "var" in detach else var
    return (z - mean) / (var.sqrt() + EPS if outside else (var + EPS).sqrt())


class Adam:
    """Adam by hand, so that its steps can be replaced; see `torch.optim.AdamW`.

    Parameters
    ----------
    parameters : dict of str to torch.Tensor
    lr : float
    betas : tuple of float
    corrected : bool
        Whether the moments are corrected for their beginning.
    divide : function
        Returns what the first moment is divided by, for the second.
    """

    def __init__(self, parameters, lr, *, betas=(0.9, 0.999), corrected=True, divide=None):
        self.lr, self.betas, self.corrected = lr, betas, corrected
        self.divide = divide or (lambda v: v.sqrt() + 1e-8)
        self.moments = {name: (0 * p.detach(), 0 * p.detach()) for name, p in parameters.items()}
        self.count = 0

    def step(self, parameters, gradients):
        """Move the parameters in place."""
        self.count += 1
        for name, gradient in gradients.items():
            first, second = self.betas
            m = torch.lerp(gradient, self.moments[name][0], first)
            v = torch.lerp(gradient**2, self.moments[name][1], second)
            self.moments[name] = m, v
            if self.corrected:
                m, v = m / (1 - first**self.count), v / (1 - second**self.count)
            parameters[name].sub_(self.lr * m / self.divide(v))


class Momentum:
    """SGD with momentum 0.9 by hand; see `torch.optim.SGD`.

    Parameters
    ----------
    parameters : dict of str to torch.Tensor
    lr : float
    """

    def __init__(self, parameters, lr=0.05):
        self.lr = lr
        self.velocity = {name: 0 * one.detach() for name, one in parameters.items()}

    def step(self, parameters, gradients):
        """Move the parameters in place."""
        for name, gradient in gradients.items():
            self.velocity[name] = 0.9 * self.velocity[name] + gradient
            parameters[name].sub_(self.lr * self.velocity[name])


def _decay(w, weight_decay):
    return weight_decay * w


@dataclass(frozen=True)
class Steps:
    """How a network is trained; a mistake replaces one of these.

    Attributes
    ----------
    dropout, normalize : function or None
        After each ReLU, and before it.
    weight_decay : float
    pull : function
        What decay adds to a gradient, for a parameter and the strength.
    decayed : tuple of str
        Beginnings of the names of what is decayed.
    decoupled : bool
        Whether decay multiplies the weights and stays out of the gradient.
    rate_of_decay : bool
        Whether decoupled decay is multiplied by the learning rate.
    optimizer : function
        Makes one, for the parameters.
    summed : bool
        Whether the loss is a sum over the batch.
    """

    dropout: Callable | None = None
    normalize: Callable | None = None
    weight_decay: float = 0.0
    pull: Callable = _decay
    decayed: tuple[str, ...] = ("weight",)
    decoupled: bool = False
    rate_of_decay: bool = True
    optimizer: Callable = Momentum
    summed: bool = False


@dataclass(frozen=True)
class Method:
    """A method done right, and what can go wrong in it.

    Attributes
    ----------
    steps : Steps
    wrong : float
        Share of wrong labels in its experiment.
    mistakes : dict of str to tuple
        By the name in the catalogue: what is done, in words, and the steps that do it.
    """

    steps: Steps
    wrong: float
    mistakes: dict[str, tuple[str, Steps]]


def _methods():
    sgd = Steps(weight_decay=0.01)
    adam = Steps(optimizer=partial(Adam, lr=0.003), weight_decay=0.3, decoupled=True)
    drop, norm = Steps(dropout=dropout), Steps(normalize=batch_norm)

    def adam_with(**options):
        return replace(adam, optimizer=partial(Adam, lr=0.003, **options))

    def drop_with(**options):
        return replace(drop, dropout=partial(dropout, **options))

    def norm_with(**options):
        return replace(norm, normalize=partial(batch_norm, **options))

    return {
        "weight decay": Method(
            sgd,
            0.2,
            {
                "l2-missing-half": (
                    "λ‖w‖² without the ½: the pull is twice as strong",
                    replace(sgd, weight_decay=0.02),
                ),
                "l2-first-only": (
                    "only the first weight matrix is decayed",
                    replace(sgd, decayed=("weight0",)),
                ),
                "groups-decay-everything": (
                    "biases are decayed, too",
                    replace(sgd, decayed=("weight", "bias")),
                ),
                "l2-norm-not-squared": (
                    "the norm is not squared",
                    replace(sgd, pull=lambda w, strength: strength * w / _norm(w)),
                ),
                "l2-sign": ("the penalty is subtracted", replace(sgd, weight_decay=-0.01)),
                "loss-sum-not-mean": (
                    "the loss is summed over the batch",
                    replace(sgd, summed=True),
                ),
            },
        ),
        "AdamW": Method(
            adam,
            0.2,
            {
                "adamw-as-coupled": (
                    "the decay goes through the moments, at the same λ",
                    replace(adam, decoupled=False),
                ),
                "adamw-without-lr": (
                    "the decay is not multiplied by the learning rate",
                    replace(adam, rate_of_decay=False),
                ),
                "adam-no-bias-correction": (
                    "no bias correction",
                    adam_with(corrected=False),
                ),
                "adam-betas-swapped": ("β₁ and β₂ are swapped", adam_with(betas=(0.999, 0.9))),
                "adam-eps-inside-root": (
                    "ε stands under the root",
                    adam_with(divide=lambda v: (v + 1e-8).sqrt()),
                ),
                "adam-no-root": ("no root is taken", adam_with(divide=lambda v: v + 1e-8)),
            },
        ),
        "dropout": Method(
            drop,
            0.2,
            {
                "dropout-no-rescale": ("the survivors are not scaled", drop_with(scale=1.0)),
                "dropout-scaled-twice": (
                    "the survivors are scaled twice",
                    drop_with(scale=KEEP_PROB**-2),
                ),
                "dropout-scaled-in-eval": (
                    "evaluation multiplies by keep_prob, too",
                    drop_with(in_evaluation=KEEP_PROB),
                ),
                "dropout-active-in-eval": (
                    "evaluation drops, too",
                    drop_with(in_evaluation="drop"),
                ),
                "dropout-keep-drop-swapped": (
                    "units are kept with probability 1 − keep_prob",
                    drop_with(rate=1 - KEEP_PROB),
                ),
                "dropout-shared-mask": ("all examples share one mask", drop_with(share=(1,))),
                "dropout-row-mask": (
                    "all units of an example share one draw",
                    drop_with(share=(2,)),
                ),
                "dropout-fixed-seed": ("each call draws the same mask", drop_with(fixed=True)),
                "dropout-backward-new-mask": (
                    "the backward pass draws a mask of its own",
                    drop_with(backward="new mask"),
                ),
                "dropout-backward-no-mask": (
                    "the backward pass has no mask",
                    drop_with(backward="no mask"),
                ),
            },
        ),
        "batch norm": Method(
            norm,
            0.0,
            {
                "bn-eval-batch-stats": (
                    "evaluation takes the statistics of its own batch",
                    norm_with(own_statistics=True),
                ),
                "bn-momentum-flipped": ("momentum is flipped", norm_with(momentum=1 - MOMENTUM)),
                "bn-stats-never-updated": (
                    "running statistics stay as they began",
                    norm_with(momentum=0.0),
                ),
                "bn-std-in-running-var": (
                    "the standard deviation is stored as the variance",
                    norm_with(store=torch.sqrt),
                ),
                "bn-biased-running-var": (
                    "the biased variance is stored",
                    norm_with(stored_correction=0),
                ),
                "bn-unbiased-normalization": (
                    "the unbiased variance normalizes",
                    norm_with(correction=1),
                ),
                "bn-eps-outside-root": ("ε is added outside the root", norm_with(outside=True)),
                "bn-backward-no-mean": (
                    "the backward pass forgets the mean's path",
                    norm_with(detach=("mean",)),
                ),
                "bn-backward-no-var": (
                    "the backward pass forgets the variance's path",
                    norm_with(detach=("var",)),
                ),
                "bn-backward-diagonal": (
                    "the backward pass forgets both paths",
                    norm_with(detach=("mean", "var")),
                ),
            },
        ),
    }


def _norm(w):
    """Return the norm of each network's part of a parameter."""
    return w.flatten(1).norm(dim=1).view(-1, *[1] * (w.dim() - 1))


METHODS = _methods()
_TRAIN, _TEST = ("x_train", "y_train"), ("x_test", "y_test")
# They change next to nothing on these data, and are mistakes all the same.
HARMLESS = (
    "bn-biased-running-var",
    "bn-unbiased-normalization",
    "bn-eps-outside-root",
    "bn-backward-no-var",
    "adam-eps-inside-root",
)
# Nobody can overlook these.
LOUD = (
    "l2-sign",
    "loss-sum-not-mean",
    "adam-no-root",
    "dropout-keep-drop-swapped",
    "bn-eval-batch-stats",
    "bn-stats-never-updated",
)
# A few points that one could take for bad luck.
QUIET = ("adam-no-bias-correction", "dropout-row-mask", "bn-backward-no-mean")


def costs(seeds, **size):
    """Train with every mistake of `METHODS`, and compare with the right steps on the same seeds.

    Parameters
    ----------
    seeds : sequence of int
    **size
        Passed on to `train`.

    Returns
    -------
    dict
        By method, and by mistake with "" for none: what `train` returns, in words ``what``, and
        ``cost``, ``cost_at_last`` and ``cost_later``, the points of test accuracy that are lost,
        one per seed: at the best epoch, at the last one, and on average from the middle on, which
        is the calmest of the three.
    """
    found = {}
    for name, method in METHODS.items():
        right = train(seeds, method.steps, wrong=method.wrong, **size)
        half = len(right["epoch"]) // 2
        found[name] = {"": {**right, "what": "right"}}
        for mistake, (what, steps) in method.mistakes.items():
            runs = train(seeds, steps, wrong=method.wrong, **size)
            found[name][mistake] = {
                **runs,
                "what": what,
                "cost": right["best"] - runs["best"],
                "cost_at_last": right["last"] - runs["last"],
                "cost_later": (right["test"] - runs["test"])[:, half:].mean(1),
            }
    every = {mistake: runs for some in found.values() for mistake, runs in some.items()}
    for mistake in HARMLESS:
        cost = every[mistake]["cost_later"]
        between(cost, -1, 1, f"{mistake} costs less than a point in the second half of training.")
    unscaled, dropping = (
        every[mistake]["cost_later"] for mistake in ("dropout-no-rescale", "dropout-active-in-eval")
    )
    between(unscaled, -2, 2, "Unscaled survivors cost next to nothing.")
    greater(dropping, 4, "To drop in evaluation costs many points.")
    for mistake in LOUD:
        greater(every[mistake]["cost_later"], 2, f"{mistake} costs many points.")
    for mistake in QUIET:
        greater(every[mistake]["cost_later"], 0, f"{mistake} costs something.")
        less(every[mistake]["cost"], 15, f"{mistake} costs only so much.")
    return found


def train(
    seeds, steps, *, wrong, n_train=600, n_held_out=150, hidden=64, epochs=30, record_every=2
):
    """Train a network for each seed, and measure it along the way.

    Parameters
    ----------
    seeds : sequence of int
        Seeds of data, first weights, order of examples and masks.
    steps : Steps
    wrong : float
        Share of wrong labels, among the held-out images, too.
    n_train, n_held_out, hidden, epochs, record_every : int

    Returns
    -------
    dict of str to numpy.ndarray
        ``epoch``; ``test`` accuracy in percent, a row per seed and a column per record; ``best``,
        that of the record with the best validation accuracy, and ``last``, that of the last one.
    """
    everything = ensemble.draw(seeds, n_train=n_train, wrong=wrong)
    kept = n_train - n_held_out
    data = [one.first(kept) for one in everything]
    valid = [torch.stack([getattr(one, part)[kept:] for one in everything]) for part in _TRAIN]
    test = [torch.stack([getattr(one, part) for one in everything]) for part in _TEST]
    network = _Network(seeds, hidden, steps)
    optimizer = steps.optimizer(network.parameters)
    generators, tests, validations = ensemble.generators(seeds), [], []
    with ex.seeded(seeds[0]):
        for epoch in range(1, epochs + 1):
            for x, y in ensemble.batches(data, generators):
                network.step(x, y, optimizer)
            if epoch % record_every == 0:
                tests.append(network.accuracy(*test))
                validations.append(network.accuracy(*valid))
    tests, validations = np.transpose(tests), np.transpose(validations)
    return {
        "epoch": np.arange(record_every, epochs + 1, record_every),
        "test": tests,
        "best": tests[np.arange(len(seeds)), validations.argmax(1)],
        "last": tests[:, -1],
    }


class _Network:
    """Two hidden layers for each seed, computed by some steps."""

    def __init__(self, seeds, hidden, steps):
        self.steps = steps
        self.parameters = {}
        stack = ensemble.build(
            seeds, lambda: ex.initialize_for_relu(ex.digits_network(hidden=hidden))
        )
        layers = [layer for layer in stack.layers if isinstance(layer, ensemble.Linear)]
        for place, layer in enumerate(layers):
            self.parameters[f"weight{place}"] = layer.weight.detach().clone()
            self.parameters[f"bias{place}"] = layer.bias.detach().clone()
        for place in (0, 1) if steps.normalize else ():
            for name, value in (("gamma", 1.0), ("beta", 0.0)):
                self.parameters[f"{name}{place}"] = torch.full((len(seeds), hidden), value)
        for one in self.parameters.values():
            one.requires_grad_(True)
        shape = (len(seeds), 1, hidden)
        self.stored = [{"mean": torch.zeros(shape), "var": torch.ones(shape)} for _ in range(2)]

    def scores(self, x, training):
        """Return the scores of each network for its images."""
        p, steps = self.parameters, self.steps
        for place in (0, 1):
            x = torch.baddbmm(p[f"bias{place}"][:, None], x, p[f"weight{place}"])
            if steps.normalize:
                x = steps.normalize(x, training, self.stored[place])
                x = x * p[f"gamma{place}"][:, None] + p[f"beta{place}"][:, None]
            x = x.relu()
            if steps.dropout:
                x = steps.dropout(x, training, place)
        return torch.baddbmm(p["bias2"][:, None], x, p["weight2"])

    def step(self, x, y, optimizer):
        """Take one step on a mini-batch."""
        scores = self.scores(x, training=True).flatten(0, 1)
        loss = nn.functional.cross_entropy(scores, y.flatten(), reduction="sum")
        loss = loss if self.steps.summed else loss / y.shape[1]
        found = torch.autograd.grad(loss, list(self.parameters.values()))
        gradients = dict(zip(self.parameters, found, strict=True))
        with torch.no_grad():
            for name, one in self.parameters.items():
                if self.steps.weight_decay and name.startswith(self.steps.decayed):
                    if self.steps.decoupled:
                        rate = optimizer.lr if self.steps.rate_of_decay else 1.0
                        one.mul_(1 - rate * self.steps.weight_decay)
                    else:
                        gradients[name] = gradients[name] + self.steps.pull(
                            one, self.steps.weight_decay
                        )
            optimizer.step(self.parameters, gradients)

    def accuracy(self, x, y):
        """Return each network's accuracy in evaluation, in percent."""
        with torch.no_grad():
            scores = self.scores(x, training=False)
        return 100 * (scores.argmax(-1) == y).double().mean(1).numpy()
