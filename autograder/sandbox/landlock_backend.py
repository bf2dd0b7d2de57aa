"""A sandbox where namespaces are forbidden: Landlock, a filter of system calls, and limits."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from autograder.sandbox import landlock, seccomp
from autograder.sandbox.backend import (
    PACKAGE,
    Backend,
    SandboxUnavailableError,
    program,
    python_folders,
    student_environment,
)
from autograder.sandbox.bubblewrap import SETTINGS, SYSTEM


class Landlock(Backend):
    """A process in the system's own namespaces that can use nothing in them but its own folder.

    Started by root, each session has a user of its own.  Otherwise it has the user who grades, and
    the limit on processes counts all of theirs.
    """

    name = "landlock"
    promise = (
        "Students' code cannot read, change or reach files, processes or networks that are not its "
        "own, but it sees that they are there: names, sizes and times of files, and who runs. "
        "It cannot delete, rename or chmod its own files either, or open a socket."
    )
    install = (
        "Grade with bubblewrap, or in a virtual machine with Linux 6.12 or newer and libseccomp "
        "(Debian, Ubuntu: `apt install libseccomp2`)."
    )
    warning = (
        "Graded with landlock, a weaker sandbox: this code could see names, sizes and times of "
        "the machine's files, and who runs on it."
    )

    def command(self, tmpfs: int) -> list[str]:
        """Return the program's command; it gives up rights by itself, before student code runs."""
        version = landlock.version()
        if version < landlock.NEEDED:
            there = f"version {version} of Landlock" if version else "no Landlock"
            raise SandboxUnavailableError(
                f"This kernel has {there}, and version {landlock.NEEDED} is needed. {self.install}"
            )
        try:
            filter_program = seccomp.compiled(namespaces=False)
        except OSError as error:
            raise SandboxUnavailableError(f"{error}. {self.install}") from None
        readable = [*map(str, self.readable()), *SYSTEM, *SETTINGS]
        command = [
            *program(),
            "--landlock",
            str(_base() / "sessions"),
            "--seccomp",
            filter_program.hex(),
        ]
        return [*command, "--readable", *readable]

    def environment(self) -> dict[str, str]:
        """Return the variables of student code; a session sets those that name its own folder."""
        base = str(_base())
        own = {"HOME": os.environ.get("HOME", "/"), "IPYTHONDIR": f"{base}/ipython"}
        own["MPLCONFIGDIR"] = os.environ.get("MPLCONFIGDIR", "")
        # scikit-learn would warn that it cannot make a semaphore.
        own["JOBLIB_MULTIPROCESSING"] = "0"
        return {**student_environment(), **own}

    def readable(self) -> list[Path]:
        """Return the folders of Python and its packages."""
        return sorted(folder for folder in python_folders() if folder != PACKAGE)


def _base() -> Path:
    """Return the folder for the folders of sessions, and make it if there is none.

    Raises
    ------
    SandboxUnavailableError
        When somebody else made it: they could change what is in it.
    """
    base = Path(tempfile.gettempdir()).resolve() / f"autograder-{os.getuid()}"
    base.mkdir(mode=0o711, exist_ok=True)
    there = base.lstat()
    if not stat.S_ISDIR(there.st_mode) or there.st_uid != os.getuid() or there.st_mode & 0o022:
        raise SandboxUnavailableError(
            f"{base} belongs to somebody else. Remove it, or set TMPDIR to another folder."
        )
    (base / "sessions").mkdir(mode=0o711, exist_ok=True)
    return base
