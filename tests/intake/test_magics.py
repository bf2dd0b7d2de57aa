"""What of a cell is left for Python to parse."""

import ast

import pytest
from helpers.courses import ROOT
from jupytext.magics import comment_magic

from autograder.intake.magics import without_magics

CELLS = [
    "%%time\ndef f():\n    pass",
    "!ls -l\ndef f():\n    return 1",
    "x = !ls\ny = %pwd",
    "f?\n?f\nf??",
    "cd /tmp",
    "cd = 3",
    "ls, x = 1, 2",
    "cat(1)",
    "text = '''\n!ls\n'''\n!ls",
    'a = \'"""\'\n!ls',
    "# '''\n!ls",
    "x = 'don\\'t'  # it's\n!ls",
    "def f():\n    %time g()\n    return 1",
    "%time \\\n x\ny = 1",
    "if x:\n    !ls",
]


def tree(source):
    """Return what Python makes of a source, or that it makes nothing of it."""
    try:
        return ast.dump(ast.parse(source))
    except SyntaxError:
        return "not Python"


@pytest.mark.parametrize("cell", CELLS)
def test_jupytext_would_leave_the_same(cell):
    """Students do not have it, and grading must not read cells otherwise."""
    assert tree(without_magics(cell)) == tree("\n".join(comment_magic(cell.split("\n"))))


@pytest.mark.parametrize("folder", ["exercises", "tests/styles", "tests/mutants"])
def test_code_without_magics_stays_as_it_is(folder):
    """Also that of files that quote notebooks."""
    for path in sorted((ROOT / folder).rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        assert tree(without_magics(text)) == tree(text), path


def test_any_line_takes_linear_time():
    """As much text as a cell may have, of what an expression could go back and forth on."""
    for part in ('"', "'", '\\"', "?", "? ", "%", "#", " "):
        without_magics(part * (100_000 // len(part)))
        without_magics('"' + part * (100_000 // len(part)))
