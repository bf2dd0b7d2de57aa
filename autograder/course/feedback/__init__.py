"""The page that a student gets back: one file that runs no script and loads nothing else.

nbgrader's own page loads MathJax, which needs a network and processes everything on the page.
Here formulas are typeset when the page is made.
"""

from __future__ import annotations

import html
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import tostring

from jinja2 import pass_context
from latex2mathml.converter import Converter
from nbconvert.exporters import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbgrader.api import Gradebook, MissingEntry
from traitlets.config import Config

from autograder import distribution
from autograder.course.feedback.parts import comment, is_added, parts, reasons
from autograder.course.publishing import published
from autograder.course.sanitize import spell_out
from autograder.intake.solved import Solution
from autograder.judging.report import book_address, marked


class FeedbackExporter(HTMLExporter):
    """A graded notebook as a feedback page, for `GenerateFeedback.exporter_class`."""

    def __init__(self, config: Config | None = None, **options: Any) -> None:
        # nbgrader sets its own template for every HTMLExporter; a subclass's section wins.
        config = Config(config or {})
        config.FeedbackExporter.template_name = Path(__file__).parent.name
        config.FeedbackExporter.extra_template_basedirs = [str(Path(__file__).parents[1])]
        # nbgrader runs the step that colors code, but does not turn it on.
        config.CSSHTMLHeaderPreprocessor.enabled = True
        super().__init__(config=config, **options)
        self.exclude_input_prompt = self.exclude_output_prompt = True
        self.environment.filters |= {
            "parts": lambda cells: list(parts(cells)),
            "reasons": reasons,
            "comment": comment,
            "said": lambda text: marked(spell_out(text)),
            "student": student,
            "typed": spell_out,
        }
        self.environment.tests |= {"added": is_added, "commented": comment}
        self.environment.globals |= {
            "solutions": self._solutions,
            "book": book_address(),
            "version": distribution.version(),
        }

    def _solutions(self, assignment: str) -> Mapping[str, Solution]:
        """Return the published solutions of an assignment; none outside of a course."""
        course = getattr(self.parent, "coursedir", None)
        return published(Path(course.root), assignment) if course else {}

    @pass_context
    def markdown2html(self, context: Any, source: str) -> str:
        """Return markdown as HTML, with its formulas as MathML."""
        return markdown2html(context, source)


def student(whose: Mapping[str, Any]) -> str:
    """Return the name and id of a student, as far as the gradebook knows them.

    Parameters
    ----------
    whose
        What nbgrader says of the submission that it converts.
    """
    if "student" not in whose:
        return ""
    with Gradebook(whose["db_url"]) as gradebook:
        try:
            found = gradebook.find_student(whose["student"])
        except MissingEntry:
            return str(whose["student"])
        name = " ".join(part for part in (found.first_name, found.last_name) if part)
        return f"{name} ({found.id})" if name else str(found.id)


@pass_context
def markdown2html(context: Any, source: str) -> str:
    """Return markdown as HTML, with its formulas as MathML; a filter of a template."""
    renderer = _Renderer(
        escape=False,
        attachments=context.get("cell", {}).get("attachments", {}),
        exclude_anchor_links=True,
    )
    # The empty corner of a table is the heading of nothing.
    return str(MarkdownWithMath(renderer=renderer).render(source)).replace("<th></th>", "<td></td>")


class _Renderer(IPythonRenderer):
    def inline_math(self, body: str) -> str:
        return mathml(body)

    def block_math(self, body: str) -> str:
        return f'<span class="formula" tabindex="0">{mathml(body, "block")}</span>'

    def latex_environment(self, name: str, body: str) -> str:
        return self.block_math(f"\\begin{{{name}}}{body}\\end{{{name}}}")


def mathml(formula: str, display: str = "inline") -> str:
    """Return a formula as MathML, or as code if it cannot be converted.

    Parameters
    ----------
    formula
        LaTeX, without dollar signs.
    display
        "inline" or "block".
    """
    try:
        element = Converter(display=display).convert_to_element(formula)
        for part in element.iter():
            # The converter writes some characters as entities.  Its own last step resolves them,
            # but would also let tags through.
            part.text = html.unescape(part.text or "")
            if part.text in ("‖", "|"):
                # Otherwise the first bar of a pair grows with the formula and the second with its
                # exponent.
                part.attrib.setdefault("stretchy", "false")
            elif part.tag == "mi" and len(part.text) > 1:
                part.text += "\N{THIN SPACE}"
        return tostring(element, encoding="unicode")
    except Exception:
        # The converter raises a dozen kinds of errors, and a grader's comment may cause any.
        return f"<code>{html.escape(formula)}</code>"
