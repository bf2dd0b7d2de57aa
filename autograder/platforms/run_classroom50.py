"""Grade one checkout in Classroom 50: `autograder.py` in a bundle starts this.

`python -m autograder.platforms.run_classroom50 BUNDLE CHECKOUT` writes `result.json` into the
checkout.  If the grader fails, it leaves none and exits with status 1.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from autograder.course.sanitize import printed
from autograder.platforms import classroom50
from autograder.platforms.bundled import Graded, Settings, grade
from autograder.sandbox import SandboxUnavailableError

_FIELDS = {
    "classroom": "CLASSROOM",
    "assignment": "ASSIGNMENT",
    "assignment_type": "ASSIGNMENT_TYPE",
    "owner": "OWNER",
    "submission": "SUBMISSION_TAG",
    "commit": "COMMIT_URL",
    "release": "RELEASE_URL",
    "review": "REVIEW_URL",
}


def main(bundle: Path, checkout: Path) -> None:
    """Grade what is in a checkout by a bundle."""
    target = checkout / "result.json"
    # It may be a student's own file, or a link to another one.
    target.unlink(missing_ok=True)
    try:
        graded = grade(bundle, checkout)
    except SandboxUnavailableError as error:
        sys.exit(str(error))
    found = result(graded, Settings.read(bundle).assignment, os.environ, datetime.now(UTC))
    with target.open("x", encoding="utf-8") as file:
        json.dump(found, file, indent=1)
    # No more: the platform takes some lines of a log for commands.
    print(f"{graded.points:g} of {graded.max_points:g} points")


def result(
    graded: Graded, assignment: str, environment: Mapping[str, str], now: datetime
) -> dict[str, Any]:
    """Return a result of the schema, with the report of each task as its output.

    Parameters
    ----------
    graded
        What the checkout earned.
    assignment
        The name of the assignment in the course.
    environment
        The variables in which the platform says what it grades.
    now
        When this is, in UTC.
    """
    was = {field: environment[name] for field, name in _FIELDS.items() if environment.get(name)}
    tests = [(one.task, one.points, one.max_points) for one in graded.reports]
    found = classroom50.result(was, assignment, "", (graded.points, graded.max_points), tests, now)
    above = graded.sentences if graded.backend else []
    for test, report in zip(found["tests"], graded.reports, strict=True):
        test["output"] = printed("\n\n".join([*above, str(report)]))
        above = []
    return found


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
