"""Run a command as a container's runtime would, whose filter forbids namespaces.

python without_namespaces.py COMMAND...                  as Docker's default profile does
python without_namespaces.py --profile FILE COMMAND...   with a profile in Docker's format
"""

import ctypes
import errno
import json
import os
import sys

import pyseccomp

NAMESPACES = (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000)
CALLS = ("unshare", "setns", "mount", "umount2", "pivot_root", "mount_setattr", "open_tree")
ADMINISTRATOR = 21


def forbid_namespaces():
    """Answer EPERM to what makes or enters them, and ENOSYS to clone3, whose flags are hidden."""
    rules = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
    for name in CALLS:
        rules.add_rule(pyseccomp.ERRNO(errno.EPERM), name)
    for flag in NAMESPACES:
        argument = pyseccomp.Arg(0, pyseccomp.MASKED_EQ, flag, flag)
        rules.add_rule(pyseccomp.ERRNO(errno.EPERM), "clone", argument)
    rules.add_rule(pyseccomp.ERRNO(errno.ENOSYS), "clone3")
    rules.load()


def follow(profile):
    """Forbid what a profile forbids, all of it with EPERM."""
    with open(profile) as file:
        content = json.load(file)
    assert content["defaultAction"] == "SCMP_ACT_ALLOW"
    rules = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
    for group in content["syscalls"]:
        for name in group["names"]:
            if pyseccomp.resolve_syscall(pyseccomp.Arch.NATIVE, name) != -1:
                rules.add_rule(pyseccomp.ERRNO(group["errnoRet"]), name)
    rules.load()


if __name__ == "__main__":
    command = sys.argv[1:]
    ctypes.CDLL(None).prctl(24, ADMINISTRATOR, 0, 0, 0)
    if command[0] == "--profile":
        follow(command[1])
        command = command[2:]
    else:
        forbid_namespaces()
    os.execvp(command[0], command)
