"""Where student code runs when a submission is graded.

A backend starts a process that is kept apart from the machine, `inside` is the program in it,
`pipe` is all that crosses, and `session` is what the grader sees of it.
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
