"""What the second chapter on normalization says about batch norm's relatives.

As in `experiments.batch_norm`, each function raises if a sentence is not true by a margin.
"""

import dataclasses

import numpy as np
import torch
from torch import nn

from experiments import digits as ex
from experiments import ensemble
from experiments.batch_norm import build, fit, network
from experiments.margins import between, greater, less

# Name → layer for a number of features or channels. Groups have four. On images, layer norm is
# group norm with one group, which has a scale per channel; instance norm has a group per channel.
ROWS = {
    "none": None,
    "batch": nn.BatchNorm1d,
    "layer": nn.LayerNorm,
    "group": lambda features: nn.GroupNorm(features // 4, features),
    "RMS": lambda features: nn.RMSNorm(features, eps=1e-6),
}
IMAGES = {
    "none": None,
    "batch": nn.BatchNorm2d,
    "layer": lambda channels: nn.GroupNorm(1, channels),
    "group": lambda channels: nn.GroupNorm(channels // 4, channels),
    "instance": lambda channels: nn.GroupNorm(channels, channels),
}

TOKENS = 4


def rows_network(norm):
    """Return a network of two hidden layers, each with a normalization before its ReLU."""
    blocks = [[nn.Linear(64, 64), *([norm(64)] if norm else []), nn.ReLU()] for _ in range(2)]
    return network(*blocks, [nn.Linear(64, 10)])


def images_network(norm):
    """Return a network of two convolutions of stride 2, each with a normalization."""
    blocks = [
        [
            nn.Conv2d(inputs, outputs, 3, stride=2, padding=1),
            *([norm(outputs)] if norm else []),
            nn.ReLU(),
        ]
        for inputs, outputs in ((1, 8), (8, 16))
    ]
    return network([nn.Unflatten(1, (1, 8, 8))], *blocks, [nn.Flatten(), nn.Linear(64, 10)])


def batch_sizes(seeds, make, norms, *, sizes, rate, epochs, n_train):
    """Train a network with each normalization at each batch size.

    The learning rate, given for 16 examples, is proportional to the batch size, so that an epoch
    does about as much.

    Returns
    -------
    dict
        ``sizes``; for each normalization the test accuracies, a row per seed, a column per size.
    """
    data = ensemble.draw(seeds, n_train=n_train, wrong=0.0)
    found = {name: np.empty((len(seeds), len(sizes))) for name in norms}
    for name, values in found.items():
        for column, size in enumerate(sizes):
            stack = build(seeds, make, norm=norms[name])
            history = fit(stack, data, rate * size / 16, seeds, epochs, batch_size=size)
            values[:, column] = history["test"][:, -1]
    return {"sizes": sizes, **found}


def norms_on_rows(seeds, sizes=(2, 4, 16, 64), epochs=8, n_train=300):
    """Without images' positions, batch norm needs more than two examples, and its relatives do not.

    Returns
    -------
    dict
        As `batch_sizes`.
    """
    found = batch_sizes(
        seeds, rows_network, ROWS, sizes=sizes, rate=0.05, epochs=epochs, n_train=n_train
    )
    for name in ("none", "layer", "group", "RMS"):
        behind = found["batch"][:, 0] - found[name][:, 0]
        less(behind, -0.05, f"With two examples, batch norm is far behind {name}.")
    middle = sizes.index(16)
    for name in ("layer", "RMS"):
        change = found[name][:, 0] - found[name][:, middle]
        between(change, -0.04, 0.04, f"The batch size makes little difference to {name}.")
        apart = found["batch"][:, middle] - found[name][:, middle]
        between(apart, -0.06, 0.06, f"With 16 examples, batch norm is as good as {name}.")
    greater((found["layer"] - found["none"]).mean(1), 0, "Layer norm is better than none.")
    between((found["layer"] - found["RMS"]).mean(1), -0.04, 0.04, "RMSNorm is as good.")
    return found


def norms_on_images(seeds, sizes=(2, 16, 64), epochs=6, n_train=300):
    """In a convolutional network batch norm manages with two images: positions count, too.

    Returns
    -------
    dict
        As `batch_sizes`.
    """
    found = batch_sizes(
        seeds, images_network, IMAGES, sizes=sizes, rate=0.1, epochs=epochs, n_train=n_train
    )
    for name in ("layer", "group"):
        apart = found["batch"][:, 0] - found[name][:, 0]
        between(apart, -0.04, 0.04, f"With two images batch norm is as good as {name}.")
    change = found["batch"][:, 0] - found["batch"][:, 1]
    between(change, -0.05, 0.05, "Two images or 16 make little difference to batch norm.")
    return found


class Block(nn.Module):
    """A block of a transformer: attention and a small network, each beside a sum.

    Parameters
    ----------
    width : int
        Number of features of a token.
    pre : bool
        Whether normalization stands at the entry of each branch, or after each sum.
    """

    def __init__(self, width, pre):
        super().__init__()
        self.pre = pre
        self.attention_norm, self.network_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        for layer in (self.query_key_value, self.out, self.up, self.down):
            # Query, key and value are three matrices that happen to be computed at once.
            gain = 2**0.5 if layer is self.query_key_value else 1.0
            nn.init.xavier_normal_(layer.weight, gain)
            nn.init.zeros_(layer.bias)

    @classmethod
    def stacked(cls, layers):
        """Return one block for those of all networks of a stack."""
        first = layers[0]
        whole = cls(first.out.out_features, first.pre)
        for name, _ in first.named_children():
            setattr(whole, name, ensemble.stacked([getattr(layer, name) for layer in layers]))
        return whole

    def attention(self, x):
        """Mix the tokens of each example."""
        together = self.query_key_value(x)
        query, key, value = together.unflatten(-2, (-1, TOKENS)).chunk(3, dim=-1)
        weights = (query @ key.mT / query.shape[-1] ** 0.5).softmax(-1)
        return self.out((weights @ value).flatten(-3, -2))

    def network(self, x):
        """Compute a hidden layer for each token."""
        return self.down(torch.relu(self.up(x)))

    def forward(self, x):
        """Map tokens of shape (..., examples * tokens, width)."""
        if self.pre:
            x = x + self.attention(self.attention_norm(x))
            return x + self.network(self.network_norm(x))
        x = self.attention_norm(x + self.attention(x))
        return self.network_norm(x + self.network(x))


class Stateless(nn.Module):
    """A layer without weights, which serves all networks of a stack."""

    @classmethod
    def stacked(cls, layers):
        """Return one of them."""
        return layers[0]


class Tokens(Stateless):
    """Cut an image into four strips of two rows: 16 pixels, and which strip it is as a one-hot."""

    def forward(self, x):
        """Map images as rows, (..., examples, 64), to tokens, (..., examples * 4, 20)."""
        strips = x.unflatten(-1, (TOKENS, 16))
        number = torch.eye(TOKENS).expand(*strips.shape[:-1], TOKENS)
        return torch.cat([strips, number], dim=-1).flatten(-3, -2)


class MeanOfTokens(Stateless):
    """Average the tokens of each example."""

    def forward(self, x):
        """Map (..., examples * 4, width) to (..., examples, width)."""
        return x.unflatten(-2, (-1, TOKENS)).mean(-2)


def transformer(pre, blocks=8, width=16):
    """Return a small transformer with normalization before each branch or after each sum."""
    embedding = nn.Linear(16 + TOKENS, width)
    nn.init.normal_(embedding.weight)  # as nn.Embedding draws
    return nn.Sequential(
        Tokens(),
        embedding,
        *(Block(width, pre) for _ in range(blocks)),
        *([nn.LayerNorm(width)] if pre else []),
        MeanOfTokens(),
        nn.Linear(width, 10),
    )


def gradient_sizes(stack, x, y):
    """Return the size of the gradient of each block's last matrix, a row per network."""
    stack.zero_grad()
    loss = nn.functional.cross_entropy(stack(x).flatten(0, 1), y.flatten(), reduction="sum")
    (loss / y.shape[1]).backward()
    sizes = [
        layer.down.weight.grad.flatten(1).norm(dim=1)
        for layer in stack.layers
        if isinstance(layer, Block)
    ]
    return torch.stack(sizes, dim=1).numpy()


def gradients_before_training(seeds, n_train):
    """Return by "pre" and "post" the `gradient_sizes` of a first batch, ten rows per seed."""
    # One gradient costs little, and a single network tells little: sizes differ by half of their
    # mean from network to network.
    seeds = [10 * seed + more for seed in seeds for more in range(10)]
    batch = next(
        ensemble.batches(
            ensemble.draw(seeds, n_train=n_train, wrong=0.0), ensemble.generators(seeds)
        )
    )
    return {
        kind: gradient_sizes(ensemble.build(seeds, transformer, pre=kind == "pre"), *batch)
        for kind in ("pre", "post")
    }


def pre_and_post(seeds, rate=0.008, epochs=10, warmup=60, n_train=600):
    """Pre-norm trains with and without a warm-up, post-norm needs it; gradients show why.

    Returns
    -------
    dict
        Maps "pre" and "post" to a dict: ``gradients``, the size of the gradient of each block's
        last matrix before training, ten rows per seed; True and False (with and without warm-up):
        the training accuracy after every other epoch, a row per seed.
    """
    data = ensemble.draw(seeds, n_train=n_train, wrong=0.0)
    found = {}
    for kind, gradients in gradients_before_training(seeds, n_train).items():
        found[kind] = {"gradients": gradients}
        for warm in (False, True):
            stack = ensemble.build(seeds, transformer, pre=kind == "pre")
            generators = ensemble.generators(seeds)
            optimizer = torch.optim.Adam(stack.parameters(), lr=rate, fused=True)
            schedule = torch.optim.lr_scheduler.LinearLR(
                optimizer, start_factor=1 / warmup if warm else 1.0, total_iters=warmup
            )
            rows = []
            for epoch in range(1, epochs + 1):
                for x, y in ensemble.batches(data, generators):
                    ensemble.step(stack, x, y, optimizer)
                    schedule.step()
                if epoch % 2 == 0:
                    rows.append(ensemble.accuracy(stack, data, "train"))
            found[kind][warm] = np.array(rows).T
    pre, post = found["pre"], found["post"]
    last = np.log(post["gradients"][:, -1] / pre["gradients"][:, -1])
    greater(last, 0, "Before training, the last block's gradient is larger with post-norm.")
    fall, other = (np.log(one["gradients"][:, -1] / one["gradients"][:, 0]) for one in (pre, post))
    less(fall, 0, "With pre-norm, gradients fall from block to block.")
    less(fall - other, 0, "With post-norm they do not fall like that.")
    end = {
        (kind, warm): values[warm][:, -1]
        for kind, values in found.items()
        for warm in (False, True)
    }
    less(end["post", False] - end["pre", False], -0.2, "Without a warm-up post-norm fails.")
    greater(end["post", True] - end["post", False], 0, "A warm-up helps it.")
    between(end["pre", True] - end["pre", False], -0.1, 0.1, "Pre-norm can do without.")
    return found


def moved_down(x):
    """Move images, rows of 64 pixels, down by a pixel."""
    return nn.functional.pad(x, (8, 0))[..., :64]


def fine_tuning(seeds, epochs=10, n_train=600, n_new=60):
    """Frozen batch norm keeps what was known, and fits inputs of another scale less well.

    A trained network is trained further, in batches of four, on a few images of another kind: moved
    down by a pixel, or a quarter as bright.

    Returns
    -------
    dict
        Maps "moved" and "dimmed" to a dict, which maps what was done with the layers to the test
        accuracies of the new kind and of the old, an array with a row per seed. "before": nothing
        has been trained yet; "trained": they are trained like all others; "frozen": γ and β have no
        gradients, and the layers are in evaluation mode; "undone": the same, but ``train()`` comes
        after; "eval": evaluation mode only.
    """
    data = ensemble.draw(seeds, n_train=n_train, wrong=0.0)
    stack = build(seeds, ex.digits_network, hidden=64, batch_norm=True)
    fit(stack, data, 0.1, seeds, 20)
    norms = [layer for layer in stack.layers if isinstance(layer, ensemble.BatchNorm1d)]
    old = {name: value.clone() for name, value in stack.state_dict().items()}
    found = {}
    for kind, change in (("moved", moved_down), ("dimmed", lambda x: x / 4)):
        new = [
            dataclasses.replace(
                one.first(n_new), x_train=change(one.x_train[:n_new]), x_test=change(one.x_test)
            )
            for one in data
        ]
        found[kind] = {}
        for done in ("before", "trained", "frozen", "undone", "eval"):
            for norm in norms:
                for parameter in norm.parameters():
                    parameter.requires_grad_(done in ("trained", "eval"))
            learning = [p for p in stack.parameters() if p.requires_grad]
            optimizer = torch.optim.SGD(learning, lr=0.02)
            generators = ensemble.generators(seeds)
            for _ in range(0 if done == "before" else epochs):
                stack.train()
                if done in ("frozen", "eval"):
                    for norm in norms:
                        norm.eval()
                for x, y in ensemble.batches(new, generators, batch_size=4):
                    ensemble.step(stack, x, y, optimizer)
            rows = [ensemble.accuracy(stack, images, "test") for images in (new, data)]
            found[kind][done] = np.column_stack(rows)
            stack.load_state_dict(old)
    moved, dimmed = found["moved"], found["dimmed"]
    for done in ("trained", "undone"):
        lost = moved[done][:, 1] - moved["frozen"][:, 1]
        less(lost, 0, "Images moved: statistics that learn forget the old kind.")
        ahead = dimmed[done][:, 0] - dimmed["frozen"][:, 0]
        greater(ahead, 0, "Images dimmed: frozen statistics fit the new kind less well.")
    for kind in (moved, dimmed):
        change = (kind["undone"] - kind["trained"]).mean(1)
        between(change, -0.03, 0.03, "What train() undoes is as if it had not been done.")
        change = (kind["eval"] - kind["frozen"]).mean(1)
        between(change, -0.03, 0.03, "It is the statistics that matter here, not γ and β.")
    apart = moved["trained"][:, 0] - moved["frozen"][:, 0]
    between(apart, -0.05, 0.05, "Images moved: the new kind is learned as well either way.")
    greater(moved["frozen"][:, 0] - moved["before"][:, 0], 0.2, "Images moved: it is learned.")
    return found
