"""A kernel filter that refuses the system calls that student code does not need."""

from __future__ import annotations

import errno
import tempfile

FORBIDDEN = (
    # Other namespaces, and file systems of unlimited size.
    "unshare", "setns", "mount", "umount2", "pivot_root", "chroot", "open_tree", "move_mount",
    "fsopen", "fsconfig", "fsmount", "fspick", "mount_setattr",
    # Memory that does not count toward a process's limits.
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
"""System calls that fail with EPERM; see `man 2 syscalls`."""

NAMESPACES = (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000)
"""The CLONE_NEW* flags, see `man 2 clone`."""

SOCKETS = frozenset({1, 2, 10})
"""AF_UNIX, AF_INET and AF_INET6 stay inside the sandbox; others, like AF_VSOCK, may lead out."""


def compiled() -> bytes:
    """Return the filter for this machine in the kernel's format, classic BPF.

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
    # A filter cannot read the flags of clone3, which are in memory; libc falls back to clone.
    rules.add_rule(seccomp.ERRNO(errno.ENOSYS), "clone3")
    for family in set(range(max(SOCKETS))) - SOCKETS:
        rules.add_rule(refuse, "socket", seccomp.Arg(0, seccomp.EQ, family))
    rules.add_rule(refuse, "socket", seccomp.Arg(0, seccomp.GT, max(SOCKETS)))
    with tempfile.TemporaryFile() as file:
        rules.export_bpf(file)
        file.seek(0)
        return file.read()
