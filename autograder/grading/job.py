"""A submission to be graded, and all that its outcome follows from but code and libraries."""

from __future__ import annotations

import atexit
from dataclasses import dataclass
from functools import cache
from importlib import import_module

import nbformat

from autograder.grading.notebook import Outcome, grade_notebook
from autograder.intake import submission
from autograder.sandbox import Limits, Sandbox


@dataclass(frozen=True)
class Job:
    """A submission with what it is graded by; it can be sent to another machine.

    Attributes
    ----------
    assignment
        Its name.
    content
        The bytes that were handed in.
    release
        The notebook that students got, as text.
    key
        From the course's secret and the submission; it seeds the test inputs.
    limits, backend
        Of the sandbox.
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
            When there are no answers to be found.
        """
        return submission.rebuild(self.content, nbformat.reads(self.release, as_version=4))

    def run(self) -> Outcome:
        """Grade it in this process's sandbox.

        Raises
        ------
        UnreadableError
            When there are no answers to be found.
        SandboxUnavailableError
            When this machine cannot provide a sandbox.
        """
        return grade_notebook(
            self.rebuilt().notebook, self.key, warm_sandbox(self.limits, self.backend)
        )


@cache
def warm_sandbox(limits: Limits, backend: str) -> Sandbox:
    """Return the sandbox of this process for some settings.

    Raises
    ------
    SandboxUnavailableError
        When it cannot even be tried to start one.
    """
    sandbox = Sandbox(limits, backend)
    atexit.register(sandbox.close)
    sandbox.start()
    # Judging will need it, and it takes as long as the start, which nobody has to wait for.
    import_module("torch")
    return sandbox
