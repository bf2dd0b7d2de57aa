"""`autograder name`: wrong answers without a name, and how they get one."""

import shutil
import time

import pytest
from helpers.courses import STUB, answered, autograder, graded_file, hand_in, released_course

from autograder.course import names
from autograder.course.grading import grade
from autograder.course.groups import give_name, unnamed
from autograder.grading.job import Job

pytestmark = pytest.mark.sandbox

ODD = "return 0.37 * weight_decay * sum(w.sum() ** 3 for w in weights)"
SAME = (
    "total = 0.0\n    for w in weights:\n        total += 0.37 * w.sum() ** 3\n"
    "    return weight_decay * total"
)
OTHER = "return 0.5 * weight_decay * sum((w**4).sum() + 1 for w in weights)"
TEXT = "You cube the sum of the entries. Square each entry and add up then."


@pytest.fixture
def course(tmp_path):
    """A graded course in which three students return the same odd numbers."""
    course = released_course(tmp_path)
    for student, answer in {"ada": ODD, "bob": SAME, "cleo": ODD, "dan": OTHER}.items():
        hand_in(course, student, answered(course, l2_penalty=answer))
    hand_in(course, "ottilie", answered(course))
    for student in ("una", "ugo"):
        hand_in(course, student, answered(course, l2_penalty=STUB))
    grade(course)
    return course


def test_students_with_the_same_numbers_are_listed_together(course, monkeypatch):
    """However they got them; with how many they are and how one of them answered."""
    status, said = autograder(course, monkeypatch, "name")
    assert status == 0, said
    assert "l2_penalty: 3 students return exactly these numbers (ada, bob, cleo)" in said
    assert "l2_penalty: 1 student returns exactly these numbers (dan)" in said
    assert said.endswith('\nName the first: autograder name l2_penalty ada SHORT-NAME "TEXT"\n')
    assert said.index("3 students") < said.index("1 student ")
    assert ODD in said
    assert "ottilie" not in said


def test_answers_that_return_nothing_are_no_group(course, monkeypatch):
    """What is not written yet, or raises, has no numbers that could be the same."""
    assert "una" not in autograder(course, monkeypatch, "name")[1]


def test_a_name_is_told_to_everybody_and_nothing_runs_again(course, monkeypatch):
    """The next grading reads what it kept, and makes the pages of nobody else; points stay."""
    before = graded_file(course, "bob").read_text()
    assert "cubes-the-sum" not in before
    arguments = ("name", "l2_penalty", "bob", "cubes-the-sum", TEXT)
    status, said = autograder(course, monkeypatch, *arguments)
    assert status == 0, said
    assert "3 students" in said

    def run(job):
        raise AssertionError("it ran again")

    monkeypatch.setattr(Job, "run", run)
    summary = grade(course)
    assert not summary.failed
    for student in ("ada", "bob", "cleo"):
        assert f"{TEXT} (cubes-the-sum)" in graded_file(course, student).read_text()
    assert "cubes-the-sum" not in graded_file(course, "dan").read_text()
    assert {one.student: one.score.net for one in summary.graded} == {
        "ada": 3,
        "bob": 3,
        "cleo": 3,
    }
    assert summary.due.unchanged == 4
    assert grade(course).due.unchanged == 7
    _, said = autograder(course, monkeypatch, "name")
    assert "ada" not in said
    assert "(dan)" in said


def test_names_can_be_handed_on(course, tmp_path, monkeypatch):
    """A copy of the file names the same answer in another course from the start."""
    autograder(course, monkeypatch, "name", "l2_penalty", "ada", "cubes-the-sum", TEXT)
    other = released_course(tmp_path / "other")
    shutil.copy(course.root / names.FILE, other.root / names.FILE)
    hand_in(other, "zoe", answered(other, l2_penalty=SAME))
    grade(other)
    assert f"{TEXT} (cubes-the-sum)" in graded_file(other, "zoe").read_text()


def test_what_cannot_be_named_is_refused(course, monkeypatch):
    """A right answer has no name, and one word alone is not enough; the message says what to do."""
    status, said = autograder(course, monkeypatch, "name", "l2_penalty", "ottilie", "x", "y")
    assert status == 2
    assert "ottilie has no wrong answer to l2_penalty without a name" in said
    status, said = autograder(course, monkeypatch, "name", "l2_penalty")
    assert status == 2
    assert "Give a task, a student, a short name and a text" in said
    (course.root / names.FILE).write_text("{")
    status, said = autograder(course, monkeypatch, "name")
    assert status == 2
    assert "names.json is not a list of names" in said


@pytest.mark.evidence
def test_ten_unlisted_mistakes_of_a_class_of_sixty(tmp_path, monkeypatch, runs):
    """Each is one group; one of them is named, and the second grading runs nothing."""
    course = released_course(tmp_path)
    odd = [
        f"return {k} * weight_decay * sum((w**3 + {k}).sum() for w in weights)"
        for k in range(1, 11)
    ]
    for number in range(60):
        answer = {} if number >= 50 else {"l2_penalty": odd[number % 10]}
        hand_in(course, f"student{number:02}", answered(course, **answer))
    start = time.perf_counter()
    grade(course)
    graded = time.perf_counter()
    groups = unnamed(course, ["l2"])
    grouped = time.perf_counter()
    assert [len(group.students) for group in groups] == [5] * 10
    ran = sum(runs.values())
    give_name(course, "l2_penalty", groups[0].students[0], "odd", TEXT)
    assert not grade(course).failed
    print(
        f"\n60 graded in {graded - start:.1f} s, grouped in {grouped - graded:.2f} s, one of ten "
        f"named and all graded again in {time.perf_counter() - grouped:.1f} s; "
        f"{sum(runs.values()) - ran} run again"
    )
    assert sum(runs.values()) == ran
    told = [s for s in course.submitted("l2") if TEXT in graded_file(course, s).read_text()]
    assert told == list(groups[0].students)
