"""Whatever a student writes, our side's work grows with its length and not faster."""

import os
import time
from pathlib import Path

import nbformat
import nbgrader
import pytest
from helpers.courses import make_course, source_file
from nbconvert.exporters import HTMLExporter
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output

from autograder.course.feedback import FeedbackExporter
from autograder.course.highlight import MAX_HIGHLIGHTED
from autograder.course.sanitize import sanitize
from autograder.intake import submission
from autograder.intake.cells import is_answer, is_check
from autograder.intake.exercise import source_notebook, student_notebook
from autograder.judging.report import Finding, Report

SHAPES = {
    "a long word": "a",
    "newlines": "\n",
    "newlines and blanks": "\n ",
    "blanks": " ",
    "tabs": "\t",
    "carriage returns": "\r",
    "dollars": "$",
    "formulas": "$a$ ",
    "an environment": "\\begin{a}",
    "single quotes": "'",
    "double quotes": '"',
    "triple quotes": '"""',
    "strings in lines": "'a'\n",
    "backslashes": "\\",
    "continued lines": "\\\n",
    "parentheses": "(",
    "pairs of parentheses": "()",
    "brackets": "[",
    "braces": "{",
    "calls in calls": "a(",
    "dicts in dicts": "{1:",
    "backticks": "`",
    "fences": "```\n",
    "percent signs": "%",
    "magics": "%a\n",
    "exclamation marks": "!",
    "commands": "!a\n",
    "question marks": "?",
    "names in one statement": "a,",
    "assignments in one statement": "a=",
    "statements in a line": "a;",
    "attributes": "a.",
    "files": "a.py",
    "stars": "*",
    "underscores": "_",
    "minus signs": "-",
    "sums": "1+",
    "digits": "9",
    "hashes": "#",
    "comments": "# ",
    "prompts": ">>> a\n",
    "prompts of IPython": "In [1]: a\n",
    "links": "[a](",
    "pictures": "![",
    "tags": "<a ",
    "entities": "&amp;",
    "open entities": "&#",
    "colors": "\x1b[31m",
    "unfinished colors": "\x1b[",
    "unfinished titles": "\x1b]",
    "bidi": "\u202e",
    "joined emoji": "\U0001f600\u200d",
    "Greek": "α",
    "lines that decorate": "@a\n",
    "functions": "def l2_penalty(): pass\n",
    "lambdas": "lambda:",
    "f-strings": "f'{",
    "conditions": "a if b else ",
    "loops": "for a in b:\n ",
    "nots": "not ",
}

SIZES = 1_000, 10_000, 99_000
PAGE_SIZES = MAX_HIGHLIGHTED // 10, MAX_HIGHLIGHTED - 100
"""For pages, which take long for any text: the longest code that may be highlighted."""

TIMES = 50
"""What ten times the text may cost: a square costs a hundred times as much."""

SMALLEST = 0.03
"""Seconds below which the text is not what costs."""


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    course = make_course(tmp_path_factory.mktemp("course"))
    return student_notebook(source_notebook(source_file(course)))


@pytest.fixture(scope="module")
def pages():
    """Return what makes a feedback page and formgrader's page of a graded notebook."""
    templates = Path(nbgrader.__file__).parent / "server_extensions" / "formgrader" / "templates"
    exporters = {
        "feedback": FeedbackExporter(),
        "formgrader": HTMLExporter(
            template_name="formgrade", extra_template_basedirs=[os.fspath(templates)]
        ),
    }
    resources = {
        "nbgrader": {"notebook": "l2", "score": 0, "max_score": 3, "late_penalty": 0},
        "index": 0,
        "total": 1,
    }
    return {
        name: lambda notebook, exporter=exporter: exporter.from_notebook_node(notebook, resources)
        for name, exporter in exporters.items()
    }


def handed_in(release, text):
    """Return a notebook with a text in an answer and in cells of each kind."""
    cells = [cell.copy() for cell in release.cells]
    answer = next(cell for cell in cells if is_answer(cell))
    answer.source += f"\n{text}"
    cells[2:2] = [new_code_cell("1"), new_markdown_cell(text)]
    return nbformat.writes(nbformat.v4.new_notebook(cells=cells)).encode()


def put_out(notebook, text):
    """Put a text into outputs of each kind, and into the reports."""
    report = Report("l2_penalty", (Finding("value", False, text[:5_000], max_points=3.0),))
    for cell in notebook.cells:
        if is_check(cell):
            data = {"text/plain": "0.0", "text/html": report._repr_html_()}
            cell.outputs = [new_output("execute_result", data)]
            cell.metadata.nbgrader.update(score=0, points=3)
        elif cell.cell_type == "code":
            cell.outputs = [
                new_output("stream", text=text),
                new_output("error", ename="", evalue=text, traceback=text[:1000].splitlines()),
            ]
            text = ""


def seconds(release, pages, text):
    """Return how much processor time each step takes for a text; no pages for a long one."""
    content = handed_in(release, text)
    found, started = {}, time.process_time()

    def took(step):
        nonlocal started
        found[step] = time.process_time() - started
        started = time.process_time()

    notebook = submission.rebuild(content, release).notebook
    took("rebuild")
    put_out(notebook, text)
    started = time.process_time()
    sanitize(notebook)
    took("sanitize")
    if len(text) <= MAX_HIGHLIGHTED:
        for name, page in pages.items():
            page(notebook)
            took(name)
    return found


@pytest.mark.parametrize("sizes", [SIZES[:2], SIZES[1:], PAGE_SIZES])
@pytest.mark.parametrize("shape", SHAPES)
def test_ten_times_the_text_costs_ten_times_the_work(release, pages, shape, sizes):
    """In every step from the submitted file to formgrader's page."""
    pages = pages if sizes == PAGE_SIZES else {}
    shorter, longer = (SHAPES[shape] * (size // len(SHAPES[shape])) for size in sizes)
    before = seconds(release, pages, shorter)
    allowed = {step: TIMES * max(took, SMALLEST) for step, took in before.items()}
    # Something else may keep the machine busy, but not each time.
    for _ in range(3):
        after = seconds(release, pages, longer)
        if all(after[step] <= allowed[step] for step in after):
            return
    pytest.fail(f"{before} became {after}")


def test_code_that_is_slow_to_highlight_is_shown_plain(pages):
    """All of it, and nothing else changes; the course's own code keeps its colors."""
    slow = "x = 1\n" + "a." * 8000
    ours = new_code_cell("import os", id="setup", metadata={"nbgrader": {"solution": False}})
    notebook = nbformat.v4.new_notebook(
        cells=[ours, new_code_cell(slow, id="student-1", metadata={})]
    )
    sanitize(notebook)
    started = time.process_time()
    text, _ = pages["formgrader"](notebook)
    assert time.process_time() - started < 3
    assert slow in text
    assert '<span class="kn">import</span>' in text


def test_long_code_is_shown_plain_and_the_rest_in_color(pages):
    """A pasted table costs the other cells nothing."""
    table = "x = [\n" + "1,\n" * MAX_HIGHLIGHTED + "]"
    cells = [
        new_code_cell(source, id=f"student-{number}", metadata={})
        for number, source in enumerate([table, "import os"])
    ]
    notebook = nbformat.v4.new_notebook(cells=cells)
    sanitize(notebook)
    for page in pages.values():
        text, _ = page(notebook)
        assert table in text
        assert '<span class="kn">import</span>' in text
