"""Grade the grader: check that tasks tell right from wrong and name every known mistake.

The declaration of a mistake is enough to compute what a program that makes it would return, so no
such program is needed.
"""

from __future__ import annotations

import os
import re
import time
import traceback
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

from autograder.intake.cells import is_check, task_of
from autograder.intake.exercise import SourceError, source_notebook, sources
from autograder.judging.compare import agrees
from autograder.judging.fingerprint import probe_cases
from autograder.judging.judge import judge
from autograder.judging.observe import observe
from autograder.judging.observed import CaseResult, TaskResult
from autograder.judging.report import Report
from autograder.task import REQUIRED, Case, Outputs, Probability, Task, array_of
from autograder.tasks import tasks
from autograder.tasks.answers import count

SEEDS = 5
"""How many seeds to try for each task by default."""

INDISTINGUISHABLE: Mapping[tuple[str, str, str], str] = {
    ("train", "train-running-untouched", "bn-stats-never-updated"): (
        "a loop that drops the running statistics and a network that never changes them give the "
        "same numbers; `two_layer_net` is judged by itself and tells the second"
    ),
}
"""Triples (task, mistake, mistake) that no case can tell apart, with the reason."""


@dataclass
class Validation:
    """The results for one task.

    Attributes
    ----------
    task
        The name of the task.
    mistakes, seeds
        How many of each were tried.
    named
        Counts of (declared, named) pairs of mistakes.  The second is "" if a finding names none.
    failures
        One sentence for each failure.
    seconds
        The total time.
    """

    task: str
    mistakes: int
    seeds: int
    named: Counter[tuple[str, str]] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    seconds: float = 0.0


def validate(task: Task, seeds: Sequence[int]) -> Validation:
    """Try a right answer, the untouched exercise and each known mistake on a task.

    Parameters
    ----------
    task
        The task to try.
    seeds
        Each seeds the cases, and the random numbers of answers that draw some.
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
        for mistake in task.misconceptions:
            report = judge(
                task,
                cases,
                as_observed(task, cases, mistake.replaces, seed),
                partial(as_observed, task, probe_cases(task), mistake.replaces, seed),
            )
            names = named(report)
            found.named.update((mistake.id, name) for name in names)
            if names != {mistake.id}:
                others = ", ".join(sorted(name or "nothing" for name in names)) or "nothing"
                found.failures.append(f"seed {seed}: {mistake.id} is named {others}.")
            if report.points >= task.max_points:
                found.failures.append(f"seed {seed}: {mistake.id} costs nothing.")
    found.failures += _not_told_apart(task, seeds[0])
    found.seconds = time.perf_counter() - start
    return found


def as_observed(
    task: Task, cases: Sequence[Case], replaces: Mapping[str, Any], seed: int
) -> TaskResult:
    """Simulate a program that computes the reference with some steps replaced.

    Parameters
    ----------
    task, cases
        The task and its cases.
    replaces
        The replaced steps of the reference.
    seed
        Seeds programs that draw random numbers.
    """
    rng = np.random.default_rng(seed)
    return TaskResult(tuple(CaseResult(_outputs(task, case, replaces, rng)) for case in cases))


def _outputs(
    task: Task, case: Case, replaces: Mapping[str, Any], rng: np.random.Generator
) -> Outputs:
    if task.simulate is not None and case.group != REQUIRED:
        return task.simulate(case.inputs, rng, **replaces)
    outputs = {}
    for name, expected in task.reference(case.inputs, **replaces).items():
        outputs[name] = array_of(expected)
    return outputs


def named(report: Report) -> set[str]:
    """Return the ids that the failed findings of a report name, "" for one that names none."""
    return {finding.misconception or "" for finding in report.findings if not finding.passed}


def _untouched(task: Task) -> dict[str, Any]:
    def not_written(*arguments: object, **options: object) -> None:
        raise NotImplementedError

    return dict.fromkeys([task.name, *task.depends_on], not_written)


def _not_told_apart(task: Task, seed: int) -> Iterator[str]:
    """Yield a sentence for each pair of mistakes that no case tells apart.

    Both are the task's, or one is its forward pass's.
    """
    if task.read_draws is not None:
        # Their outputs are random, so `validate` finds out by the names that it gets.
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
    """Return whether there is a built site that is newer than the chapters and the tasks."""
    sources = [*(root / "book").glob("*.md"), *Path(__file__).parent.glob("tasks/**/*.py")]
    pages = [root / "_build" / "html" / f"{task.assignment.page}.html" for task in tasks.values()]
    return all(page.is_file() for page in pages) and (
        min(page.stat().st_mtime for page in pages) > max(path.stat().st_mtime for path in sources)
    )


def missing_places(root: Path, some: Sequence[Task] = ()) -> Iterator[str]:
    """Yield a sentence for each place that findings or hints point to and the book lacks.

    Checks the sources of the chapters, and the built site if it is current.

    Parameters
    ----------
    root
        The folder that holds `book` and, after a build, `_build/html`.
    some
        Only these tasks; all if there are none.
    """
    sources, pages = _Texts(root, ".md"), _Texts(root / "_build" / "html", ".html")
    built = site_is_current(root)
    for task in some or tasks.values():
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


def unfinished(root: Path) -> Iterator[tuple[str, str]]:
    """Yield whatever is still as `autograder new` wrote it, as a name and a sentence.

    The name is that of the task, or of the assignment for what is in its exercise.

    Parameters
    ----------
    root
        The folder that holds `autograder` and `exercises`.
    """
    files = [*root.glob("autograder/tasks/*/*.py"), *root.glob("exercises/*/*.py")]
    for path in sorted(files):
        name = path.parent.name if path.stem == "__init__" else path.stem
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if found := re.search(r"TODO (the [\w ]+): ([^\"\n]+)", line):
                part, what = found.groups()
                verb = "are" if part.endswith("s") else "is"
                where = f"{path.relative_to(root)}, line {number}"
                yield name, f"{part} {verb} still the placeholder ({where}): {what}"


def unasked(root: Path, some: Sequence[Task]) -> Iterator[str]:
    """Yield a sentence for each exercise that cannot be read, and each task that none asks for.

    Parameters
    ----------
    root
        The folder that holds `exercises`.
    some
        The tasks.
    """
    asked = set()
    for path in sources(root / "exercises"):
        try:
            cells = source_notebook(path).cells
        except SourceError as error:
            if path.stem in {task.assignment.name for task in some}:
                yield str(error)
            continue
        asked |= {task_of(cell.id) for cell in cells if is_check(cell)}
    for task in some:
        if task.name not in asked:
            source = f"exercises/{task.assignment.name}/{task.assignment.name}.py"
            yield f"{task.name}: no exercise asks for it; {source} needs its answer and its check."


def validate_all(seeds: int = SEEDS, names: Sequence[str] | None = None) -> list[Validation]:
    """Validate tasks, several at a time.

    Parameters
    ----------
    seeds
        How many seeds to try for each task.
    names
        The tasks; all if None.
    """
    # Start the longest first, so that no process waits for it at the end.
    order = sorted(names or tasks, key=lambda name: -len(tasks[name].misconceptions))
    # Spawned, because torch's threads must not be forked.
    with ProcessPoolExecutor(os.cpu_count(), get_context("spawn")) as pool:
        found = {one.task: one for one in pool.map(partial(_validate_by_name, seeds=seeds), order)}
    return [found[name] for name in tasks if name in found]


def _validate_by_name(name: str, seeds: int) -> Validation:
    task = tasks[name]
    try:
        return validate(task, range(seeds))
    except Exception as error:
        # A declaration that is being written may raise anything.
        place = traceback.extract_tb(error.__traceback__)[-1]
        failure = (
            f"it cannot be tried: {type(error).__name__}: {error} "
            f"({Path(place.filename).name}, line {place.lineno})."
        )
        return Validation(name, len(task.misconceptions), seeds, failures=[failure])


def show(validations: Sequence[Validation], console: Console) -> bool:
    """Print the results; return whether all is well.

    Parameters
    ----------
    validations
        The results, one for each task.
    console
        The console to print to.
    """
    table = Table("task", box=None)
    for column in ("mistakes", "named as themselves", "seeds", "seconds"):
        table.add_column(column, justify="right")
    for one in validations:
        diagonal = sum(times for (one_id, name), times in one.named.items() if one_id == name)
        table.add_row(
            one.task,
            str(one.mistakes),
            f"{diagonal} of {one.mistakes * one.seeds}",
            str(one.seeds),
            f"{one.seconds:.1f}",
        )
    console.print(table)
    for one in validations:
        for (declared, name), times in sorted(one.named.items()):
            if declared != name:
                console.print(
                    f"{one.task}: {declared} named {name or 'nothing'}, {times} times", markup=False
                )
    names = {one.task for one in validations}
    for (task, here, there), reason in INDISTINGUISHABLE.items():
        if task in names:
            console.print(f"{task}: {here} and {there} are not told apart: {reason}.", markup=False)
    problems = [f"{one.task}: {failure}" for one in validations for failure in one.failures]
    root, looked_for = (
        Path(__file__).parent.parent,
        [tasks[name] for name in tasks if name in names],
    )
    if (root / "exercises").is_dir():
        mine = {name for task in looked_for for name in (task.name, task.assignment.name)}
        problems += [f"{name}: {what}" for name, what in unfinished(root) if name in mine]
        problems += unasked(root, looked_for)
    if (root / "book").is_dir():
        problems += missing_places(root, looked_for)
        looked_at = "the sources" + (" and the site" if site_is_current(root) else "")
    else:
        looked_at = "nothing: no book is beside this package"
    for problem in problems:
        console.print(problem, style="red", markup=False)
    console.print(
        f"{count(len(validations), 'task')}, "
        f"{count(sum(one.mistakes for one in validations), 'mistake')}, "
        f"{count(max((one.seeds for one in validations), default=0), 'seed')}, "
        f"{count(len(problems), 'failure')}; links looked up in {looked_at}.",
        markup=False,
    )
    return not problems


class _Texts(dict[str, str]):
    """The texts of pages, each read once; the text of a missing page is empty."""

    def __init__(self, root: Path, suffix: str) -> None:
        super().__init__()
        self._root, self._suffix = root, suffix

    def __missing__(self, page: str) -> str:
        path = self._root / f"{page}{self._suffix}"
        self[page] = path.read_text(encoding="utf-8") if path.is_file() else ""
        return self[page]
