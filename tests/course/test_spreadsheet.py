"""What a spreadsheet makes of the cells that we write."""

import pytest

from autograder.course.spreadsheet import harmless


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("=1", "'=1"),
        (" =1", "' =1"),
        ("@x", "'@x"),
        ("\tx", "'\tx"),
        ("\n=1", "'\n=1"),
        ("＝1", "'＝1"),
        ("Ada", "Ada"),
        ("a=1", "a=1"),
        ("", ""),
    ],
)
def test_formulas_are_made_texts(text, shown):
    """Only what a spreadsheet would take for one."""
    assert harmless(text) == shown
