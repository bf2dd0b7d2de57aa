"""Measure the least that grading a class can take, in one process that is already warm.

`python -m benchmarks.floor COURSE` runs and judges the answers of all submissions in this process.
With `--sandbox` each submission runs in a sandbox, still without a gradebook.  Prints the points,
then the wall-clock and processor seconds without preparation.
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
from autograder.course.scores import released
from autograder.grading.job import Job
from autograder.grading.notebook import seed_of
from autograder.intake import cells
from autograder.judging.judge import judge
from autograder.judging.observe import observe
from autograder.sandbox.inside import PRELOAD
from autograder.tasks import tasks
from benchmarks.measure import cpu_so_far


def main(folder: Path, sandbox: bool) -> None:
    """Grade one submission of each assignment to warm up, then measure grading all of them."""
    warnings.simplefilter("ignore")
    for name in PRELOAD:
        __import__(name)
    course = Course.nearest(folder)
    jobs = {
        (name, student): course.grader.job(name, student)
        for name in released(course)
        for student in course.submitted(name)
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
        return sum(report.points for report in job.run().reports.values())
    return sum(_judged(job, notebook))


def _judged(job: Job, notebook: NotebookNode) -> Iterator[float]:
    """Run the cells of a notebook in a module; yield the points of each check."""
    module = ModuleType("submission")
    sys.modules[module.__name__] = module
    codes = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for cell in codes:
        if cells.is_demonstration(cell):
            continue
        if not cells.is_check(cell):
            with contextlib.suppress(Exception), contextlib.redirect_stdout(io.StringIO()):
                exec(compile(cell.source, cell.id, "exec"), vars(module))
            continue
        task = tasks[cells.task_of(cell.metadata.nbgrader.grade_id)]
        cases = task.draw(np.random.default_rng(seed_of(job.key, task.name)))
        yield judge(task, cases, observe(task, vars(module), cases)).points


if __name__ == "__main__":
    main(Path(sys.argv[1]), "--sandbox" in sys.argv[2:])
