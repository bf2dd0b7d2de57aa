"""No page gives a solution away."""

import html
import re

from helpers.solutions import hidden_lines

from autograder.tasks import assignments


def test_no_page_contains_a_line_of_a_solution(site):
    """Neither as text nor in a file that can be downloaded."""
    hidden = set().union(*map(hidden_lines, assignments))
    found = []
    for path in sorted(site.rglob("*")):
        if path.suffix not in {".html", ".ipynb", ".md", ".py", ".txt", ".js", ".json"}:
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        if path.suffix == ".html":
            text = html.unescape(re.sub(r"<[^>]*>", "", text))
        shown = {line.strip().strip('",').removesuffix("\\n") for line in text.splitlines()}
        found += [f"{path.relative_to(site)}: {line}" for line in sorted(hidden & shown)]
    assert not found
