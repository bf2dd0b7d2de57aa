"""Turn what only IPython understands into comments, so that Python can parse a cell."""

from __future__ import annotations

import re

_COMMANDS = "cat|cd|cp|mv|rm|rmdir|mkdir|copy|ddir|echo|ls|ldir|ren"

_MAGIC = re.compile(
    rf"""\s*(?:
        %{{1,3}}[a-zA-Z]                                    # %time, %%time
      | [?!]\s*[A-Za-z.~$\\/{{}}]                           # ?name, !command
      | \S*\?\s*$                                           # name?
      | [a-zA-Z_]\w*\s*=\s*(?:%{{1,3}}|!)[a-zA-Z]           # name = %magic, name = !command
    )
    | (?:{_COMMANDS})(?:$|\s$|\s[^=,])                      # commands that need no sign""",
    re.VERBOSE,
)
# Possessive, with an optional closing quote: takes linear time on any line.
_QUOTES = re.compile(r'"""|\'\'\'|"(?:[^"\\]++|\\.)*+"?|\'(?:[^\'\\]++|\\.)*+\'?|#.*')


def without_magics(source: str) -> str:
    """Return a cell with magics, commands of the shell and requests for help as comments.

    Lines inside of a string with three quotes are left alone.
    """
    lines = []
    quote, continued = "", False
    for line in source.split("\n"):
        is_magic = not quote and (continued or _MAGIC.match(line) is not None)
        lines.append(f"# {line}" if is_magic else line)
        continued = is_magic and line.rstrip().endswith("\\")
        if not is_magic:
            quote = _open_quote(line, quote)
    return "\n".join(lines)


def _open_quote(line: str, quote: str) -> str:
    """Return the three quotes that are open after a line; empty if none are."""
    position = 0
    while True:
        if quote:
            end = line.find(quote, position)
            if end < 0:
                return quote
            quote, position = "", end + len(quote)
            continue
        found = _QUOTES.search(line, position)
        if found is None:
            return ""
        position = found.end()
        if found[0] in ('"""', "'''"):
            quote = found[0]
