"""Put a mutant in the place of an answer and grade whatever depends on it."""

import itertools
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from helpers.solutions import solution, source_of
from mutants.mutate import Mutant, mutants

from autograder import grade, tasks
from autograder.intake.cells import is_answer
from autograder.intake.exercise import source_notebook
from autograder.judging.check import GRADING_SEED, PUBLIC_SEED
from autograder.judging.judge import judge
from autograder.judging.observe import observe

LIMIT = 120
HERE = Path(__file__).parent
PROGRAMS = [
    name for name, task in tasks.items() if not any(aspect.by_share for aspect in task.aspects)
]
"""The tasks whose answers are programs: inputs that are changed a little are as good as before."""


def mutants_of(name: str, every: int = 1) -> list[Mutant]:
    """Return the mutants of the answer to a task, or every so many of them."""
    notebook = source_notebook(source_of(tasks[name].assignment.name))
    (source,) = (cell.source for cell in notebook.cells if is_answer(cell) and cell.id == name)
    return mutants(source, names_alike(name), every)


def is_killed(name: str, mutant: Mutant, graded: bool) -> bool:
    """Say whether a mutant of the answer to a task loses points, whatever the seed.

    A mistake may show only in what a function leaves for another one, so the tasks that run this
    function as a companion count as well.

    Parameters
    ----------
    name
        The task.
    mutant
        What is in the place of the right answer.
    graded
        Grade it for the seed of grading, which names the mistake and takes its time, and then
        compare it with the reference for two other seeds.  If false, compare it for the seed of
        grading only.
    """
    module = ModuleType(f"mutant_of_{name}")
    vars(module).update(solution(tasks[name].assignment.name))
    try:
        exec(compile(mutant.source, f"<{name}>", "exec"), vars(module))
    except Exception:
        return True
    dependent = [name, *(task.name for task in tasks.values() if name in task.depends_on)]

    def fails(fails_task: Callable[[str, dict[str, Any], int], bool], seed: int) -> bool:
        return any(fails_task(one, vars(module), seed) for one in dependent)

    with time_limit(LIMIT):
        if graded:
            return fails(loses_points, GRADING_SEED) and all(
                fails(differs, seed) for seed in (PUBLIC_SEED, 5)
            )
        return fails(differs, GRADING_SEED)


def loses_points(name: str, functions: dict[str, Any], seed: int) -> bool:
    """Say whether an answer loses points; a grading that itself fails takes none."""
    try:
        report = grade(name, functions, seed)
    except TimeoutError:
        raise
    except Exception as error:
        # The student's own exceptions are findings; this one is the grader's.
        print(f"\nthe grading of {name} fails: {error!r}")
        return False
    return report.points < report.max_points


def differs(name: str, functions: dict[str, Any], seed: int) -> bool:
    """Say whether an answer is judged wrong, without looking for the mistake."""
    task = replace(tasks[name], misconceptions=(), forward_task=None)
    cases = task.draw(np.random.default_rng(seed))
    return not judge(task, cases, observe(task, functions, cases)).passed


def equivalent() -> dict[str, set[str]]:
    """Return for each task the changes that make another right answer, as `Mutant.change`."""
    listed: dict[str, set[str]] = {}
    for entry in (HERE / "equivalent.txt").read_text().strip().split("\n\n")[1:]:
        name, *lines = entry.splitlines()
        change = "\n".join(line for line in lines if line[:2] in ("- ", "+ "))
        if not change or not lines[-1].startswith("  "):
            raise ValueError(f"An entry of equivalent.txt has no change or no reason:\n{entry}")
        listed.setdefault(name, set()).add(change)
    return listed


@contextmanager
def time_limit(seconds: int) -> Iterator[None]:
    """Raise a TimeoutError in a loop that does not end, and again if that is caught.

    The seconds are of processor time, so that a busy machine changes nothing.
    """

    def interrupt(signum: int, frame: object) -> None:
        raise TimeoutError("the mutant does not end")

    before = signal.signal(signal.SIGPROF, interrupt)
    signal.setitimer(signal.ITIMER_PROF, seconds, 1)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def names_alike(
    name: str,
    functions: Mapping[str, Any] | None = None,
    file: str = "",
    broadcast: bool = False,
) -> dict[str, set[str]]:
    """Return for each local name of an answer those that hold values of the same kind.

    What a name holds is seen while the answer runs on the first case of its task; arrays are of
    the same kind when their shapes agree.

    Parameters
    ----------
    name
        The task.
    functions, file
        The answers and the file that they were compiled from; by default the exercise's solution.
    broadcast
        Return numbers and arrays only, with those that could be added to them.
    """
    task = tasks[name]
    functions = functions or solution(task.assignment.name)
    file = file or f"<{task.assignment.name}>"
    kinds: dict[str, set[Any]] = {}

    def note(frame: Any, event: str, value: object) -> None:
        if event == "return" and frame.f_code.co_filename == file:
            if name not in frame.f_code.co_qualname.split("."):
                return
            for local, held in frame.f_locals.items():
                kinds.setdefault(local, set()).add(_kind(held))

    case = task.draw(np.random.default_rng(PUBLIC_SEED))[0]
    sys.setprofile(note)
    try:
        task.run(functions, case.inputs)
    finally:
        sys.setprofile(None)
    assert kinds, f"the answer to {name} was not seen while it ran"
    if broadcast:
        kinds = {one: held for one, held in kinds.items() if all(map(_is_shape, held))}
    are_alike = _can_be_added if broadcast else set.intersection
    return {
        one: {other for other in kinds if other != one and are_alike(kinds[one], kinds[other])}
        for one in kinds
    }


def _kind(value: object) -> object:
    return getattr(value, "shape", None) or type(value).__name__


def _is_shape(kind: object) -> bool:
    return isinstance(kind, tuple) or kind in ("int", "float", "float64")


def _can_be_added(some: set[Any], others: set[Any]) -> bool:
    for one, other in itertools.product(some, others):
        try:
            np.broadcast_shapes(*(kind if isinstance(kind, tuple) else () for kind in (one, other)))
        except ValueError:
            continue
        return True
    return False
