"""What a large class takes, and what faults during its grading change: nothing."""

import contextlib
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import numpy as np
import psutil
import pytest
from helpers.courses import ENVIRONMENT, points
from rich.console import Console
from rich.table import Table

from autograder.course.grading import grade_one
from autograder.course.scores import released
from autograder.course.secret import SECRET, course_secret
from autograder.tasks import assignments
from benchmarks import classes
from benchmarks.measure import Memory, measured

pytestmark = [
    pytest.mark.evidence,
    pytest.mark.sandbox,
    pytest.mark.filterwarnings("ignore:Object of type"),
]

BIN = Path(sys.executable).parent


def grading(course, log, *options, prefix=()):
    """Start `autograder grade` in a process group of its own."""
    command = [*prefix, BIN / "autograder", "grade", "--no-feedback", *options]
    with log.open("a") as file:
        return subprocess.Popen(
            command,
            cwd=course.config_file.parent,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env=ENVIRONMENT,
            start_new_session=True,
        )


def graded_lines(log):
    """Return how often each submission was said to be graded."""
    lines = re.findall(r"^(\w+) of (\S+): [\d.]+ of [\d.]+ \(", log.read_text(), re.MULTILINE)
    return Counter(lines)


def scores(course):
    """Return the score of each cell of each submission in the gradebook."""
    with course.api.gradebook as gradebook:
        return {
            (assignment.name, submission.student_id): {
                grade.name: (grade.auto_score, grade.needs_manual_grade)
                for notebook in submission.notebooks
                for grade in notebook.grades
            }
            for assignment in gradebook.assignments
            for submission in assignment.submissions
        }


def graded_notebook(course, assignment, student):
    """Return a graded notebook, as nbgrader wrote it."""
    return (course.folder("autograded", student, assignment) / f"{assignment}.ipynb").read_bytes()


def test_cost_over_class_size_and_workers(tmp_path):
    """What a submission costs does not grow with the class, and points depend on neither."""
    console, found = Console(soft_wrap=True), {}
    table = Table("students", "workers", "s", "s each", "CPU s each", "peak MB")
    seconds = {}
    for students, workers in ((25, 2), (50, 2), (100, 2), (200, 2), (400, 2), (100, 1), (100, 4)):
        course = classes.make(tmp_path / f"{students}-{workers}", range(students), ["l2"])
        command = [str(BIN / "autograder"), "grade", "--no-feedback", "--jobs", str(workers)]
        usage = measured(command, course.config_file.parent, ENVIRONMENT)
        found[students, workers] = points(course)
        seconds[students, workers] = usage.seconds
        table.add_row(
            str(students),
            str(workers),
            f"{usage.seconds:.1f}",
            f"{usage.seconds / students:.3f}",
            f"{usage.cpu / students:.3f}",
            f"{usage.peak / 2**20:.0f}",
        )
        shutil.rmtree(tmp_path / f"{students}-{workers}")
    console.print(table)
    for some in found.values():
        assert some == {student: found[400, 2][student] for student in some}
    more = (seconds[400, 2] - seconds[200, 2]) / 200, (seconds[200, 2] - seconds[100, 2]) / 100
    print(f"each further submission: {more[1]:.3f} s from 100 to 200, {more[0]:.3f} s to 400")
    assert more[0] < 1.5 * more[1]


def test_a_thousand_students(tmp_path):
    """All assignments: nothing lost, flat memory, and each grade is what it is alone."""
    course = classes.make(tmp_path / "class", range(1000))
    log = tmp_path / "output.txt"
    started = time.monotonic()
    process = grading(course, log, "--jobs", "2")
    progress = []
    with Memory(process.pid) as memory:
        while process.poll() is None:
            progress.append((time.monotonic(), log.read_text().count("\n")))
            time.sleep(0.5)
    seconds = time.monotonic() - started
    assert process.returncode == 0, log.read_text()[-2000:]
    count = 1000 * len(assignments)
    lines = graded_lines(log)
    assert len(lines) == count
    assert set(lines.values()) == {1}
    found = scores(course)
    assert len(found) == count
    for (assignment, student), cells in found.items():
        kind = int(student.removeprefix("student-")) % len(classes.KINDS)
        like = found[assignment, f"student-{kind:04}"]
        assert cells == like, (assignment, student)
    print(f"\n{count} submissions in {seconds:.0f} s, {count / seconds * 60:.0f} a minute")
    # Assignments are graded in turn, and each has arrays of its own size.
    peaks = peaks_by_submission(memory.samples, progress, count).reshape(len(assignments), 4)
    for name, quarters in zip(released(course), peaks, strict=True):
        print(f"{name}: peak MB in quarters of it", *(f"{peak:.0f}" for peak in quarters))
    growth = peaks[:, -1] / peaks[:, 0]
    whole = peaks[-1].max() / peaks[0].max()
    print(f"last 1000 against first 1000: {whole:.3f}")
    print("in each assignment, last 250 against first:", *(f"{ratio:.3f}" for ratio in growth))

    alone = classes.make(tmp_path / "alone", range(1000))
    shutil.copy(course.root / SECRET, alone.root / SECRET)
    pairs = sorted(found)
    rng = np.random.default_rng(100)
    for index in rng.choice(len(pairs), 100, replace=False):
        result = grade_one(alone, *pairs[index], feedback=False)
        assert not result.problem
        assert graded_notebook(alone, *pairs[index]) == graded_notebook(course, *pairs[index])
    one_by_one = scores(alone)
    assert len(one_by_one) == 100
    assert one_by_one == {pair: found[pair] for pair in one_by_one}
    print("a random 100 graded one by one: the same scores, and the same notebooks to the byte")
    assert whole < 1.05
    assert (growth < 1.05).all()


def peaks_by_submission(samples, progress, count, parts=16):
    """Return the most megabytes while each part of so many submissions was graded."""
    times, sizes = np.array(samples).T
    graded = np.interp(times, *np.array(progress).T)
    # Workers are a few submissions ahead of what is recorded, in the next assignment at the end.
    before_end = graded % (count / parts) < 0.9 * count / parts
    part = np.minimum(graded * parts // count, parts - 1)
    peaks = [sizes[before_end & (part == number)].max() for number in range(parts)]
    return np.array(peaks) / 2**20


def test_faults_change_nothing(tmp_path):
    """Each of 200 students' submissions is graded once, and the gradebook ends the same.

    Workers die at random, the disk with the results fills up, another process locks the gradebook
    for a minute, and the command itself is killed and run again.
    """
    undisturbed, course = (
        classes.make(tmp_path / name, range(200), ["l2", "batch_norm"])
        for name in ("alone", "faults")
    )
    course_secret(undisturbed.root)
    shutil.copy(undisturbed.root / SECRET, course.root / SECRET)
    log = tmp_path / "undisturbed.txt"
    assert grading(undisturbed, log, "--jobs", "2").wait() == 0, log.read_text()[-2000:]

    log = tmp_path / "output.txt"
    log.touch()
    rng = np.random.default_rng(200)
    killed, runs, status = 0, 0, None
    with full_disk(course.root / ".results") as is_full:
        runs += 1
        process = grading(course, log, "--jobs", "2")
        with killing_workers(process, rng) as kills:
            wait_for(log, 100, process)
            with locked(course.root / "gradebook.db"):
                before = len(graded_lines(log))
                time.sleep(60)
                while_locked = len(graded_lines(log)) - before
            wait_for(log, 200, process)
            assert is_full()
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        killed += kills()
        by_then = len(graded_lines(log))
    while status != 0 and runs < 5:
        runs += 1
        process = grading(course, log, "--jobs", "2")
        with killing_workers(process, rng) as kills:
            status = process.wait()
        killed += kills()
    text = log.read_text()
    assert status == 0, text[-2000:]
    lines = graded_lines(log)
    print(
        f"\n{killed} workers killed; {by_then} graded when the command was killed; "
        f"{while_locked} while the gradebook was locked; {runs} runs until all was graded; "
        f"set aside on the way: {text.count('grading processes died of it')}; "
        f"said to be graded: {sum(lines.values())} of 400"
    )
    assert killed >= 10
    assert while_locked <= 1
    assert set(lines.values()) == {1}
    # The one that was just being recorded when the command was killed may lack its line.
    assert len(lines) >= 399
    assert scores(course) == scores(undisturbed)
    for pair in scores(course):
        assert graded_notebook(course, *pair) == graded_notebook(undisturbed, *pair)


def wait_for(log, count, process):
    """Wait until so many are graded."""
    while len(graded_lines(log)) < count:
        assert process.poll() is None, log.read_text()[-2000:]
        time.sleep(0.2)


@contextlib.contextmanager
def killing_workers(process, rng):
    """Kill one of a command's workers every few seconds; yields a function that counts."""
    done, killed = threading.Event(), []

    def kill():
        while not done.wait(rng.uniform(2, 6)):
            with contextlib.suppress(psutil.Error):
                workers = [
                    child
                    for child in psutil.Process(process.pid).children()
                    if "--multiprocessing-fork" in child.cmdline()
                ]
                if workers:
                    workers[rng.integers(len(workers))].kill()
                    killed.append(time.monotonic())

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield lambda: len(killed)
    finally:
        done.set()
        thread.join()


@contextlib.contextmanager
def full_disk(folder):
    """Let a folder be a disk that is soon full; of an ordinary user, one that takes nothing."""
    folder.mkdir()
    if os.getuid() == 0:
        mount = ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", folder]
        subprocess.run(mount, check=True)
    else:
        folder.chmod(0o500)

    def is_full():
        try:
            (folder / "probe").write_bytes(bytes(300_000))
        except OSError:
            return True
        return False

    try:
        yield is_full
    finally:
        if os.getuid() == 0:
            subprocess.run(["umount", "--lazy", folder], check=True)
        else:
            folder.chmod(0o700)


@contextlib.contextmanager
def locked(database):
    """Let another process write into a database, and not come to an end."""
    code = (
        "import sqlite3, sys\n"
        "database = sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None)\n"
        "database.execute('BEGIN EXCLUSIVE')\n"
        "print('locked', flush=True)\n"
        "sys.stdin.read()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, database], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert process.stdout.readline() == b"locked\n"
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            sqlite3.connect(database, timeout=0).execute("SELECT * FROM student")
        yield
    finally:
        process.communicate(b"")


def test_workers_on_two_hosts(tmp_path):
    """Both grade for one scheduler, each with an address of its own and no disk of the course."""
    if os.getuid() != 0:
        pytest.skip("only root can make hosts: run this test as root as well")
    course = classes.make(tmp_path / "class", range(20), ["l2"])
    log = tmp_path / "output.txt"
    with hosts("autograder-hub", "autograder-one", "autograder-two") as (hub, *others):
        started = []
        try:
            with (tmp_path / "dask.txt").open("w") as dask_log:
                hidden = f'mount -t tmpfs tmpfs "{course.root.parent}" && exec "$@"'
                commands = [[*hub, BIN / "dask", "scheduler", "--no-dashboard"]]
                for host in others:
                    run = [*host, "unshare", "--mount", "sh", "-c", hidden, "sh"]
                    worker = ["worker", "tcp://10.77.0.1:8786", "--nthreads=1", "--no-dashboard"]
                    commands.append([*run, BIN / "dask", *worker, f"--local-directory={tmp_path}"])
                started += [
                    subprocess.Popen(
                        command, stdout=dask_log, stderr=dask_log, env=ENVIRONMENT, cwd=tmp_path
                    )
                    for command in commands
                ]
            deadline = time.monotonic() + 60
            while (said := (tmp_path / "dask.txt").read_text()).count("Registered to") < 2:
                assert time.monotonic() < deadline, said
                time.sleep(0.2)
            options = "--scheduler", "tcp://10.77.0.1:8786"
            assert grading(course, log, *options, prefix=hub).wait() == 0, log.read_text()
            # What has graded has a sandbox that is still warm.
            sandboxes = [
                any("autograder.sandbox.inside" in line for line in command_lines(worker))
                for worker in started[1:]
            ]
        finally:
            for process in started:
                for child in [*descendants(process), process]:
                    child.kill()
                process.wait()
    addresses = sorted(set(re.findall(r"tcp://10\.77\.0\.[23]", said)))
    print(f"\n{len(graded_lines(log))} graded by workers at {', '.join(addresses)}")
    assert len(addresses) == 2
    assert all(sandboxes)
    here = classes.make(tmp_path / "here", range(20), ["l2"])
    shutil.copy(course.root / SECRET, here.root / SECRET)
    assert grading(here, tmp_path / "here.txt").wait() == 0
    assert scores(course) == scores(here)


def descendants(process):
    return psutil.Process(process.pid).children(recursive=True)


def command_lines(process):
    """Return the command lines of all that a process has started and that lives."""
    lines = []
    for child in descendants(process):
        # One that has ended is still there until its parent looks.
        with contextlib.suppress(psutil.Error):
            lines.append(child.cmdline())
    return lines


@contextlib.contextmanager
def hosts(*names):
    """Make network namespaces with addresses 10.77.0.1, .2 ... on one bridge in the first."""

    def run(*command):
        subprocess.run(["ip", *command], check=True)

    try:
        for name in names:
            run("netns", "add", name)
            run("-n", name, "link", "set", "lo", "up")
        run("-n", names[0], "link", "add", "bridge", "type", "bridge")
        run("-n", names[0], "addr", "add", "10.77.0.1/24", "dev", "bridge")
        run("-n", names[0], "link", "set", "bridge", "up")
        for number, name in enumerate(names[1:], 2):
            run("-n", names[0], "link", "add", f"port{number}", "type", "veth", "peer", "eth0",
                "netns", name)  # fmt: skip
            run("-n", names[0], "link", "set", f"port{number}", "master", "bridge", "up")
            run("-n", name, "addr", "add", f"10.77.0.{number}/24", "dev", "eth0")
            run("-n", name, "link", "set", "eth0", "up")
        yield [["ip", "netns", "exec", name] for name in names]
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "delete", name], check=False)


def test_one_submission_from_a_cold_start(tmp_path):
    """Six seconds at most, most of them imports."""
    course = classes.make(tmp_path / "class", [0], ["l2"])
    folder = course.config_file.parent
    command = [str(BIN / "autograder"), "grade", "--force", "--no-feedback"]
    imports = "from autograder import cli, course"
    whole = [measured(command, folder, ENVIRONMENT).seconds for _ in range(5)]
    alone = [
        measured([sys.executable, "-c", imports], folder, ENVIRONMENT).seconds for _ in range(5)
    ]
    print(
        f"\none submission: {np.median(whole):.1f} s (worst of 5: {max(whole):.1f} s), "
        f"of which {np.median(alone):.1f} s are the command's imports"
    )
    assert np.median(whole) < 6
