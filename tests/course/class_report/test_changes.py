"""What changed since the last report."""

import pytest

from autograder.course.class_report import changes
from autograder.course.class_report.changes import Earlier, since
from autograder.course.class_report.facts import Changed


def test_the_first_report_tells_no_changes():
    """There is nothing to compare with."""
    assert since(None, {"ada": 1.0}, {}) is None


def test_changes_are_told():
    """New and gone submissions, and points that went up or down; no points count as none."""
    before = {"ada": 1.0, "bob": 2.0, "cleo": None, "dan": 3.0, "eve": 4.0}
    now = {"ada": 1.0, "bob": 1.5, "cleo": 2.0, "dan": None, "zoe": 5.0}
    found = since(Earlier("Monday", before), now, {"zoe": "Zoe Z."})
    assert found.since == "Monday"
    assert [(one.student, one.name) for one in found.new.listed] == [("zoe", "Zoe Z.")]
    assert [one.student for one in found.gone.listed] == ["eve"]
    assert found.changed == (
        Changed("bob", 2.0, 1.5),
        Changed("cleo", None, 2.0),
        Changed("dan", 3.0, None),
    )
    assert (found.up, found.down) == (1, 2)


def test_assignments_that_were_left_out_are_kept(tmp_path):
    """A report on one assignment does not forget the others."""
    changes.write(tmp_path, "Monday", {"l2": {"ada": 1.0}, "dropout": {"ada": None}})
    changes.write(tmp_path, "Friday", {"l2": {"ada": 2.0}})
    assert changes.read(tmp_path) == {
        "l2": Earlier("Friday", {"ada": 2.0}),
        "dropout": Earlier("Monday", {"ada": None}),
    }


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "3",
        '{"l2": 3}',
        '{"l2": {"points": {}}}',
        '{"l2": {"made": "", "points": 3}}',
    ],
)
def test_a_damaged_file_is_as_good_as_none(tmp_path, text):
    """The next report writes a new one."""
    (tmp_path / changes.FILE).write_text(text)
    assert changes.read(tmp_path) == {}
