"""A sentence passes when its margin is large beside the spread of the seeds, and not otherwise."""

import numpy as np
import pytest
from experiments import margins
from scipy import stats


def test_a_margin_is_counted_in_standard_errors():
    """The mean of 1 to 6 is 3.5, their standard deviation √3.5."""
    with margins.collected() as found:
        margins.greater([1, 2, 3, 4, 5, 6], 0, "They are positive.")
        margins.less([1, 2, 3, 4, 5, 6], 0, "They are negative.")
    for margin, sign in zip(found, (1, -1), strict=True):
        assert (margin.mean, margin.seeds) == (3.5, 6)
        assert margin.error == pytest.approx((3.5 / 6) ** 0.5)
        assert margin.found == pytest.approx(sign * 3.5 / (3.5 / 6) ** 0.5)
    assert [margin.large_enough for margin in found] == [True, False]


def test_a_margin_that_is_too_small_is_an_error_that_names_the_sentence():
    """The mean is on the right side, but the spread does not justify the sentence."""
    margins.greater([2.9, 3.0, 3.1] * 2, 2, "Small spread.")
    with pytest.raises(AssertionError, match="Large spread"):
        margins.greater([1, 3, 5] * 2, 2, "Large spread.")
    with pytest.raises(AssertionError, match="No spread, no margin"):
        margins.greater([2] * 6, 2, "No spread, no margin.")


def test_both_bounds_are_looked_at():
    """A mean on one of the bounds is not between them."""
    margins.between([2.9, 3.0, 3.1] * 2, 2, 4, "Between.")
    for low, high in ((3, 4), (2, 3)):
        with pytest.raises(AssertionError, match="On the edge"):
            margins.between([2.9, 3.0, 3.1] * 2, low, high, "On the edge.")


def test_equal_values_may_still_be_off_by_an_image():
    """A mean a thousandth beyond the bound is no margin, however well the seeds agree."""
    margins.greater([1.0] * 6, 0.99, "All fitted.")
    with pytest.raises(AssertionError, match="A thousandth above"):
        margins.greater([0.991] * 6, 0.99, "A thousandth above.")


@pytest.mark.parametrize(("seeds", "once_in"), [(6, 190), (10, 640)])
def test_what_is_not_true_passes_as_seldom_as_it_says(seeds, once_in):
    """A mean at its bound is four standard errors above it by Student's distribution."""
    assert 1 / stats.t.sf(margins.STANDARD_ERRORS, seeds - 1) == pytest.approx(once_in, rel=0.02)


def test_too_few_seeds_are_refused():
    """Five seeds do not show their spread, whatever it seems to be."""
    with pytest.raises(AssertionError, match="fewer seeds"):
        margins.greater([1.0, 1.1, 1.0, 1.1, 1.0], 0, "Five seeds.")


def test_interval_holds_the_true_mean_as_often_as_it_says():
    """Of intervals from ten normal values, 95 percent contain the mean."""
    rng = np.random.default_rng(0)
    held = [
        abs(mean - 3) < half
        for mean, half in (margins.interval(rng.normal(3, 2, 10)) for _ in range(4000))
    ]
    assert np.mean(held) == pytest.approx(0.95, abs=0.012)
