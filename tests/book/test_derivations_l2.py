"""The formulas of the chapter on L2, in code as they are displayed, against numerical derivatives.

Names follow the chapter: ``lam`` is λ, ``eta`` is η.
"""

import math

import pytest
import torch
from torch import nn

SIZE = 1e-6


def random(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def numerical_gradient(function, at):
    """Return central differences of a function of one tensor."""
    gradient = torch.empty_like(at)
    for index in range(at.numel()):
        nudge = torch.zeros_like(at)
        nudge.view(-1)[index] = SIZE
        gradient.view(-1)[index] = (function(at + nudge) - function(at - nudge)) / (2 * SIZE)
    return gradient


def close(a, b, tolerance=1e-7):
    a, b = (torch.as_tensor(value, dtype=torch.float64) for value in (a, b))
    return torch.allclose(a, b, rtol=tolerance, atol=tolerance)


def data_loss(w):
    """Return some smooth loss that is neither linear nor quadratic."""
    x, y = random(5, w.shape[0], seed=1), random(5, seed=2)
    return ((x @ w).tanh() - y).square().mean()


@pytest.mark.parametrize("lam", [0.0, 0.3, 2.0])
def test_gradient_of_the_penalized_loss(lam):
    """∇L = ∇L₀ + λw, and of the penalty alone λw."""
    w = random(4)
    assert close(numerical_gradient(lambda v: lam / 2 * v.square().sum(), w), lam * w)
    total = numerical_gradient(lambda v: data_loss(v) + lam / 2 * v.square().sum(), w)
    assert close(total, numerical_gradient(data_loss, w) + lam * w)


def test_update_in_both_forms():
    """A step on L₀ + λ/2‖w‖² is a decay by 1 − ηλ followed by a step on L₀, as in torch's SGD."""
    eta, lam, w = 0.1, 0.3, random(4)
    gradient = numerical_gradient(data_loss, w)
    left = w - eta * (gradient + lam * w)
    right = (1 - eta * lam) * w - eta * gradient
    parameter = nn.Parameter(w.clone())
    optimizer = torch.optim.SGD([parameter], lr=eta, weight_decay=lam)
    data_loss(parameter).backward()
    optimizer.step()
    assert close(left, right)
    assert close(parameter.detach(), right)


def test_half_life_of_a_weight():
    """(1 − ηλ)^t is close to exp(−ηλt), and one half after about ln 2/(ηλ) steps."""
    eta, lam = 0.1, 1e-4
    steps = math.log(2) / (eta * lam)
    assert 69_000 < steps < 69_500
    assert abs((1 - eta * lam) ** steps - 0.5) < 1e-4
    assert abs((1 - eta * lam) ** 5000 - math.exp(-eta * lam * 5000)) < 1e-6


@pytest.mark.parametrize("lam", [0.0, 0.5])
def test_gradient_of_softmax_regression(lam):
    """∂L₀/∂S = (P − Y)/N, and from it the gradients of W and b."""
    n, d, c = 6, 4, 3
    x, weight, b = random(n, d), random(d, c, seed=1), random(c, seed=2)
    y = torch.tensor([0, 2, 1, 1, 0, 2])

    def probabilities(s):
        return s.exp() / s.exp().sum(1, keepdim=True)

    def loss_of_scores(s):
        return -probabilities(s)[torch.arange(n), y].log().mean()

    def loss(v, a):
        return loss_of_scores(x @ v + a) + lam / 2 * v.square().sum()

    s = x @ weight + b
    difference = probabilities(s) - nn.functional.one_hot(y, c)
    assert close(numerical_gradient(loss_of_scores, s), difference / n)
    by_weight = x.T @ difference / n + lam * weight
    # Without the penalty, entry by entry: the sum over rows of X_id times (∂L₀/∂S)_ic.
    for k in range(d):
        for m in range(c):
            entry = sum(x[i, k] * difference[i, m] / n for i in range(n))
            assert close(entry, by_weight[k, m] - lam * weight[k, m])
    assert close(numerical_gradient(lambda v: loss(v, b), weight), by_weight)
    assert close(numerical_gradient(lambda a: loss(weight, a), b), difference.sum(0) / n)
    # All weights zero: the loss is log C.
    assert close(loss_of_scores(torch.zeros(n, c, dtype=torch.float64)), math.log(c))


def test_subtracting_the_maximum_changes_nothing_but_the_overflow():
    """Both stable formulas agree with the plain ones, and survive scores in the thousands."""

    def stable(s):
        m = s.max(1, keepdim=True).values
        log_p = (s - m) - (s - m).exp().sum(1, keepdim=True).log()
        return (s - m).exp() / (s - m).exp().sum(1, keepdim=True), log_p

    s = random(5, 3)
    plain = s.exp() / s.exp().sum(1, keepdim=True)
    assert close(stable(s)[0], plain)
    assert close(stable(s)[1], plain.log())
    large = torch.tensor([[1000.0, 999.0, 0.0]], dtype=torch.float64)
    assert close(stable(large)[1], large.log_softmax(1))
    assert -1001 < stable(large)[1][0, 2] < -1000


@pytest.mark.parametrize("lam", [0.1, 1.0, 10.0])
def test_shrinkage_along_one_axis(lam):
    """h/(h + λ)·w* is where the gradient of the penalized bowl is zero."""
    h, w_star = 3.0, 2.0
    w = torch.tensor([h / (h + lam) * w_star], dtype=torch.float64)
    slope = numerical_gradient(lambda v: (h / 2 * (v - w_star) ** 2 + lam / 2 * v**2).sum(), w)
    assert close(slope, [0.0], 1e-6)


def test_shrinkage_along_the_axes_of_curvature():
    """(H + λI)⁻¹Hw* is the minimum, and multiplies the coordinate on axis k by h_k/(h_k + λ)."""
    lam, root, w_star = 0.7, random(4, 4), random(4, seed=1)
    hessian = root @ root.T
    identity = torch.eye(4, dtype=torch.float64)
    w = torch.linalg.inv(hessian + lam * identity) @ hessian @ w_star

    def bowl(v):
        return 0.5 * (v - w_star) @ hessian @ (v - w_star) + lam / 2 * v @ v

    assert close(numerical_gradient(bowl, w), torch.zeros(4, dtype=torch.float64), 1e-6)
    h, axes = torch.linalg.eigh(hessian)
    assert (h >= 0).all()
    assert close(axes.T @ w, h / (h + lam) * (axes.T @ w_star))
    assert close(w, sum(h[k] / (h[k] + lam) * (axes[:, k] @ w_star) * axes[:, k] for k in range(4)))


def test_worked_quadratic():
    """The matrix of the example has the axes, and its minimum the place, that the text says."""
    hessian = torch.tensor([[2.125, 1.875], [1.875, 2.125]], dtype=torch.float64)
    total = torch.tensor([1.0, 1.0], dtype=torch.float64) / math.sqrt(2)
    difference = torch.tensor([1.0, -1.0], dtype=torch.float64) / math.sqrt(2)
    assert close(hessian @ total, 4 * total)
    assert close(hessian @ difference, difference / 4)
    w_star = torch.tensor([3.0, 1.0], dtype=torch.float64)
    identity = torch.eye(2, dtype=torch.float64)
    assert close(torch.linalg.solve(hessian + identity, hessian @ w_star), [1.8, 1.4])


def test_prior_and_penalty_are_the_same():
    """Four measurements with mean 2 and a prior of variance ½: the most probable value is 4/3."""
    measured = torch.tensor([1.0, 1.5, 2.5, 3.0], dtype=torch.float64)
    prior = torch.distributions.Normal(0.0, math.sqrt(0.5))

    def negative_log_posterior(w):
        likelihood = torch.distributions.Normal(w, 1.0)
        return -(likelihood.log_prob(measured).sum() + prior.log_prob(w).sum())

    w = torch.tensor([4 / 3], dtype=torch.float64)
    assert close(numerical_gradient(negative_log_posterior, w), [0.0], 1e-6)
    # For a sum λ = 1/τ², for a mean 1/(nτ²): both differ by a constant only.
    other = torch.tensor([0.3], dtype=torch.float64)

    def penalized(v):
        return (0.5 * (measured - v).square().sum() + 1 / (2 * 0.5) * v.square().sum()).sum()

    def penalized_mean(v):
        return (0.5 * (measured - v).square().mean() + 1 / (2 * 4 * 0.5) * v.square().sum()).sum()

    change = negative_log_posterior(w) - negative_log_posterior(other)
    assert close(change, penalized(w) - penalized(other))
    assert close(change / 4, penalized_mean(w) - penalized_mean(other))


def test_stopped_descent_shrinks_along_the_axes():
    """After t steps from 0 a part 1 − (1 − ηh)^t of the way is done."""
    eta, h, w_star, w = 0.1, 1.5, 2.0, 0.0
    for _ in range(7):
        w -= eta * h * (w - w_star)
    assert close(w, (1 - (1 - eta * h) ** 7) * w_star)


@pytest.mark.parametrize("decoupled", [False, True])
def test_adam_and_adamw(decoupled):
    """The displayed steps are torch's."""
    eta, lam, beta1, beta2, epsilon = 0.1, 0.5, 0.9, 0.999, 1e-8
    w, m, v = random(3), 0.0, 0.0
    parameter = nn.Parameter(w.clone())
    kind = torch.optim.AdamW if decoupled else torch.optim.Adam
    optimizer = kind([parameter], lr=eta, weight_decay=lam)
    for t in range(1, 6):
        gradient = numerical_gradient(data_loss, w)
        if decoupled:
            w = (1 - eta * lam) * w
            g = gradient
        else:
            g = gradient + lam * w
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        w = w - eta * (m / (1 - beta1**t)) / ((v / (1 - beta2**t)).sqrt() + epsilon)
        optimizer.zero_grad()
        data_loss(parameter).backward()
        optimizer.step()
    assert close(parameter.detach(), w, 1e-6)


def scale_free_loss(w):
    """Return a loss that depends on the direction of w only."""
    return data_loss(w / w.norm())


def test_gradient_of_a_scale_free_loss():
    """w·∇L₀ = 0, ∇L₀(κw) = ∇L₀(w)/κ, and the angle of a step as displayed."""
    w, kappa, eta = random(4), 2.5, 1e-4
    gradient = numerical_gradient(scale_free_loss, w)
    assert abs(w @ gradient) < 1e-8
    assert close(numerical_gradient(scale_free_loss, kappa * w), gradient / kappa)
    moved = w - eta * gradient
    angle = torch.arctan2(eta * gradient.norm(), w.norm())
    cosine = nn.functional.cosine_similarity(w, moved, dim=0)
    assert close(torch.arccos(cosine), angle, 1e-6)
    unit = numerical_gradient(scale_free_loss, w / w.norm())
    assert close(angle, eta / w.norm() ** 2 * unit.norm(), 1e-6)


def test_balance_between_decay_and_perpendicular_steps():
    """Gradients of constant size at unit length end in steps that turn by √(2ηλ)."""
    eta, lam = 0.1, 0.02
    w = random(50)
    for step in range(2000):
        g = random(50, seed=step + 1)
        g = g - (g @ w) / (w @ w) * w
        g = g / g.norm() / w.norm()
        turn = (eta * g.norm() / w.norm()).item()
        w = (1 - eta * lam) * w - eta * g
    assert abs(turn / math.sqrt(2 * eta * lam) - 1) < 0.02


@pytest.mark.parametrize("optimizer", ["SGD", "AdamW"])
def test_balance_with_momentum_and_averages(optimizer):
    """Independent gradients turn the weights by √(2ηλ/(1+μ)), and by a smaller angle in AdamW."""
    eta, lam, mu, beta = 0.05, 0.02, 0.9, 0.9
    w = random(400).requires_grad_()
    if optimizer == "SGD":
        stepper = torch.optim.SGD([w], lr=eta, momentum=mu, weight_decay=lam)
        expected = math.sqrt(2 * eta * lam / (1 + mu))
    else:
        eta, lam = 0.002, 0.5
        stepper = torch.optim.AdamW([w], lr=eta, betas=(beta, 0.999), weight_decay=lam)
        expected = math.sqrt(2 * eta * lam * (1 - beta) / (1 + beta))
    generator, turns = torch.Generator().manual_seed(0), []
    for step in range(6000):
        before = w.detach().clone()
        g = torch.randn(400, dtype=torch.float64, generator=generator)
        w.grad = (g - (g @ before) / (before @ before) * before) / before.norm()
        stepper.step()
        if step >= 5000:
            cosine = (before @ w.detach()) / (before.norm() * w.detach().norm())
            turns.append(cosine.acos().square())
    assert abs(torch.stack(turns).mean().sqrt() / expected - 1) < 0.05


def test_undone_decay_is_a_growing_learning_rate():
    """w_t/αᵗ follows gradient descent with rate ηα^−(2t+1)."""
    eta, lam = 0.1, 0.3
    alpha = 1 - eta * lam
    decayed = random(4)
    free = decayed.clone()
    for t in range(10):
        free = free - eta * alpha ** -(2 * t + 1) * numerical_gradient(scale_free_loss, free)
        decayed = alpha * decayed - eta * numerical_gradient(scale_free_loss, decayed)
    assert close(free, decayed / alpha**10)


@pytest.mark.parametrize("w_star", [2.0, 0.4, -2.0])
def test_minimum_under_l1(w_star):
    """sign(w*)·max(|w*| − λ/h, 0) is where h/2·(w − w*)² + λ|w| is smallest."""
    h, lam = 1.0, 0.5
    grid = torch.linspace(-3, 3, 60_001, dtype=torch.float64)
    smallest = grid[(h / 2 * (grid - w_star) ** 2 + lam * grid.abs()).argmin()]
    assert close(smallest, math.copysign(max(abs(w_star) - lam / h, 0.0), w_star), 1e-4)


def test_a_limit_has_a_price():
    """The minimum within the ball meets the conditions with λ = 1; no other point is lower."""
    hessian = torch.tensor([[2.125, 1.875], [1.875, 2.125]], dtype=torch.float64)
    w_star, w = torch.tensor([[3.0, 1.0], [1.8, 1.4]], dtype=torch.float64)
    assert close(hessian @ (w_star - w), 1.0 * w)
    assert round(w.norm().item(), 2) == 2.28

    def loss(points):
        away = points - w_star
        return ((away @ hessian) * away).sum(-1) / 2

    others = random(20_000, 2, seed=3)
    others *= (w.norm() / others.norm(dim=1)).clamp(max=1)[:, None]
    assert (loss(others) >= loss(w) - 1e-12).all()


def test_numbers_in_the_text():
    """Answers and examples that are worked out in words."""
    assert close((1 - 0.1 * 0.01) * 0.5 - 0.1 * -0.2, 0.5195)
    assert close([3 / 3.5 * 5, 0.1 / 0.6 * 5], [4.29, 0.83], 5e-3)
    assert close([2 / 1.5, 0.4 / 1.5], [1.33, 0.27], 5e-3)


def test_scores_change_no_faster_than_the_product_of_the_norms():
    """‖f(x) − f(x′)‖ ≤ ∏‖W_l‖ · ‖x − x′‖ for layers with ReLU in between."""
    weights = [random(5, 8), random(8, 8, seed=1), random(8, 3, seed=2)]

    def scores(x):
        for weight in weights[:-1]:
            x = torch.relu(x @ weight + 0.1)
        return x @ weights[-1]

    x, other = random(100, 5, seed=3), random(100, 5, seed=4)
    bound = math.prod(weight.norm().item() for weight in weights) * (x - other).norm(dim=1)
    assert ((scores(x) - scores(other)).norm(dim=1) <= bound).all()


def test_decay_per_step_with_momentum():
    """With small ηλ a weight without gradient loses the share ηλ/(1 − μ) of itself per step."""
    eta, lam, mu = 0.01, 0.01, 0.9
    w = torch.ones(1, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.SGD([w], lr=eta, momentum=mu, weight_decay=lam)
    shares = []
    for _ in range(500):
        before = w.item()
        w.grad = torch.zeros_like(w)
        optimizer.step()
        shares.append(1 - w.item() / before)
    assert shares[0] == pytest.approx(eta * lam)
    assert shares[-1] == pytest.approx(eta * lam / (1 - mu), rel=0.02)
