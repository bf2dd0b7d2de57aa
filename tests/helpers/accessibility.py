"""Find what keeps people from reading a page, with the rules of axe-core."""

from axe_playwright_python.sync_playwright import Axe

# What is fading in has not its own color yet.
OPEN = """
document.querySelectorAll('details').forEach(one => { one.open = true })
Promise.all(document.getAnimations().map(one => { one.finish() }))
"""


def violations(page, without=None, within=None):
    """Return the rules that an open page breaks, each with the elements; everything is unfolded.

    `without` selects elements at which not to look, and `within` those at which alone to look.
    """
    page.evaluate(OPEN)
    parts = {"exclude": without, "include": within}
    context = {name: [[one]] for name, one in parts.items() if one}
    found = Axe().run(page, context=context or None).response
    assert found["passes"]
    return {
        rule["id"]: [node["html"][:200] for node in rule["nodes"]] for rule in found["violations"]
    }
