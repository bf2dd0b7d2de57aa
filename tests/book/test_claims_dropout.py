"""What the chapter on dropout says about its experiments is true of other seeds, too."""

import claims_dropout as claims
import pytest
import torch


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Keep tiny computations from waiting for each other, as in the chapter."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module", params=[(101,), (201,), (301,)], ids=str)
def networks(request, one_thread):
    """Train networks for one set of seeds; all claims are about the same ones."""
    return claims.train_networks(request.param, drops=(0.0, 0.5, 0.8), record_every=10)


def test_dropout_keeps_wrong_labels_out(networks):
    claims.dropout_keeps_wrong_labels_out(networks)


def test_forgetting_eval_costs_accuracy(networks):
    claims.forgetting_eval_costs_accuracy(networks[0.5])


def test_units_can_be_missed(networks):
    claims.units_can_be_missed(networks)


def test_evaluation_mode_is_close_to_the_average(networks):
    claims.evaluation_mode_is_close_to_the_average(networks[0.5], passes=30)


def test_dissent_finds_errors(networks):
    claims.dissent_finds_errors(networks[0.5], passes=30)


@pytest.mark.parametrize("seed", [401, 402, 403])
def test_neighbors_give_dropped_values_away(seed):
    claims.neighbors_give_dropped_values_away([seed])
