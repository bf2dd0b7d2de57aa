# %% [markdown]
# # Exercise: catch the impostors
#
# In the other exercises you wrote programs, and somebody else chose the inputs on which they were
# tried. Here it is the other way round. For each of four programs you know what is right, and that
# sixteen *impostors* go around: programs that are wrong in one way each, and right often enough to
# be trusted. You write *inputs* on which they give themselves away. The exercise belongs to
# the section *Testing numerical code* of the chapter *Regularization in practice*; have its table
# of inputs that hide mistakes beside you.
#
# **How to work.** Write your code where it says `YOUR CODE HERE`, run the cell, then run the cell
# below it, `check(probe_l2)`. It runs the right program and its impostors on your inputs and says
# how many are exposed. For up to three of those that get away it gives you a riddle: on which
# inputs this one is right. From your third try on, it also says what they do. If you are stuck, run
# `hint(probe_l2)` in a cell of your own: it gives a hint, and another one each time you run it, at
# no cost. Cells marked *Locked* are the course's own: you may run them, and grading uses its own
# copy. You may add cells of your own anywhere. After a restart of the kernel run everything from
# the top. A `NameError` means that a cell above has not been run.
#
# **What `check` does not know.** It tries twelve impostors of each program, and grading tries four
# more, so inputs with all points in a check may still lose some. When all twelve are exposed, go
# through the table once more, line by line: what would your inputs hide?
#
# **What you return.** A function without arguments returns a list of *calls*. A call is a dict of
# the program's arguments by name. Four calls at most, each array with at most 64 numbers and eight
# axes, no number larger than a million. The right program must accept them. An impostor is exposed
# if one of its results differs from the right one by more than a thousandth of the largest number
# in it; that is the relative tolerance of PyTorch's `gradcheck`.
#
# **What is not allowed.** Answers are written in NumPy, without PyTorch and without the package
# `autograder`. These are not there when an answer is graded, so one that uses them earns nothing,
# and `check` says so for PyTorch.
#
# **How to hand in.** Run everything from top to bottom once (*Restart and run all*) and save. The
# last cell, `ready("impostors.ipynb")`, tries the saved file as grading will and makes the file to
# hand in.

# %%
import numpy as np

from autograder import check, hint, progress, ready

# %% tags=["demonstration"]
progress("impostors")

# %% [markdown]
# ## An example: the variance
#
# The variance of some numbers is the mean of their squared distances from their mean. Here are five
# programs that are wrong in one way each, and four inputs. Before you run the cell: which program
# does `[1, -1]` expose? Which input exposes all five?

# %% tags=["demonstration"]
programs = {
    "forgets the mean": lambda x: (x**2).mean(),
    "divides by n - 1": lambda x: ((x - x.mean()) ** 2).sum() / (len(x) - 1),
    "does not divide": lambda x: ((x - x.mean()) ** 2).sum(),
    "takes absolute values": lambda x: np.abs(x - x.mean()).mean(),
    "takes the median": lambda x: ((x - np.median(x)) ** 2).mean(),
}
inputs = {
    "zeros": np.zeros(100),
    "[1, -1]": np.array([1.0, -1.0]),
    "10,000 normal": np.random.default_rng(0).standard_normal(10_000),
    "[0, 1, 5]": np.array([0.0, 1.0, 5.0]),
}
print(f"{'':24}" + "".join(f"{name:>15}" for name in inputs))
for what, program in programs.items():
    verdicts = [
        "exposed" if abs(program(x) - x.var()) > 1e-3 * x.var() else "-" for x in inputs.values()
    ]
    print(f"{what:24}" + "".join(f"{verdict:>15}" for verdict in verdicts))

# %% [markdown]
# Many numbers are no help where they are all of a kind: ten thousand of them let three impostors
# go, and three well-chosen ones none.

# %% [markdown]
# ## Task 1: the penalty ({{points:probe_l2}} points)
#
# The program gets a list of `weights`, arrays of any shapes, and the strength `weight_decay`. It
# returns the penalty and a list of gradients, one for each weight:
#
# $$
# \frac{\lambda}{2} \sum_k \lVert W_k \rVert^2
# \qquad\text{and}\qquad \lambda W_k .
# $$
#
# A list holds one to five weights; `weight_decay` is from 0 to 1000.


# %%
def probe_l2():
    """Return calls that expose impostors of the L2 penalty and its gradient.

    Returns
    -------
    list of dicts
        At most four calls, each with `weights`, a list of one to five arrays, and `weight_decay`,
        a number from 0 to 1000.

    Examples
    --------
    A call looks like this one, which exposes few:

    >>> call = {"weights": [np.array([[1.0, 0.0]])], "weight_decay": 1.0}
    >>> probe_l2()[0].keys() == call.keys()
    True
    """
    ### BEGIN SOLUTION
    # One call is enough. Whatever can be skipped is there, and not in the same size twice: a
    # matrix, a vector, a kernel. Whatever could be mistaken for its square is neither 0 nor 1.
    # The matrix has rank two, there are negative entries, and the strength is above 1.
    matrix = np.array([[0.5, -1.5, 2.0], [0.3, 0.7, -0.2]])
    vector = np.array([0.4, -0.6, 1.2, 0.1])
    kernel = np.array([0.9, -0.8, 0.35, 1.3]).reshape(1, 1, 2, 2)
    return [{"weights": [matrix, kernel, vector], "weight_decay": 1.7}]
    ### END SOLUTION


# %%
check(probe_l2)

# %% [markdown]
# ## Task 2: a step of Adam or AdamW ({{points:probe_adam}} points)
#
# The program is `adam_step` of the exercise on weight decay. With $w$ the `param`, $g$ its `grad`,
# $\eta$ the `lr`, $\lambda$ the `weight_decay`, and $t$ the number of this step, the first being 1,
#
# $$
# m_t = \beta_1 m_{t-1} + (1 - \beta_1)\, g, \quad
# v_t = \beta_2 v_{t-1} + (1 - \beta_2)\, g^2, \quad
# \hat m = \frac{m_t}{1 - \beta_1^t}, \quad
# \hat v = \frac{v_t}{1 - \beta_2^t}, \quad
# \Delta = \frac{\hat m}{\sqrt{\hat v} + \epsilon} .
# $$
#
# Decoupled, $w_t = (1 - \eta\lambda)\, w_{t-1} - \eta \Delta$. Otherwise $\lambda w_{t-1}$ is added
# to $g$ before anything else, and $w_t = w_{t-1} - \eta \Delta$. It returns the new parameter and
# the new state: $m_t$, $v_t$ and the number of steps taken so far.


# %%
def probe_adam():
    """Return calls that expose impostors of a step of Adam or AdamW.

    Returns
    -------
    list of dicts
        At most four calls, each with

        - `param` and `grad`: arrays of the same shape
        - `state`: a dict of `step`, a whole number from 0 to 1000 (steps before this one), and
          `m` and `v`, arrays of that shape, `v` not negative
        - `lr`: from 1e-6 to 10
        - `betas`: two numbers from 0 to 0.9999
        - `eps`: from 1e-12 to 10
        - `weight_decay`: from 0 to 100
        - `decoupled`: True or False

    Examples
    --------
    >>> sorted(probe_adam()[0])
    ['betas', 'decoupled', 'eps', 'grad', 'lr', 'param', 'state', 'weight_decay']
    """
    ### BEGIN SOLUTION
    # The two kinds need a call each. Everything else is made large enough to be seen: the
    # learning rate, eps and the decay are as large as the weights. The state has a history, of few
    # steps, so that the correction matters; `v` is large, so that it shrinks. No two entries are
    # alike, and some gradients are above 1.
    m, v = np.array([0.3, -0.1, 0.5, 0.2]), np.array([2.5, 0.4, 1.7, 3.0])
    call = {
        "param": np.array([1.0, -0.7, 0.4, 1.3]),
        "grad": np.array([0.2, -3.0, 0.6, 1.5]),
        "state": {"step": 2, "m": m, "v": v},
        "lr": 0.6,
        "betas": (0.7, 0.9),
        "eps": 0.3,
        "weight_decay": 0.8,
    }
    return [{**call, "decoupled": False}, {**call, "decoupled": True}]
    ### END SOLUTION


# %%
check(probe_adam)

# %% [markdown]
# ## Task 3: dropout ({{points:probe_dropout}} points)
#
# The program drops values in training, and keeps each with probability `keep_prob` by a draw of its
# own; survivors are divided by `keep_prob`. In evaluation it returns its input. Given `d_out`, the
# gradient of the loss with respect to its output, it also returns the gradient with respect to `x`.
#
# The judge draws the random numbers: sixteen sets for each call, the same for all programs. So an
# impostor that drops other values than the right program is exposed by that, and one that drops the
# same has to be caught by what it does with them.


# %%
def probe_dropout():
    """Return calls that expose impostors of dropout, forward and backward.

    Returns
    -------
    list of dicts
        At most four calls, each with `x` and `d_out`, arrays of the same shape with one to eight
        axes; `keep_prob`, from 0.01 to 1; and `training`, True or False.

    Examples
    --------
    >>> sorted(probe_dropout()[0])
    ['d_out', 'keep_prob', 'training', 'x']
    """
    ### BEGIN SOLUTION
    # A keep_prob below one half, where keeping is not dropping and doubling is not dividing. Three
    # axes, so that rows, the numbers of a row, and the places of a channel could each share a
    # draw. Some of x is 0, as after a ReLU, and some of it is negative. `d_out` is nowhere 0.
    # Evaluation is another program, and gets a call of its own.
    x = np.array([[[1.0, 0.0], [-0.8, 1.5]], [[0.6, 1.2], [0.0, -1.1]], [[0.9, -0.5], [1.4, 0.0]]])
    d_out = np.linspace(-1.0, 2.0, x.size).reshape(x.shape)
    call = {"x": x, "keep_prob": 0.3, "d_out": d_out}
    return [{**call, "training": True}, {**call, "training": False}]
    ### END SOLUTION


# %%
check(probe_dropout)

# %% [markdown]
# ## Task 4: batch norm ({{points:probe_batch_norm}} points)
#
# The program normalizes `x` of shape `(N, D)`: in training by the mean and the variance of the
# batch, in evaluation by `running_mean` and `running_var`. It scales by `gamma` and shifts by
# `beta`,
#
# $$
# y = \gamma\, \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} + \beta .
# $$
#
# In training it moves the running statistics, to $(1 - m) \cdot \text{old} + m \cdot \text{batch}$
# with $m$ the `momentum`. The variance that normalizes divides by $N$, and the one in the running
# statistics by $N - 1$. It returns the output, the running statistics and, for `d_out`, the
# gradients of `x`, `gamma` and `beta`.


# %%
def probe_batch_norm():
    """Return calls that expose impostors of batch norm, forward and backward.

    Returns
    -------
    list of dicts
        At most four calls, each with

        - `x` and `d_out`: arrays of shape (N, D), in training with N of two or more
        - `gamma`, `beta`, `running_mean`, `running_var`: arrays of shape (D,), the last not
          negative
        - `training`: True or False
        - `momentum`: from 0 to 1
        - `eps`: from 1e-8 to 10

    Examples
    --------
    >>> sorted(probe_batch_norm()[0])[:5]
    ['beta', 'd_out', 'eps', 'gamma', 'momentum']
    """
    ### BEGIN SOLUTION
    # Nothing is as in a fresh layer: γ is not 1, β is not 0 and not γ, the running statistics are
    # not those of the batch, eps is as large as the variance, momentum is not one half. The
    # features differ in mean and width, one row is far from the others, and `d_out` has no
    # pattern that averages would remove. Each mode gets a call.
    x = np.array([[0.5, 3.0], [-0.2, 2.6], [0.1, 3.4], [-0.4, 2.9], [0.3, 3.2], [4.0, 9.0]])
    d_out = np.array([[1.0, 0.3], [0.4, -2.0], [-0.7, 0.9], [1.6, 0.2], [0.5, -0.6], [-0.3, 1.1]])
    call = {
        "x": x,
        "gamma": np.array([1.5, -0.6]),
        "beta": np.array([0.4, 0.9]),
        "running_mean": np.array([0.8, -1.0]),
        "running_var": np.array([3.0, 0.7]),
        "momentum": 0.3,
        "eps": 0.5,
        "d_out": d_out,
    }
    return [{**call, "training": True}, {**call, "training": False}]
    ### END SOLUTION


# %%
check(probe_batch_norm)

# %% [markdown]
# ## What carries over
#
# Look back at your inputs. Would they have exposed the mistakes that you made in the other
# exercises? Whoever tests a layer can start from the same list: no 0 and no 1 where something is
# multiplied or added, no two things equal, no square matrix, every mode, every number of axes and
# every size that the code treats in its own way, both signs, numbers on both sides of a bound, and
# constants as large as what they are added to.
#
# ## Before you hand in
#
# How far you are, and what is left:

# %% tags=["demonstration"]
progress("impostors")

# %% [markdown]
# Save the notebook, then run the next cell. It runs the file in a fresh process, as grading will,
# says what would be lost, and makes the file to hand in. `autograder ready impostors.ipynb` does
# the same in a terminal.

# %% tags=["demonstration"]
ready("impostors.ipynb")
