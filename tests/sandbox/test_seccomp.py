"""Which system calls student code can make, tried in a real sandbox."""

import ast
import math
import platform
import textwrap

import pytest

from autograder.sandbox import Limits, Sandbox

pytestmark = pytest.mark.sandbox


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox(Limits(cell_seconds=10)) as sandbox:
        yield sandbox


@pytest.fixture
def value(sandbox):
    """Return a function that runs a cell in a fresh session and returns the value it shows."""

    def run(source):
        with sandbox.session(0, math.inf) as session:
            outputs = session.run_cell(textwrap.dedent(source))
            return ast.literal_eval("".join(output.text for output in outputs))

    return run


@pytest.mark.skipif(platform.machine() != "x86_64", reason="The numbers are those of x86-64.")
def test_what_the_list_does_not_name_is_not_there(value):
    """Old calls without use, those that libseccomp has no name for, and those yet to come."""
    numbers = {
        "io_setup": 206,
        "modify_ldt": 154,
        "mbind": 237,
        "inotify_init1": 294,
        "landlock_create_ruleset": 444,
        "open_tree_attr": 467,
        "file_getattr": 468,
        "not yet": 600,
    }
    source = f"""
        import ctypes
        libc = ctypes.CDLL(None, use_errno=True)
        [(libc.syscall(number, 0, 0, 0, 0), ctypes.get_errno()) for number in {[*numbers.values()]}]
    """
    assert value(source) == [(-1, 38)] * len(numbers)


def test_memory_is_not_shared_outside_of_files(value):
    """Neither anonymous nor by /dev/zero; private memory and files are mapped as ever."""
    source = """
        import mmap, numpy as np
        def works(*arguments, **options):
            try:
                return len(mmap.mmap(*arguments, **options)) == 4096
            except OSError:
                return False
        np.save("/tmp/x.npy", np.zeros(512))
        zero, file = open("/dev/zero", "r+b"), open("/tmp/x.npy", "r+b")
        private = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        (works(-1, 4096), works(-1, 4096, flags=0x20 | 0x03), works(zero.fileno(), 4096),
         works(-1, 4096, flags=private), works(file.fileno(), 4096),
         float(np.load("/tmp/x.npy", mmap_mode="r").sum()))
    """
    assert value(source) == (False, False, False, True, True, 0.0)


def test_a_crash_dumps_no_core(value):
    """The limit that forbids it, also to a program that the kernel would pipe it to, stays."""
    source = """
        import resource
        def refused(limit, value):
            try:
                resource.setrlimit(limit, (value, value))
            except OSError:
                return True
        (refused(resource.RLIMIT_CORE, 0), resource.getrlimit(resource.RLIMIT_CORE),
         refused(resource.RLIMIT_NOFILE, 100), resource.getrlimit(resource.RLIMIT_NOFILE))
    """
    assert value(source) == (True, (1, 1), None, (100, 100))


def test_files_and_processes_of_others_are_not_watched(value):
    """Neither leases nor notices about a folder that all sessions share."""
    source = """
        import fcntl, os
        folder = os.open("/usr", os.O_RDONLY)
        def refused(command, argument):
            try:
                fcntl.fcntl(folder, command, argument)
            except OSError as error:
                return error.errno == 38
        refused(fcntl.F_NOTIFY, 1), refused(fcntl.F_SETLEASE, 0), refused(fcntl.F_GETFD, 0)
    """
    assert value(source) == (True, True, None)


def test_what_notebooks_use_works(value):
    """Linear algebra, training, pictures, threads, subprocesses, asyncio."""
    source = """
        import asyncio, subprocess, sys
        from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
        import matplotlib.pyplot as plt, numpy as np, torch
        torch.nn.Linear(9, 9)(torch.rand(9, 9)).sum().backward()
        plt.plot([1, 2])
        plt.savefig("picture.png")
        plt.close()
        asyncio.run(asyncio.sleep(0))
        (round(float(np.linalg.svd(np.eye(99))[1].sum())),
         list(ThreadPoolExecutor(2).map(abs, [-1])), list(ProcessPoolExecutor(2).map(abs, [-1])),
         subprocess.run("echo x | cat", shell=True, capture_output=True).stdout,
         subprocess.run([sys.executable, "-c", "print(1)"], capture_output=True).stdout)
    """
    assert value(source) == (99, [1], [1], b"x\n", b"1\n")
