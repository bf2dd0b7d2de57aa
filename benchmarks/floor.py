"""The least that grading a class can take, in one process that is warm already.

`python -m benchmarks.floor COURSE` runs and judges the answers of all submissions as they are.
With `--sandbox` each goes through its sandbox first, still without a gradebook.  Prints points, and
last the time and processor time of what was not preparation.
"""

from __future__ import annotations

import contextlib
import io
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
from nbformat import NotebookNode

from autograder.course.course import Course
from autograder.grading.notebook import Job, _number
from autograder.intake import exercise as notebooks
from autograder.judging.forbidden import forbidden_use
from autograder.judging.judge import judge
from autograder.judging.observe import observe
from autograder.sandbox.inside import PRELOAD
from autograder.tasks import tasks
from benchmarks.measure import cpu_so_far


def main(folder: Path, sandbox: bool) -> None:
    """Grade one submission of each assignment to warm up, then measure grading all."""
    warnings.simplefilter("ignore")
    for name in PRELOAD:
        __import__(name)
    course = Course.nearest(folder)
    jobs = {
        (name, student): course.job(name, student)
        for name in course.released()
        for student in course.submissions(name)
    }
    rebuilt = {pair: job.rebuilt().notebook for pair, job in jobs.items()}
    first = {pair[0]: pair for pair in reversed(jobs)}
    for pair in first.values():
        _points_of(jobs[pair], rebuilt[pair], sandbox)
    started, cpu = time.monotonic(), cpu_so_far()
    points = {pair: _points_of(jobs[pair], rebuilt[pair], sandbox) for pair in jobs}
    seconds, cpu = time.monotonic() - started, cpu_so_far() - cpu
    for (name, student), earned in points.items():
        print("=", name, student, earned)
    print(seconds, cpu)


def _points_of(job: Job, notebook: NotebookNode, sandbox: bool) -> float:
    if sandbox:
        outputs = job.run()
        return sum(float(one[0].data["text/plain"]) for one in _checks(outputs))
    return sum(_judged(job, notebook))


def _checks(outputs: dict[str, list[NotebookNode]]) -> list[list[NotebookNode]]:
    return [found for name, found in outputs.items() if name.startswith("check-")]


def _judged(job: Job, notebook: NotebookNode) -> Iterator[float]:
    """Run the cells of a notebook in a module; yield the points of each check."""
    module = ModuleType("submission")
    sys.modules[module.__name__] = module
    codes = [cell for cell in notebook.cells if cell.cell_type == "code"]
    locked = [
        cell.source for cell in codes if notebooks.is_locked(cell) and not notebooks.is_check(cell)
    ]
    student = [cell.source for cell in codes if not notebooks.is_locked(cell)]
    for cell in codes:
        if notebooks.is_demonstration(cell):
            continue
        if not notebooks.is_check(cell):
            with contextlib.suppress(Exception), contextlib.redirect_stdout(io.StringIO()):
                exec(compile(cell.source, cell.id, "exec"), vars(module))
            continue
        task = tasks[cell.metadata.nbgrader.grade_id.removeprefix("check-")]
        if forbidden_use(task, student, locked):
            yield 0.0
            continue
        cases = task.draw(np.random.default_rng(_number(job.key, task.name)))
        yield judge(task, cases, observe(task, vars(module), cases)).points


if __name__ == "__main__":
    main(Path(sys.argv[1]), "--sandbox" in sys.argv[2:])
