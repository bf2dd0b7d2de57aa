"""Try the diagnosis on mutants of right answers from which no table was made."""

import ast
import importlib
import inspect
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from mutants.mutate import Mutant, described_mutants
from mutants.table import RETURNS, SECONDS, answers, dependents, settled_numbers
from mutants.trial import names_alike, time_limit

from autograder import grade, tasks
from autograder.judging.fingerprint import PROJECTIONS, PUBLIC_SEED, cells, is_same
from autograder.judging.observe import observe
from autograder.judging.observed import CaseResult, TaskResult
from autograder.judging.report import Finding, Report
from autograder.judging.trial import Trials
from autograder.task import REQUIRED, Aspect, Case, Probability, Task, array_of

SEED, FRESH_SEED = 11, 12
CHANGED = "right but for one thing: "
SEVERAL = ("They could also mean this: ", "They could also mean one of these: ")
OF_THESE_INPUTS = (
    "In the other ",
    "Right only in the case ",
    "Right in ",
    "Numbers that are not finite ",
    "Where `",
    "Somewhere 0 is divided",
    "Only `",
)
"""Beginnings of statements about the numbers of one grading, which others may not share."""
ABOUT_A_MISTAKE = (
    "This one mistake explains all numbers",
    "Your numbers here are those of this mistake",
    "The same mistake",
)
"""Beginnings of what is said of a mistake that the same finding names."""
DIRECTION = re.compile(
    r"^`(?P<name>.*?)` (is 0|is too large|is too small|has the right signs)(?P<rest>.*)$"
)
FREQUENCY = re.compile(r"^The (?P<name>[^`]*) is too (?P<size>large|small) wherever it is wrong\.$")
KINDS = ("wholly named", "named in part", "described", "numbers only")


@dataclass
class Tally:
    """What was said of the mutants of one function.

    Attributes
    ----------
    counts
        How many mutants of each kind in `KINDS`; “error” where the code raises.
    silent
        The changes of which nothing but numbers was said.
    false
        Statements that do not hold on other inputs.
    """

    counts: Counter[str] = field(default_factory=Counter)
    silent: list[str] = field(default_factory=list)
    false: list[str] = field(default_factory=list)

    def add(self, other: "Tally") -> None:
        """Add the results of another function."""
        self.counts += other.counts
        self.silent += other.silent
        self.false += other.false


def held_out(assignment: str) -> list[tuple[str, str]]:
    """Return the styles of an assignment and the functions that each of them writes."""
    module = importlib.import_module(f"styles.{assignment}")
    found = []
    for style in module.STYLES:
        tree = ast.parse(inspect.getsource(style))
        written = {node.name for node in ast.walk(tree) if hasattr(node, "name")}
        found += [(style.__name__, name) for name in tasks if name in written]
    return found


def _filled(make: Callable[..., Any]) -> Callable[..., Any]:
    """Return a maker of arrays that says NaN, or 0, where it would not say anything."""

    def filled(*args: Any, **options: Any) -> Any:
        array = make(*args, **options)
        array.fill(np.nan if array.dtype.kind in "fc" else 0)
        return array

    return filled


@patch("numpy.empty", _filled(np.empty))
@patch("numpy.empty_like", _filled(np.empty_like))
def evaluate(assignment: str, style: str, name: str, every: int = 1) -> Tally:
    """Grade the mutants of one function of a style, and verify what is said of them.

    What `np.empty` returns is filled here: a mutant that returns what happens to be in memory
    would return something else each time.
    """
    torch.set_num_threads(1)
    source = style_source(assignment, style)
    lines = _lines_of(source, style, name)
    file = f"<style {style}>"
    alike = names_alike(name, _functions(source, style, file), file)
    tally = Tally()
    # This takes longer than any mutant may.
    _by_words(name)
    for mutant in described_mutants(source, alike, lines, RETURNS, every):
        try:
            with time_limit(SECONDS):
                functions = _functions(mutant.source, style, file)
                grade(name, functions, SEED)
            # To verify what is said takes many more runs.
            with time_limit(20 * SECONDS):
                _judge(name, functions, mutant, tally)
        except (Exception, SystemExit):
            tally.counts["error"] += 1
    return tally


def style_source(assignment: str, style: str) -> str:
    """Return one style with the imports and helpers that it stands on."""
    module = importlib.import_module(f"styles.{assignment}")
    unwanted = {"STYLES", *(one.__name__ for one in module.STYLES)} - {style}
    nodes = [
        node
        for node in ast.parse(Path(module.__file__).read_text()).body
        if not unwanted & {getattr(node, "name", ""), *_assigned(node)}
    ]
    return "\n\n".join(map(ast.unparse, nodes))


def _assigned(node: ast.stmt) -> list[str]:
    return [one.id for one in getattr(node, "targets", []) if isinstance(one, ast.Name)]


def _lines_of(source: str, style: str, name: str) -> set[int]:
    (whole,) = (one for one in ast.parse(source).body if getattr(one, "name", "") == style)
    node = next(one for one in ast.walk(whole) if getattr(one, "name", "") == name)
    return set(range(node.lineno + 1, node.end_lineno + 1))


def _functions(source: str, style: str, file: str) -> dict[str, Any]:
    module = ModuleType("held_out")
    exec(compile(source, file, "exec"), vars(module))
    return {function.__name__: function for function in vars(module)[style]()}


def _judge(name: str, functions: Mapping[str, Any], mutant: Mutant, tally: Tally) -> None:
    task = tasks[name]
    cases = [case for case in task.draw(np.random.default_rng(SEED)) if case.group != REQUIRED]
    if any(case.problems for case in observe(task, functions, cases).cases):
        tally.counts["error"] += 1
        return
    report = grade(name, functions, SEED)
    if all(finding.passed for finding in report.findings if finding.max_points):
        tally.counts["right"] += 1
        return
    again = grade(name, functions, FRESH_SEED)
    kind = kind_of(report)
    tally.counts[kind] += 1
    if kind == "numbers only":
        tally.silent.append(f"{name}: {mutant.words}\n{mutant.change}")
    said = {line for finding in again.findings for line in _statements(finding)}
    held: dict[tuple[str, tuple[str, ...]], bool] = {}
    for finding in report.findings:
        for line in _statements(finding):
            if CHANGED in line:
                judged = [
                    one
                    for one in task.aspects
                    if one.name == finding.aspect or not line.startswith("Your numbers here")
                ]
                for one in _changes(line):
                    # What is said of all numbers is said of each aspect.
                    key = one, tuple(aspect.name for aspect in judged)
                    if key not in held:
                        held[key] = _holds(name, functions, one, judged)
                    if not held[key]:
                        tally.false.append(f"{name}: {one}\n{mutant.change}")
            elif line.startswith(OF_THESE_INPUTS) or DIRECTION.match(line) or FREQUENCY.match(line):
                if not _true_here(name, functions, line, finding):
                    tally.false.append(f"{name}: {line}\n{mutant.change}")
            elif _general(line) not in {_general(one) for one in said} and not _accounts(
                name, functions, line, finding
            ):
                tally.false.append(f"{name}: {line}\n{mutant.change}")


def kind_of(report: Report) -> str:
    """Say how much of what is wrong has a name."""
    wrong = [one for one in report.findings if not one.passed and one.max_points]
    named = [_is_named(one) for one in wrong]
    if all(named):
        return KINDS[0]
    if any(named):
        return KINDS[1]
    return KINDS[2] if any(_statements(one) for one in wrong) else KINDS[3]


def _is_named(finding: Finding) -> bool:
    words = ("right but for one thing", "Several known mistakes", "The numbers are right")
    return finding.misconception is not None or any(word in finding.message for word in words)


def _statements(finding: Finding) -> list[str]:
    """Return what is said besides the first number that is wrong."""
    lines = finding.message.splitlines()
    return [line for line in lines if finding.max_points and not line.startswith("In the case")]


def _accounts(name: str, functions: Mapping[str, Any], line: str, finding: Finding) -> bool:
    """Return whether a mistake that is named accounts for this aspect's numbers on fresh inputs.

    It may be named on one set of inputs only: by chance, random draws look like those of more
    mistakes, or of fewer.  What is said of these numbers alone is asked of them.
    """
    task = tasks[name]
    (aspect,) = (one for one in task.aspects if one.name == finding.aspect)
    about_these = line.startswith(ABOUT_A_MISTAKE)
    named, seed = (finding.misconception, SEED) if about_these else (line, FRESH_SEED)
    mistakes = [
        one for one in task.misconceptions if named and named.endswith((one.id, f"({one.id})"))
    ]
    cases = task.draw(np.random.default_rng(seed))
    trials = Trials(task, cases, observe(task, functions, cases))
    return any(trials.agree_on(aspect, (mistake,)) for mistake in mistakes)


def _true_here(name: str, functions: Mapping[str, Any], line: str, finding: Finding) -> bool:
    """Return whether a statement holds of the numbers that it was made about."""
    task = tasks[name]
    (aspect,) = (one for one in task.aspects if one.name == finding.aspect)
    drawn = task.draw(np.random.default_rng(SEED))
    right: dict[str, dict[str, bool]] = {}
    finite: dict[str, bool] = {}
    pairs: list[tuple[str, Any, Any]] = []
    counts: list[tuple[str, Any, float]] = []
    wrong: list[tuple[str, Any]] = []
    trials = Trials(task, drawn, observe(task, functions, drawn))
    for trial, one in trials.looked_through(aspect):
        got, expected = trial.got(one), trial.expected()[one]
        right.setdefault(trial.case.name, {})[one] = trial.agrees(one)
        finite.setdefault(trial.case.name, True)
        if not isinstance(expected, Probability):
            pairs.append((one, got, array_of(expected)))
            finite[trial.case.name] &= got is not None and bool(np.isfinite(got).all())
            if not trial.agrees(one):
                wrong.append((one, got))
        elif got is not None and not trial.agrees(one):
            counts.append((one, got, expected.value))
    good = [case for case, found in right.items() if all(found.values())]
    named = re.findall("“([^”]*)”", line)
    if found := re.match("Where `([^`]*)` is wrong, no number in it is finite", line):
        return all(not np.isfinite(got).any() for one, got in wrong if one == found[1])
    if line.startswith(("Numbers", "Somewhere")):
        return not any(finite[one] for one in named) and not all(finite.values())
    if line.startswith("Right only"):
        return good == named
    if line.startswith("In the other"):
        return len(right) - len(good) == 1
    if found := re.fullmatch(r"Right in (\d+) of (\d+) cases\.", line):
        return [len(good), len(right)] == [int(number) for number in found.groups()]
    if line.startswith("Right in"):
        groups = {one.name: one.group for one in drawn}
        return all(groups[one] in line.split(", wrong")[0] for one in good)
    if line.startswith("Only `"):
        (only,) = re.findall("`([^`]*)`", line)[:1]
        return {
            one for found in right.values() for one, is_right in found.items() if not is_right
        } <= {only}
    if found := FREQUENCY.match(line):
        off = [got[0] / got[1] - right for name, got, right in counts if name == found["name"]]
        return all(one > 0 if found["size"] == "large" else one < 0 for one in off)
    return _is_off_in_that_direction(line, pairs)


def _is_off_in_that_direction(line: str, pairs: list[tuple[str, Any, Any]]) -> bool:
    found = DIRECTION.match(line)
    assert found
    wrong = [
        (got[where], right[where])
        for name, got, right in pairs
        if name == found["name"]
        for where in [~np.isclose(got, right, rtol=1e-6, atol=1e-9)]
    ]
    got, right = (np.concatenate([one[k].ravel() for one in wrong]) for k in (0, 1))
    if "` is 0 " in line:
        return bool((got == 0).all())
    if "too large" in line:
        return bool((got > right).all())
    if "too small" in line:
        return bool((got < right).all())
    signs = bool((np.sign(got) == np.sign(right)).all())
    if "too far" in line:
        return signs and bool((np.abs(got) > np.abs(right)).all())
    if "too close" in line:
        return signs and bool((np.abs(got) < np.abs(right)).all())
    return signs


def _general(line: str) -> str:
    """Take out numbers, and names of cases, which are not what a statement is about."""
    return re.sub(r"“[^”]*”|−?\d[\d.e+−-]*", "…", line)


def _changes(line: str) -> list[str]:
    """Return the changes of which a line says that they give the same numbers."""
    text = line.split(CHANGED)[1]
    for word in SEVERAL:
        text = text.replace(f". {word}", "; ")
    return text.removesuffix(".").split("; ")


@cache
def _by_words(name: str) -> dict[str, list[tuple[Any, Mutant]]]:
    """Return the mutants from which the table of a task was made, by their words."""
    found: dict[str, list[tuple[Any, Mutant]]] = {}
    for other in tasks:
        if name in dependents(other):
            where = "" if other == name else f"in `{other}`, "
            for answer in answers(other):
                for mutant in answer.mutants():
                    found.setdefault(where + mutant.words, []).append((answer, mutant))
    return found


def _holds(name: str, functions: Mapping[str, Any], words: str, judged: list[Aspect]) -> bool:
    """Return whether a mutant described by these words gives the same numbers on fresh inputs."""
    for answer, mutant in _by_words(name).get(words, []):
        try:
            other = answer.functions(mutant.source)
            if all(
                _same(name, functions, other, seed, judged) for seed in (PUBLIC_SEED, FRESH_SEED)
            ):
                return True
        except TimeoutError:
            raise
        except Exception:
            continue
    return False


def _same(
    name: str, one: Mapping[str, Any], other: Mapping[str, Any], seed: int, judged: list[Aspect]
) -> bool:
    task = tasks[name]
    cases = task.draw(np.random.default_rng(seed))
    if task.read_draws is not None:
        return _same_but_for_draws(task, cases, (one, other), judged)
    results = [observe(task, functions, cases) for functions in (one, other)]
    both = zip(*(result.cases for result in results), strict=True)
    for case, (mine, theirs) in zip(cases, both, strict=True):
        for output in {o for aspect in judged if aspect.covers(case) for o in aspect.outputs}:
            pair = mine.outputs.get(output), theirs.outputs.get(output)
            if (pair[0] is None) != (pair[1] is None):
                return False
            if pair[0] is not None:
                if pair[0].shape != pair[1].shape:
                    return False
                settled = _close(*pair)
                if not settled.all():
                    settled |= ~_is_settled(task, one, case, output, pair[0])
                if not settled.all():
                    return False
    return True


def _same_but_for_draws(
    task: Task, cases: list[Case], both: tuple[Mapping[str, Any], ...], judged: list[Aspect]
) -> bool:
    """Return whether two programs do the same with their draws, which differ."""
    one, other = (settled_numbers(task, cases, functions) for functions in both)
    if one is None or other is None:
        return False
    nothing = Trials(task, cases, TaskResult(tuple(CaseResult({}) for _ in cases)))
    looked_at = [
        any(aspect.covers(trial.case) and name in aspect.outputs for aspect in judged)
        for trial, name in cells(nothing)
    ]
    same = is_same(one, other, task) | (one == other)
    return bool(same[np.repeat(looked_at, len(PROJECTIONS))].all())


def _close(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    # Whether a division by 0 gives inf or NaN is a matter of the order of the steps.
    neither = ~np.isfinite(one) & ~np.isfinite(other)
    return np.asarray(neither | np.isclose(one, other, rtol=1e-5, atol=1e-7))


def _is_settled(
    task: Task, functions: Mapping[str, Any], case: Case, output: str, got: np.ndarray
) -> np.ndarray:
    """Return where an output is not a matter of rounding, as a quotient of two zeros is."""
    settled, rng = np.ones(got.shape, dtype=bool), np.random.default_rng(0)
    for _ in range(5):
        shaken = replace(case, inputs=_shaken(case.inputs, rng))
        again = observe(task, functions, [shaken]).cases[0].outputs.get(output)
        if again is not None and again.shape == got.shape:
            settled &= _close(got, again)
    return settled


def _shaken(value: Any, rng: np.random.Generator) -> Any:
    """Change all floats in nested inputs by about as much as rounding does."""
    if isinstance(value, Mapping):
        return {key: _shaken(one, rng) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_shaken(one, rng) for one in value)
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        return value * (1 + 1e-14 * rng.uniform(-1, 1, value.shape))
    return value


def total(tallies: Iterator[Tally]) -> Tally:
    """Return the sum of all results."""
    found = Tally()
    for tally in tallies:
        found.add(tally)
    return found
