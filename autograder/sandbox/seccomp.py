"""The system calls that a student's code has no use for, as a filter for the kernel."""

from __future__ import annotations

import errno
import tempfile

FORBIDDEN = (
    # Other namespaces, and file systems whose size nobody limits.
    "unshare", "setns", "mount", "umount2", "pivot_root", "chroot", "open_tree", "move_mount",
    "fsopen", "fsconfig", "fsmount", "fspick", "mount_setattr",
    # Memory that no limit of a process counts.
    "memfd_create", "memfd_secret", "shmget", "shmat", "msgget", "semget", "mq_open", "vmsplice",
    # Other processes.
    "ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "kcmp", "pidfd_getfd",
    # Large and often broken parts of the kernel.
    "bpf", "perf_event_open", "userfaultfd", "io_uring_setup", "io_uring_enter",
    "io_uring_register", "keyctl", "add_key", "request_key", "name_to_handle_at",
    "open_by_handle_at", "fanotify_init", "quotactl", "syslog", "acct", "swapon", "swapoff",
    "reboot", "kexec_load", "kexec_file_load", "init_module", "finit_module", "delete_module",
    "iopl", "ioperm", "personality",
)  # fmt: skip
"""Refused as if the kernel did not permit them; see `man 2 syscalls`."""

NAMESPACES = (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000)
"""The flags CLONE_NEW* of `man 2 clone`."""

SOCKETS = frozenset({1, 2, 10})
"""AF_UNIX, AF_INET and AF_INET6, all within the sandbox; others, like AF_VSOCK, may lead out."""


def compiled() -> bytes:
    """Return the filter as the kernel takes it (classic BPF), for this machine.

    Raises
    ------
    OSError
        When libseccomp is not installed.
    """
    try:
        import pyseccomp as seccomp
    except (ImportError, RuntimeError, TypeError, AttributeError) as error:
        raise OSError("libseccomp cannot be loaded") from error

    rules = seccomp.SyscallFilter(seccomp.ALLOW)
    refuse = seccomp.ERRNO(errno.EPERM)
    for name in FORBIDDEN:
        rules.add_rule(refuse, name)
    for flag in NAMESPACES:
        rules.add_rule(refuse, "clone", seccomp.Arg(0, seccomp.MASKED_EQ, flag, flag))
    # Its flags lie in memory, where a filter cannot look; libc then takes clone instead.
    rules.add_rule(seccomp.ERRNO(errno.ENOSYS), "clone3")
    for family in set(range(max(SOCKETS))) - SOCKETS:
        rules.add_rule(refuse, "socket", seccomp.Arg(0, seccomp.EQ, family))
    rules.add_rule(refuse, "socket", seccomp.Arg(0, seccomp.GT, max(SOCKETS)))
    with tempfile.TemporaryFile() as file:
        rules.export_bpf(file)
        file.seek(0)
        return file.read()
