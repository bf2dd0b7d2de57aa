"""What `make bench` measures with: its class, and the time and memory of a command."""

import sys

import pytest

from autograder.course.scores import released
from benchmarks import classes
from benchmarks.measure import measured

pytestmark = pytest.mark.filterwarnings("ignore:Object of type")


def test_every_submission_of_a_class_is_another_file(tmp_path):
    """Else one result would do for all copies, and grading would look quicker than it is."""
    numbers = range(0, 2 * len(classes.KINDS), 3)
    course = classes.make(tmp_path / "class", numbers, ["l2"])
    assert released(course) == ["l2"]
    students = course.submitted("l2")
    assert students == [f"student-{number:04}" for number in numbers]
    contents = {course.grader.job("l2", student).content for student in students}
    assert len(contents) == len(students)


def test_a_student_of_some_number_hands_in_the_same_in_every_class(tmp_path):
    """So that graders can be compared on some of the students only."""
    small, large = (
        classes.make(tmp_path / name, numbers, ["l2"])
        for name, numbers in (("small", [7]), ("large", range(12)))
    )
    files = [
        course.folder("submitted", "student-0007", "l2") / "l2.ipynb" for course in (small, large)
    ]
    assert files[0].read_text() == files[1].read_text()


GRANDCHILD = """
import subprocess, sys
code = "block = bytearray({size}); import time; end = time.process_time() + {seconds}\\n"
code += "while time.process_time() < end: pass"
if len(sys.argv) > 1:
    exec(code)
else:
    print(subprocess.run([sys.executable, __file__, "again"]).returncode)
"""


def test_all_that_a_command_starts_is_measured(tmp_path):
    """Time and memory of processes that are not its own children count too."""
    program = tmp_path / "program.py"
    program.write_text(GRANDCHILD.format(size=200 * 2**20, seconds=1.5))
    usage = measured([sys.executable, str(program)], tmp_path)
    assert usage.output == "0\n"
    assert usage.cpu >= 1.5
    assert usage.seconds >= 1.5
    assert usage.peak >= 200 * 2**20


def test_a_command_that_fails_is_not_measured(tmp_path):
    """What it said is in the error."""
    with pytest.raises(RuntimeError, match="so it goes"):
        measured([sys.executable, "-c", "raise SystemExit('so it goes')"], tmp_path)
