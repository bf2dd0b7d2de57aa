# %% [markdown]
# # Capstone: a regularized network
#
# You put the whole course together: a network with batch normalization, dropout and weight decay,
# forward and backward, in NumPy. Then you train it, and see on digits with wrong labels what each
# of the three does, alone and beside the others.
#
# This exercise belongs to the chapters *L2 regularization and weight decay*, *Dropout* and *Batch
# normalization*. Your functions from their exercises may be copied here, in a cell of your own
# above the first task. But there is one mask here that everybody has to draw alike, by
# `rng.random(H.shape) < keep_prob`, so that the numbers can be compared.
#
# **How to work.** Write your code where it says `YOUR CODE HERE`, run the cell, then run the cell
# below it, `check(two_layer_net)`. It answers at once: what is right, what is not and, if it
# knows the mistake, which one it is. Check as often as you like; your work is graded in the same
# way on other numbers. If you are stuck, run `hint(two_layer_net)` in a cell of your own: it
# gives a hint, and another one each time you run it, at no cost. Cells marked *Locked* are the
# course's own: you may run them, and grading uses its own copy. You may add cells of your own
# anywhere. After a restart of the kernel run everything from the top. A `NameError` means that a
# cell above has not been run.
#
# **What is not allowed.** Answers are written in NumPy, without PyTorch and without the package
# `autograder`. Both are not there when an answer is tried, so one that uses them earns nothing, and
# `check` says so for PyTorch. Comparing with PyTorch in a cell of your own is fine.
#
# **How to hand in.** Run everything from top to bottom once (*Restart and run all*) and save. The
# last cell, `ready("capstone.ipynb")`, tries the saved file as grading will and makes the file to
# hand in.

# %%
import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import nn

from autograder import check, hint, progress, ready

# %% tags=["demonstration"]
progress("capstone")

# %% [markdown]
# ## Task 1: the network ({{points:two_layer_net}} points)
#
# Each of the three regularizers changes what the others see: dropout acts on what batch norm has
# scaled, and the penalty pulls on weights whose scale batch norm divides out again. To watch that,
# you need all of them in one network:
#
# $$
# Z = X W_1 + b_1, \qquad
# \hat Z = \frac{Z - \mu}{\sqrt{\sigma^2 + \epsilon}}, \qquad
# H = \max(0,\ \gamma \hat Z + \beta), \qquad
# S = (M \odot H)\, W_2 + b_2 ,
# $$
#
# $$
# L = \frac{1}{N} \sum_{i=1}^{N} -\log \operatorname{softmax}(S_i)_{y_i}
#   + \frac{\lambda}{2} \left( \lVert W_1 \rVert^2 + \lVert W_2 \rVert^2 \right) .
# $$
#
# | what is used | in training | in evaluation |
# |---|---|---|
# | $\mu$, $\sigma^2$ | mean and variance of the batch (division by $N$) | the running ones |
# | running statistics | 0.9 · old + 0.1 · those of the batch | as they are |
# | $M$ | `1 / keep_prob` where `rng.random(H.shape) < keep_prob`, else 0 | 1 |
#
# The variance that goes into the running variance is the one with division by $N - 1$. $\epsilon$
# is $10^{-5}$. The loss contains the penalty in both modes, and the gradients are those of the loss
# that is returned, in both modes. Where the input of ReLU is exactly 0, no gradient passes it, as
# in PyTorch. And scores may be in the thousands here, as they were in softmax regression: the loss
# and the gradients have to be right for those as well.
#
# Write `two_layer_net(x, y, params, running, weight_decay, keep_prob, training, rng)`.


# %%
def two_layer_net(x, y, params, running, weight_decay, keep_prob, training, rng):
    """Return loss, gradients and running statistics of a regularized two-layer network.

    In training it normalizes with the statistics of the batch and drops hidden units; in
    evaluation it normalizes with the running statistics and drops nothing.

    Parameters
    ----------
    x : np.ndarray, shape (N, D)
        One example per row.
    y : np.ndarray of int, shape (N,)
        The right class of each row.
    params : dict
        "W1" (D, H), "b1" (H,), "gamma" (H,), "beta" (H,), "W2" (H, C), "b2" (C,). Not changed.
    running : dict
        "mean" (H,) and "var" (H,), the running statistics of batch norm. Not changed.
    weight_decay : float
        Strength λ of the penalty on W1 and W2.
    keep_prob : float
        Probability that a hidden unit is kept in training, 0 < keep_prob ≤ 1.
    training : bool
        Training or evaluation.
    rng : np.random.Generator
        Draws the mask, by one call of ``rng.random(hidden.shape)`` in training.

    Returns
    -------
    loss : float
        Mean cross-entropy plus penalty.
    grads : dict
        The gradient of the loss for each parameter, with the keys and shapes of params.
    running : dict
        The new running statistics in training; those that came in, in evaluation.

    Examples
    --------
    In evaluation, with γ = 0, the hidden units are max(0, β) = 2, the scores 2 and 0:

    >>> params = {"W1": np.zeros((1, 1)), "b1": np.zeros(1), "gamma": np.zeros(1)}
    >>> params |= {"beta": np.full(1, 2.0), "W2": np.array([[1.0, 0.0]]), "b2": np.zeros(2)}
    >>> running = {"mean": np.zeros(1), "var": np.ones(1)}
    >>> x, y, rng = np.ones((1, 1)), np.array([0]), np.random.default_rng(0)
    >>> loss, grads, _ = two_layer_net(x, y, params, running, 0.1, 0.5, False, rng)
    >>> print(round(loss, 4))  # log(1 + exp(-2)) + 0.05
    0.1769
    >>> print(grads["b2"].round(4))
    [-0.1192  0.1192]
    """
    ### BEGIN SOLUTION
    # Forward and backward are each one line for each layer, and the backward lines come in the
    # opposite order. Every gradient that comes from below uses what the forward pass kept: the
    # mask with its scale, where the input of ReLU was positive, `z_hat` and `std`. In evaluation
    # the mask is 1 and the statistics are constants, so two lines differ. Only `W1` and `W2` are
    # penalized, once in the loss and once in their gradients.
    n = len(x)
    W1, W2, gamma = params["W1"], params["W2"], params["gamma"]

    z = x @ W1 + params["b1"]
    if training:
        mean, var = z.mean(axis=0), z.var(axis=0)
        running = {
            "mean": 0.9 * running["mean"] + 0.1 * mean,
            "var": 0.9 * running["var"] + 0.1 * var * n / (n - 1),
        }
    else:
        mean, var = running["mean"], running["var"]
        running = {"mean": mean.copy(), "var": var.copy()}
    std = np.sqrt(var + 1e-5)
    z_hat = (z - mean) / std
    normalized = gamma * z_hat + params["beta"]
    hidden = np.maximum(normalized, 0.0)
    mask = (rng.random(hidden.shape) < keep_prob) / keep_prob if training else 1.0
    dropped = hidden * mask
    scores = dropped @ W2 + params["b2"]

    rows = np.arange(n)
    scores = scores - scores.max(axis=1, keepdims=True)
    log_probabilities = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    penalty = 0.5 * weight_decay * (np.sum(W1**2) + np.sum(W2**2))
    loss = -log_probabilities[rows, y].mean() + penalty

    d_scores = np.exp(log_probabilities)
    d_scores[rows, y] -= 1.0
    d_scores /= n
    d_hidden = (d_scores @ W2.T) * mask
    d_normalized = d_hidden * (normalized > 0)
    d_z = d_normalized * gamma
    if training:
        d_z = d_z - d_z.mean(axis=0) - z_hat * (d_z * z_hat).mean(axis=0)
    d_z = d_z / std
    grads = {
        "W1": x.T @ d_z + weight_decay * W1,
        "b1": d_z.sum(axis=0),
        "gamma": (d_normalized * z_hat).sum(axis=0),
        "beta": d_normalized.sum(axis=0),
        "W2": dropped.T @ d_scores + weight_decay * W2,
        "b2": d_scores.sum(axis=0),
    }
    return loss, grads, running
    ### END SOLUTION


# %%
check(two_layer_net)

# %% [markdown]
# The same network made of PyTorch's layers, with autograd for the backward pass. `keep_prob` is 1
# here, because PyTorch draws its masks from another generator.

# %% tags=["demonstration"]
rng = np.random.default_rng(0)
x, y = rng.standard_normal((8, 5)), rng.integers(0, 3, 8)
params = {
    "W1": rng.standard_normal((5, 6)),
    "b1": rng.standard_normal(6),
    "gamma": np.ones(6),
    "beta": np.zeros(6),
    "W2": rng.standard_normal((6, 3)),
    "b2": rng.standard_normal(3),
}
running = {"mean": np.zeros(6), "var": np.ones(6)}
loss, grads, new_running = two_layer_net(x, y, params, running, 0.2, 1.0, True, rng)

first, norm, second = nn.Linear(5, 6), nn.BatchNorm1d(6), nn.Linear(6, 3)
network = nn.Sequential(first, norm, nn.ReLU(), second).double()
with torch.no_grad():
    first.weight.copy_(torch.tensor(params["W1"].T))
    first.bias.copy_(torch.tensor(params["b1"]))
    second.weight.copy_(torch.tensor(params["W2"].T))
    second.bias.copy_(torch.tensor(params["b2"]))
cross_entropy = nn.functional.cross_entropy(network(torch.tensor(x)), torch.tensor(y))
penalty = 0.1 * (first.weight.square().sum() + second.weight.square().sum())
(cross_entropy + penalty).backward()
print(f"loss: yours {loss:.12f}, PyTorch's {(cross_entropy + penalty).item():.12f}")
for name, theirs in (
    ("W1", first.weight.grad.T),
    ("gamma", norm.weight.grad),
    ("W2", second.weight.grad.T),
):
    print(f"largest difference in {name}: {np.abs(grads[name] - theirs.numpy()).max():.1e}")
difference = np.abs(new_running["var"] - norm.running_var.numpy()).max()
print(f"largest difference in the running variance: {difference:.1e}")

# %% [markdown]
# ## Task 2: prediction ({{points:predict}} points)
#
# To use the network you need its scores, not its loss, and there are no labels. Everything is as in
# evaluation: $S = \max(0,\ \gamma \hat Z + \beta)\, W_2 + b_2$, with the running statistics in
# $\hat Z$ and without dropout.
#
# Write `predict(x, params, running)`.


# %%
def predict(x, params, running):
    """Return the class scores of the network in evaluation mode.

    Parameters
    ----------
    x : np.ndarray, shape (N, D)
        One example per row.
    params, running : dict
        As in `two_layer_net`. Not changed.

    Returns
    -------
    np.ndarray, shape (N, C)
        The scores, before the softmax.

    Examples
    --------
    >>> params = {"W1": np.zeros((1, 1)), "b1": np.zeros(1), "gamma": np.zeros(1)}
    >>> params |= {"beta": np.full(1, 2.0), "W2": np.array([[1.0, 0.0]]), "b2": np.zeros(2)}
    >>> print(predict(np.ones((1, 1)), params, {"mean": np.zeros(1), "var": np.ones(1)}))
    [[2. 0.]]
    """
    ### BEGIN SOLUTION
    # It is the forward pass of evaluation alone: running statistics, no mask, no loss. Nothing is
    # drawn, so the same input gives the same scores every time.
    z = x @ params["W1"] + params["b1"]
    z_hat = (z - running["mean"]) / np.sqrt(running["var"] + 1e-5)
    hidden = np.maximum(params["gamma"] * z_hat + params["beta"], 0.0)
    return hidden @ params["W2"] + params["b2"]
    ### END SOLUTION


# %%
check(predict)

# %% [markdown]
# ## Task 3: training ({{points:train}} points)
#
# Training is one step of gradient descent after another, each on a few rows of the data. Two things
# have to be handed from step to step: the parameters, $w \leftarrow w - \eta\, \partial L/\partial
# w$ for each of them, and the running statistics. The gradients of `two_layer_net` contain the
# penalty's already.
#
# Write `train(x, y, params, running, batches, lr, weight_decay, keep_prob, rng)`. Each element of
# `batches` is an array of row numbers; take one step for each, in order.


# %%
def train(x, y, params, running, batches, lr, weight_decay, keep_prob, rng):
    """Train the network by one step of gradient descent for each batch.

    Parameters
    ----------
    x : np.ndarray, shape (N, D)
        One example per row.
    y : np.ndarray of int, shape (N,)
        The class of each row.
    params, running : dict
        Where training starts from, as in `two_layer_net`. Not changed.
    batches : list of np.ndarray of int
        The rows of each step, in order.
    lr : float
        Learning rate η.
    weight_decay, keep_prob : float
        As in `two_layer_net`.
    rng : np.random.Generator
        Handed to `two_layer_net` in each step.

    Returns
    -------
    params : dict
        The parameters after the last step.
    running : dict
        The running statistics after the last step.
    losses : list of float
        For each step the loss of its batch before the update.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> params = {"W1": np.ones((1, 1)), "b1": np.zeros(1), "gamma": np.zeros(1)}
    >>> params |= {"beta": np.full(1, 2.0), "W2": np.zeros((1, 2)), "b2": np.zeros(2)}
    >>> running = {"mean": np.zeros(1), "var": np.ones(1)}
    >>> x, y = np.array([[0.0], [2.0], [4.0]]), np.array([0, 0, 1])
    >>> batches = [np.array([0, 1])]
    >>> new_params, new_running, losses = train(
    ...     x, y, params, running, batches, 0.1, 0.0, 1.0, rng
    ... )
    >>> print(new_params["W2"], new_running["mean"], round(losses[0], 4))
    [[ 0.1 -0.1]] [0.1] 0.6931
    """
    ### BEGIN SOLUTION
    # The gradients are all computed before any parameter changes, and the running statistics of
    # one step are the input of the next. `params` is bound to a new dictionary in each step, so
    # the caller's is never changed. One generator is passed through all steps: each one draws a
    # new mask.
    losses = []
    for batch in batches:
        loss, grads, running = two_layer_net(
            x[batch], y[batch], params, running, weight_decay, keep_prob, True, rng
        )
        params = {name: params[name] - lr * grads[name] for name in params}
        losses.append(loss)
    return params, running, losses
    ### END SOLUTION


# %%
check(train)

# %% [markdown]
# ## Experiment: digits with wrong labels
#
# Nothing here is graded. The data are 300 images of handwritten digits, of which one in five has a
# wrong label. The other 1497 images, with their true labels, are for testing. Everything random
# comes from one generator: the choice of images, the wrong labels, the first weights, the batches
# and the masks.


# %% tags=["demonstration"]
from sklearn.datasets import load_digits


def noisy_digits(rng, n_train=300):
    """Return training digits, one label in five wrong, and test digits with true labels."""
    images, labels = load_digits(return_X_y=True)
    order = rng.permutation(len(labels))
    images, labels = images[order] / 16, labels[order]
    y_train = labels[:n_train].copy()
    wrong = rng.choice(n_train, n_train // 5, replace=False)
    # A shift by 1 to 9 always gives another digit.
    y_train[wrong] = (y_train[wrong] + rng.integers(1, 10, wrong.size)) % 10
    return images[:n_train], y_train, images[n_train:], labels[n_train:]


def first_weights(rng, hidden=64):
    """Return parameters and running statistics for 64 inputs and 10 classes."""
    params = {
        "W1": rng.standard_normal((64, hidden)) * np.sqrt(2 / 64),
        "b1": np.zeros(hidden),
        "gamma": np.ones(hidden),
        "beta": np.zeros(hidden),
        "W2": rng.standard_normal((hidden, 10)) * np.sqrt(1 / hidden),
        "b2": np.zeros(10),
    }
    return params, {"mean": np.zeros(hidden), "var": np.ones(hidden)}


def draw_batches(rng, n, epochs):
    """Return batches of 50 rows that go through all n rows once in each epoch."""
    return [batch for _ in range(epochs) for batch in rng.permutation(n).reshape(-1, 50)]


def accuracy(x, y, params, running):
    return (predict(x, params, running).argmax(axis=1) == y).mean()


rng = np.random.default_rng(0)
x, y, x_test, y_test = noisy_digits(rng)
params, running = first_weights(rng)
params, running, losses = train(
    x, y, params, running, draw_batches(rng, 300, 60), 0.2, 0.0, 1.0, rng
)
fig, ax = plt.subplots(figsize=(5, 3))
ax.plot(losses, linewidth=1)
ax.set(xlabel="step", ylabel="loss of the batch", title="Without dropout and weight decay")
plt.show()
print(f"training labels, as given: {accuracy(x, y, params, running):.1%}")
print(f"test images:               {accuracy(x_test, y_test, params, running):.1%}")

# %% [markdown]
# The loss looks splendid. The network has learned nearly all of its training labels, the wrong ones
# included, and that is the trouble.
#
# ### Weight decay and dropout
#
# Now with regularization, four runs of each kind. The last three rows are a network *without* batch
# norm. You have written that, too: with running mean 0, running variance 1, γ = 1 and β = 0,
# evaluation mode leaves $Z$ as it is (up to ε), and its gradients are those of a plain network.


# %% tags=["demonstration"]
def train_plain(x, y, params, batches, lr, weight_decay, rng):
    """Train without batch norm and dropout."""
    identity = {"mean": np.zeros_like(params["b1"]), "var": np.ones_like(params["b1"])}
    for batch in batches:
        _, grads, _ = two_layer_net(
            x[batch], y[batch], params, identity, weight_decay, 1.0, False, rng
        )
        step = {name: params[name] - lr * grads[name] for name in ("W1", "b1", "W2", "b2")}
        params = {**params, **step}
    return params, identity


def experiment(seed, lr=0.2, weight_decay=0.0, keep_prob=1.0, batch_norm=True, epochs=60):
    """Return the accuracy on training and on test images after training from a seed."""
    rng = np.random.default_rng(seed)
    x, y, x_test, y_test = noisy_digits(rng)
    params, running = first_weights(rng)
    batches = draw_batches(rng, len(x), epochs)
    if batch_norm:
        params, running, _ = train(x, y, params, running, batches, lr, weight_decay, keep_prob, rng)
    else:
        params, running = train_plain(x, y, params, batches, lr, weight_decay, rng)
    return accuracy(x, y, params, running), accuracy(x_test, y_test, params, running)


print("                             training   test: mean   lowest  highest of four runs")
for label, options in (
    ("batch norm", {}),
    ("  + weight decay 0.01", {"weight_decay": 0.01}),
    ("  + dropout, keep_prob 0.5", {"keep_prob": 0.5}),
    ("  + dropout, keep_prob 0.3", {"keep_prob": 0.3}),
    ("no batch norm", {"batch_norm": False}),
    ("  + weight decay 0.01", {"batch_norm": False, "weight_decay": 0.01}),
    ("  + weight decay 0.1", {"batch_norm": False, "weight_decay": 0.1}),
):
    fit, test = 100 * np.array([experiment(seed, **options) for seed in range(4)]).T
    print(
        f"{label:28} {fit.mean():5.1f} %      {test.mean():5.1f} %  "
        f"{test.min():5.1f} %  {test.max():5.1f} %"
    )

# %% [markdown]
# Three things to see:
#
# - **Dropout** keeps the network from learning the wrong labels: it agrees with fewer of the
#   training labels and is better on the test images, in every run.
# - **Weight decay beside batch norm** does next to nothing here. Batch norm divides the scale of
#   $W_1$ out again, so shrinking $W_1$ does not make the network simpler. Without batch norm the
#   same λ helps; and ten times as much is far too much.
# - **Batch norm** makes the test accuracy *worse* here. It fits the training labels much better in
#   the same number of steps, and a fifth of them is wrong. Batch norm is there for other reasons.
#
# ### What batch norm is for: learning rates
#
# Ten epochs, without regularization, for learning rates from 0.01 to 10.

# %% tags=["demonstration"]
rates = [0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0]
fig, ax = plt.subplots(figsize=(6, 3.5))
print("learning rate        " + "  ".join(f"{rate:6g}" for rate in rates))
for batch_norm, label in ((True, "with batch norm"), (False, "without batch norm")):
    runs = np.array(
        [
            [experiment(seed, rate, batch_norm=batch_norm, epochs=10)[1] for rate in rates]
            for seed in range(3)
        ]
    )
    print(f"{label:21}" + "  ".join(f"{100 * mean:4.1f} %" for mean in runs.mean(axis=0)))
    (line,) = ax.semilogx(rates, runs.mean(axis=0), "o-", label=label)
    ax.semilogx(rates, runs.T, "o", color=line.get_color(), alpha=0.3, markersize=4)
ax.set(
    xlabel="learning rate",
    ylabel="test accuracy",
    ylim=(0, 1),
    title="After ten epochs (large dots: mean of three runs)",
)
ax.legend()
plt.show()

# %% [markdown]
# With batch norm the network learns from smaller steps, and it still learns at a rate of 3, where
# the plain network does no better than guessing, or hardly. Batch norm does not tolerate every
# rate: at 10 both fail. At a rate of 1, where both train, the plain network is the better one on
# these labels, for the reason seen above.

# %% [markdown]
# ## Before you hand in
#
# How far you are, and what is left:

# %% tags=["demonstration"]
progress("capstone")

# %% [markdown]
# Save the notebook, then run the next cell. It runs the file in a fresh process, as grading will,
# says what would be lost, and makes the file to hand in. `autograder ready capstone.ipynb` does the
# same in a terminal.

# %% tags=["demonstration"]
ready("capstone.ipynb")
