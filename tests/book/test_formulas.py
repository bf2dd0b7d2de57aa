"""How the pages show formulas."""

import io
import re
from types import SimpleNamespace

import formulas
import pytest
from sphinx.errors import ExtensionError

MATH = re.compile(r"<math.*?</math>", re.DOTALL)


def covered(root):
    """Return the characters that the fonts of the formulas were made for."""
    text = (root / "book/_static/formulas/characters.txt").read_text()
    ranges = re.findall(r"U\+([0-9A-F]+)(?:-([0-9A-F]+))?", text)
    return {
        chr(code)
        for first, last in ranges
        for code in range(int(first, 16), int(last or first, 16) + 1)
    }


def test_formulas_are_typeset_without_errors(pages):
    """No formula is left as source."""
    for name, path in pages.items():
        source = path.read_text(encoding="utf-8")
        assert "$$" not in re.sub(r"<(script|pre)\b.*?</\1>", "", source, flags=re.DOTALL), name
    for chapter in ("why", "l2", "dropout", "batch_norm", "norms"):
        assert len(MATH.findall(pages[f"book/{chapter}"].read_text(encoding="utf-8"))) > 20


def test_fonts_have_the_characters(pages, root):
    """A character that is missing would be shown in another font, or as a box."""
    known, missing = covered(root), {}
    for name, path in pages.items():
        for found in MATH.findall(path.read_text(encoding="utf-8")):
            letters = set(re.sub(r"<[^>]*>|&[a-z]+;|\s", "", found)) - known
            if letters:
                missing.setdefault(name, set()).update(letters)
    assert missing == {}


def test_formulas_have_their_fonts(address, browser):
    """The style sheet finds its fonts on the site."""
    page = browser.new_page()
    page.goto(f"{address}/book/batch_norm.html", wait_until="networkidle")
    loaded = page.evaluate(
        "document.fonts.ready.then(() => [...document.fonts]"
        ".filter(f => f.status === 'loaded').map(f => f.family.replaceAll('\"', '')))"
    )
    page.close()
    assert "Course Math" in loaded


def test_a_wide_formula_scrolls_in_its_own_box(address, browser):
    """On a phone the formula is whole, and the page around it stands still."""
    page = browser.new_page(viewport={"width": 400, "height": 800})
    page.goto(f"{address}/book/batch_norm.html", wait_until="load")
    hidden = page.evaluate(
        "[...document.querySelectorAll('div.math')]"
        ".filter(e => e.scrollWidth > e.clientWidth + 1)"
        ".map(e => { e.scrollLeft = 9999; return e.scrollWidth - e.clientWidth - e.scrollLeft; })"
    )
    page.close()
    assert hidden
    assert all(abs(width) <= 1 for width in hidden)


def test_a_wide_formula_can_be_moved_with_the_keyboard(address, browser):
    """It is a stop for the tab key exactly while it is wider than its box."""
    page = browser.new_page(viewport={"width": 400, "height": 800})
    page.goto(f"{address}/book/batch_norm.html", wait_until="load")
    found = (
        "() => [...document.querySelectorAll('div.math')]"
        ".map(e => [e.scrollWidth > e.clientWidth, e.tabIndex === 0])"
    )
    narrow = page.evaluate(found)
    page.set_viewport_size({"width": 1400, "height": 800})
    page.wait_for_function("!document.querySelector('div.math[tabindex]')")
    page.close()
    assert all(scrolls == stop for scrolls, stop in narrow)
    assert any(stop for _, stop in narrow)


def test_a_fraction_is_mathml():
    """What reaches the page needs no script and no style sheet to be read."""
    found = formulas.typeset(r"\frac{1}{m}", display=False)
    assert found == "<math><mfrac><mn>1</mn><mi>m</mi></mfrac></math>"


def test_a_formula_that_cannot_be_typeset_is_an_error():
    """The message names the place in the formula."""
    with pytest.raises(ValueError, match=r"position 6"):
        formulas.typeset(r"1 + x}", display=True)


def test_a_typesetter_that_cannot_run_is_named(monkeypatch):
    """The build ends with one sentence instead of an empty answer."""
    ended = SimpleNamespace(stdin=io.StringIO(), stdout=io.StringIO())
    monkeypatch.setattr(formulas, "typesetter", lambda: ended)
    with pytest.raises(ExtensionError, match=r"typeset\.js has ended"):
        formulas.typeset("never asked before", display=True)


def test_punctuation_stays_with_its_formula():
    """No line begins with a comma, and none ends with the parenthesis before a formula."""
    math = '<span class="math"><math><mi>x</mi></math></span>'
    found = formulas.keep_together(f"<p>care ({math}), and {math} too</p>")
    assert found == f'<p>care <span class="unbroken">({math}),</span> and {math} too</p>'


def test_lines_break_between_words(address, browser):
    """On a phone, too, the marks around a formula stand on the formula's line."""
    page = browser.new_page(viewport={"width": 400, "height": 800})
    page.goto(f"{address}/book/l2.html", wait_until="load")
    torn = page.evaluate(
        """[...document.querySelectorAll('p > .unbroken')].filter(one =>
             one.firstChild.nodeType === Node.TEXT_NODE && (range => {
               range.selectNode(one.firstChild);
               const mark = range.getBoundingClientRect();
               const formula = one.querySelector('math').getBoundingClientRect();
               return mark.bottom < formula.top || mark.top > formula.bottom;
             })(document.createRange())).map(one => one.textContent)"""
    )
    together = page.locator("p > .unbroken").count()
    page.close()
    assert together > 100
    assert torn == []
