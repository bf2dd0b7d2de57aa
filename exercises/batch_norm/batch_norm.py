# %% [markdown]
# # Exercise: batch normalization
#
# You will build batch normalization by hand: the forward pass and the backward pass in NumPy,
# the same for images, the layer as a PyTorch module, and the trick that makes it cost nothing
# at inference. It belongs to the chapter *Batch normalization*; have its formulas beside you.
#
# **How to work.** Write your code where it says `YOUR CODE HERE`, run the cell, then run the cell
# below it, `check(batch_norm_forward)`. It answers at once: what is right, what is not and, if it
# knows the mistake, which one it is. Check as often as you like; your work is graded in the same
# way on other numbers. If you are stuck, run `hint(batch_norm_forward)` in a cell of your own: it
# gives a hint, and another one each time you run it, at no cost. Cells marked *Locked* are the
# course's own: you may run them, and grading uses its own copy. You may add cells of your own
# anywhere. After a restart of the kernel run everything from the top. A `NameError` means that a
# cell above has not been run.
#
# **What is not allowed.** Answers are written in NumPy, without PyTorch, except for Task 4, which
# is written without PyTorch's own normalization (`nn.BatchNorm1d`, `F.batch_norm`, `nn.LayerNorm`
# and their kin); all of them without the package `autograder`. These are not there when an answer
# is tried, so one that uses them earns nothing, and `check` says so for PyTorch. Comparing
# with them in a cell of your own is fine.
#
# **How to hand in.** Run everything from top to bottom once (*Restart and run all*) and save. The
# last cell, `ready("batch_norm.ipynb")`, tries the saved file as grading will and makes the file to
# hand in.

# %%
import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import nn

from autograder import check, hint, progress, ready

# %% tags=["demonstration"]
progress("batch_norm")

# %% [markdown]
# ## Task 1: the forward pass ({{points:batch_norm_forward}} points)
#
# Every feature of a batch is shifted and scaled to mean 0 and variance 1, and then given a new
# mean $\beta$ and a new scale $\gamma$ that are learned:
#
# $$
# \hat{x} = \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}}, \qquad
# y = \gamma \odot \hat{x} + \beta .
# $$
#
# In training, $\mu$ and $\sigma^2$ are the mean and the variance of each feature over the $N$
# rows of the batch, the variance divided by $N$. At the same time two running averages are
# moved a little, with the variance divided by $N - 1$ this time:
#
# $$
# \mu_{\text{run}} \leftarrow (1 - \alpha)\, \mu_{\text{run}} + \alpha\, \mu, \qquad
# \sigma^2_{\text{run}} \leftarrow (1 - \alpha)\, \sigma^2_{\text{run}}
#     + \alpha\, \frac{N}{N - 1}\, \sigma^2 .
# $$
#
# In evaluation, $\mu_{\text{run}}$ and $\sigma^2_{\text{run}}$ take the place of $\mu$ and
# $\sigma^2$ and stay as they are. These are PyTorch's conventions, $\alpha$ is its `momentum`. (The
# chapter calls the number of rows $m$; here it is $N$, as in the shapes.)


# %%
def batch_norm_forward(x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5):
    """Normalize each feature of a batch, then scale and shift it.

    Parameters
    ----------
    x : array of shape (N, D)
        A batch. It is not changed.
    gamma, beta : arrays of shape (D,)
        Scale and shift.
    running_mean, running_var : arrays of shape (D,)
        Running statistics. They are not changed; new ones are returned.
    training : bool
        Normalize with the statistics of the batch and move the running statistics (True), or
        normalize with the running statistics and return them as they are (False).
    momentum : float
        Share of the batch in the new running statistics.
    eps : float
        Added to the variance under the root.

    Returns
    -------
    out : array of shape (N, D)
    running_mean, running_var : arrays of shape (D,)
    cache
        Whatever your `batch_norm_backward` needs.

    Raises
    ------
    ValueError
        In training, when the batch has only one row.

    Examples
    --------
    >>> x = np.array([[1.0], [3.0]])
    >>> one, zero = np.ones(1), np.zeros(1)
    >>> out, mean, var, cache = batch_norm_forward(x, 2 * one, one, zero, one, True, eps=0.0)
    >>> out.ravel(), mean, var
    (array([-1.,  3.]), array([0.2]), array([1.1]))
    """
    ### BEGIN SOLUTION
    # Both modes compute the same formula and differ only in whose mean and variance they take.
    # The biased variance normalizes, because it is the variance *of this batch*; the unbiased one
    # goes into `running_var`, because that is an estimate for all data. The assignments make new
    # arrays, so that the caller's statistics stay as they are. The cache says which mode it was:
    # the backward pass depends on it.
    if not training:
        std = np.sqrt(running_var + eps)
        x_hat = (x - running_mean) / std
        return gamma * x_hat + beta, running_mean, running_var, (x_hat, gamma, std, training)
    if len(x) == 1:
        raise ValueError("batch norm cannot train on a single row")
    mean = x.mean(axis=0)
    std = np.sqrt(x.var(axis=0) + eps)
    x_hat = (x - mean) / std
    running_mean = (1 - momentum) * running_mean + momentum * mean
    running_var = (1 - momentum) * running_var + momentum * x.var(axis=0, ddof=1)
    return gamma * x_hat + beta, running_mean, running_var, (x_hat, gamma, std, training)
    ### END SOLUTION


# %%
check(batch_norm_forward)

# %% [markdown]
# What does it do to data? Three features with very different means and scales come out alike, and
# the running statistics need a few dozen batches to find the statistics of the data.

# %% tags=["demonstration"]
rng = np.random.default_rng(1)
location, scale = np.array([-4.0, 0.0, 6.0]), np.array([0.5, 1.0, 2.0])
running_mean, running_var = np.zeros(3), np.ones(3)
history = []
for _ in range(60):
    batch = location + scale * rng.standard_normal((32, 3))
    out, running_mean, running_var, _ = batch_norm_forward(
        batch, np.ones(3), np.zeros(3), running_mean, running_var, True
    )
    history.append(running_mean)

fig, (left, middle, right) = plt.subplots(1, 3, figsize=(11, 3))
left.hist(batch, bins=15, stacked=True)
left.set(title="last batch, three features", xlabel="x")
middle.hist(out, bins=15, stacked=True)
middle.set(title="after batch norm", xlabel="out")
right.plot(history)
right.hlines(location, 0, 60, color="gray", linestyle=":")
right.set(title="running mean", xlabel="batch")
fig.tight_layout()

# %% [markdown]
# ## Task 2: the backward pass ({{points:batch_norm_backward}} points)
#
# Given the gradient of the loss with respect to the output, `d_out`, find the gradients with
# respect to `x`, `gamma` and `beta`. In training, $x_i$ reaches the loss by three paths: through
# its own $\hat{x}_i$, through $\mu$ and through $\sigma^2$, and through these two it changes the
# output of every row. The chapter derives the result step by step:
#
# $$
# \frac{\partial L}{\partial x_i} = \frac{1}{\sqrt{\sigma^2 + \epsilon}} \Bigl(
#     \hat{g}_i - \frac{1}{N} \sum_j \hat{g}_j - \hat{x}_i \frac{1}{N} \sum_j \hat{g}_j \hat{x}_j
# \Bigr), \qquad \hat{g}_i = \gamma \frac{\partial L}{\partial y_i} .
# $$
#
# The gradients of $\gamma$ and $\beta$ you find yourself. And after a forward pass in *evaluation*
# mode, $\mu$ and $\sigma^2$ do not depend on $x$ at all: what is left of the formula?


# %%
def batch_norm_backward(d_out, cache):
    """Return the gradients of batch normalization.

    Parameters
    ----------
    d_out : array of shape (N, D)
        Gradient of the loss with respect to the output. It is not changed.
    cache
        From `batch_norm_forward`, in training or in evaluation mode.

    Returns
    -------
    d_x : array of shape (N, D)
    d_gamma, d_beta : arrays of shape (D,)

    Examples
    --------
    >>> x, one, zero = np.array([[1.0], [3.0]]), np.ones(1), np.zeros(1)
    >>> *_, cache = batch_norm_forward(x, one, zero, zero, one, False, eps=0.0)
    >>> d_x, d_gamma, d_beta = batch_norm_backward(np.array([[1.0], [2.0]]), cache)
    >>> d_x.ravel(), d_gamma, d_beta
    (array([1., 2.]), array([7.]), array([3.]))
    """
    ### BEGIN SOLUTION
    # $\gamma$ and $\beta$ are shared by all rows, so their gradients are sums over rows. In
    # training each input moves the outputs of its whole column in three ways: by itself, through
    # the mean, and through the variance. The last two take away from the gradient its mean and
    # its part along $\hat x$; what is left is divided by the standard deviation. In evaluation
    # mean and variance are constants, and only the division remains.
    x_hat, gamma, std, training = cache
    d_gamma = (d_out * x_hat).sum(axis=0)
    d_beta = d_out.sum(axis=0)
    d_x_hat = gamma * d_out
    if training:
        through_mean = d_x_hat.mean(axis=0)
        through_variance = x_hat * (d_x_hat * x_hat).mean(axis=0)
        d_x_hat = d_x_hat - through_mean - through_variance
    return d_x_hat / std, d_gamma, d_beta
    ### END SOLUTION


# %%
check(batch_norm_backward)

# %% [markdown]
# Batch norm forgets the scale of its input: `x` and `10 * x` give the same output, so the loss
# cannot change along `x` itself, and the gradient of each feature stands at right angles to the
# feature (up to ε). That is where the insensitivity to the scale of the weights comes from.

# %% tags=["demonstration"]
x = rng.standard_normal((16, 4))
d_out = rng.standard_normal((16, 4))
gamma, beta, zeros, ones = np.full(4, 1.5), np.zeros(4), np.zeros(4), np.ones(4)
for factor in (1.0, 10.0, 100.0):
    out, *_, cache = batch_norm_forward(factor * x, gamma, beta, zeros, ones, True)
    d_x, *_ = batch_norm_backward(d_out, cache)
    centered = factor * (x - x.mean(axis=0))
    print(
        f"x times {factor:5}: out[0, 0] = {out[0, 0]:+.4f}   size of d_x = {np.abs(d_x).max():.5f}"
        f"   d_x along x = {(d_x * centered).sum():+.1e}"
    )

# %% [markdown]
# ## Task 3: images ({{points:batch_norm_2d_forward}} + {{points:batch_norm_2d_backward}} points)
#
# On a batch of images of shape `(N, C, H, W)` a channel plays the role of a feature: all $N H W$
# values of a channel share one mean, one variance, one $\gamma$ and one $\beta$. You have written
# everything already; it only has to be handed the values in the right order.


# %%
def batch_norm_2d_forward(
    x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5
):
    """Normalize each channel of a batch of images, then scale and shift it.

    Parameters
    ----------
    x : array of shape (N, C, H, W)
        A batch of images. It is not changed.
    gamma, beta, running_mean, running_var : arrays of shape (C,)
        As in `batch_norm_forward`, one value for each channel.
    training, momentum, eps
        As in `batch_norm_forward`.

    Returns
    -------
    out : array of shape (N, C, H, W)
    running_mean, running_var : arrays of shape (C,)
    cache
        Whatever your `batch_norm_2d_backward` needs.

    Examples
    --------
    >>> x = np.array([1.0, 3.0]).reshape(1, 1, 1, 2)
    >>> one, zero = np.ones(1), np.zeros(1)
    >>> out, *_ = batch_norm_2d_forward(x, one, zero, zero, one, True, eps=0.0)
    >>> out
    array([[[[-1.,  1.]]]])
    """
    ### BEGIN SOLUTION
    # A channel has one mean for all images and all positions, so each position of each image is a
    # row of its own, and the channels have to come last before `reshape` makes rows of them.
    # `x.reshape(-1, C)` without the `transpose` would mix channels without an error. On the way
    # back the two steps are undone in reverse order.
    N, C, H, W = x.shape
    columns = x.transpose(0, 2, 3, 1).reshape(-1, C)
    out, running_mean, running_var, cache = batch_norm_forward(
        columns, gamma, beta, running_mean, running_var, training, momentum, eps
    )
    out = out.reshape(N, H, W, C).transpose(0, 3, 1, 2)
    return out, running_mean, running_var, cache
    ### END SOLUTION


# %%
check(batch_norm_2d_forward)


# %%
def batch_norm_2d_backward(d_out, cache):
    """Return the gradients of batch normalization on images.

    Parameters
    ----------
    d_out : array of shape (N, C, H, W)
        Gradient of the loss with respect to the output. It is not changed.
    cache
        From `batch_norm_2d_forward`, in training or in evaluation mode.

    Returns
    -------
    d_x : array of shape (N, C, H, W)
    d_gamma, d_beta : arrays of shape (C,)

    Examples
    --------
    >>> x, one, zero = np.array([1.0, 3.0]).reshape(1, 1, 1, 2), np.ones(1), np.zeros(1)
    >>> *_, cache = batch_norm_2d_forward(x, one, zero, zero, one, False, eps=0.0)
    >>> d_x, d_gamma, d_beta = batch_norm_2d_backward(2 * np.ones((1, 1, 1, 2)), cache)
    >>> d_x, d_gamma, d_beta
    (array([[[[2., 2.]]]]), array([8.]), array([4.]))
    """
    ### BEGIN SOLUTION
    # It rearranges the gradient as the forward pass rearranged the input, calls the backward pass
    # for rows, and undoes it. Everything that is difficult has been solved there.
    N, C, H, W = d_out.shape
    columns = d_out.transpose(0, 2, 3, 1).reshape(-1, C)
    d_x, d_gamma, d_beta = batch_norm_backward(columns, cache)
    return d_x.reshape(N, H, W, C).transpose(0, 3, 1, 2), d_gamma, d_beta
    ### END SOLUTION


# %%
check(batch_norm_2d_backward)

# %% [markdown]
# Does it agree with PyTorch's own layer? This compares output and gradient on random images.

# %% tags=["demonstration"]
images = rng.standard_normal((8, 3, 5, 5))
upstream = rng.standard_normal(images.shape)
out, mean, var, cache = batch_norm_2d_forward(
    images, np.ones(3), np.zeros(3), np.zeros(3), np.ones(3), True
)
d_x, d_gamma, d_beta = batch_norm_2d_backward(upstream, cache)

layer = nn.BatchNorm2d(3).double()
x = torch.tensor(images, requires_grad=True)
layer(x).backward(torch.tensor(upstream))
print("largest difference from PyTorch")
print(f"  output       {np.abs(out - layer(x).detach().numpy()).max():.1e}")
print(f"  gradient     {np.abs(d_x - x.grad.numpy()).max():.1e}")
print(f"  of gamma     {np.abs(d_gamma - layer.weight.grad.numpy()).max():.1e}")

# %% [markdown]
# ## Task 4: the layer as a PyTorch module ({{points:BatchNorm1d}} points)
#
# In PyTorch autograd does the backward pass, and the work moves elsewhere: what is a parameter,
# what is a buffer, and which mode is the module in? Write `BatchNorm1d` without using PyTorch's
# own. Its `state_dict` must be interchangeable with that of `nn.BatchNorm1d`: parameters `weight`
# and `bias` (that is $\gamma$ and $\beta$), and buffers `running_mean`, `running_var` and
# `num_batches_tracked`, which counts the batches seen in training and starts as `torch.tensor(0)`.


# %%
class BatchNorm1d(nn.Module):
    """Batch normalization over inputs of shape (N, C).

    Parameters
    ----------
    num_features : int
        C.
    eps : float
        Added to the variance under the root.
    momentum : float
        Share of the batch in the new running statistics.

    Notes
    -----
    `forward` takes a tensor of shape (N, C) and returns one. In training it raises a ValueError
    when N is 1.

    Examples
    --------
    >>> layer = BatchNorm1d(1, eps=0.0)
    >>> layer(torch.tensor([[1.0], [3.0]])).flatten().tolist()
    [-1.0, 1.0]
    >>> sorted(layer.state_dict())
    ['bias', 'num_batches_tracked', 'running_mean', 'running_var', 'weight']
    """

    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        super().__init__()
        ### BEGIN SOLUTION
        # A buffer is saved with the model and moves with it to another device, but no optimizer
        # sees it; a plain attribute would be lost by `state_dict`. The running statistics are
        # updated under `no_grad`: they are a record of the data and no part of the function that
        # is differentiated. The mean and variance of the batch, in contrast, stay in the graph.
        # `lerp_(new, momentum)` is $(1-m)\cdot$ old $+\, m\cdot$ new.
        self.eps = eps
        self.momentum = momentum
        self.weight = nn.Parameter(torch.ones(num_features))
        self.bias = nn.Parameter(torch.zeros(num_features))
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_var", torch.ones(num_features))
        self.register_buffer("num_batches_tracked", torch.tensor(0))
        ### END SOLUTION

    def forward(self, x):
        ### BEGIN SOLUTION
        if self.training:
            if len(x) == 1:
                raise ValueError("batch norm cannot train on a single row")
            mean, var = x.mean(dim=0), x.var(dim=0, correction=0)
            with torch.no_grad():
                self.running_mean.lerp_(mean, self.momentum)
                self.running_var.lerp_(x.var(dim=0), self.momentum)
                self.num_batches_tracked += 1
        else:
            mean, var = self.running_mean, self.running_var
        return self.weight * (x - mean) / torch.sqrt(var + self.eps) + self.bias
        ### END SOLUTION


# %%
check(BatchNorm1d)

# %% [markdown]
# The proof that the two are interchangeable: train PyTorch's layer for a few batches, load its
# state into yours, and compare.

# %% tags=["demonstration"]
generator = torch.Generator().manual_seed(0)
theirs, yours = nn.BatchNorm1d(5), BatchNorm1d(5)
for _ in range(10):
    theirs(3 + 2 * torch.randn(16, 5, generator=generator))
print(yours.load_state_dict(theirs.state_dict()))
fresh = torch.randn(4, 5, generator=generator)
difference = (theirs.eval()(fresh) - yours.eval()(fresh)).abs().max()
print(f"largest difference in evaluation mode: {difference:.1e}")

# %% [markdown]
# ## Task 5: folding ({{points:fold_batch_norm}} points)
#
# In evaluation mode batch norm is an affine map with constants. After a linear layer it is
# another affine map on top of one, and two of them are one: there are `W_folded` and `b_folded`
# with
#
# $$
# x W_{\text{folded}} + b_{\text{folded}}
#   = \gamma \odot \frac{(x W + b) - \mu_{\text{run}}}{\sqrt{\sigma^2_{\text{run}} + \epsilon}}
#   + \beta
# \quad \text{for every } x .
# $$
#
# A network that has been trained can so get rid of its batch norm layers.


# %%
def fold_batch_norm(W, b, gamma, beta, running_mean, running_var, eps):
    """Fold batch norm in evaluation mode into the linear layer before it.

    Parameters
    ----------
    W : array of shape (D_in, D_out)
    b : array of shape (D_out,)
        The linear layer `x @ W + b`.
    gamma, beta, running_mean, running_var : arrays of shape (D_out,)
        The batch norm layer that follows.
    eps : float
        Added to the variance under the root.

    Returns
    -------
    W_folded : array of shape (D_in, D_out)
    b_folded : array of shape (D_out,)

    Examples
    --------
    >>> W, b = np.array([[1.0], [2.0]]), np.array([3.0])
    >>> gamma, beta, mean, var = np.array([6.0]), np.array([1.0]), np.array([1.0]), np.array([4.0])
    >>> fold_batch_norm(W, b, gamma, beta, mean, var, eps=0.0)
    (array([[3.],
           [6.]]), array([7.]))
    """
    ### BEGIN SOLUTION
    # In evaluation, batch norm multiplies each feature by one number and adds another. Features
    # are the columns of `W`, so a vector of factors broadcasts over the rows as it should. The
    # bias is shifted by the running mean before it is scaled, and `beta` is added last.
    factor = gamma / np.sqrt(running_var + eps)
    return W * factor, (b - running_mean) * factor + beta
    ### END SOLUTION


# %%
check(fold_batch_norm)

# %% [markdown]
# ## An experiment: which learning rates does batch norm tolerate?
#
# This part is not graded. A small network learns scikit-learn's digits, a fifth of its training
# labels wrong, once with your `BatchNorm1d` and once without, at learning rates from timid to
# reckless. Look first at how wide the range of learning rates is that works at all. Then compare
# the best accuracies, and the two curves at a learning rate of 1, where batch norm is behind: it
# helps to *train*, and that includes training on wrong labels (the chapter measures how many of
# them it learns).

# %% tags=["demonstration"]
from sklearn.datasets import load_digits

digits = load_digits()


def noisy_split(rng):
    """Return training and test set, a fifth of the training labels replaced by wrong ones."""
    order = rng.permutation(len(digits.target))
    train, test = order[:600], order[600:]
    labels = digits.target[train].copy()
    flipped = rng.random(len(labels)) < 0.2
    labels[flipped] = (labels[flipped] + rng.integers(1, 10, flipped.sum())) % 10

    def tensors(rows, targets):
        pixels = torch.tensor(digits.data[rows] / 16.0, dtype=torch.float32)
        return pixels, torch.tensor(targets)

    return *tensors(train, labels), *tensors(test, digits.target[test])


def accuracy(lr, with_batch_norm, seed, epochs=20):
    """Train a network with one hidden layer and return its accuracy on clean test images."""
    rng = np.random.default_rng(seed)
    x, y, x_test, y_test = noisy_split(rng)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        norm = [BatchNorm1d(64)] if with_batch_norm else []
        model = nn.Sequential(nn.Linear(64, 64), *norm, nn.ReLU(), nn.Linear(64, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    for _ in range(epochs):
        for rows in np.array_split(rng.permutation(len(y)), 20):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()
    model.eval()
    with torch.no_grad():
        return (model(x_test).argmax(dim=1) == y_test).double().mean().item()


# Matrices this small are slower on several threads.
torch.set_num_threads(1)
learning_rates = [0.003, 0.03, 0.1, 0.3, 1.0, 3.0]
fig, axes = plt.subplots(figsize=(7, 4))
print(f"{'learning rate':>16}:", "  ".join(f"{lr:<4g}" for lr in learning_rates))
for with_batch_norm, label, marker in ((False, "without", "o"), (True, "with batch norm", "s")):
    scores = np.array(
        [[accuracy(lr, with_batch_norm, seed) for seed in range(3)] for lr in learning_rates]
    )
    mean, spread = scores.mean(axis=1), scores.std(axis=1)
    axes.errorbar(learning_rates, mean, spread, marker=marker, capsize=3, label=label)
    print(f"{label:>16}:", "  ".join(f"{value:.2f}" for value in mean))
axes.set(xscale="log", xlabel="learning rate", ylabel="accuracy on clean test images")
axes.set_title("mean and standard deviation over 3 seeds")
axes.legend()
plt.show()

# %% [markdown]
# ## Before you hand in
#
# How far you are, and what is left:

# %% tags=["demonstration"]
progress("batch_norm")

# %% [markdown]
# Save the notebook, then run the next cell. It runs the file in a fresh process, as grading will,
# says what would be lost, and makes the file to hand in. `autograder ready batch_norm.ipynb` does
# the same in a terminal.

# %% tags=["demonstration"]
ready("batch_norm.ipynb")
