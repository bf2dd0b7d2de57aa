"""Make the works in the list of references the items of a list, as a screen reader counts them."""


def count_as_items(app, pagename, templatename, context, doctree):
    """Give the works the role for which their list asks; that of docutils is deprecated."""
    if "body" in context:
        context["body"] = context["body"].replace(' role="doc-biblioentry"', ' role="listitem"')


def setup(app):
    """Register the extension with Sphinx."""
    app.connect("html-page-context", count_as_items)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
