"""Parts of the experiments do what their descriptions say."""

import copy

import numpy as np
import pytest
import torch
from experiments import digits as ex
from experiments import dropout, ensemble, norms, norms_relatives, why
from torch import nn


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
    norms.ShiftingNoise()
    assert torch.equal(torch.get_rng_state(), state)


def test_one_group_is_batch_norm():
    """With the whole batch as its only group the layer is PyTorch's, in both modes."""
    x = 3 + 2 * torch.randn(12, 5, generator=torch.Generator().manual_seed(0))
    ours, theirs = norms.GroupedBatchNorm(5, groups=1), nn.BatchNorm1d(5)
    assert torch.allclose(ours(x), theirs(x), atol=1e-6)
    assert torch.allclose(ours.eval()(x), theirs.eval()(x), atol=1e-6)


def test_each_group_is_normalized_on_its_own():
    """Every third row belongs together when there are three groups."""
    x = 3 + 2 * torch.randn(12, 5, generator=torch.Generator().manual_seed(0))
    y = norms.GroupedBatchNorm(5, groups=3)(x)
    for group in range(3):
        expected = nn.BatchNorm1d(5)(x[group::3])
        assert torch.allclose(y[group::3], expected, atol=1e-6)


def test_a_stack_of_grouped_batch_norms_is_each_of_them():
    """A network's statistics come from its own groups, in training and in evaluation."""
    generator = torch.Generator().manual_seed(0)
    layers = [norms.GroupedBatchNorm(5, groups=3) for _ in range(2)]
    for layer in layers:
        nn.init.normal_(layer.weight, generator=generator)
    alone, stack = copy.deepcopy(layers), norms.GroupedBatchNorm.stacked(layers)
    x = 3 + 2 * torch.randn(2, 12, 5, generator=generator)
    for training in (True, False):
        y = stack.train(training)(x)
        for layer, own, found in zip(alone, x, y, strict=True):
            assert torch.allclose(layer.train(training)(own), found, atol=1e-6)


def test_each_network_of_a_stack_is_disturbed_on_its_own():
    """All examples of a network are stretched and shifted alike, those of another otherwise."""
    with ex.seeded(0):
        y = norms.ShiftingNoise()(torch.ones(2, 4, 5))
    assert torch.equal(y, y[:, :1].expand_as(y))
    assert not torch.equal(y[0], y[1])


@pytest.mark.parametrize("pre", [True, False])
def test_a_block_is_that_of_pytorch(pre):
    """Its parts stand where ``nn.TransformerEncoderLayer`` has them."""
    generator = torch.Generator().manual_seed(0)
    block = norms_relatives.Block(16, pre)
    with torch.no_grad():
        for parameter in block.parameters():
            parameter += torch.randn(parameter.shape, generator=generator) / 10
    layer = nn.TransformerEncoderLayer(16, 1, 32, dropout=0.0, batch_first=True, norm_first=pre)
    for theirs, ours in (
        (layer.self_attn.out_proj, block.out),
        (layer.linear1, block.up),
        (layer.linear2, block.down),
        (layer.norm1, block.attention_norm),
        (layer.norm2, block.network_norm),
    ):
        theirs.load_state_dict(ours.state_dict())
    with torch.no_grad():
        layer.self_attn.in_proj_weight.copy_(block.query_key_value.weight)
        layer.self_attn.in_proj_bias.copy_(block.query_key_value.bias)
    x = torch.randn(5, norms_relatives.TOKENS, 16, generator=generator)
    assert torch.allclose(block(x.flatten(0, 1)).view_as(x), layer(x), atol=1e-5)


@pytest.mark.parametrize("pre", [True, False])
def test_a_stack_of_transformers_is_each_of_them(pre):
    """Each network's examples go through its own blocks only."""
    stack = ensemble.build((3, 4), norms_relatives.transformer, pre=pre, blocks=2)
    x = torch.rand(2, 5, 64, generator=torch.Generator().manual_seed(0))
    for network, own, found in zip(stack.networks, x, stack(x), strict=True):
        assert torch.allclose(network(own), found, atol=1e-5)


def test_moved_images_lose_their_last_row():
    """A row of zeros comes in at the top."""
    image = torch.arange(64.0)[None]
    moved = norms_relatives.moved_down(image).view(8, 8)
    assert torch.equal(moved[1:], image.view(8, 8)[:-1])
    assert not moved[0].any()


def test_a_stack_of_residual_networks_is_each_of_them():
    """Each network's examples go through its own blocks only, all of them in evaluation."""
    stack = ensemble.build((3, 4), dropout.deep_network, drop=0.5).eval()
    x = torch.rand(2, 5, 64, generator=torch.Generator().manual_seed(0))
    for network, own, found in zip(stack.networks, x, stack(x), strict=True):
        assert torch.allclose(network.eval()(own), found, atol=1e-5)


def test_a_branch_is_left_out_for_an_example_or_counts_more():
    """As often as asked, and later blocks more often than earlier ones."""
    block = dropout.Residual(6, drop=0.25)
    x = torch.randn(2000, 6, generator=torch.Generator().manual_seed(0))
    with ex.seeded(0), torch.no_grad():
        part = (block.train()(x) - x) / (block.eval()(x) - x)
    left_out = (part == 0).all(1)
    assert left_out.double().mean().item() == pytest.approx(0.25, abs=0.03)
    assert torch.allclose(part[~left_out].median(1).values, torch.tensor(4 / 3), atol=1e-3)
    blocks = dropout.deep_network(drop=0.4, blocks=4)[1:-2]
    assert [block.drop.p for block in blocks] == pytest.approx([0.1, 0.2, 0.3, 0.4])


def test_what_is_dropped_stands_between_the_convolutions():
    """Behind the first ReLU; the rest of the network is the usual one."""
    network = dropout.network_with_dropped_maps(nn.Dropout2d, drop=0.5)
    kinds = [type(layer) for layer in network]
    place = kinds.index(nn.Dropout2d)
    assert kinds[place - 1] is nn.ReLU
    assert kinds[place + 1] is nn.Conv2d
    del kinds[place]
    assert kinds == [type(layer) for layer in ex.convolutional_network()]
