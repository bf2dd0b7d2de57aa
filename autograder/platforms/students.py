"""Say which student of the course a platform means."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from autograder.intake.student_id import safe_id, told_apart
from autograder.platforms import record
from autograder.platforms.platform import HandIn, Platform
from autograder.platforms.record import Entry, Record
from autograder.platforms.roster import Person, Roster


class Students:
    """The students of the hand-ins of a download.

    Somebody who was collected before keeps the id from then.  Otherwise the roster says it, and if
    it does not know the student, the platform.

    Attributes
    ----------
    of
        The students of each hand-in, by its key, as the beginning of their entries; or a text that
        says why it has none.
    called
        What people of the roster are called in the course, if they were collected without it.
    unlisted
        The hand-ins of people who are not in the roster.
    by_name
        Whether names had to do, because the roster knows no id of the platform.
    """

    def __init__(
        self,
        platform: Platform,
        hand_ins: Sequence[HandIn],
        records: Sequence[Record],
        roster: Roster | None,
        taken: Iterable[str],
    ) -> None:
        self.platform, self.records, self.roster = platform, records, roster
        self.of: dict[str, list[Entry] | str] = {}
        self.called: dict[str, set[str]] = {}
        self.unlisted: list[HandIn] = []
        self.by_name = False
        listed = {person.student for person in (roster.people if roster else ())}
        self._find(hand_ins, {*taken, *listed})

    def _find(self, hand_ins: Sequence[HandIn], taken_ids: Iterable[str]) -> None:
        found = self.of
        people = {one.key: self._people(one) for one in hand_ins if one.key}
        if self.roster and not any(people.values()):
            people = self._by_name(hand_ins)
            self.by_name = True
        known = self._known()
        taken = {student.casefold(): student for student in taken_ids}
        for one in hand_ins:
            if not one.key or one.key in found:
                continue
            some, before = people[one.key], known.get(one.key, [])
            if isinstance(some, str):
                found[one.key] = some
                continue
            if one.doubt and not some and not before:
                found[one.key] = one.doubt
                continue
            if not some:
                if self.roster:
                    self.unlisted.append(one)
                own = safe_id(one.suggested)
                if taken.get(own.casefold(), own) != own:
                    # Two folders that differ in case only are one on some machines.
                    own = told_apart(own, one.key)
                students = before or [own]
                found[one.key] = [_entry_of(one, None, student, one.key) for student in students]
                taken |= {student.casefold(): student for student in students}
                continue
            entries = []
            for person in some:
                student = before[0] if len(some) == len(before) == 1 else person.student
                self.called.setdefault(person.student, set()).add(student)
                entries.append(_entry_of(one, person, student, self._row(one, person)))
            found[one.key] = entries

    def _known(self) -> dict[str, list[str]]:
        """Return what the platform's students are called since they were collected first."""
        found: dict[str, list[str]] = {}
        for kept, entry in record.entries(self.records):
            if kept.platform == self.platform.name and entry.key and entry.student:
                students = found.setdefault(entry.key, [])
                if entry.student not in students:
                    students.append(entry.student)
        return found

    def _people(self, hand_in: HandIn) -> list[Person] | str:
        """Return who of the roster a hand-in is of, or why that is not clear."""
        if self.roster is None:
            return []
        found = self.roster.find(hand_in.ids, self.platform.joins)
        return _one(found) if found else self.roster.of_group(hand_in.name)

    def _by_name(self, hand_ins: Sequence[HandIn]) -> dict[str, list[Person] | str]:
        """Return people by their names.

        Only called if the roster knows no id of the platform.  A name that several people of the
        roster have, or several hand-ins, is nobody's.
        """
        assert self.roster is not None
        named = {one.key: self.roster.called(one.name) for one in hand_ins if one.key}
        times = Counter(person.student for some in named.values() for person in some)
        people: dict[str, list[Person] | str] = {}
        for key, some in named.items():
            if any(times[person.student] > 1 for person in some) and len(some) == 1:
                people[key] = (
                    f"another hand-in has this name, too, and the roster has only {some[0].student}"
                )
            else:
                people[key] = _one(some)
        return people

    def _row(self, hand_in: HandIn, person: Person) -> str:
        """Return what tells the student in a sheet: the platform's id of the person."""
        own = [person.known[c] for c in self.platform.joins if c in person.known]
        matched = [id for id in own if id in hand_in.ids]
        by_group = person.group == hand_in.name
        return next(iter([*matched, *(own if by_group else ())]), hand_in.key)


def _one(people: list[Person]) -> list[Person] | str:
    if len(people) < 2:
        return people
    rows = ", ".join(sorted(person.student for person in people))
    return f"it may be of several students in the roster: {rows}"


def _entry_of(hand_in: HandIn, person: Person | None, student: str, row: str) -> Entry:
    return Entry(
        student=student,
        name=(person.name if person else "") or hand_in.name,
        email=(person.email if person else "") or hand_in.email,
        group=person.group if person else "",
        key=hand_in.key,
        row=row,
    )
