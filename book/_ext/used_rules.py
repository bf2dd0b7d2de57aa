"""Leave out of a style sheet the rules for classes that no page of the site has."""

import re
from itertools import pairwise

import tinycss2

WORD = re.compile(r"[A-Za-z_][\w-]*")


class Words:
    """The words of a site's pages and scripts, of which its classes are some.

    Parameters
    ----------
    pages, scripts : list of str
        Their texts. A script may put a class together: its words that end with a hyphen are how
        a class may begin.
    """

    def __init__(self, pages, scripts):
        """Collect the words."""
        in_scripts = {word for text in scripts for word in WORD.findall(text)}
        self.whole = in_scripts.union(*(WORD.findall(text) for text in pages))
        self.beginnings = tuple(word for word in in_scripts if word.endswith("-"))

    def have(self, selector):
        """Tell whether each class that a selector asks for may be on a page.

        What stands within parentheses, as in `:not(...)`, need not be.
        """
        return all(
            name.value in self.whole or name.value.startswith(self.beginnings)
            for dot, name in pairwise(selector)
            if dot == "." and name.type == "ident"
        )


def used_rules(sheet, words):
    """Return a style sheet with only the rules that a page may need, and without comments.

    Parameters
    ----------
    sheet : str or list of tinycss2.ast.Node
    words : Words

    Returns
    -------
    str
    """
    rules = tinycss2.parse_stylesheet(sheet, skip_comments=True, skip_whitespace=True)
    return "\n".join(filter(None, (used_part(rule, words) for rule in rules)))


def used_part(rule, words):
    """Return what pages may need of a rule, perhaps nothing."""
    if rule.type == "at-rule" and rule.lower_at_keyword == "media":
        inner = used_rules(rule.content, words)
        return f"@media{tinycss2.serialize(rule.prelude)}{{{inner}}}" if inner else ""
    if rule.type != "qualified-rule":
        return rule.serialize()
    used = [one for one in selectors(rule.prelude) if words.have(one)]
    names = ",".join(tinycss2.serialize(one).strip() for one in used)
    return f"{names}{{{tinycss2.serialize(rule.content).strip()}}}" if used else ""


def selectors(prelude):
    """Return the selectors of a rule, each a list of tokens."""
    parts = [[]]
    for token in prelude:
        if token == ",":
            parts.append([])
        else:
            parts[-1].append(token)
    return parts
