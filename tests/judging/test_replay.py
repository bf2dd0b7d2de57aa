"""A short code stands for the inputs on which an answer was graded."""

import hypothesis.strategies as st
import pytest
from hypothesis import given

from autograder.judging.replay import BITS, code_of, seed_of


@given(st.integers(0, 2**BITS - 1))
def test_a_code_leads_back_to_its_seed(seed):
    """However it is copied."""
    code = code_of(seed)
    assert seed_of(code) == seed
    assert seed_of(f"  {code.upper().replace('-', ' ')}\n") == seed


@pytest.mark.parametrize(
    "code", ["", "k7qx", "k7qx-3mfa-aaaa-2b4", "k7qx-3mfa-aaaa-2b4!", "ä" * 16]
)
def test_anything_else_is_no_code(code):
    """Also one that lost a letter."""
    with pytest.raises(ValueError):  # noqa: PT011  # base64 has its own words
        seed_of(code)
