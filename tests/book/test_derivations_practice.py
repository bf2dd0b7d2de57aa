"""The two formulas of "Regularization in practice", in code as displayed, against autograd."""

import pytest
import torch


@pytest.fixture
def x():
    """Return a batch of inputs as rows, in float64."""
    generator = torch.Generator().manual_seed(4)
    return torch.randn(5, 3, generator=generator, dtype=torch.float64, requires_grad=True)


def test_gradient_through_a_linear_layer(x):
    """∂L/∂S times the transpose of W."""
    generator = torch.Generator().manual_seed(5)
    weight, b, upstream = (
        torch.randn(*shape, generator=generator, dtype=torch.float64)
        for shape in ((3, 4), (4,), (5, 4))
    )
    (x @ weight + b).backward(upstream)
    assert torch.allclose(x.grad, upstream @ weight.T)


def test_gradient_through_relu(x):
    """What arrives where the input is positive, and zero elsewhere."""
    upstream = torch.randn(5, 3, generator=torch.Generator().manual_seed(6)).double()
    torch.relu(x).backward(upstream)
    assert torch.equal(x.grad, upstream * (x > 0))
