"""Grades and pages reach the student who earned them, and nothing else changes in a sheet."""

import csv
import io
import json

import pytest
from helpers import read_back
from platforms import samples
from platforms.conftest import page_of, points_of
from platforms.samples import CLASS


def written(number):
    """Return the points of a student as a sheet has them."""
    return f"{points_of(number):g}"


@pytest.mark.parametrize(
    ("delimiter", "encoding"), [(",", "utf-8"), (",", "utf-8-sig"), (";", "utf-16")]
)
@pytest.mark.parametrize("with_roster", [False, True])
def test_canvas(collecting, delimiter, encoding, with_roster):
    """25 of 25, by the number of the user; one page each under the name that came."""
    sheet = samples.canvas_gradebook(delimiter=delimiter, encoding=encoding)
    collecting.collect(samples.canvas(collecting.base), roster=sheet if with_roster else None)
    collecting.give_points()
    files = collecting.give_back("canvas", sheet)
    assert collecting.status == 0, collecting.said
    grades = read_back.canvas_grades(files["sheet.csv"], 4711)
    assert grades == {s.canvas: written(s.number) for s in CLASS} | {"4699": ""}
    pages = read_back.canvas_feedback(files["l2_feedback.zip"], {s.canvas for s in CLASS})
    assert pages == {s.canvas: page_of(s.number) for s in CLASS}
    assert collecting.last_line == "25 grades, 25 feedback pages"
    assert only_grades_differ(sheet, files["sheet.csv"], {6})


def only_grades_differ(before, after, columns):
    """Return whether two sheets differ in some columns at most."""
    if before[:3] != after[:3]:
        return False
    one, two = read_back.table(before), read_back.table(after)
    return one[0] == two[0] and all(
        [cell for n, cell in enumerate(x) if n not in columns]
        == [cell for n, cell in enumerate(y) if n not in columns]
        for x, y in zip(one[1], two[1], strict=True)
    )


@pytest.mark.parametrize("language", ["English", "German"])
@pytest.mark.parametrize("shape", samples.MOODLE_SHAPES)
@pytest.mark.parametrize("with_roster", [False, True])
def test_moodle(collecting, language, shape, with_roster):
    """25 of 25, in the site's language; pages go into the folders that came."""
    sheet = samples.moodle_worksheet(language=language)
    content = samples.moodle(collecting.base, shape=samples.MOODLE_SHAPES[shape])
    collecting.collect(content, roster=sheet if with_roster else None)
    collecting.give_points()
    files = collecting.give_back("moodle", sheet)
    assert collecting.status == 0, collecting.said
    titles = {"German": ("ID", "Bewertung", "(Bewertung)"), "English": ()}[language]
    grades = read_back.moodle_grades(files["sheet.csv"], *titles)
    assert grades == {s.moodle: written(s.number) for s in CLASS}
    pages = read_back.moodle_feedback(files["l2_feedback.zip"])
    assert pages == {s.moodle: page_of(s.number) for s in CLASS}
    assert only_grades_differ(sheet, files["sheet.csv"], {5})


@pytest.mark.parametrize("with_roster", [False, True])
def test_gradescope(collecting, with_roster):
    """25 of 25, by address; a folder for each submission, with its results."""
    sheet = samples.gradescope_grades()
    roster = samples.roster() if with_roster else None
    collecting.collect(samples.gradescope(collecting.base), roster=roster)
    collecting.give_points()
    files = collecting.give_back("gradescope", sheet)
    assert collecting.status == 0, collecting.said
    header, rows = read_back.table(files["sheet.csv"])
    assert {row[header.index("Email")]: row[header.index("L2")] for row in rows} == {
        s.email: written(s.number) for s in CLASS
    }
    assert only_grades_differ(sheet, files["sheet.csv"], {3})
    found = read_back.gradescope(files["l2_feedback.zip"])
    for student in CLASS:
        page, results = found[f"submission_{9000 - student.number}"]
        assert page == page_of(student.number)
        assert results["score"] == points_of(student.number)
        assert sum(test["score"] for test in results["tests"]) == results["score"]
    assert len(found) == len(CLASS)


@pytest.mark.parametrize("with_roster", [False, True])
def test_classroom50(collecting, with_roster):
    """25 of 25 results, in whole numbers; what the platform knows stays."""
    roster = samples.roster() if with_roster else None
    collecting.collect(samples.classroom50(collecting.base), roster=roster)
    collecting.give_points()
    given = [{"owner": "user-3", "assignment": "l2", "commit": "abc", "classroom": "fall"}]
    files = collecting.give_back("classroom50", json.dumps(given).encode(), name="given.json")
    assert collecting.status == 0, collecting.said
    results = read_back.classroom50(files["l2_results.json"])
    assert results == {s.login: points_of(s.number) for s in CLASS}
    [kept] = [r for r in json.loads(files["l2_results.json"]) if r["owner"] == "user-3"]
    assert (kept["commit"], kept["classroom"]) == ("abc", "fall")
    pages = read_back.unzipped(files["l2_feedback.zip"])
    assert pages == {f"l2-{s.login}/l2.html": page_of(s.number) for s in CLASS}


def test_any_sheet_with_accounts(collecting):
    """A roster with one more column; a folder for each student."""
    collecting.collect(samples.folder(collecting.base))
    collecting.give_points()
    rows = [[student.login, student.name, ""] for student in CLASS]
    sheet = samples.table(["Username", "Name", "Homework l2"], rows, ";")
    files = collecting.give_back("csv", sheet)
    _, found = read_back.table(files["sheet.csv"])
    assert found == [[s.login, s.name, written(s.number)] for s in CLASS]
    pages = read_back.unzipped(files["l2_feedback.zip"])
    assert pages == {f"{s.login}/l2.html": page_of(s.number) for s in CLASS}


def test_a_table_of_our_own_has_no_formulas(collecting):
    """Names are the students' own, so a spreadsheet must not run them; numbers stay numbers."""
    collecting.collect(samples.moodle(collecting.base))
    collecting.give_points()
    content = collecting.give_back("csv")["grades.csv"]
    rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))
    assert {float(row["score"]) for row in rows} == {points_of(s.number) for s in CLASS}
    assert all(not cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row.values())
    assert "'=cmd" in content.decode("utf-8-sig")


def test_the_test_student_of_canvas_is_nobody(collecting):
    """Whoever has not handed in is named, and it has nothing to hand in."""
    collecting.collect(samples.canvas(collecting.base, CLASS[:1]))
    collecting.give_points()
    collecting.give_back("canvas", samples.canvas_gradebook(CLASS[:2]))
    lines = {" ".join(line.split()) for line in collecting.said.splitlines()}
    assert f"nothing handed in 1 {CLASS[1].login}" in lines


def test_none_excused_refused_and_zero_are_told_apart(collecting):
    """Only a grade is written; whatever a cell says of the others stays."""
    collecting.collect(samples.canvas(collecting.base, CLASS[:4]))
    collecting.give_points({0: 0.0, 1: None, 2: 3.0, 3: 1.0})
    sheet = samples.canvas_gradebook(CLASS[:6], grades={1: "5.00", 2: "EX", 3: "2.00", 5: "4.00"})
    files = collecting.give_back("canvas", sheet)
    grades = read_back.canvas_grades(files["sheet.csv"], 4711)
    assert [grades[s.canvas] for s in CLASS[:6]] == ["0", "5.00", "EX", "1", "", "4.00"]
    assert collecting.status == 1
    lines = {" ".join(line.split()) for line in collecting.said.splitlines()}
    assert "not graded 1 weiwang-4701" in lines
    assert "excused 1 weiwang-4702" in lines
    assert collecting.last_line == "2 grades, 3 feedback pages"


def test_who_is_not_in_the_sheet_is_named(collecting):
    """And gets no other row."""
    collecting.collect(samples.canvas(collecting.base, CLASS[:3]))
    collecting.give_points()
    files = collecting.give_back("canvas", samples.canvas_gradebook(CLASS[1:3]))
    assert collecting.status == 1
    assert "adalovelace-4700" in collecting.said
    assert set(read_back.canvas_grades(files["sheet.csv"], 4711)) == {"4701", "4702", "4699"}


def test_a_missing_page_is_named(collecting):
    """The grade goes back all the same."""
    collecting.collect(samples.canvas(collecting.base, CLASS[:3]))
    collecting.give_points(without_page=[1])
    files = collecting.give_back("canvas", samples.canvas_gradebook(CLASS[:3]))
    assert collecting.status == 1
    assert "no feedback page" in collecting.said
    assert len(read_back.unzipped(files["l2_feedback.zip"])) == 2
    assert collecting.last_line == "3 grades, 2 feedback pages"


def test_other_points_on_the_platform_are_noticed(collecting):
    """Nothing is scaled."""
    collecting.collect(samples.moodle(collecting.base, CLASS[:3]))
    collecting.give_points()
    sheet = samples.moodle_worksheet(CLASS[:3], most="100,00")
    files = collecting.give_back("moodle", sheet)
    assert "out of 6 points here and out of 100 in the sheet" in " ".join(collecting.said.split())
    # Where numbers have a comma, so do grades.
    assert [*read_back.moodle_grades(files["sheet.csv"]).values()] == ["0", "0,25", "0,5"]


def test_members_of_a_group_get_the_same(collecting):
    """Each in the own row of Moodle's sheet."""
    content = samples.notebook_of(CLASS[4], collecting.base)
    download = samples.zipped({"Team A_77_assignsubmission_file/l2.ipynb": content})
    sheet = samples.moodle_worksheet(CLASS[:3], groups={0: "Team A", 1: "Team A"})
    collecting.collect(download, roster=sheet)
    collecting.give_points()
    files = collecting.give_back("moodle", sheet)
    grades = read_back.moodle_grades(files["sheet.csv"])
    assert [grades[s.moodle] for s in CLASS[:3]] == ["1", "1", ""]
    assert read_back.moodle_feedback(files["l2_feedback.zip"]) == {"77": page_of(4)}


@pytest.mark.parametrize(
    ("to", "sheet", "advice"),
    [
        ("canvas", b"a,b\n1,2\n", "no columns Student, ID and Section"),
        ("canvas", b"Student,ID,Section,Essay (1)\n", "--column TITLE; there are 'Essay (1)'"),
        ("moodle", b"a,b\n1,2\n", "no column Identifier"),
        ("gradescope", b"a,b\n1,2\n", "no column Email or SID"),
        ("csv", b"a,b\n1,2\n", "no column such as student"),
        ("classroom50", b"a,b\n1,2\n", "no JSON file of results"),
        ("canvas", b"", "The sheet is empty"),
        ("canvas", b'a,"b\n1,2\n', "not closed"),
    ],
)
def test_a_wrong_sheet_is_one_line(collecting, to, sheet, advice):
    """That says what to do, with status 2; nothing is written."""
    assert collecting.give_back(to, sheet) == {}
    assert collecting.status == 2
    assert advice in collecting.said
    assert len(collecting.said.strip().splitlines()) == 1


@pytest.mark.sandbox
def test_from_the_download_to_the_grade(collecting):
    """With real grading; what was handed in again since is not given back under the old grade."""
    collecting.collect(samples.canvas(collecting.base, CLASS[:2]))
    collecting.run("grade", "--jobs", "1")
    assert collecting.status == 0, collecting.said
    files = collecting.give_back("canvas", samples.canvas_gradebook(CLASS[:3]))
    grades = read_back.canvas_grades(files["sheet.csv"], 4711)
    assert [grades[s.canvas] for s in CLASS[:3]] == ["6", "6", ""]
    pages = read_back.canvas_feedback(files["l2_feedback.zip"], {"4700", "4701"})
    assert all(b"6 of 6 points" in page for page in pages.values())
    collecting.collect(samples.canvas(collecting.base, CLASS[:1], attempt=2), name="again.zip")
    files = collecting.give_back("canvas", samples.canvas_gradebook(CLASS[:3]))
    grades = read_back.canvas_grades(files["sheet.csv"], 4711)
    assert [grades[s.canvas] for s in CLASS[:3]] == ["", "6", ""]
    assert "changed since it was graded: grade again" in collecting.said
