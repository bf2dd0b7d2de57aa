"""Folders in which sessions without namespaces write: made, watched, and removed whatever is left.

Below one folder of the grader's user each session has its own, named after the session's user where
root grades.  It stays locked while the session lives.  So the next start recognizes what a machine
that lost power or a process that was killed has left behind.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

USERS = range(60_706, 61_184)
"""Ids that neither distributions nor systemd give to anybody: https://systemd.io/UIDS-GIDS/."""

MOST_FILES = 1000
"""Files and folders that a session may make."""

_WRITABLE, _NOTE = "tmp", "group"
_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True)
class Scratch:
    """The folder of one session.

    Attributes
    ----------
    path
        What the session may write to.
    user
        The user that the session runs as; None if it is the grader's own.
    lock
        Descriptor of the folder around it, locked.  No process that runs student code may have it.
    descriptor
        Descriptor of `path`, for `used`.
    """

    path: str
    user: int | None
    lock: int
    descriptor: int

    def note(self, group: int) -> None:
        """Write down the session's process group, for whoever finds the folder later."""
        with open(os.path.join(os.path.dirname(self.path), _NOTE), "w") as file:
            file.write(f"{_boot()} {group}")

    def remove(self) -> None:
        """Remove the folder with all that is in it."""
        remove(os.path.dirname(self.path))


def claim(base: str) -> Scratch:
    """Make the folder of a session.

    Raises
    ------
    OSError
        When it cannot be made, or too many sessions run.
    """
    with _locked(base):
        for name in _names():
            folder = os.path.join(base, name)
            with contextlib.suppress(FileExistsError):
                os.mkdir(folder, 0o711)
                break
        else:
            raise OSError(f"more than {len(USERS)} sessions run, or {base} was not swept")
        lock = os.open(folder, _OPEN)
        fcntl.flock(lock, fcntl.LOCK_EX)
    path = os.path.join(folder, _WRITABLE)
    os.mkdir(path, 0o700)
    user = int(name) if os.getuid() == 0 else None
    descriptor = os.open(path, _OPEN)
    if user is not None:
        os.fchown(descriptor, user, user)
    return Scratch(path, user, lock, descriptor)


def sweep(base: str) -> None:
    """End and remove what sessions have left behind whose grader was killed."""
    with _locked(base), os.scandir(base) as entries:
        for entry in entries:
            if not entry.is_dir(follow_symlinks=False):
                continue
            lock = os.open(entry.path, _OPEN)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            else:
                if os.getuid() == 0 and entry.name.isdecimal() and int(entry.name) in USERS:
                    end_user(int(entry.name))
                _end_group(os.path.join(entry.path, _NOTE))
                remove(entry.path)
            finally:
                os.close(lock)


def used(descriptor: int, most_bytes: int) -> tuple[int, int]:
    """Return how many bytes and files are in a folder; it stops counting where there is too much.

    What cannot be looked at, because its path is too long or its folder closed, counts as too much.
    """
    size, number, waiting = 0, 0, ["."]
    while waiting and size <= most_bytes and number <= MOST_FILES:
        path = waiting.pop()
        try:
            folder = os.open(path, _OPEN, dir_fd=descriptor)
        except FileNotFoundError:
            continue
        except OSError:
            return size, MOST_FILES + 1
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    number += 1
                    with contextlib.suppress(FileNotFoundError):
                        size += entry.stat(follow_symlinks=False).st_blocks * 512
                        if entry.is_dir(follow_symlinks=False):
                            waiting.append(f"{path}/{entry.name}")
        finally:
            os.close(folder)
    return size, number


def remove(folder: str) -> None:
    """Remove a folder that no process uses any more, however deep it is and whatever its modes.

    A recursive walk would fail where folders are nested deeper than calls may be.  So the content
    of each folder is moved to the top, until the top is empty.
    """
    top = os.open(folder, _OPEN)
    try:
        numbers = count()
        while names := os.listdir(top):
            for name in names:
                if not _is_folder(name, top):
                    os.unlink(name, dir_fd=top)
                    continue
                # There may be very many that are empty.
                with contextlib.suppress(OSError):
                    os.rmdir(name, dir_fd=top)
                    continue
                inner = os.open(name, _OPEN, dir_fd=top)
                try:
                    for child in os.listdir(inner):
                        _is_folder(child, inner)
                        moved = f"moved-{next(numbers)}"
                        os.rename(child, moved, src_dir_fd=inner, dst_dir_fd=top)
                finally:
                    os.close(inner)
                os.rmdir(name, dir_fd=top)
        os.rmdir(folder)
    finally:
        os.close(top)


def _is_folder(name: str, where: int) -> bool:
    """Return whether it is a folder, which then is open to its owner."""
    if not stat.S_ISDIR(os.stat(name, dir_fd=where, follow_symlinks=False).st_mode):
        return False
    os.chmod(name, 0o700, dir_fd=where)
    return True


def end_user(user: int) -> None:
    """Kill all processes of a user at once, so that none of them can start another meanwhile.

    Only root can.  It becomes that user for a moment, because -1 stands for all whom one may kill.
    """
    os.setresuid(user, user, 0)
    with contextlib.suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL)
    os.setresuid(0, 0, 0)


def _end_group(note: str) -> None:
    """Kill a process group that a session has left; its number may belong to others by now."""
    with contextlib.suppress(OSError, ValueError):
        with open(note) as file:
            boot, number = file.read().split()
        group = int(number)
        if boot == _boot() and any(_is_of_session(pid, group) for pid in _pids()):
            os.killpg(group, signal.SIGKILL)


def _is_of_session(pid: int, group: int) -> bool:
    with contextlib.suppress(OSError):
        if os.getsid(pid) == os.getpgid(pid) == group:
            with open(f"/proc/{pid}/status") as file:
                return "Seccomp:\t2" in file.read()
    return False


def _names() -> Iterator[str]:
    if os.getuid() != 0:
        for number in count():
            yield f"{os.getpid()}-{number}"
    taken = set()
    for pid in _pids():
        with contextlib.suppress(OSError):
            taken.add(os.stat(f"/proc/{pid}").st_uid)
    for user in USERS:
        if user not in taken:
            yield str(user)


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdecimal()]


def _boot() -> str:
    with open("/proc/sys/kernel/random/boot_id") as file:
        return file.read().strip()


@contextlib.contextmanager
def _locked(folder: str) -> Iterator[None]:
    descriptor = os.open(folder, _OPEN)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
