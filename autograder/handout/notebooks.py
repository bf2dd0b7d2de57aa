"""Make the notebooks for services that start without the package: Colab, Codespaces, Binder.

`python -m autograder.handout.notebooks FOLDER` fills a folder, which a workflow publishes as the
branch `notebooks`.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from autograder.handout.archives import requirements
from autograder.handout.wheel import BuildError, build_wheel

DOWNLOADS = "downloads"
"""The folder of the site in which the archives and the wheel are."""

_INSTALL = """\
# Installs the course's package and what it needs, unless it is here already.
try:
    from autograder import check, ready
except ImportError:
    %pip install --quiet {options}"""


def first_cell(options: Sequence[str]) -> NotebookNode:
    """Return a cell that installs what is missing, and only that.

    pip leaves alone what is installed in a version that will do, such as Colab's own PyTorch.

    Parameters
    ----------
    options
        What to tell pip: the address of the wheel, or options and the name of the package.
    """
    source = _INSTALL.format(options=shlex.join(options))
    cell: NotebookNode = nbformat.v4.new_code_cell(source, id="install")
    return cell


def with_first_cell(content: bytes, cell: NotebookNode) -> bytes:
    """Return a notebook that begins with one more cell."""
    notebook = nbformat.reads(content.decode(), as_version=4)
    notebook.cells.insert(0, cell)
    text: str = nbformat.writes(notebook)
    return f"{text}\n".encode()


def make(root: Path, folder: Path, address: str, index: str = "") -> None:
    """Fill a folder with the notebooks, the wheel and its requirements.

    Parameters
    ----------
    root
        The folder with `pyproject.toml` and `exercises`.
    folder
        Where to write.
    address
        The site's address.
    index
        The address of one more index for pip; "" if there is none.
    """
    wheel, content = build_wheel(root)
    also = ["--extra-index-url", index] if index else []
    cell = first_cell([f"{address.rstrip('/')}/{DOWNLOADS}/{wheel}", *also])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / wheel).write_bytes(content)
    head = f"--extra-index-url {index}\n".encode() if index else b""
    (folder / "requirements.txt").write_bytes(head + requirements(root, wheel))
    for path in sorted(root.glob("exercises/*/*.ipynb")):
        if path.stem == path.parent.name:
            (folder / path.name).write_bytes(with_first_cell(path.read_bytes(), cell))


def main(arguments: Sequence[str] | None = None) -> int:
    """Fill a folder; the site's address is the one in `pyproject.toml`."""
    parser = argparse.ArgumentParser(prog="python -m autograder.handout.notebooks")
    parser.add_argument("folder", type=Path, help="where to write")
    parser.add_argument("--root", type=Path, default=Path(), help="the checkout")
    parser.add_argument("--index", default="", help="one more index for pip")
    options = parser.parse_args(arguments)
    project = tomllib.loads((options.root / "pyproject.toml").read_text(encoding="utf-8"))
    address = project["project"].get("urls", {}).get("Documentation", "")
    if not address:
        print(
            "The notebooks would not find the package: set Documentation, the address of the "
            "site, in pyproject.toml.",
            file=sys.stderr,
        )
        return 2
    try:
        make(options.root, options.folder, address, options.index)
    except BuildError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
