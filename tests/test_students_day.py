"""The day of a student on real files, from the archive of the site to the feedback page."""

import html
import re
import zipfile
from dataclasses import dataclass, field, replace
from io import BytesIO

import nbformat
import pytest
from helpers.courses import autograder, make_course, points
from helpers.environments import make_environment, run
from helpers.solutions import source_of

from autograder.course.release import release
from autograder.handout.archives import archives
from autograder.intake.cells import is_answer
from autograder.intake.exercise import solution_notebook, source_notebook
from autograder.judging.report import Report
from autograder.tasks import tasks

pytestmark = pytest.mark.filterwarnings("ignore:Object of type")

ROOT = source_of("l2").parents[2]
# Experiments repeat themselves for pictures that nobody looks at here.
ROUNDS = re.compile(r"for (run|_|seed) in range\((?:\d\d+|[3-9]|epochs)\)")


@dataclass(frozen=True)
class Day:
    """What somebody hands in: the course's solution, but for something.

    Attributes
    ----------
    changes
        For some tasks, which code is replaced by which.
    left
        The task that is not answered.
    said
        For some tasks, what is said of the answer, in the notebook and on the page.
    """

    changes: dict[str, tuple[str, str]]
    left: str
    said: dict[str, str] = field(default_factory=dict)


DAYS = {
    "l2": Day(
        {"l2_penalty": ("0.5 * ", ""), "sgd_step": ("return ", "torch.ones(1)\n    return ")},
        "adam_step",
        {
            "l2_penalty": "l2-missing-half",
            "sgd_step": "PyTorch is not there when it is graded",
        },
    ),
    "dropout": Day(
        {"dropout_forward": (" < keep_prob) / keep_prob", " < keep_prob) * 1.0")},
        "monte_carlo_predict",
        {"dropout_forward": "dropout-no-rescale"},
    ),
    "batch_norm": Day(
        {"batch_norm_forward": (", ddof=1", "")},
        "fold_batch_norm",
        {"batch_norm_forward": "bn-biased-running-var"},
    ),
    "norms": Day(
        {"layer_norm_forward": ("axis=-1", "axis=0")},
        "RMSNorm",
        {"layer_norm_forward": "ln-batch-axis"},
    ),
    "capstone": Day({"two_layer_net": (" * n / (n - 1)", "")}, "train"),
    "impostors": Day({"probe_l2": ("1.7", "0.0")}, "probe_batch_norm"),
}

RUN_ALL = """\
import sys
import nbclient, nbformat
notebook = nbformat.read(sys.argv[1], as_version=4)
nbclient.NotebookClient(notebook, kernel_name="python3", timeout=300).execute()
nbformat.write(notebook, sys.argv[1])
"""

REPLAY = """\
import nbformat
import numpy as np
from autograder import check
cells = nbformat.read({file!r}, as_version=4).cells
for cell in cells:
    if cell.id == {name!r}:
        exec(cell.source)
print({call})
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """Return the Python of a student, who has done what the archive's README says."""
    folder = tmp_path_factory.mktemp("student")
    made = archives(ROOT)
    for name in DAYS:
        with zipfile.ZipFile(BytesIO(made[f"{name}.zip"])) as archive:
            archive.extractall(folder)
    python = make_environment(folder / "environment")
    run(python, "-m", "pip", "install", "--no-index", "-r", "requirements.txt", cwd=folder / "l2")
    return python


def write_answers(file, day):
    """Solve the notebook but for what the day says."""
    solved = solution_notebook(source_notebook(source_of(file.stem)))
    answers = {cell.id: cell.source for cell in solved.cells if is_answer(cell)}
    notebook = nbformat.read(file, as_version=4)
    for cell in notebook.cells:
        if is_answer(cell) and cell.id != day.left:
            old, new = day.changes.get(cell.id, ("", ""))
            assert old in answers[cell.id]
            cell.source = answers[cell.id].replace(old, new)
        if cell.id.startswith("demonstration"):
            cell.source = ROUNDS.sub(r"for \1 in range(1)", cell.source)
            # It may need what is not answered.
            cell.metadata.tags = ["raises-exception"]
    nbformat.write(notebook, file)


def shown(notebook, cell_id):
    """Return what a cell shows as text."""
    cell = next(cell for cell in notebook.cells if cell.id == cell_id)
    return "".join(output.get("data", {}).get("text/plain", "") for output in cell.outputs)


def in_a_line(text):
    """Return a text as it was before it was wrapped."""
    return " ".join(text.split())


def verdicts(text):
    """Return the points of each task in an overview."""
    found = re.findall(r"^  (?:right|partly|wrong|empty) +(\w+) +([\d.]+) of", text, re.MULTILINE)
    return {name: float(points) for name, points in found}


@pytest.mark.parametrize(
    "name", [pytest.param(one, marks=[pytest.mark.evidence] * (one != "l2")) for one in DAYS]
)
def test_from_the_archive_to_the_feedback(name, python, tmp_path, monkeypatch):
    """Check, overview, rehearsal, grade and replay say the same, and nobody has to be asked."""
    day = DAYS[name]
    work = python.parents[2] / name
    file = work / f"{name}.ipynb"
    write_answers(file, day)
    run(python, "-c", RUN_ALL, file.name, cwd=work)
    notebook = nbformat.read(file, as_version=4)
    asked = [one for one, task in tasks.items() if task.assignment.name == name]
    checked = {one: shown(notebook, f"check-{one}") for one in asked}
    for one, what in day.said.items():
        assert what in in_a_line(checked[one])
    last = [cell.id for cell in notebook.cells if cell.id.startswith("demonstration-")][-2:]
    overview, rehearsal = (shown(notebook, cell_id) for cell_id in last)
    expected = verdicts(overview)
    assert verdicts(rehearsal) == expected
    assert list(expected) == asked
    assert all(f"{one}: {points_now:g} of" in checked[one] for one, points_now in expected.items())
    assert all(expected[one] < tasks[one].max_points for one in day.changes)
    assert any(expected[one] == tasks[one].max_points for one in asked)
    assert expected[day.left] == 0
    assert f"Not answered: `{day.left}`" in in_a_line(rehearsal)

    made = work / "to-hand-in" / file.name
    made.unlink()
    said = run(python.with_name("autograder"), "ready", file.name, cwd=work)
    assert verdicts(said) == expected
    assert f"to-hand-in/{file.name}" in said

    course = make_course(
        tmp_path, source_of("l2").read_text(), "c.GradeSubmission.cell_seconds = 30\n"
    )
    source = course.exercises / name / f"{name}.py"
    source.parent.mkdir(exist_ok=True)
    source.write_text(source_of(name).read_text())
    release(course, source)
    download = tmp_path / "download" / "ada"
    download.mkdir(parents=True)
    (download / file.name).write_bytes(made.read_bytes())
    status, said = autograder(course, monkeypatch, "collect", str(download.parent))
    assert (status, said.splitlines()[-1]) == (
        0,
        "1 collected, 0 replaced, 0 unchanged, 0 set aside",
    )
    status, said = autograder(course, monkeypatch, "grade", name, "--jobs", "1")
    assert status == 0, said
    assert points(course, name) == {"ada": sum(expected.values())}
    page = html.unescape((course.folder("feedback", "ada", name) / f"{name}.html").read_text())
    for what in day.said.values():
        assert what in page

    wrong = next(iter(day.changes))
    (call,) = set(re.findall(rf'check\({wrong}, replay="[\w-]+"\)', page))
    code = REPLAY.format(file=file.name, name=wrong, call=call)
    replayed = run(python, "-c", code, cwd=work)
    graded = nbformat.read(course.folder("autograded", "ada", name) / f"{name}.ipynb", as_version=4)
    (output,) = (cell.outputs[0] for cell in graded.cells if cell.id == f"check-{wrong}")
    assert replayed.strip() == str(replace(Report.from_dict(output.metadata.report), replay=""))
