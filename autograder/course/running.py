"""Run submissions whose outcome is not kept; the gradebook is not concerned."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from autograder.course.course import Course, CourseError
from autograder.course.due import Pair
from autograder.grading.results import result_name
from autograder.intake.notebook_file import UnreadableError
from autograder.sandbox import SandboxUnavailableError

# Running fewer than this takes less time than starting workers.
_FEW = 10


def run_all(
    course: Course, pairs: Sequence[Pair], jobs: int = 1, scheduler: str | None = None
) -> Iterator[tuple[Pair, str]]:
    """Run submissions, and yield each with the reason why it could not be run, or "".

    Parameters
    ----------
    course
        The course.
    pairs
        The submissions.
    jobs
        How many processes run them.
    scheduler
        The address of a Dask scheduler whose workers run them instead.

    Raises
    ------
    CourseError
        When no submission can be run.
    """
    if not pairs:
        return
    if scheduler is None:
        course.check_course_hidden()
        if jobs < 2 or len(pairs) < _FEW:
            course.check_sandbox()
            yield from ((pair, _problem(course, *pair)) for pair in pairs)
            return
    # Imported here because it takes a second, and a few submissions do not need it.
    from autograder.grading import certificates, cluster

    keys = course.root / certificates.FOLDER
    work = ((pair, course.grader.job(*pair)) for pair in pairs)
    try:
        for pair, job, outcome in cluster.run(work, jobs, scheduler, keys):
            if isinstance(outcome, cluster.SetAsideError):
                yield pair, str(outcome)
            else:
                course.grader.results.put(result_name(job), outcome)
                yield pair, ""
    except (cluster.ClusterUnavailableError, SandboxUnavailableError) as error:
        raise CourseError(str(error)) from None


def _problem(course: Course, assignment: str, student: str) -> str:
    try:
        run(course, assignment, student)
    except UnreadableError as error:
        return to_pass_on(error)
    return ""


def to_pass_on(error: UnreadableError) -> str:
    """Return what is wrong with a file, which is worded for a student, for an instructor."""
    return f"{error} Pass this on to the student, who gets no feedback page."


def run(course: Course, assignment: str, student: str) -> None:
    """Run a submission unless its outcome is kept, so that no transaction has to wait for it.

    Raises
    ------
    CourseError
        When the sandbox cannot be started.
    UnreadableError
        When no answers can be found.
    """
    job = course.grader.job(assignment, student)
    if not course.grader.results.has(result_name(job)):
        try:
            course.grader.results.put(result_name(job), job.run())
        except SandboxUnavailableError as error:
            raise CourseError(str(error)) from None


def has_outcome(course: Course, assignment: str, student: str) -> bool:
    """Return whether a submission needs no run: its outcome is kept, or it cannot be read."""
    try:
        return course.grader.results.has(result_name(course.grader.job(assignment, student)))
    except UnreadableError:
        return True


def drop_outcome(course: Course, assignment: str, student: str) -> None:
    """Delete the outcome of a submission, if there is one."""
    try:
        course.grader.results.drop(result_name(course.grader.job(assignment, student)))
    except UnreadableError:
        return
