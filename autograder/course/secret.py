"""The secret of a course, from which test inputs and seals are derived."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

SECRET = ".secret"
"""The file in the root of a course that holds its secret."""


def course_secret(root: Path) -> bytes:
    """Return the secret of a course; make one if there is none.

    Only its owner can read the file.  The secret and a submission seed the test inputs, so a course
    that loses its secret gets different inputs.  The grade of a right answer stays the same.
    """
    path = root / SECRET
    if not path.exists():
        root.mkdir(parents=True, exist_ok=True)
        new = root / f"{SECRET}.{secrets.token_hex(8)}"
        new.touch(mode=0o600)
        new.write_bytes(secrets.token_bytes(32))
        # If several processes make one, the first wins.
        with contextlib.suppress(FileExistsError):
            os.link(new, path)
        new.unlink()
    return path.read_bytes()
