"""Write computed numbers of the text with a minus sign, as formulas have it, and not a hyphen."""

import re

from docutils import nodes
from sphinx.transforms.post_transforms import SphinxPostTransform


class MinusSigns(SphinxPostTransform):
    """Change what numbers begin with, late, when they stand in their places."""

    default_priority = 900

    def run(self):
        """Change all computed numbers of a page."""
        for number in self.document.findall(nodes.inline):
            if "pasted-text" in number["classes"]:
                number[:] = [nodes.Text(re.sub(r"^-(?=[\d.])", "−", number.astext()))]


def setup(app):
    """Register the extension with Sphinx."""
    app.add_post_transform(MinusSigns)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
