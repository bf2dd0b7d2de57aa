"""Attacks by system calls that no notebook needs, and by what the kernel does not count."""

from attacks.attack import EXHAUST, REACH, STAY, Attack, honest
from attacks.limits import GUARD

CALL = """
import ctypes, errno
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
def call(number, *arguments):
    return libc.syscall(ctypes.c_long(number), *arguments)
"""

# Grandchildren fill pages that they share with the first process, and end: only it holds them.
SHARED_BY_FORKS = """
import os
for _ in range(32):
    address = libc.mmap(None, 2**28, 3, FLAGS, DESCRIPTOR, 0)
    if address in (None, ctypes.c_void_p(-1).value):
        break
    if os.fork() == 0:
        if os.fork() == 0:
            ctypes.memset(address, 1, 2**28)
        os._exit(0)
    os.wait()
"""

ZERO = """
try:
    descriptor = os.open("/dev/zero", os.O_RDWR)
except OSError:
    descriptor = -1
"""

# Each child spends time and ends; its parent ignores that, so the kernel adds the time to nobody's.
UNCOUNTED = """
import os, signal, time
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
for _ in range(1000):
    for _ in range(2):
        if os.fork() == 0:
            while time.process_time() < 0.3:
                pass
            os._exit(0)
    time.sleep(0.4)
"""

# The same by orphans, for which nobody waits either.
UNCOUNTED_ORPHANS = """
import os, time
for _ in range(1000):
    if os.fork() == 0:
        if os.fork() == 0:
            while time.process_time() < 0.3:
                pass
        os._exit(0)
    os.wait()
    time.sleep(0.2)
"""

# `io_setup` takes from a number that all programs of the machine share.
ASYNC_IO = """
kept = []
for _ in range(1000):
    context = ctypes.c_ulong()
    if call(206, 4096, ctypes.byref(context)) < 0:
        break
    kept.append(context)
assert not kept
"""

SEGMENTS = """
assert call(154, 1, ctypes.create_string_buffer(16), 16) < 0
assert call(154, 0, ctypes.create_string_buffer(16), 16) < 0
"""

MOUNT_TREES = """
for number in (428, 429, 430, 431, 432, 433, 442, 457, 458, 467):
    assert call(number, -100, b"/", 1, 0, 0) < 0, number
"""

ATTRIBUTES = """
buffer = ctypes.create_string_buffer(64)
for number in (463, 464, 465, 466, 468, 469):
    assert call(number, -100, b"/usr", buffer, 64, 0) < 0, number
    assert ctypes.get_errno() == errno.ENOSYS, number
"""

PLACES = """
for number in (237, 238, 256, 279, 450):
    assert call(number, 0, 0, 0, 0, 0, 0) < 0, number
"""

NOTICES = """
import os
assert call(253) < 0 and call(294, 0) < 0 and call(300, 0, 0) < 0
import fcntl
try:
    fcntl.fcntl(os.open("/usr", os.O_RDONLY), fcntl.F_NOTIFY, 1)
except OSError:
    pass
else:
    raise AssertionError
"""

YET_TO_COME = """
for number in range(470, 1024):
    assert call(number, 0, 0, 0, 0, 0, 0) < 0 and ctypes.get_errno() == errno.ENOSYS, number
"""

OTHER_ARCHITECTURE = """
import mmap
# mov eax, 20 (getpid of 32-bit programs); int 0x80; ret
code = mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS,
                 prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
code.write(bytes.fromhex("b814000000cd80c3"))
address = ctypes.addressof(ctypes.c_char.from_buffer(code))
ctypes.CFUNCTYPE(ctypes.c_int)(address)()
"""

CORE = """
import os, resource
for value in (0, 2**30, -1):
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (value, value))
    except (OSError, ValueError):
        pass
class Limit(ctypes.Structure):
    _fields_ = [("now", ctypes.c_ulong), ("most", ctypes.c_ulong)]
call(302, 0, 4, ctypes.byref(Limit(0, 0)), None)
call(302, os.getpid(), 4, ctypes.byref(Limit(0, 0)), None)
call(160, 4, ctypes.byref(Limit(0, 0)))
if os.fork() == 0:
    os.abort()
os.wait()
assert resource.getrlimit(resource.RLIMIT_CORE) == (1, 1)
"""

LIMITS_OF_OTHERS = """
import os, resource
# A parent in another namespace has the number 0, which would stand for oneself.
for pid in filter(None, (@VICTIM@, @VICTIM_OF_NOBODY@, os.getppid())):
    for action in (lambda: resource.prlimit(pid, resource.RLIMIT_NOFILE, (1, 1)),
                   lambda: os.sched_setaffinity(pid, [0]),
                   lambda: os.setpriority(os.PRIO_PROCESS, pid, 19)):
        try:
            action()
        except OSError:
            continue
        raise AssertionError
"""

UNNAMED = """
import os
kept = []
def fill():
    for _ in range(60):
        os.write(kept[-1], b"x" * 2**20)
try:
    for number in range(200):
        try:
            kept.append(os.open(".", os.O_TMPFILE | os.O_RDWR))
        except OSError:
            kept.append(os.open(f"{number}", os.O_CREAT | os.O_RDWR))
            os.unlink(f"{number}")
        fill()
except OSError:
    pass
"""

DEEP_FOLDERS = """
import os
try:
    while True:
        os.mkdir("deeper")
        os.chdir("deeper")
except OSError:
    pass
"""


def achieves_nothing(name: str, row: str, source: str, *, quick: bool = False) -> Attack:
    """Return an attack whose cell says at its end that nothing was achieved, if that is so."""
    source = f'{CALL}{source}\nprint("achieved", "nothing")'
    return Attack(name, row, honest(source), 6.0, says="achieved nothing", quick=quick)


def _shared(flags: int, descriptor: str = "-1") -> str:
    source = SHARED_BY_FORKS.replace("FLAGS", str(flags)).replace("DESCRIPTOR", descriptor)
    return GUARD + CALL + ZERO + source


ATTACKS = [
    Attack("shared-by-forks", EXHAUST, honest(_shared(0x21)), 6.0, quick=True),
    Attack("shared-and-validated-by-forks", EXHAUST, honest(_shared(0x23)), 6.0),
    Attack("device-shared-by-forks", EXHAUST, honest(_shared(0x01, "descriptor")), 6.0),
    Attack("time-of-ignored-children", EXHAUST, honest(GUARD + UNCOUNTED), 6.0),
    Attack("time-of-orphans", EXHAUST, honest(GUARD + UNCOUNTED_ORPHANS), 6.0),
    achieves_nothing("all-asynchronous-input", EXHAUST, ASYNC_IO),
    achieves_nothing("local-descriptor-table", REACH, SEGMENTS),
    achieves_nothing("trees-of-mounts", REACH, MOUNT_TREES),
    achieves_nothing("attributes-of-files", REACH, ATTRIBUTES),
    achieves_nothing("places-of-memory", REACH, PLACES),
    achieves_nothing("notices-about-files", REACH, NOTICES),
    achieves_nothing("calls-yet-to-come", REACH, YET_TO_COME, quick=True),
    Attack("calls-of-32-bits", REACH, honest(CALL + OTHER_ARCHITECTURE), 6.0),
    achieves_nothing("dumps-core", STAY, CORE),
    achieves_nothing("limits-of-others", REACH, LIMITS_OF_OTHERS),
    Attack("files-without-names", EXHAUST, honest(GUARD + UNNAMED), 6.0),
    Attack("deep-folders", EXHAUST, honest(GUARD + DEEP_FOLDERS), 6.0),
]
