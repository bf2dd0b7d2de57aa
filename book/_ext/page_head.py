"""Say in each page's head, and beside the pages, what search engines and other sites ask for.

What needs the book's address is left out while it is unknown: the canonical address, the picture
and the address for previews on other sites, and the site map.
"""

import html
import re
from pathlib import Path

import numpy as np
from course_book import addresses
from docutils import nodes
from matplotlib.figure import Figure

LONGEST_DESCRIPTION = 200
PREVIEW = "preview.png"
NOT_FOUND = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>Page not found</title>
<link rel="icon" href="{start}_static/logo.svg">
<style>
:root {{ color-scheme: light dark; font: 1.1rem/1.5 system-ui, sans-serif; }}
html {{ background: Canvas; color: CanvasText; }}
body {{ margin: 15vh auto; max-width: 32rem; padding: 0 1rem; }}
</style>
</head>
<body>
<main>
<h1>There is no such page</h1>
<p>It may have moved. <a href="{start}">Begin at the start of the course</a>,
or <a href="{search}">search for it</a>.</p>
</main>
</body>
</html>
"""

FORWARDED = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="refresh" content="0; url={start}">
<title>{title}</title>
<link rel="icon" href="_static/logo.svg">
</head>
<body>
<p><a href="{start}">{title}</a></p>
</body>
</html>
"""


def base():
    """Return the book's address with a slash at its end, or nothing."""
    address = addresses().get("Documentation", "")
    return address and address.rstrip("/") + "/"


def description(doctree):
    """Return a page's first sentences, as many as fit into a description.

    Parameters
    ----------
    doctree : docutils.nodes.document or None

    Returns
    -------
    str
        Empty for a page without text.
    """
    if doctree is None:
        return ""
    for paragraph in doctree.findall(nodes.paragraph):
        if not isinstance(paragraph.parent, nodes.section) or "download" in paragraph["classes"]:
            continue
        sentences = re.split(r"(?<=[.?!:])\s+", paragraph.astext().replace("\n", " "))
        text = sentences.pop(0)
        while sentences and len(text) + 1 + len(sentences[0]) <= LONGEST_DESCRIPTION:
            text += " " + sentences.pop(0)
        return text if text.endswith((".", "?", "!")) else text.rstrip(":") + "."
    return ""


def head(title, text, page):
    """Return the elements that describe a page.

    Parameters
    ----------
    title, text : str
        Its title and description.
    page : str
        Its address within the site.

    Returns
    -------
    str
    """
    named = {"og:type": "article", "og:title": title, "og:description": text}
    found = [f'<meta name="description" content="{html.escape(text)}" />'] if text else []
    if base():
        found.append(f'<link rel="canonical" href="{html.escape(base() + page)}" />')
        named |= {"og:url": base() + page, "og:image": f"{base()}_static/{PREVIEW}"}
        found.append('<meta name="twitter:card" content="summary_large_image" />')
    found += [
        f'<meta property="{name}" content="{html.escape(value)}" />'
        for name, value in named.items()
        if value
    ]
    return "\n".join(found)


def describe_page(app, pagename, templatename, context, doctree):
    """Add a page's description to its head."""
    title = re.sub(r"<[^>]+>", "", context.get("title", ""))
    page = app.builder.get_target_uri(pagename)
    text = description(doctree)
    context["metatags"] = context.get("metatags", "") + head(html.unescape(title), text, page)


def draw_preview(title, path):
    """Draw the picture by which other sites show a link: a loss, and its minimum as λ grows."""
    curvature, minimum = np.array([[2.0, 1.6], [1.6, 2.0]]), np.array([3.2, 1.2])
    grid = np.stack(np.meshgrid(np.linspace(-1, 7, 200), np.linspace(-1, 3.2, 120)), axis=-1)
    loss = np.einsum("...i,ij,...j", grid - minimum, curvature, grid - minimum)
    strengths = np.concatenate([[0], np.geomspace(0.01, 1000, 200)])
    way = np.array(
        [np.linalg.solve(curvature + s * np.eye(2), curvature @ minimum) for s in strengths]
    )
    figure = Figure(figsize=(12, 6.3), dpi=100, facecolor="#0f3d5e")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.contour(grid[..., 0], grid[..., 1], loss, levels=[0.1, 0.5, 1.5, 3.5, 7], colors="#8ecbf0")
    axes.plot(*way.T, color="#ffb27a", linewidth=6, solid_capstyle="round")
    axes.plot(*minimum, "o", color="white", markersize=12)
    behind = {"facecolor": "#0f3d5e", "edgecolor": "none", "pad": 12}
    place = {"ha": "right", "transform": axes.transAxes, "bbox": behind}
    axes.text(0.95, 0.1, title, color="white", size=40, **place)
    axes.set_axis_off()
    figure.savefig(path)


def write_beside(app, error):
    """Write what stands beside the pages."""
    if error or app.builder.name != "html":
        return
    site = Path(app.outdir)
    first = app.builder.get_target_uri(app.config.root_doc)
    title = html.escape(app.config.html_title)
    (site / "index.html").write_text(FORWARDED.format(start=first, title=title), encoding="utf-8")
    start = base() or "/"
    (site / "404.html").write_text(
        NOT_FOUND.format(start=start, search=f"{start}search.html"), encoding="utf-8"
    )
    if base():
        draw_preview(app.config.html_title, site / "_static" / PREVIEW)
    robots = "User-agent: *\nAllow: /\n"
    if base():
        robots += f"Sitemap: {base()}sitemap.xml\n"
        pages = "".join(
            f"<url><loc>{html.escape(base() + app.builder.get_target_uri(name))}</loc></url>\n"
            for name in sorted(app.env.found_docs)
        )
        (site / "sitemap.xml").write_text(
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n{pages}</urlset>\n',
            encoding="utf-8",
        )
    (site / "robots.txt").write_text(robots, encoding="utf-8")


def setup(app):
    """Register the extension with Sphinx."""
    app.connect("html-page-context", describe_page)
    app.connect("build-finished", write_beside)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
