"""Make the tables of fingerprints: run every mutant of several right answers to each task.

`make fingerprints` writes them into the package.  They hold numbers and words, and no program.
"""

import ast
import sys
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from helpers.solutions import solution, source_of
from mutants.mutate import Mutant, described_mutants, lines_of_solutions
from mutants.trial import PROGRAMS, names_alike, time_limit

import autograder
from autograder import tasks
from autograder.intake.cells import is_answer
from autograder.intake.exercise import source_notebook
from autograder.judging.diagnosis import compatible, joined
from autograder.judging.fingerprint import (
    FORWARD,
    MISSING,
    cells,
    digest,
    fingerprint,
    is_same,
    probe_cases,
)
from autograder.judging.fingerprint import numbers_of as numbers_of_output
from autograder.judging.observe import observe
from autograder.judging.observed import CaseResult, TaskResult
from autograder.judging.trial import Trials
from autograder.task import REQUIRED, Case, Expected, Misconception, Task, array_of

ANSWERS = Path(__file__).parent / "answers"
TABLES = Path(autograder.__file__).parent / "judging" / "fingerprints"
SECONDS = 5
MOST_WORDS = 3
RETURNS = {
    "batch_norm_forward": ("out", "running_mean", "running_var", "cache"),
    "batch_norm_2d_forward": ("out", "running_mean", "running_var", "cache"),
    "batch_norm_backward": ("d_x", "d_gamma", "d_beta"),
    "batch_norm_2d_backward": ("d_x", "d_gamma", "d_beta"),
    "fold_batch_norm": ("W_folded", "b_folded"),
    "layer_norm_forward": ("out", "cache"),
    "layer_norm_backward": ("d_x", "d_gamma", "d_beta"),
    "rms_norm_forward": ("out", "cache"),
    "rms_norm_backward": ("d_x", "d_gamma"),
    "group_norm_forward": ("out",),
    "dropout_forward": ("out", "cache"),
    "dropout_backward": ("d_x",),
    "l2_penalty": ("the penalty",),
    "l2_penalty_backward": ("the gradients",),
    "softmax_regression": ("loss", "d_W", "d_b"),
    "sgd_step": ("param",),
    "adam_step": ("param", "state"),
    "two_layer_net": ("loss", "grads", "running"),
    "predict": ("scores",),
    "train": ("params", "running", "losses"),
    "monte_carlo_predict": ("mean", "std"),
}


@dataclass(frozen=True)
class Answer:
    """A right answer to a task.

    Attributes
    ----------
    name
        The task.
    source
        The code, which may hold other answers too.
    lines
        The lines of this one.
    before
        What is defined before the code runs.
    """

    name: str
    source: str
    lines: frozenset[int]
    before: Mapping[str, Any]

    @property
    def file(self) -> str:
        """The name of the file that it is compiled from."""
        return f"<answer to {self.name}>"

    def functions(self, source: str) -> dict[str, Any]:
        """Run the code, changed or not, and return what it defines."""
        module = ModuleType("answer")
        vars(module).update(self.before)
        exec(compile(source, self.file, "exec"), vars(module))
        return vars(module)

    def mutants(self, every: int = 1) -> list[Mutant]:
        """Return its mutants, or every so many of them, in words."""
        functions = self.functions(self.source)
        alike = names_alike(self.name, functions, self.file)
        broadcast = names_alike(self.name, functions, self.file, broadcast=True)
        return described_mutants(self.source, alike, set(self.lines), RETURNS, every, broadcast)


def answers(name: str) -> Iterator[Answer]:
    """Yield the right answers from which the table of a task is made."""
    assignment = tasks[name].assignment.name
    notebook = source_notebook(source_of(assignment))
    (source,) = (cell.source for cell in notebook.cells if is_answer(cell) and cell.id == name)
    yield Answer(name, source, frozenset(lines_of_solutions(source)), solution(assignment))
    for path in sorted(ANSWERS.glob(f"{assignment}_*.py")):
        source = path.read_text()
        for node in ast.parse(source).body:
            if getattr(node, "name", "") == name:
                lines = frozenset(range(node.lineno, node.end_lineno + 1))
                yield Answer(name, source, lines, solution(assignment))


def numbers_of(name: str, functions: Mapping[str, Any]) -> np.ndarray | None:
    """Return the fingerprint of some answers to a task; None if an output is missing."""
    return settled_numbers(tasks[name], _cases(name), functions)


def settled_numbers(
    task: Task, cases: Sequence[Case], functions: Mapping[str, Any]
) -> np.ndarray | None:
    """Return the fingerprint of some answers in these cases; None if an output is missing.

    What depends on which random numbers are drawn is infinite, so that nothing matches it: PyTorch
    draws others on processors of another maker.
    """
    numbers = _numbers_of(task, cases, functions)
    if task.read_draws is None:
        return numbers
    for added in (1, 2):
        others = [
            replace(one, inputs={**one.inputs, "seed": one.inputs["seed"] + added}) for one in cases
        ]
        again = _numbers_of(task, others, functions)
        if numbers is None or again is None:
            return None
        numbers = np.where(is_same(numbers, again, task), numbers, np.inf)
    return numbers


def _numbers_of(
    task: Task, cases: Sequence[Case], functions: Mapping[str, Any]
) -> np.ndarray | None:
    trials = Trials(task, cases, observe(task, functions, cases))
    if any(trial.problems for trial in trials):
        return None
    if not _has_numbers(trials):
        # Many programs return nothing but NaN; that two of them do makes them no less different.
        return None
    if task.read_draws is None:
        # The reference is computed once, and not for each of thousands of programs.
        for trial, expected in zip(trials, _expected(task.name), strict=True):
            trial._expected[()] = expected
    return fingerprint(trials)


def _has_numbers(trials: Trials) -> bool:
    """Return whether each output is finite somewhere, if not in all cases."""
    found: dict[str, bool] = {}
    for trial, output in cells(trials):
        got = trial.got(output)
        if got is not None and got.dtype.kind == "f" and got.size:
            found[output] = found.get(output, False) or bool(np.isfinite(got).any())
    return all(found.values())


@cache
def _cases(name: str) -> list[Case]:
    return [case for case in probe_cases(tasks[name]) if case.group != REQUIRED]


@cache
def _expected(name: str) -> list[dict[str, Expected]]:
    nothing = TaskResult(tuple(CaseResult({}) for _ in _cases(name)))
    return [trial.expected() for trial in Trials(tasks[name], _cases(name), nothing)]


def dependents(name: str) -> list[str]:
    """Return a task and those whose answers call the answer to it."""
    return [name, *(one.name for one in tasks.values() if name in one.depends_on)]


def wrong_programs(name: str, wanted: Collection[str]) -> Iterator[tuple[str, np.ndarray, str]]:
    """Yield task, fingerprint and words of every mutant of the answers to a task.

    They are also tried as companions of those of the wanted tasks that depend on it, if they are
    what a student would write.
    """
    torch.set_num_threads(1)
    tried = [one for one in dependents(name) if one in wanted]
    for answer in answers(name):
        right = {one: numbers_of(one, answer.functions(answer.source)) for one in tried}
        for mutant in answer.mutants():
            try:
                with time_limit(SECONDS):
                    functions = answer.functions(mutant.source)
                    for one in tried:
                        if mutant.wider and one != name:
                            continue
                        numbers = numbers_of(one, functions)
                        if numbers is None or np.isin(numbers, MISSING).any():
                            continue
                        same = is_same(numbers, right[one], tasks[one])
                        if same[np.isfinite(numbers)].all():
                            continue
                        where = "" if one == name else f"in `{name}`, "
                        yield one, numbers, where + mutant.words
            except Exception as error:
                print(f"{name}: {mutant.words}: {error!r}", file=sys.stderr)


def grouped(
    name: str, found: list[tuple[np.ndarray, str]]
) -> list[tuple[np.ndarray, tuple[str, ...]]]:
    """Put programs with the same numbers together, with the words that fit most of them."""
    groups: list[tuple[np.ndarray, Counter[str]]] = []
    rows = np.empty((0, len(found[0][0]))) if found else np.empty((0, 0))
    for numbers, words in found:
        both = is_same(rows, numbers, tasks[name]) | (rows == numbers)
        same = np.flatnonzero(both.all(axis=1))
        if same.size:
            groups[same[0]][1][words] += 1
        else:
            groups.append((numbers, Counter([words])))
            rows = np.vstack([rows, numbers])
    return [(numbers, _most_fitting(counts)) for numbers, counts in groups]


def _most_fitting(counts: Counter[str]) -> tuple[str, ...]:
    """Return the words that fit most programs, without those that others say less narrowly."""
    said = [
        one
        for one in counts
        if not any(one.startswith((f"{other} in ", f"{other}, ")) for other in counts)
    ]
    said.sort(key=lambda one: (one.startswith("in `"), -counts[one], len(one), one))
    return tuple(said[:MOST_WORDS])


def _run(wanted: Collection[str], name: str) -> list[tuple[str, np.ndarray, str]]:
    start = time.perf_counter()
    found = list(wrong_programs(name, wanted))
    print(f"{name}: {len(found)} in {time.perf_counter() - start:.0f} s", flush=True)
    return found


def known(name: str) -> tuple[list[str], np.ndarray]:
    """Return the known mistakes of a task and of its forward pass, with their fingerprints."""
    task = tasks[name]
    numbers = [_known_numbers(name, mistake.replaces) for _, mistake in _catalogue(task)]
    return [label for label, _ in _catalogue(task)], np.array(numbers)


def known_pairs(name: str) -> tuple[list[str], np.ndarray]:
    """Return the pairs of known mistakes that leave no output open, with their digests."""
    task, labels, rows = tasks[name], [], []
    forward = task.forward_task.misconceptions if task.forward_task else ()
    for mistakes, prefix in ((task.misconceptions, ""), (forward, FORWARD)):
        for pair in compatible(mistakes):
            numbers = _known_numbers(name, {**pair[0].replaces, **pair[1].replaces})
            if np.isfinite(numbers).all():
                labels.append(joined(pair, prefix))
                rows.append(digest(numbers))
    return labels, np.array(rows).reshape(-1, 2)


def _catalogue(task: Task) -> list[tuple[str, Misconception]]:
    forward = task.forward_task.misconceptions if task.forward_task else ()
    return [(one.id, one) for one in task.misconceptions] + [
        (FORWARD + one.id, one) for one in forward
    ]


def _known_numbers(name: str, replaces: Mapping[str, Any]) -> np.ndarray:
    """Return the fingerprint of the reference with some steps replaced."""
    task, cases, numbers = tasks[name], _cases(name), []
    with np.errstate(all="ignore"):
        results = [
            CaseResult(
                {
                    key: array_of(value)
                    for key, value in task.reference(case.inputs, **replaces).items()
                }
            )
            for case in cases
        ]
        trials = Trials(task, cases, TaskResult(tuple(results)))
        for trial, expected in zip(trials, _expected(task.name), strict=True):
            trial._expected[()] = expected
        for trial, output in cells(trials):
            left_open = output in trial.expected() and output not in trial.observed
            numbers.append((np.nan, np.nan) if left_open else numbers_of_output(trial, output))
    return np.array(numbers).ravel()


def write(name: str, programs: list[tuple[np.ndarray, str]]) -> str:
    """Write the table of a task, and return a line about it."""
    torch.set_num_threads(1)
    start = time.perf_counter()
    groups = grouped(name, programs)
    labels, rows, pairs, digests = [], np.empty((0, 0)), [], np.empty((0, 2))
    if tasks[name].read_draws is None:
        labels, rows = known(name)
        pairs, digests = known_pairs(name)
    path = TABLES / f"{name}.npz"
    np.savez_compressed(
        path,
        rows=np.array([numbers for numbers, _ in groups]),
        changes=np.array(["\n".join(words) for _, words in groups], dtype=np.str_),
        mistakes=np.array(labels, dtype=np.str_),
        mistake_rows=rows,
        pairs=np.array(pairs, dtype=np.str_),
        pair_digests=digests,
    )
    return (
        f"{name:24} {len(programs):5} programs {len(groups):5} fingerprints {len(labels):4} known "
        f"mistakes {len(pairs):5} pairs {path.stat().st_size / 1000:6.0f} kB "
        f"{time.perf_counter() - start:4.0f} s"
    )


def main(names: list[str]) -> None:
    """Write the tables of some tasks, or of all."""
    names = names or PROGRAMS
    found: dict[str, list[tuple[np.ndarray, str]]] = {name: [] for name in PROGRAMS}
    made_from = {other for name in names for other in PROGRAMS if name in dependents(other)}
    TABLES.mkdir(exist_ok=True)
    with ProcessPoolExecutor(2) as pool:
        for programs in pool.map(
            partial(_run, names), [name for name in reversed(PROGRAMS) if name in made_from]
        ):
            for name, numbers, words in programs:
                found[name].append((numbers, words))
        for line in pool.map(write, names, [found[name] for name in names]):
            print(line, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
