"""What `autograder grade --dry-run` says is what `grade` then does, and it changes nothing."""

import pytest
from helpers.courses import answered, autograder, hand_in, points

from autograder.course import names, records
from autograder.course.grading import grade
from autograder.course.preview import preview
from autograder.grading import results

pytestmark = pytest.mark.sandbox

LATE = "[due]\nl2 = 2026-03-01 12:00:00\n"


def kept(course):
    """Return all that a dry run must leave alone."""
    folders = ("autograded", "feedback", records.FOLDER, ".seals")
    files = [course.root / "gradebook.db"]
    files += [one for name in folders for one in (course.root / name).rglob("*") if one.is_file()]
    return {file: file.read_bytes() for file in files}


def changed(course, **options):
    return {one.student: one for one in preview(course, **options)[1] if one.is_one}


def test_nothing_to_do_changes_nobody(copied, monkeypatch):
    """Nor does it record anything."""
    before = kept(copied)
    (copied.folder("submitted", "broken", "l2") / "l2.ipynb").unlink()
    copied.folder("submitted", "broken", "l2").rmdir()
    status, said = autograder(copied, monkeypatch, "grade", "--dry-run")
    assert (status, said) == (0, "0 would change, 9 would not; nothing was recorded\n")
    assert kept(copied) == before


def test_new_work_says_from_what_to_what_and_why(copied, monkeypatch):
    """Each aspect that is judged differently is named, and grading then gives these points."""
    before, earned = kept(copied), points(copied)
    hand_in(copied, "half", answered(copied))
    hand_in(copied, "solved", answered(copied, l2_penalty_backward="return weights"))
    hand_in(copied, "grace", answered(copied))
    found = changed(copied)
    assert kept(copied) == before
    assert found["half"].before.net == earned["half"]
    assert (found["half"].after.net, found["solved"].after.net) == (6, 3)
    assert "l2_penalty: one weight 0 → 1.5" in "\n".join(found["half"].reasons)
    assert (found["grace"].before, found["grace"].after.net) == (None, 6)
    status, said = autograder(copied, monkeypatch, "grade", "--dry-run")
    assert status == 1  # The broken file would not be graded.
    assert "l2 of solved: 6 of 6 → 3 of 6" in said
    assert "l2 of broken: not graded\n  The file is no notebook" in said
    assert "3 would change, 8 would not" in said
    assert "  l2_penalty_backward: " in said
    autograder(copied, monkeypatch, "grade")
    now = points(copied)
    assert {name: now[name] for name in found if name != "broken"} == {
        name: one.after.net for name, one in found.items() if name != "broken"
    }


def test_it_runs_what_grade_then_need_not_run(copied, runs):
    """The outcome is kept."""
    hand_in(copied, "half", answered(copied, l2_penalty="return 0.0"))
    preview(copied)
    assert sum(runs.values()) == 1
    grade(copied, students=["half"])
    assert sum(runs.values()) == 1


def test_a_changed_task_says_whom_it_concerns(copied, monkeypatch):
    """Nobody, if it judges all answers as before."""
    monkeypatch.setattr(results, "_code", lambda assignment: b"changed")
    before = kept(copied)
    due, changes = preview(copied, students=["solved", "doubled", "half"])
    assert len(due.todo) == len(changes) == 3
    assert not [one for one in changes if one.is_one]
    assert kept(copied) == before


def test_a_changed_date_says_what_it_costs(copied, grade_quietly):
    """And points by hand count as they will."""
    with copied.api.gradebook as gradebook:
        gradebook.find_grade("check-l2_penalty", "l2", "l2", "doubled").manual_score = 2
        gradebook.db.commit()
    grade_quietly(copied, "doubled", "solved", "half")
    (copied.root / "dates.toml").write_text(f"percent_per_day = 10\n{LATE}")
    found = changed(copied)
    assert (found["doubled"].after.raw, found["doubled"].after.penalty) == (5, 1.5)
    assert found["doubled"].reasons == ("lateness costs 1.5 points, not 0",)
    assert "half" not in found
    grade_quietly(copied, "doubled")
    assert points(copied)["doubled"] == 3.5


def test_a_new_name_changes_no_points(copied):
    """It is told with the next page."""
    task, [numbers] = "l2_penalty", _fingerprints(copied, "wrong", "l2_penalty")
    names.add(copied.root, names.Name(task, "my-name", "You do this.", numbers))
    assert changed(copied, students=["wrong"]) == {}


def _fingerprints(course, student, task):
    outcome = records.outcome(course, "l2", student)
    return [report.fingerprint for report in outcome.reports.values() if report.task == task]
