"""Make everything that a student wrote in a graded notebook inert.

Formgrader and feedback pages insert markdown and rich outputs as HTML, and nbgrader's own sanitizer
leaves scripts in markdown.  So the last step of grading changes the notebook itself: what a student
wrote becomes plain text that looks as it was typed, and code that is slow to highlight is marked to
be shown without colors.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import zlib
from collections.abc import Iterator
from typing import Any

from nbformat import NotebookNode
from nbformat.v4 import new_output
from nbgrader.preprocessors import NbGraderPreprocessor

from autograder.course.highlight import too_slow

MAX_SOURCE = 200_000
MAX_TEXT = 50_000
MAX_PICTURE = 2_000_000
MAX_PIXELS = 25_000_000
# For all outputs of one cell; MAX_CELL counts characters of JSON.
MAX_OUTPUTS = 100
MAX_CELL = 5_000_000

_ESCAPE_SEQUENCE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # colors and cursor movements
    r"|\x1b[\]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\)"  # titles, links and other strings
    r"|\x1b[ -/]*[0-OQ-WYZ\\`-~]"
)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
# Control characters, Unicode's default ignorable characters, characters that change the direction
# of text, and characters that only look like a space.  Variation selectors, which follow emoji,
# are kept.
_INVISIBLE = re.compile(
    r"(?<=[\u2600-\u27bf\ufe0f\U0001f000-\U0001faff])"
    r"\u200d(?=[\u2190-\u2bff\U0001f000-\U0001faff])"  # joins several emoji into one
    r"|([\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    r"\u2060-\u206f\u2800\u3164\ud800-\udfff\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff"
    r"\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff])"
)

_PNG = b"\x89PNG\r\n\x1a\n"
# The chunks that a picture needs; others hold texts, color profiles and the like.
_PNG_CHUNKS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")


class SanitizeNotebook(NbGraderPreprocessor):  # type: ignore[misc]  # nbgrader is untyped
    """Make a graded notebook harmless; the last of `Autograde.autograde_preprocessors`.

    It must run after the grades are saved: nbgrader tells by its checksum whether a cell was
    answered.
    """

    def preprocess(self, nb: NotebookNode, resources: Any) -> Any:
        """Sanitize the notebook in place."""
        sanitize(nb)
        return nb, resources


def sanitize(notebook: NotebookNode) -> None:
    """Turn everything that a student wrote in a graded notebook into plain text, in place.

    A cell's source is trusted if the cell has an id, unless the id begins with "student-" or the
    cell is an answer.  The results of check cells are trusted too, because the grader wrote them.
    Do not call this twice: the second call escapes the entities of the first.

    Parameters
    ----------
    notebook
        Any valid notebook of format 4.
    """
    notebook.metadata = NotebookNode(
        kernelspec=NotebookNode(name="python3", display_name="Python 3", language="python"),
        language_info=NotebookNode(name="python", pygments_lexer="ipython3"),
    )
    code = []
    for cell in notebook.cells:
        if _clean_cell(cell) and cell.cell_type == "code":
            code.append(cell)
    for cell, plain in zip(code, too_slow([cell.source for cell in code]), strict=True):
        if plain:
            # With this, nbconvert highlights the cell as if it were in another language.
            cell.metadata.magics_language = "text"


def _clean_cell(cell: NotebookNode) -> bool:
    """Make a cell harmless; return whether the student wrote it."""
    marks = cell.metadata.get("nbgrader")
    added = not str(cell.get("id", "")) or str(cell.id).startswith("student-")
    if added or not isinstance(marks, dict):
        marks = {}
    cell.metadata = NotebookNode()
    if marks:
        cell.metadata.nbgrader = marks
    written = added or bool(marks.get("solution"))
    if written:
        cell.source = spell_out(_joined(cell.source))
        if cell.cell_type != "code":
            cell.cell_type = "markdown"
            cell.source = _as_typed(cell.source)
            cell.pop("attachments", None)
    if cell.cell_type == "code":
        check = bool(marks.get("grade") and not marks.get("solution"))
        cell.outputs = list(_outputs(cell.outputs, check))
    return written


def spell_out(text: str, limit: int = MAX_SOURCE) -> str:
    """Return a text as it was typed, with its invisible characters spelled out.

    Characters that are invisible, control something or change the direction of text become
    ⟨U+202E⟩ and so on.

    Parameters
    ----------
    text
        Any text.
    limit
        How many characters to keep; a note says how many were cut off.
    """
    rest = len(text) - limit
    text = re.sub(r"\r\n?", "\n", text[:limit])
    text = _INVISIBLE.sub(lambda found: f"⟨U+{ord(found[1]):04X}⟩" if found[1] else found[0], text)
    return f"{text}\n[{rest} more characters are not shown]" if rest > 0 else text


def printed(text: str, limit: int = MAX_TEXT) -> str:
    """Return what a program printed, without colors and other codes for a terminal.

    In a source, `spell_out` keeps and spells out such codes, because they could hide code.

    Parameters
    ----------
    text, limit
        As for `spell_out`.
    """
    return spell_out(_CONTROL.sub("", _ESCAPE_SEQUENCE.sub("", text)), limit)


def _joined(text: object) -> str:
    """Return a text that a notebook may store as a list of lines."""
    if isinstance(text, list):
        return "".join(line for line in text if isinstance(line, str))
    return text if isinstance(text, str) else ""


def _as_typed(text: str) -> str:
    """Return markdown, which is also HTML, that shows a text as it was typed.

    Punctuation and newlines become entities, so that no markdown parser finds markup in the text.
    """
    entities = re.sub(r"[^0-9A-Za-z\u00a0-\U0010ffff ]", lambda found: f"&#{ord(found[0])};", text)
    # A browser drops a newline that is the first thing in <pre>.
    return f'<pre class="tex2jax_ignore" style="white-space:pre-wrap">&#10;{entities}</pre>'


def _outputs(outputs: list[NotebookNode], check: bool) -> Iterator[NotebookNode]:
    full, room, count = False, MAX_CELL, 0
    for output in outputs:
        if check and output.output_type == "execute_result":
            yield _verdict(output)
        elif not full:
            clean = _output(output)
            room, count = room - len(json.dumps(clean)), count + 1
            full = room < 0 or count > MAX_OUTPUTS
            yield _note("Further output of this cell is not shown.") if full else clean


def _verdict(output: NotebookNode) -> NotebookNode:
    """Return the grader's own result, which may quote the student (escaped)."""
    data = {
        kind: printed(_joined(output.data[kind]), len(_joined(output.data[kind])))
        for kind in ("text/plain", "text/html")
        if kind in output.data
    }
    if "text/html" in data:
        # Formgrader's MathJax would set quoted formulas, which can hold links.
        data["text/html"] = f'<div class="tex2jax_ignore">{data["text/html"]}</div>'
    # The feedback page escapes what it shows of the report.
    metadata = {"report": output.metadata.report} if "report" in output.metadata else {}
    return _new("execute_result", data, metadata=metadata, execution_count=output.execution_count)


def _output(output: NotebookNode) -> NotebookNode:
    if output.output_type == "stream":
        name = "stderr" if output.name == "stderr" else "stdout"
        return _new("stream", name=name, text=printed(_joined(output.text)))
    if output.output_type == "error":
        name, value = printed(output.ename, 200), printed(output.evalue)
        traceback = printed("\n".join(output.traceback)) or f"{name}: {value}"
        return _new("error", ename=name, evalue=value, traceback=[traceback])
    if output.output_type not in ("display_data", "execute_result"):
        return _note("An output of an unknown kind is not shown.")
    options = (
        {"execution_count": output.execution_count}
        if output.output_type == "execute_result"
        else {}
    )
    picture = _png(_joined(output.data.get("image/png")))
    if picture:
        return _new(
            output.output_type,
            {"image/png": picture},
            metadata={"image/png": {"alt": "A picture that this cell drew"}},
            **options,
        )
    text = output.data.get("text/plain")
    if text is None:
        kinds = ", ".join(sorted(output.data)) or "no kind"
        text = f"[An output of {kinds} is not shown]"
    return _new(output.output_type, {"text/plain": printed(_joined(text))}, **options)


def _new(kind: str, data: Any = None, **content: Any) -> NotebookNode:
    output: NotebookNode = new_output(kind, data, **content)
    return output


def _note(text: str) -> NotebookNode:
    return _new("stream", name="stdout", text=f"[{text}]\n")


def _png(text: str) -> str:
    """Return a base64 PNG without its unneeded chunks; "" if it is not a valid one."""
    if len(text) > MAX_PICTURE:
        return ""
    try:
        data = base64.b64decode(text)
    except (binascii.Error, ValueError):
        return ""
    if not data.startswith(_PNG):
        return ""
    position, chunks, kinds = len(_PNG), [_PNG], []
    while position < len(data):
        length = int.from_bytes(data[position : position + 4])
        chunk = data[position : position + length + 12]
        kind, content, check = chunk[4:8], chunk[8:-4], chunk[-4:]
        if len(content) != length or zlib.crc32(kind + content) != int.from_bytes(check):
            return ""
        if kind in _PNG_CHUNKS:
            kinds.append(kind)
            chunks.append(chunk)
        position += len(chunk)
    if kinds[:1] != [b"IHDR"] or len(chunks[1]) != 25 or kinds[-1] != b"IEND":
        return ""
    width, height = (int.from_bytes(chunks[1][start : start + 4]) for start in (8, 12))
    if not 0 < width * height <= MAX_PIXELS:
        return ""
    return base64.b64encode(b"".join(chunks)).decode()
