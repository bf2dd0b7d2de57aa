"""A task and an assignment of one's own, from nothing to graded."""

import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from helpers.courses import ENVIRONMENT, ROOT, STUB, TOOLS

from autograder import new
from autograder.tasks import assignments

OWN = Path(__file__).parent / "helpers" / "own_task"
SPARES_RIGHT_CLASS = """n, classes = logits.shape
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    q = np.full((n, classes), smoothing / (classes - 1))
    q[np.arange(n), y] = 1 - smoothing
    return -(q * np.log(p)).sum() / n, (p - q) / n"""
RIGHT = """n, classes = logits.shape
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    q = (1 - smoothing) * np.eye(classes)[y] + smoothing / classes
    return -np.mean((q * np.log(p)).sum(axis=1)), (p - q) / n"""


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """Return a copy of what an instructor's clone has of the course, to change."""
    folder = tmp_path_factory.mktemp("clone")
    tables = shutil.ignore_patterns("*.npz")
    shutil.copytree(ROOT / "autograder", folder / "autograder", ignore=tables)
    shutil.copytree(ROOT / "exercises", folder / "exercises")
    (folder / "book").mkdir()
    shutil.copy(ROOT / "book" / "l2.md", folder / "book")
    shutil.copy(ROOT / "nbgrader_config.py", folder)
    return folder


def run(clone, *arguments):
    """Run Python in a clone; return the status and all that it said."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=clone,
        env={**ENVIRONMENT, "PYTHONPATH": str(clone), "NO_COLOR": "1", "COLUMNS": "300"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def autograder(clone, *arguments):
    return run(clone, "-m", "autograder.cli", *arguments)


def files(clone):
    """Return the text of every file that an instructor writes."""
    folders = ("autograder/tasks", "exercises", "book")
    found = (path for folder in folders for path in (clone / folder).rglob("*.[pm][yd]"))
    return {path.relative_to(clone).as_posix(): path.read_text() for path in found}


@pytest.fixture(scope="module")
def started(clone):
    """Return a clone with a new assignment and task, what it was before, and what was said."""
    before = files(clone)
    said = [
        autograder(clone, "new", "assignment", "smoothing"),
        autograder(clone, "new", "task", "label_smoothing", "--in", "smoothing"),
        autograder(clone, "new", "task", "early_stopping", "--in", "l2"),
    ]
    return clone, before, files(clone), said


def test_what_was_there_stays_and_the_last_line_says_what_to_do(started):
    """Files are new or got something at their end, and each command says what is next."""
    _, before, after, said = started
    assert set(after) - set(before) == {
        "autograder/tasks/smoothing/__init__.py",
        "autograder/tasks/smoothing/sections.py",
        "autograder/tasks/smoothing/label_smoothing.py",
        "autograder/tasks/l2/early_stopping.py",
        "exercises/smoothing/smoothing.py",
    }
    assert all(after[name].startswith(text) for name, text in before.items())
    changed = {name for name, text in before.items() if after[name] != text}
    assert changed == {"exercises/l2/l2.py", "autograder/tasks/l2/sections.py"}
    number = len(assignments) + 1
    assert f"number={number}" in after["autograder/tasks/smoothing/__init__.py"]
    assert "number=7" in after["autograder/tasks/l2/early_stopping.py"]
    assert [status for status, _ in said] == [0, 0, 0]
    assert "Next: autograder new task NAME --in smoothing" in said[0][1].splitlines()[-1]
    assert "autograder validate label_smoothing" in said[1][1].splitlines()[-1]


def test_what_is_written_has_the_form_of_the_rest(started):
    """The formatter and the linter of the repository have nothing to say."""
    clone, _, after, _ = started
    new = sorted(name for name in after if "smoothing" in name or "early" in name)
    for command in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [TOOLS / "ruff", *command, "--config", ROOT / "pyproject.toml", *new],
            cwd=clone,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout


def test_a_fresh_task_works_and_validate_says_what_is_missing(started):
    """One line for each part that is still the example, and for the chapter that is not there."""
    clone, *_ = started
    status, said = autograder(clone, "validate", "--seeds", "1", "label_smoothing")
    assert status == 1
    assert "Traceback" not in said
    lines = said.splitlines()
    for part in ("cases are", "run is", "reference is", "points are", "known mistake is"):
        assert sum(f"label_smoothing: the {part} still the placeholder (" in s for s in lines) == 1
    assert any(
        line.startswith("smoothing: the solution is still the placeholder") for line in lines
    )
    assert any("book/smoothing.md" in line for line in lines)
    assert "1 of 1" in said
    assert "a right answer earns" not in said


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        (["assignment", "2nd"], "'2nd' is no name for Python: give the assignment"),
        (["assignment", "../up"], "is no name for Python"),
        (["assignment", "l2"], "l2 is taken"),
        (["assignment", "smoothing"], "smoothing is taken"),
        (["assignment", "tasks"], "tasks is taken"),
        (["assignment", "answers"], "answers is taken"),
        (["task", "lambda", "--in", "l2"], "'lambda' is no name for Python: give the task"),
        (["task", "print", "--in", "l2"], "print is Python's own"),
        (["task", "dropout_forward", "--in", "l2"], "dropout_forward is taken"),
        (["task", "penalty", "--in", "l2"], "penalty is taken"),
        (["task", "np", "--in", "l2"], "np is taken"),
        (["task", "hint", "--in", "l2"], "hint is taken"),
        (["task", "sections", "--in", "l2"], "sections is taken"),
        (["task", "assignment", "--in", "l2"], "assignment is taken"),
        (["task", "something", "--in", "l3"], "No assignment 'l3'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_name_that_cannot_be_used_is_one_line_and_status_2(
    started, monkeypatch, capsys, arguments, advice
):
    """The line says why, and no file changes."""
    clone, _, after, _ = started
    monkeypatch.setattr(new, "ROOT", clone)
    with pytest.raises(SystemExit) as ended:
        new.app(arguments)
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert advice in said
    assert len(said.splitlines()) == 1
    assert files(clone) == after


def test_a_package_without_exercises_is_no_place_for_a_task(tmp_path, monkeypatch, capsys):
    """Where the package is installed for good, the line says to use a clone."""
    monkeypatch.setattr(new, "ROOT", tmp_path)
    with pytest.raises(SystemExit) as ended:
        new.app(["assignment", "smoothing"])
    assert ended.value.code == 2
    assert "make a clone" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def finished(started):
    """Return the clone in which the instructor has written everything."""
    clone, *_ = started
    declared = clone / "autograder" / "tasks" / "smoothing" / "__init__.py"
    lines = declared.read_text().splitlines(keepends=True)
    declared.write_text("".join(line for line in lines if "TODO" not in line))
    shutil.copy(OWN / "label_smoothing.py", declared.parent)
    shutil.copy(OWN / "smoothing.py", clone / "exercises" / "smoothing")
    shutil.copy(OWN / "smoothing.md", clone / "book")
    return clone


def test_validate_passes_when_everything_is_written(finished):
    """The right answer, each mistake and every place in the chapter, without any table."""
    status, said = autograder(finished, "validate", "--seeds", "2", "label_smoothing")
    assert status == 0, said
    assert "6 of 6" in said
    assert "0 failures" in said


def test_the_exercise_agrees_with_pytorch(finished):
    """Its solution is checked, and compared with PyTorch's cross-entropy."""
    status, said = run(finished, "-W", "error", "exercises/smoothing/smoothing.py")
    assert status == 0, said


def test_a_submission_is_graded_and_its_mistake_named(finished):
    """From the release to the report; nothing else has to be set up."""
    status, said = autograder(finished, "release", "smoothing")
    assert status == 0, said
    course = finished / "course"
    for student, code in (("ada", RIGHT), ("bruno", SPARES_RIGHT_CLASS)):
        notebook = nbformat.read(course / "release/smoothing/smoothing.ipynb", as_version=4)
        for cell in notebook.cells:
            cell.source = cell.source.replace(STUB, code)
        target = course / "submitted" / student / "smoothing" / "smoothing.ipynb"
        target.parent.mkdir(parents=True)
        nbformat.write(notebook, target)
    status, said = autograder(finished, "grade", "smoothing", "--jobs", "1", "--no-feedback")
    assert status == 0, said
    assert "3 of 3 points" in report(course, "ada")
    assert "smoothing-spares-right-class" in report(course, "bruno")


def report(course, student):
    """Return the report in a student's graded notebook."""
    graded = course / "autograded" / student / "smoothing" / "smoothing.ipynb"
    cells = {cell.id: cell for cell in nbformat.read(graded, as_version=4).cells}
    [output] = cells["check-label_smoothing"].outputs
    return output.data["text/html"]
