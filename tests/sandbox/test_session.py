"""What student code can do in a session and what it cannot, tried in real sandboxes."""

import math
import os
import socket
import sys
import time

import numpy as np
import pytest
from helpers.sessions import text

from autograder import tasks
from autograder.judging.judge import judge
from autograder.sandbox import (
    EndedError,
    Limits,
    Sandbox,
    SandboxUnavailableError,
)
from autograder.sandbox.backend import PACKAGE
from autograder.sandbox.bubblewrap import Bubblewrap

pytestmark = pytest.mark.sandbox

LIMITS = Limits(cell_seconds=5, memory=2**29)


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox(LIMITS) as sandbox:
        yield sandbox


@pytest.fixture
def session(sandbox):
    with sandbox.session(7, math.inf) as session:
        yield session


def kinds(session, source):
    return [(output.kind, output.text or output.name) for output in session.run_cell(source)]


def test_cells_run_as_in_a_notebook(session):
    """Prints, values, magics and shell commands, in their order; names stay for later cells."""
    assert kinds(session, "x = 2\nprint('hello')\nx + 1") == [("stdout", "hello\n"), ("text", "3")]
    assert "Wall time" in text(session, "%%time\ny = x")
    assert "hello" in text(session, "!echo hello")
    assert text(session, "x * y") == "4"
    assert kinds(session, "import sys\nprint('careful', file=sys.stderr)")[0][0] == "stderr"


def test_an_error_is_shown_and_the_next_cell_runs(session):
    """With IPython's traceback and the name of the error, whatever kind it is."""
    for source, name in {
        "1 / 0": "ZeroDivisionError",
        "1 +": "SyntaxError",
        "raise KeyboardInterrupt": "KeyboardInterrupt",
        "input()": "EOFError",
    }.items():
        [error] = session.run_cell(source)
        assert (error.kind, error.name) == ("error", name)
        assert name in error.text
    text(session, "import sys; sys.exit(1)")
    assert text(session, "print('still here')") == "still here\n"


def test_a_plot_is_a_picture(session):
    """As PNG, by the backend that notebooks use."""
    [picture] = session.run_cell("import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()")
    assert picture.picture.startswith(b"\x89PNG")


def test_endless_output_is_cut_off(session):
    """What is printed is capped, in length and in number, and the cell goes on."""
    source = "for i in range(10**3): print(i); display(i)\nx = 'a' * 10**7\nprint(x)\nx"
    outputs = session.run_cell(source)
    assert len(outputs) <= 50
    assert sum(len(output.text) for output in outputs) < 100_000
    assert "cut off" in outputs[-1].text
    assert text(session, "len(x)") == str(10**7)


def test_observing_is_judged_outside(session):
    """The arrays of a right answer cross and earn everything."""
    task = tasks["l2_penalty"]
    cases = task.draw(np.random.default_rng(1))
    session.run_cell(
        "def l2_penalty(weights, weight_decay):\n"
        "    return 0.5 * weight_decay * sum((w**2).sum() for w in weights)"
    )
    assert judge(task, cases, session.observe(task, cases)).passed


def test_the_same_seed_draws_the_same_numbers(sandbox):
    """A submission graded again meets the same global generators."""
    source = "import random, numpy as np, torch\n(random.random(), np.random.rand(), torch.rand(1))"
    drawn = []
    for seed in (1, 1, 2):
        with sandbox.session(seed, math.inf) as session:
            drawn.append(text(session, source))
    assert drawn[0] == drawn[1] != drawn[2]


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("while True: pass", "processor time|did not finish"),
        (
            "import signal, time\nsignal.signal(signal.SIGTERM, lambda *_: 0)\ntime.sleep(60)",
            "10 s",
        ),
        ("import os; os._exit(0)", "ended its process"),
        ("import ctypes; ctypes.string_at(0)", "ended its process"),
        ("import os; os.abort()", "ended its process"),
        ("kept = []\nwhile True: kept.append(bytearray(b'x') * 2**24)", "0.5 GB"),
        (
            "import os\nfor _ in range(20):\n    if not os.fork(): break\n"
            "x = b'a' * 2**26\nimport time; time.sleep(60)",
            "0.5 GB",
        ),
    ],
)
def test_what_ends_a_session_says_so(sandbox, source, reason):
    """The student reads a sentence; the next session is not affected."""
    session = sandbox.session(0, math.inf)
    with pytest.raises(EndedError, match=reason):
        session.run_cell(source)
    assert session.closed
    with sandbox.session(0, math.inf) as other:
        assert text(other, "1 + 1") == "2"


def test_a_session_cannot_be_signaled_from_inside(session):
    """Its first process is what its namespace lives by: nobody in there can kill it."""
    source = "import os, signal; os.kill(os.getpid(), signal.SIGKILL); os.getpid()"
    assert text(session, source) == "1"


def test_a_notebook_has_its_own_deadline(sandbox):
    """However little each cell takes."""
    with (
        sandbox.session(0, time.monotonic() + 2) as session,
        pytest.raises(EndedError, match="The notebook took"),
    ):
        session.run_cell("import time; time.sleep(30)")


@pytest.mark.parametrize(
    "source",
    [
        "b'a' * 2**30",
        "import mmap; m = mmap.mmap(-1, 2**30)",
        "import os; os.memfd_create('x')",
        "open('/tmp/x', 'wb').write(b'a' * 2**27)",
        "open('/dev/shm/x', 'wb').write(b'a' * 2**27)",
        "for i in range(99): open(f'/tmp/{i}', 'wb').write(b'a' * 2**20)",
        "import threading, time\nfor _ in range(200): threading.Thread(target=time.sleep, "
        "args=(5,), daemon=True).start()",
        "files = [open('/dev/null') for _ in range(1000)]",
    ],
)
def test_resources_are_limited(session, source):
    """An exception that the student's code may catch, and no more than that."""
    assert session.run_cell(source)[-1].kind == "error"


def test_system_calls_without_use_are_refused(session):
    """Namespaces, mounts, other processes' memory, and System V memory."""
    calls = """
        import ctypes, errno
        libc = ctypes.CDLL(None, use_errno=True)
        def refused(result):
            return result == -1 and ctypes.get_errno() in (errno.EPERM, errno.ENOSYS)
        print(
            refused(libc.unshare(0x10000000)),
            refused(libc.mount(b"none", b"/tmp", b"tmpfs", 0, None)),
            refused(libc.ptrace(16, 1, 0, 0)),
            refused(libc.shmget(0, 2**20, 0o1600)),
            refused(libc.syscall(435, 0, 0)),
            refused(libc.syscall(56, 0x10000000 | 17, 0, 0, 0, 0)),
        )
    """
    assert text(session, calls) == "True True True True True True\n"


def test_nothing_of_the_host_is_there(session, tmp_path):
    """No home, no project, no processes, no environment, no network, nowhere to write."""
    (tmp_path / "secret").write_text("secret")
    os.environ["AUTOGRADER_TEST_SECRET"] = "secret"
    with socket.create_server(("127.0.0.1", 0)) as server:
        found = text(
            session,
            f"""
            import os, socket
            def fails(action):
                try: action()
                except OSError: return True
            print(
                fails(lambda: open({os.fspath(tmp_path / "secret")!r})),
                fails(lambda: open({os.fspath(PACKAGE.parent / "README.md")!r})),
                fails(lambda: socket.create_connection(("127.0.0.1", {server.getsockname()[1]}))),
                fails(lambda: socket.socket(40)),
                all(fails(lambda: open(f"{{folder}}/x", "w")) for folder in
                    ("/", "/dev", "/usr", "/etc", {sys.prefix!r}, {str(PACKAGE)!r})),
                os.listdir("/proc"), "AUTOGRADER_TEST_SECRET" in os.environ, os.getuid() == 0,
            )
            """,
        )
    assert found == "True True True True True [] False False\n"


def test_the_references_are_nowhere_in_the_sandbox(session):
    """Not in memory, not on disk: whoever searches finds what runs the student's functions."""
    # RMSNorm's is layer norm's with other steps, a partial.
    references = [getattr(task.reference, "func", task.reference) for task in tasks.values()]
    names = {reference.__qualname__ for reference in references}
    names |= {task.draw.__qualname__ for task in tasks.values()}
    for task in tasks.values():
        for misconception in task.misconceptions:
            steps = misconception.replaces.values()
            names |= {step.__qualname__ for step in steps if hasattr(step, "__qualname__")}
    # Lambdas have no names to search for.
    names = {name for name in names if "<" not in name}
    found = text(
        session,
        f"""
        import gc, os, types, autograder
        gc.unfreeze()
        functions = [one for one in gc.get_objects() if type(one) is types.FunctionType]
        ours = [f for f in functions if str(f.__module__).startswith("autograder.tasks")]
        print(sorted({{f.__qualname__ for f in ours}} & {names!r}), len(ours) > 19)
        print(os.listdir(autograder.__path__[0]))
        """,
    )
    assert found == "[] True\n[]\n"


def test_nothing_is_left_for_the_next(sandbox):
    """Files, processes and names are gone when a session ends."""
    with sandbox.session(0, math.inf) as session:
        text(session, "open('/tmp/note', 'w').write('x'); open('/dev/shm/note', 'w').write('x')")
        text(session, "import os\nif not os.fork():\n    os.setsid()\n    while True: pass")
        children = session._usage.processes()
        assert len(children) == 2
    with sandbox.session(0, math.inf) as session:
        assert not any(child.is_running() for child in children)
        assert text(session, "import os; os.path.exists('/tmp/note')") == "False"
        assert text(session, "os.listdir('/dev/shm')") == "[]"
        assert text(session, "'note' in globals()") == "False"


def test_a_sandbox_that_died_is_started_again(sandbox):
    """Whatever ended it, the next submission is graded."""
    sandbox.session(0, math.inf).close()
    sandbox._with_torch._process.kill()
    sandbox._with_torch._process.wait()
    with sandbox.session(0, math.inf) as session:
        assert text(session, "1") == "1"


def test_python_may_lie_in_tmp(monkeypatch, tmp_path):
    """A checkout in /tmp is shown beside the empty /tmp of a submission."""
    (tmp_path / "module.py").write_text("value = 3\n")
    if not tmp_path.is_relative_to("/tmp"):
        pytest.fail("This test needs a temporary folder in /tmp.")
    tmp_path.chmod(0o755)
    shown = [*Bubblewrap().readable(), tmp_path]
    monkeypatch.setattr(Bubblewrap, "readable", lambda self: shown)
    with Sandbox(LIMITS) as sandbox, sandbox.session(0, math.inf) as session:
        source = f"import sys; sys.path.append({os.fspath(tmp_path)!r}); import module"
        assert text(session, f"{source}\nmodule.value") == "3"
        tops = sorted({path.parts[2] for path in shown if path.is_relative_to("/tmp")})
        assert text(session, "import os; sorted(os.listdir('/tmp'))") == repr(tops)
        refused = text(session, f"open({os.fspath(tmp_path / 'new')!r}, 'w')")
        assert "Read-only file system" in refused


def test_without_bubblewrap_it_says_what_to_install(monkeypatch):
    """And nothing is run."""
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(SandboxUnavailableError, match=r"not installed\. Install bubblewrap"):
        Sandbox().check()


def test_a_sandbox_that_cannot_be_built_says_why(monkeypatch, tmp_path):
    """What bubblewrap or the kernel said, and what to allow."""
    fake = tmp_path / "bwrap"
    fake.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(SandboxUnavailableError, match=r"No permissions.*SECURITY\.md says more"):
        Sandbox().check()


def test_without_isolation_the_same_cells_run():
    """`none` is the same program as an ordinary process."""
    with Sandbox(LIMITS, "none") as sandbox, sandbox.session(7, math.inf) as session:
        assert text(session, "print(1)\n2") == "1\n2"
        with pytest.raises(EndedError, match="ended its process"):
            session.run_cell("import os; os._exit(0)")


def test_python_and_the_package_are_all_that_is_shown():
    """Neither the folder of the project nor a home is among them."""
    shown = Bubblewrap().readable()
    assert PACKAGE in shown
    assert PACKAGE.parent not in shown
