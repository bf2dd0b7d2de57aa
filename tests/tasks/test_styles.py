"""No right answer is called wrong, in whatever style it is written."""

import importlib
import multiprocessing
import os
import time
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat

import pytest
from styles.trial import false_alarms, styles

from autograder import tasks
from autograder.tasks import assignments

SEEDS = 500
ALL = [(assignment, style) for assignment in assignments for style in styles(assignment)]


def test_every_style_says_what_its_risk_is():
    """A style without a risk of its own is none."""
    for assignment in assignments:
        module = importlib.import_module(f"styles.{assignment}")
        risks = [style.__doc__ for style in module.STYLES]
        assert all(risks)
        assert len(set(risks)) == len(risks)


@pytest.mark.parametrize("assignment", assignments)
def test_every_numpy_task_is_tried(assignment):
    """Each task gets a turn in some style."""
    tried = {name for functions in styles(assignment).values() for name in functions}
    assert tried == {
        task.name
        for task in tasks.values()
        if task.assignment.name == assignment and task.framework == "numpy"
    }


@pytest.mark.parametrize(("assignment", "style"), ALL)
def test_no_style_costs_points(assignment, style):
    """On two seeds here; the evidence below has more."""
    _, alarms = false_alarms(assignment, style, seeds=2)
    assert not alarms, alarms[0]


@pytest.mark.evidence
@pytest.mark.parametrize("assignment", assignments)
def test_no_false_alarm_on_many_seeds(assignment):
    """All styles on 500 seeds each, training on 20: not one point is lost."""
    start = time.perf_counter()
    names = list(styles(assignment))
    processes = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), processes) as pool:
        results = list(pool.map(false_alarms, repeat(assignment), names, repeat(SEEDS)))
    alarms = [alarm for _, found in results for alarm in found]
    print(
        f"\n{assignment:10} {len(names)} styles, {sum(count for count, _ in results)} "
        f"gradings, {len(alarms)} false alarms, {time.perf_counter() - start:.0f} s",
        end="",
    )
    assert not alarms, alarms[0]
