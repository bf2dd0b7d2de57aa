"""What a page makes a browser load."""

import gzip
import hashlib
import re
from functools import cache

import light_pages
import pytest

# Kilobytes after compression, requests, and elements that a chapter may ask for at first.
LIMITS = {"kB": 350, "requests": 25, "elements": 8000}


def first_load(page, url):
    """Open a page and return what it loaded before anybody scrolled.

    Fonts come compressed. All else is weighed as servers that show a site send it.
    """
    responses = []
    page.on("response", lambda response: responses.append(response))
    page.goto(url, wait_until="networkidle")
    assert [response.url for response in responses if not response.ok] == []
    weights = [
        len(body) if response.url.endswith((".woff", ".woff2")) else compressed(body)
        for response in responses
        for body in [response.body()]
    ]
    return {
        "kB": sum(weights) / 1000,
        "requests": len(responses),
        "elements": page.evaluate("document.querySelectorAll('*').length"),
    }


@cache
def compressed(body):
    """Return the size of a file after compression; most pages load the same ones."""
    return len(gzip.compress(body))


def test_pages_are_light(pages, address, browser):
    """No page asks for more than the budget when it is opened."""
    heavy = {}
    for name in pages:
        # A context of its own, so that nothing is in the cache.
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        found = first_load(page, f"{address}/{name}.html")
        page.close()
        over = {what: found[what] for what, limit in LIMITS.items() if found[what] > limit}
        if over:
            heavy[name] = over
    assert heavy == {}


def test_pictures_wait_until_they_are_seen_and_keep_their_place(address, browser):
    """Pictures further down load when the reader comes near, and move no text when they do."""
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    page.goto(f"{address}/book/l2.html", wait_until="networkidle")
    last = page.locator(".cell_output img").last
    assert not last.evaluate("image => image.complete && image.naturalWidth > 0")
    height = last.evaluate("image => image.getBoundingClientRect().height")
    last.scroll_into_view_if_needed()
    page.wait_for_function(
        "image => image.complete && image.naturalWidth > 0", arg=last.element_handle()
    )
    assert last.evaluate("image => image.getBoundingClientRect().height") == pytest.approx(height)
    page.close()


def test_icons_that_the_site_uses_have_their_glyph(address, browser):
    """No icon of the theme is an empty box: each has a character, and the font has it."""
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    page.goto(f"{address}/book/l2.html", wait_until="networkidle")
    without = page.evaluate(
        "[...document.querySelectorAll('.fa-solid')]"
        ".filter(e => getComputedStyle(e, '::before').content === 'none').map(e => e.className)"
    )
    loaded = page.evaluate(
        "document.fonts.load('900 1em \"Font Awesome 6 Free\"', '\\uf0c9').then(f => f.length)"
    )
    page.close()
    assert without == []
    assert loaded == 1


def test_only_names_without_a_color_lose_their_element():
    """The text of the code stays as it was."""
    code = '<span class="n">x</span> <span class="o">=</span> <span class="p">[]</span>'
    assert light_pages.UNCOLORED.sub(r"\1", code) == 'x <span class="o">=</span> []'


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_loses_its_element_had_no_color_of_its_own(scheme, site):
    """Names and punctuation look like the code around them in the style sheet of the colors."""
    sheet = (site / "_static/pygments.css").read_text(encoding="utf-8")
    color = {
        name: re.search(
            rf'data-theme="{scheme}"\] \.highlight{name} \{{[^}}]*?[^-]color: (#\w+)', sheet
        )[1]
        for name in ("", r" \.n", r" \.p", r" \.w")
    }
    assert len(set(color.values())) == 1


def test_a_drawing_without_a_size_is_still_lazy(tmp_path):
    """A picture that does not say how large it is keeps its element otherwise as it is."""
    (tmp_path / "a.svg").write_text("<svg></svg>")
    image = '<img alt="x" src="../_images/a.svg" />'
    found = light_pages.lazy({"a.svg": tmp_path / "a.svg"}, light_pages.DRAWING.match(image))
    image = '<img loading="lazy" alt="x" src="../_images/a.svg" />'
    assert found == f'<span class="picture">{image}</span>'


def test_text_in_figures_can_be_read_on_a_phone(on_each_page):
    """Letters of nine points, the smallest in a figure, are eleven pixels high or more."""
    small = (
        "[...document.querySelectorAll('.picture img[width]')]"
        ".map(e => 12 * e.getBoundingClientRect().width / e.getAttribute('width'))"
        ".filter(size => size < 11)"
    )
    assert on_each_page(small, 400) == {}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_have_the_readers_mode_without_a_script(scheme, address, browser):
    """A page is dark where the reader wants it dark, with JavaScript off as well."""
    seen = []
    for script in (True, False):
        context = browser.new_context(color_scheme=scheme, java_script_enabled=script)
        page = context.new_page()
        page.goto(f"{address}/book/why.html", wait_until="load")
        color = "e => [getComputedStyle(e).color, getComputedStyle(e).backgroundColor]"
        seen.append([page.locator(part).first.evaluate(color) for part in ("body", "p", "pre")])
        context.close()
    assert seen[0] == seen[1]


def test_a_style_sheet_that_has_changed_is_asked_for_again(site):
    """Its address has a digest of it on every page, so that no browser shows an old one."""
    digest = hashlib.sha256((site / "_static/styles/site.css").read_bytes()).hexdigest()[:8]
    for page in site.rglob("*.html"):
        asked = re.findall(r"site\.css\?v=(\w*)", page.read_text("utf-8"))
        assert set(asked) <= {digest}, page
