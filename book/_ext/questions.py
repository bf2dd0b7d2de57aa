"""A directive for questions that answer: `question`, of the kind choice, number or order.

The content is what is asked, and then a list.  In a choice and for a number, each item begins with
`[x]` if it is right and `[ ]` if it is not, and goes on with the reason.  A number may have a
tolerance, `[x] 0.52 ± 0.01`; wrong ones are those that typical mistakes give.  In an order, the
items stand in the right order, and the reason follows the list.

Without JavaScript the answer is folded (`<details>`); `questions.js` lets the reader try first.
"""

import hashlib
import re
from typing import ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from interactive import add_module
from sphinx.util.docutils import SphinxDirective

MARK = re.compile(r"\[([ x])\]\s*")
NUMBER = re.compile(r"([-−]?\d+(?:\.\d+)?)(?:\s*±\s*(\d+(?:\.\d+)?))?$")


class question(nodes.General, nodes.Element):
    """A question with its kind, and what a script needs to judge an answer."""


class answer(nodes.General, nodes.Element):
    """What is folded until the reader asks for it."""


class Question(SphinxDirective):
    """A question that the page itself marks."""

    required_arguments = 1
    has_content = True
    option_spec: ClassVar = {"title": directives.unchanged_required}

    def run(self):
        """Return the question with its folded answer."""
        kind = directives.choice(self.arguments[0], ("choice", "number", "order"))
        parsed = nodes.Element()
        self.state.nested_parse(self.content, self.content_offset, parsed)
        lists = [one for one in parsed if isinstance(one, nodes.bullet_list)]
        if not lists:
            raise self.error("A question needs a list of its answers.")
        items, at = lists[-1].children, parsed.index(lists[-1])
        asked = nodes.container("", *parsed[:at], classes=["asked"])
        if "title" in self.options:
            asked.insert(0, nodes.paragraph("", self.options["title"], classes=["question-title"]))
        rest = parsed[at + 1 :]
        # Answers are kept by this name, so that they are lost only when the question changes.
        name = hashlib.sha256("\n".join(self.content).encode()).hexdigest()[:10]
        node = question(kind=kind, ids=[f"question-{name}"])
        self.set_source_info(node)
        node += asked
        if kind == "order":
            node += self.in_order(items, rest, name)
        else:
            right, options, reasons = self.marked(items)
            if kind == "number":
                node["numbers"] = [
                    self.number(option, one) for option, one in zip(options, right, strict=True)
                ]
                for reason, option in zip(reasons, options, strict=True):
                    value = option.astext().split("±")[0].strip()
                    reason[0].insert(0, nodes.inline("", f"{value}: ", classes=["given"]))
            else:
                listed = [nodes.list_item("", nodes.paragraph("", "", *one)) for one in options]
                node += nodes.enumerated_list("", *listed, classes=["options"])
                node["right"] = [str(i) for i, one in enumerate(right) if one]
            shown = nodes.enumerated_list if kind == "choice" else nodes.bullet_list
            node += answer("", shown("", *reasons, classes=["reasons"]), *rest)
        return [node]

    def marked(self, items):
        """Split items into whether they are right, what they say, and the reason."""
        right, options, reasons = [], [], []
        for item in items:
            mark = MARK.match(item[0].astext())
            if not mark or len(item) < 2:
                raise self.error(f"Give a mark and a reason: {item.astext()[:40]!r}.")
            first = item[0][0]
            item[0].replace(first, nodes.Text(MARK.sub("", first.astext(), count=1)))
            right.append(mark[1] == "x")
            options.append(nodes.inline("", "", *item[0].children))
            verdict = nodes.strong("", "Right. " if right[-1] else "No. ")
            reason = [one.deepcopy() for one in item[1:]]
            reason[0].insert(0, verdict)
            reasons.append(nodes.list_item("", *reason))
        if not any(right):
            raise self.error("No answer is marked as right.")
        return right, options, reasons

    def number(self, option, right):
        """Return a number, its tolerance and whether it is right, for the script."""
        found = NUMBER.match(option.astext())
        if not found:
            raise self.error(f"This is no number: {option.astext()!r}.")
        value, tolerance = found[1].replace("−", "-"), found[2]
        # As exact as it is written, if nothing else is said.
        tolerance = tolerance or str(0.5 * 10.0 ** -len(value.partition(".")[2]))
        return f"{value},{tolerance},{int(right)}"

    def in_order(self, items, rest, name):
        """Return the lines, mixed up in the same way at each build, and the answer."""
        right = range(len(items))
        mixed = sorted(right, key=lambda i: hashlib.sha256(f"{name}{i}".encode()).digest())
        if mixed == list(right):
            mixed.reverse()
        listed = nodes.enumerated_list("", classes=["options"])
        for place in mixed:
            listed += nodes.list_item(
                "", *(one.deepcopy() for one in items[place]), classes=[f"place-{place}"]
            )
        ordered = nodes.enumerated_list("", *(one.deepcopy() for one in items))
        return [listed, answer("", ordered, nodes.container("", *rest, classes=["reasons"]))]


def visit_question(self, node):
    """Open the box, with what the script needs."""
    attributes = {"data-kind": node["kind"]}
    for name in ("right", "numbers"):
        if name in node:
            attributes[f"data-{name}"] = " ".join(node[name])
    self.body.append(self.starttag(node, "div", "", CLASS="question", **attributes))


def depart_question(self, node):
    """Close the box."""
    self.body.append("</div>\n")


def visit_answer(self, node):
    """Open what is folded."""
    self.body.append('<details class="answer"><summary>Answer</summary>\n')


def depart_answer(self, node):
    """Close what is folded."""
    self.body.append("</details>\n")


def add_scripts(app, pagename, templatename, context, doctree):
    """Add script and style sheet to pages with questions."""
    if doctree is not None and next(doctree.findall(question), None) is not None:
        add_module(app, pagename, context, "questions.js", "questions.css")


def setup(app):
    """Register the extension with Sphinx."""
    app.add_node(question, html=(visit_question, depart_question))
    app.add_node(answer, html=(visit_answer, depart_answer))
    app.add_directive("question", Question)
    app.connect("html-page-context", add_scripts)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
