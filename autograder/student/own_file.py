"""Find the file of the notebook in which a student is working."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any


def find(name: str) -> Path | None:
    """Return the file of the open notebook, or None if it is not on this machine, as in Colab.

    Parameters
    ----------
    name
        What the file should be called.  Where the editor says which file is open, that one counts:
        it may be a copy under another name, beside the one that was handed out.
    """
    shell = _shell()
    if shell is not None:
        for known in (shell.user_ns.get("__vsc_ipynb_file__"), os.environ.get("JPY_SESSION_NAME")):
            if isinstance(known, str) and known.endswith(".ipynb") and Path(known).is_file():
                return Path(known)
    return Path(name) if Path(name).is_file() else None


def typed() -> list[str]:
    """Return the cells that ran in this kernel, oldest first; none outside of a notebook."""
    shell = _shell()
    return list(shell.history_manager.input_hist_raw) if shell is not None else []


def _shell() -> Any:
    ipython = sys.modules.get("IPython")
    return ipython.get_ipython() if ipython is not None else None
