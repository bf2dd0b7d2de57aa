"""Files that are broken, by accident or not.

What archives can do is in tests/test_collect.py.
"""

import copy
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
from attacks.attack import FILE, Attack, Build, Handed, edited, insert, solve
from nbformat import NotebookNode

from autograder.intake import cells, exercise


def _text(edit: Callable[[dict[str, Any]], Any]) -> Build:
    """Hand in the solved notebook after an edit of its JSON that nbformat would not make."""

    def build(_release: NotebookNode, solution: NotebookNode) -> Handed:
        content = json.loads(nbformat.writes(solution))
        return json.dumps(edit(content) or content).encode()

    return build


def _bytes(edit: Callable[[bytes], bytes]) -> Build:
    def build(_release: NotebookNode, solution: NotebookNode) -> Handed:
        return edit(nbformat.writes(solution).encode())

    return build


def _made(make: Callable[[Path], object]) -> Build:
    """Make what lies at the path of the file."""
    return lambda _release, _solution: lambda path: make(path) and None


def _beside(make: Callable[[Path], object]) -> Build:
    """Hand in the solved notebook, and make something else in its folder."""

    def build(_release: NotebookNode, solution: NotebookNode) -> Handed:
        def both(path: Path) -> None:
            exercise.write(solution, path)
            make(path.parent)

        return both

    return build


def _cell(notebook: NotebookNode, name: str) -> NotebookNode:
    return next(cell for cell in notebook.cells if cell.id == name)


def _drop(*names: str) -> Callable[[NotebookNode], None]:
    def edit(notebook: NotebookNode) -> None:
        notebook.cells = [cell for cell in notebook.cells if cell.id not in names]

    return edit


def _drop_text(notebook: NotebookNode) -> None:
    notebook.cells = [cell for cell in notebook.cells if cell.cell_type == "code"]


def _duplicate(*names: str) -> Callable[[NotebookNode], None]:
    """Copy cells as older Jupyter versions do, ids and metadata included."""

    def edit(notebook: NotebookNode) -> None:
        notebook.cells = [
            copy.deepcopy(cell)
            for cell in notebook.cells
            for _ in range(2 if cell.id in names else 1)
        ]

    return edit


def _version_3(_release: NotebookNode, solution: NotebookNode) -> Handed:
    old = nbformat.convert(copy.deepcopy(solution), 3)
    return nbformat.v3.writes_json(old).encode()


def _version_3_of_the_stub(release: NotebookNode, _solution: NotebookNode) -> Handed:
    return nbformat.v3.writes_json(nbformat.convert(copy.deepcopy(release), 3)).encode()


def _version_4_0(content: dict[str, Any]) -> None:
    content["nbformat_minor"] = 0
    for cell in content["cells"]:
        del cell["id"]


def _no_ids_at_all(content: dict[str, Any]) -> None:
    _version_4_0(content)
    for cell in content["cells"]:
        cell["metadata"] = {}


def _reverse(notebook: NotebookNode) -> None:
    notebook.cells.reverse()


def _answers_last(notebook: NotebookNode) -> None:
    notebook.cells.sort(key=cells.is_answer)


def _retype(name: str, kind: str) -> Callable[[NotebookNode], None]:
    def edit(notebook: NotebookNode) -> None:
        cell = _cell(notebook, name)
        cell.cell_type = kind
        del cell["outputs"], cell["execution_count"]

    return edit


def _merge(notebook: NotebookNode) -> None:
    first, second = _cell(notebook, "l2_penalty"), _cell(notebook, "l2_penalty_backward")
    first.source += "\n\n\n" + second.source
    notebook.cells.remove(second)


def _merge_all(notebook: NotebookNode) -> NotebookNode:
    source = "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    cell = nbformat.v4.new_code_cell(source, id="everything")
    return nbformat.v4.new_notebook(cells=[cell])


def _split(notebook: NotebookNode) -> None:
    """Leave the answer's cell empty and the answer in a cell of its own."""
    cell = _cell(notebook, "l2_penalty")
    at = notebook.cells.index(cell)
    notebook.cells.insert(at, nbformat.v4.new_code_cell(cell.source, id="moved"))
    cell.source = ""


def _rename(notebook: NotebookNode) -> None:
    for number, cell in enumerate(notebook.cells):
        cell.id = f"renamed-{number}"
        if "nbgrader" in cell.metadata:
            cell.metadata["nbgrader"]["grade_id"] = f"cell-{number}"


def _swap(notebook: NotebookNode) -> None:
    """Exchange the names of the two answers."""
    first, second = _cell(notebook, "l2_penalty"), _cell(notebook, "l2_penalty_backward")
    first.id, second.id = second.id, first.id
    first.metadata, second.metadata = second.metadata, first.metadata


def _promote(notebook: NotebookNode) -> None:
    """Give every cell a thousand points and the graders nothing to compare."""
    for cell in notebook.cells:
        cell.metadata["nbgrader"] = {
            **cell.metadata.get("nbgrader", {}),
            "schema_version": 3,
            "grade": True,
            "solution": True,
            "locked": False,
            "task": False,
            "points": 1000,
            "grade_id": cell.id,
        }
        cell.metadata["deletable"] = False


def _weird_metadata(notebook: NotebookNode) -> None:
    for cell in notebook.cells:
        cell.metadata["nbgrader"] = {"schema_version": 99, "points": float(10**300)}
    notebook.metadata.clear()


def _julia(notebook: NotebookNode) -> None:
    notebook.metadata["kernelspec"] = {
        "display_name": "Julia",
        "language": "julia",
        "name": "../../../bin/sh",
    }
    notebook.metadata["language_info"] = {"name": "julia", "file_extension": ".jl"}


def _many(notebook: NotebookNode) -> NotebookNode:
    return insert(notebook, *["pass"] * 20_000, at=-1)


def _long_cell(notebook: NotebookNode) -> NotebookNode:
    return insert(notebook, "x = 0\n" * 2_000_000)


def _deep(content: dict[str, Any]) -> None:
    value: Any = 1
    for _ in range(900):
        value = [value]
    content["metadata"]["deep"] = value


def _wrong_values(content: dict[str, Any]) -> None:
    content["cells"][0]["source"] = 5
    content["cells"][1]["metadata"] = []
    content["cells"][2]["outputs"] = {"a": None}
    content["cells"].append(None)
    content["cells"].append({"cell_type": ["code"]})


def _source_as_lines(content: dict[str, Any]) -> None:
    for cell in content["cells"]:
        if isinstance(cell["source"], str):
            cell["source"] = cell["source"].splitlines(keepends=True)


def _wrong_outputs(content: dict[str, Any]) -> None:
    for cell in content["cells"]:
        if cell["cell_type"] == "code":
            cell["outputs"] = [{"output_type": "x"}, None, {"output_type": "stream", "text": 3}]
            cell["execution_count"] = "many"


def _surrogate(notebook: NotebookNode) -> Handed:
    insert(notebook, "# @@")
    return nbformat.writes(notebook).replace("@@", "\\ud800\\udfff \\udc00").encode()


def _surrogate_in_an_answer(notebook: NotebookNode) -> Handed:
    text = nbformat.writes(notebook)
    return text.replace("Return the penalty.", "Return \\ud800.").encode()


def _wrong_name(name: str) -> Build:
    def build(_release: NotebookNode, solution: NotebookNode) -> Handed:
        return lambda path: exercise.write(solution, path.with_name(name)) and None

    return build


def _sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.write(b'{"cells": [')
        file.truncate(500 * 2**20)


def _copy(path: Path) -> None:
    """A link to what another student handed in."""
    path.symlink_to(path.parents[2] / "honest-0" / "l2" / "l2.ipynb")


def _link_folder(path: Path) -> None:
    path.parent.rmdir()
    path.parent.symlink_to(path.parents[2] / "honest-0" / "l2", target_is_directory=True)


def _link_student(path: Path) -> None:
    path.parent.rmdir()
    path.parents[1].rmdir()
    path.parents[1].symlink_to(path.parents[2] / "honest-0", target_is_directory=True)


def _hard_link(path: Path) -> None:
    os.link(path.parents[2] / "honest-0" / "l2" / "l2.ipynb", path)


def _loop(folder: Path) -> None:
    (folder / "loop").symlink_to(folder, target_is_directory=True)
    (folder / "self").symlink_to(folder / "self")


def _links_beside(folder: Path) -> None:
    (folder / "grades.db").symlink_to(folder.parents[2] / "gradebook.db")
    (folder / "source.txt").symlink_to(folder.parents[2] / "source" / "l2" / "l2.ipynb")
    (folder / "everything").symlink_to(folder.parents[2], target_is_directory=True)
    (folder / "passwd").symlink_to("/etc/passwd")


def _special_beside(folder: Path) -> None:
    os.mkfifo(folder / "pipe.txt")
    os.mkfifo(folder / "other.ipynb")


def _big_beside(folder: Path) -> None:
    with (folder / "data.bin").open("wb") as file:
        file.truncate(5 * 2**30)


def _modules_beside(folder: Path) -> None:
    """Modules that would be imported instead of the real ones from the current folder."""
    for name in ("numpy", "autograder", "json", "torch", "sitecustomize", "IPython", "struct"):
        (folder / f"{name}.py").write_text("raise SystemExit('shadowed')\n")
    (folder / "nbgrader_config.py").write_text("raise SystemExit('configured')\n")
    (folder / "ipython_config.py").write_text("raise SystemExit('configured')\n")


def _another_notebook(folder: Path) -> None:
    shutil.copy(folder / "l2.ipynb", folder / "l2-Copy1.ipynb")
    shutil.copy(folder / "l2.ipynb", folder / "dropout.ipynb")
    (folder / "zzz.ipynb").write_text("not a notebook")


def _half(_release: NotebookNode, solution: NotebookNode) -> Handed:
    """One answer of two, after which the file is cut off."""
    text = nbformat.writes(solve(solution)).encode()
    return text[: len(text) // 2]


ATTACKS = [
    Attack("not-json", FILE, _bytes(lambda _: b"This was a notebook once.\n"), None, quick=True),
    Attack("empty-file", FILE, _bytes(lambda _: b""), None),
    Attack("cut-off", FILE, _half, None),
    Attack("json-but-no-notebook", FILE, _bytes(lambda _: b"[1, 2, 3]"), None),
    Attack("json-null", FILE, _bytes(lambda _: b"null"), None),
    Attack("binary", FILE, _bytes(lambda _: bytes(range(256)) * 100), None),
    Attack("utf-16", FILE, _bytes(lambda data: data.decode().encode("utf-16")), 6.0, forfeits=True),
    Attack(
        "byte-order-mark", FILE, _bytes(lambda data: b"\xef\xbb\xbf" + data), 6.0, forfeits=True
    ),
    Attack(
        "invalid-utf-8",
        FILE,
        _bytes(lambda data: data.replace(b"Return", b"\xff\xfe")),
        6.0,
        forfeits=True,
    ),
    Attack("surrogates", FILE, edited(_surrogate), 6.0, forfeits=True),
    Attack("surrogates-in-an-answer", FILE, edited(_surrogate_in_an_answer), 6.0, forfeits=True),
    Attack("nul-characters", FILE, edited(lambda nb: insert(nb, "x = 1\0\0")), 6.0, forfeits=True),
    Attack("version-3", FILE, _version_3, 6.0),
    Attack("version-3-of-the-stub", FILE, _version_3_of_the_stub, 0.0),
    Attack("version-4.0", FILE, _text(_version_4_0), 6.0),
    Attack("no-ids-at-all", FILE, _text(_no_ids_at_all), 6.0),
    Attack("version-99", FILE, _text(lambda c: c.update(nbformat=99)), 6.0, forfeits=True),
    Attack("version-none", FILE, _text(lambda c: c.pop("nbformat") and None), 6.0, forfeits=True),
    Attack("no-cells", FILE, _text(lambda c: c.update(cells=[])), 0.0, forfeits=True),
    Attack("no-list-of-cells", FILE, _text(lambda c: c.pop("cells") and None), None),
    Attack("cells-as-object", FILE, _text(lambda c: c.update(cells={"a": 1})), None),
    Attack(
        "deleted-checks",
        FILE,
        edited(_drop("check-l2_penalty", "check-l2_penalty_backward")),
        6.0,
        quick=True,
    ),
    Attack("deleted-setup", FILE, edited(_drop("setup-1")), 6.0),
    Attack("deleted-text", FILE, edited(_drop_text), 6.0),
    Attack("deleted-answer", FILE, edited(_drop("l2_penalty")), 3.0),
    Attack("duplicated-answer", FILE, edited(_duplicate("l2_penalty")), 6.0, stock=True),
    Attack("duplicated-check", FILE, edited(_duplicate("check-l2_penalty")), 6.0),
    Attack(
        "duplicated-everything",
        FILE,
        edited(
            _duplicate(
                "setup-1",
                "l2_penalty",
                "check-l2_penalty",
                "l2_penalty_backward",
                "check-l2_penalty_backward",
            )
        ),
        6.0,
    ),
    Attack("reversed", FILE, edited(_reverse), 6.0),
    Attack("answers-last", FILE, edited(_answers_last), 6.0),
    Attack("check-retyped", FILE, edited(_retype("check-l2_penalty", "markdown")), 6.0),
    Attack("answer-retyped", FILE, edited(_retype("l2_penalty", "markdown")), 6.0),
    Attack("answer-retyped-raw", FILE, edited(_retype("l2_penalty", "raw")), 6.0),
    Attack("merged-answers", FILE, edited(_merge), 6.0),
    Attack("merged-into-one-cell", FILE, edited(_merge_all), 6.0),
    Attack("moved-answer", FILE, edited(_split), 6.0),
    Attack("renamed-cells", FILE, edited(_rename), 6.0),
    Attack("swapped-names", FILE, edited(_swap), 6.0),
    Attack("a-thousand-points", FILE, edited(_promote), 6.0),
    Attack("weird-metadata", FILE, edited(_weird_metadata), 6.0),
    Attack("other-kernel", FILE, edited(_julia), 6.0),
    Attack("source-as-lines", FILE, _text(_source_as_lines), 6.0),
    Attack("wrong-outputs", FILE, _text(_wrong_outputs), 6.0, forfeits=True),
    Attack("wrong-values", FILE, _text(_wrong_values), 6.0, forfeits=True),
    Attack("deep-metadata", FILE, _text(_deep), 6.0, forfeits=True),
    Attack("deep-json", FILE, _bytes(lambda _: b"[" * 100_000), None),
    Attack(
        "deep-json-in-cells",
        FILE,
        _bytes(lambda _: b'{"cells": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
        None,
    ),
    Attack(
        "infinite-number",
        FILE,
        _bytes(lambda data: data.replace(b'"nbformat_minor": 5', b'"nbformat_minor": 1e999')),
        6.0,
        forfeits=True,
    ),
    Attack(
        "endless-number",
        FILE,
        _bytes(lambda d: d.replace(b'"nbformat": 4', b'"nbformat": ' + b"4" * 10**6)),
        6.0,
        forfeits=True,
    ),
    Attack("many-cells", FILE, edited(_many), 6.0, forfeits=True),
    Attack("long-cell", FILE, edited(_long_cell), 6.0, forfeits=True),
    Attack("wrong-name", FILE, _wrong_name("l2 (1).ipynb"), None),
    Attack("wrong-case", FILE, _wrong_name("L2.ipynb"), None),
    Attack(
        "terminal-codes-in-a-name",
        FILE,
        _wrong_name("l2\x1b]0;owned\x07\x1b[2J\u202eevil.ipynb"),
        None,
    ),
    Attack("nothing", FILE, _made(lambda path: None), None),
    Attack("folder-instead", FILE, _made(Path.mkdir), None),
    Attack("link", FILE, _made(_copy), None, quick=True),
    Attack("link-to-a-folder", FILE, _made(_link_folder), None),
    Attack("link-to-a-student", FILE, _made(_link_student), None),
    Attack("link-to-nowhere", FILE, _made(lambda path: path.symlink_to("/nowhere")), None),
    Attack(
        "link-to-the-gradebook",
        FILE,
        _made(lambda path: path.symlink_to(path.parents[3] / "gradebook.db")),
        None,
    ),
    Attack("link-to-zeros", FILE, _made(lambda path: path.symlink_to("/dev/zero")), None),
    Attack("fifo", FILE, _made(os.mkfifo), None, quick=True),
    Attack("five-hundred-megabytes", FILE, _made(_sparse), None),
    Attack("links-beside", FILE, _beside(_links_beside), 6.0, forfeits=True),
    Attack("loop-of-links", FILE, _beside(_loop), 6.0, forfeits=True),
    Attack("pipes-beside", FILE, _beside(_special_beside), 6.0, forfeits=True),
    Attack("five-gigabytes-beside", FILE, _beside(_big_beside), 6.0, forfeits=True),
    Attack("modules-beside", FILE, _beside(_modules_beside), 6.0),
    Attack("notebooks-beside", FILE, _beside(_another_notebook), 6.0, forfeits=True),
]
