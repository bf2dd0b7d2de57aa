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


def test_a_figure_is_not_longer_than_a_sheet(address, browser):
    """Its picture and its caption are on one, where 261 mm are between the margins of A4."""
    page = browser.new_page(viewport={"width": 673, "height": 986})
    page.goto(f"{address}/book/mistakes.html", wait_until="networkidle")
    page.emulate_media(media="print")
    heights = page.locator("figure").evaluate_all("all => all.map(one => one.clientHeight)")
    assert heights
    assert max(heights) < 261 / 25.4 * 96
    page.close()
