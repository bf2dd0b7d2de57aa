"""A submission to grade, with all that its outcome depends on besides code and libraries."""

from __future__ import annotations

import atexit
from dataclasses import dataclass
from functools import cache
from importlib import import_module

from autograder.grading.notebook import Outcome, grade_notebook
from autograder.intake import submission
from autograder.intake.apart import TooMuchError, apart
from autograder.intake.notebook_file import UnreadableError
from autograder.sandbox import Limits, Sandbox

READ_SECONDS = 10
"""Processor time for finding the answers in a file; honest ones take a thousandth of that."""


@dataclass(frozen=True)
class Job:
    """A submission with all that grading it needs; it can be sent to another machine.

    Attributes
    ----------
    assignment
        The name of the assignment.
    content
        The bytes that were handed in.
    release
        The released notebook, as text.
    key
        A hash of the course's secret and the submission; it seeds the test inputs.
    limits, backend
        The settings of the sandbox.
    """

    assignment: str
    content: bytes
    release: str
    key: bytes
    limits: Limits
    backend: str

    def rebuilt(self) -> submission.Submission:
        """Return our notebook with the student's answers in it.

        Raises
        ------
        UnreadableError
            When no answers can be found.
        """
        try:
            return apart(READ_SECONDS, submission.rebuild_text, self.content, self.release)
        except TooMuchError:
            raise UnreadableError(
                "The file takes too long to read. Delete the cells that no answer needs and hand "
                "it in again."
            ) from None

    def run(self) -> Outcome:
        """Grade the submission in this process's sandbox.

        Raises
        ------
        UnreadableError
            When no answers can be found.
        SandboxUnavailableError
            When this machine cannot provide a sandbox.
        """
        return grade_notebook(
            self.rebuilt().notebook, self.key, warm_sandbox(self.limits, self.backend)
        )


@cache
def warm_sandbox(limits: Limits, backend: str) -> Sandbox:
    """Return the sandbox of this process for some settings; it may still be starting.

    Raises
    ------
    SandboxUnavailableError
        When something that the sandbox needs is not installed.
    """
    sandbox = Sandbox(limits, backend)
    atexit.register(sandbox.close)
    sandbox.start()
    # Judging needs torch; import it while the sandbox starts.
    import_module("torch")
    return sandbox
