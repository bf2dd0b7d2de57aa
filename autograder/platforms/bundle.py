"""Pack what grades one assignment where a platform runs it: on Gradescope or in Classroom 50.

A bundle holds this package, the versions of what it needs, and what the course knows of the
assignment.  `bundled` says what happens where it is unpacked.
"""

from __future__ import annotations

import hmac
import importlib.metadata
import json
import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

from autograder import distribution
from autograder.course import names
from autograder.course.course import Course, CourseError
from autograder.course.scores import require_released
from autograder.course.secret import course_secret
from autograder.intake.belonging import own_cells
from autograder.platforms.bundled import COURSE, KEY, RELEASE, SETTINGS, Settings
from autograder.platforms.zipped import zipped
from autograder.sandbox.backend import PACKAGE

BUNDLES = "bundles"
"""The folder of the course for bundles."""

_EXTRA = 'extra == "grading"'
_PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"
_ENVIRONMENT = "/opt/autograder"

_SETUP = f"""\
#!/bin/sh
# `autograder bundle` wrote this. Gradescope runs it as root, once, when it builds the image.
# It expects Ubuntu 22.04 or newer.
set -eu
umask 022
export DEBIAN_FRONTEND=noninteractive
apt-get update
apt-get install -y --no-install-recommends libseccomp2 bubblewrap

# Python as it was where this bundle was made; Ubuntu 22.04 has 3.10, which is too old.
if ! {_PYTHON} -c "import ensurepip" 2>/dev/null; then
    apt-get install -y software-properties-common
    add-apt-repository -y ppa:deadsnakes/ppa
    apt-get install -y --no-install-recommends {_PYTHON} {_PYTHON}-venv
fi

# Everybody may enter this folder, because students' code runs as a user of its own.
{_PYTHON} -m venv {_ENVIRONMENT}
cd /autograder/source
{_ENVIRONMENT}/bin/pip install --no-cache-dir -r requirements.txt -c constraints.txt@INDEX@
{_ENVIRONMENT}/bin/python -m compileall -q package

# Only root may read the key of the inputs.
chmod 700 /autograder/source
chmod 600 /autograder/source/{COURSE}/{KEY}
"""

_RUN = f"""\
#!/bin/sh
# `autograder bundle` wrote this. Gradescope runs it as root, for each submission.
cd /
export HOME=/root OMP_NUM_THREADS=1 PYTHONPATH=/autograder/source/package
exec {_ENVIRONMENT}/bin/python -P -m autograder.platforms.run_gradescope /autograder
"""

_AUTOGRADER = '''\
"""Grade the checkout in this folder; `autograder bundle` wrote this."""

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
# Not from the checkout, whose files could have the names of modules.
PYTHON = [sys.executable, "-P", "-m"]

needed = ["-r", "requirements.txt", "-c", "constraints.txt"@INDEX@]
subprocess.run([*PYTHON, "pip", "install", "--quiet", *needed], cwd=HERE, check=True)
done = subprocess.run(
    [*PYTHON, "autograder.platforms.run_classroom50", str(HERE), os.getcwd()],
    cwd=HERE,
    env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(HERE / "package")},
)
sys.exit(done.returncode)
'''


def bundle(
    course: Course,
    platform: str,
    assignment: str,
    visibility: str = "visible",
    index: str = "",
    target: Path | None = None,
) -> Path:
    """Write the bundle of an assignment; return the file.

    Parameters
    ----------
    course
        The course.
    platform
        One of `MAKERS`.
    assignment
        The assignment.
    visibility
        When students see results on Gradescope, in its words.
    index
        The address of one more index in which pip looks for packages; "" if there is none.
    target
        The file to write; one in the course's `bundles` if None.

    Raises
    ------
    CourseError, NamesError
        When something must be fixed first.
    """
    known = require_released(course, [assignment])
    notebooks = {name: course.release_file(name) for name in known}
    settings = Settings(assignment, own_cells(notebooks), course.grader.limits, visibility)
    files = {
        "requirements.txt": _requirements(),
        "constraints.txt": _constraints(),
        f"{COURSE}/{SETTINGS}": settings.to_json().encode(),
        f"{COURSE}/{RELEASE}": notebooks[assignment].read_bytes(),
        **{f"package/{PACKAGE.name}/{name}": content for name, content in _package().items()},
    }
    if names.read(course.root):
        files[f"{COURSE}/{names.FILE}"] = (course.root / names.FILE).read_bytes()
    target = target or course.root / BUNDLES / f"{assignment}_{platform}.zip"
    content = MAKERS[platform](course, assignment, files, index)
    target.parent.mkdir(parents=True, exist_ok=True)
    # Before the key is in it.
    target.touch()
    target.chmod(0o600)
    target.write_bytes(content)
    return target


_Files = dict[str, bytes]


def _gradescope(course: Course, assignment: str, files: _Files, index: str) -> bytes:
    option = f" --extra-index-url {shlex.quote(index)}" if index else ""
    files["setup.sh"] = _SETUP.replace("@INDEX@", option).encode()
    files["run_autograder"] = _RUN.encode()
    files[f"{COURSE}/{KEY}"] = _key(course, assignment)
    executable = dict.fromkeys(("setup.sh", "run_autograder"), 0o755)
    return zipped(files, {**_readable(files), **executable, f"{COURSE}/{KEY}": 0o600})


def _classroom50(course: Course, assignment: str, files: _Files, index: str) -> bytes:
    # Without a key: whoever finds the pages of a classroom can read its bundles.
    option = f', "--extra-index-url", {index!r}' if index else ""
    files["autograder.py"] = _AUTOGRADER.replace("@INDEX@", option).encode()
    folder = f"autograders/{assignment.replace('_', '-')}"
    found = {f"{folder}/{name}": content for name, content in files.items()}
    return zipped(found, _readable(found))


def _readable(files: _Files) -> dict[str, int]:
    """Return permissions that let others read, because a sandbox that root starts is not root."""
    return dict.fromkeys(files, 0o644)


MAKERS: dict[str, Callable[[Course, str, _Files, str], bytes]] = {
    "gradescope": _gradescope,
    "classroom50": _classroom50,
}
"""What finishes the bundle of each platform."""


def _key(course: Course, assignment: str) -> bytes:
    """Return what seeds the inputs there, from which nobody can tell the course's secret."""
    purpose = json.dumps(["bundle", assignment])
    return hmac.digest(course_secret(course.root), purpose.encode(), "sha256")


def _package() -> dict[str, bytes]:
    """Return the files of this package by their names in it."""
    return {
        path.relative_to(PACKAGE).as_posix(): path.read_bytes()
        for path in sorted(PACKAGE.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


def _requirements() -> bytes:
    """Return what the package needs for grading, as it says itself."""
    try:
        entries = importlib.metadata.requires(distribution.NAME) or []
    except importlib.metadata.PackageNotFoundError:
        raise CourseError(
            "A bundle needs to know what this package needs: run pip install '.[grading]' first."
        ) from None
    split = [entry.partition(";") for entry in entries]
    needed = [name.strip() for name, _, marker in split if marker.strip() in ("", _EXTRA)]
    return _lines(needed)


def _constraints() -> bytes:
    """Return the versions of all that is installed here, so that grades are the same there."""
    found: dict[str, str] = {}
    for one in importlib.metadata.distributions():
        name = re.sub(r"[-_.]+", "-", one.metadata["Name"] or distribution.NAME).lower()
        # Of two with one name Python uses the first; others hide copies of what they need.
        # What follows a plus sign is a build, such as that for one kind of processor.
        found.setdefault(name, f"{name}=={one.version.partition('+')[0]}")
    found.pop(distribution.NAME, None)
    return _lines(sorted(found.values()))


def _lines(lines: list[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()
