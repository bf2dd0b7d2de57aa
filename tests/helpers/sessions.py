"""What tests do with sessions of a sandbox."""

import textwrap


def text(session, source):
    """Run a cell and return all text that it put out."""
    return "".join(output.text for output in session.run_cell(textwrap.dedent(source)))
