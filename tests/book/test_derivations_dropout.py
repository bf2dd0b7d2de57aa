"""The formulas of the chapter on dropout, in code as they are displayed, checked numerically.

Names follow the chapter: ``p`` is the probability to keep. Expectations are exact sums over all
masks.
"""

import itertools

import pytest
import torch
from torch import nn

UNITS = 6


def random(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def close(a, b, tolerance=1e-9):
    a, b = (torch.as_tensor(value, dtype=torch.float64) for value in (a, b))
    return torch.allclose(a, b, rtol=tolerance, atol=tolerance)


def all_masks(p):
    """Return every mask for UNITS units and the chance of each."""
    masks = torch.tensor(list(itertools.product([0.0, 1.0], repeat=UNITS)), dtype=torch.float64)
    ones = masks.sum(1)
    return masks, p**ones * (1 - p) ** (UNITS - ones)


@pytest.mark.parametrize("p", [0.5, 0.8])
def test_expectation_and_variance(p):
    """E[y] = a and Var[y] = (1 − p)/p · a²."""
    a = random(UNITS)
    masks, chance = all_masks(p)
    y = masks * a / p
    mean = chance @ y
    assert close(chance.sum(), 1.0)
    assert close(mean, a)
    assert close(chance @ y**2 - mean**2, (1 - p) / p * a**2)


@pytest.mark.parametrize("models", [1, 2, 10])
def test_the_average_of_models_keeps_what_they_share(models):
    """The average's mean squared error is c + (v − c)/T, and 0.46 in the example."""
    v, c = 1.0, 0.4
    products = torch.full((models, models), c, dtype=torch.float64).fill_diagonal_(v)
    weights = torch.full((models,), 1 / models, dtype=torch.float64)
    error = weights @ products @ weights
    assert close(error, c + (v - c) / models)
    if models == 10:
        assert close(error, 0.46)


def test_more_than_a_third_of_the_examples_is_missing_from_a_draw_with_replacement():
    """(1 − 1/n)ⁿ is 37% for a training set of any usual size."""
    for n in (100, 600, 60_000):
        assert round((1 - 1 / n) ** n, 2) == 0.37


@pytest.mark.parametrize("p", [0.5, 0.8])
def test_linear_model_pays_an_l2_penalty(p):
    """E[(r − w·y)²] = (r − w·a)² + (1 − p)/p Σ w²a²."""
    a, w, r = random(UNITS), random(UNITS, seed=1), 0.7
    masks, chance = all_masks(p)
    expected = chance @ (r - (masks * a / p) @ w) ** 2
    assert close(expected, (r - w @ a) ** 2 + (1 - p) / p * (w**2 * a**2).sum())


@pytest.mark.parametrize("p", [0.5, 0.8])
def test_gradient(p):
    """∂L/∂a = m/p · ∂L/∂y, and ∂yᵢ/∂aⱼ is diagonal."""
    m = torch.tensor([1.0, 0, 1, 1, 0, 1], dtype=torch.float64)

    def loss_of_output(y):
        return (y.sin() * random(UNITS, seed=2)).sum()

    def numerical(function, at):
        gradient = torch.empty_like(at)
        for i in range(len(at)):
            nudge = torch.zeros_like(at)
            nudge[i] = 1e-6
            gradient[i] = (function(at + nudge) - function(at - nudge)) / 2e-6
        return gradient

    a = random(UNITS)
    by_output = numerical(loss_of_output, m * a / p)
    assert close(numerical(lambda v: loss_of_output(m * v / p), a), m / p * by_output, 1e-7)
    jacobian = torch.autograd.functional.jacobian(lambda v: m * v / p, a)
    assert close(jacobian, torch.diag(m / p))


def test_gradient_is_the_one_of_torch():
    """PyTorch's p drops: nn.Dropout(1 − p) scales output and gradient alike by m/p."""
    p, a = 0.8, random(200).requires_grad_()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        y = nn.Dropout(1 - p)(a)
    upstream = random(200, seed=1)
    y.backward(upstream)
    m = (y != 0).double()
    assert 0 < m.sum() < 200
    assert close(y.detach(), m * a.detach() / p)
    assert close(a.grad, m / p * upstream)


def test_evaluation_mode_passes_the_gradient():
    """After an evaluation forward ∂L/∂a = ∂L/∂y."""
    a = random(5).requires_grad_()
    upstream = random(5, seed=1)
    nn.Dropout(0.3).eval()(a).backward(upstream)
    assert close(a.grad, upstream)


@pytest.mark.parametrize("p", [0.5, 0.8])
def test_average_of_linear_sub_networks(p):
    """E[z(m)] = w·a + b exactly; after a sigmoid it is no longer so."""
    a, w, b = random(UNITS), random(UNITS, seed=1), 0.3
    masks, chance = all_masks(p)
    z = (masks * a / p) @ w + b
    assert close(chance @ z, w @ a + b)
    assert not close(chance @ z.sigmoid(), (w @ a + b).sigmoid(), 1e-3)


@pytest.mark.parametrize("p", [0.5, 0.8])
def test_geometric_mean_of_softmax_predictions(p):
    """Rescaled, it is the softmax of the whole network."""
    a, w, b = random(UNITS), random(UNITS, 3, seed=1), random(3, seed=2)
    masks, chance = all_masks(p)
    predictions = ((masks * a / p) @ w + b).softmax(1)
    product = (predictions ** chance[:, None]).prod(0)
    assert close(product / product.sum(), (a @ w + b).softmax(0))


def test_mean_and_spread_of_samples():
    """The displayed mean and deviation are torch's with ``correction=0``."""
    z = random(20, 3)
    mean = z.sum(0) / 20
    s = (((z - mean) ** 2).sum(0) / 20).sqrt()
    assert close(mean, z.mean(0))
    assert close(s, z.std(0, correction=0))


@pytest.mark.parametrize("kept", [0.0, 1.0])
def test_dropout_before_and_after_a_relu_is_the_same(kept):
    """ReLU passes the scale and the zero on; a sigmoid does neither."""
    a, p = random(UNITS), 0.8
    assert close((kept * a / p).relu(), kept * a.relu() / p)
    assert not close((kept * a / p).sigmoid(), kept * a.sigmoid() / p, 1e-3)


@pytest.mark.parametrize(("layer", "elements"), [(nn.Dropout, 1024), (nn.Dropout2d, 16)])
def test_elements_of_a_mask(layer, elements):
    """Spatial dropout draws one element for each channel; each has the displayed moments."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        y = layer(0.5)(torch.ones(400, 16, 8, 8))
    if layer is nn.Dropout2d:
        assert torch.equal(y.amax((2, 3)), y.amin((2, 3)))
        y = y[:, :, :1, :1]
    assert y[0].numel() == elements
    assert abs(y.mean() - 1) < 0.05
    assert abs(y.var() - 1) < 0.05


def test_numbers_in_the_text():
    """Answers that are worked out in words."""
    a, m = torch.tensor([2, -1, 4, 0.5]), torch.tensor([1.0, 0, 1, 1])
    assert close(m * a / 0.8, [2.5, 0, 5, 0.625], 1e-6)
    assert close(m / 0.8, [1.25, 0, 1.25, 1.25], 1e-6)
    assert close([0.5 / 0.5 * 4, 0.2 / 0.8 * 4], [4, 1])
