"""Wrong programs are recognized by the numbers that they return on inputs that all share."""

import contextlib
import re
import tracemalloc
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from helpers.solutions import solution
from mutants.table import SECONDS, TABLES, answers, known, numbers_of
from mutants.trial import time_limit

from autograder import grade, tasks
from autograder.judging.check import PUBLIC_SEED
from autograder.judging.fingerprint import Probes, Table, cells, is_same, probe_cases
from autograder.judging.fingerprint import numbers_of as numbers_of_output
from autograder.judging.judge import judge
from autograder.judging.observe import observe
from autograder.judging.observed import CaseResult, TaskResult
from autograder.judging.trial import Trial, Trials

WITH_TABLE = [path.stem for path in sorted(TABLES.glob("*.npz"))]
EVERY = 60


def backward(d_out, cache):
    """A closed form in nobody's table, in which one average forgets γ."""
    inverse, x_hat, gamma, training = cache
    g = d_out * gamma
    if training:
        g = g - np.average(g, axis=0) - x_hat * np.average(d_out * x_hat, axis=0)
    return g * inverse, np.einsum("ij,ij->j", d_out, x_hat), np.einsum("ij->j", d_out)


def forward(x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5):
    right = solution("batch_norm")["batch_norm_forward"]
    returned = right(x, gamma, beta, running_mean, running_var, training, momentum, eps)
    x_hat, _, std, _ = returned[-1]
    return *returned[:-1], (1 / std, x_hat, gamma, training)


WRONG = {"batch_norm_forward": forward, "batch_norm_backward": backward}


def probes_in(task, result):
    """Return what is looked up of what a program did in the cases for everybody."""
    return Probes.of(Trials(task, probe_cases(task), result))


def observed(name, functions):
    return observe(tasks[name], functions, probe_cases(tasks[name]))


@pytest.mark.parametrize("seed", [PUBLIC_SEED, 1, 2])
def test_a_mistake_that_nobody_listed_is_named(seed):
    """The report says what stands where something else should, whatever the inputs are."""
    report = grade("batch_norm_backward", WRONG, seed)
    words = " ".join(report.findings[0].message.split())
    assert "right but for one thing: `d_out` stands where the gradient of x̂ should" in words
    assert report.findings[0].points == 0


def dropout_with(draw):
    """Dropout that draws as it is told, with a sum in the place of a product on the way back."""

    def dropout_forward(x, keep_prob, training, rng):
        if not 0 < keep_prob <= 1:
            raise ValueError
        mask = draw(rng, x.shape, keep_prob) if training else np.ones(x.shape)
        scale = 1 / keep_prob if training else 1.0
        return scale * mask * x, (mask, keep_prob, training)

    def dropout_backward(d_out, cache):
        mask, keep_prob, training = cache
        return mask + d_out / keep_prob if training else d_out

    return {"dropout_forward": dropout_forward, "dropout_backward": dropout_backward}


@pytest.mark.parametrize(
    "draw",
    [
        lambda rng, shape, keep_prob: rng.random(shape) < keep_prob,
        lambda rng, shape, keep_prob: keep_prob >= rng.random(shape[::-1]).T,
        lambda rng, shape, keep_prob: rng.binomial(1, keep_prob, shape),
    ],
)
def test_a_mistake_is_named_whatever_is_dropped(draw):
    """Nobody has to draw the mask as the programs did that are in the table."""
    words = str(grade("dropout_backward", dropout_with(draw), seed=3).findings[0].message)
    assert "is added to the mask rather than multiplied" in words


def test_points_do_not_depend_on_the_probes():
    """A name is all that they give."""
    task = tasks["batch_norm_backward"]
    cases = task.draw(np.random.default_rng(3))
    result = observe(task, WRONG, cases)
    without = judge(task, cases, result)
    probed = judge(task, cases, result, lambda: observed(task.name, WRONG))
    assert [one.points for one in without.findings] == [one.points for one in probed.findings]
    assert without.fingerprint == ()
    assert probed.fingerprint


def test_the_probes_run_only_when_something_is_wrong():
    """A right answer is tried once."""
    task = tasks["l2_penalty"]
    cases = task.draw(np.random.default_rng(3))

    def probe():
        raise AssertionError("it was probed")

    assert judge(task, cases, observe(task, solution("l2"), cases), probe).passed


def test_rounding_does_not_matter_and_anything_else_does():
    """Numbers that differ by rounding have the same name, numbers that differ by more have none."""
    task = tasks["batch_norm_backward"]

    def found(change):
        result = observed(task.name, WRONG)
        cases = [
            CaseResult({name: change(array) for name, array in case.outputs.items()})
            for case in result.cases
        ]
        return probes_in(task, TaskResult(tuple(cases))).changes()

    assert found(lambda array: array)
    assert found(lambda array: array * (1 + 1e-14))
    assert not found(lambda array: array * (1 + 1e-6))


@pytest.mark.parametrize(("in_evaluation", "named"), [(0.0, True), (1.0, False)])
def test_a_change_is_named_only_if_it_shows_wherever_it_should(in_evaluation, named):
    """What is wrong in one mode has no name that would make the other mode wrong in another way."""
    task = tasks["batch_norm_forward"]

    def probes_of(**added):
        cases = []
        for case, one in zip(
            probe_cases(task), observed(task.name, solution("batch_norm")).cases, strict=True
        ):
            out = one.outputs.get("out", np.zeros(1)) + added.get(case.group, 0.0)
            cases.append(CaseResult({**one.outputs, "out": out}))
        return probes_in(task, TaskResult(tuple(cases)))

    row = probes_of(training=1.0, evaluation=in_evaluation).numbers[None]
    nothing = np.empty((0, 2))
    table = Table(row, (("a change",),), (), nothing, (), nothing)
    student = replace(probes_of(training=1.0, evaluation=2.0), table=table)
    assert student.changes() == ()
    assert bool(student.changes(task.aspects[0])) == named


@pytest.mark.parametrize("name", WITH_TABLE)
def test_a_table_is_up_to_date(name):
    """Some of the mutants that it was made from are found in it, with their words."""
    table = Table.of(name)
    assert table is not None
    looked_for = 0
    for answer in answers(name):
        right = numbers_of(name, answer.functions(answer.source))
        for mutant in answer.mutants(min(EVERY, 1 + len(table.rows) // 10)):
            numbers = None
            with contextlib.suppress(TimeoutError), time_limit(SECONDS):
                numbers = numbers_of(name, answer.functions(mutant.source))
            if numbers is None:
                continue
            settled = np.isfinite(numbers)
            if np.abs(numbers[settled]).max(initial=0) > 1e8:
                continue
            if is_same(numbers, right, tasks[name])[settled].all():
                continue
            looked_for += 1
            same = is_same(table.rows, numbers, tasks[name]) | (table.rows == numbers)
            assert same.all(axis=1).any(), (
                f"Run `make fingerprints`: {mutant.words} is not in the table."
            )
    assert looked_for or len(table.rows) < EVERY


@pytest.mark.parametrize("name", WITH_TABLE)
def test_a_table_knows_every_mistake(name):
    """All that the catalogue lists is in it, with the numbers that it gives now."""
    table, task = Table.of(name), tasks[name]
    assert table is not None
    if task.read_draws is not None:
        assert not table.mistakes
        return
    labels, rows = known(name)
    assert list(table.mistakes) == labels, "Run `make fingerprints`."
    same = is_same(table.mistake_rows, rows, task).all(axis=1)
    assert same.all(), f"Run `make fingerprints`: {np.array(labels)[~same]} have changed."
    listed = {one for pair in table.pairs for one in pair.split()}
    assert listed <= set(labels)


@pytest.mark.parametrize("name", WITH_TABLE)
def test_a_table_gives_no_solution_away(name):
    """Its words say what is wrong with something; there is no code in them."""
    table = Table.of(name)
    assert table is not None
    for words in {change for changes in table.changes for change in changes}:
        assert not re.search(r"np\.|def |\w\(|\[|==| = |\*\*", words), words
        assert len(words) < 250, words


FOREIGN = {
    "l2": ("σ²", "x̂", "x − μ", "mask"),
    "dropout": ("σ²", "x̂", "scores", "L2", "penalty"),
    "batch_norm": ("scores", "L2", "penalty", "product of x and W", "mask"),
    "norms": ("scores", "L2", "penalty", "product of x and W", "mask"),
    "capstone": ("L2 term", "step count", "v̂"),
}


@pytest.mark.parametrize("name", WITH_TABLE)
def test_a_table_speaks_of_what_its_task_is_about(name):
    """No quantity of another assignment is named because a variable has the same name there."""
    table, foreign = Table.of(name), FOREIGN[tasks[name].assignment.name]
    assert table is not None
    for words in {change for changes in table.changes for change in changes}:
        assert not any(one in words for one in foreign), words


@pytest.mark.parametrize("name", WITH_TABLE)
def test_right_answers_are_in_no_table(name):
    """The numbers of the solution have no name."""
    task = tasks[name]
    probes = probes_in(task, observed(name, solution(task.assignment.name)))
    assert not probes.changes()
    own = {mistake.id for mistake in task.misconceptions}
    assert not own & probes.mistakes()


def test_a_missing_table_is_no_error(monkeypatch):
    """A task without a table gets the words of its catalogue and the clues."""
    task = replace(tasks["batch_norm_backward"], name="not a task")
    assert Table.of(task.name) is None
    cases = probe_cases(task)
    result = observe(task, WRONG, cases)
    report = judge(task, cases, result, lambda: result)
    assert not report.passed
    assert report.fingerprint


def noise(rng, array, kind):
    """Return a wrong array in the place of a right one."""
    if kind == 0:
        return rng.standard_normal(array.shape)
    if kind == 1:
        return array + rng.standard_normal(array.shape) * rng.choice([1e-6, 1e-3, 1.0])
    if kind == 2:
        return array * rng.uniform(-3, 3)
    flat = array.ravel().copy()
    rng.shuffle(flat)
    return flat.reshape(array.shape) * rng.choice([1.0, -1.0, 2.0]) + rng.standard_normal() * 1e-3


@pytest.mark.evidence
@pytest.mark.parametrize("name", WITH_TABLE)
def test_random_arrays_have_no_name(name):
    """A million wrong arrays in all: none of them looks like a program in the table."""
    task, table = tasks[name], Table.of(name)
    # Where random numbers are drawn, an array has to be read again, which takes longer.
    count = 1_000_000 // len(WITH_TABLE) // (1 if task.read_draws is None else 50)
    matched, rng = 0, np.random.default_rng(0)
    for _ in range(-(-count // 500)):
        some = np.array([random_numbers(task, rng) for _ in range(500)])
        matched += sum(int(is_same(some, row, task).all(axis=1).sum()) for row in table.rows)
    print(f"\n{name}: {count} random arrays, {matched} matches", end="")
    assert matched == 0


@cache
def right_probes(task):
    return probes_in(task, observed(task.name, solution(task.assignment.name)))


def random_numbers(task, rng):
    """Return the fingerprint of the right outputs with noise in the place of one to three."""
    probes = right_probes(task)
    places = [
        (place, trial, name)
        for place, (trial, name) in enumerate(cells(probes.trials))
        if name in trial.observed and name in trial.expected()
    ]
    numbers = probes.numbers.copy()
    for index in rng.choice(len(places), rng.integers(1, 4)):
        place, trial, name = places[index]
        right = trial.observed[name]
        wrong = {**trial.observed, name: noise(rng, right, rng.integers(4))}
        if task.read_draws is None:
            trial.observed[name] = wrong[name]
            numbers[2 * place : 2 * place + 2] = numbers_of_output(trial, name)
            trial.observed[name] = right
        else:
            read_again = Trial(task, trial.case, CaseResult(wrong))
            numbers[2 * place : 2 * place + 2] = numbers_of_output(read_again, name)
    return numbers


def test_a_huge_answer_takes_little_memory():
    """The grader's memory is a small multiple of what came back, for any name and report."""
    task = tasks["l2_penalty"]
    cases = probe_cases(task)
    huge = {"penalty": np.zeros(2**26 // len(cases), dtype=np.bool_)}
    result = TaskResult(tuple(CaseResult(huge) for _ in cases))
    tracemalloc.start()
    try:
        report = judge(task, cases, result, lambda: result)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert report.points == 0
    assert peak < 4 * 2**26
