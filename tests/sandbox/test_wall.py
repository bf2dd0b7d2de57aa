"""What a task forbids is not there, however an answer asks for it."""

import math
import textwrap
from types import ModuleType

import numpy as np
import pytest
from attacks import disguises
from attacks.honest import DROPOUT as HONEST_DROPOUT
from attacks.honest import L2_PENALTY

from autograder import grade, tasks
from autograder.judging.judge import judge
from autograder.judging.wall import MESSAGES
from autograder.sandbox import EndedError, Limits, Sandbox

pytestmark = pytest.mark.sandbox

DROPOUT = """
class Dropout(nn.Module):
    def __init__(self, p):
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError("p is a probability")
        self.p = p

    def forward(self, x):
        return {}
"""
BATCH_NORM = """
class BatchNorm1d(nn.Module):
    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.weight = nn.Parameter(torch.ones(num_features))
        self.bias = nn.Parameter(torch.zeros(num_features))
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_var", torch.ones(num_features))
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    def forward(self, x):
        mean, var = self.running_mean, self.running_var
        if not self.training:
            return self.weight * (x - mean) / torch.sqrt(var + self.eps) + self.bias
        if len(x) == 1:
            raise ValueError("one row")
        with torch.no_grad():
            mean.lerp_(x.mean(dim=0), self.momentum)
            var.lerp_(x.var(dim=0), self.momentum)
            self.num_batches_tracked += 1
        normalized = {}
        return self.weight * normalized + self.bias
"""
SETUP = "import numpy as np\nimport torch\nfrom torch import nn"


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox(Limits(cell_seconds=20)) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def landlock():
    with Sandbox(Limits(cell_seconds=20), "landlock") as sandbox:
        yield sandbox


def report(sandbox, name, cells, forbidden=None):
    """Return the report on an answer that some cells define."""
    task = tasks[name]
    cases = task.draw(np.random.default_rng(5))
    where = task.forbidden if forbidden is None else forbidden
    with sandbox.session(7, math.inf, where) as session:
        for cell in cells:
            session.run_cell(cell)
        return judge(task, cases, session.observe(task, cases))


def points(*arguments, **options):
    """Return its points; none if it ends its process."""
    try:
        return report(*arguments, **options).points
    except EndedError:
        return 0


def gradients(before, body):
    body = textwrap.indent(f"{body}\n{disguises.GRADIENTS.strip()}", "    ")
    return [before, f"def l2_penalty_backward(weights, weight_decay):\n{body}"]


@pytest.mark.parametrize("disguise", disguises.TORCH)
def test_a_numpy_answer_finds_no_torch(sandbox, disguise):
    """Neither in memory nor on disk, by any name."""
    assert points(sandbox, "l2_penalty_backward", gradients(*disguises.TORCH[disguise])) == 0


@pytest.mark.parametrize("disguise", ["importlib", "path finder", "subprocess", "shared library"])
def test_nor_where_there_are_no_namespaces(landlock, disguise):
    """The files of PyTorch cannot be read there either."""
    assert points(landlock, "l2_penalty_backward", gradients(*disguises.TORCH[disguise])) == 0
    with landlock.session(7, math.inf, ("torch",)) as session:
        session.run_cell("import sysconfig, os; site = sysconfig.get_paths()['purelib']")
        [output] = session.run_cell("open(os.path.join(site, 'torch', '__init__.py')).read()")
    assert output.name == "PermissionError"


def dropout(before, value):
    return [SETUP, before, DROPOUT.format(value)]


@pytest.mark.parametrize("disguise", disguises.DROPOUT)
def test_an_answer_about_dropout_finds_no_dropout(sandbox, disguise):
    """It earns no more than one that drops nothing."""
    wrong = points(sandbox, "Dropout", dropout("", "x.clone()"))
    assert points(sandbox, "Dropout", dropout(*disguises.DROPOUT[disguise])) <= wrong


def batch_norm(before, value):
    return [SETUP, before, BATCH_NORM.format(value)]


@pytest.mark.parametrize("disguise", disguises.BATCH_NORM)
def test_an_answer_about_batch_norm_finds_no_normalization(sandbox, disguise):
    """It earns no more than one that only centers."""
    wrong = points(sandbox, "BatchNorm1d", batch_norm("", "x - x.mean(dim=0)"))
    assert wrong < tasks["BatchNorm1d"].max_points
    found = points(sandbox, "BatchNorm1d", batch_norm(*disguises.BATCH_NORM[disguise]))
    assert found <= wrong


def test_without_the_wall_they_would_pay(sandbox):
    """So there is something that the wall keeps away."""
    for name, cells in (
        ("l2_penalty_backward", gradients(*disguises.TORCH["importlib"])),
        ("Dropout", dropout(*disguises.DROPOUT["operation"])),
        ("BatchNorm1d", batch_norm(*disguises.BATCH_NORM["functional"])),
    ):
        task = tasks[name]
        assert points(sandbox, name, cells, forbidden=()) == task.max_points
        assert points(sandbox, name, cells) < task.max_points


def indented(text, by):
    return textwrap.indent(text, " " * by)


def honest_penalty(before, body):
    answer = f"def l2_penalty(weights, weight_decay):\n{indented(body, 4)}"
    return ["import numpy as np", before, answer]


def honest_dropout(before, init, forward):
    base = "Base" if "class Base" in before else "nn.Module"
    return [
        SETUP,
        before,
        f"class Dropout({base}):\n    def __init__(self, p):\n        super().__init__()\n"
        f"{indented(init, 8)}\n    def forward(self, x):\n{indented(forward, 8)}",
    ]


HONEST = {
    **{f"l2_penalty: {key}": ("l2_penalty", honest_penalty(*of)) for key, of in L2_PENALTY.items()},
    **{f"Dropout: {key}": ("Dropout", honest_dropout(*of)) for key, of in HONEST_DROPOUT.items()},
}


@pytest.mark.parametrize("style", HONEST)
def test_honest_code_keeps_its_points(sandbox, style):
    """Whatever it mentions, prints, imports or compares with."""
    name, cells = HONEST[style]
    assert points(sandbox, name, cells) == tasks[name].max_points


@pytest.mark.parametrize("style", HONEST)
def test_check_says_the_same_as_grading(style):
    """An answer that is right for the grade is right in the notebook."""
    name, cells = HONEST[style]
    module = ModuleType("notebook")
    for cell in cells:
        if not cell.startswith("%"):
            exec(compile(cell, "<cell>", "exec"), vars(module))
    assert grade(name, vars(module), 1).passed


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("l2_penalty_backward", gradients(*disguises.TORCH["another name"])),
        ("Dropout", dropout(*disguises.DROPOUT["functional"])),
        ("Dropout", dropout(*disguises.DROPOUT["module"])),
        ("Dropout", [SETUP, "", "class Dropout(nn.Dropout): pass"]),
        ("BatchNorm1d", batch_norm(*disguises.BATCH_NORM["layers"])),
        ("BatchNorm1d", [SETUP, "", "class BatchNorm1d(nn.BatchNorm1d): pass"]),
    ],
)
def test_check_and_grade_say_in_the_same_words_what_is_not_allowed(sandbox, name, cells):
    """Nobody learns it from the grade."""
    module = ModuleType("notebook")
    for cell in cells:
        exec(compile(cell, "<cell>", "exec"), vars(module))
    (forbidden,) = tasks[name].forbidden
    for found in (grade(name, vars(module), 1), report(sandbox, name, cells)):
        assert MESSAGES[forbidden] in " ".join(one.message for one in found.findings)
