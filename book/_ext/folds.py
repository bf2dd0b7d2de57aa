"""Say on each fold of code what is behind it."""

from docutils import nodes


def behind(cell):
    """Return what a cell's code makes, as the end of "Show the code of …"."""
    if any(cell.findall(nodes.figure)) or any(cell.findall(nodes.image)):
        return " of this figure"
    source = cell.astext()
    if any(cell.findall(nodes.table)) or "print(" in source:
        return " of this table"
    if source.lstrip().startswith(("import ", "from ")):
        return ": the imports"
    return ""


def name_folds(app, doctree):
    """Give each fold a prompt of its own."""
    for cell in doctree.findall(nodes.container):
        if cell.get("hide_mode"):
            for prompt in ("prompt_show", "prompt_hide"):
                cell[prompt] += behind(cell)


def name_by_its_text(app, pagename, templatename, context, doctree):
    """Let the text of a fold be its name, also for a screen reader and for voice control."""
    if "body" in context:
        context["body"] = context["body"].replace(' aria-label="Toggle hidden content"', "")


def setup(app):
    """Register the extension with Sphinx."""
    app.connect("doctree-read", name_folds)
    app.connect("html-page-context", name_by_its_text)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
