"""Rules for what no page has are not sent."""

import pytest
from used_rules import Words, used_rules

WORDS = Words(['<p class="text-wide open">'], ['menu.className = "menu-" + place; "dragged"'])


@pytest.mark.parametrize(
    "rule",
    [
        "p{margin:0}",
        ".open{margin:0}",
        "p.text-wide>a:hover{margin:0}",
        ".dragged{margin:0}",
        ".menu-left{margin:0}",
        "p:not(.closed):is(.closed,:not(.nowhere)){margin:0}",
        "[data-theme=dark]{margin:0}",
        '@font-face{font-family:"A"}',
        "@keyframes turn{from{left:0}to{left:1px}}",
    ],
)
def test_a_rule_that_a_page_may_need_stays_as_it_is(rule):
    """So does one for a class that a script gives an element, or puts together."""
    assert used_rules(rule, WORDS) == rule


@pytest.mark.parametrize(
    "rule",
    [".closed{margin:0}", ".open .closed{margin:0}", "@media print{.closed{margin:0}}"],
)
def test_a_rule_for_a_class_that_no_page_has_goes(rule):
    """One class that is nowhere is enough; nothing is left of a block without rules."""
    assert used_rules(rule, WORDS) == ""


def test_only_the_used_selectors_of_a_rule_stay():
    """A comma within parentheses or quotation marks does not part two selectors."""
    sheet = '.closed, p:is(.open, .text-wide), a[title="x,.y"] {margin: 0} /* why */'
    assert used_rules(sheet, WORDS) == 'p:is(.open, .text-wide),a[title="x,.y"]{margin: 0}'


def test_blocks_keep_their_condition():
    """Rules for a kind of screen stay for that kind only."""
    sheet = "@media (min-width: 10px) { .closed {margin: 0} .open {margin: 1px} }"
    assert used_rules(sheet, WORDS) == "@media (min-width: 10px) {.open{margin: 1px}}"
