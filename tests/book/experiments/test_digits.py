"""The experiment that the chapters share."""

import numpy as np
import pytest
import torch
from experiments import digits as ex
from torch import nn


@pytest.fixture(scope="module")
def data():
    return ex.noisy_digits(np.random.default_rng(7), n_train=200, wrong=0.25)


def test_the_asked_share_of_training_labels_is_wrong(data):
    """A spoiled label is another digit, and an unspoiled one is true."""
    truth = ex.noisy_digits(np.random.default_rng(7), n_train=200, wrong=0.0)
    assert torch.equal(data.x_train, truth.x_train)
    assert data.wrong.sum() == 50
    assert torch.equal(data.y_train != truth.y_train, data.wrong)
    assert set(data.y_train.tolist()) <= set(range(10))


def test_test_labels_are_true_and_images_are_not_shared(data):
    """All 1797 digits are used once."""
    truth = ex.noisy_digits(np.random.default_rng(7), n_train=200, wrong=0.0)
    assert torch.equal(data.y_test, truth.y_test)
    assert len(data.x_train) + len(data.x_test) == 1797
    assert data.x_train.shape[1] == 64
    assert 0 <= data.x_train.min() <= data.x_train.max() <= 1


def test_data_depend_on_the_generator_only():
    """The same seed gives the same digits, another seed others."""
    first, again, other = (ex.noisy_digits(np.random.default_rng(s)) for s in (1, 1, 2))
    assert torch.equal(first.x_train, again.x_train)
    assert torch.equal(first.y_train, again.y_train)
    assert not torch.equal(first.x_train, other.x_train)


def test_changing_drawn_digits_leaves_the_next_draw_alone():
    """What one experiment does to its digits does not reach another's."""
    first = ex.noisy_digits(np.random.default_rng(1))
    before = first.x_train.clone(), first.y_test.clone()
    for tensor in (first.x_train, first.y_train, first.x_test, first.y_test):
        tensor.zero_()
    again = ex.noisy_digits(np.random.default_rng(1))
    assert torch.equal(again.x_train, before[0])
    assert torch.equal(again.y_test, before[1])


def test_seeded_repeats_itself_and_leaves_the_global_generator_alone():
    """A block draws the same numbers each time; what follows it is as if it had not been there."""
    torch.manual_seed(0)
    undisturbed = torch.rand(3)
    torch.manual_seed(0)
    with ex.seeded(5):
        first = torch.rand(3)
    with ex.seeded(5):
        second = torch.rand(3)
    assert torch.equal(first, second)
    assert torch.equal(torch.rand(3), undisturbed)


def test_network_has_the_layers_that_were_asked_for():
    """Batch norm stands before each ReLU, dropout after it, and nothing on the output."""
    kinds = [type(layer) for layer in ex.digits_network(hidden=8, drop=0.3, batch_norm=True)]
    block = [nn.Linear, nn.BatchNorm1d, nn.ReLU, nn.Dropout]
    assert kinds == [*block, *block, nn.Linear]
    kinds = [type(layer) for layer in ex.digits_network(hidden=8)]
    assert kinds == [nn.Linear, nn.ReLU, nn.Linear, nn.ReLU, nn.Linear]


@pytest.mark.parametrize("training", [True, False])
def test_accuracy_is_measured_in_evaluation_mode(training, data):
    """Dropout does not disturb it, and the model's mode is afterwards what it was."""
    with ex.seeded(0):
        model = ex.digits_network(hidden=16, drop=0.9).train(training)
    values = {ex.accuracy(model, data.x_test, data.y_test) for _ in range(3)}
    assert len(values) == 1
    assert model.training is training


def test_accuracy_counts_correct_predictions():
    """Three right answers of four are 0.75."""
    scores = torch.eye(4)
    assert ex.accuracy(nn.Identity(), scores, torch.tensor([0, 1, 2, 0])) == 0.75


def test_training_repeats_itself_and_learns(data):
    """The same seeds give the same curves, which end above where they began."""
    histories = []
    for _ in range(2):
        with ex.seeded(0):
            model = ex.digits_network(hidden=32, drop=0.2)
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
            generator = torch.Generator().manual_seed(0)
            histories.append(
                ex.train(model, data, optimizer, epochs=12, generator=generator, record_every=3)
            )
    assert histories[0] == histories[1]
    assert histories[0]["epoch"] == [3, 6, 9, 12]
    assert histories[0]["test"][-1] > histories[0]["test"][0] + 0.1
