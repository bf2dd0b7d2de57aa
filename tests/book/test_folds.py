"""What is folded on a page, and what is open on paper."""

import folds
from docutils import nodes


def test_a_fold_says_what_is_behind_it(address, browser):
    """No chapter is a stack of equal bars, and the text of a bar is its name."""
    page = browser.new_page()
    page.goto(f"{address}/book/l2.html", wait_until="load")
    bars = page.locator("details.hide > summary")
    texts = bars.all_inner_texts()
    assert "Show the code of this figure" in texts
    assert "Show the code: the imports" in texts
    assert not any(bar.get_attribute("aria-label") for bar in bars.all())
    page.close()


def test_a_cell_that_only_computes_keeps_the_plain_prompt():
    """What makes neither figure nor table has no other name."""
    cell = nodes.container("", nodes.literal_block("", "x = 1"))
    assert folds.behind(cell) == ""


def test_answers_are_open_on_paper_and_closed_again(address, browser):
    """A dark page is printed as a light one with all answers, and is as it was after that."""
    context = browser.new_context(color_scheme="dark")
    page = context.new_page()
    page.goto(f"{address}/book/l2.html", wait_until="load")
    closed = "document.querySelectorAll('details.sd-dropdown:not([open])').length"
    theme = "document.documentElement.dataset.theme"
    before = page.evaluate(closed), page.evaluate(theme)
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert (page.evaluate(closed), page.evaluate(theme)) == (0, "light")
    assert page.locator("details.hide").first.is_hidden()
    assert page.locator("h1:not(#jb-print-docs-body h1)").is_visible()
    wide = "e => e.scrollWidth > e.clientWidth + 1"
    cut = f"[...document.querySelectorAll('pre')].filter({wide}).length"
    assert page.evaluate(cut) == 0
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    page.emulate_media(media="screen")
    assert (page.evaluate(closed), page.evaluate(theme)) == before
    context.close()
