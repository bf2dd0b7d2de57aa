"""What `check` says in a notebook and what grading says in a sandbox, of the same answers."""

import math
import multiprocessing
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
from attacks import disguises
from helpers.solutions import source_of
from mutants.held_out import held_out, style_source
from mutants.table import answers
from sandbox.test_wall import batch_norm, dropout, gradients

from autograder import grade, tasks
from autograder.intake.cells import is_answer
from autograder.intake.exercise import source_notebook
from autograder.judging.judge import judge
from autograder.sandbox import EndedError, Limits, Sandbox
from autograder.tasks import assignments

pytestmark = pytest.mark.sandbox

SEED = 5
SETUP = "import numpy as np\nimport torch\nfrom torch import nn"


@dataclass(frozen=True)
class Answer:
    """An answer to a task, as cells of code."""

    kind: str
    what: str
    task: str
    cells: tuple[str, ...]


def right() -> Iterator[Answer]:
    """Yield the right answers in every style."""
    for assignment in assignments:
        for style, name in held_out(assignment):
            source = style_source(assignment, style)
            defined = f"globals().update({{one.__name__: one for one in {style}()}})"
            yield Answer("right", style, name, (SETUP, source, defined))


def wrong(every: int) -> Iterator[Answer]:
    """Yield some mutants of the course's own solutions, the other answers as they are."""
    for name, task in tasks.items():
        notebook = source_notebook(source_of(task.assignment.name))
        cells = {cell.id: cell.source for cell in notebook.cells if is_answer(cell)}
        for mutant in next(answers(name)).mutants(every):
            changed = {**cells, name: mutant.source}
            yield Answer("wrong", mutant.words, name, (SETUP, *changed.values()))


def forbidden() -> Iterator[Answer]:
    """Yield answers that use what their task does not allow."""
    for how, disguise in disguises.TORCH.items():
        yield Answer("forbidden", how, "l2_penalty_backward", (SETUP, *gradients(*disguise)))
    for how, disguise in disguises.DROPOUT.items():
        yield Answer("forbidden", how, "Dropout", tuple(dropout(*disguise)))
    for how, disguise in disguises.BATCH_NORM.items():
        yield Answer("forbidden", how, "BatchNorm1d", tuple(batch_norm(*disguise)))


def graded(sandbox: Sandbox, answer: Answer) -> dict[str, float]:
    """Return the points of each aspect that grading gives."""
    task = tasks[answer.task]
    cases = task.draw(np.random.default_rng(SEED))
    try:
        with sandbox.session(7, math.inf, task.forbidden) as session:
            for cell in answer.cells:
                session.run_cell(cell)
            report = judge(task, cases, session.observe(task, cases))
    except EndedError:
        return {}
    return {one.aspect: one.points for one in report.findings}


def checked(answer: Answer) -> dict[str, float]:
    """Return the points of each aspect that `check` gives on the same inputs."""
    names = {"__name__": "notebook"}
    for cell in answer.cells:
        try:
            exec(compile(cell, "<cell>", "exec"), names)
        except Exception:
            # A notebook goes on after a cell that fails.
            continue
    return {one.aspect: one.points for one in grade(answer.task, names, SEED).findings}


def differences(found: list[Answer]) -> tuple[Counter[str], list[str]]:
    """Return how many answers of each kind there were, and those of which the two differ."""
    counts: Counter[str] = Counter()
    different = []
    # An answer may change its process for ever.  Nothing else runs here while processes are forked,
    # or they could wait for a lock for ever.
    with multiprocessing.get_context("fork").Pool(1, maxtasksperchild=1) as pool:
        reports = pool.map(checked, found, chunksize=1)
    with Sandbox(Limits(cell_seconds=20)) as sandbox:
        for answer, here in zip(found, reports, strict=True):
            counts[answer.kind] += 1
            there = graded(sandbox, answer)
            if (there or dict.fromkeys(here, 0)) != here:
                different.append(f"{answer.kind} {answer.task}, {answer.what}: {here}; {there}")
    return counts, different


def test_some_answers_are_judged_alike():
    """One answer of each kind: a right one, a wrong one, and one that uses what it may not."""
    kinds = (right(), wrong(50), forbidden())
    counts, different = differences([next(answer) for answer in kinds])
    assert counts == {"right": 1, "wrong": 1, "forbidden": 1}
    assert not different


@pytest.mark.evidence
def test_every_answer_is_judged_alike():
    """Whatever is right, wrong or forbidden: the same points for the same inputs."""
    counts, different = differences([*right(), *wrong(20), *forbidden()])
    print(f"\n{dict(counts)}; {len(different)} differ", *different, sep="\n")
    assert not different
