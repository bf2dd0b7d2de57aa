"""`hint` as a student calls it, and the hints themselves."""

import html
import inspect
import re

import jupytext
import pytest
from helpers.solutions import solution, source_of

from autograder import hint, tasks
from autograder.intake.exercise import BEGIN, END
from autograder.judging.hint import Hints
from autograder.judging.report import WIDTH

NAMES = list(tasks)


@pytest.fixture(autouse=True)
def fresh_kernel(monkeypatch):
    """Forget which hints were given, as a restart of the kernel does."""
    monkeypatch.setattr(inspect.getmodule(Hints), "_given", {})


def normalized(code):
    """Return code or text without what a reader does not see the difference of."""
    return re.sub(r"[\s`\"']", "", code)


def solution_lines(name):
    """Return the lines of a task's solution that say something, normalized."""
    notebook = jupytext.read(source_of(tasks[name].assignment.name), fmt="py:percent")
    (cell,) = (
        cell.source
        for cell in notebook.cells
        if BEGIN in cell.source and re.search(rf"^(def|class) {name}\(", cell.source, re.MULTILINE)
    )
    regions = re.findall(rf"{BEGIN}(.*?){END}", cell, re.DOTALL)
    lines = {normalized(line) for region in regions for line in region.splitlines()}
    return {line for line in lines if len(line) >= 10}


@pytest.mark.parametrize("name", NAMES)
def test_every_task_has_three_to_five_short_hints(name):
    """A student who is stuck is nudged several times, a little each time, and asked in between."""
    hints = tasks[name].hints
    assert 3 <= len(hints) <= 5
    assert len(set(hints)) == len(hints)
    for text in hints[:-1]:
        assert text[-1] == "?"
    for text in hints:
        assert 20 <= len(text) <= 240
        assert text[-1] in ".?"
        assert text.count("`") % 2 == 0


@pytest.mark.parametrize("name", NAMES)
def test_no_hint_contains_a_line_of_the_solution(name):
    """Not even the last one gives the answer: neither a line of it nor the right side of one."""
    lines = solution_lines(name)
    assert lines
    answers = lines | {
        right
        for line in lines
        for right in (
            re.split(r"(?<![=!<>])=(?!=)", line, maxsplit=1)[-1],
            line.removeprefix("return"),
        )
        if len(right) >= 16
    }
    for text in tasks[name].hints:
        assert not [line for line in answers if line in normalized(text)]


@pytest.mark.parametrize("name", NAMES)
def test_hints_come_in_order_and_the_last_one_sends_to_the_book(name):
    """Each call shows one hint more, below the earlier ones; then it says that this was all."""
    function, texts = solution(tasks[name].assignment.name)[name], tasks[name].hints
    for count in (*range(1, len(texts) + 1), len(texts)):
        given = hint(function)
        for shown in (normalized(repr(given)), as_text(given._repr_html_())):
            assert normalized(f"{name}: hint {count} of {len(texts)}") in shown
            places = [shown.find(normalized(text)) for text in texts]
            assert -1 not in places[:count]
            assert places[:count] == sorted(places[:count])
            assert set(places[count:]) <= {-1}
            last = count == len(texts)
            assert (normalized(f"Read {tasks[name].section}.") in shown) == last
            assert (
                normalized(
                    f'Before the next hint, answer the question in a sentence: hint({name}, "...")'
                )
                in shown
            ) != last
        assert max(map(len, repr(given).splitlines())) <= WIDTH


def as_text(markup):
    """Return what a browser shows of a piece of HTML, normalized."""
    return normalized(html.unescape(re.sub(r"<[^>]*>", "", markup)))


def test_a_name_does_as_well_and_each_task_has_a_count_of_its_own():
    """A student may ask before the cell that defines the function has been run."""
    function = solution("dropout")["dropout_forward"]
    assert hint("dropout_forward").count == 1
    assert hint("dropout_backward").count == 1
    assert hint(function).count == 2
    assert hint(solution("dropout")["Dropout"]).task.name == "Dropout"


def test_an_answer_stands_below_its_question_and_can_be_left_out():
    """The student compares it with the next hint; it is text like any other."""
    hint("l2_penalty", "There is no question yet.")
    given = hint("l2_penalty", "  All of them, as <squares>. ")
    assert given.answers == ("All of them, as <squares>.", "")
    first, second = tasks["l2_penalty"].hints[:2]
    for shown in (normalized(repr(given)), as_text(given._repr_html_())):
        places = [shown.index(normalized(text)) for text in (first, "You: All of them", second)]
        assert places == sorted(places)
    assert "<squares>" not in given._repr_html_()
    assert hint("l2_penalty").answers == ("All of them, as <squares>.", "", "")


def test_a_cell_that_runs_again_does_not_answer_the_next_question():
    """It shows the next hint, as a call without an answer does."""
    hint("l2_penalty")
    for count in (2, 3, 4, 4):
        given = hint("l2_penalty", "The squares.")
        assert given.answers == ("The squares.", *[""] * (count - 1))


def test_something_else_is_refused_in_one_sentence_without_our_insides():
    """As `check` does, and IPython shows the message alone."""
    for wrong, complaint in (
        (3, r"hint\(\) was given something of the type int"),
        (solution("dropout")["Dropout"](0.5), r"hint\(\) was given something of the type Dropout"),
        (as_text, r"hint\(\) does not know `as_text`.*l2_penalty"),
        ("dropout", r"hint\(\) does not know `dropout`.*dropout_forward"),
    ):
        with pytest.raises(TypeError, match=complaint) as caught:
            hint(wrong)
        assert caught.value._render_traceback_() == [str(caught.value)]
    with pytest.raises(TypeError, match="Write a sentence in quotes"):
        hint("l2_penalty", 3)


@pytest.mark.parametrize("execution", ["autograde", "validate"])
def test_a_cell_that_asks_for_a_hint_does_the_same_when_graded(monkeypatch, execution):
    """Whoever leaves such a cell in the notebook loses nothing by it."""
    monkeypatch.setenv("NBGRADER_EXECUTION", execution)
    assert "hint 1 of" in repr(hint("l2_penalty"))
