"""What is in a bundle and what is not."""

import ast
import json
import subprocess
import zipfile

from helpers import read_back
from helpers.courses import autograder

from autograder import distribution
from autograder.course import names
from autograder.course.secret import course_secret
from autograder.platforms.bundle import bundle


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


def test_an_index_stands_in_a_script_of_classroom50(place):
    """As it was given, whatever quotes are in it."""
    path = bundle(place.course, "classroom50", "l2", index="https://example.org/'\"")
    script = read_back.unzipped(path.read_bytes())["autograders/l2/autograder.py"].decode()
    texts = [node.value for node in ast.walk(ast.parse(script)) if isinstance(node, ast.Constant)]
    assert "https://example.org/'\"" in texts


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
    assert not [line for line in constraints if line.startswith(f"{distribution.NAME}==")]
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
