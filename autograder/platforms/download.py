"""Read a download, whatever platform it is from, and keep it in the course."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from pathlib import Path

from autograder.course.course import Course, CourseError
from autograder.intake.archives import MAX_MEMBERS, MAX_TOTAL, ArchiveError, unpack
from autograder.platforms.canvas import CANVAS
from autograder.platforms.classroom50 import CLASSROOM50
from autograder.platforms.folder import FOLDER
from autograder.platforms.gradescope import GRADESCOPE
from autograder.platforms.moodle import MOODLE
from autograder.platforms.platform import File, HandIn, Platform

KEPT = "downloads"
"""The folder of the course in which downloads are kept."""

# A plain folder has any shape, so it comes last.
PLATFORMS = {
    platform.name: platform for platform in (GRADESCOPE, MOODLE, CANVAS, CLASSROOM50, FOLDER)
}

_JUNK = ("__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini", ".ipynb_checkpoints")
_GIT = ".git/HEAD"


def files_of(download: Path, scratch: Path) -> list[File]:
    """Return the files of an archive or a folder; links are left out.

    Parameters
    ----------
    download
        The archive, folder or notebook.
    scratch
        An empty folder for what is in an archive.

    Raises
    ------
    CourseError
        When it cannot be read.
    """
    if download.is_dir():
        found = list(_in_folder(download))
    elif download.suffix.lower() == ".ipynb":
        found = [_on_disk(download, download.name)]
    else:
        try:
            found = [
                File(one.name, one.path, one.changed, one.problem)
                for one in unpack(download, scratch)
            ]
        except ArchiveError as error:
            raise CourseError(f"{download.name} cannot be read. {error}") from None
        except OSError as error:
            raise CourseError(f"{download} cannot be read: {error.strerror}.") from None
    return [file for file in found if not _is_junk(file.name)]


def _in_folder(folder: Path) -> Iterator[File]:
    total = count = 0
    for parent, folders, names in os.walk(folder):
        # Of git's own files, one is enough to recognize a repository.
        folders[:] = sorted(name for name in folders if name != ".git")
        here = Path(parent)
        if (here / _GIT).is_file():
            names.append(_GIT)
        for name in sorted(names):
            path = here / name
            if path.is_symlink() or not path.is_file():
                continue
            count, total = count + 1, total + path.stat().st_size
            if count > MAX_MEMBERS or total > MAX_TOTAL:
                raise CourseError(
                    f"{folder} has more than {MAX_MEMBERS} files or {MAX_TOTAL // 10**9} GB. "
                    "Give the folder of the download alone."
                )
            yield _on_disk(path, path.relative_to(folder).as_posix())


def _on_disk(path: Path, name: str) -> File:
    return File(name, path, datetime.fromtimestamp(path.stat().st_mtime))


def _is_junk(name: str) -> bool:
    parts = name.split("/")
    return any(part in _JUNK for part in parts) or parts[-1].startswith("._")


def recognize(files: Sequence[File], assignments: Collection[str]) -> tuple[Platform, list[HandIn]]:
    """Return the platform of a download, and who handed in which files.

    A folder around everything is looked into.

    Raises
    ------
    CourseError
        When there is nothing in it.
    """
    levels = list(_levels(list(files)))
    for platform in PLATFORMS.values():
        for level in levels:
            found = platform.read(level, assignments)
            if found is not None:
                return platform, found
    raise CourseError("The download is empty. Download it again.")


def _levels(files: list[File]) -> Iterator[list[File]]:
    while files:
        yield files
        tops = {file.name.partition("/")[0] for file in files}
        if len(tops) > 1 or any("/" not in file.name for file in files):
            return
        files = [
            File(file.name.partition("/")[2], file.path, file.changed, file.problem)
            for file in files
        ]


def digest(download: Path) -> str:
    """Return the hash of a download."""
    total = hashlib.sha256()
    paths = [download]
    if download.is_dir():
        paths = sorted(file.path for file in _in_folder(download) if file.path)
    for path in paths:
        total.update(os.fsencode(path.relative_to(download)) + b"\0")
        with path.open("rb") as file:
            total.update(hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()


def keep(course: Course, download: Path, name: str) -> None:
    """Copy a download into the course, unless it is there.

    Parameters
    ----------
    course, download
        The course and the download.
    name
        The name of the copy.
    """
    target = course.root / KEPT / name
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    if not download.is_dir():
        shutil.copy2(download, target)
        return
    for file in _in_folder(download):
        assert file.path is not None
        copied = target / file.name
        copied.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(file.path, copied)


def kept_name(course: Course, download: Path, taken: Collection[str]) -> str:
    """Return a name for the copy that no other download has."""
    folder = course.root / KEPT
    if download.parent.resolve() == folder.resolve():
        return download.name
    name, number = download.name, 1
    while name in taken or (folder / name).exists():
        number += 1
        suffix = "" if download.is_dir() else download.suffix
        name = f"{download.name.removesuffix(suffix)}-{number}{suffix}"
    return name
