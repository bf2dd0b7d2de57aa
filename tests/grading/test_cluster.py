"""Many submissions at a time, by workers that are processes of their own, and die."""

import html
import json
import logging
import os
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from distributed import Client, LocalCluster
from helpers import rogue
from helpers.courses import (
    ENVIRONMENT,
    TOOLS,
    answered,
    copy_course,
    hand_in,
    points,
    released_course,
)
from helpers.jobs import Deadly, Faulty, Silent
from typer.testing import CliRunner

from autograder import cli
from autograder.grading import certificates, cluster

pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.filterwarnings("ignore:Object of type"),
    # Dask's own, about workers that died.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

ANSWERS = {
    "solved": {},
    "untouched": {"l2_penalty": "raise NotImplementedError()", "l2_penalty_backward": "pass"},
    "half": {"l2_penalty_backward": "return weights"},
    "dies": {"l2_penalty": "os._exit(1)"},
    "hangs": {"l2_penalty": "while True: pass"},
}
POINTS = {"solved": 6, "untouched": 0, "half": 3, "dies": 3, "hangs": 3}


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """Return a course with a submission of each kind, none of them graded."""
    course = released_course(tmp_path_factory.mktemp("released"))
    for student, answers in ANSWERS.items():
        hand_in(course, student, answered(course, **answers))
    return course


@pytest.fixture
def course(tmp_path, released, monkeypatch):
    """Return a copy of it, and stand in its folder."""
    monkeypatch.chdir(tmp_path)
    return copy_course(released, tmp_path)


@pytest.fixture
def lone(course):
    """Leave one submission only, where it does not matter what is handed in."""
    for student in set(ANSWERS) - {"solved"}:
        shutil.rmtree(course.folder("submitted", student, "l2").parent)
    return course


def copies(course, count):
    """Hand in so many right answers that are no copies to the byte."""
    for number in range(count):
        hand_in(course, f"copy-{number:02}", answered(course, l2_penalty=f"return {number}"))


def grade(*arguments):
    """Run the command; return its status and what it said."""
    result = CliRunner().invoke(cli.app, ["grade", "--no-feedback", *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


@pytest.fixture(scope="module")
def results(released):
    """Run a class with a deadly submission in it; note how many were asked for each time."""
    asked = 0

    def jobs():
        nonlocal asked
        for number in range(12):
            for student in ANSWERS if number == 0 else ["solved"]:
                asked += 1
                job = released.grader.job("l2", student)
                # Other inputs, or they would be the same job.
                yield (student, number), replace(job, key=b"%d" % number)
        job = vars(released.grader.job("l2", "solved"))
        asked += 1
        yield "deadly", Deadly(**job)
        asked += 1
        yield "faulty", Faulty(**job)

    found, ahead = {}, []
    for key, job, outcome in cluster.run(jobs(), 2):
        assert key not in found
        found[key] = job, outcome
        ahead.append(asked - len(found))
    return found, ahead


def test_a_cluster_gives_what_one_process_gives(results):
    """To the byte, whatever the answers are worth or do to their sandbox."""
    found, _ = results
    # Which limit one that hangs meets first depends on how busy the machine is.
    for student in set(ANSWERS) - {"hangs"}:
        job, outcome = found[student, 0]
        assert outcome == job.run()


def test_what_kills_its_workers_is_set_aside_with_a_reason(results):
    """So is what grading fails for; all others are graded, none is lost."""
    found, _ = results
    aside = {key: str(outcome) for key, (_, outcome) in found.items() if not_graded(outcome)}
    assert set(aside) == {"deadly", "faulty"}
    assert aside["deadly"].startswith("2 grading processes died of it.")
    assert "nobody thought of this" in aside["faulty"]
    assert len(found) == 11 + len(ANSWERS) + 2


def test_workers_that_dask_gives_up_are_replaced():
    """Else a class would wait for ever when the last one has gone."""
    with ExitStack() as stack:
        options = {"dashboard_address": None, "silence_logs": logging.CRITICAL}
        local = stack.enter_context(LocalCluster(n_workers=0, threads_per_worker=1, **options))
        client = stack.enter_context(Client(local))
        cluster._respawn(1, local, stack)
        client.wait_for_workers(1, timeout=60)
        [first] = client.nthreads()
        wait_until(lambda: local.workers)
        # What Dask does about one that is slow to start again.
        local.loop.add_callback(local.workers.pop(next(iter(local.workers))).close)
        wait_until(lambda: set(client.nthreads()) - {first})
        assert client.submit(int, "7").result(timeout=60) == 7


def test_a_worker_that_never_answers_does_not_hold_the_class_up(released, monkeypatch):
    """Its submission is set aside, grading stops with advice, and no process is left."""
    monkeypatch.setattr(cluster, "SILENCE_SECONDS", 3)
    monkeypatch.setattr(cluster, "CLOSE_SECONDS", 3)
    job = released.grader.job("l2", "solved")
    limits = replace(job.limits, notebook_seconds=1)
    before = set(psutil.Process().children(recursive=True))
    running = cluster.run([("silent", Silent(**{**vars(job), "limits": limits}))], 1)
    key, _, outcome = next(running)
    assert key == "silent"
    assert "No grading process answered within 4 seconds" in str(outcome)
    with pytest.raises(cluster.ClusterUnavailableError, match="look into the machines"):
        next(running)
    _, alive = psutil.wait_procs(set(psutil.Process().children(recursive=True)) - before, 20)
    # Python's own, which waits for the next cluster.
    # A browser that other tests use starts processes whenever it likes.
    python = [" ".join(one.cmdline()) for one in alive if "python" in one.name()]
    assert not [command for command in python if "resource_tracker" not in command]


def wait_until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def not_graded(outcome):
    return isinstance(outcome, cluster.SetAsideError)


def test_jobs_are_asked_for_as_workers_become_free(results):
    """A large class never lies in memory."""
    _, ahead = results
    assert max(ahead) <= 8
    assert max(ahead) > 2


def test_the_command_grades_a_class_in_a_cluster(course):
    """Same points as ever; a submission that cannot be read costs only itself."""
    copies(course, 8)
    hand_in(course, "unreadable", "[]")
    status, text = grade("--jobs", "2")
    assert status == 1
    assert "l2 of unreadable: The file is no notebook" in text
    assert "13 graded, 0 unchanged, 1 not graded" in text
    found = points(course)
    assert {student: found[student] for student in POINTS} == POINTS
    assert "0 graded, 13 unchanged, 1 not graded" in grade("--jobs", "2")[1]


@contextmanager
def running(keys, *, worker=True, options=(), **environment):
    """Run `dask scheduler` and `dask worker` as the guide says; yields the scheduler's address."""
    file = keys / "scheduler.json"
    files = [f"--tls-ca-file={keys}/certificate.pem", f"--tls-cert={keys}/certificate.pem"]
    files += [f"--tls-key={keys}/key.pem", f"--scheduler-file={file}"]
    commands = [["scheduler", "--protocol=tls", "--host=127.0.0.1", "--port=0", "--no-dashboard"]]
    if worker:
        commands.append(["worker", "--no-dashboard", "--no-nanny", *options])
    started = []
    try:
        for command in commands:
            with (keys / f"{command[0]}.log").open("w") as log:
                process = subprocess.Popen(
                    [TOOLS / "dask", *command, *files],
                    stdout=log,
                    stderr=log,
                    env={**ENVIRONMENT, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
                )
            started.append(process)
            wait_until(file.exists)
        wait_until(lambda: file.read_text().strip())
        address = json.loads(file.read_text())["address"]
        if worker:
            with Client(address, security=certificates.security(keys)) as client:
                client.wait_for_workers(1, timeout=60)
        yield address
    finally:
        for process in started:
            process.kill()
            process.wait()


@pytest.fixture
def keys(course):
    """Make the keys of the course's cluster; return their folder."""
    assert CliRunner().invoke(cli.app, ["certificates"]).exit_code == 0
    return course.root / certificates.FOLDER


@pytest.fixture
def scheduler(keys):
    """Return the address of a scheduler with one worker of several threads."""
    with running(keys, options=["--nthreads=4"]) as address:
        yield address


def test_a_worker_with_several_threads_grades_right(course, scheduler):
    """`dask worker` starts one unless told otherwise; few submissions are sent, too."""
    copies(course, 6)
    # Without a protocol, the connection is encrypted.
    status, _ = grade("--scheduler", scheduler.removeprefix("tls://"))
    assert status == 0
    found = points(course)
    assert {student: found[student] for student in POINTS} == POINTS


@pytest.mark.parametrize("trick", ["returns_a_pickle", "raises_a_pickle", "sends_an_event"])
def test_nothing_of_a_worker_runs_here(lone, keys, tmp_path, trick):
    """Neither what it returns nor what it raises nor what it lets Dask do; nobody gets points."""
    file = tmp_path / "loaded"
    preload = Path(rogue.__file__)
    options = [f"--preload={preload}"]
    with running(keys, options=options, ROGUE=trick, ROGUE_FILE=str(file)) as address:
        status, text = grade("--scheduler", address)
    assert status == 1
    assert str(os.getpid()) not in (file.read_text().split() if file.exists() else [])
    assert "PRINTED" not in text
    assert points(lone) == {}


def test_a_verdict_of_a_worker_is_refused(lone, keys):
    """It may only say what it has observed."""
    options = [f"--preload={rogue.__file__}"]
    with running(keys, options=options, ROGUE="claims_points") as address:
        status, text = grade("--scheduler", address)
    assert status == 1
    assert "nobody can have observed" in text
    assert points(lone) == {}


def test_what_a_worker_says_is_shown_as_text(lone, keys):
    """And is worth what its numbers earn."""
    options = [f"--preload={rogue.__file__}"]
    with running(keys, options=options, ROGUE="says_live_things") as address:
        result = CliRunner().invoke(cli.app, ["grade", "--scheduler", address])
    assert result.exit_code == 0
    assert set(points(lone).values()) == {0}
    page = (lone.folder("feedback", "solved", "l2") / "l2.html").read_text()
    assert html.escape(rogue.LIVE) in page
    assert rogue.LIVE not in page


def test_a_scheduler_without_keys(course):
    """One line that says how to make some, and status 2."""
    one_line(grade("--scheduler", "127.0.0.1:9"), "make some with `autograder certificates`")


def test_nobody_else_can_read_the_keys(keys):
    """Whoever has them can run programs on the workers."""
    assert {path.stat().st_mode & 0o077 for path in [keys, *keys.iterdir()]} == {0}


def test_a_scheduler_that_is_not_there(course, keys, monkeypatch):
    """One line that says what to do, and status 2."""
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 1)
    one_line(grade("--scheduler", "tls://127.0.0.1:9"), "start one with `dask scheduler`")


def test_a_scheduler_without_workers(course, keys):
    """One line that says what to do, and status 2."""
    with running(keys, worker=False) as address:
        one_line(grade("--scheduler", address), "start some with `dask worker`")


def test_no_address_at_all(course, keys, monkeypatch):
    """One line, and status 2."""
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 1)
    one_line(grade("--scheduler", "no.such.host"), "No scheduler answers at tls://no.such.host")


def test_a_worker_without_a_sandbox(lone, keys):
    """Nothing is graded less safely: one line that says where and what to install, status 2."""
    with running(keys, PATH=os.path.dirname(sys.executable)) as address:
        text = one_line(grade("--scheduler", address), "bubblewrap is not installed")
    assert "Worker tls://" in text
    assert points(lone) == {}


def test_a_worker_with_other_versions(lone, scheduler, monkeypatch):
    """What it gives would not be what this machine gives."""
    names = iter(range(100))
    monkeypatch.setattr(cluster, "result_name", lambda job: str(next(names)))
    one_line(grade("--scheduler", scheduler), "other versions than this machine")


def one_line(said, advice):
    status, text = said
    assert status == 2, text
    assert advice in text
    assert len(text.strip().splitlines()) == 1
    return text


def test_nothing_runs_on_when_the_command_is_killed(course):
    """Neither workers nor what students' code does in their sandboxes."""
    for number in range(12):
        endless = f"while True: {number}"
        hand_in(course, f"hangs-{number}", answered(course, l2_penalty=endless))
    config = course.config_file
    config.write_text(config.read_text() + "c.GradeSubmission.cell_seconds = 100\n")
    command = subprocess.Popen(
        [Path(sys.executable).parent / "autograder", "grade", "--jobs", "2"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    started = psutil.Process(command.pid)
    try:
        busy = []
        deadline = time.monotonic() + 120
        # Two workers, and in the sandbox of each somebody who runs on and on.
        while len(busy) < 2 and time.monotonic() < deadline:
            time.sleep(0.5)
            found = started.children(recursive=True)
            busy = [one for one in found if is_busy(one)]
    finally:
        found = started.children(recursive=True)
        command.kill()
        command.wait()
    assert len(busy) >= 2
    gone, alive = psutil.wait_procs(found, timeout=20)
    assert not alive
    assert len(gone) > 6


def is_busy(process):
    """Say whether it is student code that has run for two seconds."""
    try:
        is_deep = len(process.parents()) > 2
        inside = is_deep and "autograder.sandbox.inside" in process.cmdline()
        return inside and process.cpu_times().user > 2
    except psutil.Error:
        return False
