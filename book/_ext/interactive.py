"""A directive for figures that answer: `interactive`, with a module of `book/figures`.

The build draws the first state of a figure with the figure's own module, so readers without
JavaScript see the same picture.  Nothing is loaded on other pages, and a module only when its
figure is about to be seen (`load.js`).
"""

import shutil
import subprocess
from pathlib import Path
from typing import ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from formulas import find_node
from sphinx.util.docutils import SphinxDirective

FIGURES = Path(__file__).parents[1] / "figures"
DRAW = """
const [kit, figure] = await Promise.all(process.argv.slice(1).map((file) => import(file)));
process.stdout.write(kit.picture(figure));
"""


def draw(name):
    """Return the first state of a figure as HTML, drawn by its module."""
    modules = [(FIGURES / f"{one}.js").as_uri() for one in ("kit", name)]
    done = subprocess.run(
        [find_node(), "--input-type=module", "--eval", DRAW, *modules],
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=120,
    )
    if done.returncode:
        raise RuntimeError(f"book/figures/{name}.js draws nothing:\n{done.stderr}")
    return done.stdout


class Interactive(SphinxDirective):
    """A numbered figure that answers; the content is its caption."""

    required_arguments = 1
    has_content = True
    option_spec: ClassVar = {"name": directives.unchanged_required}

    def run(self):
        """Return the figure."""
        name = self.arguments[0]
        if not (FIGURES / f"{name}.js").is_file():
            raise self.error(f"There is no book/figures/{name}.js.")
        for path in FIGURES.glob("*.js"):
            self.env.note_dependency(str(path))
        picture = f'<div data-figure="{name}">{draw(name)}</div>'
        caption = nodes.caption()
        parsed = nodes.Element()
        self.state.nested_parse(self.content, self.content_offset, parsed)
        for paragraph in parsed:
            caption += paragraph.children
        figure = nodes.figure(
            "", nodes.raw("", picture, format="html"), caption, classes=["interactive"]
        )
        self.set_source_info(figure)
        self.add_name(figure)
        return [figure]


def add_module(app, pagename, context, script, style=""):
    """Add a module of `book/figures` to the head of a page, and a style sheet if it has one."""
    # The whole book on one page has its addresses as from the root.
    root = "" if app.builder.name == "singlehtml" else "../" * pagename.count("/")
    sheet = f'<link rel="stylesheet" href="{root}figures/{style}">\n' if style else ""
    context["metatags"] = context.get("metatags", "") + (
        f'{sheet}<script type="module" src="{root}figures/{script}"></script>\n'
    )


def add_scripts(app, pagename, templatename, context, doctree):
    """Add the style sheet and the loader to pages with interactive figures."""
    if doctree is not None and any(
        "interactive" in figure["classes"] for figure in doctree.findall(nodes.figure)
    ):
        add_module(app, pagename, context, "load.js", "figures.css")


def copy_modules(app, exception):
    """Put the modules beside the pages, outside of `_static`, whose scripts go into every page."""
    if exception is None and app.builder.format == "html":
        shutil.copytree(FIGURES, Path(app.outdir) / "figures", dirs_exist_ok=True)


def setup(app):
    """Register the extension with Sphinx."""
    app.add_directive("interactive", Interactive)
    app.connect("html-page-context", add_scripts)
    app.connect("build-finished", copy_modules)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
