# %% [markdown]
# # Exercise: dropout
#
# You will build dropout by hand: forward and backward in NumPy, then the layer as a PyTorch
# module, and at last a prediction that says how sure it is by leaving dropout on. It belongs to
# the chapter *Dropout*; have its formulas beside you.
#
# **How to work.** Write your code where it says `YOUR CODE HERE`, run the cell, then run the cell
# below it, `check(dropout_forward)`. It answers at once: what is right, what is not and, if it
# knows the mistake, which one it is. Check as often as you like; your work is graded in the same
# way on other numbers. If you are stuck, run `hint(dropout_forward)` in a cell of your own: it
# gives a hint, and another one each time you run it, at no cost. Cells marked *Locked* are the
# course's own: you may run them, and grading uses its own copy. You may add cells of your own
# anywhere. After a restart of the kernel run everything from the top. A `NameError` means that a
# cell above has not been run.
#
# **What is not allowed.** Tasks 1 and 2 are written in NumPy, without PyTorch; Task 3 without
# PyTorch's own dropout (`nn.Dropout`, `F.dropout` and their kin); all of them without the package
# `autograder`. These are not there when an answer is tried, so one that uses them earns nothing,
# and `check` says so for PyTorch. Comparing with them in a cell of your own is fine.
#
# **How to hand in.** Run everything from top to bottom once (*Restart and run all*) and save. The
# last cell, `ready("dropout.ipynb")`, tries the saved file as grading will and makes the file to
# hand in.

# %%
import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import nn

from autograder import check, hint, progress, ready

# %% tags=["demonstration"]
progress("dropout")

# %% [markdown]
# ## Task 1: the forward pass ({{points:dropout_forward}} points)
#
# In training, dropout multiplies its input by a random mask and divides by the probability to
# keep a value, so that the expectation stays what it was:
#
# $$
# \mathbf{y} = \frac{\mathbf{m} \odot \mathbf{a}}{p}, \qquad m_i \sim \text{Bernoulli}(p).
# $$
#
# Here $p$ is `keep_prob`, the probability to *keep*. Every element of the input, whatever its
# shape, is kept or dropped on its own. In evaluation mode the input is returned as it is.
#
# The random numbers come from `rng`, a `np.random.Generator` that the caller passes in, so that a
# run can be repeated. Do not seed anything inside the function.


# %%
def dropout_forward(x, keep_prob, training, rng):
    """Drop values at random and scale up the others.

    Parameters
    ----------
    x : array of any shape
        It is not changed.
    keep_prob : float
        Probability to keep a value, 0 < keep_prob <= 1.
    training : bool
        Drop values (True), or return the input as it is (False).
    rng : np.random.Generator
        Where the random numbers come from.

    Returns
    -------
    out : array of the shape of x
    cache
        Whatever your `dropout_backward` needs.

    Raises
    ------
    ValueError
        When keep_prob is not in (0, 1], whatever the mode.

    Examples
    --------
    >>> out, cache = dropout_forward(np.ones(1000), 0.8, True, np.random.default_rng(0))
    >>> np.unique(out)
    array([0.  , 1.25])
    """
    ### BEGIN SOLUTION
    # The scale is put into the mask, whose mean is then 1: the output keeps its mean, and the
    # backward pass needs nothing but this one array. `rng.random` draws one number for each
    # element, whatever the number of dimensions. In evaluation nothing is drawn, and a mask of
    # ones lets the backward pass be the same line in both modes. The check of `keep_prob` comes
    # first, because an impossible value is a mistake of the caller in either mode.
    if not 0 < keep_prob <= 1:
        raise ValueError(f"keep_prob is {keep_prob}; it must be in (0, 1]")
    if not training:
        return x.copy(), np.ones_like(x)
    scaled_mask = (rng.random(x.shape) < keep_prob) / keep_prob
    return x * scaled_mask, scaled_mask
    ### END SOLUTION


# %%
check(dropout_forward)

# %% [markdown]
# What does it do on average? Dropped a thousand times, the mean of every value comes back to the
# value itself, while a single draw is noisy, and the noisier the less is kept: the variance is
# $a^2 (1 - p) / p$.

# %% tags=["demonstration"]
rng = np.random.default_rng(0)
values = np.linspace(-2, 2, 21)
fig, axes = plt.subplots(1, 3, figsize=(11, 3.2), sharey=True)
for axis, keep_prob in zip(axes, (0.9, 0.5, 0.2), strict=True):
    draws = np.stack([dropout_forward(values, keep_prob, True, rng)[0] for _ in range(1000)])
    axis.plot(values, draws[:3].T, ".", color="gray", markersize=4)
    axis.errorbar(values, draws.mean(axis=0), draws.std(axis=0) / np.sqrt(1000), capsize=2)
    theory = np.sqrt((1 - keep_prob) / keep_prob)
    measured = draws[:, -1].std() / 2
    axis.set(title=f"keep_prob = {keep_prob}", xlabel="before dropout")
    print(f"keep_prob {keep_prob}: noise per unit of signal {measured:.2f}, in theory {theory:.2f}")
axes[0].set_ylabel("after dropout")
fig.suptitle("three draws (gray) and the mean of 1000")
fig.tight_layout()

# %% [markdown]
# ## Task 2: the backward pass ({{points:dropout_backward}} points)
#
# Once the mask is drawn, dropout is a multiplication by a constant for every element, and its
# gradient is a multiplication by the same constant. After a forward pass in evaluation mode the
# output was the input, and the gradient passes as it is.


# %%
def dropout_backward(d_out, cache):
    """Return the gradient of dropout.

    Parameters
    ----------
    d_out : array of any shape
        Gradient of the loss with respect to the output. It is not changed.
    cache
        From `dropout_forward`, in training or in evaluation mode.

    Returns
    -------
    d_x : array of the shape of d_out

    Examples
    --------
    >>> out, cache = dropout_forward(np.ones(3), 1.0, True, np.random.default_rng(0))
    >>> dropout_backward(np.array([1.0, 2.0, 3.0]), cache)
    array([1., 2., 3.])
    """
    ### BEGIN SOLUTION
    # The output is a product of the input with numbers that do not depend on it, so the gradient
    # is the product with the same numbers: scale included, and from the same draw. A mask that is
    # read off the output (`out != 0`) would be wrong wherever the input itself is 0.
    scaled_mask = cache
    return d_out * scaled_mask
    ### END SOLUTION


# %%
check(dropout_backward)

# %% [markdown]
# ## Task 3: the layer as a PyTorch module ({{points:Dropout}} points)
#
# PyTorch's `nn.Dropout(p)` takes the probability to *drop*: its $p$ is one minus the $p$ of the
# formula above. Write `Dropout` with PyTorch's meaning, and without using PyTorch's own dropout.
# Whether it drops depends on the mode that `model.train()` and `model.eval()` set. Both ends are
# allowed: `Dropout(0)` returns its input and `Dropout(1)` zeros.


# %%
class Dropout(nn.Module):
    """Dropout of single elements, as in nn.Dropout.

    Parameters
    ----------
    p : float
        Probability to drop a value, 0 <= p <= 1; anything else is a ValueError.

    Notes
    -----
    `forward` takes a tensor of any shape and returns one of the same shape and dtype. Its mask
    comes from PyTorch's generator, so that `torch.manual_seed` repeats it.

    Examples
    --------
    >>> layer = Dropout(0.2)
    >>> sorted(set(layer(torch.ones(1000)).tolist()))
    [0.0, 1.25]
    >>> layer.eval()(torch.ones(3))
    tensor([1., 1., 1.])
    """

    def __init__(self, p):
        super().__init__()
        ### BEGIN SOLUTION
        # `torch.rand_like` draws on the device and in the type of `x`. Autograd multiplies the
        # gradient with the same mask, so no backward pass has to be written. `p == 1` needs a
        # line of its own, because the scale would divide by 0; PyTorch returns zeros there.
        # `self.training` is what `train()` and `eval()` set; a flag of your own would not hear of
        # them.
        if not 0 <= p <= 1:
            raise ValueError(f"p is {p}; it must be in [0, 1]")
        self.p = p
        ### END SOLUTION

    def forward(self, x):
        ### BEGIN SOLUTION
        if not self.training:
            return x
        if self.p == 1:
            return torch.zeros_like(x)
        mask = torch.rand_like(x) >= self.p
        return x * mask / (1 - self.p)
        ### END SOLUTION


# %%
check(Dropout)

# %% [markdown]
# The bug that everyone makes once: a model is evaluated without `model.eval()`. The same image
# gets another answer each time.

# %% tags=["demonstration"]
generator = torch.Generator().manual_seed(3)
with torch.random.fork_rng():
    torch.manual_seed(3)
    model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), Dropout(0.5), nn.Linear(32, 1))
    x = torch.randn(1, 8, generator=generator)
    print("model.train():", [round(model.train()(x).item(), 3) for _ in range(4)])
    print("model.eval(): ", [round(model.eval()(x).item(), 3) for _ in range(4)])

# %% [markdown]
# ## Task 4: Monte Carlo dropout ({{points:monte_carlo_predict}} points)
#
# Leave dropout on at prediction time, predict several times, and look at the spread: where the
# sub-networks disagree, the model knows little. For that the dropout layers have to be in training
# mode while *everything else*, batch norm above all, stays in evaluation mode; and whoever lent
# you the model wants it back as it was.
#
# There are several kinds of dropout layers in PyTorch: `nn.Dropout`, `nn.Dropout1d`,
# `nn.Dropout2d` and so on. All of them derive from `nn.modules.dropout._DropoutNd`; these are the
# ones to find (your own `Dropout` of Task 3 is none of them).


# %%
def monte_carlo_predict(model, x, n_samples):
    """Predict with dropout left on, several times.

    Parameters
    ----------
    model : nn.Module
        Its dropout layers, of any kind, draw a fresh mask for each sample; all other modules work
        in evaluation mode. Afterwards every module is in the mode it was in before, no parameter
        and no running statistic has changed, and PyTorch's generator has moved on: a second call
        draws other masks.
    x : tensor
        The input of the model.
    n_samples : int
        How often to predict.

    Returns
    -------
    mean, std : tensors of the shape of the model's output
        Mean and standard deviation over the samples, the latter that of a population: it divides
        by n_samples.

    Examples
    --------
    >>> mean, std = monte_carlo_predict(nn.Linear(2, 1), torch.ones(3, 2), 5)
    >>> mean.shape, std.max().item()
    (torch.Size([3, 1]), 0.0)
    """
    ### BEGIN SOLUTION
    # Only dropout modules are put into training mode, so batch norm keeps its running statistics.
    # `_DropoutNd` is the class that all of PyTorch's dropout layers inherit from. `finally` gives
    # every module its own mode back, even if the model raises; calling `model.eval()` at the end
    # would forget which modules had been in training.
    #
    # The spread is the population's: the samples are the whole of what is described, hence
    # `correction=0`.
    modes = [(module, module.training) for module in model.modules()]
    try:
        for module, _ in modes:
            module.training = isinstance(module, nn.modules.dropout._DropoutNd)
        with torch.no_grad():
            samples = torch.stack([model(x) for _ in range(n_samples)])
    finally:
        for module, mode in modes:
            module.training = mode
    return samples.mean(dim=0), samples.std(dim=0, correction=0)
    ### END SOLUTION


# %%
check(monte_carlo_predict)

# %% [markdown]
# A small network learns three hundred digits, all labels right this time, and then predicts the
# others a hundred times each.
# Sort the test images by the spread of the winning class's probability: the errors gather where
# the spread is large. Images of pure noise get a large spread too, and still some of them are
# called a digit with confidence. Take the spread for a warning and not for a probability of
# error: it depends on p and on the architecture, and it need not shrink with more data.

# %% tags=["demonstration"]
from sklearn.datasets import load_digits

torch.set_num_threads(1)  # Matrices this small are slower on several threads.
digits = load_digits()
pixels, targets = torch.tensor(digits.data / 16.0, dtype=torch.float32), torch.tensor(digits.target)
rng = np.random.default_rng(0)
order = rng.permutation(len(targets))
train, test = order[:300], order[300:]
with torch.random.fork_rng():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
    for _ in range(40):
        for rows in np.array_split(rng.permutation(train), 10):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(pixels[rows]), targets[rows]).backward()
            optimizer.step()
    predicts_probabilities = nn.Sequential(model, nn.Softmax(dim=1))

    def winner_and_spread(images):
        mean, std = monte_carlo_predict(predicts_probabilities, images, 100)
        winner = mean.argmax(dim=1, keepdim=True)
        return winner.flatten(), std.gather(1, winner).flatten()

    winner, spread = winner_and_spread(pixels[test])
    _, spread_of_noise = winner_and_spread(torch.rand(500, 64))

right = winner == targets[test]
fig, axes = plt.subplots(figsize=(7, 3))
groups = {"right": spread[right], "wrong": spread[~right], "noise": spread_of_noise}
axes.hist(groups.values(), bins=20, density=True, label=list(groups))
axes.set(xlabel="spread of the winning probability", ylabel="density", title="Monte Carlo dropout")
axes.legend()
for quarter, rows in zip(
    ("smallest", "second", "third", "largest"), spread.argsort().chunk(4), strict=True
):
    print(
        f"quarter of images with the {quarter} spread: accuracy {right[rows].double().mean():.3f}"
    )

# %% [markdown]
# ## An experiment: does it help against wrong labels?
#
# This part is not graded. A network that is far too large learns five hundred of scikit-learn's
# digits, a fifth of their labels wrong. An honest network could get about 80% of those labels
# right. Without dropout the network gets more: it learns wrong labels by heart, and its accuracy
# on clean test images falls while it does. With your `Dropout` it learns fewer of them, and the
# test accuracy holds much better.


# %% tags=["demonstration"]
def noisy_split(rng):
    """Return training and test set, a fifth of the training labels replaced by wrong ones."""
    order = rng.permutation(len(digits.target))
    train, test = order[:500], order[500:]
    labels = digits.target[train].copy()
    flipped = rng.random(len(labels)) < 0.2
    labels[flipped] = (labels[flipped] + rng.integers(1, 10, flipped.sum())) % 10

    def tensors(rows, targets):
        pixels = torch.tensor(digits.data[rows] / 16.0, dtype=torch.float32)
        return pixels, torch.tensor(targets)

    return *tensors(train, labels), *tensors(test, digits.target[test])


def accuracies(p, seed, epochs=60):
    """Train a network and return its accuracies on training labels and test images, by epoch."""
    rng = np.random.default_rng(seed)
    x, y, x_test, y_test = noisy_split(rng)
    history = []
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), Dropout(p), nn.Linear(256, 10))
        optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
        for _ in range(epochs):
            model.train()
            for rows in np.array_split(rng.permutation(len(y)), 8):
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(x[rows]), y[rows]).backward()
                optimizer.step()
            model.eval()
            with torch.no_grad():
                pairs = ((x, y), (x_test, y_test))
                history.append([(model(a).argmax(1) == b).double().mean() for a, b in pairs])
    return np.array(history)


fig, axes = plt.subplots(figsize=(7, 4))
for p, color in ((0.0, "tab:blue"), (0.5, "tab:orange"), (0.8, "tab:green")):
    runs = np.stack([accuracies(p, seed) for seed in range(3)])
    axes.plot(runs[..., 0].mean(axis=0), "--", color=color)
    axes.plot(runs[..., 1].mean(axis=0), color=color, label=f"p = {p}")
    final = runs[:, -1, :]
    print(
        f"p = {p}: training labels {final[:, 0].mean():.2f}, "
        f"test images {final[:, 1].mean():.3f} ± {final[:, 1].std():.3f} over 3 seeds"
    )
axes.set(
    xlabel="epoch", ylabel="accuracy", title="clean test images; dashed: noisy training labels"
)
axes.legend()
plt.show()

# %% [markdown]
# ## Before you hand in
#
# How far you are, and what is left:

# %% tags=["demonstration"]
progress("dropout")

# %% [markdown]
# Save the notebook, then run the next cell. It runs the file in a fresh process, as grading will,
# says what would be lost, and makes the file to hand in. `autograder ready dropout.ipynb` does the
# same in a terminal.

# %% tags=["demonstration"]
ready("dropout.ipynb")
