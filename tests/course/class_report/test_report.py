"""`autograder report` on courses: what it writes, and that nothing runs for it."""

import csv
import json
import os
import shutil

import pytest
from helpers.courses import (
    ENVIRONMENT,
    TOOLS,
    autograder,
    copy_course,
    points,
    released_course,
)

from autograder.course.class_report import changes
from autograder.course.scores import standing, standings
from autograder.grading.job import Job
from autograder.tasks import assignments
from benchmarks import classes, made_up
from benchmarks.measure import measured

pytestmark = pytest.mark.sandbox


@pytest.fixture(scope="module")
def thirty(tmp_path_factory):
    """Return a course with made-up results of thirty students; nobody may change it."""
    course = released_course(tmp_path_factory.mktemp("thirty"))
    made_up.fill(course, 30)
    with course.api.gradebook as gradebook:
        for student in gradebook.students:
            student.first_name = "Zenobia"
        gradebook.db.commit()
    return course


@pytest.fixture
def facts(monkeypatch, tmp_path):
    """Return a function that runs the command and returns the facts about l2."""

    def run(course, *arguments):
        target = tmp_path / "facts.json"
        status, said = autograder(
            course, monkeypatch, "report", "--output", os.fspath(target), *arguments
        )
        assert status == 0, said
        [found] = json.loads(target.read_text(encoding="utf-8"))["assignments"]
        return found

    return run


def listed(people):
    return {person["student"]: person["detail"] for person in people["listed"]}


def test_it_tells_what_grading_found(copied, facts, monkeypatch):
    """Counts, points, mistakes and who needs a look agree with the gradebook; no code runs."""
    monkeypatch.setattr(Job, "run", pytest.fail)
    found, scores = facts(copied), points(copied)
    assert found["submitted"] == 10
    assert found["distribution"]["count"] == len(scores) == 9
    assert found["distribution"]["mean"] == pytest.approx(sum(scores.values()) / 9)
    tasks = {task["item"]["name"]: task for task in found["tasks"]}
    assert list(tasks) == ["l2_penalty", "l2_penalty_backward"]
    assert [(one["id"], one["count"]) for one in tasks["l2_penalty"]["mistakes"]] == [
        ("l2-missing-half", 1)
    ]
    assert "factor ½ is missing" in tasks["l2_penalty"]["mistakes"][0]["text"]
    assert "seconds" in listed(found["stopped"])["hangs"]
    assert {"hangs", "dies"} <= set(listed(found["stopped"]))
    assert list(listed(found["refused"])) == ["broken"]
    assert "no notebook" in listed(found["refused"])["broken"]


def test_who_has_points_by_hand_from_before_is_told(copied, facts):
    """The mark of nbgrader says that the work was graded again since."""
    with copied.api.gradebook as gradebook:
        for student, again in (("wrong", True), ("solved", False)):
            grade = gradebook.find_grade("check-l2_penalty", "l2", "l2", student)
            grade.manual_score, grade.needs_manual_grade = 1.5, again
        gradebook.db.commit()
    assert list(listed(facts(copied)["outdated"])) == ["wrong"]


def test_who_has_not_handed_in_is_told(copied, facts):
    """Everybody in the gradebook is expected to; a new submission is not graded yet."""
    with copied.api.gradebook as gradebook:
        gradebook.add_student("absent", first_name="Abe")
    found = facts(copied)
    assert found["missing"] == {
        "count": 1,
        "listed": [{"student": "absent", "name": "Abe", "detail": ""}],
    }
    solved = copied.folder("submitted", "solved", "l2") / "l2.ipynb"
    target = copied.folder("submitted", "absent", "l2") / "l2.ipynb"
    target.parent.mkdir(parents=True)
    target.write_bytes(solved.read_bytes())
    found = facts(copied)
    assert found["missing"]["count"] == 0
    assert list(listed(found["waiting"])) == ["absent"]


def test_a_folder_with_an_odd_name_is_refused(copied, facts, monkeypatch):
    """A folder's name can hold anything; the page shows it as text."""
    odd = "<script>hit=1<"
    (copied.root / "submitted" / odd / "l2").mkdir(parents=True)
    assert "rename it" in listed(facts(copied)["refused"])[odd]
    assert autograder(copied, monkeypatch, "report")[0] == 0
    page = (copied.root / "report.html").read_text(encoding="utf-8")
    assert "&lt;script&gt;hit=1&lt;" in page
    assert "<script" not in page


def test_a_lost_release_is_no_fault_of_a_submission(copied, facts):
    """What could not be read for that reason waits to be graded."""
    shutil.rmtree(copied.root / "release")
    found = facts(copied)
    assert list(listed(found["waiting"])) == ["broken"]
    assert found["refused"]["count"] == 0


def test_the_next_report_tells_what_changed(copied, facts):
    """Points given by hand and new submissions; then nothing more."""
    assert facts(copied)["changes"] is None
    with copied.api.gradebook as gradebook:
        gradebook.find_grade("check-l2_penalty", "l2", "l2", "wrong").manual_score = 1.5
        gradebook.db.commit()
    target = copied.folder("submitted", "new", "l2") / "l2.ipynb"
    target.parent.mkdir(parents=True)
    target.write_text("{}")
    found = facts(copied)["changes"]
    assert [one["student"] for one in found["new"]["listed"]] == ["new"]
    assert found["changed"] == [{"student": "wrong", "before": 3.0, "after": 4.5}]
    assert (found["up"], found["down"]) == (1, 0)
    found = facts(copied)["changes"]
    assert (found["new"]["count"], found["changed"]) == (0, [])


def test_names_that_the_course_gives_are_counted(copied, facts, monkeypatch):
    """As soon as a wrong answer has a name, it is a mistake as any other."""
    text = "You took a factor from somewhere."
    status, said = autograder(
        copied, monkeypatch, "name", "l2_penalty", "wrong", "odd-factor", text
    )
    assert status == 0, said
    mistakes = {one["id"]: one for one in facts(copied)["tasks"][0]["mistakes"]}
    assert (mistakes["odd-factor"]["count"], mistakes["odd-factor"]["text"]) == (1, text)


def test_a_shared_wrong_answer_can_be_named_by_its_command(thirty, tmp_path, facts, monkeypatch):
    """With a short name and a text in their places, the command does it for all who share it."""
    course = copy_course(thirty, tmp_path)
    [first, *_] = facts(course)["shared"]
    assert first["count"] == len(first["students"]) >= 2
    command = first["command"].replace("SHORT-NAME", "odd").replace('"TEXT"', "Odd.").split()
    assert command[0] == "autograder"
    status, said = autograder(course, monkeypatch, *command[1:])
    assert status == 0, said
    assert f"the answer of {first['count']} students" in said
    after = facts(course)
    [task] = [task for task in after["tasks"] if task["item"]["name"] == first["task"]]
    assert {"odd": first["count"]}.items() <= {
        m["id"]: m["count"] for m in task["mistakes"]
    }.items()


@pytest.mark.parametrize("suffix", ["html", "csv", "json"])
def test_without_names_no_student_can_be_found(thirty, tmp_path, monkeypatch, suffix):
    """Neither ids nor names nor paths, not even when something has changed; counts stay."""
    course = copy_course(thirty, tmp_path)
    target = tmp_path / f"report.{suffix}"
    arguments = ("report", "--output", os.fspath(target))
    assert autograder(course, monkeypatch, *arguments)[0] == 0
    named = target.read_text(encoding="utf-8")
    assert "student-" in named
    assert "Zenobia" in named
    kept = json.loads((course.root / changes.FILE).read_text())
    del kept["l2"]["points"]["student-0003"]
    kept["l2"]["points"]["student-0004"] = 0.25
    kept["l2"]["points"]["student-9999"] = 1.0
    (course.root / changes.FILE).write_text(json.dumps(kept))
    assert autograder(course, monkeypatch, *arguments, "--anonymous")[0] == 0
    text = target.read_text(encoding="utf-8")
    for secret in ("student-", "Zenobia", os.fspath(tmp_path), "ipynb"):
        assert secret not in text
    assert "autograder name" in text


def test_the_suffix_or_the_option_decides(copied, tmp_path, monkeypatch):
    """The option comes first; without either, a page is written into the course."""
    monkeypatch.chdir(tmp_path)
    for arguments, file, start in (
        ((), copied.root / "report.html", "<!DOCTYPE html>"),
        (("--format", "csv"), copied.root / "report.csv", "assignment,task,item"),
        (("--output", tmp_path / "a.json"), tmp_path / "a.json", "{"),
        (("--output", tmp_path / "b.txt", "--format", "html"), tmp_path / "b.txt", "<!DOCTYPE"),
    ):
        status, said = autograder(copied, monkeypatch, "report", *map(os.fspath, arguments))
        assert status == 0, said
        assert os.fspath(file) in said.replace("\n", "")
        assert file.read_text(encoding="utf-8").startswith(start)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("l3",), "No assignment 'l3'"),
        (("--format", "pdf"), "give the file the suffix .html, .csv or .json"),
        (("--output", "report"), "give the file the suffix .html, .csv or .json"),
        (("--output", "nowhere/report.csv"), "cannot be written"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(copied, monkeypatch, arguments, message):
    """With status 2, and the last points stay as they were."""
    status, said = autograder(copied, monkeypatch, "report", *arguments)
    assert status == 2
    assert message in said
    assert not (copied.root / changes.FILE).exists()


def test_a_course_without_results_has_a_report(tmp_path, facts):
    """Before anybody has handed in there is little to say, and nothing fails."""
    found = facts(released_course(tmp_path))
    assert (found["submitted"], found["tasks"], found["distribution"]["count"]) == (0, [], 0)


def test_scores_of_a_class_are_those_of_its_students(thirty):
    """A few queries for everybody find what the queries for each find."""
    found = standings(thirty, "l2")
    assert found
    for student, one in found.items():
        assert standing(thirty, "l2", student) == one


@pytest.mark.evidence
@pytest.mark.filterwarnings("ignore:Object of type")
def test_a_thousand_students(tmp_path):
    """All assignments, with made-up results: what a report costs, startup included."""
    course = classes.make(tmp_path / "class", range(0))
    made_up.fill(course, 1000)
    for suffix in ("html", "csv", "json"):
        target = tmp_path / f"report.{suffix}"
        command = [os.fspath(TOOLS / "autograder"), "report", "--output", os.fspath(target)]
        usage = measured(command, course.config_file.parent, ENVIRONMENT)
        print(
            f"\n{suffix}: {usage.seconds:.1f} s, {usage.cpu:.1f} processor seconds, peak "
            f"{usage.peak / 2**20:.0f} MB, file of {target.stat().st_size / 1000:.0f} kB"
        )
    with (tmp_path / "report.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    graded = [row for row in rows if (row["fact"], row["task"]) == ("graded", "")]
    assert len(graded) == len(assignments)
    assert all(int(row["value"]) > 900 for row in graded)
