"""The steps of "What a mistake costs" are PyTorch's, and its mistakes those of the catalogue."""

import pytest
import torch
from experiments import digits as ex
from experiments import ensemble, mistakes
from torch import nn

from autograder.tasks import tasks

SEEDS = range(3)


def test_mistakes_are_those_of_the_catalogue():
    """Each has the name under which a student's report names it."""
    known = {one.id for task in tasks.values() for one in task.misconceptions}
    used = {name for method in mistakes.METHODS.values() for name in method.mistakes}
    assert used <= known
    assert len(used) >= 15


def test_batch_norm_is_that_of_torch():
    """In training and in evaluation, with its running statistics."""
    z = torch.randn(3, 20, 5, generator=torch.Generator().manual_seed(0)) * 2 + 1
    stored = {"mean": torch.zeros(3, 1, 5), "var": torch.ones(3, 1, 5)}
    layers = [nn.BatchNorm1d(5) for _ in range(3)]
    for training in (True, True, False):
        out = mistakes.batch_norm(z, training, stored)
        for layer, mine, rows in zip(layers, out, z, strict=True):
            torch.testing.assert_close(layer.train(training)(rows), mine)
    for place, layer in enumerate(layers):
        torch.testing.assert_close(stored["mean"][place, 0], layer.running_mean)
        torch.testing.assert_close(stored["var"][place, 0], layer.running_var)


@pytest.mark.parametrize("backward", [None, "new mask", "no mask"])
def test_dropout_keeps_and_scales(backward):
    """What is kept is scaled, whatever the gradient passes through."""
    hidden = torch.ones(2, 200, 50, requires_grad=True)
    with ex.seeded(0):
        out = mistakes.dropout(hidden, True, 0, backward=backward)
    (gradient,) = torch.autograd.grad(out.sum(), hidden)
    for values in (out.detach(), gradient) if backward != "no mask" else (out.detach(),):
        assert values.unique().tolist() == pytest.approx([0.0, 1 / 0.7])
        assert (values > 0).double().mean().item() == pytest.approx(0.7, abs=0.02)
    assert torch.equal(gradient, out) == (backward is None)
    assert torch.equal(mistakes.dropout(hidden, False, 0), hidden)


@pytest.mark.parametrize(
    ("own", "theirs"),
    [
        (mistakes.Momentum, lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9)),
        (mistakes.Adam, lambda p: torch.optim.AdamW(p, lr=0.05, weight_decay=0)),
    ],
)
def test_optimizers_are_those_of_torch(own, theirs):
    """Five steps lead to the same place."""
    start = torch.randn(4, 3, generator=torch.Generator().manual_seed(1))
    mine, other = {"w": start.clone()}, start.clone().requires_grad_(True)
    optimizer, reference = own(mine, 0.05), theirs([other])
    for _ in range(5):
        reference.zero_grad()
        (other**3).sum().backward()
        reference.step()
        optimizer.step(mine, {"w": 3 * mine["w"] ** 2})
    torch.testing.assert_close(mine["w"], other.detach())


def test_right_steps_train_as_torch_does():
    """Weight decay by hand gives the networks that `ensemble` trains with torch.optim."""
    network = mistakes._Network(SEEDS, 16, mistakes.METHODS["weight decay"].steps)
    optimizer = network.steps.optimizer(network.parameters)
    stack = ensemble.build(SEEDS, lambda: ex.initialize_for_relu(ex.digits_network(hidden=16)))
    parameters = list(stack.parameters())
    groups = [
        {"params": [one for one in parameters if one.dim() > 2], "weight_decay": 0.01},
        {"params": [one for one in parameters if one.dim() < 3]},
    ]
    reference = torch.optim.SGD(groups, lr=0.05, momentum=0.9)
    data = ensemble.draw(SEEDS, n_train=100)
    for x, y in ensemble.batches(data, ensemble.generators(SEEDS)):
        network.step(x, y, optimizer)
        ensemble.step(stack, x, y, reference)
    torch.testing.assert_close(network.scores(x, False), stack.eval()(x), rtol=1e-4, atol=1e-4)
