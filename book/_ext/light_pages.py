"""Leave out of each page what it does not use, and load pictures when they are seen.

The theme and its extensions give every page all they have, 600 kB of scripts among it.
"""

import re
from functools import partial
from pathlib import Path

# A script, and the text on a page that asks for it; none where no page does.
ASKED_FOR_BY = {
    "design-tabs.js": "sd-tab-",
    "toggle": None,
    "thebe": None,
    # Marks the words that Sphinx's search has found.
    "sphinx_highlight.js": None,
    # Tell the theme's menu of versions and its search as one types where they are.
    "documentation_options.pagename": None,
    "documentation_options.search_as_you_type": None,
}
# The theme's templates name these themselves. The last three are Sphinx's search, not the site's.
IN_THE_HEAD = ("fontawesome.js", "searchtools.js", "language_data.js", "searchindex.js")
# Names, punctuation and spaces in code have the color of the code around them.
UNCOLORED = re.compile(r'<span class="(?:n|p|w)">([^<]*)</span>')
DRAWING = re.compile(r'<img [^>]*?src="[^"]*_images/([^"/]+\.svg)"[^>]*>')


def unused(script, body):
    """Tell whether a page can do without a script."""
    text = f"{script} {getattr(script, 'attributes', {})}".lower()
    return any(
        name in text and (sign is None or sign not in body) for name, sign in ASKED_FOR_BY.items()
    )


def without_scripts(markup):
    """Return the head of a page without the scripts that it does not use."""
    files = "|".join(map(re.escape, IN_THE_HEAD))
    return re.sub(rf"\s*<script[^>]*(?:{files})[^>]*></script>", "", markup)


def size_of(drawing):
    """Return an SVG's width and height in CSS pixels, or None where it does not say."""
    head = drawing.read_text(encoding="utf-8")[:2000]
    points = [re.search(rf'<svg[^>]*\s{side}="([\d.]+)pt"', head) for side in ("width", "height")]
    return None if None in points else [round(float(found[1]) * 4 / 3) for found in points]


def lazy(sources, match):
    """Return an image's element with its size, to be loaded when it is about to be seen.

    With the size known, the text does not jump when the picture arrives. On a phone the picture
    stays large enough to read and is moved within its box.
    """
    size = size_of(sources[match[1]])
    sizes = "" if size is None else ' width="{0}" height="{1}" style="--drawn: {0}px"'.format(*size)
    image = match[0].replace("<img ", f'<img loading="lazy"{sizes} ', 1)
    return f'<span class="picture">{image}</span>'


def lighten_page(app, pagename, templatename, context, doctree):
    """Reduce what a page loads."""
    context["without_scripts"] = without_scripts
    body = context.get("body", "")
    scripts = context.get("script_files", [])
    context["script_files"] = [script for script in scripts if not unused(script, body)]
    if body:
        # The site's own copies are made after the pages are written.
        sources = {name: Path(app.srcdir) / source for source, (_, name) in app.env.images.items()}
        context["body"] = UNCOLORED.sub(r"\1", DRAWING.sub(partial(lazy, sources), body))


def setup(app):
    """Register the extension with Sphinx."""
    # Last, after other extensions have added their scripts to the page.
    app.connect("html-page-context", lighten_page, priority=900)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
