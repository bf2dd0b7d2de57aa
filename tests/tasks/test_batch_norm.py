"""The batch norm tasks against torch, finite differences, hand-computed values and real answers."""

import sys

import numpy as np
import pytest
import torch
from helpers.solutions import judged, solution
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from autograder import grade
from autograder.task import IS_REFUSED, REQUIRED, Scaled
from autograder.tasks import tasks


def values(expected):
    return {
        name: value.value if isinstance(value, Scaled) else value
        for name, value in expected.items()
    }


def reference(**inputs):
    return values(tasks["batch_norm_forward"].reference(inputs))


def ones_and_zeros(d):
    return {
        "gamma": np.ones(d),
        "beta": np.zeros(d),
        "running_mean": np.zeros(d),
        "running_var": np.ones(d),
    }


# Independent witnesses of the reference.


def test_forward_in_training_by_hand():
    """With x = (1, 3), γ = 2, β = 1, ε = 0: x̂ = (−1, 1), out = (−1, 3), variance 1 and 2."""
    got = reference(
        x=[np.array([[1.0], [3.0]])],
        gamma=np.array([2.0]),
        beta=np.array([1.0]),
        running_mean=np.array([10.0]),
        running_var=np.array([4.0]),
        training=True,
        momentum=0.1,
        eps=0.0,
    )
    np.testing.assert_allclose(got["out"], [[-1.0], [3.0]])
    np.testing.assert_allclose(got["running_mean"], [0.9 * 10 + 0.1 * 2])
    np.testing.assert_allclose(got["running_var"], [0.9 * 4 + 0.1 * 2])


def test_forward_in_evaluation_by_hand():
    """With x = 5, running mean 1, variance 3, ε = 1, γ = 2, β = 7: out = 2 · 4 / 2 + 7 = 11."""
    got = reference(
        x=[np.array([[5.0]])],
        gamma=np.array([2.0]),
        beta=np.array([7.0]),
        running_mean=np.array([1.0]),
        running_var=np.array([3.0]),
        training=False,
        eps=1.0,
        d_out=np.array([[3.0]]),
    )
    np.testing.assert_allclose(got["out"], [[11.0]])
    np.testing.assert_allclose(got["running_mean"], [1.0])
    np.testing.assert_allclose(got["running_var"], [3.0])
    np.testing.assert_allclose(got["d_x"], [[3.0 * 2 / 2]])
    np.testing.assert_allclose(got["d_gamma"], [3.0 * 2])
    np.testing.assert_allclose(got["d_beta"], [3.0])


def test_backward_in_training_by_hand():
    """With x = (0, 0, 3, 3), ε = 0: x̂ = (−1, −1, 1, 1), σ = 1.5, and d_out = (1, 0, 0, 0).

    Then mean(d) = 1/4, mean(d·x̂) = −1/4 and d_x = (d − 1/4 + x̂/4) / 1.5.
    """
    got = reference(
        x=[np.array([[0.0], [0.0], [3.0], [3.0]])],
        **ones_and_zeros(1),
        training=True,
        eps=0.0,
        d_out=np.array([[1.0], [0.0], [0.0], [0.0]]),
    )
    np.testing.assert_allclose(got["d_x"], np.array([[0.5], [-0.5], [0.0], [0.0]]) / 1.5)
    np.testing.assert_allclose(got["d_gamma"], [-1.0])
    np.testing.assert_allclose(got["d_beta"], [1.0])


def torch_layer(case, layer):
    inputs = case.inputs
    layer = layer.double()
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(inputs["gamma"]))
        layer.bias.copy_(torch.tensor(inputs["beta"]))
        layer.running_mean.copy_(torch.tensor(inputs["running_mean"]))
        layer.running_var.copy_(torch.tensor(inputs["running_var"]))
    layer.train(inputs["training"])
    for batch in inputs["x"]:
        x = torch.tensor(batch, requires_grad=True)
        out = layer(x)
    got = {
        "out": out.detach().numpy(),
        "running_mean": layer.running_mean.numpy(),
        "running_var": layer.running_var.numpy(),
    }
    if "d_out" in inputs:
        out.backward(torch.tensor(inputs["d_out"]))
        got |= {
            "d_x": x.grad.numpy(),
            "d_gamma": layer.weight.grad.numpy(),
            "d_beta": layer.bias.grad.numpy(),
        }
    return got


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("batch_norm_forward", nn.BatchNorm1d),
        ("batch_norm_backward", nn.BatchNorm1d),
        ("batch_norm_2d_forward", nn.BatchNorm2d),
        ("batch_norm_2d_backward", nn.BatchNorm2d),
    ],
)
def test_the_reference_agrees_with_torchs_layer(name, layer):
    """Output, statistics and gradients are those of torch.nn on every case."""
    task = tasks[name]
    for seed in range(2):
        for case in task.draw(np.random.default_rng(seed)):
            options = {key: case.inputs[key] for key in ("eps", "momentum") if key in case.inputs}
            module = layer(case.inputs["gamma"].size, **options)
            if case.group == REQUIRED:
                assert task.reference(case.inputs) == IS_REFUSED
                with pytest.raises(ValueError, match="more than 1 value"):
                    torch_layer(case, module)
                continue
            theirs = torch_layer(case, module)
            ours = values(task.reference(case.inputs))
            assert ours.keys() == theirs.keys()
            for key in ours:
                np.testing.assert_allclose(ours[key], theirs[key], rtol=1e-7, atol=1e-10)


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32 - 1), training=st.booleans())
def test_gradients_agree_with_central_differences(seed, training):
    """Every gradient of the reference is the limit of a difference quotient."""
    rng = np.random.default_rng(seed)
    inputs = {
        "x": [rng.standard_normal((4, 3))],
        "gamma": rng.uniform(0.5, 2, 3),
        "beta": rng.standard_normal(3),
        "running_mean": rng.standard_normal(3),
        "running_var": rng.uniform(0.5, 2, 3),
        "training": training,
        "eps": 0.1,
        "d_out": rng.standard_normal((4, 3)),
    }
    got = reference(**inputs)

    def loss(**changed):
        out = reference(**{**inputs, **changed})["out"]
        return float((out * inputs["d_out"]).sum())

    def numerical(array, rebuilt):
        gradient, step = np.zeros_like(array), 1e-5
        for index in np.ndindex(array.shape):
            bump = np.zeros_like(array)
            bump[index] = step
            gradient[index] = (rebuilt(array + bump) - rebuilt(array - bump)) / (2 * step)
        return gradient

    np.testing.assert_allclose(
        got["d_x"], numerical(inputs["x"][0], lambda x: loss(x=[x])), atol=1e-7
    )
    for name in ("gamma", "beta"):
        # Bound now, because the lambda is called within this turn of the loop only.
        expected = numerical(inputs[name], lambda value, name=name: loss(**{name: value}))
        np.testing.assert_allclose(got[f"d_{name}"], expected, atol=1e-7)


def test_folding_by_hand():
    """W = 2, b = 1, γ = 3, β = 5, mean 4, variance 8, ε = 1: scale 1, W' = 2, b' = −3 + 5."""
    got = tasks["fold_batch_norm"].reference(
        {
            "W": np.array([[2.0]]),
            "b": np.array([1.0]),
            "gamma": np.array([3.0]),
            "beta": np.array([5.0]),
            "running_mean": np.array([4.0]),
            "running_var": np.array([8.0]),
            "eps": 1.0,
        }
    )
    np.testing.assert_allclose(got["W_folded"], [[2.0]])
    np.testing.assert_allclose(got["b_folded"], [2.0])


def test_folding_agrees_with_two_torch_layers():
    """The folded layer gives what a linear layer followed by batch norm gives."""
    task = tasks["fold_batch_norm"]
    for case in task.draw(np.random.default_rng(3)):
        inputs = case.inputs
        folded = task.reference(inputs)
        x = np.random.default_rng(4).standard_normal((6, len(inputs["W"])))
        out = nn.functional.batch_norm(
            torch.tensor(x @ inputs["W"] + inputs["b"]),
            *(torch.tensor(inputs[key]) for key in ("running_mean", "running_var")),
            *(torch.tensor(inputs[key]) for key in ("gamma", "beta")),
            eps=inputs["eps"],
        )
        np.testing.assert_allclose(x @ folded["W_folded"] + folded["b_folded"], out, atol=1e-12)


# Right answers in other styles.


def solve(**replaced):
    return {**solution("batch_norm"), **replaced}


def staged_forward(x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5):
    """In place on copies of its own, loops over features, a warning on stderr."""
    print("careful", file=sys.stderr)
    np.log(np.zeros(1))
    if training and len(x) == 1:
        raise ValueError
    out = x.copy()
    new_mean, new_var = running_mean.copy(), running_var.copy()
    centered, roots = np.empty_like(x), np.empty(x.shape[1])
    for j in range(x.shape[1]):
        mean = sum(x[:, j]) / len(x) if training else running_mean[j]
        centered[:, j] = x[:, j] - mean
        var = sum(centered[:, j] ** 2) / len(x) if training else running_var[j]
        roots[j] = np.sqrt(var + eps)
        if training:
            new_mean[j] *= 1 - momentum
            new_mean[j] += momentum * mean
            new_var[j] = (1 - momentum) * new_var[j] + momentum * var * len(x) / (len(x) - 1)
        out[:, j] = centered[:, j] / roots[j]
    out *= gamma
    out += beta
    cache = {"centered": centered, "root": roots, "gamma": gamma.copy(), "training": training}
    return out, new_mean, new_var, cache


def test_images_by_axes_earn_all_points():
    """Images may be normalized over axes instead of by reshaping."""

    def forward(x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5):
        per_channel = (1, -1, 1, 1)
        count = x.size / x.shape[1]
        if training:
            mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3))
            running_mean = (1 - momentum) * running_mean + momentum * mean
            running_var = (1 - momentum) * running_var + momentum * var * count / (count - 1)
        else:
            mean, var = running_mean, running_var
        root = np.sqrt(var + eps).reshape(per_channel)
        x_hat = (x - mean.reshape(per_channel)) / root
        out = gamma.reshape(per_channel) * x_hat + beta.reshape(per_channel)
        return out, running_mean, running_var, (x_hat, root, gamma.reshape(per_channel), training)

    def backward(d_out, cache):
        x_hat, root, gamma, training = cache
        d_gamma, d_beta = (d_out * x_hat).sum((0, 2, 3)), d_out.sum((0, 2, 3))
        d = d_out * gamma / root
        if training:
            d = (
                d
                - d.mean((0, 2, 3), keepdims=True)
                - x_hat * (d * x_hat).mean((0, 2, 3), keepdims=True)
            )
        return d, d_gamma, d_beta

    functions = solve(batch_norm_2d_forward=forward, batch_norm_2d_backward=backward)
    for seed in range(5):
        assert grade("batch_norm_2d_forward", functions, seed).passed
        assert grade("batch_norm_2d_backward", functions, seed).passed


def test_a_module_on_functional_pieces_earns_all_points():
    """A module may assign its buffers instead of changing them in place."""

    class BatchNorm1d(nn.Module):
        def __init__(self, num_features, eps=1e-5, momentum=0.1):
            super().__init__()
            self.eps, self.momentum = eps, momentum
            self.weight = nn.Parameter(torch.ones(num_features))
            self.bias = nn.Parameter(torch.zeros(num_features))
            self.register_buffer("running_mean", torch.zeros(num_features))
            self.register_buffer("running_var", torch.ones(num_features))
            self.register_buffer("num_batches_tracked", torch.zeros((), dtype=torch.long))

        def forward(self, x):
            mean, var = self.running_mean, self.running_var
            if self.training:
                if x.shape[0] < 2:
                    raise ValueError("too few rows")
                var, mean = torch.var_mean(x, dim=0, correction=0)
                n, m = x.shape[0], self.momentum
                self.running_mean = (1 - m) * self.running_mean + m * mean.detach()
                self.running_var = (1 - m) * self.running_var + m * var.detach() * n / (n - 1)
                self.num_batches_tracked = self.num_batches_tracked + 1
            return (x - mean) * torch.rsqrt(var + self.eps) * self.weight + self.bias

    for seed in range(3):
        report = grade("BatchNorm1d", {"BatchNorm1d": BatchNorm1d}, seed)
        assert report.passed, str(report)


def first_message(parent, assign):
    """Return what is said of a module that does nothing but keep its state in some way."""

    class BatchNorm1d(parent):
        def __init__(self, num_features, eps=1e-5, momentum=0.1):
            assign(self, num_features)

        def forward(self, x):
            return x

    report = grade("BatchNorm1d", {"BatchNorm1d": BatchNorm1d}, 0)
    assert report.points == 0
    return report.findings[0].message


def test_what_is_wrong_with_a_modules_state_is_said_in_our_words():
    """PyTorch's own message does not say why something is missing."""

    def forgotten(module, n):
        nn.Module.__init__(module)
        module.weight, module.running_mean = torch.ones(n), torch.zeros(n)
        module.gamma = nn.Parameter(torch.ones(n))
        module.register_buffer("running_var", torch.ones(1, n))

    message = first_message(nn.Module, forgotten)
    assert "does not know of `weight`, `running_mean`: make what is trained an `nn.Para" in message
    assert "It has no `bias`, `num_batches_tracked`. It has `gamma` besides." in message
    assert "`running_var` has the shape (1, 4); expected (4,)." in message
    assert "begin with `super().__init__()`" in first_message(nn.Module, lambda *_: None)
    assert "is not an nn.Module" in first_message(object, lambda *_: None)


# Mistakes as students write them.


def forward_with(
    *,
    axis=0,
    ddof=0,
    running_ddof=1,
    flipped=False,
    assigned=False,
    frozen=False,
    root=lambda var, eps: np.sqrt(var + eps),
    store=lambda var, eps: var,
    batch_in_evaluation=False,
    update_in_evaluation=False,
    affine_in_evaluation=True,
    evaluation_root=None,
    twice=False,
    used="batch",
):
    """Return a forward pass as a student writes it, with one thing done differently."""

    def forward(x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5):
        if training and x.shape[0] == 1:
            raise ValueError("one row")
        keep = axis not in (0, None)
        mean = x.mean(axis=axis, keepdims=keep)
        var = x.var(axis=axis, ddof=ddof, keepdims=keep)
        old_mean, old_var = running_mean, running_var
        if (training or update_in_evaluation) and not frozen:
            share = 1 - momentum if flipped else 1 if assigned else momentum
            wide = store(x.var(axis=axis, ddof=running_ddof, keepdims=keep), eps)
            for _ in range(2 if twice else 1):
                running_mean = (1 - share) * running_mean + share * mean
                running_var = (1 - share) * running_var + share * wide
        if not training and not batch_in_evaluation:
            mean, var = old_mean, old_var
        elif training and used != "batch":
            mean, var = (old_mean, old_var) if used == "old" else (running_mean, running_var)
        x_hat = (x - mean) / (root if training else evaluation_root or root)(var, eps)
        out = x_hat if not (training or affine_in_evaluation) else gamma * x_hat + beta
        return out, running_mean, running_var, None

    return forward


FORWARD_MISTAKES = {
    "bn-unbiased-normalization": {"ddof": 1},
    "bn-biased-running-var": {"running_ddof": 0},
    "bn-momentum-flipped": {"flipped": True},
    "bn-running-var-not-started": {"assigned": True},
    "bn-stats-never-updated": {"frozen": True},
    "bn-std-in-running-var": {"store": lambda var, eps: np.sqrt(var)},
    "bn-eps-outside-root": {"root": lambda var, eps: np.sqrt(var) + eps},
    "bn-no-eps": {"root": lambda var, eps: np.sqrt(var)},
    "bn-eps-in-running-var": {"store": lambda var, eps: var + eps},
    "bn-eval-batch-stats": {"batch_in_evaluation": True},
    "bn-eval-updates-stats": {"update_in_evaluation": True},
    "bn-eval-no-affine": {"affine_in_evaluation": False},
    "bn-std-stored-and-used": {
        "store": lambda var, eps: np.sqrt(var),
        "evaluation_root": lambda var, eps: var + eps,
    },
    "bn-divisor-stored-and-used": {
        "store": lambda var, eps: np.sqrt(var + eps),
        "evaluation_root": lambda var, eps: var,
    },
    "bn-divisor-in-running-var": {"store": lambda var, eps: np.sqrt(var + eps)},
    "bn-stats-updated-twice": {"twice": True},
    "bn-running-stats-in-training": {"used": "new"},
    "bn-old-stats-in-training": {"used": "old"},
    "bn-ignores-training": {"batch_in_evaluation": True, "update_in_evaluation": True},
    "bn-eval-no-eps": {"evaluation_root": lambda var, eps: np.sqrt(var)},
    "bn-eval-eps-outside-root": {"evaluation_root": lambda var, eps: np.sqrt(var) + eps},
    "bn-eval-no-root": {"evaluation_root": lambda var, eps: var + eps},
    "bn-eval-bare-variance": {"evaluation_root": lambda var, eps: var},
    "bn-wrong-axis": {"axis": 1},
    "bn-global-stats": {"axis": None},
}


@pytest.mark.parametrize("mistake", FORWARD_MISTAKES)
def test_mistakes_of_the_forward_pass_are_named(mistake):
    """A student's forward pass with a known mistake loses points and the mistake is named."""
    functions = {"batch_norm_forward": forward_with(**FORWARD_MISTAKES[mistake])}
    for seed in range(2):
        report = grade("batch_norm_forward", functions, seed)
        named = {finding.misconception for finding in report.findings if not finding.passed}
        assert mistake in named, f"seed {seed}\n{report}"
        assert named <= {mistake, None}
        assert report.points < report.max_points


def test_statistics_of_shape_1_d_are_named():
    """Statistics of shape (1, D) lose their points though they would broadcast."""

    def forward(*arguments):
        out, mean, var, cache = solution("batch_norm")["batch_norm_forward"](*arguments)
        return out, mean.reshape(1, -1), var.reshape(1, -1), cache

    case_by_case = {"batch_norm_forward": lambda *a, **k: forward(*complete(a, k))}
    report = grade("batch_norm_forward", case_by_case, 0)
    named = {finding.misconception for finding in report.findings if not finding.passed}
    assert "bn-shape" in named, str(report)


def test_statistics_of_shape_1_d_in_training_only_are_one_mistake():
    """In evaluation a student returns what came in, and nothing else is said to be wrong."""

    def forward(x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5):
        if not training:
            x_hat = (x - running_mean) / np.sqrt(running_var + eps)
            return gamma * x_hat + beta, running_mean, running_var, None
        if len(x) == 1:
            raise ValueError("one row")
        mean, var = x.mean(0, keepdims=True), x.var(0, keepdims=True)
        wide = x.var(0, ddof=1, keepdims=True)
        running_mean = (1 - momentum) * running_mean + momentum * mean
        running_var = (1 - momentum) * running_var + momentum * wide
        return gamma * (x - mean) / np.sqrt(var + eps) + beta, running_mean, running_var, None

    for seed in range(2):
        report = grade("batch_norm_forward", {"batch_norm_forward": forward}, seed)
        named = {finding.misconception for finding in report.findings if not finding.passed}
        assert named == {"bn-shape"}, str(report)
        assert report.points == 6.5


def test_a_global_sum_over_n_is_named():
    """A sum without an axis, divided by the number of rows."""

    def forward(x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5):
        if not training:
            x_hat = (x - running_mean) / np.sqrt(running_var + eps)
            return gamma * x_hat + beta, running_mean, running_var, None
        if len(x) == 1:
            raise ValueError("one row")
        n = len(x)
        mean = np.sum(x) / n
        squares = np.sum((x - mean) ** 2)
        running_mean = (1 - momentum) * running_mean + momentum * mean
        running_var = (1 - momentum) * running_var + momentum * squares / (n - 1)
        x_hat = (x - mean) / np.sqrt(squares / n + eps)
        return gamma * x_hat + beta, running_mean, running_var, None

    report = grade("batch_norm_forward", {"batch_norm_forward": forward}, 0)
    named = {finding.misconception for finding in report.findings if not finding.passed}
    assert named == {"bn-global-sum"}, str(report)


def test_a_loop_over_channels_is_named():
    """Each channel goes to batch norm as (N, H·W), and its statistics are averaged."""
    forward = solution("batch_norm")["batch_norm_forward"]

    def channel_by_channel(x, gamma, beta, mean, var, training, momentum=0.1, eps=1e-5):
        n, channels, h, w = x.shape
        out, mean, var = np.zeros_like(x), mean.copy(), var.copy()
        for c in range(channels):
            rows, *statistics, _ = forward(
                x[:, c].reshape(n, h * w),
                gamma[c],
                beta[c],
                mean[c],
                var[c],
                training,
                momentum,
                eps,
            )
            out[:, c] = rows.reshape(n, h, w)
            mean[c], var[c] = (np.mean(one) for one in statistics)
        return out, mean, var, None

    functions = solve(batch_norm_2d_forward=channel_by_channel)
    report = grade("batch_norm_2d_forward", functions, 0)
    assert "bn2d-channel-by-channel" in str(report)
    assert report.points == 1


def complete(arguments, options):
    x, gamma, beta, mean, var, training = arguments
    mean, var = np.ravel(mean), np.ravel(var)
    return (
        x,
        gamma,
        beta,
        mean,
        var,
        training,
        options.get("momentum", 0.1),
        options.get("eps", 1e-5),
    )


def backward_with(wrong):
    """Return the solution's backward pass with its three results passed through `wrong`."""

    def backward(d_out, cache):
        x_hat, gamma, std, training = cache
        return wrong(d_out, x_hat, gamma, std, training)

    return backward


def sums(d_out, x_hat):
    return (d_out * x_hat).sum(0), d_out.sum(0)


def diagonal(d_out, x_hat, gamma, std, training):
    return d_out * gamma / std, *sums(d_out, x_hat)


def no_mean(d_out, x_hat, gamma, std, training):
    d = d_out * gamma
    return (d - training * x_hat * (d * x_hat).mean(0)) / std, *sums(d_out, x_hat)


def mean_without_its_sum(d_out, x_hat, gamma, std, training):
    d = d_out * gamma
    d_x = (d - training * (d / len(d) + x_hat * (d * x_hat).mean(0))) / std
    return d_x, *sums(d_out, x_hat)


def no_variance(d_out, x_hat, gamma, std, training):
    d = d_out * gamma
    return (d - training * d.mean(0)) / std, *sums(d_out, x_hat)


def no_gamma(d_out, x_hat, gamma, std, training):
    d = d_out - training * (d_out.mean(0) + x_hat * (d_out * x_hat).mean(0))
    return d / std, *sums(d_out, x_hat)


def averaged(d_out, x_hat, gamma, std, training):
    d = d_out * gamma
    d_x = (d - training * (d.mean(0) + x_hat * (d * x_hat).mean(0))) / std
    return d_x, (d_out * x_hat).mean(0), d_out.mean(0)


def always_training(d_out, x_hat, gamma, std, training):
    d = d_out * gamma
    return (d - d.mean(0) - x_hat * (d * x_hat).mean(0)) / std, *sums(d_out, x_hat)


def sums_not_averages(d_out, x_hat, gamma, std, training):
    d = d_out * gamma
    d_x = (d - training * (d.sum(0) + x_hat * (d * x_hat).sum(0))) / std
    return d_x, *sums(d_out, x_hat)


def one_factor_missing(d_out, x_hat, gamma, std, training):
    d = d_out * gamma
    d_x = (d - training * (d.mean(0) + (d * x_hat).mean(0))) / std
    return d_x, *sums(d_out, x_hat)


BACKWARD_MISTAKES = {
    "bn-backward-diagonal": diagonal,
    "bn-backward-no-mean": no_mean,
    "bn-backward-mean-per-row": mean_without_its_sum,
    "bn-backward-no-var": no_variance,
    "bn-backward-no-gamma": no_gamma,
    "bn-backward-mean-not-sum": averaged,
    "bn-backward-sum-not-mean": sums_not_averages,
    "bn-backward-no-x-hat": one_factor_missing,
    "bn-backward-eval-as-train": always_training,
}


@pytest.mark.parametrize("mistake", BACKWARD_MISTAKES)
def test_mistakes_of_the_backward_pass_are_named(mistake):
    """A student's backward pass with a known mistake loses points and the mistake is named."""
    functions = solve(batch_norm_backward=backward_with(BACKWARD_MISTAKES[mistake]))
    for seed in range(2):
        report = grade("batch_norm_backward", functions, seed)
        named = {finding.misconception for finding in report.findings if not finding.passed}
        assert named == {mistake}, f"seed {seed}\n{report}"
        assert report.points < report.max_points


def test_the_right_gradient_of_a_wrong_forward_pass_earns_half():
    """Error carried forward: half the points, and the forward's mistake is explained."""

    def forward(x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5):
        out, *rest = staged_forward(
            x, gamma, beta, running_mean, running_var, training, momentum, eps
        )
        if training:
            root = np.sqrt(x.var(0, ddof=1) + eps)
            out = gamma * (x - x.mean(0)) / root + beta
            rest[-1] = {"centered": x - x.mean(0), "root": root, "gamma": gamma, "training": True}
        return out, *rest

    def backward(d_out, cache):
        centered, root, gamma = cache["centered"], cache["root"], cache["gamma"]
        x_hat, n = centered / root, len(d_out)
        d_gamma, d_beta = (d_out * x_hat).sum(0), d_out.sum(0)
        d = d_out * gamma
        if cache["training"]:
            d = d - d.mean(0) - x_hat * (d * x_hat).sum(0) / (n - 1)
        return d / root, d_gamma, d_beta

    functions = {"batch_norm_forward": forward, "batch_norm_backward": backward}
    report = grade("batch_norm_backward", functions, 1)
    by_aspect = {finding.aspect: finding for finding in report.findings}
    assert by_aspect["d_x in training"].points == 2.0
    assert "bn-unbiased-normalization" in by_aspect["d_x in training"].message
    assert by_aspect["d_x after an evaluation forward"].passed


def layer_with(kept=lambda gamma, beta: gamma, forward_root=None, backward_root=None, path=None):
    """Return both passes, step by step, with another γ in d_x or ε in other places."""

    def right(var, eps):
        return np.sqrt(var + eps)

    forward_root, backward_root = forward_root or right, backward_root or forward_root or right

    def forward(x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5):
        mean, var = (x.mean(0), x.var(0)) if training else (running_mean, running_var)
        out = gamma * (x - mean) / forward_root(var, eps) + beta
        if training:
            running_mean = (1 - momentum) * running_mean + momentum * mean
            running_var = (1 - momentum) * running_var + momentum * x.var(0, ddof=1)
        return out, running_mean, running_var, (x - mean, var, gamma, beta, eps, training)

    def backward(d_out, cache):
        centered, var, gamma, beta, eps, training = cache
        x_hat, root = centered / forward_root(var, eps), backward_root(var, eps)
        d = d_out * kept(gamma, beta)
        d_x = d / root
        if training and path:
            d_var = (d * centered).sum(0) * -0.5 * path(var, eps) ** -1.5
            d_x = d_x - (d / root).mean(0) + d_var * 2 * centered / len(d)
        elif training:
            d_x = (d - d.mean(0) - x_hat * (d * x_hat).mean(0)) / root
        return d_x, (d_out * x_hat).sum(0), d_out.sum(0)

    return {"batch_norm_forward": forward, "batch_norm_backward": backward}


def root_plus_eps(var, eps):
    return np.sqrt(var) + eps


@pytest.mark.parametrize(
    ("mistake", "changes"),
    [
        ("bn-backward-beta-for-gamma", {"kept": lambda gamma, beta: beta}),
        ("bn-backward-eps-outside-root", {"backward_root": root_plus_eps}),
        (
            "bn-backward-eps-moved",
            {
                "forward_root": root_plus_eps,
                "backward_root": lambda var, eps: np.sqrt(var + eps),
            },
        ),
        ("bn-backward-no-eps-in-variance", {"path": lambda var, eps: var}),
    ],
)
def test_mistakes_of_both_passes_are_named(mistake, changes):
    """What the cache and ε do between the passes is told."""
    for seed in range(2):
        report = grade("batch_norm_backward", layer_with(**changes), seed)
        named = {finding.misconception for finding in report.findings if not finding.passed}
        assert named == {mistake}, f"seed {seed}\n{report}"
    assert grade("batch_norm_backward", layer_with(path=lambda var, eps: var + eps), 0).passed


def test_zeros_that_agree_with_zeros_earn_nothing():
    """Being consistent with oneself is worth nothing: a forward and backward of zeros get 0."""

    def forward(x, gamma, beta, running_mean, running_var, training, **options):
        return 0 * x, 0 * running_mean, 0 * running_var, x.shape[1]

    def backward(d_out, cache):
        return 0 * d_out, np.zeros(cache), np.zeros(cache)

    functions = {"batch_norm_forward": forward, "batch_norm_backward": backward}
    assert grade("batch_norm_forward", functions, 0).points == 0
    assert grade("batch_norm_backward", functions, 0).points == 0


def test_training_on_one_row_costs_a_quarter():
    """A forward pass that trains on one row without complaint loses a quarter of the points."""
    right = solution("batch_norm")["batch_norm_forward"]

    def forward(x, *arguments, **options):
        if len(x) == 1 and arguments[4]:
            return x, *arguments[2:4], None
        return right(x, *arguments, **options)

    report = grade("batch_norm_forward", {"batch_norm_forward": forward}, 0)
    assert report.points == 7.5
    assert report.findings[-1].misconception == "bn-accepts-one-row"


def test_running_statistics_that_keep_their_graph_cost_points():
    """A module whose running statistics are differentiated or trained loses a quarter."""
    right = solution("batch_norm")["BatchNorm1d"]

    class KeepsGraph(right):
        def forward(self, x):
            out = super().forward(x)
            if self.training and x.requires_grad:
                self.running_mean = self.running_mean + 0 * x.mean(0)
            return out

    class Trained(right):
        def __init__(self, num_features, **options):
            super().__init__(num_features, **options)
            del self.running_mean
            self.running_mean = nn.Parameter(torch.zeros(num_features), requires_grad=False)

    for module in (KeepsGraph, Trained):
        report = grade("BatchNorm1d", {"BatchNorm1d": module}, 0)
        assert report.points == 4.5, str(report)
        assert report.findings[-1].misconception == "bnmodule-momentum-buffer"


@pytest.mark.parametrize("name", ["weight", "bias", "running_mean", "running_var"])
def test_a_new_layer_that_starts_from_something_else_loses_points(name):
    """A variance of 0 or a γ of 0 to begin with is noticed, though other cases load their own."""

    class StartsElsewhere(solution("batch_norm")["BatchNorm1d"]):
        def __init__(self, num_features, **options):
            super().__init__(num_features, **options)
            with torch.no_grad():
                getattr(self, name).copy_(1 - getattr(self, name))

    report = grade("BatchNorm1d", {"BatchNorm1d": StartsElsewhere}, 0)
    assert report.points < report.max_points
    assert "In the case “a new layer" in str(report)


def test_module_mistakes_are_named_or_explained():
    """Ignoring evaluation mode is named; a missing buffer is told as torch tells it."""

    class IgnoresMode(solution("batch_norm")["BatchNorm1d"]):
        def train(self, mode=True):
            return super().train(True)

    report = grade("BatchNorm1d", {"BatchNorm1d": IgnoresMode}, 0)
    assert "bnmodule-ignores-eval" in {finding.misconception for finding in report.findings}

    class NoBuffers(nn.Module):
        def __init__(self, num_features, eps=1e-5, momentum=0.1):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(num_features))
            self.bias = nn.Parameter(torch.zeros(num_features))

    report = grade("BatchNorm1d", {"BatchNorm1d": NoBuffers}, 0)
    assert report.points == 0
    assert "running_mean" in str(report)


def test_torchs_own_layer_earns_all_points():
    """The task asks for what nn.BatchNorm1d does, so nn.BatchNorm1d passes it."""
    for seed in range(2):
        report = judged("BatchNorm1d", {"BatchNorm1d": nn.BatchNorm1d}, seed)
        assert report.passed, str(report)
