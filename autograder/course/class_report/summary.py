"""Turn the reports of a class into facts about its tasks and mistakes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import fmean, median

from autograder.course.class_report.facts import (
    FEWEST,
    Distribution,
    Item,
    Mistake,
    TaskFacts,
)
from autograder.course.class_report.statistics import discrimination, histogram, wilson
from autograder.course.names import Name
from autograder.judging.report import Report
from autograder.task import Task

MOST_MISTAKES = 10
"""How many mistakes of a task to show."""
MOST_TOPICS = 3
"""How many mistakes a lecture can talk about."""
FEWEST_FOR_TOPIC = 2
"""How many students make a mistake worth a lecture."""

Reports = Mapping[str, Mapping[str, Report]]
"""The reports of each student by task."""


def distribution(points: Sequence[float], max_points: float) -> Distribution:
    """Return the distribution of the points that count."""
    return Distribution(
        count=len(points),
        max_points=max_points,
        mean=fmean(points) if points else None,
        median=median(points) if points else None,
        bins=tuple(histogram(points, max_points)),
    )


def task_facts(task: Task, reports: Reports, names: Sequence[Name]) -> TaskFacts:
    """Return how a class did in a task.

    Parameters
    ----------
    task
        The task.
    reports
        The reports of each student on all tasks of the assignment.
    names
        The names that the course gives to wrong answers.
    """
    mine = {student: found[task.name] for student, found in reports.items() if task.name in found}
    totals = [sum(report.points for report in reports[student].values()) for student in mine]
    mistakes = _mistakes(task, list(mine.values()), names)
    return TaskFacts(
        item=_item(task.name, task.max_points, [one.points for one in mine.values()], totals),
        aspects=tuple(
            _item(
                aspect.name,
                aspect.points,
                [_points(report, aspect.name) for report in mine.values()],
                totals,
            )
            for aspect in task.aspects
        ),
        count=len(mine),
        right=sum(report.passed for report in mine.values()),
        other=sum(not report.passed and not _named(report) for report in mine.values()),
        mistakes=tuple(mistakes[:MOST_MISTAKES]),
        more=max(0, len(mistakes) - MOST_MISTAKES),
    )


def topics(tasks: Sequence[TaskFacts]) -> list[tuple[TaskFacts, Mistake]]:
    """Return the most frequent mistakes of some tasks, each with the task in which most make it."""
    pairs = [(task, mistake) for task in tasks for mistake in task.mistakes]
    found: dict[str, tuple[TaskFacts, Mistake]] = {}
    for task, mistake in sorted(pairs, key=lambda pair: -pair[1].count):
        if mistake.text and mistake.count >= FEWEST_FOR_TOPIC:
            found.setdefault(mistake.id, (task, mistake))
    return list(found.values())[:MOST_TOPICS]


def _item(name: str, max_points: float, points: Sequence[float], totals: Sequence[float]) -> Item:
    earned = sum(points) / (len(points) * max_points) if points and max_points else 0.0
    if len(points) < FEWEST:
        return Item(name, max_points, earned)
    solved = sum(one >= max_points for one in points)
    return Item(
        name,
        max_points,
        earned,
        solved / len(points),
        wilson(solved, len(points)),
        discrimination(points, totals),
    )


def _points(report: Report, aspect: str) -> float:
    """Return the points for an aspect; a report on code that was stopped has none."""
    return sum(one.points for one in report.findings if one.aspect == aspect and one.max_points)


def _mistakes(task: Task, reports: Sequence[Report], names: Sequence[Name]) -> list[Mistake]:
    """Return the mistakes that reports name, the most frequent first."""
    counts = Counter(id for report in reports for id in _named(report))
    found = []
    for id, count in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])):
        text, path = _told(task, id, names)
        found.append(Mistake(id, text, count, count / len(reports), path))
    return found


def _named(report: Report) -> set[str]:
    return {one.misconception for one in report.findings if one.misconception}


def _told(task: Task, id: str, names: Sequence[Name]) -> tuple[str, str]:
    """Return what students read about a mistake, and where the book lists it."""
    for name in names:
        if (name.task, name.id) == (task.name, id):
            return name.text, ""
    # A backward pass can be right for a mistake of its forward pass.
    for owner in (task, task.forward_task) if task.forward_task else (task,):
        known = {one.id: one.explanation for one in owner.requirements}
        known |= {one.id: one.explanation for one in owner.misconceptions}
        if id in known:
            return known[id], owner.place_of(id).path
    return "", ""
