"""Ids of students, which become names of folders and appear on nbgrader's pages."""

from __future__ import annotations

import hashlib
import re
import unicodedata

PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,99}")

_LONGEST = 40


def safe_id(text: str) -> str:
    """Return an id for a student whom somebody else calls `text`.

    Most names of accounts and e-mail addresses stay as they are.  Others lose what no id may have,
    and get a part of their hash, so that no two texts become the same id.
    """
    if PLAIN_NAME.fullmatch(text) and not text.endswith("."):
        return text
    return told_apart(plain(text), text)


def told_apart(id: str, text: str) -> str:
    """Return an id with a part of the hash of what it stands for."""
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{id}-{digest[:8]}"


def plain(name: str) -> str:
    """Return a name in small ASCII letters, digits and hyphens; "student" if none are left."""
    letters = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub("[^a-z0-9]+", "-", letters).strip("-")[:_LONGEST].strip("-") or "student"
