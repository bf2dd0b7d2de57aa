"""A stack of networks does to each of them what PyTorch's own layers would do to it alone."""

import copy

import pytest
import torch
from experiments import digits as ex
from experiments import ensemble
from torch import nn

SEEDS = (3, 4, 5)


def small_network(norm=nn.BatchNorm1d):
    """Return a network with every layer that can be compared: all but dropout."""
    return nn.Sequential(nn.Linear(64, 12), norm(12), nn.ReLU(), nn.Linear(12, 10))


def alone(stack):
    """Return the networks of a stack as they are now, with memory of their own."""
    return [copy.deepcopy(network) for network in stack.networks]


@pytest.fixture
def data():
    return ensemble.draw(SEEDS, n_train=200)


def groups_of_four(features):
    """Return group norm."""
    return nn.GroupNorm(features // 4, features)


@pytest.fixture(params=[nn.BatchNorm1d, nn.LayerNorm, groups_of_four, nn.RMSNorm])
def stack(request):
    return ensemble.build(SEEDS, small_network, norm=request.param)


def assert_same(ours, theirs):
    """Assert that networks agree in parameters and in running statistics."""
    for one, other in zip(ours, theirs, strict=True):
        kept = other.state_dict()
        assert one.state_dict().keys() == kept.keys()
        for name, tensor in one.state_dict().items():
            if not name.endswith("num_batches_tracked"):
                torch.testing.assert_close(tensor, kept[name], rtol=1e-3, atol=1e-5)


def test_first_weights_are_those_that_pytorch_draws():
    """A network is the one that its seed gives without a stack."""
    stack = ensemble.build(SEEDS, ex.digits_network, batch_norm=True)
    for seed, network in zip(SEEDS, stack.networks, strict=True):
        with ex.seeded(seed):
            expected = ex.digits_network(batch_norm=True)
        assert_same([network], [expected])


@pytest.mark.parametrize("training", [True, False])
def test_scores_are_those_of_each_network(training, stack, data):
    """In both modes, on other examples for each; running statistics move as much."""
    x = torch.stack([one.x_train[:50] for one in data])
    stack(x)  # so that the running statistics are not those at the start
    networks = alone(stack)
    scores = stack.train(training)(x)
    for network, own, found in zip(networks, x, scores, strict=True):
        torch.testing.assert_close(found, network.train(training)(own))
    assert_same(stack.networks, networks)


@pytest.mark.parametrize(
    ("optimizer", "settings"),
    [
        (torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01}),
        (torch.optim.Adam, {"lr": 0.01, "weight_decay": 0.01, "eps": 1e-3}),
        (torch.optim.AdamW, {"lr": 0.01, "weight_decay": 0.1, "eps": 1e-3}),
    ],
)
def test_training_is_that_of_each_network(optimizer, settings, stack, data):
    """Weights, statistics and curves are those of training alone, whatever the optimizer."""
    networks = alone(stack)
    size = {"epochs": 2, "batch_size": 60}  # the last batch of an epoch is smaller
    history = ensemble.train(
        stack,
        data,
        optimizer(stack.parameters(), **settings),
        generators=ensemble.generators(SEEDS),
        **size,
    )
    histories = [
        ex.train(
            network,
            own,
            optimizer(network.parameters(), **settings),
            generator=torch.Generator().manual_seed(seed),
            **size,
        )
        for network, own, seed in zip(networks, data, SEEDS, strict=True)
    ]
    assert_same(stack.networks, networks)
    assert history["epoch"] == [1, 2]
    for part in ("train", "test"):
        expected = torch.tensor([one[part] for one in histories], dtype=torch.float64)
        # An image whose two highest scores are equal but for rounding may fall to either side.
        torch.testing.assert_close(torch.tensor(history[part]), expected, rtol=0, atol=0.01)


def test_group_norm_of_images_is_that_of_each_network(data):
    """Channels of all networks stand side by side, and no group reaches into the next network."""

    def make():
        convolution = nn.Conv2d(1, 8, 3, padding=1)
        return nn.Sequential(
            nn.Unflatten(1, (1, 8, 8)), convolution, groups_of_four(8), nn.Flatten()
        )

    stack = ensemble.build(SEEDS, make)
    for network in stack.networks:
        nn.init.normal_(network[2].weight, generator=torch.Generator().manual_seed(0))
    x = torch.stack([one.x_train[:20] for one in data])
    for network, own, found in zip(alone(stack), x, stack(x), strict=True):
        torch.testing.assert_close(found, network(own))


def test_networks_do_not_reach_each_other(data):
    """What one network is fed changes nothing for the others, not even when it breaks down."""
    found = []
    for spoiled in (False, True):
        stack = ensemble.build(SEEDS, small_network)
        optimizer = torch.optim.SGD(stack.parameters(), lr=0.1)
        x, y = next(ensemble.batches(data, ensemble.generators(SEEDS)))
        if spoiled:
            x[0] = torch.inf
        ensemble.step(stack, x, y, optimizer)
        found.append(alone(stack))
    assert found[1][0][0].weight.isnan().any()
    assert_same(found[0][1:], found[1][1:])


def test_dropout_drops_at_random_and_scales_up():
    """Each network has its own rate and mask, gradients pass where values do, not in evaluation."""
    layer = ensemble.stacked([nn.Dropout(0.2), nn.Dropout(0.5)])
    x = torch.ones(2, 100, 100, requires_grad=True)
    with ex.seeded(0):
        y = layer(x)
    y.sum().backward()
    assert torch.equal(x.grad, y)
    for values, drop in zip(y.detach(), (0.2, 0.5), strict=True):
        assert set(values.unique().tolist()) == {0.0, 1 / (1 - drop)}
        assert (values > 0).float().mean().item() == pytest.approx(1 - drop, abs=0.02)
    assert layer.eval()(x) is x


@pytest.mark.parametrize("kind", [nn.Dropout, nn.Dropout2d])
def test_dropout_of_images_knows_whose_channels_they_are(kind):
    """Channels of all networks stand side by side; `Dropout2d` drops whole ones."""
    layer = ensemble.stacked([kind(0.2), kind(0.5)])
    with ex.seeded(0):
        y = layer(torch.ones(200, 2 * 30, 4, 4))
    for values, drop in zip(y.split(30, dim=1), (0.2, 0.5), strict=True):
        assert set(values.unique().tolist()) == {0.0, 1 / (1 - drop)}
        assert (values > 0).float().mean().item() == pytest.approx(1 - drop, abs=0.03)
    alike = (y.flatten(2) == y.flatten(2)[..., :1]).all(-1)
    assert alike.all() == (kind is nn.Dropout2d)


def test_unknown_layers_are_refused():
    """A layer whose weights would silently be shared by all networks is an error."""
    with pytest.raises(AttributeError, match="stacked"):
        ensemble.Stack([nn.Sequential(nn.PReLU()), nn.Sequential(nn.PReLU())])
