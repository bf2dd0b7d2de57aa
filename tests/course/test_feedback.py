"""The feedback page in a real browser: it can be read, and nothing on it lives."""

import base64
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import matplotlib.image
import nbformat
import nbgrader
import numpy as np
import pytest
from helpers.accessibility import OPEN, violations
from nbconvert.exporters import HTMLExporter
from nbconvert.preprocessors import CSSHTMLHeaderPreprocessor
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output, new_raw_cell
from nbgrader.api import Gradebook
from nbgrader.apps import NbGraderAPI
from traitlets.config.loader import Config, PyFileConfigLoader

from autograder.course.feedback import FeedbackExporter, mathml
from autograder.course.sanitize import sanitize
from autograder.judging.report import Finding, Report
from autograder.tasks import assignments

ROOT = Path(__file__).parents[2]

# Each of these would set window.hit, open a dialog, leave the page or ask another host.
ATTACKS = [
    "<script>hit = 1</script>",
    "<img src=x onerror='hit = 1'>",
    "<svg onload='hit = 1'><script>hit = 1</script></svg>",
    "<svg><a xlink:href='javascript:hit=1'><text y=9>x</text></a></svg>",
    "<math><a xlink:href='javascript:hit=1'>x</a></math>",
    "<iframe src='http://evil.example/'></iframe>",
    "<iframe srcdoc='<script>parent.hit = 1</script>'></iframe>",
    "<style>@import 'http://evil.example/a.css'; body { display: none }</style>",
    "<link rel=stylesheet href=http://evil.example/a.css>",
    "<base href='http://evil.example/'>",
    "<meta http-equiv=refresh content='0; url=http://evil.example/'>",
    "<form action='http://evil.example/'><input autofocus onfocus='hit = 1'></form>",
    "<object data='data:text/html,<script>hit=1</script>'></object>",
    "<embed src='http://evil.example/a.swf'>",
    "<video src='http://evil.example/a.mp4' onerror='hit = 1'></video>",
    "<details open ontoggle='hit = 1'><summary>x</summary></details>",
    "<div style='position:fixed;inset:0;background:url(http://evil.example/a.png)'>x</div>",
    "[link](javascript:hit=1)",
    "[link](data:text/html;base64,PHNjcmlwdD5oaXQ9MTwvc2NyaXB0Pg==)",
    "<javascript:hit=1>",
    "![picture](http://evil.example/a.png)",
    "![picture](attachment:a.svg)",
    "![picture](attachment:none.png)",
    "![x](x \"x' onerror='hit=1\")",
    "[reference]\n\n[reference]: javascript:hit=1",
    r"$\href{javascript:hit=1}{x}$",
    r"$$\text{<img src=x onerror='hit=1'>}$$",
    "$x</script><script>hit = 1</script>$",
    "\\begin{equation}<img src=x onerror='hit=1'>\\end{equation}",
    "```html\n<script>hit = 1</script>\n```\n~~~\n</code></pre><script>hit = 1</script>\n~~~",
    "```mermaid\ngraph TD; A[<img src=x onerror='hit=1'>]\n```",
    "````\n```\n<script>hit = 1</script>\n````",
    "</pre><script>hit = 1</script><pre>",
    "</pre>\n\n<script>\nhit = 1\n</script>\n\n<pre>",
    "</div></section></main></body></html><script>hit = 1</script>",
    "<!-- --><script>hit = 1</script><!-- -->",
    "<!--><script>hit = 1</script>",
    "<![CDATA[<script>hit = 1</script>]]>",
    "<?php ?><script>hit = 1</script>",
    "<noscript><p title='</noscript><img src=x onerror=hit=1>'>",
    "<textarea><img title='</textarea><img src=x onerror=hit=1>'>",
    "<xmp></xmp><img src=x onerror=hit=1>",
    "&lt;script&gt;hit = 1&lt;/script&gt; &#60;img src=x onerror=hit=1&#62;",
    "{{ 7 * 7 }} {% raw %} {{ cell }}",
    "http://evil.example/ <a@evil.example>",
    "| a | b |\n|---|---|\n| <script>hit = 1</script> | x |",
    "    <script>hit = 1</script>",
    "# heading\n\n* list\n\n> quote *a* **b** `c` ~~d~~ \\e",
    "\n\n  blank lines first,\ttabs\n\n\nand in between",
]

RICH = {
    "text/html": ATTACKS[1] + ATTACKS[0],
    "text/markdown": ATTACKS[1],
    "text/latex": r"$\href{javascript:hit=1}{x}$" + ATTACKS[1],
    "image/svg+xml": ATTACKS[2],
    "image/jpeg": "x' onerror='hit=1",
    "image/png": "x' onerror='hit=1",
    "application/javascript": "hit = 1",
    "application/pdf": "x",
    "text/vnd.mermaid": "graph TD; A[<img src=x onerror='hit=1'>]",
    "application/vnd.jupyter.widget-view+json": {"model_id": "</script><script>hit = 1</script>"},
}

FORMULA = r"$\lambda$ and $$\frac{1}{N} \sum_{i=1}^{N} x_i^2$$"

REPORT = Report(
    "f",
    (
        Finding("the `value`", True, points=1, max_points=1),
        Finding("the gradient", False, f"ValueError: {ATTACKS[1]}{FORMULA}", None, 0.5, 2),
    ),
    printed=ATTACKS[0],
)


def picture():
    """Return a small picture in base64."""
    file = io.BytesIO()
    matplotlib.image.imsave(file, np.eye(60), format="png")
    return base64.b64encode(file.getvalue()).decode()


def marks(grade_id, **more):
    return {
        "nbgrader": {
            "grade": False,
            "solution": False,
            "locked": True,
            "task": False,
            "schema_version": 3,
            "cell_type": "code",
            "grade_id": grade_id,
            "checksum": "0",
            **more,
        }
    }


def hostile_cells():
    """Return all attacks in every place that a student can write to."""
    added = [new_markdown_cell(attack) for attack in ATTACKS]
    added += [new_raw_cell(attack) for attack in ATTACKS[:5]]
    for attack in ATTACKS:
        text = f"\x1b[31m{attack}\x1b[0m\u202e"
        cell = new_code_cell(f"'''{attack}'''")
        cell.outputs = [
            new_output("stream", text=text),
            new_output("stream", name="stderr", text=text),
            new_output("error", ename=attack, evalue=attack, traceback=[text]),
            new_output("execute_result", {"text/plain": attack, "text/html": attack}),
        ]
        added.append(cell)
    added.append(
        new_code_cell(
            "%%html\n<script>hit = 1</script>",
            metadata={"tags": ["' onclick='hit=1"], "magics_language": "html"},
            outputs=[new_output("display_data", {kind: RICH[kind]}) for kind in RICH]
            + [new_output("display_data", {**RICH, "text/plain": "plain"})],
        )
    )
    for number, cell in enumerate(added):
        cell.id = f"student-{number + 1}"
        if cell.cell_type == "markdown":
            cell.attachments = {"a.svg": {"image/svg+xml": ATTACKS[2]}}
    return added


def graded_notebook():
    """Return a graded notebook with an answer, a check and everything a student could add."""
    text, number = REPORT._repr_html_(), f"{REPORT.points:g}"
    notebook = nbformat.v4.new_notebook(
        cells=[
            new_markdown_cell(f"# Course\n\nThe formula {FORMULA} stands here.", id="f-text-1"),
            new_code_cell(
                f"def f(x):\n    return {ATTACKS[0]!r}",
                id="f",
                metadata=marks("f", solution=True, locked=False),
                outputs=[new_output("display_data", {"image/png": picture()})],
            ),
            new_code_cell(
                "check(f)",
                id="check-f",
                metadata=marks("check-f", grade=True, points=3),
                outputs=[
                    new_output(
                        "execute_result",
                        {"text/plain": number, "text/html": text},
                        metadata={"report": REPORT.to_dict()},
                    )
                ],
            ),
            *hostile_cells(),
        ],
        metadata={
            "title": ATTACKS[0],
            "widgets": {"application/vnd.jupyter.widget-state+json": {}},
        },
    )
    sanitize(notebook)
    return notebook


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """Return the folder of a course with one graded submission."""
    folder = tmp_path_factory.mktemp("course")
    scripts = str(Path(sys.executable).parent)
    with pytest.MonkeyPatch.context() as patch:
        # nbgrader calls alembic, which lies beside this Python, to make a gradebook.
        patch.setenv("PATH", scripts + os.pathsep + os.environ["PATH"])
        config = folder / "nbgrader_config.py"
        config.write_text(
            f"load_subconfig({os.fspath(ROOT / 'nbgrader_config.py')!r})\n"
            f"get_config().CourseDirectory.root = {os.fspath(folder)!r}\n"
        )
        with Gradebook(f"sqlite:///{folder}/gradebook.db") as gradebook:
            gradebook.add_assignment("l2")
            gradebook.add_notebook("l2", "l2")
            gradebook.add_grade_cell("check-f", "l2", "l2", max_score=3, cell_type="code")
            gradebook.add_solution_cell("f", "l2", "l2")
            gradebook.add_student("ann", first_name="Ann", last_name=ATTACKS[1])
            gradebook.add_submission("l2", "ann")
            grade = gradebook.find_grade("check-f", "l2", "l2", "ann")
            grade.auto_score = 1.5
            gradebook.find_comment(
                "f", "l2", "l2", "ann"
            ).manual_comment = "See $\\lambda$ **there**"
            gradebook.db.commit()
        target = folder / "autograded" / "ann" / "l2" / "l2.ipynb"
        target.parent.mkdir(parents=True)
        nbformat.write(graded_notebook(), target)
        yield folder


@pytest.fixture(scope="module")
def page_file(course):
    """Return the feedback page that nbgrader's API makes."""
    loader = PyFileConfigLoader("nbgrader_config.py", str(course))
    done = NbGraderAPI(config=Config(loader.load_config())).generate_feedback("l2", "ann")
    assert done["success"], done
    return course / "feedback" / "ann" / "l2" / "l2.html"


@pytest.fixture(scope="module")
def visit(browser, page_file):
    """Return the open page, with what it asked for and the dialogs it opened."""
    context = browser.new_context()
    page = context.new_page()
    page.asked, page.dialogs = [], []
    page.on("request", lambda request: page.asked.append(request.url))
    page.on("dialog", lambda dialog: (page.dialogs.append(dialog.message), dialog.dismiss()))
    page.goto(page_file.as_uri())
    page.wait_for_load_state("networkidle")
    page.evaluate(OPEN, "html")
    yield page
    context.close()


@pytest.mark.parametrize("width", [360, 1200])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_read_it(browser, page_file, scheme, width):
    """No rule of axe is broken, whatever the student wrote and how wide the window is."""
    page = browser.new_page(color_scheme=scheme, viewport={"width": width, "height": 800})
    page.goto(page_file.as_uri())
    assert violations(page) == {}
    page.close()


def texts(page, selector):
    """Return the text of each element, whatever its style is."""
    return page.locator(selector).all_text_contents()


def test_nothing_leaves_the_page(visit, page_file):
    """The browser asks for the page and for nothing else."""
    assert [url for url in visit.asked if not url.startswith("data:")] == [page_file.as_uri()]
    assert visit.url == page_file.as_uri()


def test_nothing_on_the_page_runs(visit):
    """No script, handler, frame, form or link of a student is there, and nothing has happened."""
    assert visit.evaluate("window.hit") is None
    assert visit.dialogs == []
    assert visit.locator("script, iframe, object, embed, form, input, base, svg, link").count() == 0
    assert visit.locator("[http-equiv=refresh]").count() == 0
    handlers = "[...document.querySelectorAll('*')].flatMap(e => [...e.attributes])"
    assert visit.evaluate(f"{handlers}.filter(a => a.name.startsWith('on')).length") == 0
    links = visit.evaluate("[...document.links].map(a => a.getAttribute('href'))")
    assert links
    assert all(link.startswith("#") for link in links)
    images = visit.evaluate(
        "[...document.images].map(i => [i.getAttribute('src'), i.naturalWidth])"
    )
    assert len(images) == 1
    assert images[0][0].startswith("data:image/png;base64,")
    assert images[0][1] == 60


def test_markdown_of_students_is_seen_as_typed(visit):
    """Each attack stands on the page in the student's own letters, as one block of text."""
    blocks = visit.evaluate(
        "[...document.querySelectorAll('.answer .text_cell pre')].map(p => p.textContent)"
    )
    assert [block.removeprefix("\n") for block in blocks] == [
        attack.removeprefix("\n") for attack in ATTACKS + ATTACKS[:5]
    ]


def test_sources_and_outputs_are_seen_as_typed(visit):
    """Code, streams, errors and results show the same letters; bidi controls are spelled out."""
    for kind in ("output_stdout", "output_stderr", "output_error"):
        texts = visit.evaluate(
            f"[...document.querySelectorAll('.{kind} pre')].map(p => p.textContent.trim())"
        )
        assert [text for text in texts if text.endswith("⟨U+202E⟩")] == [
            f"{attack}⟨U+202E⟩".strip() for attack in ATTACKS
        ]
    sources = visit.evaluate(
        "[...document.querySelectorAll('.input pre')].map(p => p.textContent.trim())"
    )
    for attack in ATTACKS:
        assert f"'''{attack}'''" in sources


def test_rich_outputs_are_named(visit):
    """Where there was a rich output without text, the page says which kind it was."""
    text = visit.locator("body").inner_text()
    for kind in RICH:
        assert f"[An output of {kind} is not shown]" in text


def test_score_report_and_comment_are_there(visit):
    """A student finds the points, the report of each check and what the grader wrote."""
    assert visit.title() == "l2: feedback"
    assert visit.locator("h1").first.inner_text() == "l2: 1.5 of 3 points"
    assert "1.5 of 3 points" in visit.locator("#check-f .label").inner_text()
    head = visit.locator("header").inner_text()
    assert f"Ann {ATTACKS[1]} (ann) · graded on " in head
    assert f"the gradient: ValueError: {ATTACKS[1]}" in head
    assert "Comments: f." in head
    report = visit.locator("#check-f .output_html").inner_text()
    assert "f: 1.5 of 3 points" in report
    assert ATTACKS[1] in report
    assert r"$\lambda$" in report
    comment = visit.locator("#f .comment")
    assert comment.locator("strong").inner_text() == "there"
    assert comment.locator("math").text_content() == "λ"


def test_code_is_colored(visit):
    """A keyword does not look like a name."""
    color = "e => getComputedStyle(e).color"
    keyword = visit.locator("#f .k").first.evaluate(color)
    assert keyword != visit.locator("#f .n").first.evaluate(color)


def test_formulas_of_the_course_are_set(visit):
    """The course's formulas are formulas, without a script."""
    course = visit.locator("section").first
    assert course.locator("math").count() == 2
    assert course.locator("math mfrac, math munderover").count() == 2
    assert "$" not in course.inner_text()


@pytest.mark.parametrize("width", [360, 1200])
def test_page_fits_the_window(visit, width):
    """Nothing is wider than the window of a phone; what is too wide scrolls in its box."""
    visit.set_viewport_size({"width": width, "height": 800})
    assert visit.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_verdicts_can_be_read(visit, scheme):
    """Right and wrong stand out from the ground in light and in dark, as WCAG asks."""
    visit.emulate_media(color_scheme=scheme)
    color = "e => getComputedStyle(e)"
    ground = visit.locator("body").evaluate(f"{color}.backgroundColor")
    for verdict in ("right", "wrong"):
        word = visit.locator("#check-f td b").get_by_text(verdict, exact=True)
        assert contrast(word.evaluate(f"{color}.color"), ground) >= 4.5


def contrast(one, other):
    """Return the contrast of two colors written as rgb(…)."""

    def luminance(color):
        parts = np.array([int(part) for part in re.findall(r"\d+", color)[:3]]) / 255
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return linear @ [0.2126, 0.7152, 0.0722]

    dark, light = sorted([luminance(one), luminance(other)])
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("policy", [True, False])
def test_policy_holds_where_the_notebook_is_not_harmless(browser, tmp_path, policy):
    """Were a student's HTML on the page after all, the page's own policy would stop it.

    It does not stop a page from leaving for another, so that is not tried.  Without the policy
    all of it happens.
    """
    live = [attack for attack in ATTACKS[:17] if "refresh" not in attack]
    notebook = nbformat.v4.new_notebook(cells=[new_markdown_cell(attack) for attack in live])
    exporter = FeedbackExporter()
    exporter.register_preprocessor(CSSHTMLHeaderPreprocessor, enabled=True)
    grades = {"notebook": "l2", "score": 0, "max_score": 0, "late_penalty": 0}
    text, _ = exporter.from_notebook_node(notebook, {"nbgrader": grades})
    if not policy:
        text = text.replace("Content-Security-Policy", "x")
    file = tmp_path / "page.html"
    file.write_text(text)
    context = browser.new_context()
    reached = set()
    # Other than page.on("request"), this does not see what the policy has stopped.
    context.route("http://**", lambda route: (reached.add(route.request.url), route.abort()))
    page = context.new_page()
    page.goto(file.as_uri())
    page.wait_for_load_state("networkidle")
    assert page.evaluate("window.hit") == (None if policy else 1)
    assert bool(reached) != policy
    context.close()


def test_nothing_runs_in_formgrader(browser, tmp_path):
    """Formgrader's page for grading by hand shows the same notebook as text, too."""
    templates = Path(nbgrader.__file__).parent / "server_extensions" / "formgrader" / "templates"
    exporter = HTMLExporter(
        template_name="formgrade", extra_template_basedirs=[os.fspath(templates)]
    )
    text, _ = exporter.from_notebook_node(graded_notebook(), {"index": 0, "total": 1})
    file = tmp_path / "page.html"
    file.write_text(text)
    context = browser.new_context()
    asked = []
    # nbgrader's own scripts, which are not there, and MathJax.
    context.route("**", lambda route: (asked.append(route.request.url), route.abort()))
    context.route(file.as_uri(), lambda route: route.continue_())
    page = context.new_page()
    page.goto(file.as_uri())
    page.wait_for_load_state("networkidle")
    assert page.evaluate("window.hit") is None
    assert not [url for url in asked if "evil" in url]
    assert [text.removeprefix("\n") for text in texts(page, ".text_cell pre")] == [
        attack.removeprefix("\n") for attack in ATTACKS + ATTACKS[:5]
    ]
    # What MathJax skips by itself, and what it is told to skip.
    formulas = page.locator(
        "xpath=//body//*[text()[contains(., '\\href') or contains(., 'hit=1')]]"
    )
    assert formulas.count() > 0
    skipped = "all => all.every(e => e.closest('pre, code, .tex2jax_ignore'))"
    assert formulas.evaluate_all(skipped)
    context.close()


def test_command_line_makes_the_same_page(course, page_file):
    """`nbgrader generate_feedback` writes what the API writes."""
    page = page_file.read_bytes()
    program = Path(sys.executable).with_name("nbgrader")
    done = subprocess.run(
        [program, "generate_feedback", "l2", "--force"],
        cwd=course,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert page_file.read_bytes() == page


def formulas(exercise):
    notebook = nbformat.read(ROOT / "exercises" / exercise / f"{exercise}.ipynb", as_version=4)
    text = "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    return [found[2] for found in re.finditer(r"(\$\$?)(.+?)\1", text, re.DOTALL)]


@pytest.mark.parametrize("exercise", assignments)
def test_all_formulas_of_the_exercises_are_set(exercise):
    """No exercise holds a formula with a part that would be shown as a LaTeX command."""
    assert formulas(exercise)
    for formula in formulas(exercise):
        result = mathml(formula)
        assert result.startswith("<math")
        assert "\\" not in result


@pytest.mark.parametrize("formula", ["", r"\frac{1}", r"x^2^3", r"\left( x", "{", r"\begin{foo} x"])
def test_what_is_no_formula_is_shown_as_it_is(formula):
    """A slip in a comment does not keep a page from being made."""
    assert mathml(formula).startswith(("<math", "<code>"))


def test_formulas_hold_no_tags():
    """Text in a formula stays text."""
    assert "<img" not in mathml(r"\text{<img src=x onerror=hit>}")
    assert "<img" not in mathml(r"\frac{<img src=x onerror=hit>}")
