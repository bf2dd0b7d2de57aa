"""`autograder doctor` finds what would stop or spoil grading, says what to do, changes nothing."""

import importlib.metadata
import shutil

import pytest
from helpers.courses import (
    autograder,
    copy_course,
    hand_in,
    make_course,
    nbgrader,
    points,
    released_course,
)
from sqlalchemy import create_engine, text

from autograder.course import doctor, seals
from autograder.course.course import CONFIG, Course
from autograder.course.doctor import faults
from autograder.sandbox.machine import Possibility

WORKS = [Possibility("bubblewrap", ""), Possibility("landlock", "No Landlock. Do this.")]


def sql(course, *statements):
    engine = create_engine(course.api.coursedir.db_url)
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


def lose_secret(course):
    (course.root / seals.FOLDER).mkdir()
    (course.root / ".secret").unlink(missing_ok=True)


def show_secret(course):
    (course.root / ".secret").write_bytes(b"secret")
    (course.root / ".secret").chmod(0o644)


def other_schema(course):
    sql(course, "UPDATE alembic_version SET version_num = '167914646830'")


def no_gradebook(course):
    (course.root / "gradebook.db").write_bytes(b"no gradebook " * 1000)


def misplace(course):
    hand_in(course, "ada", "{}").rename(course.root / "submitted" / "l2.ipynb")


def unreadable_time(course):
    hand_in(course, "ada", "{}").with_name("timestamp.txt").write_text("11/03/2026 9:00 PM")


def forge(course):
    hand_in(course, "ada", "{}")
    with course.api.gradebook as gradebook:
        gradebook.update_or_create_student("ada")
        submission = gradebook.update_or_create_submission("l2", "ada")
        for grade in submission.notebooks[0].grades:
            grade.auto_score = 3
        gradebook.db.commit()


def unprotected(course):
    with course.config_file.open("a") as file:
        file.write("c.Autograde.exporter_class = 'nbconvert.exporters.NotebookExporter'\n")


def write(name, content):
    return lambda course: (course.root / name).write_text(content)


BROKEN = {
    "unprotected": (unprotected, "would run students' code unprotected: write what"),
    "settings not found": (
        lambda course: (course.root / CONFIG).unlink(),
        "run `autograder grade`",
    ),
    "no secret": (lose_secret, ".secret is gone: restore it from a backup"),
    "open secret": (show_secret, "makes test inputs known: run chmod 600"),
    "schema": (other_schema, "run `nbgrader db upgrade` once."),
    "no gradebook": (no_gradebook, "is no gradebook (file is not a database): restore it"),
    "release": (
        lambda course: shutil.rmtree(course.root / "release"),
        "is missing: run `autograder release l2` again.",
    ),
    "dates": (write("dates.toml", "l2 = soon"), "dates.toml: "),
    "unknown date": (
        write("dates.toml", 'time_zone = "UTC"\n[due]\nl3 = 2026-11-01 23:59:00'),
        "has a due date of 'l3', which is not released",
    ),
    "unknown student": (
        write(
            "dates.toml",
            'time_zone = "UTC"\n[due]\nl2 = 2026-11-01 23:59:00\n'
            "[extensions.l2]\nadda = 2026-11-08 23:59:00",
        ),
        "gives 'adda' an extension of l2, but nobody has that id: correct or delete it",
    ),
    "no zone": (write("dates.toml", "[due]\nl2 = 2026-11-01 23:59:00"), "names no time zone"),
    "names": (write("names.json", "{}x"), "names.json is not a list of names"),
    "time": (unreadable_time, "timestamp.txt says '11/03/2026 9:00 PM'"),
    "misplaced": (misplace, "submitted/l2.ipynb is nobody's: move it"),
    "forged": (forge, "l2: this grader did not make 1 of the grades: run `autograder grade`"),
}


def kept(course):
    return {one: one.read_bytes() for one in course.root.rglob("*") if one.is_file()}


@pytest.mark.parametrize("fault", BROKEN)
def test_one_fault_is_one_line_that_says_what_to_do(tmp_path, fault):
    """And nothing else is said, and nothing changed."""
    course = released_course(tmp_path)
    spoil, said = BROKEN[fault]
    spoil(course)
    before = kept(course)
    [line] = faults(Course(course.config_file))
    assert said in line
    assert "\n" not in line
    assert kept(course) == before


def test_a_course_in_order_has_no_fault(graded, tmp_path):
    """Also one with grades, but for the submissions that nobody can grade."""
    assert list(faults(copy_course(graded, tmp_path))) == []


def test_a_new_course_is_told_to_release(tmp_path):
    """No gradebook is made by looking."""
    course = make_course(tmp_path)
    assert list(faults(course)) == ["Nothing is released yet: run `autograder release`."]
    assert not course.root.exists()


def test_missing_and_old_packages_are_named(monkeypatch, tmp_path):
    """With the command that installs them; other extras are not needed."""
    wanted = ["numpy>=2", "absent>=3; extra == 'grading'", "absent; extra == 'test'", "torch>=999"]
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: wanted)
    found = list(faults(released_course(tmp_path)))
    assert found[0] == "absent is not installed, but >=3 is needed: run pip install 'absent>=3'."
    assert found[1].startswith("torch is ")
    assert len(found) == 2


def test_a_full_disk_is_named(monkeypatch, tmp_path):
    """Before grading fills it."""
    monkeypatch.setattr(doctor, "ROOM", 2**80)
    [line] = faults(released_course(tmp_path))
    assert "make room first" in line


def test_the_command_counts_faults(monkeypatch, tmp_path):
    """The sandbox of the course counts, the other is only spoken of."""
    monkeypatch.setattr("autograder.sandbox.machine.possibilities", lambda: WORKS)
    course = released_course(tmp_path)
    status, said = autograder(course, monkeypatch, "doctor")
    assert (status, said.splitlines()[-1]) == (0, "Everything is in place.")
    misplace(course)
    status, said = autograder(course, monkeypatch, "doctor")
    assert (status, said.splitlines()[-1]) == (1, "1 to mend")
    with course.config_file.open("a") as file:
        file.write("c.GradeSubmission.sandbox = 'landlock'\n")
    status, said = autograder(course, monkeypatch, "doctor")
    assert (status, said.splitlines()[-1]) == (1, "2 to mend")


def test_upgrading_mends_an_older_schema(tmp_path, monkeypatch):
    """The advice works, and until then each command says where to ask for it."""
    course = released_course(tmp_path)
    sql(
        course,
        "ALTER TABLE student DROP COLUMN lms_user_id",
        "UPDATE alembic_version SET version_num = '167914646830'",
    )
    status, said = autograder(course, monkeypatch, "grade")
    assert status == 2
    assert "`autograder doctor` says what to do" in said
    nbgrader(course, "db", "upgrade")
    assert list(faults(course)) == []
    assert points(course) == {}
