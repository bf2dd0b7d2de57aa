"""Run commands as a user who is nobody, though Python may lie where only root may enter."""

import sys
from pathlib import Path

NOBODY = 65534


def with_python_in_reach(spare):
    """Return a command that runs another where Python may be entered by everybody."""
    python = Path(sys.base_prefix)
    closed = [folder for folder in python.parents if not folder.stat().st_mode & 0o001]
    if not closed:
        return []
    script = (
        f'mount --bind "{python}" "{spare}" && mount -t tmpfs -o mode=755 tmpfs "{closed[-1]}" && '
        f'mkdir -p "{python}" && mount --bind "{spare}" "{python}" && exec "$@"'
    )
    return ["unshare", "--mount", "sh", "-c", script, "sh"]
