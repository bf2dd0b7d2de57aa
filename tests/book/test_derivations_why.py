"""The formulas of "Why regularize", written as they stand there, against computation."""

import numpy as np
import pytest
import torch
from experiments import why

RATE, CURVATURE, MINIMUM = 0.05, 0.7, 1.7


def loss(w):
    """The parabola of the section on early stopping."""
    return CURVATURE / 2 * (w - MINIMUM) ** 2


@pytest.mark.parametrize("w", [-1.3, 0.0, 0.4, 1.7, 3.0])
def test_gradient_of_the_parabola(w):
    """The displayed gradient is that of central differences and of autograd."""
    displayed = CURVATURE * (w - MINIMUM)
    step = 1e-6
    assert displayed == pytest.approx((loss(w + step) - loss(w - step)) / (2 * step), abs=1e-8)
    variable = torch.tensor(w, dtype=torch.float64, requires_grad=True)
    loss(variable).backward()
    assert displayed == pytest.approx(variable.grad.item(), abs=1e-12)


def test_each_step_multiplies_the_distance():
    """One step of gradient descent leaves the share 1 − ηh of the distance to the minimum."""
    w = 0.3
    after = w - RATE * CURVATURE * (w - MINIMUM)
    assert after - MINIMUM == pytest.approx((1 - RATE * CURVATURE) * (w - MINIMUM), abs=1e-14)


@pytest.mark.parametrize("steps", [0, 1, 7, 100])
def test_where_descent_has_come_after_some_steps(steps):
    """The formula for w after t steps is where torch's SGD stands."""
    w = torch.zeros((), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.SGD([w], lr=RATE)
    for _ in range(steps):
        optimizer.zero_grad()
        loss(w).backward()
        optimizer.step()
    displayed = (1 - (1 - RATE * CURVATURE) ** steps) * MINIMUM
    assert displayed == pytest.approx(w.item(), abs=1e-12)


def test_early_stopping_resembles_the_penalty():
    """With λ = 1/(ηt) the factors agree at both ends and differ by less than a third between."""
    rate, steps = 1e-3, 1000
    curvatures = np.logspace(-5, 2.5, 400)
    stopped = 1 - (1 - rate * curvatures) ** steps
    penalized = curvatures / (curvatures + 1 / (rate * steps))
    ratio = stopped / penalized
    assert ratio[0] == pytest.approx(1, abs=1e-3)
    assert ratio[-1] == pytest.approx(1, abs=1e-2)
    assert (ratio > 0.999).all()
    assert ratio.max() < 4 / 3


def test_standard_error_of_a_share():
    """The root of a(1 − a)/n is the spread of shares in repeated draws."""
    share, images = 0.9, 1197
    draws = np.random.default_rng(0).binomial(images, share, 200_000) / images
    assert draws.std() == pytest.approx((share * (1 - share) / images) ** 0.5, rel=0.01)


def test_standard_error_of_a_difference():
    """Of two scores on images of their own it is √2 times as large."""
    first, second = np.random.default_rng(1).binomial(1197, 0.9, (2, 100_000)) / 1197
    assert (first - second).std() == pytest.approx((2 * 0.9 * 0.1 / 1197) ** 0.5, rel=0.02)


@pytest.mark.parametrize("a", [0.5, 0.9, 1.0])
def test_agreement_with_labels_of_which_some_are_wrong(a):
    """A share 0.8a + 0.2(1 − a)/9, when wrong labels are drawn independently."""
    generator, n = np.random.default_rng(2), 200_000
    truth = generator.integers(0, 10, n)

    def spoiled(share):
        shift = generator.integers(1, 10, n) * (generator.random(n) < share)
        return (truth + shift) % 10

    agreement = (spoiled(1 - a) == spoiled(0.2)).mean()
    assert agreement == pytest.approx(0.8 * a + 0.2 * (1 - a) / 9, abs=0.005)


def test_least_squares_with_a_penalty():
    """At B = (ΦᵀΦ + nλI)⁻¹ΦᵀY the gradient of the mean squared loss with penalty is zero."""
    generator = torch.Generator().manual_seed(0)
    features, labels = (torch.randn(7, k, generator=generator).double() for k in (4, 3))
    n, lam = 7, 0.3
    identity = torch.eye(4, dtype=torch.float64)
    solution = torch.linalg.inv(features.T @ features + n * lam * identity) @ features.T @ labels
    solution.requires_grad_()
    misses = features @ solution - labels
    (misses.square().sum() / (2 * n) + lam / 2 * solution.square().sum()).backward()
    assert torch.allclose(solution.grad, torch.zeros_like(solution), atol=1e-12)


def test_error_is_variance_plus_squared_bias():
    """The decomposition holds for predictions of many fits, and agrees with the exact values."""
    rng = np.random.default_rng(0)
    trade = why.bias_and_variance(rng)
    places = np.linspace(-1, 1, 25)
    noisy = np.sin(1.5 * np.pi * places) + 0.4 * rng.standard_normal((20_000, 25))
    for degree in (1, 5):
        coefficients = np.polynomial.legendre.legfit(places, noisy.T, degree)
        fits = np.polynomial.legendre.legval(trade["x"], coefficients)
        bias, variance = (fits.mean(0) - trade["truth"]) ** 2, fits.var(0)
        error = ((fits - trade["truth"]) ** 2).mean(0)
        assert error == pytest.approx(bias + variance, abs=1e-12)
        assert variance.mean() == pytest.approx(trade["variance"][degree], rel=0.05)
        assert bias.mean() == pytest.approx(trade["bias"][degree], abs=2e-3)


def test_descent_from_zero_finds_the_smallest_solution():
    """With more features than examples it ends at the pseudo-inverse; from elsewhere, not."""
    rng = np.random.default_rng(0)
    features, targets = rng.standard_normal((5, 12)), rng.standard_normal((5, 3))
    ends = []
    for start in (np.zeros((12, 3)), rng.standard_normal((12, 3))):
        weights = start
        for _ in range(20_000):
            weights = weights - 0.1 * features.T @ (features @ weights - targets) / 5
        assert np.abs(features @ weights - targets).max() < 1e-8
        ends.append(weights)
    smallest = np.linalg.pinv(features) @ targets
    assert np.abs(ends[0] - smallest).max() < 1e-8
    assert np.linalg.norm(ends[1]) > np.linalg.norm(smallest) + 0.1
