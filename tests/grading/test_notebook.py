"""What grading puts into a notebook: real sandboxes, no gradebook."""

import math
import re
import statistics
import time
from contextlib import ExitStack
from types import ModuleType

import nbformat
import pytest
from helpers.courses import (
    ROOT,
    SOURCE,
    answered,
    hand_in,
    make_course,
    released_course,
    source_file,
)

from autograder import check, demo
from autograder.grading import notebook as grading
from autograder.grading import observation
from autograder.intake import exercise, submission
from autograder.judging.report import Report
from autograder.sandbox import BACKENDS, Limits, Sandbox
from autograder.tasks import assignments

PENALTY = "0.5 * weight_decay * sum((weight**2).sum() for weight in weights)"
GRADIENT = "[weight_decay * weight for weight in weights]"
LIMITS = Limits(cell_seconds=3)

pytestmark = pytest.mark.sandbox


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    return make_course(tmp_path_factory.mktemp("course"))


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox(LIMITS) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def bare():
    with Sandbox(LIMITS, "none") as sandbox:
        yield sandbox


@pytest.fixture
def grade(course, sandbox):
    """Return a function that grades answers, with cells added at a place, and returns outputs."""

    def grade(added=(), place=2, key=b"key", where=sandbox, **answers):
        notebook = answered(course, **answers)
        notebook.cells[place:place] = map(nbformat.v4.new_code_cell, added)
        return outputs(notebook, course, where, key)

    return grade


def graded(notebook, key, sandbox):
    """Observe and judge a notebook."""
    seen = grading.observe_notebook(notebook, key, sandbox)
    return grading.judge_notebook(notebook, key, seen)


def outputs(notebook, course, sandbox, key=b"key"):
    """Grade a notebook that was handed in; return the outputs by cell id, students' in order."""
    release = exercise.student_notebook(exercise.source_notebook(source_file(course)))
    rebuilt = submission.rebuild(nbformat.writes(notebook).encode(), release).notebook
    outcome = graded(rebuilt, key, sandbox)
    outcome.fill(rebuilt, sandbox.backend.warning)
    nbformat.validate(rebuilt)
    return {cell.id: cell.outputs for cell in rebuilt.cells if cell.cell_type == "code"}


def points(graded):
    """Return the points of both tasks, as nbgrader reads them."""
    return tuple(
        float(graded[f"check-{task}"][0].data["text/plain"])
        for task in ("l2_penalty", "l2_penalty_backward")
    )


def shown(graded, cell):
    return "".join(str(output) for output in graded[cell])


def of_students(graded):
    """Return what cells that the student added put out, as one text."""
    return "".join(str(graded[cell]) for cell in graded if cell.startswith("student-"))


def test_each_check_gets_one_number_and_a_report(grade):
    """A finite number for nbgrader, a table for people, and nothing else."""
    graded = grade(l2_penalty="return weight_decay")
    for task in ("l2_penalty", "l2_penalty_backward"):
        [output] = graded[f"check-{task}"]
        assert math.isfinite(float(output.data["text/plain"]))
        assert f"{task}: " in output.data["text/html"]
    assert points(graded)[0] < 3
    assert points(graded)[1] == 3


@pytest.mark.parametrize(
    "noise",
    [
        "import sys; print('careful', file=sys.stderr)",
        "import warnings; warnings.warn('old')",
        "import warnings; warnings.simplefilter('error')",
        "import numpy; numpy.seterr(all='raise'); numpy.float64(1) / 3",
        "import logging; logging.getLogger().error('logged')",
        "print('x' * 10**6)",
        "import sys; sys.stdout.write = None",
        "import sys; sys.stdout = sys.stderr = None",
        "1 / 0",
        "def broken(:",
        "raise SystemExit(3)",
    ],
)
def test_noise_costs_no_points(grade, noise):
    """Warnings, prints and errors in cells of the student's own."""
    assert points(grade([noise])) == (3, 3)


def test_noise_in_an_answer_costs_no_points(grade):
    """Nor may what an answer prints or warns about while it is tried."""
    noise = (
        "import sys, warnings; warnings.warn('old'); print('out'); print('err', file=sys.stderr)"
    )
    assert points(grade(l2_penalty=f"{noise}; return {PENALTY}")) == (3, 3)


def test_what_cells_put_out_is_kept(grade):
    """Prints, values, errors and pictures, in their cells."""
    plot = "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()"
    graded = grade(["print('hello')\n6 * 7", "1 / 0", plot])
    for part in ("hello", "42", "ZeroDivisionError", "image/png"):
        assert part in of_students(graded)


def test_what_cells_put_out_is_capped(grade):
    """However much is printed, shown or drawn; the cell runs to its end."""
    flood = "for i in range(10**5): print('line', i)\nfor i in range(200): display(i)"
    graded = grade([flood, "print('y' * 10**7)", "print('still here')"])
    assert len(of_students(graded)) < 200_000
    assert "cut off" in of_students(graded)
    assert "still here" in of_students(graded)
    assert points(graded) == (3, 3)


def test_a_notebook_shows_only_so_much(grade, monkeypatch):
    """However many cells it takes; the points are not touched."""
    monkeypatch.setattr(observation, "MAX_SHOWN", 1000)
    graded = grade(["print('a' * 600)"] * 4)
    assert points(graded) == (3, 3)
    assert of_students(graded).count("a" * 600) == 1
    assert of_students(graded).count("more than can be kept") == 3


def test_what_is_forbidden_scores_nothing_and_says_why(grade):
    """In whichever cell it stands: the task that forbids it gets 0."""
    graded = grade(l2_penalty=f"import torch; return float(torch.tensor({PENALTY}))")
    assert points(graded)[0] == 0
    assert "torch" in shown(graded, "check-l2_penalty")


@pytest.mark.parametrize(
    "answer",
    {
        "not allowed": "import torch; return [torch.tensor(1.0)]",
        "input changed": f"found = {GRADIENT}; weights[0][...] = 0; return found",
        "library missing": "import rarelib; return rarelib.norm(weights)",
        "name missing": "return gradient(weights)",
        "not written": "raise NotImplementedError",
        "nothing returned": "weight_decay * 2",
        "wrong kind": "return weight_decay",
    }.items(),
    ids=lambda item: item[0],
)
def test_a_check_says_what_grading_says(course, grade, answer):
    """In the same words and with the same points, whatever is the matter with an answer."""
    _, code = answer
    notebook = answered(course, l2_penalty_backward=code)
    (cell,) = (cell for cell in notebook.cells if cell.id == "l2_penalty_backward")
    module = ModuleType("notebook")
    exec(f"import numpy as np\n{cell.source}", vars(module))
    (output,) = grade(l2_penalty_backward=code)["check-l2_penalty_backward"]
    graded = Report.from_dict(output.metadata.report)
    assert not graded.passed
    assert said(check(module.l2_penalty_backward)) == said(graded)


def said(report):
    """Return what a report says, but for the student's own lines."""
    return [
        (one.aspect, one.points, re.sub(r"\n  \w+, line \d+:.*", "", one.message))
        for one in report.findings
    ]


def test_a_cell_that_hangs_is_left_out(grade):
    """What was defined before is there again for the answers that follow it."""
    helper = "def times(weights, factor):\n    return [factor * weight for weight in weights]"
    graded = grade(
        [helper, "while True: pass", "after = 1"],
        place=6,
        l2_penalty_backward="assert after; return times(weights, weight_decay)",
    )
    # Which of its two limits it meets first depends on how busy the machine is.
    assert "This cell was left out. It " in of_students(graded)
    assert points(graded) == (3, 3)


def test_the_inputs_follow_from_the_key(grade):
    """A wrong answer is shown numbers; they are the same for the same key and for no other."""
    reports = [
        shown(grade(key=key, l2_penalty=f"return 3.3 * {PENALTY}"), "check-l2_penalty")
        for key in (b"one", b"one", b"other")
    ]
    assert reports[0] == reports[1] != reports[2]


def test_grading_again_gives_the_same_outputs(grade, bare):
    """Random numbers and the order of sets included, from another process too."""
    drawn = "import random, numpy as np\nprint(random.random(), np.random.rand(2), set('abcdef'))"
    first = grade([drawn])
    assert grade([drawn]) == first
    assert of_students(grade([drawn], where=bare)) == of_students(first)


def test_without_a_sandbox_every_report_says_so(grade, bare):
    """A right answer's too; in a sandbox none does."""
    notice = "Graded without a sandbox"
    for task in ("l2_penalty", "l2_penalty_backward"):
        assert notice in shown(grade(where=bare), f"check-{task}")
        assert notice not in shown(grade(), f"check-{task}")


@pytest.mark.parametrize(
    "answer",
    [
        "return float('nan')",
        "return float('inf')",
        "return 10**400",
        "return [1, [2, 3]]",
        "return lambda: 1",
        "import numpy; return numpy.zeros((0, 2**20))",
        "import numpy; return numpy.full(1, 1j)",
        "import numpy; return numpy.array(['a'])",
        "import numpy; return numpy.datetime64('2020')",
        "import numpy; return numpy.zeros(10**8)",
    ],
)
def test_whatever_is_returned_is_judged(grade, answer):
    """With a finite number, and the other task is not affected."""
    assert points(grade(l2_penalty=answer)) == (0, 3)


@pytest.mark.parametrize("helper", ["scores", "train", "loss"])
def test_a_name_of_a_demonstration_may_be_a_students_own(sandbox, tmp_path, helper):
    """Demonstrations are not run, so whatever they use, a helper of that name costs nothing."""
    demonstration = f"import torch\n{helper} = torch.nn.functional.relu\n{helper}(torch.ones(1))"
    source = SOURCE.replace('raise RuntimeError("grading has run a demonstration")', demonstration)
    course = make_course(tmp_path, source)
    notebook = answered(course, l2_penalty=f"return {helper}(weights, weight_decay)")
    own = f"def {helper}(weights, weight_decay):\n    return {PENALTY}"
    notebook.cells.insert(2, nbformat.v4.new_code_cell(own))
    assert points(outputs(notebook, course, sandbox)) == (3, 3)


@pytest.mark.evidence
def test_what_isolation_costs():
    """Seconds for the same submissions with a sandbox and without, by turns in one run."""
    handed_in = []
    for name in assignments:
        source = exercise.source_notebook(ROOT / "exercises" / name / f"{name}.py")
        release = exercise.student_notebook(source)
        for kind in ("complete", "untouched", "half done", "mistake 1", "mistake 2"):
            text = nbformat.writes(demo.submission(source, name, kind)).encode()
            handed_in.append((text, release))
    seconds = {name: [] for name in BACKENDS}
    reports = {name: [] for name in BACKENDS}
    with ExitStack() as stack:
        sandboxes = {name: stack.enter_context(Sandbox(backend=name)) for name in BACKENDS}
        for name, sandbox in sandboxes.items():
            started = time.monotonic()
            sandbox.check()
            print(f"\n{name}: ready after {time.monotonic() - started:.2f} s", end="")
        for text, release in handed_in:
            for name, sandbox in sandboxes.items():
                notebook = submission.rebuild(text, release).notebook
                started = time.monotonic()
                outcome = graded(notebook, b"key", sandbox)
                seconds[name].append(time.monotonic() - started)
                reports[name].append(outcome.reports)
    assert reports["bubblewrap"] == reports["none"]
    with_it, without = (statistics.median(seconds[name]) for name in ("bubblewrap", "none"))
    differences = map(float.__sub__, seconds["bubblewrap"], seconds["none"])
    print(
        f"\n{len(handed_in)} submissions, median seconds each: {with_it:.3f} with a sandbox, "
        f"{without:.3f} without; ratio {with_it / without:.2f}, median of the differences "
        f"{statistics.median(differences):.3f} s"
    )
    assert with_it < 3 * without + 1


def test_a_replay_gives_the_same_report(tmp_path):
    """What a student reads on the page, `check` says in the notebook, to the word."""
    course = released_course(tmp_path)
    wrong = "return 3.3 * weight_decay * sum(float((weight**2).sum()) for weight in weights)"
    notebook = answered(course, l2_penalty=wrong)
    hand_in(course, "ann", notebook)
    reports = course.grader.job("l2", "ann").run().reports
    told = reports["check-l2_penalty"]
    assert f'check(l2_penalty, replay="{told.replay}")' in str(told)
    assert not reports["check-l2_penalty_backward"].replay
    namespace = {"__name__": "notebook"}
    exec(next(cell.source for cell in notebook.cells if cell.id == "l2_penalty"), namespace)
    again = check(namespace["l2_penalty"], replay=told.replay)
    assert again.findings == told.findings
