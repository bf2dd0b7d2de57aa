"""No small change of a right answer keeps all its points, unless it is a right answer itself."""

import time

import pytest
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
