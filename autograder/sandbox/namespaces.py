"""Say what keeps this machine from making namespaces, and the smallest step that allows them.

SECURITY.md says which of these steps were tried.
"""

from __future__ import annotations

import os
from pathlib import Path

IN_DOCKER = (
    "start it as an ordinary user with `docker run --user 1000:1000 "
    "--security-opt seccomp=scripts/docker_seccomp.json --security-opt apparmor=unconfined "
    "--security-opt systempaths=unconfined`"
)
IN_KUBERNETES = (
    "set `hostUsers: false` for the pod, and for the container `procMount: Unmasked` and the "
    "seccomp profile scripts/docker_seccomp.json"
)
ON_UBUNTU = "run `sudo scripts/allow_bubblewrap.sh`"

_SYSTEM_ADMINISTRATOR = 1 << 21


def advice(root: Path = Path("/")) -> str:
    """Return the smallest step that would let bubblewrap work, as one sentence or a few.

    Parameters
    ----------
    root
        Where the files are that tell; tests have their own.
    """
    if _read(root, "proc/sys/user/max_user_namespaces") == "0":
        return "Run `sudo sysctl user.max_user_namespaces=10000`, which is 0 here."
    if _read(root, "proc/sys/kernel/unprivileged_userns_clone") == "0" and os.getuid() != 0:
        return "Run `sudo sysctl kernel.unprivileged_userns_clone=1`, which is 0 here."
    if (root / "var/run/secrets/kubernetes.io").exists():
        return f"This is a Kubernetes pod: {IN_KUBERNETES}."
    if any((root / name).exists() for name in (".dockerenv", "run/.containerenv")):
        return f"This is a container: {IN_DOCKER}."
    if _read(root, "proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1":
        return f"AppArmor forbids namespaces to ordinary programs: {ON_UBUNTU}."
    if os.getuid() == 0 and not _is_administrator(root):
        return f"This root may not administer the system. If it is in a container, {IN_DOCKER}."
    return (
        f"Something forbids namespaces: on Ubuntu 23.10 and newer, {ON_UBUNTU}; in a container, "
        f"{IN_DOCKER}; in a Kubernetes pod, {IN_KUBERNETES}."
    )


def _read(root: Path, name: str) -> str:
    try:
        return (root / name).read_text().strip()
    except OSError:
        return ""


def _is_administrator(root: Path) -> bool:
    """Return whether this process has CAP_SYS_ADMIN."""
    for line in _read(root, "proc/self/status").splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) & _SYSTEM_ADMINISTRATOR)
    return False
