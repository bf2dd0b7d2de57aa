"""The site in one archive."""

import zipfile

import offline


def test_the_archive_opens_from_a_disk(site, browser, tmp_path):
    """A chapter has its formulas, its pictures and the first state of its figures."""
    with zipfile.ZipFile(site / "downloads" / "site.zip") as archive:
        archive.extractall(tmp_path)
    page = browser.new_page()
    page.goto((tmp_path / offline.FOLDER / "book" / "l2.html").as_uri(), wait_until="load")
    assert page.locator("math").count() > 100
    picture = page.locator(".picture img").first
    picture.scroll_into_view_if_needed()
    page.wait_for_function("image => image.naturalWidth > 0", arg=picture.element_handle())
    assert page.locator("[data-figure] svg").first.is_visible()
    page.locator(".prev-next-area a.right-next").first.click()
    page.wait_for_url("**/exercises/l2/l2.html")
    page.close()


def test_the_same_pages_give_the_same_archive(tmp_path):
    """So that a build in which nothing has changed writes nothing."""
    for name in ("a.html", "downloads/large.zip", "pagefind/index"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    first = offline.packed(tmp_path)
    (tmp_path / "a.html").touch()
    assert offline.packed(tmp_path) == first
    assert len(first) < 1000
