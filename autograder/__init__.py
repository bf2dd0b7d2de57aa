"""Check and grade the exercises of the course, name mistakes and give hints."""

from autograder.judging.check import check, grade
from autograder.judging.hint import hint
from autograder.judging.report import Finding, Report
from autograder.student.overview import progress
from autograder.student.readiness import ready
from autograder.tasks import tasks

__all__ = ["Finding", "Report", "check", "grade", "hint", "progress", "ready", "tasks"]
