"""Give grades and feedback pages back in the forms that a platform takes.

Only the cells of grades change in a sheet.  A cell stays as it is if nothing was handed in, if the
work is not graded, or if the student is excused, so that none of these looks like a 0.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from autograder.course import records
from autograder.course.course import Course, CourseError
from autograder.course.scores import (
    RELEASE_AND_GRADE,
    Score,
    require_released,
    scores,
    task_scores,
)
from autograder.course.spreadsheet import harmless
from autograder.intake.notebook_file import UnreadableError
from autograder.platforms import classroom50, record
from autograder.platforms.platform import Platform
from autograder.platforms.record import Entry
from autograder.platforms.sheet import Sheet, SheetError, number, squeezed
from autograder.platforms.zipped import zipped
from autograder.tasks import assignments

RETURNED = "returned"
"""The folder of the course for what goes back."""

EXCUSED = "EX"


@dataclass
class Returned:
    """What goes back, and what does not.

    Attributes
    ----------
    grades, pages
        How many grades and feedback pages go back.
    files
        The files to upload.
    ungraded, unplaced, without_page
        Students whose work has no grade, with the reason; who are not in the sheet; and whose
        feedback page is missing or not of the present grade.
    excused, nothing
        Rows of the sheet of students who are excused, and who handed in nothing.
    warnings
        Sentences about the whole.
    """

    grades: int = 0
    pages: int = 0
    files: list[Path] = field(default_factory=list)
    ungraded: dict[str, str] = field(default_factory=dict)
    unplaced: set[str] = field(default_factory=set)
    without_page: set[str] = field(default_factory=set)
    excused: list[str] = field(default_factory=list)
    nothing: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def incomplete(self) -> bool:
        """Whether somebody does not get what was earned."""
        return bool(self.ungraded or self.unplaced or self.without_page)


def give_back(
    course: Course,
    platform: Platform,
    sheet: Path | None = None,
    assignment: str | None = None,
    column: str | None = None,
) -> Returned:
    """Write the files that go back to a platform, into the course's `returned/PLATFORM`.

    Parameters
    ----------
    course, platform
        The course and the platform.
    sheet
        The sheet of grades as the platform exports it; None for feedback only, or for a sheet of
        our own.
    assignment
        The assignment; all of the sheet if None.
    column
        The title of the column of grades; found by the assignment if None.

    Raises
    ------
    CourseError
        When something must be fixed first.
    """
    known = require_released(course, [assignment] if assignment else None, RELEASE_AND_GRADE)
    if column and (not assignment or not sheet):
        raise CourseError("--column needs a sheet and --in ASSIGNMENT.")
    return _Return(course, platform, [assignment] if assignment else known).run(sheet, column)


class _Return:
    def __init__(self, course: Course, platform: Platform, names: Sequence[str]) -> None:
        self.course, self.platform, self.names = course, platform, names
        self.folder = course.root / RETURNED / platform.name
        self.done = Returned()
        self.entries = [
            (kept, entry)
            for kept, entry in record.entries(record.read_all(course))
            if entry.student and entry.outcome in record.WRITTEN
        ]
        self.graded: dict[str, dict[str, Score]] = {}
        self.ungraded: dict[str, dict[str, str]] = {}

    def run(self, path: Path | None, column: str | None) -> Returned:
        if self.platform.name == "classroom50":
            self._look()
            self._results(path)
        elif path is not None:
            sheet = Sheet.open(path)
            rows = self.platform.rows(sheet)
            columns = self._columns(sheet, column, [ids[0] for ids in rows.values() if ids])
            self.names = list(columns)
            self._look()
            for name in self.names:
                self._fill(sheet, name, columns[name], rows)
            self._write(path.name, sheet.content())
        else:
            self._look()
            if self.platform.name == "csv":
                self._write("grades.csv", self._own_sheet())
            else:
                self.done.warnings.append(
                    "No sheet was given, so only feedback goes back: give the sheet of grades "
                    f"that {self.platform.title} exports."
                )
        for name in self.names:
            self._feedback(name)
        return self.done

    def _look(self) -> None:
        """Find out who has a grade, and why others have none."""
        for name in self.names:
            found = scores(self.course, name)
            students = {*self.course.submitted(name), *found}
            problems = {s: self._problem(name, s, found.get(s)) for s in sorted(students)}
            self.ungraded[name] = {s: problem for s, problem in problems.items() if problem}
            self.graded[name] = {s: found[s] for s, problem in problems.items() if not problem}
            self.done.ungraded.update(self.ungraded[name])

    def _problem(self, name: str, student: str, score: Score | None) -> str:
        if score is None:
            return "not graded"
        was = records.read(self.course, name, student)
        if was is None:
            # Graded by nbgrader's own commands.
            return ""
        try:
            now = records.current(self.course, name, student)
        except (OSError, UnreadableError):
            return "cannot be read any more"
        if now != records.Record(was.result, was.handed_in, was.names):
            return "changed since it was graded: grade again"
        return ""

    def _columns(self, sheet: Sheet, column: str | None, ids: Sequence[str]) -> dict[str, int]:
        """Return the columns of grades, by assignment."""
        if column is not None:
            titles = [squeezed(title) for title in sheet.header]
            if titles.count(squeezed(column)) != 1:
                there = ", ".join(map(repr, sheet.header))
                raise SheetError(f"There is no single column {column!r}; there are {there}.")
            return {self.names[0]: titles.index(squeezed(column))}
        if self.platform.name == "moodle" and len(self.names) > 1:
            wanted = {*ids}
            self.names = sorted(
                {e.assignment for r, e in self.entries if self._is_ours(r) and e.row in wanted}
            )
            if len(self.names) != 1:
                raise SheetError("Say with --in ASSIGNMENT which assignment the sheet is of.")
        found, problem = {}, None
        for name in self.names:
            title = [assignments[name].title] if name in assignments else []
            try:
                found[name] = self.platform.column(sheet, [name, *title])
            except SheetError as error:
                problem = problem or error
        if problem and not found:
            raise problem
        return found

    def _is_ours(self, kept: record.Record) -> bool:
        return kept.platform == self.platform.name

    def _fill(
        self, sheet: Sheet, name: str, column: int, rows: Mapping[int, Sequence[str]]
    ) -> None:
        """Write the grades of one assignment into a sheet."""
        whose = {row: self._student(name, ids) for row, ids in rows.items()}
        times = Counter(filter(None, whose.values()))
        graded, comma = self.graded[name], _has_comma(sheet)
        placed = set()
        for row, student in whose.items():
            if student and times[student] > 1:
                continue
            if student:
                placed.add(student)
            if sheet.value(row, column).strip().upper() == EXCUSED:
                self.done.excused.append(student or _called(rows[row]))
            elif student in graded:
                text = f"{round(graded[student].net, 2):g}"
                sheet.put(row, column, text.replace(".", ",") if comma else text)
                self.done.grades += 1
            elif student not in self.ungraded[name]:
                self.done.nothing.append(student or _called(rows[row]))
        self.done.unplaced |= graded.keys() - placed
        most = self.platform.most(sheet, column)
        ours = {score.max_points for score in graded.values()}
        if most is not None and ours - {most}:
            self.done.warnings.append(
                f"{name} is out of {max(ours):g} points here and out of {most:g} in the sheet; "
                "nothing was scaled."
            )

    def _student(self, name: str, ids: Sequence[str]) -> str | None:
        """Return the student of a row; None if there is none, or more than one."""
        own = [
            entry
            for kept, entry in self.entries
            if self._is_ours(kept) and ids and ids[0] and entry.row == ids[0]
        ]
        found = {e.student for e in own if e.assignment == name} or {e.student for e in own}
        if not found:
            others = {id.casefold() for id in ids[self.platform.numbered :] if id}
            everybody = {*self.graded[name], *self.ungraded[name]}
            found = {student for student in everybody if student.casefold() in others}
            found |= {
                e.student
                for _, e in self.entries
                if e.email and e.email.casefold() in others and e.student in everybody
            }
        return found.pop() if len(found) == 1 else None

    def _entry(self, name: str, student: str) -> Entry | None:
        """Return the latest entry of what a student handed in on the platform."""
        some = [
            entry
            for kept, entry in self.entries
            if self._is_ours(kept) and (entry.student, entry.assignment) == (student, name)
        ]
        return some[-1] if some else None

    def _feedback(self, name: str) -> None:
        """Pack the feedback pages of one assignment."""
        packed: dict[str, bytes] = {}
        tasks = task_scores(self.course, name) if self.platform.name == "gradescope" else {}
        for student, score in self.graded[name].items():
            entry = self._entry(name, student)
            page = self.course.folder("feedback", student, name) / f"{name}.html"
            if entry is None and self.platform.name != "csv":
                self.done.unplaced.add(student)
                continue
            place = self.platform.page(entry.file if entry else "", name, student)
            if tasks:
                folder = place.rpartition("/")[0]
                packed[f"{folder}/results.json"] = _json(_gradescope(score, tasks[student]))
            was = records.read(self.course, name, student)
            stale = was is not None and (was.raw, was.penalty) != (score.raw, score.penalty)
            if stale or not page.is_file():
                self.done.without_page.add(student)
                continue
            # Members of a group have one place.
            packed.setdefault(place, page.read_bytes())
            self.done.pages += 1
        if packed:
            self._write(f"{name}_feedback.zip", zipped(packed))

    def _results(self, path: Path | None) -> None:
        """Write results of Classroom 50's schema; other fields are those of the given ones."""
        given = _given(path) if path else []
        now = datetime.now(UTC)
        for name in self.names:
            tasks, results = task_scores(self.course, name), []
            for student, score in self.graded[name].items():
                entry = self._entry(name, student)
                if entry is None:
                    self.done.unplaced.add(student)
                    continue
                was = next(
                    (
                        one
                        for one in given
                        if one.get("owner") == entry.row
                        and one.get("assignment", name) in (name, name.replace("_", "-"))
                    ),
                    {},
                )
                tests = [(task, one.net, one.max_points) for task, one in tasks[student]]
                points = (score.net, score.max_points)
                results.append(classroom50.result(was, name, entry.row, points, tests, now))
            self.done.grades += len(results)
            self._write(f"{name}_results.json", _json(results))

    def _own_sheet(self) -> bytes:
        """Return a table of all grades; what students wrote cannot be taken for a formula."""
        out = io.StringIO()
        writer = csv.writer(out)
        writer.writerow(
            ["student", "name", "email", "group", "assignment", "score", "max_score", "status"]
        )
        about = {entry.student: entry for _, entry in self.entries}
        for name in self.names:
            for student in sorted({*self.graded[name], *self.ungraded[name]}):
                score = self.graded[name].get(student)
                person = about.get(student, Entry())
                numbers = (round(score.net, 2), score.max_points) if score else ("", "")
                self.done.grades += score is not None
                writer.writerow(
                    [
                        *map(harmless, (student, person.name, person.email, person.group)),
                        name,
                        *numbers,
                        "graded" if score else self.ungraded[name][student],
                    ]
                )
        # With a byte order mark, spreadsheets read it as UTF-8.
        return out.getvalue().encode("utf-8-sig", "backslashreplace")

    def _write(self, name: str, content: bytes) -> None:
        record.put(self.folder / name, content)
        self.done.files.append(self.folder / name)


def _called(ids: Sequence[str]) -> str:
    """Return what people call a row of which the course knows nothing."""
    return next((id for id in reversed(ids) if id), "?")


def _has_comma(sheet: Sheet) -> bool:
    """Return whether a sheet writes decimal numbers with a comma."""
    cells = [sheet.value(row, c) for row in sheet.rows for c in range(len(sheet.header))]
    decimals = [cell for cell in cells if number(cell) is not None and not cell.strip().isdecimal()]
    return bool(decimals) and all("," in cell for cell in decimals)


def _gradescope(score: Score, tasks: Iterable[tuple[str, Score]]) -> dict[str, Any]:
    return {
        "score": score.net,
        "output_format": "text",
        "tests": [
            {
                "name": name,
                "number": str(number),
                "score": one.net,
                "max_score": one.max_points,
                "status": "passed" if one.net >= one.max_points else "failed",
            }
            for number, (name, one) in enumerate(tasks, 1)
        ],
    }


def _given(path: Path) -> list[dict[str, Any]]:
    try:
        loaded = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):
        raise SheetError(f"{path} is no JSON file of results. Export it again.") from None
    found = loaded if isinstance(loaded, list) else [loaded]
    return [one for one in found if isinstance(one, dict)]


def _json(content: Any) -> bytes:
    return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()
