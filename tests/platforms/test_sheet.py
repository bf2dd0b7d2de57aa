"""Sheets keep every byte that nobody changed."""

import csv
import io
from itertools import chain

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from autograder.platforms.sheet import Sheet

CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0\ufeff"), max_size=8)
TABLES = st.integers(2, 4).flatmap(
    lambda width: st.lists(st.lists(CELLS, min_size=width, max_size=width), min_size=2, max_size=5)
)


def packed(rows, delimiter, end, quoting=csv.QUOTE_MINIMAL):
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter, lineterminator=end, quoting=quoting).writerows(rows)
    return out.getvalue()


@given(
    TABLES,
    st.sampled_from([",", ";", "\t"]),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_what_is_read_is_written(rows, delimiter, end, quoting, encoding):
    """Whatever the dialect; and cells say what the standard library wrote."""
    # It quotes a line end only if it is part of its own, so a lone one would begin a row.
    assume(quoting == csv.QUOTE_ALL or "\r" in end or "\r" not in "".join(chain(*rows)))
    rows = [[f"title {n}" for n in range(len(rows[0]))], *rows[1:]]
    content = packed(rows, delimiter, end, quoting).encode(encoding)
    sheet = Sheet(content)
    assert sheet.content() == content
    assert [sheet.value(r, c) for r in sheet.rows for c in range(len(rows[0]))] == [
        cell for row in rows[1:] for cell in row
    ]


@given(TABLES, st.sampled_from([",", ";"]), CELLS)
def test_one_cell_changes_and_no_other(rows, delimiter, new):
    """Even if the new text needs quotes."""
    rows = [[f"title {n}" for n in range(len(rows[0]))], *rows[1:]]
    sheet = Sheet(packed(rows, delimiter, "\r\n").encode())
    sheet.put(1, 1, new)
    again = Sheet(sheet.content())
    rows[1][1] = new
    assert [[again.value(r, c) for c in range(len(rows[0]))] for r in again.rows] == rows[1:]


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16-le", "utf-16-be", "utf-8"])
def test_encodings_without_a_mark_are_found(encoding):
    """As spreadsheets write them."""
    content = "Name;Grade\nJörg;\n".encode(encoding)
    sheet = Sheet(content)
    assert sheet.value(1, 0) == "Jörg"
    sheet.put(1, 1, "5")
    assert sheet.content() == "Name;Grade\nJörg;5\n".encode(encoding)
