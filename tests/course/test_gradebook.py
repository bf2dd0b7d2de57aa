"""nbgrader's gradebook, when many submissions are graded."""

import sqlite3
import threading
import time

import pytest
from helpers.courses import answered, hand_in, points, released_course
from sqlalchemy import text

from autograder.course.gradebook import one_transaction
from autograder.course.grading import grade

pytestmark = pytest.mark.sandbox


@pytest.fixture
def course(tmp_path):
    """Return a course in which two submissions wait."""
    course = released_course(tmp_path)
    hand_in(course, "ann", answered(course))
    hand_in(course, "bob", answered(course, l2_penalty="return 0.0"))
    return course


def test_grading_waits_for_who_writes_into_the_gradebook(course):
    """For a minute, not for the five seconds after which SQLite gives up by itself."""
    file = course.root / "gradebook.db"
    locked, seconds = threading.Event(), 1

    def lock():
        with sqlite3.connect(file, isolation_level=None) as other:
            other.execute("BEGIN EXCLUSIVE")
            locked.set()
            time.sleep(seconds)
            other.execute("ROLLBACK")
        other.close()

    thread = threading.Thread(target=lock)
    thread.start()
    locked.wait()
    assert not grade(course, feedback=False).failed
    thread.join()
    assert points(course) == {"ann": 6, "bob": 3}
    with course.api.gradebook as gradebook:
        [patience] = gradebook.db.execute(text("PRAGMA busy_timeout")).fetchone()
    assert patience >= 60_000


def test_a_transaction_that_fails_leaves_nothing(course):
    """As if the process had been killed in it; what nbgrader committed in it is gone as well."""
    with pytest.raises(ZeroDivisionError):
        enter_and_fail(course)
    with course.api.gradebook as gradebook:
        assert gradebook.students == []


def enter_and_fail(course):
    with one_transaction(course.api.coursedir.db_url):
        with course.api.gradebook as gradebook:
            gradebook.add_student("cem")
        with course.api.gradebook as gradebook:
            assert [student.id for student in gradebook.students] == ["cem"]
        raise ZeroDivisionError


def test_others_see_a_submission_with_all_its_points_or_none(course):
    """Who reads while it is graded, such as formgrader, never sees half of them."""
    grade(course, feedback=False)
    seen, done = set(), threading.Event()

    def look():
        while not done.is_set():
            other = sqlite3.connect(course.root / "gradebook.db", timeout=60)
            seen.add(other.execute("SELECT total(auto_score) FROM grade").fetchone()[0])
            other.close()

    thread = threading.Thread(target=look)
    thread.start()
    while not seen:
        time.sleep(0.01)
    hand_in(course, "bob", answered(course))
    grade(course, feedback=False)
    done.set()
    thread.join()
    assert points(course) == {"ann": 6, "bob": 6}
    assert 9.0 in seen
    assert seen <= {9.0, 12.0}
