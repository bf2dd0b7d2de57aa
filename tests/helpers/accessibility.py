"""Find what keeps people from reading a page, with the rules of axe-core."""

from axe_playwright_python.sync_playwright import Axe

# What is fading in has not its own color yet.
OPEN = """
(within) => {
  document.querySelectorAll(`${within} details`).forEach(one => { one.open = true })
  return Promise.all(document.getAnimations().map(one => { one.finish() }))
}
"""

# Part of WCAG, but off unless asked for.
ALSO = {"label-content-name-mismatch": {"enabled": True}}


def violations(page, within=None):
    """Return the rules that an open page breaks, each with the elements.

    `within` selects the element at which alone to look.  Everything in it is unfolded; the rest of
    the page does not move below the pointer.
    """
    page.evaluate(OPEN, within or "html")
    context = {"include": [[within]]} if within else None
    # Of rules that are kept it is enough to hear that there are some: that takes half the time.
    options = {"rules": ALSO, "resultTypes": ["violations"]}
    found = Axe().run(page, context=context, options=options).response
    assert found["passes"]
    return {
        rule["id"]: [node["html"][:200] for node in rule["nodes"]] for rule in found["violations"]
    }
