"""Release exercises: make nbgrader's source and release of each from our text files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from nbgrader.api import Gradebook, MissingEntry

from autograder.course.course import LOG, Course, CourseError, check_names
from autograder.course.nbgrader_log import last_error
from autograder.course.settings import keep_safe
from autograder.intake import exercise


def release_all(
    course: Course, names: Sequence[str] | None, report: Callable[[str, str], None]
) -> None:
    """Release some or all exercises.

    Parameters
    ----------
    course
        The course.
    names
        The exercises; all if None.
    report
        Called with the name of each exercise and what was done.

    Raises
    ------
    CourseError
        When one of them cannot be released.
    """
    found = {path.stem: path for path in exercise.sources(course.exercises)}
    check_names(names, list(found), f"{course.exercises} has")
    if not found:
        raise CourseError(f"{course.exercises} has no exercises.")
    for name in names or found:
        report(name, release(course, found[name]))


def release(course: Course, source: Path) -> str:
    """Write nbgrader's source and release of one exercise; return what was done.

    Parameters
    ----------
    course
        The course.
    source
        The file `NAME/NAME.py`.

    Raises
    ------
    CourseError
        When it cannot be released.
    """
    name = source.stem
    try:
        notebook = exercise.source_notebook(source)
    except exercise.SourceError as error:
        raise CourseError(str(error)) from error
    course.root.mkdir(parents=True, exist_ok=True)
    with course.api.gradebook as gradebook:
        known, submissions = _recorded_cells(gradebook, name)
    ours = {
        cell.metadata.nbgrader.grade_id for cell in notebook.cells if "nbgrader" in cell.metadata
    }
    if submissions and known != ours:
        # nbgrader would delete the release before it complains.
        different = ", ".join(sorted(known ^ ours))
        raise CourseError(
            f"{name}: cells were added or removed ({different}), which nbgrader does not allow "
            f"once there are submissions ({submissions}); undo that, or release under a new name."
        )
    changed = exercise.write(notebook, course.folder("source", ".", name) / f"{name}.ipynb")
    released = course.folder("release", ".", name) / f"{name}.ipynb"
    if not changed and known and released.exists():
        keep_safe(course)
        return "unchanged"
    done = course.api.generate_assignment(name, force=True)
    course.keep_log(done.get("log", "") + done.get("error", ""))
    if not done["success"]:
        raise CourseError(f"{name}: {last_error(done)} (see {course.root / LOG}).")
    keep_safe(course)
    if submissions:
        return "released again; `autograder grade` grades by the new version"
    return "released"


def _recorded_cells(gradebook: Gradebook, name: str) -> tuple[set[str], int]:
    """Return the cells of an assignment in the gradebook, and the number of its submissions."""
    try:
        notebook = gradebook.find_notebook(name, name)
    except MissingEntry:
        return set(), 0
    return {cell.name for cell in notebook.source_cells}, len(notebook.submissions)
