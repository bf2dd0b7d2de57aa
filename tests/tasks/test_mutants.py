"""No small change of a right answer keeps all its points, unless it is a right answer itself."""

import time

import pytest
from mutants.mutate import described_mutants
from mutants.trial import PROGRAMS, equivalent, is_killed, mutants_of, time_limit

from autograder import tasks


def test_the_list_speaks_of_the_course():
    """The mutants that are listed belong to tasks."""
    assert equivalent().keys() <= tasks.keys()


def test_a_loop_without_end_is_interrupted():
    """A mutant that does not end is stopped, even if it catches what stops it once."""
    caught = []

    def stubborn():
        while True:
            try:
                while True:
                    pass
            except TimeoutError as error:
                caught.append(error)
                if len(caught) == 2:
                    raise

    with pytest.raises(TimeoutError), time_limit(1):
        stubborn()
    assert len(caught) == 2


PROGRAM = """
def deviation(variance, eps, training):
    root = np.sqrt(variance + eps)
    if not training:
        root = root + 1.0
    return root
"""


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("root = (np.sqrt(variance) + eps)", "`eps` stands outside of the root"),
        ("root = (variance + eps)", "the root of a sum with `variance` is not taken"),
        ("if training:", "the “not” before `training` is missing"),
        ("pass", "what should happen only when training is off never happens"),
    ],
)
def test_what_is_said_of_a_change_is_what_was_changed(line, words):
    """Changes that look alike are told apart, and a condition is told from its contrary."""
    made = described_mutants(PROGRAM, {}, set(range(2, 7)), {"deviation": ("root",)})
    said = [one.words for one in made if one.change.splitlines()[-1] == f"+ {line}"]
    assert any(one.startswith(words) for one in said), said


PARENTHESES = """
def gradient(factor, whole, first, second):
    d_x = factor * (whole - first - second)
    return d_x
"""


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("d_x = factor * (whole - first)", "`second` is not subtracted from a difference with"),
        ("d_x = factor * (whole - second)", "`first` is not subtracted from `whole`"),
        ("d_x = factor * second", "a difference with `whole` is missing from a difference with"),
    ],
)
def test_a_term_is_left_out_of_what_stands_in_parentheses(line, words):
    """The other terms stay in them, so that nothing else changes."""
    made = described_mutants(PARENTHESES, {}, {3}, {"gradient": ("d_x",)})
    said = [one.words for one in made if one.change.splitlines()[-1] == f"+ {line}"]
    assert any(one.startswith(words) for one in said), said


@pytest.mark.parametrize("name", PROGRAMS)
def test_some_mutants_lose_points(name):
    """Every twentieth mutant, on the numbers that submissions are graded on."""
    made = mutants_of(name, every=20)
    assert made
    survivors = {one.change for one in made if not is_killed(name, one, graded=False)}
    assert survivors == equivalent().get(name, set()) & {one.change for one in made}


@pytest.mark.evidence
@pytest.mark.parametrize("name", PROGRAMS)
def test_every_mutant_loses_points_or_is_listed(name):
    """All mutants: only those that are right answers keep their points, on any of three seeds."""
    start = time.perf_counter()
    made = mutants_of(name)
    survivors = {one.change for one in made if not is_killed(name, one, graded=True)}
    right = equivalent().get(name, set())
    print(
        f"\n{name:23} {len(made):4} made, {len(made) - len(survivors):4} killed, "
        f"{len(right):3} equivalent, {len(survivors - right)} unlisted, "
        f"{time.perf_counter() - start:.0f} s",
        end="",
    )
    unlisted, idle = sorted(survivors - right), sorted(right - survivors)
    assert not unlisted, "Mutants that keep all points:\n" + "\n\n".join(unlisted)
    assert not idle, "Listed, but killed or not made; take them out:\n" + "\n\n".join(idle)
