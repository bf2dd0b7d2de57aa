"""What the book says of the tasks is what the tasks declare."""

import dataclasses
import html
import re

import pytest
import task_directives
from docutils import nodes
from helpers.pages import Page
from sphinx.testing.util import SphinxTestApp

from autograder import tasks
from autograder.tasks import assignments

PAGE = """# Page

```{common-mistakes} dropout_backward
```

```{points-table} dropout
```
"""


@pytest.mark.parametrize("name", list(tasks))
def test_every_known_mistake_has_its_place_in_the_chapter(name, pages):
    """A finding can send a student to the mistake it names."""
    ids = Page(pages[tasks[name].assignment.page]).ids
    known = (*tasks[name].misconceptions, *tasks[name].requirements)
    expected = {f"mistake-{name}-{one.id}" for one in known} | {f"mistakes-{name}"}
    assert expected - ids == set()


def test_no_place_on_a_page_has_two_claims(pages):
    """An id that stands twice leads to the first only."""
    for path in pages.values():
        ids = re.findall(r'\bid="(mistakes?-[^"]+|task-[^"]+)"', path.read_text(encoding="utf-8"))
        assert len(ids) == len(set(ids)), path.name


@pytest.mark.parametrize("name", list(tasks))
def test_every_task_is_a_place_in_its_exercise(name, pages):
    """The chapter's table and box lead to the cell in which the task is answered."""
    assignment = tasks[name].assignment.name
    assert f"task-{name}" in Page(pages[f"exercises/{assignment}/{assignment}"]).ids
    link = f"../exercises/{assignment}/{assignment}.html#task-{name}"
    assert Page(pages[tasks[name].assignment.page]).links.count(link) == 2


def test_a_link_to_a_mistake_unfolds_it(address, browser):
    """Who follows a finding's link sees the mistake and need not look for it."""
    one = tasks["batch_norm_backward"].misconceptions[1]
    place = f"mistake-batch_norm_backward-{one.id}"
    page = browser.new_page()
    page.goto(f"{address}/book/batch_norm.html", wait_until="load")
    mistake = page.locator(f'[id="{place}"]')
    assert not mistake.is_visible()
    page.goto(f"{address}/book/batch_norm.html#{place}", wait_until="load")
    mistake.wait_for(state="visible", timeout=5000)
    assert one.explanation.replace("`", "") in mistake.inner_text()
    page.close()


@pytest.fixture
def small_book(tmp_path, monkeypatch):
    """Return a function that builds a page with the directives and says what it read again."""
    declaration = tmp_path / "tasks.py"
    declaration.touch()
    monkeypatch.setattr(task_directives, "DECLARATIONS", [declaration])
    monkeypatch.setattr(task_directives.autograder, "tasks", dict(tasks))
    source = tmp_path / "source"
    (source / "exercises").mkdir(parents=True)
    (source / "conf.py").write_text(
        "extensions = ['myst_parser', 'sphinx_design', 'task_directives']\nnitpicky = True\n"
    )
    (source / "index.md").write_text(PAGE)
    answers = "".join(f"```python\ndef {name}(x):\n```\n\n" for name in tasks)
    (source / "exercises" / "all.md").write_text(f"---\norphan: true\n---\n# All\n\n{answers}")

    def build():
        application = SphinxTestApp("html", source, builddir=tmp_path / "build")
        try:
            read = []
            application.connect("source-read", lambda app, name, text: read.append(name))
            application.build()
            assert application.warning.getvalue() == ""
            return read, (application.outdir / "index.html").read_text(encoding="utf-8")
        finally:
            application.cleanup()

    build.declaration, build.source = declaration, source
    return build


def test_a_page_is_built_anew_when_the_declarations_change(small_book):
    """What the book says cannot fall behind what the grader says."""
    read, page = small_book()
    assert set(read) == {"index", "exercises/all"}
    assert small_book() == ([], page)

    task = tasks["dropout_backward"]
    reworded = dataclasses.replace(
        task,
        misconceptions=(
            dataclasses.replace(task.misconceptions[0], explanation="Said in `other` words."),
            *task.misconceptions[1:],
        ),
        aspects=(dataclasses.replace(task.aspects[0], points=44.25), *task.aspects[1:]),
    )
    task_directives.autograder.tasks["dropout_backward"] = reworded
    small_book.declaration.write_text("# changed\n")
    read, changed = small_book()
    assert read == ["index"]
    for text in ("words.", "44.25"):
        assert text in changed
        assert text not in page


def test_the_table_names_all_that_can_cost_points(small_book):
    """What each task refuses, and that arguments are left alone, stand beside the points."""
    _, page = small_book()
    table = page[page.index("<table") : page.index("</table>")]
    assert "leaves its arguments as they are" in table
    for task in tasks.values():
        if task.assignment.name == "dropout":
            assert all(one.name in html.unescape(table) for one in task.requirements)


def test_the_directives_depend_on_all_files_that_declare_tasks():
    """Those of other modules too, since tasks share their mistakes."""
    names = {path.parent.name for path in task_directives.DECLARATIONS}
    assert {"autograder", "tasks", *assignments} <= names
    assert all(path.is_file() for path in task_directives.DECLARATIONS)


@pytest.mark.parametrize(
    ("directive", "complaint"),
    [
        ("common-mistakes} dropout_backwards", "There is no task dropout_backwards."),
        ("points-table} droput", "There is no assignment droput."),
    ],
)
def test_a_wrong_name_is_told(small_book, directive, complaint):
    """A typing error in a chapter stops the build, in which warnings are errors."""
    (small_book.source / "index.md").write_text(f"# Page\n\n```{{{directive}\n```\n")
    with pytest.raises(AssertionError, match=complaint):
        small_book()


def test_code_is_set_as_code():
    """What stands between backquotes, and only that."""
    shown = task_directives.marked("Drop `keepdims`, please.")
    assert [type(node) for node in shown] == [nodes.Text, nodes.literal, nodes.Text]
    assert "".join(node.astext() for node in shown) == "Drop keepdims, please."


def test_the_first_page_shows_a_verdict_of_the_checker(pages):
    """It is computed when the book is built, so it is what a student would be told today."""
    source = pages["book/index"].read_text(encoding="utf-8")
    assert "batch_norm_forward: 8 of 10 points" in source
    assert "(bn-biased-running-var)" in source


def test_ticks_of_the_first_page_last(address, browser):
    """What a reader has ticked is still ticked when they come back, and can be taken back."""
    context = browser.new_context()
    for ticked in (True, False):
        page = context.new_page()
        page.goto(f"{address}/book/index.html", wait_until="load")
        box = page.get_by_label("L2 and weight decay is read")
        assert box.is_checked() is not ticked
        box.click()
        page.close()
    page = context.new_page()
    page.goto(f"{address}/book/index.html", wait_until="load")
    assert not page.get_by_label("L2 and weight decay is read").is_checked()
    context.close()
