"""Grade one submission on Gradescope: `run_autograder` in a bundle starts this.

`python -m autograder.platforms.run_gradescope /autograder` writes `results/results.json` there.  If
the grader fails, it leaves none, so that Gradescope shows a failure and not a 0.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from autograder.course.sanitize import printed
from autograder.judging.report import Finding, Report, aligned
from autograder.platforms.bundled import Graded, Settings, grade
from autograder.platforms.record import put
from autograder.sandbox import SandboxUnavailableError


def main(root: Path) -> None:
    """Grade what is in `root / "submission"` by the bundle in `root / "source"`."""
    started = time.monotonic()
    target = root / "results" / "results.json"
    target.unlink(missing_ok=True)
    try:
        graded = grade(root / "source", root / "submission")
    except SandboxUnavailableError as error:
        sys.exit(str(error))
    seconds = time.monotonic() - started
    found = results(graded, Settings.read(root / "source").visibility, seconds)
    put(target, json.dumps(found, indent=1).encode())


def results(graded: Graded, visibility: str, seconds: float) -> dict[str, Any]:
    """Return what Gradescope reads: a test for each aspect, whose points add up to the score.

    What costs points without an aspect of its own is a test with negative points.

    Parameters
    ----------
    graded
        What the submission earned.
    visibility
        When students see it, in Gradescope's words.
    seconds
        How long it took.
    """
    return {
        "score": graded.points,
        "execution_time": round(seconds, 1),
        "output": printed("\n".join(graded.sentences)),
        "output_format": "text",
        "test_output_format": "text",
        "test_name_format": "text",
        "visibility": visibility,
        "stdout_visibility": "hidden",
        "extra_data": {"sandbox": graded.backend},
        "tests": [
            test
            for number, report in enumerate(graded.reports, 1)
            for test in _tests(number, report)
        ],
    }


def _tests(number: int, report: Report) -> Iterator[dict[str, Any]]:
    wrong = next((one for one in report.findings if not one.passed), None)
    for part, finding in enumerate(report.findings, 1):
        yield {
            "name": f"{report.task}: {finding.aspect}",
            "number": f"{number}.{part}",
            "score": finding.points,
            "max_score": finding.max_points,
            "status": "passed" if finding.passed else "failed",
            "output": _text(finding, report.printed if finding is wrong else ""),
            "tags": [finding.misconception] if finding.misconception else [],
        }


def _text(finding: Finding, output: str) -> str:
    """Return what students read, as a plain text that shows everything as it was typed."""
    said = f"\n\nYour code printed:\n{output}" if output else ""
    return printed("\n".join([finding.message, *aligned(finding.places)]) + said)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
