"""What is said of how often something happens, where that is wrong in several cases."""

import numpy as np
import pytest

from autograder.judging.compare import agrees
from autograder.judging.difference import Comparison
from autograder.judging.frequencies import relation
from autograder.task import Case, Probability

KEEP_PROBS = (0.3, 0.6, 0.8)


def told(rate, where=(0, 1, 2), counted=100_000):
    """Return what is said when an event happens with `rate(keep_prob)` in some of the cases."""
    rng = np.random.default_rng(0)
    comparisons = []
    for index, keep_prob in enumerate(KEEP_PROBS):
        case = Case(str(keep_prob), {"keep_prob": keep_prob, "seed": 1})
        probability = rate(keep_prob) if index in where else keep_prob
        got = np.array([rng.binomial(counted, probability), counted], dtype=float)
        expected = Probability(keep_prob)
        right = agrees(got, expected, 1e-7)
        comparisons.append(Comparison("fraction of values kept", case, got, expected, right))
    return relation(comparisons)


@pytest.mark.parametrize(
    ("rate", "words"),
    [
        (lambda k: 0.0, "is 0 wherever it is wrong."),
        (lambda k: 1.0, "is 1 wherever it is wrong."),
        (lambda k: k * k, "is about `keep_prob`² wherever it is wrong."),
        (lambda k: k**0.5, "is about the root of `keep_prob` wherever it is wrong."),
        (lambda k: 1 - k, "is about 1 − `keep_prob` wherever it is wrong."),
        (lambda k: 0.25, "is about 0.25 wherever it is wrong, whatever it should be."),
        (lambda k: 0.9 * k, "is too small wherever it is wrong."),
        (lambda k: k + 0.1, "is too large wherever it is wrong."),
    ],
)
def test_how_often_it_happens_is_told(rate, words):
    """A probability that fits all counts is told, and else on which side they are."""
    assert told(rate) == f"The fraction of values kept {words}"


def test_nothing_is_said_that_does_not_hold_in_all_wrong_cases():
    """Too often in one case and too rarely in another have nothing in common."""
    assert told(lambda k: k + 0.1 if k < 0.5 else k - 0.1) is None


def test_nothing_is_said_of_a_single_case():
    """The count itself is told there."""
    assert told(lambda k: 0.0, where=(1,)) is None


def test_few_events_do_not_tell_which_probability_it_is():
    """Of a hundred events many probabilities could be the right one, so only the side is told."""
    assert told(lambda k: k**4, counted=100) == (
        "The fraction of values kept is too small wherever it is wrong."
    )


def test_nothing_is_said_when_nothing_is_wrong():
    """Right counts need no words."""
    assert told(lambda k: k) is None
