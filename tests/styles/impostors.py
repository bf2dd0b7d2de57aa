"""Right answers to the exercise on impostors, each in a way that could be taken for wrong.

Each function is one style: it says what the risk is, and returns the functions that a student
would have handed in.
"""

import numpy as np


def _changed(change):
    """Return the functions of the exercise's solution with their calls changed."""
    # Imported here, so that the other styles stand alone where neither is to be had.
    from helpers.solutions import solution

    from autograder import tasks

    def changed(name):
        def probe():
            return change(solution("impostors")[name]())

        probe.__name__ = name
        return probe

    return tuple(
        changed(task.name) for task in tasks.values() if task.assignment.name == "impostors"
    )


def _everywhere(change, value):
    if isinstance(value, dict):
        return {key: _everywhere(change, item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_everywhere(change, item) for item in value)
    return change(value)


def _arrays(change):
    return _changed(
        lambda calls: _everywhere(
            lambda value: change(value) if isinstance(value, np.ndarray) else value, calls
        )
    )


def nested_lists():
    """Arrays are written as lists."""
    return _arrays(np.ndarray.tolist)


def half_precision():
    """Arrays are float32, as in PyTorch."""
    return _arrays(lambda array: array.astype(np.float32))


def read_only_views():
    """Arrays are views into larger ones and may not be written to."""

    def view(array):
        larger = np.repeat(array[..., None], 3, axis=-1)
        larger.flags.writeable = False
        return larger[..., 1]

    return _arrays(view)


def four_calls():
    """As many calls as are allowed, some of them twice."""
    return _changed(lambda calls: (calls * 4)[:4])


def a_tuple_of_calls():
    """The calls come in a tuple."""
    return _changed(tuple)


def numbers_of_numpy():
    """Every number and flag is NumPy's."""

    def change(value):
        if isinstance(value, bool):
            return np.bool_(value)
        return np.float64(value) if isinstance(value, float) else value

    return _changed(lambda calls: _everywhere(change, calls))


def numbers_as_arrays():
    """Every number is an array without axes."""
    return _changed(
        lambda calls: _everywhere(
            lambda value: np.array(value) if isinstance(value, float | bool) else value, calls
        )
    )


def more_than_asked():
    """A call has a note of its author beside its arguments."""
    return _changed(lambda calls: [{**call, "note": "in training"} for call in calls])


def larger():
    """Everything is twice as large."""

    def change(call):
        return {
            name: value
            if name in ("keep_prob", "training", "decoupled", "state", "betas", "momentum")
            else _everywhere(lambda one: 2 * one, value)
            for name, value in call.items()
        }

    return _changed(lambda calls: [change(call) for call in calls])


def whole_numbers():
    """Arrays hold integers."""
    weights = [np.array([[3, -2], [5, 4]]), np.array([-3, 2]), np.array([[[2, -4]]])]

    def probe_l2():
        return [{"weights": weights, "weight_decay": 3}]

    def probe_dropout():
        x = np.array([[[1, 0], [-3, 2]], [[0, 4], [-5, 6]], [[7, 0], [2, -2]]])
        call = {"x": x, "keep_prob": 0.25, "d_out": np.arange(1, 13).reshape(3, 2, 2)}
        return [{**call, "training": mode} for mode in (True, False)]

    def probe_batch_norm():
        call = {
            "x": np.array([[1, 9], [2, 7], [1, 8], [2, 8], [1, 7], [9, 20]]),
            "gamma": np.array([2, -3]),
            "beta": np.array([1, 5]),
            "running_mean": np.array([4, -1]),
            "running_var": np.array([9, 2]),
            "momentum": 0.25,
            "eps": 1,
            "d_out": np.array([[1, 3], [-2, 4], [5, -1], [2, 2], [0, 7], [-3, 1]]),
        }
        return [{**call, "training": mode} for mode in (True, False)]

    return probe_l2, probe_dropout, probe_batch_norm


def drawn():
    """Inputs are drawn by a generator with a seed."""

    def probe_l2():
        rng = np.random.default_rng(5)
        shapes = (4, 5), (6,), (2, 1, 2, 2)
        return [
            {"weights": [2 * rng.standard_normal(shape) for shape in shapes], "weight_decay": 3.0}
        ]

    def probe_dropout():
        rng = np.random.default_rng(5)
        x, d_out = rng.standard_normal((2, 4, 4, 4))
        call = {"x": np.where(x > 1, 0, x), "keep_prob": 0.3, "d_out": d_out}
        return [{**call, "training": mode} for mode in (True, False)]

    return probe_l2, probe_dropout


def one_kind_to_a_call():
    """Each call exposes something else, and none of them everything."""

    def probe_l2():
        matrix = np.array([[0.5, -1.5], [0.3, 0.7]])
        return [
            {"weights": [matrix], "weight_decay": 1.7},
            {"weights": [np.array([0.4, -0.6]), matrix], "weight_decay": 0.5},
            {"weights": [matrix, np.array([0.4, -0.6]), 2 * matrix], "weight_decay": 2.5},
            {"weights": [matrix, np.full((1, 2, 1, 1), 0.6)], "weight_decay": 0.3},
        ]

    return (probe_l2,)


STYLES = (
    nested_lists,
    half_precision,
    read_only_views,
    four_calls,
    a_tuple_of_calls,
    numbers_of_numpy,
    numbers_as_arrays,
    more_than_asked,
    larger,
    whole_numbers,
    drawn,
    one_kind_to_a_call,
)
