"""What a reader finds on the built pages."""

import re
import shutil
import zipfile
from types import SimpleNamespace
from urllib.parse import unquote, urlsplit

import course_book
import pytest
from helpers.accessibility import violations
from helpers.pages import Page

from autograder.tasks import assignments

CHAPTERS = {
    "book/why": ["Why regularize", "Validation sets", "Early stopping", "Double descent"],
    "book/l2": [
        "L2 regularization and weight decay",
        "The penalty",
        "The gradient",
        "The update",
        "In PyTorch",
        "Adam and AdamW",
        "What not to decay",
    ],
    "book/dropout": [
        "Dropout",
        "The mask",
        "Inverted scaling",
        "The backward pass",
        "Training and evaluation",
        "In PyTorch",
        "Monte Carlo dropout",
    ],
    "book/batch_norm": [
        "Batch normalization",
        "The forward pass",
        "Running statistics",
        "Evaluation mode",
        "The backward pass",
        "Images: one statistic per channel",
        "In PyTorch",
        "Folding at inference",
    ],
    "book/norms": [
        "Why batch norm works, and its relatives",
        "Relatives",
        "Layer norm",
        "RMSNorm",
        "Group norm and instance norm",
        "Frozen batch norm",
    ],
    "book/practice": [
        "Regularization in practice",
        "A decision guide",
        "A checklist for a run that overfits",
    ],
}


def elsewhere(address):
    """Tell whether fetching an address would leave the site."""
    return bool(re.match(r"(?!data:)[a-z][a-z0-9+.-]*:|//", address.strip(), re.IGNORECASE))


def test_no_page_names_a_file_of_another_host(pages):
    """Scripts, styles, fonts and images come from the site itself."""
    foreign = [
        (name, address)
        for name, path in pages.items()
        for address in Page(path).fetched
        if elsewhere(address)
    ]
    # Nor does a script on the page hold an address to fetch later.
    for name, path in pages.items():
        for script in re.findall(r"<script>(.*?)</script>", Page(path).source, re.DOTALL):
            foreign += [(name, address) for address in re.findall(r"https?://[^\"']+", script)]
    assert foreign == []


def test_no_style_sheet_names_a_file_of_another_host(site):
    """Fonts and pictures that a style sheet asks for come from the site itself."""
    foreign = []
    for path in site.rglob("*.css"):
        text = path.read_text(encoding="utf-8")
        for address in re.findall(r"""(?:url\(|@import)\s*["']?([^"')\s;]+)""", text):
            if elsewhere(address):
                foreign.append((path.name, address))
    assert foreign == []


def test_no_page_asks_another_host_while_it_is_shown(pages, address, browser):
    """Nothing is fetched from elsewhere by a running script either, and nothing is missing."""
    context = browser.new_context()
    foreign, missing = [], []
    context.on(
        "request", lambda r: None if r.url.startswith((address, "data:")) else foreign.append(r.url)
    )
    context.on("response", lambda r: missing.append(r.url) if r.status >= 400 else None)
    page = context.new_page()
    for name in pages:
        page.goto(f"{address}/{name}.html", wait_until="networkidle")
    context.close()
    assert (foreign, missing) == ([], [])


def test_links_inside_the_site_lead_somewhere(pages):
    """Each link to a page or to a place on a page finds it."""
    parsed = {path.resolve(): Page(path) for path in pages.values()}
    dead = []
    for path, page in parsed.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            exists = target.exists()
            if exists and parts.fragment and target in parsed:
                exists = unquote(parts.fragment) in parsed[target].ids
            if not exists:
                dead.append((path.name, link))
    assert dead == []


def test_computed_numbers_have_a_minus_sign(pages):
    """A negative number in a sentence looks like one in a formula."""
    for name, path in pages.items():
        assert not re.search(r'class="pasted-text">-[\d.]', path.read_text("utf-8")), name


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_chapter_has_the_headings_others_refer_to(chapter, pages):
    """Exercises and feedback send readers to these headings by name."""
    headings = Page(pages[chapter]).headings
    assert [title for title in CHAPTERS[chapter] if title not in headings] == []


def test_figures_say_what_they_show(pages):
    """Each figure of a page is a drawing (SVG) with a text for those who cannot see it."""
    for name, path in pages.items():
        figures = [image for image in Page(path).images if "_images" in image["src"]]
        assert figures or name not in CHAPTERS, name
        for image in figures:
            assert image["src"].endswith(".svg"), image
            assert len(image.get("alt", "").split()) > 10, image


@pytest.mark.parametrize("script", [True, False])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_figures_stand_out_from_the_page(scheme, script, address, browser):
    """Lines and letters of a figure are dark on a light page and light on a dark one."""
    context = browser.new_context(color_scheme=scheme, java_script_enabled=script)
    page = context.new_page()
    page.goto(f"{address}/book/l2.html", wait_until="networkidle")
    style = page.evaluate(
        "(() => { const s = getComputedStyle(document.querySelector('.cell_output img'));"
        " return [s.filter, s.backgroundColor]; })()"
    )
    context.close()
    assert style[1] == "rgba(0, 0, 0, 0)"
    assert ("invert" in style[0]) == (scheme == "dark")


@pytest.mark.parametrize("width", [320, 400, 1400])
def test_pages_fit_the_window(width, on_each_page):
    """No page has to be pushed sideways; wide formulas and code scroll in their own box."""
    root = "document.documentElement"
    assert on_each_page(f"{root}.scrollWidth > {root}.clientWidth", width) == {}


def test_arrows_and_formulas_stay_in_their_column_on_a_phone(on_each_page):
    """No arrow to the next page and no formula in the text is pushed over the edge."""
    outside = (
        "[...document.querySelectorAll('.prev-next-area i')]"
        ".filter(e => e.getBoundingClientRect().right > innerWidth).map(() => 'an arrow')"
    )
    wide = """
        [...document.querySelectorAll('main details')].forEach(e => e.open = true),
        [...document.querySelectorAll('p span.math math')].filter(e =>
            e.getBoundingClientRect().right > e.closest('p').getBoundingClientRect().right + 1
        ).map(e => e.textContent)
    """
    assert on_each_page(f"[...{outside}, ...({wide})]", 400) == {}


def test_a_formula_in_a_box_has_the_box_behind_it(address, browser):
    """In the dark, a formula in a warning is no black bar."""
    page = browser.new_page(color_scheme="dark")
    page.goto(f"{address}/book/notation.html", wait_until="load")
    color = "e => getComputedStyle(e).backgroundColor"
    formula = page.locator(".admonition div.math").first
    box = page.locator(".admonition", has=page.locator("div.math")).first
    assert formula.evaluate(color) == box.evaluate(color)
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    "name", ["index", "book/l2", "exercises/l2/l2", "book/references", "experiments/margins"]
)
def test_everybody_can_read_the_pages(name, scheme, address, browser):
    """No rule of axe is broken."""
    page = browser.new_page(color_scheme=scheme)
    page.goto(f"{address}/{name}.html", wait_until="networkidle")
    assert violations(page) == {}
    page.close()


@pytest.mark.evidence
@pytest.mark.parametrize("width", [400, 1400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_read_every_page(scheme, width, site, address, browser):
    """No rule of axe is broken on any page of the site, and no page complains in the console."""
    names = [path.relative_to(site).as_posix() for path in sorted(site.rglob("*.html"))]
    # The first only leads to another one of them.
    names = [name for name in names if name != "index.html" and not name.startswith("_")]
    assert len(names) > 30
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 900})
    broken, said = {}, []
    for name in names:
        page = context.new_page()
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("console", lambda one: one.type == "error" and said.append(one.text))
        page.goto(f"{address}/{name}", wait_until="load")
        if found := violations(page):
            broken[name] = found
        page.close()
    context.close()
    assert (broken, said) == ({}, [])


def test_code_and_formulas_can_be_read_without_scrolling(on_each_page):
    """On a usual screen no line of code and no formula is cut off."""
    cut = (
        "[...document.querySelectorAll('pre, div.math')]"
        ".filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.textContent.slice(0, 60))"
    )
    assert on_each_page(cut, 1400) == {}


def test_names_in_tables_stay_whole(on_each_page):
    """On a usual screen no table breaks a name, and none has to be pushed sideways."""
    torn = (
        "[...document.querySelectorAll('td code .pre, th code .pre')]"
        ".filter(e => e.getClientRects().length > 1).map(e => e.textContent)"
    )
    wide = (
        "[...document.querySelectorAll('.pst-scrollable-table-container')]"
        ".filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.textContent.slice(0, 60))"
    )
    assert on_each_page(f"[...{torn}, ...{wide}]", 1400) == {}


def test_no_button_leads_to_an_unknown_repository(pages):
    """While the repository's address is empty, no page offers to go there."""
    for name, path in pages.items():
        links = " ".join(Page(path).links)
        assert "executablebooks/jupyter-book" not in links, name
        assert "/issues/new" not in links, name


@pytest.mark.parametrize(("url", "shown"), [("", False), ("https://example.org/course", True)])
def test_the_address_alone_brings_the_buttons(url, shown, tmp_path, monkeypatch):
    """Whoever fills in the address need not look for other settings."""
    monkeypatch.setattr(course_book, "addresses", lambda: {"Repository": url})
    options = {"use_repository_button": False, "use_issues_button": False}
    config = SimpleNamespace(html_theme_options=options)
    course_book.configure(SimpleNamespace(outdir=tmp_path / "html"), config)
    assert options["use_repository_button"] is shown
    assert options["use_issues_button"] is shown


@pytest.mark.parametrize("name", ["digits.py", "why.py"])
def test_results_are_computed_anew_when_a_module_changes(name, tmp_path, monkeypatch):
    """The execution cache of one version of the chapters' modules is not used for another."""
    before = course_book.cache_key()
    shutil.copytree(course_book.BOOK / "experiments", tmp_path / "experiments")
    monkeypatch.setattr(course_book, "BOOK", tmp_path)
    assert course_book.cache_key() == before
    with (tmp_path / "experiments" / name).open("a") as stream:
        stream.write("# changed\n")
    assert course_book.cache_key() != before


def test_the_longest_chapters_begin(root):
    """No core is idle while another one is still at work on a long chapter."""
    order = [page.stem for page in course_book.longest_first((root / "book").glob("*.md"))]
    assert order[: len(course_book.LONGEST)] == list(course_book.LONGEST)
    assert order[3:] == sorted(order[3:])


def test_references_can_be_looked_up(root):
    """Each work in the bibliography has a DOI, an arXiv number or its own page."""
    entries = re.split(r"^@", (root / "book/references.bib").read_text(), flags=re.MULTILINE)[1:]
    assert len(entries) > 10
    for entry in entries:
        assert re.search(
            r"doi\s*=\s*\{10\.\d{4,}/|eprint\s*=\s*\{\d{4}\.\d{4,5}\}"
            r"|url\s*=\s*\{https://(?:jmlr|www\.deeplearningbook)\.org",
            entry,
        ), entry


def test_every_reference_is_cited(root, pages):
    """The bibliography lists what chapters and guides rest on, and nothing else."""
    entries = re.findall(
        r"^@\w+\{([^,]+)", (root / "book/references.bib").read_text(), re.MULTILINE
    )
    text = "".join(path.read_text(encoding="utf-8") for path in (root / "book").rglob("*.md"))
    assert [entry for entry in entries if entry not in text] == []


@pytest.mark.parametrize("name", assignments)
def test_exercise_is_shown_as_the_student_gets_it(name, pages):
    """The notebook's tasks are on the page, and nothing was run."""
    source = pages[f"exercises/{name}/{name}"].read_text(encoding="utf-8")
    assert "NotImplementedError" in source
    assert "check" in source
    assert 'class="cell_output' not in source


@pytest.mark.parametrize("name", assignments)
def test_exercise_can_be_downloaded(name, root, pages, address, browser):
    """The button at the top of the page and the chapter's link give the notebook itself."""
    notebook = (root / f"exercises/{name}/{name}.ipynb").read_bytes()
    page = browser.new_page()
    page.goto(f"{address}/exercises/{name}/{name}.html", wait_until="load")
    page.get_by_label("Download this page").click()
    with page.expect_download() as download:
        page.get_by_role("link", name=".ipynb", exact=True).click()
    assert download.value.suggested_filename == f"{name}.ipynb"
    assert download.value.path().read_bytes() == notebook
    page.close()


@pytest.mark.parametrize("name", assignments)
def test_exercise_comes_with_all_that_it_needs(name, root, site, pages):
    """The page of an exercise and the guide link to an archive of the notebook and the package."""
    for page in (f"exercises/{name}/{name}", "book/guides/students"):
        links = [link for link in Page(pages[page]).links if link.endswith(f"downloads/{name}.zip")]
        assert links, page
        assert (pages[page].parent / links[0]).resolve() == site.resolve() / f"downloads/{name}.zip"
    with zipfile.ZipFile(site / "downloads" / f"{name}.zip") as archive:
        notebook = (root / f"exercises/{name}/{name}.ipynb").read_bytes()
        assert archive.read(f"{name}/{name}.ipynb") == notebook
        assert any(file.endswith(".whl") for file in archive.namelist())


@pytest.mark.parametrize("name", assignments)
def test_pages_that_speak_of_an_exercise_hand_it_out(name, root, pages):
    """A download link outside the exercise's own page leads to the same file."""
    linked = [
        (path.parent / link).resolve()
        for path in pages.values()
        for link in Page(path).links
        if "_downloads/" in link and link.endswith(f"/{name}.ipynb")
    ]
    assert linked
    notebook = (root / f"exercises/{name}/{name}.ipynb").read_bytes()
    assert all(path.read_bytes() == notebook for path in linked)
