"""A released course for each test, and a shortcut to collect in it."""

import pytest
from helpers.courses import answered, autograder, released_course
from platforms.samples import whose


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

    @property
    def last_line(self):
        return self.said.strip().splitlines()[-1]


@pytest.fixture
def collecting(tmp_path, monkeypatch):
    """Return a released course to collect in."""
    return Collecting(tmp_path, monkeypatch)
