"""Find all styles of an assignment, and grade one of them on many seeds."""

import importlib
from collections.abc import Callable
from functools import cache

import torch
from styles.forms import FORMS, in_form

from autograder import grade

TRAINING_SEEDS = 20
"""Seeds for the task that trains, which takes longest."""


@cache
def styles(assignment: str) -> dict[str, dict[str, Callable]]:
    """Return the functions of each style, by its name."""
    module = importlib.import_module(f"styles.{assignment}")
    written = {style.__name__: {f.__name__: f for f in style()} for style in module.STYLES}
    return written | {form.__name__: in_form(form, assignment) for form in FORMS}


def false_alarms(assignment: str, style: str, seeds: int) -> tuple[int, list[str]]:
    """Grade a style on many seeds; return how often that was and what was called wrong."""
    torch.set_num_threads(1)
    functions = styles(assignment)[style]
    count, alarms = 0, []
    for name in functions:
        for seed in range(min(seeds, TRAINING_SEEDS) if name == "train" else seeds):
            report = grade(name, functions, seed)
            count += 1
            if not report.passed or report.points < report.max_points:
                alarms.append(f"{assignment}, {style}, seed {seed}\n{report}")
    return count, alarms
