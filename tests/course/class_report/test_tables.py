"""The same facts as CSV and JSON."""

import csv
import io
import json

import pytest

from autograder.course.class_report.facts import (
    AssignmentFacts,
    ClassReport,
    Item,
    Mistake,
    People,
    Person,
    TaskFacts,
)
from autograder.course.class_report.statistics import Interval
from autograder.course.class_report.summary import distribution
from autograder.course.class_report.tables import COLUMNS, csv_table, json_text

FORMULA = '=HYPERLINK("http://evil.example")'
NOBODY = People(0)


def class_report(name="", student="ada"):
    """Return a report on one task, with one student who is late."""
    item = Item("l2_penalty", 3, 0.5, 0.25, Interval(0.1, 0.4), -0.2)
    mistake = Mistake("l2-sign", "The sign, in ½.", 5, 0.25)
    facts = AssignmentFacts(
        "l2",
        "L2",
        20,
        20,
        distribution([1.0, 2.0], 3),
        (TaskFacts(item, (Item("one weight", 1.5, 0.5),), 20, 10, 4, (mistake,), 0),),
        (),
        NOBODY,
        People.of([Person(student, name, "1 d")]),
        NOBODY,
        NOBODY,
        NOBODY,
        NOBODY,
    )
    return ClassReport("Tuesday", False, (facts,))


def rows(report):
    return list(csv.DictReader(io.StringIO(csv_table(report))))


def found(report, **wanted):
    """Return the rows with these cells."""
    return [row for row in rows(report) if wanted.items() <= row.items()]


def test_each_row_is_a_fact():
    """With the assignment, and the task, aspect or student that it is about."""
    report = class_report()
    assert tuple(rows(report)[0]) == COLUMNS
    assert {row["assignment"] for row in rows(report)} == {"l2"}
    for fact, value in (
        ("earned", "0.5"),
        ("solved", "0.25"),
        ("solved_low", "0.1"),
        ("discrimination", "-0.2"),
        ("right", "10"),
    ):
        [row] = found(report, task="l2_penalty", item="", fact=fact)
        assert row["value"] == value
    [row] = found(report, fact="mistake")
    assert (row["item"], row["value"], row["text"]) == ("l2-sign", "5", "The sign, in ½.")
    [row] = found(report, fact="is_late")
    assert (row["student"], row["text"]) == ("ada", "1 d")
    assert found(report, fact="mean")[0]["value"] == "1.5"
    assert sum(int(row["value"]) for row in found(report, fact="histogram")) == 2


def test_what_is_not_known_is_no_row():
    """An aspect of a small class has no difficulty, and so no row for it."""
    assert not found(class_report(), item="one weight", fact="solved")


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t"])
def test_a_name_is_no_formula(start):
    """A spreadsheet shows it and does not run it."""
    [row] = found(class_report(start + FORMULA, f"{start}ada"), fact="is_late")
    assert row["item"] == f"'{start}{FORMULA}"
    assert row["student"] == f"'{start}ada"


def test_json_has_the_same_facts():
    """With the names of the fields, and characters as they are."""
    [facts] = json.loads(json_text(class_report("<b>")))["assignments"]
    assert facts["late"] == {
        "count": 1,
        "listed": [{"student": "ada", "name": "<b>", "detail": "1 d"}],
    }
    [task] = facts["tasks"]
    assert task["item"]["interval"] == {"low": 0.1, "high": 0.4}
    assert task["mistakes"][0]["text"] == "The sign, in ½."
