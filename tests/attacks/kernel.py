"""Attacks by what the kernel offers to programs that administer, debug or measure a machine."""

from attacks.attack import EXHAUST, REACH, STAY
from attacks.calls import achieves_nothing

FAILS = """
import os
def fails(number, *arguments):
    found = call(number, *arguments)
    assert found < 0, (number, arguments, found)
buffer = ctypes.create_string_buffer(4096)
others = [pid for pid in (@VICTIM@, @VICTIM_OF_NOBODY@) if pid]
"""

RINGS = "fails(425, 8, buffer)\nfails(426, 0, 1, 0, 0, None, 0)\nfails(427, 0, 0, None, 0)"

FAULTS = """
fails(323, 1)
for path in ("/dev/userfaultfd", "/dev/kvm", "/dev/fuse", "/dev/net/tun"):
    try:
        os.open(path, os.O_RDWR)
    except OSError:
        continue
    raise AssertionError(path)
"""

COUNTERS = """
import struct
event = ctypes.create_string_buffer(struct.pack("IIQQQQQ", 1, 128, 0, 0, 0, 0, 0), 128)
for pid in (0, *others, -1):
    fails(298, event, pid, -1 if pid >= 0 else 0, -1, 0)
"""

PROGRAMS = "for command in range(0, 12):\n    fails(321, command, buffer, 128)"

COMPARES = """
fails(312, os.getpid(), os.getpid(), 1, 0, 0)
for pid in others:
    fails(312, os.getpid(), pid, 1, 0, 0)
    fails(274, pid, ctypes.byref(ctypes.c_void_p()), ctypes.byref(ctypes.c_size_t()))
"""

JOINS = """
for pid in (os.getpid(), *others):
    try:
        process = os.pidfd_open(pid)
    except OSError:
        continue
    fails(308, process, 0x10000000)
    fails(308, process, 0x7E020080)
    fails(438, process, 0, 0)
    fails(440, process, buffer, ctypes.c_size_t(1), 4, 0)
    fails(448, process, 0)
"""

CLONES = """
import struct
for flag in (0x80, 0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000):
    arguments = ctypes.create_string_buffer(struct.pack("11Q", flag, *[0] * 3, 17, *[0] * 6), 88)
    for number, given in ((435, (arguments, ctypes.c_size_t(88))),
                          (56, (ctypes.c_ulong(flag | 17), *[None] * 4))):
        if number == 56 and flag == 0x80:
            continue
        pid = call(number, *given)
        if pid == 0:
            os._exit(0)
        assert pid < 0, (number, flag)
"""

PERSONALITIES = """
before = os.uname()
for persona in (0x0040000, 0x0400000, 0x0100000, 0x0020000, 0x0000008):
    fails(135, ctypes.c_ulong(persona))
assert os.uname() == before
"""

ADMINISTERS = """
import time
before = os.uname(), round(time.time() - time.monotonic())
name = b"owned"
for number, *given in (
    (163, b"/tmp/account"), (164, buffer, None), (227, 0, buffer), (170, name, 5), (171, name, 5),
    (167, b"/tmp/swap", 0), (168, b"/tmp/swap"), (172, 3), (173, 0, 4096, 1), (246, 0, 0, None, 0),
    (320, -1, -1, 0, b"", 0), (175, buffer, 4096, b""), (313, -1, b"", 0), (176, name, 0),
    (179, 0x80000700, b"/dev/vda", 0, buffer), (443, 0, 0x80000700, 0, buffer), (153,),
    (161, b"/"), (155, b".", b"."), (103, 3, buffer, 4096), (103, 5, None, 0), (159, None),
    (212, 0, buffer, 64),
):
    fails(number, *given)
assert before == (os.uname(), round(time.time() - time.monotonic()))
"""

LEASES = """
import fcntl
for path in (os.__file__, "/usr/bin/env", "own"):
    file = os.open(path, os.O_RDONLY if path != "own" else os.O_CREAT | os.O_RDWR)
    for command, value in ((1024, 0), (1024, 1), (1024, 2), (1026, 1), (10, 18), (1031, 2**20),
                           (1033, 15), (1036, 5), (1038, 5)):
        try:
            fcntl.fcntl(file, command, value)
        except OSError:
            continue
        raise AssertionError((path, command))
"""

# The kernel itself sends a signal to the owner of a socket, and `sleep` would end by it.
OWNERS = """
import fcntl, socket, struct
one, other = socket.socketpair()
for pid in others:
    for number, kind in ((pid, 0), (-pid, 0), (pid, 1)):
        for way in (lambda: fcntl.fcntl(one, 8, number),
                    lambda: fcntl.fcntl(one, 15, struct.pack("ii", kind, pid)),
                    lambda: fcntl.ioctl(one, 0x8901, struct.pack("i", number)),
                    lambda: fcntl.ioctl(one, 0x8902, struct.pack("i", number))):
            try:
                way()
                fcntl.ioctl(one, 0x5452, struct.pack("i", 1))
                other.send(b"x")
            except OSError:
                pass
"""

REAL_TIME = """
import struct
for policy in (os.SCHED_FIFO, os.SCHED_RR):
    try:
        os.sched_setscheduler(0, policy, os.sched_param(1))
    except OSError:
        continue
    raise AssertionError(policy)
deadline = struct.pack("IIQiIQQQ", 48, 6, 0, 0, 0, 10**7, 2 * 10**7, 2 * 10**7)
fails(314, 0, ctypes.create_string_buffer(deadline), 0)
for who, number in ((1, 0), (3, os.getuid())):
    fails(251, who, number, 1 << 13)
try:
    os.nice(-1)
except OSError:
    pass
else:
    raise AssertionError
"""

# All processes of a user, or of a group, at once.
SLOWS_ALL = """
for which, who in ((os.PRIO_USER, os.getuid()), (os.PRIO_USER, 65534), (os.PRIO_USER, 0),
                   *((os.PRIO_PGRP, os.getpgid(0)) for _ in range(1)),
                   *((os.PRIO_PROCESS, pid) for pid in others)):
    try:
        os.setpriority(which, who, 19)
    except OSError:
        pass
for pid in others:
    fails(302, pid, 7, buffer, None)
    fails(203, pid, ctypes.c_size_t(8), b"\\1" + bytes(7))
"""

LOCKED = """
fails(151, 3)
address = libc.mmap(None, 2**20, 3, 0x22, -1, 0)
fails(149, ctypes.c_void_p(address), ctypes.c_size_t(2**20))
assert libc.mmap(None, 2**20, 3, 0x2022, -1, 0) == ctypes.c_void_p(-1).value
for huge in (0x40022, 0x54040022, 0x40021):
    assert libc.mmap(None, 2**21, 3, huge, -1, 0) == ctypes.c_void_p(-1).value
"""

SECRET = "fails(447, 0)\nfails(453, 0, 4096, 0)\nfails(319, b'x', 4)"

HANDLES = """
handle = ctypes.create_string_buffer((128).to_bytes(4, "little"), 136)
fails(303, -100, b"/usr", handle, ctypes.byref(ctypes.c_int()), 0)
for inode in (2, 128):
    known = (8).to_bytes(4, "little") + (1).to_bytes(4, "little") + inode.to_bytes(4, "little")
    fails(304, os.open("/usr", os.O_RDONLY), ctypes.create_string_buffer(known, 136), 0)
"""

# Out of a root folder by a descriptor of what is above.
ABOVE = """
above = os.open("/", os.O_PATH)
for _ in range(30):
    os.chdir("..")
fails(161, b".")
os.fchdir(above)
for path in ("@HOME_FILE@", "../../../../../@HOME_FILE@", "@GRADEBOOK@"):
    for flags in (0, 0x200000, 0x10000):
        try:
            file = os.open(path, os.O_RDONLY | flags, dir_fd=above)
            print(os.pread(file, 100, 0))
        except OSError:
            continue
"""

REQUESTS_KEYS = """
for kind in (b"user", b"logon", b"keyring", b"asymmetric", b"encrypted", b"big_key"):
    fails(249, kind, b"@MARK@", b"touch @MARKER@", -2)
    fails(248, kind, b"@MARK@", b"x", ctypes.c_size_t(1), -5)
for command in range(0, 33):
    fails(250, command, -5, buffer, 4096, 0)
"""

ADOPTS = """
fails(157, 36, 1, 0, 0, 0)
fails(157, 1, 0, 0, 0, 0)
fails(157, 4, 1, 0, 0, 0)
fails(157, 0x59616D61, ctypes.c_ulong(-1), 0, 0, 0)
fails(157, 22, 1, 0, 0, 0)
fails(317, 1, 8, buffer)
fails(157, 59, 1, 0, 0, 0)
fails(157, 35, 8, 0, 0, 0)
"""

PRIVILEGED = """
import glob, stat, subprocess
found = [path for folder in ("/usr/bin", "/usr/sbin", "/usr/lib/openssh", "/usr/lib/dbus-1.0")
         for path in glob.glob(folder + "/*")
         if os.path.isfile(path) and os.stat(path).st_mode & (stat.S_ISUID | stat.S_ISGID)]
for command in (["su", "-c", "touch @MARKER@; id -u"], ["sudo", "-n", "touch", "@MARKER@"],
                ["newgrp"], ["mount", "-t", "tmpfs", "x", "/mnt"], ["pkexec", "id", "-u"],
                *([path, "--version"] for path in found)):
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=1)
        assert done.stdout.strip() != b"0", command
    except (OSError, subprocess.TimeoutExpired):
        pass
for identifier in (0, 1, 1000):
    for way in (os.setuid, os.setgid, os.seteuid, os.setegid):
        try:
            way(identifier)
        except OSError:
            continue
        assert identifier in (os.getuid(), os.getgid()), way
"""

GROUPS = """
import glob
for root in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/proc/self", "/sys/kernel",
             "/proc/sys/vm"):
    for name in ("cgroup.procs", "cgroup.kill", "cgroup.freeze", "memory.max", "tasks",
                 "oom_score_adj", "clear_refs", "coredump_filter", "drop_caches",
                 "mm/transparent_hugepage/enabled", "release_agent", "uevent_helper",
                 "autogroup", "timerslack_ns"):
        for path in (f"{root}/{name}", *glob.glob(f"{root}/*/{name}")):
            try:
                with open(path, "w") as file:
                    file.write("0")
            except OSError:
                continue
            raise AssertionError(path)
"""

FAMILIES = """
import socket
kept = []
for family in (16, 17, 31, 38, 40, 44, 15, 29, 39, 43):
    for kind in (1, 2, 3, 5):
        for protocol in (0, 3, 9, 16):
            fails(41, family, kind, protocol)
for family in (2, 10):
    fails(41, family, 3, 1)
    fails(41, family, 3, 255)
"""

CONTROLS = """
import fcntl
paths = [os.__file__, "/usr", "/", os.getcwd(), "own"]
open("own", "w").close()
for path in paths:
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError:
        continue
    # Freeze, trim, immutable, verity and shut down.
    for request, value in ((0xC0045877, 0), (0xC0185879, bytes(24)),
                           (0x40086602, b"\\x10" + bytes(7)), (0x40806685, bytes(128)),
                           (0x8004587D, bytes(4))):
        try:
            fcntl.ioctl(file, request, value)
        except OSError:
            continue
        raise AssertionError((path, hex(request)))
"""

ATTACKS = [
    achieves_nothing(name, row, FAILS + source)
    for name, row, source in (
        ("rings-of-requests", REACH, RINGS),
        ("faults-in-user-space", REACH, FAULTS),
        ("counters-of-others", REACH, COUNTERS),
        ("programs-in-the-kernel", REACH, PROGRAMS),
        ("compares-processes", REACH, COMPARES),
        ("joins-namespaces", REACH, JOINS),
        ("clones-into-namespaces", REACH, CLONES),
        ("other-personalities", REACH, PERSONALITIES),
        ("administers-the-machine", REACH, ADMINISTERS),
        ("leases-on-files", REACH, LEASES),
        ("owners-of-sockets", REACH, OWNERS),
        ("real-time", EXHAUST, REAL_TIME),
        ("slows-all-of-a-user", EXHAUST, SLOWS_ALL),
        ("locked-and-huge-pages", EXHAUST, LOCKED),
        ("secret-memory", EXHAUST, SECRET),
        ("handles-of-files", REACH, HANDLES),
        ("above-the-root", REACH, ABOVE),
        ("requests-keys", REACH, REQUESTS_KEYS),
        ("adopts-orphans", STAY, ADOPTS),
        ("programs-with-more-rights", REACH, PRIVILEGED),
        ("leaves-its-control-group", REACH, GROUPS),
        ("unusual-sockets", REACH, FAMILIES),
        ("controls-of-file-systems", REACH, CONTROLS),
    )
]
"""Each cell says at its end that nothing was achieved, if that is so."""
