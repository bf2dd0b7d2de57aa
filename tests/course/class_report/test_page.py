"""The page of a class report: it stands alone, can be read by everybody, and holds no script."""

import re
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from helpers.accessibility import violations
from helpers.pages import Page

from autograder.course.class_report import page
from autograder.course.class_report.facts import (
    FEWEST,
    AssignmentFacts,
    Changed,
    Changes,
    ClassReport,
    People,
    Person,
    SharedAnswer,
    without_names,
)
from autograder.course.class_report.page import html_page, percent
from autograder.course.class_report.summary import distribution, task_facts
from autograder.course.class_report.tables import csv_table, json_text
from autograder.judging.report import Finding, Report
from autograder.tasks import tasks

ATTACK = "<script>hit = 1</script><img src=http://evil.example/x onerror='hit = 1'>"
SECRETS = ("zz-id", "Zenobia", "zz-file.ipynb", "zz-code", "zz-message")
"""What could tell who a student is, each in another place."""
TASK = tasks["l2_penalty"]


def reports(students):
    """Return reports of a class; every third student has a known mistake in every aspect."""
    found = {}
    for number in range(students):
        wrong = number % 3 == 0
        mistake = TASK.misconceptions[number % 2].id if wrong else None
        findings = tuple(
            Finding(
                aspect.name, not wrong, "", mistake, 0 if wrong else aspect.points, aspect.points
            )
            for aspect in TASK.aspects
        )
        found[f"s{number}"] = {TASK.name: Report(TASK.name, findings)}
    return found


def class_report(students=FEWEST):
    """Return a report in which every kind of fact occurs."""
    person = Person("zz-id", f"Zenobia {ATTACK}", "zz-file.ipynb")
    people = People.of([person, Person("bob")])
    facts = AssignmentFacts(
        name="l2",
        title="L2",
        enrolled=students + 2,
        submitted=students,
        distribution=distribution(np.linspace(0, 25, students).tolist(), 25),
        tasks=(task_facts(TASK, reports(students), ()),),
        shared=(
            SharedAnswer(
                TASK.name,
                2,
                (TASK.aspects[0].name,),
                'autograder name l2_penalty zz-id SHORT-NAME "TEXT"',
                ("zz-id", "bob"),
                (f"zz-message {ATTACK}",),
                f"zz-code\n{ATTACK}",
            ),
        ),
        missing=people,
        late=people,
        stopped=people,
        refused=people,
        waiting=people,
        outdated=people,
        changes=Changes("Monday", people, people, 1, 0, (Changed("zz-id", None, 2.5),)),
    )
    return ClassReport("Tuesday", False, (facts, replace(facts, name="dropout", title="Dropout")))


@pytest.fixture(scope="module")
def page_file(tmp_path_factory):
    file = tmp_path_factory.mktemp("report") / "report.html"
    file.write_text(html_page(class_report()), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def visit(browser, page_file):
    """Return the open page, with what it asked for."""
    context = browser.new_context()
    opened = context.new_page()
    opened.asked = []
    opened.on("request", lambda request: opened.asked.append(request.url))
    opened.goto(page_file.as_uri())
    opened.wait_for_load_state("networkidle")
    yield opened
    context.close()


def test_nothing_is_fetched(page_file):
    """There is no reference to another host, and links stay on the page."""
    found = Page(page_file)
    assert found.fetched == []
    assert found.links
    assert all(link.startswith("#") and link[1:] in found.ids for link in found.links)
    assert "url(" not in found.source
    assert "@import" not in found.source


def test_the_browser_asks_for_nothing_else(visit, page_file):
    """Only for the page itself, and nothing that was in a name happens."""
    assert visit.asked == [page_file.as_uri()]
    assert visit.evaluate("window.hit") is None
    assert visit.locator("script, img, iframe, form, link").count() == 0


def test_names_and_code_are_seen_as_typed(visit):
    """Markup in a name, a message or code is text."""
    text = visit.locator("body").evaluate("e => e.textContent")
    assert f"Zenobia {ATTACK}" in text
    assert f"zz-message {ATTACK}" in text
    assert f"zz-code\n{ATTACK}" in text


def test_links_lead_to_the_book_if_it_has_an_address(monkeypatch):
    """The id of a mistake is a link to its place in the chapter then."""
    monkeypatch.setattr(page, "book_address", lambda: "https://book.example/")
    assert 'href="https://book.example/book/l2.html#mistake-l2_penalty-' in html_page(
        class_report()
    )


@pytest.mark.parametrize("write", [html_page, csv_table, json_text])
def test_without_names_nobody_can_be_told(write):
    """No id, name, file, message or code of a student; with names, they are all there."""
    report = class_report()
    named, anonymous = write(report), write(without_names(report))
    for secret in (*SECRETS, "bob"):
        if write is not csv_table or secret not in ("zz-code", "zz-message"):
            assert secret in named
        assert secret not in anonymous
    assert "autograder name" in anonymous


def test_a_small_class_is_told_why_there_are_no_statistics():
    """In one sentence; and a class of twenty has them."""
    why = "they need 20 graded students"
    small, large = html_page(class_report(FEWEST - 1)), html_page(class_report(FEWEST))
    assert why in small
    assert "95% interval" not in small
    assert why not in large
    assert "95% interval" in large


def test_what_is_asked_about_a_picture_is_said(visit):
    """Each histogram has a title and a description that tells all bars; bars of shares are mute."""
    pictures = visit.evaluate(
        "[...document.querySelectorAll('svg')].map(s => [s.getAttribute('aria-hidden'), "
        "(s.getAttribute('aria-labelledby') || '').split(' ')"
        ".map(id => document.getElementById(id)?.textContent).join(' ')])"
    )
    assert pictures
    told = [text for hidden, text in pictures if hidden != "true"]
    assert len(told) == 2
    for text in told:
        assert f"histogram of {FEWEST} students" in text
        counts = [int(count) for count in re.findall(r"(\d+) students? ha(?:s|ve)", text)]
        assert sum(counts) == FEWEST


def test_headings_and_tables_can_be_walked(visit):
    """No level is left out, ids are unique, each head cell says for what it stands."""
    levels = visit.evaluate(
        "[...document.querySelectorAll('h1,h2,h3,h4')].map(h => Number(h.tagName[1]))"
    )
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(below - above <= 1 for above, below in pairwise(levels))
    ids = visit.evaluate("[...document.querySelectorAll('[id]')].map(e => e.id)")
    assert len(ids) == len(set(ids))
    assert visit.locator("th:not([scope])").count() == 0
    assert visit.locator("html").get_attribute("lang") == "en"
    scrolls = "e => getComputedStyle(e).overflowX === 'auto' && e.tabIndex < 0"
    assert visit.evaluate(f"[...document.querySelectorAll('body *')].filter({scrolls}).length") == 0


@pytest.mark.parametrize(("width", "scheme"), [(400, "light"), (1400, "light"), (1400, "dark")])
def test_everybody_can_read_it(browser, page_file, width, scheme):
    """No rule of axe is broken, also in what is folded."""
    opened = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    opened.goto(page_file.as_uri())
    assert violations(opened) == {}
    opened.close()


@pytest.mark.parametrize("width", [400, 1400])
def test_the_page_fits_the_window(visit, width):
    """What is too wide scrolls in its box."""
    visit.set_viewport_size({"width": width, "height": 800})
    assert visit.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_and_bars_stand_out(visit, scheme):
    """As WCAG asks: text by 4.5, parts of a picture by 3."""
    visit.emulate_media(color_scheme=scheme)
    ground = color(visit, "body", "backgroundColor")
    assert (np.mean(ground) > 128) == (scheme == "light")
    for selector in ("body", ".note", "a"):
        assert contrast(color(visit, selector, "color"), ground) >= 4.5
    for selector in (".histogram .filled", "svg.share .filled"):
        assert contrast(color(visit, selector, "fill"), ground) >= 3
    assert contrast(color(visit, ".histogram text", "fill"), ground) >= 4.5


def color(visit, selector, name):
    found = visit.locator(selector).first.evaluate(f"e => getComputedStyle(e).{name}")
    return np.array([int(part) for part in re.findall(r"\d+", found)[:3]])


def contrast(one, other):
    """Return the contrast of two colors."""

    def luminance(rgb):
        parts = rgb / 255
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return linear @ [0.2126, 0.7152, 0.0722]

    dark, light = sorted([luminance(one), luminance(other)])
    return (light + 0.05) / (dark + 0.05)


def test_it_begins_with_what_to_talk_about(visit):
    """The most frequent mistake of each assignment is seen at once; long tables are folded."""
    first = "[...document.querySelectorAll('section')].map(s => s.querySelector('h3').textContent)"
    assert visit.evaluate(first) == ["What to talk about in the next lecture"] * 2
    text = visit.locator("section").first.evaluate("e => e.innerText")
    shown = text.partition("Points\n")[0]
    assert TASK.misconceptions[0].id in shown
    assert f"{TASK.name}: " in shown
    assert visit.locator("details[open]").count() == 0
    assert not visit.locator("section table").first.is_visible()


def test_a_class_of_60_prints_on_two_pages_for_each_assignment(browser, tmp_path):
    """With the overview on the first of them, however many are late or missing."""
    report = class_report(60)
    many = People.of([Person(f"student-{number}", "Ada Lovelace", "1 d") for number in range(30)])
    facts = replace(
        report.assignments[0], missing=many, late=many, stopped=many, refused=many, outdated=many
    )
    changed = tuple(Changed(f"student-{number}", 1.0, 2.0) for number in range(60))
    facts = replace(facts, changes=replace(facts.changes, new=many, changed=changed))
    report = replace(report, assignments=(facts, replace(facts, name="dropout")))
    file = tmp_path / "report.html"
    file.write_text(html_page(report), encoding="utf-8")
    opened = browser.new_page()
    opened.goto(file.as_uri())
    pages = re.findall(rb"/Type\s*/Page\b", opened.pdf(format="A4"))
    assert 2 <= len(pages) <= 4
    opened.close()


def test_the_page_prints(visit):
    """Ink goes on white paper, also from a dark screen."""
    visit.emulate_media(media="print", color_scheme="dark")
    assert color(visit, "body", "backgroundColor").tolist() == [255, 255, 255]
    assert contrast(color(visit, "body", "color"), np.array([255, 255, 255])) >= 4.5
    visit.emulate_media(media="screen", color_scheme="light")


@pytest.mark.parametrize(
    ("share", "text"), [(0, "0%"), (1, "100%"), (0.001, "< 1%"), (0.999, "> 99%"), (0.5, "50%")]
)
def test_only_all_is_100_percent(share, text):
    """One of a thousand is not nobody."""
    assert percent(share) == text
