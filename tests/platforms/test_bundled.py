"""Which notebook is graded where a bundle is unpacked, and what is said if there is none."""

import zipfile

import pytest
from helpers.bundles import MOST, WRONG
from nbformat.v4 import new_code_cell, new_notebook


def an_archive(place):
    place.hand_in(place.answered(), "hers.ipynb")
    with zipfile.ZipFile(place.submission / "all.zip", "w") as archive:
        archive.write(place.submission / "hers.ipynb", "inside/hers.ipynb")
    (place.submission / "hers.ipynb").unlink()


def twice_the_same(place):
    place.hand_in(place.answered(), "one.ipynb")
    place.hand_in(place.answered(), "folder/two.ipynb")
    (place.submission / ".ipynb_checkpoints").mkdir()
    place.hand_in(place.answered(l2_penalty=WRONG), ".ipynb_checkpoints/one.ipynb")


def beside_another(place):
    place.hand_in(place.answered(), "l2.ipynb")
    place.hand_in(another(), "dropout.ipynb")
    place.hand_in("{", "broken.ipynb")


def another():
    return new_notebook(cells=[new_code_cell("def dropout_forward(x):\n    return x")])


@pytest.mark.sandbox
@pytest.mark.parametrize("hand_in", [an_archive, twice_the_same, beside_another])
def test_the_notebook_is_found_by_its_cells(place, hand_in):
    """In an archive, beside other files, and under any name."""
    hand_in(place)
    assert place.graded()[0]["score"] == MOST


def several(place):
    place.hand_in(place.answered(), "one.ipynb")
    place.hand_in(place.answered(l2_penalty=WRONG), "two\u202e.ipynb")


def a_link(place):
    place.hand_in(place.answered(), "l2.ipynb")
    (place.submission / "l2.ipynb").rename(place.root / "elsewhere.ipynb")
    (place.submission / "l2.ipynb").symlink_to(place.root / "elsewhere.ipynb")


NOT_FOUND = "No notebook of l2 was found."


@pytest.mark.sandbox
@pytest.mark.parametrize(
    ("hand_in", "said"),
    [
        (lambda place: None, f"{NOT_FOUND} Hand in the file that ends in .ipynb."),
        (lambda place: place.hand_in("{", "l2.ipynb"), f"{NOT_FOUND} l2.ipynb: The file is no"),
        (lambda place: place.hand_in(another(), "x.ipynb"), f"{NOT_FOUND} x.ipynb is of dropout."),
        (several, "There are several notebooks of l2: one.ipynb, two⟨U+202E⟩.ipynb."),
        (a_link, NOT_FOUND),
    ],
    ids=["nothing", "unreadable", "another", "several", "a link"],
)
def test_what_cannot_be_graded_earns_nothing_and_says_why(place, hand_in, said):
    """For each task, so that the highest number of points is right."""
    place.change_settings(cells={**place.settings["cells"], "dropout": ["dropout_forward"]})
    hand_in(place)
    results, tests = place.graded()
    assert results["score"] == 0
    assert sum(test["max_score"] for test in tests.values()) == MOST
    assert results["output"].startswith(said)


@pytest.mark.sandbox
def test_an_untouched_notebook_earns_nothing(place):
    """Its answers are there, but empty."""
    stub = "raise NotImplementedError()"
    results, tests = place.graded(place.answered(l2_penalty=stub, l2_penalty_backward=stub))
    assert results["score"] == 0
    assert {test["status"] for test in tests.values()} == {"failed"}
