"""Forms in which right numbers may come back, put around the solutions of all assignments.

Each function is one form: it says what the risk is, and returns a value in that form.  What stands
behind the last array or number of a tuple, such as a cache, is left as it is.
"""

import numpy as np
from helpers.solutions import solution

from autograder import tasks


class Labeled(np.ndarray):
    """An array with something of the student's own."""


def non_contiguous(value):
    """Arrays are every second element of a larger one."""
    if not isinstance(value, np.ndarray):
        return value
    larger = np.full((*value.shape, 2), np.nan, value.dtype)
    larger[..., 0] = value
    return larger[..., 0]


def fortran_order(value):
    """Arrays lie column by column."""
    return np.asfortranarray(value) if isinstance(value, np.ndarray) else value


def read_only(value):
    """Arrays may not be written to."""
    if not isinstance(value, np.ndarray):
        return value
    value = value.copy()
    value.flags.writeable = False
    return value


def subclass(value):
    """Arrays are of a subclass of ndarray."""
    return value.view(Labeled) if isinstance(value, np.ndarray) else value


def python_numbers(value):
    """Single numbers are Python's own."""
    return float(value) if isinstance(value, np.floating) else value


def numpy_numbers(value):
    """Single numbers are NumPy's."""
    return np.float64(value) if isinstance(value, float) else value


def zero_dimensional(value):
    """Single numbers are arrays without an axis."""
    return np.asarray(value) if isinstance(value, float) else value


def lists(value):
    """Lists stand where tuples would."""
    return list(value) if isinstance(value, tuple) else value


FORMS = (
    non_contiguous,
    fortran_order,
    read_only,
    subclass,
    python_numbers,
    numpy_numbers,
    zero_dimensional,
    lists,
)


def in_form(form, assignment):
    """Return the solutions of the NumPy tasks of an assignment, their results in a form."""
    return {
        name: _wrapped(form, solution(assignment)[name])
        for name, task in tasks.items()
        if task.assignment.name == assignment and task.framework == "numpy"
    }


def _wrapped(form, function):
    def answer(*arguments, **options):
        return _changed(form, function(*arguments, **options))

    return answer


def _changed(form, value):
    """Put a form on a value and on what is in it; a cache, which is a tuple in a tuple, stays."""
    if isinstance(value, dict):
        return {key: _changed(form, item) for key, item in value.items()}
    if isinstance(value, list):
        return [_changed(form, item) for item in value]
    if isinstance(value, tuple):
        return form(
            tuple(item if isinstance(item, tuple) else _changed(form, item) for item in value)
        )
    return form(value)
