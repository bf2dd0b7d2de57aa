"""`make bench`: compare this grader with stock nbgrader and with the least that grading can take.

All of them grade submissions of the same class on this machine, one after the other:

- stock: `nbgrader autograde` with its own preprocessors and a python3 kernel, which runs all cells;
  it grades only some of the students, because it is slow;
- ours: `autograder grade --jobs 1` and `--jobs 2`; like that of stock, their time includes startup;
- in a warm sandbox: the same work as ours, but in one running process and without nbgrader;
- the floor: the same cells and judged calls in one process that has imported everything, without a
  sandbox, notebooks or a gradebook.

None of them makes feedback pages.  Stock draws other inputs than ours, but points must be the same.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Column, Table

from autograder import cli
from autograder.course.course import Course
from autograder.course.scores import released
from autograder.tasks import assignments
from benchmarks import classes
from benchmarks.measure import Usage, counts_all, measured

_BIN = Path(sys.executable).parent
_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "PATH": f"{_BIN}:{os.environ['PATH']}"}
_SAMPLE = 13
"""Stock grades one student in this many, which covers each of the ten kinds in turn."""

Points = dict[tuple[str, str], float]


@dataclass(frozen=True)
class Row:
    """What one grader needed for some submissions."""

    name: str
    count: int
    usage: Usage

    @property
    def seconds(self) -> float:
        """Wall-clock seconds for each submission."""
        return self.usage.seconds / self.count


def main(students: int) -> None:
    """Measure, print the table, and fail if scores differ."""
    console = Console(soft_wrap=True)
    cli.ignore_third_party_warnings()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        console.print(
            f"{students} students of {len(classes.KINDS)} kinds in {len(assignments)} assignments; "
            f"stock nbgrader grades one in {_SAMPLE}. On {os.cpu_count()} cores ({_processor()}), "
            f"{time.strftime('%Y-%m-%d')}, load {os.getloadavg()[0]:.1f}."
        )
        rows, points = [], []
        for measure in (_stock, _one, _two, _sandboxed, _floor):
            row, found = measure(root / measure.__name__, students)
            console.print(f"{row.name}: {row.count} submissions in {row.usage.seconds:.0f} s")
            rows.append(row)
            points.append(found)
    _check_same(rows, points)
    _show(rows, console)
    print(f"throughput against stock nbgrader: {rows[0].seconds / rows[2].seconds:.1f} x")


def _stock(folder: Path, students: int) -> tuple[Row, Points]:
    course = classes.make(folder, range(0, students, _SAMPLE), settings=classes.STOCK)
    usages = [
        measured([str(_BIN / "nbgrader"), "autograde", name], folder, _ENVIRONMENT)
        for name in released(course)
    ]
    points = _points(course)
    usage = Usage(
        sum(usage.seconds for usage in usages),
        sum(usage.cpu for usage in usages),
        max(usage.peak for usage in usages),
        "",
    )
    return Row("stock nbgrader", len(points), usage), points


def _one(folder: Path, students: int) -> tuple[Row, Points]:
    return _ours(folder, students, 1)


def _two(folder: Path, students: int) -> tuple[Row, Points]:
    return _ours(folder, students, 2)


def _ours(folder: Path, students: int, workers: int) -> tuple[Row, Points]:
    course = classes.make(folder, range(students))
    command = [str(_BIN / "autograder"), "grade", "--no-feedback", "--jobs", str(workers)]
    usage = measured(command, folder, _ENVIRONMENT)
    points = _points(course)
    return Row(f"ours, {workers} worker{'s' * (workers > 1)}", len(points), usage), points


def _sandboxed(folder: Path, students: int) -> tuple[Row, Points]:
    return _warm(folder, students, "in a warm sandbox", "--sandbox")


def _floor(folder: Path, students: int) -> tuple[Row, Points]:
    return _warm(folder, students, "the floor")


def _warm(folder: Path, students: int, name: str, *options: str) -> tuple[Row, Points]:
    classes.make(folder, range(students))
    command = [sys.executable, "-m", "benchmarks.floor", str(folder), *options]
    usage = measured(command, folder, {**_ENVIRONMENT, "PYTHONPATH": str(classes.ROOT)})
    *lines, last = usage.output.splitlines()
    points = {}
    for line in lines:
        _, assignment, student, earned = line.split()
        points[assignment, student] = float(earned)
    seconds, cpu = map(float, last.split())
    return Row(name, len(points), Usage(seconds, cpu, usage.peak, "")), points


def _points(course: Course) -> Points:
    return {
        (name, student): score.net
        for name in released(course)
        for student, score in classes.recorded(course, name).items()
    }


def _check_same(rows: Sequence[Row], found: Sequence[Points]) -> None:
    for row, points in zip(rows, found, strict=True):
        different = {key: (points[key], found[1].get(key)) for key in points}
        different = {key: both for key, both in different.items() if both[0] != both[1]}
        if different or not points:
            raise SystemExit(f"{row.name} gives other scores than ours: {different or 'none'}")


def _show(rows: Sequence[Row], console: Console) -> None:
    table = Table(
        Column("", no_wrap=True), "count", "s each", "CPU s each", "peak MB", "against stock"
    )
    for row in rows:
        table.add_row(
            row.name,
            str(row.count),
            f"{row.seconds:.3f}",
            f"{row.usage.cpu / row.count:.3f}",
            f"{row.usage.peak / 2**20:.0f}",
            f"{rows[0].seconds / row.seconds:.1f} x",
        )
    console.print(table)
    two, sandboxed, floor = (row.usage.cpu / row.count for row in rows[2:])
    console.print(
        f"CPU: sandboxed grading takes {sandboxed / floor:.2f} x the floor; of the "
        f"{two:.3f} s of the command with 2 workers, {two - sandboxed:.3f} s are nbgrader's "
        "recording and starting everything."
    )
    if not counts_all():
        console.print("CPU seconds lack those of sandboxes: only root can count what was killed.")


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":")[1].strip()
    return platform.machine()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--students", type=int, default=60, help="how many")
    main(parser.parse_args().students)
