"""What a session without namespaces can do and what it cannot, as root and as an ordinary user."""

import ast
import contextlib
import math
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from helpers.sessions import text

from autograder import tasks
from autograder.judging.judge import judge
from autograder.sandbox import EndedError, Limits, Sandbox, SandboxUnavailableError, landlock
from autograder.sandbox.backend import PACKAGE

pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.skipif(
        landlock.version() < landlock.NEEDED, reason="This kernel's Landlock is too old."
    ),
]

LIMITS = Limits(cell_seconds=5, memory=2**29)


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox(LIMITS, "landlock") as sandbox:
        yield sandbox


@pytest.fixture
def session(sandbox):
    with sandbox.session(7, math.inf) as session:
        yield session


def value(session, source):
    return ast.literal_eval(text(session, source))


def descendants():
    """Return the processes of sandboxes that we have started and that still run."""
    found = set()
    for one in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if "autograder.sandbox.inside" in one.cmdline():
                found.add(one)
    return found


def test_cells_run_as_in_a_notebook(session):
    """Prints, values, commands, pictures, files and other processes."""
    assert text(session, "x = 2\nprint('hello')\nx + 1") == "hello\n3"
    assert text(session, "!echo hello") == "hello\n"
    assert "Wall time" in text(session, "%%time\nx")
    [picture] = session.run_cell("import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()")
    assert picture.picture.startswith(b"\x89PNG")
    source = """
        import subprocess, sys, tempfile, numpy as np
        np.save("x.npy", np.ones(3))
        with open(tempfile.mkstemp()[1], "w") as file:
            file.write("x")
        (np.load("x.npy").sum().item(),
         subprocess.run([sys.executable, "-c", "print(1)"], capture_output=True).stdout)
    """
    assert value(session, source) == (3.0, b"1\n")


def test_modules_that_are_not_loaded_yet_can_be_imported(session):
    """From the standard library and from packages."""
    assert text(session, "import sklearn.tree, sqlite3, wave\nprint('yes')") == "yes\n"


def test_observing_is_judged_outside(session):
    """The arrays of a right answer cross and earn everything."""
    task = tasks["l2_penalty"]
    cases = task.draw(np.random.default_rng(1))
    session.run_cell(
        "def l2_penalty(weights, weight_decay):\n"
        "    return 0.5 * weight_decay * sum((w**2).sum() for w in weights)"
    )
    assert judge(task, cases, session.observe(task, cases)).passed


def test_files_outside_cannot_be_read_or_changed(session, tmp_path):
    """Whatever their modes: not the home, the project, the package, /proc or other folders."""
    secret = tmp_path / "secret"
    secret.write_text("secret")
    secret.chmod(0o666)
    for folder in (tmp_path, *tmp_path.parents[:-2]):
        with contextlib.suppress(PermissionError):
            folder.chmod(0o777)
    paths = [secret, PACKAGE / "task.py", PACKAGE.parent / "README.md", "/etc/passwd"]
    paths += ["/proc/self/status", "/proc/cpuinfo", f"/proc/{os.getpid()}/environ", "/dev/zero"]
    found = value(
        session,
        f"""
        import os
        def fails(action, *arguments):
            try: action(*arguments)
            except OSError: return True
        ([path for path in {[*map(str, paths)]} if not fails(open, path)],
         [path for path in {[*map(str, paths)]} if not fails(open, path, "a")],
         [path for path in ("/", "/tmp", "/proc", "/root", "/home", {str(PACKAGE)!r})
          if not fails(os.listdir, path)],
         [folder for folder in ("/tmp", "/usr", "/dev/shm", {sys.prefix!r}, {str(tmp_path)!r})
          if not fails(open, folder + "/new", "w")],
         fails(os.rename, {str(secret)!r}, "mine"), fails(os.link, {str(secret)!r}, "mine"),
         fails(os.chmod, {str(secret)!r}, 0o600), fails(os.utime, {str(secret)!r}),
         fails(os.getxattr, {str(secret)!r}, "user.x"), fails(os.symlink, "/etc", "link"))
        """,
    )
    assert found == ([], [], [], [], True, True, True, True, True, True)
    assert secret.read_text() == "secret"


def test_there_is_no_network(session, tmp_path):
    """No address family, and no socket of another process, whether it has a name or not."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as other:
        other.bind(f"\0autograder-{os.getpid()}")
        other.listen()
        source = f"""
            import socket
            def fails(action):
                try: action()
                except OSError: return True
            pair = socket.socketpair()
            pair[0].send(b"x")
            ([fails(lambda: socket.socket(family)) for family in (1, 2, 10, 16, 17, 40)],
             fails(lambda: socket.create_connection({server.getsockname()!r})),
             fails(lambda: pair[0].connect({other.getsockname()!r})),
             fails(lambda: socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)),
             pair[1].recv(1))
        """
        assert value(session, source) == ([True] * 6, True, True, True, b"x")


def test_other_processes_cannot_be_signaled_or_changed(session):
    """Neither the grader nor what keeps the session, nor anybody of the same user."""
    user = os.stat(f"/proc/{session._usage.processes()[1].pid}").st_uid
    with subprocess.Popen(["sleep", "100"], user=user if os.getuid() == 0 else None) as other:
        source = f"""
            import ctypes, os, resource, signal
            libc = ctypes.CDLL(None, use_errno=True)
            def fails(action, *arguments):
                try: action(*arguments)
                except OSError: return True
            [(fails(os.kill, pid, 0), fails(os.kill, pid, signal.SIGKILL),
              fails(resource.prlimit, pid, resource.RLIMIT_NOFILE, (9, 9)),
              fails(os.sched_setaffinity, pid, [0]),
              fails(os.setpriority, os.PRIO_PROCESS, pid, 19),
              libc.ptrace(16, pid, 0, 0) < 0)
             for pid in ({other.pid}, os.getppid(), {os.getpid()})]
        """
        assert value(session, source) == [(True,) * 6] * 3
        assert other.poll() is None
        other.kill()


@pytest.mark.parametrize(
    "source",
    [
        "for i in range(99): open(str(i), 'wb').write(b'a' * 2**20)",
        "import os\nwhile True: os.mkdir(str(os.urandom(8).hex()))",
        "import os\nwhile True:\n    os.mkdir('deeper')\n    os.chdir('deeper')",
    ],
    ids=["many megabytes", "many folders", "very deep"],
)
def test_the_disk_is_watched(sandbox, source):
    """Who writes too much is ended, and nothing stays."""
    session = sandbox.session(0, math.inf)
    folder = Path(os.readlink(f"/proc/self/fd/{session._folder}"))
    with pytest.raises(EndedError, match="wrote more than 64 MB or 1000 files"):
        session.run_cell(source)
    assert not folder.parent.exists()


def test_a_file_without_a_name_cannot_take_room(session):
    """It would not be seen, so no open file loses its name and none is made without."""
    source = """
        import os
        def fails(action, *arguments):
            try: action(*arguments)
            except OSError: return True
        open("a", "w").write("x")
        open("b", "w").write("x")
        (fails(os.remove, "a"), fails(os.rename, "a", "b"), fails(os.rename, "a", "c"),
         fails(os.open, ".", os.O_TMPFILE | os.O_RDWR), fails(os.memfd_create, "x"))
    """
    assert value(session, source) == (True,) * 5


def test_a_fork_bomb_ends_with_its_session(sandbox):
    """It stays below the limit, and no process of it is left."""
    sandbox.check()
    before = descendants()
    session = sandbox.session(0, math.inf)
    with pytest.raises(EndedError):
        session.run_cell("import os\nwhile True:\n    try: os.fork()\n    except OSError: pass")
    assert descendants() <= before
    with sandbox.session(0, math.inf) as other:
        assert text(other, "1 + 1") == "2"
        assert len(other._usage.processes()) == 2


def test_orphans_end_with_their_session(sandbox):
    """Whether the grader closes it or its first process ends itself."""
    orphans = """
        import os, time
        for _ in range(3):
            if os.fork() == 0:
                if os.fork() == 0:
                    while True: time.sleep(1)
                os._exit(0)
    """
    before = descendants()
    with sandbox.session(0, math.inf) as session:
        text(session, orphans)
        assert len(session._usage.processes()) >= 5
    assert descendants() <= before
    session = sandbox.session(0, math.inf)
    with pytest.raises(EndedError, match="ended its process"):
        session.run_cell(textwrap.dedent(orphans) + "os._exit(0)")
    assert descendants() <= before


def test_a_session_cannot_leave_its_group(session):
    """By its group it is killed at once."""
    source = """
        import os
        def fails(action, *arguments):
            try: action(*arguments)
            except OSError: return True
        if os.fork() == 0:
            os._exit(fails(os.setsid) and fails(os.setpgid, 0, 0) and 7)
        os.waitstatus_to_exitcode(os.wait()[1])
    """
    assert value(session, source) == 7


def test_sessions_do_not_see_each_other(sandbox):
    """Two at a time: neither folders nor processes, and a limit is each one's own."""
    with sandbox.session(0, math.inf) as one, sandbox.session(0, math.inf) as other:
        where, pid = value(
            one, "import os\nopen('note', 'w').write('x')\n(os.getcwd(), os.getpid())"
        )
        source = f"""
            import os
            def fails(action, *arguments):
                try: action(*arguments)
                except OSError: return True
            (os.getcwd() != {where!r}, fails(open, {where!r} + "/note"),
             fails(os.listdir, {where!r}), fails(open, {where!r} + "/other", "w"),
             fails(os.kill, {pid}, 9), os.getuid())
        """
        found = value(other, source)
        assert found[:-1] == (True,) * 5
        assert found[-1] != 0
        assert (found[-1] != value(one, "os.getuid()")) == (os.getuid() == 0)
        assert text(one, "open('note').read()") == "'x'"


def test_nothing_is_left_for_the_next(sandbox):
    """Files and names are gone when a session ends."""
    with sandbox.session(0, math.inf) as session:
        where = value(session, "import os\nos.makedirs('a/b')\nopen('a/b/c', 'w')\nos.getcwd()")
        assert Path(where).exists()
    assert not Path(where).parent.exists()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_sessions_end_with_the_grader(number):
    """Also when it is killed: processes end, and the folder goes."""
    program = """
        import math, os, time
        from autograder.sandbox import Sandbox
        with Sandbox(backend="landlock") as sandbox:
            session = sandbox.session(0, math.inf)
            session.run_cell("import os, time\\nif os.fork() == 0: time.sleep(100)")
            pids = [process.pid for process in session._usage.processes()]
            print([os.readlink(f"/proc/self/fd/{session._folder}"), *pids], flush=True)
            time.sleep(100)
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as grader:
        folder, *pids = ast.literal_eval(grader.stdout.readline())
        grader.send_signal(number)
    assert len(pids) == 3
    assert _waits(lambda: not any(map(psutil.pid_exists, pids)))
    assert _waits(lambda: not Path(folder).parent.exists())


def test_the_next_start_removes_what_was_left():
    """If what keeps a session was killed itself, its processes and its folder go then."""
    with Sandbox(LIMITS, "landlock") as sandbox:
        session = sandbox.session(0, math.inf)
        folder = Path(os.readlink(f"/proc/self/fd/{session._folder}"))
        text(session, "import os, time\nopen('x', 'w')\nif os.fork() == 0: time.sleep(100)")
        keeper, first, orphan = session._usage.processes()
        keeper.kill()
        assert _waits(lambda: not first.is_running() or first.status() == "zombie")
        assert orphan.is_running()
        assert folder.exists()
        with Sandbox(LIMITS, "landlock") as another:
            another.check()
        assert not folder.parent.exists()
        assert _waits(lambda: not orphan.is_running() or orphan.status() == "zombie")
        session.close()


def _waits(condition, seconds=20):
    """Wait until a condition is true and return whether it is."""
    latest = time.monotonic() + seconds
    while not condition() and time.monotonic() < latest:
        time.sleep(0.02)
    return condition()


@pytest.mark.parametrize("version", [0, 5])
def test_an_old_kernel_is_refused(monkeypatch, version):
    """With what is there, what is needed, and what to do instead."""
    monkeypatch.setattr(landlock, "version", lambda: version)
    with pytest.raises(SandboxUnavailableError, match=r"version 6 is needed\. Grade with"):
        Sandbox(backend="landlock").check()


def test_a_folder_made_by_somebody_else_is_refused(monkeypatch, tmp_path):
    """They could change what sessions find in it."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / f"autograder-{os.getuid()}").mkdir(0o777)
    (tmp_path / f"autograder-{os.getuid()}").chmod(0o777)
    with pytest.raises(SandboxUnavailableError, match="belongs to somebody else"):
        Sandbox(backend="landlock").check()


def test_a_hidden_folder_in_a_readable_one_is_not_readable(tmp_path):
    """What lies beside it is; links are not followed to where nothing is allowed."""
    for name in ("shown", "hidden", "elsewhere"):
        (tmp_path / "all" / name).mkdir(parents=True)
        (tmp_path / "all" / name / "file").write_text(name)
    (tmp_path / "all" / "elsewhere").rename(tmp_path / "elsewhere")
    (tmp_path / "all" / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "own").mkdir()
    program = f"""
        import ctypes
        from autograder.sandbox import landlock
        ctypes.CDLL(None).prctl(38, 1, 0, 0, 0)
        every = {str(tmp_path / "all")!r}
        landlock.restrict([every], {str(tmp_path / "own")!r}, [every + "/hidden"])
        for name in ("shown", "hidden", "link"):
            try:
                print(open(f"{{every}}/{{name}}/file").read())
            except OSError as error:
                print(type(error).__name__)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True
    )
    assert done.stdout.split() == ["shown", "PermissionError", "PermissionError"], done.stderr


@pytest.mark.skipif(os.getuid() != 0, reason="This is the ordinary user.")
def test_all_this_holds_for_an_ordinary_user(tmp_path):
    """Who shares one user with all sessions; only Python may lie where others cannot look."""
    tmp_path.chmod(0o777)
    for folder in tmp_path.parents[:-2]:
        folder.chmod(0o755)
    user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    user += ["--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search"]
    command = [sys.executable, "-B", "-m", "pytest", __file__, "-v", "-p", "no:cacheprovider"]
    environment = {**os.environ, "HOME": str(tmp_path), "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [*user, *command], env=environment, cwd=PACKAGE.parent, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-5000:]
    assert "passed, 1 skipped" in done.stdout
