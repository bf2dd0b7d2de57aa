"""Plug-ins for `nbgrader zip_collect` that handle untrusted archives.

nbgrader's own extractor writes wherever an archive says and as much as it holds, opens nested
archives, and stops at the first damaged one.  A learning platform's archive has files from a whole
class, so one bad file must not keep the others from being collected.
"""

from __future__ import annotations

import gzip
import io
import os
import re
import stat
import tarfile
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cached_property, partial
from pathlib import Path, PurePosixPath
from typing import IO, Any

from nbgrader.plugins import ExtractorPlugin, FileNameCollectorPlugin

from autograder.intake.notebook_file import MAX_BYTES, UnreadableError, read

MAX_MEMBERS = 10_000
MAX_TOTAL = 2_000_000_000
MAX_RATIO = 100
# Bytes of metadata in a tar file, such as a long name.
MAX_HEADER = 100_000

_CHUNK = 64 * 1024
_DRIVE = re.compile("[A-Za-z]:")
PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,99}")


class ArchiveError(Exception):
    """An archive was refused; the message says why and what to do."""


class SafeExtractor(ExtractorPlugin):  # type: ignore[misc]  # nbgrader is untyped
    """Extract only regular files, only into the folder of their archive, and within limits.

    A file that is not acceptable is left out and the others are kept.  An archive that is damaged
    or exceeds the limits is left out as a whole.  Both are logged as errors.  Nested archives stay
    closed.
    """

    def extract(self, archive_path: str, extracted_path: str) -> None:
        """Extract all archives in a folder and copy all other files."""
        source, target = Path(archive_path), Path(extracted_path)
        if not any(source.iterdir()):
            self.log.warning("%s is empty.", source)
        for folder, _, names in os.walk(source):
            into = target / Path(folder).relative_to(source)
            into.mkdir(parents=True, exist_ok=True)
            for name in sorted(names):
                self._take(Path(folder) / name, into)

    def _take(self, path: Path, into: Path) -> None:
        try:
            if path.suffix in self.zip_ext:
                for left_out in extract(path, into / _folder_of(path)):
                    self.log.error("%s in %s", left_out, path)
            else:
                (into / path.name).write_bytes(read(path))
        except (ArchiveError, UnreadableError) as error:
            self.log.error("%s was not collected. %s", path, error)


class SafeNameCollector(FileNameCollectorPlugin):  # type: ignore[misc]  # nbgrader is untyped
    """Say whose a file is, from the folder that the learning platform made, or from its name.

    A student chooses the names of files, but not of the folder that they are in.  So the id in an
    archive's top folder wins over what a file says.  Of two files of the same student for the same
    notebook, neither is collected.  Ids are safe to display and to use in paths.
    """

    @cached_property
    def _claims(self) -> Counter[tuple[str, str]]:
        """Count all extracted files, by student and notebook."""
        if self.parent is None:
            return Counter()
        files = [path for path in self._folder("extracted_directory").rglob("*") if path.is_file()]
        return Counter(filter(None, (_key(self._named(path)) for path in files)))

    def _folder(self, step: str) -> Path:
        return Path(self.parent._format_collect_path(getattr(self.parent, step)))

    def collect(self, submitted_file: str) -> dict[str, str] | None:
        """Return whose file it is and for which notebook, or None to skip it."""
        found = self._named(Path(submitted_file))
        if found is None or not isinstance(found.get("student_id"), str):
            return found
        student = found["student_id"]
        problem = ""
        if not PLAIN_NAME.fullmatch(student):
            problem = (
                f"its student id {_shown(student)} has other characters than letters, digits and "
                "._@+-. Rename the file or its folder."
            )
        elif self._claims[student, found.get("file_id", "")] > 1:
            problem = (
                "another file of the same student is for the same notebook. Delete the wrong one "
                "and collect again."
            )
        if problem:
            self.log.error("%s was not collected: %s", submitted_file, problem)
            return None
        return found

    def _named(self, path: Path) -> dict[str, str] | None:
        found: dict[str, str] | None = super().collect(str(path))
        owner = self._owner(path)
        if owner is None or path.suffix not in self.valid_ext:
            return found
        match = re.match(self.named_regexp, str(path))
        # A pattern of the instructor's own may read the folder itself.
        if match and match.start("student_id") < len(str(path)) - len(path.name):
            return found
        found = super().collect(str(path.with_name(f"{owner}_{path.name}")))
        return None if found is None else {**found, "student_id": owner}

    def _owner(self, path: Path) -> str | None:
        """Return the id in the topmost folder that is in an archive or in no archive's folder."""
        if self.parent is None:
            return None
        extracted, archives = map(self._folder, ("extracted_directory", "archive_directory"))
        folders = path.relative_to(extracted).parts[:-1]
        top = 0
        for depth in range(len(folders)):
            beside = archives.joinpath(*folders[:depth])
            if beside.is_dir() and any(
                other.is_file() and _folder_of(other) == folders[depth]
                for other in beside.iterdir()
            ):
                top = depth + 1
        return folders[top].partition("_")[0] if folders[top:] else None


def _key(found: dict[str, str] | None) -> tuple[str, str] | None:
    return (found.get("student_id", ""), found.get("file_id", "")) if found else None


def _folder_of(archive: Path) -> str:
    """Return the name of the folder into which an archive is extracted."""
    stem = archive.with_suffix("")
    return stem.stem if stem.suffix == ".tar" else stem.name


def extract(archive: Path, target: Path) -> list[str]:
    """Extract a zip or tar file into a new folder.

    Parameters
    ----------
    archive
        A zip file, or a tar file that is uncompressed or compressed by gzip.
    target
        The folder.  It is created only if the extraction succeeds.

    Returns
    -------
    list of str
        A phrase for each file that was left out, with the reason.

    Raises
    ------
    ArchiveError
        When nothing was extracted.
    """
    if target.exists():
        raise ArchiveError(f"A folder {target.name} already exists. Rename the archive.")
    if not stat.S_ISREG(archive.lstat().st_mode):
        raise ArchiveError("It is not a regular file. Put the archive itself there.")
    with tempfile.TemporaryDirectory(prefix=".", dir=target.parent) as scratch:
        folder = Path(scratch) / target.name
        folder.mkdir()
        try:
            with archive.open("rb") as file:
                left_out = _extract(file, folder)
        except ArchiveError:
            raise
        # On malicious input, parsers can raise anything.
        except Exception as error:
            raise ArchiveError(
                f"It is damaged or in a format that is not supported ({type(error).__name__}). "
                "Download it again, or unpack it by hand."
            ) from error
        folder.rename(target)
    return left_out


class _Budget:
    """Counts the bytes that actually come out of an archive."""

    def __init__(self, compressed: int) -> None:
        self.left = min(MAX_TOTAL, max(MAX_BYTES, MAX_RATIO * compressed))

    def spend(self, count: int) -> None:
        self.left -= count
        if self.left < 0:
            raise ArchiveError(
                f"It unpacks to more than {MAX_RATIO} times its size or {MAX_TOTAL} bytes. "
                "Remove the largest files from it."
            )


class _Counted(io.RawIOBase):
    """A file that counts the bytes read from it."""

    def __init__(self, file: IO[bytes], budget: _Budget) -> None:
        self._file = file
        self._budget = budget

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self._budget.spend(len(data))
        return data


class _Header(tarfile.TarInfo):
    """A header that cannot announce more metadata than fits into memory."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _Header:
        header = super().frombuf(buf, encoding, errors)
        is_file = header.isreg() or header.isdir() or header.islnk() or header.issym()
        if header.size < 0 or (header.size > MAX_HEADER and not is_file):
            raise ArchiveError("It has a header that is too large. Unpack it by hand.")
        return header


# The name; why the member is left out, or ""; and what opens it, or None for a folder.
_Member = tuple[str, str, Callable[[], Any] | None]


def _extract(file: IO[bytes], folder: Path) -> list[str]:
    budget = _Budget(os.fstat(file.fileno()).st_size)
    if zipfile.is_zipfile(file):
        members = _zipped(file, budget)
    else:
        file.seek(0)
        members = _tarred(file, budget)
    left_out = []
    for number, (name, problem, opened) in enumerate(members, 1):
        if number > MAX_MEMBERS:
            raise ArchiveError(f"It has more than {MAX_MEMBERS} files. Split it.")
        problem = problem or _bad_name(name)
        if opened and not problem:
            problem = _write(opened, folder / PurePosixPath(name))
        if problem:
            left_out.append(f"{problem}: left out {_shown(name)}")
    return left_out


def _zipped(file: IO[bytes], budget: _Budget) -> Iterator[_Member]:
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            kind = stat.S_IFMT(info.external_attr >> 16)
            problem = ""
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                problem = "not a regular file"
            elif info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                # zipfile decompresses the other methods without a limit.
                problem = "unusual compression"
            elif info.flag_bits & 1:
                problem = "encrypted"
            # The raw name: zipfile truncates `filename` at a NUL.
            opened = None if info.is_dir() else partial(_unzip, archive, info, budget)
            yield info.orig_filename, problem, opened


def _unzip(archive: zipfile.ZipFile, info: zipfile.ZipInfo, budget: _Budget) -> _Counted:
    return _Counted(archive.open(info), budget)


def _tarred(file: IO[bytes], budget: _Budget) -> Iterator[_Member]:
    is_gzip = file.read(2) == b"\x1f\x8b"
    file.seek(0)
    plain: Any = gzip.GzipFile(fileobj=file) if is_gzip else file
    stream: Any = _Counted(plain, budget)
    # Read it as a stream: in broken archives, seeking back can loop forever.
    with tarfile.open(fileobj=stream, mode="r|", tarinfo=_Header) as archive:
        for member in archive:
            problem = "" if member.isreg() or member.isdir() else "not a regular file"
            opened = None if member.isdir() else partial(archive.extractfile, member)
            yield member.name, problem, opened


def _bad_name(name: str) -> str:
    path = PurePosixPath(name)
    unsafe = path.is_absolute() or ".." in path.parts or not path.parts
    if unsafe or "\\" in name or _DRIVE.match(name) or not name.isprintable():
        return "unsafe name"
    return ""


def _write(opened: Callable[[], Any], path: Path) -> str:
    """Write a new file; return why it was not written, or ""."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        target = path.open("xb")
    except OSError:
        return "name taken by another, or too long"
    written = 0
    with target, opened() as source:
        while chunk := source.read(_CHUNK):
            written += len(chunk)
            if written > MAX_BYTES:
                break
            target.write(chunk)
    if written > MAX_BYTES:
        path.unlink()
        return f"more than {MAX_BYTES} bytes"
    return ""


def _shown(name: str) -> str:
    return ascii(name if len(name) <= 100 else name[:100] + "...")
