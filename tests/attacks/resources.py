"""Attacks on what a session may use, and on what it may leave for another."""

from attacks.attack import BACKWARD, EXHAUST, PIPE, STAY, Attack, added, honest
from attacks.calls import CALL, achieves_nothing
from attacks.limits import GUARD

# Files that take no room until each of their pages is written through memory.
SPARSE = """
import mmap, os
for number in range(200):
    try:
        file = os.open(f"sparse-{number}", os.O_CREAT | os.O_RDWR)
        os.ftruncate(file, 60 * 2**20)
        pages = mmap.mmap(file, 0)
        for at in range(0, len(pages), 4096):
            pages[at] = 1
        pages.close()
        os.close(file)
    except (OSError, ValueError):
        break
"""

HARD_LINKS = """
import os
open("one", "w").close()
try:
    for number in range(3_000_000):
        os.link("one", f"link-{number}")
except OSError:
    pass
"""

LONG_LINKS = """
import os
try:
    for number in range(3_000_000):
        os.symlink("x" * 4000, f"long-{number}")
except OSError:
    pass
"""

LONG_NAMES = """
import os
try:
    for number in range(3_000_000):
        open(f"{number}".rjust(255, "x"), "w").close()
except OSError:
    pass
"""

# The kernel remembers that a name is not there.
ABSENT_NAMES = """
import os
number = 0
while True:
    os.path.exists("x" * 200 + str(number))
    number += 1
"""

RENAMES = """
import os
for number in range(100_000):
    try:
        with open("one", "wb") as file:
            file.write(b"x" * 2**20)
        os.rename("one", f"other-{number % 2000}")
    except OSError:
        break
"""

PREALLOCATED = """
import os
kept = []
try:
    for number in range(1000):
        kept.append(os.open(f"room-{number}", os.O_CREAT | os.O_RDWR))
        os.posix_fallocate(kept[-1], 0, 60 * 2**20)
except OSError:
    pass
"""

PIPE_BUFFERS = """
import os, time
for _ in range(60):
    try:
        if os.fork() == 0:
            kept = []
            try:
                while True:
                    kept.append(os.pipe())
                    os.set_blocking(kept[-1][1], False)
                    while os.write(kept[-1][1], b"x" * 65536):
                        pass
            except BlockingIOError:
                pass
            except OSError:
                break
            time.sleep(1000)
    except OSError:
        break
time.sleep(1)
"""

# What a socket holds that was sent through another, and through a third.
SOCKETS_IN_SOCKETS = """
import os, socket
outer = socket.socketpair()
for end in outer:
    end.setblocking(False)
sent = 0
try:
    while sent < 100_000:
        inner = socket.socketpair()
        inner[0].setblocking(False)
        try:
            inner[0].send(b"x" * 100_000)
        except BlockingIOError:
            pass
        socket.send_fds(outer[0], [b"x"], [inner[0].fileno(), inner[1].fileno()])
        for end in inner:
            end.close()
        sent += 1
except OSError:
    pass
assert sent < 5000, sent
"""

QUEUED = """
import os, signal
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGRTMIN + 2])
info = ctypes.create_string_buffer(128)
ctypes.memmove(info, (signal.SIGRTMIN + 2).to_bytes(4, "little") + bytes(4) + b"\\xff" * 4, 12)
sent = 0
while sent < 100_000 and call(129, os.getpid(), signal.SIGRTMIN + 2, info) == 0:
    sent += 1
assert 0 < sent < 1000, sent
"""

ALARMS = """
import os, signal
signal.signal(signal.SIGALRM, lambda *_: None)
signal.signal(signal.SIGVTALRM, signal.SIG_IGN)
for _ in range(30):
    if os.fork() == 0:
        signal.setitimer(signal.ITIMER_REAL, 1e-6, 1e-6)
        signal.setitimer(signal.ITIMER_VIRTUAL, 1e-6, 1e-6)
        while True:
            signal.pause()
signal.setitimer(signal.ITIMER_REAL, 1e-5, 1e-5)
"""

# Works only while nobody looks: when another session of this notebook is asked.
SPINS_LATER = """
import os, time
for _ in range(3):
    if os.fork() == 0:
        time.sleep(0.2)
        while True:
            pass
"""

ZOMBIES = """
import os
for _ in range(1000):
    try:
        if os.fork() == 0:
            os._exit(0)
    except OSError:
        break
"""

STOPPED_CHILDREN = """
import os, signal, time
for _ in range(5):
    if os.fork() == 0:
        kept = [b"x" * (300 * 2**20)]
        os.kill(os.getpid(), signal.SIGSTOP)
time.sleep(1000)
"""

# The parent waits where no signal reaches it until its child runs a program.
VFORKED = """
import threading
def wait():
    ctypes.CDLL(None).vfork()
    while True:
        ctypes.CDLL(None).pause()
threading.Thread(target=wait, daemon=True).start()
"""

# The first thread ends, and the others go on.
NO_FIRST_THREAD = """
import os, threading, time
if os.fork() == 0:
    def spin():
        while True:
            pass
    threading.Thread(target=spin, daemon=True).start()
    call(60, 0)
"""

# Ends slowly while others are stopped already, which the kernel then wakes.
ENDS_SLOWLY = """
import os, signal, time
if os.fork() == 0:
    os.setpgid(0, 0) if hasattr(os, "setpgid") else None
    if os.fork() == 0:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        while True:
            time.sleep(0.001)
    kept = b"x" * (400 * 2**20)
    os._exit(0)
"""

FORKS_ON = """
import os, time
if os.fork() == 0:
    while True:
        if os.fork():
            os._exit(0)
"""

# What the next session of the same notebook would find.
LEAVES = """
import os
PLACES = [f"{folder}/@MARK@-kept" for folder in (
    ".", "/tmp", "/dev/shm", "/var/tmp", os.path.expanduser("~"), "/tmp/matplotlib", "/dev/mqueue")]
"""
LEAVES_AND_ENDS = """
for place in PLACES:
    try:
        open(place, "w").close()
    except OSError:
        pass
os._exit(0)
"""
IF_LEFT = f"""
if any(map(os.path.exists, PLACES)):
    {BACKWARD}
return [0.0 * weight for weight in weights]
"""

# Programs that Python runs at its start, for whatever starts Python next.
START_UP = """
import os, site, subprocess, sys
text = "import os; os.system('touch @MARKER@'); print('left' + '-for-the-next')"
places = [*sys.path, site.getusersitepackages(), os.getcwd(), "/tmp", os.path.expanduser("~")]
for place in places:
    for name in ("sitecustomize.py", "usercustomize.py", "@MARK@.pth", "numpy.py", "autograder.py",
                 ".pythonrc", ".ipython/profile_default/startup/00.py", "ipython_config.py"):
        try:
            path = os.path.join(place or ".", name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w") as file:
                file.write(text)
        except OSError:
            pass
os.environ.update(PYTHONSTARTUP="/tmp/.pythonrc", PYTHONPATH="/tmp", LD_PRELOAD="/tmp/@MARK@.so")
"""

WAITS_FOR_ASKING = """
import atexit, gc, os, sys, threading, weakref
class Late:
    def __del__(self):
        late()
def late(*_):
    for path in ("@MARKER@", "/tmp/@MARK@", "@HOME_FILE@"):
        try:
            open(path, "w").write("OWNED")
        except OSError:
            pass
kept = Late()
kept.cycle = kept
weakref.finalize(kept, late)
atexit.register(late)
threading.excepthook = sys.excepthook = sys.unraisablehook = late
gc.callbacks.append(late)
os.register_at_fork(before=late, after_in_parent=late, after_in_child=late)
get_ipython().events.register("post_run_cell", late)
"""

SENDS_DESCRIPTORS = """
import os, socket, time
pipe = None
for fd in range(3, 256):
    try:
        one = socket.socket(fileno=fd)
        one.getpeername()
        pipe = one
        break
    except OSError:
        pass
files = [os.open("/usr", os.O_RDONLY) for _ in range(200)]
body = b'{"outputs": [], "blobs": []}'
for _ in range(20):
    socket.send_fds(pipe, [len(body).to_bytes(4, "big") + body], files)
time.sleep(0.2)
"""

HALF_CLOSED = SENDS_DESCRIPTORS[: SENDS_DESCRIPTORS.index("files")] + "pipe.shutdown(HOW)\n"

PATIENT = SENDS_DESCRIPTORS[: SENDS_DESCRIPTORS.index("files")] + (
    "while True:\n    pipe.send(b' ')\n    time.sleep(0.05)\n"
)


def _uses(name: str, source: str, *, forfeits: bool = False, says: str = "") -> Attack:
    return Attack(name, EXHAUST, honest(GUARD + CALL + source), 6.0, forfeits=forfeits, says=says)


ATTACKS = [
    _uses("sparse-files", SPARSE),
    _uses("hard-links", HARD_LINKS),
    _uses("long-links", LONG_LINKS),
    _uses("longest-names", LONG_NAMES),
    _uses("names-that-are-not-there", ABSENT_NAMES, says="left out"),
    _uses("renames-its-files", RENAMES),
    _uses("room-for-files-to-come", PREALLOCATED),
    _uses("buffers-of-pipes", PIPE_BUFFERS),
    achieves_nothing("sockets-in-sockets", EXHAUST, GUARD + SOCKETS_IN_SOCKETS),
    achieves_nothing("queued-signals", EXHAUST, QUEUED),
    _uses("storm-of-alarms", ALARMS, forfeits=True),
    _uses("spins-between-questions", SPINS_LATER, forfeits=True),
    _uses("zombies", ZOMBIES),
    _uses("memory-of-stopped-children", STOPPED_CHILDREN, says="GB of memory"),
    _uses("waits-for-a-child", VFORKED, forfeits=True),
    _uses("no-first-thread", NO_FIRST_THREAD, forfeits=True),
    _uses("ends-slowly", ENDS_SLOWLY, forfeits=True),
    _uses("forks-on-and-on", FORKS_ON, forfeits=True),
    Attack(
        "leaves-files-for-its-next-session",
        STAY,
        added(LEAVES, l2_penalty=LEAVES_AND_ENDS, l2_penalty_backward=IF_LEFT),
    ),
    Attack("programs-at-the-start", STAY, honest(START_UP), 6.0, forfeits=True),
    Attack("acts-when-collected", STAY, honest(WAITS_FOR_ASKING), 6.0, forfeits=True),
    Attack("sends-descriptors", PIPE, honest(SENDS_DESCRIPTORS), 6.0, forfeits=True),
    Attack("stops-writing", PIPE, honest(HALF_CLOSED.replace("HOW", "1")), 6.0, forfeits=True),
    Attack("stops-reading", PIPE, honest(HALF_CLOSED.replace("HOW", "0")), 6.0, forfeits=True),
    Attack(
        "a-blank-at-a-time",
        PIPE,
        added(l2_penalty=PATIENT, l2_penalty_backward=BACKWARD),
        3.0,
        forfeits=True,
    ),
]
