"""Parts of the experiments do what their descriptions say."""

import copy

import numpy as np
import pytest
import torch
from experiments import batch_norm_reasons, practice, why
from experiments import digits as ex


def test_curves_repeat_themselves():
    """The same seeds give the same curves; held-out images are not trained on."""
    seeds = (7, 8)
    first, again = (why.curves(seeds, epochs=4, held_out=100, n_train=300) for _ in range(2))
    assert first.keys() == again.keys()
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert first["epoch"].tolist() == [[2, 4], [2, 4]]
    assert "validation" not in why.curves(seeds, epochs=2, n_train=300)


def test_experiments_leave_the_global_generator_alone():
    """Layers, dropout and disturbances draw from a generator of their own."""
    state = torch.get_rng_state()
    why.curves([5, 6], epochs=2, n_train=100)
    practice.accuracies("all three", [5, 6], wrong=0.2, epochs=2, n_train=100)
    batch_norm_reasons.ShiftingNoise()
    assert torch.equal(torch.get_rng_state(), state)


def test_settings_start_from_the_same_weights(monkeypatch):
    """What is compared seed by seed differs in the setting only."""
    starts = []

    def stop(stack, data, optimizer, **_):
        networks = stack.networks
        starts.append(
            (
                [p.detach().clone() for one in networks for p in one.parameters() if p.dim() > 1],
                [one.y_train for one in data],
            )
        )
        raise KeyboardInterrupt

    monkeypatch.setattr(practice.ensemble, "train", stop)
    for setting in practice.SETTINGS:
        with pytest.raises(KeyboardInterrupt):
            practice.accuracies(setting, [5, 6], wrong=0.2)
    weights, labels = starts[0]
    assert len(weights) == 6
    for other_weights, other_labels in starts:
        assert all(map(torch.equal, weights, other_weights))
        assert all(map(torch.equal, labels, other_labels))


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


def test_a_stack_of_grouped_batch_norms_is_each_of_them():
    """A network's statistics come from its own groups, in training and in evaluation."""
    generator = torch.Generator().manual_seed(0)
    layers = [batch_norm_reasons.GroupedBatchNorm(5, groups=3) for _ in range(2)]
    for layer in layers:
        torch.nn.init.normal_(layer.weight, generator=generator)
    alone, stack = copy.deepcopy(layers), batch_norm_reasons.GroupedBatchNorm.stacked(layers)
    x = 3 + 2 * torch.randn(2, 12, 5, generator=generator)
    for training in (True, False):
        y = stack.train(training)(x)
        for layer, own, found in zip(alone, x, y, strict=True):
            assert torch.allclose(layer.train(training)(own), found, atol=1e-6)


def test_each_network_of_a_stack_is_disturbed_on_its_own():
    """All examples of a network are stretched and shifted alike, those of another otherwise."""
    with ex.seeded(0):
        y = batch_norm_reasons.ShiftingNoise()(torch.ones(2, 4, 5))
    assert torch.equal(y, y[:, :1].expand_as(y))
    assert not torch.equal(y[0], y[1])
