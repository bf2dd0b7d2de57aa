"""The formulas of the second chapter on normalization, in code as displayed, against autograd.

Written for one example, as the chapter derives them, and in float64.
"""

import pytest
import torch
from torch import nn

EPS = 1e-3


def draw(*shape, seed=0):
    """Return random numbers of a shape."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def with_scale(layer, seed=5):
    """Return a layer in float64 whose parameters are not 1 and 0."""
    layer = layer.double()
    with torch.no_grad():
        for offset, parameter in enumerate(layer.parameters()):
            parameter.copy_(0.5 + draw(*parameter.shape, seed=seed + offset).abs())
    return layer


def gradients(layer, x, g):
    """Return what autograd gives x and the layer's parameters when g arrives at its output."""
    x = x.clone().requires_grad_()
    layer(x).backward(g)
    return x.grad, *(parameter.grad for parameter in layer.parameters())


def normalized(x):
    """Return the features of an example, normalized by mean and variance, and the factor s."""
    mu = x.mean()
    s = 1 / torch.sqrt(((x - mu) ** 2).mean() + EPS)
    return (x - mu) * s, s


def scaled(x):
    """Return the features of an example over their root mean square, and the factor s."""
    s = 1 / torch.sqrt((x**2).mean() + EPS)
    return x * s, s


def layer_norm_gradient(x, g_hat):
    """Return the displayed closed form, for the features that share a mean."""
    d, (x_hat, s) = len(x), normalized(x)
    return s / d * (d * g_hat - g_hat.sum() - x_hat * (g_hat * x_hat).sum())


def rms_norm_gradient(x, g_hat):
    """Return the displayed closed form."""
    d, (x_hat, s) = len(x), scaled(x)
    return s * (g_hat - x_hat / d * (g_hat * x_hat).sum())


def test_layer_norm():
    """Forward, and the gradients of x over features and of γ and β over examples."""
    x, g = 2 + 3 * draw(5, 7), draw(5, 7, seed=1)
    layer = with_scale(nn.LayerNorm(7, eps=EPS))
    gamma, beta = (parameter.detach() for parameter in layer.parameters())
    x_hat = torch.stack([normalized(row)[0] for row in x])
    assert torch.allclose(layer(x), gamma * x_hat + beta)
    d_x, d_gamma, d_beta = gradients(layer, x, g)
    expected = [layer_norm_gradient(row, gamma * up) for row, up in zip(x, g, strict=True)]
    assert torch.allclose(d_x, torch.stack(expected))
    assert torch.allclose(d_gamma, (g * x_hat).sum(0))
    assert torch.allclose(d_beta, g.sum(0))


def test_scale_has_to_stay_inside_the_sums():
    """With γ in front, as batch norm allows, the gradient would be another one."""
    x, g = draw(7), draw(7, seed=1)
    layer = with_scale(nn.LayerNorm(7, eps=EPS))
    gamma = layer.weight.detach()
    d_x, *_ = gradients(layer, x, g)
    assert not torch.allclose(d_x, gamma * layer_norm_gradient(x, g))


def test_rms_norm():
    """Forward, the closed form, and both steps on the way to it."""
    x, g = 2 + 3 * draw(5, 7), draw(5, 7, seed=1)
    layer = with_scale(nn.RMSNorm(7, eps=EPS))
    gamma = layer.weight.detach()
    x_hat = torch.stack([scaled(row)[0] for row in x])
    assert torch.allclose(layer(x), gamma * x_hat)
    d_x, d_gamma = gradients(layer, x, g)
    for row, up, found in zip(x, gamma * g, d_x, strict=True):
        s, d = scaled(row)[1], len(row)
        slope = torch.func.grad(lambda v: scaled(v)[1])(row)
        assert torch.allclose(slope, -(s**3) / d * row)
        assert torch.allclose(found, s * up - s**3 / d * row * (up * row).sum())
        assert torch.allclose(found, rms_norm_gradient(row, up))
    assert torch.allclose(d_gamma, (g * x_hat).sum(0))


def test_what_the_gradients_have_lost():
    """Layer norm's has no part along a shift; along a stretch, an ε's share is left of both."""
    x, g_hat = 2 + 3 * draw(7), draw(7, seed=1)
    assert abs(layer_norm_gradient(x, g_hat).sum()) < 1e-12
    assert abs(rms_norm_gradient(x, g_hat).sum()) > 1e-2
    for gradient, x_hat in (
        (layer_norm_gradient(x, g_hat), normalized(x)[0]),
        (rms_norm_gradient(x, g_hat), scaled(x)[0]),
    ):
        assert abs(x_hat @ gradient) < 1e-3 * abs(x_hat @ g_hat)


def test_layer_norm_and_rms_norm_agree_on_features_with_mean_zero():
    """All that RMSNorm leaves out is the mean."""
    x = draw(3, 7)
    x -= x.mean(1, keepdim=True)
    layers = nn.LayerNorm(7, eps=EPS), nn.RMSNorm(7, eps=EPS)
    layer, rms = (one.double() for one in layers)
    assert torch.allclose(layer(x), rms(x))


def test_group_norm():
    """Layer norm's gradient for each group, γ of a channel over examples and positions."""
    x, g = 2 + 3 * draw(3, 6, 4, 5), draw(3, 6, 4, 5, seed=1)
    layer = with_scale(nn.GroupNorm(2, 6, eps=EPS))
    gamma = layer.weight.detach()
    d_x, d_gamma, d_beta = gradients(layer, x, g)
    x_hat = torch.empty_like(x)
    for example in range(3):
        for group in (slice(0, 3), slice(3, 6)):
            values = x[example, group].flatten()
            g_hat = (gamma[group, None, None] * g[example, group]).flatten()
            expected = layer_norm_gradient(values, g_hat)
            assert torch.allclose(d_x[example, group].flatten(), expected)
            x_hat[example, group] = normalized(values)[0].view(3, 4, 5)
    assert torch.allclose(d_gamma, (g * x_hat).sum((0, 2, 3)))
    assert torch.allclose(d_beta, g.sum((0, 2, 3)))


LAYERS = {
    "batch": nn.BatchNorm2d(6, eps=1e-12, dtype=torch.float64),
    "layer": nn.GroupNorm(1, 6, eps=1e-12, dtype=torch.float64),
    "group": nn.GroupNorm(2, 6, eps=1e-12, dtype=torch.float64),
    "instance": nn.InstanceNorm2d(6, eps=1e-12, dtype=torch.float64),
    "RMS": nn.RMSNorm([6, 4, 5], eps=1e-12, dtype=torch.float64),
}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize(
    ("done", "unnoticed"),
    [
        ("all weights", {"batch", "layer", "group", "instance", "RMS"}),
        ("one channel", {"batch", "instance"}),
        ("one example", {"layer", "group", "instance", "RMS"}),
        ("shift of an example", {"layer", "group", "instance"}),
    ],
)
def test_what_each_cannot_see(name, done, unnoticed):
    """The table of invariances, on what a convolution without bias has computed."""
    x = 1 + draw(3, 6, 4, 5)
    y = x.clone()
    if done == "all weights":
        y *= 3
    elif done == "one channel":
        y[:, 2] *= 3
    elif done == "one example":
        y[1] *= 3
    else:
        y[1] += 3
    same = torch.allclose(LAYERS[name](x), LAYERS[name](y))
    assert same == (name in unnoticed)


@pytest.mark.parametrize(
    ("layer", "axes"),
    [
        (nn.BatchNorm2d(6), (0, 2, 3)),
        (nn.GroupNorm(1, 6), (1, 2, 3)),
        (nn.LayerNorm([6, 4, 5]), (1, 2, 3)),
        (nn.InstanceNorm2d(6), (2, 3)),
        (nn.GroupNorm(6, 6), (2, 3)),
    ],
    ids=repr,
)
def test_axes_of_the_relatives(layer, axes):
    """Batch, layer and instance norm differ in the axes only; group norm has both as its ends."""
    x = 3 + torch.randn(2, 6, 4, 5, generator=torch.Generator().manual_seed(0))
    mean, variance = x.mean(axes, keepdim=True), x.var(axes, keepdim=True, correction=0)
    assert torch.allclose(layer(x), (x - mean) / (variance + 1e-5).sqrt(), atol=1e-5)


def test_scaled_weights_have_the_same_output_and_a_smaller_gradient():
    """L(κw) = L(w), ∇L(κw) = ∇L(w) / κ, and the gradient is at right angles to w."""
    x, w, g = draw(9, 4, seed=2), draw(4, seed=3), draw(9, seed=4)

    def loss(weights):
        z = x @ weights
        x_hat = (z - z.mean()) / z.std(correction=0)
        return (g * x_hat**3).sum()

    first = torch.func.grad(loss)(w)
    for kappa in (0.1, 3.0, 50.0):
        assert torch.allclose(loss(kappa * w), loss(w))
        assert torch.allclose(torch.func.grad(loss)(kappa * w), first / kappa)
    assert abs(first @ w) < 1e-12 * first.norm() * w.norm()
    assert torch.autograd.gradcheck(loss, w.clone().requires_grad_())


def test_longer_by_pythagoras():
    """A step at right angles makes the weights longer by the square of its length."""
    w, step = draw(4, seed=2), draw(4, seed=3)
    step -= (step @ w) / (w @ w) * w
    assert torch.allclose((w - step).norm() ** 2, w.norm() ** 2 + step.norm() ** 2)


def test_folding_forward():
    """Batch norm after a ReLU goes into the next layer: diag(s) W and t W + b."""
    generator = torch.Generator().manual_seed(6)
    norm, linear = nn.BatchNorm1d(4, dtype=torch.float64), nn.Linear(4, 3).double()
    with torch.no_grad():
        for values in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
            values.copy_(0.5 + torch.rand(4, generator=generator))
    a = torch.relu(torch.randn(6, 4, generator=generator, dtype=torch.float64))
    W, b = linear.weight.T, linear.bias
    s = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    t = norm.bias - s * norm.running_mean
    by_formula = a @ (torch.diag(s) @ W) + (t @ W + b)
    assert torch.allclose(by_formula, linear(norm.eval()(a)))


@pytest.mark.parametrize("m", [2, 4, 8])
def test_spread_of_batch_statistics(m):
    """Over many batches: Var[μ] = σ²/m and E[σ²] = (m − 1)/m of the true variance."""
    generator = torch.Generator().manual_seed(6)
    batches = 2 * torch.randn(200_000, m, generator=generator, dtype=torch.float64)
    assert torch.allclose(batches.mean(1).var(), torch.tensor(4 / m).double(), rtol=0.02)
    biased = batches.var(1, correction=0).mean()
    assert torch.allclose(biased, torch.tensor(4 * (m - 1) / m).double(), rtol=0.02)
