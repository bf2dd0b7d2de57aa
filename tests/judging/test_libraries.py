"""What an answer uses and grading may not have."""

import json

import matplotlib.pyplot as plt
import numpy as np
import pytest
from helpers.solutions import solution
from nbformat import notebooknode as nodes
from nbformat.v4 import new_notebook
from scipy.special import softmax

from autograder import check, grade
from autograder.judging.libraries import do_without, lacking, used_by


def by_name(x):
    return nodes.from_dict(np.exp(x), plt)


def inside(x):
    import nbformat.v4
    from sklearn.utils import shuffle

    return [nbformat.v4.nbformat for _ in shuffle(x)]


def by_value(x):
    return new_notebook(), softmax(x), json.dumps(x)


def through_a_helper(x):
    return through_a_helper(by_value(x))


class InAMethod:
    def forward(self, x):
        return (lambda: by_name(x))()


def with_what_is_there(x):
    return softmax(np.exp(x)), plt, json


@pytest.mark.parametrize("answer", [by_name, inside, by_value, through_a_helper, InAMethod])
def test_a_library_is_found_however_it_is_used(answer):
    """Imported inside or outside, as a module or by what it holds, here or in a helper."""
    assert lacking(used_by(answer)) == ["nbformat"]


def test_what_the_course_needs_is_there():
    """With what these libraries need themselves."""
    assert lacking(used_by(with_what_is_there)) == []
    assert lacking(["torch", "mpl_toolkits", "scipy", "PIL", "autograder", "sys"]) == []


def test_a_check_says_so_and_takes_no_points():
    """Nobody knows what grading has besides, so it is told and costs nothing."""

    def l2_penalty(weights, weight_decay):
        import nbformat

        return nbformat and solution("l2")["l2_penalty"](weights, weight_decay)

    report = check(l2_penalty)
    finding = report.findings[-1]
    assert (report.points, report.passed) == (3, False)
    assert (finding.aspect, finding.points) == ("uses what grading has", 0)
    assert finding.message == do_without(["nbformat"])


def test_where_it_is_missing_the_same_is_said():
    """Grading, which does not have it, adds it to the exception."""

    def l2_penalty(weights, weight_decay):
        import rarelib

        return rarelib.norm(weights)

    message = grade("l2_penalty", {"l2_penalty": l2_penalty}, 0).findings[0].message
    assert message.startswith("Your code raised ModuleNotFoundError: No module named 'rarelib'")
    assert do_without(["rarelib"]) in message.splitlines()
