"""Say which backends work on this machine, and what would make the others work."""

from __future__ import annotations

from dataclasses import dataclass

from autograder.sandbox.backend import SandboxUnavailableError
from autograder.sandbox.backends import BACKENDS
from autograder.sandbox.session import Sandbox


@dataclass(frozen=True)
class Possibility:
    """A backend on this machine.

    Attributes
    ----------
    backend
        Its name.
    problem
        Why it does not work and what to do, in sentences; empty if it works.
    """

    backend: str
    problem: str

    @property
    def works(self) -> bool:
        """Whether submissions can be graded with it now."""
        return not self.problem


def possibilities() -> list[Possibility]:
    """Try every backend; each takes some seconds, because a session is really started."""
    return [Possibility(name, _problem(name)) for name in BACKENDS]


def _problem(backend: str) -> str:
    try:
        with Sandbox(backend=backend) as sandbox:
            sandbox.check()
    except SandboxUnavailableError as error:
        return str(error)
    return ""
