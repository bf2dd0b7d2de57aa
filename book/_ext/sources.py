"""Put the code of the experiments on the site, and link to it below the cells that use it."""

import ast
import re
from pathlib import Path

from docutils import nodes
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

EXPERIMENTS = Path(__file__).parents[1] / "experiments"
PAGES = "experiments"


def imported(code):
    """Return what code calls each module of the experiments, or a part of one, by name.

    The values are names of modules, or a module and what is taken from it.
    """
    found = {}
    for node in ast.walk(ast.parse(code)):
        if not isinstance(node, ast.ImportFrom):
            continue
        package, _, module = (node.module or "").partition(".")
        if package == PAGES:
            for one in node.names:
                found[one.asname or one.name] = (module, one.name) if module else (one.name, "")
    return found


def used(code, known):
    """Return the functions and numbers of experiments that code uses, as (module, name)."""
    found = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            module, part = known.get(node.value.id, ("", ""))
            if module and not part:
                found.append((node.lineno, node.col_offset, module, node.attr))
        elif isinstance(node, ast.Name) and known.get(node.id, ("", ""))[1]:
            found.append((node.lineno, node.col_offset, *known[node.id]))
    return list(dict.fromkeys((module, name) for _, _, module, name in sorted(found)))


def lines_of(module):
    """Return the line on which each name of a module is defined."""
    found = {}
    for node in ast.parse((EXPERIMENTS / f"{module}.py").read_text(encoding="utf-8")).body:
        targets = node.targets if isinstance(node, ast.Assign) else [node]
        for one in targets:
            name = getattr(one, "name", getattr(one, "id", None))
            if name:
                found[name] = node.lineno
    return found


def link_to_sources(app, doctree, docname):
    """Name below each cell what it takes from the experiments, with links."""
    if app.builder.name != "html":
        return
    cells = [cell for cell in doctree.findall(nodes.container) if "cell_input" in cell["classes"]]
    codes = {id(cell): "\n".join(one.astext() for one in blocks(cell)) for cell in cells}
    known = {}
    for cell in cells:
        known |= imported(codes[id(cell)])
    root = "../" * docname.count("/")
    for cell in cells:
        links = []
        for module, name in used(codes[id(cell)], known):
            line = lines_of(module).get(name)
            if line is not None:
                address = f"{root}{PAGES}/{module}.html#line-{line}"
                code = nodes.literal("", f"{module}.{name}")
                links += [
                    nodes.Text(", "),
                    nodes.reference("", "", code, refuri=address, internal=True),
                ]
        if links:
            cell += nodes.paragraph("", "Source: ", *links[1:], classes=["sources"])


def blocks(cell):
    """Return the code of a cell."""
    return [one for one in cell.findall(nodes.literal_block) if one.get("language") == "ipython3"]


def places_only(markup):
    """Return highlighted code whose lines can be linked to, but are no empty links themselves."""
    return re.sub(r'<a id="(line-\d+)"[^>]*></a>', r'<span id="\1"></span>', markup)


def pages(app):
    """Yield a page for each module of the experiments."""
    formatter = HtmlFormatter(lineanchors="line", wrapcode=True)
    for path in sorted(EXPERIMENTS.glob("*.py")):
        if path.stem == "__init__":
            continue
        code = highlight(path.read_text(encoding="utf-8"), PythonLexer(), formatter)
        body = (
            f"<h1>experiments/{path.name}</h1>"
            "<p>The chapters run this code while the site is built.</p>"
            f'<div class="source-code">{places_only(code)}</div>'
        )
        title = f"experiments/{path.name}"
        yield f"{PAGES}/{path.stem}", {"title": title, "body": body}, "page.html"


def setup(app):
    """Register the extension with Sphinx."""
    app.connect("doctree-resolved", link_to_sources)
    app.connect("html-collect-pages", pages)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
