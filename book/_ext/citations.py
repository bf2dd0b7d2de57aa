"""Show the bibliography without Sphinx's roles, of which the rules for accessibility refuse two."""


def without_roles(app, pagename, templatename, context, doctree):
    """Leave out the deprecated role of each work, and that of a list whose entries are no items."""
    if "body" in context:
        for role in (' role="doc-biblioentry"', ' role="list" class="citation-list"'):
            context["body"] = context["body"].replace(role, "")


def setup(app):
    """Register the extension with Sphinx."""
    app.connect("html-page-context", without_roles)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
