"""Put what a class handed in on a platform where grading looks for it.

Whose a file is, the platform says: by a number, an address or a folder, never by the name of a
person alone.  Which assignment a notebook is of, its cells say.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from autograder.course.course import Course, CourseError
from autograder.course.enrollment import Student, enroll
from autograder.course.scores import require_released
from autograder.intake.belonging import own_cells
from autograder.intake.notebook_file import UnreadableError, read
from autograder.platforms import download, record
from autograder.platforms.notebooks import Notebook, newest, notebooks
from autograder.platforms.platform import HandIn
from autograder.platforms.record import Entry, Record
from autograder.platforms.roster import Person, Roster
from autograder.platforms.sheet import squeezed
from autograder.platforms.students import Students

TIMESTAMP = "%Y-%m-%d %H:%M:%S UTC"
"""How nbgrader reads a time in `timestamp.txt`."""


@dataclass
class Collected:
    """What became of all hand-ins, who of the roster is missing, and who is not in the roster."""

    entries: list[Entry] = field(default_factory=list)
    missing: list[tuple[str, Person]] = field(default_factory=list)
    unlisted: list[HandIn] = field(default_factory=list)
    sources: list[tuple[str, str]] = field(default_factory=list)

    def of(self, outcome: str) -> list[Entry]:
        """Return the entries with one outcome."""
        return [entry for entry in self.entries if entry.outcome == outcome]


def collect(
    course: Course,
    downloads: Sequence[Path],
    roster: Roster | None = None,
    assignment: str | None = None,
    on_start: Callable[[str], None] = lambda name: None,
) -> Collected:
    """Collect the notebooks of one or more downloads.

    Parameters
    ----------
    course
        The course.
    downloads
        Archives or folders.
    roster
        The class; None if there is no list of it.
    assignment
        The assignment that was handed in; None to find out.
    on_start
        Called with the name of each download.

    Raises
    ------
    CourseError
        When something must be fixed first.
    """
    known = require_released(course, [assignment] if assignment else None)
    for path in downloads:
        if not path.exists():
            raise CourseError(f"There is no {path}. Check the name.")
        if course.root.resolve().is_relative_to(path.resolve()):
            raise CourseError(f"{path} is around the course. Give the folder of the download.")
    collected = Collected()
    assignments = set[str]()
    called: dict[str, set[str]] = {}
    for path in downloads:
        on_start(path.name)
        one = _Download(course, path.absolute(), roster, assignment, known)
        one.collect()
        collected.entries += one.entries
        collected.unlisted += one.students.unlisted
        how = ", matched with the roster by name" if one.students.by_name else ""
        collected.sources.append((path.name, f"{one.platform.title}{how}"))
        assignments |= one.assignments
        for student, others in one.students.called.items():
            called.setdefault(student, set()).update(others)
    enroll(course, _class(collected, roster, called))
    for name in sorted(assignments):
        handed_in = {*course.submitted(name)}
        collected.missing += [
            (name, person)
            for person in (roster.people if roster else ())
            if not handed_in & {person.student, *called.get(person.student, ())}
        ]
    return collected


def _class(
    collected: Collected, roster: Roster | None, called: Mapping[str, Collection[str]]
) -> Iterator[Student]:
    """Yield everybody who handed in, and everybody in the roster."""
    for entry in collected.entries:
        if entry.student:
            yield Student(entry.student, entry.name, entry.email)
    for person in roster.people if roster else ():
        for student in called.get(person.student, (person.student,)):
            yield Student(student, person.name, person.email)


class _Download:
    """One download, on its way into the course."""

    def __init__(
        self,
        course: Course,
        path: Path,
        roster: Roster | None,
        assignment: str | None,
        known: Sequence[str],
    ) -> None:
        self.course, self.path, self.roster = course, path, roster
        self.wanted, self.known = assignment, known
        self.records = record.read_all(course)
        self.entries: list[Entry] = []
        self.assignments = {assignment} if assignment else set[str]()

    def collect(self) -> None:
        """Collect everything in it, and write its record even if that is interrupted."""
        with tempfile.TemporaryDirectory() as folder:
            numbers = count()

            def scratch() -> Path:
                made = Path(folder) / str(next(numbers))
                made.mkdir()
                return made

            files = download.files_of(self.path, scratch())
            self.platform, hand_ins = download.recognize(files, self.known)
            own = own_cells({name: self.course.release_file(name) for name in self.known})
            found = [(one, *notebooks(one.files, own, scratch)) for one in hand_ins]
            digest = download.digest(self.path)
            kept = next((r for r in self.records if r.sha256 == digest), None)
            if kept is None:
                taken = [r.download for r in self.records]
                name = download.kept_name(self.course, self.path, taken)
                kept = Record(name, self.platform.name, digest, _now())
            download.keep(self.course, self.path, kept.download)
            try:
                self._place(found)
            finally:
                record.write(self.course, replace(kept, entries=self._merged(kept)))

    def _merged(self, kept: Record) -> list[Entry]:
        """Return the entries, and those of an earlier time that are about something else."""
        now = {(entry.student or entry.file, entry.assignment) for entry in self.entries}
        settled = {entry.key for entry in self.entries}
        return [
            *self.entries,
            *(
                e
                for e in kept.entries
                if (e.student or e.file, e.assignment) not in now
                and not (e.outcome == record.SET_ASIDE and e.key in settled)
            ),
        ]

    def _place(self, found: Sequence[tuple[HandIn, list[Notebook], list[str]]]) -> None:
        everybody = {name for known in self.known for name in self.course.submitted(known)}
        self.students = Students(
            self.platform,
            [hand_in for hand_in, _, _ in found],
            self.records,
            self.roster,
            everybody,
        )
        target = self._target(found)
        if self.platform.one_assignment and target:
            self.assignments.add(target)
        mine: dict[tuple[str, str], list[tuple[HandIn, Notebook, Entry]]] = {}
        for hand_in, some, problems in found:
            if not hand_in.key:
                self._set_aside(hand_in, "its name does not say whose it is")
                continue
            people = self.students.of[hand_in.key]
            if isinstance(people, str):
                self._set_aside(hand_in, people)
                continue
            chosen = self._chosen(some, target)
            if not chosen:
                why = _why_nothing(hand_in, some, problems, target)
                if why or self.wanted is None or self.platform.one_assignment:
                    self._set_aside(hand_in, why or "no notebook of any assignment")
                continue
            for name, notebook in chosen:
                for entry in people:
                    place = (entry.student, name)
                    mine.setdefault(place, []).append((hand_in, notebook, entry))
        for (student, name), candidates in mine.items():
            self.assignments.add(name)
            self._take(student, name, candidates)

    def _target(self, found: Iterable[tuple[HandIn, list[Notebook], list[str]]]) -> str | None:
        """Return the assignment of the download, unless it may be of several."""
        if self.wanted or not self.platform.one_assignment:
            return self.wanted
        counts = Counter(
            name for _, some, _ in found for name in {notebook.assignment for notebook in some}
        )
        del counts[""]
        return counts.most_common(1)[0][0] if counts else None

    def _chosen(self, some: Sequence[Notebook], target: str | None) -> list[tuple[str, Notebook]]:
        """Return the notebooks to take, with the assignment of each."""
        # A damaged file is handed in, too: grading tells the student.
        damaged = [(self._named(n), n) for n in some if n.problem]
        readable = [(n.assignment, n) for n in some if n.assignment]
        if target is None:
            has = {name for name, _ in readable}
            return [*readable, *(one for one in damaged if one[0] and one[0] not in has)]
        right = [(name, n) for name, n in readable if name == target]
        right = right or [(name, n) for name, n in damaged if name == target]
        if not right and self.platform.one_assignment:
            right = [(target, n) for _, n in damaged]
        return right

    def _named(self, notebook: Notebook) -> str:
        """Return the assignment whose name is in the name of a file; "" if none or several are."""
        name = squeezed(_name_of(notebook))
        found = [known for known in self.known if squeezed(known) in name]
        return found[0] if len(found) == 1 else ""

    def _take(
        self, student: str, name: str, candidates: list[tuple[HandIn, Notebook, Entry]]
    ) -> None:
        """Put the newest of some notebooks where grading looks for it."""
        latest = max((h.handed_in for h, _, _ in candidates if h.handed_in), default=None)
        candidates = [one for one in candidates if one[0].handed_in == latest] or candidates
        best = newest([notebook for _, notebook, _ in candidates])
        if best is None:
            files = ", ".join(sorted({_short(_name_of(n)) for _, n, _ in candidates}))
            why = f"{files}: nothing says which is newer; delete the wrong one and collect again"
            self._set_aside(candidates[0][0], why)
            return
        hand_in, _, entry = next(one for one in candidates if one[1] is best)
        changed = best.file.changed if not best.file.inside else None
        entry = replace(
            entry,
            assignment=name,
            file=best.file.name,
            inside=best.file.inside,
            late=hand_in.late,
            handed_in=f"{hand_in.handed_in:{TIMESTAMP}}" if hand_in.handed_in else "",
            changed=changed.isoformat(sep=" ", timespec="seconds") if changed else "",
            number=best.file.number,
            sha256=best.digest,
        )
        path = self.course.folder("submitted", student, name) / f"{name}.ipynb"
        earlier = [
            (r, e)
            for r, e in record.entries(self.records)
            if (e.student, e.assignment) == (student, name) and e.outcome != record.SET_ASIDE
        ]
        outcome, why = self._outcome(path, entry, earlier)
        self.entries.append(replace(entry, outcome=outcome, why=why))
        if outcome in (record.COLLECTED, record.REPLACED):
            record.put(path, read(best.path))
        if outcome in record.WRITTEN:
            stamp = path.with_name("timestamp.txt")
            if outcome != record.UNCHANGED:
                _drop_ours(stamp, [e for _, e in earlier])
            if entry.handed_in and not stamp.exists():
                record.put(stamp, entry.handed_in.encode())

    def _outcome(
        self, path: Path, entry: Entry, earlier: Sequence[tuple[Record, Entry]]
    ) -> tuple[str, str]:
        """Return what becomes of a notebook, and why it is set aside."""
        if not path.exists() and not path.is_symlink():
            return record.COLLECTED, ""
        try:
            present = hashlib.sha256(read(path)).hexdigest()
        except UnreadableError:
            present = ""
        if present == entry.sha256:
            return record.UNCHANGED, ""
        before = [(r, e) for r, e in earlier if e.sha256 == present]
        if not before:
            where = path.relative_to(self.course.root)
            why = f"{where} was put there by hand; move it away and collect again"
            return record.SET_ASIDE, why
        kept, there = before[-1]
        same_kind = kept.platform == self.platform.name
        # The numbers and times of another platform say nothing about those of this one.
        signs = list(zip(entry.order, there.order, strict=True))[: None if same_kind else 1]
        for mine, other in signs:
            if mine and other and mine != other:
                return (record.OLDER if mine < other else record.REPLACED), ""
        # Nothing tells, but what was there before the present one is older.
        seen = any(e.sha256 == entry.sha256 for _, e in earlier)
        return (record.OLDER if seen else record.REPLACED), ""

    def _set_aside(self, hand_in: HandIn, why: str) -> None:
        self.entries.append(
            Entry(
                outcome=record.SET_ASIDE,
                why=why,
                name=hand_in.name,
                key=hand_in.key,
                file=hand_in.files[0].name if hand_in.files else "",
                assignment=self.wanted or "",
            )
        )


def _why_nothing(
    hand_in: HandIn, some: Sequence[Notebook], problems: Sequence[str], target: str | None
) -> str:
    """Return why a hand-in has no notebook to take; "" if it has one of another assignment."""
    others = sorted({n.assignment for n in some if n.assignment})
    if others and target:
        return f"its notebook is of {', '.join(others)}, not of {target}"
    if some:
        return some[0].problem or f"{_short(_name_of(some[0]))} has no cell of any assignment"
    if problems:
        return problems[0]
    names = sorted(file.name.rpartition("/")[2] for file in hand_in.files)
    if not names:
        return "no file was handed in"
    if names == [hand_in.files[0].name]:
        return "it is no notebook"
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"no notebook, only {', '.join(map(_short, names[:3]))}{more}"


def _name_of(notebook: Notebook) -> str:
    return (notebook.file.inside or notebook.file.name).rpartition("/")[2]


def _short(name: str) -> str:
    return name if len(name) <= 60 else f"{name[:40]}…{name[-19:]}"


def _drop_ours(stamp: Path, earlier: Sequence[Entry]) -> None:
    """Delete the time of an earlier file, unless somebody changed it."""
    try:
        if read(stamp).decode("utf-8", "replace") in {e.handed_in for e in earlier if e.handed_in}:
            stamp.unlink()
    except UnreadableError:
        return


def _now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
