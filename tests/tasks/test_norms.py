"""The tasks on batch norm's relatives against torch, differences, numbers by hand and answers."""

import math

import numpy as np
import pytest
import torch
from helpers.solutions import judged, solution
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from autograder import grade
from autograder.task import IS_REFUSED, REQUIRED, array_of
from autograder.tasks import tasks


def reference(name, **inputs):
    return {key: array_of(value) for key, value in tasks[name].reference(inputs).items()}


# Independent witnesses of the reference.


def test_layer_norm_by_hand():
    """The chapter's example: (1, 2, 3, 6) has mean 3 and variance 7/2, and g = (1, 0, 0, 2).

    With γ = (2, 1, 1, ½): ĝ = (2, 0, 0, 1), its sum is 3, and that of ĝ · x̂ is −1/√3.5.
    """
    got = reference(
        "layer_norm_backward",
        x=np.array([1.0, 2.0, 3.0, 6.0]),
        gamma=np.array([2.0, 1.0, 1.0, 0.5]),
        beta=np.array([0.0, 0.0, 10.0, 0.0]),
        eps=0.0,
        d_out=np.array([1.0, 0.0, 0.0, 2.0]),
    )
    s = 1 / math.sqrt(3.5)
    np.testing.assert_allclose(got["out"], [-4 * s, -s, 10.0, 1.5 * s])
    d_x = [2 - 3 / 4 - 2 / 14, -3 / 4 - 1 / 14, -3 / 4, 1 - 3 / 4 + 3 / 14]
    np.testing.assert_allclose(got["d_x"], s * np.array(d_x))
    np.testing.assert_allclose(got["d_gamma"], [-2 * s, 0, 0, 6 * s])
    np.testing.assert_allclose(got["d_beta"], [1, 0, 0, 2])


def test_rms_norm_by_hand():
    """With (1, 7) the mean square is 25, so x̂ = (0.2, 1.4); g = (5, 0), γ = (10, 5), ĝ = (50, 0).

    The mean of ĝ · x̂ is 5, and d_x = ((50, 0) − 5 x̂) / 5.
    """
    got = reference(
        "rms_norm_backward",
        x=np.array([[1.0, 7.0]]),
        gamma=np.array([10.0, 5.0]),
        eps=0.0,
        d_out=np.array([[5.0, 0.0]]),
    )
    np.testing.assert_allclose(got["out"], [[2.0, 7.0]])
    np.testing.assert_allclose(got["d_x"], [[9.8, -1.4]])
    np.testing.assert_allclose(got["d_gamma"], [1.0, 0.0])


def test_eps_by_hand():
    """Variance 1 and ε = 3 give a divisor of 2; mean square 5 and ε = 4 one of 3."""
    x, gamma = np.array([1.0, 3.0]), np.array([6.0, 12.0])
    layer = reference("layer_norm_forward", x=x, gamma=gamma, beta=np.array([1.0, 2.0]), eps=3.0)
    np.testing.assert_allclose(layer["out"], [-3 + 1, 6 + 2])
    rms = reference("rms_norm_forward", x=x, gamma=gamma, eps=4.0)
    np.testing.assert_allclose(rms["out"], [2.0, 12.0])


def test_group_norm_by_hand():
    """Neighbors (1, 3) and (10, 30) have means 2 and 20 and deviations 1 and 10."""
    got = reference(
        "group_norm_forward",
        x=np.array([1.0, 3.0, 10.0, 30.0]).reshape(1, 4, 1, 1),
        groups=2,
        gamma=np.array([1.0, 2.0, 3.0, 4.0]),
        beta=np.array([0.0, 0.0, 0.0, 5.0]),
        eps=0.0,
    )
    np.testing.assert_allclose(got["out"].ravel(), [-1, 2, -3, 9])


def torch_layer(name, inputs):
    features = inputs["gamma"].size
    options = {"eps": inputs.get("eps", 1e-6 if "ms" in name.lower() else 1e-5)}
    if name.startswith("layer"):
        layer = nn.LayerNorm(features, **options)
    elif name.startswith("group"):
        layer = nn.GroupNorm(inputs["groups"], features, **options)
    else:
        layer = nn.RMSNorm(features, **options)
    layer = layer.double()
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(inputs["gamma"]))
        if "beta" in inputs:
            layer.bias.copy_(torch.tensor(inputs["beta"]))
    x = torch.tensor(inputs["x"], requires_grad=True)
    out = layer(x)
    found = {"out": out.detach().numpy()}
    if "d_out" in inputs:
        out.backward(torch.tensor(inputs["d_out"]))
        gamma = "weight.grad" if name == "RMSNorm" else "d_gamma"
        found |= {"d_x": x.grad.numpy(), gamma: layer.weight.grad.numpy()}
        if "beta" in inputs:
            found["d_beta"] = layer.bias.grad.numpy()
    return found


NAMES = [name for name, task in tasks.items() if task.assignment.name == "norms"]


@pytest.mark.parametrize("name", NAMES)
def test_the_reference_agrees_with_torchs_layer(name):
    """Outputs and gradients are those of torch.nn on every case."""
    task = tasks[name]
    for seed in range(3):
        for case in task.draw(np.random.default_rng(seed)):
            if case.group == REQUIRED:
                assert task.reference(case.inputs) == IS_REFUSED
                with pytest.raises(ValueError, match="divisible"):
                    torch_layer(name, case.inputs)
                continue
            theirs, ours = torch_layer(name, case.inputs), reference(name, **case.inputs)
            assert ours.keys() == theirs.keys()
            for key in ours:
                np.testing.assert_allclose(ours[key], theirs[key], rtol=1e-7, atol=1e-10)


@settings(max_examples=30)
@given(
    seed=st.integers(0, 2**32 - 1),
    name=st.sampled_from(["layer_norm_backward", "rms_norm_backward"]),
    shape=st.sampled_from([(4,), (3, 4), (2, 3, 2)]),
)
def test_gradients_agree_with_central_differences(seed, name, shape):
    """Every gradient of the reference is the limit of a difference quotient."""
    rng = np.random.default_rng(seed)
    inputs = {
        "x": rng.standard_normal(shape),
        "gamma": rng.uniform(0.5, 2, shape[-1]),
        "eps": 0.1,
        "d_out": rng.standard_normal(shape),
    }
    if name.startswith("layer"):
        inputs["beta"] = rng.standard_normal(shape[-1])
    got = reference(name, **inputs)

    def loss(changed, array):
        out = reference(name, **{**inputs, changed: array})["out"]
        return float((out * inputs["d_out"]).sum())

    for key in inputs.keys() & {"x", "gamma", "beta"}:
        gradient, step = np.zeros_like(inputs[key]), 1e-5
        for index in np.ndindex(gradient.shape):
            bump = np.zeros_like(gradient)
            bump[index] = step
            change = loss(key, inputs[key] + bump) - loss(key, inputs[key] - bump)
            gradient[index] = change / (2 * step)
        np.testing.assert_allclose(got[f"d_{key}"], gradient, atol=1e-7)


# Mistakes as students write them.


def solve(**replaced):
    return {**solution("norms"), **replaced}


def assert_named(name, mistake, functions):
    """The mistake is named, it alone, on two seeds."""
    for seed in range(2):
        report = grade(name, functions, seed)
        named = {finding.misconception for finding in report.findings if not finding.passed}
        assert named == {mistake}, f"seed {seed}\n{report}"
        assert report.points < report.max_points


def root(var, eps):
    return np.sqrt(var + eps)


def layer_forward(
    *,
    axis=lambda x: -1,
    keepdims=True,
    ddof=0,
    center=True,
    spread=None,
    divisor=root,
    affine=lambda x_hat, gamma, beta: gamma * x_hat + beta,
):
    """Return layer norm's forward pass as a student writes it, with one thing done differently."""

    def forward(x, gamma, beta, eps=1e-5):
        over = axis(x)
        mean = x.mean(axis=over, keepdims=keepdims)
        var = spread(x) if spread else x.var(axis=over, ddof=ddof, keepdims=keepdims)
        x_hat = (x - mean if center else x) / divisor(var, eps)
        return affine(x_hat, gamma, beta), None

    return forward


LAYER_FORWARD = {
    "ln-batch-axis": {"axis": lambda x: 0},
    "ln-second-axis": {"axis": lambda x: 1},
    "ln-whole-example": {"axis": lambda x: tuple(range(1, x.ndim))},
    "ln-global-stats": {"axis": lambda x: None},
    "ln-no-keepdims": {"keepdims": False},
    "ln-unbiased": {"ddof": 1},
    "ln-eps-outside-root": {"divisor": lambda var, eps: np.sqrt(var) + eps},
    "ln-no-eps": {"divisor": lambda var, eps: np.sqrt(var)},
    "ln-eps-fixed": {"divisor": lambda var, eps: np.sqrt(var + 1e-5)},
    "ln-no-root": {"divisor": lambda var, eps: var + eps},
    "ln-mean-not-subtracted": {"center": False},
    "ln-mean-of-squares": {"spread": lambda x: (x**2).mean(-1, keepdims=True)},
    "ln-shift-before-scale": {"affine": lambda x_hat, gamma, beta: gamma * (x_hat + beta)},
    "ln-no-affine": {"affine": lambda x_hat, gamma, beta: x_hat},
}


@pytest.mark.parametrize("mistake", LAYER_FORWARD)
def test_mistakes_of_layer_norm_are_named(mistake):
    """Each is told from the others, and costs points."""
    functions = {"layer_norm_forward": layer_forward(**LAYER_FORWARD[mistake])}
    assert_named("layer_norm_forward", mistake, functions)


def rms_forward(
    *,
    center=False,
    square=lambda x: (x**2).mean(-1, keepdims=True),
    divisor=root,
    scale=lambda x_hat, gamma: gamma * x_hat,
):
    """Return RMSNorm's forward pass as a student writes it, with one thing done differently."""

    def forward(x, gamma, eps=1e-6):
        if center:
            x_hat = (x - x.mean(-1, keepdims=True)) / divisor(square(x), eps)
        else:
            x_hat = x / divisor(square(x), eps)
        return scale(x_hat, gamma), None

    return forward


def mean_square_over(axis):
    return lambda x: (x**2).mean(axis=axis(x), keepdims=True)


RMS_FORWARD = {
    "rms-is-layer-norm": {"center": True, "square": lambda x: x.var(-1, keepdims=True)},
    "rms-subtracts-mean": {"center": True},
    "rms-divides-by-deviation": {"square": lambda x: x.var(-1, keepdims=True)},
    "rms-sum-of-squares": {"square": lambda x: (x**2).sum(-1, keepdims=True)},
    "rms-square-of-mean": {"square": lambda x: x.mean(-1, keepdims=True) ** 2},
    "rms-mean-of-sizes": {"square": lambda x: np.abs(x).mean(-1, keepdims=True) ** 2},
    "rms-batch-axis": {"square": mean_square_over(lambda x: 0)},
    "rms-second-axis": {"square": mean_square_over(lambda x: 1)},
    "rms-whole-example": {"square": mean_square_over(lambda x: tuple(range(1, x.ndim)))},
    "rms-global": {"square": mean_square_over(lambda x: None)},
    "rms-no-keepdims": {"square": lambda x: (x**2).mean(-1)},
    "rms-eps-outside-root": {"divisor": lambda square, eps: np.sqrt(square) + eps},
    "rms-no-eps": {"divisor": lambda square, eps: np.sqrt(square)},
    "rms-eps-fixed": {"divisor": lambda square, eps: np.sqrt(square + 1e-6)},
    "rms-no-root": {"divisor": lambda square, eps: square + eps},
    "rms-one-plus-gamma": {"scale": lambda x_hat, gamma: x_hat * (1 + gamma)},
    "rms-no-gamma": {"scale": lambda x_hat, gamma: x_hat},
}


@pytest.mark.parametrize("mistake", RMS_FORWARD)
def test_mistakes_of_rms_norm_are_named(mistake):
    """Each is told from the others, and costs points."""
    functions = {"rms_norm_forward": rms_forward(**RMS_FORWARD[mistake])}
    assert_named("rms_norm_forward", mistake, functions)


def average(a):
    return a.mean(-1, keepdims=True)


def over_examples(a):
    return a.reshape(-1, a.shape[-1]).sum(0)


def passes(
    *,
    centered,
    gradient=None,
    d_x_hat=lambda d_out, gamma: gamma * d_out,
    last=lambda d, gamma: d,
    backward_root=root,
    path_root=root,
    collect=over_examples,
    gamma_from=lambda x, x_hat: x_hat,
):
    """Return both passes of layer norm, or of RMSNorm, with one thing done differently.

    `gradient(g, x_hat, root)` is what comes before the division at the end.
    """

    def forward(x, gamma, *beta, eps=1e-5 if centered else 1e-6):
        deviations = x - average(x) if centered else x
        square = average(deviations**2)
        out = gamma * deviations / root(square, eps)
        return out + sum(beta), (x, deviations, square, gamma, eps)

    def right(g, x_hat, divisor):
        return g - (average(g) if centered else 0) - x_hat * average(g * x_hat)

    def backward(d_out, cache):
        x, deviations, square, gamma, eps = cache
        x_hat, divisor = deviations / root(square, eps), backward_root(square, eps)
        g = d_x_hat(d_out, gamma)
        if path_root is root:
            d_x = (gradient or right)(g, x_hat, divisor) / divisor
        else:
            d_x = (g - (average(g) if centered else 0)) / divisor
            d_x = d_x - deviations * average(g * deviations) * path_root(square, eps) ** -3
        sums = collect(d_out * gamma_from(x, x_hat)), collect(d_out)
        return last(d_x, gamma), *sums[: 1 + centered]

    name = "layer" if centered else "rms"
    return {f"{name}_norm_forward": forward, f"{name}_norm_backward": backward}


SHARED_BACKWARD = {
    "gamma-outside": {"d_x_hat": lambda d, gamma: d, "last": lambda d, gamma: gamma * d},
    "no-gamma": {"d_x_hat": lambda d, gamma: d},
    "gamma-over-features": {"collect": lambda a: a.sum(-1)},
    "gamma-first-axis": {"collect": lambda a: a.sum(0)},
    "mean-not-sum": {"collect": lambda a: a.reshape(-1, a.shape[-1]).mean(0)},
    "gamma-raw-x": {"gamma_from": lambda x, x_hat: x},
    "no-scale": {"backward_root": lambda square, eps: 1.0},
    "eps-outside-root": {"backward_root": lambda square, eps: np.sqrt(square) + eps},
    "no-eps": {
        "backward_root": lambda square, eps: np.sqrt(square),
        "path_root": lambda square, eps: np.sqrt(square),
    },
}


@pytest.mark.parametrize("centered", [True, False], ids=["layer", "rms"])
@pytest.mark.parametrize("mistake", SHARED_BACKWARD)
def test_mistakes_of_both_backward_passes_are_named(mistake, centered):
    """What one does to layer norm one does to RMSNorm as well."""
    name, prefix = ("layer", "ln") if centered else ("rms", "rms")
    functions = passes(centered=centered, **SHARED_BACKWARD[mistake])
    assert_named(f"{name}_norm_backward", f"{prefix}-backward-{mistake}", functions)


def batch_average(a):
    return a.mean(0, keepdims=True)


def divided_by_examples(a):
    return a.sum(-1, keepdims=True) * a.shape[-1] / a.size


LAYER_BACKWARD = {
    "diagonal": lambda g, x_hat, root: g,
    "no-mean": lambda g, x_hat, root: g - x_hat * average(g * x_hat),
    "no-var": lambda g, x_hat, root: g - average(g),
    "batch-averages": lambda g, x_hat, root: (
        g - batch_average(g) - x_hat * batch_average(g * x_hat)
    ),
    "sum-not-mean": lambda g, x_hat, root: (
        g - g.sum(-1, keepdims=True) - x_hat * (g * x_hat).sum(-1, keepdims=True)
    ),
    "wrong-count": lambda g, x_hat, root: (
        g - divided_by_examples(g) - x_hat * divided_by_examples(g * x_hat)
    ),
    "no-x-hat": lambda g, x_hat, root: g - average(g) - average(g * x_hat),
    "half-variance": lambda g, x_hat, root: g - average(g) - x_hat * average(g * x_hat) / 2,
}
RMS_BACKWARD = {
    "diagonal": lambda g, x_hat, root: g,
    "as-layer-norm": lambda g, x_hat, root: g - average(g) - x_hat * average(g * x_hat),
    "batch-average": lambda g, x_hat, root: g - x_hat * batch_average(g * x_hat),
    "sum-not-mean": lambda g, x_hat, root: g - x_hat * (g * x_hat).sum(-1, keepdims=True),
    "wrong-count": lambda g, x_hat, root: g - x_hat * divided_by_examples(g * x_hat),
    "no-x-hat": lambda g, x_hat, root: g - average(g * x_hat),
    "raw-x": lambda g, x_hat, root: g - x_hat * root * average(g * x_hat * root),
    "half": lambda g, x_hat, root: g - x_hat * average(g * x_hat) / 2,
}


@pytest.mark.parametrize("mistake", LAYER_BACKWARD)
def test_mistakes_of_layer_norms_gradient_are_named(mistake):
    """What is taken away from the gradient, and over which axis."""
    functions = passes(centered=True, gradient=LAYER_BACKWARD[mistake])
    assert_named("layer_norm_backward", f"ln-backward-{mistake}", functions)


@pytest.mark.parametrize("mistake", RMS_BACKWARD)
def test_mistakes_of_rms_norms_gradient_are_named(mistake):
    """What is taken away from the gradient, and over which axis."""
    functions = passes(centered=False, gradient=RMS_BACKWARD[mistake])
    assert_named("rms_norm_backward", f"rms-backward-{mistake}", functions)


@pytest.mark.parametrize(
    ("centered", "mistake"),
    [(True, "ln-backward-no-eps-in-variance"), (False, "rms-backward-no-eps-in-square")],
)
def test_a_missing_eps_on_one_path_is_named(centered, mistake):
    """The gradient of the square lacks the ε that the division has."""
    name = "layer" if centered else "rms"
    functions = passes(centered=centered, path_root=lambda square, eps: np.sqrt(square))
    assert_named(f"{name}_norm_backward", mistake, functions)


def test_the_passes_are_right_but_for_their_mistakes():
    """Without a change they earn all points, in both ways to write the path through the square."""
    for centered, name in ((True, "layer"), (False, "rms")):
        for path_root in (root, lambda square, eps: np.sqrt(square + eps)):
            functions = passes(centered=centered, path_root=path_root)
            for which in ("forward", "backward"):
                assert grade(f"{name}_norm_{which}", functions, 0).passed


def groups_with(
    *,
    shape=lambda n, c, g: (n, g, c // g),
    axis=(2, 3, 4),
    swapped=False,
    ddof=0,
    divisor=root,
    per_channel=lambda a: a[:, None, None],
    affine=True,
):
    """Return group norm as a student writes it, with one thing done differently."""

    def forward(x, groups, gamma, beta, eps=1e-5):
        n, c, h, w = x.shape
        if c % groups:
            raise ValueError("unequal groups")
        grouped = x.reshape(*shape(n, c, groups), h, w)
        grouped = grouped.swapaxes(1, 2) if swapped else grouped
        mean = grouped.mean(axis=axis, keepdims=True)
        var = grouped.var(axis=axis, ddof=ddof, keepdims=True)
        x_hat = (grouped - mean) / divisor(var, eps)
        x_hat = (x_hat.swapaxes(1, 2) if swapped else x_hat).reshape(x.shape)
        return per_channel(gamma) * x_hat + per_channel(beta) if affine else x_hat

    return {"group_norm_forward": forward}


GROUPS = {
    "gn-interleaved": {"shape": lambda n, c, g: (n, c // g, g), "swapped": True},
    "gn-size-for-number": {"shape": lambda n, c, g: (n, c // g, g)},
    "gn-is-layer-norm": {"axis": (1, 2, 3, 4)},
    "gn-is-instance-norm": {"axis": (3, 4)},
    "gn-across-batch": {"axis": (0, 2, 3, 4)},
    "gn-per-position": {"axis": 2},
    "gn-gamma-along-columns": {"per_channel": lambda a: a},
    "gn-unbiased": {"ddof": 1},
    "gn-eps-outside-root": {"divisor": lambda var, eps: np.sqrt(var) + eps},
    "gn-no-eps": {"divisor": lambda var, eps: np.sqrt(var)},
    "gn-eps-fixed": {"divisor": lambda var, eps: np.sqrt(var + 1e-5)},
    "gn-no-root": {"divisor": lambda var, eps: var + eps},
    "gn-no-affine": {"affine": False},
}


@pytest.mark.parametrize("mistake", GROUPS)
def test_mistakes_of_group_norm_are_named(mistake):
    """Each is told from the others, and costs points."""
    assert_named("group_norm_forward", mistake, groups_with(**GROUPS[mistake]))


def test_every_declared_mistake_is_made_here_by_a_student():
    """So that none is known by its declaration alone."""
    made = {
        "layer_norm_forward": set(LAYER_FORWARD),
        "rms_norm_forward": set(RMS_FORWARD),
        "group_norm_forward": set(GROUPS),
        "layer_norm_backward": {
            f"ln-backward-{one}"
            for one in (*SHARED_BACKWARD, *LAYER_BACKWARD, "no-eps-in-variance")
        },
        "rms_norm_backward": {
            f"rms-backward-{one}" for one in (*SHARED_BACKWARD, *RMS_BACKWARD, "no-eps-in-square")
        },
    }
    for name, mistakes in made.items():
        assert {one.id for one in tasks[name].misconceptions} == mistakes


def test_groups_of_unequal_size_have_to_be_refused():
    """A reshape to the number of groups is not stopped by NumPy, and costs a quarter."""

    def forward(x, groups, gamma, beta, eps=1e-5):
        rows = x.reshape(len(x), groups, -1)
        x_hat = (rows - average(rows)) / root(rows.var(-1, keepdims=True), eps)
        return gamma[:, None, None] * x_hat.reshape(x.shape) + beta[:, None, None]

    report = grade("group_norm_forward", {"group_norm_forward": forward}, 0)
    assert report.points == 2.25
    assert report.findings[-1].misconception == "gn-accepts-unequal-groups"


def test_group_norm_may_call_layer_norm():
    """A student who sees that they are the same saves the work."""
    layer = solution("norms")["layer_norm_forward"]

    def forward(x, groups, gamma, beta, eps=1e-5):
        if x.shape[1] % groups:
            raise ValueError("unequal groups")
        rows, _ = layer(x.reshape(len(x), groups, -1), 1.0, 0.0, eps)
        return gamma[:, None, None] * rows.reshape(x.shape) + beta[:, None, None]

    assert grade("group_norm_forward", solve(group_norm_forward=forward), 0).passed


def test_the_right_gradient_of_a_wrong_forward_pass_earns_half():
    """Error carried forward: batch norm over rows, differentiated as it should be."""

    def forward(x, gamma, beta, eps=1e-5):
        std = root(x.var(0), eps)
        x_hat = (x - x.mean(0)) / std
        return gamma * x_hat + beta, (x_hat, gamma, std)

    def backward(d_out, cache):
        x_hat, gamma, std = cache
        g = gamma * d_out
        d_x = (g - g.mean(0) - x_hat * (g * x_hat).mean(0)) / std
        return d_x, over_examples(d_out * x_hat), over_examples(d_out)

    functions = {"layer_norm_forward": forward, "layer_norm_backward": backward}
    report = grade("layer_norm_backward", functions, 1)
    by_aspect = {finding.aspect: finding for finding in report.findings}
    assert by_aspect["d_x for a matrix"].points == 1.0
    assert "ln-batch-axis" in by_aspect["d_x for a matrix"].message
    assert by_aspect["d_beta for a matrix"].passed


def test_zeros_that_agree_with_zeros_earn_nothing():
    """Being consistent with oneself is worth nothing: a forward and backward of zeros get 0."""
    functions = {
        "layer_norm_forward": lambda x, gamma, beta, **options: (0 * x, len(gamma)),
        "layer_norm_backward": lambda d, cache: (0 * d, np.zeros(cache), np.zeros(cache)),
        "rms_norm_forward": lambda x, gamma, **options: (0 * x, len(gamma)),
        "rms_norm_backward": lambda d, cache: (0 * d, np.zeros(cache)),
    }
    for name in functions:
        assert grade(name, functions, 0).points == 0


# The module.


def test_mistakes_of_the_module_are_named():
    """They are those of the function."""

    class NoRoot(solution("norms")["RMSNorm"]):
        def forward(self, x):
            return self.weight * x / (x.square().mean(-1, keepdim=True) + self.eps)

    class Centered(solution("norms")["RMSNorm"]):
        def forward(self, x):
            return super().forward(x - x.mean(-1, keepdim=True))

    assert_named("RMSNorm", "rms-no-root", {"RMSNorm": NoRoot})
    assert_named("RMSNorm", "rms-is-layer-norm", {"RMSNorm": Centered})


def test_a_new_layer_that_starts_from_something_else_loses_points():
    """A γ of 0 to begin with is noticed, though other cases load their own."""

    class StartsAtZero(solution("norms")["RMSNorm"]):
        def __init__(self, features, **options):
            super().__init__(features, **options)
            nn.init.zeros_(self.weight)

    report = grade("RMSNorm", {"RMSNorm": StartsAtZero}, 0)
    assert report.points < report.max_points
    assert "In the case “a new layer" in str(report)


def test_a_layer_with_another_state_is_told_so():
    """What torch says of the keys is in the report."""

    class WithBias(solution("norms")["RMSNorm"]):
        def __init__(self, features, **options):
            super().__init__(features, **options)
            self.bias = nn.Parameter(torch.zeros(features))

    report = grade("RMSNorm", {"RMSNorm": WithBias}, 0)
    assert report.points == 0
    assert "bias" in str(report)


def test_a_layer_that_is_frozen_or_detached_loses_its_gradients_only():
    """The output is right, and what is not differentiated is said to be missing."""

    class Frozen(solution("norms")["RMSNorm"]):
        def __init__(self, features, **options):
            super().__init__(features, **options)
            self.weight.requires_grad_(False)

    report = grade("RMSNorm", {"RMSNorm": Frozen}, 0)
    assert report.points == 1.25
    assert "weight.grad" in str(report)


def test_torchs_own_layer_earns_all_points():
    """The task asks for what nn.RMSNorm does with this eps, so nn.RMSNorm passes it."""

    class Theirs(nn.RMSNorm):
        def __init__(self, features, eps=1e-6):
            super().__init__(features, eps=eps)

    for seed in range(2):
        report = judged("RMSNorm", {"RMSNorm": Theirs}, seed)
        assert report.passed, str(report)
    report = grade("RMSNorm", {"RMSNorm": Theirs}, 0)
    assert report.points == 0
    assert "write a normalization yourself" in " ".join(str(report).split())
