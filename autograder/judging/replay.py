"""A short code for the inputs on which an answer was graded.

With it, `check` meets the same inputs in the student's own notebook.  They were drawn for that
submission alone, so the code gives nothing away.  A case that is `graded_only` has nothing drawn:
any code shows it, and what gets away there is described, but not named.
"""

from __future__ import annotations

import base64

BITS = 80
"""A seed is a number of so many bits: too many to try them all."""

_GROUP = 4
# Base 32 without padding: a character stands for five bits.
_LENGTH = BITS // 5


def code_of(seed: int) -> str:
    """Return the code of a seed, such as "k7qx-3mfa-aaaa-2b4c"."""
    text = base64.b32encode(seed.to_bytes(BITS // 8)).decode("ascii").lower()
    return "-".join(text[at : at + _GROUP] for at in range(0, _LENGTH, _GROUP))


def seed_of(code: str) -> int:
    """Return the seed of a code, whatever its case, spaces and hyphens.

    Raises
    ------
    ValueError
        When it is no code.
    """
    text = "".join(code.split()).replace("-", "").upper()
    if len(text) != _LENGTH:
        raise ValueError(f"a code has {_LENGTH} letters and digits")
    # base64.binascii.Error is a ValueError.
    return int.from_bytes(base64.b32decode(text))
