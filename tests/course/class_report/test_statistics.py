"""The statistics of a class report, against numbers by hand and against SciPy."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from autograder.course.class_report.statistics import (
    MOST_BINS,
    Bin,
    discrimination,
    histogram,
    wilson,
)


def test_discrimination_by_hand():
    """The rest is 3, 2, 1, 2: deviations 1, 0, -1, 0 against halves give 1 / sqrt(2)."""
    assert discrimination([1, 1, 0, 0], [4, 3, 1, 2]) == pytest.approx(1 / math.sqrt(2))


def test_discrimination_leaves_the_item_out():
    """An item that has nothing to do with the rest scores 0, though it is part of the sum."""
    assert discrimination([1, 0, 1, 0], [2, 1, 1, 0]) == pytest.approx(0.0)


@pytest.mark.parametrize("item", [[], [1], [1, 1, 1], [0, 0, 0]])
def test_without_differences_there_is_no_discrimination(item):
    """Nobody can be told apart where everybody did the same."""
    assert discrimination(item, [one + k for k, one in enumerate(item)]) is None
    assert discrimination([0, 1], [2, 3]) is None


@given(st.integers(0, 1000))
def test_discrimination_is_the_point_biserial_correlation(seed):
    """SciPy agrees for every class in which somebody differs."""
    rng = np.random.default_rng(seed)
    item = rng.integers(0, 2, 30)
    rest = rng.integers(0, 20, 30)
    assert discrimination(item, item + rest) == pytest.approx(
        stats.pointbiserialr(item, rest).statistic
    )


def test_wilson_by_hand():
    """For 8 of 10 the center is 0.99207 / 1.38415, and the half width 0.31362 / 1.38415."""
    found = wilson(8, 10)
    assert (found.low, found.high) == pytest.approx((0.49016, 0.94332), abs=1e-5)


@given(st.data())
def test_wilson_contains_the_share(data):
    """It lies within [0, 1] and is never empty; SciPy's is the same."""
    total = data.draw(st.integers(1, 5000))
    successes = data.draw(st.integers(0, total))
    found = wilson(successes, total)
    assert 0 <= found.low <= successes / total <= found.high <= 1
    assert found.low < found.high
    expected = stats.binomtest(successes, total).proportion_ci(method="wilson")
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)


@pytest.mark.parametrize(("successes", "total"), [(0, 0), (-1, 5), (6, 5)])
def test_what_is_no_share_has_no_interval(successes, total):
    """A slip of the caller is not turned into a number."""
    with pytest.raises(ValueError, match="is not a share"):
        wilson(successes, total)


def test_histogram_by_hand():
    """An edge belongs to the bin above it, and the largest score to the last bin."""
    assert histogram([0, 0.5, 2.5, 22.5, 25], 25)[:2] == [Bin(0, 2.5, 2), Bin(2.5, 5, 1)]
    assert histogram([0, 0.5, 2.5, 22.5, 25], 25)[-1] == Bin(22.5, 25, 2)


@given(
    st.lists(st.integers(0, 4000).map(lambda quarters: quarters / 4)),
    st.integers(1, 4000).map(lambda quarters: quarters / 4),
)
def test_histogram_counts_everybody_once(points, max_points):
    """Extra credit too; the bins adjoin, and there are few enough to read."""
    bins = histogram(points, max_points)
    assert sum(bin.count for bin in bins) == len(points)
    assert len(bins) <= MOST_BINS
    assert bins[0].low == 0
    assert bins[-1].high == max_points
    assert all(one.high == other.low for one, other in pairwise(bins))
    assert histogram(points, 0) == []
