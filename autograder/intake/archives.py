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
from collections.abc import Callable, Iterator
from functools import partial
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
                stem = path.with_suffix("")
                name = stem.stem if stem.suffix == ".tar" else stem.name
                for left_out in extract(path, into / name):
                    self.log.error("%s in %s", left_out, path)
            else:
                (into / path.name).write_bytes(read(path))
        except (ArchiveError, UnreadableError) as error:
            self.log.error("%s was not collected. %s", path, error)


class SafeNameCollector(FileNameCollectorPlugin):  # type: ignore[misc]  # nbgrader is untyped
    """Parse file names, and accept only student ids that are safe to display and to use in paths.

    If a student has two files for the same notebook, the first by name is used.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._seen: dict[tuple[str, str], str] = {}

    def collect(self, submitted_file: str) -> dict[str, str] | None:
        """Return whose file it is and for which notebook, or None to skip it."""
        found: dict[str, str] | None = super().collect(submitted_file)
        if found is None or not isinstance(found.get("student_id"), str):
            return found
        student = found["student_id"]
        if not PLAIN_NAME.fullmatch(student):
            self.log.error(
                "%s was not collected: its student id %s has other characters than letters, "
                "digits and ._@+-. Rename the file.",
                submitted_file,
                _shown(student),
            )
            return None
        key = student, found.get("file_id", "")
        if key in self._seen:
            self.log.error(
                "%s was not collected: %s of the same student was. Delete the wrong one and "
                "collect again.",
                submitted_file,
                self._seen[key],
            )
            return None
        self._seen[key] = submitted_file
        return found


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
