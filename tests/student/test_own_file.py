"""Which file a student has open."""

import sys
from types import SimpleNamespace

import pytest

from autograder.student import own_file


@pytest.fixture
def kernel(tmp_path, monkeypatch):
    """Return the names of a kernel, in a folder with a notebook and a copy of it."""
    names = {}
    history = SimpleNamespace(input_hist_raw=["", "%pwd"])
    shell = SimpleNamespace(user_ns=names, history_manager=history)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    monkeypatch.chdir(tmp_path)
    for name in ("l2.ipynb", "copy.ipynb"):
        (tmp_path / name).write_text("{}")
    return names


def test_the_editor_knows_which_of_two_is_open(kernel, tmp_path, monkeypatch):
    """VS Code tells the kernel, Jupyter its environment."""
    assert own_file.find("l2.ipynb").name == "l2.ipynb"
    kernel["__vsc_ipynb_file__"] = str(tmp_path / "copy.ipynb")
    assert own_file.find("l2.ipynb").name == "copy.ipynb"
    del kernel["__vsc_ipynb_file__"]
    monkeypatch.setenv("JPY_SESSION_NAME", str(tmp_path / "copy.ipynb"))
    assert own_file.find("l2.ipynb").name == "copy.ipynb"


def test_where_there_is_no_file_none_is_found(kernel, monkeypatch):
    """Neither under the name nor where the editor says."""
    monkeypatch.setenv("JPY_SESSION_NAME", "/gone/l2.ipynb")
    assert own_file.find("dropout.ipynb") is None


def test_what_ran_is_known_in_a_kernel_only(kernel, monkeypatch):
    """A terminal has no history of cells."""
    assert own_file.typed() == ["", "%pwd"]
    monkeypatch.delitem(sys.modules, "IPython")
    assert own_file.typed() == []
