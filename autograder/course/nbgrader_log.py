"""Find the reason for a failure in what nbgrader logged."""

from __future__ import annotations

import re
from typing import Any


def last_error(done: dict[str, Any]) -> str:
    """Return the last exception that nbgrader reports, as one line.

    Parameters
    ----------
    done
        What a method of nbgrader's API returned.
    """
    # The log has the cause; the error only says that there was one.
    for text in (done.get("log", ""), done.get("error", "")):
        errors = re.findall(r"^(?:\w+\.)*\w*(?:Error|Exception)\b.*$", text, re.MULTILINE)
        if errors:
            return str(errors[-1])[:300]
    return "nbgrader failed without saying why"
