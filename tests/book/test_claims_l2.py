"""What the chapter on L2 says about its experiments is true of other seeds, too."""

import claims_l2 as claims
import pytest
import torch


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Keep tiny computations from waiting for each other, as in the chapter."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("seed", [101, 102, 103])
def test_decay_keeps_wrong_labels_out(seed):
    claims.decay_keeps_wrong_labels_out([seed], epochs=54)


@pytest.mark.parametrize("seed", [201, 202, 203])
def test_boundaries_get_smoother(seed):
    claims.boundaries_get_smoother([seed], steps=300)


@pytest.mark.parametrize("seeds", [(301, 302), (303, 304), (305, 306)])
def test_validation_finds_a_strength(seeds):
    claims.validation_finds_a_strength(seeds, strengths=(0.0, 1e-2, 1e-1), epochs=40)


@pytest.mark.parametrize("seed", [401, 402, 403])
def test_adam_decays_by_gradient_size(seed):
    claims.adam_decays_by_gradient_size([seed])


@pytest.mark.parametrize("seed", [501, 502, 503])
def test_strengths_do_not_carry_over(seed):
    claims.strengths_do_not_carry_over([seed], epochs=25)


@pytest.mark.parametrize("seed", [601, 602, 603])
def test_decay_turns_normalized_weights_faster(seed):
    claims.decay_turns_normalized_weights_faster([seed], epochs=25)


@pytest.mark.parametrize("seed", [701, 702, 703])
def test_decay_is_a_growing_learning_rate(seed):
    claims.decay_is_a_growing_learning_rate([seed], epochs=3)
