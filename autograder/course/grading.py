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
from itertools import islice
from typing import Any

from nbgrader.api import MissingEntry

from autograder.course import due, late, plugins, publishing, records
from autograder.course.course import Course
from autograder.course.due import Due, Pair, Todo
from autograder.course.enrollment import Student, enroll
from autograder.course.gradebook import one_transaction
from autograder.course.nbgrader_log import last_error
from autograder.course.running import drop_outcome, has_outcome, run, run_all, to_pass_on
from autograder.course.sanitize import spell_out
from autograder.course.scores import Score, record_penalty, standing
from autograder.intake.notebook_file import UnreadableError
from autograder.intake.student_id import PLAIN_NAME

_ODD_NAME = "the folder's name can have only letters, digits and . _ @ + -; rename it"


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
    look_again
        Whether points by hand stand that were given for an earlier version.
    """

    assignment: str
    student: str
    score: Score | None = None
    problem: str = ""
    log: str = ""
    seconds: float = 0.0
    look_again: bool = False


@dataclass
class Summary:
    """The results for a class.

    Attributes
    ----------
    graded
        What was graded.
    unchanged
        How many submissions had not changed.
    due
        What had to be done.
    """

    graded: list[Graded] = field(default_factory=list)
    due: Due = field(default_factory=Due)

    @property
    def failed(self) -> list[Graded]:
        """The submissions that were not graded or have no feedback."""
        return [one for one in self.graded if one.problem]


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

    Student code runs only if no outcome is kept.  If only the due date, the late policy, or points
    and comments given by hand have changed, only the penalty and the feedback page are made again.

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
    found = due.find(course, names, students, force=force or rerun)
    summary = Summary(due=found)
    for assignment, student in found.oddly_named:
        summary.graded.append(Graded(assignment, ascii(student), problem=_ODD_NAME))
    if rerun:
        for pair in found.todo:
            # If this process is killed, the submission must not look graded.
            records.drop(course, *pair)
            drop_outcome(course, *pair)
    enroll(course, {Student(student) for _, student in found.todo})
    on_start(len(found.todo))
    done = []
    for graded in _grade_all(course, found.todo, feedback, jobs, scheduler):
        course.keep_log(f"--- {graded.assignment} {graded.student}\n{graded.log}")
        # Do not hold the logs of a whole class in memory.
        done.append(replace(graded, log=""))
        on_graded(done[-1])
    order = {pair: number for number, pair in enumerate(found.todo)}
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
    before, known = records.read(course, assignment, student), standing(course, assignment, student)
    # If this process is killed, the submission must not look graded.
    records.drop(course, assignment, student)
    problem = unreadable(course, assignment, student)
    if problem:
        return set_aside(course, assignment, student, problem)
    record = records.current(course, assignment, student)
    run(course, assignment, student)
    with one_transaction(course.api.coursedir.db_url):
        if not record.handed_in:
            _forget_time(course, assignment, student)
        done = course.api.autograde(assignment, student, force=True)
        if before and before.result == record.result and known and not known.look_again:
            _need_no_look(course, assignment, student)
    log = done.get("log", "")
    if not done["success"]:
        _stop_if_interrupted(done)
        return set_aside(course, assignment, student, last_error(done), log + done["error"])
    graded = _feedback(course, Graded(assignment, student, log=log), feedback)
    # Only now is its outcome kept.
    record = records.with_names(course, assignment, record)
    record = replace(record, notebook=records.notebook_state(course, assignment, student))
    _write(course, graded, record)
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
    except UnreadableError as error:
        return to_pass_on(error)
    except late.DatesError as error:
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


def _forget_time(course: Course, assignment: str, student: str) -> None:
    """Make the gradebook forget when work was handed in, which nbgrader only ever replaces."""
    with course.api.gradebook as gradebook, suppress(MissingEntry):
        gradebook.find_submission(assignment, student).timestamp = None
        gradebook.db.commit()


def _need_no_look(course: Course, assignment: str, student: str) -> None:
    """Take back that points by hand need a look, which nbgrader says whenever it grades again."""
    with course.api.gradebook as gradebook, suppress(MissingEntry):
        for notebook in gradebook.find_submission(assignment, student).notebooks:
            for grade in notebook.grades:
                if grade.manual_score is not None:
                    grade.needs_manual_grade = False
        gradebook.db.commit()


def _grade_all(
    course: Course,
    todo: dict[Pair, Todo],
    feedback: bool,
    jobs: int,
    scheduler: str | None,
) -> Iterator[Graded]:
    """Yield the results of submissions as they are ready."""
    to_run = []
    for pair, what in todo.items():
        if what is Todo.SCORE:
            yield _score_again(course, *pair, feedback)
        elif has_outcome(course, *pair):
            yield grade_one(course, *pair, feedback)
        else:
            to_run.append(pair)
    for pair, problem in run_all(course, to_run, jobs, scheduler):
        yield set_aside(course, *pair, problem) if problem else grade_one(course, *pair, feedback)


def _score_again(course: Course, assignment: str, student: str, feedback: bool) -> Graded:
    """Record the late penalty and make the feedback page again."""
    started = time.monotonic()
    record = records.read(course, assignment, student)
    assert record is not None
    record_penalty(course, assignment, student)
    graded = _feedback(course, Graded(assignment, student), feedback)
    _write(course, graded, record)
    return replace(graded, seconds=time.monotonic() - started)


def _write(course: Course, graded: Graded, record: records.Record) -> None:
    """Record what the feedback page shows; nothing if there is none, so that it is made again."""
    assignment, student = graded.assignment, graded.student
    shown = None if graded.problem else standing(course, assignment, student)
    record = replace(record, solutions=publishing.state(course.root, assignment))
    records.write(course, assignment, student, record.with_standing(shown))


def _stop_if_interrupted(done: dict[str, Any]) -> None:
    """Stop at Ctrl-C, which nbgrader takes for a failure of the submission."""
    if "KeyboardInterrupt" in done["error"]:
        raise KeyboardInterrupt


def _feedback(course: Course, graded: Graded, wanted: bool) -> Graded:
    """Make the feedback page of a submission if wanted; return the result with its score."""
    assignment, student = graded.assignment, graded.student
    if wanted:
        done = course.api.generate_feedback(assignment, student, force=True)
        log, problem = graded.log + done.get("log", ""), ""
        if not done["success"]:
            _stop_if_interrupted(done)
            log += done["error"]
            problem = f"graded, but without feedback: {last_error(done)}"
        graded = replace(graded, log=log, problem=problem)
    found = standing(course, assignment, student)
    if found is None or not found.counts:
        return graded
    return replace(graded, score=found.score, look_again=found.look_again)
