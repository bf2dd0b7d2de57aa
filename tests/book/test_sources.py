"""Where a cell calls an experiment, its code is a click away."""

import re

import sources


def test_names_are_followed_through_imports():
    """A module under another name, a part of a module, and what is no experiment."""
    known = sources.imported(
        "import numpy as np\nfrom experiments import practice as claims, digits\n"
        "from experiments.margins import interval\n"
    )
    code = "interval(claims.both(range(2)), np.mean(digits.load()))\nclaims.both(range(3))"
    assert sources.used(code, known) == [
        ("margins", "interval"),
        ("practice", "both"),
        ("digits", "load"),
    ]


def test_every_link_leads_to_the_line_that_defines_the_name(site):
    """On each chapter, the line behind a link begins the function or number that it names."""
    links = set()
    for page in (site / "book").glob("*.html"):
        links |= set(
            re.findall(
                r'href="\.\./experiments/(\w+)\.html#line-(\d+)"><code[^>]*>'
                r'<span class="pre">\w+\.(\w+)</span>',
                page.read_text(encoding="utf-8"),
            )
        )
    assert len(links) > 40
    for module, number, name in links:
        line = (sources.EXPERIMENTS / f"{module}.py").read_text().splitlines()[int(number) - 1]
        assert re.match(rf"(def |class )?{name}\b", line), (module, number, name)
        shown = (site / "experiments" / f"{module}.html").read_text(encoding="utf-8")
        assert f'id="line-{number}"' in shown or f'name="line-{number}"' in shown


def test_a_page_of_code_can_be_read(address, browser):
    """Nothing is wider than a phone, and a link scrolls to its line."""
    page = browser.new_page(viewport={"width": 400, "height": 700})
    page.goto(f"{address}/experiments/practice.html#line-75", wait_until="load")
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    assert page.evaluate("scrollY") > 0
    page.close()
