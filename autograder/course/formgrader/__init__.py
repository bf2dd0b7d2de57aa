"""Formgrader's page of a submission, without anything from other hosts.

Its template loads MathJax from elsewhere, and without MathJax its scripts never start.  The
template beside this file takes MathJax's place, and formulas are typeset on the server.
"""

from __future__ import annotations

import os
from pathlib import Path

from nbgrader.server_extensions.formgrader import handlers

TEMPLATES = [os.fspath(Path(__file__).parent), handlers.template_path]
"""Where nbconvert finds the template `formgrade`: `HTMLExporter.extra_template_basedirs`."""

FILTERS = {"markdown2html": "autograder.course.feedback.markdown2html"}
"""What typesets formulas, for `HTMLExporter.filters`."""
