"""What a link leads to is shown while the pointer or the focus is on it."""

import pytest
from helpers.accessibility import violations

PREVIEW = ".preview"
LINKS = {
    "a formula": ("book/l2", "a.reference[href='#equation-l2-loss']", "math"),
    "a figure": ("book/l2", "a.reference[href='#fig-l2-shrinkage']", "figure"),
    "a paper": ("book/why", "a[href^='references.html#']", ".citation"),
    "a section of the page": ("book/l2", ".bd-article p a[href='#l2-adam']", "p"),
    "a section of another page": (
        "book/practice",
        ".bd-article p a[href='norms.html#norms-why']",
        "p",
    ),
    "a term": ("book/glossary", ".bd-article dd a[href='#term-weight-decay']", ".dt"),
}


@pytest.mark.parametrize("what", LINKS)
def test_the_pointer_on_a_link_shows_where_it_leads(address, browser, what):
    """It is what stands there, without ids that would be on the page twice; axe finds no fault."""
    name, link, within = LINKS[what]
    page = browser.new_page()
    page.goto(f"{address}/{name}.html", wait_until="load")
    page.locator(link).first.scroll_into_view_if_needed()
    page.locator(link).first.hover()
    preview = page.locator(PREVIEW)
    preview.wait_for()
    assert preview.locator(within).count()
    assert preview.locator("[id], a, input, button").count() == 0
    box = preview.bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= page.evaluate("document.documentElement.clientWidth")
    assert violations(page, within=PREVIEW) == {}
    page.mouse.move(0, 0)
    preview.wait_for(state="detached")
    page.close()


def test_the_pointer_may_enter_a_preview_and_escape_closes_it(address, browser):
    """It stays while somebody reads it, and never has to."""
    page = browser.new_page()
    page.goto(f"{address}/book/l2.html", wait_until="load")
    page.locator("a.reference[href='#equation-l2-loss']").first.hover()
    page.locator(PREVIEW).wait_for()
    page.locator(PREVIEW).hover()
    page.wait_for_function("new Promise(done => setTimeout(() => done(true), 600))")
    assert page.locator(PREVIEW).is_visible()
    page.keyboard.press("Escape")
    assert page.locator(PREVIEW).count() == 0
    page.close()


def test_the_keyboard_opens_a_preview_which_describes_its_link(address, browser):
    """Whoever moves by Tab sees it too, and a screen reader reads it; the next link closes it."""
    page = browser.new_page()
    page.goto(f"{address}/book/l2.html", wait_until="load")
    link = page.locator("a.reference[href='#equation-l2-loss']").first
    link.focus()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Tab")
    page.locator(PREVIEW).wait_for()
    assert link.get_attribute("aria-describedby") == page.locator(PREVIEW).get_attribute("id")
    page.keyboard.press("Tab")
    # The next link may have a preview of its own.
    page.wait_for_function(
        "link => !link.hasAttribute('aria-describedby')", arg=link.element_handle()
    )
    page.close()
