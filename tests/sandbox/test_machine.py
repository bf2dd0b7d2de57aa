"""What a machine that forbids something is told, and what still works there."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from helpers.courses import ROOT

from autograder.sandbox import BACKENDS, DEFAULT, landlock, machine, namespaces

HELPER = ROOT / "tests" / "helpers" / "without_namespaces.py"
PROFILE = ROOT / "scripts" / "docker_seccomp.json"


def files(folder, **contents):
    """Write files whose names have two underscores for each slash."""
    for name, content in contents.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return folder


def test_the_cause_is_recognized(tmp_path, monkeypatch):
    """Each has one smallest step; where nothing is known, all are named."""
    said = {
        "proc__sys__user__max_user_namespaces": ("0\n", "sysctl user.max_user_namespaces"),
        "proc__sys__kernel__unprivileged_userns_clone": ("0\n", "unprivileged_userns_clone=1"),
        "var__run__secrets__kubernetes.io__x": ("", "hostUsers: false"),
        "run__.containerenv": ("", "seccomp=scripts/docker_seccomp.json"),
        ".dockerenv": ("", "seccomp=scripts/docker_seccomp.json"),
        "proc__sys__kernel__apparmor_restrict_unprivileged_userns": ("1\n", "allow_bubblewrap.sh"),
    }
    monkeypatch.setattr(os, "getuid", lambda: 1000)
    for number, (name, (content, step)) in enumerate(said.items()):
        advice = namespaces.advice(files(tmp_path / str(number), **{name: content}))
        assert step in advice
        assert [one for one in {step for _, step in said.values()} if one in advice] == [step]
    everything = namespaces.advice(tmp_path / "nowhere")
    for step in ("allow_bubblewrap.sh", "docker_seccomp.json", "hostUsers: false"):
        assert step in everything
    monkeypatch.setattr(os, "getuid", lambda: 0)
    status = {"proc__self__status": "Name:\tx\nCapEff:\t00000000a80425fb\n"}
    advice = namespaces.advice(files(tmp_path / "root", **status))
    assert advice.startswith("This root may not administer the system")


def test_reports_name_a_backend_that_promises_less():
    """All but the default have a warning, and only the one that hides nothing shows everything."""
    for name, backend in BACKENDS.items():
        assert bool(backend.warning) == (name != DEFAULT)
        assert backend.isolates == (Path("/") not in backend.readable())


@pytest.mark.sandbox
def test_every_backend_is_tried():
    """What works here has no problem, and what does not says what to do."""
    found = {one.backend: one for one in machine.possibilities()}
    assert set(found) == set(BACKENDS)
    assert found["none"].works
    assert found["bubblewrap"].works
    assert found["landlock"].works == (landlock.version() >= landlock.NEEDED)


GRADE = """
    import math
    import nbformat, numpy as np
    from autograder import tasks
    from autograder.judging.judge import judge
    from autograder.sandbox import Limits, Sandbox, SandboxUnavailableError
    for backend in ("bubblewrap", "landlock"):
        try:
            with Sandbox(Limits(), backend) as sandbox, sandbox.session(0, math.inf) as session:
                task = tasks["l2_penalty"]
                cases = task.draw(np.random.default_rng(1))
                session.run_cell('''
    def l2_penalty(weights, weight_decay):
        return 0.5 * weight_decay * sum((w**2).sum() for w in weights)
    ''')
                print(judge(task, cases, session.observe(task, cases)).points)
        except SandboxUnavailableError as error:
            print(error)
"""


@pytest.mark.sandbox
@pytest.mark.skipif(landlock.version() < landlock.NEEDED, reason="Landlock is too old here.")
def test_where_namespaces_are_forbidden_landlock_grades():
    """As root in a container: bubblewrap refuses and says what to do, landlock gives all points."""
    source = textwrap.dedent(GRADE)
    command = [sys.executable, str(HELPER), sys.executable, "-c", source]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": "."}
    )
    refused, points = done.stdout.splitlines()
    assert refused.startswith("The sandbox (bubblewrap) did not start: bwrap: ")
    assert "docker_seccomp.json" in refused
    assert "--sandbox landlock" in refused
    assert points == "3.0", done.stderr


@pytest.mark.sandbox
@pytest.mark.skipif(os.getuid() != 0, reason="Only root has capabilities to lose.")
@pytest.mark.skipif(landlock.version() < landlock.NEEDED, reason="Landlock is too old here.")
def test_landlock_needs_no_more_of_root_than_docker_gives():
    """Unless Python lies where only root may enter, which then is said."""
    docker = "chown,dac_override,fowner,fsetid,kill,setgid,setuid,setpcap,net_bind_service,net_raw"
    docker = f"{docker},sys_chroot,mknod,audit_write,setfcap"
    source = textwrap.dedent(GRADE).replace('("bubblewrap", "landlock")', '("landlock",)')
    said = []
    for allowed in (docker, f"{docker},dac_read_search"):
        bounding = "-all," + ",".join(f"+{name}" for name in allowed.split(","))
        command = ["setpriv", f"--bounding-set={bounding}", "--inh-caps=-all", sys.executable]
        done = subprocess.run(
            [*command, "-c", source],
            capture_output=True,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": "."},
        )
        said.append(done.stdout.strip())
    folders = [parent for path in (os.__file__, sys.prefix) for parent in Path(path).parents]
    if all(folder.stat().st_mode & 0o001 for folder in folders):
        assert said == ["3.0", "3.0"]
    else:
        assert "only its owner may enter" in said[0]
        assert said[1] == "3.0"


@pytest.mark.sandbox
def test_our_profile_for_docker_lets_bubblewrap_work():
    """As an ordinary user, whose namespaces inside others work too; Docker itself is not tried."""
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    user = nobody if os.getuid() == 0 else []
    bubblewrap = ["bwrap", "--unshare-user", "--unshare-pid", "--unshare-net", "--unshare-uts"]
    bubblewrap += ["--hostname", "x", "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev"]
    inner = ["unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork"]
    inner += ["mount", "-t", "tmpfs", "none", "/tmp"]
    command = [sys.executable, str(HELPER), "--profile", str(PROFILE), *user, *bubblewrap, *inner]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_our_profile_for_docker_forbids_what_nobody_needs():
    """It takes away nothing but what bubblewrap needs from what Docker's own forbids."""
    [group] = json.loads(Path(PROFILE).read_text())["syscalls"]
    assert {"bpf", "keyctl", "kexec_load", "setns", "open_by_handle_at"} <= set(group["names"])
    assert not {"clone", "unshare", "mount", "umount2", "pivot_root"} & set(group["names"])
