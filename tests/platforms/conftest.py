"""A released course for each test, and a shortcut to collect in it."""

import shutil

import pytest
from helpers.bundles import Place
from helpers.courses import answered, autograder, released_course
from platforms.samples import whose

from autograder.course import seals
from autograder.grading.results import FOLDER


def pytest_collection_modifyitems(items):
    """Let nbgrader use SQLAlchemy as it does."""
    for item in items:
        if "/tests/platforms/" in str(item.path):
            item.add_marker(pytest.mark.filterwarnings("ignore:Object of type"))


class Collecting:
    """A course, and what collecting in it says."""

    def __init__(self, folder, monkeypatch):
        self.course = released_course(folder)
        self.base = answered(self.course)
        self.folder = folder
        self._monkeypatch = monkeypatch
        self.status, self.said = None, ""

    def collect(self, *contents, roster=None, name="submissions.zip", options=()):
        """Collect downloads, with a roster or without; return whose notebook is where."""
        paths = []
        for number, content in enumerate(contents):
            path = self.folder / f"given {number}" / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)
            paths.append(path)
        if roster is not None:
            (self.folder / "roster.csv").write_bytes(roster)
            options = ["--roster", str(self.folder / "roster.csv"), *options]
        self.run("collect", *paths, *options)
        return self.submitted()

    def run(self, *arguments):
        """Run a command."""
        texts = [str(argument) for argument in arguments]
        self.status, self.said = autograder(self.course, self._monkeypatch, *texts)
        return self.said

    def submitted(self, assignment="l2"):
        """Return the number of the author of each notebook, and the attempt, by folder."""
        return {
            student: whose(
                (
                    self.course.folder("submitted", student, assignment) / f"{assignment}.ipynb"
                ).read_bytes()
            )
            for student in self.course.submitted(assignment)
        }

    def grade(self, results):
        """Grade everybody; results in a folder are used, and new ones put there."""
        kept = self.course.root / FOLDER
        shutil.copytree(results, kept)
        self.run("grade", "--jobs", "1")
        shutil.copytree(kept, results, dirs_exist_ok=True)

    def give_points(self, points=None, without_page=()):
        """Record a score and a feedback page of everybody; points follow from the author's number.

        `points` maps a number to points; otherwise each has a quarter more than the one before.
        """
        with self.course.api.gradebook as gradebook:
            for student, (number, _) in self.submitted().items():
                gradebook.update_or_create_student(student)
                submission = gradebook.update_or_create_submission("l2", student)
                rest = points_of(number) if points is None else points.get(number)
                grades = submission.notebooks[0].grades
                for grade in grades:
                    grade.auto_score = None if rest is None else min(rest, grade.max_score)
                    rest = None if rest is None else rest - grade.auto_score
                given = {grade.name: grade.auto_score for grade in grades}
                seals.write(self.course.root, "l2", student, given)
                page = self.course.folder("feedback", student, "l2") / "l2.html"
                if number not in without_page:
                    page.parent.mkdir(parents=True, exist_ok=True)
                    page.write_bytes(page_of(number))
            gradebook.db.commit()

    def give_back(self, to, sheet=None, name="sheet.csv", options=()):
        """Return what `autograder return` writes, by the names of the files."""
        arguments = []
        if sheet is not None:
            (self.folder / name).write_bytes(sheet)
            arguments = [self.folder / name]
        self.run("return", "--to", to, *arguments, *options)
        written = self.course.root / "returned" / to
        return (
            {path.name: path.read_bytes() for path in written.iterdir()} if written.exists() else {}
        )

    @property
    def last_line(self):
        return self.said.strip().splitlines()[-1]


def points_of(number):
    """Return the points of a student; the first has none, and the 25th all."""
    return number / 4


def page_of(number):
    """Return the feedback page of a student."""
    return f"<p>page of {number}</p>".encode()


@pytest.fixture(scope="session")
def results(tmp_path_factory):
    """Return a folder of results that courses share, so that no notebook runs twice."""
    return tmp_path_factory.mktemp("results")


@pytest.fixture
def collecting(tmp_path, monkeypatch):
    """Return a released course to collect in."""
    return Collecting(tmp_path, monkeypatch)


@pytest.fixture
def place(tmp_path):
    """Return a course whose bundle is unpacked."""
    return Place(tmp_path)
