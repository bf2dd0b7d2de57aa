"""What is counted of processes that come and go; these run without a sandbox."""

import subprocess
import sys
import textwrap

from autograder.sandbox.usage import Usage

SPEND = """
    import os, signal, sys, time
    if {ignored}:
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    if os.fork() == 0:
        while time.process_time() < 1:
            pass
        print("spent", flush=True)
        time.sleep(1000)
    sys.stdin.readline()
    os.kill(0, signal.SIGUSR1)
    if not {ignored}:
        os.wait()
    print("ended", flush=True)
    sys.stdin.readline()
"""


def spent(ignored):
    """Return the time of a process after its child has used a second and is gone."""
    source = "import signal\nsignal.signal(signal.SIGUSR1, signal.SIG_IGN)\n" + textwrap.dedent(
        SPEND.format(ignored=ignored)
    ).replace("    while time", "    signal.signal(signal.SIGUSR1, signal.SIG_DFL)\n    while time")
    with subprocess.Popen(
        [sys.executable, "-c", source],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        usage = Usage(process.pid)
        assert process.stdout.readline() == "spent\n"
        before = usage.processor_time()
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "ended\n"
        after = usage.processor_time()
        process.kill()
    assert after >= before
    return after


def test_the_time_of_a_child_that_nobody_waits_for_is_kept():
    """Its parent ignores that it ends, so the kernel adds its time to nobody's."""
    assert 0.9 < spent(ignored=True) < 2


def test_the_time_of_a_child_that_was_waited_for_counts_once():
    """The kernel adds it to its parent's, and what was seen of it is not added again."""
    assert 0.9 < spent(ignored=False) < 2


def test_a_process_that_is_gone_uses_nothing():
    """The grader may look after the end."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    usage = Usage(process.pid)
    assert usage.processes() == []
    assert usage.processor_time() == 0
    assert usage.memory(10) == 0
    assert not usage.first_is_larger(0)
