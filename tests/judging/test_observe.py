"""What is observed of a student's functions, and what a student reads when they misbehave."""

import sys

import numpy as np
import pytest
import torch
from helpers.solutions import solution

from autograder import grade
from autograder.judging.observe import MAX_PRINTED, observe
from autograder.tasks import tasks
from autograder.tasks.answers import NotObservedError, unpack


def text(name, **replaced):
    """Return the report on a task as text, after replacing functions of the solution."""
    functions = {**solution(tasks[name].assignment.name), **replaced}
    return str(grade(name, functions, 0))


def flat(report):
    return " ".join(str(report).split())


def forward(change):
    """Return a batch norm forward pass whose results go through `change`."""

    def batch_norm_forward(*arguments, **options):
        right = solution("batch_norm")["batch_norm_forward"]
        return change(*right(*arguments, **options))

    return batch_norm_forward


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda *r: None, "returned None; is its `return` missing?"),
        (lambda *r: r[:3], "returned 3 values. `batch_norm_forward` should return 4 values: out"),
        (lambda *r: (*r, 1), "returned 5 values"),
        (lambda *r: r[0], "returned a single ndarray"),
        (lambda o, m, v, c: (torch.tensor(o), m, v, c), "`out` is a torch tensor. Return a NumPy"),
        (lambda o, m, v, c: (o.tolist(), m, v, c), "`out` is a list. Return a NumPy array."),
        (lambda o, m, v, c: (o.astype(np.float32), m, v, c), "dtype float32; expected float64"),
        (lambda o, m, v, c: (o[:, :2], m, v, c), "has shape (7, 2); expected (7, 4)"),
        (lambda o, m, v, c: (o * np.nan, m, v, c), "is nan at [0, 0]"),
        (lambda o, m, v, c: (None, m, v, c), "`out` is None; is a `return` missing?"),
        (lambda o, m, v, c: (o.astype(object), m, v, c), "array of object"),
        (lambda o, m, v, c: (np.broadcast_to(o[0, 0], (10**6, 10**6)), m, v, c), "far too large"),
        (lambda o, m, v, c: ("text", m, v, c), "`out` is a str."),
    ],
)
def test_a_wrong_return_value_has_a_message_of_its_own(change, words):
    """Each way to return the wrong thing is told in its own words."""
    report = text("batch_norm_forward", batch_norm_forward=forward(change))
    assert words in " ".join(report.split()), report


def test_a_missing_companion_is_asked_for():
    """Checking a backward pass without its forward pass says which cell to run."""
    report = grade(
        "dropout_backward", {"dropout_backward": solution("dropout")["dropout_backward"]}, 0
    )
    assert "`dropout_forward` is not defined. Run the cell that defines it first." in flat(report)


def test_a_companion_that_is_not_written_is_named():
    """Checking a backward pass before the forward pass is written says so."""

    def dropout_forward(x, keep_prob, training, rng):
        raise NotImplementedError

    report = text("dropout_backward", dropout_forward=dropout_forward)
    assert "`dropout_backward` needs `dropout_forward`, which is not written yet." in report
    assert "In the case" not in report


def test_changed_arguments_are_told_by_name():
    """Working in place on an argument is told and costs points, right numbers or not."""

    def batch_norm_forward(x, gamma, beta, running_mean, running_var, training, *more, **options):
        right = solution("batch_norm")["batch_norm_forward"]
        result = right(x, gamma, beta, running_mean, running_var, training, *more, **options)
        running_mean[:] = result[1]
        return result

    report = grade("batch_norm_forward", {"batch_norm_forward": batch_norm_forward}, 0)
    assert report.points == 7.5
    assert "`running_mean` in place" in str(report)


def test_changed_numbers_and_new_keys_of_a_dict_are_told():
    """Counting the step in the caller's dict changes an argument as much as an array does."""

    def counts_in_place(param, grad, state, *arguments):
        result = solution("l2")["adam_step"](param, grad, dict(state), *arguments)
        state["step"] += 1
        state["seen"] = True
        return result

    report = grade("adam_step", {"adam_step": counts_in_place}, 0)
    assert report.points == 4.5
    assert "`state['step']`, `state['seen']` in place" in report.findings[-1].message


def test_an_exception_shows_the_students_own_lines():
    """The lines are the student's, none of the grader's, and there is no traceback."""

    def helper(x):
        return x.reshape(3, 5, 7)

    def batch_norm_forward(x, *arguments, **options):
        return helper(x)

    report = text("batch_norm_forward", batch_norm_forward=batch_norm_forward)
    assert "Your code raised ValueError: cannot reshape" in report
    assert "return x.reshape(3, 5, 7)" in report
    assert "return helper(x)" in report
    assert "observe.py" not in report
    assert "Traceback" not in report


@pytest.mark.parametrize("folder", ["site-packages", "dist-packages"])
def test_lines_of_a_library_are_not_shown(folder):
    """Wherever it is installed: on Debian and in Colab the folder has another name."""
    library = {}
    exec(compile("def fails(x): return x[99]", f"/usr/lib/{folder}/library.py", "exec"), library)

    def batch_norm_forward(x, *arguments, **options):
        return library["fails"](x)

    report = text("batch_norm_forward", batch_norm_forward=batch_norm_forward)
    assert "Your code raised IndexError" in report
    assert "batch_norm_forward, line" in report
    assert "fails, line" not in report


def test_exceptions_that_end_programs_end_only_the_case():
    """sys.exit() and an exception whose text raises are told like others."""

    class UnprintableError(Exception):
        def __str__(self):
            raise RuntimeError

    def leaves(*arguments, **options):
        sys.exit(3)

    def unprintable(*arguments, **options):
        raise UnprintableError

    assert "raised SystemExit" in text("batch_norm_forward", batch_norm_forward=leaves)
    assert "raised UnprintableError" in text("batch_norm_forward", batch_norm_forward=unprintable)


def test_an_interrupt_reaches_the_student():
    """Ctrl-C in a check stops the check."""

    def batch_norm_forward(*arguments, **options):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        grade("batch_norm_forward", {"batch_norm_forward": batch_norm_forward}, 0)


def test_prints_and_warnings_are_kept_quiet(capsys):
    """Prints go into the report, cut off; warnings are dropped; nothing costs points."""

    def batch_norm_forward(*arguments, **options):
        print("x" * 10_000)
        np.log(np.zeros(1))
        sys.stderr.write("to stderr")
        return solution("batch_norm")["batch_norm_forward"](*arguments, **options)

    report = grade("batch_norm_forward", {"batch_norm_forward": batch_norm_forward}, 0)
    assert report.passed
    assert report.printed.startswith("xxx")
    assert len(report.printed) < MAX_PRINTED + 100
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""


def test_observing_leaves_torchs_generator_alone():
    """A check between two draws of a student's own does not change them."""
    task = tasks["Dropout"]
    cases = task.draw(np.random.default_rng(0))
    with torch.random.fork_rng():
        torch.manual_seed(1)
        expected = torch.rand(2)
        torch.manual_seed(1)
        observe(task, solution("dropout"), cases)
        assert torch.equal(torch.rand(2), expected)


def test_unpack_takes_tuples_and_lists():
    """A list of the right length is as good as a tuple."""
    assert unpack("f", [1, 2], ("a", "b")) == (1, 2)
    with pytest.raises(NotObservedError, match="should return 2 values: a, b"):
        unpack("f", (1,), ("a", "b"))
