"""A verdict follows from the differences alone, by the written rule."""

import numpy as np
import pytest
from scipy import stats

from minicompress.errors import NonFiniteError, RangeError
from minicompress.verdict import INCONCLUSIVE, NOT_REPRODUCED, REPRODUCED, exact, interval, show, verdict


def test_the_interval_is_students():
    d = np.array([1.0, 2.0, 4.0, 3.0, 2.5])
    mean, half = interval(d)
    low, high = stats.t.interval(0.95, len(d) - 1, loc=d.mean(), scale=stats.sem(d))
    assert (mean - half, mean + half) == pytest.approx((low, high))


@pytest.mark.parametrize(("differences", "word"), [
    ([1, 2, 1.5, 1.8, 1.2], REPRODUCED),
    ([-1, -2, -1.5, -1.8, -1.2], NOT_REPRODUCED),
    ([1, -2, 1.5, -1.8, 0.2], INCONCLUSIVE),
    ([1, 1, 1, 1, 1], REPRODUCED),
    ([0, 0, 0, 0, 0], NOT_REPRODUCED),
])
def test_the_sign_of_the_interval_decides(differences, word):
    assert verdict("claim", differences).verdict == word


def test_a_difference_too_small_to_matter_is_not_reproduced():
    d = [0.1, -0.1, 0.05, 0.0, -0.05]
    assert verdict("claim", d, empty=0.5).verdict == NOT_REPRODUCED
    assert verdict("claim", d).verdict == INCONCLUSIVE
    assert verdict("claim", [0.1] * 5, empty=0.5).verdict == REPRODUCED  # on the claimed side for certain


def test_three_seeds_need_a_margin_and_must_pass_it():
    with pytest.raises(RangeError, match="margin"):
        verdict("claim", [1, 2, 3])
    assert verdict("claim", [5, 5.1, 5.2], margin=1).verdict == REPRODUCED
    assert verdict("claim", [0.5, 0.51, 0.52], margin=1).verdict == INCONCLUSIVE


@pytest.mark.parametrize("differences", [[], [1], [1, 2]])
def test_fewer_than_three_seeds_are_refused(differences):
    with pytest.raises(RangeError):
        verdict("claim", differences, margin=1)


def test_nan_is_refused():
    with pytest.raises(NonFiniteError):
        verdict("claim", [1, 2, float("nan"), 3, 4])


def test_the_table_prints_the_evidence(capsys):
    show([verdict("retraining helps", [11, 12, 12.5, 11.5, 12]), exact("sizes add up", True, "2,808 = 2,808 bytes")])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["claim", "evidence", "verdict"]
    assert "+11.8 ± 0.7 points, 5 seeds" in lines[2] and lines[2].endswith(REPRODUCED)
    assert lines[3].endswith(REPRODUCED) and exact("x", False, "").verdict == NOT_REPRODUCED
