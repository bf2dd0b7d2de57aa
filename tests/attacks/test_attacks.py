"""Every attack of the corpus, graded beside honest work.

Each is a real submission in a real course, graded by `autograder grade` in a process of its own.
"""

import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import psutil
import pytest
from attacks.attack import SOURCES, Attack, insert, solve
from attacks.canaries import HONEST, Canaries
from attacks.corpus import ATTACKS, BY_NAME, LEGITIMATE
from sample import make_course

from autograder import notebooks
from autograder.course import Course

pytestmark = pytest.mark.filterwarnings("ignore:Object of type")

LIMITS = """
c.GradeSubmission.cell_seconds = 3
c.GradeSubmission.notebook_seconds = 30
c.GradeSubmission.memory_megabytes = 512
"""

LONGEST = 60
"""Seconds that a submission may take: its own, and those of nbgrader on a busy machine."""

MOST_MEMORY = 1500 * 2**20
"""Bytes that a grading process may take; nbgrader and torch alone are half a gigabyte."""

HONEST_POINTS = {HONEST: 6.0, "honest-half": 3.0, "honest-none": 0.0, "zz-honest": 6.0}


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
        """Run `autograder grade`, watching its memory."""
        log = self.course.config_file.parent / "output.txt"
        with log.open("w") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "autograder.cli", "grade", "--jobs", str(jobs)],
                cwd=self.course.config_file.parent,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env={**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "1000"},
            )
            self._watch(process)
        assert process.returncode in (0, 1), log.read_text()[-5000:]
        self.output = log.read_text()
        for line in self.output.splitlines():
            timed = re.fullmatch(r"\w+ of (\S+): .* \((\d+\.\d) s\)", line)
            if timed:
                self.seconds[timed[1]] = float(timed[2])
            elif reason := re.match(r"(l2|dropout) of (\S+): (.*)", line):
                self.reasons[reason[2]] = reason[3]
        for assignment in self.course.released():
            for student, (points, _) in self.course.points(assignment).items():
                self.points[student] = points
        self.reached = self.canaries.reached()

    def _watch(self, process: subprocess.Popen[bytes]) -> None:
        while process.poll() is None:
            try:
                main = psutil.Process(process.pid)
                graders = [main, *(c for c in main.children() if "python" in c.name())]
                self.memory = max(self.memory, *(one.memory_info().rss for one in graders))
            except psutil.NoSuchProcess:
                pass
            time.sleep(0.2)

    def folder(self, step: str, attack: Attack) -> Path:
        return self.course.folder(step, attack.name, attack.assignment)


def _release(course: Course, canaries: Canaries) -> None:
    for name, source in SOURCES.items():
        path = course.exercises / name / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(source.replace("SOLUTION_CANARY", canaries.secrets["source"]))
        course.release(path)


def _hand_in(course: Course, canaries: Canaries, attack: Attack) -> None:
    source = notebooks.source_notebook(
        course.exercises / attack.assignment / f"{attack.assignment}.py"
    )
    release, solution = notebooks.student_notebook(source), notebooks.solution_notebook(source)
    for cell in solution.cells:
        cell.source = cell.source.replace(canaries.secrets["source"], "solved")
    folder = course.folder("submitted", attack.name, attack.assignment)
    folder.mkdir(parents=True)
    path = folder / f"{attack.assignment}.ipynb"
    handed = attack.build(release, solution)
    if isinstance(handed, bytes):
        path.write_bytes(handed)
    elif callable(handed):
        handed(path)
    else:
        path.write_text(canaries.filled(nbformat.writes(handed)), encoding="utf-8")


def _hand_in_honestly(course: Course, canaries: Canaries) -> None:
    source = notebooks.source_notebook(course.exercises / "l2" / "l2.py")
    release, solution = notebooks.student_notebook(source), notebooks.solution_notebook(source)
    for cell in solution.cells:
        cell.source = cell.source.replace(canaries.secrets["source"], "solved")
    from attacks.attack import PENALTY

    handed = {
        HONEST: insert(nbformat.from_dict(solution), f"# {canaries.secrets['submission']}"),
        "honest-half": solve(release, l2_penalty=PENALTY),
        "honest-none": release,
        "zz-honest": solution,
    }
    for student, notebook in handed.items():
        path = course.folder("submitted", student, "l2") / "l2.ipynb"
        notebooks.write(notebook, path)


def _graded(attacks: list[Attack], canaries: Canaries) -> Graded:
    course = make_course(canaries.folder, SOURCES["l2"], LIMITS)
    _release(course, canaries)
    _hand_in_honestly(course, canaries)
    for attack in attacks:
        _hand_in(course, canaries, attack)
    canaries.open_to_all()
    result = Graded(course, canaries)
    result.grade()
    return result


@pytest.fixture(scope="module")
def quick():
    """Return a course in which a few fast attacks have been graded."""
    with Canaries() as canaries:
        yield _graded([one for one in BY_NAME.values() if one.quick], canaries)


@pytest.fixture(scope="module")
def whole():
    """Return a course in which all attacks have been graded."""
    with Canaries() as canaries:
        yield _graded(list(BY_NAME.values()), canaries)


def _faults(graded: Graded, attack: Attack) -> list[str]:
    """Return what is wrong with how an attack ended."""
    faults = []
    points = graded.points.get(attack.name)
    reason = graded.reasons.get(attack.name, "")
    if points is None and not reason:
        faults.append("neither graded nor a reason given")
    if points != attack.points and not (attack.refusable and points is None):
        faults.append(f"{points} points instead of {attack.points} {reason}")
    if "Traceback" in reason or "Error:" in reason:
        faults.append(f"a reason of our insides: {reason}")
    if graded.seconds.get(attack.name, 0) > LONGEST:
        faults.append(f"took {graded.seconds[attack.name]} seconds")
    shown = reason
    for step in ("autograded", "feedback"):
        folder = graded.folder(step, attack)
        faults += [f"{step} tells {secret}" for secret in graded.canaries.told(folder)]
        for page in folder.rglob("*.html"):
            shown += page.read_text()
            faults += _live(page.read_text())
    if attack.says not in shown:
        faults.append(f"the feedback does not say {attack.says!r}")
    return faults


class _Page(HTMLParser):
    """Looks for what a browser would run, fetch or be fooled by."""

    def __init__(self) -> None:
        super().__init__()
        self.faults: list[str] = []
        self._inside = ""

    def handle_starttag(self, tag, attributes):
        self._inside = tag
        for name, value in attributes:
            value = value or ""
            if name.startswith("on") or "EVIL" in name + tag:
                self.faults.append(f"live: <{tag} {name}={value[:60]}>")
            url = re.sub(r"[\s\x00-\x20]", "", value).lower()
            fetches = name in ("src", "srcset", "data", "poster", "action", "background")
            fetches = fetches or (tag == "link" and name == "href") or name == "style"
            scheme = url.startswith(("javascript:", "vbscript:", "data:text", "data:image/svg"))
            if scheme or (fetches and re.search(r"(https?:)?//", url)):
                self.faults.append(f"live: <{tag} {name}={value[:60]}>")
        if tag in ("iframe", "object", "embed", "form", "base", "svg", "math"):
            self.faults.append(f"live: <{tag}>")

    handle_startendtag = handle_starttag

    def handle_endtag(self, tag):
        self._inside = ""

    def handle_data(self, data):
        if self._inside in ("script", "style") and "EVIL" in data:
            self.faults.append(f"live in <{self._inside}>: {data[:60]}")


def _live(page: str) -> list[str]:
    parser = _Page()
    parser.feed(page)
    parser.close()
    codes = set(
        re.findall(
            "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]", page
        )
    )
    return [*parser.faults, *(f"shows {code!r}" for code in codes)]


def _check(graded: Graded, attacks: list[Attack]) -> None:
    faults = {attack.name: _faults(graded, attack) for attack in attacks}
    found = [f"{name}: {fault}" for name, several in faults.items() for fault in several]
    for student, points in HONEST_POINTS.items():
        if graded.points.get(student) != points:
            found.append(f"{student} has {graded.points.get(student)} points instead of {points}")
    found += graded.reached
    if graded.memory > MOST_MEMORY:
        found.append(f"a grading process took {graded.memory / 2**20:.0f} MB")
    codes = re.findall("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]", graded.output)
    if codes:
        found.append(f"the terminal was sent {set(codes)}")
    assert not found, "\n".join(found)


def test_a_few_attacks_gain_nothing(quick):
    """One or two of each row; the honest ones beside them get what they earn."""
    _check(quick, [one for one in BY_NAME.values() if one.quick])


@pytest.mark.evidence
def test_no_attack_gains_anything(whole):
    """All of them: points as honestly earned, nothing read, changed, left behind or live."""
    _check(whole, list(BY_NAME.values()))
    print(f"{len(ATTACKS)} attacks and {len(LEGITIMATE)} legitimate submissions")
    print(
        f"the longest took {max(whole.seconds.values())} s, a grader {whole.memory / 2**20:.0f} MB"
    )
