"""What the search of the site finds."""

import base64
import json
from urllib.parse import quote

import pytest
import site_search
from docutils import nodes

# What a reader types, and the section that they look for.
PHRASES = {
    "batchnorm backward": "batch_norm.html#the-backward-pass",
    "λ": "l2.html",
    "running mean": "batch_norm.html#running-statistics",
    "inverted dropout": "dropout.html#inverted-scaling",
    "AdamW": "l2.html#adam-and-adamw",
    "momentum direction": "batch_norm.html#running-statistics",
    "keep probability": "dropout.html#the-mask",
    "early stopping": "why.html#early-stopping",
    "rmsnorm": "norms.html#rmsnorm",
    "double descent": "why.html#double-descent",
}


@pytest.mark.parametrize("phrase", PHRASES)
def test_a_phrase_leads_to_its_section(phrase, address, browser):
    """The section is among the first five, and its link is alive."""
    page = browser.new_page()
    page.goto(f"{address}/search.html?q={quote(phrase)}", wait_until="networkidle")
    page.wait_for_selector("#search-results li a")
    links = page.locator("#search-results li a")
    found = [link.get_attribute("href") for link in links.all()[:5]]
    wanted = [link for link in found if link.endswith(PHRASES[phrase])]
    assert wanted, found
    page.goto(f"{address}/{wanted[0].removeprefix('./')}")
    place = wanted[0].partition("#")[2]
    assert not place or page.locator(f"[id='{place}']").count() == 1
    page.close()


def test_no_result_says_what_to_do(address, browser):
    """A word that nothing begins like gets an answer, too, and it is announced."""
    page = browser.new_page()
    page.goto(f"{address}/search.html?q=ǂǂǂ", wait_until="networkidle")
    summary = page.get_by_role("status")
    summary.filter(has_text="Nothing is said of “ǂǂǂ”").wait_for()
    page.close()


def test_a_search_tells_how_much_it_found(address, browser):
    """Not only how much of that it shows."""
    page = browser.new_page()
    page.goto(f"{address}/search.html?q=dropout", wait_until="networkidle")
    summary = page.get_by_role("status")
    summary.filter(has_text="here are the first 20").wait_for()
    assert int(summary.inner_text().split()[0]) > 20
    assert page.locator("#search-results > li").count() == 20
    page.close()


def test_words_do_not_begin_under_the_magnifier(address, browser):
    """In the field that a key opens."""
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    page.goto(f"{address}/book/l2.html", wait_until="load")
    page.keyboard.press("Control+k")
    field = page.locator("#pst-search-dialog input")
    begin = field.bounding_box()["x"] + field.evaluate(
        "one => parseFloat(getComputedStyle(one).paddingLeft)"
    )
    icon = page.locator("#pst-search-dialog .fa-magnifying-glass").bounding_box()
    assert begin > icon["x"] + icon["width"]
    page.close()


@pytest.mark.parametrize(
    ("latex", "text"),
    [
        (r"\lambda = 0.1", "λ = 0.1"),
        (r"\hat{\mathbf x}_i", "x\u0302_i"),
        (r"\lVert w\rVert^2", "‖ w‖²"),
        (r"\tfrac12\lambda", "…"),
        ("a + b + c + d + e + f + g + h", "…"),
    ],
)
def test_a_short_formula_is_written_as_text(latex, text):
    """Others leave an ellipsis, so that no sentence seems to lack a word."""
    assert site_search.signs(latex) == text


def test_code_is_not_searched():
    """The words of a sentence stay together, and code beside them is left out."""
    section = nodes.section(
        "",
        nodes.title("", "Scaling"),
        nodes.paragraph("", "Divide by ", nodes.math("", "p"), nodes.Text(" once.")),
        nodes.literal_block("", "x / p"),
        nodes.section("", nodes.title("", "Inner")),
    )
    assert site_search.text_of(section) == "Scaling.\nDivide by p once."


REFUSED = base64.b64encode(json.dumps({"payload": {"type": "Error", "message": "full"}}).encode())


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("exit", "Pagefind has stopped"),
        (f"printf '{REFUSED.decode()},'", "Pagefind cannot index the site: full"),
    ],
)
def test_a_site_without_its_search_is_not_built(answer, said, tmp_path, monkeypatch):
    """What goes wrong in Pagefind ends the build, and says so."""
    program = tmp_path / "pagefind"
    program.write_text(f"#!/bin/sh\nhead -c 10 >/dev/null\n{answer}\n")
    program.chmod(0o755)
    monkeypatch.setattr(site_search, "get_executable", lambda: program)
    with pytest.raises(RuntimeError, match=said):
        site_search.write_index([], tmp_path / "index")
