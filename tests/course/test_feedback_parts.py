"""What stands at the head of a feedback page, and what is folded."""

import re
from pathlib import Path

import nbformat
import pytest
from helpers.accessibility import violations
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output

from autograder.course import feedback
from autograder.course.feedback import FeedbackExporter, parts, reasons
from autograder.course.sanitize import sanitize
from autograder.grading.notebook import Outcome
from autograder.intake.cells import task_of
from autograder.intake.exercise import solution_notebook, source_notebook
from autograder.judging import limits
from autograder.judging.observe import NOT_WRITTEN
from autograder.judging.report import Finding, Report
from autograder.tasks import tasks

ROOT = Path(__file__).parents[2]
FLIPPED = next(
    one for one in tasks["batch_norm_forward"].misconceptions if one.id == "bn-momentum-flipped"
)
PLACES = ("worst at", "got", "expected"), ("[2]", "1.58229", "1.76937"), ("[0]", "-7", "0.25")


def right(name):
    """Return the report of a right answer."""
    points = tasks[name].max_points
    return Report(name, (Finding("all", True, points=points, max_points=points),))


def flipped(name):
    """Return the report of an answer with a known mistake, which explains two aspects."""
    points = tasks[name].max_points
    text = f"{FLIPPED.explanation} Read {FLIPPED.section}. ({FLIPPED.id})\nIn the case “x”: no."
    wrong = {"message": text, "misconception": FLIPPED.id, "links": (FLIPPED.section,)}
    findings = (
        Finding("output", True, points=points - 1, max_points=points - 1),
        Finding("mean", False, **wrong, max_points=0.5, places=PLACES),
        Finding("variance", False, **wrong, max_points=0.5),
    )
    return Report(name, findings, replay="vu22-ssbx-ek3f-enzv")


def empty_report(name):
    """Return the report of an answer that is as it was handed out."""
    return limits.refused(tasks[name], f"`{name}` {NOT_WRITTEN}")


def graded(wrong=(), comments=None, empty=()):
    """Return the graded notebook of somebody whose other answers are right."""
    notebook = solution_notebook(source_notebook(ROOT / "exercises/batch_norm/batch_norm.py"))
    checks = [one for one in notebook.cells if one.metadata.get("nbgrader", {}).get("grade")]
    reports = {}
    for cell in checks:
        name = task_of(cell.metadata.nbgrader.grade_id)
        report = flipped(name) if name in wrong else right(name)
        report = empty_report(name) if name in empty else report
        reports[cell.id] = report
        cell.metadata.nbgrader.update(score=report.points, points=report.max_points)
    for cell in notebook.cells:
        if cell.id in (comments or {}):
            cell.metadata.nbgrader.comment = comments[cell.id]
    Outcome({one.id: [] for one in notebook.cells}, reports).fill(notebook, "")
    sanitize(notebook)
    return notebook


def page_of(notebook, late=0.0):
    """Return the page of a graded notebook."""
    score = sum(one.metadata.get("nbgrader", {}).get("score", 0) for one in notebook.cells)
    grades = {"notebook": "batch_norm", "score": score, "max_score": 35, "late_penalty": late}
    return FeedbackExporter().from_notebook_node(notebook, {"nbgrader": grades})[0]


@pytest.fixture
def shown(browser, tmp_path):
    """Return a function that opens the page of a notebook in a window of some width."""
    opened = []

    def show(notebook, width=1200):
        file = tmp_path / "page.html"
        file.write_text(page_of(notebook))
        opened.append(browser.new_page(viewport={"width": width, "height": 800}))
        opened[-1].goto(file.as_uri())
        return opened[-1]

    yield show
    for page in opened:
        page.close()


def test_head_says_what_was_lost_and_what_to_do(shown):
    """The mistake is told once for all that it explains, with what to read and a call to copy."""
    page = shown(graded(wrong=["batch_norm_forward", "batch_norm_2d_forward"]))
    head = page.locator("header").inner_text()
    assert "batch_norm_forward 9 of 10 points" in head
    assert "mean, variance: Old and new value have changed places" in head
    assert head.count("(bn-momentum-flipped)") == 1
    assert "Read “Running statistics” in the chapter “Batch normalization”." in head
    assert "mean, variance: the same as in batch_norm_forward." in head
    call = 'check(batch_norm_forward, replay="vu22-ssbx-ek3f-enzv")'
    assert f"until {call} says that everything is right" in head
    assert "Right: batch_norm_backward, batch_norm_2d_backward, " in head
    page.locator("header .call").click()
    assert page.evaluate("getSelection().toString()") == call


def test_what_is_not_answered_is_said_in_a_line(shown):
    """The head names it, with its points, and nobody has to scroll past what is empty."""
    page = shown(graded(empty=["batch_norm_forward", "fold_batch_norm"]))
    head = page.locator("header").inner_text()
    assert "Not answered: batch_norm_forward (0 of 10 points), fold_batch_norm (0 of 3" in head
    assert "not written yet" not in head
    assert page.locator("header ol").count() == 0
    assert (
        "fold_batch_norm: not answered, 0 of 3 points" in page.locator("summary").all_inner_texts()
    )
    assert violations(page) == {}


def test_head_links_to_the_book(monkeypatch):
    """Where the book has an address, what to read is a link to its section."""
    monkeypatch.setattr(feedback, "book_address", lambda: "https://course.example/")
    address = f"https://course.example/{FLIPPED.section.path}"
    assert f'Read <a href="{address}">Running statistics</a>.' in page_of(
        graded(wrong=["batch_norm_forward"])
    )


@pytest.mark.parametrize("width", [320, 400, 1200])
def test_page_of_a_real_exercise_can_be_read(shown, width):
    """No rule of axe is broken, with the formulas and the tables of an exercise."""
    page = shown(graded(wrong=["batch_norm_forward"]), width)
    assert violations(page) == {}
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_what_is_right_is_folded(shown):
    """A right task is one line, which a link from the head opens; a wrong one is open."""
    page = shown(graded(wrong=["batch_norm_forward"]))
    lines = page.locator("summary").all_inner_texts()
    assert "batch_norm_backward: right, 10 of 10 points" in lines
    assert "More of the notebook" in lines
    assert page.locator("#batch_norm_forward").is_visible()
    assert page.locator("#check-batch_norm_forward").is_visible()
    assert not page.locator("#check-BatchNorm1d").is_visible()
    page.locator("header a", has_text="BatchNorm1d").click()
    assert page.locator("#check-BatchNorm1d").is_visible()


def test_a_good_submission_prints_on_two_pages(shown):
    """Nobody carries home a pile of what was right."""
    pdf = shown(graded()).pdf(format="A4")
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) <= 2


def test_comments_are_seen_and_nothing_else_is_a_comment(shown):
    """A comment keeps a right task open; nbgrader's own words on an empty answer are no comment."""
    comments = {"BatchNorm1d": "Well done.", "fold_batch_norm": "No response."}
    page = shown(graded(comments=comments))
    assert "Comments: BatchNorm1d." in page.locator("header").inner_text()
    assert page.locator(".comment").all_text_contents() == ["Comment\nWell done.\n"]
    assert page.locator("#BatchNorm1d .comment").is_visible()
    assert not page.locator("#fold_batch_norm").is_visible()


def test_notes_on_the_file_are_never_folded():
    """What was repaired in a file is open, even if all is right."""
    notebook = graded()
    notebook.cells.insert(0, new_markdown_cell("**About this file**", id="grading-notes"))
    first, second, *_ = parts(notebook.cells)
    assert (len(first.cells), first.folded) == (1, False)
    assert second.folded


def test_points_given_by_hand_are_told():
    """The head does not explain points that the grader did not give."""
    notebook = graded(wrong=["batch_norm_forward"])
    [check] = [one for one in notebook.cells if one.id == "check-batch_norm_forward"]
    check.metadata.nbgrader.score = 7
    assert "changed by hand" in page_of(notebook)
    check.metadata.nbgrader.score = 10
    assert not reasons(list(parts(notebook.cells)))
    assert "Nothing cost points." in page_of(notebook)


def test_lateness_is_told():
    """Points that lateness costs stand at the head."""
    assert "handed in late, which costs 3.5 points" in page_of(graded(), late=3.5)


def test_a_page_without_reports_is_made():
    """A notebook that an earlier version graded has points, but no reports for the head."""
    notebook = graded(wrong=["batch_norm_forward"])
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            output.metadata = {}
    page = page_of(notebook)
    assert "9 of 10 points" in page
    assert "What to do next" not in page


def test_students_cannot_forge_a_report():
    """A report that comes with an output of a student's cell is dropped."""
    output = new_output(
        "execute_result",
        {"text/plain": "1"},
        metadata={"report": right("fold_batch_norm").to_dict()},
    )
    cell = new_code_cell("forge()", id="student-1", outputs=[output])
    notebook = nbformat.v4.new_notebook(cells=[cell])
    sanitize(notebook)
    assert [one.metadata for one in notebook.cells[0].outputs] == [{}]


def test_the_same_error_in_two_tasks_is_told_twice():
    """Only a known mistake is told once: errors of the same words may differ in their cause."""
    names = ["batch_norm_forward", "batch_norm_2d_forward"]
    notebook = graded(wrong=names)
    message = "Your code raised IndexError: out of range\n  line 25: return [][0]"
    for cell in notebook.cells:
        if cell.id in [f"check-{name}" for name in names]:
            failed = Report(task_of(cell.id), (Finding("all", False, message, max_points=1),))
            cell.outputs[0].metadata.report = failed.to_dict()
    found = [one for some in reasons(list(parts(notebook.cells))).values() for one in some]
    assert [one.text for one in found] == [message.splitlines()[0]] * 2


def test_the_corner_of_a_table_is_no_heading():
    """Whoever listens to a page does not hear a heading without words."""
    notebook = graded()
    notebook.cells.insert(0, new_markdown_cell("| | a |\n|---|---|\n| b | c |", id="f-text"))
    assert "<th></th>" not in page_of(notebook)


def test_candidates_and_deductions_are_told():
    """Several possible mistakes are listed; a requirement that cost points is a reason, too."""
    message = "Several known mistakes give exactly these numbers:\n  One. (a)\n  Two. (b)\nMore."
    name = "batch_norm_forward"
    report = Report(
        name,
        (
            Finding("output", False, message, max_points=4),
            Finding("mean", True, points=6, max_points=6),
            Finding("refuses a row", False, "Raise.", "refusal", points=-2.5),
            Finding("costs nothing", False, "Free.", "free"),
        ),
    )
    notebook = graded(wrong=[name])
    [check] = [one for one in notebook.cells if one.id == f"check-{name}"]
    check.outputs[0].metadata.report = report.to_dict()
    [found] = reasons(list(parts(notebook.cells))).values()
    assert [(one.aspects, one.text, one.mistake) for one in found] == [
        (("output",), f"{message.splitlines()[0]} One. (a) Two. (b)", None),
        (("refuses a row",), "Raise.", "refusal"),
    ]
    assert found[0].sections == (tasks[name].section,)
