"""Build the wheel of the package without a network, and always to the same bytes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

_NEEDED = ("pyproject.toml", "setup.py", "README.md", "LICENSE", "LICENSE-CONTENT")
_BUILD = "from setuptools import build_meta; build_meta.build_wheel('made')"
# January 1, 1980, at which the time of a zip file begins.
_TIME = "315532800"


class BuildError(Exception):
    """The wheel cannot be built; the message says what the tool that builds it said last."""


def build_wheel(root: Path) -> tuple[str, bytes]:
    """Return the name of the wheel and its content.

    It is built from a copy, so that neither what other builds left behind nor this machine's
    permissions of files get into it.

    Parameters
    ----------
    root
        The folder with `pyproject.toml`.

    Raises
    ------
    BuildError
        When setuptools cannot build it.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file in (*(root / one for one in _NEEDED), *_files(root)):
            target = folder / file.relative_to(root)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
            target.chmod(0o644)
        done = subprocess.run(
            [sys.executable, "-c", _BUILD],
            cwd=folder,
            env={**os.environ, "SOURCE_DATE_EPOCH": _TIME, "PYTHONPATH": ""},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            said = done.stderr.strip().splitlines() or ["nothing"]
            raise BuildError(f"The wheel of the package could not be built: {said[-1]}")
        [wheel] = (folder / "made").glob("*.whl")
        return wheel.name, wheel.read_bytes()


def _files(root: Path) -> list[Path]:
    package = [
        path
        for path in (root / "autograder").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    ]
    return [*package, *root.glob("exercises/*/*.ipynb")]
