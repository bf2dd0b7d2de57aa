"""Attacks that use up what there is, or end the process that runs them."""

from attacks.attack import (
    BACKWARD,
    DIE,
    EXHAUST,
    HONEST,
    PENALTY,
    Attack,
    Build,
    added,
    honest,
)

# These must never run outside of a sandbox, not even when something is wrong with it.
# In each of them, a process cannot read about itself.
GUARD = """
import os
try:
    open("/proc/self/status").close()
except OSError:
    pass
else:
    os._exit(1)
"""

DEAF = """
import signal
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM, signal.SIGXCPU, signal.SIGUSR1):
    signal.signal(number, signal.SIG_IGN)
while True:
    try:
        while True:
            pass
    except BaseException:
        pass
"""

SLEEPS = """
import signal, time
signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 32))
while True:
    time.sleep(1000)
"""

FORK_BOMB = (
    GUARD
    + """
import os
for _ in range(100_000):
    try:
        os.fork()
    except OSError:
        pass
while True:
    pass
"""
)

THREAD_BOMB = (
    GUARD
    + """
import threading, time
for _ in range(100_000):
    try:
        threading.Thread(target=time.sleep, args=(1000,)).start()
    except RuntimeError:
        break
"""
)

MEMORY_BOMB = (
    GUARD
    + """
kept = []
while True:
    kept.append(bytearray(b"x") * (64 * 2**20))
"""
)

MEMORY_BY_FORKS = (
    GUARD
    + """
import os, time
for _ in range(200):
    try:
        if os.fork() == 0:
            kept = [bytearray(b"x") * (256 * 2**20)]
            time.sleep(1000)
    except (OSError, MemoryError):
        pass
time.sleep(1000)
"""
)

SHARED = (
    GUARD
    + """
import mmap
kept = []
for _ in range(1000):
    one = mmap.mmap(-1, 256 * 2**20)
    for at in range(0, len(one), 4096):
        one[at] = 1
    kept.append(one)
"""
)

MEMFD = (
    GUARD
    + """
import os
kept = []
for _ in range(1000):
    fd = os.memfd_create("x")
    kept.append(fd)
    for _ in range(64):
        os.write(fd, b"x" * 2**22)
"""
)

SYSV = (
    GUARD
    + """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
libc.shmat.restype = ctypes.c_void_p
for _ in range(4000):
    identifier = libc.shmget(0, ctypes.c_size_t(64 * 2**20), 0o1600)
    if identifier < 0:
        break
    address = libc.shmat(identifier, None, 0)
    if address in (None, ctypes.c_void_p(-1).value):
        break
    ctypes.memset(address, 1, 64 * 2**20)
    libc.shmdt(ctypes.c_void_p(address))
"""
)

FILL = (
    GUARD
    + """
import os
written = 0
for folder in FOLDERS:
    try:
        with open(os.path.join(folder, "fill"), "wb") as file:
            while written < 64 * 2**30:
                written += file.write(b"x" * 2**22)
    except OSError as error:
        print(folder, written, error)
print(written)
"""
)

INODES = (
    GUARD
    + """
import os
made = 0
for folder in ("/tmp", ".", "/dev/shm", os.path.expanduser("~")):
    try:
        for number in range(3_000_000):
            os.mkdir(f"{folder}/{number}")
            made += 1
    except OSError as error:
        print(folder, made, error)
"""
)

NESTED = (
    GUARD
    + """
import ctypes, os, subprocess
libc = ctypes.CDLL(None, use_errno=True)
NEWUSER, NEWNS = 0x10000000, 0x00020000
print("unshare", libc.unshare(NEWUSER | NEWNS), ctypes.get_errno())
os.makedirs("/tmp/nested", exist_ok=True)
print("mount", libc.mount(b"tmpfs", b"/tmp/nested", b"tmpfs", 0, b"size=64g"), ctypes.get_errno())
try:
    with open("/tmp/nested/fill", "wb") as file:
        for _ in range(16000):
            file.write(b"x" * 2**22)
except OSError as error:
    print(error)
for command in (["unshare", "-Urm", "true"], ["bwrap", "--bind", "/", "/", "true"]):
    try:
        print(command, subprocess.run(command, capture_output=True, timeout=3).returncode)
    except OSError as error:
        print(error)
"""
)

ENDLESS = """
while True:
    print("x" * 1000)
"""

ENDLESS_BELOW = (
    GUARD
    + """
import os
while True:
    os.write(1, b"x" * 65536)
    os.write(2, b"x" * 65536)
"""
)

ONE_LINE = """
import sys
for _ in range(1000):
    sys.stdout.write("x" * 10**6)
"""

MANY = """
from IPython.display import display
for number in range(100_000):
    display(number)
"""

PICTURES = """
from IPython.display import display
for _ in range(100):
    display({"image/png": "A" * 20_000_000, "text/html": "<b>x</b>" * 1_000_000}, raw=True)
"""

UPDATES = """
from IPython.display import clear_output, display
handle = display("x", display_id=True)
for number in range(100_000):
    handle.update("y" * 100)
    clear_output(wait=True)
"""

WARNINGS = """
import sys, warnings
warnings.simplefilter("always")
for number in range(20_000):
    warnings.warn("w" * 1000)
    print("e" * 1000, file=sys.stderr)
"""

DEEP = """
def deep(n):
    return deep(n + 1)
deep(0)
"""

DEEPER = """
import sys, threading
sys.setrecursionlimit(10**9)
def deep(n):
    return [deep(n + 1) for _ in range(1)]
deep(0)
"""

DESCRIPTORS = """
import os
kept = []
try:
    while True:
        kept += os.pipe()
except OSError:
    pass
"""

INTEGER = """
import sys
sys.set_int_max_str_digits(0)
text = str(7 ** (10**8))
"""

REGULAR = """
import re
re.match("(a+)+$", "a" * 60 + "b")
"""

INPUT = """
name = input("Your name? ")
import sys
sys.stdin.read()
"""

LONG_MESSAGE = 'raise ValueError("x" * 200_000_000)'
LONG_NAME = 'raise type("X" * 10_000_000, (Exception,), {})("y" * 10_000_000)'
ENDLESS_CAUSE = """
error = ValueError(0)
for number in range(100_000):
    other = ValueError(number)
    other.__cause__ = error
    error = other
raise error
"""
HUGE_RESULT = "return [np.zeros((20_000, 20_000)) for weight in weights]"
MANY_RESULTS = "return [np.zeros((1000, 1000)) for _ in range(2000)]"
SLOW_REPR = """
class Slow:
    def __repr__(self):
        while True: pass
    _repr_html_ = _repr_mimebundle_ = __str__ = __repr__
Slow()
"""


def _both(body: str) -> Build:
    return added(l2_penalty=body, l2_penalty_backward=body)


def _first(body: str) -> Build:
    """Misbehave in one answer; the other is honest."""
    return added(l2_penalty=body, l2_penalty_backward=BACKWARD)


def _second(body: str) -> Build:
    return added(l2_penalty=PENALTY, l2_penalty_backward=body)


def _fill(*folders: str) -> str:
    return f"FOLDERS = {folders!r}\n{FILL}"


EXHAUSTING = [
    Attack("endless-loop", EXHAUST, _first(DEAF), 3.0, quick=True),
    Attack("endless-loop-everywhere", EXHAUST, _both(DEAF)),
    Attack("endless-loop-in-a-cell", EXHAUST, honest(DEAF), 6.0),
    Attack("sleeps", EXHAUST, _first(SLEEPS), 3.0),
    Attack("fork-bomb", EXHAUST, honest(FORK_BOMB), 6.0),
    Attack("fork-bomb-in-an-answer", EXHAUST, _first(FORK_BOMB), 3.0),
    Attack("thread-bomb", EXHAUST, honest(THREAD_BOMB), 6.0),
    Attack("memory-bomb", EXHAUST, _first(MEMORY_BOMB), 3.0, quick=True),
    Attack("memory-bomb-in-a-cell", EXHAUST, honest(MEMORY_BOMB), 6.0),
    Attack("memory-by-forks", EXHAUST, honest(MEMORY_BY_FORKS), 6.0),
    Attack("shared-mappings", EXHAUST, honest(SHARED), 6.0),
    Attack("memfd", EXHAUST, honest(MEMFD), 6.0),
    Attack("system-v-memory", EXHAUST, honest(SYSV), 6.0),
    Attack("fills-disks", EXHAUST, honest(_fill(".", "/", "/tmp", "/var/tmp", "/run")), 6.0),
    Attack("fills-devices", EXHAUST, honest(_fill("/dev/shm", "/dev", "/dev/mqueue")), 6.0),
    Attack("fills-inodes", EXHAUST, honest(INODES), 6.0),
    Attack("nested-namespaces", EXHAUST, honest(NESTED), 6.0),
    Attack("endless-output", EXHAUST, honest(ENDLESS), 6.0),
    Attack("endless-output-in-an-answer", EXHAUST, _first(ENDLESS), 3.0),
    Attack("endless-output-below-python", EXHAUST, honest(ENDLESS_BELOW), 6.0),
    Attack("one-line-of-a-gigabyte", EXHAUST, honest(ONE_LINE), 6.0),
    Attack("hundred-thousand-outputs", EXHAUST, honest(MANY), 6.0, quick=True),
    Attack("huge-pictures", EXHAUST, honest(PICTURES), 6.0),
    Attack("updated-outputs", EXHAUST, honest(UPDATES), 6.0),
    Attack("warnings-without-end", EXHAUST, honest(WARNINGS), 6.0),
    Attack("deep-recursion", EXHAUST, _first(DEEP), 3.0),
    Attack("deeper-recursion", EXHAUST, _first(DEEPER), 3.0),
    Attack("deeper-recursion-in-a-cell", EXHAUST, honest(DEEPER), 6.0),
    Attack("all-descriptors", EXHAUST, honest(DESCRIPTORS), 6.0, forfeits=True),
    Attack("integer-to-text", EXHAUST, honest(INTEGER), 6.0),
    Attack("regular-expression", EXHAUST, _first(REGULAR), 3.0),
    Attack("waits-for-input", EXHAUST, honest(INPUT), 6.0),
    Attack("long-message", EXHAUST, _first(LONG_MESSAGE), 3.0),
    Attack("long-names", EXHAUST, _first(LONG_NAME), 3.0),
    Attack("endless-causes", EXHAUST, _first(ENDLESS_CAUSE), 3.0),
    Attack("huge-result", EXHAUST, _second(HUGE_RESULT), 3.0),
    Attack("many-results", EXHAUST, _second(MANY_RESULTS), 3.0),
    Attack("endless-repr", EXHAUST, honest(SLOW_REPR), 6.0),
]

SEGFAULT = "import ctypes\nctypes.string_at(8)"
KILLS_ITSELF = "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"
KILLS_ALL = (
    GUARD
    + """
import signal
os.kill(-1, signal.SIGKILL)
"""
)
QUIET = """
class Quiet(BaseException):
    def __str__(self):
        raise KeyboardInterrupt
raise Quiet
"""
STOPS_ITSELF = "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)"
REPLACED = "import os\nos.execv('/bin/true', ['true'])"
DEL = """
class Late:
    def __del__(self):
        import os
        os._exit(0)
"""

DYING = [
    Attack("os-exit", DIE, _first("import os\nos._exit(0)"), 3.0, quick=True, stock=True),
    Attack("os-exit-everywhere", DIE, _both("import os\nos._exit(1)")),
    Attack("os-exit-in-a-cell", DIE, honest("import os\nos._exit(0)"), 6.0),
    Attack("segfault", DIE, _first(SEGFAULT), 3.0),
    Attack("segfault-in-a-cell", DIE, honest(SEGFAULT), 6.0),
    Attack("kills-itself", DIE, _first(KILLS_ITSELF), 3.0),
    Attack("kills-all", DIE, _first(KILLS_ALL), 3.0),
    Attack("aborts", DIE, _first("import os\nos.abort()"), 3.0),
    Attack("sys-exit", DIE, _first("import sys\nsys.exit(0)"), 3.0, stock=True),
    Attack("sys-exit-in-a-cell", DIE, honest("import sys\nsys.exit(0)"), 6.0),
    Attack("quit-in-a-cell", DIE, honest("quit()"), 6.0),
    Attack("keyboard-interrupt", DIE, _first("raise KeyboardInterrupt"), 3.0),
    Attack("keyboard-interrupt-in-a-cell", DIE, honest("raise KeyboardInterrupt"), 6.0),
    Attack("interrupts-main", DIE, _first("import _thread\n_thread.interrupt_main()"), 3.0),
    Attack("generator-exit", DIE, _first("raise GeneratorExit"), 3.0),
    Attack("base-exception", DIE, _first(QUIET), 3.0),
    Attack("stops-itself", DIE, _first(STOPS_ITSELF), 3.0),
    Attack("replaces-itself", DIE, _first(REPLACED), 3.0),
    Attack(
        "dies-when-collected", DIE, added(DEL, **HONEST | {"l2_penalty": "Late(); return 0.0"}), 3.0
    ),
]

ATTACKS = [*EXHAUSTING, *DYING]
