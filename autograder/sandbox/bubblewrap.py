"""The command that starts the sandbox's program, with bubblewrap around it or without."""

from __future__ import annotations

import os
import shutil
import site
import sys
from pathlib import Path

import autograder
from autograder.sandbox import seccomp

HELP = (
    "Install bubblewrap and libseccomp (Debian, Ubuntu: `apt install bubblewrap libseccomp2`). "
    "If they are there, the system does not permit namespaces to be made: on Ubuntu 24.04 and "
    "newer run `sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0`, in Docker start the "
    "container with `--privileged`, or grade in a virtual machine. "
    "SECURITY.md says more, also about grading without a sandbox."
)

_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_SETTINGS = ("/etc/ld.so.cache", "/etc/localtime", "/etc/fonts", "/etc/alternatives")
_PACKAGE = Path(autograder.__file__).resolve().parent


class SandboxUnavailableError(Exception):
    """The sandbox cannot be built here; the message says what to do about it."""


def readable() -> list[Path]:
    """Return the folders that student code can read: Python, its packages and ours."""
    folders = {sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix, str(_PACKAGE)}
    if site.ENABLE_USER_SITE:
        folders.add(site.getusersitepackages())
    found = {Path(folder) for folder in folders} | {Path(folder).resolve() for folder in folders}
    inside_system = tuple(f"{folder}/" for folder in _SYSTEM)
    return sorted(
        folder for folder in found if folder.is_dir() and not f"{folder}/".startswith(inside_system)
    )


def command(tmpfs: int) -> list[str]:
    """Return the command that runs `autograder.sandbox.inside` in a sandbox.

    As root it keeps root's own user namespace, so that folders which only root may enter can be
    shown inside; the program then gives root up itself.

    Parameters
    ----------
    tmpfs
        Bytes for each of the file systems in memory.

    Raises
    ------
    SandboxUnavailableError
        When bubblewrap or libseccomp are not installed.
    """
    bubblewrap = shutil.which("bwrap")
    if bubblewrap is None:
        raise SandboxUnavailableError(f"bubblewrap is not installed. {HELP}")
    try:
        filter_program = seccomp.compiled()
    except OSError as error:
        raise SandboxUnavailableError(f"{error}. {HELP}") from None
    arguments = [bubblewrap, "--die-with-parent", "--new-session", "--clearenv"]
    arguments += ["--unshare-pid", "--unshare-ipc", "--unshare-net", "--unshare-uts"]
    arguments += ["--unshare-cgroup-try", "--hostname", "sandbox", "--cap-drop", "ALL"]
    if os.getuid() == 0:
        arguments += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    else:
        arguments += ["--unshare-user"]
    for folder in _SYSTEM:
        if os.path.islink(folder):
            arguments += ["--symlink", os.readlink(folder), folder]
        elif os.path.isdir(folder):
            arguments += ["--ro-bind", folder, folder]
    arguments += ["--perms", "1777", "--size", str(tmpfs), "--tmpfs", "/tmp"]
    for path in (*map(Path, _SETTINGS), *readable()):
        for parent in reversed(path.parents[:-1]):
            arguments += ["--perms", "0755", "--dir", str(parent)]
        arguments += ["--ro-bind-try", str(path), str(path)]
    arguments += ["--proc", "/proc", "--dev", "/dev"]
    arguments += ["--perms", "1777", "--size", str(tmpfs), "--tmpfs", "/dev/shm"]
    arguments += ["--perms", "0777", "--dir", "/tmp/matplotlib", *_font_list()]
    arguments += ["--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/tmp"]
    for name, value in environment().items():
        arguments += ["--setenv", name, value]
    arguments += ["--", *program(), "--seccomp", filter_program.hex(), "--tmpfs", str(tmpfs)]
    return [
        *arguments,
        "--keep",
        *(str(path) for path in readable() if path.is_relative_to("/tmp")),
    ]


def program() -> list[str]:
    """Return the command that runs `autograder.sandbox.inside`, without a sandbox."""
    return [sys.executable, "-P", "-m", "autograder.sandbox.inside"]


def environment() -> dict[str, str]:
    """Return the whole environment of student code."""
    one_thread = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    return {
        "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
        "HOME": "/tmp",
        "LANG": "C.UTF-8",
        "USER": "student",
        "PYTHONPATH": str(_PACKAGE.parent),
        "PYTHONDONTWRITEBYTECODE": "1",
        # The order of a set of strings, which a student may print.
        "PYTHONHASHSEED": "0",
        "IPYTHONDIR": "/tmp/ipython",
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "MPLCONFIGDIR": "/tmp/matplotlib",
        **dict.fromkeys(one_thread, "1"),
    }


def _font_list() -> list[str]:
    """Show matplotlib its list of fonts, which takes seconds to make."""
    base = os.environ.get("MPLCONFIGDIR") or Path(
        os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "matplotlib"
    )
    arguments = []
    for path in sorted(Path(base).glob("fontlist-v*.json")):
        arguments += ["--ro-bind", str(path), f"/tmp/matplotlib/{path.name}"]
    return arguments
