"""What a student learns before handing in, and the file that is made."""

import json
import re
import shutil
import subprocess
import sys

import nbformat
import pytest
from helpers.courses import ENVIRONMENT
from helpers.solutions import source_of

from autograder import ready
from autograder.intake.exercise import solution_notebook, source_notebook
from autograder.intake.notebook_file import UnreadableError
from autograder.intake.submission import rebuild_text
from autograder.judging.libraries import do_without
from autograder.student.readiness import main

RELEASED = source_of("l2").with_suffix(".ipynb")


def solved():
    return solution_notebook(source_notebook(source_of("l2")))


def code(cell_id, source):
    return nbformat.v4.new_code_cell(source, id=cell_id)


@pytest.fixture(scope="module")
def messy(tmp_path_factory):
    """Return what is said about a notebook in which much is amiss, and its file."""
    file = tmp_path_factory.mktemp("messy") / "mine (2).ipynb"
    notebook = solved()
    cells = {cell.id: cell for cell in notebook.cells}

    def change(name, *pair):
        assert pair[0] in cells[name].source
        cells[name].source = cells[name].source.replace(*pair)

    change("l2_penalty", "def l2_penalty(", "def my_penalty(")
    change("l2_penalty_backward", "return [weight_decay", "return [2 * weight_decay")
    change("sgd_step", "def sgd_step", "import helpers, rarelib\ndef sgd_step")
    stubs = {cell.id: cell for cell in nbformat.read(RELEASED, as_version=4).cells}
    cells["adam_step"].source = stubs["adam_step"].source
    check = next(cell for cell in notebook.cells if cell.id == "check-sgd_step")
    notebook.cells.remove(check)
    notebook.cells.insert(3, code("own", "open('<b>my.csv')  # <script>"))
    notebook.cells.insert(4, code("own-2", "%time 3\nready('l2.ipynb')"))
    nbformat.write(notebook, file)
    (file.parent / "helpers.py").write_text("")
    return ready(file), file


@pytest.mark.parametrize(
    "said",
    [
        "  right   parameter_groups     4 of 4",
        "  empty   adam_step            0 of 6",
        "(l2-missing-half)",
        "Not answered: `adam_step`.",
        "The cell of `l2_penalty` defines `my_penalty`",
        "`helpers` is a file of yours",
        do_without(["rarelib"]),
        "The cell of `sgd_step` raises ModuleNotFoundError: No module named 'helpers'",
        "A cell of your own that begins with `open('<b>my.csv') # <script>` raises FileNotFound",
        "These cells were missing and were put back: check-sgd_step.",
        "l2.ipynb, under the name that grading expects",
    ],
)
def test_what_would_be_lost_is_said(messy, said):
    """Points, mistakes, what real students do, what grading repairs, and which file to hand in."""
    text = re.sub(r"\s+", " ", repr(messy[0]))
    assert re.sub(r"\s+", " ", said) in text


def test_html_says_the_same_and_shows_no_markup_of_a_students(messy):
    """Whatever their cells begin with."""
    html = messy[0]._repr_html_()
    assert "<script>" not in html
    assert "<b>my" not in html
    text = re.sub(r"<[^>]*>", " ", html)
    for word in ("my_penalty", "rarelib", "empty", "to-hand-in", "4 of 4"):
        assert word in text


def test_a_solved_notebook_is_ready(tmp_path, capsys):
    """The file to hand in has the answers and no outputs; the student's own is left alone."""
    notebook = solved()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [nbformat.v4.new_output("stream", text="seen")]
            cell.execution_count = 7
    file = tmp_path / "l2.ipynb"
    nbformat.write(notebook, file)
    before = file.read_bytes()
    assert main([str(file)]) == 0
    said = capsys.readouterr().out
    assert said.startswith("l2: 25 of 25 points")
    assert "Look at this" not in said
    assert file.read_bytes() == before
    made = nbformat.read(tmp_path / "to-hand-in" / "l2.ipynb", as_version=4)
    nbformat.validate(made)
    assert [cell.source for cell in made.cells] == [cell.source for cell in notebook.cells]
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in made.cells)
    assert rebuild_text(json.dumps(made).encode(), RELEASED.read_text()).notes == ()


@pytest.mark.parametrize("content", ["{", '{"cells": []}', "", "[" * 200])
def test_what_grading_refuses_is_refused_in_its_words(tmp_path, capsys, content):
    """And there is nothing to hand in."""
    file = tmp_path / "l2.ipynb"
    file.write_text(content)
    with pytest.raises(UnreadableError) as refused:
        rebuild_text(content.encode(), RELEASED.read_text())
    assert main([str(file)]) == 1
    said = re.sub(r"\s+", " ", capsys.readouterr().out)
    assert re.sub(r"\s+", " ", str(refused.value)) in said
    assert [path.name for path in tmp_path.iterdir()] == ["l2.ipynb"]


def test_wrong_usage_is_one_line_that_says_what_to_do(tmp_path, capsys):
    """No file, and a notebook of something else."""
    assert main([str(tmp_path / "l2.ipynb")]) == 2
    other = tmp_path / "other.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[code("x", "1")]), other)
    assert main([str(other)]) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert "There is no file" in first
    assert "Copy your answers into the notebook of the exercise" in second


def test_a_notebook_without_a_file_is_told_so(tmp_path, monkeypatch):
    """As in Colab; no exception in the last cell."""
    monkeypatch.chdir(tmp_path)
    assert "There is no l2.ipynb here" in repr(ready("l2.ipynb"))


def test_the_command_needs_none_of_the_extras(tmp_path):
    """Students do not have them."""
    shutil.copy(RELEASED, tmp_path)
    extras = ("typer", "rich", "nbgrader", "jupytext", "distributed", "psutil", "yaml")
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({extras!r}))\n"
        "sys.argv[1:] = ['ready', 'l2.ipynb']\n"
        "from autograder.__main__ import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "l2: 0 of 25 points" in done.stdout
