"""No sandbox at all, for code that you trust, such as that of the sample class."""

from __future__ import annotations

import os
from pathlib import Path

from autograder.sandbox.backend import Backend, program, student_environment


class Unprotected(Backend):
    """An ordinary process with all the permissions of whoever grades."""

    name = "none"
    promise = "Students' code can do anything that you can, and every report says so."
    warning = "Graded without a sandbox: this code could have changed its own points."
    isolates = False

    def command(self, tmpfs: int) -> list[str]:
        """Return the bare program, which uses the system's own /tmp."""
        return program()

    def environment(self) -> dict[str, str]:
        """Return our own environment with the variables of student code.

        HOME and MPLCONFIGDIR stay our own.
        """
        own = {"HOME": os.environ.get("HOME", "/")}
        own["MPLCONFIGDIR"] = os.environ.get("MPLCONFIGDIR", "")
        return {**os.environ, **student_environment(), **own}

    def readable(self) -> list[Path]:
        """Return the root folder."""
        return [Path("/")]
