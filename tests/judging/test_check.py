"""`check` as a student calls it, and the public face of the package."""

import re
import subprocess
import sys
import time
from collections import Counter

import numpy as np
import pytest
import torch
from helpers.solutions import solution

import autograder
from autograder import check, grade, tasks
from autograder.judging import limits
from autograder.judging.check import PUBLIC_SEED
from autograder.judging.fingerprint import probe_cases
from autograder.judging.replay import code_of


def test_the_public_names_are_these():
    """What others may rely on is one explicit list."""
    names = {"Finding", "Report", "check", "grade", "hint", "progress", "ready", "tasks"}
    assert set(autograder.__all__) == names
    assert autograder.tasks["l2_penalty"].name == "l2_penalty"


def test_importing_the_package_does_not_import_torch():
    """Torch comes when the first check needs it, so a notebook's first cell is quick."""
    code = "import sys, autograder; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_companions_come_from_where_the_function_was_defined():
    """Checking a backward pass uses the forward pass beside it."""
    assert check(solution("batch_norm")["batch_norm_backward"]).passed


def renamed(weights, weight_decay):
    return 0.0


def test_something_else_is_refused_with_the_names_that_are_known():
    """Passing anything but one of the course's functions says which ones there are."""
    with pytest.raises(TypeError, match=r"does not know `renamed`.*l2_penalty"):
        check(renamed)
    with pytest.raises(TypeError, match=r"the type int\..*without calling it"):
        check(3)
    with pytest.raises(TypeError, match=r"the type Dropout\..*without calling it"):
        check(solution("dropout")["Dropout"](0.5))
    with pytest.raises(TypeError, match="without quotes"):
        check("l2_penalty")


def test_modules_that_an_answer_takes_away_come_back():
    """There is a report and no traceback, and the next check works."""

    def l2_penalty(weights, weight_decay):
        for name in [one for one in sys.modules if one.startswith("torch")]:
            del sys.modules[name]
        sys.meta_path.clear()
        return 0.0

    assert check(l2_penalty).points == 0
    assert check(solution("l2")["l2_penalty"]).passed


def probe_l2():
    return [{"weights": [np.array([[1.5, -0.5]])], "weight_decay": 1.0}]


def test_impostors_are_named_at_the_third_try(monkeypatch):
    """Two checks give riddles; a check of an answer that earns nothing is no try."""
    monkeypatch.setattr("autograder.judging.check._tries", Counter())
    name = "It multiplies by weight_decay twice."

    def not_written():
        raise NotImplementedError

    not_written.__name__ = "probe_l2"
    reports = [check(answer) for answer in (not_written, probe_l2, probe_l2, probe_l2)]
    assert [name in report.findings[0].message for report in reports] == [False, False, False, True]


def test_what_is_kept_for_grading_is_not_in_a_check():
    """A check speaks of twelve impostors, grading of sixteen."""
    functions = {"probe_l2": probe_l2}
    assert "of 12 get away" in str(check(probe_l2))
    assert "of 16 get away" in str(grade("probe_l2", functions, seed=1))
    assert len(probe_cases(tasks["probe_l2"])) == 1


def test_check_and_grade_say_the_same():
    """The check is the grade on public inputs."""
    functions = solution("l2")
    assert (
        check(functions["l2_penalty"]).to_dict()
        == grade("l2_penalty", functions, PUBLIC_SEED).to_dict()
    )


def test_under_autograde_the_text_is_the_number(monkeypatch):
    """The plain text is what nbgrader reads as partial credit; the table stands beside it."""
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")

    def l2_penalty(weights, weight_decay):
        return np.float64(7.0)

    report = check(l2_penalty)
    assert float(repr(report)) == report.points == 0.0
    assert "expected" in report._repr_html_()
    assert float(repr(check(solution("l2")["l2_penalty"]))) == 3.0


def test_under_validate_a_wrong_answer_raises_the_report(monkeypatch):
    """`nbgrader validate` shows the report, and nothing of the grader's own lines."""
    monkeypatch.setenv("NBGRADER_EXECUTION", "validate")

    def l2_penalty(weights, weight_decay):
        return np.float64(7.0)

    with pytest.raises(AssertionError, match="l2_penalty: 0 of 3 points") as caught:
        check(l2_penalty)
    assert caught.value._render_traceback_() == [str(caught.value)]
    assert check(solution("l2")["l2_penalty"]).passed


def penalty_after(work):
    """Return a right answer that works on something else the first time that it is called."""
    right, todo = solution("l2")["l2_penalty"], [work]

    def l2_penalty(weights, weight_decay):
        if todo:
            todo.pop()()
        return right(weights, weight_decay)

    return l2_penalty


def compute(seconds):
    """Use processor time."""
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def test_what_takes_too_long_is_told_what_grading_says(monkeypatch):
    """The time is the processor's: whoever waits for something does not lose points by it."""
    monkeypatch.setattr(limits, "SECONDS", 0.5)
    slow = check(penalty_after(lambda: compute(0.6)))
    assert slow == limits.refused(
        tasks["l2_penalty"], limits.not_judged("It used more than 0.5 seconds of processor time.")
    )
    assert check(penalty_after(lambda: time.sleep(0.6))).passed


def test_an_interrupted_check_says_where_it_was():
    """In a sentence and the student's lines; PyTorch is there again, and the notebook stops."""

    def endless():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match="Interrupted after 0 seconds") as caught:
        check(penalty_after(endless))
    (shown,) = caught.value._render_traceback_()
    assert "grading stops a task after 30." in shown
    assert re.search(r"^  endless, line \d+: raise KeyboardInterrupt$", shown, re.MULTILINE)
    assert "autograder" not in shown
    assert torch.ones(1).item() == 1


def off_by_a_little(functions, name):
    """Return the functions with one whose numbers are all wrong in a way that nobody declared."""
    right = functions[name]

    def off(value):
        if isinstance(value, tuple | list):
            return type(value)(off(item) for item in value)
        if isinstance(value, dict):
            return {key: off(item) for key, item in value.items()}
        if isinstance(value, float | np.ndarray | torch.Tensor):
            return value * 1.01 + 0.01
        return value

    if isinstance(right, type):
        wrong = type(name, (right,), {"forward": lambda self, x: off(right.forward(self, x))})
    else:

        def wrong(*arguments, **options):
            return off(right(*arguments, **options))

    return {**functions, name: wrong}


@pytest.mark.evidence
def test_checks_answer_in_a_blink(capsys):
    """Every check answers within 0.2 s, right or wrong; the one that trains within 3 s."""
    rows = []
    for name in tasks:
        functions = solution(tasks[name].assignment.name)
        for kind, tried in (("right", functions), ("wrong", off_by_a_little(functions, name))):
            grade(name, tried, 0)
            seconds = []
            for _ in range(5):
                start = time.perf_counter()
                grade(name, tried, PUBLIC_SEED)
                seconds.append(time.perf_counter() - start)
            rows.append((name, kind, float(np.median(seconds)), max(seconds)))
    with capsys.disabled():
        print(f"\n{'task':24} {'answer':6} {'median s':>9} {'worst s':>9}")
        for name, kind, median, worst in rows:
            print(f"{name:24} {kind:6} {median:9.4f} {worst:9.4f}")
    for name, kind, median, _ in rows:
        assert median < (3.0 if name == "train" else 0.2), (name, kind)


def l2_penalty(weights, weight_decay):
    """Return twice the penalty."""
    return weight_decay * sum(float((weight**2).sum()) for weight in weights)


def test_a_case_hands_back_its_inputs():
    """They are the student's own: changing them changes nothing for the next time."""
    inputs = check(l2_penalty, case="one vector")
    assert inputs.keys() == {"weights", "weight_decay"}
    inputs["weights"][0][:] = 0
    assert check(l2_penalty, case="one vector")["weights"][0].any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"case": "no such"}, "has no case 'no such'. Its cases are “one matrix”"),
        ({"replay": "k7qx"}, "'k7qx' is no code of a feedback page. Copy the whole call"),
    ],
)
def test_an_unknown_case_or_code_is_said_in_a_line(options, message):
    """With what there is, or what to do."""
    with pytest.raises(TypeError, match=message):
        check(l2_penalty, **options)


def test_a_replay_meets_other_inputs_and_the_same_each_time():
    """The report quotes numbers of that draw."""
    code = code_of(5)
    replayed = check(l2_penalty, replay=code)
    assert replayed == check(l2_penalty, replay=code)
    assert str(replayed) != str(check(l2_penalty))
    weights = [
        check(l2_penalty, case="one vector", replay=one)["weights"] for one in (code, code, "")
    ]
    assert np.array_equal(weights[0][0], weights[1][0])
    assert not np.array_equal(weights[0][0], weights[2][0])
