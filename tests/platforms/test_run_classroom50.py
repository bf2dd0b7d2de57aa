"""What Classroom 50 gets, whatever is in a checkout."""

import json
import subprocess
import sys
import zipfile

import pytest
from helpers import read_back
from helpers.bundles import WRONG
from helpers.courses import ENVIRONMENT

from autograder.intake.exercise import write
from autograder.platforms import bundled, run_classroom50
from autograder.platforms.bundle import bundle
from autograder.sandbox import SandboxUnavailableError


@pytest.fixture
def checkout(place, tmp_path):
    """Return a folder with a repository's files, and what grades it."""
    with zipfile.ZipFile(bundle(place.course, "classroom50", "l2")) as archive:
        archive.extractall(tmp_path / "classroom")
    folder = tmp_path / "checkout"
    folder.mkdir()
    return folder, tmp_path / "classroom" / "autograders" / "l2" / "autograder.py"


PLATFORM = {
    "CLASSROOM": "cs", "ASSIGNMENT": "first-homework", "ASSIGNMENT_TYPE": "individual",
    "OWNER": "ada", "SUBMISSION_TAG": "submit/2026-06-01T14-32-05Z-a1b2c3d",
}  # fmt: skip


PIP = """
import sys
print(sys.argv[1:])
"""


@pytest.mark.sandbox
def test_classroom50_gets_a_result_of_the_schema(place, checkout, tmp_path):
    """In quarters; nothing in the checkout is imported, and no link in it is followed."""
    folder, script = checkout
    write(place.answered(l2_penalty=WRONG), folder / "work.ipynb")
    for name in ("pip", "autograder", "torch", "json", "sitecustomize"):
        (folder / f"{name}.py").write_text("raise SystemExit('imported from the checkout')")
    (folder / "other").write_text("mine")
    (folder / "result.json").symlink_to("other")
    # It would look at everything that is installed.
    (tmp_path / "instead").mkdir()
    (tmp_path / "instead" / "pip.py").write_text(PIP)
    environment = {**ENVIRONMENT, **PLATFORM, "PYTHONPATH": str(tmp_path / "instead")}
    done = subprocess.run(
        [sys.executable, script], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    installed, said = done.stdout.splitlines()
    assert "'-r', 'requirements.txt', '-c', 'constraints.txt'" in installed
    assert said == "3 of 6 points"
    content = (folder / "result.json").read_text()
    assert (folder / "other").read_text() == "mine"
    assert read_back.classroom50(f"[{content}]") == {"ada": 3}
    result = json.loads(content)
    assert (result["score"], result["max-score"]) == (12, 24)
    assert (result["classroom"], result["assignment"]) == ("cs", "first-homework")
    assert [test["passed"] for test in result["tests"]] == [False, True]
    assert "l2_penalty: 0 of 3 points" in result["tests"][0]["output"]


@pytest.mark.sandbox
def test_classroom50_gets_no_empty_pass_for_an_empty_checkout(checkout):
    """Nothing of all points, and the reason with each task."""
    folder, script = checkout
    run_classroom50.main(script.parent, folder)
    result = json.loads((folder / "result.json").read_text())
    assert (result["score"], result["max-score"]) == (0, 24)
    assert all("No notebook of l2 was found." in test["output"] for test in result["tests"])


def test_without_a_sandbox_classroom50_gets_a_failure(checkout, monkeypatch):
    """No result is left, not even one that a student has handed in."""
    folder, script = checkout

    def nothing_works(limits, backend):
        raise SandboxUnavailableError("It did not start.")

    monkeypatch.setattr(bundled, "warm_sandbox", nothing_works)
    (folder / "result.json").write_text("{}")
    with pytest.raises(SystemExit, match="nothing was graded"):
        run_classroom50.main(script.parent, folder)
    assert not (folder / "result.json").exists()
