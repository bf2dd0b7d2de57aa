"""The three forms of a report."""

import html
import json
import re
from email.message import Message

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autograder import distribution
from autograder.judging.report import Finding, Report, book_address
from autograder.task import Section

REPORT = Report(
    "dropout_forward",
    (
        Finding("size", False, "It is `1`; expected `2`.", "dropout-no-rescale", 0.0, 1.5),
        Finding("share kept", True, points=2.0, max_points=2.0),
        Finding("leaves <x> alone", False, "<script>alert(1)</script>", None, -0.5),
    ),
    printed="<img src=x onerror=alert(1)>",
)


def test_points_are_summed_and_never_negative():
    """Points are the sum of the findings', and costs cannot push them below zero."""
    assert REPORT.points == 1.5
    assert REPORT.max_points == 3.5
    assert not REPORT.passed
    assert Report("f", (Finding("a", False, "no", None, -2.0),)).points == 0


def test_json_says_what_the_text_says():
    """The JSON form carries points and every finding and survives a round trip."""
    data = json.loads(json.dumps(REPORT.to_dict()))
    assert data["points"] == 1.5
    assert data["findings"][0]["misconception"] == "dropout-no-rescale"
    assert [finding["passed"] for finding in data["findings"]] == [False, True, False]


def test_text_and_html_say_the_same():
    """Headline, aspects, points and messages stand in both."""
    text, page = str(REPORT), REPORT._repr_html_()
    headline = "dropout_forward: 1.5 of 3.5 points"
    for words in (headline, "1 of 3: share kept (2)", "0 of 1.5", "-0.5"):
        assert words in text
        assert words in page
    assert "It is `1`; expected `2`." in text
    assert "It is <code>1</code>; expected <code>2</code>." in page


def test_what_is_right_is_one_line():
    """It stands above what is wrong; an answer that is all right is nothing but this line."""
    right = [Finding(name, True, points=1.5, max_points=1.5) for name in ("values", "gradient")]
    text = str(Report("f", (right[0], Finding("size", False, "no", None, 0.0, 1.0), right[1])))
    assert text.splitlines()[2] == "  right  2 of 3: values (1.5), gradient (1.5)"
    report = Report("f", tuple(right))
    assert str(report) == "f: 3 of 3 points\n\n  right  values (1.5), gradient (1.5)"
    assert "values (1.5), gradient (1.5)" in report._repr_html_()


def test_numbers_stand_side_by_side_below_what_they_show():
    """In columns, in text and in HTML."""
    places = ("worst at", "got", "expected"), ("[2, 13]", "7", "-0.5"), ("[0, 1]", "<nan>", "1.25")
    wrong = Finding("size", False, "It differs.", None, 0.0, 1.0, places=places)
    report = Report("f", (wrong,))
    lines = (
        "worst at    got  expected",
        "[2, 13]       7      -0.5",
        "[0, 1]    <nan>      1.25",
    )
    assert "\n".join(["It differs.", *(f"           {line}" for line in lines)]) in str(report)
    cells = re.findall(r"<t[dh] [^>]*tabular-nums[^>]*>([^<]*)<", report._repr_html_())
    assert cells == [html.escape(text) for row in places for text in row]


def test_lines_fit_into_a_terminal():
    """A terminal has 80 columns, and a line that it wraps itself cannot be read."""
    words = "A word and `another` of a sentence that goes on. " * 5
    names = [Finding(f"aspect {n}", True, points=1.0, max_points=1.0) for n in range(20)]
    report = Report("f", (*names, Finding("size", False, words, None, 0.0, 1.0)))
    assert max(map(len, str(report).splitlines())) <= 80


def test_html_escapes_everything():
    """Nothing that stands in names, messages or prints becomes live markup."""
    page = REPORT._repr_html_()
    assert "<script>" not in page
    assert "<img" not in page
    assert "&lt;script&gt;" in page
    assert "leaves &lt;x&gt; alone" in page


def test_a_message_is_told_once():
    """When several aspects fail for one reason, the reason is not repeated."""
    same = tuple(Finding(name, False, "Not written yet.", None, 0.0, 1.0) for name in "abc")
    text = str(Report("f", same))
    assert text.count("Not written yet.") == 1
    assert text.count("As above.") == 2


def test_an_explanation_is_told_once():
    """When a mistake spoils two aspects, each tells its numbers and the first the explanation."""
    findings = tuple(
        Finding(name, False, f"`{name}` differs.\nYou forgot the scale.", "x", 0.0, 1.0)
        for name in "ab"
    )
    report = Report("f", findings)
    for text in (str(report), report._repr_html_()):
        assert text.count("You forgot the scale.") == 1
        assert "As above." not in text
    assert "`b` differs." in str(report)


def test_only_the_same_mistake_is_called_the_same():
    """What two mistakes, or two aspects without a name, have in common is told once and apart."""
    together = "Two mistakes together explain all numbers."

    def text(*named):
        messages = (f"{what}\n{together}\n`{aspect}` differs." for aspect, what, _ in named)
        findings = (
            Finding(aspect, False, message, mistake, 0.0, 1.0)
            for (aspect, _, mistake), message in zip(named, messages, strict=True)
        )
        return str(Report("f", tuple(findings)))

    two = text(("a", "No scale. (x)", "x"), ("b", "No mask. (y)", "y"))
    assert "The same mistake" not in two
    assert "The same mistake (x)." in text(("a", "No scale. (x)", "x"), ("b", "No scale. (x)", "x"))
    assert text(("a", "It is 0.", None), ("b", "It is 0.", None)).count("As above.") == 1
    assert "As above." not in text(("a", "It is 0.", None), ("b", "It is 1.", None))


@pytest.fixture
def published(monkeypatch):
    """Return a function that installs the package with some URLs of the project."""

    def publish(*urls):
        package = Message()
        for url in urls:
            package["Project-URL"] = url
        monkeypatch.setattr(distribution.metadata, "metadata", lambda name: package)
        book_address.cache_clear()

    yield publish
    monkeypatch.undo()
    book_address.cache_clear()


def test_the_book_is_where_the_project_says(published):
    """The address of its documentation ends with one slash, however it was written."""
    for url in ("https://example.org/course", "https://example.org/course/"):
        published("Source, https://example.org/source", f"Documentation, {url}")
        assert book_address() == "https://example.org/course/"


def test_a_book_without_an_address_has_none(published, monkeypatch):
    """Other URLs of the project are not the book; a package that is not installed has none."""
    published("Source, https://example.org/source")
    assert book_address() == ""
    published()
    assert book_address() == ""

    def not_installed(name):
        raise distribution.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(distribution.metadata, "metadata", not_installed)
    book_address.cache_clear()
    assert book_address() == ""


def test_links_are_shown_once_the_book_has_an_address(published):
    """Before that no link can lead anywhere; the place is data all the same."""
    place = Section("book/dropout", "Dropout", 'dropout-"mask', "The <mask>")
    report = Report("f", (Finding("a", False, "no", None, 0.0, 1.0, (place,)),))
    published()
    assert "href" not in report._repr_html_()
    published("Documentation, https://example.org/course")
    page = report._repr_html_()
    assert 'href="https://example.org/course/book/dropout.html#dropout-&quot;mask"' in page
    assert "The &lt;mask&gt;</a>" in page


TEXTS = st.text(max_size=20)
SECTIONS = st.builds(Section, TEXTS, TEXTS, TEXTS, TEXTS)
QUARTERS = st.integers(-40, 40).map(lambda number: number / 4)
FINDINGS = st.builds(
    Finding,
    TEXTS,
    st.booleans(),
    TEXTS,
    st.none() | TEXTS,
    QUARTERS,
    QUARTERS.map(abs),
    st.lists(SECTIONS, max_size=2).map(tuple),
    st.lists(st.tuples(TEXTS, TEXTS, TEXTS), max_size=2).map(tuple),
)


@settings(max_examples=50)
@given(st.builds(Report, TEXTS, st.lists(FINDINGS, max_size=3).map(tuple), TEXTS))
def test_a_report_comes_back_from_json_as_it_was(report):
    """What is kept of a grading is what was found, links and costs included."""
    assert Report.from_dict(json.loads(json.dumps(report.to_dict()))) == report
