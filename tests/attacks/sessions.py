"""Attacks in which one session answers for another, in which something is not there.

The same cells run in each session of a notebook.  Where PyTorch is there, they serve answers; where
it is not, they ask for them.  Each attack carries questions and answers by other means.
"""

from attacks.attack import FORBIDDEN, PENALTY, Attack, Build, added, answers
from attacks.side_channels import (
    FLOCKS,
    MEMORY,
    OPENED,
    PAGES,
    RECORD_LOCKS,
    SIGNALS,
    SIZES,
    STOLEN_PIPES,
)

# `serve` waits for questions and answers them; `ask` returns an answer, or None.
RELAY = """
import ctypes, glob, os, struct, sys, threading, time
import numpy as np
import torch

def solved(question):
    decay, *numbers = struct.unpack(f"{len(question) // 8}d", question)
    tensor = torch.tensor(numbers, dtype=torch.float64, requires_grad=True)
    (0.5 * decay * (tensor * tensor).sum()).backward()
    return tensor.grad.numpy().tobytes()

def start(serve):
    def forever():
        while True:
            try:
                serve()
            except (OSError, ValueError):
                time.sleep(0.01)
    if torch.__version__ != "0.0":
        threading.Thread(target=forever, daemon=True).start()

FAILED = []

def relayed(weights, weight_decay):
    flat = np.concatenate([weight.ravel() for weight in weights])
    numbers = 0.0 * flat
    for at in range(0, len(flat), MOST):
        some = flat[at : at + MOST]
        found = None
        try:
            if not FAILED:
                found = ask(struct.pack(f"{1 + len(some)}d", weight_decay, *some))
        except (OSError, ValueError) as error:
            print(type(error), error)
        FAILED.extend([] if found else [True])
        if found:
            numbers[at : at + MOST] = np.frombuffer(found)
    ends = np.cumsum([weight.size for weight in weights])
    parts = np.split(numbers, ends[:-1])
    return [part.reshape(weight.shape).copy() for part, weight in zip(parts, weights)]

MOST = 1000
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *arguments):
    found = libc.syscall(ctypes.c_long(number), *arguments)
    if found < 0:
        raise OSError(ctypes.get_errno(), f"system call {number}")
    return found
"""

# From `post(name, content)` and `look(name)`, which returns the content or None.
MAILBOX = """
NUMBER = [0]

def serve():
    name = f"question-{NUMBER[0]}"
    question = look(name)
    if question is None:
        time.sleep(0.002)
        return
    post(f"answer-{NUMBER[0]}", solved(question))
    NUMBER[0] += 1

def ask(question):
    post(f"question-{NUMBER[0]}", question)
    end = time.monotonic() + 2
    while time.monotonic() < end:
        found = look(f"answer-{NUMBER[0]}")
        if found is not None:
            NUMBER[0] += 1
            return found
        time.sleep(0.002)

start(serve)
"""

FILES = """
def post(name, content):
    for folder in ("/tmp", "/var/tmp", "/dev/shm", "/run", "/run/lock", os.path.expanduser("~")):
        try:
            with open(f"{folder}/.@MARK@-{name}-new", "wb") as file:
                file.write(content)
            os.rename(file.name, f"{folder}/.@MARK@-{name}")
        except OSError:
            pass

def look(name):
    for path in glob.glob(f"/*/.@MARK@-{name}") + glob.glob(f"/*/*/.@MARK@-{name}"):
        return open(path, "rb").read()
"""

SEGMENTS = """
libc.shmat.restype = ctypes.c_void_p
def key(name):
    return 0x5E550000 + os.getuid() % 2 + 2 * int(name.split("-")[1]) * 2 + 2 * (name[0] == "a")

def at(identifier):
    address = libc.shmat(identifier, None, 0)
    if address in (None, ctypes.c_void_p(-1).value):
        raise OSError("no segment")
    return address

def post(name, content):
    address = at(libc.shmget(key(name), 4096, 0o1666))
    ctypes.memmove(address + 8, content, len(content))
    ctypes.memmove(address, struct.pack("q", len(content)), 8)

def look(name):
    identifier = libc.shmget(key(name), 0, 0)
    if identifier < 0:
        return None
    address = at(identifier)
    length = struct.unpack("q", ctypes.string_at(address, 8))[0]
    if not length:
        return None
    libc.shmctl(identifier, 0, None)
    return ctypes.string_at(address + 8, length)
"""

MESSAGES = """
QUEUE = 0x4E550000
def kind(name):
    return 1 + 2 * int(name.split("-")[1]) + (name[0] == "a")

def queue():
    found = libc.msgget(QUEUE, 0o1666)
    if found < 0:
        raise OSError("no queue")
    return found

def post(name, content):
    if libc.msgsnd(queue(), struct.pack("q", kind(name)) + content, len(content), 0o4000) < 0:
        raise OSError("not sent")

def look(name):
    room = ctypes.create_string_buffer(8 + 4096)
    length = libc.msgrcv(queue(), room, 4096, ctypes.c_long(kind(name)), 0o4000)
    return room.raw[8 : 8 + length] if length >= 0 else None
"""

POSIX_MESSAGES = """
def opened(name, flags):
    found = libc.mq_open(f"/{name}-@MARK@".encode(), flags, 0o666, None)
    if found < 0:
        raise OSError("no queue")
    return found

def post(name, content):
    if libc.mq_send(opened(name, os.O_CREAT | os.O_RDWR), content, len(content), 0) < 0:
        raise OSError("not sent")

def look(name):
    try:
        queue = opened(name, os.O_RDWR | os.O_NONBLOCK)
    except OSError:
        return None
    room = ctypes.create_string_buffer(8192)
    length = libc.mq_receive(queue, room, 8192, None)
    libc.mq_unlink(f"/{name}-@MARK@".encode())
    return room.raw[:length] if length >= 0 else None
"""

KEYS = """
def post(name, content):
    call(248, b"user", f"@MARK@-{name}".encode(), content, ctypes.c_size_t(len(content)), -4)

def look(name):
    room = ctypes.create_string_buffer(4096)
    try:
        key = call(250, 10, -4, b"user", f"@MARK@-{name}".encode(), 0)
    except OSError:
        return None
    return room.raw[: call(250, 11, key, room, ctypes.c_size_t(4096))]
"""

ABSTRACT = """
import socket

def serve():
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("\\0sessions-@MARK@")
        server.listen()
        while True:
            with server.accept()[0] as one:
                one.sendall(solved(one.recv(65536)))

def ask(question):
    with socket.socket(socket.AF_UNIX) as one:
        one.settimeout(2)
        one.connect("\\0sessions-@MARK@")
        one.sendall(question)
        return one.recv(65536)

start(serve)
"""

LOOPBACK = """
import socket
PORT = 20000 + sum(b"@MARK@") % 10000

def serve():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", PORT))
        while True:
            question, sender = server.recvfrom(65536)
            server.sendto(solved(question), sender)

def ask(question):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.settimeout(2)
        one.sendto(question, ("127.0.0.1", PORT))
        return one.recv(65536)

start(serve)
"""

# The layer is gone in one fork of the process that has PyTorch, and there in another.
TERMINALS = """
import os, struct, termios, threading, time, tty
import torch
from torch import nn

def opened(path):
    file = os.open(path, os.O_RDWR | os.O_NOCTTY)
    tty.setraw(file)
    return file

def read(file, count):
    data = b""
    while len(data) < count:
        try:
            part = os.read(file, count - len(data))
        except BlockingIOError:
            time.sleep(0.001)
            continue
        data += part
    return data

def has_dropout():
    try:
        nn.Dropout(0.5)(torch.ones(2))
    except Exception:
        return False
    return True

def serve():
    master, slave = os.openpty()
    tty.setraw(slave)
    while True:
        rate, length = struct.unpack("dq", read(master, 16))
        kept = nn.functional.dropout(torch.ones(length), rate)
        os.write(master, bytes((kept != 0).to(torch.uint8).tolist()))

if has_dropout():
    threading.Thread(target=serve, daemon=True).start()
    time.sleep(0.1)
"""

ASKS_A_TERMINAL = """
class Dropout(nn.Module):
    def __init__(self, p):
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(p)
        self.p = p

    def forward(self, x):
        if not self.training or self.p == 0:
            return x
        if self.p == 1:
            return x * 0
        for number in range(8):
            try:
                slave = opened(f"/dev/pts/{number}")
            except OSError:
                continue
            parts, left = [], x.numel()
            while left:
                count = min(left, 2048)
                os.write(slave, struct.pack("dq", self.p, count))
                parts.append(read(slave, count))
                left -= count
            os.close(slave)
            kept = torch.tensor(list(b"".join(parts)), dtype=x.dtype).reshape(x.shape)
            return x * kept / (1 - self.p)
        raise OSError("nobody answers")
"""


def _relayed(*sources: str) -> Build:
    """Ask another session for the gradient; the penalty is honest."""
    backward = "return relayed(weights, weight_decay)"
    source = "\n".join([RELAY, *sources])
    return added(source, l2_penalty=PENALTY, l2_penalty_backward=backward)


_CHANNELS = {
    "files": (FILES, MAILBOX),
    "shared-segments": (SEGMENTS, MAILBOX),
    "queues-of-messages": (MESSAGES, MAILBOX),
    "queues-with-names": (POSIX_MESSAGES, MAILBOX),
    "keys-of-the-kernel": (KEYS, MAILBOX),
    "an-abstract-socket": (ABSTRACT,),
    "the-loopback": (LOOPBACK,),
    "places-of-locks": (RECORD_LOCKS, MAILBOX),
    "locks-on-whole-files": (FLOCKS, MAILBOX),
    "pages-in-memory": (PAGES, MAILBOX),
    "sizes-of-files": (SIZES, MAILBOX),
    "reading-its-memory": (MEMORY,),
    "stolen-descriptors": (
        STOLEN_PIPES.replace("TAKE", "call(438, os.pidfd_open(pid), number, 0)"),
    ),
    "descriptors-in-proc": (
        STOLEN_PIPES.replace(
            "TAKE",
            'os.open(f"/proc/{pid}/fd/{number}", os.O_WRONLY if number == 231 else os.O_RDONLY)',
        ),
    ),
    "files-that-are-opened": (OPENED,),
    "numbers-in-signals": (SIGNALS,),
}

ATTACKS = [
    *(
        Attack(f"asks-another-session-by-{name}", FORBIDDEN, _relayed(*sources), 3.0)
        for name, sources in _CHANNELS.items()
    ),
    Attack(
        "asks-another-session-by-terminals",
        FORBIDDEN,
        answers(TERMINALS, Dropout=ASKS_A_TERMINAL),
        # Some of it is asked where nothing is to be dropped.
        20.75,
        "dropout",
        forfeits=True,
    ),
]
