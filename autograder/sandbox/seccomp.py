"""A kernel filter that allows the system calls that student code needs, and no other.

What is not on the list fails with ENOSYS, as on a kernel that does not have it: libc then falls
back to older calls.  So a call that a future kernel adds is refused before anybody here knows it.
"""

from __future__ import annotations

import errno
import tempfile
from typing import Any

ALLOWED = (
    # Files.
    "read", "write", "readv", "writev", "pread64", "pwrite64", "preadv", "pwritev", "preadv2",
    "pwritev2", "creat", "close", "close_range", "stat", "fstat", "lstat",
    "newfstatat", "statx", "fstatat64", "statfs", "fstatfs", "access", "faccessat", "faccessat2",
    "lseek", "dup", "dup2", "dup3", "pipe", "pipe2", "flock", "fsync", "fdatasync", "truncate",
    "ftruncate", "fallocate", "fadvise64", "readahead", "sync_file_range", "copy_file_range",
    "sendfile", "splice", "tee", "getdents", "getdents64", "getcwd", "chdir", "fchdir", "rename",
    "renameat", "renameat2", "mkdir", "mkdirat", "rmdir", "link", "linkat", "unlink", "unlinkat",
    "symlink", "symlinkat", "readlink", "readlinkat", "umask",
    # Waiting.
    "poll", "ppoll", "select", "pselect6", "epoll_create", "epoll_create1", "epoll_ctl",
    "epoll_wait", "epoll_pwait", "epoll_pwait2", "eventfd", "eventfd2", "signalfd", "signalfd4",
    "timerfd_create", "timerfd_settime", "timerfd_gettime", "pause", "nanosleep",
    "clock_nanosleep", "restart_syscall",
    # Memory.
    "mprotect", "munmap", "brk", "mremap", "msync", "mincore", "madvise", "mlock", "mlock2",
    "munlock", "get_mempolicy", "pkey_alloc", "pkey_free", "pkey_mprotect", "membarrier",
    # Processes and threads.
    "fork", "vfork", "execve", "execveat", "exit", "exit_group", "wait4", "waitid", "kill",
    "tkill", "tgkill", "pidfd_open", "pidfd_send_signal", "getpid", "getppid", "gettid",
    "getpgid", "getpgrp", "getsid", "getuid", "geteuid", "getgid", "getegid", "getresuid",
    "getresgid", "getgroups", "capget", "getrlimit", "getrusage", "getpriority", "times",
    "sched_yield", "sched_getaffinity", "sched_getscheduler", "sched_getparam",
    "sched_get_priority_max", "sched_get_priority_min", "sched_rr_get_interval", "getcpu",
    "set_tid_address", "set_robust_list", "rseq", "futex", "futex_waitv",
    "arch_prctl", "set_thread_area", "get_thread_area",
    # Signals and timers.
    "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "rt_sigpending", "rt_sigtimedwait",
    "rt_sigsuspend", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "sigaltstack", "alarm", "getitimer",
    "setitimer",
    # The clock, and what the machine is.
    "time", "gettimeofday", "clock_gettime", "clock_getres", "uname", "sysinfo", "getrandom",
    # Sockets that exist already.
    "sendto", "recvfrom", "sendmsg", "recvmsg", "sendmmsg", "recvmmsg", "shutdown",
    "getsockname", "getpeername", "setsockopt", "getsockopt",
)  # fmt: skip
"""System calls that work with any arguments; see `man 2 syscalls`.

Without `timer_create`, whose signal may be one that lets a stopped process go on (`pause`).
"""

NETWORKED = ("connect", "accept", "accept4", "bind", "listen")
"""Calls that need a network of one's own, and files of one's own for sockets with a name."""

OWN_FILES = (
    "chmod", "fchmod", "fchmodat", "fchmodat2", "chown", "fchown", "lchown", "fchownat", "utime",
    "utimes", "futimesat", "utimensat", "getxattr", "lgetxattr", "fgetxattr", "listxattr",
    "llistxattr", "flistxattr", "mknod", "mknodat",
)  # fmt: skip
"""Calls on any file of the user, whose permissions, times and labels they change or tell."""

OWN_PROCESSES = (
    "setsid", "setpgid", "setpriority", "sched_setaffinity", "sched_setscheduler",
    "sched_setparam", "sched_setattr", "sched_getattr", "ioprio_get",
)  # fmt: skip
"""Calls on any process of the user, or that leave the session's process group."""

NAMESPACES = (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000)
"""The CLONE_NEW* flags, see `man 2 clone`."""

SOCKETS = (1, 2, 10)
"""AF_UNIX, AF_INET and AF_INET6 stay inside a network namespace; others may lead out."""

_FCNTL = (0, 1, 2, 3, 4, 5, 6, 7, 36, 37, 38, 1030, 1032)
"""Duplicates, flags and locks; neither leases nor notices about directories of others."""

_PRCTL = (3, 15, 16, 21, 23, 27, 29, 30, 38, 39, 0x53564D41)
"""Names of threads and memory, and questions; neither core dumps nor whom a parent's end kills."""

_IOCTL = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)
"""Is it a terminal, how wide; how much is there to read; flags.  None changes a file."""

_SHARED, _ANONYMOUS = 0x01, 0x20
_TEMPORARY = 0o20000000
_LIMIT_OF_CORE_DUMPS = 4
_STREAM, _NONBLOCK, _CLOEXEC = 1, 0o4000, 0o2000000
_UNKNOWN = -1


def compiled(*, namespaces: bool = True) -> bytes:
    """Return the filter for this machine in the kernel's format, classic BPF.

    Parameters
    ----------
    namespaces
        Whether the files, processes and networks that student code can name are all its own.

    Raises
    ------
    OSError
        When libseccomp is not installed.
    """
    try:
        import pyseccomp as seccomp
    except (ImportError, RuntimeError, TypeError, AttributeError) as error:
        raise OSError("libseccomp cannot be loaded") from error

    arg, equal, masked = seccomp.Arg, seccomp.EQ, seccomp.MASKED_EQ
    rules = seccomp.SyscallFilter(seccomp.ERRNO(errno.ENOSYS))

    def allow(name: str, *conditions: Any) -> None:
        # A name that libseccomp does not know is one that no old libc needs.
        if seccomp.resolve_syscall(seccomp.Arch.NATIVE, name) != _UNKNOWN:
            rules.add_rule(seccomp.ALLOW, name, *conditions)

    for name in ALLOWED:
        allow(name)
    allow("clone", arg(0, masked, sum(NAMESPACES), 0))
    # Memory that is shared and in no file counts only where it was touched, so that processes can
    # fill it one after the other.
    allow("mmap", arg(3, masked, _SHARED, 0))
    allow("mmap", arg(3, masked, _SHARED | _ANONYMOUS, _SHARED))
    for command in _FCNTL:
        allow("fcntl", arg(1, equal, command))
    for option in _PRCTL:
        allow("prctl", arg(0, equal, option))
    # Only a process's own limits, and not that of core dumps; `inside` says why.
    allow("prlimit64", arg(0, equal, 0), arg(1, seccomp.NE, _LIMIT_OF_CORE_DUMPS))
    allow("prlimit64", arg(0, equal, 0), arg(2, equal, 0))
    if namespaces:
        for name in (*NETWORKED, *OWN_FILES, *OWN_PROCESSES, "open", "openat", "ioctl"):
            allow(name)
        allow("setrlimit", arg(0, seccomp.NE, _LIMIT_OF_CORE_DUMPS))
        for family in SOCKETS:
            allow("socket", arg(0, equal, family))
            allow("socketpair", arg(0, equal, family))
    else:
        for request in _IOCTL:
            allow("ioctl", arg(1, equal, request))
        # A file without a name is one that the watch on the disk cannot see.
        allow("open", arg(1, masked, _TEMPORARY, 0))
        allow("openat", arg(2, masked, _TEMPORARY, 0))
        # Unlike datagrams, a stream that is connected reaches nobody else.
        for flags in (0, _NONBLOCK, _CLOEXEC, _NONBLOCK | _CLOEXEC):
            allow("socketpair", arg(0, equal, 1), arg(1, equal, _STREAM | flags))
    with tempfile.TemporaryFile() as file:
        rules.export_bpf(file)
        file.seek(0)
        return file.read()
