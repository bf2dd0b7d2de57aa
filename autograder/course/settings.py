"""Make sure that nbgrader grades a course through our plug-ins, or not at all.

nbgrader takes its settings from the folder in which it starts and from the root of the course.  It
ignores what it cannot read, and then it runs students' code in an ordinary kernel.  So a file in
the root leads to the course's settings.  Besides, the gradebook names a kernel that does not exist;
only nbgrader's own steps would start it.
"""

from __future__ import annotations

import json
import os

from nbgrader.api import Notebook
from traitlets.config.loader import Config, PyFileConfigLoader

from autograder.course import plugins
from autograder.course.course import CONFIG, Course, CourseError

NO_KERNEL = "only-autograder-runs-these-notebooks"
"""A kernel that does not exist.  nbgrader names it in the message that it cannot start it."""

_HEADER = "# autograder writes this file, so that nbgrader finds the settings of the course."
_LEADER = f'''{_HEADER}
import sys
from pathlib import Path

c = get_config()

# nbgrader goes on without settings that it cannot read; then it must run nothing.
c.Execute.kernel_name = "{NO_KERNEL}"

settings = (Path(__file__).resolve().parent / {{path!r}}).resolve()
try:
    if not settings.exists():
        raise FileNotFoundError(f"there is no {{{{settings}}}}")
    load_subconfig(settings.name, path=str(settings.parent))
except Exception as error:
    print(f"The settings of the course cannot be read: {{{{error}}}}", file=sys.stderr)
'''


def keep_safe(course: Course) -> None:
    """Make sure that nbgrader uses the course's settings wherever it starts, or runs nothing.

    Raises
    ------
    CourseError
        When a file of the instructor in the root of the course has other settings.
    """
    if not leads_here(course):
        course.root.mkdir(parents=True, exist_ok=True)
        (course.root / CONFIG).write_text(_leader(course), encoding="utf-8")
    with course.api.gradebook as gradebook:
        for notebook in gradebook.db.query(Notebook):
            kernel = json.dumps({"name": NO_KERNEL, "display_name": NO_KERNEL})
            if notebook.kernelspec != kernel:
                notebook.kernelspec = kernel
        gradebook.db.commit()


def leads_here(course: Course) -> bool:
    """Return whether the file in the root of the course has the course's settings.

    Raises
    ------
    CourseError
        When it is a file of the instructor and has other settings.
    """
    file = course.root / CONFIG
    if file == course.config_file:
        return True
    text = file.read_text(encoding="utf-8") if file.exists() else _HEADER
    if text.startswith(_HEADER):
        return text == _leader(course)
    _check_same(course)
    return True


def _leader(course: Course) -> str:
    return _LEADER.format(path=os.path.relpath(course.config_file, course.root.resolve()))


def check_plugins(course: Course) -> None:
    """Make sure that a course grades through our plug-ins.

    Raises
    ------
    CourseError
        When nbgrader would run students' code itself.
    """
    settings = course.api.config.Autograde
    exporter = settings.get("exporter_class")
    steps = settings.get("autograde_preprocessors") or [None]
    ours = {
        "exporter_class": (exporter, plugins.SubmissionExporter),
        "autograde_preprocessors": (steps[0], plugins.GradeSubmission),
    }
    for name, (found, wanted) in ours.items():
        if found not in (wanted, f"{wanted.__module__}.{wanted.__qualname__}"):
            raise CourseError(
                f"c.Autograde.{name} in {course.config_file} would run students' code unprotected: "
                f"write what the repository's {CONFIG} has there."
            )


def _check_same(course: Course) -> None:
    """Make sure that the instructor's own file in the root grades as the course does."""
    file = course.root / CONFIG
    try:
        found = Config(PyFileConfigLoader(CONFIG, str(course.root)).load_config())
    except Exception as error:
        raise CourseError(f"{file} cannot be used: {error}") from error
    if found.Autograde != course.api.config.Autograde:
        upper = os.path.relpath(course.config_file, course.root.resolve())
        raise CourseError(
            f"With {file}, nbgrader would run students' code unprotected: add the line "
            f"load_subconfig({upper!r}) at its beginning."
        )
