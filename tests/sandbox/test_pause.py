"""In a session that pauses nothing runs, whatever it has started."""

import math
import subprocess
import sys
import time

import pytest
from helpers.sessions import text

from autograder.sandbox import BACKENDS, Limits, Sandbox, pause

# Each writes down when it ran.  The longest gap is how long all of them stood still.
BEATS = """
import os, signal, threading, time
ends = os.pipe2(os.O_NONBLOCK)
last = time.monotonic_ns()
def beat():
    while True:
        os.write(ends[1], b"%19d" % time.monotonic_ns())
        time.sleep(0.01)
threading.Thread(target=beat, daemon=True).start()
if os.fork() == 0:
    if os.fork() == 0:
        beat()
    os._exit(0)
signal.signal(signal.SIGALRM, lambda *_: None)
signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
"""

GAP = """
time.sleep(0.1)
data = os.read(ends[0], 65536)
beats = [last, *sorted(int(data[at : at + 19]) for at in range(0, len(data), 19))]
last = beats[-1]
gaps = [after - before for before, after in zip(beats, beats[1:])]
print(max(gaps) > 0.4e9, len(beats) > 10)
"""


@pytest.mark.sandbox
@pytest.mark.parametrize("backend", [one.name for one in BACKENDS.values() if one.isolates])
def test_threads_and_children_stand_still(backend):
    """They go on where they were when the next cell runs."""
    with (
        Sandbox(Limits(cell_seconds=5), backend) as sandbox,
        sandbox.session(7, math.inf) as session,
    ):
        session.run_cell(BEATS)
        for _ in range(2):
            session.pause()
            time.sleep(0.5)
            assert text(session, GAP) == "True True\n"


@pytest.mark.sandbox
@pytest.mark.parametrize("backend", [one.name for one in BACKENDS.values() if one.isolates])
def test_no_timer_can_wake_a_session(backend):
    """A timer of POSIX could send the signal that lets a process go on."""
    source = """
    import ctypes
    print(ctypes.CDLL(None).timer_create(0, None, ctypes.byref(ctypes.c_long())))
    """
    with (
        Sandbox(Limits(cell_seconds=5), backend) as sandbox,
        sandbox.session(7, math.inf) as session,
    ):
        assert text(session, source) == "-1\n"


FORKS = """
import os, time
for _ in range(3):
    os.fork()
print("ready", flush=True)
while True:
    time.sleep(0.001)
"""


def test_all_descendants_stop_and_go_on():
    """Those of the children too; a process that has ended is in nobody's way."""
    with subprocess.Popen([sys.executable, "-c", FORKS], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            for _ in range(8):
                process.stdout.readline()
            stopped = pause.stop(process.pid)
            assert stopped is not None
            assert len(stopped) == 8
            assert pause.stop(process.pid, keeper=True) == stopped[1:]
            pause.go_on(stopped)
        finally:
            for one in stopped or [process.pid]:
                subprocess.run(["kill", "-9", str(one)], check=False)
    assert pause.stop(process.pid) == [process.pid]
