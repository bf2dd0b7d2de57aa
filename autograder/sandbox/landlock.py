"""Let a process and its children reach only some files, no TCP port and no process outside.

Landlock needs neither root nor namespaces, and what a process has given up stays given up.  It says
nothing about whether a file exists, how large it is and who runs, and knows no limits.
https://docs.kernel.org/userspace-api/landlock.html
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import stat
import struct
from collections.abc import Iterator, Sequence

NEEDED = 6
"""The first version that keeps signals and abstract sockets inside; Linux 6.12 has it."""

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_ASK_VERSION, _PATH_BENEATH = 1, 1

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_REMOVE_DIR, _MAKE_DIR, _MAKE_REG, _TRUNCATE = 1 << 4, 1 << 7, 1 << 8, 1 << 14
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE
_ALL_OF_FILES, _ALL_OF_NETWORK, _ALL_SCOPES = (1 << 16) - 1, 3, 3

_READ = _EXECUTE | _READ_FILE | _READ_DIR
# Without the right to remove files: one that is open and has no name takes room unseen.
_OWN = _READ_FILE | _READ_DIR | _WRITE_FILE | _TRUNCATE | _MAKE_REG | _MAKE_DIR | _REMOVE_DIR
_DEVICES = {
    "/dev/null": _READ_FILE | _WRITE_FILE,
    "/dev/random": _READ_FILE,
    "/dev/urandom": _READ_FILE,
}

_libc = ctypes.CDLL(None, use_errno=True)


def version() -> int:
    """Return the version of Landlock that the kernel has, or 0."""
    answer: int = _libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _ASK_VERSION)
    return max(0, answer)


def restrict(readable: Sequence[str], own: str, hidden: Sequence[str] = ()) -> None:
    """Give up all files but some, for good.

    The process has to have given up the right to gain privileges (`PR_SET_NO_NEW_PRIVS`), or to be
    root.

    Parameters
    ----------
    readable
        Folders whose files can be read and run.
    own
        A folder to write to.  Files in it cannot be removed or renamed.
    hidden
        Folders, some perhaps in readable ones, whose files cannot be read.  The names of what is
        in them can be, because Python cannot import from a folder that it cannot list.
    """
    ruleset = _checked(
        _libc.syscall(
            _CREATE_RULESET,
            struct.pack("3Q", _ALL_OF_FILES, _ALL_OF_NETWORK, _ALL_SCOPES),
            ctypes.c_size_t(24),
            0,
        )
    )
    try:
        for path, rights in (*_rules(readable, hidden), (own, _OWN), *_DEVICES.items()):
            # A path that is not there needs no rule.
            with contextlib.suppress(FileNotFoundError, PermissionError):
                _allow(ruleset, path, rights)
        _checked(_libc.syscall(_RESTRICT_SELF, ruleset, 0))
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: str, rights: int) -> None:
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            rights &= _OF_FILES
        rule = struct.pack("=Qi", rights, descriptor)
        _checked(_libc.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, rule, 0))
    finally:
        os.close(descriptor)


def _rules(readable: Sequence[str], hidden: Sequence[str]) -> Iterator[tuple[str, int]]:
    """Yield paths and rights.  Rights add up along a path, so what is hidden has to be left out."""
    closed = [os.path.realpath(folder) for folder in hidden]
    waiting = [os.path.realpath(folder) for folder in readable]
    while waiting:
        path = waiting.pop()
        if any(f"{path}/".startswith(f"{folder}/") for folder in closed):
            continue
        if not any(folder.startswith(f"{path}/") for folder in closed):
            yield path, _READ
            continue
        yield path, _READ_DIR
        with os.scandir(path) as entries:
            # A link may lead anywhere; where it leads to has a rule of its own or none.
            waiting += [entry.path for entry in entries if not entry.is_symlink()]


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
