"""All methods are treated alike, and each does what its name says."""

import math

import numpy as np
import pytest
import torch
from experiments import digits as ex
from experiments import ensemble, practice, protocol
from experiments.protocol import Setting
from torch import nn

SMALL = {"n_train": 150, "held_out": 50, "epochs": 3, "hidden": 12}


def images(networks=2, examples=40):
    """Return images and labels of some networks."""
    data = [one.first(examples) for one in ensemble.draw(range(networks))]
    return (torch.stack([getattr(one, part) for one in data]) for part in ("x_train", "y_train"))


def epoch(setting, batch_size=40):
    """Return images and labels, and the only batch of an epoch with a setting."""
    x, y = images()
    (batch,) = protocol.Batches(x, y, [setting] * 2, [3, 4]).epoch(batch_size)
    return x, y, *batch


def test_steps_are_those_of_pytorch():
    """SGD with momentum, decay of matrices, and a cosine, with numbers for each network."""
    settings = [Setting(rate=0.1, decay=0.01), Setting(rate=0.02)]
    stack = ensemble.build((3, 4), ex.digits_network, hidden=8)
    alone = [ensemble.build((seed,), ex.digits_network, hidden=8) for seed in (3, 4)]
    optimizer = protocol.SGD(stack, settings, steps=5)
    theirs = []
    for one, setting in zip(alone, settings, strict=True):
        parameters = list(one.parameters())
        groups = [
            {"params": [p for p in parameters if p.dim() > 2], "weight_decay": setting.decay},
            {"params": [p for p in parameters if p.dim() == 2]},
        ]
        sgd = torch.optim.SGD(groups, lr=setting.rate, momentum=0.9)
        theirs.append((sgd, torch.optim.lr_scheduler.CosineAnnealingLR(sgd, T_max=5)))
    x, y = images()
    for _ in range(4):
        optimizer.step(x, nn.functional.one_hot(y, 10).float())
        for place, (sgd, schedule) in enumerate(theirs):
            ensemble.step(alone[place], x[place : place + 1], y[place : place + 1], sgd)
            schedule.step()
    for ours, one in zip(stack.networks, alone, strict=True):
        for found, expected in zip(ours.parameters(), one.networks[0].parameters(), strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


def test_without_a_method_nothing_is_changed():
    """Each image comes once in an epoch, with its label."""
    x, y, batch, targets = epoch(Setting())
    for own, labels, found, given in zip(x, y, batch, targets, strict=True):
        places = torch.cdist(found, own).argmin(1)
        assert sorted(places.tolist()) == list(range(40))
        assert torch.equal(found, own[places])
        assert torch.equal(given.argmax(1), labels[places])
        assert torch.equal(given.max(1).values, torch.ones(40))


def test_smoothing_gives_a_share_to_all_classes():
    """Also to the right one, as PyTorch does it."""
    x, y, batch, targets = epoch(Setting(smoothing=0.2))
    scores = torch.randn(40, 10, generator=torch.Generator().manual_seed(0))
    labels = targets[0].argmax(1)
    ours = -(targets[0] * scores.log_softmax(1)).sum(1).mean()
    theirs = nn.functional.cross_entropy(scores, labels, label_smoothing=0.2)
    torch.testing.assert_close(ours, theirs)
    assert torch.equal(torch.cdist(batch[0], x[0]).min(1).values, torch.zeros(40))
    assert sorted(labels.tolist()) == sorted(y[0].tolist())


def test_mixup_mixes_labels_as_it_mixes_images():
    """Both are the same mixture of two."""
    _, _, plain, labels = epoch(Setting())
    _, _, mixed, targets = epoch(Setting(mixup=1.0))
    other, other_labels = (part.roll(1, dims=1) for part in (plain, labels))
    share = ((mixed - other) * (plain - other)).sum(-1, keepdim=True)
    share = share / (plain - other).square().sum(-1, keepdim=True)
    assert share.min() >= -1e-5
    assert share.max() <= 1 + 1e-5
    assert share.std() > 0.1
    torch.testing.assert_close(mixed, share * plain + (1 - share) * other)
    expected = share * labels + (1 - share) * other_labels
    torch.testing.assert_close(targets, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("probability", [0.3, 1.0])
def test_shifts_move_images_as_often_as_asked(probability):
    """By up to one pixel; one of the nine ways is to stay."""
    _, _, plain, labels = epoch(Setting())
    _, _, moved, targets = epoch(Setting(shifts=probability))
    assert torch.equal(labels, targets)
    same = (moved == plain).all(-1).double().mean().item()
    assert same == pytest.approx(1 - probability * 8 / 9, abs=0.15)
    ways = ex.shifted(plain)
    assert (ways == moved).all(-1).any(0).all()


def test_results_are_those_of_the_best_epoch_and_of_the_last():
    """The best epoch counts on validation images; training for so long gives the same networks."""
    settings, seeds = [Setting(rate=0.03), Setting(rate=0.3)], (3, 4, 5)
    found = protocol.train(settings, seeds, **SMALL)
    assert (found["last"]["epoch"] == 3).all()
    best, last = (found[when]["validation"]["accuracy"] for when in protocol.WHEN)
    assert best.shape == (2, 3)
    assert (best >= last).all()
    at_end = found["best"]["epoch"] == 3
    assert torch.equal(
        found["best"]["test"]["scores"][at_end], found["last"]["test"]["scores"][at_end]
    )
    assert ((best == last) == at_end).all()


def test_settings_start_from_the_same_place():
    """The same setting twice gives the same networks; another seed gives another."""
    found = protocol.train([Setting(rate=0.1)] * 2, (3, 4), **SMALL)["last"]["test"]["scores"]
    torch.testing.assert_close(found[0], found[1], rtol=1e-3, atol=1e-4)
    assert not torch.allclose(found[0, 0], found[0, 1])


def test_held_out_images_are_not_trained_on(monkeypatch):
    """They are the last training images, with labels as they were spoiled."""
    taken = []
    original = protocol.Batches

    def watched(x, y, *rest):
        taken.append((x, y))
        return original(x, y, *rest)

    monkeypatch.setattr(protocol, "Batches", watched)
    found = protocol.train([Setting(rate=0.1)], (3,), wrong=0.4, **SMALL)
    data = ex.noisy_digits(np.random.default_rng(3), n_train=150, wrong=0.4)
    ((x, y),) = taken
    assert torch.equal(x[0], data.x_train[:100])
    assert torch.equal(y[0], data.y_train[:100])
    assert torch.equal(found["last"]["validation"]["labels"][0, 0], data.y_train[100:])
    assert torch.equal(found["last"]["test"]["labels"][0, 0], data.y_test)


def test_the_setting_with_the_best_validation_accuracy_is_chosen():
    """Never by test accuracy."""
    found = protocol.compare((3, 4), {"none": protocol.grid("none")}, **SMALL)
    runs = protocol.train(protocol.grid("none"), (3, 4), **SMALL)
    for when in protocol.WHEN:
        mean = runs[when]["validation"]["accuracy"].mean(1)
        chosen = found["none"][when]["setting"]
        assert chosen == protocol.grid("none")[mean.argmax()]
        tried = found["none"][when]["tried"]
        assert np.array_equal(tried[chosen], found["none"][when]["test"])


def test_the_global_generator_is_left_alone():
    """Dropout, mixtures and shifts draw from generators of their own."""
    state = torch.get_rng_state()
    protocol.train([Setting(rate=0.1, drop=0.5, shifts=0.5, mixup=1.0)], (3,), **SMALL)
    assert torch.equal(torch.get_rng_state(), state)


def test_temperature_takes_back_a_factor():
    """Labels drawn from probabilities, whose scores are then three times as large."""
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(4000, 5, generator=generator)
    labels = torch.multinomial(scores.softmax(1), 1, generator=generator).flatten()
    assert practice.temperature(3 * scores, labels) == pytest.approx(3, rel=0.15)


def test_calibration_error_of_the_example_on_the_page():
    """80 images in one bin, as sure as they should be, and 20 in another, too sure."""
    probabilities = torch.tensor([[0.62, 0.38]] * 80 + [[0.1, 0.9]] * 20)
    probabilities[:, 0] = torch.tensor([0.62] * 80 + [0.08] * 20)
    probabilities[:, 1] = 1 - probabilities[:, 0]
    labels = torch.tensor([0] * 48 + [1] * 32 + [1] * 15 + [0] * 5)
    bins = practice.reliability(probabilities, labels)
    assert bins[:, 0].tolist() == [0, 0, 0, 0, 0, 0, 80, 0, 0, 20]
    assert bins[:, 2].tolist() == [0, 0, 0, 0, 0, 0, 48, 0, 0, 15]
    expected = (80 * 0.02 + 20 * (0.92 - 0.75)) / 100
    assert practice.calibration_error(bins) == pytest.approx(expected, rel=1e-4)
    assert math.isclose(bins[:, 1].sum(), 80 * 0.62 + 20 * 0.92, rel_tol=1e-5)
