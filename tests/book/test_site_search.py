"""What the search of the site finds."""

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


def test_code_and_formulas_are_not_searched():
    """The words of a sentence stay together, and code beside them is left out."""
    section = nodes.section(
        "",
        nodes.title("", "Scaling"),
        nodes.paragraph("", "Divide by ", nodes.math("", "p"), nodes.Text(" once.")),
        nodes.literal_block("", "x / p"),
        nodes.section("", nodes.title("", "Inner")),
    )
    assert site_search.text_of(section) == "Scaling\nDivide by  once."
