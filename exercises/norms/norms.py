# %% [markdown]
# # Exercise: the relatives of batch norm
#
# You will build the normalizations that do not look across the batch: layer norm and RMSNorm,
# forward and backward in NumPy, group norm for images, and RMSNorm as a PyTorch module. It belongs
# to the chapter *Why batch norm works, and its relatives*; have its formulas beside you.
#
# **How to work.** Write your code where it says `YOUR CODE HERE`, run the cell, then run the cell
# below it, `check(layer_norm_forward)`. It answers at once: what is right, what is not and, if it
# knows the mistake, which one it is. Check as often as you like; your work is graded in the same
# way on other numbers. If you are stuck, run `hint(layer_norm_forward)` in a cell of your own: it
# gives a hint, and another one each time you run it, at no cost. Cells marked *Locked* are the
# course's own: you may run them, and grading uses its own copy. You may add cells of your own
# anywhere. After a restart of the kernel run everything from the top. A `NameError` means that a
# cell above has not been run.
#
# **What is not allowed.** Answers are written in NumPy, without PyTorch, except for Task 5, which
# is written without PyTorch's own normalizations (`nn.RMSNorm`, `F.rms_norm`, `nn.LayerNorm` and
# their kin); all of them without the package `autograder`. These are not there when an answer
# is tried, so one that uses them earns nothing, and `check` says so for PyTorch. Comparing
# with them in a cell of your own is fine.
#
# **How to hand in.** Run everything from top to bottom once (*Restart and run all*) and save. The
# last cell, `ready("norms.ipynb")`, tries the saved file as grading will and makes the file to
# hand in.

# %%
import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import nn

from autograder import check, hint, progress, ready

# %% tags=["demonstration"]
progress("norms")

# %% [markdown]
# ## Task 1: layer norm ({{points:layer_norm_forward}} points)
#
# Batch norm takes a mean and a variance for each feature, over the batch. Layer norm takes them
# for each *example*, over its $D$ features:
#
# $$
# \mu = \frac{1}{D} \sum_{i=1}^D x_i, \qquad
# \sigma^2 = \frac{1}{D} \sum_{i=1}^D (x_i - \mu)^2, \qquad
# \hat{x}_i = \frac{x_i - \mu}{\sqrt{\sigma^2 + \epsilon}}, \qquad
# y_i = \gamma_i\, \hat{x}_i + \beta_i .
# $$
#
# The features are on the *last* axis, and an array may have any number of axes: `(D,)` is a single
# example, `(N, D)` a batch of them, `(N, T, D)` a batch of sequences, of which each position is
# normalized by itself. There is nothing to remember from one batch to the next, so there is only
# one mode.


# %%
def layer_norm_forward(x, gamma, beta, eps=1e-5):
    """Normalize each example over its features, then scale and shift them.

    Parameters
    ----------
    x : array of shape (..., D)
        Any number of axes, the features on the last one. It is not changed.
    gamma, beta : arrays of shape (D,)
        Scale and shift of each feature.
    eps : float
        Added to the variance under the root.

    Returns
    -------
    out : array of the shape of x
    cache
        Whatever your `layer_norm_backward` needs.

    Examples
    --------
    >>> x = np.array([[1.0, 3.0], [20.0, 10.0]])
    >>> out, cache = layer_norm_forward(x, np.array([1.0, 2.0]), np.array([0.0, 5.0]), eps=0.0)
    >>> out
    array([[-1.,  7.],
           [ 1.,  3.]])
    """
    ### BEGIN SOLUTION
    # The mean and the variance of an example are taken over the last axis, counted from the end
    # because nobody knows how many axes there are. `keepdims=True` leaves that axis with length
    # 1, so that one number per example meets all its features; `gamma` and `beta` line up with
    # the features by themselves. `var` divides by $D$, as it should.
    mean = x.mean(axis=-1, keepdims=True)
    std = np.sqrt(x.var(axis=-1, keepdims=True) + eps)
    x_hat = (x - mean) / std
    return gamma * x_hat + beta, (x_hat, gamma, std)
    ### END SOLUTION


# %%
check(layer_norm_forward)

# %% [markdown]
# What an example becomes does not depend on its neighbors: each row alone gives what it gives in
# the batch, and a batch of one is as good as any other.

# %% tags=["demonstration"]
rng = np.random.default_rng(1)
x = rng.uniform(-3, 3, (4, 1)) + rng.uniform(0.5, 4, (4, 1)) * rng.standard_normal((4, 6))
ones, zeros = np.ones(6), np.zeros(6)
together, _ = layer_norm_forward(x, ones, zeros)
for row, out in zip(x, together, strict=True):
    alone, _ = layer_norm_forward(row, ones, zeros)
    print(
        f"mean {row.mean():+.2f} -> {out.mean():+.2f}   "
        f"deviation {row.std():.2f} -> {out.std():.2f}   "
        f"alone and in the batch differ by {np.abs(alone - out).max():.0e}"
    )

# %% [markdown]
# ## Task 2: layer norm's backward pass ({{points:layer_norm_backward}} points)
#
# Given the gradient of the loss with respect to the output, `d_out`, find the gradients with
# respect to `x`, `gamma` and `beta`. For one example, batch norm's closed form carries over:
#
# $$
# \frac{\partial L}{\partial x_i} = \frac{1}{\sqrt{\sigma^2 + \epsilon}} \Bigl(
#     \hat{g}_i - \frac{1}{D} \sum_j \hat{g}_j - \hat{x}_i \frac{1}{D} \sum_j \hat{g}_j \hat{x}_j
# \Bigr), \qquad \hat{g}_i = \gamma_i \frac{\partial L}{\partial y_i} .
# $$
#
# It is batch norm's formula with features in the place of examples. But $\gamma$ and $\beta$ have
# one entry for each *feature*, and all examples share them: over which axes do their gradients
# add up, if the array has more than two? And if it has only one?


# %%
def layer_norm_backward(d_out, cache):
    """Return the gradients of layer norm.

    Parameters
    ----------
    d_out : array of shape (..., D)
        Gradient of the loss with respect to the output. It is not changed.
    cache
        From `layer_norm_forward`.

    Returns
    -------
    d_x : array of the shape of d_out
    d_gamma, d_beta : arrays of shape (D,)

    Examples
    --------
    >>> x = np.array([[0.0, 0.0, 2.0, 2.0], [1.0, -1.0, 1.0, -1.0]])
    >>> _, cache = layer_norm_forward(x, np.array([1.0, 1.0, 1.0, 5.0]), np.zeros(4), eps=0.0)
    >>> d_x, d_gamma, d_beta = layer_norm_backward(np.array([[4.0, 0, 0, 0], [0, 1, 0, 0]]), cache)
    >>> d_x
    array([[ 2. , -2. ,  0. ,  0. ],
           [ 0. ,  0.5,  0. , -0.5]])
    >>> d_gamma, d_beta
    (array([-4., -1.,  0.,  0.]), array([4., 1., 0., 0.]))
    """
    ### BEGIN SOLUTION
    # Two kinds of axes meet here. The statistics were taken over the features, so the two
    # averages that are taken away from the gradient go over the last axis. The parameters are
    # shared by all examples, so their gradients are sums over all the other axes. `gamma` differs
    # from feature to feature: it has to be multiplied in before anything is averaged.
    x_hat, gamma, std = cache
    examples = tuple(range(d_out.ndim - 1))
    d_gamma = (d_out * x_hat).sum(axis=examples)
    d_beta = d_out.sum(axis=examples)
    d_x_hat = gamma * d_out
    through_mean = d_x_hat.mean(axis=-1, keepdims=True)
    through_variance = x_hat * (d_x_hat * x_hat).mean(axis=-1, keepdims=True)
    return (d_x_hat - through_mean - through_variance) / std, d_gamma, d_beta
    ### END SOLUTION


# %%
check(layer_norm_backward)

# %% [markdown]
# A gradient can be tested without knowing the right one: move one number a little, both ways, and
# see how the loss changes. Here that is done for every entry of `x`, in an array of three axes.
# Besides, the gradients of an example add up to zero, since layer norm does not notice a constant
# that is added to all features.

# %% tags=["demonstration"]
x = rng.standard_normal((2, 3, 5))
d_out = rng.standard_normal(x.shape)
gamma, beta = rng.uniform(0.5, 2, 5), rng.standard_normal(5)


def loss(x):
    """Return a loss whose gradient with respect to the output is `d_out`."""
    return (layer_norm_forward(x, gamma, beta)[0] * d_out).sum()


_, cache = layer_norm_forward(x, gamma, beta)
d_x, d_gamma, d_beta = layer_norm_backward(d_out, cache)
numerical = np.zeros_like(x)
for index in np.ndindex(x.shape):
    step = np.zeros_like(x)
    step[index] = 1e-5
    numerical[index] = (loss(x + step) - loss(x - step)) / 2e-5
print(f"largest difference from difference quotients: {np.abs(d_x - numerical).max():.0e}")
print(f"largest sum of the gradients of an example:   {np.abs(d_x.sum(axis=-1)).max():.0e}")

# %% [markdown]
# ## Task 3: RMSNorm ({{points:rms_norm_forward}} + {{points:rms_norm_backward}} points)
#
# Leave out the mean, and with it $\beta$. What is left divides each example by its *root mean
# square*:
#
# $$
# s = \frac{1}{\sqrt{\frac{1}{D} \sum_{i=1}^D x_i^2 + \epsilon}}, \qquad
# \hat{x}_i = s\, x_i, \qquad y_i = \gamma_i\, \hat{x}_i .
# $$
#
# This is the normalization of today's large language models. As before, the features are on the
# last axis of an array with any number of axes. (`nn.RMSNorm` chooses another $\epsilon$ if you
# give it none; here it is $10^{-6}$.)


# %%
def rms_norm_forward(x, gamma, eps=1e-6):
    """Divide each example by its root mean square, then scale the features.

    Parameters
    ----------
    x : array of shape (..., D)
        Any number of axes, the features on the last one. It is not changed.
    gamma : array of shape (D,)
        Scale of each feature.
    eps : float
        Added to the mean of the squares under the root.

    Returns
    -------
    out : array of the shape of x
    cache
        Whatever your `rms_norm_backward` needs.

    Examples
    --------
    >>> out, cache = rms_norm_forward(np.array([[1.0, 7.0]]), np.array([10.0, 5.0]), eps=0.0)
    >>> out
    array([[2., 7.]])
    """
    ### BEGIN SOLUTION
    # From right to left the name says what to do: square, take the mean over the features, take
    # the root. Nothing is subtracted, so an example keeps its direction and changes its length.
    rms = np.sqrt((x**2).mean(axis=-1, keepdims=True) + eps)
    x_hat = x / rms
    return gamma * x_hat, (x_hat, gamma, rms)
    ### END SOLUTION


# %%
check(rms_norm_forward)

# %% [markdown]
# For the backward pass, follow the two ways by which a feature reaches the outputs: by its own
# $\hat{x}_i$, and by $s$, which all features of the example share. The chapter has the derivation.
# Compare the result with layer norm's: which term is gone?


# %%
def rms_norm_backward(d_out, cache):
    """Return the gradients of RMSNorm.

    Parameters
    ----------
    d_out : array of shape (..., D)
        Gradient of the loss with respect to the output. It is not changed.
    cache
        From `rms_norm_forward`.

    Returns
    -------
    d_x : array of the shape of d_out
    d_gamma : array of shape (D,)

    Examples
    --------
    >>> _, cache = rms_norm_forward(np.array([[1.0, 7.0]]), np.array([10.0, 5.0]), eps=0.0)
    >>> d_x, d_gamma = rms_norm_backward(np.array([[5.0, 0.0]]), cache)
    >>> d_x, d_gamma
    (array([[ 9.8, -1.4]]), array([1., 0.]))
    """
    ### BEGIN SOLUTION
    # Layer norm's gradient without the part that came through the mean. What is taken away is
    # the part of the gradient along $\hat x$: RMSNorm does not notice when an example is
    # stretched, so the loss cannot change in that direction.
    x_hat, gamma, rms = cache
    d_gamma = (d_out * x_hat).sum(axis=tuple(range(d_out.ndim - 1)))
    d_x_hat = gamma * d_out
    through_rms = x_hat * (d_x_hat * x_hat).mean(axis=-1, keepdims=True)
    return (d_x_hat - through_rms) / rms, d_gamma
    ### END SOLUTION


# %%
check(rms_norm_backward)

# %% [markdown]
# Each normalization is blind to something. Stretch the features of an example, and neither layer
# norm nor RMSNorm notices. Add 100 to all of them, and layer norm notices nothing again, while what
# RMSNorm returns is nearly the same for all four.

# %% tags=["demonstration"]
x, ones, zeros = np.array([1.0, 2.0, 3.0, 6.0]), np.ones(4), np.zeros(4)
for what, changed in (("as it is", x), ("times 10", 10 * x), ("plus 100", x + 100)):
    layer, _ = layer_norm_forward(changed, ones, zeros)
    rms, _ = rms_norm_forward(changed, ones)
    print(f"{what}: layer norm {layer.round(2)}   RMSNorm {rms.round(2)}")

# %% [markdown]
# ## Task 4: group norm ({{points:group_norm_forward}} points)
#
# On images of shape `(N, C, H, W)` there is a choice between one mean for all channels of an image
# and one for each. Group norm splits the $C$ channels into groups of $C/G$ *neighbors*, and takes
# one mean and one variance over the channels and positions of each group of each image. $\gamma$
# and $\beta$ have one entry for each channel, as in batch norm. Only the forward pass is asked
# for. If the channels cannot be split into groups of the same size, raise a `ValueError`.


# %%
def group_norm_forward(x, groups, gamma, beta, eps=1e-5):
    """Normalize each group of channels of each image, then scale and shift each channel.

    Parameters
    ----------
    x : array of shape (N, C, H, W)
        A batch of images. It is not changed.
    groups : int
        Number of groups; each is made of C / groups channels that are next to each other.
    gamma, beta : arrays of shape (C,)
        Scale and shift of each channel.
    eps : float
        Added to the variance under the root.

    Returns
    -------
    out : array of shape (N, C, H, W)

    Raises
    ------
    ValueError
        When C is not a multiple of `groups`.

    Examples
    --------
    >>> x = np.array([1.0, 3.0, 10.0, 30.0]).reshape(1, 4, 1, 1)
    >>> group_norm_forward(x, 2, np.ones(4), np.array([0.0, 0.0, 0.0, 5.0]), eps=0.0).ravel()
    array([-1.,  1., -1.,  6.])
    """
    ### BEGIN SOLUTION
    # The channels of a group lie next to each other in memory, and their positions behind them,
    # so a `reshape` to (N, groups, rest) makes a row of each group without moving a value. After
    # that it is layer norm of rows, and another `reshape` takes everything back. `gamma` and
    # `beta` belong to channels, whose axis is the third from the end.
    N, C = x.shape[:2]
    if C % groups:
        raise ValueError(f"{C} channels cannot be split into {groups} equal groups")
    rows = x.reshape(N, groups, -1)
    mean = rows.mean(axis=-1, keepdims=True)
    std = np.sqrt(rows.var(axis=-1, keepdims=True) + eps)
    x_hat = ((rows - mean) / std).reshape(x.shape)
    return gamma.reshape(C, 1, 1) * x_hat + beta.reshape(C, 1, 1)
    ### END SOLUTION


# %%
check(group_norm_forward)

# %% [markdown]
# Does it agree with PyTorch's own layers? With one group it is layer norm of whole images, with a
# group for each channel it is instance norm.

# %% tags=["demonstration"]
images = rng.standard_normal((4, 6, 5, 5)) * 2 + 1
layers = {
    2: nn.GroupNorm(2, 6),
    1: nn.LayerNorm([6, 5, 5]),
    6: nn.InstanceNorm2d(6),
}
for groups, layer in layers.items():
    out = group_norm_forward(images, groups, np.ones(6), np.zeros(6))
    with torch.no_grad():
        theirs = layer.double()(torch.tensor(images)).numpy()
    name = type(layer).__name__
    print(f"groups = {groups}: largest difference from {name}: {np.abs(out - theirs).max():.0e}")

# %% [markdown]
# ## Task 5: RMSNorm as a PyTorch module ({{points:RMSNorm}} points)
#
# In PyTorch autograd does the backward pass. Write `RMSNorm` without using PyTorch's own
# normalizations. Its `state_dict` must be interchangeable with that of `nn.RMSNorm`: one parameter,
# `weight` (that is $\gamma$), and nothing else.


# %%
class RMSNorm(nn.Module):
    """RMSNorm over the last axis.

    Parameters
    ----------
    features : int
        D, the length of the last axis.
    eps : float
        Added to the mean of the squares under the root.

    Notes
    -----
    `forward` takes a tensor of shape (..., D) and returns one.

    Examples
    --------
    >>> layer = RMSNorm(2, eps=0.0)
    >>> layer(torch.tensor([[5.0, 5.0], [-3.0, 3.0]])).tolist()
    [[1.0, 1.0], [-1.0, 1.0]]
    >>> list(layer.state_dict())
    ['weight']
    """

    def __init__(self, features, eps=1e-6):
        super().__init__()
        ### BEGIN SOLUTION
        # `nn.Parameter` is what makes a tensor appear in `state_dict` and before the optimizer;
        # with ones a new layer only normalizes. `eps` is a plain number. There are no buffers,
        # and `forward` does not ask for the mode: nothing is remembered.
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(features))
        ### END SOLUTION

    def forward(self, x):
        ### BEGIN SOLUTION
        mean_square = x.square().mean(dim=-1, keepdim=True)
        return self.weight * x / torch.sqrt(mean_square + self.eps)
        ### END SOLUTION


# %%
check(RMSNorm)

# %% [markdown]
# The proof that the two are interchangeable: change the weight of PyTorch's layer, load its state
# into yours, and compare.

# %% tags=["demonstration"]
generator = torch.Generator().manual_seed(0)
theirs, yours = nn.RMSNorm(5, eps=1e-6), RMSNorm(5)
with torch.no_grad():
    theirs.weight.copy_(torch.randn(5, generator=generator))
print(yours.load_state_dict(theirs.state_dict()))
fresh = torch.randn(2, 3, 5, generator=generator)
print(f"largest difference: {(theirs(fresh) - yours(fresh)).abs().max():.1e}")

# %% [markdown]
# ## An experiment: small batches
#
# This part is not graded. A small network learns scikit-learn's digits in batches of 2 to 64,
# without normalization, with PyTorch's batch norm and with your `RMSNorm`. The learning rate is
# proportional to the batch size, so that an epoch does about as much. Which of the three needs its
# batch, and how large a one?

# %% tags=["demonstration"]
from sklearn.datasets import load_digits

digits = load_digits()
pixels = torch.tensor(digits.data / 16.0, dtype=torch.float32)
labels = torch.tensor(digits.target)


def accuracy(norm, size, seed, epochs=8):
    """Train a network with two hidden layers and return its accuracy on test images."""
    rng = np.random.default_rng(seed)
    order = torch.tensor(rng.permutation(len(labels)))
    train, test = order[:300], order[300:]
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        hidden = [
            layer
            for _ in range(2)
            for layer in (nn.Linear(64, 64), *([norm(64)] if norm else []), nn.ReLU())
        ]
        model = nn.Sequential(*hidden, nn.Linear(64, 10))
        for layer in model[:-1]:
            if isinstance(layer, nn.Linear):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05 * size / 16)
    for _ in range(epochs):
        for rows in torch.tensor(rng.permutation(300)).split(size):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(pixels[train[rows]]), labels[train[rows]])
            loss.backward()
            optimizer.step()
    model.eval()
    with torch.no_grad():
        return (model(pixels[test]).argmax(dim=1) == labels[test]).double().mean().item()


# Matrices this small are slower on several threads.
torch.set_num_threads(1)
sizes = [2, 4, 16, 64]
norms = {"none": None, "batch norm": nn.BatchNorm1d, "your RMSNorm": RMSNorm}
fig, axes = plt.subplots(figsize=(7, 4))
print(f"{'batch size':>14}:", "  ".join(f"{size:<4}" for size in sizes))
for (name, norm), marker in zip(norms.items(), "osv", strict=True):
    scores = np.array([[accuracy(norm, size, seed) for seed in range(3)] for size in sizes])
    mean, spread = scores.mean(axis=1), scores.std(axis=1)
    axes.errorbar(sizes, mean, spread, marker=marker, capsize=3, label=name)
    print(f"{name:>14}:", "  ".join(f"{value:.2f}" for value in mean))
axes.set(xscale="log", xlabel="batch size", ylabel="accuracy on test images")
axes.set_xticks(sizes, sizes)
axes.minorticks_off()
axes.set_title("mean and standard deviation over 3 seeds")
axes.legend()
plt.show()

# %% [markdown]
# ## Another: before the branch or after the sum
#
# A transformer adds what each branch computes to its input. The normalization stands at the entry
# of the branch (*pre-norm*) or after the sum (*post-norm*). The blocks here have one branch each, a
# small network without attention, and your `RMSNorm`. How large is the gradient of each block's
# last matrix before training? The chapter says what follows from it.

# %% tags=["demonstration"]


class Block(nn.Module):
    """A branch beside a sum, with a normalization before the branch or after the sum."""

    def __init__(self, width, pre):
        super().__init__()
        self.pre, self.norm = pre, RMSNorm(width)
        self.branch = nn.Sequential(
            nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width, bias=False)
        )
        nn.init.kaiming_normal_(self.branch[0].weight)
        nn.init.xavier_normal_(self.branch[2].weight)

    def forward(self, x):
        if self.pre:
            return x + self.branch(self.norm(x))
        return self.norm(x + self.branch(x))


def gradients(pre, seed, depth=8):
    """Return the size of the gradient of each block's last matrix before training."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        blocks = [Block(64, pre) for _ in range(depth)]
        last = [RMSNorm(64)] if pre else []
        model = nn.Sequential(nn.Linear(64, 64), *blocks, *last, nn.Linear(64, 10))
        nn.functional.cross_entropy(model(pixels[:300]), labels[:300]).backward()
    return [block.branch[2].weight.grad.norm().item() for block in blocks]


fig, axes = plt.subplots(figsize=(7, 4))
for pre, name, marker in ((True, "pre-norm", "o"), (False, "post-norm", "s")):
    sizes = np.array([gradients(pre, seed) for seed in range(5)])
    axes.plot(range(1, 9), sizes.mean(axis=0), marker=marker, label=name)
    print(f"{name:>9}:", "  ".join(f"{value:.3f}" for value in sizes.mean(axis=0)))
axes.set(xlabel="block", ylabel="size of the gradient", title="mean over 5 seeds")
axes.set_ylim(bottom=0)
axes.legend()
plt.show()

# %% [markdown]
# ## Before you hand in
#
# How far you are, and what is left:

# %% tags=["demonstration"]
progress("norms")

# %% [markdown]
# Save the notebook, then run the next cell. It runs the file in a fresh process, as grading will,
# says what would be lost, and makes the file to hand in. `autograder ready norms.ipynb` does
# the same in a terminal.

# %% tags=["demonstration"]
ready("norms.ipynb")
