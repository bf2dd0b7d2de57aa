"""Due dates, grace, extensions and penalties from `dates.toml`; the times in `timestamp.txt`."""

import csv
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from helpers.courses import autograder, graded_file, nbgrader, points
from hypothesis import given
from hypothesis import strategies as st

from autograder.course.late import Dates, DatesError, handed_in, read

DATES = """time_zone = "Europe/Berlin"
grace_minutes = 15
percent_per_day = 10
most_percent = 50

[due]
l2 = 2026-03-02 13:00:00

[extensions.l2]
doubled = 2026-03-04 12:50:00
"""
"""12:00 in UTC; "solved" comes one day late, "doubled" ten minutes after its extension."""


def exported(course, monkeypatch):
    """Return the scores in the CSV file by student."""
    assert autograder(course, monkeypatch, "export")[0] == 0
    with (course.root / "grades.csv").open() as file:
        return {row["student_id"]: float(row["score"]) for row in csv.DictReader(file)}


@pytest.mark.sandbox
def test_a_change_of_the_file_changes_penalties_and_runs_nothing(copied, runs, monkeypatch):
    """The terminal and the CSV file say the same, and nobody else is mentioned."""
    before = last = points(copied)
    file = copied.root / "dates.toml"
    raw = before["doubled"]
    changes = {
        DATES: {"solved": 5.4},
        DATES.replace("10", "25"): {"solved": 4.5},
        DATES.replace("grace_minutes = 15", ""): {"solved": 5.4, "doubled": raw * 0.9},
        DATES.replace("doubled", "solved"): {"doubled": raw * 0.8},
        DATES.replace("Europe/Berlin", "Pacific/Kiritimati"): {"solved": 4.8, "doubled": raw * 0.9},
        DATES.replace("13:00:00", "13:00:00Z"): {"solved": 5.4},
    }
    for text, expected in changes.items():
        file.write_text(text)
        graded = graded_file(copied, "solved").read_bytes()
        status, said = autograder(copied, monkeypatch, "grade", "--jobs", "1")
        assert status == 1, "a file of the class is broken"
        now = {**before, **expected}
        assert points(copied) == pytest.approx(now), text
        found = exported(copied, monkeypatch)
        assert {name: found[name] for name in before} == pytest.approx(now)
        assert graded_file(copied, "solved").read_bytes() == graded
        for student in before:
            changed = f"l2 of {student}: {now[student]:g} of 6" in said
            assert changed == (now[student] != pytest.approx(last[student])), (text, said)
        last = now
    assert not runs


@pytest.mark.sandbox
def test_nbgraders_own_command_takes_the_same(copied, monkeypatch):
    """And everything is lost where a policy of nbgrader says so, on the terminal as in the file."""
    (copied.root / "dates.toml").write_text(DATES)
    autograder(copied, monkeypatch, "grade", "--jobs", "1")
    before = points(copied)
    nbgrader(copied, "autograde", "l2", "--student", "solved", "--force")
    assert points(copied) == before
    assert before["solved"] == pytest.approx(5.4)

    (copied.root / "dates.toml").unlink()
    with copied.config_file.open("a") as file:
        file.write("c.LateSubmissionPlugin.penalty_method = 'zero'\n")
    _, said = autograder(copied, monkeypatch, "grade", "--jobs", "1")
    assert "l2 of solved: 0 of 6, 6 less for lateness" in said
    assert exported(copied, monkeypatch)["solved"] == 0


@pytest.mark.sandbox
def test_a_time_that_is_taken_away_is_forgotten(copied, monkeypatch):
    """Work with no known time is never late."""
    (copied.root / "dates.toml").write_text(DATES)
    autograder(copied, monkeypatch, "grade", "--jobs", "1")
    assert points(copied)["solved"] == pytest.approx(5.4)
    (copied.folder("submitted", "solved", "l2") / "timestamp.txt").unlink()
    autograder(copied, monkeypatch, "grade", "--jobs", "1")
    assert points(copied)["solved"] == 6


@pytest.mark.sandbox
def test_an_extension_counts_for_a_first_submission(copied, monkeypatch):
    """Although the gradebook did not know the student."""
    (copied.root / "dates.toml").write_text(DATES.replace("doubled", "newcomer"))
    folder = copied.folder("submitted", "newcomer", "l2")
    folder.mkdir(parents=True)
    source = copied.folder("submitted", "solved", "l2") / "l2.ipynb"
    (folder / "l2.ipynb").write_bytes(source.read_bytes())
    (folder / "timestamp.txt").write_text("2026-03-04 12:40:00 Europe/Berlin")
    autograder(copied, monkeypatch, "grade", "--jobs", "1")
    assert points(copied)["newcomer"] == 6


@pytest.mark.sandbox
def test_a_wrong_time_is_one_clear_line(copied, monkeypatch):
    """It names the file and shows how to write it; right again, the points are back."""
    before = points(copied)
    file = copied.folder("submitted", "half", "l2") / "timestamp.txt"
    right = file.read_text()
    file.write_text("11/22/2026 9:00 PM")
    status, said = autograder(copied, monkeypatch, "grade", "--student", "half")
    assert status == 1
    assert f"l2 of half: {file} says '11/22/2026 9:00 PM'" in said
    assert "like 2026-11-01 23:59:00 +0100" in said
    assert "half" not in points(copied)
    assert copied.api.get_submitted_timestamp("l2", "half") is None
    assert "half" in nbgrader(copied, "autograde", "l2", "--student", "half", succeeds=False)
    file.write_bytes(b"\xef\xbb\xbf" + right.encode())
    assert autograder(copied, monkeypatch, "grade", "--student", "half")[0] == 0
    assert points(copied) == before
    assert copied.api.get_submitted_timestamp("l2", "half") == datetime(2026, 3, 1, 12)


WRONG = {
    "percent_per_day = '10'": "percent_per_day is no number",
    "percent_per_day = 110": "percent_per_day is out of range",
    "grace = 5": "grace is no setting",
    "time_zone = 'CEST'": "'CEST' is no time zone",
    "[due]\nl2 = 2026-03-02": "l2 in [due] is no date with a time of day",
    "[due]\nl2 = 2026-03-02 13:00": "line 2",
    "[due]\nl2 = 'Monday'": "l2 in [due] is no date",
    "[extensions.l2]\nada = 2026-03-02 13:00:00": "l2 has extensions but is not in [due]",
}


@pytest.mark.parametrize("text", WRONG)
def test_a_wrong_file_of_dates_is_one_clear_line(tmp_path, text):
    """It names the file, what is wrong and how it should be."""
    (tmp_path / "dates.toml").write_text(text)
    with pytest.raises(DatesError) as caught:
        read(tmp_path)
    said = str(caught.value)
    assert said.startswith(f"{tmp_path / 'dates.toml'}: ")
    assert WRONG[text] in said
    assert "l2 = 2026-11-01 23:59:00" in said
    assert len(said.splitlines()) == 1


@pytest.mark.sandbox
def test_grading_stops_at_a_wrong_file_of_dates(copied, monkeypatch):
    """Also at an assignment that nobody knows; all grades stay."""
    before = points(copied)
    for text, wanted in (("due = 3", "due is no table"), (DATES.replace("l2", "l3"), "'l3'")):
        (copied.root / "dates.toml").write_text(text)
        status, said = autograder(copied, monkeypatch, "grade")
        assert status == 2
        assert wanted in said
        assert len(said.strip().splitlines()) == 1
    assert points(copied) == before


def time_in(folder, text, zone=UTC):
    """Return the time that a `timestamp.txt` with this text says."""
    file = folder / "timestamp.txt"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return handed_in(file, zone)


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-22 21:00:00 UTC",
        "2026-11-22 21:00:00.000000 UTC",
        "2026-11-22T21:00:00Z",
        "2026-11-22 21:00",
        "2026-11-22 22:00:00 +0100",
        "2026-11-22T22:00:00+01:00",
        "2026-11-22 22:00:00 Europe/Berlin\r\n",
        b"\xef\xbb\xbf2026-11-22 21:00:00 UTC\n",
    ],
)
def test_times_with_one_meaning_are_read(tmp_path, text):
    """With any zone, and with a byte order mark."""
    assert time_in(tmp_path, text) == datetime(2026, 11, 22, 21)


def test_a_time_without_a_zone_has_that_of_the_course(tmp_path):
    """And no file, or an empty one, says nothing."""
    berlin = ZoneInfo("Europe/Berlin")
    assert handed_in(tmp_path / "timestamp.txt", berlin) is None
    assert time_in(tmp_path, "2026-11-22 22:00:00", berlin) == datetime(2026, 11, 22, 21)
    assert time_in(tmp_path, " \n", berlin) is None


@pytest.mark.parametrize(
    "text",
    [
        "11/22/2026 9:00 PM",
        "2026-11-22 9:00 PM",
        "2026-11-22 21:00:00 XYZ",
        "2026-13-22 21:00:00",
        "2026-11-22",
        "yesterday",
        "1795381200",
        b"\xff\xfe2\x000\x00",
    ],
)
def test_other_times_are_refused(tmp_path, text):
    """The message names the file and shows a valid time."""
    with pytest.raises(DatesError, match=r"timestamp\.txt says .* like 2026-11-01 23:59:00"):
        time_in(tmp_path, text)


@given(
    st.floats(0, 100), st.floats(0, 10**7), st.floats(0, 100), st.floats(0, 100), st.floats(0, 100)
)
def test_a_penalty_is_never_more_than_was_earned(points, late, percent, most, later):
    """It is never negative, and more lateness never costs less."""
    dates = Dates(percent_per_day=percent, most_percent=most)
    lost = dates.penalty(points, late)
    assert 0 <= lost <= points
    assert dates.penalty(points, late + later) >= lost
