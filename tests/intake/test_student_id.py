"""Ids of students from what others call them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autograder.intake.student_id import PLAIN_NAME, safe_id


@pytest.mark.parametrize(
    "text", ["ann", "ann.lee", "ann@uni.edu", "ann+1", "a-b", "a_b", "4711", "A" * 100]
)
def test_plain_ids_stay(text):
    """All that learning platforms hand out."""
    assert safe_id(text) == text


@given(st.lists(st.text(), min_size=2, unique=True))
def test_other_texts_become_ids_that_differ(texts):
    """Whatever somebody is called, nothing can lead out of a folder or be markup."""
    ids = [safe_id(text) for text in texts]
    assert all(PLAIN_NAME.fullmatch(id) for id in ids)
    assert len({*ids}) == len(texts)


@pytest.mark.parametrize(
    ("text", "start"),
    [("Müller, Jörg", "muller-jorg-"), ("../x", "x-"), ("<script>", "script-"), ("王", "student-")],
)
def test_they_can_be_read(text, start):
    """As far as ASCII goes."""
    assert safe_id(text).startswith(start)
