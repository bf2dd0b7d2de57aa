"""The points of a wrong answer do not depend on the inputs that are drawn."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from autograder import tasks
from autograder.judging.judge import judge
from autograder.validate import as_observed

SEEDS = 500


def points(name, seeds):
    """Return for each known mistake how often it gets how many points, without half points."""
    # Nothing has to be named for that, and nothing is carried forward from a right forward pass.
    task = replace(tasks[name], misconceptions=(), forward_task=None)
    found = {mistake.id: Counter() for mistake in tasks[name].misconceptions}
    for seed in seeds:
        cases = task.draw(np.random.default_rng(seed))
        for mistake in tasks[name].misconceptions:
            report = judge(task, cases, as_observed(task, cases, mistake.replaces, seed))
            found[mistake.id][report.points] += 1
    return found


@pytest.mark.parametrize("name", tasks)
def test_points_are_the_same_on_some_seeds(name):
    """Whatever is drawn, a mistake shows in the same aspects."""
    varying = {id: counts for id, counts in points(name, range(3)).items() if len(counts) > 1}
    assert not varying


@pytest.mark.evidence
@pytest.mark.parametrize("name", tasks)
def test_points_are_the_same_on_many_seeds(name):
    """Five hundred draws of the inputs for each known mistake."""
    torch.set_num_threads(1)
    found = points(name, range(SEEDS))
    varying = {id: counts for id, counts in found.items() if len(counts) > 1}
    print(f"\n{name}: {len(found)} mistakes on {SEEDS} seeds, {len(varying)} vary", end="")
    assert not varying
