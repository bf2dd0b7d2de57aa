"""What a class report says, as plain values that can be shown in any form."""

from __future__ import annotations

from dataclasses import dataclass, replace

from autograder.course.class_report.statistics import Bin, Interval

FEWEST = 20
"""Of fewer students nothing is said about how tasks work, because chance would decide it."""


@dataclass(frozen=True)
class Person:
    """A student whom the instructor may want to write to, with the reason."""

    student: str
    name: str = ""
    detail: str = ""


@dataclass(frozen=True)
class People:
    """How many students something applies to, and who they are unless names are left out."""

    count: int
    listed: tuple[Person, ...] = ()

    @classmethod
    def of(cls, persons: list[Person]) -> People:
        """Return the people of a list, sorted by id."""
        return cls(len(persons), tuple(sorted(persons, key=lambda person: person.student)))


@dataclass(frozen=True)
class Distribution:
    """The points that count; `mean` and `median` are None if nobody has any."""

    count: int
    max_points: float
    mean: float | None
    median: float | None
    bins: tuple[Bin, ...]


@dataclass(frozen=True)
class Item:
    """How a class did in a task or an aspect of one.

    Attributes
    ----------
    name
        The task or the aspect.
    max_points
        What it is worth.
    earned
        The share of these points that the class earned.
    solved
        The share of students who earned all of them: the item's difficulty.
    interval
        Wilson's 95% interval of `solved`; None if there are fewer than `FEWEST` students.
    discrimination
        The correlation with the points of everything else; None if there are fewer than `FEWEST`
        students or everybody did the same.
    """

    name: str
    max_points: float
    earned: float
    solved: float | None = None
    interval: Interval | None = None
    discrimination: float | None = None


@dataclass(frozen=True)
class Mistake:
    """A mistake that the reports of some students name.

    Attributes
    ----------
    id
        Its short name.
    text
        What students read about it; empty if it is declared nowhere any more.
    count
        How many students made it.
    share
        Their share of those who were graded.
    path
        Where the book lists it, relative to the book's address; empty if it does not.
    """

    id: str
    text: str
    count: int
    share: float
    path: str = ""


@dataclass(frozen=True)
class TaskFacts:
    """How a class did in a task.

    Attributes
    ----------
    item
        The task as a whole.
    aspects
        Its aspects.
    count
        How many students were graded.
    right
        How many of them have everything right.
    other
        How many of them have something wrong, but no mistake that a report names.
    mistakes
        The most frequent mistakes.
    more
        How many further mistakes there are.
    """

    item: Item
    aspects: tuple[Item, ...]
    count: int
    right: int
    other: int
    mistakes: tuple[Mistake, ...]
    more: int


@dataclass(frozen=True)
class SharedAnswer:
    """A wrong answer without a name that several students gave.

    Attributes
    ----------
    task
        The task.
    count
        How many returned the same numbers.
    wrong
        The aspects that are wrong.
    command
        How to give it a name.
    students
        Who gave it.
    messages
        What the report of the first of them says.
    code
        How the first of them answered.
    """

    task: str
    count: int
    wrong: tuple[str, ...]
    command: str
    students: tuple[str, ...] = ()
    messages: tuple[str, ...] = ()
    code: str = ""


@dataclass(frozen=True)
class Changed:
    """A student whose points changed; None stands for a submission without points."""

    student: str
    before: float | None
    after: float | None


@dataclass(frozen=True)
class Changes:
    """What changed since an earlier report.

    Attributes
    ----------
    since
        When that report was made, as text in UTC.
    new
        Who has handed in since.
    gone
        Whose submission is no longer there.
    up, down
        How many have more and fewer points.
    changed
        Whose points changed.
    """

    since: str
    new: People
    gone: People
    up: int
    down: int
    changed: tuple[Changed, ...] = ()


@dataclass(frozen=True)
class AssignmentFacts:
    """Everything about one assignment.

    Attributes
    ----------
    outdated
        Whose points by hand are from before the work was graded again.
    changes
        What changed since the last report; None in the first one.
    """

    name: str
    title: str
    enrolled: int
    submitted: int
    distribution: Distribution
    tasks: tuple[TaskFacts, ...]
    shared: tuple[SharedAnswer, ...]
    missing: People
    late: People
    stopped: People
    refused: People
    waiting: People
    outdated: People
    changes: Changes | None = None


@dataclass(frozen=True)
class ClassReport:
    """A whole report; `made` is a time in UTC."""

    made: str
    anonymous: bool
    assignments: tuple[AssignmentFacts, ...]


def without_names(report: ClassReport) -> ClassReport:
    """Return a report from which nobody can be told: no ids, names, files or students' text."""
    return replace(
        report, anonymous=True, assignments=tuple(map(_without_names, report.assignments))
    )


def _without_names(facts: AssignmentFacts) -> AssignmentFacts:
    changes = facts.changes
    if changes is not None:
        changes = replace(
            changes, new=_counted(changes.new), gone=_counted(changes.gone), changed=()
        )
    return replace(
        facts,
        # Messages and code can hold what the student wrote.
        shared=tuple(
            replace(one, command="autograder name", students=(), messages=(), code="")
            for one in facts.shared
        ),
        missing=_counted(facts.missing),
        late=_counted(facts.late),
        stopped=_counted(facts.stopped),
        refused=_counted(facts.refused),
        waiting=_counted(facts.waiting),
        outdated=_counted(facts.outdated),
        changes=changes,
    )


def _counted(people: People) -> People:
    return People(people.count)
