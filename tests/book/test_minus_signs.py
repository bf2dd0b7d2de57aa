"""Computed numbers of the text are written as formulas write theirs."""

from docutils import nodes
from docutils.utils import new_document
from minus_signs import MinusSigns


def test_only_the_hyphen_before_a_computed_number_is_changed():
    """Words, ranges and powers stay, and so does what nobody computed."""
    page = new_document("page")
    texts = ["-0.5", "-.5", "+0.5", "3-4", "batch-norm", "-"]
    page += [nodes.inline(text, text, classes=["pasted-text"]) for text in texts]
    page += nodes.inline("-1", "-1")
    MinusSigns(page).run()
    found = [one.astext() for one in page.findall(nodes.inline)]
    assert found == ["−0.5", "−.5", *texts[2:], "-1"]
