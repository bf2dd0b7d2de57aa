"""The tasks whose answers are inputs: who is exposed by what, and who by nothing."""

import copy
from functools import partial

import numpy as np
import pytest
from helpers.solutions import solution, source_of
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from autograder import grade, tasks
from autograder.intake.cells import is_answer
from autograder.intake.exercise import solution_notebook, source_notebook
from autograder.judging.judge import judge
from autograder.judging.observe import observe
from autograder.judging.observed import CaseResult, TaskResult
from autograder.sandbox.pipe import DTYPES
from autograder.task import Case
from autograder.tasks.impostors import adam, batch_norm, dropout, l2
from autograder.tasks.impostors.exposing import Exposing

MODULES = {
    "probe_l2": l2,
    "probe_adam": adam,
    "probe_dropout": dropout,
    "probe_batch_norm": batch_norm,
}
REFERENCES = {
    "probe_l2": l2._program(),
    "probe_adam": adam.ADAM.reference,
    "probe_dropout": dropout._program,
    "probe_batch_norm": batch_norm._program(),
}


def graded(name, calls, **options):
    return grade(name, {name: lambda: calls}, seed=1, **options)


def calls_of(name):
    return copy.deepcopy(solution("impostors")[name]())


# Riddles: where a riddle says that an impostor is right, it is.


def entries(change):
    return lambda call: {**call, "weights": [change(w) for w in call["weights"]]}


def with_(**changed):
    return lambda call: {**call, **changed}


def filled(**values):
    return lambda call: {
        **call,
        **{name: np.full(call[name].shape, value) for name, value in values.items()},
    }


def late(call):
    return {**call, "state": {**call["state"], "step": 1000}, "betas": (0.7, 0.9)}


def without_history(call):
    zeros = np.zeros(call["param"].shape)
    return {**call, "state": {"step": 2, "m": zeros, "v": zeros}}


def growing(call):
    return {**call, "state": {**call["state"], "v": call["state"]["v"] / 1e3}}


def mean_second_moment_of_one(call):
    """Choose v so that v̂ is 1 in the coupled step and in the decoupled one."""
    call = small_gradients(call)
    g = call["grad"] + (0 if call["decoupled"] else call["weight_decay"] * call["param"])
    beta, step = call["betas"][1], call["state"]["step"] + 1
    v = (1 - beta**step - (1 - beta) * g**2) / beta
    return {**call, "state": {**call["state"], "v": v}}


def small_gradients(call):
    return {**call, "grad": call["grad"] / 10}


def alike(call):
    """Give all entries the same numbers."""
    first = {name: np.full(call[name].shape, call[name].flat[0]) for name in ("param", "grad")}
    state = {name: np.full(call["param"].shape, call["state"][name].flat[0]) for name in "mv"}
    return {**call, **first, "state": {"step": 2, **state}}


def rows(change):
    return lambda call: {**call, "x": change(call["x"]), "d_out": change(call["d_out"])}


def balanced(call):
    return {**call, "d_out": call["d_out"] - call["d_out"].mean(axis=0)}


def one_row(call):
    return {**rows(lambda a: a[:1])(call), "training": False}


def near_the_mean(call):
    return {**rows(lambda a: a[:2])(call), "running_var": np.full(2, 1000.0)}


IN_TRAINING, IN_EVALUATION = with_(training=True), with_(training=False)
HIDING = {
    "probe_l2": {
        "leaves out the factor ½": with_(weight_decay=0.0),
        "adds up norms in place of their squares": entries(lambda w: w / np.linalg.norm(w)),
        "squares the sum of a weight's entries": entries(lambda w: w.reshape(-1)[:1]),
        "takes the mean of a weight's squares": entries(lambda w: w.reshape(-1)[:1]),
        "leaves out the last weight": lambda call: {
            **call,
            "weights": [*call["weights"][:-1], np.zeros(3)],
        },
        "returns after the first weight": lambda call: {**call, "weights": call["weights"][:1]},
        "multiplies by weight_decay twice": with_(weight_decay=1.0),
        "does not use weight_decay": with_(weight_decay=1.0),
        "adds up absolute values in place of squares": entries(np.sign),
        "leaves out weights with one axis": entries(lambda w: w.reshape(1, -1)),
        "halves the gradient": with_(weight_decay=0.0),
        "adds up the gradient over a whole weight": entries(lambda w: w.reshape(-1)[:1]),
        "takes a matrix's largest singular value in place of its entries": entries(
            lambda w: w.reshape(1, -1)
        ),
        "leaves out negative entries": entries(np.abs),
        "never uses a weight_decay above 1": with_(weight_decay=0.9),
        "leaves out weights with more than two axes": entries(lambda w: w.reshape(-1)),
    },
    "probe_adam": {
        "adds weight_decay times the weight to the gradient even if `decoupled` is true": with_(
            decoupled=False
        ),
        "shrinks the weight itself even if `decoupled` is false": with_(decoupled=True),
        "shrinks the weight by weight_decay without the learning rate": with_(lr=1.0),
        "shrinks the weight after the step and not before it": with_(weight_decay=1e-4),
        "does not correct the averages for their start at zero": late,
        "adds eps under the root": with_(eps=1e-8),
        "uses 1e-8 whatever `eps` is": with_(eps=1e-8),
        "divides by v̂ and not by its root": mean_second_moment_of_one,
        "exchanges β₁ and β₂": with_(betas=(0.8, 0.8)),
        "counts one step too many": late,
        "keeps the corrected averages in the state": late,
        "forgets the averages of the steps before": without_history,
        "corrects eps together with v": with_(eps=1e-8),
        "divides by the largest v̂ so far, as AMSGrad does": growing,
        "clips the gradient at 1": small_gradients,
        "divides all entries by the root of their mean v̂": alike,
    },
    "probe_dropout": {
        "keeps with probability 1 − keep_prob": with_(keep_prob=0.5),
        "divides by 1 − keep_prob": with_(keep_prob=0.5),
        "does not scale the survivors": with_(keep_prob=1.0),
        "drops in evaluation too": IN_TRAINING,
        "multiplies by keep_prob in evaluation": IN_TRAINING,
        "draws one mask for all rows": rows(lambda a: a[:1]),
        "draws one number for each row": rows(lambda a: a.reshape(-1, 1)),
        "passes the gradient on as it is": IN_EVALUATION,
        "does not scale the gradient": with_(keep_prob=1.0),
        "draws another mask for the gradient": with_(keep_prob=1.0),
        "takes the mask from where its output is not 0": rows(lambda a: np.where(a == 0, 1, a)),
        "divides the gradient by keep_prob in evaluation": IN_TRAINING,
        "doubles the survivors whatever keep_prob is": with_(keep_prob=0.5),
        "keeps at least every second value": with_(keep_prob=0.6),
        "sets negative values to 0 as well": rows(np.abs),
        "drops whole channels, as Dropout2d does": rows(lambda a: a.reshape(3, 4)),
    },
    "probe_batch_norm": {
        "normalizes with the variance that divides by N − 1": IN_EVALUATION,
        "keeps the variance that divides by N": IN_EVALUATION,
        "exchanges old and new in the running statistics": with_(momentum=0.5),
        "adds eps outside the root": with_(eps=1e-8),
        "uses the statistics of the batch in evaluation too": IN_TRAINING,
        "does not add β": filled(beta=0.0),
        "takes the variance for a constant on the way back": filled(d_out=1.0),
        "takes the mean for a constant on the way back": balanced,
        "leaves γ out of the gradient of x": filled(gamma=1.0),
        "averages the gradients of γ and β over the batch": one_row,
        "uses the gradient of training in evaluation too": IN_TRAINING,
        "uses β in place of γ in the gradient of x": filled(beta=0.7, gamma=0.7),
        "leaves eps out of the gradient": with_(eps=1e-8),
        "updates the running statistics in evaluation too": IN_TRAINING,
        "takes one mean and one variance for all features": IN_EVALUATION,
        "clips normalized values at ±1.5": near_the_mean,
    },
}
ALL = [(name, impostor) for name, module in MODULES.items() for impostor in module.IMPOSTORS]


@pytest.mark.parametrize(("name", "impostor"), ALL, ids=lambda one: getattr(one, "name", one))
def test_an_impostor_is_exposed_but_hides_where_its_riddle_says(name, impostor):
    """The inputs of the solution expose it; changed as the riddle says, they do not."""
    reference, calls = REFERENCES[name], calls_of(name)
    assert Exposing(reference, calls).exposes(impostor.program)
    hiding = [HIDING[name][impostor.name](call) for call in calls]
    # What hides it is nothing that the rules forbid.
    assert "calls[" not in str(graded(name, hiding))
    assert not Exposing(reference, hiding).exposes(impostor.program)


@pytest.mark.parametrize("name", MODULES)
def test_there_are_twelve_that_check_knows_and_four_that_only_grading_knows(name):
    """Sixteen impostors share four points, a quarter each."""
    impostors = MODULES[name].IMPOSTORS
    assert sum(one.graded_only for one in impostors) == 4
    assert len({one.name for one in impostors}) == len({one.riddle for one in impostors}) == 16
    assert tasks[name].max_points == 4


@pytest.mark.parametrize("name", MODULES)
def test_the_points_are_the_share_that_is_exposed(name):
    """Every impostor that gets away costs a quarter when an answer is graded."""
    calls = calls_of(name)[:1]
    exposing = Exposing(REFERENCES[name], calls)
    exposed = [one.name for one in MODULES[name].IMPOSTORS if exposing.exposes(one.program)]
    assert graded(name, calls).points == len(exposed) / 4


def test_those_that_get_away_are_described_first_and_named_when_it_is_asked_for():
    """A riddle does not say what a program does; its name does."""
    calls = [{"weights": [np.array([[1.5, -0.5]])], "weight_decay": 1.0}]
    riddle = "One is right only where weight_decay is 0 or 1."
    name = "It multiplies by weight_decay twice."
    message = graded("probe_l2", calls).findings[0].message
    assert riddle in message
    assert name not in message
    assert f"{riddle} {name}" in graded("probe_l2", calls, named=True).findings[0].message


ANSWERS = {
    cell.id: cell.source
    for cell in solution_notebook(source_notebook(source_of("impostors"))).cells
    if is_answer(cell)
}
WEIGHTS, LAST = "[matrix, kernel, vector]", ', {**call, "training": False}'
STATE, CALL = '{"step": 2, "m": m, "v": v}', '{"x": x, "keep_prob": 0.3, "d_out": d_out}'
PROGRAMS = [
    ("probe_l2", "probe-one-weight", WEIGHTS, "[matrix]"),
    ("probe_l2", "probe-weight-decay-one", '"weight_decay": 1.7', '"weight_decay": 1'),
    ("probe_l2", "probe-ones", WEIGHTS, "[np.sign(w) for w in (matrix, kernel, vector)]"),
    ("probe_l2", "probe-no-negative", WEIGHTS, "[np.abs(w) for w in (matrix, kernel, vector)]"),
    ("probe_l2", "probe-matrices-only", WEIGHTS, "[matrix, matrix / 2, matrix[:1]]"),
    ("probe_adam", "probe-first-step", STATE, '{"step": 0, "m": 0 * m, "v": 0 * v}'),
    ("probe_adam", "probe-no-decay", '"weight_decay": 0.8', '"weight_decay": 0'),
    ("probe_adam", "probe-always-decoupled", '{**call, "decoupled": False}, ', ""),
    ("probe_adam", "probe-never-decoupled", ', {**call, "decoupled": True}', ""),
    ("probe_adam", "probe-eps-tiny", '"eps": 0.3', '"eps": 1e-8'),
    ("probe_adam", "probe-betas-equal", "(0.7, 0.9)", "(0.9, 0.9)"),
    ("probe_dropout", "probe-keep-prob-half", '"keep_prob": 0.3', '"keep_prob": 0.5'),
    ("probe_dropout", "probe-training-only", LAST, ""),
    ("probe_dropout", "probe-one-row", CALL, '{"x": x[:1], "keep_prob": 0.3, "d_out": d_out[:1]}'),
    ("probe_dropout", "probe-no-zero", '"x": x,', '"x": np.where(x == 0, 0.3, x),'),
    ("probe_dropout", "probe-no-gradient", '"d_out": d_out', '"d_out": 0 * d_out'),
    (
        "probe_batch_norm",
        "probe-gamma-one",
        '"gamma": np.array([1.5, -0.6])',
        '"gamma": np.ones(2)',
    ),
    ("probe_batch_norm", "probe-beta-zero", '"beta": np.array([0.4, 0.9])', '"beta": np.zeros(2)'),
    ("probe_batch_norm", "probe-training-only", LAST, ""),
    ("probe_batch_norm", "probe-eps-tiny", '"eps": 0.5', '"eps": 1e-5'),
    ("probe_batch_norm", "probe-constant-gradient", '"d_out": d_out', '"d_out": np.ones((6, 2))'),
    ("probe_batch_norm", "probe-momentum-half", '"momentum": 0.3', '"momentum": 0.5'),
]


@pytest.mark.parametrize(
    ("name", "mistake", "old", "new"), PROGRAMS, ids=[f"{one[0]}-{one[1]}" for one in PROGRAMS]
)
def test_a_weakness_of_the_inputs_is_named(name, mistake, old, new):
    """Whoever overlooks one thing is told which, when graded."""
    assert old in ANSWERS[name]
    namespace = {"np": np}
    exec(ANSWERS[name].replace(old, new), namespace)
    report = grade(name, namespace, seed=3)
    assert 0 < report.points < 4
    assert report.findings[0].misconception == mistake


def test_every_weakness_has_a_program():
    """No declared weakness is left untried."""
    declared = {(name, one.id) for name in MODULES for one in tasks[name].misconceptions}
    assert {(name, mistake) for name, mistake, *_ in PROGRAMS} == declared


# Right programs are never exposed, whatever the inputs are.

NUMBERS = st.floats(-1e6, 1e6, allow_subnormal=False) | st.sampled_from(
    [0.0, 1.0, -1.0, 1e6, 1e-9, 1e5 + 1e-6, 1e5]
)


def arrays_of(*shape, least=-1e6):
    numbers = NUMBERS.map(lambda number: max(number, least))
    return arrays(np.float64, shape, elements=numbers, fill=numbers)


@settings(max_examples=150, deadline=None)
@given(st.lists(arrays_of(3) | arrays_of(2, 2), min_size=1, max_size=5), st.floats(0, 1000))
def test_a_right_penalty_is_not_exposed(weights, weight_decay):
    """The solution of the exercise on L2 rounds in its own way."""
    answers = solution("l2")

    def program(call):
        gradients = answers["l2_penalty_backward"](call["weights"], call["weight_decay"])
        return {
            "penalty": np.asarray(answers["l2_penalty"](call["weights"], call["weight_decay"])),
            **{f"d_weights[{i}]": gradient for i, gradient in enumerate(gradients)},
        }

    calls = [{"weights": weights, "weight_decay": weight_decay}]
    assert not Exposing(REFERENCES["probe_l2"], calls).exposes(program)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_right_step_of_adam_is_not_exposed(data):
    """So does that of Adam, where terms cancel and eps is nearly nothing."""
    call = {
        "param": data.draw(arrays_of(4)),
        "grad": data.draw(arrays_of(4)),
        "state": {
            "step": data.draw(st.integers(0, 1000)),
            "m": data.draw(arrays_of(4)),
            "v": data.draw(arrays_of(4, least=0.0)),
        },
        "lr": data.draw(st.floats(1e-6, 10)),
        "betas": tuple(data.draw(st.floats(0, 0.9999)) for _ in range(2)),
        "eps": data.draw(st.sampled_from([1e-12, 1e-8, 0.1])),
        "weight_decay": data.draw(st.floats(0, 100)),
        "decoupled": data.draw(st.booleans()),
    }

    def program(call):
        names = ("param", "grad", "state", "lr", "betas", "eps", "weight_decay", "decoupled")
        param, state = solution("l2")["adam_step"](*(call[name] for name in names))
        return {"param": param, "m": state["m"], "v": state["v"]}

    assert not Exposing(REFERENCES["probe_adam"], [call]).exposes(program)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_right_batch_norm_is_not_exposed(data):
    """So does that of batch norm, where columns are constant but for their last digits."""
    training = data.draw(st.booleans())
    count = data.draw(st.integers(2 if training else 1, 5))
    call = {
        "x": data.draw(arrays_of(count, 2)),
        "gamma": data.draw(arrays_of(2)),
        "beta": data.draw(arrays_of(2)),
        "running_mean": data.draw(arrays_of(2)),
        "running_var": data.draw(arrays_of(2, least=0.0)),
        "training": training,
        "momentum": data.draw(st.floats(0, 1)),
        "eps": data.draw(st.sampled_from([1e-8, 1e-5, 0.5, 10.0])),
        "d_out": data.draw(arrays_of(count, 2)),
    }

    def program(call):
        answers = solution("batch_norm")
        names = ("x", "gamma", "beta", "running_mean", "running_var", "training", "momentum", "eps")
        out, mean, var, cache = answers["batch_norm_forward"](*(call[name] for name in names))
        d_x, d_gamma, d_beta = answers["batch_norm_backward"](call["d_out"], cache)
        returned = {"out": out, "running_mean": mean, "running_var": var}
        return {**returned, "d_x": d_x, "d_gamma": d_gamma, "d_beta": d_beta}

    assert not Exposing(REFERENCES["probe_batch_norm"], [call]).exposes(program)


class Given:
    """A generator that returns the numbers it is given."""

    def __init__(self, numbers):
        self._numbers = numbers

    def random(self, shape):
        assert self._numbers.shape == tuple(shape)
        return self._numbers


@settings(max_examples=50, deadline=None)
@given(arrays_of(3, 4), arrays_of(3, 4), st.floats(0.01, 1), st.booleans())
def test_a_right_dropout_is_not_exposed(x, d_out, keep_prob, training):
    """So does that of dropout, given the judge's random numbers."""
    answers = solution("dropout")

    def program(call):
        outputs = {"out": [], "d_x": []}
        numbers = np.random.default_rng(0).random((2, dropout._SETS, *x.shape))[0]
        for uniform in numbers:
            out, cache = answers["dropout_forward"](
                call["x"], call["keep_prob"], call["training"], Given(uniform)
            )
            outputs["out"].append(out)
            outputs["d_x"].append(answers["dropout_backward"](call["d_out"], cache))
        return {name: np.array(found) for name, found in outputs.items()}

    calls = [{"x": x, "d_out": d_out, "keep_prob": keep_prob, "training": training}]
    assert not Exposing(REFERENCES["probe_dropout"], calls).exposes(program)


# What an answer may not be.


class Growing(list):
    """A list that says it is short."""

    def __len__(self):
        return 1


def changed(name, **values):
    return [{**call, **values} for call in calls_of(name)]


REFUSED = {
    "nothing": [],
    "a number": 3,
    "five calls": calls_of("probe_batch_norm") * 3,
    "no dict": [np.ones(3)],
    "an argument is missing": [{"x": np.ones((2, 2))}],
    "too many numbers": changed("probe_batch_norm", x=np.ones((33, 2)), d_out=np.ones((33, 2))),
    "a huge number": changed("probe_batch_norm", gamma=np.array([1e7, 1.0])),
    "not a number": changed("probe_batch_norm", gamma=np.array([np.nan, 1.0])),
    "infinite": changed("probe_batch_norm", beta=np.array([np.inf, 1.0])),
    "complex": changed("probe_batch_norm", beta=np.array([1j, 1.0])),
    "text": changed("probe_batch_norm", beta=np.array(["a", "b"])),
    "objects": changed("probe_batch_norm", beta=np.array([[1], [1, 2]], dtype=object)),
    "another shape": changed("probe_batch_norm", d_out=np.ones((2, 2))),
    "one row in training": changed(
        "probe_batch_norm", x=np.ones((1, 2)), d_out=np.ones((1, 2)), training=True
    ),
    "a negative variance": changed("probe_batch_norm", running_var=np.array([1.0, -1.0])),
    "eps of 0": changed("probe_batch_norm", eps=0.0),
    "eps is nan": changed("probe_batch_norm", eps=float("nan")),
    "training is a number": changed("probe_batch_norm", training=1),
    "momentum is a flag": changed("probe_batch_norm", momentum=True),
    "an array that holds itself": changed("probe_batch_norm", x=[[]]),
}
REFUSED["an array that holds itself"][0]["x"].append(REFUSED["an array that holds itself"][0]["x"])


@pytest.mark.parametrize("what", REFUSED)
def test_inputs_outside_of_the_limits_earn_nothing_and_are_explained(what):
    """One sentence says which argument of which call is not as it should be."""
    report = graded("probe_batch_norm", REFUSED[what])
    assert report.points == 0
    (finding,) = report.findings
    assert "calls" in finding.message
    assert "raised" not in finding.message
    assert " away:" not in finding.message


@pytest.mark.parametrize("axes", [9, 64])
@pytest.mark.parametrize("name", ["probe_l2", "probe_dropout"])
def test_more_axes_than_come_out_of_the_sandbox_are_refused_in_a_check_too(name, axes):
    """Whoever has too many learns it before grading."""
    deep = np.full((1,) * axes, 0.5)
    report = graded(name, changed(name, weights=[deep], x=deep, d_out=deep))
    assert report.points == 0
    assert f"has {axes} axes; 8 are allowed." in report.findings[0].message


@pytest.mark.parametrize("dtype", [">f8", np.longdouble, np.float16, np.uint64])
def test_numbers_of_any_type_come_out_of_the_sandbox(dtype):
    """What a check accepts is accepted when graded."""
    x = np.ones((4, 5), dtype)
    calls = changed("probe_dropout", x=x, d_out=x, keep_prob=np.float16(0.25))
    result = observe(tasks["probe_dropout"], {"probe_dropout": lambda: calls}, [Case("", {}, "")])
    arrays = result.cases[0].outputs.values()
    assert {array.dtype.str for array in arrays} == {"<f8", "|b1"} <= DTYPES


def test_a_missing_return_is_told():
    """It is the mistake of a student who forgot it, not a list of a wrong type."""
    assert "returned None; is a `return` missing?" in str(graded("probe_l2", None))


def test_a_list_that_lies_about_its_length_gains_nothing():
    """No more calls are read than are allowed."""
    calls = Growing(changed("probe_l2", weight_decay=0.0) * 4 + calls_of("probe_l2"))
    assert graded("probe_l2", calls).points == graded("probe_l2", calls[:4]).points


def test_an_answer_that_changes_from_call_to_call_gains_nothing():
    """Each case is judged by the inputs that came back for it."""
    good, weak = calls_of("probe_l2"), changed("probe_l2", weight_decay=1.0)
    answers = iter([weak, good])
    report = grade("probe_l2", {"probe_l2": lambda: next(answers)}, seed=1)
    # Twelve impostors meet the weak inputs, of which two get away; four meet the good ones.
    assert report.points == 14 / 4


@pytest.mark.parametrize("name", MODULES)
def test_a_verdict_that_comes_back_in_place_of_inputs_earns_nothing(name):
    """The judge runs the impostors itself and believes no name and no number."""
    task = tasks[name]
    cases = task.draw(np.random.default_rng(0))
    names = [one.name for one in MODULES[name].IMPOSTORS]
    for value in (np.array(1.0), np.array([1.0, 1.0])):
        forged = CaseResult({**dict.fromkeys(names, value), "calls": value, "exposed": value})
        assert judge(task, cases, TaskResult((forged,) * len(cases))).points == 0


@pytest.mark.parametrize("name", MODULES)
def test_forged_arrays_are_judged_without_an_exception(name):
    """Whatever the sandbox sends under the names of arguments, there is a report."""
    task = tasks[name]
    cases = task.draw(np.random.default_rng(0))
    honest = task.run({name: partial(calls_of, name)}, {})
    honest = {key: np.asarray(value) for key, value in honest.items()}
    for value in (
        np.array(np.nan),
        np.zeros((0, 3)),
        np.ones((70, 70)),
        np.array(1j),
        np.array(True),
    ):
        for key in honest:
            forged = CaseResult({**honest, key: value})
            report = judge(task, cases, TaskResult((forged,) * len(cases)))
            assert 0 <= report.points <= 4
