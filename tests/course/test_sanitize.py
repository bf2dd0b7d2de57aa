"""Nothing of a student is live in a graded notebook, and everything can be read."""

import base64
import html
import io
import re
import string
import struct
import zlib

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nbformat import NotebookNode
from nbformat.v4 import (
    new_code_cell,
    new_markdown_cell,
    new_notebook,
    new_output,
    new_raw_cell,
)
from PIL import Image

from autograder.course.sanitize import (
    MAX_OUTPUTS,
    MAX_PIXELS,
    MAX_SOURCE,
    MAX_TEXT,
    printed,
    sanitize,
    spell_out,
)

CHECK = {"grade": True, "solution": False, "grade_id": "check-f", "points": 3, "locked": True}
ANSWER = {"grade": False, "solution": True, "grade_id": "f", "locked": False}


def after(*cells, **metadata):
    """Return the cells as they are when the notebook has been made harmless."""
    notebook = new_notebook(cells=list(cells), metadata=metadata)
    sanitize(notebook)
    nbformat.validate(notebook)
    return notebook.cells


def outputs(*found, marks=None):
    """Return outputs of a code cell after that."""
    metadata = {"nbgrader": marks} if marks else {}
    return after(new_code_cell(outputs=list(found), metadata=metadata, id="cell"))[0].outputs


def on_page(cell):
    """Return what a browser shows of a cell of markdown."""
    found = re.fullmatch("<pre [^<>]*>&#10;([^<>\n]*)</pre>", cell.source)
    return html.unescape(found[1])


def png(width=3, height=2, mode="RGB", **options):
    file = io.BytesIO()
    Image.new(mode, (width, height)).save(file, "png", **options)
    return file.getvalue()


def picture(data):
    """Return the picture that is shown when a cell has displayed these bytes, or None."""
    text = base64.encodebytes(data).decode()
    output = outputs(new_output("display_data", {"image/png": text, "text/plain": "[figure]"}))[0]
    if "image/png" not in output.data:
        assert output.data["text/plain"] == "[figure]"
        return None
    return base64.b64decode(output.data["image/png"])


@given(st.text(alphabet=st.characters(exclude_categories=["C", "Z"]) | st.just(" ")))
def test_markdown_is_shown_as_spell_out(text):
    """Whatever stands in added markdown or a raw cell stands on the page, letter for letter."""
    cells = after(
        new_markdown_cell(text, id="student-1"), new_raw_cell(text, id="student-2", metadata={})
    )
    for cell in cells:
        assert cell.cell_type == "markdown"
        invisible = re.sub("⟨U\\+([0-9A-F]+)⟩", lambda found: chr(int(found[1], 16)), on_page(cell))
        assert invisible == text or on_page(cell) == text


def test_markdown_holds_no_punctuation():
    """No character that means something to markdown, TeX or HTML is left."""
    [cell] = after(new_markdown_cell(string.printable, id="student-1"))
    entities = cell.source.removesuffix("</pre>").partition(">")[2]
    assert re.fullmatch("(&#[0-9]+;|[0-9A-Za-z ⟨⟩])*", entities)


def test_blank_lines_and_tabs_stay():
    """Lines, blank ones and the first included, are where they were."""
    text = "\n\n# a\n\n\tb\n"
    assert on_page(after(new_markdown_cell(text, id="student-1"))[0]) == text


def test_course_text_is_trusted():
    """The course's own markdown and code keep their text, and its check its marks."""
    text = "# Dropout <b>now</b> $x$"
    own = new_markdown_cell(text, id="dropout-text-1")
    check = new_code_cell("check(f)", id="check-f", metadata={"nbgrader": CHECK, "x": "y"})
    cells = after(own, check)
    assert cells[0].source == text
    assert cells[1].source == "check(f)"
    assert cells[1].metadata == {"nbgrader": CHECK}


def test_cells_without_id_are_not_trusted():
    """A cell that nothing says is the course's own counts as the student's."""
    notebook = new_notebook(cells=[new_markdown_cell("<b>x</b>")])
    del notebook.cells[0]["id"]
    sanitize(notebook)
    assert on_page(notebook.cells[0]) == "<b>x</b>"


def test_written_answers_are_not_trusted():
    """An answer in markdown is the student's, its marks are nbgrader's."""
    [cell] = after(new_markdown_cell("<b>x</b>", id="essay", metadata={"nbgrader": ANSWER}))
    assert on_page(cell) == "<b>x</b>"
    assert cell.metadata == {"nbgrader": ANSWER}


def test_attachments_and_metadata_are_dropped():
    """Attachments, tags, titles and widget states have no place in feedback."""
    cell = new_markdown_cell("![a](attachment:a.svg)", id="student-1", metadata={"tags": ["x"]})
    cell.attachments = {"a.svg": {"image/svg+xml": "<svg onload='alert(1)'/>"}}
    notebook = new_notebook(cells=[cell], metadata={"title": "<b>", "widgets": {"a": {}}})
    sanitize(notebook)
    assert "attachments" not in cell
    assert cell.metadata == {}
    assert set(notebook.metadata) == {"kernelspec", "language_info"}


def test_marks_of_added_cells_are_dropped():
    """A cell that the student added is no check, whatever it says of itself."""
    result = new_output("execute_result", {"text/plain": "3", "text/html": "<b>3</b>"})
    [cell] = after(new_code_cell(id="student-1", outputs=[result], metadata={"nbgrader": CHECK}))
    assert cell.metadata == {}
    assert cell.outputs[0].data == {"text/plain": "3"}


def test_verdict_stays():
    """The number and the report of a check are still there, and no formula in it is set."""
    result = new_output("execute_result", {"text/plain": "2.5", "text/html": "<table></table>"})
    other = new_output("display_data", {"text/html": "<b>x</b>", "text/plain": "x"})
    kept = outputs(result, other, marks=CHECK)
    assert kept[0].data["text/plain"] == "2.5"
    assert "<table></table>" in kept[0].data["text/html"]
    assert "tex2jax_ignore" in kept[0].data["text/html"]
    assert kept[1].data == {"text/plain": "x"}


@pytest.mark.parametrize(
    "kind",
    [
        "text/html",
        "text/markdown",
        "text/latex",
        "image/svg+xml",
        "application/javascript",
        "image/jpeg",
        "application/vnd.jupyter.widget-view+json",
        "text/vnd.mermaid",
    ],
)
@pytest.mark.parametrize("output_type", ["display_data", "execute_result"])
def test_only_text_and_pictures_are_kept(kind, output_type):
    """Every rich output gives way to its plain text, or to a word that there was one."""
    rich = {"model_id": "x"} if kind.endswith("json") else "<script>alert(1)</script>"
    both, alone = outputs(
        new_output(output_type, {kind: rich, "text/plain": "as text"}),
        new_output(output_type, {kind: rich}),
    )
    assert both.data == {"text/plain": "as text"}
    assert set(alone.data) == {"text/plain"}
    assert kind in alone.data["text/plain"]


def test_outputs_lose_their_metadata():
    """Sizes and alternative texts stand unquoted in pages of nbconvert."""
    output = new_output(
        "display_data",
        {"image/png": base64.b64encode(png()).decode()},
        metadata={"image/png": {"width": "1 onload=alert(1)"}, "text/html": {"isolated": True}},
    )
    [output] = outputs(output)
    assert set(output.metadata) == {"image/png"}
    assert set(output.metadata["image/png"]) == {"alt"}


def test_streams_are_stdout_or_stderr():
    """A stream of another name is shown too."""
    names = [o.name for o in outputs(*(new_output("stream", name=n) for n in ("stderr", "<b>")))]
    assert names == ["stderr", "stdout"]


def test_errors_are_plain_text():
    """A traceback keeps its words and loses its colors; without one the message is shown."""
    error, bare = outputs(
        new_output("error", ename="E\x1b[m", evalue="<b>\u202e", traceback=["\x1b[0;1mE\n", "x"]),
        new_output("error", ename="E", evalue="m", traceback=[]),
    )
    assert (error.ename, error.evalue, error.traceback) == ("E", "<b>⟨U+202E⟩", ["E\n\nx"])
    assert bare.traceback == ["E: m"]


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "L", "1", "I;16"])
def test_pictures_stay(mode):
    """A picture is shown as it was, whatever its colors are."""
    data = png(mode=mode)
    assert Image.open(io.BytesIO(picture(data))).tobytes() == Image.open(io.BytesIO(data)).tobytes()


def test_pictures_hold_nothing_else():
    """Texts, color profiles and what follows the picture are taken out."""
    data = png(icc_profile=b"canary" * 20, dpi=(72, 72)) + _chunk(b"tEXt", b"canary") + b""
    assert b"iCCP" in data
    kept = picture(data + _chunk(b"IEND", b""))
    assert b"iCCP" not in kept
    assert b"canary" not in kept
    Image.open(io.BytesIO(kept)).load()


def _chunk(kind, content):
    check = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)


def _header(width, height):
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    content = (b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*chunk) for chunk in content)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<svg onload=alert(1)>",
        b"\x89PNG\r\n\x1a\n<html>",
        png()[:-20],
        png()[:40] + b"X" + png()[41:],
        png().replace(b"IHDR", b"ihdr"),
        _header(0, 5),
        _header(2**31, 2**31),
        _header(MAX_PIXELS, 2),
        b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", b"") + _chunk(b"IEND", b""),
        png() + b"\xff\xff\xff\xff",
    ],
)
def test_what_is_no_picture_is_not_shown(data):
    """Other formats, damaged pictures and enormous ones give way to their text."""
    assert picture(data) is None


@given(st.binary(max_size=200))
def test_any_bytes_may_claim_to_be_a_picture(data):
    """Whatever follows PNG's first bytes, the outcome is a picture or none."""
    picture(b"\x89PNG\r\n\x1a\n" + data)


HIDDEN = [
    ("a\u202eb\u2066c\u200bd\ufeffe", "a⟨U+202E⟩b⟨U+2066⟩c⟨U+200B⟩d⟨U+FEFF⟩e"),
    ("a\u2028b\U000e0041c\ud800d\u3164e", "a⟨U+2028⟩b⟨U+E0041⟩c⟨U+D800⟩d⟨U+3164⟩e"),
    ("1\r2\r\n3", "1\n2\n3"),
]


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        *HIDDEN,
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x9b31mred", "red"),
        ("\x1b]8;;http://a.example\x07link\x1b]8;;\x07", "link"),
        ("\x1b]0;title\x1b\\text", "text"),
        ("a\x1b]not ended", "a]not ended"),
        ("a\x1b]b\nc\x07", "a]b\nc"),
        ("a\x1bcb\x1b(Bc", "abc"),
        ("\x1b\x1b[m[31mred", "[31mred"),
        ("over\b\b\b\bwritten\x00\x7f\x85\x0c", "overwritten"),
    ],
)
def test_outputs_show_their_text(text, seen):
    """Colors go, the text stays; what turns or hides text is spelled out."""
    stream, plain = outputs(
        new_output("stream", text=text), new_output("execute_result", {"text/plain": text})
    )
    assert stream.text == plain.data["text/plain"] == seen


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        *HIDDEN,
        ("# \x1b]\nimport torch\n# \x07", "# ⟨U+001B⟩]\nimport torch\n# ⟨U+0007⟩"),
        (
            "x = 1\x1b[8m; y = 2\b\x00\x0c\x85",
            "x = 1⟨U+001B⟩[8m; y = 2⟨U+0008⟩⟨U+0000⟩⟨U+000C⟩⟨U+0085⟩",
        ),
    ],
)
def test_sources_hide_nothing(text, seen):
    """No sequence for a terminal can take code out of a grader's sight."""
    [code, markdown] = after(
        new_code_cell(text, id="student-1"), new_markdown_cell(text, id="student-2")
    )
    assert code.source == on_page(markdown) == seen


@pytest.mark.parametrize(
    "text",
    [
        "naïve Ångström, e\u0301, λ = ½·‖W‖² → 0 ≤ ε",
        "正則化 ドロップアウト 정규화",
        "تسوية وزن",
        "נרמול",
        "नियमितीकरण",
        "👍🏽 ❤️ 👩‍🔬 🏳️‍🌈 👨‍👩‍👧 🇩🇪",
        "\tif x:\n\t\treturn  1",
    ],
)
def test_ordinary_text_stays(text):
    """Letters of all scripts, accents and emoji are what they were."""
    assert printed(text) == spell_out(text) == text


def test_long_source_is_cut():
    """So is the source of a cell that would take minutes to color."""
    [cell] = after(new_code_cell("x" * (MAX_SOURCE + 5), id="student-1"))
    assert cell.source == "x" * MAX_SOURCE + "\n[5 more characters are not shown]"


def test_long_output_is_cut():
    """A long output ends with a note that says how much is missing."""
    [output] = outputs(new_output("stream", text="x" * (MAX_TEXT + 5)))
    assert output.text == "x" * MAX_TEXT + "\n[5 more characters are not shown]"


def test_many_outputs_are_cut():
    """So does a long row of outputs, and a cell of many long ones."""
    kept = outputs(*(new_output("stream", text="x") for _ in range(MAX_OUTPUTS + 7)))
    assert len(kept) == MAX_OUTPUTS + 1
    assert "not shown" in kept[-1].text
    kept = outputs(*(new_output("stream", text="\u202e" * MAX_TEXT) for _ in range(90)))
    assert len(kept) < 90
    assert "not shown" in kept[-1].text


def test_verdict_comes_after_everything():
    """A flood of output in front of a verdict does not take it away."""
    flood = [new_output("stream", text="x") for _ in range(MAX_OUTPUTS + 7)]
    verdict = new_output("execute_result", {"text/plain": "1", "text/html": "<b>1</b>"})
    assert "<b>1</b>" in outputs(*flood, verdict, marks=CHECK)[-1].data["text/html"]


# Everything that format 4 allows, strings of lines and unknown kinds included.
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(), values, max_size=3),
    max_leaves=5,
)
texts = st.text(st.characters()) | st.lists(st.text(), max_size=3)
kinds = st.sampled_from(["text/plain", "text/html", "image/png", "image/svg+xml", "application/x"])
bundles = st.dictionaries(kinds, texts, max_size=3) | st.fixed_dictionaries(
    {"application/x+json": anything}
)
some_metadata = st.dictionaries(st.text() | st.just("nbgrader"), anything, max_size=2) | st.just(
    {"nbgrader": CHECK}
)
some_outputs = st.one_of(
    st.fixed_dictionaries({"output_type": st.just("stream"), "name": st.text(), "text": texts}),
    st.fixed_dictionaries(
        {
            "output_type": st.just("error"),
            "ename": st.text(),
            "evalue": st.text(),
            "traceback": st.lists(st.text(), max_size=3),
        }
    ),
    st.fixed_dictionaries(
        {"output_type": st.just("display_data"), "data": bundles, "metadata": some_metadata}
    ),
    st.fixed_dictionaries(
        {
            "output_type": st.just("execute_result"),
            "data": bundles,
            "metadata": some_metadata,
            "execution_count": st.none() | st.integers(0),
        }
    ),
)
ids = st.from_regex(r"\A(student-)?[a-zA-Z0-9_-]{1,20}\Z")
some_cells = st.one_of(
    st.fixed_dictionaries(
        {
            "id": ids,
            "cell_type": st.just("code"),
            "metadata": some_metadata,
            "source": texts,
            "outputs": st.lists(some_outputs, max_size=3),
            "execution_count": st.none() | st.integers(0),
        }
    ),
    st.fixed_dictionaries(
        {
            "id": ids,
            "cell_type": st.sampled_from(["markdown", "raw"]),
            "metadata": some_metadata,
            "source": texts,
        },
        optional={"attachments": st.dictionaries(st.text(), bundles, max_size=2)},
    ),
)
some_notebooks = st.fixed_dictionaries(
    {
        "nbformat": st.just(4),
        "nbformat_minor": st.just(5),
        "metadata": st.dictionaries(st.just("x") | st.just("widgets"), anything, max_size=2),
        "cells": st.lists(some_cells, max_size=3, unique_by=lambda cell: cell["id"]),
    }
)


@given(some_notebooks)
def test_any_valid_notebook_is_made_harmless(content):
    """No notebook is too strange, and what comes out is a valid one that can be written."""
    notebook = nbformat.from_dict(content)
    assert isinstance(notebook, NotebookNode)
    try:
        nbformat.validate(notebook)
    except nbformat.ValidationError:
        return
    sanitize(notebook)
    nbformat.validate(notebook)
    nbformat.writes(notebook).encode()
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.output_type in ("display_data", "execute_result"):
                assert set(output.data) <= {"text/plain", "image/png", "text/html"}
                assert "text/html" not in output.data or cell.metadata.nbgrader == CHECK
