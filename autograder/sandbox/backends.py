"""The backends by name, as settings, the command line and reports use them."""

from __future__ import annotations

from collections.abc import Mapping

from autograder.sandbox.backend import Backend
from autograder.sandbox.bubblewrap import Bubblewrap
from autograder.sandbox.landlock_backend import Landlock
from autograder.sandbox.unprotected import Unprotected

BACKENDS: Mapping[str, Backend] = {
    backend.name: backend for backend in (Bubblewrap(), Landlock(), Unprotected())
}

DEFAULT = Bubblewrap.name
