"""The name under which the package is installed, which is not the one by which it is imported.

A stranger's package is called `autograder` where packages come from.
"""

from __future__ import annotations

from importlib import metadata

NAME = "regularization-course"


def version() -> str:
    """Return the version of the package; empty if it is not installed."""
    try:
        return metadata.version(NAME)
    except metadata.PackageNotFoundError:
        return ""


def address(label: str) -> str:
    """Return one of the project's addresses in `pyproject.toml`, with a slash at its end.

    Empty if there is none, or if the package is not installed.

    Parameters
    ----------
    label
        What it is called there, such as Documentation.
    """
    try:
        entries = metadata.metadata(NAME).get_all("Project-URL", [])
    except metadata.PackageNotFoundError:
        return ""
    found = dict(entry.split(", ", 1) for entry in entries).get(label, "").rstrip("/")
    return f"{found}/" if found else ""
