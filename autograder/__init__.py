"""Checks and grades the exercises of the course, names the mistake and gives hints."""

from autograder.check import check, grade
from autograder.hint import hint
from autograder.report import Finding, Report
from autograder.tasks import tasks

__all__ = ["Finding", "Report", "check", "grade", "hint", "tasks"]
