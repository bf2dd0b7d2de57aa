"""The statistics of a class report, computed from plain numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

MOST_BINS = 12
"""How many bars a histogram may have."""

_NORMAL_95 = 1.959963984540054
_STEPS = (0.25, 0.5, 1.0, 2.0, 2.5, 5.0, 10.0, 20.0, 25.0, 50.0, 100.0)


@dataclass(frozen=True)
class Interval:
    """A confidence interval of a share, within [0, 1]."""

    low: float
    high: float


@dataclass(frozen=True)
class Bin:
    """The number of students whose points are in [low, high); the last bin includes its end."""

    low: float
    high: float
    count: int


def wilson(successes: int, total: int) -> Interval:
    """Return Wilson's 95% interval of a share.

    Unlike the interval from the normal distribution, it is never empty at 0 and 1, and it holds for
    classes of a few dozen.

    Parameters
    ----------
    successes, total
        The share is `successes / total`.

    Raises
    ------
    ValueError
        When `total` is not positive, or `successes` is not between 0 and `total`.
    """
    if not 0 <= successes <= total or total == 0:
        raise ValueError(f"{successes} of {total} is not a share.")
    share, square = successes / total, _NORMAL_95**2
    center = (share + square / (2 * total)) / (1 + square / total)
    spread = math.sqrt(share * (1 - share) / total + square / (4 * total**2))
    half = _NORMAL_95 * spread / (1 + square / total)
    # At 0 and at 1 rounding could leave the share outside of its own interval.
    return Interval(
        0.0 if successes == 0 else max(0.0, center - half),
        1.0 if successes == total else min(1.0, center + half),
    )


def discrimination(item: Sequence[float], total: Sequence[float]) -> float | None:
    """Return the correlation of an item's points with the points of everything else.

    If the item is right or wrong and nothing between, this is the corrected point-biserial
    correlation.

    Parameters
    ----------
    item
        The points of each student for the item.
    total
        The points of each student for everything, the item included.

    Returns
    -------
    float or None
        None if everybody has the same points for the item, or for the rest.
    """
    one = np.asarray(item, dtype=float)
    rest = np.asarray(total, dtype=float) - one
    if one.size < 2 or np.ptp(one) == 0 or np.ptp(rest) == 0:
        return None
    return float(np.clip(np.corrcoef(one, rest)[0, 1], -1.0, 1.0))


def histogram(points: Sequence[float], max_points: float) -> list[Bin]:
    """Return how many students have how many points, in bins of a round width.

    Points below 0 count in the first bin; extra credit beyond `max_points` counts in the last.
    """
    if max_points <= 0:
        return []
    width = next((step for step in _STEPS if max_points / step <= MOST_BINS), max_points)
    count = math.ceil(max_points / width)
    edges = [min(width * number, max_points) for number in range(count + 1)]
    places = np.clip(np.floor(np.asarray(points, dtype=float) / width), 0, count - 1)
    counts = np.bincount(places.astype(int), minlength=count)
    return [Bin(edges[k], edges[k + 1], int(counts[k])) for k in range(count)]
