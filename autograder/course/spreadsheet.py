"""Keep what students wrote from running as a formula in the tables that this course writes."""

from __future__ import annotations

# The wide ones count where people type Chinese or Japanese.
_FORMULA = tuple("=+-@\t\r\n＝＋－＠")


def harmless(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA) else text
