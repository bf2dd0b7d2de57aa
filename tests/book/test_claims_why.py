"""The sentences of "Why regularize" about experiments hold for other seeds than the chapter's."""

import claims_why as claims
import numpy as np
import pytest
import torch

# Three sets of seeds, none of which the chapter uses.
OTHERS = [[101, 102, 103], [201, 202, 203], [301, 302, 303]]

others = pytest.mark.parametrize("seeds", OTHERS, ids=str)


@pytest.fixture(autouse=True)
def one_thread():
    """Keep tiny computations from waiting for each other, as in the chapters."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@others
def test_the_network_learns_the_rule_first_and_the_mistakes_afterwards(seeds):
    """Test accuracy and loss turn; before, it knows the right labels and not the wrong ones."""
    claims.network_memorizes(seeds)


@others
def test_right_labels_may_be_fitted_completely(seeds):
    """The same network on right labels keeps its test accuracy."""
    claims.right_labels_are_harmless(seeds)


@others
def test_a_narrow_network_is_no_remedy(seeds):
    """It keeps out the noise and the rule; a wide one was better on the way."""
    claims.capacity_cuts_both_ways(seeds[:2], widths=(2, 8, 128))


@others
def test_more_data_help(seeds):
    """Each doubling raises test accuracy and narrows the gap."""
    claims.more_data_help(seeds[:2], sizes=(150, 300, 600))


@others
def test_the_best_of_many_flatters(seeds):
    """Chance alone makes the best of twenty look much better than it is."""
    claims.best_of_many_flatters(seeds, trials=500)


@others
def test_stopping_by_noisy_labels_helps(seeds):
    """It gains nearly as much as could be had."""
    claims.stopping_helps(seeds)


@others
def test_random_features_show_double_descent_and_a_penalty_removes_it(seeds):
    """The peak stands where features and images are equally many."""
    claims.double_descent(seeds[:1], n_train=300, widths=(20, 50, 100, 200, 300, 400, 800, 2000))


def test_a_claim_that_is_not_true_is_noticed():
    """With nearly all labels right there is no fall, and the check says so."""
    with pytest.raises(AssertionError, match="Test accuracy falls"):
        claims.network_memorizes([0], wrong=0.02)


def test_curves_repeat_themselves():
    """The same seed gives the same curves; held-out images are not trained on."""
    first, again = (claims.curves(7, epochs=4, held_out=100, n_train=300) for _ in range(2))
    assert first.keys() == again.keys()
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert first["epoch"].tolist() == [2, 4]
    assert "validation" not in claims.curves(7, epochs=2, n_train=300)
