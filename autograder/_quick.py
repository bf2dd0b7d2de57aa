"""Imported before anything that brings nbformat, where a quick start counts.

jsonschema, which checks notebooks, would import a parser for internationalized addresses that
takes a second to build its grammar.  It does without where there is none, and notebooks have no
such addresses.
"""

import sys

sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]  # None: cannot be imported
