"""What Gradescope gets, and what a submission can do to it in a container."""

import json
import os
import subprocess

import pytest
from helpers import read_back
from helpers.bundles import MOST, WRONG
from helpers.container import contained

from autograder.sandbox import landlock

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
    assert "Your code was not judged" in tests["l2_penalty: all of it"]["output"]
