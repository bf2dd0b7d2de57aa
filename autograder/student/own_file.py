"""Find the file of the notebook in which a student is working."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def find(name: str) -> Path | None:
    """Return the file of a notebook, or None if it is not on this machine, as in Colab.

    Parameters
    ----------
    name
        What the file should be called.  If the student has given it another name, the editor knows.
    """
    if Path(name).is_file():
        return Path(name)
    for known in (_user_names().get("__vsc_ipynb_file__"), os.environ.get("JPY_SESSION_NAME")):
        if isinstance(known, str) and known.endswith(".ipynb") and Path(known).is_file():
            return Path(known)
    return None


def typed() -> list[str]:
    """Return the cells that ran in this kernel, oldest first; none outside of a notebook."""
    found = _user_names().get("In", [])
    return [cell for cell in found if isinstance(cell, str)] if isinstance(found, list) else []


def _user_names() -> dict[str, object]:
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell.user_ns if shell is not None else {}
