"""What is said of numbers that no known mistake gives."""

import numpy as np
import pytest

from autograder.judging.clues import clues
from autograder.judging.compare import agrees
from autograder.judging.difference import Comparison
from autograder.task import Case

RNG = np.random.default_rng(0)
CASES = [
    Case("seven", {"x": RNG.standard_normal((7, 4)), "lr": 0.3}),
    Case("three", {"x": RNG.standard_normal((3, 3)), "lr": 0.7}),
    Case("five", {"x": RNG.standard_normal((5, 2)), "lr": 0.2}, "evaluation"),
]


def told(wrong, name="d_x", right=lambda x: 2 * x, where=(0, 1, 2)):
    """Return the clues when `wrong(x, inputs)` came back in some cases and `right(x)` should."""
    comparisons = []
    for index, case in enumerate(CASES):
        expected = right(case.inputs["x"])
        got = wrong(expected, case.inputs) if index in where else expected
        comparisons.append(Comparison(name, case, got, expected, agrees(got, expected, 1e-7)))
    return " ".join(clues(comparisons, 1e-7))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda a, inputs: 3 * a, "`d_x` is 3 times what it should be"),
        (lambda a, inputs: a / 2, "`d_x` is 0.5 times"),
        (lambda a, inputs: -a, "Of `d_x` only the sign is wrong"),
        (lambda a, inputs: 0 * a, "`d_x` is 0 wherever"),
        (lambda a, inputs: a * inputs["lr"], "`d_x` is `lr` times"),
        (lambda a, inputs: a / inputs["lr"], "`d_x` is 1/`lr` times"),
        (
            lambda a, inputs: a / len(inputs["x"]),
            "is 1/N times what it should be; N is the number of rows.",
        ),
        (lambda a, inputs: -a * len(inputs["x"]), "is minus N times what"),
        (lambda a, inputs: a * inputs["x"][0, 0], "off by one factor in each case"),
        (lambda a, inputs: a.T, "transposed"),
        (
            lambda a, inputs: a[None],
            "an axis of length 1 too many. If a `keepdims=True` leaves it, drop that.",
        ),
        (lambda a, inputs: a.ravel(), "numbers are right and only the shape"),
        (lambda a, inputs: a.astype(np.float32), "makes an array of float32"),
        (lambda a, inputs: np.trunc(a).astype(int), "behind the decimal point is cut off"),
        (lambda a, inputs: a.sum(), "It is a single number. Did you forget an `axis`?"),
        (lambda a, inputs: np.where(np.arange(a.shape[1]) == 1, np.nan, a), "only column 1 is not"),
        (lambda a, inputs: a * np.inf, "no number in it is finite"),
        (lambda a, inputs: a + inputs["x"], "is 1.5 times"),
        (lambda a, inputs: a + inputs["x"].sum(0), "Each column of `d_x` is off by one number"),
        (lambda a, inputs: a * inputs["x"][0], "Each column of `d_x` is off by one factor"),
    ],
)
def test_the_difference_is_named(wrong, words):
    """What holds in every case is said, in words."""
    assert words in told(wrong)


def test_a_sum_along_the_wrong_axis_is_told():
    """One number for each row where there should be one for each column."""
    words = told(
        lambda a, inputs: inputs["x"].sum(1), right=lambda x: x.sum(0), where=(0, 2), name="d_beta"
    )
    assert "one number for each row" in words


def test_a_sum_that_was_forgotten_is_told():
    """The rows are still there."""
    words = told(lambda a, inputs: 1.0 * inputs["x"], right=lambda x: x.sum(0), name="d_beta")
    assert "still an entry for each row" in words


def test_where_it_is_right_is_told():
    """By mode if that divides right from wrong, otherwise by case."""
    assert "Right in training, wrong in evaluation." in told(lambda a, inputs: a + 1, where=(2,))
    assert "In the other 2 cases this is right." in told(lambda a, inputs: a + 1, where=(1,))
    assert "Right only in the case “three”." in told(lambda a, inputs: a + 1, where=(0, 2))


def noisy(a, x):
    """Return numbers of which some are too large, some too small and some of the other sign."""
    turns = np.resize([1.0, -1.0, 0.1], x.shape)
    return np.where(np.resize([True, False], x.shape), -2 * a, a + turns * x**2)


def test_no_clue_is_better_than_a_wrong_one():
    """Noise has no factor."""
    assert told(lambda a, inputs: noisy(a, inputs["x"])) == ""


def test_the_direction_is_told_when_nothing_else_can_be():
    """One number alone is a multiple of any other, but it is too large or too small."""
    for got, clue in ((3.0, "too large"), (1.0, "too small")):
        alone = [Comparison("loss", CASES[0], np.asarray(got), np.asarray(2.0), False)]
        assert clues(alone, 1e-7) == [f"`loss` is {clue} wherever it is wrong."]
    assert "is too large wherever it is wrong" in told(lambda a, inputs: a + inputs["x"] ** 2)
    turns = np.array([2.0, 3.0, 0.5, 0.7])
    for some, clue in (
        (turns[:2], "too far from 0"),
        (turns[2:], "too close to 0"),
        (turns, "sizes"),
    ):
        found = told(lambda a, inputs, some=some: a * np.resize(some, a.shape))
        assert "has the right signs" in found
        assert clue in found


def test_the_direction_comes_after_what_is_said_of_another_output():
    """That a few numbers are all too large is by chance; that another is an input is not."""
    x = CASES[0].inputs["x"]
    both = [
        Comparison("out", CASES[0], x + x**2, x, False),
        Comparison("running_mean", CASES[0], x, x**2, False),
    ]
    assert clues(both, 1e-7)[0] == "`running_mean` is `x` as it came in, wherever it is wrong."


def test_only_one_wrong_output_is_told():
    """Its depends_on are right."""
    a = CASES[0].inputs["x"]
    both = [
        Comparison("d_gamma", CASES[0], a, a, True),
        Comparison("d_beta", CASES[0], noisy(a, a), a, False),
    ]
    assert clues(both, 1e-7) == ["Only `d_beta` is wrong here."]


def test_a_missing_term_is_told():
    """An input, or a multiple of one by another, is what the output lacks or has too much."""
    right = {"right": lambda x: x**2, "name": "d_W"}
    assert "`d_W` lacks `lr` times `x`" in told(lambda a, i: a - i["lr"] * i["x"], **right)
    assert "`d_W` has too much `x`" in told(lambda a, i: a + i["x"], **right)


def test_an_input_that_came_back_is_told():
    """The name of an output that is an input unchanged is that of the input."""
    words = told(lambda a, inputs: inputs["x"].copy(), right=lambda x: x**2)
    assert "`d_x` is `x` as it came in" in words


def test_what_is_not_finite_is_said_of_its_own_case():
    """Cases whose numbers are finite are not spoken of."""

    def infinite_in_one(a, inputs):
        return a * np.inf if len(a) == 3 else a + a**2

    words = told(infinite_in_one)
    assert "no number in it is finite" not in words
    assert "Numbers that are not finite appear in the case “three”." in words


def test_rounding_errors_have_no_factor():
    """Nothing is said of a factor where the right numbers are almost 0, or the factor is 1."""
    tiny = told(lambda a, inputs: a + 1.0, right=lambda x: 1e-17 * np.ones_like(x))
    assert "times" not in tiny
    assert "factor" not in tiny
    noise = told(lambda a, inputs: -9e5 * a, right=lambda x: 1e-13 * x)
    assert "times" not in noise
    almost_one = told(lambda a, inputs: a * (1 + 2e-5))
    assert "times" not in almost_one
    nearly = told(lambda a, inputs: a * (1 + 3e-7))
    assert "1 times" not in nearly
