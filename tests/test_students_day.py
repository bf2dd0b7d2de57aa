"""The day of a student on real files, from the archive of the site to the feedback page."""

import html
import re
import zipfile
from dataclasses import replace
from io import BytesIO

import nbformat
import pytest
from helpers.courses import autograder, graded_file, make_course, points
from helpers.environments import make_environment, run
from helpers.solutions import source_of

from autograder.course.release import release
from autograder.handout.archives import archives
from autograder.intake.cells import is_answer
from autograder.intake.exercise import solution_notebook, source_notebook
from autograder.judging.report import Report

pytestmark = pytest.mark.filterwarnings("ignore:Object of type")

ROOT = source_of("l2").parents[2]
# The experiment at the end repeats itself for pictures that nobody looks at here.
ROUNDS = re.compile(r"for (?:run|_) in range\(\d+\)")

RUN_ALL = """\
import nbclient, nbformat
notebook = nbformat.read("l2.ipynb", as_version=4)
nbclient.NotebookClient(notebook, kernel_name="python3", timeout=300).execute()
nbformat.write(notebook, "l2.ipynb")
"""

REPLAY = """\
import nbformat
import numpy as np
from autograder import check
cells = nbformat.read("l2.ipynb", as_version=4).cells
exec(next(cell.source for cell in cells if cell.id == "l2_penalty"))
print({call})
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """Return the Python of a student, who has done what the archive's README says."""
    folder = tmp_path_factory.mktemp("student")
    with zipfile.ZipFile(BytesIO(archives(ROOT)["l2.zip"])) as archive:
        archive.extractall(folder)
    python = make_environment(folder / "environment")
    run(python, "-m", "pip", "install", "--no-index", "-r", "requirements.txt", cwd=folder / "l2")
    return python


def write_answers(file):
    """Solve the notebook but for one mistake, one task that is left and one that is not allowed."""
    solved = solution_notebook(source_notebook(source_of("l2")))
    answers = {cell.id: cell.source for cell in solved.cells if is_answer(cell)}
    notebook = nbformat.read(file, as_version=4)
    for cell in notebook.cells:
        if is_answer(cell) and cell.id != "adam_step":
            cell.source = answers[cell.id]
        if cell.id == "l2_penalty":
            cell.source = cell.source.replace("0.5 * ", "")
        if cell.id == "sgd_step":
            cell.source = cell.source.replace("return ", "torch.ones(1)\n    return ")
        cell.source = ROUNDS.sub("for run in range(1)", cell.source)
        if cell.id.startswith("demonstration") and "adam_step" in cell.source:
            cell.source = ""
    nbformat.write(notebook, file)


def shown(notebook, cell_id):
    """Return what a cell shows as text."""
    cell = next(cell for cell in notebook.cells if cell.id == cell_id)
    return "".join(output.get("data", {}).get("text/plain", "") for output in cell.outputs)


def verdicts(text):
    """Return the points of each task in an overview."""
    found = re.findall(r"^  (?:right|partly|wrong|empty) +(\w+) +([\d.]+) of", text, re.MULTILINE)
    return {name: float(points) for name, points in found}


def test_from_the_archive_to_the_feedback(python, tmp_path, monkeypatch):
    """Check, overview, rehearsal, grade and replay say the same, and nobody has to be asked."""
    work = python.parents[2] / "l2"
    file = work / "l2.ipynb"
    write_answers(file)
    run(python, "-c", RUN_ALL, cwd=work)
    notebook = nbformat.read(file, as_version=4)
    expected = {
        "l2_penalty": 0.0,
        "l2_penalty_backward": 3.0,
        "softmax_regression": 0.0,
        "sgd_step": 0.0,
        "adam_step": 0.0,
        "parameter_groups": 4.0,
    }
    checked = {name: shown(notebook, f"check-{name}") for name in expected}
    assert "l2-missing-half" in checked["l2_penalty"]
    assert "PyTorch is not there when it is graded" in " ".join(checked["sgd_step"].split())
    last = [cell.id for cell in notebook.cells if cell.id.startswith("demonstration-")][-2:]
    overview, rehearsal = (shown(notebook, cell_id) for cell_id in last)
    expected["softmax_regression"] = verdicts(overview)["softmax_regression"]
    assert verdicts(overview) == verdicts(rehearsal) == expected
    assert all(f"{name}: {points:g} of" in checked[name] for name, points in expected.items())
    assert "Not answered: `adam_step`" in re.sub(r"\s+", " ", rehearsal)

    made = work / "to-hand-in" / "l2.ipynb"
    made.unlink()
    said = run(python.with_name("autograder"), "ready", "l2.ipynb", cwd=work)
    assert verdicts(said) == expected
    assert "to-hand-in/l2.ipynb" in said

    course = make_course(
        tmp_path, source_of("l2").read_text(), "c.GradeSubmission.cell_seconds = 30\n"
    )
    release(course, course.exercises / "l2" / "l2.py")
    download = tmp_path / "download" / "ada"
    download.mkdir(parents=True)
    (download / "l2.ipynb").write_bytes(made.read_bytes())
    status, said = autograder(course, monkeypatch, "collect", str(download.parent))
    assert (status, said.splitlines()[-1]) == (
        0,
        "1 collected, 0 replaced, 0 unchanged, 0 set aside",
    )
    status, said = autograder(course, monkeypatch, "grade", "--jobs", "1")
    assert status == 0, said
    assert points(course) == {"ada": sum(expected.values())}
    page = (course.folder("feedback", "ada", "l2") / "l2.html").read_text()
    assert "l2-missing-half" in page
    assert "PyTorch is not there when it is graded" in page

    (call,) = set(re.findall(r'check\(l2_penalty, replay="[\w-]+"\)', html.unescape(page)))
    replayed = run(python, "-c", REPLAY.format(call=call), cwd=work)
    graded = nbformat.read(graded_file(course, "ada"), as_version=4)
    (output,) = (cell.outputs[0] for cell in graded.cells if cell.id == "check-l2_penalty")
    assert replayed.strip() == str(replace(Report.from_dict(output.metadata.report), replay=""))
