"""The judge on a task small enough to see through."""

import json
import tracemalloc
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from helpers.solutions import solution
from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.judging.compare import FALSE_ALARM, worst_places
from autograder.judging.judge import judge
from autograder.judging.observe import observe
from autograder.judging.observed import CaseResult, TaskResult
from autograder.task import (
    IS_REFUSED,
    REFUSED,
    REQUIRED,
    Aspect,
    Assignment,
    Case,
    Misconception,
    Probability,
    Requirement,
    Scaled,
    Task,
)
from autograder.tasks import tasks

NUMBERS = Assignment("numbers", "Numbers", page="book/numbers", number=1)
DOUBLING = NUMBERS.section("doubling", "Doubling")


def double(inputs, *, factor=2.0, shift=0.0):
    if not isinstance(inputs["x"], np.ndarray):
        return dict(IS_REFUSED)
    return {
        "calm": np.array(1.0),
        "out": inputs["x"] * factor + shift,
        "total": np.asarray(inputs["x"].sum() * factor),
    }


TASK = Task(
    name="double",
    assignment=NUMBERS,
    number=1,
    section=DOUBLING,
    aspects=(Aspect("output", 2.0, ("out",)), Aspect("total", 1.0, ("total",))),
    draw=lambda rng: [
        Case("one", {"x": rng.standard_normal(3)}),
        Case("no array", {"x": [1.0, 2.0]}, REQUIRED),
        Case("another", {"x": rng.standard_normal(2)}, REQUIRED),
    ],
    run=lambda student, inputs: {},
    reference=double,
    misconceptions=(
        Misconception("tripled", "You triple.", DOUBLING, {"factor": 3.0}),
        Misconception("shifted", "You add one.", DOUBLING, {"shift": 1.0}),
    ),
    requirements=(
        Requirement("credulous", "refuses a list", "Raise a ValueError.", REFUSED),
        Requirement("hasty", "takes its time", "Wait.", "calm"),
    ),
)
CASES = TASK.draw(np.random.default_rng(0))
X = CASES[0].inputs["x"]
RIGHT = {"out": 2 * X, "total": np.asarray(2 * X.sum())}


def verdict(outputs, problems=(), arguments=None, refused=IS_REFUSED, calm=1.0):
    observation = CaseResult(outputs, dict(problems), arguments)
    rest = CaseResult(dict(refused)), CaseResult({"calm": np.array(calm)})
    return judge(TASK, CASES, TaskResult((observation, *rest)))


def message(outputs, problems=()):
    return verdict({**RIGHT, **outputs}, problems).findings[0].message


def test_right_numbers_earn_all_points():
    """An answer that agrees everywhere passes, with nothing to say."""
    report = verdict(RIGHT)
    assert report.passed
    assert report.points == 3
    assert {finding.message for finding in report.findings} == {""}


@pytest.mark.parametrize(
    ("out", "words"),
    [
        (2 * X[:, None], "shape (3, 1); expected (3,)"),
        ((2 * X).astype(np.float32), "dtype float32; expected float64"),
        (np.array([1, 2, 3]), "dtype int64; expected float64"),
        (np.array([2 * X[0], np.nan, 0]), "nan at [1]; it should be a finite number"),
        (np.array([2 * X[0], 2 * X[1], np.inf]), "inf at [2]"),
        (np.array([2 * X[0], 0.5, 2 * X[2]]), "differs in 1 of 3 places."),
        (2 * X + 5, "differs in all 3 places."),
        (2 * X * (1 + 3e-7), "of 3 places."),
    ],
)
def test_shape_then_dtype_then_finiteness_then_values(out, words):
    """The message names the first thing that is wrong."""
    assert words in message({"out": out})


def test_numbers_that_look_alike_are_written_out():
    """Got and expected never read the same."""
    _, *rows = verdict({**RIGHT, "out": 2 * X * (1 + 3e-7)}).findings[0].places
    assert rows
    assert all(got != expected for _, got, expected in rows)


def test_the_worst_places_stand_side_by_side():
    """At most three, the farthest off first, whatever else is wrong about the array."""
    right = np.arange(12.0).reshape(3, 4)
    wrong = right.copy()
    wrong[0, 1], wrong[2, 3], wrong[1, 0], wrong[1, 1] = 1.1, 20.0, 4.5, 0.0
    head = "worst at", "got", "expected"
    assert worst_places(wrong, right, 1e-7) == (
        head,
        ("[2, 3]", "20", "11"),
        ("[1, 1]", "0", "5"),
        ("[1, 0]", "4.5", "4"),
    )
    wrong[0, 1] = np.nan
    assert worst_places(wrong, right, 1e-7)[:2] == (head, ("[0, 1]", "nan", "1"))


def test_a_few_places_are_all_of_them():
    """Then none is called the worst; what is off by a wide allowance is not off at all."""
    right = Scaled(np.array([1.0, 2.0, 3.0]), np.array([1e9, 1.0, 1.0]))
    assert worst_places(np.array([2.0, 2.5, 3.0]), right, 1e-7) == (
        ("at", "got", "expected"),
        ("[1]", "2.5", "2"),
    )


@pytest.mark.parametrize(
    ("got", "expected"),
    [
        (np.array(3.0), np.array(2.0)),
        (np.ones(3), np.ones((3, 1))),
        (np.ones(3, np.float32), np.zeros(3)),
        (np.array([3.0, 4.0]), Probability(0.5)),
    ],
)
def test_what_cannot_stand_side_by_side_has_no_places(got, expected):
    """A single number stands in the sentence; other shapes have no places in common."""
    assert worst_places(got, expected, 1e-7) == ()


@given(st.floats(-1e-9, 1e-9))
def test_rounding_is_forgiven(error):
    """Errors of the size that another order of summation makes do not cost points."""
    assert verdict({"out": 2 * X * (1 + error), "total": RIGHT["total"] * (1 + error)}).passed


def test_a_scale_forgives_cancellation():
    """Where large terms cancel, the error is measured against their size."""
    task = Task(
        name="difference",
        assignment=NUMBERS,
        number=1,
        section=DOUBLING,
        aspects=(Aspect("out", 1.0, ("out",)),),
        draw=lambda rng: [],
        run=lambda student, inputs: {},
        reference=lambda inputs: {"out": Scaled(np.array([1e-9, 0.0]), 1e6)},
    )
    cases = [Case("one", {})]
    near = TaskResult((CaseResult({"out": np.array([0.0, 1e-3])}),))
    far = TaskResult((CaseResult({"out": np.array([0.0, 1.0])}),))
    assert judge(task, cases, near).passed
    assert not judge(task, cases, far).passed


def test_the_mistake_that_explains_all_numbers_is_named():
    """A known mistake is named in every aspect that it spoils, and its text is shown."""
    report = verdict({"out": 3 * X, "total": np.asarray(3 * X.sum())})
    assert [finding.misconception for finding in report.findings] == ["tripled", "tripled"]
    assert "You triple." in report.findings[0].message
    assert report.points == 0


def test_two_mistakes_in_two_aspects_are_both_named():
    """Mistakes that spoil different aspects are told one by one."""
    report = verdict({"out": 2 * X + 1, "total": np.asarray(3 * X.sum())})
    assert [finding.misconception for finding in report.findings] == ["shifted", "tripled"]


def test_an_unknown_mistake_is_not_named():
    """Numbers that no known mistake gives are described and not guessed at."""
    report = verdict({**RIGHT, "out": 7 * X})
    assert report.findings[0].misconception is None
    assert report.findings[0].places[0][1:] == ("got", "expected")
    assert report.points == 1


def test_a_missing_output_tells_why():
    """The reason that was observed is what the student reads."""
    report = verdict({"total": RIGHT["total"]}, {"out": "`out` is None."})
    assert "`out` is None." in report.findings[0].message
    assert report.points == 1
    report = verdict({}, {"": "Your code raised ValueError."})
    assert report.points == 0
    assert "Your code raised ValueError." in report.findings[0].message


def test_a_broken_requirement_costs_and_never_earns():
    """A broken requirement or a changed argument takes a quarter, never below zero."""
    assert verdict(RIGHT, arguments={"x": X}).points == 3
    assert verdict(RIGHT, refused={}).points == 3 - 0.75
    assert verdict(RIGHT, arguments={"x": -X}, refused={}, calm=0.0).points == 0.75
    nothing = verdict({}, {"": "nothing"}, {"x": -X}, {}, 0.0)
    assert nothing.points == 0
    assert sum(finding.points for finding in nothing.findings) == 0


@pytest.mark.parametrize(
    "after", [{"x": -X}, {}, {"x": X[:2]}, {"x": X.astype(np.float32)}, {"x": X, "new": X}]
)
def test_a_changed_argument_is_told_by_name(after):
    """Whatever is not as it was before the call is named, with what to do."""
    report = verdict(RIGHT, arguments=after)
    assert ("`new`" if "new" in after else "`x`") in report.findings[-1].message
    assert "copy" in report.findings[-1].message


def test_a_requirement_does_not_hide_a_known_mistake():
    """Only the findings of a requirement look at its cases."""
    report = verdict({"out": 3 * X, "total": np.asarray(3 * X.sum())}, refused={})
    assert [finding.misconception for finding in report.findings] == [
        "tripled",
        "tripled",
        "credulous",
    ]


def coin(probability):
    return Task(
        name="coin",
        assignment=NUMBERS,
        number=1,
        section=DOUBLING,
        aspects=(Aspect("share of heads", 1.0, ("share",)),),
        draw=lambda rng: [],
        run=lambda student, inputs: {},
        reference=lambda inputs: {"share": Probability(probability)},
    )


def tossed(probability, heads, tosses):
    observations = TaskResult((CaseResult({"share": np.array([heads, tosses], dtype=float)}),))
    return judge(coin(probability), [Case("one", {})], observations).passed


def test_counts_are_compared_with_their_law():
    """A count that chance explains passes, one that it does not fails."""
    assert tossed(0.3, 30_000, 100_000)
    assert tossed(0.3, 30_500, 100_000)
    assert not tossed(0.3, 32_000, 100_000)
    assert not tossed(0.3, 0, 100_000)
    assert tossed(1.0, 50, 50)
    assert not tossed(1.0, 49, 50)
    assert not tossed(0.5, 0, 0)


@pytest.mark.parametrize(("probability", "tosses"), [(0.5, 100), (0.1, 400), (0.9, 60)])
def test_false_alarms_are_rarer_than_promised(probability, tosses):
    """Summed exactly over the binomial law, a fair count fails with probability below 1e-9."""
    from scipy.stats import binom

    rejected = [heads for heads in range(tosses + 1) if not tossed(probability, heads, tosses)]
    assert rejected
    assert binom.pmf(rejected, tosses, probability).sum() < FALSE_ALARM


# A stranger's program may return anything.

DTYPES = ["?", "u1", "i2", "i8", "f2", "f4", "f8", ">f8", "g", "c8", "c16", "G"]
FILLS = [0.0, -0.0, 1.0, -1.0, np.nan, np.inf, -np.inf, 1e308, -1e308, 5e-324]


@cache
def answered(name):
    """Return the cases of a task and what the solution gives for them."""
    task = tasks[name]
    cases = task.draw(np.random.default_rng(0))
    return cases, observe(task, solution(task.assignment.name), cases).cases


@st.composite
def strange_arrays(draw, right):
    """Draw an array that may be nearly right, or nothing like it."""
    shape = draw(
        st.sampled_from(
            [
                right.shape,
                right.shape,
                right.shape,
                right.shape[::-1],
                right.shape[1:],
                right.shape[:-1],
                (1, *right.shape),
                (*right.shape, 1),
                (3, *right.shape),
                (right.size,),
                (2,),
                (0,),
                (),
                (1,) * 30,
            ]
        )
    )
    dtype = draw(st.sampled_from(["f8", "f8", *DTYPES]))
    with np.errstate(all="ignore"):
        if draw(st.booleans()):
            array = np.resize(right, shape) * draw(st.sampled_from([1.0, 2.0, -1.0, 1e300]))
        else:
            array = np.full(shape, draw(st.sampled_from(FILLS)))
        if array.size and draw(st.booleans()):
            array.flat[draw(st.integers(0, array.size - 1))] = draw(st.sampled_from(FILLS))
        array = array.astype(dtype)
    # What comes through a pipe is often read-only.
    array.setflags(write=draw(st.booleans()))
    return array


@st.composite
def strange_observations(draw, name):
    _, observed = answered(name)
    names = sorted({key for one in observed for key in one.outputs})
    replaced = draw(st.sets(st.sampled_from(names)))
    observations = []
    for one in observed:
        outputs = dict(one.outputs)
        for key in replaced & outputs.keys():
            if draw(st.integers(0, 9)):
                outputs[key] = draw(strange_arrays(outputs[key]))
            else:
                del outputs[key]
        observations.append(CaseResult(outputs))
    return TaskResult(tuple(observations))


@pytest.mark.parametrize("name", list(tasks))
@settings(max_examples=8)
@given(data=st.data())
def test_whatever_comes_back_there_is_a_report(name, data):
    """Arrays of any dtype, shape and value are judged without an exception or a warning."""
    cases, _ = answered(name)
    observations = data.draw(strange_observations(name))
    report = judge(tasks[name], cases, observations)
    assert 0 <= report.points <= report.max_points == tasks[name].max_points
    assert len(str(report)) < 20_000
    json.dumps(report.to_dict(), allow_nan=False)


def test_counts_that_a_program_sends_are_not_believed():
    """Only what is counted here is compared with a law: no mask, no points for it."""
    task = tasks["dropout_forward"]
    cases, _ = answered("dropout_forward")
    forged = []
    for case in cases:
        everything = np.ones(case.inputs["x"].shape, bool)
        expected = task.reference({**case.inputs, "mask": everything, "redrawn": everything})
        forged.append(
            {
                name: np.array([law.value * 1e5, 1e5])
                for name, law in expected.items()
                if isinstance(law, Probability)
            }
        )
    report = judge(task, cases, TaskResult(tuple(map(CaseResult, forged))))
    assert report.points == 0


def test_a_huge_array_is_judged_at_once():
    """An array far larger than what is asked costs no more memory than a few copies of it."""
    huge = np.ones((2000, 2000))
    tracemalloc.start()
    report = verdict({"out": huge, "total": huge})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert report.points == 0
    assert peak < 3 * huge.nbytes


# What is known, and what is only likely.


def words_of(report):
    return " ".join(str(report).split())


def test_what_is_known_is_told_apart_from_what_fits():
    """Only what accounts for every number of every case is called exact."""
    known = verdict({"out": 3 * X, "total": np.asarray(3 * X.sum())})
    assert "This one mistake explains all numbers that are wrong." in words_of(known)
    partly = verdict({"out": 3 * X, "total": np.asarray(7.7)})
    assert partly.findings[0].misconception == "tripled"
    assert "but something else is wrong as well" in words_of(partly)
    assert "explains all numbers" not in words_of(partly)


def with_mistakes(*misconceptions):
    task = replace(TASK, misconceptions=misconceptions)
    outputs = {"out": 3 * X, "total": np.asarray(3 * X.sum())}
    return judge(task, CASES[:1], TaskResult((CaseResult(outputs),)))


def test_several_mistakes_with_the_same_numbers_are_all_told():
    """Where nothing tells them apart the report says so and names none for certain."""
    report = with_mistakes(
        Misconception("one", "You triple it. Do not.", DOUBLING, {"factor": 3.0}),
        Misconception("other", "You add it thrice. Do not.", DOUBLING, {"factor": 3.0}),
    )
    assert {finding.misconception for finding in report.findings} == {None}
    assert "Several known mistakes" in words_of(report)
    assert "You triple it. (one)" in words_of(report)
    assert "You add it thrice. (other)" in words_of(report)


def test_two_mistakes_at_once_are_recognized():
    """Two steps replaced at once account for what neither does alone."""
    report = verdict({"out": 3 * X + 1, "total": np.asarray(3 * X.sum())})
    assert {finding.misconception for finding in report.findings} == {"shifted", "tripled"}
    assert "The mistakes that this report names explain all numbers" in words_of(report)
    assert "You triple." in words_of(report)
    assert "You add one." in words_of(report)


def test_flipped_momentum_and_a_biased_running_variance_are_told_together():
    """The first spoils both statistics, the second one of them on top."""
    right = solution("batch_norm")["batch_norm_forward"]

    def forward(x, gamma, beta, mean, var, training, momentum=0.1, eps=1e-5):
        out, _, _, cache = right(x, gamma, beta, mean, var, training, momentum, eps)
        if training:
            mean = momentum * mean + (1 - momentum) * x.mean(0)
            var = momentum * var + (1 - momentum) * x.var(0)
        return out, mean, var, cache

    task = tasks["batch_norm_forward"]
    for seed in range(2):
        cases = task.draw(np.random.default_rng(seed))
        report = judge(task, cases, observe(task, {task.name: forward}, cases))
        named = {finding.misconception for finding in report.findings if not finding.passed}
        assert named == {"bn-momentum-flipped", "bn-biased-running-var"}, str(report)
        assert "The mistakes that this report names explain all numbers" in words_of(report)


def test_findings_point_into_the_book():
    """A known mistake links to its section and to where the chapter lists it."""
    report = verdict({"out": 3 * X, "total": np.asarray(3 * X.sum())})
    assert [link.path for link in report.findings[0].links] == [
        "book/numbers.html#numbers-doubling",
        "book/numbers.html#mistake-double-tripled",
    ]
    assert "Read “Doubling” in the chapter “Numbers”." in words_of(report)


def test_the_catalogue_runs_only_when_something_is_wrong():
    """A right answer costs one reference a case."""
    calls = []

    def counting(inputs, **steps):
        calls.append(steps)
        return double(inputs, **steps)

    observations = TaskResult((CaseResult(RIGHT),))
    assert judge(replace(TASK, reference=counting), CASES[:1], observations).passed
    assert calls == [{}]
