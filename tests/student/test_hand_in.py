"""The file to hand in, and what is never overwritten."""

import json

import pytest

from autograder.student.hand_in import ChangedError, write_copy


def notebook(source):
    cell = {"cell_type": "code", "source": source, "outputs": [1], "execution_count": 3}
    return json.dumps({"cells": [cell], "metadata": {"widgets": {}}, "nbformat": 4}).encode()


def test_what_it_wrote_before_is_replaced(tmp_path):
    """A student runs it as often as they like."""
    first = write_copy(notebook("1"), tmp_path, "l2")
    assert write_copy(notebook("2"), tmp_path, "l2") == first
    found = json.loads(first.read_bytes())
    assert found["cells"][0]["source"] == "2"
    assert found["cells"][0]["outputs"] == []
    assert "widgets" not in found["metadata"]


def test_what_a_student_changed_is_not_overwritten(tmp_path):
    """Also when the file itself is tried where it is handed in from."""
    made = write_copy(notebook("1"), tmp_path, "l2")
    changed = made.read_text().replace('"1"', '"3"')
    made.write_text(changed)
    with pytest.raises(ChangedError, match="Move it away"):
        write_copy(notebook("2"), tmp_path, "l2")
    assert made.read_text() == changed
