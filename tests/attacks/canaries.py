"""What nobody may reach: planted before grading, looked at afterwards."""

import contextlib
import ctypes
import hashlib
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import uuid
from pathlib import Path
from types import TracebackType
from typing import Self

import autograder

NOBODY = 65534
HONEST = "honest-0"
"""The student whose submission holds a canary."""

_libc = ctypes.CDLL(None, use_errno=True)
_libc.shmat.restype = ctypes.c_void_p


class Canaries:
    """Secrets in files, environment, memory and sockets; a context manager.

    Attributes
    ----------
    folder
        A folder that everybody may enter, for the course: not its permissions shall protect it.
    names
        What `@NAME@` in an attack stands for.
    """

    def __init__(self) -> None:
        self.secrets = {
            kind: f"canary-{kind}-{uuid.uuid4().hex}"
            for kind in ("home", "source", "submission", "environment", "victim", "shared")
        }
        self.mark = f"mark-{uuid.uuid4().hex}"
        self.received: list[str] = []
        self.folder = Path(tempfile.mkdtemp(prefix="attacks-"))
        self.names: dict[str, object] = {}
        self._closing = contextlib.ExitStack()

    def __enter__(self) -> Self:
        self.folder.chmod(0o755)
        self._closing.callback(shutil.rmtree, self.folder, ignore_errors=True)
        course, package = self.folder / "course", Path(autograder.__file__).parent
        self.home_file = Path.home() / f".{self.mark}.txt"
        self.home_file.write_text(self.secrets["home"])
        self.home_file.chmod(0o666)
        self._closing.callback(self.home_file.unlink)
        os.environ["AUTOGRADER_CANARY"] = self.secrets["environment"]
        self._closing.callback(os.environ.pop, "AUTOGRADER_CANARY")
        nobody = NOBODY if os.getuid() == 0 else None
        self.victims = [self._victim(None), self._victim(nobody)]
        self.marker = self.folder / self.mark
        self._share()
        self.names = {
            "MARK": self.mark,
            "MARKER": self.marker,
            "COURSE": course,
            "GRADEBOOK": course / "gradebook.db",
            "SOURCE": course / "source" / "l2" / "l2.ipynb",
            "RELEASE": course / "release" / "l2" / "l2.ipynb",
            "EXERCISES": self.folder / "exercises" / "l2" / "l2.py",
            "CONFIG": self.folder / "nbgrader_config.py",
            "AUTOGRADER": package,
            "HOME": Path.home(),
            "HOME_FILE": self.home_file,
            "VICTIM": self.victims[0].pid,
            "VICTIM_OF_NOBODY": self.victims[1].pid,
            "SHM": self._segment,
            "SHM_KEY": self._key,
            "ABSTRACT": self.mark,
            "NAMED": self.folder / "socket",
            "TCP": self._listen(socket.AF_INET, ("127.0.0.1", 0)),
            "TCP6": self._listen_6(),
            "UDP": self._listen(socket.AF_INET, ("127.0.0.1", 0), socket.SOCK_DGRAM),
        }
        self._listen(socket.AF_UNIX, f"\0{self.mark}")
        self._listen(socket.AF_UNIX, str(self.names["NAMED"]))
        os.chmod(str(self.names["NAMED"]), 0o777)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closing.close()

    def filled(self, text: str) -> str:
        """Return a text with the names of this run in it."""
        for name, value in self.names.items():
            text = text.replace(f"@{name}@", str(value))
        return text

    def open_to_all(self) -> None:
        """Let everybody read and write the course, and remember what is in it."""
        for path in [self.folder, *self.folder.rglob("*")]:
            if not path.is_symlink() and (path.is_dir() or path.is_file()):
                path.chmod(0o777 if path.is_dir() else 0o666)
        self._before = self._content()

    def reached(self) -> list[str]:
        """Return what was changed, told or left behind, by whomever."""
        found = [f"a server received {message}" for message in self.received]
        if self.home_file.read_text() != self.secrets["home"]:
            found.append("the file in the home folder was changed")
        for victim in self.victims:
            if victim.poll() is not None:
                found.append("another process was ended")
                continue
            state = Path(f"/proc/{victim.pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
            if state in "TtZX":
                found.append(f"another process is in state {state}")
        if ctypes.string_at(self._address, 7) != b"canary-":
            found.append("shared memory was changed")
        after = self._content()
        found += [
            f"{path} was changed"
            for path in sorted({*self._before, *after})
            if self._before.get(path) != after.get(path)
        ]
        places = [Path.home(), "/tmp", "/var/tmp", "/dev/shm", "/run", self.folder, Path.cwd()]
        places += [Path(autograder.__file__).parent, Path(autograder.__file__).parent.parent]
        found += [
            f"{path} was left behind"
            for place in map(Path, places)
            for path in place.glob(f"*{self.mark}*")
            if path != self.home_file
        ]
        found += [
            f"{path} was written to"
            for path in Path(autograder.__file__).parent.rglob("*.py")
            if self.mark in path.read_text()
        ]
        found += [f"{line} still runs" for line in self._running()]
        return found

    def told(self, folder: Path) -> list[str]:
        """Return the secrets that the files of a graded submission tell."""
        found = []
        for path in folder.rglob("*"):
            if path.is_file():
                content = path.read_bytes()
                found += [k for k, secret in self.secrets.items() if secret.encode() in content]
                found += ["files of another"] * (b"left-for-the-next" in content)
        return found

    def _running(self) -> list[str]:
        lines = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
                if self.mark in line and int(path.parent.name) != os.getpid():
                    lines.append(line[:200])
        return lines

    def _content(self) -> dict[Path, str]:
        found = {}
        for name in ("exercises", "course/source", "course/release", "nbgrader_config.py"):
            root = self.folder / name
            for path in [root, *root.rglob("*")]:
                if path.is_file():
                    found[path] = hashlib.sha256(path.read_bytes()).hexdigest()
        return found

    def _victim(self, user: int | None) -> subprocess.Popen[bytes]:
        victim = subprocess.Popen(
            ["sleep", "100000"],
            env={"SECRET": self.secrets["victim"]},
            cwd="/",
            user=user,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._closing.callback(victim.wait)
        self._closing.callback(victim.kill)
        return victim

    def _share(self) -> None:
        self._key = 0x5EC0DE
        while True:
            self._segment = _libc.shmget(self._key, 4096, 0o1000 | 0o2000 | 0o666)
            if self._segment >= 0:
                break
            self._key += 1
        self._address = _libc.shmat(self._segment, None, 0)
        ctypes.memmove(self._address, self.secrets["shared"].encode(), 40)
        self._closing.callback(_libc.shmctl, self._segment, 0, None)
        self._closing.callback(_libc.shmdt, ctypes.c_void_p(self._address))
        path = Path("/dev/shm") / f"shared-{uuid.uuid4().hex}"
        path.write_text(self.secrets["shared"])
        path.chmod(0o666)
        self._closing.callback(path.unlink)

    def _listen_6(self) -> int:
        try:
            return self._listen(socket.AF_INET6, ("::1", 0))
        except OSError:
            return 9  # A machine without IPv6 has nothing to be reached by it.

    def _listen(self, family: int, address: object, kind: int = socket.SOCK_STREAM) -> int:
        """Serve in a thread and write down whatever comes; return the port."""
        server = socket.socket(family, kind)
        server.bind(address)  # type: ignore[arg-type]
        self._closing.callback(server.close)
        self._closing.callback(_wake, server)
        where = repr(server.getsockname())

        def serve() -> None:
            if kind == socket.SOCK_STREAM:
                server.listen(100)
            with contextlib.suppress(OSError):
                while True:
                    if kind == socket.SOCK_DGRAM:
                        self.received.append(f"{server.recv(1000)!r} at {where}")
                        continue
                    with server.accept()[0] as connection:
                        connection.settimeout(5)
                        try:
                            data = connection.recv(1000)
                        except OSError:
                            data = b"nothing"
                        self.received.append(f"{data!r} at {where}")

        threading.Thread(target=serve, daemon=True).start()
        name = server.getsockname()
        return name[1] if isinstance(name, tuple) else 0


def _wake(server: socket.socket) -> None:
    """Make a thread that waits for a connection give up."""
    with contextlib.suppress(OSError):
        server.shutdown(socket.SHUT_RDWR)
