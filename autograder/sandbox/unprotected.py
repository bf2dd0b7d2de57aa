"""No sandbox at all: for code that means no harm, such as that of the sample class."""

from __future__ import annotations

import os
from pathlib import Path

from autograder.sandbox.backend import Backend, program, student_environment


class Unprotected(Backend):
    """An ordinary process of whoever grades, with all that they may do."""

    name = "none"
    promise = "Students' code may do all that you may do, and every report says so."
    warning = "Graded without a sandbox: this code could have changed its own points."

    def command(self, tmpfs: int) -> list[str]:
        """Return the bare program, which keeps what is in /tmp."""
        return program()

    def environment(self) -> dict[str, str]:
        """Return our own environment, and in it what student code relies on."""
        own = {"HOME": os.environ.get("HOME", "/")}
        own["MPLCONFIGDIR"] = os.environ.get("MPLCONFIGDIR", "")
        return {**os.environ, **student_environment(), **own}

    def readable(self) -> list[Path]:
        """Return the root of all folders."""
        return [Path("/")]
