"""The interface between grading and whatever isolates student code on this system."""

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
    """A way to run `autograder.sandbox.inside`, which runs student code, on this machine.

    Attributes
    ----------
    name
        Its name in settings and on the command line.
    promise
        A sentence about what student code can do, for whoever chooses a backend.
    install
        What to do if it is missing.
    warning
        A warning that every report made with it shows; empty if there is none.
    isolates
        Whether files that are not below `readable` are hidden from student code.
    """

    name: ClassVar[str]
    promise: ClassVar[str]
    install: ClassVar[str] = ""
    warning: ClassVar[str] = ""
    isolates: ClassVar[bool] = True

    @abstractmethod
    def command(self, tmpfs: int) -> list[str]:
        """Return the command that runs the program in isolation.

        Parameters
        ----------
        tmpfs
            Size of each in-memory file system, in bytes.

        Raises
        ------
        SandboxUnavailableError
            When something is not installed.
        """

    def advice(self) -> str:
        """Return what to do on this machine if the command is there but does not start."""
        return self.install

    @abstractmethod
    def environment(self) -> dict[str, str]:
        """Return the environment variables to start that command with."""

    @abstractmethod
    def readable(self) -> list[Path]:
        """Return the folders that student code can read, besides those of the system."""


def program() -> list[str]:
    """Return the command that runs the program without isolation."""
    return [sys.executable, "-P", "-m", "autograder.sandbox.inside"]


def python_folders() -> set[Path]:
    """Return the folders that the program needs: Python, its packages and this package."""
    folders = {sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix, str(PACKAGE)}
    if site.ENABLE_USER_SITE:
        folders.add(site.getusersitepackages())
    found = {Path(folder) for folder in folders} | {Path(folder).resolve() for folder in folders}
    return {folder for folder in found if folder.is_dir()}


def student_environment() -> dict[str, str]:
    """Return the environment variables that student code relies on."""
    one_thread = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    return {
        "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
        "HOME": "/tmp",
        "LANG": "C.UTF-8",
        "USER": "student",
        "PYTHONPATH": str(PACKAGE.parent),
        "PYTHONDONTWRITEBYTECODE": "1",
        # Fixes the order of a set of strings, which a student may print.
        "PYTHONHASHSEED": "0",
        "IPYTHONDIR": "/tmp/ipython",
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "MPLCONFIGDIR": "/tmp/matplotlib",
        **dict.fromkeys(one_thread, "1"),
    }
