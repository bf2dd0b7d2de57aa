"""The `autograder` command, of which students have a part without what grading needs."""

from __future__ import annotations

import sys


def main() -> None:
    """Run a command; `ready` needs none of the extras."""
    if sys.argv[1:2] == ["ready"]:
        from autograder.student.readiness import main as ready

        raise SystemExit(ready(sys.argv[2:]))
    from autograder.cli import app

    app()


if __name__ == "__main__":
    main()
