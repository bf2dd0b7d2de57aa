"""Each platform's download and sheet, and what it makes of what comes back: grades and pages.

`PLATFORMS` has a row for each: the download, the platform's id of a student, the sheet that it
exports, and a function that reads what `autograder return` wrote.  That returns grades as texts and
pages, both by the platform's id.
"""

from helpers import read_back
from platforms import samples

TEST_STUDENT = "4699"


def _canvas(files, students):
    grades = read_back.canvas_grades(files["sheet.csv"], 4711)
    assert grades.pop(TEST_STUDENT) == ""
    pages = read_back.canvas_feedback(files["l2_feedback.zip"], {s.canvas for s in students})
    return grades, pages


def _moodle(files, students):
    grades = read_back.moodle_grades(files["sheet.csv"])
    return grades, read_back.moodle_feedback(files["l2_feedback.zip"])


def _gradescope(files, students):
    header, rows = read_back.table(files["sheet.csv"])
    email, grade = header.index("Email"), header.index("L2")
    grades = {row[email]: row[grade] for row in rows}
    found = read_back.gradescope(files["l2_feedback.zip"])
    of = {f"submission_{9000 - s.number}": s.email for s in students}
    for folder, (_, results) in found.items():
        assert results["score"] == float(grades[of[folder]])
    return grades, {of[folder]: page for folder, (page, _) in found.items()}


def _classroom50(files, students):
    results = read_back.classroom50(files["l2_results.json"])
    grades = {owner: f"{points:g}" for owner, points in results.items()}
    pages = read_back.unzipped(files["l2_feedback.zip"])
    return grades, {
        name.removeprefix("l2-").removesuffix("/l2.html"): page for name, page in pages.items()
    }


def _accounts(files, students):
    _, rows = read_back.table(files["sheet.csv"])
    pages = read_back.unzipped(files["l2_feedback.zip"])
    return {login: grade for login, _, grade in rows}, {
        name.removesuffix("/l2.html"): page for name, page in pages.items()
    }


def _no_sheet(students):
    return None


def _list_of_accounts(students):
    rows = [[student.login, student.name, ""] for student in students]
    return samples.table(["Username", "Name", "l2"], rows)


PLATFORMS = {
    "canvas": (samples.canvas, "canvas", samples.canvas_gradebook, _canvas),
    "moodle": (samples.moodle, "moodle", samples.moodle_worksheet, _moodle),
    "gradescope": (samples.gradescope, "email", samples.gradescope_grades, _gradescope),
    "classroom50": (samples.classroom50, "login", _no_sheet, _classroom50),
    "csv": (samples.folder, "login", _list_of_accounts, _accounts),
}
