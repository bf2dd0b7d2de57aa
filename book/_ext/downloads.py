"""Offer the exercises for download, with the package that they need, and link to them.

The archives are made with the site and lie in its folder `downloads`.  The role `archive` links to
one: `{archive}`l2`` to `l2.zip`, `{archive}`course`` to that with all exercises.  The role
`archives` lists one for each exercise.  The page of an exercise links to its own below the title.
"""

import shutil
from pathlib import Path

from docutils import nodes
from sphinx.util.docutils import SphinxRole

from autograder.handout.archives import archives
from autograder.handout.notebooks import DOWNLOADS
from autograder.tasks import assignments

ROOT = Path(__file__).parents[2]


def make_archives(app, config):
    """Write the archives where Sphinx copies them from."""
    folder = Path(app.outdir).parent / ".downloads"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / DOWNLOADS).mkdir(parents=True)
    for name, content in archives(ROOT).items():
        (folder / DOWNLOADS / name).write_bytes(content)
    config.html_extra_path = [*config.html_extra_path, str(folder)]


def link(page, name):
    """Return a link from a page to an archive."""
    up = "../" * page.count("/")
    text = nodes.literal("", f"{name}.zip")
    return nodes.reference("", "", text, refuri=f"{up}{DOWNLOADS}/{name}.zip")


class Archives(SphinxRole):
    """Links to the archives of all exercises, the text before the last one: `{archives}`or``."""

    def run(self):
        """Return the links and what is between them."""
        *names, last = assignments
        found = []
        for name in names:
            found += [link(self.env.docname, name), nodes.Text(", ")]
        return [*found[:-1], nodes.Text(f" {self.text} "), link(self.env.docname, last)], []


class Archive(SphinxRole):
    """A link to an archive."""

    def run(self):
        """Return the link."""
        return [link(self.env.docname, self.text)], []


def offer_archive(app, doctree):
    """Say on the page of an exercise where to get everything that it needs."""
    name = app.env.docname.rpartition("/")[2]
    if app.env.docname != f"exercises/{name}/{name}":
        return
    title = next(doctree.findall(nodes.title))
    paragraph = nodes.paragraph("", "To work on it, download ", classes=["download"])
    paragraph += link(app.env.docname, name)
    paragraph += nodes.Text(": this notebook, what it needs, and how to install that.")
    title.parent.insert(title.parent.index(title) + 1, paragraph)


def setup(app):
    """Register the extension with Sphinx."""
    app.connect("config-inited", make_archives)
    app.connect("doctree-read", offer_archive)
    app.add_role("archive", Archive())
    app.add_role("archives", Archives())
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
