"""Parts of the experiments do what their descriptions say."""

import numpy as np
import pytest
import torch
from experiments import batch_norm_reasons, practice, why


def test_curves_repeat_themselves():
    """The same seed gives the same curves; held-out images are not trained on."""
    first, again = (why.curves(7, epochs=4, held_out=100, n_train=300) for _ in range(2))
    assert first.keys() == again.keys()
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert first["epoch"].tolist() == [2, 4]
    assert "validation" not in why.curves(7, epochs=2, n_train=300)


def test_experiments_leave_the_global_generator_alone():
    """Layers, dropout and disturbances draw from a generator of their own."""
    state = torch.get_rng_state()
    why.curves(5, epochs=2, n_train=100)
    practice.accuracies("all three", 5, wrong=0.2, epochs=2, n_train=100)
    batch_norm_reasons.ShiftingNoise()
    assert torch.equal(torch.get_rng_state(), state)


def test_settings_start_from_the_same_weights(monkeypatch):
    """What is compared seed by seed differs in the setting only."""
    starts = []

    def stop(model, data, optimizer, **_):
        starts.append(([p.detach().clone() for p in model.parameters() if p.dim() > 1], data))
        raise KeyboardInterrupt

    monkeypatch.setattr(practice.ex, "train", stop)
    for setting in practice.SETTINGS:
        with pytest.raises(KeyboardInterrupt):
            practice.accuracies(setting, 5, wrong=0.2)
    weights, data = starts[0]
    for other_weights, other_data in starts:
        assert all(map(torch.equal, weights, other_weights))
        assert torch.equal(data.y_train, other_data.y_train)


def test_one_group_is_batch_norm():
    """With the whole batch as its only group the layer is PyTorch's, in both modes."""
    x = 3 + 2 * torch.randn(12, 5, generator=torch.Generator().manual_seed(0))
    ours, theirs = batch_norm_reasons.GroupedBatchNorm(5, groups=1), torch.nn.BatchNorm1d(5)
    assert torch.allclose(ours(x), theirs(x), atol=1e-6)
    assert torch.allclose(ours.eval()(x), theirs.eval()(x), atol=1e-6)


def test_each_group_is_normalized_on_its_own():
    """Every third row belongs together when there are three groups."""
    x = 3 + 2 * torch.randn(12, 5, generator=torch.Generator().manual_seed(0))
    y = batch_norm_reasons.GroupedBatchNorm(5, groups=3)(x)
    for group in range(3):
        expected = torch.nn.BatchNorm1d(5)(x[group::3])
        assert torch.allclose(y[group::3], expected, atol=1e-6)
