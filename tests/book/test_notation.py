"""The page on notation, and the formulas of the chapters."""

import re

import pytest

CHAPTERS = ("why", "l2", "dropout", "batch_norm", "norms", "practice", "mistakes")
GREEK = re.compile(
    r"\\((?:var)?(?:alpha|beta|gamma|delta|epsilon|zeta|eta|theta|iota|kappa|lambda|mu|nu|xi|pi|rho"
    r"|sigma|tau|upsilon|phi|chi|psi|omega|Gamma|Delta|Theta|Lambda|Xi|Pi|Sigma|Phi|Psi|Omega))"
    r"(?![A-Za-z])"
)


def formulas(text):
    """Return the formulas of a page as TeX, without those that are code."""
    text = re.sub(r"```\{code-cell\}.*?```", "", text, flags=re.DOTALL)
    displayed = re.findall(r"```\{math\}(.*?)```", text, flags=re.DOTALL)
    text = re.sub(r"```\{math\}.*?```", "", text, flags=re.DOTALL)
    text = re.sub(r"`[^`\n]*`", "", text)
    displayed += re.findall(r"\$\$(.*?)\$\$", text, flags=re.DOTALL)
    text = re.sub(r"\$\$.*?\$\$", "", text, flags=re.DOTALL)
    return displayed + re.findall(r"\$([^$]+)\$", text)


def letters(formula):
    """Return the Latin and Greek letters of a formula, whatever their type and accents."""
    formula = re.sub(r":label:.*", "", formula)
    formula = re.sub(r"\\(text|texttt|operatorname|begin|end)\{[^{}]*\}", " ", formula)
    latin = re.findall(r"[A-Za-z]", re.sub(r"\\[A-Za-z]+", " ", formula))
    return {*latin, *GREEK.findall(formula)}


def test_letters_are_found_in_what_is_no_name():
    """Words, commands and labels are no letters; bold and indexed letters are."""
    found = letters(":label: some-name\n\\frac{\\mathbf x_i}{\\text{size}} + \\hat\\gamma")
    assert found == {"x", "i", "gamma"}


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_notation_knows_the_letters_of_all_formulas(chapter, root):
    """A reader who meets a letter finds it on the page on notation."""
    pages = {name: (root / f"book/{name}.md").read_text() for name in (chapter, "notation")}
    used, known = (
        {letter for formula in formulas(text) for letter in letters(formula)}
        for text in pages.values()
    )
    assert used - known - {"pi"} == set()  # the circle's number needs no entry
