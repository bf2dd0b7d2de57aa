"""The grader, graded: does every task know right from wrong, and every mistake by its name.

What a program that makes a known mistake would return is computed from the declaration of that
mistake, so no code that makes it is needed.
"""

from __future__ import annotations

import os
import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import combinations, product
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from autograder.judging.compare import agrees
from autograder.judging.judge import judge
from autograder.judging.observe import observe
from autograder.judging.observed import CaseResult, TaskResult
from autograder.judging.report import Report
from autograder.task import Case, Outputs, Probability, Task, array_of
from autograder.tasks import tasks

SEEDS = 5
"""Draws of cases for each task, unless another number is asked for."""

INDISTINGUISHABLE: Mapping[tuple[str, str, str], str] = {
    ("train", "train-running-untouched", "bn-stats-never-updated"): (
        "a loop that drops the running statistics and a network that never changes them give the "
        "same numbers; `two_layer_net` is judged by itself and tells the second"
    ),
}
"""(task, mistake, mistake) that no case can tell apart, and why."""


@dataclass
class Validation:
    """What was found about one task.

    Attributes
    ----------
    task
        Its name.
    mistakes, seeds
        How many of each were tried.
    named
        (declared, named) mistakes and how often, the right answer as "" on either side.
    failures
        One sentence each.
    seconds
        For all of it.
    """

    task: str
    mistakes: int
    seeds: int
    named: Counter[tuple[str, str]] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    seconds: float = 0.0


def validate(task: Task, seeds: Sequence[int]) -> Validation:
    """Try a task: the right answer, the exercise as it is handed out, each known mistake.

    Parameters
    ----------
    task
        What is tried.
    seeds
        Each draws cases, and the random numbers of answers that need some.
    """
    start = time.perf_counter()
    found = Validation(task.name, len(task.misconceptions), len(seeds))
    for seed in seeds:
        cases = task.draw(np.random.default_rng(seed))
        right = judge(task, cases, as_observed(task, cases, {}, seed))
        if not right.passed or right.points != task.max_points:
            found.failures.append(f"seed {seed}: a right answer earns {right.points:g}.")
        untouched = judge(task, cases, observe(task, _untouched(task), cases))
        if untouched.points:
            found.failures.append(f"seed {seed}: the exercise as it is earns {untouched.points:g}.")
        for one in task.misconceptions:
            report = judge(task, cases, as_observed(task, cases, one.replaces, seed))
            names = named(report)
            found.named.update((one.id, name) for name in names)
            if names != {one.id}:
                others = ", ".join(sorted(name or "nothing" for name in names)) or "nothing"
                found.failures.append(f"seed {seed}: {one.id} is named {others}.")
            if report.points >= task.max_points:
                found.failures.append(f"seed {seed}: {one.id} costs nothing.")
    found.failures += _not_told_apart(task, seeds[0])
    found.seconds = time.perf_counter() - start
    return found


def as_observed(
    task: Task, cases: Sequence[Case], replaces: Mapping[str, Any], seed: int
) -> TaskResult:
    """Return what a program gives that computes the reference with some steps replaced.

    Parameters
    ----------
    task, cases
        What is asked.
    replaces
        Steps of the reference that are replaced.
    seed
        For programs that draw random numbers.
    """
    rng = np.random.default_rng(seed)
    return TaskResult(tuple(CaseResult(_outputs(task, case, replaces, rng)) for case in cases))


def _outputs(
    task: Task, case: Case, replaces: Mapping[str, Any], rng: np.random.Generator
) -> Outputs:
    if task.simulate is not None:
        return task.simulate(case.inputs, rng, **replaces)
    outputs = {}
    for name, expected in task.reference(case.inputs, **replaces).items():
        outputs[name] = array_of(expected)
    return outputs


def named(report: Report) -> set[str]:
    """Return what the failed findings of a report name, "" for one that names nothing."""
    return {finding.misconception or "" for finding in report.findings if not finding.passed}


def _untouched(task: Task) -> dict[str, Any]:
    def not_written(*arguments: object, **options: object) -> None:
        raise NotImplementedError

    return dict.fromkeys([task.name, *task.depends_on], not_written)


def _not_told_apart(task: Task, seed: int) -> Iterator[str]:
    """Yield pairs of mistakes, of the task and of its forward pass, that no case tells apart."""
    if task.read_draws is not None:
        # Their outputs are random; the names in `validate` tell whether they can be told apart.
        return
    cases = task.draw(np.random.default_rng(seed))
    carried = task.forward_task.misconceptions if task.forward_task else ()
    pairs = [*combinations(task.misconceptions, 2), *product(task.misconceptions, carried)]
    expected = {
        one: [task.reference(case.inputs, **one.replaces) for case in cases]
        for one in (*task.misconceptions, *carried)
    }
    for one, other in pairs:
        alike = all(
            _alike(here, there, task.tolerance)
            for here, there in zip(expected[one], expected[other], strict=True)
        )
        listed = (task.name, one.id, other.id) in INDISTINGUISHABLE
        if alike and not listed:
            yield f"no case tells {one.id} from {other.id}."
        if listed and not alike:
            yield f"{one.id} and {other.id} are listed as indistinguishable and are not."


def _alike(here: Mapping[str, Any], there: Mapping[str, Any], tolerance: float) -> bool:
    if here.keys() != there.keys():
        return False
    for name, expected in here.items():
        if isinstance(expected, Probability) or not agrees(
            array_of(expected), there[name], tolerance
        ):
            return False
    return True


def site_is_current(root: Path) -> bool:
    """Return whether there is a built site that is newer than what findings and hints point to."""
    sources = [*(root / "book").glob("*.md"), *Path(__file__).parent.glob("tasks/**/*.py")]
    pages = [root / "_build" / "html" / f"{task.assignment.page}.html" for task in tasks.values()]
    return all(page.is_file() for page in pages) and (
        min(page.stat().st_mtime for page in pages) > max(path.stat().st_mtime for path in sources)
    )


def missing_places(root: Path) -> Iterator[str]:
    """Yield where findings and hints point to nothing in the book.

    Looks at the sources of the chapters, and at the built site if it is current.

    Parameters
    ----------
    root
        The folder that holds `book` and, once it was built, `_build/html`.
    """
    sources, pages = _Texts(root, ".md"), _Texts(root / "_build" / "html", ".html")
    built = site_is_current(root)
    for task in tasks.values():
        sections = [one.section for one in task.misconceptions]
        if task.section is not None:
            sections.append(task.section)
        for section in dict.fromkeys(sections):
            place = rf"^\({section.label}\)=\n(#+ |\*\*){re.escape(section.heading)}\.?(\*\*|$)"
            if not re.search(place, sources[section.page], re.MULTILINE):
                yield f"{section.page}.md has no {section.heading!r} labeled {section.label}."
            if not re.search(rf"^# {section.chapter}$", sources[section.page], re.MULTILINE):
                yield f"{section.page}.md is not the chapter {section.chapter!r}."
            if built and f'id="{section.label}"' not in pages[section.page]:
                yield f"{section.path} is not on the site."
        if not re.search(
            rf"^```{{common-mistakes}}.*\b{task.name}\b", sources[task.assignment.page], re.M
        ):
            yield f"{task.assignment.page}.md has no common mistakes of {task.name}."
        ids = [one.id for one in task.misconceptions] + [one.id for one in task.requirements]
        for place in (f"mistake-{task.name}-{one}" for one in ids):
            if built and f'id="{place}"' not in pages[task.assignment.page]:
                yield f"{task.assignment.page}.html#{place} is not on the site."


def validate_all(seeds: int = SEEDS) -> list[Validation]:
    """Try every task, several at a time.

    Parameters
    ----------
    seeds
        How often the cases of each task are drawn.
    """
    # The one that takes longest first, so that no process waits for it at the end.
    order = sorted(tasks, key=lambda name: -len(tasks[name].misconceptions))
    # Spawned, because torch's threads must not be forked.
    with ProcessPoolExecutor(os.cpu_count(), get_context("spawn")) as pool:
        found = {one.task: one for one in pool.map(partial(_validate_by_name, seeds=seeds), order)}
    return [found[name] for name in tasks]


def _validate_by_name(name: str, seeds: int) -> Validation:
    return validate(tasks[name], range(seeds))


def show(validations: Sequence[Validation], console: Console) -> bool:
    """Print what was found; return whether all is well.

    Parameters
    ----------
    validations
        One for each task.
    console
        Where to print.
    """
    table = Table("task", box=None)
    for column in ("mistakes", "named as themselves", "seeds", "seconds"):
        table.add_column(column, justify="right")
    for one in validations:
        diagonal = sum(count for (declared, name), count in one.named.items() if declared == name)
        table.add_row(
            one.task,
            str(one.mistakes),
            f"{diagonal} of {one.mistakes * one.seeds}",
            str(one.seeds),
            f"{one.seconds:.1f}",
        )
    console.print(table)
    for one in validations:
        for (declared, name), count in sorted(one.named.items()):
            if declared != name:
                console.print(
                    f"{one.task}: {declared} named {name or 'nothing'}, {count} times", markup=False
                )
    for (task, here, there), reason in INDISTINGUISHABLE.items():
        console.print(f"{task}: {here} and {there} are not told apart: {reason}.", markup=False)
    problems = [f"{one.task}, {failure}" for one in validations for failure in one.failures]
    root = Path(__file__).parent.parent
    if (root / "book").is_dir():
        problems += missing_places(root)
        looked_at = "the sources" + (" and the site" if site_is_current(root) else "")
    else:
        looked_at = "nothing: no book is beside this package"
    for problem in problems:
        console.print(problem, style="red", markup=False)
    console.print(
        f"{len(validations)} tasks, {sum(one.mistakes for one in validations)} mistakes, "
        f"{max((one.seeds for one in validations), default=0)} seeds, "
        f"{len(problems)} failures; links looked up in {looked_at}.",
        markup=False,
    )
    return not problems


class _Texts(dict[str, str]):
    """The texts of pages, read once; empty if there is none."""

    def __init__(self, root: Path, suffix: str) -> None:
        super().__init__()
        self._root, self._suffix = root, suffix

    def __missing__(self, page: str) -> str:
        path = self._root / f"{page}{self._suffix}"
        self[page] = path.read_text(encoding="utf-8") if path.is_file() else ""
        return self[page]
