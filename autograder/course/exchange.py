"""Pass notebooks through nbgrader's exchange, and nothing else.

nbgrader copies whatever stands in a folder and is not ignored, and follows links.  A student's
folder may hold links to files that only the instructor can read.
"""

from __future__ import annotations

import glob
import os
from pathlib import Path
from typing import Any

from nbgrader.exchange.default import (
    ExchangeCollect,
    ExchangeReleaseAssignment,
    ExchangeReleaseFeedback,
)

from autograder.intake.notebook_file import UnreadableError, read

# With these nbgrader finds the feedback that is for a submission.
_NOTES = ("timestamp.txt", "submission_secret.txt")


class _NotebooksOnly:
    """Copies the notebooks of a folder, and nbgrader's own notes, if they are plain files."""

    log: Any

    def do_copy(self, src: str, dest: str, log: Any = None) -> None:
        """Copy what is wanted from one folder into a new one."""
        os.makedirs(dest)
        for path in sorted(Path(src).iterdir()):
            if path.suffix == ".ipynb" or path.name in _NOTES:
                try:
                    content = read(path)
                except UnreadableError as error:
                    self.log.warning("%s is left out: %s", path, error)
                else:
                    Path(dest, path.name).write_bytes(content)


class ReleaseNotebooks(_NotebooksOnly, ExchangeReleaseAssignment):  # type: ignore[misc]  # nbgrader is untyped
    """Releases the notebooks of an assignment."""


class CollectNotebooks(_NotebooksOnly, ExchangeCollect):  # type: ignore[misc]  # nbgrader is untyped
    """Collects the notebooks that students have submitted."""


class ReleaseFeedback(ExchangeReleaseFeedback):  # type: ignore[misc]  # nbgrader is untyped
    """Releases the pages of those who submitted through the exchange; others cannot fetch any."""

    def copy_files(self) -> None:
        """Put nbgrader's notes beside each page, where it looks for them, and release the pages."""
        others = set(filter(None, self.coursedir.student_id_exclude.split(",")))
        for folder in map(Path, glob.glob(self.src_path)):
            student, assignment = folder.parent.name, self.coursedir.assignment_id
            submitted = self.coursedir.format_path(
                self.coursedir.submitted_directory, student, assignment
            )
            try:
                notes = {name: read(Path(submitted, name)) for name in _NOTES}
            except UnreadableError:
                others.add(student)
                continue
            for name, content in notes.items():
                (folder / name).write_bytes(content)
        self.coursedir.student_id_exclude = ",".join(sorted(others))
        super().copy_files()
