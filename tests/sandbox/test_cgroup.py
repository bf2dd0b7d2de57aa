"""Control groups: in a folder that looks like one, and in real ones where this machine has them."""

import math
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import psutil
import pytest

from autograder.sandbox import Limits, Sandbox, cgroup

EVERY = ("cgroup.procs", "memory.max", "memory.swap.max", "memory.oom.group", "pids.max")


@pytest.fixture
def parent(tmp_path, monkeypatch):
    """A folder in which each new folder has the files of a control group."""
    (tmp_path / "cgroup.controllers").write_text("cpu memory pids\n")
    (tmp_path / "cgroup.subtree_control").write_text("")
    (tmp_path / "cgroup.procs").write_text(f"{os.getpid()}\n")
    make = Path.mkdir

    def mkdir(path, *arguments, **options):
        make(path, *arguments, **options)
        for name in EVERY:
            (path / name).write_text("max")

    monkeypatch.setattr(Path, "mkdir", mkdir)
    return tmp_path


@pytest.fixture
def process():
    """A process that has no others below it, as this one may have."""
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process.pid
        process.kill()


def test_the_limits_are_those_of_the_whole_session(parent, process):
    """Memory without swap, ended as a whole, and one process more for what keeps the session."""
    cgroup.enter(process, 1000, 64, parent)
    assert "+memory" in (parent / "cgroup.subtree_control").read_text()
    [path] = parent.glob("autograder-session-*")
    assert {name: (path / name).read_text() for name in EVERY[1:]} == {
        "memory.max": "1000",
        "memory.swap.max": "0",
        "memory.oom.group": "1",
        "pids.max": "65",
    }
    assert (path / "cgroup.procs").read_text() == str(process)


def test_without_a_group_there_is_none(tmp_path):
    """Neither in a folder that is no control group nor where one cannot be made."""
    assert cgroup.enter(os.getpid(), 1000, 64, tmp_path) is None
    assert cgroup.enter(os.getpid(), 1000, 64, tmp_path / "nowhere") is None
    assert list(tmp_path.iterdir()) == []


def test_processor_time_is_read_in_seconds(tmp_path):
    """The kernel counts in millionths; what cannot be read is nothing."""
    assert cgroup.Group(tmp_path).processor_time() == 0
    (tmp_path / "cpu.stat").write_text("usage_usec 2500000\nuser_usec 1\n")
    assert cgroup.Group(tmp_path).processor_time() == 2.5


@pytest.fixture
def group():
    """A real group with a process that sleeps in it, which can fork."""
    command = "import os, sys; sys.stdin.readline(); os.fork(); sys.stdin.readline()"
    with subprocess.Popen([sys.executable, "-c", command], stdin=subprocess.PIPE) as process:
        group = cgroup.enter(process.pid, 2**30, 64)
        if group is None:
            process.kill()
            pytest.skip("This machine has no control groups of version 2 for this user.")
        yield group, process
        process.kill()
        group.close()


def test_a_group_is_killed_and_removed(group):
    """With all that was started in it."""
    real, process = group
    process.stdin.write(b"\n")
    process.stdin.flush()
    while not (children := psutil.Process(process.pid).children()):
        pass
    assert set(map(int, (real._path / "cgroup.procs").read_text().split())) >= {
        process.pid,
        children[0].pid,
    }
    (real._path / "cgroup.kill").write_text("1")
    process.wait()
    psutil.wait_procs(children)
    real.close()
    assert not real._path.exists()


@pytest.mark.sandbox
@pytest.mark.parametrize("backend", ["bubblewrap", "landlock"])
def test_time_that_nobody_could_see_is_counted(backend, group):
    """Each child ends before the grader looks again, and its parent ignores that it ends."""
    source = """
        import os, signal, time
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        for _ in range(30):
            if os.fork() == 0:
                while time.process_time() < 0.05:
                    pass
                os._exit(0)
            try:
                os.wait()
            except ChildProcessError:
                pass
    """
    with Sandbox(Limits(cell_seconds=30), backend) as sandbox:
        with sandbox.session(0, math.inf) as session:
            session.run_cell(textwrap.dedent(source))
            assert session._usage.processor_time() > 1.4
        assert not session._group._path.exists()
