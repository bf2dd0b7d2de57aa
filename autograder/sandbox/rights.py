"""Give up what a process may do, before it runs student code."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import struct
import sys
import tempfile

_PR_SET_PDEATHSIG, _PR_SET_KEEPCAPS, _PR_SET_SECCOMP, _PR_CAPBSET_DROP = 1, 8, 22, 24
_PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE = 38, 47, 2
_SECCOMP_MODE_FILTER = 2
_CAPABILITY_VERSION_3 = 0x20080522
_SEARCH, _SET_CAPABILITIES = 1 << 2, 1 << 8
_SEARCH_NUMBER = 2

_libc = ctypes.CDLL(None, use_errno=True)


def give_up_capabilities(kept: int = 0) -> None:
    """Give up all capabilities but those of a mask, and the right to gain any."""
    _set_capabilities(kept | _SET_CAPABILITIES & _permitted(), kept)
    capability = 0
    while _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0) == 0:
        capability += 1
    _set_capabilities(kept, kept)
    _checked(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))


def filter_system_calls(program: bytes) -> None:
    """Install a filter that `seccomp` has compiled; it cannot be removed."""
    code = ctypes.create_string_buffer(program, len(program))
    filter_program = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(code))
    _checked(_libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, filter_program, 0, 0))


def become(user: int | None) -> None:
    """Become a user without capabilities, or stay who one is; end when the parent ends.

    Python may lie in a folder that only root may enter, such as its home.  Then one capability is
    kept, to search folders and read files whatever their modes.  What can be read is for Landlock
    to say.
    """
    kept = _SEARCH & _permitted() if _closed_python() else 0
    if user is not None:
        _checked(_libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0))
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    give_up_capabilities(kept)
    if kept:
        # Programs that it starts, such as another Python, need the same.
        _checked(_libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _SEARCH_NUMBER, 0, 0))
    # Changing the user has cleared this.
    _checked(_libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0))


def check_others_can_run_python() -> None:
    """Make sure that `become` leads to a user who can run Python.

    Raises
    ------
    PermissionError
        When only root can, and the one capability that could be kept is not there.
    """
    if os.getuid() == 0 and (path := _closed_python()) and not _SEARCH & _permitted():
        raise PermissionError(f"only its owner may enter {path}, so move Python elsewhere")


def limit_processes(number: int, user: int | None) -> None:
    """Limit how many processes and threads there may be, besides those that the user has now."""
    if user is None:
        number += _running_threads()
    hard = resource.getrlimit(resource.RLIMIT_NPROC)[1]
    if hard != resource.RLIM_INFINITY:
        number = min(number, hard)
    resource.setrlimit(resource.RLIMIT_NPROC, (number, number))


def use_own_folder(path: str) -> None:
    """Work in a folder, and let it be home and the place for temporary files."""
    os.chdir(path)
    # Python would look for a folder in which it can also delete.
    tempfile.tempdir = path
    for name in ("HOME", "TMPDIR", "IPYTHONDIR", "MPLCONFIGDIR"):
        os.environ[name] = path


def _running_threads() -> int:
    number = 0
    for name in os.listdir("/proc"):
        if name.isdecimal():
            with contextlib.suppress(OSError):
                if os.stat(f"/proc/{name}").st_uid == os.getuid():
                    number += len(os.listdir(f"/proc/{name}/task"))
    return number


def _closed_python() -> str:
    """Return the folder on the way to Python that others may not enter, or an empty string."""
    for path in (os.__file__, f"{sys.prefix}/bin"):
        while path != os.path.dirname(path):
            path = os.path.dirname(path)
            if not os.stat(path).st_mode & 0o001:
                return path
    return ""


def _permitted() -> int:
    """Return the mask of the capabilities that this process may have in effect."""
    content = ctypes.create_string_buffer(24)
    _checked(_libc.capget(struct.pack("Ii", _CAPABILITY_VERSION_3, 0), content))
    _, low, _, _, high, _ = struct.unpack("6I", content.raw)
    return int(low | high << 32)


def _set_capabilities(permitted: int, inheritable: int) -> None:
    header = struct.pack("Ii", _CAPABILITY_VERSION_3, 0)
    low = struct.pack("3I", permitted, permitted, inheritable)
    _checked(_libc.capset(header, low + bytes(12)))


def _checked(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
