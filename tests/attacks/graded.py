"""Hand in attacks, grade them with `autograder grade` in a process of its own, and look at it."""

import copy
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

import psutil
from attacks.attack import PENALTY, SOURCES, Attack, insert, solve
from attacks.canaries import HONEST, Canaries
from helpers.courses import make_course, points
from nbformat import NotebookNode

from autograder.course.course import Course
from autograder.course.release import release
from autograder.course.scores import released
from autograder.intake import exercise
from autograder.sandbox import DEFAULT

LIMITS = """
c.GradeSubmission.cell_seconds = 3
c.GradeSubmission.notebook_seconds = 30
c.GradeSubmission.memory_megabytes = 512
"""

LONGEST = 60
"""Seconds that a submission may take: its own, and those of nbgrader on a busy machine."""

MOST_MEMORY = 1000 * 2**20
"""Bytes that a grading process may take; nbgrader and torch alone are a third of it."""

SILENCE = 300
"""Seconds without a line of output after which grading hangs."""

HONEST_POINTS = {HONEST: 6.0, "honest-half": 3.0, "honest-none": 0.0, "zz-honest": 6.0}
"""Who hands in honest work for l2, and what it is worth."""

_CODES = "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"


@dataclass
class Graded:
    """A course that has been graded, and what could be seen of it meanwhile."""

    course: Course
    canaries: Canaries
    points: dict[str, float] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    output: str = ""
    memory: int = 0
    reached: list[str] = field(default_factory=list)

    def grade(self, jobs: int = 2) -> None:
        """Run `autograder grade`, watching the memory of the processes that grade."""
        log = self.course.config_file.parent / "output.txt"
        process = start_grading(self.course, log, jobs)
        while process.poll() is None:
            try:
                main = psutil.Process(process.pid)
                graders = [main, *(one for one in main.children() if "python" in one.name())]
                self.memory = max(self.memory, *(one.memory_info().rss for one in graders))
            except psutil.NoSuchProcess:
                pass
            if time.time() > log.stat().st_mtime + SILENCE:
                # Each process then says where it is.
                os.killpg(process.pid, signal.SIGABRT)
                process.wait()
                raise AssertionError(f"Grading hangs:\n{log.read_text()}")
            time.sleep(0.2)
        self.output = log.read_text()
        assert re.search(r"\d+ graded, \d+ unchanged", self.output), self.output[-5000:]
        for line in self.output.splitlines():
            timed = re.fullmatch(r"\w+ of (\S+): .* \((\d+\.\d) s\)", line)
            if timed:
                self.seconds[timed[1]] = float(timed[2])
            elif reason := re.match(r"(?:l2|dropout) of (\S+): (.*)", line):
                self.reasons[reason[1]] = reason[2]
        for assignment in released(self.course):
            self.points |= points(self.course, assignment)
        self.reached = self.canaries.reached()

    def faults(self, attacks: Iterable[Attack]) -> list[str]:
        """Return what is wrong with how attacks ended."""
        found = [f"{one.name}: {fault}" for one in attacks for fault in self.faults_of(one)]
        found += [
            f"{student} has {self.points.get(student)} points instead of {points}"
            for student, points in HONEST_POINTS.items()
            if self.points.get(student) != points
        ]
        if self.memory > MOST_MEMORY:
            found.append(f"a grading process took {self.memory / 2**20:.0f} MB")
        codes = set(re.findall(_CODES, self.output))
        if codes:
            found.append(f"the terminal was sent {codes}")
        return found + self.reached

    def faults_of(self, attack: Attack) -> list[str]:
        """Return what is wrong with how one attack ended."""
        faults = []
        points, reason = self.points.get(attack.name), self.reasons.get(attack.name, "")
        if points is None and not reason:
            faults.append("neither graded nor a reason given")
        less = points is None or (attack.points is not None and points < attack.points)
        if points != attack.points and not (attack.forfeits and less):
            faults.append(f"{points} points instead of {attack.points}")
        if re.search("Traceback|Error|Exception", reason):
            faults.append(f"a reason of our insides: {reason}")
        if self.seconds.get(attack.name, 0) > LONGEST:
            faults.append(f"took {self.seconds[attack.name]} seconds")
        shown = reason
        for step in ("autograded", "feedback"):
            folder = self.course.folder(step, attack.name, attack.assignment)
            faults += [f"{step} tells {secret}" for secret in self.canaries.told(folder)]
            for page in folder.rglob("*.html"):
                shown += page.read_text()
                faults += live(page.read_text())
        if attack.says not in shown:
            faults.append(f"the feedback does not say {attack.says!r}")
        return faults


def start_grading(course: Course, log: Path, jobs: int) -> subprocess.Popen[bytes]:
    """Start `autograder grade` in a process group of its own."""
    with log.open("w") as file:
        return subprocess.Popen(
            [sys.executable, "-m", "autograder.cli", "grade", "--jobs", str(jobs)],
            cwd=course.config_file.parent,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONFAULTHANDLER": "1"},
            start_new_session=True,
        )


def graded(attacks: Iterable[Attack], canaries: Canaries, sandbox: str = DEFAULT) -> Graded:
    """Make a course in which attacks and honest work have been handed in, and grade it."""
    settings = f"{LIMITS}c.GradeSubmission.sandbox = {sandbox!r}\n"
    course = make_course(canaries.folder, SOURCES["l2"], settings)
    for name, source in SOURCES.items():
        path = course.exercises / name / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(source.replace("SOLUTION_CANARY", canaries.secrets["source"]))
        release(course, path)
    hand_in_honestly(course, canaries)
    for attack in attacks:
        blank, solution = released_and_solved(course, attack.assignment)
        folder = course.folder("submitted", attack.name, attack.assignment)
        hand_in(attack.build(blank, solution), folder / f"{attack.assignment}.ipynb", canaries)
    canaries.open_to_all()
    result = Graded(course, canaries)
    result.grade()
    return result


def released_and_solved(course: Course, assignment: str) -> tuple[NotebookNode, NotebookNode]:
    """Return what students of a course get, and what one who solved everything hands in."""
    path = course.exercises / assignment / f"{assignment}.py"
    source = exercise.source_notebook(path)
    for cell in source.cells:
        cell.source = re.sub("canary-[-a-z0-9]+", "solved", cell.source)
    return exercise.student_notebook(source), exercise.solution_notebook(source)


def hand_in(handed: object, path: Path, canaries: Canaries) -> None:
    """Put at a path what an attack has built."""
    path.parent.mkdir(parents=True)
    if isinstance(handed, bytes):
        path.write_bytes(handed)
    elif callable(handed):
        handed(path)
    else:
        path.write_text(canaries.filled(json.dumps(handed)), encoding="utf-8")


def hand_in_honestly(course: Course, canaries: Canaries) -> None:
    """Hand in what `HONEST_POINTS` speaks of; one of it holds a canary."""
    blank, solution = released_and_solved(course, "l2")
    handed = {
        HONEST: insert(copy.deepcopy(solution), f"# {canaries.secrets['submission']}"),
        "honest-half": solve(blank, l2_penalty=PENALTY),
        "honest-none": blank,
        "zz-honest": solution,
    }
    for student, notebook in handed.items():
        hand_in(notebook, course.folder("submitted", student, "l2") / "l2.ipynb", canaries)


class _Page(HTMLParser):
    """Looks for what a browser would run or fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.faults: list[str] = []
        self._inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = tag
        if tag in ("iframe", "object", "embed", "form", "base"):
            self.faults.append(f"live: <{tag}>")
        for name, value in attrs:
            url = re.sub(r"[\s\x00-\x20]", "", value or "").lower()
            runs = url.startswith(("javascript:", "vbscript:", "data:text", "data:image/svg"))
            fetches = name in ("src", "srcset", "data", "poster", "action", "background", "style")
            fetches = fetches or (tag == "link" and name == "href")
            if (
                runs
                or name.startswith("on")
                or "EVIL" in name + tag
                or (fetches and re.match(r"(https?:)?//|.*url\(", url))
            ):
                self.faults.append(f"live: <{tag} {name}={(value or '')[:60]}>")

    handle_startendtag = handle_starttag

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside in ("script", "style") and "EVIL" in data:
            self.faults.append(f"live in <{self._inside}>: {data[:60]}")


def live(page: str) -> list[str]:
    """Return what in a page of HTML is more than text."""
    parser = _Page()
    parser.feed(page)
    parser.close()
    return [*parser.faults, *(f"shows {code!r}" for code in set(re.findall(_CODES, page)))]
