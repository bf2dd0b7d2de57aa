"""What becomes of the files that students hand in; no kernel is run."""

import copy
import json
import os
import socket
import time
import warnings

import nbformat
import pytest
from helpers.courses import SOURCE, STUB, released_course, source_file
from helpers.solutions import source_of
from hypothesis import given, settings
from hypothesis import strategies as st
from nbgrader.preprocessors import (
    CheckCellMetadata,
    DeduplicateIds,
    OverwriteCells,
)

from autograder.intake import exercise, notebook_file
from autograder.intake.cells import is_answer
from autograder.intake.notebook_file import UnreadableError, read
from autograder.intake.submission import rebuild
from autograder.tasks import assignments

L2 = source_of("l2").with_suffix(".ipynb")
TASKS = ("l2_penalty", "l2_penalty_backward")


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    """Return the small assignment as students get it."""
    path = tmp_path_factory.mktemp("release") / "l2.py"
    path.write_text(SOURCE)
    return exercise.student_notebook(exercise.source_notebook(path))


def function(name, value):
    return f"def {name}(weights, weight_decay):\n    return {value!r}"


@pytest.fixture
def solved(release):
    """Return the notebook of an honest student, as plain JSON."""
    notebook = json.loads(json.dumps(release))
    for cell in notebook["cells"]:
        if cell["id"] in TASKS:
            cell["source"] = function(cell["id"], "mine")
    return notebook


def code(source, **fields):
    return {
        "cell_type": "code",
        "id": "fresh",
        "metadata": {},
        "outputs": [],
        "execution_count": 7,
        "source": source,
        **fields,
    }


def cell_of(notebook, name):
    return next(cell for cell in notebook["cells"] if cell.get("id") == name)


def position(notebook, name):
    return notebook["cells"].index(cell_of(notebook, name))


def rebuilt(notebook, release):
    content = notebook if isinstance(notebook, bytes) else json.dumps(notebook).encode()
    return rebuild(content, release)


def run_all(notebook):
    """Return what the checks of a notebook find: what each function returns, or an exception.

    Set-up is not run, nor are demonstrations; other cells run in order, as grading runs them.
    """
    found = {}

    def check(function):
        try:
            found[function.__name__] = function(None, None)
        except Exception as error:
            found[function.__name__] = type(error).__name__

    names = {"check": check}
    for cell in notebook.cells:
        if cell.cell_type != "code" or cell.id.startswith(("setup", "demonstration")):
            continue
        try:
            exec(cell.source.replace("%%time", ""), names)
        except Exception as error:
            if cell.id.startswith("check-"):
                found[cell.id.removeprefix("check-")] = type(error).__name__
    return found


def assert_ours(notebook, release):
    """All cells of the release are there, in order, and only answers have another source."""
    nbformat.validate(notebook)
    ids = {cell.id for cell in release.cells}
    ours = [cell for cell in notebook.cells if cell.id in ids]
    assert [cell.id for cell in ours] == [cell.id for cell in release.cells]
    for cell, original in zip(ours, release.cells, strict=True):
        expected = copy.deepcopy(original)
        if is_answer(original):
            expected.source = cell.source
        assert cell == expected
    assert notebook.metadata == release.metadata
    added = [cell for cell in notebook.cells if cell.id not in ids]
    assert [cell.id for cell in added] == [f"student-{n + 1}" for n in range(len(added))]
    for cell in added:
        allowed = {"id", "cell_type", "metadata", "source"}
        if cell.cell_type == "code":
            allowed |= {"outputs", "execution_count"}
            assert (cell.outputs, cell.execution_count) == ([], None)
        assert set(cell) == allowed
        assert cell.metadata == {}


RIGHT = {"l2_penalty": "mine", "l2_penalty_backward": "mine"}


def no_change(notebook):
    pass


def no_ids(notebook):
    for cell in notebook["cells"]:
        del cell["id"]
    notebook["nbformat_minor"] = 4


def new_ids(notebook):
    for number, cell in enumerate(notebook["cells"]):
        cell["id"] = f"new-{number}"


def no_metadata(notebook):
    for cell in notebook["cells"]:
        cell["metadata"] = {}


def nothing_but_text(notebook):
    no_ids(notebook)
    no_metadata(notebook)


def windows_lines(notebook):
    for cell in notebook["cells"]:
        cell["source"] = cell["source"].replace("\n", "  \r\n")


def source_as_lines(notebook):
    for cell in notebook["cells"]:
        cell["source"] = cell["source"].splitlines(keepends=True)


def other_kernel(notebook):
    notebook["metadata"]["kernelspec"] = {"name": "conda-env-mine", "display_name": "mine"}


def older_exercise(notebook):
    for cell in notebook["cells"]:
        cell["metadata"].get("nbgrader", {})["checksum"] = "of an older copy"


def doubled_check(notebook):
    notebook["cells"].insert(1, code("check(l2_penalty)\n"))


def doubled_everything(notebook):
    notebook["cells"] += copy.deepcopy(notebook["cells"])


def with_outputs(notebook):
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell["outputs"] = [{"output_type": "display_data", "data": {"text/html": "<script>"}}]


def blank_cells(notebook):
    notebook["cells"][3:3] = [code(""), code(" \n")]


def timed(notebook):
    cell = cell_of(notebook, "l2_penalty")
    cell["source"] = "%%time\n" + cell["source"]
    del cell["id"]
    cell["metadata"] = {}


@pytest.mark.parametrize(
    "change",
    [
        no_change,
        no_ids,
        new_ids,
        no_metadata,
        windows_lines,
        source_as_lines,
        other_kernel,
        older_exercise,
        doubled_check,
        with_outputs,
        blank_cells,
    ],
)
def test_what_editors_do_changes_nothing(solved, release, change):
    """The student's answers stand in our notebook, and there is nothing to say about it."""
    change(solved)
    result = rebuilt(solved, release)
    assert run_all(result.notebook) == RIGHT
    assert result.notes == ()
    assert [cell.id for cell in result.notebook.cells] == [cell.id for cell in release.cells]
    assert_ours(result.notebook, release)


def test_the_release_itself_comes_back_unchanged(release):
    """A student who did nothing gets our notebook, and `release` is left alone."""
    before = copy.deepcopy(release)
    result = rebuild(nbformat.writes(release).encode(), release)
    assert (result.notebook, result.notes) == (before, ())
    cell_of(result.notebook, "l2_penalty").source = "mine"
    assert release == before


@pytest.mark.parametrize("exercise", assignments)
def test_the_courses_own_notebooks_can_be_rebuilt_without_ids_and_metadata(exercise):
    """Every cell of them can be told from the others by its text alone."""
    notebook = nbformat.read(L2.parent.parent / exercise / f"{exercise}.ipynb", as_version=4)
    stripped = json.loads(json.dumps(notebook))
    nothing_but_text(stripped)
    result = rebuilt(stripped, notebook)
    assert (result.notebook, result.notes) == (notebook, ())


def retyped(kind):
    def change(notebook):
        cell = cell_of(notebook, "l2_penalty")
        for key in ("outputs", "execution_count"):
            del cell[key]
        cell["cell_type"] = kind

    return change


def reordered(notebook):
    notebook["cells"].reverse()


def locked_deleted(notebook):
    keep = (*TASKS, "check-l2_penalty")
    notebook["cells"] = [cell for cell in notebook["cells"] if cell["id"] in keep]


def check_emptied(notebook):
    cell_of(notebook, "check-l2_penalty")["source"] = "pass"


def check_deceives(notebook):
    cell_of(notebook, "check-l2_penalty")["source"] = "check = print"


def points_raised(notebook):
    cell_of(notebook, "check-l2_penalty")["metadata"]["nbgrader"]["points"] = 99


def unlocked(notebook):
    for cell in notebook["cells"]:
        cell["metadata"].pop("editable", None)
        cell["metadata"].setdefault("nbgrader", {})["locked"] = False


def nbgrader_emptied(notebook):
    cell_of(notebook, "l2_penalty")["metadata"]["nbgrader"] = {}
    cell_of(notebook, "l2_penalty")["id"] = "lost"


def in_another(notebook):
    """All answers in the second answer's cell, the first deleted."""
    both = "\n\n".join(function(name, "mine") for name in TASKS)
    cell_of(notebook, "l2_penalty_backward")["source"] = both
    del notebook["cells"][position(notebook, "l2_penalty")]


def in_one_of_their_own(notebook):
    """All answers in a new cell at the end, and the stubs as they were."""
    for name in TASKS:
        cell_of(notebook, name)["source"] = stub(name)
    notebook["cells"].append(code("\n\n".join(function(name, "mine") for name in TASKS)))


def stub(name):
    text = {"l2_penalty": "the penalty", "l2_penalty_backward": "its gradients"}[name]
    return (
        f'def {name}(weights, weight_decay):\n    """Return {text}."""\n'
        f"    # YOUR CODE HERE\n    {STUB}"
    )


def above_the_stub(notebook):
    """The answer in a cell before the released one, which would undo it."""
    place = position(notebook, "l2_penalty")
    notebook["cells"].insert(place, code(function("l2_penalty", "mine")))
    notebook["cells"][place + 1]["source"] = stub("l2_penalty")


def in_the_check(notebook):
    """The answer written into the check cell, and its own cell deleted."""
    cell_of(notebook, "check-l2_penalty")["source"] = (
        function("l2_penalty", "mine") + "\n\ncheck(l2_penalty)"
    )
    del notebook["cells"][position(notebook, "l2_penalty")]


def contents_exchanged(notebook):
    first, second = (cell_of(notebook, name) for name in TASKS)
    first["source"], second["source"] = second["source"], first["source"]


def one_in_a_list(notebook):
    notebook["cells"] += [7, None, [], "cell", {}, {"source": {}}]


def nul(notebook):
    cell_of(notebook, "l2_penalty")["source"] += "\n# \0 \ud800"


def r_language(notebook):
    notebook["metadata"]["language_info"] = {"name": "R"}


def duplicate_before(notebook):
    cell = copy.deepcopy(cell_of(notebook, "l2_penalty"))
    cell |= {"id": "copy", "source": function("l2_penalty", "older")}
    notebook["cells"].insert(1, cell)


def same_id_before(notebook):
    duplicate_before(notebook)
    notebook["cells"][1]["id"] = "l2_penalty"


def duplicate_at_the_end(notebook):
    duplicate_before(notebook)
    notebook["cells"].append(notebook["cells"].pop(1))


def text_edited(notebook):
    notebook["cells"][0]["source"] += "\nMy own words"


@pytest.mark.parametrize(
    ("change", "note"),
    [
        (retyped("markdown"), "not in a code cell and were read as code: l2_penalty."),
        (retyped("raw"), "not in a code cell and were read as code: l2_penalty."),
        (reordered, "put back into their order"),
        (locked_deleted, "missing and were put back: "),
        (check_emptied, "whose own were used: check-l2_penalty."),
        (check_deceives, "whose own were used: check-l2_penalty."),
        (points_raised, "settings of these cells were changed"),
        (unlocked, "settings of these cells were changed"),
        (nbgrader_emptied, "found by the function or class that they define: l2_penalty."),
        (in_another, "found in the cell of another"),
        (in_one_of_their_own, "found in the cell of another"),
        (above_the_stub, "found by the function or class that they define: l2_penalty."),
        (in_the_check, "found by the function or class that they define: l2_penalty."),
        (contents_exchanged, "found by the function or class that they define: "),
        (one_in_a_list, "What is no cell was left out"),
        (nul, "Characters that no text may have"),
        (r_language, "another language"),
        (duplicate_before, "defined in several cells"),
        (same_id_before, "defined in several cells"),
        (duplicate_at_the_end, "defined in several cells"),
        (timed, "found by the function or class that they define: l2_penalty."),
        (doubled_everything, None),
        (text_edited, "whose own were used: l2-text-1."),
    ],
)
def test_repairs(solved, release, change, note):
    """Both answers are found, run before their checks and count; the student is told why."""
    change(solved)
    result = rebuilt(solved, release)
    assert_ours(result.notebook, release)
    assert run_all(result.notebook) == RIGHT
    if note is None:
        assert result.notes == ()
    else:
        assert any(note in said for said in result.notes), result.notes
    for said in result.notes:
        assert said[0].isupper() or said.startswith("nbgrader")
        assert said.endswith(".")
        assert said.isprintable()


@pytest.mark.filterwarnings("ignore:Object of type")
def test_nbgraders_own_steps_find_nothing_to_change(tmp_path):
    """They compare a submission with the gradebook, and stop at what does not fit."""
    course = released_course(tmp_path)
    released = exercise.student_notebook(exercise.source_notebook(source_file(course)))
    names = {"assignment": "l2", "notebook": "l2", "student": "ann"}
    resources = {"nbgrader": {**names, "db_url": f"sqlite:///{course.root}/gradebook.db"}}
    for change in (no_change, in_another, doubled_everything, points_raised, nothing_but_text):
        notebook = json.loads(json.dumps(released))
        for cell in notebook["cells"]:
            if cell["id"] in TASKS:
                cell["source"] = function(cell["id"], "mine")
        notebook["cells"].insert(3, code("x = 1"))
        change(notebook)
        result = rebuilt(notebook, released).notebook
        stepped = copy.deepcopy(result)
        for step in (DeduplicateIds, OverwriteCells, CheckCellMetadata):
            stepped, _ = step().preprocess(stepped, resources)
        assert stepped == result


def test_a_deleted_answer_comes_back_empty(solved, release):
    """It scores nothing and does not take the other answer with it."""
    del solved["cells"][position(solved, "l2_penalty")]
    result = rebuilt(solved, release)
    assert_ours(result.notebook, release)
    assert run_all(result.notebook) == RIGHT | {"l2_penalty": "NotImplementedError"}
    assert result.notes == (
        "No cell was found for these answers, whose empty cells were put back: l2_penalty.",
    )


def test_an_answer_that_does_not_parse_is_still_the_answer(solved, release):
    """The student sees the own mistake, not an empty cell."""
    broken = "def l2_penalty(weights, weight_decay):\n    return (1"
    cell_of(solved, "l2_penalty")["source"] = broken
    nothing_but_text(solved)
    result = rebuilt(solved, release)
    assert cell_of(result.notebook, "l2_penalty").source == broken


@pytest.mark.parametrize(
    "source",
    [
        f"'''\n{function('l2_penalty', 'old')}\n'''",
        f'%matplotlib inline\nold = """\n{function("l2_penalty", "old")}\n"""',
        "class Tries:\n    def l2_penalty(self):\n        pass",
        "def l2_penalty_backward_slowly(:",
    ],
    ids=["string", "magic", "method", "longer name"],
)
def test_what_is_not_the_function_is_no_answer(solved, release, source):
    """An old attempt in a string, say, does not take the place of the released cell."""
    solved["cells"].append(code(source))
    for name in TASKS:
        del solved["cells"][position(solved, name)]
    solved["cells"].append(code(function("l2_penalty_backward", "mine"), id="moved"))
    result = rebuilt(solved, release)
    assert run_all(result.notebook) == RIGHT | {"l2_penalty": "NotImplementedError"}
    assert source in [cell.source for cell in result.notebook.cells]


@pytest.mark.parametrize("place", range(8))
def test_added_cells_stay_between_their_neighbours(solved, release, place):
    """Cells of the student's, of every type, keep their place and lose everything but text."""
    picture = {"a.png": {"image/png": "AAAA"}}
    solved["cells"][place:place] = [
        code("x = 1", metadata={"nbgrader": {"grade_id": "none", "grade": True}}),
        code("words", cell_type="markdown", attachments=picture),
        code("raw words", cell_type="raw", metadata={"raw_mimetype": "text/html"}),
        code("strange", cell_type="quantum"),
    ]
    result = rebuilt(solved, release)
    assert_ours(result.notebook, release)
    added = result.notebook.cells[place : place + 4]
    assert [cell.source for cell in added] == ["x = 1", "words", "raw words", "strange"]
    assert [cell.cell_type for cell in added] == ["code", "markdown", "raw", "raw"]
    assert result.notes == ()


def test_helpers_run_before_the_answer_that_needs_them(solved, release):
    """Also when the answer is moved up to its place because it stood elsewhere."""
    moved = solved["cells"].pop(position(solved, "l2_penalty"))
    moved["source"] = "@mark\n" + moved["source"]
    solved["cells"] += [code("def mark(function):\n    return function"), moved]
    assert run_all(rebuilt(solved, release).notebook) == RIGHT


def test_the_last_definition_above_the_check_counts(solved, release):
    """As it did when the student ran all cells; a later one is run, but too late."""
    place = position(solved, "check-l2_penalty")
    solved["cells"].insert(place, code(function("l2_penalty", "between")))
    solved["cells"].append(code(function("l2_penalty", "after")))
    result = rebuilt(solved, release)
    assert run_all(result.notebook)["l2_penalty"] == "between"
    assert [cell.source for cell in result.notebook.cells][-1] == function("l2_penalty", "after")


@pytest.mark.parametrize("lost", [(), ("id",), ("metadata",)])
@pytest.mark.parametrize("place", [1, 7])
def test_the_answer_in_its_own_cell_stays_there(solved, release, lost, place):
    """Another cell that defines it, above or below, does not take its place."""
    for name in lost:
        cell_of(solved, "l2_penalty")[name] = {}
    solved["cells"].insert(place, code(function("l2_penalty", "other")))
    result = rebuilt(solved, release)
    assert run_all(result.notebook) == RIGHT
    assert cell_of(result.notebook, "l2_penalty").source == function("l2_penalty", "mine")


def test_raw_control_characters_in_the_file_are_read(solved, release):
    """JSON forbids a line break in a string, but editors and hands leave one."""
    content = json.dumps(solved).replace("weight_decay):\\n", "weight_decay):\n").encode()
    assert b"\n" in content
    assert run_all(rebuilt(content, release).notebook) == RIGHT


def test_an_import_in_a_set_up_cell_is_run_after_ours(solved, release):
    """Colab lets students edit locked cells, and an answer may need what they put there."""
    cell = cell_of(solved, "setup-1")
    cell["source"] += "\nimport math"
    result = rebuilt(solved, release)
    assert_ours(result.notebook, release)
    place = position(result.notebook, "setup-1")
    assert result.notebook.cells[place + 1].id == "student-1"
    assert result.notebook.cells[place + 1].source == cell["source"]
    [note] = result.notes
    assert note.endswith("whose own were run first and yours after them: setup-1.")


def test_a_changed_demonstration_is_not_run(solved, release):
    """Its own cell comes back, and grading skips that."""
    cell_of(solved, "demonstration-1")["source"] = "while True: pass"
    result = rebuilt(solved, release)
    assert "while True" not in "".join(cell.source for cell in result.notebook.cells)
    assert "demonstration-1" in result.notes[0]


def old_format(notebook, number):
    cells = []
    for cell in notebook["cells"]:
        cell = {key: cell[key] for key in ("cell_type", "metadata", "source")}
        if cell["cell_type"] == "code":
            cell |= {"input": cell.pop("source"), "language": "python", "outputs": []}
        cells.append(cell)
    heading = {"cell_type": "heading", "level": 1, "source": "Title", "metadata": {}}
    return {
        "nbformat": number,
        "nbformat_minor": 0,
        "metadata": {"name": ""},
        "worksheets": [{"cells": cells}, {"cells": [heading]}],
    }


@pytest.mark.parametrize("number", [2, 3])
def test_old_formats(solved, release, number):
    """Worksheets are read, and their headings become text."""
    result = rebuilt(old_format(solved, number), release)
    assert_ours(result.notebook, release)
    assert run_all(result.notebook) == RIGHT
    assert result.notebook.cells[-1].source == "# Title"
    assert any("old format" in note for note in result.notes)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32", "utf-16-le"])
def test_other_encodings_are_read(solved, release, encoding):
    """Some editors add a byte order mark or save as UTF-16."""
    result = rebuilt(json.dumps(solved).encode(encoding), release)
    assert run_all(result.notebook) == RIGHT
    assert any("UTF-8" in note for note in result.notes)


def test_bytes_that_are_no_utf8_are_replaced(solved, release):
    """A comment in Latin-1 does not cost the answers."""
    cell_of(solved, "l2_penalty")["source"] += "  # größer"
    content = json.dumps(solved, ensure_ascii=False).encode("latin-1")
    result = rebuilt(content, release)
    assert run_all(result.notebook) == RIGHT
    assert any("no character" in note for note in result.notes)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no notebook"),
        (b"This was a notebook once.", "no notebook"),
        (b"\x89PNG\r\n\x1a\n\0\0\0", "no notebook"),
        (b'{"cells": [', "line 1"),
        (b'\xff\xfe{"cells"', "no notebook"),
        (b"[]", "no cells"),
        (b"7", "no cells"),
        (b"null", "no cells"),
        (b"1" * 5000, "no notebook"),
        (b"{}", "no cells"),
        (b'{"cells": {}}', "no cells"),
        (b'{"cells": []}', "no cells"),
        (b'{"worksheets": 1}', "no cells"),
        (b'{"worksheets": [1, {"cells": 2}]}', "no cells"),
        (b'{"cells": [1, 2]}', "none of the answers"),
        ({"cells": [code("x" * 200_000)]}, "characters"),
        ({"cells": [code("1")]}, "none of the answers"),
        ({"cells": [code("1")] * 501}, "more than 500 cells"),
        (b"[" * 100_000, "nested"),
        (b"[" * 100_000 + b"]" * 100_000, "nested"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "nested"),
        (b"[" + b"[]," * 300_000 + b"1]", "parts"),
        (b" " * (notebook_file.MAX_BYTES + 1), "MB"),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_reason(release, content, reason):
    """The message says in two sentences what is wrong and what to do."""
    with pytest.raises(UnreadableError) as caught:
        rebuilt(content, release)
    message = str(caught.value)
    assert reason in message
    assert message.isprintable()
    assert message.count(". ") == 1
    assert message.endswith(".")


def test_brackets_in_texts_are_no_nesting(solved, release):
    """A student may write about brackets, escaped quotes included."""
    solved["cells"].append(code("text = " + repr('\\"' + "[{" * 500)))
    assert run_all(rebuilt(solved, release).notebook) == RIGHT


def test_a_large_picture_in_a_text_costs_nothing(solved, release):
    """Colab writes pictures into the source of text cells; the cell is left out."""
    solved["cells"].append(code("x" * 3_000_000, cell_type="markdown"))
    result = rebuilt(solved, release)
    assert run_all(result.notebook) == RIGHT
    assert len(result.notebook.cells) == len(release.cells)
    assert any("left out" in note for note in result.notes)


def test_large_pictures_among_outputs_cost_nothing(solved, release):
    """Fourteen megabytes of plots are thrown away, and no answer with them."""
    cells = [cell for cell in solved["cells"] if cell["cell_type"] == "code"]
    picture = {
        "output_type": "display_data",
        "metadata": {},
        "data": {"image/png": "x" * 7_000_000},
    }
    for cell in cells[:2]:
        cell["outputs"] = [picture]
    assert run_all(rebuilt(solved, release).notebook) == RIGHT


MEGABYTES = notebook_file.MAX_BYTES


def brackets_within_limits():
    return b"[" + b"{}," * (notebook_file.MAX_BRACKETS // 2 - 2) + b"1]"


@pytest.mark.parametrize(
    "content",
    [
        b'"' * MEGABYTES,
        b'\\"' * (MEGABYTES // 2),
        b'"' + b"\\" * (MEGABYTES - 1),
        b"[" * MEGABYTES,
        b"[]" * (MEGABYTES // 2),
        b"[" + b"1," * (MEGABYTES // 2 - 2) + b"1]",
        brackets_within_limits(),
        b"\xff" * MEGABYTES,
        b"{" + b" " * (MEGABYTES - 1),
        b"9" * MEGABYTES,
    ],
    ids=lambda content: repr(content[:6]),
)
def test_no_file_takes_long(release, content):
    """Whatever its ten million bytes are."""
    started = time.process_time()
    with pytest.raises(UnreadableError):
        rebuild(content, release)
    assert time.process_time() - started < 10


@pytest.mark.parametrize(
    "line",
    [
        "\n",
        " ",
        "\t\n",
        "async\n",
        "async ",
        "%a ",
        "!a\n",
        "x = %a\n",
        "# ",
        "#  escape",
        "'''\n",
        '"""',
        "?\n",
        "(",
        "[(\n",
        "f'{",
        "-",
        "a.",
        "def l2_penalty():\n",
        "cd ",
        "\\\n",
    ],
)
def test_no_cell_takes_long(solved, release, line):
    """Not even one as long as cells may be that is made to keep parsers busy."""
    attempt = function("l2_penalty", "x") + "\n"
    for source in (attempt + line * 100_000, line * 100_000 + "\n" + attempt):
        solved["cells"].append(code(source[:50_000] + "\n" + attempt + source[-49_000:]))
    started = time.process_time()
    result = rebuilt(solved, release)
    assert time.process_time() - started < 10
    assert_ours(result.notebook, release)


def test_invalid_escapes_in_answers_warn_nobody(solved, release):
    """A student's regular expression is not our business."""
    cell_of(solved, "l2_penalty")["source"] += "\n'\\d'"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        rebuilt(solved, release)
    assert not caught


def check_anything(content, release):
    """Rebuild, and accept no other exception than the one that was announced."""
    try:
        result = rebuild(content, release)
    except UnreadableError:
        return
    assert_ours(result.notebook, release)
    nbformat.writes(result.notebook).encode()
    assert all(note.isprintable() for note in result.notes)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(TASKS),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=3) | st.sampled_from(["name", "grade_id"]), inner)
    ),
    max_leaves=8,
)
text = st.text(st.characters(exclude_categories=()), max_size=30) | st.sampled_from(
    [function(name, "mine") for name in TASKS] + ["check(l2_penalty)", "%%time\nimport os", ""]
)
cells = st.fixed_dictionaries(
    {},
    optional={
        "cell_type": st.sampled_from(["code", "markdown", "raw", "heading"]) | anything,
        "id": st.sampled_from([*TASKS, "setup-1", "check-l2_penalty", "l2-text-1"]) | anything,
        "source": text | st.lists(text, max_size=3) | anything,
        "input": text | anything,
        "metadata": st.fixed_dictionaries(
            {},
            optional={
                "nbgrader": anything
                | st.fixed_dictionaries({"grade_id": st.sampled_from(TASKS) | anything})
            },
        )
        | anything,
        "outputs": anything,
    },
)
whole = st.fixed_dictionaries(
    {},
    optional={
        "cells": st.lists(cells | anything, max_size=12) | anything,
        "worksheets": st.lists(
            st.fixed_dictionaries({"cells": st.lists(cells, max_size=4) | anything}) | anything,
            max_size=3,
        ),
        "metadata": st.fixed_dictionaries({"language_info": anything}) | anything,
        "nbformat": anything,
    },
)


@given(st.binary(max_size=200))
def test_random_bytes_raise_nothing_else(release, content):
    """Anything may be handed in."""
    check_anything(content, release)


@settings(max_examples=50)
@given(whole | anything)
def test_random_json_raises_nothing_else(release, notebook):
    """Nor does JSON with all the right words in the wrong places."""
    check_anything(json.dumps(notebook).encode(), release)


def parts(node, path=()):
    """Yield the paths of all values in JSON."""
    yield path
    items = node.items() if isinstance(node, dict) else ()
    items = enumerate(node) if isinstance(node, list) else items
    for key, value in items:
        yield from parts(value, (*path, key))


@settings(max_examples=50)
@given(st.data())
def test_random_changes_of_a_real_notebook_raise_nothing_else(release, data):
    """Up to four values anywhere in it are replaced, deleted, or copied elsewhere."""
    notebook = json.loads(json.dumps(release))
    for _ in range(data.draw(st.integers(1, 4))):
        places = [path for path in parts(notebook) if path]
        if not places:
            break
        *above, key = data.draw(st.sampled_from(places))
        node = notebook
        for step in above:
            node = node[step]
        action = data.draw(st.sampled_from(["replace", "delete", "double"]))
        if action == "replace":
            node[key] = data.draw(anything | text)
        elif action == "delete":
            del node[key]
        elif isinstance(node, list):
            node.insert(data.draw(st.integers(0, len(node))), copy.deepcopy(node[key]))
    check_anything(json.dumps(notebook).encode(), release)


@settings(max_examples=70)
@given(data=st.data())
def test_random_bytes_in_a_real_notebook_raise_nothing_else(release, data):
    """A file that was damaged on its way is read or refused."""
    content = bytearray(nbformat.writes(release).encode())
    for _ in range(data.draw(st.integers(1, 5))):
        start = data.draw(st.integers(0, len(content)))
        content[start : start + data.draw(st.integers(0, 20))] = data.draw(st.binary(max_size=20))
    check_anything(bytes(content), release)


@settings(max_examples=50)
@given(data=st.data())
def test_the_order_of_cells_never_costs_an_answer(release, data):
    """Shuffled cells among others of the student's: both answers run before their checks."""
    notebook = json.loads(json.dumps(release))
    for cell in notebook["cells"]:
        if cell["id"] in TASKS:
            cell["source"] = function(cell["id"], "mine")
    extra = [code(f"x{number} = 1", id=f"x{number}") for number in range(3)]
    notebook["cells"] = data.draw(st.permutations(notebook["cells"] + extra))
    result = rebuilt(notebook, release)
    assert_ours(result.notebook, release)
    assert run_all(result.notebook) == RIGHT
    sources = [cell.source for cell in result.notebook.cells]
    assert all(f"x{number} = 1" in sources for number in range(3))


@pytest.fixture
def handed_in(tmp_path):
    """Return where the notebook of a student belongs, with its folder."""
    path = tmp_path / "course" / "submitted" / "ann" / "l2" / "l2.ipynb"
    path.parent.mkdir(parents=True)
    return path


def test_a_file_is_read(handed_in):
    """Byte by byte, up to the limit."""
    content = b"x" * notebook_file.MAX_BYTES
    handed_in.write_bytes(content)
    assert read(handed_in) == content


def test_the_course_may_lie_behind_a_link(handed_in, tmp_path):
    """Only what students hand in may not."""
    handed_in.write_bytes(b"x")
    (tmp_path / "link").symlink_to(tmp_path / "course")
    assert read(tmp_path / "link" / "submitted" / "ann" / "l2" / "l2.ipynb") == b"x"


def link(path, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("secret")
    path.symlink_to(secret)


def dangling_link(path, tmp_path):
    path.symlink_to(tmp_path / "nowhere")


def linked_folder(path, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "l2.ipynb").write_text("secret")
    path.parent.rmdir()
    path.parent.symlink_to(elsewhere)


def linked_student(path, tmp_path):
    elsewhere = tmp_path / "elsewhere" / "l2"
    elsewhere.mkdir(parents=True)
    (elsewhere / "l2.ipynb").write_text("secret")
    path.parent.rmdir()
    path.parent.parent.rmdir()
    path.parent.parent.symlink_to(elsewhere.parent)


def fifo(path, tmp_path):
    os.mkfifo(path)


def folder(path, tmp_path):
    path.mkdir()


def unix_socket(path, tmp_path):
    # Names of sockets are short, so it is made in the folder itself.
    here = os.open(path.parent, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(f"/proc/self/fd/{here}/{path.name}")
    os.close(here)


def device(path, tmp_path):
    path.symlink_to("/dev/zero")


def missing(path, tmp_path):
    pass


def too_large(path, tmp_path):
    with path.open("wb") as file:
        file.truncate(500_000_000)


@pytest.mark.parametrize(
    "make",
    [
        link,
        dangling_link,
        linked_folder,
        linked_student,
        fifo,
        folder,
        unix_socket,
        device,
        missing,
        too_large,
    ],
)
def test_what_is_no_file_is_refused(handed_in, tmp_path, make):
    """Without waiting, and without a word of what a link points to."""
    make(handed_in, tmp_path)
    with pytest.raises(UnreadableError) as caught:
        read(handed_in)
    assert "secret" not in str(caught.value)
    assert str(caught.value).count(". ") == 1


def test_a_name_with_a_nul_is_refused(handed_in):
    """Python itself calls that a ValueError."""
    with pytest.raises(UnreadableError):
        read(handed_in.with_name("l2\0.ipynb"))
