"""Write the grades of a course to a file."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from nbgrader.api import Gradebook, SubmittedAssignment
from nbgrader.coursedir import CourseDirectory
from nbgrader.plugins import CsvExportPlugin

from autograder.course import seals
from autograder.course.course import Course, CourseError
from autograder.course.scores import RELEASE_AND_GRADE, is_complete, require_released
from autograder.course.spreadsheet import harmless


class OwnGradesExport(CsvExportPlugin):  # type: ignore[misc]  # nbgrader is untyped
    """Write nbgrader's CSV file without points that this grader did not give.

    They count as 0 there, as for a submission that is not graded.  The gradebook keeps them.
    Nobody's name can be a formula or spill into the columns of points.
    """

    def export(self, gradebook: Gradebook) -> None:
        """Write the grades, and log whose are left out."""
        root = Path(CourseDirectory(parent=self).root)
        for submission in gradebook.db.query(SubmittedAssignment):
            if self.assignment and submission.name not in self.assignment:
                continue
            if is_complete(submission) and not seals.is_ours(root, submission):
                self.log.warning(
                    "%s of %s has points that this grader did not give; they are left out.",
                    submission.name,
                    submission.student_id,
                )
                for notebook in submission.notebooks:
                    for grade in notebook.grades:
                        grade.auto_score = None
        for student in gradebook.students:
            # nbgrader joins what it finds with commas.
            student.first_name = _cell(student.first_name)
            student.last_name = _cell(student.last_name)
            student.email = _cell(student.email)
        gradebook.db.flush()
        gradebook.db.expire_all()
        try:
            super().export(gradebook)
        finally:
            gradebook.db.rollback()


def _cell(text: str | None) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow([harmless(text or "")])
    return out.getvalue() if text else ""


def export(course: Course, names: Sequence[str] | None = None, to: Path | None = None) -> Path:
    """Write the grades in nbgrader's CSV format; return the path of the file.

    Parameters
    ----------
    course
        The course.
    names
        The assignments; all if None.
    to
        The file to write; grades.csv of the course if None.

    Raises
    ------
    CourseError
        When nothing is released, or the folder of the file does not exist.
    """
    require_released(course, names, RELEASE_AND_GRADE)
    target = (to or course.root / "grades.csv").absolute()
    if not target.parent.is_dir():
        raise CourseError(f"There is no folder {target.parent}.")
    plugin = OwnGradesExport(parent=course.api)
    plugin.to = str(target)
    plugin.assignment = list(names or [])
    with course.api.gradebook as gradebook:
        plugin.export(gradebook)
    return target
