"""Attacks on whoever reads the feedback.

Live, each of these would set `window.EVIL`, ask the server of the canaries for something, or show
what is not there.  `EVIL` may stand in a page as text and nowhere else.
"""

import nbformat
from attacks.attack import READER, Attack, Build, Handed, added, honest, insert, solve
from nbformat import NotebookNode

SCRIPT = "<script>window.EVIL=1</script>"
HANDLER = '<img src="http://127.0.0.1:@TCP@/EVIL.png" onerror="window.EVIL=1">'
LINK = '<a href="javascript:window.EVIL=1">EVIL</a>'
SVG = '<svg onload="window.EVIL=1"><script>window.EVIL=1</script><animate onbegin="EVIL()"/></svg>'
FRAME = '<iframe srcdoc="<script>parent.EVIL=1</script>" src="javascript:parent.EVIL=1"></iframe>'
STYLE = (
    '<style>body{background:url(http://127.0.0.1:@TCP@/EVIL)} table:after{content:"EVIL"}</style>'
)
REFRESH = (
    '<meta http-equiv="refresh" content="0;url=http://127.0.0.1:@TCP@/EVIL"><base href="//EVIL">'
)
FORM = '<form action="http://127.0.0.1:@TCP@/EVIL"><input autofocus onfocus="window.EVIL=1"></form>'
CLOSING = f"</pre></div></script></style></textarea></title>{SCRIPT}{HANDLER}"
EVERYTHING = SCRIPT + HANDLER + LINK + SVG + FRAME + STYLE + REFRESH + FORM + CLOSING

# Out of `print` these would color, clear and rename a terminal, or turn the text around.
CODES = "\\x1b[2J\\x1b]0;EVIL\\x07\\x1b]8;;http://127.0.0.1:@TCP@/EVIL\\x07link\\x1b]8;;\\x07\\x1b[31mred"
BIDI = "\\u202e\\u2066 stniop 3 fo 3 \\u2069\\u202c\\u200f\\u061c"


def _text_cells(release: NotebookNode, solution: NotebookNode) -> Handed:
    """Write markup into every kind of cell, attachments and metadata included."""
    notebook = solve(solution)
    cells = [
        nbformat.v4.new_markdown_cell(text, id=f"text-{number}")
        for number, text in enumerate(
            [
                EVERYTHING,
                *EVERYTHING.replace("><", ">\n\n<").split("\n\n"),
                "[EVIL](javascript:window.EVIL=1) ![EVIL](http://127.0.0.1:@TCP@/EVIL.png)",
                "[EVIL](data:text/html,<script>opener.EVIL=1</script>) <javascript:EVIL=1>",
                "[a]: javascript:window.EVIL=1\n\n[EVIL][a] [EVIL](JaVaScRiPt&colon;EVIL=1)",
                "$\\href{javascript:window.EVIL=1}{EVIL}$ $$\\unicode{<script>EVIL=1</script>}$$",
                "$</script><script>window.EVIL=1</script>$ `" + SCRIPT + "`",
                "```\n</code></pre>" + SCRIPT + "\n```\n\n    " + SCRIPT,
                '```js"><script>window.EVIL=1</script>\nEVIL\n```',
                "# " + SCRIPT + "\n\n| a |\n|---|\n| " + HANDLER + " |",
                "![EVIL](attachment:evil.svg)",
            ]
        )
    ]
    cells[-1]["attachments"] = {"evil.svg": {"image/svg+xml": SVG, "text/html": SCRIPT}}
    for number, kind in enumerate(("text/html", "text/markdown", "image/svg+xml", "")):
        metadata = {"raw_mimetype": kind, "format": kind}
        cells.append(nbformat.v4.new_raw_cell(EVERYTHING, id=f"raw-{number}", metadata=metadata))
    notebook.cells[1:1] = cells
    notebook.metadata["title"] = f"</title>{SCRIPT}"
    notebook.metadata["authors"] = [{"name": CLOSING}]
    notebook.metadata["kernelspec"] = {
        "name": CLOSING,
        "display_name": CLOSING,
        "language": CLOSING,
    }
    notebook.metadata["language_info"] = {"name": CLOSING, "pygments_lexer": CLOSING}
    notebook.metadata["widgets"] = {
        "application/vnd.jupyter.widget-state+json": {"state": {CLOSING: {}}, "version_major": 2}
    }
    return notebook


def _cell_metadata(release: NotebookNode, solution: NotebookNode) -> Handed:
    notebook = solve(solution)
    for cell in notebook.cells:
        cell.metadata["tags"] = ['"><script>window.EVIL=1</script>', "hide-input"]
        cell.metadata["slideshow"] = {"slide_type": CLOSING}
        cell.metadata["name"] = CLOSING
    return notebook


def _changed_text(release: NotebookNode, solution: NotebookNode) -> Handed:
    """Write markup into the course's own text, and full marks beside it."""
    notebook = solve(solution)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = EVERYTHING
    return insert(notebook, f"# {CLOSING}")


def _displays(mime: str, value: str = EVERYTHING) -> Build:
    return honest(
        f"from IPython.display import display\ndisplay({{{mime!r}: {value!r}}}, raw=True)\n"
        f"display({{{mime!r}: {value!r}}}, raw=True, metadata={{{mime!r}: {{'a': {value!r}}}}})"
    )


NAMES = f"""
Evil = type({CLOSING!r}, (), {{}})
Worse = type({CLOSING!r}, (Exception,), {{"__str__": lambda self: {CLOSING!r}}})
"""

RICH = f"""
class Rich:
    def _repr_html_(self): return {EVERYTHING!r}
    def _repr_svg_(self): return {SVG!r}
    def _repr_javascript_(self): return "window.EVIL=1"
    def _repr_markdown_(self): return {EVERYTHING!r}
    def _repr_latex_(self): return {CLOSING!r}
    def _repr_json_(self): return {{{CLOSING!r}: {CLOSING!r}}}
    def __repr__(self): return {CLOSING!r}
Rich()
"""

STRING = f"""
class Text(str):
    def __str__(self): return {CLOSING!r}
    __repr__ = __format__ = lambda self, *rest: {CLOSING!r}
    def translate(self, table): return self
    replace = strip = lambda self, *rest: self

raise ValueError(Text({CLOSING!r}))
"""

ATTACKS = [
    Attack("script-in-text", READER, _text_cells, 6.0, quick=True),
    Attack("script-in-our-text", READER, _changed_text, 6.0),
    Attack("script-in-metadata", READER, _cell_metadata, 6.0),
    Attack("script-in-html", READER, _displays("text/html"), 6.0, quick=True),
    Attack("script-in-svg", READER, _displays("image/svg+xml", SVG), 6.0),
    Attack("script-in-markdown-output", READER, _displays("text/markdown"), 6.0),
    Attack("script-in-latex", READER, _displays("text/latex", f"$x${CLOSING}"), 6.0),
    Attack("javascript", READER, _displays("application/javascript", "window.EVIL=1"), 6.0),
    Attack(
        "script-in-a-picture",
        READER,
        _displays("image/png", 'AAAA" onerror="window.EVIL=1"><script>window.EVIL=1</script>'),
        6.0,
    ),
    Attack(
        "script-in-a-widget",
        READER,
        _displays("application/vnd.jupyter.widget-view+json", CLOSING),
        6.0,
    ),
    Attack("script-in-a-kind", READER, _displays(CLOSING, "EVIL"), 6.0),
    Attack("script-in-many-forms", READER, honest(RICH), 6.0),
    Attack("script-printed", READER, honest(f"print({EVERYTHING!r})"), 6.0),
    Attack(
        "script-on-stderr",
        READER,
        honest(f"import sys\nprint({EVERYTHING!r}, file=sys.stderr)"),
        6.0,
    ),
    Attack("script-in-code", READER, honest(f"text = {EVERYTHING!r}\n# {CLOSING}"), 6.0),
    Attack(
        "script-printed-by-an-answer",
        READER,
        added(l2_penalty=f"print({EVERYTHING!r})\nreturn 0.0"),
    ),
    Attack(
        "script-in-an-exception",
        READER,
        added(
            NAMES, l2_penalty=f"raise ValueError({EVERYTHING!r})", l2_penalty_backward="raise Worse"
        ),
    ),
    Attack("script-in-an-exception-of-a-cell", READER, honest(f"{NAMES}\nraise Worse"), 6.0),
    Attack(
        "script-in-not-implemented",
        READER,
        added(l2_penalty=f"raise NotImplementedError({EVERYTHING!r})"),
    ),
    Attack(
        "script-in-a-class-name",
        READER,
        added(
            NAMES,
            l2_penalty="return Evil()",
            l2_penalty_backward="return [Evil() for weight in weights]",
        ),
        quick=True,
    ),
    Attack("text-that-lies", READER, added(l2_penalty=STRING)),
    Attack("terminal-codes", READER, honest(f'print("{CODES}")\nraise ValueError("{CODES}")'), 6.0),
    Attack(
        "terminal-codes-in-an-answer",
        READER,
        added(l2_penalty=f'print("{CODES}")\nraise ValueError("{CODES}")'),
    ),
    Attack(
        "text-turned-around", READER, honest(f'print("{BIDI}")\nraise ValueError("{BIDI}")'), 6.0
    ),
    Attack(
        "text-turned-around-in-an-answer",
        READER,
        added(l2_penalty=f'print("{BIDI}")\nraise ValueError("{BIDI}")'),
    ),
    Attack(
        "code-turned-around",
        READER,
        honest("access = 'user\u202e \u2066# no admin\u2069 \u2066'\n# \u202eEVIL"),
        6.0,
    ),
]
