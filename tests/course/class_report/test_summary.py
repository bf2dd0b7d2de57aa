"""How reports of a class become facts, with numbers that can be counted by hand."""

import pytest

from autograder.course.class_report.facts import FEWEST
from autograder.course.class_report.summary import (
    MOST_MISTAKES,
    MOST_TOPICS,
    distribution,
    task_facts,
    topics,
)
from autograder.course.names import Name
from autograder.judging.report import Finding, Report
from autograder.tasks import tasks

TASK = tasks["l2_penalty"]
FIRST, SECOND = (aspect.name for aspect in TASK.aspects)


def report(first=True, second=True, mistake=None, task="l2_penalty"):
    """Return a report on two aspects worth 1.5 points each."""
    return Report(
        task,
        tuple(
            Finding(name, right, "", None if right else mistake, 1.5 * right, 1.5)
            for name, right in ((FIRST, first), (SECOND, second))
        ),
    )


def facts(reports, names=(), task=TASK):
    """Return the facts about a class in which each report is one student's."""
    found = {f"s{k}": {one.task: one} for k, one in enumerate(reports)}
    return task_facts(task, found, names)


def test_the_share_of_points_is_that_of_the_class():
    """Of 4 students, 3 and 2 have the aspects right: 3/4, 2/4 and 7.5 of 12 points."""
    found = facts([report(), report(), report(second=False), report(False, False)])
    assert [aspect.earned for aspect in found.aspects] == [0.75, 0.5]
    assert found.item.earned == pytest.approx(7.5 / 12)
    assert (found.count, found.right) == (4, 2)


def test_a_small_class_has_no_statistics():
    """Nothing is said of how a task works below twenty students; from then on it is."""
    some = [report(second=k % 2 == 0) for k in range(FEWEST)]
    few, enough = facts(some[:-1]), facts(some)
    for item in (few.item, *few.aspects):
        assert (item.solved, item.interval, item.discrimination) == (None, None, None)
    assert enough.aspects[1].solved == 0.5
    assert enough.aspects[1].interval.low < 0.5 < enough.aspects[1].interval.high
    assert enough.aspects[0].discrimination is None, "everybody has it right"


def test_discrimination_is_that_with_the_rest_of_the_assignment():
    """Half of the class has everything right and half nothing, so each item tells them apart."""
    backward = report(task="l2_penalty_backward")
    nothing = report(False, False, task="l2_penalty_backward")
    found = {f"s{k}": {"a": report(), "b": backward} for k in range(10)}
    found |= {f"t{k}": {"a": report(False, False), "b": nothing} for k in range(10)}
    by_task = {who: {one.task: one for one in some.values()} for who, some in found.items()}
    item = task_facts(TASK, by_task, ()).item
    assert item.discrimination == pytest.approx(1.0)


def test_a_lecture_can_talk_about_what_several_students_get_wrong():
    """The most frequent mistakes of all tasks come first, each once, with the task that tells it.

    What one student got wrong is no topic, nor a mistake that no text explains any more.
    """
    ids = [one.id for one in TASK.misconceptions]
    counts = {ids[0]: 5, ids[1]: 1, ids[2]: 3, "gone": 9}
    forward = facts(
        [report(False, mistake=id) for id, times in counts.items() for _ in range(times)]
    )
    name = "l2_penalty_backward"
    backward = facts([report(False, mistake=ids[0], task=name)] * 7, task=tasks[name])
    found = [(task.item.name, one.id, one.count) for task, one in topics([forward, backward])]
    assert found == [(name, ids[0], 7), ("l2_penalty", ids[2], 3)]
    many = facts([report(False, mistake=id) for id in ids for _ in range(2)])
    assert len(ids) > MOST_TOPICS
    assert len(topics([many])) == MOST_TOPICS
    assert topics([]) == []


def test_mistakes_are_counted_by_student():
    """A mistake in two aspects counts once; the most frequent is first, with the task's words."""
    found = facts(
        [
            report(False, False, "l2-sign"),
            report(False, False, "l2-missing-half"),
            report(False, True, "l2-missing-half"),
            report(False, False),
            report(),
        ]
    )
    assert [(one.id, one.count, one.share) for one in found.mistakes] == [
        ("l2-missing-half", 2, 0.4),
        ("l2-sign", 1, 0.2),
    ]
    [declared] = [one for one in TASK.misconceptions if one.id == "l2-missing-half"]
    assert found.mistakes[0].text == declared.explanation
    assert found.mistakes[0].path.startswith("book/l2.html#")
    assert found.other == 1


def test_names_of_the_course_are_told():
    """With the instructor's words, which stand nowhere in the book."""
    name = Name("l2_penalty", "cubes", "You cube.", (1.0,))
    [found] = facts([report(False, False, "cubes")], [name]).mistakes
    assert (found.text, found.path) == ("You cube.", "")


def test_mistakes_of_the_forward_pass_are_told():
    """A gradient that is right for a wrong forward pass has the forward pass's mistake."""
    task = tasks["dropout_backward"]
    mistake = "dropout-no-rescale"
    assert mistake not in {one.id for one in task.misconceptions}
    [forward] = [one for one in task.forward_task.misconceptions if one.id == mistake]
    aspect = task.aspects[0]
    wrong = Report(task.name, (Finding(aspect.name, False, "", mistake, 0, aspect.points),))
    [found] = facts([wrong], task=task).mistakes
    assert found.text == forward.explanation
    assert found.path.endswith(f"#mistake-dropout_forward-{mistake}")


def test_few_mistakes_are_shown():
    """The rarest are only counted."""
    found = facts([report(False, False, f"m{k}") for k in range(MOST_MISTAKES + 3)])
    assert (len(found.mistakes), found.more) == (MOST_MISTAKES, 3)


def test_code_that_was_stopped_has_no_points():
    """Its report names no aspect, and every aspect counts as wrong."""
    stopped = Report(TASK.name, (Finding("all of it", False, "It hung.", max_points=3),))
    found = facts([stopped, report()])
    assert [aspect.earned for aspect in found.aspects] == [0.5, 0.5]


def test_the_distribution_by_hand():
    """Mean 5, median 3.5; nobody has none."""
    found = distribution([1, 3, 4, 12], 12)
    assert (found.count, found.mean, found.median) == (4, 5, 3.5)
    assert distribution([], 12).mean is None
