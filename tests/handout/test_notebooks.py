"""The notebooks for services that start without the package."""

import json

import nbformat
from helpers.courses import ROOT
from helpers.environments import make_environment, run

from autograder import distribution
from autograder.handout.notebooks import first_cell, main, make, with_first_cell
from autograder.handout.wheel import build_wheel
from autograder.intake.submission import rebuild

RUN = """\
import sys
from IPython.core.interactiveshell import InteractiveShell
result = InteractiveShell.instance().run_cell(open("cell.py").read())
result.raise_error()
import autograder
from importlib.metadata import version
print(version(sys.argv[1]), autograder.__file__)
"""


def test_the_first_cell_installs_what_is_missing_and_only_that(tmp_path):
    """From a folder of wheels in the place of the site; the second time it does nothing."""
    index = tmp_path / "an index"
    index.mkdir()
    name, content = build_wheel(ROOT)
    (index / name).write_bytes(content)
    python = make_environment(tmp_path / "environment")
    packages = next((tmp_path / "environment" / "lib").glob("python*")) / "site-packages"
    before = {path.name for path in packages.iterdir()}
    options = ["--no-index", "--find-links", str(index), distribution.NAME]
    (tmp_path / "cell.py").write_text(first_cell(options).source)
    (tmp_path / "run.py").write_text(RUN)
    said = run(python, "run.py", distribution.NAME, cwd=tmp_path)
    assert str(packages) in said.splitlines()[-1]
    new = {path.name for path in packages.iterdir()} - before
    assert new == {"autograder", name.removesuffix("-py3-none-any.whl") + ".dist-info"}
    (index / name).unlink()
    assert run(python, "run.py", distribution.NAME, cwd=tmp_path).count("\n") == 1


def test_a_notebook_with_that_cell_can_be_handed_in():
    """Nothing has to be repaired, and the cell does nothing where the package is."""
    path = ROOT / "exercises" / "l2" / "l2.ipynb"
    content = with_first_cell(path.read_bytes(), first_cell(["https://example.org/x.whl"]))
    found = rebuild(content, nbformat.read(path, as_version=4))
    assert found.notes == ()
    [added] = [cell for cell in found.notebook.cells if cell.id == "student-1"]
    assert "%pip install --quiet https://example.org/x.whl" in added.source


def test_the_branch_has_all_that_a_service_looks_for(tmp_path):
    """Notebooks, and requirements for those that install before they start."""
    make(ROOT, tmp_path, "https://example.org/course/", "https://example.org/index")
    assert {path.suffix for path in tmp_path.iterdir()} == {".ipynb", ".txt", ".whl"}
    [wheel] = tmp_path.glob("*.whl")
    first, second, *_ = (tmp_path / "requirements.txt").read_text().splitlines()
    assert (first, second) == ("--extra-index-url https://example.org/index", f"./{wheel.name}")
    cells = json.loads((tmp_path / "l2.ipynb").read_text())["cells"]
    source = "".join(cells[0]["source"])
    assert f"https://example.org/course/downloads/{wheel.name}" in source


def test_without_the_sites_address_nothing_is_made(tmp_path, capsys):
    """The one setting is named."""
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'course'\n")
    assert main([str(tmp_path / "made"), "--root", str(tmp_path)]) == 2
    assert "set Documentation" in capsys.readouterr().err
    assert not (tmp_path / "made").exists()
