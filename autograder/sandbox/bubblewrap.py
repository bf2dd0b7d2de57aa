"""A sandbox made of Linux namespaces with https://github.com/containers/bubblewrap."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from autograder.sandbox import landlock, namespaces, seccomp
from autograder.sandbox.backend import (
    Backend,
    SandboxUnavailableError,
    program,
    python_folders,
    student_environment,
)

SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
SETTINGS = ("/etc/ld.so.cache", "/etc/localtime", "/etc/fonts", "/etc/alternatives")


class Bubblewrap(Backend):
    """Namespaces around a warm process, and another set around each submission.

    When started by root, it keeps root's user namespace, so that folders that only root may enter
    can be shown inside; the program then gives up root itself.
    """

    name = "bubblewrap"
    promise = "Students' code sees no file, process or network but its own."
    install = (
        "Install bubblewrap and libseccomp (Debian, Ubuntu: `apt install bubblewrap libseccomp2`)."
    )

    def advice(self) -> str:
        """Return what lets bubblewrap make namespaces here, and what to do where nothing does."""
        other = "grade in a virtual machine"
        if landlock.version() >= landlock.NEEDED:
            other += ", or with `--sandbox landlock`, which is weaker but works without namespaces"
        return f"{namespaces.advice()} Otherwise, {other}. SECURITY.md says more."

    def command(self, tmpfs: int) -> list[str]:
        """Return bubblewrap's command with the program at its end."""
        bubblewrap = shutil.which("bwrap")
        if bubblewrap is None:
            raise SandboxUnavailableError(f"bubblewrap is not installed. {self.install}")
        try:
            filter_program = seccomp.compiled()
        except OSError as error:
            raise SandboxUnavailableError(f"{error}. {self.install}") from None
        readable = self.readable()
        arguments = [bubblewrap, "--die-with-parent", "--new-session", "--clearenv"]
        arguments += ["--unshare-pid", "--unshare-ipc", "--unshare-net", "--unshare-uts"]
        arguments += ["--unshare-cgroup-try", "--hostname", "sandbox", "--cap-drop", "ALL"]
        if os.getuid() == 0:
            arguments += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
        else:
            arguments += ["--unshare-user"]
        for folder in SYSTEM:
            if os.path.islink(folder):
                arguments += ["--symlink", os.readlink(folder), folder]
            elif os.path.isdir(folder):
                arguments += ["--ro-bind", folder, folder]
        arguments += ["--perms", "1777", "--size", str(tmpfs), "--tmpfs", "/tmp"]
        for path in (*map(Path, SETTINGS), *readable):
            for parent in reversed(path.parents[:-1]):
                arguments += ["--perms", "0755", "--dir", str(parent)]
            arguments += ["--ro-bind-try", str(path), str(path)]
        arguments += ["--proc", "/proc", "--dev", "/dev"]
        # Mapping /dev/zero makes memory that no limit counts, see `seccomp`.
        arguments += ["--dev-bind", "/dev/null", "/dev/zero"]
        arguments += ["--perms", "1777", "--size", str(tmpfs), "--tmpfs", "/dev/shm"]
        arguments += ["--perms", "0777", "--dir", "/tmp/matplotlib", *_font_list()]
        arguments += ["--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/tmp"]
        for name, value in student_environment().items():
            arguments += ["--setenv", name, value]
        arguments += ["--", *program(), "--namespaces"]
        arguments += ["--seccomp", filter_program.hex(), "--tmpfs", str(tmpfs)]
        kept = (str(path) for path in readable if path.is_relative_to("/tmp"))
        return [*arguments, "--keep", *kept]

    def environment(self) -> dict[str, str]:
        """Return an empty environment; the command sets the variables of student code."""
        return {}

    def readable(self) -> list[Path]:
        """Return the folders of Python, its packages and ours that are outside the system's."""
        inside_system = tuple(f"{folder}/" for folder in SYSTEM)
        return sorted(
            folder for folder in python_folders() if not f"{folder}/".startswith(inside_system)
        )


def _font_list() -> list[str]:
    """Return arguments that show matplotlib's list of fonts, which takes seconds to make."""
    base = os.environ.get("MPLCONFIGDIR") or Path(
        os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "matplotlib"
    )
    arguments = []
    for path in sorted(Path(base).glob("fontlist-v*.json")):
        arguments += ["--ro-bind", str(path), f"/tmp/matplotlib/{path.name}"]
    return arguments
