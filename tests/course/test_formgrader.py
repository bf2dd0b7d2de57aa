"""Formgrader in a real browser: a person's comment and points reach the student, and stay."""

from urllib.parse import urlsplit

import pytest
from helpers.courses import answered, copy_course, hand_in, points
from helpers.formgrader import formgrader

from autograder.course.enrollment import Student, enroll
from autograder.course.grading import grade
from autograder.course.scores import standings

pytestmark = [pytest.mark.sandbox, pytest.mark.filterwarnings("ignore:Object of type")]

SCORE = "#check-l2_penalty"
COMMENT = "#l2_penalty-comment"


@pytest.fixture
def open_page(graded, tmp_path, browser):
    """Serve a copy of the course; return it, an open page, its address, and who was asked."""
    course = copy_course(graded, tmp_path)
    enroll(course, [Student("doubled", "Ada <b>Lovelace</b>", "ada@example.org")])
    with formgrader(course) as api:
        page, asked, wrong = browser.new_page(), set(), []
        page.set_default_timeout(120_000)
        page.on("request", lambda request: asked.add(urlsplit(request.url).netloc))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        yield course, page, api.removesuffix("/api"), asked
        assert asked == {urlsplit(api).netloc}
        assert not wrong
        page.close()


def open_submission(page, address, student):
    page.goto(f"{address}/manage_students/{student}/l2")
    page.wait_for_load_state("networkidle")
    page.click("table a >> text=l2")
    page.wait_for_selector(SCORE)
    # Before its scripts have asked for the points, formgrader saves nothing.
    page.wait_for_load_state("networkidle")
    page.wait_for_function("MathJax.loaded")


def save(page, field, value):
    """Fill in a field and leave it, which saves it; wait for formgrader's answer."""
    with page.expect_response(lambda response: response.request.method == "PUT") as saved:
        page.fill(field, value)
        page.press(field, "Tab")
    assert saved.value.ok


def test_every_page_shows_names_and_asks_nobody_else(open_page):
    """Formulas are typeset without a network, and markup in a name is text."""
    _, page, address, _ = open_page
    for path in ("gradebook/l2/l2", "manage_students", "manage_submissions/l2"):
        page.goto(f"{address}/{path}")
        page.wait_for_load_state("networkidle")
    assert "‹b›Lovelace‹/b›, Ada" in page.inner_text("body")
    open_submission(page, address, "doubled")
    assert page.evaluate("MathJax.loaded")


def test_comments_and_points_reach_the_student_and_survive(open_page):
    """They are on the next page, and a resubmission asks to be looked at, keeping them."""
    course, page, address, _ = open_page
    open_submission(page, address, "doubled")
    save(page, COMMENT, "Well begun: $\\frac{1}{2}$ is missing.")
    save(page, SCORE, "2")
    assert [one.student for one in grade(course, students=["doubled"]).graded] == ["doubled"]
    feedback = (course.folder("feedback", "doubled", "l2") / "l2.html").read_text()
    assert "l2: 5 of 6 points" in feedback
    assert "Well begun: <math" in feedback

    hand_in(course, "doubled", answered(course))
    [again] = grade(course, students=["doubled"]).graded
    assert again.look_again
    assert points(course)["doubled"] == 5
    open_submission(page, address, "doubled")
    assert page.input_value(SCORE) == "2"
    assert page.input_value(COMMENT).startswith("Well begun")
    save(page, SCORE, "")
    assert not standings(course, "l2")["doubled"].look_again
    [without] = grade(course, students=["doubled"]).graded
    assert without.score.net == 6


def test_the_button_grades_again_through_the_sandbox(open_page):
    """What was handed in since gets its points, and the page its feedback."""
    course, page, address, _ = open_page
    hand_in(course, "half", answered(course))
    page.goto(f"{address}/manage_submissions/l2")
    page.wait_for_load_state("networkidle")
    row = page.locator("tr", has=page.locator("td.student-id", has_text="half"))
    with page.expect_response(lambda response: "autograde" in response.url) as done:
        row.locator("td.autograde a, td.autograde .glyphicon").first.click()
    assert done.value.json()["success"]
    assert points(course)["half"] == 6
