"""Find what keeps people from reading a page, with the rules of axe-core."""

from axe_playwright_python.sync_playwright import Axe

# What is fading in has not its own color yet.
OPEN = """
document.querySelectorAll('details').forEach(one => { one.open = true })
Promise.all(document.getAnimations().map(one => { one.finish() }))
"""

# Part of WCAG, but off unless asked for.
ALSO = {"label-content-name-mismatch": {"enabled": True}}


def violations(page, within=None):
    """Return the rules that an open page breaks, each with the elements; everything is unfolded.

    `within` selects the elements at which alone to look.
    """
    page.evaluate(OPEN)
    context = {"include": [[within]]} if within else None
    found = Axe().run(page, context=context, options={"rules": ALSO}).response
    assert found["passes"]
    return {
        rule["id"]: [node["html"][:200] for node in rule["nodes"]] for rule in found["violations"]
    }
