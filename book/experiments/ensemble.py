"""Train one network per seed at once: what the claims rest on, many small networks, made cheap.

Most of the time in a step of a small network goes into calling PyTorch. So the networks of all
seeds are stacked: their tensors get a leading dimension, the network, and one call computes a layer
for all of them. Nothing else changes. Each network has its own data, first weights and order of
examples, and gets the gradient of its own loss, as if it were trained alone by `digits.train`.
"""

import numpy as np
import torch
from torch import nn

from experiments import digits as ex


def joined(layers, name):
    """Return a tensor of several layers as one; theirs become views of it and change with it.

    Matrices are transposed: so `torch.baddbmm` takes them, and returns their gradients.
    """
    parts = [getattr(layer, name) for layer in layers]
    if parts[0] is None:
        return None
    matrix = parts[0].dim() == 2
    whole = torch.stack([part.detach().t() if matrix else part.detach() for part in parts])
    for part, view in zip(parts, whole, strict=True):
        part.data = view.t() if matrix else view
    return nn.Parameter(whole) if isinstance(parts[0], nn.Parameter) else whole


class Linear(nn.Module):
    """A ``nn.Linear`` for each network.

    Parameters
    ----------
    layers : sequence of torch.nn.Linear
        The layers of the networks.
    """

    def __init__(self, layers):
        super().__init__()
        self.weight, self.bias = joined(layers, "weight"), joined(layers, "bias")

    def forward(self, x):
        """Map inputs of shape (networks, examples, features)."""
        return torch.baddbmm(self.bias[:, None], x, self.weight)


class Unflatten(nn.Module):
    """A ``nn.Unflatten`` of rows into images: the images of all networks become channels of one.

    From here to `Flatten` the shape is (examples, networks * channels, height, width), as grouped
    convolutions take it, with the channels last in memory: at this size that halves their time.

    Parameters
    ----------
    layers : sequence of torch.nn.Unflatten
        Layers that make rows into images of one channel.
    """

    def __init__(self, layers):
        super().__init__()
        self.size = layers[0].unflattened_size[1:]

    def forward(self, x):
        """Arrange rows of shape (networks, examples, pixels) as images."""
        images = x.transpose(0, 1).unflatten(-1, self.size)
        return images.contiguous(memory_format=torch.channels_last)


class Conv2d(nn.Module):
    """A ``nn.Conv2d`` for each network, as one grouped convolution.

    Parameters
    ----------
    layers : sequence of torch.nn.Conv2d
        The layers of the networks; all have the same stride and padding.
    """

    def __init__(self, layers):
        super().__init__()
        self.stride, self.padding = layers[0].stride, layers[0].padding
        self.weight, self.bias = joined(layers, "weight"), joined(layers, "bias")

    def forward(self, x):
        """Map inputs of shape (examples, networks * channels, height, width)."""
        networks, outputs, inputs = self.weight.shape[:3]
        groups = networks
        if inputs == 1:
            # A copy of the channel for each output makes every channel its own group; that is
            # quicker, though the sums are the same.
            groups = networks * outputs
            x = x.permute(0, 2, 3, 1)[..., None].expand(-1, -1, -1, -1, outputs)
            x = x.flatten(3).permute(0, 3, 1, 2)
        return nn.functional.conv2d(
            x,
            self.weight.flatten(0, 1),
            self.bias.flatten(),
            self.stride,
            self.padding,
            groups=groups,
        )


class Flatten(nn.Module):
    """A ``nn.Flatten`` for each network, back to (networks, examples, features).

    Parameters
    ----------
    layers : sequence of torch.nn.Flatten
    """

    def __init__(self, layers):
        super().__init__()
        self.networks = len(layers)

    def forward(self, x):
        """Make rows of images of shape (examples, networks * channels, height, width)."""
        return x.unflatten(1, (self.networks, -1)).flatten(2).transpose(0, 1)


class BatchNorm1d(nn.Module):
    """A ``nn.BatchNorm1d`` or ``nn.BatchNorm2d`` for each network.

    Parameters
    ----------
    layers : sequence of torch.nn.BatchNorm1d or torch.nn.BatchNorm2d
        The layers of the networks; all have the same momentum and ε. What they count, the batches
        they have seen, is not kept.
    """

    def __init__(self, layers):
        super().__init__()
        self.momentum, self.eps = layers[0].momentum, layers[0].eps
        self.weight, self.bias = joined(layers, "weight"), joined(layers, "bias")
        self.register_buffer("running_mean", joined(layers, "running_mean"))
        self.register_buffer("running_var", joined(layers, "running_var"))

    def forward(self, x):
        """Normalize (networks, examples, features), or images as `Unflatten` arranges them."""
        # Side by side, the features of all networks are those of one layer.
        flat = [
            None if part is None else part.view(-1)
            for part in (self.running_mean, self.running_var, self.weight, self.bias)
        ]
        if x.dim() == 4:
            return nn.functional.batch_norm(x, *flat, self.training, self.momentum, self.eps)
        out = nn.functional.batch_norm(
            x.transpose(0, 1).flatten(1), *flat, self.training, self.momentum, self.eps
        )
        return out.unflatten(1, self.running_mean.shape).transpose(0, 1)


class LayerNorm(nn.Module):
    """A ``nn.LayerNorm`` over the features for each network.

    Parameters
    ----------
    layers : sequence of torch.nn.LayerNorm
        The layers of the networks; all have the same ε.
    """

    def __init__(self, layers):
        super().__init__()
        self.eps = layers[0].eps
        self.weight, self.bias = joined(layers, "weight"), joined(layers, "bias")

    def forward(self, x):
        """Normalize inputs of shape (networks, examples, features)."""
        out = nn.functional.layer_norm(x, x.shape[-1:], eps=self.eps)
        return out * self.weight[:, None] + self.bias[:, None]


class GroupNorm(nn.Module):
    """A ``nn.GroupNorm`` for each network.

    Parameters
    ----------
    layers : sequence of torch.nn.GroupNorm
        The layers of the networks; all have the same number of groups and ε.
    """

    def __init__(self, layers):
        super().__init__()
        self.groups, self.eps = layers[0].num_groups, layers[0].eps
        self.weight, self.bias = joined(layers, "weight"), joined(layers, "bias")

    def forward(self, x):
        """Normalize (networks, examples, features), or images as `Unflatten` arranges them."""
        if x.dim() == 4:
            flat = (self.weight.flatten(), self.bias.flatten())
            return nn.functional.group_norm(x, self.groups * len(self.weight), *flat, self.eps)
        rows = x.flatten(0, 1)
        out = nn.functional.group_norm(rows, self.groups, eps=self.eps).view_as(x)
        return out * self.weight[:, None] + self.bias[:, None]


class RMSNorm(nn.Module):
    """A ``nn.RMSNorm`` over the features for each network.

    Parameters
    ----------
    layers : sequence of torch.nn.RMSNorm
        The layers of the networks; all have the same ε.
    """

    def __init__(self, layers):
        super().__init__()
        self.eps = layers[0].eps
        self.weight = joined(layers, "weight")

    def forward(self, x):
        """Normalize inputs of shape (networks, examples, features)."""
        return nn.functional.rms_norm(x, x.shape[-1:], eps=self.eps) * self.weight[:, None]


class Dropout(nn.Module):
    """A ``nn.Dropout`` or ``nn.Dropout2d`` for each network, with masks from the global generator.

    Parameters
    ----------
    layers : sequence of torch.nn.Dropout or torch.nn.Dropout2d
        The layers of the networks, each with its own probability.
    """

    def __init__(self, layers):
        super().__init__()
        self.p = torch.tensor([layer.p for layer in layers])
        self.whole = isinstance(layers[0], nn.Dropout2d)

    def forward(self, x):
        """Drop and scale up in training, and return the input as it is in evaluation."""
        if not self.training:
            return x
        p, shape = self.p[:, None, None], x.shape
        if x.dim() == 4:  # images, as `Unflatten` arranges them
            p = self.p.repeat_interleave(x.shape[1] // len(self.p))[:, None, None]
            shape = (*x.shape[:2], 1, 1) if self.whole else x.shape
        # Twice as fast as PyTorch's own, which draws from a Bernoulli distribution.
        kept = (torch.rand(shape) >= p).to(x.dtype)
        return x * kept.div_(1 - p)


STACKED = {
    nn.Linear: Linear,
    nn.Unflatten: Unflatten,
    nn.Conv2d: Conv2d,
    nn.Flatten: Flatten,
    nn.BatchNorm1d: BatchNorm1d,
    nn.BatchNorm2d: BatchNorm1d,
    nn.LayerNorm: LayerNorm,
    nn.GroupNorm: GroupNorm,
    nn.RMSNorm: RMSNorm,
    nn.Dropout: Dropout,
    nn.Dropout2d: Dropout,
    nn.ReLU: lambda layers: layers[0],
    nn.MaxPool2d: lambda layers: layers[0],
}


def stacked(layers):
    """Return one layer for those of all networks; a layer of our own says itself how."""
    kind = type(layers[0])
    return STACKED[kind](layers) if kind in STACKED else kind.stacked(layers)


class Stack(nn.Module):
    """Networks of the same layers as one that computes all of them.

    The parameters and running statistics of the networks become views of the stack's: to train the
    stack is to train them, and afterwards each can be used as the ordinary network that it is.

    Parameters
    ----------
    networks : sequence of torch.nn.Sequential
    """

    def __init__(self, networks):
        super().__init__()
        self.networks = list(networks)
        self.layers = nn.Sequential(*map(stacked, zip(*networks, strict=True)))

    def forward(self, x):
        """Return the scores of each network for its own examples, (networks, examples, ...)."""
        return self.layers(x)


def draw(seeds, **options):
    """Return `noisy_digits <digits.noisy_digits>` for each seed."""
    return [ex.noisy_digits(np.random.default_rng(seed), **options) for seed in seeds]


def build(seeds, make, **options):
    """Return a stack of what ``make`` returns for each seed, first weights drawn from it."""
    networks = []
    for seed in seeds:
        with ex.seeded(seed):
            networks.append(make(**options))
    return Stack(networks)


def generators(seeds):
    """Return a generator for each seed."""
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def batches(data, generators, batch_size=50):
    """Yield one epoch's mini-batches, ``x`` and ``y`` of all networks, each in its own order.

    Parameters
    ----------
    data : sequence of Digits
        Of each network, as many examples for all.
    generators : sequence of torch.Generator
        Source of the order for each network.
    batch_size : int
    """
    orders = [
        torch.randperm(len(one.x_train), generator=generator)
        for one, generator in zip(data, generators, strict=True)
    ]
    x, y = (
        torch.stack([getattr(one, part)[order] for one, order in zip(data, orders, strict=True)])
        for part in ("x_train", "y_train")
    )
    yield from zip(x.split(batch_size, dim=1), y.split(batch_size, dim=1), strict=True)


def step(stack, x, y, optimizer):
    """Take one step on a mini-batch."""
    optimizer.zero_grad()
    # The sum over networks of the mean over examples: each network gets its own gradient.
    loss = nn.functional.cross_entropy(stack(x).flatten(0, 1), y.flatten(), reduction="sum")
    (loss / y.shape[1]).backward()
    optimizer.step()


def accuracy(stack, data, part):
    """Return each network's `accuracy <digits.accuracy>` on its "train" or "test" images."""
    return np.array(
        [
            ex.accuracy(network, getattr(own, f"x_{part}"), getattr(own, f"y_{part}"))
            for network, own in zip(stack.networks, data, strict=True)
        ]
    )


def train(stack, data, optimizer, *, epochs, generators, batch_size=50, record_every=1):
    """Train a stack as `digits.train` trains one network.

    Parameters
    ----------
    stack : Stack
    data : sequence of Digits
    optimizer : torch.optim.Optimizer
        One that treats each element on its own, with the parameters of ``stack``.
    epochs : int
    generators : sequence of torch.Generator
        Source of the order of the training examples for each network.
    batch_size, record_every : int

    Returns
    -------
    dict
        ``epoch``, and ``train`` and ``test`` as arrays with a row per network; see `digits.train`.
    """
    history = {"epoch": [], "train": [], "test": []}
    for epoch in range(1, epochs + 1):
        stack.train()
        for x, y in batches(data, generators, batch_size):
            step(stack, x, y, optimizer)
        if epoch % record_every == 0:
            history["epoch"].append(epoch)
            for part in ("train", "test"):
                history[part].append(accuracy(stack, data, part))
    return {
        "epoch": history["epoch"],
        **{part: np.array(history[part]).T for part in ("train", "test")},
    }
