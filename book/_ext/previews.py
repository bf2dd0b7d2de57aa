"""Show what a link leads to while it is pointed at, by `book/figures/previews.js`."""

from interactive import add_module


def add_previews(app, pagename, templatename, context, doctree):
    """Add the script to pages with text; the whole book on one page needs none."""
    if doctree is not None and app.builder.name == "html":
        add_module(app, pagename, context, "previews.js")


def setup(app):
    """Register the extension with Sphinx."""
    app.connect("html-page-context", add_previews)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
