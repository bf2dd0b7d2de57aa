# %% [markdown]
# # Exercise: smoothing
#
# You write the cross-entropy with soft labels, and its gradient.

# %%
import numpy as np
import torch

from autograder import check, hint, progress, ready

# %% [markdown]
# ## Task 1: label smoothing ({{points:label_smoothing}} points)
#
# With a share $\alpha$ of the target spread evenly over all $C$ classes, the loss of a batch is
#
# $$
# L = -\frac{1}{N} \sum_{i=1}^{N} \sum_{k=1}^{C} q_{ik} \log p_{ik}, \qquad
# q_{ik} = (1 - \alpha)\, [k = y_i] + \frac{\alpha}{C} .
# $$
#
# Write `label_smoothing(logits, y, smoothing)`.


# %%
def label_smoothing(logits, y, smoothing):
    """Return the cross-entropy with label smoothing, and its gradient.

    Parameters
    ----------
    logits : np.ndarray, shape (N, C)
        The scores of each row; not changed.
    y : np.ndarray of int, shape (N,)
        The right class of each row.
    smoothing : float
        The share α that is spread over all classes.

    Returns
    -------
    loss : float
        Mean over the rows.
    d_logits : np.ndarray, shape (N, C)
        Gradient of the loss with respect to the logits.

    Examples
    --------
    >>> loss, d_logits = label_smoothing(np.zeros((1, 2)), np.array([0]), 0.2)
    >>> print(round(loss, 4), d_logits)
    0.6931 [[-0.4  0.4]]
    """
    ### BEGIN SOLUTION
    n, classes = logits.shape
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    targets = np.full((n, classes), smoothing / classes)
    targets[np.arange(n), y] += 1 - smoothing
    return -(targets * log_p).sum() / n, (np.exp(log_p) - targets) / n
    ### END SOLUTION


# %%
check(label_smoothing)

# %% [markdown]
# PyTorch should find the same numbers.

# %% tags=["demonstration"]
rng = np.random.default_rng(1)
logits, y = rng.standard_normal((4, 3)), rng.integers(0, 3, 4)
loss, d_logits = label_smoothing(logits, y, 0.1)
tensor = torch.tensor(logits, requires_grad=True)
expected = torch.nn.functional.cross_entropy(tensor, torch.tensor(y), label_smoothing=0.1)
expected.backward()
assert np.isclose(loss, expected.item())
assert np.allclose(d_logits, tensor.grad.numpy())
