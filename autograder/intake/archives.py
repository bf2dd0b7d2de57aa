"""Read untrusted archives: those of learning platforms, and those that students hand in.

Only regular files come out, within limits, and never under a name that a stranger chose.  One bad
file in an archive of a whole class does not keep the others from coming out.
"""

from __future__ import annotations

import gzip
import io
import os
import re
import stat
import tarfile
import unicodedata
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Any

from autograder.intake.notebook_file import MAX_BYTES

MAX_MEMBERS = 10_000
MAX_TOTAL = 2_000_000_000
MAX_RATIO = 100
# Bytes of metadata in a tar file, such as a long name.
MAX_HEADER = 100_000

_CHUNK = 64 * 1024
_DRIVE = re.compile("[A-Za-z]:")


class ArchiveError(Exception):
    """An archive was refused; the message says why and what to do."""


@dataclass(frozen=True)
class Unpacked:
    """A file of an archive.

    Attributes
    ----------
    name
        Its name there, with "/" between folders.  It may be too long for a file, and may hold
        characters that are invisible; a name that leads out of a folder has a problem.
    path
        Where its content is now; None if it was left out.
    changed
        When it was changed, as the archive says; None if it does not.
    problem
        Why it was left out, or "".
    """

    name: str
    path: Path | None
    changed: datetime | None
    problem: str = ""


def unpack(archive: Path, folder: Path) -> list[Unpacked]:
    """Write the files of an archive into a folder, under numbers instead of their names.

    A file that is not acceptable is left out, and says why.  Archives in it stay closed.

    Parameters
    ----------
    archive
        A zip file, or a tar file that is uncompressed or compressed by gzip.
    folder
        An empty folder.

    Raises
    ------
    ArchiveError
        When the archive cannot be read to its end.
    """
    found: dict[str, Unpacked] = {}
    with _members_of(archive) as members:
        for number, member in enumerate(members):
            if member.opened is None and not member.problem:
                continue
            problem, path = member.problem or _bad_name(member.name), folder / str(number)
            if member.name in found:
                continue
            if member.opened and not problem:
                problem = _write(member.opened, path)
            found[member.name] = Unpacked(
                member.name, None if problem else path, member.changed, problem
            )
    return list(found.values())


@contextmanager
def _members_of(archive: Path) -> Iterator[Iterator[_Member]]:
    """Open an archive; whatever reading it raises becomes an ArchiveError."""
    if not stat.S_ISREG(archive.lstat().st_mode):
        raise ArchiveError("It is not a regular file. Put the archive itself there.")
    try:
        with archive.open("rb") as file:
            yield _members(file)
    except ArchiveError:
        raise
    # On malicious input, parsers can raise anything.
    except Exception as error:
        raise ArchiveError(
            f"It is damaged or in a format that is not supported ({type(error).__name__}). "
            "Download it again, or unpack it by hand."
        ) from error


class _Budget:
    """Counts the bytes that actually come out of an archive."""

    def __init__(self, compressed: int) -> None:
        self.left = min(MAX_TOTAL, MAX_BYTES + MAX_RATIO * compressed)

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


@dataclass(frozen=True)
class _Member:
    name: str
    # Why it is left out, or "".
    problem: str
    # What opens it; None for a folder.
    opened: Callable[[], Any] | None
    changed: datetime | None = None


def _members(file: IO[bytes]) -> Iterator[_Member]:
    budget = _Budget(os.fstat(file.fileno()).st_size)
    if zipfile.is_zipfile(file):
        members = _zipped(file, budget)
    else:
        file.seek(0)
        members = _tarred(file, budget)
    for number, member in enumerate(members, 1):
        if number > MAX_MEMBERS:
            raise ArchiveError(f"It has more than {MAX_MEMBERS} files. Split it.")
        yield member


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
            changed = None
            with suppress(ValueError):
                changed = datetime(*info.date_time)
            yield _Member(_zip_name(info), problem, opened, changed)


def _zip_name(info: zipfile.ZipInfo) -> str:
    """Return a name; some programs write UTF-8 and do not say so."""
    name: str = info.orig_filename
    if not info.flag_bits & 0x800:
        with suppress(UnicodeError):
            return name.encode("cp437").decode("utf-8")
    return name


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
            changed = None
            with suppress(ValueError, OverflowError, OSError):
                changed = datetime.fromtimestamp(member.mtime, UTC).replace(tzinfo=None)
            yield _Member(member.name, problem, opened, changed)


def _bad_name(name: str) -> str:
    path = PurePosixPath(name)
    unsafe = path.is_absolute() or ".." in path.parts or not path.parts
    # Control characters, and what no text may have.
    unsafe |= any(unicodedata.category(character) in ("Cc", "Cs") for character in name)
    return "unsafe name" if unsafe or "\\" in name or _DRIVE.match(name) else ""


def _write(opened: Callable[[], Any], path: Path) -> str:
    """Write a new file; return why it was not written, or ""."""
    written = 0
    with path.open("xb") as target, opened() as source:
        while chunk := source.read(_CHUNK):
            written += len(chunk)
            if written > MAX_BYTES:
                break
            target.write(chunk)
    if written > MAX_BYTES:
        path.unlink()
        return f"more than {MAX_BYTES // 1_000_000} MB"
    return ""
