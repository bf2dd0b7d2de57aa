"""The comparisons on which the chapters' sentences about experiments rest.

Training multiplies differences in rounding, so another processor is as good as another draw of
luck. A sentence is therefore not about the seeds that were run, but about the mean over all seeds,
and has to be true by a margin that the spread of the seeds justifies.
"""

import contextlib
from dataclasses import dataclass

import numpy as np
from scipy import stats

# A margin has to be larger than this many standard errors, of at least this many seeds. Few seeds
# tell little of their spread; with six a mean that is exactly at its bound passes once in 190
# cases (Student's distribution), with ten once in 640.
STANDARD_ERRORS = 4
SEEDS = 6
# Values that agree better than this are taken to differ by as much: an accuracy that is the same
# for all seeds could still be another one by an image of a thousand.
RESOLUTION = 0.001

_open = []


@dataclass(frozen=True)
class Margin:
    """How far the mean over seeds is on the right side of a bound.

    Attributes
    ----------
    sentence : str
    seeds : int
    mean, bound : float
    error : float
        Standard error of the mean.
    found : float
        Distance from the bound in standard errors; negative on the wrong side.
    """

    sentence: str
    seeds: int
    mean: float
    bound: float
    error: float
    found: float

    @property
    def large_enough(self):
        """Whether the spread of the seeds justifies the sentence."""
        return self.found > STANDARD_ERRORS

    def __str__(self):
        """Return the row of a table."""
        return (
            f"{self.found:7.1f} standard errors of {self.seeds:2} seeds:"
            f" {self.mean:8.3g} ± {self.error:7.2g}, bound {self.bound:5.3g}. {self.sentence}"
        )


@contextlib.contextmanager
def collected():
    """Collect margins inside a ``with`` block, and raise nothing if one is too small.

    Yields
    ------
    list of Margin
        Filled while the block runs.
    """
    margins = []
    _open.append(margins)
    try:
        yield margins
    finally:
        _open.pop()


def greater(values, than, sentence, side=1):
    """Assert that the mean over all seeds is greater than a bound.

    Parameters
    ----------
    values : array_like
        One number per seed. Where two settings are compared on the same seeds: the differences.
    than : float
    sentence : str
        What is true of it; the message of the ``AssertionError``.
    side : int
        -1 to assert that it is less.
    """
    values = np.asarray(values, dtype=float)
    seeds = len(values)
    assert values.shape == (seeds,), "one number per seed"
    assert seeds >= SEEDS, "fewer seeds do not show their spread"
    mean = values.mean()
    error = max(values.std(ddof=1), RESOLUTION) / seeds**0.5
    margin = Margin(
        sentence=sentence,
        seeds=seeds,
        mean=float(mean),
        bound=float(than),
        error=float(error),
        found=float(side * (mean - than) / error),
    )
    if _open:
        _open[-1].append(margin)
    else:
        assert margin.large_enough, str(margin)


def less(values, than, sentence):
    """Assert that the mean over all seeds is less than a bound; see `greater`."""
    greater(values, than, sentence, side=-1)


def between(values, low, high, sentence):
    """Assert that the mean over all seeds lies between two bounds; see `greater`."""
    greater(values, low, sentence)
    less(values, high, sentence)


def interval(values):
    """Return the mean of independent values and half the width of its 95 percent interval."""
    values = np.asarray(values)
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / len(values) ** 0.5
    return values.mean(), half
