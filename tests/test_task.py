"""Declarations: where in the book something is, and what a task is worth."""

import numpy as np
import pytest

from autograder.task import Assignment, Probability, Scaled, array_of
from autograder.tasks import assignments, tasks

WEIGHT_DECAY = Assignment("decay", "Weight decay", page="book/weight_decay", number=7)


def test_a_section_knows_its_address_and_its_name():
    """Its label begins with the page's name, with hyphens, and stands behind the page."""
    section = WEIGHT_DECAY.section("penalty", "The penalty")
    assert section.path == "book/weight_decay.html#weight-decay-penalty"
    assert str(section) == "“The penalty” in the chapter “Weight decay”"


def test_a_mistake_has_a_place_in_the_chapter_of_its_task():
    """Findings link to the box of common mistakes."""
    place = tasks["l2_penalty"].place_of("l2-sign")
    assert place.path == "book/l2.html#mistake-l2_penalty-l2-sign"


def test_a_task_is_worth_what_its_aspects_are():
    """So points are written down once."""
    for task in tasks.values():
        assert task.max_points == sum(aspect.points for aspect in task.aspects)


def test_assignments_come_in_the_order_of_the_course():
    """Each name leads to its declaration, and tasks follow the same order."""
    numbers = [assignment.number for assignment in assignments.values()]
    assert numbers == sorted(set(numbers))
    assert [assignment.name for assignment in assignments.values()] == list(assignments)
    order = [(task.assignment.number, task.number) for task in tasks.values()]
    assert order == sorted(order)


def test_a_probability_has_no_array():
    """Asking for one is a mistake in the grader, not a wrong answer."""
    assert array_of(np.ones(2)).tolist() == [1, 1]
    assert array_of(Scaled(np.zeros(2), 1e6)).tolist() == [0, 0]
    with pytest.raises(TypeError, match="compared with counts"):
        array_of(Probability(0.5))
