"""From sources to exercise."""

import re

import jupytext
import nbformat
import pytest
from helpers.solutions import hidden_lines, source_of

from autograder import tasks
from autograder.intake import cells, exercise
from autograder.intake.exercise import BEGIN, END, SourceError
from autograder.tasks import assignments

each_assignment = pytest.mark.parametrize("assignment", assignments)


def write_source(folder, text):
    path = folder / "l2.py"
    path.write_text(text)
    return path


@each_assignment
def test_committed_notebook_is_what_its_source_gives(assignment):
    """After a change to a source someone has to run `make notebooks`."""
    made = exercise.student_notebook(exercise.source_notebook(source_of(assignment)))
    committed = source_of(assignment).with_suffix(".ipynb")
    assert committed.read_text() == nbformat.writes(made) + "\n", "run `make notebooks`"


def test_writing_again_changes_nothing(tmp_path):
    """The same notebook is not written twice, so that its time stays."""
    source = exercise.source_notebook(source_of("dropout"))
    target = tmp_path / "dropout.ipynb"
    assert exercise.write(exercise.student_notebook(source), target)
    assert not exercise.write(exercise.student_notebook(source), target)


@each_assignment
def test_students_notebook_contains_no_line_of_a_solution(assignment):
    """Not in any cell, of any type, nor in metadata."""
    hidden = hidden_lines(assignment)
    assert hidden
    notebook = nbformat.read(source_of(assignment).with_suffix(".ipynb"), as_version=4)
    shown = {line.strip() for cell in notebook.cells for line in cell.source.splitlines()}
    assert not hidden & shown
    raw = source_of(assignment).with_suffix(".ipynb").read_text()
    assert "SOLUTION" not in raw


@each_assignment
def test_every_task_has_an_answer_a_check_and_its_points(assignment):
    """The notebook asks for all tasks of its assignment, worth what the tasks say."""
    notebook = exercise.source_notebook(source_of(assignment))
    points = {
        cell.metadata.nbgrader.grade_id: cell.metadata.nbgrader.points
        for cell in notebook.cells
        if cell.metadata.get("nbgrader", {}).get("grade")
    }
    expected = {
        f"check-{task.name}": task.max_points
        for task in tasks.values()
        if task.assignment.name == assignment
    }
    assert points == expected
    text = "".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    assert "{{" not in text


@each_assignment
def test_cells_are_stable_and_say_what_they_are(assignment):
    """Ids follow from the content, and locked cells tell the student that they are locked."""
    notebook = exercise.source_notebook(source_of(assignment))
    ids = [cell.id for cell in notebook.cells]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", one) for one in ids)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.id == cell.metadata.nbgrader.grade_id
            if cell.id.startswith(("setup-", "demonstration-")):
                assert "# Locked: " in cell.source.split("\n")[0]
            assert cells.is_demonstration(cell) == cell.id.startswith("demonstration-")


@each_assignment
def test_solution_notebook_has_the_sources_code(assignment):
    """What a student with every answer hands in is the source without its markers."""
    notebook = exercise.solution_notebook(exercise.source_notebook(source_of(assignment)))
    sources = jupytext.read(source_of(assignment), fmt="py:percent").cells
    for cell, original in zip(notebook.cells, sources, strict=True):
        if cells.is_answer(cell):
            lines = original.source.split("\n")
            expected = [line for line in lines if line.strip() not in (BEGIN, END)]
            assert cell.source.split("\n") == expected


ANSWER = f"def l2_penalty(weights, weight_decay):\n    {BEGIN}\n    return 0\n    {END}\n"
CHECK = "# %%\ncheck(l2_penalty)\n"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (f"# %%\n{ANSWER}", "the answer l2_penalty has no cell check(l2_penalty)"),
        (CHECK, "check(l2_penalty) has no answer"),
        ("# %%\ncheck(l2_penatly)\n", "no task of the course is called 'l2_penatly'"),
        ("# %% [markdown]\n# {{points:l2}}\n", "no task of the course is called 'l2'"),
        (f"# %%\n{ANSWER}\n# %%\ncheck(l2_penalty);\n", "check(NAME) and nothing else"),
        (f"# %%\n{ANSWER}\n{CHECK}{CHECK}", "more than one answer or check"),
        ("# %%\n" + ANSWER.replace(END, ""), f"{BEGIN} without {END}"),
        ("# %%\n" + ANSWER.replace(BEGIN, ""), f"{END} without {BEGIN}"),
        ("# %%\n" + ANSWER.replace("    return 0\n", f"    {BEGIN}\n"), BEGIN),
        ("# %%\n" + ANSWER.replace("return 0", "pass") + ANSWER, "not l2_penalty, l2_penalty"),
        (f"# %%\n{BEGIN}\nx = 1\n{END}\n", "one function or class outside of its solution"),
        ("# %%\n" + ANSWER.replace("):", ")"), "is not Python"),
        ("# %%\n" + ANSWER.replace("l2_penalty", "predict"), "predict belongs to capstone"),
        ("# ---\n# jupyter:\n#   kernelspec:\n#     name: x\n# ---\n", "header"),
    ],
)
def test_a_broken_convention_is_named(tmp_path, text, complaint):
    """Each fault of a source gets one sentence with the file's name in it."""
    path = write_source(tmp_path, text)
    with pytest.raises(SourceError) as caught:
        exercise.source_notebook(path)
    message = str(caught.value)
    assert complaint in message
    assert message.startswith(str(path))
    assert "\n" not in message


def test_points_are_written_as_people_write_them(tmp_path):
    """3 and not 3.0."""
    path = write_source(tmp_path, "# %% [markdown]\n# ({{points:l2_penalty}} points)\n")
    assert exercise.source_notebook(path).cells[0].source == "(3 points)"


def test_a_cell_magic_stays_first(tmp_path):
    """A magic works only in the first line of a cell."""
    path = write_source(tmp_path, "# %%\n# %%time\nx = 1\n")
    lines = exercise.source_notebook(path).cells[0].source.split("\n")
    assert lines[0] == "%%time"
    assert lines[1].startswith("# Locked: ")


def test_helpers_inside_a_solution_are_no_names(tmp_path):
    """A solution may have helper functions of its own."""
    helper = (
        f"def l2_penalty(a, b):\n    {BEGIN}\n    return f(a)\n\ndef f(a):\n    return a\n{END}"
    )
    path = write_source(tmp_path, f"# %%\n{helper}\n{CHECK}")
    released = exercise.student_notebook(exercise.source_notebook(path))
    assert "def f(" not in released.cells[0].source


def test_command_writes_and_reports(tmp_path, capsys):
    """`python -m autograder.intake.exercise` says what it wrote, and what it does not know."""
    folder = tmp_path / "l2"
    folder.mkdir()
    write_source(folder, f"# %%\n{ANSWER}\n{CHECK}")
    options = ["--folder", str(tmp_path)]
    assert exercise.main(options) == 0
    assert exercise.main(options) == 0
    assert [line.split(": ")[1] for line in capsys.readouterr().out.splitlines()] == [
        "written",
        "unchanged",
    ]
    assert exercise.main([*options, "l3"]) == 2
    write_source(folder, CHECK)
    assert exercise.main(options) == 1
    assert "has no answer" in capsys.readouterr().err
