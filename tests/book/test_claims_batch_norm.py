"""What the chapter on batch normalization says of its experiments is true of other seeds too."""

import claims_batch_norm as claims
import numpy as np
import pytest
import torch

# The chapter itself uses seeds from 0.
SEEDS = ([100, 101, 102], [210, 211, 212], [320, 321, 322])
SMALLER = {
    claims.momentum_direction: {},
    claims.learning_rates: {"rates": (0.003, 0.3, 1.0, 3.0)},
    claims.deep_signal: {},
    claims.initial_scales: {"scales": (0.1, 0.3, 10.0)},
    claims.forgotten_evaluation: {},
    claims.placement: {},
    claims.group_sizes: {"sizes": (2, 4, 60)},
    claims.moving_distributions: {},
    claims.smoothness: {},
    claims.dropout_with_batch_norm: {},
}
# Those that compare means over runs which differ a lot need all three seeds, the others two.
NOISY = {claims.placement, claims.smoothness}


@pytest.fixture(autouse=True)
def one_thread():
    """Keep tiny computations from waiting for each other, as in the chapter."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("seeds", SEEDS, ids=str)
@pytest.mark.parametrize("claim", SMALLER, ids=lambda claim: claim.__name__)
def test_claim_holds_for_other_seeds(claim, seeds):
    """The function raises if a sentence of the chapter is not true."""
    claim(seeds if claim in NOISY else seeds[:2], **SMALLER[claim])


def test_every_claim_is_tried_and_made_in_the_chapter(root):
    """A claim that nobody tests, or that the chapter does not make, should not be there."""
    public = {
        function
        for name, function in vars(claims).items()
        if not name.startswith("_")
        and getattr(function, "__doc__", "")
        and "seeds" in getattr(getattr(function, "__code__", None), "co_varnames", ())
    }
    assert public == set(SMALLER)
    chapter = (root / "book/batch_norm.md").read_text(encoding="utf-8")
    assert [claim.__name__ for claim in SMALLER if f"claims.{claim.__name__}(" not in chapter] == []


def test_claims_repeat_themselves():
    """The same seeds give the same numbers, and the global generator is left alone."""
    state = torch.get_rng_state()
    first, second = (claims.moving_distributions([5], epochs=12) for _ in range(2))
    assert np.array_equal(first["disturbed"]["train"], second["disturbed"]["train"])
    assert torch.equal(torch.get_rng_state(), state)


def test_one_group_is_batch_norm():
    """With the whole batch as its only group the layer is PyTorch's, in both modes."""
    x = 3 + 2 * torch.randn(12, 5, generator=torch.Generator().manual_seed(0))
    ours, theirs = claims.GroupedBatchNorm(5, groups=1), torch.nn.BatchNorm1d(5)
    assert torch.allclose(ours(x), theirs(x), atol=1e-6)
    assert torch.allclose(ours.eval()(x), theirs.eval()(x), atol=1e-6)


def test_each_group_is_normalized_on_its_own():
    """Every third row belongs together when there are three groups."""
    x = 3 + 2 * torch.randn(12, 5, generator=torch.Generator().manual_seed(0))
    y = claims.GroupedBatchNorm(5, groups=3)(x)
    for group in range(3):
        expected = torch.nn.BatchNorm1d(5)(x[group::3])
        assert torch.allclose(y[group::3], expected, atol=1e-6)
