"""A backward pass that is right for a wrong forward pass earns half; nothing else does."""

import numpy as np
import pytest
from helpers.solutions import solution

from autograder import grade

SEEDS = (1, 2)


def forward(scale, comparison=np.less, evaluation=lambda x: x.copy()):
    """Return dropout's forward pass with its steps replaced; its cache is the scaled mask."""

    def dropout_forward(x, keep_prob, training, rng):
        if not 0 < keep_prob <= 1:
            raise ValueError
        if not training:
            return evaluation(x), np.ones_like(x)
        with np.errstate(all="ignore"):
            mask = comparison(rng.random(x.shape), keep_prob) * scale(keep_prob)
            return x * mask, mask

    return dropout_forward


def backward(d_out, cache):
    return d_out * cache


def report(dropout_forward, dropout_backward=backward, seed=SEEDS[0]):
    functions = {"dropout_forward": dropout_forward, "dropout_backward": dropout_backward}
    return grade("dropout_backward", functions, seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_gradient_of_two_mistakes_earns_half(seed):
    """Keep and drop exchanged and no rescaling: the gradient through both is half right."""
    both = report(forward(lambda keep_prob: 1.0, np.greater_equal), seed=seed)
    assert both.findings[0].points == 2.25, str(both)
    words = " ".join(str(both).split())
    assert "right for your `dropout_forward`, which is wrong, so they earn half" in words


@pytest.mark.parametrize("seed", SEEDS)
def test_a_forward_pass_is_told_no_more_than_it_has_done(seed):
    """No rescaling is all that shows; that evaluation drops, too, would give the same gradients."""
    unscaled = report(forward(lambda keep_prob: 1.0), seed=seed)
    assert unscaled.findings[0].misconception == "dropout-no-rescale"
    assert "(dropout-no-rescale)" in str(unscaled)
    assert "dropout-unscaled-in-both" not in str(unscaled)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_mistake_may_leave_a_case_open(seed):
    """Divided by 1 − keep_prob, nothing is defined where all is kept; the other cases tell."""
    swapped = report(forward(lambda keep_prob: np.float64(1) / (1 - keep_prob)), seed=seed)
    assert swapped.findings[0].points == 2.25, str(swapped)
    assert swapped.findings[0].misconception == "dropout-scale-swapped"


@pytest.mark.parametrize(
    "gradient",
    [
        lambda d_out, cache: np.zeros_like(d_out),
        lambda d_out, cache: d_out,
        lambda d_out, cache: 2 * d_out * cache,
        lambda d_out, cache: d_out * cache + 1,
    ],
)
@pytest.mark.parametrize("scale", [lambda k: 1.0, lambda k: 1 / (1 - k + 1e-300)])
def test_nothing_else_earns_for_being_consistent(gradient, scale):
    """Zeros, the gradient passed through, and others that do not belong to the forward pass."""
    assert report(forward(scale), gradient).findings[0].points == 0


def test_zeros_through_and_through_earn_nothing():
    """A forward pass of zeros has a gradient of zeros, and that is not an answer."""

    def zeros(x, keep_prob, training, rng):
        return np.zeros_like(x), None

    found = report(zeros, lambda d_out, cache: np.zeros_like(d_out))
    assert found.points == 0


def test_a_right_forward_pass_carries_nothing():
    """A wrong gradient of a right forward pass is wrong, whatever it would be right for."""
    right = solution("dropout")["dropout_forward"]
    found = report(right, lambda d_out, cache: d_out * (cache != 0))
    assert found.findings[0].points == 0
    assert found.findings[0].misconception == "dropout-backward-no-scale"


def test_a_mistake_of_its_own_is_named_beside_the_carried_one():
    """Given the wrong forward pass, what is wrong besides is told, and earns nothing."""
    found = report(forward(lambda keep_prob: 1.0), lambda d_out, cache: d_out.copy())
    assert found.findings[0].points == 0
    assert found.findings[0].misconception == "dropout-backward-no-mask"
