"""A submission to grade, with all that its outcome depends on besides code and libraries."""

from __future__ import annotations

import atexit
from dataclasses import dataclass
from functools import cache
from importlib import import_module

from autograder.grading.notebook import (
    Outcome,
    cases_of,
    judge_notebook,
    observe_notebook,
    run_notebook,
)
from autograder.grading.observation import read
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

        What a limit on the clock ended is tried again, and only what ends then counts.

        Raises
        ------
        UnreadableError
            When no answers can be found.
        SandboxUnavailableError
            When this machine cannot provide a sandbox.
        """
        notebook, sandbox = self.rebuilt().notebook, warm_sandbox(self.limits, self.backend)
        seen, reports = run_notebook(notebook, self.key, sandbox)
        if seen.by_clock:
            seen, reports = run_notebook(notebook, self.key, sandbox)
        return judge_notebook(notebook, self.key, seen, reports)

    def observe(self) -> bytes:
        """Run the submission in this process's sandbox; return what was seen.

        Raises like `run`.
        """
        notebook, sandbox = self.rebuilt().notebook, warm_sandbox(self.limits, self.backend)
        return observe_notebook(notebook, self.key, sandbox).to_bytes(notebook)

    def judge(self, content: bytes) -> tuple[Outcome, bool]:
        """Judge what a worker says that it saw.

        Returns
        -------
        outcome
            The outcome.
        by_clock
            Whether it might be another one on a machine that is less busy.

        Raises
        ------
        RefusedError
            When that is nothing that anybody can have seen of this submission.
        UnreadableError
            When no answers can be found.
        """
        notebook = self.rebuilt().notebook
        seen = read(content, notebook, lambda task: cases_of(task, self.key))
        return judge_notebook(notebook, self.key, seen), seen.by_clock


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
