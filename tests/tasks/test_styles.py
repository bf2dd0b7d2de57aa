"""No right answer is called wrong, whatever its style."""

import importlib
import multiprocessing
import os
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat

import pytest
import torch
from tasks.test_batch_norm import STYLES as BATCH_NORM
from tasks.test_capstone import RIGHT as CAPSTONE
from tasks.test_dropout import STYLES as DROPOUT
from tasks.test_dropout import backward_style, forward_style
from tasks.test_l2 import RIGHT as L2

from autograder import grade, tasks
from autograder.tasks import assignments

ALSO_TRIED = {
    "l2": [{n: f} for n, f in L2 if tasks[n].framework == "numpy"],
    "dropout": [
        {"dropout_forward": forward_style(draw), "dropout_backward": backward_style}
        for style, draw in DROPOUT.items()
        # A loop too slow for many seeds; `value_by_value` does the same.
        if style != "element by element"
    ],
    "batch_norm": [
        {"batch_norm_forward": forward, "batch_norm_backward": backward}
        for forward, backward in BATCH_NORM.values()
    ],
    "capstone": [{name: function} for name, function in CAPSTONE],
}
"""The right answers of `tests/tasks`, by assignment, to be tried on more seeds here."""

SEEDS = 500
TRAINING_SEEDS = 20


def written(assignment: str, kind: str) -> dict[str, dict[str, Callable]]:
    """Return the functions of each style of a file in `styles`, by the style's name."""
    module = importlib.import_module(f"styles.{assignment}_{kind}")
    styles = getattr(module, kind.upper())
    return {style.__name__: {f.__name__: f for f in style()} for style in styles}


def implementations(assignment: str) -> dict[str, dict[str, Callable]]:
    """Return all right answers to the NumPy tasks of an assignment."""
    found = {}
    for kind in ("from_text", "more"):
        for style, functions in written(assignment, kind).items():
            found[f"{style} ({kind})"] = functions
    for number, functions in enumerate(ALSO_TRIED[assignment]):
        found[f"number {number} of test_{assignment}"] = functions
    return found


ALL = [(assignment, style) for assignment in assignments for style in implementations(assignment)]


def false_alarms(assignment: str, style: str, seeds: int) -> tuple[int, list[str]]:
    """Grade an answer on many seeds; return how often that was and what was called wrong."""
    torch.set_num_threads(1)
    functions = implementations(assignment)[style]
    count, alarms = 0, []
    for name in functions:
        for seed in range(min(seeds, TRAINING_SEEDS) if name == "train" else seeds):
            report = grade(name, functions, seed)
            count += 1
            if not report.passed or report.points < report.max_points:
                alarms.append(f"{assignment}, {style}, seed {seed}\n{report}")
    return count, alarms


@pytest.mark.parametrize("assignment", assignments)
def test_there_are_thirty_styles_and_twelve_from_the_text_alone(assignment):
    """Thirty different answers to an assignment's NumPy tasks, which all get a turn."""
    assert len(implementations(assignment)) >= 30
    assert len(written(assignment, "from_text")) >= 12
    tried = {name for functions in implementations(assignment).values() for name in functions}
    numpy_tasks = {
        task.name
        for task in tasks.values()
        if task.assignment.name == assignment and task.framework == "numpy"
    }
    assert tried == numpy_tasks


@pytest.mark.parametrize(("assignment", "style"), ALL)
def test_no_style_costs_points(assignment, style):
    """Three seeds in the quick tests; the evidence below has more."""
    _, alarms = false_alarms(assignment, style, seeds=3)
    assert not alarms, alarms[0]


@pytest.mark.evidence
@pytest.mark.parametrize("assignment", assignments)
def test_no_false_alarm_in_thirty_styles_and_many_seeds(assignment):
    """All styles on 500 seeds each, training on 20: not one point is lost."""
    start = time.perf_counter()
    styles = list(implementations(assignment))
    processes = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), processes) as pool:
        results = list(pool.map(false_alarms, repeat(assignment), styles, repeat(SEEDS)))
    alarms = [alarm for _, found in results for alarm in found]
    print(
        f"\n{assignment:10} {len(styles)} implementations, {sum(count for count, _ in results)} "
        f"gradings, {len(alarms)} false alarms, {time.perf_counter() - start:.0f} s",
        end="",
    )
    assert not alarms, alarms[0]
