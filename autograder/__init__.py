"""Checks and grades the exercises of the course, and names the mistake."""

from autograder.check import check, grade
from autograder.report import Finding, Report
from autograder.tasks import tasks

__all__ = ["Finding", "Report", "check", "grade", "tasks"]
