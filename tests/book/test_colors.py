"""One color means one thing in all figures."""

import ast
import re

import pytest
from experiments import digits

CHAPTERS = ["why", "l2", "dropout", "batch_norm", "norms", "practice", "mistakes"]
PALETTE = {name: getattr(digits, name) for name in ("BLUE", "ORANGE", "GREEN", "GRAY")}
MEANINGS = {
    # What is trained without the method of the chapter, and with it.
    r"without|plain|none|no (penalty|decay)|trained without|as trained|last epoch": "ORANGE",
    r"(with )?batch norm|batch|trained with dropout|L2 penalty|early stopping|λ = .*": "BLUE",
    r"layer( norm)?": "GREEN",
    # The data on which something was measured.
    r"train(ing)?( images.*)?": "BLUE",
    r"test( images(, true labels)?)?": "ORANGE",
}


def code(root, chapter):
    """Return the code of a chapter's cells as syntax trees."""
    text = (root / "book" / f"{chapter}.md").read_text(encoding="utf-8")
    cells = re.findall(r"^```\{code-cell\}[^\n]*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    bodies = [
        re.sub(r"\A(---\n.*?^---\n|(:[\w-]+:[^\n]*\n)+)", "", one, flags=re.M | re.S)
        for one in cells
    ]
    return [ast.parse(body) for body in bodies]


def entries(tree):
    """Yield the parts of each tuple, call and entry of a dictionary."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Tuple):
            yield node.elts
        elif isinstance(node, ast.Call):
            yield [*node.args, *(one.value for one in node.keywords if one.arg != "linestyle")]
        elif isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(value, ast.Tuple):
                    yield [key, *value.elts]


def named_colors(tree):
    """Return pairs of a color's name and a text that stands beside it."""
    pairs = set()
    for parts in entries(tree):
        colors = [
            one.attr for one in parts if isinstance(one, ast.Attribute) and one.attr in PALETTE
        ]
        texts = [one.value for one in parts if isinstance(one, ast.Constant)]
        if len(colors) == 1:
            pairs |= {(colors[0], text) for text in texts if isinstance(text, str)}
    return pairs


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_figures_take_their_colors_from_the_palette(chapter, root):
    """No chapter names a color of its own, but black and white."""
    for tree in code(root, chapter):
        for node in ast.walk(tree):
            if isinstance(node, ast.keyword) and re.search("colors?$", node.arg or ""):
                parts = [node.value, *getattr(node.value, "elts", [])]
                named = [one.value for one in parts if isinstance(one, ast.Constant)]
                assert set(named) <= {"black", "white", "none"}, ast.unparse(node)


def test_a_color_means_the_same_in_each_chapter(root):
    """A method, its absence, and the data of a measurement have the same color everywhere."""
    found = 0
    for chapter in CHAPTERS:
        for tree in code(root, chapter):
            for color, text in named_colors(tree):
                for meaning, right in MEANINGS.items():
                    if re.fullmatch(meaning, text):
                        assert color == right, (chapter, text)
                        found += 1
    assert found > 20


def test_figures_that_answer_have_the_hues_of_the_others(root):
    """Their blue is the palette's; orange and green are darker, as letters have to be."""
    sheet = (root / "book/figures/figures.css").read_text(encoding="utf-8")
    light = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", sheet.partition("html[data")[0]))
    assert light["blue"] == PALETTE["BLUE"].lower()
    for name in ("orange", "green"):
        theirs, ours = (bytes.fromhex(one[1:]) for one in (PALETTE[name.upper()], light[name]))
        assert all(a >= b for a, b in zip(theirs, ours, strict=True))
        assert ours.index(max(ours)) == theirs.index(max(theirs))
