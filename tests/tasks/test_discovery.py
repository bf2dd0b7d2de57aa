"""A folder with declarations is all that a new assignment or task needs."""

import shutil
import subprocess
import sys
from pathlib import Path

import autograder

PACKAGE = Path(autograder.__file__).parent

DECLARED = '''"""Declare an assignment."""

from autograder.task import Assignment

ASSIGNMENT = Assignment("early_stopping", "Early stopping", page="book/why", number=0)
'''

TASK = '''"""Declare a task."""

from dataclasses import replace

from autograder.tasks.{assignment} import ASSIGNMENT
from autograder.tasks.l2.penalty import PENALTY

OTHER = replace(PENALTY, name="{name}", assignment=ASSIGNMENT, number={number})
'''

SHOW = """
from autograder.tasks import assignments, tasks
print(*assignments)
print(*(f"{task.assignment.name}:{name}" for name, task in tasks.items()))
"""


def test_a_new_folder_and_a_new_file_are_found(tmp_path):
    """In the order of the course: by the number of the assignment, then by that of the task."""
    shutil.copytree(PACKAGE, tmp_path / "autograder")
    folder = tmp_path / "autograder" / "tasks"
    (folder / "early_stopping").mkdir()
    (folder / "early_stopping" / "__init__.py").write_text(DECLARED)
    for assignment, name, number in (
        ("early_stopping", "patience", 2),
        ("early_stopping", "best_epoch", 1),
        ("l2", "one_more", 99),
    ):
        text = TASK.format(assignment=assignment, name=name, number=number)
        (folder / assignment / f"{name}.py").write_text(text)
    done = subprocess.run(
        [sys.executable, "-P", "-c", SHOW],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first.split()[:2] == ["early_stopping", "l2"]
    found = second.split()
    assert found[:2] == ["early_stopping:best_epoch", "early_stopping:patience"]
    of_l2 = [name for name in found if name.startswith("l2:")]
    assert of_l2[0] == "l2:l2_penalty"
    assert of_l2[-1] == "l2:one_more"
