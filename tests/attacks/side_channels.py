"""Ways for one session to tell another something that nobody has made for that.

They define `post` and `look` for the `MAILBOX` of `sessions`, or `serve` and `ask` by themselves.
"""

# Where a lock on a file of the system begins is a number; anybody may ask where.
RECORD_LOCKS = """
import fcntl
FILES = {}
SPACE = 2**40
PATHS = sorted(glob.glob(os.path.dirname(os.__file__) + "/*.py"))

def place(name):
    number = int(name.split("-")[1]) * 2 + (name[0] == "a")
    if number not in FILES:
        FILES[number] = os.open(PATHS[number], os.O_RDONLY)
    return FILES[number]

def lock(file, command, kind, start, length):
    room = struct.pack("hhqqi4x", kind, 0, start, length, 0)
    return struct.unpack("hhqqi4x", fcntl.fcntl(file, command, room))

def post(name, content):
    for at, value in reversed(list(enumerate([len(content), *content]))):
        lock(place(name), fcntl.F_SETLK, fcntl.F_RDLCK, at * SPACE + value, 1)

def value(name, at):
    kind, _, start, _, _ = lock(place(name), fcntl.F_GETLK, fcntl.F_WRLCK, at * SPACE, SPACE)
    return None if kind == fcntl.F_UNLCK else start - at * SPACE

def look(name):
    length = value(name, 0)
    if length:
        return bytes(value(name, 1 + at) for at in range(length))
"""

# Which of sixteen files is locked is half a byte.
FLOCKS = """
import fcntl
MOST = 5
HELD = []
PATHS = sorted(glob.glob(os.path.dirname(np.__file__) + "/**/*.py*", recursive=True))
PATHS += sorted(glob.glob(os.path.dirname(os.__file__) + "/**/*.py*", recursive=True))
PATHS = [path for path in PATHS if os.path.isfile(path)]

def places(name):
    first = (int(name.split("-")[1]) % 2 * 2 + (name[0] == "a")) * 121 * 16
    return PATHS[first : first + 121 * 16]

def free(path):
    file = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(file)
    return True

def post(name, content):
    while HELD:
        os.close(HELD.pop())
    paths = places(name)
    halves = [half for byte in content for half in (byte >> 4, byte & 15)]
    for at, half in [*enumerate(halves), (120, len(content) // 8)]:
        HELD.append(os.open(paths[at * 16 + half], os.O_RDONLY))
        fcntl.flock(HELD[-1], fcntl.LOCK_SH)

def look(name):
    paths = places(name)
    def half(at):
        return next((n for n in range(16) if not free(paths[at * 16 + n])), None)
    length = half(120)
    if length is not None:
        halves = [half(at) for at in range(16 * length)]
        return bytes(a << 4 | b for a, b in zip(halves[::2], halves[1::2]))
"""

# Whoever throws a page of a file out of memory makes the next one who reads it wait for the disk.
PAGES = """
MOST = 5
BITS = 8 * 49 + 1
PLACE = os.path.dirname(os.path.dirname(np.__file__))
PATHS = sorted(glob.glob(PLACE + "/[ns]*py/**/tests/**/*.py", recursive=True))
PATHS += sorted(glob.glob(PLACE + "/matplotlib/**/*.py", recursive=True))
PATHS = [path for path in PATHS if os.path.getsize(path)]

def places(name):
    first = (name[0] == "a") * BITS
    return PATHS[first : first + BITS]

def slow(path):
    file = os.open(path, os.O_RDONLY)
    begin = time.perf_counter()
    os.pread(file, 1, 0)
    took = time.perf_counter() - begin
    os.close(file)
    return took > 20e-6

def post(name, content):
    content = bytes([len(content)]) + content.ljust(48)
    bits = [1, *(bit for byte in content for bit in map(int, f"{byte:08b}"))]
    for path, bit in reversed(list(zip(places(name), bits))):
        if bit:
            file = os.open(path, os.O_RDONLY)
            os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(file)

def look(name):
    flag, *rest = places(name)
    if slow(flag):
        bits = "".join(str(int(slow(path))) for path in rest)
        content = int(bits, 2).to_bytes(49, "big")
        if content[0] in range(8, 49, 8):
            return content[1 : 1 + content[0]]

for path in PATHS[: 2 * BITS]:
    slow(path)
"""

# The sizes of one's own files, however empty they are, can be seen from outside with landlock.
SIZES = """
def folders():
    own = os.getcwd()
    yield own
    yield "/tmp/sizes-@MARK@"
    parts = own.split("/")
    if len(parts) > 3 and parts[-1] == "tmp":
        base = "/".join(parts[:-2])
        process = parts[-2].split("-")[0]
        for name in range(60706, 60740):
            yield f"{base}/{name}/tmp"
        if process.isdigit():
            for pid in range(max(1, int(process) - 300), int(process) + 300):
                if os.path.exists(f"/proc/{pid}"):
                    for number in range(200):
                        yield f"{base}/{pid}-{number}/tmp"

def post(name, content):
    for folder in (os.getcwd(), "/tmp/sizes-@MARK@"):
        try:
            os.makedirs(folder, exist_ok=True)
            for at, value in reversed(list(enumerate([len(content), *content]))):
                with open(f"{folder}/{name}-{at}", "wb") as file:
                    file.truncate(1 + value)
            return
        except OSError:
            pass

def look(name):
    for folder in folders():
        try:
            length = os.stat(f"{folder}/{name}-0").st_size - 1
            return bytes(os.stat(f"{folder}/{name}-{1 + at}").st_size - 1 for at in range(length))
        except OSError:
            pass
"""

# A page at the same place in both processes; one reads and writes the other's.
MEMORY = """
PLACE = 0x7E0000000000
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
libc.mmap(PLACE, 8192, 3, 0x100022, -1, 0)

class Part(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]

def crossed(number, pid, room, place=PLACE):
    local = Part(ctypes.addressof(room), len(room))
    remote = Part(place, len(room))
    return call(number, pid, ctypes.byref(local), ctypes.c_ulong(1), ctypes.byref(remote),
                ctypes.c_ulong(1), ctypes.c_ulong(0))

def serve():
    ctypes.memmove(PLACE + 4096, b"serves", 6)
    length = struct.unpack("q", ctypes.string_at(PLACE, 8))[0]
    if length > 0:
        answer = solved(ctypes.string_at(PLACE + 8, length))
        ctypes.memmove(PLACE + 8, answer, len(answer))
        ctypes.memmove(PLACE, struct.pack("q", -len(answer)), 8)
    time.sleep(0.002)

def ask(question):
    for pid in range(1, 2**16):
        magic = ctypes.create_string_buffer(6)
        try:
            crossed(310, pid, magic, PLACE + 4096)
        except OSError:
            continue
        if magic.raw != b"serves":
            continue
        room = ctypes.create_string_buffer(struct.pack("q", len(question)) + question, 4000)
        crossed(311, pid, room)
        for _ in range(500):
            crossed(310, pid, room)
            length = struct.unpack("q", room.raw[:8])[0]
            if length < 0:
                return room.raw[8 : 8 - length]
            time.sleep(0.002)

start(serve)
"""

# Takes the ends of two pipes out of another process.
STOLEN_PIPES = """
import select
NUMBERS = range(230, 234)

def serve():
    for one in range(2):
        for number, end in zip(NUMBERS[2 * one :], os.pipe()):
            os.dup2(end, number)
            os.close(end)
    while True:
        os.write(NUMBERS[3], solved(os.read(NUMBERS[0], 65536)))

def taken(pid, number):
    return TAKE

def ask(question):
    for pid in [p for p in range(1, 2**16) if p != os.getpid()]:
        try:
            to, back = taken(pid, NUMBERS[1]), taken(pid, NUMBERS[2])
        except OSError:
            continue
        os.write(to, question)
        if select.select([back], [], [], 2)[0]:
            return os.read(back, 65536)

start(serve)
"""

# Whoever opens a file tells all who watch its folder, and in which order.
OPENED = """
import select
FOLDER = os.path.dirname(os.__file__)
NAMES = sorted(name for name in os.listdir(FOLDER) if name.endswith(".py"))[:34]
WATCH = []

def listen():
    WATCH.append(call(294, os.O_NONBLOCK))
    call(254, WATCH[0], FOLDER.encode(), 0x20)

def tell(kind, content):
    halves = [half for byte in content for half in (byte >> 4, byte & 15)]
    last = None
    for half in [kind, *halves, 32]:
        for one in ([33] if half == last else []) + [half]:
            os.close(os.open(f"{FOLDER}/{NAMES[one]}", os.O_RDONLY))
            last = one

HEARD = []
def hear(kind):
    if select.select(WATCH, [], [], 0.01)[0]:
        data = os.read(WATCH[0], 65536)
        while data:
            length = struct.unpack("iIII", data[:16])[3]
            name = data[16 : 16 + length].rstrip(b"\\0").decode()
            if name in NAMES and NAMES.index(name) != 33:
                HEARD.append(NAMES.index(name))
            data = data[16 + length :]
    if 32 in HEARD:
        end = HEARD.index(32)
        message, HEARD[:] = HEARD[:end], HEARD[end + 1 :]
        if message and message[0] == kind:
            halves = message[1:]
            return bytes(a << 4 | b for a, b in zip(halves[::2], halves[1::2]))

def serve():
    if not WATCH:
        listen()
    question = hear(16)
    if question:
        tell(17, solved(question))

def ask(question):
    if not WATCH:
        listen()
    tell(16, question)
    end = time.monotonic() + 2
    while time.monotonic() < end:
        found = hear(17)
        if found:
            return found

start(serve)
"""

# Signals carry a number, and who sent them.
SIGNALS = """
import signal
LOUD, QUESTIONS, SENDER = signal.SIGRTMIN + 1, [], []
signal.pthread_sigmask(signal.SIG_BLOCK, [LOUD])
class Info(ctypes.Structure):
    _fields_ = [("number", ctypes.c_int), ("error", ctypes.c_int), ("code", ctypes.c_int),
                ("pad", ctypes.c_int), ("pid", ctypes.c_int), ("uid", ctypes.c_uint),
                ("value", ctypes.c_long), ("rest", ctypes.c_char * 96)]

def tell(pid, content):
    for at, value in enumerate([len(content), *content]):
        while True:
            try:
                call(129, pid, LOUD, ctypes.byref(Info(LOUD, 0, -1, 0, os.getpid(), os.getuid(),
                                                       at << 16 | value)))
                break
            except OSError as error:
                if error.errno != 11:
                    raise
                time.sleep(0.001)

def hear(seconds):
    info, wait = Info(), struct.pack("ll", int(seconds), int(seconds % 1 * 1e9))
    found = []
    while not found or len(found) <= found[0]:
        call(128, struct.pack("Q", 1 << (LOUD - 1)), ctypes.byref(info), wait, ctypes.c_size_t(8))
        found.append(info.value & 0xFFFF)
    return info.pid, bytes(found[1:])

def serve():
    pid, question = hear(1.0)
    tell(pid, solved(question))

def ask(question):
    for pid in range(os.getpid() - 1, max(0, os.getpid() - 300), -1):
        try:
            blocked = open(f"/proc/{pid}/status").read().split("SigBlk:")[1].split()[0]
            if not int(blocked, 16) >> (LOUD - 1) & 1:
                continue
        except (OSError, IndexError):
            pass
        try:
            tell(pid, question)
        except OSError:
            continue
        try:
            return hear(0.5)[1]
        except OSError:
            continue

start(serve)
"""
