"""The formulas of the chapter on batch normalization, in code as displayed, against autograd.

Written for one feature, as the chapter derives them, and in float64.
"""

import pytest
import torch
from torch import nn

ALPHA, EPS = 0.1, 1e-3


@pytest.fixture
def setting():
    """Return a batch of one feature, a gradient from above, and γ and β that are not 1 and 0."""
    generator = torch.Generator().manual_seed(3)
    x, g = torch.randn(2, 7, generator=generator, dtype=torch.float64)
    return 2 + 3 * x, g, torch.tensor(1.7, dtype=torch.float64), torch.tensor(-0.4).double()


def layer_for(gamma, beta, eps=EPS):
    """Return PyTorch's layer for one feature."""
    layer = nn.BatchNorm1d(1, eps=eps, momentum=ALPHA, dtype=torch.float64)
    with torch.no_grad():
        layer.weight.fill_(gamma)
        layer.bias.fill_(beta)
    return layer


def gradients(layer, x, g):
    """Return what autograd gives x, γ and β when g arrives at the layer's output."""
    x = x.clone().requires_grad_()
    layer(x[:, None]).backward(g[:, None])
    return x.grad, layer.weight.grad[0], layer.bias.grad[0]


def central_differences(loss, x, step=1e-6):
    """Return the gradient of a function of a vector by central differences."""
    steps = step * torch.eye(len(x), dtype=x.dtype)
    return torch.stack([(loss(x + d) - loss(x - d)) / (2 * step) for d in steps])


def normalized(x, eps=EPS):
    """Return the normalized batch and the factor s."""
    mu = x.mean()
    s = 1 / torch.sqrt(((x - mu) ** 2).mean() + eps)
    return (x - mu) * s, s


def closed_form(x, g, gamma, eps=EPS):
    """Return the gradient by the displayed closed form."""
    m, (x_hat, s), g_hat = len(x), normalized(x, eps), gamma * g
    return s / m * (m * g_hat - g_hat.sum() - x_hat * (g_hat * x_hat).sum())


def test_forward_is_the_definition(setting):
    """BN(x) = γ (x − μ) / √(σ² + ε) + β with the biased variance."""
    x, _, gamma, beta = setting
    y = layer_for(gamma, beta)(x[:, None])[:, 0]
    assert torch.allclose(y, gamma * normalized(x)[0] + beta)


def test_running_statistics_follow_the_displayed_update(setting):
    """(1 − α) old + α batch, with m / (m − 1) σ²."""
    x, _, gamma, beta = setting
    layer, m = layer_for(gamma, beta), len(x)
    mean, variance = torch.tensor(0.0).double(), torch.tensor(1.0).double()
    for batch in (x, x**2, x - 5):
        layer(batch[:, None])
        mean = (1 - ALPHA) * mean + ALPHA * batch.mean()
        biased = ((batch - batch.mean()) ** 2).mean()
        variance = (1 - ALPHA) * variance + ALPHA * m / (m - 1) * biased
        assert torch.allclose(layer.running_mean[0], mean)
        assert torch.allclose(layer.running_var[0], variance)


def test_mean_of_running_statistics_over_time():
    """After t batches with the same statistics, 1 − (1 − α)ᵗ of the way is gone."""
    layer = layer_for(1.0, 0.0)
    batch = torch.tensor([[1.0], [2.0], [3.0], [6.0]], dtype=torch.float64)
    for t in range(1, 30):
        layer(batch)
        assert torch.allclose(layer.running_mean, torch.tensor(3 * (1 - (1 - ALPHA) ** t)).double())


def test_closed_form_is_the_gradient(setting):
    """Against autograd through PyTorch's layer and against central differences."""
    x, g, gamma, beta = setting
    d_x, d_gamma, d_beta = gradients(layer_for(gamma, beta), x, g)
    by_formula = closed_form(x, g, gamma)
    assert torch.allclose(by_formula, d_x)
    assert torch.allclose((g * normalized(x)[0]).sum(), d_gamma)
    assert torch.allclose(g.sum(), d_beta)
    numerical = central_differences(lambda v: (g * (gamma * normalized(v)[0] + beta)).sum(), x)
    assert torch.allclose(by_formula, numerical, atol=1e-7)


def test_each_step_of_the_graph(setting):
    """Every intermediate gradient of the derivation, as displayed, is autograd's."""
    x, g, gamma, beta = setting
    x = x.clone().requires_grad_()
    m = len(x)
    mu = x.mean()
    c = x - mu
    variance = (c**2).mean()
    s = (variance + EPS) ** -0.5
    x_hat = c * s
    y = gamma * x_hat + beta
    for node in (mu, c, variance, s, x_hat):
        node.retain_grad()
    y.backward(g)
    with torch.no_grad():
        g_hat = gamma * g
        assert torch.allclose(x_hat.grad, g_hat)
        assert torch.allclose(s.grad, (g_hat * c).sum())
        assert torch.allclose(variance.grad, -0.5 * s**3 * (g_hat * c).sum())
        first, second = s * g_hat, -(s**3) / m * c * (g_hat * c).sum()
        assert torch.allclose(c.grad, first + second)
        assert torch.allclose(c.grad, s * g_hat - s / m * x_hat * (g_hat * x_hat).sum())
        assert torch.allclose(mu.grad, -s * g_hat.sum())
        assert torch.allclose(mu.grad, -c.grad.sum())
        assert torch.allclose(x.grad, c.grad + mu.grad / m)


def test_worked_numbers_of_the_backward_pass():
    """The batch (1, 2, 3, 6) with γ = 2, ε = 0 and the gradient (1, 0, 0, 0) from above."""
    x = torch.tensor([1.0, 2.0, 3.0, 6.0], dtype=torch.float64)
    g = torch.tensor([1.0, 0.0, 0.0, 0.0], dtype=torch.float64)
    d_x, d_gamma, d_beta = gradients(layer_for(2.0, 1.0, eps=1e-12), x, g)
    assert torch.allclose(d_x, torch.tensor([0.496, -0.420, -0.267, 0.191]).double(), atol=6e-4)
    assert torch.allclose(d_gamma, torch.tensor(-1.069).double(), atol=6e-4)
    assert d_beta == 1


def test_what_the_gradient_has_lost(setting):
    """Nothing is left of it along a shift, and an ε's share along a stretch."""
    x, g, gamma, _ = setting
    d_x, (x_hat, s) = closed_form(x, g, gamma), normalized(x)
    variance = ((x - x.mean()) ** 2).mean()
    share = s * EPS / (variance + EPS) * (gamma * g * x_hat).sum()
    assert abs(d_x.sum()) < 1e-12
    assert torch.allclose((x_hat * d_x).sum(), share)


def test_gradient_in_evaluation_mode(setting):
    """γ / √(running variance + ε) times what arrives, and sums for γ and β."""
    x, g, gamma, beta = setting
    layer = layer_for(gamma, beta)
    layer.running_mean.fill_(0.8)
    layer.running_var.fill_(2.5)
    d_x, d_gamma, d_beta = gradients(layer.eval(), x, g)
    s = 1 / torch.tensor(2.5 + EPS, dtype=torch.float64).sqrt()
    assert torch.allclose(d_x, gamma * s * g)
    assert torch.allclose(d_gamma, (g * (x - 0.8) * s).sum())
    assert torch.allclose(d_beta, g.sum())


@pytest.mark.parametrize(
    ("layer", "shape", "axes"),
    [
        (nn.BatchNorm1d, (6, 3), (0,)),
        (nn.BatchNorm1d, (4, 3, 5), (0, 2)),
        (nn.BatchNorm2d, (4, 3, 5, 2), (0, 2, 3)),
        (nn.BatchNorm3d, (4, 3, 2, 5, 2), (0, 2, 3, 4)),
    ],
)
def test_axes_of_the_table(layer, shape, axes):
    """Each layer averages over the axes that the table names, and so does its gradient."""
    generator = torch.Generator().manual_seed(1)
    x, g = torch.randn(2, *shape, generator=generator, dtype=torch.float64)
    layer = layer(3, eps=EPS, dtype=torch.float64)
    x.requires_grad_()
    y = layer(x)
    mean = x.mean(axes, keepdim=True)
    variance = ((x - mean) ** 2).mean(axes, keepdim=True)
    assert torch.allclose(y, (x - mean) / (variance + EPS).sqrt())
    y.backward(g)
    for channel in range(3):
        rows, upstream = x.detach()[:, channel].flatten(), g[:, channel].flatten()
        expected = closed_form(rows, upstream, 1.0).reshape(x[:, channel].shape)
        assert torch.allclose(x.grad[:, channel], expected)


def test_variance_before_and_after_dropout_is_taken_away():
    """The displayed variance of w·y under dropout, over all masks of five units."""
    generator = torch.Generator().manual_seed(4)
    a = torch.randn(40, 5, generator=generator, dtype=torch.float64).relu()
    w, p = torch.randn(5, generator=generator, dtype=torch.float64), 0.5
    masks = torch.cartesian_prod(*[torch.tensor([0.0, 1.0]).double()] * 5)
    outputs = (masks[:, None] * a / p) @ w  # at p = ½ all masks are equally likely
    evaluation = (a @ w).var(correction=0)
    training = evaluation + (1 - p) / p * (w**2 * (a**2).mean(0)).sum()
    assert torch.allclose(outputs.var(correction=0), training)


def test_folding(setting):
    """W' = W diag(s) and b' = s ⊙ (b − μ) + β give the two layers' output."""
    generator = torch.Generator().manual_seed(5)
    linear, norm = nn.Linear(4, 3).double(), nn.BatchNorm1d(3, dtype=torch.float64)
    with torch.no_grad():
        for values in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
            values.copy_(0.5 + torch.rand(3, generator=generator))
    x = torch.randn(6, 4, generator=generator, dtype=torch.float64)
    W, b = linear.weight.T, linear.bias
    s = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    by_formula = x @ (W @ torch.diag(s)) + (s * (b - norm.running_mean) + norm.bias)
    assert torch.allclose(by_formula, norm.eval()(linear(x)))
