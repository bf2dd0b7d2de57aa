"""Find what keeps people from reading a page, with the rules of axe-core."""

from axe_playwright_python.sync_playwright import Axe

# What is fading in has not its own color yet.
OPEN = """
document.querySelectorAll('details').forEach(one => { one.open = true })
Promise.all(document.getAnimations().map(one => { one.finish() }))
"""

# Part of WCAG, but off unless asked for.
ALSO = {"label-content-name-mismatch": {"enabled": True}}
WCAG = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa")


def violations(page, without=None, within=None, tags=None):
    """Return the rules that an open page breaks, each with the elements; everything is unfolded.

    `without` selects elements at which not to look, and `within` those at which alone to look;
    `tags` those rules that count, such as `WCAG`, instead of all.
    """
    page.evaluate(OPEN)
    parts = {"exclude": without, "include": within}
    context = {name: [[one]] for name, one in parts.items() if one}
    options = {"rules": ALSO} | ({"runOnly": {"type": "tag", "values": tags}} if tags else {})
    found = Axe().run(page, context=context or None, options=options).response
    assert found["passes"]
    return {
        rule["id"]: [node["html"][:200] for node in rule["nodes"]] for rule in found["violations"]
    }
