"""A root as in a container of Gradescope: Docker's capabilities, no namespaces, no network."""

import os
import shutil
import sys
import zipfile
from pathlib import Path

HELPER = Path(__file__).with_name("without_namespaces.py")
CAPABILITIES = (
    "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP",
    "NET_BIND_SERVICE", "NET_RAW", "SYS_CHROOT", "MKNOD", "AUDIT_WRITE", "SETFCAP",
)  # fmt: skip
ENVIRONMENT = "/opt/autograder"


def unpack(bundle, folder):
    """Make the folder /autograder that Gradescope makes of a bundle, as after its setup.sh."""
    source = folder / "source"
    for name in ("source", "results", "submission"):
        (folder / name).mkdir(parents=True)
    with zipfile.ZipFile(bundle) as archive:
        for info in archive.infolist():
            Path(archive.extract(info, source)).chmod(info.external_attr >> 16)
    shutil.copy(source / "run_autograder", folder / "run_autograder")
    source.chmod(0o700)


def contained(folder, *command):
    """Return a command that runs another in such a container, whose /autograder is a folder."""
    python = Path(sys.base_prefix)
    arguments = ["bwrap", "--die-with-parent", "--unshare-pid", "--unshare-ipc", "--unshare-net"]
    arguments += ["--clearenv", "--setenv", "PATH", "/usr/bin:/bin", "--cap-drop", "ALL"]
    for name in CAPABILITIES:
        arguments += ["--cap-add", f"CAP_{name}"]
    for top in ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc/alternatives", "/etc/ld.so.cache"):
        if os.path.islink(top):
            arguments += ["--symlink", os.readlink(top), top]
        else:
            arguments += ["--ro-bind-try", top, top]
    for parent in reversed(python.parents[:-1]):
        arguments += ["--perms", "0755", "--dir", str(parent)]
    arguments += ["--ro-bind", str(python), str(python), "--perms", "0755", "--dir", "/opt"]
    arguments += ["--ro-bind", sys.prefix, ENVIRONMENT, "--proc", "/proc", "--dev", "/dev"]
    arguments += ["--perms", "1777", "--tmpfs", "/tmp", "--perms", "0700", "--dir", "/root"]
    arguments += ["--ro-bind", str(HELPER), "/without_namespaces.py", "--chdir", "/autograder"]
    arguments += ["--bind", str(folder), "/autograder", f"{ENVIRONMENT}/bin/python"]
    arguments += ["/without_namespaces.py"]
    return [*arguments, *command]
