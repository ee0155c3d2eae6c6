"""Criteria: limits hold at equality, whatever rounding does, and say what they ask."""

import numpy as np
import pytest

from minicompress.reproduce.row import at_least, at_most, count, minutes, near, points, times, yes
from minicompress.table import percent


def test_limits_are_inclusive_and_written_as_the_figure_is():
    low, high = at_most(0.0175, percent), at_least(40, times)
    assert (low.text, high.text) == ("≤ 1.75 %", "≥ 40.0x")
    assert low.holds(0.0175, {}) and not low.holds(0.01751, {})
    assert high.holds(40.0, {}) and not high.holds(39.99, {})


@pytest.mark.parametrize("dense", [0.0152, 0.0161, 0.0160, 0.0149])
def test_near_compares_means_over_the_seeds(dense):
    criterion, others = near("dense", 0.0015), {"dense": np.array([dense - 0.001, dense, dense + 0.001])}
    assert criterion.text == "≤ dense + 0.15"
    assert criterion.holds(np.mean([dense + 0.0015] * 3), others)
    assert not criterion.holds(dense + 0.0015 + 1 / 30_000, others)


def test_forms():
    assert (count(22200.4), times(12.34), minutes(90.0)) == ("22,200", "12.3x", "1.5 min")
    assert (yes(1.0), yes(2 / 3)) == ("yes", "no")
    assert (points(0.01234), points(-0.0005)) == ("+1.23", "-0.05")
