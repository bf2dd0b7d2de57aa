"""What the head of a page says, and what stands beside the pages."""

import re
from types import SimpleNamespace

import page_head
import pytest
from docutils.core import publish_doctree

ADDRESS = "https://example.org/course/"


@pytest.fixture
def known(monkeypatch):
    """Give the book an address."""
    monkeypatch.setattr(page_head, "addresses", lambda: {"Documentation": ADDRESS[:-1]})


def test_every_page_is_described_in_its_own_words(pages):
    """A search engine shows the first sentences of a page, and no two are alike."""
    seen = {}
    for name, path in pages.items():
        if name in ("book/references",):
            continue
        found = re.findall(r'<meta name="description" content="([^"]+)"', path.read_text("utf-8"))
        assert len(found) == 1, name
        assert 40 < len(found[0]) < 400, name
        assert found[0] not in seen, (name, seen.get(found[0]))
        seen[found[0]] = name


def test_the_text_of_a_description_is_whole_sentences():
    """As many sentences as fit, and never a part of one but the first."""
    text = "Short one. " + "A sentence of some length follows here. " * 9
    plain = {"doctitle_xform": False}
    doctree = publish_doctree(f"Title\n=====\n\n{text}", settings_overrides=plain)
    found = page_head.description(doctree)
    assert found.startswith("Short one. A sentence")
    assert found.endswith(".")
    assert len(found) <= page_head.LONGEST_DESCRIPTION


def test_nothing_is_said_of_an_unknown_address(monkeypatch):
    """While the address is unknown, no page names one."""
    monkeypatch.setattr(page_head, "addresses", dict)
    found = page_head.head("Title", "Text.", "book/l2.html")
    assert "http" not in found
    assert "og:url" not in found


def test_a_known_address_is_named(known):
    """Other sites show a picture; search engines know which address counts."""
    found = page_head.head('A "title"', "Text & more.", "book/l2.html")
    assert f'<link rel="canonical" href="{ADDRESS}book/l2.html" />' in found
    assert f'content="{ADDRESS}_static/preview.png"' in found
    assert "A &quot;title&quot;" in found


def test_what_stands_beside_the_pages(known, tmp_path):
    """A map, a page for wrong addresses, a picture, and a page that leads to the first one."""
    (tmp_path / "_static").mkdir()
    app = SimpleNamespace(
        outdir=tmp_path,
        builder=SimpleNamespace(name="html", get_target_uri="{}.html".format),
        env=SimpleNamespace(found_docs=["book/l2", "book/why"]),
        config=SimpleNamespace(html_title="A course", root_doc="book/index"),
    )
    page_head.write_beside(app, None)
    assert f"<loc>{ADDRESS}book/l2.html</loc>" in (tmp_path / "sitemap.xml").read_text()
    assert f"Sitemap: {ADDRESS}sitemap.xml" in (tmp_path / "robots.txt").read_text()
    assert f'href="{ADDRESS}"' in (tmp_path / "404.html").read_text()
    assert 'url=book/index.html"' in (tmp_path / "index.html").read_text()
    assert (tmp_path / "_static" / "preview.png").stat().st_size > 5000


def test_the_theme_starts_in_the_readers_mode(address, browser):
    """No page complains in the console."""
    page = browser.new_page()
    said = []
    page.on("console", lambda m: said.append(m.text) if m.type in ("error", "warning") else None)
    page.goto(f"{address}/book/why.html", wait_until="networkidle")
    page.close()
    assert said == []
