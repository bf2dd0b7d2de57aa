"""Students with names that attack spreadsheets, pages, folders or each other lose nothing."""

import csv
import io
import json
import re
import unicodedata
from dataclasses import dataclass
from functools import partial

import pytest
from helpers import read_back
from helpers.courses import answered, points
from helpers.pages import Page
from platforms import samples
from platforms.given_back import PLATFORMS

pytestmark = pytest.mark.sandbox

NAMES = [
    "=cmd|'/c calc'!A1",
    '<script>alert(1)</script><img src=x onerror="alert(1)">',
    "\u202eevil\u202c \u2066name\u2069",
    "../..",
    "X" * 300,
    "Sam Twin",
    "Sam Twin",
    "Ada Case",
    "ada case",
    "Zoé Twin",
    unicodedata.normalize("NFD", "Zoé Twin"),
    "Eve, 6, 0, 6",
]
FORMULAS = ("=", "+", "-", "@")


@dataclass(frozen=True)
class Hostile(samples.Student):
    """A student whose account and address are as hostile as the name."""

    @property
    def login(self):
        account = self.name.replace("/", "_")
        is_second = self.number == 6 or self.number >= len(NAMES)
        return f"{account} {self.number}" if is_second else account

    @property
    def email(self):
        return f"=1+{self.number}@example.edu"

    @property
    def sid(self):
        return f"@SUM(A{self.number})"


CLASS = [Hostile(number, name) for number, name in enumerate(NAMES)]
ABSENT = [Hostile(number + len(NAMES), f"{name} too") for number, name in enumerate(NAMES)]


def notebook_of(course, student):
    """Return a right answer of which one can tell whose it is."""
    answer = "return 0.5 * weight_decay * sum(float((w**2).sum()) for w in weights)"
    return answered(course, l2_penalty=f"# written by number {student.number}\n    {answer}")


def rows(content):
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def no_formulas(content):
    cells = [cell for row in rows(content) for cell in row.values() if cell]
    return cells and not any(cell.lstrip().startswith(FORMULAS) for cell in cells)


def collected(collecting, platform, roster=None):
    """Return the number of each student who was collected, by the folder; all must be."""
    download, *_ = PLATFORMS[platform]
    base = partial(notebook_of, collecting.course)
    numbers = {
        student: number
        for student, (number, _) in collecting.collect(download(base, CLASS), roster=roster).items()
    }
    assert collecting.status == 0, collecting.said
    assert sorted(numbers.values()) == [student.number for student in CLASS]
    for student in numbers:
        assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._@+-]*", student)
        assert len(student) <= 100
    assert len({student.casefold() for student in numbers}) == len(CLASS)
    return numbers


@pytest.mark.parametrize("platform", PLATFORMS)
def test_all_are_collected_without_a_roster(collecting, platform):
    """Each into a folder with a plain name."""
    collected(collecting, platform)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_nothing_breaks_runs_or_is_lost(collecting, platform, results):
    """All 12 get their own grade and page; tables have no formulas, and pages no live markup."""
    _, own_id, sheet, read = PLATFORMS[platform]
    course = collecting.course
    everybody = [*CLASS, *ABSENT]
    numbers = collected(collecting, platform, sheet(everybody) or samples.roster(everybody))

    collecting.grade(results)
    assert collecting.status == 0, collecting.said
    assert {*points(course).values()} == {6}
    assert len(points(course)) == len(CLASS)

    reports = {name: collecting.folder / f"report.{name}" for name in ("html", "csv", "json")}
    for path in reports.values():
        collecting.run("report", "--output", path)
        assert collecting.status == 0, collecting.said
    assert_harmless(reports["html"])
    assert no_formulas(reports["csv"].read_bytes())
    [facts] = json.loads(reports["json"].read_text())["assignments"]
    assert facts["missing"]["count"] == len(ABSENT)

    collecting.run("export")
    assert no_formulas((course.root / "grades.csv").read_bytes())
    assert {row["max_score"] for row in rows((course.root / "grades.csv").read_bytes())} == {"6.0"}

    files = collecting.give_back(platform, sheet(CLASS))
    assert collecting.status == 0, collecting.said
    grades, pages = read(files, CLASS)
    assert grades == {getattr(student, own_id): "6" for student in CLASS}
    # In a plain folder, pages are in folders of the course's own names.
    whose = numbers if platform == "csv" else {getattr(s, own_id): s.number for s in CLASS}
    assert whose == {
        owner: int(re.search(rb"written by number (\d+)<", page)[1])
        for owner, page in pages.items()
    }
    for name in read_back.unzipped(files["l2_feedback.zip"]):
        assert not name.startswith("/")
        assert ".." not in name.split("/")

    table = collecting.give_back("csv")["grades.csv"]
    assert no_formulas(table)
    assert {row["student"]: float(row["score"]) for row in rows(table)} == points(course)
    assert "\x1b" not in collecting.said
    assert "\u202e" not in collecting.said


def assert_harmless(path):
    """Assert that a page runs and loads nothing, and that its text goes in one direction."""
    page = Page(path)
    assert page.fetched == []
    assert page.images == []
    assert "<script" not in page.source
    assert not any(unicodedata.bidirectional(c) in ("RLO", "LRI", "PDI") for c in page.source)
