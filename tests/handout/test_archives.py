"""What is in the archives that the site offers."""

import os
import shutil
import tomllib
import zipfile
from io import BytesIO

import pytest
from helpers.courses import ROOT

from autograder.handout.archives import archives
from autograder.tasks import assignments, tasks


@pytest.fixture(scope="module")
def made():
    """Return the archives by name."""
    return archives(ROOT)


def unpacked(content):
    with zipfile.ZipFile(BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def wheel_of(made):
    [name] = [name for name in made if name.endswith(".whl")]
    return name


def test_there_is_one_for_each_exercise_and_one_for_all(made):
    """Each with the notebook as it is handed out, and with all that it needs."""
    wheel = wheel_of(made)
    common = {wheel, "requirements.txt", "README.md"}
    notebooks = {f"{name}.ipynb" for name in assignments}
    assert set(made) == {wheel, "course.zip", *(f"{name}.zip" for name in assignments)}
    for name in assignments:
        files = unpacked(made[f"{name}.zip"])
        assert set(files) == {f"{name}/{file}" for file in (*common, f"{name}.ipynb")}
        notebook = ROOT / "exercises" / name / f"{name}.ipynb"
        assert files[f"{name}/{name}.ipynb"] == notebook.read_bytes()
    files = unpacked(made["course.zip"])
    assert set(files) == {f"regularization/{file}" for file in (*common, *notebooks)}


def test_requirements_are_ranges_and_the_readme_is_short(made):
    """As the package declares them; on Linux, the small PyTorch comes first."""
    files = unpacked(made["l2.zip"])
    first, *others = files["l2/requirements.txt"].decode().splitlines()
    assert first == f"./{wheel_of(made)}"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(project["dependencies"]) <= set(others)
    assert all(">=" in line for line in others)
    readme = files["l2/README.md"].decode()
    lines = [line for line in readme.splitlines() if line.strip()]
    assert len(lines) <= 10
    assert readme.index("/whl/cpu") < readme.index("-r requirements.txt")


def test_the_wheel_has_what_a_student_needs_and_no_solution(made):
    """Tasks, tables of mistakes and the notebooks as handed out; of exercises nothing else."""
    files = unpacked(made[wheel_of(made)])
    for task in tasks.values():
        assert f"autograder/tasks/{task.assignment.name}/__init__.py" in files
    for table in (ROOT / "autograder" / "judging" / "fingerprints").glob("*.npz"):
        assert f"autograder/judging/fingerprints/{table.name}" in files
    of_exercises = {name for name in files if name.startswith("autograder/released/")}
    assert of_exercises == {f"autograder/released/{name}/{name}.ipynb" for name in assignments}
    assert not [name for name in files if name.split("/")[0] in ("exercises", "tests", "book")]


def test_the_same_sources_give_the_same_bytes(made, tmp_path):
    """In another folder, with other times and permissions, beside what another build has left."""
    names = ("autograder", "exercises")
    for name in names:
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE", "LICENSE-CONTENT"):
        shutil.copy(ROOT / name, tmp_path)
    for path in tmp_path.rglob("*.py"):
        path.chmod(0o700)
        os.utime(path, (10**9, 10**9))
    left = tmp_path / "build" / "lib" / "autograder" / "left.py"
    left.parent.mkdir(parents=True)
    left.write_text("")
    assert archives(tmp_path) == made
