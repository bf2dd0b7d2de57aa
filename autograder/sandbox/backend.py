"""What a sandbox is built with: the one seam between grading and the system underneath."""

from __future__ import annotations

import site
import sys
from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

import autograder

PACKAGE = Path(autograder.__file__).resolve().parent


class SandboxUnavailableError(Exception):
    """The machine cannot provide a sandbox; the message says what to do about it."""


class Backend(ABC):
    """A way to run `autograder.sandbox.inside`, and with it student code, on this machine.

    Attributes
    ----------
    name
        What settings and the command line call it.
    promise
        What it keeps student code from: a sentence for whoever chooses it.
    install
        What to do where it is missing or does not start.
    warning
        What every report says that was made with it; empty if there is nothing to say.
    """

    name: ClassVar[str]
    promise: ClassVar[str]
    install: ClassVar[str] = ""
    warning: ClassVar[str] = ""

    @abstractmethod
    def command(self, tmpfs: int) -> list[str]:
        """Return the command that runs the program inside.

        Parameters
        ----------
        tmpfs
            Bytes for each of the file systems in memory.

        Raises
        ------
        SandboxUnavailableError
            When something is not installed.
        """

    @abstractmethod
    def environment(self) -> dict[str, str]:
        """Return the environment in which to start that command."""

    @abstractmethod
    def readable(self) -> list[Path]:
        """Return the folders that student code can read, those of the system excepted."""


def program() -> list[str]:
    """Return the command that runs the program inside, without anything around it."""
    return [sys.executable, "-P", "-m", "autograder.sandbox.inside"]


def python_folders() -> set[Path]:
    """Return the folders without which the program cannot run: Python, its packages and ours."""
    folders = {sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix, str(PACKAGE)}
    if site.ENABLE_USER_SITE:
        folders.add(site.getusersitepackages())
    found = {Path(folder) for folder in folders} | {Path(folder).resolve() for folder in folders}
    return {folder for folder in found if folder.is_dir()}


def student_environment() -> dict[str, str]:
    """Return the environment that student code finds, whatever is around it."""
    one_thread = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    return {
        "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
        "HOME": "/tmp",
        "LANG": "C.UTF-8",
        "USER": "student",
        "PYTHONPATH": str(PACKAGE.parent),
        "PYTHONDONTWRITEBYTECODE": "1",
        # The order of a set of strings, which a student may print.
        "PYTHONHASHSEED": "0",
        "IPYTHONDIR": "/tmp/ipython",
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "MPLCONFIGDIR": "/tmp/matplotlib",
        **dict.fromkeys(one_thread, "1"),
    }
