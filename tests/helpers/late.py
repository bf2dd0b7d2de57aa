"""Policies about late work, for courses of tests."""

import math
from pathlib import Path

from nbgrader.plugins import BasePlugin

SETTINGS = (
    f"import sys\nsys.path.append({str(Path(__file__).parents[1])!r})\n"
    "c.AssignLatePenalties.plugin_class = 'helpers.late.HalfEachDay'\n"
)
"""For `nbgrader_config.py`, of the first."""


class HalfEachDay(BasePlugin):
    """Take half of a score for each day that has begun."""

    def late_submission_penalty(self, student_id, score, total_seconds_late):
        """Return how many points are lost."""
        return score * (1 - 0.5 ** math.ceil(total_seconds_late / (24 * 60 * 60)))


class AllAtOnce(BasePlugin):
    """Take everything."""

    def late_submission_penalty(self, student_id, score, total_seconds_late):
        """Return all points."""
        return score
