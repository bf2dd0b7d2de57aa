"""Run a student's functions on cases and record what they return.

Nothing is judged here: what comes back, and the arguments after the call, are compared elsewhere.
"""

from __future__ import annotations

import contextlib
import copy
import io
import os
import re
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autograder.judging.libraries import do_without
from autograder.judging.observed import RAISED, CaseResult, TaskResult, arrays_in
from autograder.judging.wall import NotAllowedError
from autograder.task import IS_REFUSED, Case, Functions, Outputs, Task
from autograder.tasks.answers import NotObservedError

MAX_BYTES = 64 * 2**20
MAX_PRINTED = 2000

NOT_WRITTEN = "is not written yet."
"""What is said of a function whose body is still that of the exercise."""

# Debian and Colab install packages under another name.
_INSTALLED = re.compile("(site|dist)-packages")
_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def observe(task: Task, functions: Mapping[str, Any], cases: Sequence[Case]) -> TaskResult:
    """Run a student's functions on all cases of a task.

    Prints are kept and warnings are dropped; neither costs points.  An exception in the student's
    code ends its case, not the run; KeyboardInterrupt passes through.

    Parameters
    ----------
    task
        The task to try.
    functions
        The student's functions by name, including those in `Task.depends_on`.
    cases
        From `task.draw`.
    """
    student = _Defined(functions)
    printed = _Capped()
    observations = []
    with _quiet(printed):
        for case in cases:
            inputs = copy.deepcopy(dict(case.inputs))
            observed = _observe_case(task, student, inputs)
            # Those of a PyTorch answer are tensors, made anew from these arrays.
            if task.framework == "numpy":
                observed = replace(observed, arguments=_after_the_call(inputs))
            observations.append(observed)
    return TaskResult(tuple(observations), printed.getvalue())


class _Defined(Mapping[str, Callable[..., Any]]):
    """The student's functions by name; a missing one raises an error that says what to do."""

    def __init__(self, functions: Mapping[str, Any]) -> None:
        self._functions = functions

    def __getitem__(self, name: str) -> Callable[..., Any]:
        function: Callable[..., Any] | None = self._functions.get(name)
        if not callable(function):
            raise NotObservedError(f"`{name}` is not defined. Run the cell that defines it first.")
        return function

    def __iter__(self) -> Iterator[str]:
        return iter(self._functions)

    def __len__(self) -> int:
        return len(self._functions)


def _observe_case(task: Task, student: Functions, inputs: dict[str, Any]) -> CaseResult:
    try:
        raw = task.run(student, inputs)
    except NotObservedError as problem:
        return CaseResult({}, {"": str(problem)})
    except NotImplementedError as error:
        return CaseResult({}, {"": str(error) or _not_written(task, error)})
    except NotAllowedError as error:
        return CaseResult({}, {"": with_the_students_lines(str(error), error)})
    except ValueError as error:
        return CaseResult(dict(IS_REFUSED), {"": _raised(error)})
    except (Exception, SystemExit) as error:
        return CaseResult({}, {"": _raised(error)})
    outputs: Outputs = {}
    problems = {}
    for name, value in raw.items():
        try:
            outputs[name] = _array(task, name, value)
        except NotObservedError as problem:
            problems[name] = str(problem)
    return CaseResult(outputs, problems)


def _array(task: Task, name: str, value: Any) -> NDArray[Any]:
    """Copy a returned value into an array, or raise NotObservedError with the reason."""
    torch = sys.modules.get("torch")
    if value is None:
        raise NotObservedError(f"`{name}` is None; is a `return` missing?")
    if torch is not None and isinstance(value, torch.Tensor):
        if task.framework == "numpy":
            raise NotObservedError(f"`{name}` is a torch tensor. Return a NumPy array.")
        value = value.detach().cpu().numpy()
    elif isinstance(value, np.ndarray):
        if task.framework == "torch":
            raise NotObservedError(f"`{name}` is a NumPy array. Return a torch tensor.")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        value = np.asarray(float(value))
    elif not isinstance(value, np.generic):
        wanted = "NumPy array" if task.framework == "numpy" else "torch tensor"
        raise NotObservedError(f"`{name}` is a {type(value).__name__}. Return a {wanted}.")
    if value.size * value.dtype.itemsize > MAX_BYTES:
        raise NotObservedError(f"`{name}` is far too large: its shape is {value.shape}.")
    if value.dtype.kind not in "fiubc":
        raise NotObservedError(
            f"`{name}` is an array of {value.dtype}. Return an array of float64."
        )
    return np.array(value, order="C", subok=False)


def _after_the_call(inputs: Mapping[str, Any]) -> Outputs:
    """Return the arrays in the inputs; nothing if a student made of them what holds none."""
    try:
        arrays = dict(arrays_in(inputs))
    except Exception:
        return {}
    return arrays if sum(array.nbytes for array in arrays.values()) <= MAX_BYTES else {}


def _not_written(task: Task, error: NotImplementedError) -> str:
    function = traceback.extract_tb(error.__traceback__)[-1].name
    if function in task.depends_on:
        return f"`{task.name}` needs `{function}`, which {NOT_WRITTEN}"
    return f"`{task.name}` {NOT_WRITTEN}"


def _raised(error: BaseException) -> str:
    """Describe an exception of the student's code."""
    with contextlib.suppress(Exception):
        what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        told = with_the_students_lines(f"{RAISED}{what[:500]}", error)
        if isinstance(error, ModuleNotFoundError) and error.name and "." not in error.name:
            told += f"\n{do_without([error.name])}"
        return told
    # The exception's own __str__ may raise.
    return f"{RAISED}{type(error).__name__}."


def with_the_students_lines(text: str, error: BaseException) -> str:
    """Append the lines of the student's code that an exception came through."""
    lines = [
        f"  {frame.name}, line {frame.lineno}: {frame.line}"
        for frame in traceback.extract_tb(error.__traceback__)
        if not os.path.abspath(frame.filename).startswith(_PACKAGE)
        and not _INSTALLED.search(frame.filename)
    ]
    if len(lines) > 6:
        lines = [*lines[:3], "  ...", *lines[-2:]]
    return "\n".join([text, *lines])


class _Capped(io.StringIO):
    """Text of limited length, so that a loop that prints cannot fill the memory."""

    def write(self, text: str) -> int:
        room = MAX_PRINTED - self.tell()
        if room > 0:
            super().write(text[:room])
            if len(text) > room:
                super().write("\n... (cut off)")
        return len(text)


@contextlib.contextmanager
def _quiet(printed: _Capped) -> Iterator[None]:
    with (
        contextlib.redirect_stdout(printed),
        contextlib.redirect_stderr(printed),
        warnings.catch_warnings(),
        np.errstate(all="ignore"),
    ):
        warnings.simplefilter("ignore")
        yield
