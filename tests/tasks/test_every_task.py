"""What holds for every task of the course."""

import numpy as np
import pytest
from helpers.solutions import solution

from autograder import grade, tasks
from autograder.judging.judge import judge
from autograder.judging.observed import CaseResult, TaskResult

NAMES = list(tasks)


def not_written(*arguments, **options):
    raise NotImplementedError


def seeds_for(name: str, *, many: int) -> range:
    """Return fewer seeds for the tasks that take longer."""
    return range(many // {"train": 10, "two_layer_net": 3}.get(name, 1))


def test_the_course_has_the_tasks_and_points_that_others_rely_on():
    """Names and points are an interface and do not change by accident; others may be added."""
    relied_on = {
        "l2_penalty": 3,
        "l2_penalty_backward": 3,
        "softmax_regression": 6,
        "sgd_step": 3,
        "adam_step": 6,
        "parameter_groups": 4,
        "dropout_forward": 7,
        "dropout_backward": 6,
        "Dropout": 6,
        "monte_carlo_predict": 6,
        "batch_norm_forward": 10,
        "batch_norm_backward": 10,
        "batch_norm_2d_forward": 3,
        "batch_norm_2d_backward": 3,
        "BatchNorm1d": 6,
        "fold_batch_norm": 3,
        "layer_norm_forward": 4,
        "layer_norm_backward": 5,
        "rms_norm_forward": 2,
        "rms_norm_backward": 4,
        "group_norm_forward": 3,
        "RMSNorm": 2,
        "two_layer_net": 7,
        "predict": 2,
        "train": 6,
        "probe_l2": 4,
        "probe_adam": 4,
        "probe_dropout": 4,
        "probe_batch_norm": 4,
    }
    assert {name: tasks[name].max_points for name in relied_on} == relied_on


@pytest.mark.parametrize("name", NAMES)
def test_points_are_quarters(name):
    """Points of aspects are multiples of a quarter, so that their sums are exact."""
    for aspect in tasks[name].aspects:
        assert aspect.points > 0
        assert (aspect.points * 4).is_integer()


@pytest.mark.parametrize("name", NAMES)
def test_every_aspect_judges_something(name):
    """No aspect earns its points because no case shows its outputs."""
    task = tasks[name]
    cases = task.draw(np.random.default_rng(0))
    functions = solution(task.assignment.name)
    broken = TaskResult(tuple(CaseResult({}, {"": "nothing"}) for _ in cases))
    assert judge(task, cases, broken).points == 0
    assert grade(name, functions, 0).points == task.max_points


@pytest.mark.parametrize("name", NAMES)
def test_the_solution_earns_all_points_on_every_seed(name):
    """A right answer is never failed, whatever inputs are drawn."""
    functions = solution(tasks[name].assignment.name)
    for seed in seeds_for(name, many=12):
        report = grade(name, functions, seed)
        assert report.passed, f"seed {seed}\n{report}"
        assert report.points == tasks[name].max_points


@pytest.mark.parametrize("name", NAMES)
def test_the_untouched_exercise_earns_nothing(name):
    """A task that was not written yet earns 0 points, and the report says that it is missing."""
    task = tasks[name]
    functions = dict.fromkeys([name, *task.depends_on], not_written)
    for seed in range(2):
        report = grade(name, functions, seed)
        assert report.points == 0
        assert "not written yet" in str(report)


@pytest.mark.parametrize("name", NAMES)
def test_returning_nothing_earns_nothing(name):
    """A function that returns None earns 0 points."""
    functions = {**solution(tasks[name].assignment.name), name: lambda *arguments, **options: None}
    assert grade(name, functions, 0).points == 0


def test_numpy_tasks_know_at_least_three_mistakes():
    """Every NumPy task declares at least three known mistakes."""
    for name in tasks:
        if tasks[name].framework == "numpy":
            assert len(tasks[name].misconceptions) >= 3, name


@pytest.mark.parametrize("name", NAMES)
def test_ids_of_mistakes_are_unique_within_a_task(name):
    """An id stands for one mistake."""
    task = tasks[name]
    ids = [one.id for one in (*task.misconceptions, *task.requirements)]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_verdict(name):
    """Grading is repeatable: equal seeds draw equal cases and give equal reports."""
    functions = solution(tasks[name].assignment.name)
    assert grade(name, functions, 7).to_dict() == grade(name, functions, 7).to_dict()
