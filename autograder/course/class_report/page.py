"""A class report as one HTML page that runs no script and loads nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from autograder.course import feedback
from autograder.course.class_report.facts import FEWEST, ClassReport
from autograder.course.class_report.statistics import Bin
from autograder.course.class_report.summary import topics
from autograder.course.sanitize import spell_out
from autograder.judging.report import book_address, marked

_HERE = Path(__file__).parent
_FEEDBACK = Path(feedback.__file__).parent

UNFOLDED = 8
"""How long a list of people may be without a fold."""


def html_page(report: ClassReport) -> str:
    """Return a report as a page; everything that a student wrote or is called is escaped."""
    return rendered(
        _HERE / "page.html.j2",
        {
            "points": points,
            "correlation": correlation,
            "formatted": lambda text: Markup(marked(text)),
            "said": said,
            "topics": topics,
        },
        report=report,
        fewest=FEWEST,
        unfolded=UNFOLDED,
        book=book_address(),
    )


def rendered(template: Path, filters: Mapping[str, Callable[..., object]], **values: object) -> str:
    """Return the page that a template makes, in the style of feedback pages and of `page.css`.

    Parameters
    ----------
    template
        A file with a `page.css` beside it.
    filters
        What it uses besides `percent`, `number_of` and `typed`, which spells out a text.
    values
        What it shows; all of it is escaped.
    """
    environment = Environment(
        loader=FileSystemLoader(template.parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": percent,
        "number_of": number_of,
        "typed": spell_out,
        **filters,
    }
    styles = [_FEEDBACK / "style.css", template.with_name("page.css")]
    style = Markup("\n".join(path.read_text(encoding="utf-8") for path in styles))
    return environment.get_template(template.name).render(style=style, **values).lstrip()


def points(value: float | None) -> str:
    """Return points as people read them; a dash if there are none."""
    return "–" if value is None else f"{value:.2f}".rstrip("0").rstrip(".")


def percent(share: float) -> str:
    """Return a share in percent; only all and nothing are 100% and 0%."""
    rounded = round(100 * share)
    if rounded == 100 and share < 1:
        return "> 99%"
    return "< 1%" if rounded == 0 and share > 0 else f"{rounded}%"


def correlation(value: float | None) -> str:
    """Return a correlation with two digits and a minus sign; a dash if there is none."""
    return "–" if value is None else f"{value:.2f}".replace("-", "\N{MINUS SIGN}")


def number_of(count: int, one: str, many: str | None = None) -> str:
    """Return a number with its noun: "1 student", "3 students"."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def said(bin: Bin, last: bool) -> str:
    """Return a bar of the histogram as a sentence."""
    end = "to" if last else "to below"
    have = "has" if bin.count == 1 else "have"
    students = number_of(bin.count, "student")
    return f"{students} {have} {points(bin.low)} {end} {points(bin.high)} points."
