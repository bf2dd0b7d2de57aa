# %% [markdown]
# # Exercise: L2 regularization and weight decay
#
# You build weight decay from the ground up: the penalty and its gradient, a classifier that is
# trained with it, the update rules of SGD, Adam and AdamW, and the function that tells PyTorch
# which parameters to decay. At the end you use your own code to train on digits of which one label
# in five is wrong.
#
# This exercise belongs to the chapter *L2 regularization and weight decay*.
#
# **How to work.** Write your code where it says `YOUR CODE HERE`, run the cell, then run the cell
# below it, `check(l2_penalty)`. It answers at once: what is right, what is not and, if it knows
# the mistake, which one it is. Check as often as you like; your work is graded in the same way on
# other numbers. If you are stuck, run `hint(l2_penalty)` in a cell of your own: it gives a hint,
# and another one each time you run it, at no cost. Cells marked *Locked* are the course's own:
# you may run them, and grading uses its own copy. You may add cells of your own anywhere. After a
# restart of the kernel run everything from the top. A `NameError` means that a cell above has not
# been run.
#
# **What is not allowed.** Answers are written in NumPy, without PyTorch and without the package
# `autograder`; only the last task is about PyTorch. Both are not there when an answer is tried, so
# one that uses them earns nothing, and `check` says so for PyTorch. Comparing with PyTorch in a
# cell of your own is fine.
#
# **How to hand in.** Run everything from top to bottom once (*Restart and run all*) and save. The
# last cell, `ready("l2.ipynb")`, tries the saved file as grading will and makes the file to hand
# in.

# %%
import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import nn

from autograder import check, hint, progress, ready

# %% tags=["demonstration"]
progress("l2")

# %% [markdown]
# ## Task 1: the penalty ({{points:l2_penalty}} points)
#
# To fit single odd examples closely a model needs large weights. L2 regularization charges for them
# by adding half the sum of all squared weights, times a strength $\lambda$, to the loss:
#
# $$
# R(W_1, \dots, W_L) = \frac{\lambda}{2} \sum_{l=1}^{L} \lVert W_l \rVert^2 ,
# \qquad \lVert W_l \rVert^2 = \text{sum of the squares of all entries of } W_l .
# $$
#
# Write `l2_penalty(weights, weight_decay)`. The strength $\lambda$ is called `weight_decay`, as in
# PyTorch.


# %%
def l2_penalty(weights, weight_decay):
    """Return the L2 penalty of several weights.

    Parameters
    ----------
    weights : list of np.ndarray
        Weights of any shapes; not changed.
    weight_decay : float
        The strength λ of the penalty.

    Returns
    -------
    float
        λ/2 times the sum of the squares of all entries of all weights.

    Examples
    --------
    The squares add up to 1 + 4 + 0 + 9 = 14 and 4 + 1 = 5:

    >>> weights = [np.array([[1.0, -2.0], [0.0, 3.0]]), np.array([[2.0], [1.0]])]
    >>> print(round(l2_penalty(weights, 0.1), 6))
    0.95
    """
    ### BEGIN SOLUTION
    # The factor one half is there for the gradient: it cancels the 2 that the square brings down.
    # `np.sum(w**2)` adds up all entries of an array whatever its shape, so that filters and
    # embeddings need no case of their own; `np.linalg.norm(w)` would take a root that has to be
    # squared away again.
    return 0.5 * weight_decay * sum(np.sum(w**2) for w in weights)
    ### END SOLUTION


# %%
check(l2_penalty)

# %% [markdown]
# ## Task 2: its gradient ({{points:l2_penalty_backward}} points)
#
# Training needs the derivative of the penalty with respect to every entry of every weight. In the
# sum, each entry has a term of its own, so all others are constants:
#
# $$
# \frac{\partial R}{\partial w} = \frac{\partial}{\partial w}\,\frac{\lambda}{2} w^2 = \lambda w .
# $$
#
# Write `l2_penalty_backward(weights, weight_decay)`.


# %%
def l2_penalty_backward(weights, weight_decay):
    """Return the gradient of the L2 penalty with respect to each weight.

    Parameters
    ----------
    weights : list of np.ndarray
        Weights of any shapes; not changed.
    weight_decay : float
        The strength λ of the penalty.

    Returns
    -------
    list of np.ndarray
        For each weight a new array of its shape.

    Examples
    --------
    >>> weights = [np.array([[1.0, -2.0], [0.0, 3.0]]), np.array([4.0, 5.0])]
    >>> d_first, d_second = l2_penalty_backward(weights, 0.5)
    >>> print(d_first)
    [[ 0.5 -1. ]
     [ 0.   1.5]]
    >>> print(d_second)
    [2.  2.5]
    """
    ### BEGIN SOLUTION
    # Each weight is pulled toward 0 in proportion to itself, so large weights shrink fast and
    # small ones hardly at all. Other weights do not appear, which is why the same line serves a
    # list of any shapes. The product is a new array: the caller's weights stay as they are.
    return [weight_decay * w for w in weights]
    ### END SOLUTION


# %%
check(l2_penalty_backward)

# %% [markdown]
# Is a gradient right? Nudge one entry a little in both directions and see how fast the penalty
# changes. Below, each dot is one entry of a weight; it should lie on the diagonal.

# %% tags=["demonstration"]
weight = np.random.default_rng(0).standard_normal((4, 3))
d_weight = l2_penalty_backward([weight], 0.3)[0]
measured = np.empty_like(weight)
for index in np.ndindex(weight.shape):
    nudge = np.zeros_like(weight)
    nudge[index] = 1e-5
    difference = l2_penalty([weight + nudge], 0.3) - l2_penalty([weight - nudge], 0.3)
    measured[index] = difference / 2e-5

fig, ax = plt.subplots(figsize=(3.5, 3.5))
ax.axline((0, 0), slope=1, color="gray", linewidth=1)
ax.plot(measured.ravel(), d_weight.ravel(), "o")
ax.set(xlabel="measured by nudging", ylabel="your gradient", title="Gradient of the penalty")
plt.show()

# %% [markdown]
# ## Task 3: softmax regression ({{points:softmax_regression}} points)
#
# Now a model that the penalty regularizes: a linear classifier. It computes a score for each class,
# turns the scores of a row into probabilities by a softmax, and is charged the cross-entropy, the
# negative logarithm of the probability it gave to the right class:
#
# $$
# S = XW + b, \qquad P_{ic} = \frac{e^{S_{ic}}}{\sum_k e^{S_{ik}}}, \qquad
# L = -\frac{1}{N} \sum_{i=1}^{N} \log P_{i y_i} + \frac{\lambda}{2} \lVert W \rVert^2 .
# $$
#
# The bias $b$ is not penalized. With $Y$ the matrix that has a 1 at the right class of each row and
# zeros elsewhere, the gradients are
#
# $$
# \frac{\partial L}{\partial W} = \frac{1}{N} X^\top (P - Y) + \lambda W, \qquad
# \frac{\partial L}{\partial b} = \frac{1}{N} \sum_{i=1}^{N} (P - Y)_i .
# $$
#
# Scores may be in the thousands, and $e^{1000}$ is no floating point number. Subtracting the same
# number from all scores of a row leaves its probabilities as they are; use that.
#
# Write `softmax_regression(x, y, W, b, weight_decay)`.


# %%
def softmax_regression(x, y, W, b, weight_decay):
    """Return the regularized loss of a linear classifier and its gradients.

    Parameters
    ----------
    x : np.ndarray, shape (N, D)
        One example per row.
    y : np.ndarray of int, shape (N,)
        The right class of each row, from 0 to C - 1.
    W : np.ndarray, shape (D, C)
        Weight.
    b : np.ndarray, shape (C,)
        Bias.
    weight_decay : float
        The strength λ of the penalty on W.

    Returns
    -------
    loss : float
        Mean cross-entropy over the batch plus the penalty.
    d_W : np.ndarray, shape (D, C)
        Gradient of the loss with respect to W.
    d_b : np.ndarray, shape (C,)
        Gradient of the loss with respect to b.

    Examples
    --------
    With all weights zero, both classes have probability ½ and the loss is log 2:

    >>> x, y = np.array([[1.0, 2.0]]), np.array([0])
    >>> loss, d_W, d_b = softmax_regression(x, y, np.zeros((2, 2)), np.zeros(2), 0.1)
    >>> print(round(loss, 4))
    0.6931
    >>> print(d_W)
    [[-0.5  0.5]
     [-1.   1. ]]
    >>> print(d_b)
    [-0.5  0.5]
    """
    ### BEGIN SOLUTION
    # Subtracting the largest score of each row changes no probability, and keeps `exp` from
    # overflowing. The logarithm is taken of the sum, never of a probability, which may have
    # become 0.
    #
    # Backward, cross-entropy and softmax together leave only probability minus target, and the
    # mean over the batch divides it by $N$ once. The penalty adds its own gradient to `d_W`; the
    # bias is not penalized, so `d_b` gets nothing from it.
    n = len(x)
    rows = np.arange(n)
    scores = x @ W + b
    scores = scores - scores.max(axis=1, keepdims=True)
    log_probabilities = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    loss = -log_probabilities[rows, y].mean() + l2_penalty([W], weight_decay)

    d_scores = np.exp(log_probabilities)
    d_scores[rows, y] -= 1.0
    d_scores /= n
    d_W = x.T @ d_scores + l2_penalty_backward([W], weight_decay)[0]
    d_b = d_scores.sum(axis=0)
    return loss, d_W, d_b
    ### END SOLUTION


# %%
check(softmax_regression)

# %% [markdown]
# PyTorch's cross-entropy and autograd should find the same numbers.

# %% tags=["demonstration"]
rng = np.random.default_rng(1)
x, y = rng.standard_normal((8, 5)), rng.integers(0, 3, 8)
W, b = rng.standard_normal((5, 3)), rng.standard_normal(3)
loss, d_W, d_b = softmax_regression(x, y, W, b, 0.2)

W_torch = torch.tensor(W, requires_grad=True)
b_torch = torch.tensor(b, requires_grad=True)
scores = torch.tensor(x) @ W_torch + b_torch
loss_torch = nn.functional.cross_entropy(scores, torch.tensor(y)) + 0.1 * W_torch.square().sum()
loss_torch.backward()
print(f"loss: yours {loss:.12f}, PyTorch's {loss_torch.item():.12f}")
print(f"largest difference in d_W: {np.abs(d_W - W_torch.grad.numpy()).max():.1e}")
print(f"largest difference in d_b: {np.abs(d_b - b_torch.grad.numpy()).max():.1e}")

# %% [markdown]
# ## Task 4: a step of SGD ({{points:sgd_step}} points)
#
# Instead of adding the penalty to the loss, PyTorch's SGD adds its gradient to the gradient
# it is given. For plain gradient descent that is the same as multiplying each weight by a number
# slightly below 1 and then stepping as usual, hence *weight decay*:
#
# $$
# w \leftarrow w - \eta \left( \frac{\partial L_0}{\partial w} + \lambda w \right)
#   = (1 - \eta\lambda)\, w - \eta\, \frac{\partial L_0}{\partial w} .
# $$
#
# Write `sgd_step(param, grad, lr, weight_decay)`, a step of `torch.optim.SGD(lr=lr,
# weight_decay=weight_decay)`.


# %%
def sgd_step(param, grad, lr, weight_decay):
    """Return a parameter after one step of gradient descent with weight decay.

    Parameters
    ----------
    param : np.ndarray
        The parameter before the step, of any shape; not changed.
    grad : np.ndarray
        Gradient of the loss without penalty, of the same shape.
    lr : float
        Learning rate η.
    weight_decay : float
        Strength λ.

    Returns
    -------
    np.ndarray
        The parameter after the step.

    Examples
    --------
    (1 - 0.1 · 0.3) · 2 - 0.1 · 0.5 = 1.94 - 0.05:

    >>> print(sgd_step(np.array([2.0]), np.array([0.5]), lr=0.1, weight_decay=0.3))
    [1.89]
    """
    ### BEGIN SOLUTION
    # Weight decay is one more term of the gradient, and the step takes both at once: the old
    # weight is used in both terms. Multiplied out, it is $(1 - \eta\lambda)\,w - \eta g$, which
    # shows why it is called decay. Writing `param -= …` instead would change the caller's array.
    return param - lr * (grad + weight_decay * param)
    ### END SOLUTION


# %%
check(sgd_step)

# %% [markdown]
# A weight on which the loss does not depend has gradient zero. What is left is the decay, and it is
# exponential.

# %% tags=["demonstration"]
fig, ax = plt.subplots(figsize=(5, 3))
for weight_decay in (0.0, 0.1, 0.5):
    path = [np.array([1.0])]
    for _ in range(60):
        path.append(sgd_step(path[-1], np.zeros(1), lr=0.1, weight_decay=weight_decay))
    ax.plot(np.concatenate(path), label=f"λ = {weight_decay}")
ax.set(xlabel="step", ylabel="weight", title="Weight decay alone, η = 0.1", ylim=(0, 1.05))
ax.legend()
plt.show()

# %% [markdown]
# ## Task 5: Adam and AdamW ({{points:adam_step}} points)
#
# Adam keeps running averages of the gradient $g$ and of its square, corrects them for their start
# at zero, and divides one by the root of the other. At step $t = 1, 2, \dots$
#
# $$
# m \leftarrow \beta_1 m + (1 - \beta_1)\, g, \quad
# v \leftarrow \beta_2 v + (1 - \beta_2)\, g^2, \quad
# \hat m = \frac{m}{1 - \beta_1^t}, \quad
# \hat v = \frac{v}{1 - \beta_2^t}, \quad
# w \leftarrow w - \eta\, \frac{\hat m}{\sqrt{\hat v} + \epsilon} .
# $$
#
# Weight decay can enter in two places, and they are not the same:
#
# - *coupled* (`torch.optim.Adam`): $g = \partial L_0/\partial w + \lambda w$, so the penalty's
#   gradient goes through the averages and the division as well;
# - *decoupled* (`torch.optim.AdamW`): $g = \partial L_0/\partial w$, and before Adam's step the
#   weight is multiplied by $1 - \eta\lambda$.
#
# Write `adam_step(param, grad, state, lr, betas, eps, weight_decay, decoupled)`. The state goes in
# and comes out as a dict with the keys `"step"`, `"m"` and `"v"`; before the first step it is
# `{"step": 0, "m": zeros, "v": zeros}`.


# %%
def adam_step(param, grad, state, lr, betas, eps, weight_decay, decoupled):
    """Return a parameter and the optimizer's state after one step of Adam or AdamW.

    Parameters
    ----------
    param : np.ndarray
        The parameter before the step, of any shape; not changed.
    grad : np.ndarray
        Gradient of the loss without penalty, of the same shape.
    state : dict
        "step" (int) counts the steps taken so far; "m" and "v" (np.ndarray of the shape of param)
        are the running averages of the gradient and of its square. Not changed.
    lr : float
        Learning rate η.
    betas : tuple of two floats
        β₁ and β₂.
    eps : float
        ε, added to the root.
    weight_decay : float
        Strength λ.
    decoupled : bool
        False: decay as in Adam. True: decay as in AdamW.

    Returns
    -------
    param : np.ndarray
        The parameter after the step.
    state : dict
        The state after the step, with the same keys.

    Examples
    --------
    In the first step m̂ is the gradient and √v̂ its size, so that here Adam's update is
    0.1 · 0.5 / (0.5 + 0.5) = 0.05:

    >>> start = {"step": 0, "m": np.zeros(1), "v": np.zeros(1)}
    >>> w, g = np.array([1.0]), np.array([0.5])
    >>> new_w, state = adam_step(w, g, start, 0.1, (0.9, 0.999), 0.5, 0.0, decoupled=False)
    >>> print(new_w.round(6), state["step"], state["m"].round(6), state["v"].round(6))
    [0.95] 1 [0.05] [0.00025]

    Decoupled decay with λ = 0.2 multiplies the weight by 0.98 first:

    >>> new_w, state = adam_step(w, g, start, 0.1, (0.9, 0.999), 0.5, 0.2, decoupled=True)
    >>> print(new_w.round(6))
    [0.93]
    """
    ### BEGIN SOLUTION
    # `step` counts from 1 in the corrections, because both moments begin at 0 and are too small
    # by exactly $1 - \beta^t$. The one difference between the two kinds of decay is where the
    # weight enters: added to the gradient, it passes through both moments and is divided by
    # $\sqrt{\hat v}$; decoupled, it only shrinks the weight. `eps` is added to the root, not
    # under it.
    #
    # New arrays `m` and `v` are returned; an update in place would change the state that the
    # caller still holds.
    beta1, beta2 = betas
    step = state["step"] + 1
    if decoupled:
        param = (1 - lr * weight_decay) * param
    else:
        grad = grad + weight_decay * param
    m = beta1 * state["m"] + (1 - beta1) * grad
    v = beta2 * state["v"] + (1 - beta2) * grad**2
    m_hat = m / (1 - beta1**step)
    v_hat = v / (1 - beta2**step)
    param = param - lr * m_hat / (np.sqrt(v_hat) + eps)
    return param, {"step": step, "m": m, "v": v}
    ### END SOLUTION


# %%
check(adam_step)

# %% [markdown]
# Your step beside PyTorch's two optimizers, ten steps on the same gradients:

# %% tags=["demonstration"]
grads = np.random.default_rng(2).standard_normal((10, 4))
for decoupled, optimizer_class in ((False, torch.optim.Adam), (True, torch.optim.AdamW)):
    w = np.linspace(-1.0, 2.0, 4)
    w_torch = torch.tensor(w, requires_grad=True)
    optimizer = optimizer_class([w_torch], lr=0.1, weight_decay=0.5)
    state = {"step": 0, "m": np.zeros(4), "v": np.zeros(4)}
    for grad in grads:
        w, state = adam_step(w, grad, state, 0.1, (0.9, 0.999), 1e-8, 0.5, decoupled)
        w_torch.grad = torch.tensor(grad)
        optimizer.step()
    difference = np.abs(w - w_torch.detach().numpy()).max()
    print(f"{optimizer_class.__name__:5}: yours {w.round(4)}, largest difference {difference:.1e}")

# %% [markdown]
# ## Task 6: what not to decay ({{points:parameter_groups}} points)
#
# PyTorch's optimizers decay every parameter they are given, but biases and the scale and shift of
# normalization layers are better left alone. A rule that works for most networks: parameters with
# two or more dimensions (matrices, convolution kernels, embeddings) are decayed, all others are
# not.
#
# Write `parameter_groups(model, weight_decay)`, which returns two groups that can be handed to any
# optimizer: `torch.optim.AdamW(parameter_groups(model, 0.01), lr=1e-3)`. Parameters that are frozen
# (`requires_grad` is False) are in no group, and one that several layers share is there once.


# %%
def parameter_groups(model, weight_decay):
    """Return the parameters of a model in two groups, with and without weight decay.

    Parameters
    ----------
    model : nn.Module
        Any model; not changed.
    weight_decay : float
        Strength λ for the first group.

    Returns
    -------
    list of two dicts
        ``{"params": [...], "weight_decay": weight_decay}`` with the parameters that have two or
        more dimensions, and ``{"params": [...], "weight_decay": 0.0}`` with the others. Frozen
        parameters are left out.

    Examples
    --------
    >>> model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    >>> decayed, undecayed = parameter_groups(model, 0.01)
    >>> print([tuple(p.shape) for p in decayed["params"]], decayed["weight_decay"])
    [(4, 3), (2, 4)] 0.01
    >>> print([tuple(p.shape) for p in undecayed["params"]], undecayed["weight_decay"])
    [(4,), (4,), (4,), (2,)] 0.0
    """
    ### BEGIN SOLUTION
    # Biases, $\gamma$ and $\beta$ are vectors, and weight matrices and filters have two or more
    # dimensions, so `ndim` tells them apart in every usual model, without looking at names.
    # `model.parameters()` yields a shared parameter once. Parameters that are frozen get no
    # gradient; an optimizer would skip them, but whoever counts the groups would be misled.
    trained = [p for p in model.parameters() if p.requires_grad]
    return [
        {"params": [p for p in trained if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]
    ### END SOLUTION


# %%
check(parameter_groups)

# %% [markdown]
# A network for small images, sorted by your function:

# %% tags=["demonstration"]
model = nn.Sequential(
    nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(288, 10)
)
decayed, undecayed = parameter_groups(model, 0.01)
names = {id(parameter): name for name, parameter in model.named_parameters()}
print("decayed:  ", ", ".join(names[id(p)] for p in decayed["params"]))
print("undecayed:", ", ".join(names[id(p)] for p in undecayed["params"]))
optimizer = torch.optim.AdamW([decayed, undecayed], lr=1e-3)

# %% [markdown]
# ## Experiment: digits with wrong labels
#
# Nothing here is graded. Your `softmax_regression` is trained by your `sgd_step` on 300 images of
# handwritten digits, of which one in five has a wrong label. The other 1497 images, with their true
# labels, are for testing. Five runs for each strength: another choice of images and other wrong
# labels each time.
#
# (`softmax_regression` adds the penalty's gradient itself, so `sgd_step` gets `weight_decay=0`.
# What would happen if both did it?)


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


strengths = [0.0, 0.001, 0.003, 0.01, 0.03, 0.1]
train_accuracy, test_accuracy = np.empty((2, 5, len(strengths)))
for run in range(5):
    x, y, x_test, y_test = noisy_digits(np.random.default_rng(run))
    for column, weight_decay in enumerate(strengths):
        W, b = np.zeros((64, 10)), np.zeros(10)
        for _ in range(1000):
            loss, d_W, d_b = softmax_regression(x, y, W, b, weight_decay)
            W, b = sgd_step(W, d_W, 1.0, 0.0), sgd_step(b, d_b, 1.0, 0.0)
        train_accuracy[run, column] = ((x @ W + b).argmax(1) == y).mean()
        test_accuracy[run, column] = ((x_test @ W + b).argmax(1) == y_test).mean()

print("   λ     training   test: mean   lowest  highest of five runs")
for column, weight_decay in enumerate(strengths):
    test = 100 * test_accuracy[:, column]
    print(
        f"{weight_decay:5.3f}     {100 * train_accuracy[:, column].mean():4.1f} %"
        f"       {test.mean():4.1f} %   {test.min():4.1f} %   {test.max():4.1f} %"
    )

# %% tags=["demonstration"]
fig, ax = plt.subplots(figsize=(6, 3.5))
positions = range(len(strengths))
ax.plot(positions, train_accuracy.mean(0), "s--", label="training images, labels as given")
ax.plot(positions, test_accuracy.mean(0), "o-", label="test images, true labels")
for single in test_accuracy:
    ax.plot(positions, single, "o", color="C1", alpha=0.3, markersize=4)
ax.set_xticks(positions, [f"{strength:g}" for strength in strengths])
ax.set(xlabel="strength λ", ylabel="accuracy", title="Softmax regression on noisy digits")
ax.legend(loc="lower center")
plt.show()

# %% [markdown]
# Without weight decay the classifier agrees with more than the 80% of training labels that are
# right: it has learned wrong ones, and pays for it on the test images. As λ grows, agreement with
# the training labels falls while test accuracy rises, up to a point; after it the weights are too
# small even for what is right. The small dots are the single runs: compare how far they scatter
# with how far the curve rises before you believe a difference.
#
# We looked for the best λ on the test images, which is fine for a picture. To choose λ for a real
# problem, keep some training images aside and look at those.

# %% [markdown]
# ## Before you hand in
#
# How far you are, and what is left:

# %% tags=["demonstration"]
progress("l2")

# %% [markdown]
# Save the notebook, then run the next cell. It runs the file in a fresh process, as grading will,
# says what would be lost, and makes the file to hand in. `autograder ready l2.ipynb` does the same
# in a terminal.

# %% tags=["demonstration"]
ready("l2.ipynb")
