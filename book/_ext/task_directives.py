"""Sphinx directives that read the declarations of the tasks, so that book and grader agree.

`common-mistakes` lists the known mistakes, and `points-table` what earns points.  Both link to the
tasks on the pages of the exercises, where `mark_tasks` makes the targets.  `verdict` shows what a
student is told.
"""

import re
from pathlib import Path

import numpy as np
from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.util.docutils import SphinxDirective
from sphinx_design.shared import create_component

import autograder
from autograder.judging.judge import judge
from autograder.judging.observed import LEAVES_ARGUMENTS
from autograder.validate import as_observed

PACKAGE = Path(autograder.__file__).parent
# A page with one of the directives is rebuilt when one of these changes.
DECLARATIONS = [PACKAGE / "task.py", *sorted((PACKAGE / "tasks").rglob("*.py"))]


def points(number):
    """Format a number of points as people do: 3 and not 3.0."""
    return f"{number:g}"


def marked(text):
    """Return the nodes of a text that has code between backquotes."""
    return [
        nodes.literal("", part) if i % 2 else nodes.Text(part)
        for i, part in enumerate(text.split("`"))
        if part
    ]


def target(env, node, name):
    """Make a node a target that links find by name; docutils itself would change underscores."""
    node["ids"].append(name)
    env.get_domain("std").anonlabels[name] = (env.docname, name)


def link(env, name, *children):
    """Return a link to a target on any page; the build warns if there is none."""
    text = nodes.inline("", "", *children)
    return pending_xref(
        "",
        text,
        refdoc=env.docname,
        refdomain="std",
        reftype="ref",
        reftarget=name,
        refexplicit=True,
        refwarn=True,
    )


class FromTasks(SphinxDirective):
    """A directive about tasks or an assignment, which depends on their declarations."""

    def run(self):
        """Return what the directive shows."""
        for path in DECLARATIONS:
            self.env.note_dependency(str(path))
        return [self.shown()]


class CommonMistakes(FromTasks):
    """A box with the known mistakes of some tasks, folded for each task.

    A mistake has the target `mistake-TASK-ID`, and the list of a task `mistakes-TASK`.  A mistake
    that a task shares with an earlier one in the box, or with one of another chapter, is explained
    there.
    """

    required_arguments = 1
    final_argument_whitespace = True

    def shown(self):
        """Return the box."""
        names = self.arguments[0].split()
        unknown = [name for name in names if name not in autograder.tasks]
        if unknown:
            raise self.error(f"There is no task {', '.join(unknown)}.")
        known = {
            name: (*autograder.tasks[name].misconceptions, *autograder.tasks[name].requirements)
            for name in names
        }
        made_in = {}
        for name in (*self.of_other_chapters(names), *names):
            for one in known.get(name, autograder.tasks[name].misconceptions):
                made_in.setdefault((one.id, one.explanation), []).append(name)
        title = nodes.title("", "Common mistakes")
        intro = nodes.paragraph(
            "",
            "",
            *marked(
                "The mistakes that `check` knows, in its own words: what the code computes and why "
                "that is wrong. Try the exercise before you look."
            ),
        )
        box = nodes.admonition("", title, intro, classes=["common-mistakes"])
        for name in names:
            own = [
                (one, made_in[one.id, one.explanation])
                for one in known[name]
                if made_in[one.id, one.explanation][0] == name
            ]
            shared = {}
            for one in known[name]:
                first = made_in[one.id, one.explanation][0]
                if first != name:
                    shared.setdefault(first, []).append(one)
            box += self.folded(name, own, shared, above=names)
        return box

    def of_other_chapters(self, names):
        """Return the tasks of assignments that come before those of the box."""
        first = min(autograder.tasks[name].assignment.number for name in names)
        return [name for name, task in autograder.tasks.items() if task.assignment.number < first]

    def folded(self, name, own, shared, above):
        """Return the mistakes of one task: its own, and links to those explained elsewhere."""
        count = len(own) + sum(map(len, shared.values()))
        title = nodes.rubric(
            "",
            "",
            nodes.literal("", name),
            nodes.Text(f" · {count} mistake{'' if count == 1 else 's'}"),
        )
        body = nodes.paragraph(
            "", "", link(self.env, f"task-{name}", nodes.Text("The task in the exercise"))
        )
        target(self.env, body, f"mistakes-{name}")
        items = nodes.bullet_list("", *(self.item(one, tasks) for one, tasks in own))
        dropdown = create_component(
            "dropdown",
            classes=[],
            rawtext="",
            children=[title, body, items],
            opened=False,
            type="dropdown",
            has_title=True,
            icon=None,
            chevron=None,
            container_classes=["sd-mb-2"],
            title_classes=[],
            body_classes=[],
        )
        for first, some in shared.items():
            verb = "is" if len(some) == 1 else "are"
            where = "above, in" if first in above else "with"
            rest = nodes.paragraph("", f"And {len(some)} that {verb} explained {where} ")
            rest += link(self.env, f"mistakes-{first}", nodes.literal("", first))
            rest += nodes.Text(".")
            if first not in above:
                for one in some:
                    target(self.env, rest, f"mistake-{name}-{one.id}")
            dropdown += rest
        return dropdown

    def item(self, one, tasks):
        """Return one mistake, with a target for each task in which it can be made."""
        text = nodes.paragraph("", "", *marked(f"{one.explanation} "))
        text += nodes.inline("", one.id, classes=["muted"])
        item = nodes.list_item("", text)
        for name in tasks:
            target(self.env, item, f"mistake-{name}-{one.id}")
        return item


class PointsTable(FromTasks):
    """A table of the points of an assignment: for each task, what earns and what costs points."""

    required_arguments = 1

    def shown(self):
        """Return the table."""
        assignment = self.arguments[0]
        tasks = [task for task in autograder.tasks.values() if task.assignment.name == assignment]
        if not tasks:
            raise self.error(f"There is no assignment {assignment}.")
        rows = [self.row(task) for task in tasks]
        total = sum(task.max_points for task in tasks)
        last = [nodes.paragraph("", "all")]
        # In PyTorch tasks an argument is a tensor made for the call, which nobody sees later.
        if any(task.framework == "numpy" for task in tasks):
            text = f"A NumPy task also loses a quarter unless it {LEAVES_ARGUMENTS}."
            last.append(nodes.paragraph("", text, classes=["muted"]))
        rows.append((last, points(total)))
        return table(("task", "points"), rows)

    def row(self, task):
        """Return the cells of one task."""
        name = link(self.env, f"task-{task.name}", nodes.literal("", task.name))
        parts = [
            f"{aspect.name}\N{NO-BREAK SPACE}{points(aspect.points)}" for aspect in task.aspects
        ]
        unless = " and another ".join(f"unless it {one.name}" for one in task.requirements)
        texts = [
            "\N{NO-BREAK SPACE}· ".join(parts),
            *([f"A quarter is lost {unless}."] if unless else []),
        ]
        cell = [nodes.paragraph("", "", name)]
        cell += [nodes.paragraph("", text, classes=["muted"]) for text in texts]
        return cell, points(task.max_points)


class Verdict(FromTasks):
    """What `check` says of a program with a known mistake, computed when the book is built."""

    required_arguments = 2

    def shown(self):
        """Return the report as a notebook shows it."""
        name, mistake = self.arguments
        task = autograder.tasks[name]
        replaces = {one.id: one.replaces for one in task.misconceptions}[mistake]
        cases = task.draw(np.random.default_rng(0))
        report = judge(task, cases, as_observed(task, cases, replaces, seed=0))
        box = f'<div class="sample-verdict">{report._repr_html_()}</div>'
        return nodes.raw("", box, format="html")


def table(head, rows):
    """Return a table whose first column has lists of nodes and whose second has texts."""
    group = nodes.tgroup("", *(nodes.colspec(colwidth=1) for _ in head), cols=len(head))
    group += nodes.thead("", line([nodes.paragraph("", head[0])], head[1]))
    group += nodes.tbody("", *(line(*row) for row in rows))
    return nodes.table("", group, classes=["points-table"])


def line(first, second):
    """Return one row of a table."""
    return nodes.row("", nodes.entry("", *first), nodes.entry("", nodes.paragraph("", second)))


def mark_tasks(app, doctree):
    """Make each answer cell on the pages of the exercises a target."""
    if not app.env.docname.startswith("exercises/"):
        return
    for block in doctree.findall(nodes.literal_block):
        defined = re.match(r"(?:def|class) (\w+)", block.astext())
        if defined and defined[1] in autograder.tasks:
            target(app.env, block.parent, f"task-{defined[1]}")


def setup(app):
    """Register the extension with Sphinx."""
    app.add_directive("common-mistakes", CommonMistakes)
    app.add_directive("points-table", PointsTable)
    app.add_directive("verdict", Verdict)
    app.connect("doctree-read", mark_tasks)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
