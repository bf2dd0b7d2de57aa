"""What a bundle grades where a platform runs it, and what a submission can do to it there."""

import json
import os
import subprocess
import sys
import zipfile

import pytest
from helpers import read_back
from helpers.container import contained, unpack
from helpers.courses import ENVIRONMENT, answered, autograder, released_course
from nbformat.v4 import new_code_cell, new_notebook

from autograder.course import names
from autograder.course.secret import course_secret
from autograder.intake.exercise import write
from autograder.platforms import bundled, run_classroom50, run_gradescope
from autograder.platforms.bundle import bundle
from autograder.sandbox import SandboxUnavailableError, landlock

WRONG = "return weight_decay * sum(float((w**2).sum()) for w in weights)"
MOST = 6


class Place:
    """A course, its bundle for Gradescope, unpacked, and what can be graded there."""

    def __init__(self, folder):
        # Nothing here takes long, but the machine may be busy.
        slow = "c.GradeSubmission.cell_seconds = 30\n"
        self.course = released_course(folder / "course", slow)
        self.root = folder / "autograder"
        unpack(bundle(self.course, "gradescope", "l2"), self.root)

    @property
    def submission(self):
        return self.root / "submission"

    @property
    def target(self):
        return self.root / "results" / "results.json"

    @property
    def settings(self):
        return json.loads((self.root / "source" / "course" / "settings.json").read_text())

    def change_settings(self, **changes):
        """Change what the course says of the assignment."""
        changed = json.dumps({**self.settings, **changes})
        (self.root / "source" / "course" / "settings.json").write_text(changed)

    def answered(self, **answers):
        return answered(self.course, **answers)

    def hand_in(self, notebook, name="my answers (2).ipynb"):
        """Let the student hand in a notebook, or a text."""
        self.submission.joinpath(name).parent.mkdir(exist_ok=True)
        if isinstance(notebook, str):
            (self.submission / name).write_text(notebook)
        else:
            write(notebook, self.submission / name)

    def graded(self, *notebook):
        """Grade in this process; return the results and the tests."""
        for one in notebook:
            self.hand_in(one)
        run_gradescope.main(self.root)
        return read_back.gradescope_results(self.target.read_bytes())


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


needs_container = pytest.mark.skipif(
    os.getuid() != 0 or landlock.version() < landlock.NEEDED,
    reason="Only root can be root in a container, whose kernel has to have Landlock.",
)

LEFT = """
import os
print(sum(60_000 < os.stat(f"/proc/{pid}").st_uid < 62_000
          for pid in os.listdir("/proc") if pid.isdecimal()))
"""

HOSTILE = """
import glob, json, os, time
forged = json.dumps({"score": 1000, "tests": []})
root = "/autograder"
for path in (f"{root}/results/results.json", f"{root}/results/new", f"{root}/run_autograder",
             f"{root}/source/course/key", f"{root}/source/package/autograder/__init__.py",
             f"{root}/submission/other", "results.json"):
    for mode in ("r", "a", "w"):
        try:
            with open(path, mode) as file:
                file.read() if mode == "r" else file.write(forged)
            if path[0] == "/":
                print("can", mode, path)
        except OSError:
            pass
for action in (lambda: os.unlink(f"{root}/results/results.json"),
               lambda: os.chmod(f"{root}/results", 0o777),
               lambda: os.rename(f"{root}/results", f"{root}/old"),
               lambda: os.symlink("/tmp", f"{root}/results/link"),
               lambda: os.listdir(f"{root}/source/course"),
               lambda: os.setuid(0)):
    try:
        action()
        print("can do it")
    except OSError:
        pass
print(os.environ.get("TOKEN"), os.getuid() > 60_000, glob.glob(f"{root}/**", recursive=True))
if not os.path.exists("once"):
    open("once", "w")
    for _ in range(3):
        if os.fork() == 0:
            while True:
                try:
                    open(f"{root}/results/results.json", "w").write(forged)
                except OSError:
                    time.sleep(0.01)
return 1000.0
"""


@needs_container
@pytest.mark.sandbox
def test_in_a_container_a_solved_notebook_earns_everything(place):
    """By the bundle's own script, in a sandbox without namespaces."""
    place.hand_in(place.answered())
    done = subprocess.run(
        contained(place.root, "/autograder/run_autograder"), capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    results, tests = read_back.gradescope_results(place.target.read_bytes())
    assert results["score"] == MOST
    assert results["extra_data"] == {"sandbox": "landlock"}
    assert "weaker sandbox" in results["output"]
    assert {test["status"] for test in tests.values()} == {"passed"}


@needs_container
@pytest.mark.sandbox
def test_in_a_container_a_submission_reaches_nothing(place):
    """Neither results, then or later, nor the key nor the environment; and nothing of it stays."""
    place.hand_in(place.answered(l2_penalty=HOSTILE.strip().replace("\n", "\n    ")))
    for path in (place.root, *place.root.rglob("*")):
        if "source" not in path.parts:
            path.chmod(0o777)
    both = f"TOKEN=secret /autograder/run_autograder && /opt/autograder/bin/python -c '{LEFT}'"
    done = subprocess.run(contained(place.root, "sh", "-c", both), capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("0", "")
    results, tests = read_back.gradescope_results(place.target.read_bytes())
    assert results["score"] == MOST / 2
    assert tests["l2_penalty: one weight"]["score"] == 0
    said = tests["l2_penalty: one weight"]["output"].partition("Your code printed:\n")[2]
    assert {*said.splitlines()} == {"None True ['/autograder/']"}
    assert {path.name for path in place.root.iterdir()} == {
        "results", "run_autograder", "source", "submission",
    }  # fmt: skip
    assert [path.name for path in (place.root / "results").iterdir()] == ["results.json"]


@needs_container
@pytest.mark.sandbox
def test_in_a_container_without_any_sandbox_nothing_is_graded(place, tmp_path):
    """There are no results, so that the platform shows a failure; the log says why."""
    place.hand_in(place.answered())
    place.target.write_text("of an earlier run")
    names = ["unshare", "setns", "mount", "landlock_create_ruleset"]
    profile = {"names": names, "errnoRet": 1}
    (place.root / "profile.json").write_text(
        json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [profile]})
    )
    command = ["--profile", "/autograder/profile.json", "/autograder/run_autograder"]
    done = subprocess.run(contained(place.root, *command), capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("No sandbox works here, so nothing was graded. The sandbox")
    assert "no Landlock" in done.stderr
    assert "Traceback" not in done.stderr
    assert not place.target.exists()


@pytest.mark.sandbox
def test_points_and_words_are_those_of_the_report(place):
    """A known mistake is a tag, and what was not answered says so."""
    results, tests = place.graded(
        place.answered(l2_penalty=WRONG, l2_penalty_backward="raise NotImplementedError()")
    )
    assert results["score"] == 0
    wrong = tests["l2_penalty: several weights"]
    assert wrong["max_score"] == 1.5
    assert wrong["status"] == "failed"
    assert wrong["tags"]
    assert wrong["tags"][0] in wrong["output"]
    assert all("not written yet" in t["output"] for n, t in tests.items() if "backward" in n)
    assert all(not test["tags"] for name, test in tests.items() if "backward" in name)


@pytest.mark.sandbox
def test_what_is_deducted_is_a_test_of_its_own(place):
    """So the points of all tests are the score."""
    changes = "for weight in weights: weight *= weight_decay\n    return list(weights)"
    results, tests = place.graded(place.answered(l2_penalty_backward=changes))
    [deducted] = [test for test in tests.values() if test["score"] < 0]
    assert (deducted["score"], deducted["max_score"]) == (-0.75, 0)
    assert "in place" in deducted["output"]
    assert results["score"] == MOST - 0.75


@pytest.mark.sandbox
def test_what_a_student_prints_is_text(place):
    """Without control characters; nothing else of it becomes anything but text."""
    printing = f"print('<script>alert(1)</script> \\x1b[31mred\\x07 \\u202e')\n    {WRONG}"
    results, tests = place.graded(place.answered(l2_penalty=printing))
    assert {results[f"{part}output_format"] for part in ("", "test_")} == {"text"}
    said = [test["output"] for test in tests.values() if "Your code printed" in test["output"]]
    assert len(said) == 1
    assert "<script>alert(1)</script> red ⟨U+202E⟩" in said[0]


@pytest.mark.sandbox
def test_an_endless_loop_costs_only_its_task(place):
    """And is said to have been stopped."""
    place.change_settings(limits={**place.settings["limits"], "cell_seconds": 5})
    results, tests = place.graded(place.answered(l2_penalty="while True: pass"))
    assert results["score"] == MOST / 2
    assert "Your code was stopped" in tests["l2_penalty: all of it"]["output"]


def an_archive(place):
    place.hand_in(place.answered(), "hers.ipynb")
    with zipfile.ZipFile(place.submission / "all.zip", "w") as archive:
        archive.write(place.submission / "hers.ipynb", "inside/hers.ipynb")
    (place.submission / "hers.ipynb").unlink()


def twice_the_same(place):
    place.hand_in(place.answered(), "one.ipynb")
    place.hand_in(place.answered(), "folder/two.ipynb")
    (place.submission / ".ipynb_checkpoints").mkdir()
    place.hand_in(place.answered(l2_penalty=WRONG), ".ipynb_checkpoints/one.ipynb")


def beside_another(place):
    place.hand_in(place.answered(), "l2.ipynb")
    place.hand_in(another(), "dropout.ipynb")
    place.hand_in("{", "broken.ipynb")


def another():
    return new_notebook(cells=[new_code_cell("def dropout_forward(x):\n    return x")])


@pytest.mark.sandbox
@pytest.mark.parametrize("hand_in", [an_archive, twice_the_same, beside_another])
def test_the_notebook_is_found_by_its_cells(place, hand_in):
    """In an archive, beside other files, and under any name."""
    hand_in(place)
    assert place.graded()[0]["score"] == MOST


def several(place):
    place.hand_in(place.answered(), "one.ipynb")
    place.hand_in(place.answered(l2_penalty=WRONG), "two\u202e.ipynb")


def a_link(place):
    place.hand_in(place.answered(), "l2.ipynb")
    (place.submission / "l2.ipynb").rename(place.root / "elsewhere.ipynb")
    (place.submission / "l2.ipynb").symlink_to(place.root / "elsewhere.ipynb")


NOT_FOUND = "No notebook of l2 was found."


@pytest.mark.sandbox
@pytest.mark.parametrize(
    ("hand_in", "said"),
    [
        (lambda place: None, f"{NOT_FOUND} Hand in the file that ends in .ipynb."),
        (lambda place: place.hand_in("{", "l2.ipynb"), f"{NOT_FOUND} l2.ipynb: The file is no"),
        (lambda place: place.hand_in(another(), "x.ipynb"), f"{NOT_FOUND} x.ipynb is of dropout."),
        (several, "There are several notebooks of l2: one.ipynb, two⟨U+202E⟩.ipynb."),
        (a_link, NOT_FOUND),
    ],
    ids=["nothing", "unreadable", "another", "several", "a link"],
)
def test_what_cannot_be_graded_earns_nothing_and_says_why(place, hand_in, said):
    """For each task, so that the highest number of points is right."""
    place.change_settings(cells={**place.settings["cells"], "dropout": ["dropout_forward"]})
    hand_in(place)
    results, tests = place.graded()
    assert results["score"] == 0
    assert sum(test["max_score"] for test in tests.values()) == MOST
    assert results["output"].startswith(said)


@pytest.mark.sandbox
def test_an_untouched_notebook_earns_nothing(place):
    """Its answers are there, but empty."""
    stub = "raise NotImplementedError()"
    results, tests = place.graded(place.answered(l2_penalty=stub, l2_penalty_backward=stub))
    assert results["score"] == 0
    assert {test["status"] for test in tests.values()} == {"failed"}


def members(path):
    with zipfile.ZipFile(path) as archive:
        return {info.filename: info for info in archive.infolist()}


def test_a_bundle_holds_no_secret_of_the_course(place):
    """But a key that follows from it, in a file for its owner alone; the file is so as well."""
    for platform in ("gradescope", "classroom50"):
        path = bundle(place.course, platform, "l2")
        assert path.stat().st_mode & 0o777 == 0o600
        content = read_back.unzipped(path.read_bytes())
        secret = course_secret(place.course.root)
        assert not [name for name in content if secret in content[name]]
        keys = [name for name in content if name.endswith("/key")]
        assert keys == (["course/key"] if platform == "gradescope" else [])
        assert not [name for name in content if "solution" in name or name.endswith(".pyc")]
    assert members(bundle(place.course, "gradescope", "l2"))["course/key"].external_attr >> 16 == (
        0o600
    )


def test_the_same_course_gives_the_same_bundle(place, tmp_path):
    """The key too, so that points do not change when a bundle is made again."""
    one = bundle(place.course, "gradescope", "l2", target=tmp_path / "one.zip")
    other = bundle(place.course, "gradescope", "l2", target=tmp_path / "other.zip")
    assert one.read_bytes() == other.read_bytes()


def test_scripts_can_run(place, tmp_path, monkeypatch):
    """They are in the root of the archive and executable, and a shell can read them."""
    status, said = autograder(
        place.course, monkeypatch, "bundle", "gradescope", "l2", "--visibility", "after_published",
        "--index", "https://example.org/a b'c", "--output", str(tmp_path / "x.zip"),
    )  # fmt: skip
    assert status == 0, said
    found = members(tmp_path / "x.zip")
    content = read_back.unzipped((tmp_path / "x.zip").read_bytes())
    for name in ("setup.sh", "run_autograder"):
        assert found[name].external_attr >> 16 == 0o755
        subprocess.run(["sh", "-n"], input=content[name], check=True)
    words = subprocess.run(
        ["sh", "-c", 'pip() { printf "%s\\n" "$@"; }; ' + pip_line(content["setup.sh"].decode())],
        capture_output=True,
        text=True,
        check=True,
    )
    assert words.stdout.splitlines()[-2:] == ["--extra-index-url", "https://example.org/a b'c"]
    assert json.loads(content["course/settings.json"])["visibility"] == "after_published"
    assert "keep it from students" in said


def pip_line(script):
    [line] = [line for line in script.splitlines() if "/bin/pip install" in line]
    return line.replace("/opt/autograder/bin/pip", "pip")


def test_versions_are_those_that_are_installed(place):
    """Without the build of PyTorch, which another index calls otherwise."""
    content = read_back.unzipped(bundle(place.course, "gradescope", "l2").read_bytes())
    constraints = content["constraints.txt"].decode().splitlines()
    needed = content["requirements.txt"].decode().splitlines()
    assert {"torch", "numpy", "nbgrader", "psutil"} <= {line.split(">=")[0] for line in needed}
    assert not {"pytest", "jupyter-book"} & {line.split(">=")[0] for line in needed}
    assert all("==" in line and "+" not in line for line in constraints)
    assert not [line for line in constraints if line.startswith("autograder==")]
    assert "package/autograder/judging/fingerprints/l2_penalty.npz" in content


def test_names_for_mistakes_go_along(place, monkeypatch):
    """If the file of them can be read."""
    given = names.Name("l2_penalty", "l2-my-own", "You think otherwise.", (1.0, 2.0))
    names.add(place.course.root, given)
    content = read_back.unzipped(bundle(place.course, "gradescope", "l2").read_bytes())
    assert b"l2-my-own" in content["course/names.json"]
    (place.course.root / names.FILE).write_text("{")
    status, said = autograder(place.course, monkeypatch, "bundle", "gradescope", "l2")
    assert status == 2
    assert "names.json is not a list of names" in said


def test_what_is_not_released_cannot_be_bundled(place, monkeypatch):
    """One line says what there is."""
    status, said = autograder(place.course, monkeypatch, "bundle", "gradescope", "dropout")
    assert status == 2
    assert "No assignment 'dropout'; released are l2" in said


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
    assert all(NOT_FOUND in test["output"] for test in result["tests"])


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
