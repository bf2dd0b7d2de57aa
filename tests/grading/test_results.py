"""Under which name an outcome is kept, and that it comes back as it was."""

import ast
import re
import shutil
from dataclasses import replace
from functools import cache

import nbformat
import numpy as np
import pytest

from autograder.grading import results
from autograder.grading.job import Job
from autograder.grading.notebook import Outcome
from autograder.judging.report import Finding, Report
from autograder.sandbox import Limits
from autograder.task import Section
from autograder.tasks import assignments, tasks

PACKAGE = results._PACKAGE
FILES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))
RUN_INSIDE_GRADING = ("judging/", "intake/", "sandbox/", "grading/")
ABOVE = (
    "__main__.py",
    "course/",
    "platforms/",
    "cli.py",
    "demo.py",
    "distribution.py",
    "handout/",
    "new.py",
    "student/",
    "validate.py",
)


def a_job(assignment, **changes):
    job = Job(assignment, b"{}", "{}", b"key", Limits(), "bubblewrap")
    return replace(job, **changes)


@pytest.mark.parametrize(
    "change",
    [
        {"content": b"{ }"},
        {"release": "{ }"},
        {"key": b"other"},
        {"limits": Limits(cell_seconds=1)},
        {"backend": "none"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_everything_that_an_outcome_follows_from_counts(change):
    """A change of any is another outcome."""
    assert results.result_name(a_job("l2")) == results.result_name(a_job("l2"))
    assert results.result_name(a_job("l2", **change)) != results.result_name(a_job("l2"))


def users(assignment):
    """Return the assignments whose code uses that of one, itself included."""
    texts = {
        name: "".join(path.read_text() for path in (PACKAGE / "tasks" / name).glob("*.py"))
        for name in assignments
    }
    found = {assignment}
    for _ in assignments:
        found |= {
            name
            for name, text in texts.items()
            if found & set(re.findall(r"autograder\.tasks\.(\w+)", text))
        }
    return found


def concerned(file):
    """Return the assignments whose outcomes may depend on a file of the package."""
    if file.startswith(ABOVE):
        return set()
    place = file.split("/")
    if place[0] == "tasks" and len(place) > 2:
        return users(place[1])
    assert (
        file in ("__init__.py", "task.py")
        or place[0] == "tasks"
        or (file.startswith(RUN_INSIDE_GRADING))
    ), f"Does grading run {file}? Say so here."
    return set(assignments)


@pytest.fixture(scope="module")
def copied(tmp_path_factory):
    """Return a copy of the package, whose code counts instead."""
    folder = tmp_path_factory.mktemp("copy") / "autograder"
    shutil.copytree(PACKAGE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(results, "_PACKAGE", folder)
        # Of nearly all files nothing changes between two looks at what they import.
        parsed, used = cache(ast.parse), results._assignments_used
        patch.setattr(results.ast, "parse", parsed)
        patch.setattr(results, "_assignments_used", cache(lambda tree: tuple(used(tree))))
        yield folder
    results._code.cache_clear()


@pytest.fixture(scope="module")
def before(copied):
    """Return the names of outcomes while nothing has changed."""
    return names()


def names():
    results._code.cache_clear()
    return {name: results.result_name(a_job(name)) for name in assignments}


@pytest.mark.parametrize("file", FILES)
def test_a_change_of_code_concerns_what_it_grades(copied, before, file):
    """A task's file its own assignment and those that use it, the judge all, the course none."""
    text = (copied / file).read_text()
    (copied / file).write_text(f"{text}\nchanged = True\n")
    after = names()
    (copied / file).write_text(text)
    assert {name for name in assignments if after[name] != before[name]} == concerned(file)


@pytest.mark.parametrize(
    ("before_words", "after_words"),
    [
        ("The penalty adds", "Your penalty adds"),
        ("import torch\n", "import torch  # the reference\n"),
        ('"""Return', '"""Give back'),
    ],
)
def test_a_changed_word_of_text_concerns_nobody(copied, before, before_words, after_words):
    """What students read, comments and docstrings may be mended while a class is graded."""
    file = copied / "tasks" / "l2" / "penalty.py"
    text = file.read_text()
    assert before_words in text
    file.write_text(text.replace(before_words, after_words))
    after = names()
    file.write_text(text)
    assert after == before


@pytest.mark.parametrize("name", tasks)
def test_what_a_task_is_judged_by_is_no_text(name):
    """Names of outputs, groups and aspects count, however long they are."""
    task = tasks[name]
    cases = task.draw(np.random.default_rng(0))
    found = {case.group for case in cases} | {mistake.id for mistake in task.misconceptions}
    for aspect in task.aspects:
        found |= {aspect.name, *aspect.groups, *aspect.outputs}
    assert not [one for one in found if results.is_text(one)]
    assert all(results.is_text(mistake.explanation) for mistake in task.misconceptions)


def test_an_outcome_comes_back_as_it_was(tmp_path):
    """Also one that holds what JSON has to escape."""
    place = Section("book/l2", "L2", "l2-penalty", "The penalty")
    finding = Finding("value", False, "“no”", "l2-sign", 0.25, 1.0, (place,))
    stream = nbformat.v4.new_output("stream", text="\U0001f600\x00\n")
    outcome = Outcome({"cell": [stream], "silent": []}, {"check": Report("f", (finding,), "\x1b")})
    kept = results.Results(tmp_path)
    kept.put("name", outcome)
    assert kept.get("name") == outcome
    assert results.Results(tmp_path).get("name") == outcome
    kept.drop("name")
    assert not kept.has("name")
    assert kept.get("name") is None


def test_what_cannot_be_written_is_kept_until_the_next(tmp_path):
    """The disk is full: what was graded can still be recorded."""
    (tmp_path / results.FOLDER).write_text("in the way")
    kept = results.Results(tmp_path)
    for name in ("one", "other"):
        kept.put(name, Outcome({name: []}, {}))
        assert kept.get(name) == Outcome({name: []}, {})
    assert not kept.has("one")
