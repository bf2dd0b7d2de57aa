"""Look for what is wrong with a course, before or while it is graded; changes nothing."""

from __future__ import annotations

import importlib.metadata
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

from packaging.requirements import Requirement
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DatabaseError

from autograder import distribution
from autograder.course import late, names, seals
from autograder.course.course import CONFIG, Course, CourseError
from autograder.course.gradebook import current_schema
from autograder.course.misplaced import misplaced
from autograder.course.scores import foreign, released, standings
from autograder.course.secret import SECRET
from autograder.course.settings import check_plugins, leads_here

ROOM = 2**30
"""Bytes that should be free for results, graded notebooks and pages."""


def faults(course: Course) -> Iterator[str]:
    """Yield what is wrong, each with what to do; stops where nothing more can be found out.

    Parameters
    ----------
    course
        The course; its gradebook need not exist.
    """
    yield from _versions()
    try:
        check_plugins(course)
    except CourseError as error:
        yield str(error)
        return
    yield from _room(course)
    found = list(_gradebook(course))
    if found:
        yield from found
        return
    known = released(course)
    if not known:
        yield "Nothing is released yet: run `autograder release`."
        return
    for look in (
        _settings,
        _secret,
        _releases,
        _dates,
        _names,
        _times,
        misplaced,
        _hidden,
        _grades,
    ):
        yield from look(course)


def _versions() -> Iterator[str]:
    """Yield packages that are missing or too old."""
    try:
        lines = importlib.metadata.requires(distribution.NAME) or ()
    except importlib.metadata.PackageNotFoundError:
        yield (
            f"{distribution.NAME} is not installed, so nobody knows which versions it needs: "
            "run pip install '.[grading]'."
        )
        return
    for line in lines:
        wanted = Requirement(line)
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": "grading"}):
            continue
        try:
            version = importlib.metadata.version(wanted.name)
        except importlib.metadata.PackageNotFoundError:
            version = "not installed"
        if version not in wanted.specifier:
            yield (
                f"{wanted.name} is {version}, but {wanted.specifier} is needed: "
                f"run pip install '{wanted.name}{wanted.specifier}'."
            )


def _room(course: Course) -> Iterator[str]:
    folder = next(one for one in (course.root, *course.root.parents) if one.exists())
    free = shutil.disk_usage(folder).free
    if free < ROOM:
        yield f"Only {free / 2**20:.0f} MB are free on the disk of {folder}: make room first."


def _gradebook(course: Course) -> Iterator[str]:
    """Yield why nbgrader cannot use its gradebook."""
    url = course.api.coursedir.db_url
    file = Path(url.removeprefix("sqlite:///"))
    if not url.startswith("sqlite:///") or not file.exists():
        return
    engine = create_engine(url)
    try:
        with closing(engine.connect()) as connection:
            schema = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    except DatabaseError as error:
        yield f"{file} is no gradebook ({error.orig}): restore it from a backup."
        return
    finally:
        engine.dispose()
    if schema != current_schema():
        yield f"{file} was made by another version of nbgrader: run `nbgrader db upgrade` once."


def _settings(course: Course) -> Iterator[str]:
    if not leads_here(course):
        yield (
            f"nbgrader would not find the settings when it is started in {course.root}: run "
            f"`autograder grade` or `release`, which write {course.root / CONFIG}."
        )


def _secret(course: Course) -> Iterator[str]:
    file = course.root / SECRET
    if not file.exists():
        # Looking at points would make another one.
        if (course.root / seals.FOLDER).exists():
            yield f"{file} is gone: restore it from a backup, or all inputs are drawn anew."
    elif file.stat().st_mode & 0o077:
        yield f"Others can read {file}, which makes test inputs known: run chmod 600 {file}"


def _releases(course: Course) -> Iterator[str]:
    for name in released(course):
        yield from _said(course.release_file, name)


def _dates(course: Course) -> Iterator[str]:
    file = course.root / late.FILE
    try:
        dates = late.read(course.root)
    except late.DatesError as error:
        yield str(error)
        return
    if dates is None:
        return
    for name in sorted(dates.due.keys() - set(released(course))):
        yield f"{file} has a due date of {name!r}, which is not released: release it or delete it."
    for name, some in sorted(dates.extensions.items()):
        for student in sorted(some.keys() - _students(course)):
            yield (
                f"{file} gives {student!r} an extension of {name}, but nobody has that id: "
                "correct or delete it, or enter the class with `autograder collect --roster`."
            )
    if "time_zone" not in file.read_text(encoding="utf-8"):
        yield f'{file} names no time zone, so its times are UTC: add time_zone = "UTC" or another.'


def _students(course: Course) -> set[str]:
    """Return everybody who is in the gradebook or has handed something in."""
    handed_in = {student for name in released(course) for student in course.submitted(name)}
    with course.api.gradebook as gradebook:
        return handed_in | {student.id for student in gradebook.students}


def _names(course: Course) -> Iterator[str]:
    yield from _said(names.read, course.root)


def _times(course: Course) -> Iterator[str]:
    for name in released(course):
        for student in course.submitted(name):
            folder = course.folder("submitted", student, name)
            yield from _said(course.api.coursedir.get_existing_timestamp, str(folder))


def _hidden(course: Course) -> Iterator[str]:
    yield from _said(course.check_course_hidden)


def _grades(course: Course) -> Iterator[str]:
    for name in released(course):
        count = len(foreign(standings(course, name)))
        if count:
            yield (
                f"{name}: this grader did not make {count} of the grades: run `autograder grade`, "
                "which makes them again."
            )


def _said(look: Callable[..., object], *arguments: object) -> Iterator[str]:
    """Yield the message of the error that a function raises, if there is one."""
    try:
        look(*arguments)
    except (CourseError, late.DatesError, names.NamesError) as error:
        yield str(error)
