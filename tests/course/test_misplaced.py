"""Notebooks where grading does not look for them are named, with the place where they belong."""

import pytest
from helpers.courses import autograder, released_course

from autograder.course.misplaced import misplaced

RIGHT = "submitted/ada/l2/l2.ipynb"
PLACES = {
    "submitted/l2/ada/l2.ipynb": f"submitted/l2/ada is not seen: move it to {RIGHT}.",
    "submitted/l2/ada.ipynb": f"submitted/l2/ada.ipynb is not seen: move it to {RIGHT}.",
    "submitted/ada/l2.ipynb": f"submitted/ada/l2.ipynb is not seen: move it to {RIGHT}.",
    "submitted/ada/L2/L2.ipynb": "submitted/ada/L2 is no assignment: rename it to l2.",
    "submitted/ada/lab/lab.ipynb": "submitted/ada/lab is no assignment: released are l2.",
    "submitted/l2.ipynb": "submitted/l2.ipynb is nobody's: move it to "
    "submitted/STUDENT/l2/l2.ipynb.",
    "submitted/all.zip": "submitted/all.zip is an archive: run `autograder collect` with it.",
}
SEEN = (RIGHT, "submitted/.DS_Store", "submitted/ada/l2/notes.txt", "submitted/ada/.cache/l2.ipynb")


def put(course, place):
    file = course.root / place
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("{}")


@pytest.mark.parametrize("place", PLACES)
def test_a_misplaced_file_is_told_where_it_belongs(tmp_path, place):
    """Whatever was mixed up."""
    course = released_course(tmp_path)
    put(course, place)
    assert misplaced(course) == [PLACES[place]]


def test_what_is_seen_is_not_spoken_of(tmp_path):
    """Nor what a computer leaves in folders."""
    course = released_course(tmp_path)
    for place in SEEN:
        put(course, place)
    assert misplaced(course) == []


def test_nothing_at_all_is_no_fault(tmp_path):
    """Before anybody has handed in."""
    assert misplaced(released_course(tmp_path)) == []


def test_grading_names_it_and_fails(tmp_path, monkeypatch):
    """An instructor who graded nobody must not think that all is done."""
    course = released_course(tmp_path)
    put(course, "submitted/l2/ada/l2.ipynb")
    status, said = autograder(course, monkeypatch, "grade")
    assert status == 1
    assert "move it to submitted/ada/l2/l2.ipynb" in said
    assert said.splitlines()[-1] == "Nothing has been submitted."


def test_a_hostile_name_is_spelled_out(tmp_path):
    """It cannot steer the terminal."""
    course = released_course(tmp_path)
    put(course, "submitted/ada/\u202e\x1b[2J/l2.ipynb")
    [line] = misplaced(course)
    assert line.isprintable()
