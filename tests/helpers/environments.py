"""Environments that have what this one has, except this package."""

import subprocess
import sys
import sysconfig
from pathlib import Path

from helpers.courses import ENVIRONMENT

_OURS = ("autograder", "regularization_course", "__editable__")


def make_environment(folder):
    """Make an environment in a folder; return its Python."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    python = folder / "bin" / "python"
    linked = folder / "linked"
    linked.mkdir()
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if not path.name.startswith(_OURS):
            (linked / path.name).symlink_to(path)
    packages = next((folder / "lib").glob("python*")) / "site-packages"
    (packages / "linked.pth").write_text(f"{linked}\n")
    return python


def run(python, *arguments, cwd):
    """Run an environment's Python as its owner would; return all that it said."""
    environment = {name: value for name, value in ENVIRONMENT.items() if name != "PYTHONPATH"}
    environment["PATH"] = f"{python.parent}:{environment['PATH']}"
    done = subprocess.run(
        [python, *arguments],
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout
