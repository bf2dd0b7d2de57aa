"""Grade one or many submissions of a course through nbgrader, and report on each.

`nbgrader autograde`, formgrader and `autograder grade` give the same grades, because they all use
the plug-ins of `autograder.course.plugins`.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import Enum
from itertools import islice

from nbgrader.api import MissingEntry

from autograder.course import late, plugins, records
from autograder.course.course import Course, CourseError, check_names
from autograder.course.gradebook import one_transaction
from autograder.course.nbgrader_log import last_error
from autograder.course.sanitize import spell_out
from autograder.course.scores import (
    Score,
    add_students,
    foreign,
    penalties_by_policy,
    record_penalty,
    released,
    score,
    scores,
)
from autograder.course.settings import check_plugins, keep_safe
from autograder.grading.results import result_name
from autograder.intake.notebook_file import UnreadableError
from autograder.intake.student_id import PLAIN_NAME
from autograder.sandbox import SandboxUnavailableError

# Grading fewer than this takes less time than starting workers.
_FEW = 10
_ODD_NAME = "the folder's name can have only letters, digits and . _ @ + -; rename it"

Pair = tuple[str, str]
"""An assignment and a student."""


@dataclass(frozen=True)
class Graded:
    """The result for one submission.

    Attributes
    ----------
    assignment, student
        The submission.
    score
        The grade; None if it was not graded.
    problem
        Why it was not graded or has no feedback; empty if all went well.
    log
        What nbgrader logged.
    seconds
        How long it took.
    """

    assignment: str
    student: str
    score: Score | None = None
    problem: str = ""
    log: str = ""
    seconds: float = 0.0


@dataclass
class Summary:
    """The results for a class.

    Attributes
    ----------
    graded
        What was graded.
    unchanged
        How many submissions had not changed.
    foreign
        The students whose grades this grader had not made, by assignment.
    """

    graded: list[Graded] = field(default_factory=list)
    unchanged: int = 0
    foreign: dict[str, list[str]] = field(default_factory=dict)

    @property
    def failed(self) -> list[Graded]:
        """The submissions that were not graded or have no feedback."""
        return [one for one in self.graded if one.problem]


class _Due(Enum):
    """What has to be done for a submission."""

    GRADE = "grade"
    SCORE = "score"


def grade(
    course: Course,
    names: Sequence[str] | None = None,
    *,
    students: Sequence[str] | None = None,
    force: bool = False,
    rerun: bool = False,
    feedback: bool = True,
    jobs: int = 1,
    scheduler: str | None = None,
    on_start: Callable[[int], None] = lambda total: None,
    on_graded: Callable[[Graded], None] = lambda graded: None,
) -> Summary:
    """Grade new and changed submissions; one that cannot be graded does not stop the others.

    A grade or graded notebook that this grader did not make counts as none.  Student code runs only
    if no outcome is kept.  If only the due date, the late policy or points
    given by hand have changed, only the penalty and the feedback page are made again.

    Parameters
    ----------
    course
        The course.
    names
        The assignments; all released ones if None.
    students
        The students; all if None.
    force
        Grade unchanged submissions again, from the kept outcomes.
    rerun
        Run student code again, too.
    feedback
        Make feedback pages, too.
    jobs
        How many processes run submissions.
    scheduler
        The address of a Dask scheduler whose workers run them instead.
    on_start
        Called with the number of submissions to process.
    on_graded
        Called with each result as it is ready.

    Raises
    ------
    CourseError
        When something must be fixed first.
    """
    known = released(course)
    if not known:
        raise CourseError("Nothing is released yet: run `autograder release` first.")
    check_names(names, known, "released are")
    summary, due = Summary(), dict[Pair, _Due]()
    check_plugins(course)
    keep_safe(course)
    submitted = {name: course.submitted(name) for name in names or known}
    _check_students(students, submitted)
    _enter_dates(course, submitted)
    for name, everyone in submitted.items():
        recorded, penalties = scores(course, name), penalties_by_policy(course, name)
        if not_ours := sorted(foreign(course, name) & set(students or everyone)):
            summary.foreign[name] = not_ours
        for student in everyone:
            if students and student not in students:
                continue
            if not PLAIN_NAME.fullmatch(student):
                # nbgrader's pages would show it unescaped.
                summary.graded.append(Graded(name, ascii(student), problem=_ODD_NAME))
                continue
            if rerun:
                _drop_outcome(course, name, student)
            todo = _due(course, name, student, recorded.get(student), penalties.get(student, 0.0))
            if force or rerun:
                todo = _Due.GRADE
            if todo:
                due[name, student] = todo
            else:
                summary.unchanged += 1
    add_students(course, {student for _, student in due})
    on_start(len(due))
    done = []
    for graded in _grade_all(course, due, feedback, jobs, scheduler):
        course.keep_log(f"--- {graded.assignment} {graded.student}\n{graded.log}")
        # Do not hold the logs of a whole class in memory.
        done.append(replace(graded, log=""))
        on_graded(done[-1])
    order = {pair: number for number, pair in enumerate(due)}
    done.sort(key=lambda graded: order[graded.assignment, graded.student])
    summary.graded[:0] = done
    return summary


def grade_one(course: Course, assignment: str, student: str, feedback: bool = True) -> Graded:
    """Grade one submission, even a broken one; run it if no outcome is kept.

    Parameters
    ----------
    course, assignment, student
        The submission.
    feedback
        Whether to make the feedback page, too.
    """
    started = time.monotonic()
    # If this process is killed, the submission must not look graded.
    records.drop(course, assignment, student)
    problem = unreadable(course, assignment, student)
    if problem:
        return set_aside(course, assignment, student, problem)
    record = records.current(course, assignment, student)
    _run(course, assignment, student)
    with one_transaction(course.api.coursedir.db_url):
        if not record.handed_in:
            _forget_time(course, assignment, student)
        done = course.api.autograde(assignment, student, force=True)
    log = done.get("log", "")
    if not done["success"]:
        if "KeyboardInterrupt" in done["error"]:
            raise KeyboardInterrupt
        return set_aside(course, assignment, student, last_error(done), log + done["error"])
    graded = _feedback(course, Graded(assignment, student, log=log), feedback)
    record = replace(record, notebook=records.notebook_state(course, assignment, student))
    records.write(course, assignment, student, record.with_score(graded.score))
    return replace(graded, seconds=time.monotonic() - started)


def unreadable(course: Course, assignment: str, student: str) -> str:
    """Return why a submission cannot be graded, or "" if there are answers in it; runs nothing."""
    if not PLAIN_NAME.fullmatch(student):
        # nbgrader's pages would show it unescaped.
        return _ODD_NAME
    folder = course.folder("submitted", student, assignment)
    path = folder / f"{assignment}.ipynb"
    if not os.path.lexists(path):
        found = ", ".join(sorted(other.name for other in islice(folder.iterdir(), 10)))
        return f"there is no {path.name}, only {spell_out(found, 300) or 'nothing'}"
    try:
        course.grader.job(assignment, student).rebuilt()
        course.api.coursedir.get_existing_timestamp(str(folder))
    except (UnreadableError, late.DatesError) as error:
        return str(error)
    return ""


def set_aside(course: Course, assignment: str, student: str, problem: str, log: str = "") -> Graded:
    """Clear the points and pages of an earlier version of a submission that cannot be graded."""
    for step in ("autograded", "feedback"):
        shutil.rmtree(course.folder(step, student, assignment), ignore_errors=True)
    records.drop(course, assignment, student)
    if plugins.clear_scores(course.api.coursedir.db_url, assignment, student):
        problem += "; the points of an earlier version were cleared"
    return Graded(assignment, student, problem=problem, log=log)


def _enter_dates(course: Course, submitted: dict[str, list[str]]) -> None:
    """Put what `dates.toml` says into the gradebook."""
    try:
        dates = late.read(course.root)
    except late.DatesError as error:
        raise CourseError(str(error)) from None
    if dates is None:
        return
    if unknown := dates.due.keys() - set(released(course)):
        raise CourseError(
            f"{course.root / late.FILE} has a due date of {min(unknown)!r}, which is not released."
        )
    for name, everyone in submitted.items():
        extended = dates.extensions.get(name, {}).keys() & set(everyone)
        add_students(course, {one for one in extended if PLAIN_NAME.fullmatch(one)})
    with one_transaction(course.api.coursedir.db_url), course.api.gradebook as gradebook:
        late.enter(dates, gradebook, submitted)


def _forget_time(course: Course, assignment: str, student: str) -> None:
    """Make the gradebook forget when work was handed in, which nbgrader only ever replaces."""
    with course.api.gradebook as gradebook, suppress(MissingEntry):
        gradebook.find_submission(assignment, student).timestamp = None
        gradebook.db.commit()


def _check_students(students: Sequence[str] | None, submitted: dict[str, list[str]]) -> None:
    everyone = {student for some in submitted.values() for student in some}
    for student in students or ():
        if student not in everyone:
            raise CourseError(f"Nobody called {student!r} has handed in any of these assignments.")


def _due(
    course: Course, assignment: str, student: str, recorded: Score | None, penalty: float
) -> _Due | None:
    """Return what has to be done for a submission; None if it is up to date."""
    record = records.read(course, assignment, student)
    try:
        now = records.current(course, assignment, student)
    except (OSError, UnreadableError):
        return _Due.GRADE
    if record is None or recorded is None or now != record.without_results():
        return _Due.GRADE
    if record.notebook != records.notebook_state(course, assignment, student):
        return _Due.GRADE
    if (record.raw, record.penalty) != (recorded.raw, penalty):
        return _Due.SCORE
    return None


def _grade_all(
    course: Course,
    due: dict[Pair, _Due],
    feedback: bool,
    jobs: int,
    scheduler: str | None,
) -> Iterator[Graded]:
    """Yield the results of submissions as they are ready."""
    missing = [
        pair for pair, todo in due.items() if todo is _Due.GRADE and not _has_outcome(course, *pair)
    ]
    if scheduler is None and missing:
        course.check_course_hidden()
        if jobs < 2 or len(missing) < _FEW:
            course.check_sandbox()
            missing = []
    elsewhere = set(missing)
    for pair, todo in due.items():
        if todo is _Due.SCORE:
            yield _score_again(course, *pair, feedback)
        elif pair not in elsewhere:
            yield grade_one(course, *pair, feedback)
    if not missing:
        return
    # Imported here because it takes a second, and a few submissions do not need it.
    from autograder.grading import certificates, cluster

    keys = course.root / certificates.FOLDER
    work = ((pair, course.grader.job(*pair)) for pair in missing)
    try:
        for pair, job, outcome in cluster.run(work, jobs, scheduler, keys):
            if isinstance(outcome, cluster.SetAsideError):
                yield set_aside(course, *pair, str(outcome))
            else:
                course.grader.results.put(result_name(job), outcome)
                yield grade_one(course, *pair, feedback)
    except (cluster.ClusterUnavailableError, SandboxUnavailableError) as error:
        raise CourseError(str(error)) from None


def _score_again(course: Course, assignment: str, student: str, feedback: bool) -> Graded:
    """Record the late penalty and make the feedback page again."""
    started = time.monotonic()
    record = records.read(course, assignment, student)
    assert record is not None
    record_penalty(course, assignment, student)
    graded = _feedback(course, Graded(assignment, student), feedback)
    records.write(course, assignment, student, record.with_score(graded.score))
    return replace(graded, seconds=time.monotonic() - started)


def _feedback(course: Course, graded: Graded, wanted: bool) -> Graded:
    """Make the feedback page of a submission if wanted; return the result with its score."""
    assignment, student = graded.assignment, graded.student
    if wanted:
        done = course.api.generate_feedback(assignment, student, force=True)
        log, problem = graded.log + done.get("log", ""), ""
        if not done["success"]:
            log += done["error"]
            problem = f"graded, but without feedback: {last_error(done)}"
        graded = replace(graded, log=log, problem=problem)
    return replace(graded, score=score(course, assignment, student))


def _run(course: Course, assignment: str, student: str) -> None:
    """Run a submission unless its outcome is kept, so that no transaction has to wait for it."""
    job = course.grader.job(assignment, student)
    if not course.grader.results.has(result_name(job)):
        try:
            course.grader.results.put(result_name(job), job.run())
        except SandboxUnavailableError as error:
            raise CourseError(str(error)) from None


def _has_outcome(course: Course, assignment: str, student: str) -> bool:
    """Return whether a submission needs no run: its outcome is kept, or it cannot be read."""
    try:
        return course.grader.results.has(result_name(course.grader.job(assignment, student)))
    except UnreadableError:
        return True


def _drop_outcome(course: Course, assignment: str, student: str) -> None:
    try:
        course.grader.results.drop(result_name(course.grader.job(assignment, student)))
    except UnreadableError:
        return
