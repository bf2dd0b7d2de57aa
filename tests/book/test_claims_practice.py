"""The sentences of "Regularization in practice" hold for other seeds than the chapter's."""

import claims_practice as claims
import numpy as np
import pytest
import torch

# Three sets of seeds, none of which the chapter uses.
OTHERS = [[101, 102, 103], [201, 202, 203], [301, 302, 303]]
SIZE = {"hidden": 64, "epochs": 40}

others = pytest.mark.parametrize("seeds", OTHERS, ids=str)


@pytest.fixture(autouse=True)
def one_thread():
    """Keep tiny computations from waiting for each other, as in the chapters."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@others
def test_what_protects_from_wrong_labels(seeds):
    """Each of three helps alone, batch norm does not, and together they gain little."""
    claims.wrong_labels(seeds, **SIZE)


@others
def test_right_labels_turn_the_order_around(seeds):
    """Batch norm comes first, and weight decay harms."""
    claims.right_labels(seeds, **SIZE)


def test_settings_start_from_the_same_weights(monkeypatch):
    """What is compared seed by seed differs in the setting only."""
    starts = {}

    def stop(model, data, optimizer, **_):
        weights = [p.detach().clone() for p in model.parameters() if p.dim() > 1]
        starts[len(starts)] = (weights, data)
        raise KeyboardInterrupt

    monkeypatch.setattr(claims.ex, "train", stop)
    for setting in claims.SETTINGS:
        with pytest.raises(KeyboardInterrupt):
            claims.accuracies(setting, 5, wrong=0.2)
    weights, data = starts[0]
    for other_weights, other_data in starts.values():
        assert all(map(torch.equal, weights, other_weights))
        assert torch.equal(data.y_train, other_data.y_train)


def test_interval_holds_the_true_mean_as_often_as_it_says():
    """Of intervals from ten normal values, 95 percent contain the mean."""
    rng = np.random.default_rng(0)
    held = [
        abs(mean - 3) < half
        for mean, half in (claims.interval(rng.normal(3, 2, 10)) for _ in range(4000))
    ]
    assert np.mean(held) == pytest.approx(0.95, abs=0.012)
