"""Where student code runs when a submission is graded.

`bubblewrap` starts a process behind namespaces, `inside` is the program in it, `pipe` is all that
crosses, and `session` is what the grader sees of it.
"""

from autograder.sandbox.bubblewrap import SandboxUnavailableError, readable
from autograder.sandbox.session import EndedError, Isolation, Limits, Sandbox, Session

__all__ = [
    "EndedError",
    "Isolation",
    "Limits",
    "Sandbox",
    "SandboxUnavailableError",
    "Session",
    "readable",
]
