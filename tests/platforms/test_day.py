"""An instructor's whole day: what 25 students handed in, graded, and back where it came from."""

import json
from functools import partial

import pytest
from helpers import read_back
from helpers.courses import STUB, answered, points
from platforms import samples
from platforms.given_back import PLATFORMS
from platforms.samples import CLASS

pytestmark = pytest.mark.sandbox

SUM = "weight_decay * sum(float((weight**2).sum()) for weight in weights)"
PENALTIES = {
    f"return 0.5 * {SUM}": 3,
    f"return {SUM}": 0,
    f"return 3.3 * {SUM}": 0,
    "raise ValueError('no idea')": 0,
    STUB: 0,
}
"""Answers to the first task, and their points; no two students of one name have the same."""
GRADIENTS = {
    "return [weight_decay * weight for weight in weights]": 3,
    "return [-weight_decay * weight for weight in weights]": 0,
}


def answers_of(student):
    """Return a student's answers with their points."""
    tables = ([*PENALTIES.items()], [*GRADIENTS.items()])
    return [table[student.number % len(table)] for table in tables]


def notebook_of(course, student):
    """Return what a student hands in; the first answer says whose it is, so the page does, too."""
    (penalty, _), (gradient, _) = answers_of(student)
    return answered(
        course,
        l2_penalty=f"# written by number {student.number}\n    {penalty}",
        l2_penalty_backward=gradient,
    )


@pytest.mark.parametrize("platform", PLATFORMS)
def test_the_day(collecting, platform, results):
    """25 of 25 are collected, graded, reported and given back: all get their own grade and page."""
    download, own_id, sheet, read = PLATFORMS[platform]
    course = collecting.course

    collecting.collect(download(partial(notebook_of, course)))
    assert collecting.status == 0, collecting.said
    assert collecting.last_line == "25 collected, 0 replaced, 0 unchanged, 0 set aside"
    numbers = {student: number for student, (number, _) in collecting.submitted().items()}
    assert sorted(numbers.values()) == [student.number for student in CLASS]

    collecting.grade(results)
    assert collecting.status == 0, collecting.said
    earned = {numbers[student]: score for student, score in points(course).items()}
    assert earned == {s.number: sum(points for _, points in answers_of(s)) for s in CLASS}

    collecting.run("report", "--output", collecting.folder / "report.json")
    assert collecting.status == 0, collecting.said
    [facts] = json.loads((collecting.folder / "report.json").read_text())["assignments"]
    assert (facts["submitted"], facts["distribution"]["count"]) == (25, 25)
    assert facts["distribution"]["mean"] == pytest.approx(sum(earned.values()) / 25)
    assert not any(facts[kind]["count"] for kind in ("missing", "stopped", "refused", "waiting"))

    grades, pages = read(collecting.give_back(platform, sheet(CLASS)), CLASS)
    assert collecting.status == 0, collecting.said
    assert collecting.last_line == "25 grades, 25 feedback pages"
    assert grades == {getattr(s, own_id): f"{earned[s.number]:g}" for s in CLASS}
    assert pages.keys() == grades.keys()
    for student in CLASS:
        page = pages[getattr(student, own_id)].decode()
        assert f"written by number {student.number}<" in page
        assert f"{earned[student.number]:g} of 6 points" in page


def test_the_day_with_names_only(collecting, results):
    """Google Classroom has no ids: 21 get their grade and page, the 4 namesakes are named."""
    collecting.collect(
        samples.google(partial(notebook_of, collecting.course)), roster=samples.roster()
    )
    assert collecting.last_line.startswith("21 collected, 0 replaced, 0 unchanged, 3 set aside")
    numbers = {student: number for student, (number, _) in collecting.submitted().items()}
    assert sorted({*numbers.values()} | {1, 2, 7, 8}) == [student.number for student in CLASS]
    record = json.loads((collecting.course.root / "downloads/submissions.zip.json").read_text())
    aside = [entry for entry in record["entries"] if entry["outcome"] == "set aside"]
    assert {entry["name"] for entry in aside} == {CLASS[number].name for number in (1, 2, 7, 8)}
    assert all("may be of several students in the roster" in entry["why"] for entry in aside)

    collecting.grade(results)
    assert collecting.status == 0, collecting.said
    files = collecting.give_back("csv")
    header, rows = read_back.table(files["grades.csv"])
    score = header.index("score")
    assert {numbers[row[0]]: float(row[score]) for row in rows} == {
        student.number: sum(points for _, points in answers_of(student))
        for student in CLASS
        if student.number in numbers.values()
    }
    pages = read_back.unzipped(files["l2_feedback.zip"])
    for student, number in numbers.items():
        assert f"written by number {number}<" in pages[f"{student}/l2.html"].decode()
