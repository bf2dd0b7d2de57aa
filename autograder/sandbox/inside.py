"""The program inside the sandbox: one warm process that forks for each submission.

`python -m autograder.sandbox.inside` gets its control socket as standard input.  It imports what
every notebook needs, then forks for each connection that it is handed.  The fork enters its own
namespaces with an empty /tmp, drops its remaining privileges, and only then answers requests on
the connection by running a stranger's code.

The grader trusts nothing in here: once student code runs in a fork, anything that the fork sends
may be forged.  Security rests on what the kernel does not let the fork do.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import gc
import os
import pickle
import resource
import signal
import socket
import struct
from importlib import import_module
from typing import TYPE_CHECKING, Any

from autograder.judging.wall import LAYERS
from autograder.sandbox import keeper, landlock, rights, scratch, torch_gone
from autograder.sandbox.seccomp import NAMESPACES

if TYPE_CHECKING:
    from autograder.sandbox.layers_gone import Layer
    from autograder.sandbox.shell import Shell

PRELOAD = (
    "IPython.core.logger",
    "numpy.random",
    "torch",
    "matplotlib.pyplot",
    "autograder.judging.observe",
    "autograder.sandbox.pipe",
    "autograder.sandbox.shell",
)
"""Modules that notebooks import, or that load on first use, so that no fork has to."""

NOBODY = 65534

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

_NOSUID, _NODEV, _READ_ONLY, _BIND, _RECURSIVE, _PRIVATE = 2, 4, 1, 0x1000, 0x4000, 1 << 18
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE = 1, 4

# The number of the system call clone: x86-64 has its own, the others share theirs.
_CLONE = 56 if os.uname().machine == "x86_64" else 220

_libc = ctypes.CDLL(None, use_errno=True)
# Holds the GIL during a call, as a fork must.
_libc_with_lock = ctypes.PyDLL(None, use_errno=True)


def main() -> None:
    """Serve until the control socket closes."""
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "--namespaces", action="store_true", help="put each submission into namespaces of its own"
    )
    parser.add_argument("--seccomp", type=bytes.fromhex, default=b"", help="filter, in hex")
    parser.add_argument("--tmpfs", type=int, default=64 * 2**20, help="bytes in /tmp")
    parser.add_argument("--landlock", metavar="BASE", help="where sessions get their folders")
    parser.add_argument("--readable", nargs="*", default=[], help="what Landlock lets them read")
    parser.add_argument("--keep", nargs="*", default=[], help="what to show in /tmp")
    parser.add_argument("--without-torch", action="store_true", help="have a stand-in instead")
    options = parser.parse_args()
    options.hidden = [_PACKAGE]
    if os.getuid() == 0 and options.namespaces:
        _drop_root()
    if options.landlock:
        # Whoever interrupts the grader must not interrupt this process before it has cleaned up.
        os.setsid()
        scratch.sweep(options.landlock)
        rights.check_others_can_run_python()
    if options.without_torch:
        options.hidden += torch_gone.folders()
        torch_gone.install()
    for name in PRELOAD:
        import_module(name)
    if not options.without_torch:
        layers_gone = import_module("autograder.sandbox.layers_gone")
        options.layers = {name: layers_gone.find(name) for name in LAYERS}
    import_module("autograder.sandbox.strip_references").strip_references()
    shell = import_module("autograder.sandbox.shell").Shell.instance()
    # A new user namespace has no users until its owner's ids are mapped.
    owner = os.getuid(), os.getgid()
    # Without this, the garbage collector of each fork would copy every page with an object in it.
    gc.freeze()
    control = socket.socket(fileno=0)
    control.send(b"ready")
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, 1, 1)
        if not message:
            return
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        own = scratch.claim(options.landlock) if options.landlock else None
        pid = _fork_into_namespaces() if options.namespaces else os.fork()
        if pid == 0:
            if own is not None:
                keeper.keep(own)
            _serve_one_submission(descriptors[0], shell, owner, options, own)
        told = [os.pidfd_open(pid)] if own is None else [os.pidfd_open(pid), own.descriptor]
        socket.send_fds(control, [b"p"], told)
        for descriptor in (*told, *descriptors, *([own.lock] if own is not None else [])):
            os.close(descriptor)


def _drop_root() -> None:
    """Become nobody, because the kernel does not limit root's processes."""
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    # Changing the user makes /proc/self inaccessible, which user namespaces are set up through.
    _checked(_libc.prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0))


def _serve_one_submission(
    descriptor: int,
    shell: Shell,
    owner: tuple[int, int],
    options: argparse.Namespace,
    own: scratch.Scratch | None,
) -> None:
    """Isolate this fork, then answer requests on its connection."""
    status = 1
    try:
        _checked(_libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0))
        with open("/proc/self/statm") as file:
            address_space = int(file.read().split()[0]) * resource.getpagesize()
        if options.namespaces:
            _arrange_namespaces(owner, options.tmpfs, options.keep, options.hidden)
        if own is None:
            os.setsid()
        _keep_only(descriptor)
        connection = socket.socket(fileno=descriptor)
        limits = _receive(connection)
        _set_limits(limits, address_space, options.namespaces)
        if options.namespaces:
            rights.give_up_capabilities()
            rights.filter_system_calls(options.seccomp)
        if own is not None:
            rights.limit_processes(limits["processes"], own.user)
            rights.use_own_folder(own.path)
            rights.become(own.user)
            landlock.restrict(options.readable, own.path, hidden=options.hidden)
            rights.filter_system_calls(options.seccomp)
        if options.without_torch:
            _seed(limits["seed"])
        else:
            _prepare_torch(limits["seed"], limits["without"], options.layers)
        _serve(connection, shell)
        status = 0
    except BaseException as error:
        # The grader reads standard error for as long as it is open.
        os.write(2, f"{type(error).__name__}: {error}\n".encode())
    finally:
        os._exit(status)


def _fork_into_namespaces() -> int:
    """Fork like `os.fork`, but make the child the first process of its own namespaces.

    When the first process of a PID namespace ends, the kernel kills all the others.  `os.unshare`
    would leave the caller outside and need a second fork.  Each fork copies the page tables of all
    imported modules, which is most of the cost of a session.
    """
    flags = ctypes.c_ulong(sum(NAMESPACES) | signal.SIGCHLD)
    nothing = [ctypes.c_void_p()] * 4
    ctypes.pythonapi.PyOS_BeforeFork()
    # Not clone3, which some container runtimes answer with ENOSYS.
    pid: int = _libc_with_lock.syscall(_CLONE, flags, *nothing)
    number = ctypes.get_errno()
    if pid == 0:
        ctypes.pythonapi.PyOS_AfterFork_Child()
    else:
        ctypes.pythonapi.PyOS_AfterFork_Parent()
    if pid < 0:
        raise OSError(number, os.strerror(number))
    return pid


def _arrange_namespaces(
    owner: tuple[int, int], tmpfs: int, kept: list[str], hidden: list[str]
) -> None:
    """Map the user's ids, empty /tmp and /dev/shm, and hide /proc and some folders."""
    user, group = owner
    for name, content in (
        ("setgroups", "deny"),
        ("uid_map", f"{user} {user} 1"),
        ("gid_map", f"{group} {group} 1"),
    ):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(content)
    _mount(b"none", b"/", None, _RECURSIVE | _PRIVATE, None)
    folders = [(path, os.open(path, os.O_PATH | os.O_DIRECTORY)) for path in kept]
    size = b"size=%d,nr_inodes=10000,mode=700" % tmpfs
    for folder in (b"/tmp", b"/dev/shm"):
        _mount(b"tmpfs", folder, b"tmpfs", _NOSUID | _NODEV, size)
    for path, descriptor in folders:
        os.makedirs(path, exist_ok=True)
        _mount(b"/proc/self/fd/%d" % descriptor, os.fsencode(path), None, _BIND | _RECURSIVE, None)
    # Everything needed from our package is in memory, and student code must not read the rest.
    for folder in (b"/proc", *map(os.fsencode, hidden)):
        _mount(b"tmpfs", folder, b"tmpfs", _NOSUID | _NODEV | _READ_ONLY, b"size=4k")
    os.chdir("/tmp")


def _mount(
    source: bytes, target: bytes, kind: bytes | None, flags: int, options: bytes | None
) -> None:
    _checked(_libc.mount(source, target, kind, ctypes.c_ulong(flags), options))


def _keep_only(descriptor: int) -> None:
    """Close all files but one; the standard streams become /dev/null."""
    null = os.open("/dev/null", os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(null, standard)
    os.closerange(3, descriptor)
    os.closerange(descriptor + 1, resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def _set_limits(limits: dict[str, int], address_space: int, own_user: bool) -> None:
    for name, value in {
        # Address space bounds memory; what is mapped already is shared with the parent.
        "AS": address_space + limits["memory"],
        "CPU": limits["cpu"],
        "FSIZE": limits["file_size"],
        # Outside a user namespace, this would count all processes of the user.
        "NPROC": limits["processes"] if own_user else resource.RLIM_INFINITY,
        "NOFILE": 256,
        # 0 does not stop a core dump that the kernel pipes into a program of the host; 1 does.
        # https://github.com/torvalds/linux/blob/v6.12/fs/coredump.c, "RLIMIT_CORE of 1"
        "CORE": 1,
        "MEMLOCK": 0,
        "MSGQUEUE": 0,
        "SIGPENDING": 256,
    }.items():
        number = getattr(resource, f"RLIMIT_{name}", None)
        if number is not None:
            hard = resource.getrlimit(number)[1]
            bounds = [bound for bound in (value, hard) if bound != resource.RLIM_INFINITY]
            if bounds:
                resource.setrlimit(number, (min(bounds), min(bounds)))


def _checked(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _seed(seed: int) -> None:
    """Seed the global generators, so that regrading a submission draws the same numbers."""
    import random

    import numpy as np

    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002  # students' code may use it


def _prepare_torch(seed: int, without: list[str], layers: dict[str, Layer]) -> None:
    """Seed PyTorch's generator as well, and take away the layers that are written here."""
    import torch

    from autograder.sandbox.layers_gone import remove

    _seed(seed)
    torch.manual_seed(seed)
    for name in without:
        remove(layers[name])


def _serve(connection: socket.socket, shell: Shell) -> None:
    """Answer requests until the connection closes."""
    from autograder.judging.observe import observe
    from autograder.sandbox import pipe
    from autograder.tasks import tasks

    connection.sendall(pipe.reply({}))
    while True:
        request = _receive(connection)
        if request["do"] == "cell":
            outputs = shell.run(request["source"])
            connection.sendall(pipe.reply({"outputs": outputs.headers}, outputs.pictures))
        else:
            observed = observe(tasks[request["task"]], shell.user_ns, request["cases"])
            connection.sendall(pipe.observed_reply(observed))


def _receive(connection: socket.socket) -> Any:
    def read(count: int) -> bytes:
        parts = bytearray()
        while len(parts) < count:
            part = connection.recv(count - len(parts))
            if not part:
                os._exit(0)
            parts += part
        return bytes(parts)

    (length,) = struct.unpack(">I", read(4))
    return pickle.loads(read(length))


if __name__ == "__main__":
    main()
