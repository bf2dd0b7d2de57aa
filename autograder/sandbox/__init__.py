"""Where student code runs when a submission is graded.

A backend starts a process that is isolated from the machine, `inside` is the program in it, `pipe`
is the only channel to it, and `session` is the grader's interface.
"""

from autograder.sandbox.backend import SandboxUnavailableError
from autograder.sandbox.backends import BACKENDS, DEFAULT
from autograder.sandbox.session import EndedError, Limits, Sandbox, Session

__all__ = [
    "BACKENDS",
    "DEFAULT",
    "EndedError",
    "Limits",
    "Sandbox",
    "SandboxUnavailableError",
    "Session",
]
