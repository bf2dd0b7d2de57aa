"""Make what the site offers for download: an archive of the course and one of each exercise."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path

from autograder.handout.wheel import build_wheel
from autograder.platforms.zipped import zipped

COURSE = "course"
"""The name of the archive with all exercises."""

# Notebooks have to be opened, and `ready` reads them.
_JUPYTER = ("ipykernel>=6", "jupyterlab>=4", "nbformat>=5.1")

_README = """\
# {title}

With Python 3.11 to 3.14, make an environment in this folder and install what the course uses:

    python3 -m venv .venv
    . .venv/bin/activate      # on Windows: .venv\\Scripts\\activate
    pip install torch --index-url https://download.pytorch.org/whl/cpu      # on Linux only
    pip install -r requirements.txt
    jupyter lab {first}

Without the third line, Linux gets PyTorch for graphics cards: gigabytes that you do not need here.
Write your answers in the notebook. Its last cell tries the file and makes the one to hand in.
"""


def archives(root: Path) -> dict[str, bytes]:
    """Return the files by name: the wheel, `course.zip`, and `NAME.zip` for each exercise.

    Parameters
    ----------
    root
        The folder with `pyproject.toml` and `exercises`.

    Raises
    ------
    BuildError
        When the wheel cannot be built.
    """
    wheel, content = build_wheel(root)
    common = {wheel: content, "requirements.txt": requirements(root, wheel)}
    notebooks = {
        path.name: path.read_bytes()
        for path in sorted(root.glob("exercises/*/*.ipynb"))
        if path.stem == path.parent.name
    }
    found = {wheel: content, f"{COURSE}.zip": _archive(COURSE, notebooks, common)}
    for name, notebook in notebooks.items():
        stem = Path(name).stem
        found[f"{stem}.zip"] = _archive(stem, {name: notebook}, common)
    return found


def requirements(root: Path, wheel: str) -> bytes:
    """Return the requirements of an archive: the wheel beside it, and ranges of all else."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [f"./{wheel}", *project["dependencies"], *_JUPYTER]
    return "".join(f"{line}\n" for line in lines).encode()


def _archive(name: str, notebooks: Mapping[str, bytes], common: Mapping[str, bytes]) -> bytes:
    """Return an archive whose files are in a folder of its name."""
    title = "Regularizing neural networks"
    title += f": {name.replace('_', ' ')}" if name != COURSE else ""
    first = next(iter(notebooks)) if len(notebooks) == 1 else "."
    readme = _README.format(title=title, first=first).encode()
    files = {"README.md": readme, **notebooks, **common}
    folder = "regularization" if name == COURSE else name
    return zipped(
        {f"{folder}/{file}": content for file, content in files.items()},
        {f"{folder}/{file}": 0o644 for file in files},
    )
